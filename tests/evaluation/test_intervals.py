"""Student's intervals over people and seeds: scipy's where it has them, the truth's share of hits where it has not."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmarks import coverage
from benchmarks.coverage import DESIGNS, Structure, covered, make_study
from scipy.optimize import minimize
from scipy.stats import nct, t, ttest_1samp

from actlift.evaluation.intervals import (
    LEVEL,
    MIN_PEOPLE,
    Uncertainty,
    freedom_of,
    holm,
    parts_of,
    people_needed,
)
from actlift.evaluation.scores import COLUMNS, GENERALIST, Scores, Variant
from actlift.report.estimate import Estimate, decided, relative_error

EXPERTS = Variant("experts")


def tabled(study: coverage.Study) -> Scores:
    """A made-up study as a table; every clip is seen by one camera."""
    arms, seeds, clips = np.indices(study.errors.shape).reshape(3, -1)
    names = np.array(["experts", "generalist"])
    frame = pd.DataFrame(
        {
            "run": [f"{names[arm]}{seed}" for arm, seed in zip(arms, seeds, strict=True)],
            "arm": names[arms],
            "matching": "",
            "label": "",
            "mixture": False,
            "smoothed": False,
            "seed": seeds,
            "action": [f"a{study.actions[clip]:02}" for clip in clips],
            "subject": [f"p{study.people[clip]:02}" for clip in clips],
            "camera": "ring0",
            "clip": [f"clip{clip}" for clip in clips],
            "metric": "mpjpe",
            "joint": "all",
            "frames": study.frames[clips].astype(int),
            "value": study.errors.ravel(),
        }
    )
    return Scores(frame[list(COLUMNS)])


# Parts of standard errors


def test_parts_of_equal_weights_are_those_of_students_t() -> None:
    values = np.random.default_rng(0).normal(2, 3, (7, 3))
    parts = parts_of(values, np.full(7, 1 / 7))
    np.testing.assert_allclose(np.sqrt((parts**2).sum(axis=0)), values.std(axis=0, ddof=1) / math.sqrt(7))
    assert freedom_of(np.full(7, 1 / 7)) == pytest.approx(6)


def test_parts_of_unequal_weights_are_unbiased_and_have_fewer_degrees_of_freedom() -> None:
    rng, weights = np.random.default_rng(0), np.array([0.5, 0.3, 0.1, 0.05, 0.05])
    values = rng.normal(0, 2, (5, 40000))
    variances = (parts_of(values, weights) ** 2).sum(axis=0)
    assert variances.mean() == pytest.approx(4 * (weights**2).sum(), rel=0.02)
    assert freedom_of(weights) == pytest.approx(2 * variances.mean() ** 2 / variances.var(), rel=0.05)
    assert freedom_of(weights) < 3
    assert math.isnan(freedom_of(np.ones(1)))


@pytest.mark.parametrize("people", [4, 9])
def test_one_source_alone_is_scipys_t_test(people: int) -> None:
    values = np.random.default_rng(people).normal(1, 1, people)
    error = values.std(ddof=1) / math.sqrt(people)
    expected = ttest_1samp(values, 0)
    for of in (Uncertainty(people, error, people - 1.0), Uncertainty.over_seeds(error, people)):
        assert of.reach() == pytest.approx(values.mean() - expected.confidence_interval().low)
        assert of.p(values.mean()) == pytest.approx(expected.pvalue)
    few = replace(Uncertainty(people, error, people - 1.0), people=MIN_PEOPLE - 1)
    assert not few.known
    assert math.isnan(few.reach())
    assert math.isnan(few.p(1.0))


def test_with_seeds_the_widest_of_three_counts() -> None:
    of = Uncertainty(6, 1.0, 5.0, seeds=3, of_seeds=0.5)
    both = t.ppf(0.975, 1.25**2 / (1 / 5 + 0.25**2 / 2)) * math.sqrt(1.25)
    assert of.reach() == pytest.approx(max(both, t.ppf(0.975, 5)))
    agreed = replace(of, of_people=0.0)
    assert agreed.reach() == pytest.approx(t.ppf(0.975, 2) * 0.5)
    for uncertainty in (of, agreed):
        assert uncertainty.p(uncertainty.reach()) == pytest.approx(LEVEL)
    assert replace(of, of_people=0.0, of_seeds=0.0).p(0.0) == 1
    assert replace(of, of_people=0.0, of_seeds=0.0).p(0.1) == 0


def test_holm_agrees_with_its_definition_and_leaves_what_was_not_tested() -> None:
    p = [0.01, math.nan, 0.04, 0.03, 0.5]
    assert holm(p) == pytest.approx([0.04, math.nan, 0.09, 0.09, 0.5], nan_ok=True)
    assert holm([]).size == 0
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("effect", "spread"), [(5.0, 3.6), (3.0, 3.6), (-2.0, 3.6), (0.2, 5.0)])
def test_people_needed_have_the_power_and_one_fewer_has_not(effect: float, spread: float) -> None:
    def power(n: int) -> float:
        shift = abs(effect) / spread * math.sqrt(n)
        return float(nct.sf(t.ppf(0.975, n - 1), n - 1, shift))  # of a tail that small the other has nothing

    people = people_needed(effect, spread)
    assert power(people) >= 0.8 > power(people - 1)
    assert people_needed(effect, 0.0) == people_needed(100 * spread, spread) == MIN_PEOPLE


# Studies of which the truth is known


def test_scores_give_the_interval_that_the_benchmark_measures() -> None:
    rng = np.random.default_rng(1)
    for name in ("4 people, test split", "6 people, real"):
        study = make_study(DESIGNS[name], Structure(5, 3, 2), rng)
        estimate = relative_error(tabled(study).variations("mpjpe", (GENERALIST, EXPERTS)), EXPERTS)
        assert (estimate.low, estimate.high) == pytest.approx(coverage.over_people(study, rng), rel=1e-4)


@pytest.mark.parametrize("design", ["4 people, test split", "4 people, balanced", "6 people, real"])
@pytest.mark.parametrize("of", [Structure(5, 0, 0, 1, 0), Structure(3, 5, 3), Structure(1.8, 4.5, 3.6, 5, 1)], ids=str)
def test_intervals_hold_the_truth_and_drawing_clips_does_not(
    design: str, of: Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 studies: a share of 95 % comes out below 91.5 or above 99.3 % once in a thousand."""
    names = ("clips drawn within actions (before)", "t over people (chosen)")
    monkeypatch.setattr(coverage, "CANDIDATES", {name: coverage.CANDIDATES[name] for name in names})
    monkeypatch.setattr(coverage, "DRAWS", 100)
    before, chosen = covered(DESIGNS[design], of, 400).values()
    assert 0.915 <= chosen.held / chosen.tried <= 0.995
    if of.person:
        assert before.held / before.tried < 0.7


