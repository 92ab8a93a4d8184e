"""Slips of typing in printed tables: swapped and shifted cells, lost decimal points, centimeters, wrong digits.

A table's pattern suspects, a row's own average decides. The pattern is a factor per row times a factor per column, to
a power per row: on logarithms, a line per row through the columns' effects. These are medians over the *other* rows,
those that resemble the row counting most (Tukey's median polish, leaving a row out). A slip is a row read another way.
It is reported where that reading keeps the pattern so much better that it outweighs how many other readings were tried.
Order cannot change an average, so that an average that follows clears every cell of its row, but not their order.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from actlift.report.audit_checks import NEAR, Finding, Row, apart, grids, half, repeats, shown

TENS = (1, -1, 2, -2, 3, -3)  # powers of ten by which a lost decimal point or another unit changes a figure
LEAST = 4  # rows and columns of a table that has a pattern
ORDER, CELL = 7.0, 6.0  # log odds beyond which another order, or another figure, is reported
DECIDED, MARGIN = 3.0, 2.0  # the same where a slip explains the figure that the average needs; and over other cells
SECOND = 6.0  # that a second change of order must add
NEIGHBORS = 2.5  # log odds by which neighbors are swapped rather than a cell moved: there are 13 times fewer of them
TEN = 1.0  # that a cell is ten times off, rather than wrong in any way
OUTLIES = math.log(1.15)  # a figure that no average speaks against must be off by more
RESEMBLES = 0.015  # typical difference of two rows' logarithms at which one still counts in full for the other
SPREAD = 0.02  # what is left of a logarithm where a table has no scatter at all
POOLED = 5.0  # rows' worth of the whole table's scatter in that of each column
FREEDOM = 8.0  # degrees of freedom of the table's scatter as a measure of a row's
AVERAGES = 0.03  # how far a figure that is taken for an average may be from one
POWER = 0.2  # standard deviation of the power per row


@dataclass(frozen=True)
class _Pattern:
    """What a row of C cells is expected to look like, but for its own factor and power."""

    effects: Float[np.ndarray, " c"]
    scatter: Float[np.ndarray, " c"]

    def misfit(self, logs: Float[np.ndarray, "p c"]) -> Float[np.ndarray, " p"]:
        """Log odds against each of P readings of a row, NaN where a cell is missing."""
        squares, _ = self._fit(logs)
        odds: np.ndarray = (FREEDOM + logs.shape[1]) / 2 * np.log1p(squares / FREEDOM)
        return odds

    def expected(self, logs: Float[np.ndarray, "p c"]) -> Float[np.ndarray, "p c"]:
        """Logarithms on the lines through those of rows that are not NaN."""
        return self._fit(logs)[1]

    def _fit(self, logs: Float[np.ndarray, "p c"]) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, "p c"]]:
        weight = np.where(np.isnan(logs), 0, self.scatter**-2)
        known = np.nan_to_num(logs)
        total = weight.sum(axis=1, keepdims=True)
        level, middle = ((weight * values).sum(axis=1, keepdims=True) / total for values in (known, self.effects))
        columns = self.effects - middle
        cross, own = ((weight * values * columns).sum(axis=1) for values in (known - level, columns))
        power = (cross + POWER**-2) / (own + POWER**-2)
        fitted = level + power[:, None] * columns
        squares = (weight * (known - fitted) ** 2).sum(axis=1) + ((power - 1) / POWER) ** 2
        return squares, fitted


@dataclass(frozen=True)
class _Reading:
    """Another way to read a row: by how much it is likelier, and what to say of it."""

    odds: float
    finding: Finding
    cells: dict[str, Decimal]


def slips(rows: Sequence[Row]) -> Iterator[Finding]:
    """Rows that another order of their cells, or another figure in one of them, brings into their table's pattern.

    All rows are read twice, the second time beside the others as mended, and must have a slip both times. Tables of
    fewer than 4 x 4 positive cells have no pattern; there, only a cell that is off by a power of ten and makes the
    average right again is found.
    """
    repeated = {finding.where for finding in repeats(rows)}
    for columns, grid in grids(rows):
        first = _read(columns, grid, grid)
        mended = [
            row if reading is None else replace(row, cells=reading.cells)
            for row, reading in zip(grid, first, strict=True)
        ]
        for before, reading in zip(first, _read(columns, grid, mended), strict=True):
            if before and reading and reading.finding.where not in repeated:
                yield reading.finding


def _read(columns: list[str], grid: Sequence[Row], mended: Sequence[Row]) -> list[_Reading | None]:
    """The likeliest other reading of each row, given the pattern of the others as mended; None where there is none."""
    averaged = any(row.average is not None for row in grid)
    whole = [None if len(row.cells) < len(columns) else _logs(row, columns) for row in mended]
    positive = all(figure > 0 for row in grid for figure in row.cells.values())
    readings = []
    for place, row in enumerate(grid):
        others = [logs for k, logs in enumerate(whole) if k != place and logs is not None] if positive else []
        pattern = None
        if min(len(others) + 1, len(row.cells)) >= LEAST:
            pattern = _pattern(_logs(row, columns), np.array(others))
        readings.append(_of_row(row, columns, pattern, averaged))
    return readings


def _of_row(row: Row, columns: list[str], pattern: _Pattern | None, averaged: bool) -> _Reading | None:
    if whole := _all_cells(row):
        return whole
    if pattern is None:
        tenfold = [_tenfold(row, cell, power) for cell in row.cells for power in TENS]
        decided = [reading for reading in tenfold if reading]
        return decided[0] if len(decided) == 1 else None
    ways = [
        *_orders(row, columns, pattern),
        *_left_out(row, columns, pattern, averaged),
        *_typed_twice(row, columns, pattern, averaged),
        *_figures(row, columns, pattern),
    ]
    return max(ways, key=lambda way: way.odds, default=None)


def _logs(row: Row, columns: Sequence[str]) -> Float[np.ndarray, " c"]:
    logs: np.ndarray = np.log(np.array([row.cells.get(column, math.nan) for column in columns], dtype=float))
    return logs


def _pattern(logs: Float[np.ndarray, " c"], others: Float[np.ndarray, "r c"]) -> _Pattern:
    """The pattern that the other rows have, for a row."""
    others = others - np.median(others, axis=1, keepdims=True)
    apart = np.nanmedian(np.abs(others - (logs - np.nanmedian(logs))), axis=1)
    weight = (apart + RESEMBLES) ** -2.0
    effects = _medians(others, weight)
    off = np.abs(others - effects)
    of_table = 1.4826 * _medians(off.reshape(-1, 1), np.repeat(weight, off.shape[1]))[0]
    of_columns = 1.4826 * _medians(off, weight)
    pooled = (POOLED * of_table**2 + len(others) * of_columns**2) / (POOLED + len(others))
    return _Pattern(effects, np.sqrt(pooled + SPREAD**2))


def _medians(values: Float[np.ndarray, "r c"], weight: Float[np.ndarray, " r"]) -> Float[np.ndarray, " c"]:
    """Weighted medians of columns."""
    order = np.argsort(values, axis=0)
    below = np.cumsum(weight[order], axis=0)
    at = (below < below[-1] / 2).sum(axis=0)
    medians: np.ndarray = np.take_along_axis(np.take_along_axis(values, order, axis=0), at[None], axis=0)[0]
    return medians


# another order


@cache
def _moves(columns: int) -> tuple[list[tuple[int, int]], Int[np.ndarray, "m c"]]:
    """Every way to take a cell out and put it in elsewhere: from where to where, and which cell then stands where."""
    moves = [(i, j) for i in range(columns) for j in range(columns) if j not in (i, i - 1)]
    orders = []
    for i, j in moves:
        order = [k for k in range(columns) if k != i]
        order.insert(j, i)
        orders.append(order)
    return moves, np.array(orders)


def _orders(row: Row, columns: list[str], pattern: _Pattern) -> Iterator[_Reading]:
    """Swapped neighbors and moved cells: the best change of order, and a second one where that is not enough."""
    logs = _logs(row, columns)
    if np.isnan(logs).any():
        return
    moves, orders = _moves(len(columns))
    bonus = np.array([NEIGHBORS if abs(i - j) == 1 else 0.0 for i, j in moves])
    odds = pattern.misfit(logs[None])[0] - pattern.misfit(logs[orders]) + bonus
    best = int(np.argmax(odds))
    if odds[best] < ORDER:
        return
    gain, order = float(odds[best]), orders[best]
    steps = [moves[best]]
    for first in np.argsort(-odds)[:40]:
        twice = pattern.misfit(logs[None])[0] - pattern.misfit(logs[orders[first][orders]]) + bonus + bonus[first]
        second = int(np.argmax(twice))
        if twice[second] > max(gain, float(odds[best]) + SECOND):
            gain, order = float(twice[second]), orders[first][orders[second]]
            steps = [moves[first], moves[second]]
    cells = [row.cells[column] for column in columns]
    right = dict(zip(columns, (cells[k] for k in order), strict=True))
    changed = [k for k in range(len(columns)) if order[k] != k]
    first, last = changed[0], changed[-1]
    kind = "swapped" if len(steps) == 1 and last - first == 1 else "shifted"
    where = f"{columns[first]} {'and' if kind == 'swapped' else 'to'} {columns[last]}"
    said = " then ".join(_said(columns, cells, step) for step in steps) if len(steps) == 1 else _rearranged(steps)
    finding = Finding(
        "suspicion",
        kind,
        row.at(where),
        _listed(cells[first : last + 1]),
        _listed([right[column] for column in columns[first : last + 1]]),
        f"{said} Then the row keeps its table's pattern (log odds {gain:.0f}); {_same_average(row)}",
    )
    yield _Reading(gain, finding, right)


def _said(columns: list[str], cells: list[Decimal], step: tuple[int, int]) -> str:
    i, j = step
    if abs(i - j) == 1:
        return f"{cells[min(i, j)]} and {cells[max(i, j)]} are swapped, it seems."
    way = "right" if j < i else "left"
    return (
        f"The {cells[i]} of {columns[i]} belongs to {columns[j]}, it seems, and those between one column to the {way}."
    )


def _rearranged(steps: list[tuple[int, int]]) -> str:
    return f"Typed in another order of columns, it seems: {len(steps)} cells stand where they do not belong."


def _same_average(row: Row) -> str:
    if row.average is None:
        return "no average speaks for or against it."
    return f"the average, which no order changes, {'is not' if row.off else 'is'} as printed."


def _left_out(row: Row, columns: list[str], pattern: _Pattern, averaged: bool) -> Iterator[_Reading]:
    """A figure left out, so that all behind it, the average too where there is one, stand one column to the left."""
    count = len(columns)
    if row.average is not None or list(row.cells) != columns[: count if averaged else count - 1]:
        return
    cells = list(row.cells.values())
    figures, last = (cells[:-1], cells[-1]) if averaged else (cells, None)
    logs = np.log(np.array(figures, dtype=float))
    readings = np.array([[*logs[:k], np.nan, *logs[k:]] for k in range(count - 1)])
    odds = pattern.misfit(_logs(row, columns)[None])[0] - pattern.misfit(readings)
    k = int(np.argmax(odds))
    expected = math.exp(pattern.expected(readings[k : k + 1])[0, k])
    mean = (float(sum(figures)) + expected) / count
    if odds[k] < ORDER or (last is not None and abs(float(last) / mean - 1) > AVERAGES):
        return
    said = (
        f"About {expected:.3g} of {columns[k]} was left out, it seems, and all behind it stands one column too far left"
    )
    said += "." if last is None else f": {last} of {columns[-1]} is the average."
    right = dict(zip(columns[:k] + columns[k + 1 :], figures, strict=True))
    yield _typed_on(float(odds[k]), row, columns[k:], cells[k:], right, said)


def _typed_twice(row: Row, columns: list[str], pattern: _Pattern, averaged: bool) -> Iterator[_Reading]:
    """A figure typed twice, so that all behind it stand one column to the right, and the last one is lost.

    Where the table has averages, the last cell stands for this one's.
    """
    if list(row.cells) != columns or averaged != row.off or (row.average is not None and row.average <= 0):
        return
    cells = [*row.cells.values(), *([] if row.average is None else [row.average])]
    twice = [k for k in range(len(columns) - 1) if cells[k] == cells[k + 1]]
    if not twice:
        return
    readings = [cells[: k + 1] + cells[k + 2 :] for k in twice]
    logs = np.full((len(twice), len(columns)), np.nan)
    logs[:, : len(cells) - 1] = np.log(np.array(readings, dtype=float))
    odds = pattern.misfit(_logs(row, columns)[None])[0] - pattern.misfit(logs)
    best = int(np.argmax(odds))
    if odds[best] < ORDER:
        return
    k = twice[best]
    said = f"{cells[k]} of {columns[k]} was typed twice, it seems, and all behind it stands one column too far right"
    said += "." if row.average is None else f": {row.average} is no average, but belongs to {columns[-1]}."
    right = dict(zip(columns, readings[best], strict=False))
    yield _typed_on(float(odds[best]), row, columns[k:], list(row.cells.values())[k:], right, said)


def _typed_on(
    odds: float, row: Row, columns: list[str], printed: list[Decimal], right: dict[str, Decimal], said: str
) -> _Reading:
    follows = _listed([right[column] for column in columns if column in right])
    where = row.at(f"{columns[0]} to {columns[-1]}")
    said += f" Then the row keeps its table's pattern (log odds {odds:.0f})."
    return _Reading(odds, Finding("suspicion", "shifted", where, _listed(printed), follows, said), right)


def _listed(figures: Sequence[Decimal]) -> str:
    return ", ".join(map(str, figures))


# another figure


def _all_cells(row: Row) -> _Reading | None:
    """Whether all cells and their average are in units a power of ten apart."""
    if not row.off or row.average is None or row.average <= 0:
        return None
    for power in TENS:
        ten = Decimal(10) ** power
        if abs(row.mean * ten - row.average) <= row.slack * ten + half(row.average):
            finding = Finding(
                "suspicion",
                "unit",
                row.at("all cells"),
                f"mean {shown(row.mean, row.average)}",
                str(row.average),
                f"{_times(power)}: with all {len(row.cells)} cells times {_plain(ten)} the average is as printed. "
                "Cells and average are in two units, or the average has lost its decimal point.",
            )
            return _Reading(math.inf, finding, {cell: value * ten for cell, value in row.cells.items()})
    return None


def _tenfold(row: Row, cell: str, power: int) -> _Reading | None:
    """The reading that a cell times a power of ten makes the average right, where no pattern helps."""
    value = row.cells[cell].scaleb(power)
    if not row.off:
        return None
    low, high = row.needed(cell)
    return _figure(row, cell, value, _ten(power), 0.0, None) if low <= value <= high else None


def _figures(row: Row, columns: list[str], pattern: _Pattern) -> Iterator[_Reading]:
    """The one cell that another figure brings into the pattern; the average, where there is one, says which figure.

    A figure that a usual slip explains, and that makes the average right, needs smaller odds, but must stand out among
    the row's cells: that the average is wrong is known, which cell it is of is not.
    """
    if row.average is not None and not row.off:
        return
    logs = _logs(row, columns)
    places = [k for k, column in enumerate(columns) if column in row.cells]
    expected = dict(
        zip(places, np.exp(pattern.expected(_each(logs, places, np.nan)))[range(len(places)), places], strict=True)
    )
    tried: list[tuple[int, Decimal | None, str, float]] = []  # column, figure, which slip, log odds beforehand
    for k in places:
        printed, about = row.cells[columns[k]], float(expected[k])
        tried += [(k, printed.scaleb(power), _ten(power), TEN) for power in TENS]
        if abs(math.log(float(printed) / about)) > OUTLIES:
            tried.append((k, None, "", -TEN))
        if row.off:
            wanted, slip = _wanted(row, columns, k)
            if wanted > 0:
                tried.append((k, wanted, slip, 0.0))
    values = [expected[k] if value is None else float(value) for k, value, _, _ in tried]
    others = _each(logs, [k for k, *_ in tried], np.log(np.array(values, dtype=float)))
    odds = pattern.misfit(logs[None])[0] - pattern.misfit(others) + np.array([beforehand for *_, beforehand in tried])
    best = int(np.argmax(odds))
    k, value, slip, _ = tried[best]
    elsewhere = max((float(o) for o, (at, *_) in zip(odds, tried, strict=True) if at != k), default=-math.inf)
    decided = value is not None and slip != "" and row.off and not _with(row, columns[k], value).off
    if odds[best] >= (DECIDED if decided and odds[best] - elsewhere >= MARGIN else CELL):
        yield _figure(row, columns[k], value, slip, float(odds[best]), float(expected[k]))


def _each(
    logs: Float[np.ndarray, " c"], places: Sequence[int], values: Float[np.ndarray, " n"] | float
) -> Float[np.ndarray, "n c"]:
    """A row's logarithms once for each place, where they have another value."""
    others = np.tile(logs, (len(places), 1))
    others[np.arange(len(places)), np.array(places, dtype=int)] = values
    return others


