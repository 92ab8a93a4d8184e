"""A table of numbers, and its files: CSV with plain numbers, Markdown and LaTeX as printed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actlift.evaluation.scores import Variant
from actlift.files import replacing
from actlift.report.tables import MINUS


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers and how they are printed.

    Attributes:
        name: of its files.
        title, note: above and below it.
        frame: numbers at full precision, NaN where there is none; words, and variants.
        labels: how many columns, from the left, name a row.
        decimals: of columns; whole numbers and words need none, other columns have one.
        bold: of the frame's shape, where given.
    """

    name: str
    title: str
    note: str
    frame: pd.DataFrame
    labels: int
    decimals: Mapping[str, int] = field(default_factory=dict)
    bold: pd.DataFrame | None = None

    def cells(self) -> pd.DataFrame:
        """Print every cell."""
        return pd.DataFrame(
            {name: [self._printed(name, value) for value in column] for name, column in self.frame.items()}
        )

    def _printed(self, column: Any, value: Any) -> str:
        if isinstance(value, (str, Variant)):
            return str(value)
        if pd.isna(value):
            return "n/a"
        if isinstance(value, (int, np.integer)):
            return f"{value:,}"
        return f"{value:,.{self.decimals.get(column, 1)}f}".replace("-", MINUS)


def write_table(folder: Path, table: Table) -> None:
    """Write ``<name>.csv`` (plain numbers), ``.md`` and ``.tex`` (as printed; LaTeX needs ``booktabs``)."""
    for suffix, text in {
        "csv": table.frame.to_csv(index=False, lineterminator="\n"),
        "md": _markdown(table),
        "tex": _latex(table),
    }.items():
        with replacing(folder / f"{table.name}.{suffix}") as beside:
            beside.write_text(text, encoding="utf-8")


def _markdown(table: Table) -> str:
    cells = table.cells().map(lambda text: text.replace("|", "\\|"))
    if table.bold is not None:
        cells = cells.where(~table.bold, "**" + cells + "**")
    align = ["---" if place < table.labels else "---:" for place in range(cells.shape[1])]
    rows = [list(cells.columns), align, *cells.to_numpy().tolist()]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"**{table.title}**", "", *lines, "", table.note, ""])


def _latex(table: Table) -> str:
    shown = table.cells().style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
    if table.bold is not None:
        weights = table.bold.map(lambda bold: "textbf:--rwrap;" if bold else "")
        shown = shown.apply(lambda _: weights, axis=None)
    escaped = pd.DataFrame([[f"{table.title}. {table.note}"]]).style.format(escape="latex").hide(axis="index")
    caption = escaped.hide(axis="columns").to_latex().splitlines()[1].removesuffix(" \\\\")
    columns = "l" * table.labels + "r" * (table.frame.shape[1] - table.labels)
    text: str = shown.to_latex(hrules=True, column_format=columns, caption=caption, label=f"tab:{table.name}")
    return text.replace(MINUS, "$-$")
