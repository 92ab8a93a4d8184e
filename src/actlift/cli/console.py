"""What the command line prints: text, how far work is, warnings and errors."""

import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import rich.progress
from rich.console import Console

if TYPE_CHECKING:
    from actlift.training.loop import TrainProgress

# names of clips and folders may hold brackets, which are no markup here
CONSOLE = Console(
    width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120, markup=False, highlight=False, emoji=False
)
LINE_EVERY_S = 30.0


def say(text: str) -> None:
    """Print text that may hold paths: lines are as long as they are, so that they can be copied."""
    CONSOLE.print(text, soft_wrap=True)


class Progress:
    """How far work is: bars with the time left in a terminal; elsewhere a line at each end, and every half minute."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        self._bars = bars
        self._rows: dict[str, tuple[rich.progress.TaskID, str]] = {}  # the bar, and what it shows now
        self._began: dict[str, tuple[float, int]] = {}  # when each work was first heard of, and how far it was then
        self._said = time.perf_counter()

    def __call__(
        self,
        label: str,
        done: int,
        total: int | None,
        note: str = "",
        *,
        row: str | None = None,
        whole: tuple[int, int] | None = None,
    ) -> None:
        """Show how far a work is.

        Args:
            label: what is worked on.
            done, total: how much of it is done, and how much there is where that is known, in any unit.
            note: stands behind.
            row: works with the same row take turns in one bar; where None, each has a bar of its own.
            whole: done and total of all that this is a part of.
        """
        if CONSOLE.is_terminal:
            if whole:
                self._bar("the whole study", "the whole study", *whole)
            self._bar(row or label, label, done, total, note)
            return
        now = time.perf_counter()
        began, before = self._began.setdefault(label, (now, done))
        if done != total and now - self._said <= LINE_EVERY_S:
            return
        parts = [f"{done / total:.0%}" if total else f"{done}", note]
        if whole:
            parts.append(f"{whole[0] / whole[1]:.0%} of the whole study")
        if total and before < done < total:
            parts.append(f"{(now - began) * (total - done) / (done - before):.0f} s left")
        CONSOLE.print(f"{label}: {', '.join(filter(None, parts))}")
        self._said = now

    def stage(self, name: str, done: int, total: int | None) -> None:
        """Show a stage of lifting, which counts frames, images or people."""
        self(name, done, total, f"{done} of {total}" if total else "")

    def training(self, label: str, at: "TrainProgress", whole: tuple[int, int] | None = None) -> None:
        """Show a training; ``whole`` is windows seen and to see in all, where it is one of several."""
        note = f"{at.loss:.1f} {at.unit} {at.windows_per_second:,.0f} windows/s"
        self(label, at.windows, at.windows_total, note, row="training", whole=whole)

    def _bar(self, row: str, label: str, done: int, total: int | None, note: str = "") -> None:
        if row not in self._rows:
            self._rows[row] = self._bars.add_task(label, total=total, note=note), label
        bar, shown = self._rows[row]
        if shown != label:
            self._bars.reset(bar)
            self._rows[row] = bar, label
        self._bars.update(bar, description=label, completed=done, total=total, note=note)


@contextmanager
def progress() -> Iterator[Progress]:
    """Make a place on the screen where work shows how far it is."""
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(bar_width=None),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("ETA"),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("{task.fields[note]}", markup=False),
    )
    with rich.progress.Progress(
        *columns, console=CONSOLE, expand=True, speed_estimate_period=120, disable=not CONSOLE.is_terminal
    ) as bars:
        yield Progress(bars)


def warn(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning in one line; takes the place of :func:`warnings.showwarning`."""
    _print_error_line(f"warning: {message}")


def stop(why: object, code: int, *, trace: bool) -> NoReturn:
    """End the program with one line about the error that is being handled, below its traceback where that is wanted."""
    if trace:
        traceback.print_exc()
    _print_error_line(" ".join(str(why).split()), style="red")
    sys.exit(code)


def _print_error_line(text: str, style: str | None = None) -> None:
    Console(stderr=True).print(f"actlift: {text}", style=style, markup=False, highlight=False, soft_wrap=True)
