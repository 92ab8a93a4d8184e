"""What choices gain over the generalist, action by action, and how sure that is.

A gain of an action has an interval over the people who do it and over seeds (:mod:`actlift.evaluation.intervals`), the
mean over people one over everybody; actions that fewer than `MIN_PEOPLE` do have none. Every action asks the same
question of a handful of people, so that some would seem to gain by luck: the p-values of all actions are corrected for
their number (Holm), for one choice at one budget in one error. Where nothing is to be gained, any gain is then called
sure in at most 5 % of studies.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from actlift.errors import InputError
from actlift.evaluation.intervals import LEVEL, holm
from actlift.evaluation.scores import GENERALIST, MEANS, Scores, Variant, Variations, aligned
from actlift.report.advice_studies import Choice, Point, choices_of
from actlift.report.estimate import Estimate, estimated


@dataclass(frozen=True, eq=False)
class SeenBudget:
    """A studied budget: the variant of each choice, and by error what people and seeds do to it."""

    variants: Mapping[Choice, Variant]
    samples: Mapping[str, Variations]


def seen_budgets(scores: Mapping[Point, Scores], metrics: Sequence[str]) -> dict[Point, SeenBudget]:
    """Vary people and seeds of the generalist and of every choice, at every budget.

    Raises:
        InputError: where the studies were not scored on the same clips.
    """
    variants = {point: choices_of(of) for point, of in scores.items()}
    samples: dict[str, dict[Point, Variations]] = {}
    for metric in metrics:
        tables = [of.variations(metric, [GENERALIST, *variants[point].values()]) for point, of in scores.items()]
        if not all(tables[0].frames.equals(other.frames) for other in tables[1:]):
            raise InputError("the studies were not scored on the same clips: ask for advice on each")
        samples[metric] = dict(zip(scores, aligned(tables), strict=True))
    return {
        point: SeenBudget(variants[point], {metric: samples[metric][point] for metric in metrics}) for point in scores
    }


def common_choices(seen: Mapping[Point, SeenBudget], points: Iterable[Point]) -> list[Choice]:
    """The choices that all of these budgets have."""
    first, *others = points
    return [choice for choice in seen[first].variants if all(choice in seen[p].variants for p in others)]


@dataclass(frozen=True, eq=False)
class Gains:
    """Gains of a choice in %, as rows of `Variations` (columns the actions and means), and what they are made of."""

    rows: pd.DataFrame
    made_of: Sequence[tuple[Variations, Sequence[Variant]]]

    @classmethod
    def of(
        cls, seen: Mapping[Point, SeenBudget], weights: Mapping[Point, float], metric: str, choice: Choice
    ) -> "Gains":
        """Interpolate between budgets, row by row."""
        parts, made_of = [], []
        for point, weight in weights.items():
            samples, variant = seen[point].samples[metric], seen[point].variants[choice]
            parts.append(100 * weight * (1 - samples.averages[variant] / samples.averages[GENERALIST]))
            made_of.append((samples, (variant, GENERALIST)))
        total: pd.DataFrame = sum(parts[1:], parts[0])
        return cls(total, made_of)

    def estimate(self, column: str) -> Estimate:
        """The gain in an action or mean."""
        return estimated(self.rows[column].to_numpy(), column, *self.made_of)


def gains_at(seen: Mapping[Point, SeenBudget], at: Point, weights: Mapping[Point, float], metric: str) -> pd.DataFrame:
    """Make the rows of `Advice.gains` at a budget."""
    parts = []
    for choice in common_choices(seen, weights):
        gains = Gains.of(seen, weights, metric, choice)
        estimates = {str(column): gains.estimate(str(column)) for column in gains.rows}
        table = pd.DataFrame(
            {
                "action": list(estimates),
                "people": [of.of.people for of in estimates.values()],
                "seeds": [of.of.seeds for of in estimates.values()],
                "gain": [of.effect for of in estimates.values()],
                "low": [of.low for of in estimates.values()],
                "high": [of.high for of in estimates.values()],
                "p": [of.p for of in estimates.values()],
                "by_seeds": [of.of.known and of.of.of_seeds > of.of.of_people for of in estimates.values()],
            }
        )
        single = ~table["action"].isin(MEANS)
        table["adjusted"] = table["p"]
        table.loc[single, "adjusted"] = holm(table.loc[single, "p"].to_list())
        table["sign"] = [
            of.direction if p <= LEVEL else 0 for of, p in zip(estimates.values(), table["adjusted"], strict=True)
        ]
        labels, of_choice = choice
        table["choice"] = pd.Series([of_choice] * len(table), dtype=object)
        table["variant"] = pd.Series([seen[next(iter(weights))].variants[choice]] * len(table), dtype=object)
        parts.append(table.assign(labels=labels))
    found = pd.concat(parts, ignore_index=True)
    found["at"] = pd.Series([at] * len(found), dtype=object)
    return found.assign(metric=metric)
