"""Whether printed tables agree with themselves: the paper's, or anyone's in a CSV file.

A CSV file has a header, then one row per model. Columns of words, and those that are called model, method or the like,
are labels; `table`, `metric`, `unit`, `source` and `claim` among them have a meaning of their own, and all others
together name the row:

- `table`: rows of one table are compared with each other; the file's name where left out;
- `metric`: a name in `actlift.evaluation.metrics.METRICS`; `unit`: mm, cm or m, perhaps "/frame", or %; the metric's
where empty;
- `source`: rows alike in all else but this are two reports of one thing;
- `claim`: "better than NAME" or "better than NAME by 3.05 %", NAME being another row. Needs a metric.

A column called average, avg, ave, mean, overall or all is the mean over actions, and so is a last column that is that
in most rows. Numbers that describe a row (frames, T, f, N, params, FLOPs, FPS, year and the like, and all behind the
average) are no actions; they tell rows of one name apart. Every other column is one action. Empty cells and dashes are
missing. The paper's own tables, as copied, are in paper.json beside this file.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actlift.errors import InputError, MissingInputError
from actlift.evaluation.metrics import METRICS, metric
from actlift.files import replacing
from actlift.report.audit_averages import by_cells
from actlift.report.audit_checks import (
    AVERAGE,
    UNITS,
    Claim,
    Finding,
    Row,
    Severity,
    apart,
    averages,
    check_claim,
    duplicates,
    half,
    repeats,
    shown,
    sources,
    units,
)
from actlift.report.audit_slips import slips
from actlift.training.budget import regulated_error, time_precision_rate

if TYPE_CHECKING:
    from rich.console import Console

SEVERITIES: dict[Severity, str] = {
    "error": "Errors: cannot follow from the figures",
    "suspicion": "Suspicions: can be, but look wrong",
    "note": "Notes: what holds, and what it rests on",
}
OWN = ("table", "metric", "unit", "source", "claim")
NAMES = re.compile("models?|methods?|name|network|arm|approach|algorithm|paper|ref|reference|run|id|no|nr|row")
DESCRIPTIONS = re.compile(
    "(input|numberof)?frames?|receptivefield|window|length|[tfnhwks]|param(eter)?s?|[gm]?flops|g?macs|fps|year|seeds?|"
    "epochs?|steps|batch|channels|layers|hypotheses|iterations|rank"
)
MISSING = ("", "-", "\N{EN DASH}", "\N{EM DASH}", "n/a", "N/A")
PAPER = Path(__file__).with_name("paper.json")


def read_paper() -> dict[str, Any]:
    """The paper's tables and claims as shipped, fractions as decimals with the digits they were copied with."""
    paper: dict[str, Any] = json.loads(PAPER.read_text(encoding="utf-8"), parse_float=Decimal)
    return paper


def audit(rows: Sequence[Row], claims: Sequence[Claim] = ()) -> list[Finding]:
    """All findings that need no more than rows and claims, in the order of their checks."""
    checks = (averages, sources, repeats, slips, duplicates, units)
    found = [finding for check in checks for finding in check(rows)]
    return [*found, *(finding for claim in claims for finding in check_claim(claim, rows))]


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
        for claim in (*paper["claims"], *paper["statements"])
        for said in claim.get("says", ())
    ]
    own = [*audit(rows, claims), *by_cells(claims)]
    return [*own, *_between_tables(paper, by_name), *_rates(paper["costs"])]


def audit_csv(path: Path) -> list[Finding]:
    """What a table in a CSV file says against itself. Raises InputError that names line and column; OSError."""
    header, lines = _read_lines(path)
    layout = _layout(path, header, lines)
    rows, claims = _read_rows(path, header, lines, layout)
    return [*audit(rows, claims), *_told(path, header, layout)]


