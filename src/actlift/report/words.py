"""Words that several reports share: numbers and what they count, metrics, variants of arms, and how budgets match."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from actlift.evaluation.scores import Variant
from actlift.study.about import About

ERRORS = {"mpjpe": "position error (MPJPE)", "mpjve": "velocity error (MPJVE)"}
MATCHING_NOTES = {
    "total": "all its networks together train for as many steps as the generalist",
    "per_model": "each of its networks trains for as many steps as the generalist",
    "frames": "each of its networks sees as many training frames as the generalist",
    "epochs": "each of its networks passes over its own data until it has seen about as many windows as the generalist",
}
"""What a matching of budgets makes equal, said of an arm."""
EXPERTS_MATCHED = {
    "total": "all experts together trained as long as the generalist",
    "per_model": "each expert trained as long as the generalist",
    "epochs": "budgets as the paper's authors ran them",
    "frames": "as many training frames for every network",
}
"""The same, said of experts."""
LABEL_NOTES = {
    "oracle": "the true action is known (oracle)",
    "predicted": "the action is recognized in the 2D keypoints",
    "coupled": "the action is recognized again, in the poses lifted as first recognized",
    "coupled_twice": "the action is recognized for the third time, in the poses lifted as recognized again",
    "none": "no action is told",
    "wrong_random": "a wrong action is told, on average over all of them",
    "wrong_worst": "the wrong action that hurts most is told",
}


def counted(n: int, one: str, many: str = "") -> str:
    """Say a number and what it counts."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Say hours and minutes, minutes and seconds, or seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def printed(value: object) -> str:
    """Say a value of a study; nested lists and mappings in one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {printed(entry)}" for key, entry in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(printed(entry) for entry in value)
    return (
        f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000 else str(value)
    )


def tail(variant: Variant) -> str:
    """Say what stands behind an arm's name: " (per model), mixture: predicted label"."""
    return str(replace(variant, arm=""))


def metric_name(metric: str) -> str:
    """Say "N-MPJPE" for "n_mpjpe"."""
    return metric.upper().replace("_", "-")


def matching_name(matching: str) -> str:
    """Say "per model" for "per_model"."""
    return matching.replace("_", " ")


def variant_note(variant: Variant, arms: Mapping[str, About], *, labeled: bool = False) -> str:
    """Say what a variant is: its arm, what it is told, how budgets match; "" for an arm that is none of the study's.

    Args:
        arms: the study's, by name.
        labeled: say of the arm what it is whatever it is told.
    """
    about = arms.get(variant.arm)
    arm = ""
    if about:
        note = about.note_labeled if labeled or variant.label else ""
        arm = about.mixture if variant.mixture else note or about.note
    return "; ".join(filter(None, (arm, LABEL_NOTES.get(variant.label), MATCHING_NOTES.get(variant.matching))))
