"""An effect with its interval and what other seeds may do to it, from a bootstrap over clips or from seeds alone.

An effect is decided only where its interval leaves out 0 and, with several seeds, it also exceeds what seeds explain
(`seed_margin`, brought to the effect's unit by the delta method).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from actlift.evaluation.scores import (
    GENERALIST,
    MEAN_OVER_ACTIONS,
    BootstrapSamples,
    Variant,
    percentile_interval,
    seed_margin,
)
from actlift.report.tables import MINUS


@dataclass(frozen=True)
class Estimate:
    """An effect, its 95 % interval, and how far other seeds alone may move it, in one unit; NaN where unknown."""

    effect: float
    low: float
    high: float
    seed_margin: float

    @classmethod
    def from_samples(cls, samples: np.ndarray, spreads: Iterable[float], seeds: Iterable[int]) -> "Estimate":
        """Estimate an effect from a statistic's bootstrap samples, of which the first is the data itself.

        Args:
            samples: (1 + n,) the statistic.
            spreads, seeds: of each mean that it is made of, the standard deviation over seeds as it moves the
                statistic, and how many seeds there are.
        """
        low, high = percentile_interval(samples)
        return cls(float(samples[0]), float(low), float(high), seed_margin(spreads, seeds))

    @classmethod
    def from_seeds(cls, mine: Sequence[float], theirs: Sequence[float], resolution: float = 0.0) -> "Estimate":
        """Estimate a difference of two means over seeds: a t interval, widened by what each way cannot be resolved."""
        effect = float(np.mean(mine) - np.mean(theirs))
        margin = seed_margin([pd.Series(values).std() for values in (mine, theirs)], [len(mine), len(theirs)])
        return cls(effect, effect - margin - resolution, effect + margin + resolution, margin)

    @property
    def sign(self) -> int:
        """-1 or 1 for an effect that is decided, else 0."""
        return 0 if self.doubt else int(np.sign(self.effect))

    @property
    def doubt(self) -> str:
        """Why the effect is not decided; "" where it is."""
        if math.isnan(self.low):
            return "undecided: too few clips or seeds for an interval"
        if self.low <= 0 <= self.high:
            return "undecided: it may be chance"
        return "undecided: other seeds may undo it" if abs(self.effect) < self.seed_margin else ""

    def minus(self, amount: float) -> "Estimate":
        """Move effect and interval down by an amount."""
        return Estimate(self.effect - amount, self.low - amount, self.high - amount, self.seed_margin)

    def signed(self, unit: str = "") -> tuple[str, str, str]:
        """Effect and interval, such as "−3.1 %": with two decimals where all are below 1, else with one.

        An end just below 0 is "−0.0", so that [−0.0, +5.9] is seen to hold 0.
        """
        values = (self.effect, self.low, self.high)
        decimals = 2 if max(map(abs, values)) < 1 else 1
        effect, low, high = (f"{value:+.{decimals}f} {unit}".rstrip().replace("-", MINUS) for value in values)
        return effect, low, high

    def printed(self, unit: str = "%") -> tuple[str, str]:
        """The effect with its unit, and its interval in brackets; nothing where there is no effect.

        Such as "+6.1 %" and "[+5.1, +7.2]"; the first does not break before its unit.
        """
        if math.isnan(self.effect):
            return "", ""
        effect, low, high = self.signed()
        within = "no interval" if math.isnan(self.low) else f"{low}, {high}"
        return effect + (unit and f"\N{NO-BREAK SPACE}{unit}"), f"[{within}]"


UNKNOWN = Estimate(math.nan, math.nan, math.nan, math.nan)


def relative_error(
    samples: BootstrapSamples,
    spread: pd.DataFrame,
    variant: Variant,
    column: str = MEAN_OVER_ACTIONS,
    against: Variant = GENERALIST,
) -> Estimate:
    """By how many % a variant's error is above the generalist's, or another's.

    Args:
        samples, spread: of one metric, as from `Scores.bootstrap` and `Scores.seed_spread`, with both among them.
        column: an action or a mean.
    """
    mine, theirs = (samples.averages[of][column].to_numpy() for of in (variant, against))
    of_both = spread.loc[[variant, against]]
    return Estimate.from_samples(100 * (mine / theirs - 1), 100 * of_both[column] / theirs[0], of_both["seeds"])
