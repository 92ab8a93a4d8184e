"""Budgets, schedules over progress, and the plans made of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actlift.models.options import RECEPTIVE_FIELDS, Network, widths_of
from actlift.models.tcn import TCN
from actlift.study.plan import Plan
from actlift.training.budget import (
    Budget,
    Exponential,
    Stepwise,
    expert_epochs,
    frame_share,
    regulated_error,
    shared,
    time_precision_rate,
    unit_epochs,
)

POSITIVE = st.floats(1e-8, 1e3)


@given(POSITIVE, st.floats(0.5, 1.0), st.integers(1, 40), st.integers(1, 30))
def test_a_stepwise_schedule_is_the_rate_of_each_epoch(first, factor, epochs, steps_of_epoch):
    """As the conventional loop has it: multiplied once after each epoch."""
    schedule, rate, n = Stepwise(first, factor, epochs), first, epochs * steps_of_epoch
    for step in range(n):
        assert schedule(step / n) == pytest.approx(rate)
        if (step + 1) % steps_of_epoch == 0:
            rate *= factor


@pytest.mark.parametrize("wrong", [(0.0, 0.9, 3), (1.0, 0.0, 3), (1.0, 0.9, 0)])
def test_a_stepwise_schedule_wants_positive_numbers(wrong):
    with pytest.raises(ValueError, match=r"stepwise schedule needs a positive .* got"):
        Stepwise(*wrong)


@given(POSITIVE, POSITIVE, st.floats(0, 0.9), st.floats(0.001, 0.1))
def test_an_exponential_goes_from_first_to_last_at_a_steady_ratio(first, last, progress, further):
    schedule = Exponential(first, last)
    assert schedule(0.0) == first
    assert schedule(1.0) == pytest.approx(last)
    assert schedule(progress + further) / schedule(progress) == pytest.approx((last / first) ** further, rel=1e-6)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_an_exponential_needs_positive_ends(ends):
    with pytest.raises(ValueError, match=f"positive ends, got {ends[0]} and {ends[1]}"):
        Exponential(*ends)


@given(st.integers(1, 10_000))
def test_progress_begins_at_zero_and_stays_below_one(steps):
    budget = Budget(steps)
    assert budget.progress(0) == 0
    assert 0 <= budget.progress(steps - 1) < 1
    assert budget.progress(steps) == 1
    assert budget.windows == steps * budget.batch


@pytest.mark.parametrize(("steps", "batch"), [(0, 8), (-3, 8), (5, 1), (5, 0)])
def test_a_budget_is_some_steps_of_two_windows(steps, batch):
    with pytest.raises(ValueError, match=rf"at least 1 step of at least 2 windows.*got {steps} steps of {batch}"):
        Budget(steps, batch)


@given(st.integers(1, 10_000), st.integers(1, 40))
def test_experts_together_spend_no_more_than_the_generalist(steps, parts):
    budget = Budget(steps, 32)
    if parts > steps:
        with pytest.raises(ValueError, match=f"{steps} steps cannot be shared by {parts} experts.*at least {parts}"):
            shared(budget, parts)
        return
    part = shared(budget, parts)
    assert part.batch == 32
    assert budget.steps - parts < part.steps * parts <= budget.steps


def test_a_budget_is_shared_by_somebody():
    with pytest.raises(ValueError, match="at least 1 part, got 0"):
        shared(Budget(10), 0)


POSITIVE_COUNTS = st.integers(1, 10_000)


@given(POSITIVE_COUNTS, st.lists(POSITIVE_COUNTS, min_size=1, max_size=20))
def test_an_expert_sees_no_more_frames_than_the_generalist(epochs, counts):
    frames = {f"action {i}": count for i, count in enumerate(counts)}
    for action, count in frames.items():
        passes = expert_epochs(epochs, frames, action)
        assert epochs * (sum(counts) - count) < passes * count <= epochs * sum(counts)
    alike = dict.fromkeys(frames, counts[0])
    assert expert_epochs(epochs, alike, "action 0") == unit_epochs(epochs, len(counts))


def test_eighty_epochs_are_the_papers_1200_unit_epochs():
    assert unit_epochs(80, 15) == 1200


@given(POSITIVE_COUNTS, st.integers(1, 40))
def test_a_generalist_shares_the_frames_of_an_expert(frames, actions):
    if frames < actions:
        with pytest.raises(ValueError, match=f"{frames} frames cannot be shared by {actions} .*at least {actions}"):
            frame_share(frames, actions)
        return
    assert frames - actions < actions * frame_share(frames, actions) <= frames


def test_rates_of_the_papers_table_iii():
    position = round(regulated_error([50.27, 50.49]), 2)  # the printed rates follow from the rounded ones
    velocity = round(regulated_error([2.66, 3.02]), 3)
    assert (position, velocity) == (60.46, 3.408)
    assert time_precision_rate(position, 48.22, 176_976.0) == pytest.approx(6.92e-5, abs=5e-8)
    assert time_precision_rate(position, 50.54, 56_921.0) == pytest.approx(17.4e-5, abs=5e-7)
    assert time_precision_rate(velocity, 2.49, 176_976.0) == pytest.approx(5.19e-6, abs=5e-9)
    assert time_precision_rate(velocity, 3.08, 56_921.0) == pytest.approx(5.76e-6, abs=5e-9)


@given(st.floats(1, 100), st.floats(1, 100), st.floats(1, 1e6), st.floats(1.1, 10))
def test_a_rate_falls_with_cost_and_with_error(regulated, error, cost_s, factor):
    rate = time_precision_rate(regulated, error, cost_s)
    assert (rate > 0) == (error < regulated)
    assert time_precision_rate(regulated, error, cost_s * factor) == pytest.approx(rate / factor)
    assert time_precision_rate(regulated, error * factor, cost_s) < rate


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: unit_epochs(0, 15), "epochs must be positive, got 0"),
        (lambda: unit_epochs(3, -1), "actions must be positive, got -1"),
        (lambda: expert_epochs(1, {"Eating": 4}, "Sitting"), "'Sitting'; known: Eating"),
        (lambda: expert_epochs(1, {"Eating": 4, "Sitting": 0}, "Eating"), "got 1 epochs and 0 frames"),
        (lambda: expert_epochs(0, {"Eating": 4}, "Eating"), "got 0 epochs and 4 frames"),
        (lambda: frame_share(-5, 2), "frames must be positive, got -5"),
        (lambda: regulated_error([]), "at least one model at half its training, got none"),
        (lambda: regulated_error([50.0, 0.0]), "error 2 must be positive, got 0.0"),
        (lambda: regulated_error([50.0], k=-1.0), "k must be positive, got -1.0"),
        (lambda: time_precision_rate(60.0, 50.0, 0.0), "cost s must be positive, got 0.0"),
        (lambda: time_precision_rate(float("nan"), 50.0, 1.0), "regulated must be positive, got nan"),
    ],
)
def test_formulas_say_what_they_cannot_take(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


@pytest.mark.parametrize("receptive_field", RECEPTIVE_FIELDS)
def test_widths_multiply_to_the_receptive_field(receptive_field):
    assert TCN(widths_of(receptive_field), 4).receptive_field == receptive_field


def test_an_unknown_receptive_field_lists_the_known():
    with pytest.raises(ValueError, match=r"receptive field of 5 frames; known: 1, 3, 9, 27, 81, 243.*odd widths"):
        Network(receptive_field=5).keywords()


def test_a_network_has_the_options_it_was_given():
    network = TCN(**Network(81, channels=8, causal=True, dropout=0.5, trajectory=True).keywords())
    assert (network.receptive_field, network.channels, network.causal, network.dropout) == (81, 8, True, 0.5)
    assert network.trajectory
    assert TCN(**Network(widths=(5, 3), channels=8).keywords()).receptive_field == 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matching": ("fair",)}, "unknown matching fair; known: total, per_model, frames"),
        ({"matching": ("frames", "total"), "frames": 10}, "give it a study of its own"),
        ({"matching": ("frames",)}, "give both or neither"),
        ({"frames": 100}, "give both or neither"),
        ({"test_subjects": ()}, "give one of them, got test subjects none and folds none"),
        ({"test_subjects": ("S1", "S1")}, "needs test subjects, each once; got .*S1"),
        ({"seeds": (1, 1)}, r"needs seeds, each once; got \(1, 1\)"),
        ({"matching": ()}, "needs matchings, each once"),
    ],
)
def test_a_plan_that_cannot_be_says_why(options, message):
    with pytest.raises(ValueError, match=message):
        Plan(**({"test_subjects": ("S1",)} | options))


def test_arms_matchings_and_seeds_may_grow_and_nothing_else():
    plan = Plan(("S8", "S7"))
    grown = Plan(
        ("S7", "S8"),
        arms=("generalist", "experts", "conditioned", "cluster-experts"),
        matching=("total", "per_model"),
        seeds=(5,),
        device="cpu",
        precision="float32",
    )
    assert plan.fixed("digest") == grown.fixed("digest")
    assert plan.fixed("digest") == json.loads(json.dumps(plan.fixed("digest")))
    for other in (
        Plan(("S7",)),
        Plan(("S7", "S8"), budget=Budget(7)),
        Plan(("S7", "S8"), network=Network(channels=8)),
        Plan(("S7", "S8"), all_actions=True),
        Plan(("S7", "S8"), matching=("frames",), frames=8),
    ):
        assert other.fixed("digest") != plan.fixed("digest")
    assert plan.fixed("another") != plan.fixed("digest")
