"""Whether printed tables agree with themselves: the paper's, or anyone's in a CSV file.

Digits bound what rounding can hide: 61.8 stands for anything from 61.75 to 61.85, so all arithmetic is on decimals and
their intervals. What cannot follow is an *error*; what can but should not is a *suspicion*; what holds, with what it
rests on, is a *note*.

A CSV file has a header, then one row per model. Leading columns without any number are labels; `table`, `metric`,
`unit`, `source` and `claim` among them have a meaning of their own, and all others together name the row:

- `table`: rows of one table are compared with each other; the file's name where left out;
- `metric`: a name in `actlift.evaluation.metrics.METRICS`; `unit`: mm, cm or m, perhaps "/frame", or %; the metric's
where empty;
- `source`: rows alike in all else but this are two reports of one thing;
- `claim`: "better than NAME" or "better than NAME by 3.05 %", NAME being another row of the table. Needs a metric.

Every further column is one action, and the last, if "average", "avg" or "mean" is in its name, the mean over actions.
Empty cells are missing. The paper's own tables, as copied, are in paper.json beside this file.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from actlift.errors import InputError, MissingInputError
from actlift.evaluation.metrics import METRICS, metric
from actlift.files import replacing
from actlift.training.budget import regulated_error, time_precision_rate

if TYPE_CHECKING:
    from rich.console import Console

Severity = Literal["error", "suspicion", "note"]
SEVERITIES: dict[Severity, str] = {
    "error": "Errors: cannot follow from the figures",
    "suspicion": "Suspicions: can be, but look wrong",
    "note": "Notes: what holds, and what it rests on",
}
PAPER = Path(__file__).with_name("paper.json")
AVERAGE = "average"
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "%": 1.0}
OUTLIER = 3.5
"""The modified z-score beyond which a cell is an outlier: Iglewicz and Hoaglin, *How to Detect and Handle Outliers*,
1993."""
KEEPS = 2.0  # the modified z-score up to which a cell keeps the pattern
NEAR = 2  # columns or rows between which a figure may slip when a table is typed
CHANCE = 0.1  # how often an outlier may meet a near cell by chance and still be reported
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
        source = f" ({self.source})" if self.source else ""
        return f"{self.table}, {self.name}{source}, {cell}"

    @property
    def mean(self) -> Decimal:
        return sum(self.cells.values(), Decimal(0)) / len(self.cells)

    @property
    def slack(self) -> Decimal:
        """How far rounding of the cells can move their mean."""
        return sum(map(_half, self.cells.values()), Decimal(0)) / len(self.cells)


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


def read_paper() -> dict[str, Any]:
    """The paper's tables and claims as shipped, fractions as decimals with the digits they were copied with."""
    paper: dict[str, Any] = json.loads(PAPER.read_text(encoding="utf-8"), parse_float=Decimal)
    return paper


def audit_paper(paper: Mapping[str, Any]) -> list[Finding]:
    """What the paper's tables and claims, as `read_paper` gives them, say against themselves."""
    rows = [
        Row(
            f"Table {table['id']}",
            _named(row["model"], row["receptive_field"]),
            row["per_action"],
            row["average"],
            table["metric"],
            table["unit"],
            row["source"],
        )
        for table in paper["tables"]
        for row in table["rows"]
    ]
    costs = [_cost_row(row) for row in paper["costs"]["rows"]]
    by_name = {(row.table, row.name): row for row in reversed([*rows, *costs])}  # the first source counts
    claims = [
        Claim(
            claim["id"],
            by_name[f"Table {said['table']}", said["better"]],
            by_name[f"Table {said['table']}", said["than"]],
            said.get("cell", AVERAGE),
            said.get("percent"),
            said.get("higher", False),
        )
        for claim in paper["claims"]
        for said in claim.get("says", ())
    ]
    return [*audit(rows, claims), *_between_tables(paper, by_name), *_rates(paper["costs"])]


def audit_csv(path: Path) -> list[Finding]:
    """What a table in a CSV file says against itself. Raises ValueError that names line and column; OSError."""
    return audit(*read_csv(path))


