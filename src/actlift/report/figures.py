"""Figures as SVG text to stand inside an HTML page, and as files: no fonts or scripts, legible on light and on dark.

Inside a page, ink is `currentColor` and every other color a CSS variable with the light theme's color as its
fallback; `css_variables` gives both themes' values. Files have a theme's colors and its background. A drawing is made
of panels: a page shows each panel by itself, a file all of them side by side, from the same drawing code.
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from actlift.evaluation.intervals import LEVEL
from actlift.evaluation.metrics import METRICS, Metric
from actlift.evaluation.scores import MEANS, Variant
from actlift.files import replacing
from actlift.geometry.skeleton import Skeleton
from actlift.report.tables import MINUS
from actlift.report.words import metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#16181d"
RULE = "#d4d7dd"
ARM_COLORS = (  # light theme, dark theme; the first is the reference's
    ("#565c67", "#aab1be"),
    ("#0b6bcb", "#5aa9ff"),
    ("#d9580d", "#ff9a52"),
    ("#16865a", "#3fcb8e"),
    ("#8f3fbf", "#c88bf0"),
    ("#b3850a", "#e3b93c"),
    ("#c22f5c", "#ff7fa5"),
)
LEFT, RIGHT, MIDDLE, FAINT = "#e0620e", "#0c6fd1", "#5b616c", "#b9bec8"
VARIABLES = {
    **{f"--arm-{i}": colors for i, colors in enumerate(ARM_COLORS)},
    "--left": (LEFT, "#ff9c55"),
    "--right": (RIGHT, "#5cabff"),
    "--middle": (MIDDLE, "#a9b0bd"),
    "--faint": (FAINT, "#4d535f"),
    "--rule": (RULE, "#343943"),
}
PAPER_COLORS = ("#ffffff", "#14161a")  # behind figures that are files, light and dark
DARK = dict(VARIABLES.values()) | {INK: "#e9ebf0"}
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
PNG_DPI = 160


@dataclass(frozen=True)
class Panel:
    """One pair of axes: its title, its label for those who hear it, its size in inches, and what draws into it."""

    title: str
    label: str
    width: float
    height: float
    draw: Callable[["Axes"], None]


@dataclass(frozen=True)
class Drawing:
    """Panels that belong together, in rows of `columns`, and what their colors and dashes mean."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    legend: tuple[tuple[str, int, bool], ...]  # words, place among ARM_COLORS, dashed
    columns: int


def css_variables(theme: str) -> str:
    """Give the declarations of all variables for the "light" or "dark" theme."""
    return " ".join(f"{name}: {colors[theme == 'dark']};" for name, colors in VARIABLES.items())


def panel_svg(panel: Panel) -> str:
    """Draw a panel as one <svg> element for a page, without its title."""
    figure, axes = _figure(panel.width, panel.height)
    panel.draw(axes)
    return _svg(figure, panel.label)