def test_where_nothing_differs_hardly_any_study_finds_a_sure_action() -> None:
    """19 actions of six people: without correction some action is won in most studies."""
    rng, reps = np.random.default_rng(3), 150
    alone, together = 0, 0
    design = np.full((6, 19), 2)
    for _ in range(reps):
        scatter = np.sqrt(3**2 + 5**2 / design)  # of actions of people, and of their clips
        values = rng.normal(0, 2, (6, 1)) + scatter * rng.normal(size=design.shape)
        actions = {}
        for action in range(19):
            weights = design[:, action] / design[:, action].sum()
            parts = parts_of(values[:, action], weights)
            uncertainty = Uncertainty(6, float(np.linalg.norm(parts)), freedom_of(weights))
            actions[action] = Estimate(float(weights @ values[:, action]), uncertainty)
        alone += any(estimate.p <= LEVEL and estimate.effect < 0 for estimate in actions.values())
        together += any(sign < 0 for sign in decided(actions).values())
    assert alone / reps > 0.25
    assert together / reps <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / reps)


def test_the_benchmarks_mixed_model_finds_the_maximum_of_the_whole_restricted_likelihood() -> None:
    """Agrees with statsmodels' MixedLM too: -3.0317 and 1.3203 there."""
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 4, (6, 8))
    cells = np.repeat(np.arange(clips.size), clips.ravel())
    people, actions = np.divmod(cells, clips.shape[1])
    scatter = rng.normal(0, 3, 6)[people] + rng.normal(0, 2, 8)[actions] + rng.normal(0, 3, (6, 8))[people, actions]
    values = scatter - 3 + rng.normal(0, 2, len(cells))

    def whole(logs: np.ndarray) -> tuple[float, float, float]:
        alike = [of[:, None] == of for of in (people, actions, cells)]
        covariance = sum(np.exp(log) * same for log, same in zip(logs, [*alike, np.eye(len(cells))], strict=True))
        inverse = np.linalg.inv(covariance)
        mean = inverse.sum(axis=0) @ values / inverse.sum()
        residual = values - mean
        loss = np.linalg.slogdet(covariance)[1] + np.log(inverse.sum()) + residual @ inverse @ residual
        return float(loss), float(mean), float(inverse.sum() ** -0.5)

    best = minimize(lambda logs: whole(logs)[0], np.ones(4), method="Nelder-Mead", options={"maxiter": 2000})
    assert coverage.reml(values, people, actions) == pytest.approx(whole(best.x)[1:], rel=1e-3)
    assert whole(best.x)[1:] == pytest.approx((-3.0317, 1.3203), abs=2e-3)