def audit(rows: Sequence[Row], claims: Sequence[Claim] = ()) -> list[Finding]:
    """All findings that need no more than rows and claims, in the order of their checks."""
    checks: tuple[Callable[[Sequence[Row]], Iterator[Finding]], ...] = (averages, sources, repeats, duplicates, units)
    found = [finding for check in checks for finding in check(rows)]
    return [*found, *(finding for claim in claims for finding in _claim(claim, rows))]


def averages(rows: Sequence[Row]) -> Iterator[Finding]:
    """Averages that are not the mean of their cells, whatever the rounding; and orders of rows that hang on them."""
    for row in rows:
        if row.average is not None and _off(row):
            rounding = _shown(row.slack + _half(row.average), row.average)
            yield Finding(
                "error",
                "average",
                row.at(AVERAGE),
                str(row.average),
                _shown(row.mean, row.average),
                f"Not the mean of its {len(row.cells)} cells: {_shown(abs(row.average - row.mean), row.average)} off, "
                f"where rounding explains {rounding}. If it is another mean (over frames), the table must say so.",
            )
    for first, second in combinations(rows, 2):
        if (first.table, first.metric, first.source) != (second.table, second.metric, second.source):
            continue
        if first.average is None or second.average is None or not (_off(first) or _off(second)):
            continue
        printed = _sign(first.average - second.average, _half(first.average) + _half(second.average))
        follows = _sign(first.mean - second.mean, first.slack + second.slack)
        if printed and printed != follows:
            low, high = (first, second) if printed < 0 else (second, first)
            means = [_shown(row.mean, first.average) for row in (low, high)]
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
            if not _apart(printed, said):
                continue
            twins = [column for column, value in other.cells.items() if value == printed]
            moved = f" {printed} is what it has for {' and '.join(twins)}." if twins else ""
            yield Finding(
                "error", "sources", row.at(cell), str(printed), str(said), f"The {other.source} has {said}.{moved}"
            )
        if row.average is not None and abs(row.average - other.mean) > _half(row.average) + other.slack:
            mean = _shown(other.mean, row.average)
            sentence = f"The cells of the {other.source} have a mean of {mean}."
            yield Finding("error", "sources", row.at(AVERAGE), str(row.average), mean, sentence)


def repeats(rows: Sequence[Row]) -> Iterator[Finding]:
    """Cells that break the pattern of their table and repeat a near cell that keeps it: slips of typing, perhaps.

    The pattern is the two-way median polish of the logarithms (Tukey, *Exploratory Data Analysis*, 1977): a factor per
    row times a factor per column. A cell is suspected if its residual is an outlier (modified z-score above 3.5), the
    other keeps the pattern (at most 2), they differ by one unit of the last digit at most, are at most two columns or
    two rows apart, and such a meeting has a chance of at most 0.1: the near cells times three units of the last digit,
    over the range of the row or column. What a second source confirms is not suspected. Tables of fewer than 4 x 4
    positive cells have too little pattern to break.
    """
    confirmed = {
        row.at(cell)
        for row, other in _two_sources(rows)
        for cell, figure in row.cells.items()
        if figure == other.cells.get(cell)
    }
    for grid in _grids(rows):
        columns = list(grid[0].cells)
        values = np.array([[float(row.cells[column]) for column in columns] for row in grid])  # (rows, columns)
        if min(values.shape) < 4 or values.min() <= 0:
            continue
        residuals = _median_polish(np.log(values))
        z = 0.6745 * residuals / max(float(np.median(np.abs(residuals))), 1e-6)
        for r, c in np.argwhere(np.abs(z) > OUTLIER):
            where, cell = grid[r].at(columns[c]), grid[r].cells[columns[c]]
            unit = 2 * _half(cell)
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
                        f"about {values[r, c] / np.exp(residuals[r, c]):.3g}",
                        f"Breaks its table's pattern (modified z-score {z[r, c]:.1f}) and all but repeats the {other} "
                        f"of {columns[j] if i == r else grid[i].name}, which keeps it ({abs(z[i, j]):.1f}); "
                        f"chance {chance:.0%}.",
                    )


