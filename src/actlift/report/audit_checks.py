"""Checks of printed tables: averages, two sources, repeated cells, duplicated rows, units and claims.

Digits bound what rounding can hide: 61.8 stands for anything from 61.75 to 61.85, so all arithmetic is on decimals and
their intervals. What cannot follow is an *error*; what can but should not is a *suspicion*; what holds, with what it
rests on, is a *note*. Slips of typing are in audit_slips.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from itertools import combinations, groupby
from typing import Literal

import numpy as np

from actlift.evaluation.metrics import METRICS

Severity = Literal["error", "suspicion", "note"]
AVERAGE = "average"
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "%": 1.0, "dB": 1.0}
OUTLIER = 3.5
"""The modified z-score beyond which a cell is an outlier: Iglewicz and Hoaglin, *How to Detect and Handle Outliers*,
1993."""
KEEPS = 2.0  # the modified z-score up to which a cell keeps the pattern
NEAR = 2  # columns or rows between which a figure may slip when a table is typed
CHANCE = 0.1  # how often an outlier may meet a near cell by chance and still be reported
SURE = math.log(1.15)  # how far off the pattern a cell is that its own average follows from, and still is suspected
RUN = 4  # cells running that two rows have alike, where they differ elsewhere
ALIKE = 0.02  # typical difference of two rows' logarithms below which a run of equal cells is no wonder
APART, NEARBY = 3.0, 1.5  # how far off all others a row is that is in another unit, and how far in theirs
JUMP = 100.0  # rows of one metric that differ by more are not in one unit


@dataclass(frozen=True)
class Row:
    """A row of a printed table.

    Attributes:
        table: which table.
        name: of the row in its table.
        cells: the printed figures by column, with the digits that were printed.
        average: the printed average; None where there is none.
        metric: a name in METRICS, or "" where unknown.
        unit: as stated; "" stands for the metric's own.
        source: who says so.
    """

    table: str
    name: str
    cells: Mapping[str, Decimal]
    average: Decimal | None = None
    metric: str = ""
    unit: str = ""
    source: str = ""

    def at(self, cell: str) -> str:
        """Say where a cell stands."""
        source = f" ({self.source})" if self.source else ""
        return f"{self.table}, {self.name}{source}, {cell}"

    @cached_property
    def mean(self) -> Decimal:
        """Of the cells."""
        return sum(self.cells.values(), Decimal(0)) / len(self.cells)

    @cached_property
    def slack(self) -> Decimal:
        """How far rounding of the cells can move their mean."""
        return sum(map(half, self.cells.values()), Decimal(0)) / len(self.cells)

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the row, whoever says so."""
        return self.table, self.name, self.metric

    @cached_property
    def off(self) -> bool:
        """Whether the printed average is not the mean of the cells, whatever the rounding."""
        return (
            bool(self.cells)
            and self.average is not None
            and abs(self.average - self.mean) > self.slack + half(self.average)
        )

    def needed(self, cell: str) -> tuple[Decimal, Decimal]:
        """Between what a cell must lie for the printed average to follow from it and the others."""
        if self.average is None:
            raise ValueError(f"{self.name} has no average")
        middle = self.cells[cell] + (self.average - self.mean) * len(self.cells)
        slack = (self.slack + half(self.average)) * len(self.cells)
        return middle - slack, middle + slack

    @property
    def scale(self) -> float:
        """Millimeters (or per cent) in the row's unit."""
        return UNITS[(self.unit or METRICS[self.metric].unit).split("/")[0]]

    def figure(self, cell: str) -> Decimal:
        """A cell, or the printed average, or else the mean of the cells to the digits that these have."""
        if cell != AVERAGE:
            return self.cells[cell]
        if self.average is not None:
            return self.average
        return self.mean.quantize(2 * max(map(half, self.cells.values())))


