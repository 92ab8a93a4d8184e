"""Whether printed tables agree with themselves: the paper's, or anyone's in a CSV file.

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actlift.errors import InputError, MissingInputError
from actlift.evaluation.metrics import METRICS, metric
from actlift.files import replacing
from actlift.report.audit_averages import by_cells
from actlift.report.audit_checks import AVERAGE, UNITS, Claim, Finding, Row, Severity, apart, audit, half, shown
from actlift.training.budget import regulated_error, time_precision_rate

if TYPE_CHECKING:
    from rich.console import Console

SEVERITIES: dict[Severity, str] = {
    "error": "Errors: cannot follow from the figures",
    "suspicion": "Suspicions: can be, but look wrong",
    "note": "Notes: what holds, and what it rests on",
}
PAPER = Path(__file__).with_name("paper.json")


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
        for claim in (*paper["claims"], *paper["statements"])
        for said in claim.get("says", ())
    ]
    own = [*audit(rows, claims), *by_cells(claims)]
    return [*own, *_between_tables(paper, by_name), *_rates(paper["costs"])]


def audit_csv(path: Path) -> list[Finding]:
    """What a table in a CSV file says against itself. Raises InputError that names line and column; OSError."""
    return audit(*read_csv(path))


def read_csv(path: Path) -> tuple[list[Row], list[Claim]]:
    """Rows and claims of a CSV file, laid out as the module says.

    Raises:
        InputError: for a file that is empty or no text, a duplicated header, a line of another length than the header,
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
        if any(row.key == other.key and row.source == other.source for other in rows):
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
    if read[2] and min(row.figure(AVERAGE), than.figure(AVERAGE)) <= 0:
        raise InputError(f"{where}: percentages need positive averages")
    percent = Decimal(read[2]) if read[2] else None
    return Claim(where.rsplit(", ", 1)[1], row, than, AVERAGE, percent, METRICS[row.metric].better == "higher")


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and "_" not in text else None
