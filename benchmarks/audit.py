"""``python -m benchmarks.audit [--slips 20] [--seed 0]``: what `actlift audit` finds of slips in published tables.

The tables in benchmarks/published are per-action errors on Human3.6M as papers print them; sources.csv says which paper
and table, known.csv which slips they have in print. Slips of each kind are put into their rows at random, one a table,
with the average column and without; the audit of the slipped table is compared with that of the table as printed. For
each kind: how many rows were found (anything new said of the row), how many cells named, how many repaired to what was
printed, to 2 %, and false alarms: suspicions of other cells than those that slipped.
"""

import argparse
import csv
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from actlift.report.audit import audit, read_csv
from actlift.report.audit_checks import AVERAGE, Finding, Row

PUBLISHED = Path(__file__).parent / "published"
LEAST = 4  # rows of a table with a pattern


@dataclass(frozen=True)
class Slip:
    """A row with a slip: as typed, as it was, and the columns that changed."""

    typed: Row
    right: Row
    columns: tuple[str, ...]


@dataclass
class Tally:
    """What was found of slips of one kind."""

    slips: int = 0
    rows: int = 0
    cells: int = 0
    repaired: int = 0
    false: int = 0
    visible: int = 0  # slips that change a cell by 10 % or more
    visible_cells: int = 0


def tables() -> dict[str, list[Row]]:
    """The published tables by name."""
    with (PUBLISHED / "sources.csv").open(newline="", encoding="utf-8") as file:
        names = [line["table"] for line in csv.DictReader(file)]
    return {name: read_csv(PUBLISHED / f"{name}.csv")[0] for name in names}


def known() -> dict[tuple[str, str], str]:
    """The cells that slipped in print, by table and row."""
    with (PUBLISHED / "known.csv").open(newline="", encoding="utf-8") as file:
        return {(line["table"], line["row"]): line["cells"] for line in csv.DictReader(file)}


def swapped(row: Row, rng: np.random.Generator) -> Slip | None:
    """Two neighbors swapped."""
    columns = list(row.cells)
    i = int(rng.integers(len(columns) - 1))
    return _in_order(row, [*range(i), i + 1, i, *range(i + 2, len(columns))])


def shifted(row: Row, rng: np.random.Generator) -> Slip | None:
    """One cell typed two to eight columns away from its own, and those between moved by one."""
    columns = list(row.cells)
    i, j = (int(k) for k in rng.choice(len(columns), 2, replace=False))
    if not 2 <= abs(i - j) <= 8:
        return None
    order = [k for k in range(len(columns)) if k != i]
    order.insert(j, i)
    return _in_order(row, order)


def left_out(row: Row, rng: np.random.Generator) -> Slip | None:
    """One cell left out, and all behind it moved to the left, the average with them."""
    columns, figures = list(row.cells), list(row.cells.values())
    i = int(rng.integers(len(columns) - 1))
    rest = figures[:i] + figures[i + 1 :] + ([] if row.average is None else [row.average])
    return Slip(replace(row, cells=dict(zip(columns, rest, strict=False)), average=None), row, tuple(columns[i:]))


def typed_twice(row: Row, rng: np.random.Generator) -> Slip | None:
    """One cell typed twice, and all behind it moved to the right, the last one for the average."""
    columns, figures = list(row.cells), list(row.cells.values())
    i = int(rng.integers(len(columns) - 1))
    longer = [*figures[: i + 1], *figures[i:]]
    average = None if row.average is None else longer[-1]
    typed = replace(row, cells=dict(zip(columns, longer, strict=False)), average=average)
    return Slip(typed, row, tuple(columns[i:]))


def centimeters(row: Row, rng: np.random.Generator) -> Slip | None:
    """One cell in centimeters."""
    return _one(row, rng, lambda figure: figure.scaleb(-1))


def row_in_centimeters(row: Row, rng: np.random.Generator) -> Slip | None:
    """All cells of a row, and its average, in centimeters."""
    del rng
    cells = {column: figure.scaleb(-1) for column, figure in row.cells.items()}
    average = None if row.average is None else row.average.scaleb(-1)
    return Slip(replace(row, cells=cells, average=average), row, tuple(cells))


