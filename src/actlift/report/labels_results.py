"""What being told the action is worth in one study with labels (see :mod:`actlift.study.labels`), opened for reports.

A network that is told the action stands under every label side by side, and nowhere alone under the true one, which
nobody has in use (oracle). What a user gets is the better of two ways that can be had: the network told the recognized
action, and the mixture that checks it. Differences are to the generalist, as in :mod:`actlift.report.claims`, or to the
unconditioned network that was trained alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actlift.errors import MissingInputError
from actlift.evaluation.scores import ALL_JOINTS, GENERALIST, MEAN_OVER_PEOPLE, Scores, Variant, Variations
from actlift.files import read_json
from actlift.report.estimate import Estimate, relative_error
from actlift.report.results import StudyResults, variants_of_runs

SHOWN = ("mpjpe", "n_mpjpe", "mpjve")
TOLD = {
    "oracle": "the true action (oracle)",
    "predicted": "the recognized action",
    "coupled": "the action recognized again in the lifted poses",
    "coupled_twice": "the action recognized in the lifted poses for the second time",
    "none": "nothing",
    "wrong_random": "a wrong action, at random",
    "wrong_worst": "the wrong action that hurts most",
}
CONTROLS = {"random": "a random part (control)", "cluster": "the cluster of the pose (control)"}
UNKNOWN_ACTION = "unknown"  # the label of by_label.parquet that is none


@dataclass(frozen=True, eq=False)
class LabeledStudy:
    """A study with labels.

    Attributes:
        study: the study.
        variants: all that is shown: the generalist, every arm that takes labels under each of them, then those that
            take none.
        samples: of the metrics that are shown.
        by_label: by network, MPJPE in mm, mean over seeds: rows the true actions, columns the actions told and
            "unknown".
        notes: by network, the labels.json of every seed.
    """

    study: StudyResults
    variants: tuple[Variant, ...]
    samples: Mapping[str, Variations]
    by_label: Mapping[Variant, pd.DataFrame]
    notes: Mapping[Variant, Sequence[Mapping[str, Any]]]

    @classmethod
    def open(cls, study: StudyResults) -> "LabeledStudy":
        """Open a study's labels.

        Raises:
            MissingInputError: where the study has none.
            InputError: where variants were not scored on the same clips.
        """
        folder = study.folder
        if not (folder / "labels.parquet").is_file():
            raise MissingInputError(
                f"{folder} holds no labels: it has no labels.parquet. `actlift study --labels all` scores them."
            )
        labels = Scores.read(folder / "labels.parquet")
        known = {*labels.variants, *(replace(v, label="") for v in labels.variants if v.label == "oracle")}
        others = study.scores.of(*(v for v in study.scores.variants if v not in known))
        table = Scores.concat([labels, others]).table
        scores = Scores(table[table["metric"].isin(SHOWN) & (table["joint"] == ALL_JOINTS)])
        runs: dict[Variant, list[Path]] = {}
        for run, (variant, _) in variants_of_runs(labels).items():
            if variant != GENERALIST:
                runs.setdefault(network_of(variant), []).append(folder / run)
        return cls(
            study,
            scores.variants,
            {metric: scores.variations(metric, scores.variants) for metric in SHOWN},
            {network: _errors_by_label(of_network) for network, of_network in runs.items()},
            {network: [read_json(run / "labels.json") for run in of_network] for network, of_network in runs.items()},
        )

    def error(self, metric: str, variant: Variant, column: str = MEAN_OVER_PEOPLE) -> float:
        """The mean over seeds, in the metric's unit."""
        return float(self.samples[metric].averages[variant][column].iloc[0])

    def relative(
        self, metric: str, variant: Variant, column: str = MEAN_OVER_PEOPLE, against: Variant = GENERALIST
    ) -> Estimate:
        """By how many % the variant's error is above another's."""
        return relative_error(self.samples[metric], variant, column, against)

    def rival(self, variant: Variant) -> Variant:
        """The unconditioned variant that another is held against, trained alike; the generalist where there is none."""
        about = self.study.arms[variant.arm]
        alike = Variant(about.against, mixture=variant.mixture and about.mixtures_alike)
        return alike if alike in self.variants else GENERALIST

    def gain(self, metric: str, column: str = MEAN_OVER_PEOPLE) -> Estimate:
        """By how many % the usable variant's error is above its rival's."""
        return self.relative(metric, self.usable, column, self.rival(self.usable))

    @property
    def people(self) -> int:
        """How many were tested."""
        return int(self.samples["mpjpe"].people[MEAN_OVER_PEOPLE])

    @property
    def usable(self) -> Variant:
        """Of the variants that are told the recognized action, the one with the lowest MPJPE."""
        return min((v for v in self.variants if v.label == "predicted"), key=lambda v: self.error("mpjpe", v))

    @property
    def actions(self) -> dict[str, Estimate]:
        """What the usable variant does to every action's MPJPE."""
        return {
            action: self.gain("mpjpe", action)
            for action in map(str, self.samples["mpjpe"].frames.index.unique("action"))
        }

    @property
    def unconditioned(self) -> set[str]:
        """The arms that others are held against."""
        return {GENERALIST.arm, *(about.against for about in self.study.arms.values())}

    def confusion(self, network: Variant) -> pd.DataFrame:
        """How often true actions (rows, those of the test people) are taken for others, mean over seeds."""
        actions = self.notes[network][0]["actions"]
        shares = np.mean([notes["recognized"]["confusion"] for notes in self.notes[network]], axis=0, dtype=float)
        return pd.DataFrame(shares, actions, actions).loc[self.by_label[network].index]

    def named(self, variant: Variant) -> tuple[str, str]:
        """Name a variant's network, and what it is told: "conditioned, mixture", "the recognized action"."""
        told = TOLD.get(variant.label) or CONTROLS.get(self.study.arms[variant.arm].partition, "")
        return str(replace(variant, label="")), told

    def words(self, variant: Variant) -> str:
        """Name a variant in one: "random-conditioned, told a random part (control)"."""
        return ", told ".join(filter(None, self.named(variant)))


def network_of(variant: Variant) -> Variant:
    """The networks by themselves, neither told anything nor mixed."""
    return Variant(variant.arm, variant.matching)


def _errors_by_label(runs: Sequence[Path]) -> pd.DataFrame:
    """MPJPE of every true action (rows) told every action or none (columns), mean over the runs' seeds."""
    tables = [Scores.read(run / "by_label.parquet").table for run in runs]
    kept = [table[(table["metric"] == "mpjpe") & (table["joint"] == ALL_JOINTS)] for table in tables]
    scores = Scores(pd.concat(kept))
    errors = scores.per_action("mpjpe")[list(scores.actions)]
    return errors.set_axis([told.arm for told in errors.index], axis="index").T
