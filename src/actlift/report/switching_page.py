"""What changes of label cost, as :class:`actlift.study.switching.Switching` has it: tables for a terminal, and a
figure."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from actlift.report.figures import ARM_COLORS, INK, RULE, Drawing, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

COLUMNS = {
    "mpjpe_near": ("MPJPE\nnear", ".1f"),
    "mpjpe_away": ("MPJPE\naway", ".1f"),
    "mpjve_near": ("MPJVE\nnear", ".2f"),
    "mpjve_away": ("MPJVE\naway", ".2f"),
    "speed_p95": ("speed\n95 %", ".2f"),
    "speed_max": ("speed\nhighest", ".2f"),
    "acceleration_p95": ("acceleration\n95 %", ".0f"),
    "acceleration_max": ("acceleration\nhighest", ".0f"),
}


def print_switching(
    console: "Console", table: pd.DataFrame, scenes: Mapping[str, Mapping[str, Any]], recognized: pd.DataFrame
) -> None:
    """Print a table for every scene, and how often recognized labels are right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    for scene, about in scenes.items():
        grid = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"{scene} ({about['clips']} times)", title_justify="left")
        grid.add_column("", no_wrap=True)
        for head, _ in COLUMNS.values():
            grid.add_column(head, justify="right")
        for way, row in table.loc[scene].iterrows():
            grid.add_row(str(way), *(format(row[name], form) for name, (_, form) in COLUMNS.items()))
        console.print(grid)
    console.print(
        "MPJPE in mm and MPJVE in mm/frame, near changes (within half a second) and away. Speed in m/s, acceleration "
        "in m/s², mean over joints: a clip's highest near its changes; 95th percentile of clips, and the highest."
    )
    for row in recognized.to_dict("records"):
        console.print(f"{row['way']}, {row['frames']}: {row['right']:.0%} of labels right, {row['wrong']:.0%} wrong")


def drawing(traces: pd.DataFrame, scenes: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """A panel for every scene that has traces: what is measured, over time, a line for each way of lifting."""
    places = {str(way): place for place, way in enumerate(traces["way"].unique())}
    panels = []
    for scene, of_scene in traces.groupby("scene", sort=False):
        draw = partial(_draw, lines=of_scene, changes=scenes[str(scene)]["changes"], places=places)
        measure = str(of_scene["measure"].iloc[0])
        panels.append(Panel(str(scene), f"{measure} over time: {scene}", 5.6, 3.6, draw))
    legend = tuple((way, place, False) for way, place in places.items())
    return Drawing("switching", "What happens when the label changes", tuple(panels), legend, columns=2)


def _draw(axes: "Axes", *, lines: pd.DataFrame, changes: list[float], places: Mapping[str, int]) -> None:
    for change in changes:
        axes.axvline(change, color=INK, linewidth=1, linestyle=(0, (3, 3)))
    for way, line in lines.groupby("way", sort=False):
        color, _ = ARM_COLORS[places[str(way)]]
        axes.plot(line["seconds"], line["value"], color=color, linewidth=1.8)
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_xlabel("seconds; dashed: the label changes")
    axes.set_ylabel(str(lines["measure"].iloc[0]))
