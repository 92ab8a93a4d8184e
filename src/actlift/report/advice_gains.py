"""What choices gain over the generalist, action by action, and how sure that is.

Every action asks the same question of a handful of clips, so that some would seem to gain by luck. A gain is therefore
held against three of Student's intervals, and the widest counts: over clips, on the standard error of the paired
bootstrap (`Scores.bootstrap`) freed of its bias for few clips (Hesterberg 2015, "What Teachers Should Know About the
Bootstrap", section 3.2); over seeds, as :mod:`actlift.report.claims` has it; and over both (Welch and Satterthwaite),
which by itself is too sure where one of the two happens to spread little. Of the gains of one choice that are called
sure, over all actions at one budget and in one error, a share of FALSE is false at most on average, and likewise of its
losses (one-sided tests; Benjamini and Hochberg 1995). What claims would leave undecided is never sure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from actlift.errors import InputError
from actlift.evaluation.scores import (
    GENERALIST,
    BootstrapSamples,
    Scores,
    Variant,
    percentile_interval,
    seed_margin,
)
from actlift.report.advice_studies import Choice, Point, choices_of
from actlift.report.estimate import Estimate

TINY = 1e-24  # %², below any variance
FALSE = 0.05  # of gains called sure, how many may be chance


@dataclass(frozen=True, eq=False)
class SeenBudget:
    """A studied budget: the variant of each choice, bootstrap samples and spreads over seeds of each error."""

    variants: Mapping[Choice, Variant]
    samples: Mapping[str, BootstrapSamples]
    spreads: Mapping[str, pd.DataFrame]

    @classmethod
    def of(cls, scores: Scores, metrics: Sequence[str]) -> "SeenBudget":
        """Draw bootstrap samples of the generalist and of every choice."""
        variants = choices_of(scores)
        samples = {metric: scores.bootstrap(metric, [GENERALIST, *variants.values()]) for metric in metrics}
        return cls(variants, samples, {metric: scores.seed_spread(metric) for metric in metrics})


def common_choices(seen: Mapping[Point, SeenBudget], points: Iterable[Point]) -> list[Choice]:
    """The choices that all of these budgets have."""
    first, *others = points
    return [choice for choice in seen[first].variants if all(choice in seen[p].variants for p in others)]


def gain_samples(
    seen: Mapping[Point, SeenBudget], weights: Mapping[Point, float], metric: str, choice: Choice
) -> pd.DataFrame:
    """Interpolate gains in %, (1 + n) rows of which the first is the data itself; columns actions and means."""
    parts = []
    for point, weight in weights.items():
        averages = seen[point].samples[metric].averages
        parts.append(100 * weight * (1 - averages[seen[point].variants[choice]] / averages[GENERALIST]))
    frames = [seen[point].samples[metric].frames for point in weights]
    if not all(frames[0].equals(other) for other in frames[1:]):
        raise InputError("the studies were not scored on the same clips: ask for advice on each")
    total: pd.DataFrame = sum(parts[1:], parts[0])
    return total


def gains_at(seen: Mapping[Point, SeenBudget], at: Point, weights: Mapping[Point, float], metric: str) -> pd.DataFrame:
    """Make the rows of `Advice.gains` at a budget."""
    from scipy.stats import false_discovery_control

    parts = []
    for choice in common_choices(seen, weights):
        samples = gain_samples(seen, weights, metric, choice)
        spreads, seeds = [], []
        for point, weight in weights.items():
            theirs = seen[point].samples[metric].averages[GENERALIST].loc[0]
            for variant in (seen[point].variants[choice], GENERALIST):
                row = seen[point].spreads[metric].T[variant]
                spreads.append(100 * weight * row[samples.columns] / theirs)
                seeds.append(int(row["seeds"]))
        first = seen[next(iter(weights))]
        clips = first.samples[metric].frames.groupby(level="action").size()
        table = _estimated(samples, np.stack(spreads), seeds, clips.reindex(samples.columns))
        labels, of = choice
        table["choice"] = pd.Series([of] * len(table), dtype=object)
        table["variant"] = pd.Series([first.variants[choice]] * len(table), dtype=object)
        parts.append(table.assign(labels=labels, seeds=min(seeds)))
    gains = pd.concat(parts, ignore_index=True)
    for _, family in gains[gains["p"].notna()].groupby(["labels", "choice"]):
        for of_gains in (True, False):
            own = (family["gain"] > 0) == of_gains
            adjusted = false_discovery_control(family["p"].where(own, 1 - family["p"]))
            gains.loc[family.index[own], "q"] = adjusted[own]
    sure = ((gains["least"] > 0) | (gains["most"] < 0)) & ~(gains["q"] > FALSE)
    gains["sign"] = gains["claimed"].where(sure, 0)
    gains["at"] = pd.Series([at] * len(gains), dtype=object)
    return gains.drop(columns="claimed").assign(metric=metric)


def _estimated(
    samples: pd.DataFrame, spreads: Float[np.ndarray, "means columns"], seeds: Sequence[int], clips: pd.Series
) -> pd.DataFrame:
    """Estimate gains with what is known of how sure they are.

    Args:
        samples: see `gain_samples`.
        spreads, seeds: standard deviations over seeds of the means that the gains are made of, and numbers of seeds.
        clips: of the actions, NaN for means.
    """
    from scipy.stats import t

    gain, n = samples.loc[0].to_numpy(), clips.to_numpy(float)
    low, high = percentile_interval(samples.to_numpy())
    margins = [seed_margin(column, seeds) for column in spreads.T.tolist()]
    with np.errstate(invalid="ignore", divide="ignore"):
        of_clips = samples.iloc[1:].var(ddof=1).to_numpy() * n / (n - 1) + TINY  # equal arms: surely no gain
        of_seeds = np.zeros(len(gain))
        sources: list[tuple[np.ndarray, Any]] = [(of_clips, n - 1)]
        if min(seeds) > 1:
            of_seeds, freedom = (spreads**2 / np.array(seeds)[:, None]).sum(axis=0) + TINY, sum(seeds) - len(seeds)
            both = (of_clips + of_seeds) ** 2 / (of_clips**2 / (n - 1) + of_seeds**2 / freedom)
            sources += [(of_seeds, freedom), (of_clips + of_seeds, both)]
        reach = np.max(np.stack([t.ppf(0.975, free) * np.sqrt(variance) for variance, free in sources]), axis=0)
        p = np.max(np.stack([t.sf(np.abs(gain) / np.sqrt(variance), free) for variance, free in sources]), axis=0)
    claimed = [Estimate(*values).sign for values in zip(gain, low, high, margins, strict=True)]
    mean = clips.isna().to_numpy()
    return pd.DataFrame(
        {
            "action": samples.columns,
            "clips": np.where(mean, np.nansum(n), n).astype(int),
            "gain": gain,
            "low": low,
            "high": high,
            "seed_margin": margins,
            "least": np.where(mean, low, gain - reach),
            "most": np.where(mean, high, gain + reach),
            "p": p,
            "q": np.nan,
            "by_seeds": of_seeds > of_clips,
            "claimed": claimed,
        }
    )