def duplicates(rows: Sequence[Row]) -> Iterator[Finding]:
    """Rows of one metric, and columns of one table, with the same figures in at least three cells and all of them."""
    for first, second in combinations(rows, 2):
        same = first.metric == second.metric and first.cells == second.cells
        if same and len(first.cells) > 2 and _key(first) != _key(second):
            yield _duplicate(second.at("all cells"), f"{first.table}, {first.name}")
    for grid in _grids(rows):
        for one, another in combinations(grid[0].cells, 2) if len(grid) > 2 else ():
            if all(row.cells[one] == row.cells[another] for row in grid):
                yield _duplicate(f"{grid[0].table}, all rows, {another}", one)


def units(rows: Sequence[Row]) -> Iterator[Finding]:
    """Rows whose figures, in their stated units, are a hundred times off the others of their metric."""
    for name in dict.fromkeys(row.metric for row in rows if row.metric):
        alike = [row for row in rows if row.metric == name]
        typical = [float(np.median([float(v) for v in row.cells.values()])) * _scale(row) for row in alike]
        for i, row in enumerate(alike if len(alike) > 1 else ()):
            others = float(np.median(typical[:i] + typical[i + 1 :]))
            low, high = sorted((typical[i], others))
            if low > 0 and high / low > JUMP:
                yield Finding(
                    "suspicion",
                    "unit",
                    row.at("all cells"),
                    f"about {typical[i]:.3g} {METRICS[name].unit}",
                    f"about {others:.3g} {METRICS[name].unit}",
                    f"{high / low:,.0f} times off the other rows of {name}: not in the unit it is read in.",
                )


def read_csv(path: Path) -> tuple[list[Row], list[Claim]]:
    """Rows and claims of a CSV file, laid out as the module says.

    Raises:
        ValueError: for a file that is empty or no text, a duplicated header, a line of another length than the header,
            a cell that is no number, an unknown metric or unit, a claim that cannot be read; it names line and column.
        OSError: where the file cannot be read.
    """
    if not path.is_file():
        raise MissingInputError(f"{path}: no such file; give a CSV file, or nothing to audit the paper")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader if any(line)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8: {error}") from error
    if len(lines) < 2:
        raise InputError(f"{path}: wanted a header and at least one row, got {len(lines)} lines")
    header = lines[0][1]
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise InputError(f"{path}: column {', '.join(map(repr, twice))} stands in the header twice; rename one")
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise InputError(f"{path}, line {line}: {len(cells)} cells, where the header has {len(header)}")
    columns = zip(*(cells for _, cells in lines[1:]), strict=True)
    numeric = [any(_number(cell) is not None for cell in column) for column in columns]
    labels = numeric.index(True) if any(numeric) else 0
    if not labels:
        raise InputError(f"{path}: wanted columns of names, then columns of figures; got none of one of them")
    rows: list[Row] = []
    claimed = []
    for line, cells in lines[1:]:
        where = f"{path}, line {line}"
        label = dict(zip(header[:labels], cells, strict=False))
        row = _read_row(where, label, dict(zip(header[labels:], cells[labels:], strict=True)), path.stem)
        if any(_key(row) == _key(other) and row.source == other.source for other in rows):
            raise InputError(f"{where}: a second row {row.name!r}; rename one, or give both a source")
        rows.append(row)
        if text := label.get("claim"):
            claimed.append((where, text, row))
    return rows, [_read_claim(where, text, row, rows) for where, text, row in claimed]