def save_drawing(folder: Path, drawing: Drawing) -> None:
    """Write ``<name>-light.svg``, ``-light.png``, ``-dark.svg``, ``-dark.png`` into a folder, each whole or not at all.

    Raises:
        OSError: where one cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    rows = -(-len(drawing.panels) // drawing.columns)
    width = max(panel.width for panel in drawing.panels) * min(drawing.columns, len(drawing.panels))
    height = max(panel.height for panel in drawing.panels) * rows + 0.6 + 0.3 * rows
    figure = Figure(figsize=(width, height), layout="constrained")
    for place, panel in enumerate(drawing.panels, 1):
        axes = figure.add_subplot(rows, min(drawing.columns, len(drawing.panels)), place)
        _style(axes)
        panel.draw(axes)
        axes.set_title(panel.title, color=INK, fontsize=10.5, pad=16)
    lines = [
        Line2D([], [], color=_arm_style(place)[0], linewidth=3, linestyle=(0, (2, 1)) if dashed else "-", label=words)
        for words, place, dashed in drawing.legend
    ]
    figure.suptitle(drawing.title, color=INK, fontsize=11.5)
    longest = max(len(words) for words, _, _ in drawing.legend)
    columns = max(1, int(width / (0.7 + 0.08 * longest)))
    figure.legend(handles=lines, loc="outside lower center", ncols=columns, frameon=False, fontsize=9.5, labelcolor=INK)
    for theme, paper in zip(("light", "dark"), PAPER_COLORS, strict=True):
        if theme == "dark":
            figure.draw_without_rendering()  # makes the ticks, which are to be recolored too
            _darken(figure)
        figure.patch.set(facecolor=paper, visible=True)
        png = BytesIO()
        figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Software": None})
        svg = '<?xml version="1.0" encoding="utf-8"?>\n' + _svg_text(figure, drawing.title)
        for suffix, content in (("svg", svg.encode()), ("png", png.getvalue())):
            with replacing(folder / f"{drawing.name}-{theme}.{suffix}") as beside:
                beside.write_bytes(content)


def error_dots(table: pd.DataFrame, metric: str) -> str:
    """Draw `error_panel` of all variants of a table, each with the color of its place there."""
    return panel_svg(error_panel(table, metric, "", {variant: place for place, variant in enumerate(table.index)}))


def error_panel(table: pd.DataFrame, metric: str, title: str, places: Mapping[Variant, int]) -> Panel:
    """Give one row per action and mean, one dot per variant; `table` as from `tables.arms_table`, hardest on top.

    places: of the variants among ARM_COLORS.
    """
    measure = METRICS[metric]

    def draw(axes: "Axes") -> None:
        rows = _row_axes(axes, table, measure)
        for column, y in rows.items():
            axes.plot([table[column].min(), table[column].max()], [y, y], color=RULE, linewidth=3, zorder=1)
        for i, variant in reversed(list(enumerate(table.index))):
            color, marker = _arm_style(places[variant])
            size = 30 if i else 38
            axes.scatter(
                table.loc[variant, list(rows)], list(rows.values()), s=size, color=color, marker=marker, zorder=3
            )
        axes.set_xlabel(f"{metric_name(metric)}, {measure.unit}")

    label = ", ".join(filter(None, (f"{measure.title} of every arm by action", title)))
    return Panel(title, label, *_row_size(table), draw)


def difference_bars(table: pd.DataFrame, compared: Mapping[Variant, pd.DataFrame], metric: str) -> str:
    """Draw how every other variant differs from the reference by action, with 95 % intervals; rows as in `error_dots`.

    `compared` as from `tables.comparisons`; dots are filled where it is sure, and have no bar where too few people do
    the action.
    """
    measure = METRICS[metric]
    figure, axes = _figure(*_row_size(table))
    rows = _row_axes(axes, table, measure)
    spread = np.linspace(-0.28, 0.28, len(compared)) if len(compared) > 1 else np.zeros(1)
    for offset, (variant, comparison) in zip(spread, compared.items(), strict=True):
        color, marker = _arm_style(list(table.index).index(variant))
        y = np.array(list(rows.values())) + offset
        of_rows = comparison.loc[list(rows)]
        axes.hlines(y, of_rows["low"], of_rows["high"], color=color, linewidth=1.6, zorder=2)
        sure = (of_rows["p"] <= LEVEL).to_numpy()
        axes.scatter(of_rows["difference"][sure], y[sure], s=16, color=color, marker=marker, zorder=3)
        axes.scatter(of_rows["difference"][~sure], y[~sure], s=16, edgecolor=color, facecolor="none", zorder=3)
    axes.axvline(0, color=INK, linewidth=1, zorder=1)
    axes.set_xlabel(f"difference to {table.index[0]}, {measure.unit}")
    return _svg(figure, f"Difference of every arm to {table.index[0]} in {measure.title}, by action, 95 % intervals")


def learning_curves(curves: Sequence[tuple[Variant, pd.DataFrame]], variants: Sequence[Variant]) -> str:
    """Draw training loss over steps, both on log scales; every variant with the color of its place.

    curves: (variant, table with columns step and loss); a variant may come several times (seeds, networks). A point is
    the mean over a span of steps, the spans growing with the step.
    """
    figure, axes = _figure(5.8, 3.3)
    drawn = list(dict.fromkeys(variant for variant, _ in curves))
    places = {variant: i for i, variant in enumerate(dict.fromkeys((*variants, *drawn)))}
    alpha = 0.9 if len(curves) <= 8 else 0.5
    for variant, curve in curves:
        shown = curve.loc[(curve["loss"] > 0) & (curve["step"] > 0), ["step", "loss"]]
        shown = shown.groupby(np.floor(16 * np.log2(shown["step"]))).mean()
        color, _ = _arm_style(places[variant])
        axes.plot(shown["step"], shown["loss"], color=color, linewidth=1.4, alpha=alpha)
    for variant in drawn:
        axes.plot([], [], color=_arm_style(places[variant])[0], linewidth=3, label=str(variant))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("training loss, mm")
    _plain_ticks(axes)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper right")
    return _svg(figure, "Training loss over optimizer steps: " + ", ".join(map(str, drawn)))


def progress_panel(points: pd.DataFrame, places: Mapping[Variant, int], unit: str, title: str) -> Panel:
    """Draw errors by share of the budget: a thin line for each seed, a thick one for the mean over seeds.

    points: variant, seed, share, value, as from `paper_tables.curve_points`.
    """

    def draw(axes: "Axes") -> None:
        for variant in points["variant"].unique():
            own = points[points["variant"] == variant]
            color, _ = _arm_style(places[variant])
            for _, line in own.groupby("seed"):
                axes.plot(line["share"], line["value"], color=color, linewidth=0.8, alpha=0.5)
            mean = own.groupby("share")["value"].mean()
            axes.plot(mean.index, mean, color=color, linewidth=2.4)
        axes.grid(color=RULE, linewidth=0.8)
        axes.set_xlim(0, 1.01)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_xlabel("share of the training budget")
        axes.set_ylabel(unit)

    return Panel(title, f"Error by share of the training budget, {title}", 4.9, 3.4, draw)


def crossing_panel(points: pd.DataFrame, title: str) -> Panel:
    """Draw differences to the generalist over training frames: a line for each place, the control dashed.

    points: place (among ARM_COLORS), control (true or false), frames, effect, low, high (%).
    """

    def draw(axes: "Axes") -> None:
        axes.axhline(0, color=INK, linewidth=1.2)
        for _, line in points.groupby(["place", "control"]):
            place, control = int(line["place"].iloc[0]), bool(line["control"].iloc[0])
            color, marker = _arm_style(place)
            shown = line.sort_values("frames")
            x = shown["frames"] * (1 + 0.1 * (place - points["place"].mean()))  # beside each other, not hidden
            dashes = (0, (3, 2)) if control else "-"
            axes.plot(x, shown["effect"], color=color, linewidth=1.2 if control else 2, linestyle=dashes, zorder=3)
            if not control:
                axes.scatter(x, shown["effect"], s=22, color=color, marker=marker, zorder=4)
                axes.vlines(x, shown["low"], shown["high"], color=color, linewidth=1.6, zorder=3)
        axes.set_xscale("log")
        ticks = sorted(points["frames"].unique())
        axes.set_xticks(ticks, [f"{frames:,}" for frames in ticks])
        axes.xaxis.minorticks_off()
        axes.grid(color=RULE, linewidth=0.8)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g} %".replace("-", MINUS) if value else "0")
        ends = ("below 0: experts better", "above 0: generalist better")
        for side_x, words, side in zip((0.0, 1.0), ends, ("left", "right"), strict=True):
            axes.text(side_x, 1.01, words, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, color=INK)
        axes.margins(y=0.12)
        axes.set_xlabel("training frames of every network")
        axes.set_ylabel("difference to the generalist")

    return Panel(title, f"Experts' difference to the generalist by training frames, {title}", 5.2, 3.6, draw)


def pose(
    skeleton: Skeleton,
    ground_truth: Float[np.ndarray, "j 3"],
    pred: Float[np.ndarray, "j 3"] | None,
    reach_m: float,
    label: str,
) -> str:
    """Draw a pose as seen from beside the camera, so that errors in depth show: a prediction over faint ground truth.

    ground_truth, pred: camera coordinates (x right, y down, z forward) in meters, each moved to its own root; without a
    prediction the ground truth itself is drawn in color. reach_m: half the height of the picture, the same for poses to
    be compared. Left limbs are orange, right ones blue.
    """
    figure, axes = _figure(2.1, 2.5)
    if pred is not None:
        _draw_pose(axes, skeleton, ground_truth, faint=True)
    _draw_pose(axes, skeleton, ground_truth if pred is None else pred, faint=False)
    axes.set_xlim(-reach_m * 0.84, reach_m * 0.84)
    axes.set_ylim(-reach_m, reach_m)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return _svg(figure, label)


def reach(skeleton: Skeleton, poses: Sequence[Float[np.ndarray, "j 3"]]) -> float:
    """Find a `reach_m` into which all these poses fit."""
    return 1.06 * max(float(np.abs(_seen(skeleton, joints)[:, :2]).max()) for joints in poses)


def _seen(skeleton: Skeleton, joints: np.ndarray) -> np.ndarray:
    """(j, 3) x right, y up, z towards the eye, about the root, from 45 degrees beside and 12 above the camera."""
    beside, above = np.radians(45), np.radians(12)
    x, y, z = (joints - joints[skeleton.root]).T.astype(np.float64)
    across = x * np.cos(beside) + z * np.sin(beside)
    towards = x * np.sin(beside) - z * np.cos(beside)
    return np.stack(
        [across, -y * np.cos(above) - towards * np.sin(above), towards * np.cos(above) - y * np.sin(above)], axis=1
    )


def _draw_pose(axes: "Axes", skeleton: Skeleton, joints: np.ndarray, faint: bool) -> None:
    seen = _seen(skeleton, joints)
    for child, parent in sorted(skeleton.bones, key=lambda bone: seen[list(bone), 2].sum()):  # far bones first
        side = LEFT if child in skeleton.left else RIGHT if child in skeleton.right else MIDDLE
        axes.plot(
            seen[[child, parent], 0],
            seen[[child, parent], 1],
            color=FAINT if faint else side,
            linewidth=4.5 if faint else 2.6,
            solid_capstyle="round",
        )


def _rows(table: pd.DataFrame) -> dict[str, float]:
    """The y of every column: actions by the reference's value, the highest on top, then a gap and the means."""
    actions = table.drop(columns=list(MEANS)).iloc[0].sort_values(ascending=False).index
    return {name: float(y) for y, name in enumerate(actions)} | {
        name: len(actions) + 0.4 + y for y, name in enumerate(MEANS)
    }


