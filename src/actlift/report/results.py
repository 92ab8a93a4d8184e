"""A suite on disk, opened for reports: its studies with their scores, learning curves and costs.

======================  ==============================================================================================
``suite.json``          preset, scale, the studies' folders, the focus action, corpus digest, command, commit
``<study>/``            a study folder (see :mod:`actlift.study.experiment`), whose runs also hold a learning curve
``report.html``, ...    what :mod:`actlift.report.suite_page` or :mod:`actlift.report.labels_page` makes of it
======================  ==============================================================================================
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actlift.data.noise import kind_of
from actlift.errors import InputError, MissingInputError
from actlift.evaluation.scores import GENERALIST, MEAN_OVER_ACTIONS, Scores, Variant
from actlift.files import read_json
from actlift.report.words import counted
from actlift.study.about import About
from actlift.study.presets import SUITE_FORMAT
from actlift.study.upgrade import upgrade_study
from actlift.training.run import Run

EXPERTS, CONTROL = "experts", "random-experts"
ONE, ALL = "one expert", "all experts"  # whose cost is counted: that of an arm's mean network, or of all together
CURVE_COLUMNS = ("progress", "step", "seconds", "cpu_seconds", "action", "metric", "value")


KEYPOINTS_TOLD = {"exact": "exact keypoints", "independent": "independent noise", "detector": "detector noise"}


@dataclass(frozen=True)
class Cost:
    """What training took, as :class:`RunCost` has it: of one run, or the mean of several."""

    seconds: float
    cpu_seconds: float
    steps: float
    frames: float


@dataclass(frozen=True)
class RunCost:
    """What one training took, all its networks together, and what each network's part of it was.

    Attributes:
        run: folder, relative to the study's.
        variant, seed: as in the scores; what is told of the action costs nothing.
        seconds, cpu_seconds: of training, what it went on from included, evaluation not counted; CPU seconds are summed
            over threads.
        steps, frames: of each network by name: optimizer steps, different training frames.
        batch: windows of a step.
        begun: steps of the network that they all went on from.
    """

    run: str
    variant: Variant
    seed: int
    seconds: float
    cpu_seconds: float
    steps: Mapping[str, int]
    frames: Mapping[str, int]
    batch: int
    begun: int = 0

    @property
    def steps_total(self) -> int:
        """Optimizer steps of all networks, and of what they went on from."""
        return self.begun + sum(self.steps.values())

    def share(self, member: str) -> float:
        """The part of the cost that is one network's: its steps, and its part of what all went on from, of all steps.

        Networks train side by side."""
        return (self.steps[member] + self.begun / len(self.steps)) / self.steps_total

    def of(self, networks: str) -> Cost:
        """What was spent on :data:`ALL` networks, on :data:`ONE` on average, or on the one of this name."""
        part, frames = 1.0, float(sum(self.frames.values()))
        if networks == ONE:
            part, frames = 1 / len(self.steps), frames / len(self.frames)
        elif networks != ALL:
            part, frames = self.share(networks), float(self.frames[networks])
        return Cost(part * self.seconds, part * self.cpu_seconds, part * self.steps_total, frames)


@dataclass(frozen=True, eq=False)
class StudyResults:
    """One study of a suite.

    Attributes:
        name: "27f", or "27f-1900-800" (frames, steps) where budgets match in frames.
        folder: the study's.
        about: its study.json.
        arms: what it says of its arms, by name.
        scores: of all variants and seeds, poses as they are.
        smoothed: of the same, smoothed; without rows where a study was scored before there was smoothing.
        curves: run, variant, seed, then :data:`CURVE_COLUMNS`: errors on the test people along training, which
            choose nothing.
        costs: one for each run.
    """

    name: str
    folder: Path
    about: Mapping[str, Any]
    arms: Mapping[str, About]
    scores: Scores
    smoothed: Scores
    curves: pd.DataFrame
    costs: tuple[RunCost, ...]

    @classmethod
    def open(cls, name: str, folder: Path) -> "StudyResults":
        """Open a finished study; one of an older format is brought to today's.

        Raises:
            MissingInputError: where the folder holds none.
            InputError: where it is of a later format, or not a study's.
        """
        upgrade_study(folder)
        for file in ("study.json", "scores.parquet"):
            if not (folder / file).is_file():
                raise MissingInputError(
                    f"{folder} holds no finished study: it has no {file}. `actlift study` makes one or goes on with it."
                )
        scores = Scores.read(folder / "scores.parquet")
        curves, costs = [], []
        for name_of_run, (variant, seed) in variants_of_runs(scores).items():
            run = Run.open(folder / name_of_run)
            curve = pd.DataFrame(_curve(run))
            curve["variant"] = pd.Series([variant] * len(curve), dtype=object)
            curves.append(curve.assign(run=name_of_run, seed=seed))
            costs.append(_cost(run, begun_from(run, variant, seed), name_of_run, variant, seed))
        columns = ["run", "variant", "seed", *CURVE_COLUMNS]
        kept = [curve[columns] for curve in curves if len(curve)]
        joined = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=columns)
        about = read_json(folder / "study.json")
        raw, smoothed = scores.by_smoothing()
        return cls(name, folder, about, read_arms(about), raw, smoothed, joined, tuple(costs))

    @property
    def title(self) -> str:
        """The study in a few words, its receptive field first: "27 frames, 1,800 steps, independent noise"."""
        frames = "" if self.frames is None else f", {self.frames:,} training frames"
        return f"{counted(self.receptive_field, 'frame')}{frames}, {self.steps:,} steps, {self.keypoints}"

    @property
    def keypoints(self) -> str:
        """What its 2D keypoints are, in two words: "detector noise"."""
        kind = kind_of(self.about["provenance"]["keypoints"])
        return KEYPOINTS_TOLD.get(kind, kind)

    @property
    def receptive_field(self) -> int:
        """Frames that one output sees."""
        return int(self.about["plan"]["network"]["receptive_field"])

    @property
    def steps(self) -> int:
        """Optimizer steps of the generalist."""
        return int(self.about["plan"]["budget"]["steps"])

    @property
    def frames(self) -> int | None:
        """Training frames of every network where budgets match in frames, else None."""
        frames = self.about["plan"]["frames"]
        return None if frames is None else int(frames)

    def costs_of(self, variant: Variant) -> tuple[RunCost, ...]:
        """The costs of a variant's runs, one for each seed, whatever it is told."""
        alike = (variant.arm, variant.matching)
        return tuple(cost for cost in self.costs if (cost.variant.arm, cost.variant.matching) == alike)

    def cost_at(self, variant: Variant, share: float = 1.0, *, networks: str = ALL) -> Cost:
        """What a share of a variant's training took, the mean over seeds.

        Before the end (1) seconds are those of the snapshots nearest to the share.

        Args:
            networks: which count, as for :meth:`RunCost.of`.

        Raises:
            KeyError: where there are no curves to take seconds before the end from.
        """
        costs = self.costs_of(variant)
        if share < 1:
            at = self._nearest(variant, share).groupby("run").first()
            costs = tuple(
                replace(cost, seconds=at["seconds"][cost.run], cpu_seconds=at["cpu_seconds"][cost.run])
                for cost in costs
            )
        mean = Cost(*np.mean([astuple(cost.of(networks)) for cost in costs], axis=0))
        return replace(mean, steps=share * mean.steps)

    def error_at(self, metric: str, variant: Variant, share: float = 1.0, *, action: str = MEAN_OVER_ACTIONS) -> float:
        """A variant's error at a share of its training, the mean over seeds, in reported units.

        At the end (1) it is that of the scores, before it that of the snapshots nearest to the share; NaN where there
        are no curves.
        """
        if share == 1:
            return float(self.scores.per_action(metric).T[variant][action])
        rows = self._nearest(variant, share)
        wanted = rows["metric"] == metric
        if action != MEAN_OVER_ACTIONS:
            wanted &= rows["action"] == action
        return float(rows.loc[wanted, "value"].mean())

    def _nearest(self, variant: Variant, share: float) -> pd.DataFrame:
        """The rows of a variant's curves at each run's snapshot nearest to a share of the training, or at both."""
        curves = self.curves[self.curves["variant"] == variant]
        away = (curves["progress"].astype(float) - share).abs()
        return curves[away == away.groupby(curves["run"]).transform("min")]