def _ten(power: int) -> str:
    return f"{_times(power)}: a decimal point slipped, or it is in another unit."


def _wanted(row: Row, columns: list[str], k: int) -> tuple[Decimal, str]:
    """What a cell must have been for the average to follow, and the slip that explains what is printed, or ""."""
    printed = row.cells[columns[k]]
    low, high = row.needed(columns[k])
    middle = (low + high) / 2
    text = str(printed)
    places = [i for i, character in enumerate(text) if character.isdigit()]
    digits = [text[:i] + digit + text[i + 1 :] for i in places for digit in "0123456789"]
    turned = [text[:i] + text[j] + text[i + 1 : j] + text[i] + text[j + 1 :] for i, j in pairwise(places)]
    for slip, texts in (("Two digits were transposed.", turned), ("One digit is wrong.", digits)):
        near = [value for value in map(Decimal, texts) if low <= value <= high and value not in (0, printed)]
        if near:
            return min(near, key=lambda value: abs(value - middle)), slip
    value = middle.quantize((2 * half(printed)).normalize())
    for other in columns[max(0, k - NEAR) : k + NEAR + 1]:
        if other != columns[k] and other in row.cells and not apart(row.cells[other], printed):
            return value, f"It repeats the {row.cells[other]} of {other}."
    return value, ""


