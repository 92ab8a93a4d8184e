"""Budgets: optimizer steps at a fixed batch size, and schedules that read progress through them.

One unit for every arm of a comparison: an optimizer step on ``batch`` windows. Schedules (learning rate, BatchNorm
momentum) are functions of progress in [0, 1), never of epochs, so that a network trained for 300 steps and one trained
for 6,000 both see their whole schedule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actlift.errors import InputError

MATCHINGS = ("total", "per_model", "frames", "epochs")
"""How the budgets of several networks are matched with that of one: see `actlift.study.arms`."""


@dataclass(frozen=True)
class Exponential:
    """A value that falls (or rises) geometrically from ``first`` at progress 0 to ``last`` at progress 1."""

    first: float
    last: float

    def __post_init__(self) -> None:
        if self.first <= 0 or self.last <= 0:
            raise InputError(f"an exponential schedule needs positive ends, got {self.first} and {self.last}")

    def __call__(self, progress: float) -> float:
        return self.first * float((self.last / self.first) ** progress)


@dataclass(frozen=True)
class Stepwise:
    """A value that is multiplied by ``factor`` after each of ``times`` equal parts of the way but the last.

    The learning rate of VideoPose3D's published schedule: times 0.95 after every epoch (Pavllo et al. 2019, section 5).
    """

    first: float
    factor: float
    times: int

    def __post_init__(self) -> None:
        if self.first <= 0 or self.factor <= 0 or self.times < 1:
            raise InputError(
                f"a stepwise schedule needs a positive value and factor and at least one part, got {self.first}, "
                f"{self.factor} and {self.times}"
            )

    def __call__(self, progress: float) -> float:
        return self.first * self.factor ** int(progress * self.times + 1e-9)  # a whole part, though rounded


Schedule = Exponential | Stepwise


@dataclass(frozen=True)
class Budget:
    """What one network may spend.

    Attributes:
        steps: optimizer steps.
        batch: windows of a step.
    """

    steps: int = 6000
    batch: int = 256

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2:
            raise InputError(
                f"a budget is at least 1 step of at least 2 windows (BatchNorm needs two), got {self.steps} steps of "
                f"{self.batch}"
            )

    def progress(self, step: int) -> float:
        """Fraction of the budget spent before ``step`` (counted from 0): in [0, 1)."""
        return step / self.steps

    @property
    def windows(self) -> int:
        return self.steps * self.batch


def shared(budget: Budget, parts: int) -> Budget:
    """The budget of one of ``parts`` experts that together spend what the generalist spends (rounded down, at least 1).

    The paper's common problem: all experts together may take as many steps as the generalist takes.
    """
    if parts < 1:
        raise InputError(f"a budget is shared by at least 1 part, got {parts}")
    if parts > budget.steps:
        raise InputError(
            f"{budget.steps} steps cannot be shared by {parts} experts: give the generalist at least {parts} steps"
        )
    return Budget(budget.steps // parts, budget.batch)


def expert_epochs(epochs: int, frames: Mapping[str, int], part: str) -> int:
    """How many passes over its own frames an expert makes while the generalist makes ``epochs`` over everything.

    epochs * floor(all frames / the part's frames): formula 2 of the paper, for parts of unequal size.

    Args:
        epochs: of the generalist.
        frames: of every part.
        part: the expert's.
    """
    if part not in frames:
        raise InputError(f"unknown part {part!r}; known: {', '.join(frames)}")
    if epochs < 1 or min(frames.values()) < 1:
        raise InputError(f"epochs and frames are 1 or more, got {epochs} epochs and {min(frames.values())} frames")
    return epochs * (sum(frames.values()) // frames[part])


def unit_epochs(epochs: int, actions: int) -> int:
    """Epochs on one action that take as many steps as ``epochs`` on all, where actions are of one size.

    Formula 1 of the paper. Raises InputError unless both are at least 1.
    """
    _positive(epochs=epochs, actions=actions)
    return epochs * actions


def frame_share(frames: int, actions: int) -> int:
    """Training frames of each action for a generalist that sees as many in all as an expert, which has ``frames``.

    Formula 3 of the paper, its action-oriented problem: the sum over actions is ``frames``, less what division leaves.
    Raises InputError unless there is a frame for every action.
    """
    _positive(frames=frames, actions=actions)
    if frames < actions:
        raise InputError(f"{frames} frames cannot be shared by {actions} actions: give at least {actions}")
    return frames // actions


def regulated_error(half_errors: Sequence[float], k: float = 1.2) -> float:
    """The error that time-precision rates start from: ``k`` times the models' mean error at half the training.

    Formula 4 of the paper, in the errors' unit. Raises InputError without errors, or unless all and ``k`` are positive.
    """
    if not half_errors:
        raise InputError("a regulated error needs the error of at least one model at half its training, got none")
    _positive(k=k, **{f"error {number}": error for number, error in enumerate(half_errors, start=1)})
    return k * sum(half_errors) / len(half_errors)


def time_precision_rate(regulated: float, error: float, cost_s: float) -> float:
    """How far training brought the error below the regulated one, per second; negative where it stayed above.

    Formula 5 of the paper, in the errors' unit per second. Raises InputError unless all three are positive.
    """
    _positive(regulated=regulated, error=error, cost_s=cost_s)
    return (regulated - error) / cost_s


def _positive(**values: float | int) -> None:
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"{name.replace('_', ' ')} must be positive, got {value}")
