"""The options of a network, as the command line and run folders spell them; nothing here needs torch."""

from dataclasses import dataclass
from typing import Any

from actlift.errors import InputError

RECEPTIVE_FIELDS: dict[int, tuple[int, ...]] = {
    1: (1,),  # the single hidden layer of the paper's 1-frame tables
    3: (3,),
    9: (3, 3),
    27: (3, 3, 3),
    81: (3, 3, 3, 3),
    243: (3, 3, 3, 3, 3),
}


@dataclass(frozen=True)
class Network:
    """The choices that make a :class:`actlift.models.tcn.TCN`, as options and run folders spell them.

    Attributes:
        receptive_field: frames that one output sees: 1, 3, 9, 27, 81 or 243.
        widths: odd convolution widths instead of a receptive field known by name.
        channels: hidden channels.
        causal: see the past only (no delay), not the past and the future alike.
        dropout: probability, in steps of 1/65536.
        trajectory: a second head for the root's position.
    """

    receptive_field: int = 27
    widths: tuple[int, ...] = ()
    channels: int = 128
    causal: bool = False
    dropout: float = 0.1
    trajectory: bool = False

    def keywords(self) -> dict[str, Any]:
        """What :class:`actlift.models.tcn.TCN` takes."""
        return {
            "widths": list(self.widths or widths_of(self.receptive_field)),
            "channels": self.channels,
            "causal": self.causal,
            "dropout": self.dropout,
            "trajectory": self.trajectory,
        }


def widths_of(receptive_field: int) -> tuple[int, ...]:
    """The convolution widths of a receptive field known by name (1, 3, 9, 27, 81, 243 frames)."""
    if receptive_field not in RECEPTIVE_FIELDS:
        known = ", ".join(map(str, RECEPTIVE_FIELDS))
        raise InputError(
            f"no widths are known for a receptive field of {receptive_field} frames; known: {known}. "
            "Give the odd widths themselves for another product."
        )
    return RECEPTIVE_FIELDS[receptive_field]
