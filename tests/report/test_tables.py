"""What tables mark as best, how they print differences, and that a terminal can show them."""

import io
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from actlift.evaluation.intervals import holm
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import (
    GENERALIST,
    MEAN_OVER_ACTIONS,
    MEAN_OVER_FRAMES,
    MEAN_OVER_PEOPLE,
    MEANS,
    Scores,
    Variant,
)
from actlift.report.tables import (
    arms_table,
    best_cells,
    clips_per_action,
    comparisons,
    interval,
    judgment,
    number,
    print_arms_table,
    signed,
)

MPJPE, PCK = METRICS["mpjpe"], METRICS["pck"]


EXPERTS, RANDOM = Variant("experts"), Variant("random-experts")


def scores(
    offsets: Mapping[Variant, float], actions: int = 3, clips: int = 4, metric: str = "mpjpe", people: int = 4
) -> Scores:
    """Every variant is off from a common level by its own amount, up to noise; people do the clips in turn."""
    rng = np.random.default_rng(0)
    rows = []
    for action in range(actions):
        for clip in range(clips):
            level = rng.normal(50, 5)
            for variant, effect in offsets.items():
                rows.append(
                    {
                        "run": f"runs/{variant}",
                        **asdict(variant),
                        "seed": 0,
                        "action": f"action{action}",
                        "subject": f"S{1 + clip % people}",
                        "camera": "ring0",
                        "clip": f"{action}_{clip}",
                        "metric": metric,
                        "joint": "all",
                        "frames": 100,
                        "value": level + effect + rng.normal(0, 0.2),
                    }
                )
    return Scores.from_rows(rows)


def row(difference: float, low: float, high: float) -> pd.Series:
    sure = not low <= 0 <= high and not np.isnan(low)
    people = 5 if not np.isnan(low) else 3
    return pd.Series(
        {"difference": difference, "low": low, "high": high, "p": 0.01 if sure else 0.5, "people": people, "clips": 5}
    )


def test_the_reference_comes_first_and_the_means_last() -> None:
    table = arms_table(scores({RANDOM: 1, GENERALIST: 0, EXPERTS: -2}), "mpjpe")
    assert list(table.index) == [GENERALIST, RANDOM, EXPERTS]
    assert list(table.columns) == ["action0", "action1", "action2", *MEANS]


def test_a_reference_that_is_no_arm_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no arm 'baseline'; these scores have: generalist, experts"):
        arms_table(scores({GENERALIST: 0, EXPERTS: 1}), "mpjpe", reference=Variant("baseline"))


def test_comparisons_are_those_of_the_scores() -> None:
    three = scores({GENERALIST: 0, EXPERTS: -2, RANDOM: 1})
    compared = comparisons(three, "mpjpe", reference=EXPERTS)
    assert list(compared) == [GENERALIST, RANDOM]
    for variant, comparison in compared.items():
        expected = three.compare("mpjpe", variant, EXPERTS)
        pd.testing.assert_frame_equal(comparison.drop(columns="p"), expected.drop(columns="p"), rtol=0, atol=0)


def test_p_values_are_corrected_for_all_actions_of_all_arms_and_those_of_people_for_all_arms() -> None:
    offsets = {GENERALIST: 0.0, EXPERTS: -0.3, RANDOM: 0.1}
    of = scores(offsets, actions=5, clips=6, people=6)
    compared = comparisons(of, "mpjpe")
    alone = {variant: of.compare("mpjpe", variant, GENERALIST)["p"] for variant in compared}
    for rows in ([f"action{n}" for n in range(5)], [MEAN_OVER_PEOPLE]):
        cells = [(variant, name) for variant in compared for name in rows]
        expected = holm([alone[variant][name] for variant, name in cells])
        assert [compared[variant]["p"][name] for variant, name in cells] == pytest.approx(list(expected))
        assert max(expected) > max(alone[variant][name] for variant, name in cells) - 1e-12
    assert compared[EXPERTS]["p"][[MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES]].isna().all()


def test_best_is_what_prints_best() -> None:
    table = pd.DataFrame({"walk": [40.04, 39.96, 41.0], "sit": [50.0, 51.0, np.nan]}, index=["a", "b", "c"])
    assert best_cells(table, MPJPE).to_numpy().tolist() == [[True, True], [True, False], [False, False]]
    assert best_cells(table, PCK).to_numpy().tolist() == [[False, False], [False, True], [True, False]]


