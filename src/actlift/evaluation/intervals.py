"""How sure an average over people and seeds is: Student's intervals over both, correction for many looks, and power.

People are the unit that counts: clips of one person are no evidence about others. A statistic of averages is computed
once on the data and once for each person and each seed, with a little of that one's deviation added to every average;
what the statistic then moves by is that one's part of its standard error (the infinitesimal jackknife: Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, section 21.3), which pairs arms by person and by seed. Where every
person weighs alike this is Student's t over people, whose error rate of 5 % holds however unequally people's clips
scatter (Ibragimov and Müller, "t-Statistic Based Correlation and Heterogeneity Robust Inference", JBES 2010).

Three intervals are made, over people, over seeds, and over both (Welch and Satterthwaite), and the widest counts: the
last by itself is too narrow where two seeds happen to agree. ``benchmarks/coverage.py`` compares it with others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MIN_PEOPLE = 4
"""Fewer tell nothing of people in general: with three, Student's interval is 4.3 standard errors wide either way."""
LEVEL = 0.05
STEP = 1e-4  # of a person's or seed's deviation: small, so that a statistic moves in proportion


@dataclass(frozen=True)
class Uncertainty:
    """How far other people and other seeds may move an effect, in its unit.

    Attributes:
        people: how many it rests on; fewer than :data:`MIN_PEOPLE` give no interval. None for what is asked of other
            seeds alone.
        of_people: its standard error over people.
        freedom: degrees of freedom of that: people less one where they weigh alike, else fewer.
        seeds: how many; with one, seeds have no part in it.
        of_seeds: its standard error over seeds.
    """

    people: int | None
    of_people: float
    freedom: float
    seeds: int = 1
    of_seeds: float = 0.0

    @classmethod
    def over_seeds(cls, error: float, seeds: int) -> "Uncertainty":
        """Ask how far other seeds alone may move an effect, on the same people."""
        return cls(None, math.nan, math.nan, seeds, error)

    @property
    def known(self) -> bool:
        """Whether there are people enough to say something of people in general (or seeds, of other seeds)."""
        return self.seeds > 1 if self.people is None else self.people >= MIN_PEOPLE

    def reach(self) -> float:
        """Half the width of the 95 % interval; NaN where unknown."""
        from scipy.stats import t

        return max((t.ppf(1 - LEVEL / 2, free) * error for error, free in self._sources()), default=math.nan)

    def p(self, effect: float) -> float:
        """The two-sided p-value of an effect; 1 for no effect, NaN where unknown."""
        from scipy.stats import t

        if effect == 0 and self.known:
            return 1.0
        tails = (t.sf(abs(effect) / error, free) if error else 0.0 for error, free in self._sources())
        return 2 * float(max(tails, default=math.nan))

    def _sources(self) -> list[tuple[float, float]]:
        """Standard errors and degrees of freedom over people, over seeds and over both."""
        if not self.known:
            return []
        if self.people is None:
            return [(self.of_seeds, self.seeds - 1.0)]
        found = [(self.of_people, self.freedom)]
        if self.seeds > 1:
            people, seeds = self.of_people**2, self.of_seeds**2
            parts = people**2 / self.freedom + seeds**2 / (self.seeds - 1)
            found += [(self.of_seeds, self.seeds - 1.0)]
            found += [(math.sqrt(people + seeds), (people + seeds) ** 2 / parts)] if parts else []
        return found


def parts_of(
    values: Float[np.ndarray, "n *columns"], weights: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n *columns"]:
    """Each one's part of the standard error of a weighted mean: the square root of the sum of their squares is it.

    Args:
        values: of every person (or seed); with equal weights the squares sum to the variance over n.
        weights: above 0, of sum 1. Residuals are divided by what weighing takes from them (Bell and McCaffrey, "Bias
            Reduction in Standard Errors for Linear Regression with Multi-Stage Samples", Survey Methodology 2002).
    """
    residuals = values - np.tensordot(weights, values, axes=1)
    scale = weights / np.sqrt(1 - 2 * weights + (weights**2).sum())
    scaled: np.ndarray = residuals * scale.reshape(-1, *[1] * (values.ndim - 1))
    return scaled


def freedom_of(weights: Float[np.ndarray, " n"]) -> float:
    """Degrees of freedom of that standard error: n - 1 for equal weights, else fewer (Bell and McCaffrey 2002)."""
    if len(weights) < 2:
        return math.nan
    parts = parts_of(np.eye(len(weights)), weights)
    gram = parts @ parts.T
    return float(np.trace(gram) ** 2 / (gram**2).sum())


def holm(p: Sequence[float] | Float[np.ndarray, " n"]) -> np.ndarray:
    """Adjust p-values for their number: what is then at most 5 % errs anywhere among them in 5 % of cases at most.

    NaN is no test and stays. Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    adjusted = np.array(p, float)
    tested = np.flatnonzero(~np.isnan(adjusted))
    order = tested[np.argsort(adjusted[tested], kind="stable")]
    raised = adjusted[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return adjusted


def people_needed(effect: float, spread: float, power: float = 0.8) -> int:
    """How many people it takes for an effect to be seen (95 % interval without 0) with the given probability.

    Args:
        effect: the true one, not 0.
        spread: standard deviation of single people's effects, in the same unit; seeds are taken as many.

    Returns:
        At least :data:`MIN_PEOPLE`; the test is t over people, its power exact (noncentral t).
    """
    from scipy.stats import nct, norm, t

    def seen(people: int) -> float:
        shift, reach = abs(effect) / spread * math.sqrt(people), t.ppf(1 - LEVEL / 2, people - 1)
        return float(nct.sf(reach, people - 1, shift) + nct.cdf(-reach, people - 1, shift))

    if spread == 0:
        return MIN_PEOPLE
    many = ((norm.ppf(1 - LEVEL / 2) + norm.ppf(power)) * spread / abs(effect)) ** 2  # never more than it takes
    people = max(MIN_PEOPLE, math.ceil(min(many, 1e9)))
    while seen(people) < power:
        people += 1
    return people
