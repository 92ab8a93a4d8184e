"""Figures of what labels do: differences by number of steps, and regret beside the recognizer's confusions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from actlift.evaluation.scores import GENERALIST, Variant
from actlift.report.figures import ARM_COLORS, INK, MARKERS, RULE, Drawing, Panel
from actlift.report.labels_results import TOLD, UNKNOWN_ACTION, LabeledStudy
from actlift.report.tables import MINUS
from actlift.report.words import ERRORS, counted, metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FULL = 30.0  # %: from which on a cell of regret has its full color


def label_drawings(studies: Sequence[LabeledStudy]) -> list[Drawing]:
    """Draw differences by number of steps, where there are several, and regret of the middle study."""
    regret = _regret(middle_of(studies))
    return [_steps(studies), regret] if len({at.study.steps for at in studies}) > 1 else [regret]


def middle_of(studies: Sequence[LabeledStudy]) -> LabeledStudy:
    """The study that regret is shown of: the middle number of steps, the widest receptive field."""
    steps = sorted({at.study.steps for at in studies})
    return max(
        (at for at in studies if at.study.steps == steps[len(steps) // 2]), key=lambda at: at.study.receptive_field
    )


def held_against(studies: Sequence[LabeledStudy]) -> str:
    """Say what verdicts and the figure compare with."""
    alike = all(at.rival(variant) == GENERALIST for at in studies for variant in at.variants)
    return "the generalist" if alike else "an untold network that was trained alike"


def _steps(studies: Sequence[LabeledStudy]) -> Drawing:
    panels = []
    networks = dict.fromkeys(network for at in studies for network in at.by_label)
    lines = {network: _lines(studies, network) for network in networks}
    for network in networks:
        rival = middle_of(studies).rival(network)
        apart = "" if rival == GENERALIST else f", against {rival}"
        kinds = {(at.study.receptive_field, at.study.keypoints) for at in studies if network in at.by_label}
        several = len({keypoints for _, keypoints in kinds}) > 1
        for field, keypoints in sorted(kinds):
            where = ", ".join([counted(field, "frame"), *([keypoints] if several else [])])
            own = sorted(
                (at for at in studies if (at.study.receptive_field, at.study.keypoints) == (field, keypoints)),
                key=lambda at: at.study.steps,
            )
            for metric in ERRORS:
                heading = f"{metric_name(metric)}, {where}, {network}{apart}"
                draw = partial(_draw_steps, studies=own, lines=lines[network], metric=metric)
                panels.append(Panel(heading, f"Differences by steps, {heading}", 5.2, 3.8, draw))
    heading = f"Differences to {held_against(studies)} by optimizer steps, mean over people"
    legend = tuple(dict.fromkeys(line for of_network in lines.values() for line in of_network.values()))
    return Drawing("steps", heading, tuple(panels), legend, 2)


def _lines(studies: Sequence[LabeledStudy], network: Variant) -> dict[Variant, tuple[str, int, bool]]:
    """The variants of a panel, each with its words, place among the colors and whether it is dashed (oracle)."""
    seen = {variant: at for at in studies for variant in at.variants}
    others = [v for v, at in seen.items() if not v.label and not v.mixture and v.arm not in at.unconditioned]
    places = {variant: place % len(ARM_COLORS) for place, variant in enumerate(others, 4)}
    arms = {name: about for at in studies for name, about in at.study.arms.items()}
    return {
        replace(network, mixture=True, label="predicted"): (f"mixture, told {TOLD['predicted']}", 1, False),
        replace(network, label="predicted"): (f"told {TOLD['predicted']}", 2, False),
        replace(network, label="oracle"): (f"told {TOLD['oracle']}", 2, True),
        replace(network, label="none"): (f"told {TOLD['none']}", 3, False),
        **{
            variant: (seen[variant].words(variant), places[variant], False)
            for variant in others
            if arms[variant.arm].against == arms[network.arm].against
        },
    }


def _draw_steps(
    axes: "Axes", *, studies: Sequence[LabeledStudy], lines: Mapping[Variant, tuple[str, int, bool]], metric: str
) -> None:
    axes.axhline(0, color=INK, linewidth=1.2)
    for number_of_line, (variant, (_, place, dashed)) in enumerate(lines.items()):
        own = [at for at in studies if variant in at.variants]
        points = [(at.study.steps, at.relative(metric, variant, against=at.rival(variant))) for at in own]
        x = [steps * 1.035 ** (number_of_line - len(lines) / 2) for steps, _ in points]  # beside each other, not hidden
        color, marker = ARM_COLORS[place][0], MARKERS[place]
        style = (0, (3, 2)) if dashed else "-"
        axes.plot(x, [of.effect for _, of in points], color=color, linewidth=2, linestyle=style, zorder=3)
        axes.scatter(x, [of.effect for _, of in points], s=22, color=color, marker=marker, zorder=4)
        axes.vlines(x, [of.low for _, of in points], [of.high for _, of in points], color=color, linewidth=1.4)
    axes.set_xscale("log")
    ticks = [at.study.steps for at in studies]
    axes.set_xticks(ticks, [f"{steps:,}" for steps in ticks])
    axes.set_xlim(ticks[0] / 1.6, ticks[-1] * 1.6)
    axes.xaxis.minorticks_off()
    axes.grid(color=RULE, linewidth=0.8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g} %".replace("-", MINUS) if value else "0")
    axes.margins(y=0.12)
    for side_x, words, side in ((0.0, "below 0: better", "left"), (1.0, "above 0: worse", "right")):
        axes.text(side_x, 1.01, words, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, color=INK)
    axes.set_xlabel("optimizer steps of the generalist")
    axes.set_ylabel("difference to the untold network")


def _regret(at: LabeledStudy) -> Drawing:
    panels = []
    for network, errors in at.by_label.items():
        regret = 100 * (errors.drop(columns=UNKNOWN_ACTION).div(errors[UNKNOWN_ACTION], axis=0) - 1)
        panels.append(_heat(regret, f"{network}: MPJPE told an action, against told nothing, %", "told", signed=True))
    confusion = 100 * at.confusion(next(iter(at.by_label)))
    panels.append(_heat(confusion, "The recognizer: how often, %", "recognized", signed=False))
    legend = (
        (f"worse than told nothing (full color: {FULL:.0f} % and more)", 2, False),
        ("better", 1, False),
        ("recognized so", 4, False),
    )
    heading = f"Every true action told every action, {at.study.title}"
    return Drawing("regret", heading, tuple(panels), legend, len(panels))


def _heat(values: pd.DataFrame, heading: str, across: str, *, signed: bool) -> Panel:
    """Whole % of true actions (rows) by other ones, colored by what they are."""
    size = 0.235 * max(values.shape)
    return Panel(
        heading, heading, 1.5 + size, 1.5 + size, partial(_draw_heat, values=values, across=across, signed=signed)
    )


def _draw_heat(axes: "Axes", *, values: pd.DataFrame, across: str, signed: bool) -> None:
    from matplotlib.patches import Rectangle

    for (y, x), value in np.ndenumerate(values.to_numpy()):
        place = 4 if not signed else 2 if value > 0 else 1
        strength = 0.85 * min(abs(value) / (FULL if signed else 100), 1)
        own = values.index[y] == values.columns[x]
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=ARM_COLORS[place][0], alpha=strength, linewidth=0))
        if own:
            axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=INK, linewidth=0.9, zorder=3))
        text = f"{value:{'+' if signed and abs(value) < 100 else ''}.0f}".replace("-", MINUS)
        if round(value):
            axes.text(x + 0.5, y + 0.53, text, ha="center", va="center", fontsize=6.5, color=INK)
    rows, columns = values.shape
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.set_aspect("equal")
    axes.set_xticks(np.arange(columns) + 0.5, list(values.columns), rotation=90, fontsize=8)
    axes.set_yticks(np.arange(rows) + 0.5, list(values.index), fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlabel(across)
    axes.set_ylabel("true action")
