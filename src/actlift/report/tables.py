"""Tables of the comparison: variants of arms against actions, the best marked, differences with their intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from actlift.evaluation.intervals import LEVEL, MIN_PEOPLE, holm
from actlift.evaluation.metrics import METRICS, Metric
from actlift.evaluation.scores import GENERALIST, MEAN_OVER_PEOPLE, MEANS, Scores, Variant, whole_clips
from actlift.report.words import counted, tail

if TYPE_CHECKING:
    from rich.console import Console

MINUS = "\N{MINUS SIGN}"


def arms_table(scores: Scores, metric: str, *, reference: Variant = GENERALIST) -> pd.DataFrame:
    """Give rows variants, the reference first; columns actions, then the three means; reported units.

    Raises InputError if the metric or the reference is not among the scores.
    """
    table = scores.per_action(metric)
    scores.seeds(reference)  # names the known arms if this is none
    return table.loc[[reference, *(variant for variant in table.index if variant != reference)]]


def comparisons(scores: Scores, metric: str, *, reference: Variant = GENERALIST) -> dict[Variant, pd.DataFrame]:
    """Compare every other variant with the reference (`Variations.compare`), in the order of `arms_table`.

    p-values are corrected (Holm) for their number: those of single actions for all actions of all variants, those of
    the mean over people for all variants.
    """
    variants = list(arms_table(scores, metric, reference=reference).index)
    samples = scores.variations(metric, variants)
    found = {variant: samples.compare(variant, reference) for variant in variants[1:]}
    if found:
        p = pd.concat(found, axis="columns").xs("p", axis="columns", level=1)
        of_people = p.index == MEAN_OVER_PEOPLE
        for family in (of_people, ~of_people):
            p[family] = holm(p[family].to_numpy().ravel()).reshape(-1, len(found))
        found = {variant: table.assign(p=p[variant]) for variant, table in found.items()}
    return found


def best_cells(table: pd.DataFrame, measure: Metric) -> pd.DataFrame:
    """Mark where a variant prints the best value of its column; those whose values print alike are best together."""
    printed = table.round(decimals(measure))
    best = printed.min() if measure.better == "lower" else printed.max()
    return printed.eq(best, axis="columns")


def decimals(measure: Metric) -> int:
    """Give one decimal for mm, mm/s and %, two for other velocities, accelerations and dB."""
    return 1 if measure.unit in ("mm", "mm/s", "%") else 2


def number(value: float, measure: Metric) -> str:
    """Print a value; "n/a" for NaN."""
    return "n/a" if np.isnan(value) else f"{value:.{decimals(measure)}f}"


def signed(value: float, measure: Metric) -> str:
    """Print a difference: with a sign and one decimal more than a value; what rounds to zero is ±0."""
    if np.isnan(value):
        return "n/a"
    text = f"{value:+.{decimals(measure) + 1}f}"
    return ("±" + text[1:] if float(text) == 0 else text).replace("-", MINUS)


def interval(row: pd.Series, measure: Metric) -> str:
    """Print the interval of a row of `Scores.compare`, "[−2.9, −1.3]"; the papers' two means have none."""
    if np.isnan(row["low"]):
        return "(these people only)" if row["people"] else ""
    return f"[{signed(row['low'], measure)}, {signed(row['high'], measure)}]"


def judgment(row: pd.Series, measure: Metric) -> str:
    """Tell what a row of `Scores.compare` or `comparisons` says: "better", "worse", or else "undecided"."""
    if not row["p"] <= LEVEL:
        return "undecided"
    return "better" if (row["difference"] < 0) == (measure.better == "lower") else "worse"


def clips_per_action(scores: Scores, metric: str) -> pd.Series:
    """Count the clips that each action, and all of them together (under every mean), are scored on."""
    rows = scores.table[scores.table["metric"] == metric]
    counts = whole_clips(rows["clip"]).groupby(rows["action"]).nunique()
    total = int(counts.sum())
    return pd.concat([counts, pd.Series(dict.fromkeys(MEANS, total))])


def print_arms_table(console: "Console", scores: Scores, metric: str, *, reference: Variant = GENERALIST) -> None:
    """Print rows actions (20 fit a terminal downwards, not across), columns variants, the best of a row starred.

    The row below each mean tells how every variant differs from the reference: the difference and, for the mean over
    people in brackets, its 95 % interval; green is better, red worse, and dim undecided. Where the console is too
    narrow for all variants, a second table begins with the reference again.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    measure = METRICS[metric]
    table = arms_table(scores, metric, reference=reference)
    compared = comparisons(scores, metric, reference=reference)
    best = best_cells(table, measure)
    clips = clips_per_action(scores, metric)
    colors = {"better": "green", "worse": "red", "undecided": "dim"}

    def value(variant: Variant, column: str) -> Text:
        text = number(table.T[variant][column], measure)
        return Text(f"* {text}", style="bold") if best.T[variant][column] else Text(text)

    def difference(variant: Variant, column: str) -> Text:
        row = compared[variant].T[column]
        text = f"{signed(row['difference'], measure)}\n{interval(row, measure)}".strip()
        return Text(text, style=colors[judgment(row, measure)])

    heads = {variant: _head(variant) for variant in table.index}
    narrowest = {}  # what a variant's column needs: the head's parts, the values, and the differences' words
    for variant in table.index:
        words = [*heads[variant].split("\n"), *(value(variant, column).plain for column in table.columns)]
        if variant in compared:
            words += [word for column in MEANS for word in difference(variant, column).plain.split()]
        narrowest[variant] = max(map(len, words))
    label = f"  minus {reference}"
    room = console.width - max(map(len, (*table.columns, label))) - len("clips") - 8 - narrowest[reference]

    for lot in _lots([(variant, narrowest[variant] + 3) for variant in compared], room) or [[]]:
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
        for variant in (reference, *lot):
            grid.add_column(heads[variant], justify="right", overflow="fold", min_width=narrowest[variant])
        for column in table.columns:
            if column in MEANS:
                grid.add_section()
            name = Text(column, style="bold" if column in MEANS else "")
            grid.add_row(name, str(clips[column]), *(value(variant, column) for variant in (reference, *lot)))
            if column in MEANS and lot:
                grid.add_row(Text(label, style="dim"), "", "", *(difference(variant, column) for variant in lot))
        console.print(grid)
    people = scores.table["subject"].nunique()
    if compared and people < MIN_PEOPLE:
        console.print(
            f"Of {counted(people, 'test person', 'test people')} only: too few for people in general.", style="dim"
        )


def _head(variant: Variant) -> str:
    """The head of a variant's column, in lines as short as can be."""
    arm, rest = variant.arm.replace("-", "-\n"), tail(variant)
    return f"{arm}\n{rest.strip()}" if variant.matching else arm + rest


def _lots(widths: Sequence[tuple[Variant, int]], room: int) -> list[list[Variant]]:
    """Variants in lots, each as wide as the room allows and of one variant at least."""
    lots: list[list[Variant]] = []
    left = 0
    for variant, width in widths:
        if not lots or width > left:
            lots.append([])
            left = room
        lots[-1].append(variant)
        left -= width
    return lots
