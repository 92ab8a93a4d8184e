"""Detectors of 2D keypoints: a module of this package for each, and a row of `DETECTORS`.

To add one, write a module with a function from a file of weights (None where the user gave none) to a `Detector`. It
raises `MissingPackageError` or another `InputError` where it cannot work here, and `OSError` where weights cannot be
fetched, so that "auto" goes on to the next; optional packages are imported when it is called.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from actlift.errors import InputError, MissingInputError, MissingPackageError
from actlift.video.detectors.base import Detector

DETECTORS = {  # name: module of this package, its function; the most exact first
    "rtmpose": ("rtmpose", "make_rtmpose"),
    "movenet": ("movenet", "make_movenet"),
    "mediapipe": ("mediapipe", "make_mediapipe"),
}


def make_detector(
    name: str = "auto",
    weights: Path | None = None,
    *,
    passed_over: Callable[[str, str], None] = lambda _name, _why: None,
) -> Detector:
    """Make a detector by name; "auto" is the first of `DETECTORS` that works here and now.

    Args:
        name: of `DETECTORS`, or "auto".
        weights: its file of weights, or a folder of such.
        passed_over: is told the name of each detector that "auto" tried in vain, and why.

    Raises:
        InputError: for an unknown name (lists the known), or weights that are none.
        MissingInputError: if there are no weights.
        MissingPackageError: if a library is missing; or, for "auto", if no detector works: each with its reason.
        OSError: if weights cannot be fetched.
    """
    if weights is not None and not weights.exists():
        raise MissingInputError(f"{weights}: no such file; wanted the weights of a detector")
    if name != "auto":
        if name not in DETECTORS:
            raise InputError(f"there is no detector {name!r}; there are auto, {', '.join(DETECTORS)}")
        return _made(name, weights)
    reasons = []
    for each in DETECTORS:
        try:
            return _made(each, weights)
        except (InputError, OSError) as error:
            passed_over(each, str(error))
            reasons.append(f"\n- {each}: {error}")
    raise MissingPackageError(f"no detector of 2D keypoints works here:{''.join(reasons)}")


def _made(name: str, weights: Path | None) -> Detector:
    module, function = DETECTORS[name]
    make: Callable[[Path | None], Detector] = getattr(import_module(f"{__name__}.{module}"), function)
    return make(weights)