def test_numbers() -> None:
    assert number(41.26, MPJPE) == "41.3"
    assert number(3.126, METRICS["mpjve"]) == "3.13"
    assert number(np.nan, MPJPE) == "n/a"
    assert [signed(x, MPJPE) for x in (1.234, -1.234, -0.001, 0.0)] == [
        "+1.23",
        "\N{MINUS SIGN}1.23",
        "±0.00",
        "±0.00",
    ]
    assert signed(np.nan, MPJPE) == "n/a"
    assert interval(row(-1, -2, 0.5), MPJPE) == "[\N{MINUS SIGN}2.00, +0.50]"
    assert interval(row(-1, np.nan, np.nan), MPJPE) == "(these people only)"
    assert interval(row(-1, np.nan, np.nan).replace(3, 0), MPJPE) == ""


@pytest.mark.parametrize(
    ("of", "lower", "higher"),
    [
        (row(-1, -2, -0.5), "better", "worse"),
        (row(1, 0.5, 2), "worse", "better"),
        (row(-1, -2, 0.1), "undecided", "undecided"),
        (row(-1, -2, 0.0), "undecided", "undecided"),
        (row(-1, np.nan, np.nan), "undecided", "undecided"),
    ],
)
def test_judgment(of: pd.Series, lower: str, higher: str) -> None:
    assert (judgment(of, MPJPE), judgment(of, PCK)) == (lower, higher)


def test_clips_are_counted_once_for_all_arms() -> None:
    counts = clips_per_action(scores({GENERALIST: 0, EXPERTS: 1}, actions=2, clips=5), "mpjpe")
    assert counts.to_dict() == {"action0": 5, "action1": 5, **dict.fromkeys(MEANS, 10)}


def printed(of: Scores, width: int, metric: str = "mpjpe") -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_arms_table(console, of, metric)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_twenty_actions_and_six_arms_fit_a_terminal_of_120() -> None:
    matched = [Variant("experts", matching) for matching in ("total", "per_model", "frames")]
    variants = [GENERALIST, *matched[:2], RANDOM, Variant("cluster-experts"), matched[2]]
    text = printed(scores({variant: -i for i, variant in enumerate(variants)}, actions=20), 120)
    assert max(map(len, text.splitlines())) <= 120
    lines = [line.strip() for line in text.splitlines()]
    assert "…" not in text
    assert sum(line.startswith("action") and line[6].isdigit() for line in lines) == 20  # no action takes two lines
    assert all("* " in line for line in lines if line.startswith("action") and line[6].isdigit())
    (difference,) = [lines[i + 1] for i, line in enumerate(lines) if line.startswith(MEAN_OVER_ACTIONS)]
    assert "minus generalist" in difference
    assert difference.count("\N{MINUS SIGN}") == 5


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_no_arm_is_lost_where_the_terminal_is_narrow(width: int) -> None:
    kinds = ("experts", "random-experts", "cluster-experts")
    variants = [GENERALIST, *(Variant(kind, matching) for kind in kinds for matching in ("total", "per_model"))]
    of = scores({variant: -30.0 * i for i, variant in enumerate(variants)})
    text = printed(of, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    columns = [line.split()[2:] for line in text.splitlines() if line.startswith(" action0")]
    assert all(len(values) > 1 for values in columns)  # the generalist stands in every table
    found = [value for i, values in enumerate(columns) for value in values[i > 0 :] if value != "*"]
    assert found == [number(value, MPJPE) for value in arms_table(of, "mpjpe")["action0"]]
    assert text.count("random-") == text.count("cluster-") == 2
    assert text.count("minus generalist") == 3 * len(columns)


def test_few_people_are_said_to_be_few_and_nothing_is_colored() -> None:
    of = scores({GENERALIST: 0.0, EXPERTS: -5.0}, people=3)
    text = printed(of, 100)
    assert "(these people only)" in " ".join(text.split())
    assert "3 test people only: too few for people in general" in text
    assert {judgment(row, MPJPE) for _, row in comparisons(of, "mpjpe")[EXPERTS].iterrows()} == {"undecided"}
    assert "too few" not in printed(scores({GENERALIST: 0.0, EXPERTS: -5.0}), 100)


def test_one_arm_alone_prints_without_differences() -> None:
    text = printed(scores({GENERALIST: 0}), 80)
    assert MEAN_OVER_FRAMES in text
    assert "minus" not in text


def test_higher_is_better_where_it_is() -> None:
    text = printed(scores({GENERALIST: 0, EXPERTS: 10}, metric="pck"), 80, "pck")
    (line,) = [line for line in text.splitlines() if line.strip().startswith(MEAN_OVER_ACTIONS)]
    assert line.index("*") > 40  # behind the generalist's value
    assert "higher is better" in text