def print_findings(console: "Console", findings: Sequence[Finding]) -> None:
    """Print findings as a table per severity, and how many there are of each."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    for severity, title in SEVERITIES.items():
        own = [finding for finding in findings if finding.severity == severity]
        if not own:
            continue
        table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", expand=True)
        table.add_column("where, and why", ratio=1, overflow="fold")
        table.add_column("printed", max_width=18, overflow="fold")
        table.add_column("follows", max_width=18, overflow="fold")
        for finding in own:
            why = Text.assemble((f"{finding.kind}: {finding.where}", "bold"), f"\n{finding.sentence}")
            table.add_row(why, Text(finding.printed), Text(finding.follows), end_section=True)
        console.print(table)
    counts = [sum(finding.severity == severity for finding in findings) for severity in SEVERITIES]
    console.print(Text("{} errors, {} suspicions, {} notes".format(*counts)))


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write findings as .csv or .md, whole or not at all. Raises ValueError for another ending; OSError."""
    columns = [field.name for field in fields(Finding)]
    check_writable(path)
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            csv.writer(file).writerows([columns, *map(astuple, findings)])
            return
        file.write(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n")
        for finding in findings:
            cells = (str(cell).replace("\\", "\\\\").replace("|", "\\|") for cell in astuple(finding))
            file.write(f"| {' | '.join(cells)} |\n")


def check_writable(path: Path) -> None:
    """Raise ValueError unless findings can be written in the format that the name ends in."""
    if path.suffix not in (".csv", ".md"):
        raise InputError(f"{path}: findings are written as .csv or .md, got {path.suffix or 'no ending'}; rename it")


def _claim(claim: Claim, rows: Sequence[Row]) -> Iterator[Finding]:
    """Whether a claim follows from the printed figures, as a share of which of them, and what other figures say."""
    better, than = _figure(claim.better, claim.cell), _figure(claim.than, claim.cell)
    where = f"{claim.name}: {claim.better.table}, {claim.better.name} against {claim.than.name}, {claim.cell}"
    told = f"{float(better):.6g} against {float(than):.6g}"
    if _sign(better - than, Decimal(0)) != (1 if claim.higher else -1):
        sentence = f"Not better, as {'higher' if claim.higher else 'lower'} is better."
        yield Finding("error", "direction", where, "better", told, sentence)
        return
    if claim.percent is None:
        yield Finding("note", "direction", where, "better", told, "Is better.")
        return
    shares = {base: 100 * abs(better - than) / base for base in (than, better)}
    exact = [base for base, share in shares.items() if share.quantize(claim.percent, ROUND_HALF_UP) == claim.percent]
    rounded = [base for base in shares if _may_be(claim.percent, better, than, base)]
    printed, follows = f"{claim.percent} %", f"{_shown(shares[than], claim.percent)} %"
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
            yield Finding("suspicion", "sources", where, printed, f"{_shown(gain, claim.percent)} %", sentence)


def _may_be(percent: Decimal, better: Decimal, than: Decimal, base: Decimal) -> bool:
    """Whether rounding of both figures leaves room for ``percent`` of ``base``, which is one of them."""
    corners = [
        (than + i * _half(than)) / (better + j * _half(better)) for i in (-1, 1) for j in (-1, 1)
    ]  # than / better
    shares = [100 * abs(ratio - 1 if base == better else 1 - 1 / ratio) for ratio in corners]
    return min(shares) - _half(percent) <= percent <= max(shares) + _half(percent)


def _between_tables(paper: Mapping[str, Any], rows: Mapping[tuple[str, str], Row]) -> Iterator[Finding]:
    """Figures of the paper that stand in two tables: whether they agree, and which rest on an average that is none."""
    costs, curves = paper["costs"], paper["curves"]
    last = max(row["epochs"] for row in costs["rows"])
    at_epoch = {row[0]: dict(zip(curves["columns"], row, strict=True)) for row in curves["rows"]}
    pairs: list[tuple[str, Decimal, str, Decimal]] = []  # where and what, twice
    for model in ("generalist", "experts"):
        final = rows["Table III", f"{model}, {last} epochs"]
        of_tables = [rows[f"Table {table['id']}", _named(model, costs["receptive_field"])] for table in paper["tables"]]
        for row in of_tables:
            pairs.append((final.at(row.metric), final.cells[row.metric], row.at(AVERAGE), _figure(row, AVERAGE)))
            if row.average is not None and row.average == final.cells[row.metric] and _off(row):
                sentence = f"Is the average of {row.table} that the cells do not give; its rate rests on it too."
                mean = _shown(row.mean, row.average)
                yield Finding("error", "average", final.at(row.metric), str(row.average), mean, sentence)
        eating = of_tables[0].cells["Eating"]
        pairs.append(
            (f"Table IV, {model}, Eating", at_epoch[last][f"{model}_eating"], of_tables[0].at("Eating"), eating)
        )
        for epochs, one in ((row["epochs"], row["mpjpe"]) for row in costs["rows"] if row["model"] == model):
            average = at_epoch[epochs][f"{model}_average"]
            pairs.append((f"Table IV, {model}, epoch {epochs}", average, f"Table III, {model}, {epochs} epochs", one))
    apart = [pair for pair in pairs if _apart(pair[1], pair[3])]
    for where, figure, other, said in apart:
        yield Finding("error", "sources", where, str(figure), str(said), f"The same figure is {said} in {other}.")
    agree = f"{len(pairs) - len(apart)} of {len(pairs)}"
    yield Finding("note", "sources", "Tables I to IV", "", agree, "Figures that stand in two tables and agree.")


def _rates(costs: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether regulated errors and rates follow (formulas 4 and 5), and what the costs beside them are costs of."""
    rows = costs["rows"]
    last = max(row["epochs"] for row in rows)
    finals = [row for row in rows if row["epochs"] == last]
    checked: list[tuple[str, Decimal, list[float]]] = []  # where, printed, what rounding allows: middle and two ends
    for name, regulated in costs["regulated_error"].items():
        halves = [row[name] for row in rows if 2 * row["epochs"] == last]
        errors = [[float(error + sign * _half(error)) for error in halves] for sign in (0, -1, 1)]
        allowed = [regulated_error(of_models, float(costs["k"])) for of_models in errors]
        checked.append((f"Table III, regulated {name}", regulated, allowed))
        for row in finals:
            slack, cost = _half(regulated) + _half(row[name]), Decimal(row["cost_s"])
            ends = [(regulated + sign * slack, cost - sign * _half(cost)) for sign in (0, -1, 1)]
            rates = [time_precision_rate(float(start), float(row[name]), float(seconds)) for start, seconds in ends]
            checked.append((f"Table III, {row['model']}, rate of {name}", row[f"rate_{name}"], rates))
    held = 0
    for where, printed, (middle, low, high) in checked:
        if float(printed - _half(printed)) <= high and low <= float(printed + _half(printed)):
            held += 1
        else:
            sentence = "Does not follow from the errors and costs beside it (formulas 4 and 5)."
            yield Finding("error", "rate", where, f"{float(printed):.4g}", f"{middle:.4g}", sentence)
    sentence = "Regulated errors and rates that follow (formulas 4 and 5)."
    yield Finding("note", "rate", "Table III", "", f"{held} of {len(checked)}", sentence)
    whole = min(finals, key=lambda row: int(row["networks"]))
    for row in finals:
        counted, networks = row["networks_in_cost"], row["networks"]
        if counted < networks:
            every = row["cost_s"] * networks // counted
            rate = time_precision_rate(float(costs["regulated_error"]["mpjpe"]), float(row["mpjpe"]), float(every))
            yield Finding(
                "suspicion",
                "unequal cost",
                f"Table III, {row['model']}, {last} epochs, cost_s",
                f"{row['cost_s']:,} s",
                f"about {every:,} s",
                f"The cost of {counted} of {networks} networks, beside the whole {whole['model']}'s "
                f"{whole['cost_s']:,} s. If each costs as much, all cost {every / whole['cost_s']:.1f} times the "
                f"{whole['model']}, and the rate on mpjpe is {rate:.3g}, not {float(row['rate_mpjpe']):.3g}, against "
                f"{float(whole['rate_mpjpe']):.3g}.",
            )


def _named(model: str, receptive_field: int | None) -> str:
    if receptive_field is None:
        return model
    return f"{model}, {receptive_field} frame{'s' if receptive_field > 1 else ''}"


def _cost_row(row: Mapping[str, Any]) -> Row:
    figures = ("cost_s", "mpjpe", "mpjve", "rate_mpjpe", "rate_mpjve")
    cells = {name: Decimal(row[name]) for name in figures if name in row}
    return Row("Table III", f"{row['model']}, {row['epochs']} epochs", cells)


def _read_row(where: str, label: Mapping[str, str], cells: Mapping[str, str], stem: str) -> Row:
    figures = {}
    for column, cell in cells.items():
        value = _number(cell)
        if cell and value is None:
            raise InputError(f"{where}, column {column!r}: {cell!r} is no number; wanted one such as 61.8, or nothing")
        if value is not None:
            figures[column] = value
    *_, last = cells
    average = figures.pop(last, None) if re.search(r"average|avg|mean", last, re.IGNORECASE) else None
    if not figures:
        raise InputError(f"{where}: no figures; leave the line out")
    name = label.get("metric", "").lower().replace("-", "_")
    unit = label.get("unit", "")
    try:
        if name:
            metric(name)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    if unit and unit.split("/")[0] not in UNITS:
        raise InputError(f"{where}: unknown unit {unit!r}; known: {', '.join(UNITS)}, perhaps with /frame")
    own = ("table", "metric", "unit", "source", "claim")
    names = ", ".join(text for column, text in label.items() if column not in own and text)
    return Row(label.get("table") or stem, names, figures, average, name, unit, label.get("source", ""))


def _read_claim(where: str, text: str, row: Row, rows: Sequence[Row]) -> Claim:
    read = re.fullmatch(r"better than (.+?)(?: by (\d+(?:\.\d+)?) ?%)?", text)
    if not read:
        raise InputError(f"{where}: cannot read the claim {text!r}; wanted 'better than NAME', perhaps with ' by 3 %'")
    if not row.metric:
        raise InputError(f"{where}: a claim needs a column `metric`, which says whether lower or higher is better")
    beside = {r.name: r for r in reversed(rows) if (r.table, r.metric) == (row.table, row.metric) and r != row}
    if read[1] not in beside:
        raise InputError(f"{where}: the claim names {read[1]!r}; other rows of its table: {', '.join(beside)}")
    than = beside[read[1]]
    if read[2] and min(_figure(row, AVERAGE), _figure(than, AVERAGE)) <= 0:
        raise InputError(f"{where}: percentages need positive averages")
    percent = Decimal(read[2]) if read[2] else None
    return Claim(where.rsplit(", ", 1)[1], row, than, AVERAGE, percent, METRICS[row.metric].better == "higher")


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and "_" not in text else None


def _duplicate(where: str, of: str) -> Finding:
    return Finding("suspicion", "duplicate", where, "", "", f"The same figures as {of}, in every cell.")


def _key(row: Row) -> tuple[str, str, str]:
    return row.table, row.name, row.metric


def _two_sources(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """The first row of its table, name and metric, and every later one."""
    first: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        printed = first.setdefault(_key(row), row)
        if printed is not row:
            yield printed, row


def _grids(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows of each table and metric, each in its first source, that have every cell."""
    later = [other for _, other in _two_sources(rows)]
    kept = [row for row in rows if not any(row is other for other in later)]
    for key in dict.fromkeys((row.table, row.metric) for row in kept):
        grid = [row for row in kept if (row.table, row.metric) == key]
        columns = max((row.cells.keys() for row in grid), key=len)
        yield [row for row in grid if row.cells.keys() == columns]


def _median_polish(values: np.ndarray) -> np.ndarray:
    """What is left of (rows, columns) when medians of rows and columns have been taken out in turn, ten times."""
    left: np.ndarray = values.copy()
    for _ in range(10):
        left -= np.median(left, axis=1, keepdims=True)
        left -= np.median(left, axis=0, keepdims=True)
    return left


def _half(figure: Decimal) -> Decimal:
    """Half a unit of the last digit that was printed."""
    return Decimal(1).scaleb(int(figure.as_tuple().exponent)) / 2


def _apart(one: Decimal, other: Decimal) -> bool:
    """Whether two printed figures cannot be roundings of one."""
    return abs(one - other) > _half(one) + _half(other)


def _off(row: Row) -> bool:
    return row.average is not None and abs(row.average - row.mean) > row.slack + _half(row.average)


def _sign(difference: Decimal, slack: Decimal) -> int:
    return 0 if abs(difference) <= slack else (1 if difference > 0 else -1)


def _figure(row: Row, cell: str) -> Decimal:
    """A cell, or the printed average, or else the mean of the cells to the digits that these have."""
    if cell != AVERAGE:
        return row.cells[cell]
    if row.average is not None:
        return row.average
    return row.mean.quantize(2 * max(map(_half, row.cells.values())))


def _scale(row: Row) -> float:
    """Millimeters (or per cent) in the row's unit."""
    return UNITS[(row.unit or METRICS[row.metric].unit).split("/")[0]]


def _shown(value: Decimal, like: Decimal) -> str:
    """A value with one digit more than a printed one has."""
    return f"{value:.{max(0, 1 - int(like.as_tuple().exponent))}f}"