@dataclass(frozen=True)
class Claim:
    """That one row is better than another, in their averages or in a column, perhaps by so many percent."""

    name: str
    better: Row
    than: Row
    cell: str = AVERAGE
    percent: Decimal | None = None
    higher: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing to know: what is printed, what follows from the other figures, and a sentence that says it."""

    severity: Severity
    kind: str
    where: str
    printed: str
    follows: str
    sentence: str


def averages(rows: Sequence[Row]) -> Iterator[Finding]:
    """Averages that are not the mean of their cells, whatever the rounding; and orders of rows that hang on them."""
    for row in rows:
        if row.average is not None and row.off:
            rounding = shown(row.slack + half(row.average), row.average)
            yield Finding(
                "error",
                "average",
                row.at(AVERAGE),
                str(row.average),
                shown(row.mean, row.average),
                f"Not the mean of its {len(row.cells)} cells: {shown(abs(row.average - row.mean), row.average)} off, "
                f"where rounding explains {rounding}. If it is another mean (over frames), the table must say so.",
            )
    for first, second in combinations(rows, 2):
        if (first.table, first.metric, first.source) != (second.table, second.metric, second.source):
            continue
        if first.average is None or second.average is None or not (first.off or second.off):
            continue
        if not first.cells or not second.cells:
            continue
        printed = sign_of(first.average - second.average, half(first.average) + half(second.average))
        follows = sign_of(first.mean - second.mean, first.slack + second.slack)
        if printed and printed != follows:
            low, high = (first, second) if printed < 0 else (second, first)
            means = [shown(row.mean, first.average) for row in (low, high)]
            yield Finding(
                "error",
                "order",
                f"{low.table}, {low.name} against {high.name}, {AVERAGE}",
                f"{low.average} < {high.average}",
                f" {'>' if follows else '='} ".join(means),
                "By the printed averages the first is the lower; by the cells "
                f"{'it is the higher' if follows else 'both are equal within rounding'}.",
            )


def sources(rows: Sequence[Row]) -> Iterator[Finding]:
    """Figures that two sources give differently, beyond rounding; the first source is the printed one."""
    for row, other in _two_sources(rows):
        for cell in (cell for cell in row.cells if cell in other.cells):
            printed, said = row.cells[cell], other.cells[cell]
            if not apart(printed, said):
                continue
            twins = [column for column, value in other.cells.items() if value == printed]
            moved = f" {printed} is what it has for {' and '.join(twins)}." if twins else ""
            yield Finding(
                "error", "sources", row.at(cell), str(printed), str(said), f"The {other.source} has {said}.{moved}"
            )
        if row.average is not None and abs(row.average - other.mean) > half(row.average) + other.slack:
            mean = shown(other.mean, row.average)
            sentence = f"The cells of the {other.source} have a mean of {mean}."
            yield Finding("error", "sources", row.at(AVERAGE), str(row.average), mean, sentence)


def repeats(rows: Sequence[Row]) -> Iterator[Finding]:
    """Cells that break the pattern of their table and repeat a near cell that keeps it: slips of typing, perhaps.

    The pattern is the two-way median polish of the logarithms (Tukey, *Exploratory Data Analysis*, 1977): a factor per
    row times a factor per column. A cell is suspected if its residual is an outlier (modified z-score above 3.5), the
    other keeps the pattern (at most 2), they differ by one unit of the last digit at most, are at most two columns or
    two rows apart, and such a meeting has a chance of at most 0.1: the near cells times three units of the last digit,
    over the range of the row or column. What a second source confirms is not suspected. The row's own average decides
    where it can: if it needs another figure, that must keep the pattern better; if it follows, the slip came before it
    was taken, and only a cell that is 15 % off is suspected. Tables of fewer than 4 x 4 positive cells have too little
    pattern to break.
    """
    confirmed = {
        row.at(cell)
        for row, other in _two_sources(rows)
        for cell, figure in row.cells.items()
        if figure == other.cells.get(cell)
    }
    for columns, grid in _whole(rows):
        values = np.array([[float(row.cells[column]) for column in columns] for row in grid])  # (rows, columns)
        if min(values.shape) < 4 or values.min() <= 0:
            continue
        residuals = _median_polish(np.log(values))
        z = 0.6745 * residuals / max(float(np.median(np.abs(residuals))), 1e-6)
        for r, c in np.argwhere(np.abs(z) > OUTLIER):
            where, cell = grid[r].at(columns[c]), grid[r].cells[columns[c]]
            expected = values[r, c] / np.exp(residuals[r, c])
            decided = _decided(grid[r], columns[c], expected)
            if decided is None:
                continue
            follows, average = decided
            unit = 2 * half(cell)
            across = [(r, k) for k in range(c - NEAR, c + NEAR + 1) if k != c and 0 <= k < len(columns)]
            down = [(k, c) for k in range(r - NEAR, r + NEAR + 1) if k != r and 0 <= k < len(grid)]
            for near, line in ((across, values[r]), (down, values[:, c])):
                chance = len(near) * 3 * float(unit) / max(float(np.ptp(line)), float(unit))
                for i, j in near if chance <= CHANCE and where not in confirmed else ():
                    other = grid[i].cells[columns[j]]
                    if abs(z[i, j]) > KEEPS or abs(cell - other) > unit:
                        continue
                    yield Finding(
                        "suspicion",
                        "repeated",
                        where,
                        str(cell),
                        follows,
                        f"Breaks its table's pattern (modified z-score {z[r, c]:.1f}) and all but repeats the {other} "
                        f"of {columns[j] if i == r else grid[i].name}, which keeps it ({abs(z[i, j]):.1f}); "
                        f"chance {chance:.0%}.{average}",
                    )


def _decided(row: Row, cell: str, expected: float) -> tuple[str, str] | None:
    """What a suspected cell should be, and what the average says to that; None where the average clears it."""
    off = abs(math.log(float(row.cells[cell]) / expected))
    if row.average is None:
        return f"about {expected:.3g}", ""
    if not row.off:
        said = " The average follows from it: it was taken with it, or it is right."
        return (f"about {expected:.3g}", said) if off > SURE else None
    low, high = row.needed(cell)
    needed = ((low + high) / 2).quantize((2 * half(row.cells[cell])).normalize())
    if needed <= 0 or abs(math.log(float(needed) / expected)) > off / 2:
        return None
    return str(needed), f" In its pattern it would be about {expected:.3g}; with {needed} the average is as printed."


def duplicates(rows: Sequence[Row]) -> Iterator[Finding]:
    """Rows of one metric, and columns of one table, with the same figures in at least three cells and all of them.

    Also rows of one table with the same figures in four cells running that differ by 2 % or more in others.
    """
    for first, second in combinations(rows, 2):
        same = first.metric == second.metric and first.cells == second.cells
        if same and len(first.cells) > 2 and first.key != second.key:
            yield _duplicate(second.at("all cells"), f"{first.table}, {first.name}")
    for columns, grid in _whole(rows):
        for one, another in combinations(columns, 2) if len(grid) > 2 else ():
            if all(row.cells[one] == row.cells[another] for row in grid):
                yield _duplicate(f"{grid[0].table}, all rows, {another}", one)
        for first, second in combinations(grid, 2):
            yield from _copied_run(columns, first, second)


def _copied_run(columns: list[str], first: Row, second: Row) -> Iterator[Finding]:
    alike = [first.cells[column] == second.cells[column] for column in columns]
    others = [
        abs(math.log(first.cells[column] / second.cells[column]))
        for column, same in zip(columns, alike, strict=True)
        if not same and first.cells[column] > 0 and second.cells[column] > 0
    ]
    if not others or float(np.median(others)) < ALIKE:
        return
    for same, group in groupby(range(len(columns)), key=alike.__getitem__):
        run = list(group)
        if not same or len(run) < RUN:
            continue
        row, other = (first, second) if first.off and not second.off else (second, first)
        figures = ", ".join(str(row.cells[columns[place]]) for place in run)
        yield Finding(
            "suspicion",
            "duplicate",
            row.at(f"{columns[run[0]]} to {columns[run[-1]]}"),
            figures,
            "",
            f"The same figures as {other.name} in {len(run)} cells running, where others differ: copied, it seems"
            f"{', and its average does not follow' if row.off else ''}.",
        )


def units(rows: Sequence[Row]) -> Iterator[Finding]:
    """Rows whose figures, in their stated units, are a hundred or ten times off the others of their metric.

    A hundred times is enough between two rows. Ten times needs three others: the row must lie three times below or
    above all of them, and among them with its decimal point moved.
    """
    groups = dict.fromkeys((row.metric, "" if row.metric else row.table) for row in rows if row.cells)
    for name, table in groups:
        alike = [row for row in rows if row.cells and row.metric == name and table in ("", row.table)]
        scales = [row.scale if name else 1.0 for row in alike]
        typical = [
            float(np.median([float(v) for v in r.cells.values()])) * s for r, s in zip(alike, scales, strict=True)
        ]
        for i, row in enumerate(alike if len(alike) > 1 else ()):
            others = typical[:i] + typical[i + 1 :]
            middle = float(np.median(others))
            low, high = sorted((typical[i], middle))
            if low <= 0 or not (high / low > JUMP or _ten_off(typical[i], others)):
                continue
            unit = METRICS[name].unit if name else ""
            yield Finding(
                "suspicion",
                "unit",
                row.at("all cells"),
                f"about {typical[i]:.3g} {unit}".rstrip(),
                f"about {middle:.3g} {unit}".rstrip(),
                f"{high / low:,.0f} times off the other rows{f' of {name}' if name else ''}: not in the unit it is "
                "read in.",
            )


def _ten_off(value: float, others: Sequence[float]) -> bool:
    """Whether a value is far from all others, and among them when times or over ten."""
    if len(others) < 3 or min(others) <= 0 or min(others) / APART < value < max(others) * APART:
        return False
    return any(min(others) / NEARBY <= value * ten <= max(others) * NEARBY for ten in (0.1, 10.0))


def check_claim(claim: Claim, rows: Sequence[Row]) -> Iterator[Finding]:
    """Whether a claim follows from the printed figures, as a share of which of them, and what other figures say."""
    better, than = claim.better.figure(claim.cell), claim.than.figure(claim.cell)
    where = f"{claim.name}: {claim.better.table}, {claim.better.name} against {claim.than.name}, {claim.cell}"
    told = f"{float(better):.6g} against {float(than):.6g}"
    if sign_of(better - than, Decimal(0)) != (1 if claim.higher else -1):
        sentence = f"Not better, as {'higher' if claim.higher else 'lower'} is better."
        yield Finding("error", "direction", where, "better", told, sentence)
        return
    if claim.percent is None:
        yield Finding("note", "direction", where, "better", told, "Is better.")
        return
    shares = {base: 100 * abs(better - than) / base for base in (than, better)}
    exact = [base for base, share in shares.items() if share.quantize(claim.percent, ROUND_HALF_UP) == claim.percent]
    rounded = [base for base in shares if _may_be(claim.percent, better, than, base)]
    printed, follows = f"{claim.percent} %", f"{shown(shares[than], claim.percent)} %"
    severity: Severity
    if not exact + rounded:
        severity, sentence = "error", f"{told} does not give it, as a share of either."
    elif (exact + rounded)[0] == than:
        severity, sentence = "note", f"{told} gives it{'' if exact else ' within rounding'}, as a share of the latter."
    else:
        severity, sentence = "suspicion", f"{told} gives it only as a share of the former, the better figure."
        if claim.percent > 100 and not claim.higher:
            sentence += " Nothing falls by more than 100 % of what it was."
    yield Finding(severity, "percentage", where, printed, follows, sentence)
    for row, other in _two_sources(rows) if claim.cell == AVERAGE else ():
        if row in (claim.better, claim.than):
            new, old = (other.mean if one == row else one.mean for one in (claim.better, claim.than))
            gain = 100 * (new - old if claim.higher else old - new) / old
            sentence = f"With the cells of the {other.source} for {row.name} the gain is another."
            yield Finding("suspicion", "sources", where, printed, f"{shown(gain, claim.percent)} %", sentence)


def _may_be(percent: Decimal, better: Decimal, than: Decimal, base: Decimal) -> bool:
    """Whether rounding of both figures leaves room for ``percent`` of ``base``, which is one of them."""
    corners = [(than + i * half(than)) / (better + j * half(better)) for i in (-1, 1) for j in (-1, 1)]  # than / better
    shares = [100 * abs(ratio - 1 if base == better else 1 - 1 / ratio) for ratio in corners]
    return min(shares) - half(percent) <= percent <= max(shares) + half(percent)


def _duplicate(where: str, of: str) -> Finding:
    return Finding("suspicion", "duplicate", where, "", "", f"The same figures as {of}, in every cell.")


def _two_sources(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """The first row of its table, name and metric, and every later one."""
    first: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        printed = first.setdefault(row.key, row)
        if printed is not row:
            yield printed, row


def grids(rows: Sequence[Row]) -> Iterator[tuple[list[str], list[Row]]]:
    """The columns of each table and metric, and its rows, each in its first source."""
    later = [other for _, other in _two_sources(rows)]
    kept = [row for row in rows if not any(row is other for other in later)]
    for key in dict.fromkeys((row.table, row.metric) for row in kept):
        grid = [row for row in kept if (row.table, row.metric) == key]
        columns = max((list(row.cells) for row in grid), key=len)
        yield columns, [row for row in grid if row.cells.keys() <= set(columns)]


def _whole(rows: Sequence[Row]) -> Iterator[tuple[list[str], list[Row]]]:
    """The same with the rows that have every cell."""
    for columns, grid in grids(rows):
        yield columns, [row for row in grid if len(row.cells) == len(columns)]


def _median_polish(values: np.ndarray) -> np.ndarray:
    """What is left of (rows, columns) when medians of rows and columns have been taken out in turn, ten times."""
    left: np.ndarray = values.copy()
    for _ in range(10):
        left -= np.median(left, axis=1, keepdims=True)
        left -= np.median(left, axis=0, keepdims=True)
    return left


def half(figure: Decimal) -> Decimal:
    """Half a unit of the last digit that was printed."""
    return Decimal(1).scaleb(int(figure.as_tuple().exponent)) / 2


def apart(one: Decimal, other: Decimal) -> bool:
    """Whether two printed figures cannot be roundings of one."""
    return abs(one - other) > half(one) + half(other)


def sign_of(difference: Decimal, slack: Decimal) -> int:
    return 0 if abs(difference) <= slack else (1 if difference > 0 else -1)


def shown(value: Decimal, like: Decimal) -> str:
    """A value with one digit more than a printed one has."""
    return f"{value:.{max(0, 1 - int(like.as_tuple().exponent))}f}"