@dataclass(frozen=True, eq=False)
class Suite:
    """A suite folder, opened.

    Attributes:
        folder: where it lies.
        about: its suite.json.
        studies: in the order in which they were run.
    """

    folder: Path
    about: Mapping[str, Any]
    studies: tuple[StudyResults, ...]

    @classmethod
    def open(cls, folder: Path | str) -> "Suite":
        """Open a suite whose studies are all finished.

        Raises:
            MissingInputError: where the folder holds no suite, or a study of it is not finished.
            InputError: where suite.json is no suite's, or of another format.
        """
        folder = Path(folder)
        about = read_about(folder)
        studies = tuple(StudyResults.open(name, folder / where) for name, where in about["settings"].items())
        return cls(folder, about, studies)

    @property
    def preset(self) -> str:
        """ "fair", "paper", "action-oriented" or "action-aware"."""
        return str(self.about["preset"])

    @property
    def of_first_corpus(self) -> tuple[StudyResults, ...]:
        """Its studies without those of other keypoints that it was also run on."""
        digest = self.about["digest"]
        return tuple(study for study in self.studies if study.about["fixed"]["corpus"] == digest)

    @property
    def focus(self) -> str:
        """The action that tables of one action show."""
        return str(self.about["focus"])


def read_about(folder: Path) -> dict[str, Any]:
    """The suite.json of a folder.

    Raises:
        MissingInputError: where it holds no suite.
        InputError: where suite.json is no suite's, or of another format.
    """
    path = folder / "suite.json"
    if not path.is_file():
        raise MissingInputError(f"{folder} holds no suite: it has no suite.json; `actlift study --preset` makes one")
    about = read_json(path)
    if (
        not isinstance(about, dict)
        or about.get("format") != SUITE_FORMAT
        or not isinstance(about.get("settings"), dict)
    ):
        raise InputError(
            f"{path} describes no suite of format {SUITE_FORMAT}: was it made by another version of actlift?"
        )
    return about


