"""Budgets, schedules over progress, and the plans made of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actlift.budget import Budget, Exponential, shared
from actlift.models.tcn import TCN
from actlift.plan import ARMS, RECEPTIVE_FIELDS, Network, Plan, widths_of

POSITIVE = st.floats(1e-8, 1e3)


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
        ({"arms": ("generalist", "specialists")}, "unknown arm specialists; known: generalist, experts"),
        ({"equalities": ("fair",)}, "unknown equality fair; known: pooled, each, frames"),
        ({"equalities": ("frames", "pooled"), "frames": 10}, "give it a study of its own"),
        ({"equalities": ("frames",)}, "give both or neither"),
        ({"frames": 100}, "give both or neither"),
        ({"test_subjects": ()}, r"needs test subjects, each once; got \(\)"),
        ({"test_subjects": ("S1", "S1")}, "needs test subjects, each once; got .*S1"),
        ({"seeds": (1, 1)}, r"needs seeds, each once; got \(1, 1\)"),
        ({"equalities": ()}, "needs equalities, each once"),
    ],
)
def test_a_plan_that_cannot_be_says_why(options, message):
    with pytest.raises(ValueError, match=message):
        Plan(**({"test_subjects": ("S1",)} | options))


def test_arms_equalities_and_seeds_may_grow_and_nothing_else():
    plan = Plan(("S8", "S7"))
    grown = Plan(
        ("S7", "S8"),
        arms=("generalist", *ARMS),
        equalities=("pooled", "each"),
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
        Plan(("S7", "S8"), equalities=("frames",), frames=8),
    ):
        assert other.fixed("digest") != plan.fixed("digest")
    assert plan.fixed("another") != plan.fixed("digest")