def decimal_point(row: Row, rng: np.random.Generator) -> Slip | None:
    """One cell without its decimal point."""
    return _one(row, rng, lambda figure: Decimal(str(figure).replace(".", "")))


def wrong_digit(row: Row, rng: np.random.Generator) -> Slip | None:
    """One digit of one cell wrong; not the last one, which is within rounding of the average."""

    def slip(figure: Decimal) -> Decimal:
        text = str(figure)
        places = [i for i, character in enumerate(text) if character.isdigit()][:-1]
        i = int(rng.choice(places))
        digit = rng.choice([d for d in "0123456789" if d != text[i] and (i or d != "0")])
        return Decimal(text[:i] + digit + text[i + 1 :])

    return _one(row, rng, slip)


def transposed(row: Row, rng: np.random.Generator) -> Slip | None:
    """The first two digits of one cell transposed."""

    def slip(figure: Decimal) -> Decimal:
        text = str(figure)
        return Decimal(text[1] + text[0] + text[2:])

    return _one(row, rng, slip)


def repeated(row: Row, rng: np.random.Generator) -> Slip | None:
    """One cell typed into its right neighbor as well."""
    columns = list(row.cells)
    i = int(rng.integers(len(columns) - 1))
    cells = {**row.cells, columns[i + 1]: row.cells[columns[i]]}
    return Slip(replace(row, cells=cells), row, (columns[i + 1],))


KINDS: dict[str, Callable[[Row, np.random.Generator], Slip | None]] = {
    "swapped neighbors": swapped,
    "shifted columns": shifted,
    "left out, typed on": left_out,
    "typed twice, typed on": typed_twice,
    "one cell in cm": centimeters,
    "whole row in cm": row_in_centimeters,
    "lost decimal point": decimal_point,
    "wrong digit": wrong_digit,
    "transposed digits": transposed,
    "neighbor repeated": repeated,
}


def _in_order(row: Row, order: list[int]) -> Slip:
    columns, figures = list(row.cells), list(row.cells.values())
    cells = {column: figures[k] for column, k in zip(columns, order, strict=True)}
    moved = [place for place, k in enumerate(order) if place != k]
    return Slip(replace(row, cells=cells), row, tuple(columns[moved[0] : moved[-1] + 1]))


def _one(row: Row, rng: np.random.Generator, slip: Callable[[Decimal], Decimal]) -> Slip:
    column = str(rng.choice(list(row.cells)))
    return Slip(replace(row, cells={**row.cells, column: slip(row.cells[column])}), row, (column,))


def named(finding: Finding, row: Row) -> tuple[str, ...] | None:
    """Which cells of a row, which has them all, a finding names; None where it is about another row."""
    start = row.at("")
    if not finding.where.startswith(start):
        return None
    cells = finding.where.removeprefix(start)
    columns = list(row.cells)
    if cells == "all cells":
        return tuple(columns)
    for word in (" and ", " to "):
        if word in cells:
            first, last = cells.split(word)
            return tuple(columns[columns.index(first) : columns.index(last) + 1])
    return (cells,)


def repaired(finding: Finding, slip: Slip) -> bool:
    """Whether what a finding says follows is what was there before the slip, to 2 %."""
    if finding.where == slip.right.at("all cells"):
        return len(slip.columns) == len(slip.right.cells)
    figures = [float(figure) for figure in finding.follows.removeprefix("about ").split(", ") if figure]
    right = [float(slip.right.cells[cell]) for cell in named(finding, slip.right) or ()]
    rows = [right] if len(figures) == len(right) else [right[1:], right[:-1]]  # one was left out, or the last one lost
    return any(len(row) == len(figures) and np.allclose(figures, row, rtol=0.02, atol=0) for row in rows)


def suspicions(rows: list[Row]) -> dict[tuple[str, str], Finding]:
    """What an audit says against cells, by kind and place."""
    return {(f.kind, f.where): f for f in audit(rows) if f.severity != "note" and f.kind not in ("average", "order")}


def off(rows: list[Row]) -> set[str]:
    return {finding.where for finding in audit(rows) if finding.kind == "average"}