def _figure(row: Row, cell: str, value: Decimal | None, slip: str, odds: float, expected: float | None) -> _Reading:
    about = "" if expected is None else f"In its table's pattern it would be about {expected:.3g}."
    finding = Finding(
        "suspicion",
        "decimal point" if "decimal point" in slip else "figure",
        row.at(cell),
        str(row.cells[cell]),
        f"about {expected:.3g}" if value is None else str(value),
        " ".join(said for said in (slip, about, _average_with(row, cell, value)) if said),
    )
    return _Reading(odds, finding, {**row.cells, cell: value or Decimal(f"{expected:.3g}")})


def _with(row: Row, cell: str, value: Decimal) -> Row:
    return replace(row, cells={**row.cells, cell: value})


def _average_with(row: Row, cell: str, value: Decimal | None) -> str:
    if row.average is None:
        return "There is no average to decide."
    if value is None:
        return f"The average, {row.average}, does not decide: it fits neither."
    other = _with(row, cell, value)
    if not other.off:
        return f"With {value} the average is as printed."
    return f"With {value} the average would be {shown(other.mean, row.average)}, near the printed {row.average}."


def _times(power: int) -> str:
    return f"{10 ** abs(power):,} times too {'small' if power > 0 else 'large'}"


def _plain(ten: Decimal) -> str:
    return f"{ten.normalize():f}"
