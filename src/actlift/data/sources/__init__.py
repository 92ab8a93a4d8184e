"""Sources of motion capture: a row for each format, which says how it is recognized and read.

A row's module is imported when a source is looked at, not before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actlift.errors import InputError, MissingInputError

if TYPE_CHECKING:
    from actlift.data.clip import Clip


@dataclass(frozen=True)
class Source:
    """A format of motion capture.

    Attributes:
        title: its name in words.
        looks_like: what a source of this format is, for messages.
        module: of this package.
        recognizes: name of the module's function `(source) -> bool` that tells, by what is there, whether a source is
            in this format; of no source two formats may say so. It may raise an InputError for a damaged file.
        reads: name of the module's function `(source, **options) -> list[Clip]`.
        options: the keywords that `reads` takes, of those of `actlift.data.prepare.read_source`.
    """

    title: str
    looks_like: str
    module: str
    recognizes: str
    reads: str
    options: tuple[str, ...] = ()

    def is_format_of(self, source: str) -> bool:
        """Tell whether the source, a path or a word, is in this format."""
        recognized: bool = self._function(self.recognizes)(source)
        return recognized

    def read(self, source: str, **options: Any) -> "list[Clip]":
        """Read all clips of a source; of the options, its reader is given those that it takes.

        Raises:
            MissingInputError: there is nothing at this path.
            InputError: it is not in this format, or damaged; the message names the file.
        """
        clips: list[Clip] = self._function(self.reads)(source, **{name: options[name] for name in self.options})
        return clips

    def _function(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(import_module(f"actlift.data.sources.{self.module}"), name)
        return function


SOURCES: dict[str, Source] = {
    "mocap_npz": Source(
        title="mocap .npz",
        looks_like="a motion capture .npz",
        module="mocap_npz",
        recognizes="is_mocap_npz",
        reads="read_mocap_npz",
    ),
    "asfamc": Source(
        title="ASF/AMC",
        looks_like="a folder with an .asf and its .amc files",
        module="asfamc",
        recognizes="is_asfamc_folder",
        reads="read_asfamc_folder",
    ),
    "h36m": Source(
        title="Human3.6M",
        looks_like="data_3d_h36m.npz or a folder with the CDF files of Human3.6M",
        module="h36m",
        recognizes="is_h36m",
        reads="read_h36m",
        options=("detections",),
    ),
    "humaneva": Source(
        title="HumanEva-I",
        looks_like="data_3d_humaneva15.npz of HumanEva-I",
        module="humaneva",
        recognizes="is_humaneva",
        reads="read_humaneva",
    ),
    "synthetic": Source(
        title="synthetic motions",
        looks_like="the word synthetic",
        module="synthetic",
        recognizes="is_synthetic",
        reads="read_synthetic",
        options=("seed",),
    ),
}


def source_of(source: str) -> Source:
    """Find the format of a source, a path or a word, by what is there.

    Raises:
        MissingInputError: there is nothing at this path.
        InputError: it is in no format that is known (the message lists those that are), or damaged.
    """
    for row in SOURCES.values():
        if row.is_format_of(source):
            return row
    path = Path(source)
    if not path.exists():
        raise MissingInputError(f"{source}: nothing there; {wanted()}")
    what = "a folder, but not of" if path.is_dir() else "not"
    raise InputError(f"{source}: {what} a kind of source that is known; {wanted()}")


def wanted() -> str:
    """Say in words which sources are known."""
    *others, last = (row.looks_like for row in SOURCES.values())
    return f"wanted {', '.join(others)}, or {last}"
