"""Tables of the comparison: arms against actions, the best marked, every difference with its interval."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from actlift.evaluation.metrics import METRICS, Metric
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES, Scores, whole_clips

if TYPE_CHECKING:
    from rich.console import Console

MINUS = "\N{MINUS SIGN}"


def arms_table(scores: Scores, metric: str, *, reference: str = "generalist") -> pd.DataFrame:
    """Rows arms, the reference first; columns actions, "mean over actions", "mean over frames"; reported units.

    Raises ValueError if the metric or the reference is not among the scores.
    """
    table = scores.per_action(metric)
    scores.seeds(reference)  # names the known arms if this is none
    return table.loc[[reference, *(arm for arm in table.index if arm != reference)]]


def comparisons(scores: Scores, metric: str, *, reference: str = "generalist") -> dict[str, pd.DataFrame]:
    """`Scores.compare` of every other arm against the reference, in the order of `arms_table`."""
    arms = list(arms_table(scores, metric, reference=reference).index)
    drawn = scores.draws(metric, arms)
    return {arm: drawn.compare(arm, reference) for arm in arms[1:]}


def best_cells(table: pd.DataFrame, measure: Metric) -> pd.DataFrame:
    """True where an arm prints the best value of its column; arms whose values print alike are best together."""
    printed = table.round(decimals(measure))
    best = printed.min() if measure.better == "lower" else printed.max()
    return printed.eq(best, axis="columns")


def decimals(measure: Metric) -> int:
    """One decimal for mm and %, two for velocities and accelerations."""
    return 1 if measure.unit in ("mm", "%") else 2


def number(value: float, measure: Metric) -> str:
    """A value as tables print it; "n/a" for NaN."""
    return "n/a" if np.isnan(value) else f"{value:.{decimals(measure)}f}"


def signed(value: float, measure: Metric) -> str:
    """A difference as tables print it: with a sign and one decimal more than a value; what rounds to zero is ±0."""
    if np.isnan(value):
        return "n/a"
    text = f"{value:+.{decimals(measure) + 1}f}"
    return ("±" + text[1:] if float(text) == 0 else text).replace("-", MINUS)


def interval(row: pd.Series, measure: Metric) -> str:
    """The interval of a row of `Scores.compare`: "[−2.9, −1.3]"."""
    if np.isnan(row["low"]):
        return "[no interval]"
    return f"[{signed(row['low'], measure)}, {signed(row['high'], measure)}]"


def judgment(row: pd.Series, measure: Metric) -> str:
    """What a row of `Scores.compare` says of its arm: "better", "worse", or "undecided" where 0 is in the interval."""
    if np.isnan(row["low"]) or row["low"] <= 0 <= row["high"]:
        return "undecided"
    return "better" if (row["difference"] < 0) == (measure.better == "lower") else "worse"


def clips_per_action(scores: Scores, metric: str) -> pd.Series:
    """How many clips each action, and all of them together (under both means), are scored on."""
    rows = scores.table[scores.table["metric"] == metric]
    counts = whole_clips(rows["clip"]).groupby(rows["action"]).nunique()
    total = int(counts.sum())
    return pd.concat([counts, pd.Series({MEAN_OVER_ACTIONS: total, MEAN_OVER_FRAMES: total})])


def print_arms_table(console: "Console", scores: Scores, metric: str, *, reference: str = "generalist") -> None:
    """Print rows actions, columns arms (20 actions fit a terminal downwards, not across), the best of a row starred.

    The row below each mean tells how every arm differs from the reference: the difference and, in brackets, its 95 %
    interval (paired bootstrap over clips); green is better, red worse, and dim undecided. Where the console is too
    narrow for all arms, a second table begins with the reference again.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    measure = METRICS[metric]
    table = arms_table(scores, metric, reference=reference)
    compared = comparisons(scores, metric, reference=reference)
    best = best_cells(table, measure)
    clips = clips_per_action(scores, metric)
    means = (MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES)
    colors = {"better": "green", "worse": "red", "undecided": "dim"}

    def value(arm: str, column: str) -> Text:
        text = number(table.T[arm][column], measure)
        return Text(f"* {text}", style="bold") if best.loc[arm, column] else Text(text)

    def difference(arm: str, column: str) -> Text:
        row = compared[arm].T[column]
        text = f"{signed(row['difference'], measure)}\n{interval(row, measure)}"
        return Text(text, style=colors[judgment(row, measure)])

    heads = {arm: arm.replace("-", "-\n").replace(" (", "\n(") for arm in table.index}
    narrowest = {}  # what an arm's column needs: the head's parts, the values, and the differences' words
    for arm in table.index:
        words = [*heads[arm].split("\n"), *(value(arm, column).plain for column in table.columns)]
        words += [word for column in means if arm in compared for word in difference(arm, column).plain.split()]
        narrowest[arm] = max(map(len, words))
    label = f"  minus {reference}"
    room = console.width - max(map(len, (*table.columns, label))) - len("clips") - 8 - narrowest[reference]

    for lot in _lots([(arm, narrowest[arm] + 3) for arm in compared], room) or [[]]:
        grid = Table(
            box=SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
            title=f"{measure.title}, {measure.unit}, {measure.better} is better; * best of a row",
            title_justify="left",
            min_width=len(measure.title) + 50,
        )
        grid.add_column("action", no_wrap=True)
        grid.add_column("clips", justify="right", style="dim")
        for arm in (reference, *lot):
            grid.add_column(heads[arm], justify="right", overflow="fold", min_width=narrowest[arm])
        for column in table.columns:
            if column in means:
                grid.add_section()
            name = Text(column, style="bold" if column in means else "")
            grid.add_row(name, str(clips[column]), *(value(arm, column) for arm in (reference, *lot)))
            if column in means and lot:
                grid.add_row(Text(label, style="dim"), "", "", *(difference(arm, column) for arm in lot))
        console.print(grid)


def _lots(widths: list[tuple[str, int]], room: int) -> list[list[str]]:
    """Names in lots, each as wide as the room allows and of one name at least."""
    lots: list[list[str]] = []
    left = 0
    for name, width in widths:
        if not lots or width > left:
            lots.append([])
            left = room
        lots[-1].append(name)
        left -= width
    return lots