def read_csv(path: Path) -> tuple[list[Row], list[Claim]]:
    """Rows and claims of a CSV file, laid out as the module says.

    Raises:
        InputError: for a file that is empty or no text, a duplicated header, a line of another length than the header,
            a cell that is no number, an unknown metric or unit, a claim that cannot be read; it names line and column.
        OSError: where the file cannot be read.
    """
    header, lines = _read_lines(path)
    return _read_rows(path, header, lines, _layout(path, header, lines))


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
    """Write findings as .csv or .md, whole or not at all. Raises InputError for another ending; OSError."""
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
            pairs.append((final.at(row.metric), final.cells[row.metric], row.at(AVERAGE), row.figure(AVERAGE)))
            if row.average is not None and row.average == final.cells[row.metric] and row.off:
                sentence = f"Is the average of {row.table} that the cells do not give; its rate rests on it too."
                mean = shown(row.mean, row.average)
                yield Finding("error", "average", final.at(row.metric), str(row.average), mean, sentence)
        eating = of_tables[0].cells["Eating"]
        pairs.append(
            (f"Table IV, {model}, Eating", at_epoch[last][f"{model}_eating"], of_tables[0].at("Eating"), eating)
        )
        for epochs, one in ((row["epochs"], row["mpjpe"]) for row in costs["rows"] if row["model"] == model):
            average = at_epoch[epochs][f"{model}_average"]
            pairs.append((f"Table IV, {model}, epoch {epochs}", average, f"Table III, {model}, {epochs} epochs", one))
    differing = [pair for pair in pairs if apart(pair[1], pair[3])]
    for where, figure, other, said in differing:
        yield Finding("error", "sources", where, str(figure), str(said), f"The same figure is {said} in {other}.")
    agree = f"{len(pairs) - len(differing)} of {len(pairs)}"
    yield Finding("note", "sources", "Tables I to IV", "", agree, "Figures that stand in two tables and agree.")