def _row_size(table: pd.DataFrame) -> tuple[float, float]:
    return 4.9, 0.9 + 0.27 * len(_rows(table))


def _row_axes(axes: "Axes", table: pd.DataFrame, measure: Metric) -> dict[str, float]:
    """Name the rows of a table; their places."""
    rows = _rows(table)
    axes.set_yticks(list(rows.values()), list(rows))
    for label in axes.get_yticklabels()[-len(MEANS) :]:
        label.set_fontweight("bold")
    axes.set_ylim(max(rows.values()) + 0.6, -0.6)
    axes.axhline(max(rows.values()) - len(MEANS) + 0.3, color=RULE, linewidth=1)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.tick_params(length=0)
    ends = ("← better", "worse →") if measure.better == "lower" else ("← worse", "better →")
    for x, text, side in zip((0.0, 1.0), ends, ("left", "right"), strict=True):
        axes.text(x, 1.005, text, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, color=INK)
    return rows


def _arm_style(place: int) -> tuple[str, str]:
    return ARM_COLORS[place % len(ARM_COLORS)][0], MARKERS[place % len(MARKERS)]


def _plain_ticks(axes: "Axes") -> None:
    """Round steps inside every decade of log scales, written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for axis, steps in ((axes.xaxis, (1, 2, 5)), (axes.yaxis, (1, 1.5, 2, 3, 5, 7))):
        axis.set_major_locator(LogLocator(subs=steps))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value < 1 else f"{value:,.0f}"))
        axis.set_minor_locator(NullLocator())


def _figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A bare figure (inches) without pyplot and its global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_visible(False)
    axes: Any = figure.add_subplot()
    _style(axes)
    return figure, axes


def _style(axes: "Axes") -> None:
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9.5, which="both")
    axes.xaxis.label.set(color=INK, fontsize=9.5)
    axes.yaxis.label.set(color=INK, fontsize=9.5)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(RULE)


def _darken(figure: "Figure") -> None:
    """Give everything in a figure that has a light theme's color the dark theme's."""
    from matplotlib.artist import Artist
    from matplotlib.colors import to_hex

    def dark(colors: Any) -> Any:
        if np.ndim(colors) == 2:
            return [dark(color) for color in colors]
        return DARK.get(to_hex(colors), colors)

    for artist in figure.findobj(Artist):
        for name in ("color", "facecolor", "edgecolor"):
            get, change = (getattr(artist, f"{do}_{name}", None) for do in ("get", "set"))
            if get and change:
                change(dark(get()))


def _svg(figure: "Figure", label: str) -> str:
    """The figure as one <svg> element whose colors follow the page's theme."""
    text = _svg_text(figure, label).replace(INK, "currentColor")
    for name, (light, _) in VARIABLES.items():
        text = text.replace(light, f"var({name}, {light})")
    return text


def _svg_text(figure: "Figure", label: str) -> str:
    """The figure as one <svg> element; the same figure gives the same text."""
    import matplotlib

    buffer = StringIO()
    # Element ids are hashes; salted by the label they cannot clash with those of another figure of the page.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": label, "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"font: ([^;\"]*?)(\d[\d.]*px)[^;\"]*", r"font: \1\2 system-ui, sans-serif", text)
    text = re.sub(r"\n\s*\n+", "\n", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)
