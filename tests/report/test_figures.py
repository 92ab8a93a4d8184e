"""Figures are well-formed SVG in the page's own colors and fonts, and show what they were given."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from tests.report.test_tables import EXPERTS, RANDOM, scores

from actlift.evaluation.scores import GENERALIST, Variant
from actlift.geometry.skeleton import H36M_17
from actlift.report import figures
from actlift.report.tables import arms_table, comparisons

ARMS = {GENERALIST: 0.0, EXPERTS: -2.0, RANDOM: 1.0}
POSE = np.random.default_rng(0).normal(scale=0.4, size=(17, 3))


def all_figures() -> dict[str, str]:
    of = scores(ARMS)
    table = arms_table(of, "mpjpe")
    curve = pd.DataFrame({"step": [1, 10, 100, 1000], "loss": [0.4, 0.2, 0.1, 0.05]})
    return {
        "dots": figures.error_dots(table, "mpjpe"),
        "differences": figures.difference_bars(table, comparisons(of, "mpjpe"), "mpjpe"),
        "curves": figures.learning_curves(
            [(GENERALIST, curve), (EXPERTS, curve), (Variant("other"), curve)], list(ARMS)
        ),
        "alone": figures.pose(H36M_17, POSE, None, 1.0, "alone"),
        "pose": figures.pose(H36M_17, POSE, POSE + 0.05, 1.0, "a <pose> & more"),
    }


@pytest.fixture(scope="module")
def svgs() -> dict[str, str]:
    return all_figures()


def test_every_figure_is_one_svg_that_needs_nothing(svgs: dict[str, str]) -> None:
    for svg in svgs.values():
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        assert root.attrib["aria-label"]
        assert "<style" not in svg or "@import" not in svg
        addresses = re.findall(r'(?:href|src)="([^"]*)"', svg)
        assert all(address.startswith("#") for address in addresses)
        assert set(re.findall(r'https?://[^" ]*', svg)) <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }


def test_every_color_follows_the_theme(svgs: dict[str, str]) -> None:
    for svg in svgs.values():
        literal = set(re.findall(r"(?<!, )#[0-9a-f]{6}\b", svg))
        assert not literal, "each should be currentColor or a variable with a fallback"
        assert set(re.findall(r"var\((--[a-z0-9-]+)", svg)) <= set(figures.VARIABLES)
    for theme in ("light", "dark"):
        assert all(f"{name}: #" in figures.css_variables(theme) for name in figures.VARIABLES)
    assert figures.css_variables("light") != figures.css_variables("dark")


def test_ids_are_unique_over_the_page_and_text_is_reproducible(svgs: dict[str, str]) -> None:
    ids = [name for svg in svgs.values() for name in re.findall(r' id="([^"]*)"', svg)]
    assert len(ids) == len(set(ids))
    assert all_figures() == svgs


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_rows_are_ordered_by_the_reference_with_the_means_below(svgs: dict[str, str]) -> None:
    table = arms_table(scores(ARMS), "mpjpe")
    actions = table.columns[:-3]
    order = list(table.T[GENERALIST][actions].sort_values(ascending=False).index)
    for name in ("dots", "differences"):
        labels = [word for word in words(svgs[name]) if word in table.columns]
        assert labels == [*order, "mean over actions", "mean over frames", "mean over people"]


def test_which_side_is_better(svgs: dict[str, str]) -> None:
    assert "← better" in words(svgs["dots"])
    table = arms_table(scores(ARMS, metric="pck"), "pck")
    assert "better →" in words(figures.error_dots(table, "pck"))


def test_an_action_without_an_interval_keeps_its_dot() -> None:
    of = scores({GENERALIST: 0.0, EXPERTS: -2.0}, clips=1)
    svg = figures.difference_bars(arms_table(of, "mpjpe"), comparisons(of, "mpjpe"), "mpjpe")
    assert svg.count("<use ") >= 5


def test_arms_keep_their_color_in_curves(svgs: dict[str, str]) -> None:
    assert "--arm-1" in svgs["curves"]  # experts
    assert "--arm-2" not in svgs["curves"]  # random-experts have no curve
    assert "--arm-3" in svgs["curves"]  # a label that is no arm comes after them
    assert {"generalist", "experts", "other", "optimizer step"} <= set(words(svgs["curves"]))


def test_curves_leave_out_what_a_log_scale_cannot_show() -> None:
    curve = pd.DataFrame({"step": [0, 1, 10], "loss": [0.5, 0.0, 0.2]})
    assert "<svg" in figures.learning_curves([(GENERALIST, curve)], [GENERALIST])


def test_pose_sides_have_their_colors_and_ground_truth_is_faint_only_behind_a_prediction(svgs: dict[str, str]) -> None:
    for side in ("--left", "--right", "--middle"):
        assert side in svgs["alone"]
        assert side in svgs["pose"]
    assert "--faint" not in svgs["alone"]
    assert svgs["pose"].count("--faint") == len(H36M_17.bones)
    assert 'aria-label="a &lt;pose&gt; &amp; more"' in svgs["pose"]


def test_reach_holds_every_pose_wherever_it_stands() -> None:
    assert figures.reach(H36M_17, [POSE]) == pytest.approx(figures.reach(H36M_17, [POSE + np.array([3.0, 1.0, 5.0])]))
    assert figures.reach(H36M_17, [POSE, 2 * POSE]) == pytest.approx(2 * figures.reach(H36M_17, [POSE]))


def test_a_pose_stands_upright_and_its_depth_shows() -> None:
    standing = np.zeros((17, 3))
    standing[H36M_17.index("Head"), 1] = -0.7  # y is down
    seen = figures._seen(H36M_17, standing)
    assert seen[H36M_17.index("Head"), 1] > 0.6
    reaching = np.zeros((17, 3))
    reaching[H36M_17.index("RWrist"), 2] = -0.5  # towards the camera
    seen = figures._seen(H36M_17, reaching)[H36M_17.index("RWrist")]
    assert np.hypot(seen[0], seen[1]) > 0.3
    assert seen[2] > 0.3  # and nearer to the eye
    np.testing.assert_allclose(
        np.linalg.norm(figures._seen(H36M_17, POSE), axis=1), np.linalg.norm(POSE - POSE[0], axis=1)
    )


def drawing() -> figures.Drawing:
    table = arms_table(scores(ARMS), "mpjpe")
    rng = np.random.default_rng(0)
    points = pd.DataFrame(
        {"variant": [GENERALIST] * 4, "seed": [0, 0, 1, 1], "share": [0.5, 1, 0.5, 1], "value": rng.random(4)}
    )
    at = pd.DataFrame(
        {"place": 1, "control": [False, False, True], "frames": [100, 400, 100], "effect": [-1.0, 2.0, 3.0]}
    )
    panels = (
        figures.error_panel(table, "mpjpe", "errors", {variant: place for place, variant in enumerate(ARMS)}),
        figures.progress_panel(points, {GENERALIST: 0}, "mm", "progress"),
        figures.crossing_panel(at.assign(low=at["effect"] - 1, high=at["effect"] + 1), "crossing"),
    )
    return figures.Drawing("drawing", "A <drawing>", panels, (("generalist", 0, False), ("control", 1, True)), 2)


@pytest.mark.slow
def test_drawings_are_files_in_both_themes_with_no_color_of_the_other(tmp_path: Path) -> None:
    figures.save_drawing(tmp_path, drawing())
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(files) == {f"drawing-{theme}.{kind}" for theme in ("light", "dark") for kind in ("svg", "png")}
    light, dark = ({colors[i] for colors in figures.VARIABLES.values()} for i in (0, 1))
    for theme, paper, foreign in zip(("light", "dark"), figures.PAPER_COLORS, (dark, light), strict=True):
        svg = files[f"drawing-{theme}.svg"].decode()
        ElementTree.fromstring(svg)
        assert "var(" not in svg
        assert not foreign & set(re.findall(r"#[0-9a-f]{6}", svg))
        assert {"errors", "progress", "crossing", "control", "A <drawing>"} <= set(words(svg))
        pixels = imread(tmp_path / f"drawing-{theme}.png", format="png")
        np.testing.assert_allclose(pixels[0, 0, :3], to_rgb(paper), atol=0.01)
        assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 20
    figures.save_drawing(tmp_path, drawing())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_panels_in_a_page_follow_its_theme() -> None:
    for panel in drawing().panels:
        svg = figures.panel_svg(panel)
        assert not re.findall(r"(?<!, )#[0-9a-f]{6}\b", svg)
        assert panel.title in ElementTree.fromstring(svg).attrib["aria-label"]