def measure(slips: int, seed: int, averaged: bool, names: Collection[str]) -> dict[str, Tally]:
    """Tallies by kind of slip, of so many slips in each of the tables that are named."""
    tallies = {kind: Tally() for kind in KINDS}
    for name, rows in tables().items():
        if name not in names:
            continue
        rows = [row if averaged else replace(row, average=None) for row in rows if len(row.cells) > LEAST]
        if len(rows) < LEAST:
            continue
        clean = [place for place, row in enumerate(rows) if (name, row.name) not in known()]
        before, before_off = suspicions(rows), off(rows)
        for kind, make in KINDS.items():
            rng = np.random.default_rng([seed, *map(ord, name + kind)])
            done = 0
            while done < slips:
                place = int(rng.choice(clean))
                slip = make(rows[place], rng)
                if slip is None or slip.typed == rows[place]:
                    continue
                done += 1
                _count(tallies[kind], slip, [*rows[:place], slip.typed, *rows[place + 1 :]], before, before_off)
    return tallies


def _count(
    tally: Tally, slip: Slip, rows: list[Row], before: dict[tuple[str, str], Finding], before_off: set[str]
) -> None:
    after = suspicions(rows)
    new = [finding for key, finding in after.items() if key not in before]
    about = [finding for finding in new if set(named(finding, slip.right) or ()) & set(slip.columns)]
    error = slip.typed.at(AVERAGE)
    tally.slips += 1
    tally.rows += bool(about) or any(named(f, slip.right) for f in new) or (error in off(rows) - before_off)
    tally.cells += bool(about)
    tally.repaired += any(repaired(finding, slip) for finding in about)
    tally.false += len(new) - len(about)
    if _visible(slip):
        tally.visible += 1
        tally.visible_cells += bool(about)


def _visible(slip: Slip) -> bool:
    pairs = [(slip.typed.cells.get(column), slip.right.cells.get(column)) for column in slip.columns]
    return any(one and other and abs(one / other - 1) >= Decimal("0.1") for one, other in pairs)


def untouched() -> Iterator[tuple[str, Finding, bool]]:
    """What is suspected in the tables as printed, and whether known.csv has it."""
    slips = known()
    for name, rows in tables().items():
        for finding in suspicions(rows).values():
            row = next((row for row in rows if finding.where.startswith(row.at(""))), None)
            yield name, finding, row is not None and _overlap(finding, row, slips.get((name, row.name)))


def _overlap(finding: Finding, row: Row, cells: str | None) -> bool:
    """Whether a finding names any of the cells that are known to have slipped."""
    if cells is None:
        return False
    there = named(replace(finding, where=row.at(cells)), row) or ()
    return bool(set(there) & set(named(finding, row) or ()))


def main() -> None:
    """Print tallies with and without averages, and what is said of the tables as printed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slips", type=int, default=20, help="of each kind, a table")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    console = Console(width=140)
    for averaged in (True, False):
        table = Table(box=SIMPLE_HEAD, title=f"{'With' if averaged else 'Without'} the average column")
        for column in ("slip", "slips", "row found", "cell named", "cell named, 10 % off", "repaired", "false alarms"):
            table.add_column(column, justify="left" if column == "slip" else "right")
        for kind, tally in measure(options.slips, options.seed, averaged, tables().keys()).items():
            shares = [
                f"{count / max(of, 1):.0%}"
                for count, of in (
                    (tally.rows, tally.slips),
                    (tally.cells, tally.slips),
                    (tally.visible_cells, tally.visible),
                    (tally.repaired, tally.slips),
                )
            ]
            table.add_row(kind, str(tally.slips), *shares, f"{tally.false / tally.slips:.0%}")
        console.print(table)
    said = list(untouched())
    rows = sum(len(row.cells) > LEAST for rows in tables().values() for row in rows)
    true = sum(in_print for _, _, in_print in said)
    console.print(
        f"As printed: {len(tables())} tables, {rows} rows, {len(said)} suspicions, {true} of slips in known.csv"
    )
    for name, finding, in_print in said:
        console.print(f"{'known' if in_print else 'false'}: {name}: {finding.kind}: {finding.where}: {finding.follows}")


if __name__ == "__main__":
    main()