def read_arms(study: Mapping[str, Any]) -> dict[str, About]:
    """What a study.json says of its arms, by name."""
    return {name: About.read(about) for name, about in study["arms"].items()}


def is_experts(variant: Variant) -> bool:
    """Whether these are experts of the actions, each told the truth: what the paper speaks of."""
    return variant.arm == EXPERTS and variant.label in ("", "oracle") and not variant.mixture


def is_main(variant: Variant) -> bool:
    """Whether this is what the paper's tables have: the generalist or experts of the actions."""
    return variant == GENERALIST or is_experts(variant)


def controls_of(variant: Variant, arms: Mapping[str, About], known: Iterable[Variant]) -> list[Variant]:
    """The controls of a variant among those known: of the same cost in use, matched and smoothed alike."""
    about = arms.get(variant.arm)
    if about is None:
        return []
    names = about.mixture_controls if variant.mixture else about.controls
    return [
        v
        for v in known
        if v.arm in names and v.matching in ("", variant.matching) and v.smoothed == variant.smoothed and not v.mixture
    ]


def variants_of_runs(scores: Scores) -> dict[str, tuple[Variant, int]]:
    """The variant and seed of every run, in the order of the table; of variants that share a run, the first.

    Baselines have none."""
    first = scores.table[scores.table["run"] != ""].drop_duplicates("run").set_index("run")
    columns = [field.name for field in fields(Variant)]
    return {
        str(run): (Variant(**{name: row[name] for name in columns}), int(row["seed"])) for run, row in first.iterrows()
    }


def begun_from(run: Run, variant: Variant, seed: int) -> list[Run]:
    """The trainings that a run of a study went on from; none where it began with nothing learnt."""
    return [Run.open(at) for at in sorted(run.folder.parent.glob(f"*-for-{variant.arm}-seed{seed}"))]


def steps_of(run: Run) -> int:
    """Optimizer steps of all networks of a run together."""
    return sum(int(member["steps"]) for member in run.config["identity"]["members"].values())


def _curve(run: Run) -> list[dict[str, Any]]:
    return [
        {**{key: point[key] for key in CURVE_COLUMNS[:4]}, **measured}
        for point in run.curve()
        for measured in point["measured"]
    ]


def _cost(run: Run, begun: Sequence[Run], name: str, variant: Variant, seed: int) -> RunCost:
    logs = [of.log() for of in (run, *begun)]
    members = run.config["identity"]["members"]
    return RunCost(
        run=name,
        variant=variant,
        seed=seed,
        seconds=sum(float(log["seconds"].max()) for log in logs),
        cpu_seconds=sum(float(log["cpu_seconds"].max()) for log in logs),
        steps={member: int(entry["steps"]) for member, entry in members.items()},
        frames={member: int(entry["frames"]) for member, entry in members.items()},
        batch=int(run.config["identity"]["batch"]),
        begun=sum(map(steps_of, begun)),
    )
