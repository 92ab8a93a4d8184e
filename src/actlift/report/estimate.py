"""An effect with its interval over people and seeds, and for whom it holds.

An effect is decided for people in general only where its interval leaves out 0 and it stays so once corrected for the
number of effects that are looked at together (`decided`, Holm's). Where fewer people were tested than `MIN_PEOPLE`
nothing is said of people in general: the effect is that of these people only.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from actlift.evaluation.intervals import LEVEL, MIN_PEOPLE, Uncertainty, holm, parts_of, people_needed
from actlift.evaluation.scores import GENERALIST, MEAN_OVER_PEOPLE, Variant, Variations
from actlift.report.tables import MINUS
from actlift.report.words import counted

Key = TypeVar("Key", bound=Hashable)
THESE_PEOPLE = "these people only"


@dataclass(frozen=True)
class Estimate:
    """An effect and how far other people and seeds may move it, in one unit.

    Attributes:
        effect: NaN where there is none.
        of: its uncertainty.
        resolution: how far either way it cannot be resolved at all.
    """

    effect: float
    of: Uncertainty
    resolution: float = 0.0

    @classmethod
    def from_seeds(cls, mine: Mapping[int, float], theirs: Mapping[int, float], resolution: float = 0.0) -> "Estimate":
        """Estimate a difference of two means over seeds, by seed: Student's t on the seeds that both have."""
        shared = [seed for seed in mine if seed in theirs]
        n = len(shared)
        effect = float(np.mean(list(mine.values())) - np.mean(list(theirs.values())))
        if n < 2:
            return cls(effect, Uncertainty.over_seeds(math.nan, n), resolution)
        parts = parts_of(np.array([mine[seed] - theirs[seed] for seed in shared]), np.full(n, 1 / n))
        return cls(effect, Uncertainty.over_seeds(float(np.linalg.norm(parts)), n), resolution)

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval; NaN where there is none."""
        return self.effect - self.of.reach() - self.resolution

    @property
    def high(self) -> float:
        """The upper end."""
        return self.effect + self.of.reach() + self.resolution

    @property
    def p(self) -> float:
        """The two-sided p-value against no effect; NaN where there is no interval."""
        return self.of.p(math.copysign(max(abs(self.effect) - self.resolution, 0.0), self.effect))

    @property
    def direction(self) -> int:
        """-1, 0 or 1: which way the effect lies among these people."""
        return int(np.sign(np.nan_to_num(self.effect)))

    def minus(self, amount: float) -> "Estimate":
        """Move effect and interval down by an amount."""
        return replace(self, effect=self.effect - amount)

    def signed(self, unit: str = "") -> tuple[str, str, str]:
        """Effect and interval, such as "−3.1 %": with two decimals where all are below 1, else with one.

        An end just below 0 is "−0.0", so that [−0.0, +5.9] is seen to hold 0.
        """
        values = (self.effect, self.low, self.high)
        decimals = 2 if np.nanmax(np.abs(values)) < 1 else 1
        effect, low, high = (f"{value:+.{decimals}f} {unit}".rstrip().replace("-", MINUS) for value in values)
        return effect, low, high

    def printed(self, unit: str = "%") -> tuple[str, str]:
        """The effect with its unit, and its interval in brackets; nothing where there is no effect.

        Such as "+6.1 %" and "[+5.1, +7.2]"; the first does not break before its unit.
        """
        if math.isnan(self.effect):
            return "", ""
        effect, low, high = self.signed()
        within = f"({THESE_PEOPLE})" if math.isnan(self.low) else f"[{low}, {high}]"
        return effect + (unit and f"\N{NO-BREAK SPACE}{unit}"), within

    @property
    def needed(self) -> str:
        """How many people it takes to see an effect of this size, seeds aside, in words; "" where nobody can say."""
        if not self.of.known or not self.of.people or not self.effect:
            return ""
        people = people_needed(self.effect, self.of.of_people * math.sqrt(self.of.people))
        return f"to see such an effect with a probability of 80 % takes about {people:,} people"


UNKNOWN = Estimate(math.nan, Uncertainty(0, math.nan, math.nan))


def decided(estimates: Mapping[Key, Estimate]) -> dict[Key, int]:
    """Say of effects that are looked at together which are sure: -1 or 1, else 0.

    Their p-values are corrected for their number (Holm): where nothing differs, any of them is sure in at most 5 % of
    studies.
    """
    adjusted = holm([estimate.p for estimate in estimates.values()])
    return {
        key: estimate.direction if p <= LEVEL else 0
        for (key, estimate), p in zip(estimates.items(), adjusted, strict=True)
    }


def doubt(estimate: Estimate, sign: int) -> str:
    """Why an effect is not decided, once corrected for the number of others; "" where it is."""
    if sign:
        return ""
    if math.isnan(estimate.p):
        return THESE_PEOPLE if estimate.of.people is not None else "undecided: one seed"
    if estimate.low <= 0 <= estimate.high:
        return "undecided: it may be chance"
    return "undecided: among so many comparisons it may be chance"


def whom(people: int | None) -> str:
    """For whom a statement holds that rests on so many people; on seeds alone, None."""
    if people is None:
        return "these people, other trainings"
    return "people in general" if people >= MIN_PEOPLE else THESE_PEOPLE


def reach_note(people: int, seeds: int) -> str:
    """Say how far statements reach that rest on so many people and seeds; pages begin with it."""
    if people < MIN_PEOPLE:
        return (
            f"These people only: {counted(people, 'test person', 'test people')} "
            f"{'is' if people == 1 else 'are'} too few to say anything of people in general (it takes {MIN_PEOPLE}). "
            "Differences are what was seen in them; nothing is called better or worse."
        )
    with_seeds = (
        f" and over the {seeds} seeds, paired by both" if seeds > 1 else ", paired; one seed, others may differ"
    )
    return (
        f"People in general: intervals are Student's over the {people} test people{with_seeds}, of the mean over "
        "people (of each the mean over his or her own actions). Better or worse is what stays so once corrected for "
        "the number of comparisons (Holm)."
    )


def relative_error(
    samples: Variations,
    variant: Variant,
    column: str = MEAN_OVER_PEOPLE,
    against: Variant = GENERALIST,
) -> Estimate:
    """By how many % a variant's error is above the generalist's, or another's.

    Args:
        samples: of one metric, with both among them.
        column: an action or a mean; of the means only that over people has an interval.
    """
    mine, theirs = (samples.averages[of][column].to_numpy() for of in (variant, against))
    return estimated(100 * (mine / theirs - 1), column, (samples, (variant, against)))


def difference(
    samples: Variations, variant: Variant, against: Variant = GENERALIST, column: str = MEAN_OVER_PEOPLE
) -> Estimate:
    """By how much a variant's error is above the generalist's, or another's, in the metric's unit."""
    rows = samples.averages[variant][column] - samples.averages[against][column]
    return estimated(rows.to_numpy(), column, (samples, (variant, against)))


def estimated(statistic: np.ndarray, column: str, *made_of: tuple[Variations, Iterable[Variant]]) -> Estimate:
    """Estimate a statistic that was computed row by row on the averages of some variants, in one column."""
    found = [table.uncertainty(statistic, column, variants) for table, variants in made_of]
    return Estimate(float(statistic[0]), min(found, key=lambda of: of.seeds))
