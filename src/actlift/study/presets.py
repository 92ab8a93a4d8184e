"""Presets: the paper's comparison as a handful of studies ("settings"), in its own form and in fairer ones, and ours.

``paper``            as its authors ran it: receptive fields of 1, 27 and 243 frames; 1, 1 and 80 passes of the
                     generalist over all data (its 15, 15 and 1,200 "unit epochs", with 15 actions); experts by formula
                     2; learning rates that fall by a twentieth after each pass of a network over its own data; dropout
                     0.25. Its networks have 1,024 channels and batches of 1,024; here both are options.
``fair``             the same budgets in optimizer steps, with schedules over progress, as many steps for all experts
                     together and for each expert as for the generalist, and with both controls.
``action-oriented``  the paper's open conjecture: every network sees the same number of training frames, over several
                     numbers of frames and of steps.
``action-aware``     not the paper's: one network that is told the action (recognized, known, missing and wrong) against
                     the generalist and against networks that are told something else, over several receptive fields and
                     numbers of steps, with the cost of recognizing taken off; both also fine-tuned alike.

An epoch has two windows for every frame, one of them mirrored, as VideoPose3D counts.
"""

from dataclasses import replace
from typing import Literal, get_args

from actlift.errors import InputError
from actlift.study.plan import Plan
from actlift.training.budget import Budget

Preset = Literal["paper", "fair", "action-oriented", "action-aware"]
PRESETS: tuple[str, ...] = get_args(Preset)

SUITE_FORMAT = 1
EPOCHS = {1: 1, 27: 1, 243: 80}  # of the generalist, by receptive field
SNAPSHOTS = 20
PAPER_DROPOUT = 0.25
GRID_PARTS = (128, 32, 8, 2)  # of all training frames, what a network sees in the action-oriented preset
GRID_STEPS = (200, 800)
GRID_FIELD = 27
AWARE_STEPS = (1500, 6000, 24000)
AWARE_FIELDS = (27, 81)

BASELINES = ("constant-pose", "nearest-pose")
ARMS_OF: dict[str, tuple[str, ...]] = {
    "paper": ("generalist", "experts", "random-experts", *BASELINES),
    "fair": (
        "generalist",
        "experts",
        "random-experts",
        "cluster-experts",
        "ensemble-2",
        "batch-statistics",
        *BASELINES,
    ),
    "action-oriented": ("generalist", "experts", "random-experts", *BASELINES),
    "action-aware": (
        "generalist",
        "averaged",
        "batch-statistics",
        "ensemble-2",
        "conditioned",
        "random-conditioned",
        "cluster-conditioned",
        "dataset-conditioned",
        "finetuned",
        "finetuned-ensemble-2",
        "finetuned-conditioned",
        "dataset-finetuned-conditioned",
        *BASELINES,
    ),
}


def settings_of(
    preset: str, base: Plan, *, training_frames: int, scale: float = 1.0, receptive_fields: tuple[int, ...] = ()
) -> dict[str, Plan]:
    """The plans of a preset, by name: "27f", "27f-1900-800" (frames, steps) or "27f-1500" (steps).

    Args:
        preset: one of PRESETS.
        base: test subjects, seeds, batch size, network, precision and device are taken from it.
        training_frames: of the training people and actions.
        scale: of all numbers of steps.
        receptive_fields: which settings; all of the preset's where empty.

    Raises:
        InputError: for an unknown preset or receptive field, a scale that is not positive, or choices in ``base`` that
            the preset makes itself.
    """
    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    if not scale > 0:
        raise InputError(f"a scale is positive, got {scale}")
    _refuse_own_choices(preset, base)
    plan = replace(base, arms=ARMS_OF[preset], snapshots=SNAPSHOTS)
    if preset == "action-oriented":
        return _grid(plan, training_frames, scale, receptive_fields or (GRID_FIELD,))
    if preset == "action-aware":
        return _aware(plan, scale, receptive_fields or AWARE_FIELDS)
    return _passes(preset, plan, training_frames, scale, receptive_fields)


def _refuse_own_choices(preset: str, base: Plan) -> None:
    """Refuse choices that the preset makes itself."""
    own = Plan(base.test_subjects)
    for name, asked, usual in (
        ("arms", base.arms, own.arms),
        ("matching", base.matching, own.matching),
        ("frames", base.frames, own.frames),
        ("epochs", base.epochs, own.epochs),
        ("snapshots", base.snapshots, own.snapshots),
        ("receptive-field", base.network.receptive_field, own.network.receptive_field),
        ("widths", base.network.widths, own.network.widths),
        ("steps", base.budget.steps, own.budget.steps),
    ):
        if asked != usual:
            raise InputError(
                f"--preset {preset} chooses --{name} itself, got {asked}: leave it out (--scale changes the steps, "
                "--receptive-fields the settings)"
            )


def _passes(
    preset: str, plan: Plan, training_frames: int, scale: float, receptive_fields: tuple[int, ...]
) -> dict[str, Plan]:
    """The paper's passes over all data, in its own form or as steps."""
    if unknown := [field for field in receptive_fields if field not in EPOCHS]:
        raise InputError(
            f"--preset {preset} has no receptive field of {', '.join(map(str, unknown))} frames; it has: "
            f"{', '.join(map(str, EPOCHS))}"
        )
    plans = {}
    for field in sorted(set(receptive_fields or EPOCHS)):
        epochs = EPOCHS[field]
        steps = max(1, round(scale * epochs * 2 * training_frames / plan.budget.batch))
        network = replace(plan.network, receptive_field=field)
        own = replace(plan, network=network, budget=Budget(steps, plan.budget.batch))
        if preset == "paper":
            network = replace(network, dropout=PAPER_DROPOUT)
            plans[f"{field}f"] = replace(own, network=network, matching=("epochs",), epochs=epochs)
        else:
            plans[f"{field}f"] = replace(own, matching=("total", "per_model"))
    return plans


def _grid(plan: Plan, training_frames: int, scale: float, receptive_fields: tuple[int, ...]) -> dict[str, Plan]:
    plans = {}
    for field in sorted(set(receptive_fields)):
        for part in GRID_PARTS:
            for full in GRID_STEPS:
                frames, steps = training_frames // part, max(1, round(scale * full))
                plans[f"{field}f-{frames}-{steps}"] = replace(
                    plan,
                    network=replace(plan.network, receptive_field=field),
                    matching=("frames",),
                    frames=frames,
                    budget=Budget(steps, plan.budget.batch),
                    snapshots=0,
                )
    return plans


def _aware(plan: Plan, scale: float, receptive_fields: tuple[int, ...]) -> dict[str, Plan]:
    plans = {}
    for field in sorted(set(receptive_fields)):
        for full in AWARE_STEPS:
            steps = max(1, round(scale * full))
            plans[f"{field}f-{steps}"] = replace(
                plan,
                network=replace(plan.network, receptive_field=field),
                budget=Budget(steps, plan.budget.batch),
                labels="all",
                snapshots=0,
            )
    return plans