def _rates(costs: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether regulated errors and rates follow (formulas 4 and 5), and what the costs beside them are costs of."""
    rows = costs["rows"]
    last = max(row["epochs"] for row in rows)
    finals = [row for row in rows if row["epochs"] == last]
    checked: list[tuple[str, Decimal, list[float]]] = []  # where, printed, what rounding allows: middle and two ends
    for name, regulated in costs["regulated_error"].items():
        halves = [row[name] for row in rows if 2 * row["epochs"] == last]
        errors = [[float(error + sign * half(error)) for error in halves] for sign in (0, -1, 1)]
        allowed = [regulated_error(of_models, float(costs["k"])) for of_models in errors]
        checked.append((f"Table III, regulated {name}", regulated, allowed))
        for row in finals:
            slack, cost = half(regulated) + half(row[name]), Decimal(row["cost_s"])
            ends = [(regulated + sign * slack, cost - sign * half(cost)) for sign in (0, -1, 1)]
            rates = [time_precision_rate(float(start), float(row[name]), float(seconds)) for start, seconds in ends]
            checked.append((f"Table III, {row['model']}, rate of {name}", row[f"rate_{name}"], rates))
    held = 0
    for where, printed, (middle, low, high) in checked:
        if float(printed - half(printed)) <= high and low <= float(printed + half(printed)):
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


@dataclass(frozen=True)
class _Layout:
    """Which columns of a CSV file, counted from 0, are what."""

    names: list[int]
    described: list[int]
    cells: list[int]
    average: int | None


def _read_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header of a CSV file, and its lines with their numbers."""
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
    return header, lines[1:]


def _layout(path: Path, header: Sequence[str], lines: Sequence[tuple[int, list[str]]]) -> _Layout:
    columns = [[cells[place] for _, cells in lines if cells[place] not in MISSING] for place in range(len(header))]
    words = [_word(name) for name in header]
    figures = [
        place
        for place, column in enumerate(columns)
        if column
        and 2 * sum(map(_looks_like_a_number, column)) >= len(column)
        and header[place] not in OWN
        and not NAMES.fullmatch(words[place])
        and (header[place] or place)
    ]
    names = [place for place, column in enumerate(columns) if column and place not in figures]
    described = [place for place in figures if DESCRIPTIONS.fullmatch(words[place])]
    average = next((place for place in figures if _is_average(header[place])), None)
    cells = [place for place in figures if place not in described and place != average]
    if average is None:
        if len(cells) > 3 and len(lines) > 1 and 2 * _following(lines, cells[:-1], cells[-1]) > len(lines):
            average = cells.pop()
    else:
        before = [place for place in cells if place < average]
        described += [place for place in cells if before and place > average]
        cells = before or cells
        leading = max(range(min(3, len(cells))), key=lambda drop: _following(lines, cells[drop:], average))
        if 2 * _following(lines, cells[leading:], average) > len(lines):
            described += cells[:leading]
            cells = cells[leading:]
    if not cells or not set(names) - {place for place, name in enumerate(header) if name in OWN}:
        raise InputError(
            f"{path}: wanted columns of names, then columns of figures; got none of one of them. A column of numbers "
            "that name the rows must be called model or method"
        )
    return _Layout(names, sorted(described), cells, average)


def _word(name: str) -> str:
    """A header without units, signs and spaces."""
    return re.sub(r"[^a-z]", "", re.sub(r"[(\[].*", "", name.lower()))


def _is_average(name: str) -> bool:
    named = re.search(r"(?<![a-z])(averaged?|avg|ave|mean|overall)(?![a-z])", name.lower())
    return bool(named) or _word(name) == "all"


def _following(lines: Sequence[tuple[int, list[str]]], cells: Sequence[int], average: int) -> int:
    """How many lines have the mean of their cells for an average."""
    rows = []
    for _, line in lines:
        figures = {str(place): value for place in cells if (value := _number(line[place])) is not None}
        if figures and (printed := _number(line[average])) is not None:
            rows.append(Row("", "", figures, printed))
    return sum(not row.off for row in rows)


def _told(path: Path, header: Sequence[str], layout: _Layout) -> Iterator[Finding]:
    """How a table was read, where that is not plain."""
    if layout.described:
        described = ", ".join(header[place] for place in layout.described)
        sentence = "Numbers that were read as descriptions of rows, not as actions."
        yield Finding("note", "columns", path.stem, "", described, sentence)
    if layout.average is not None and not _is_average(header[layout.average]):
        sentence = "Read as the average, which it is in most rows."
        yield Finding("note", "columns", path.stem, "", header[layout.average], sentence)


def _read_rows(
    path: Path, header: Sequence[str], lines: Sequence[tuple[int, list[str]]], layout: _Layout
) -> tuple[list[Row], list[Claim]]:
    rows: list[Row] = []
    claimed = []
    named = [_name(header, layout.names, cells) for _, cells in lines]
    for (line, cells), name in zip(lines, named, strict=True):
        where = f"{path}, line {line}"
        label = {header[place]: cells[place] for place in layout.names}
        if named.count(name) > 1:
            told = [f"{header[place]} {cells[place]}" for place in layout.described if cells[place] not in MISSING]
            name = (*name[:-1], ", ".join([name[-1], *told]))
        row = _read_row(where, label, name[-1], header, cells, layout, path.stem)
        if any(row.key == other.key and row.source == other.source for other in rows):
            raise InputError(f"{where}: a second row {row.name!r}; rename one, or give both a source")
        rows.append(row)
        if text := label.get("claim"):
            claimed.append((where, text, row))
    return rows, [_read_claim(where, text, row, rows) for where, text, row in claimed]


def _name(header: Sequence[str], names: Sequence[int], cells: Sequence[str]) -> tuple[str, ...]:
    """What tells a line from others: its own labels but for the claim, then its name."""
    own = [cells[place] for place in names if header[place] in OWN and header[place] != "claim"]
    return *own, ", ".join(cells[place] for place in names if header[place] not in OWN and cells[place])


def _read_row(
    where: str,
    label: Mapping[str, str],
    name: str,
    header: Sequence[str],
    cells: Sequence[str],
    layout: _Layout,
    stem: str,
) -> Row:
    figures = {}
    for place in (*layout.cells, *([] if layout.average is None else [layout.average])):
        value = _number(cells[place])
        if value is None and cells[place] not in MISSING:
            raise InputError(
                f"{where}, column {header[place]!r}: {cells[place]!r} is no number; wanted one such as 61.8, or nothing"
            )
        if value is not None:
            figures[place] = value
    if not figures:
        raise InputError(f"{where}: no figures; leave the line out")
    metric_name = label.get("metric", "").lower().replace("-", "_")
    unit = label.get("unit", "")
    try:
        if metric_name:
            metric(metric_name)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    if unit and unit.split("/")[0] not in UNITS:
        raise InputError(f"{where}: unknown unit {unit!r}; known: {', '.join(UNITS)}, perhaps with /frame")
    average = None if layout.average is None else figures.pop(layout.average, None)
    by_action = {header[place]: value for place, value in figures.items()}
    return Row(label.get("table") or stem, name, by_action, average, metric_name, unit, label.get("source", ""))


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
    if read[2] and min(row.figure(AVERAGE), than.figure(AVERAGE)) <= 0:
        raise InputError(f"{where}: percentages need positive averages")
    percent = Decimal(read[2]) if read[2] else None
    return Claim(where.rsplit(", ", 1)[1], row, than, AVERAGE, percent, METRICS[row.metric].better == "higher")


def _looks_like_a_number(text: str) -> bool:
    return _number(text) is not None or text.lower() in ("nan", "inf")


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and "_" not in text else None
