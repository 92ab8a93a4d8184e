"""Budgets: optimiser steps at a fixed batch size, and schedules that read progress through them.

One unit for every arm of a comparison: an optimiser step on ``batch`` windows. Schedules (learning rate, BatchNorm
momentum) are functions of progress in [0, 1), never of epochs, so that a network trained for 300 steps and one trained
for 6,000 both see their whole schedule.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Exponential:
    """A value that falls (or rises) geometrically from ``first`` at progress 0 to ``last`` at progress 1."""

    first: float
    last: float

    def __post_init__(self) -> None:
        if self.first <= 0 or self.last <= 0:
            raise ValueError(f"an exponential schedule needs positive ends, got {self.first} and {self.last}")

    def __call__(self, progress: float) -> float:
        return self.first * float((self.last / self.first) ** progress)


@dataclass(frozen=True)
class Budget:
    """What one network may spend.

    Attributes:
        steps: optimiser steps.
        batch: windows of a step.
    """

    steps: int = 6000
    batch: int = 256

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2:
            raise ValueError(
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
        raise ValueError(f"a budget is shared by at least 1 part, got {parts}")
    if parts > budget.steps:
        raise ValueError(
            f"{budget.steps} steps cannot be shared by {parts} experts: give the generalist at least {parts} steps"
        )
    return Budget(budget.steps // parts, budget.batch)
