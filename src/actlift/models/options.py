"""The options of a network, as the command line and run folders spell them; nothing here needs torch."""

from dataclasses import asdict, dataclass, field
from typing import Any

from actlift.errors import InputError

TCN_NAME = "tcn"  # of the temporal convolution network, the architecture of run folders that name none

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
    """The choices that make a network, as options and run folders spell them.

    Attributes:
        receptive_field: frames that one output sees: 1, 3, 9, 27, 81 or 243.
        widths: odd convolution widths instead of a receptive field known by name; of the architecture tcn alone.
        channels: hidden channels.
        causal: see the past only (no delay), not the past and the future alike.
        dropout: probability, in steps of 1/65536.
        trajectory: a second head for the root's position.
        architecture: of `actlift.models.base.ARCHITECTURES`: tcn, mixer.
        extra: further keywords of the architecture, as in --extra.NAME VALUE.
    """

    receptive_field: int = 27
    widths: tuple[int, ...] = ()
    channels: int = 128
    causal: bool = False
    dropout: float = 0.1
    trajectory: bool = False
    architecture: str = TCN_NAME
    extra: dict[str, int | float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.widths and self.architecture != TCN_NAME:
            raise InputError(
                f"widths {self.widths} are those of the architecture {TCN_NAME}, not of {self.architecture}: give a "
                "receptive field"
            )

    def keywords(self) -> dict[str, Any]:
        """What :func:`actlift.models.base.make_network` takes."""
        if self.architecture == TCN_NAME:
            which: dict[str, Any] = {"widths": list(self.widths or widths_of(self.receptive_field))}
        else:
            which = {"architecture": self.architecture, "receptive_field": self.receptive_field}
        return {
            **which,
            "channels": self.channels,
            "causal": self.causal,
            "dropout": self.dropout,
            "trajectory": self.trajectory,
            **self.extra,
        }

    def record(self) -> dict[str, Any]:
        """All choices for a folder's record; of the architecture only where it is another than tcn."""
        plain = {"architecture": TCN_NAME, "extra": {}}
        return {key: value for key, value in asdict(self).items() if key not in plain or value != plain[key]}


def widths_of(receptive_field: int) -> tuple[int, ...]:
    """The convolution widths of a receptive field known by name (1, 3, 9, 27, 81, 243 frames)."""
    if receptive_field not in RECEPTIVE_FIELDS:
        known = ", ".join(map(str, RECEPTIVE_FIELDS))
        raise InputError(
            f"no widths are known for a receptive field of {receptive_field} frames; known: {known}. "
            "Give the odd widths themselves for another product."
        )
    return RECEPTIVE_FIELDS[receptive_field]
