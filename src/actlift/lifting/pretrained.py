"""The networks that come with actlift, each a finished run (`actlift.training.run`) with a card beside it.

They lift and recognize framed keypoints (`actlift.geometry.framing`) at the frame rate that their cards name, and are
trained by
``make weights``. A card tells what from, on whom, how wrong they are on people they never saw, and what for.
"""

from pathlib import Path
from typing import Any

from actlift.errors import InputError
from actlift.files import read_json
from actlift.training.run import Run

FOLDER = Path(__file__).parent / "weights"
GENERALIST, AWARE, CAUSAL, RECOGNIZER = NAMES = ("generalist", "aware", "causal", "recognizer")


def pretrained(name: str) -> Run:
    """The run of a network that comes with actlift.

    Raises:
        InputError: for an unknown name (lists the known).
    """
    if name not in NAMES:
        raise InputError(f"actlift comes with no network {name!r}; it has {', '.join(NAMES)}")
    return Run.open(FOLDER / name)


def read_card(name: str) -> dict[str, Any]:
    """What there is to know of a network that comes with actlift.

    Raises:
        InputError: for an unknown name (lists the known).
    """
    card: dict[str, Any] = read_json(pretrained(name).folder / "card.json")
    return card
