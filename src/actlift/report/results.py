"""A suite on disk, opened for reports: its studies ("settings") with their scores, learning curves and costs.

======================  ==============================================================================================
``suite.json``          preset, scale, the settings' folders, the focus action, corpus digest, command, commit
``<setting>/``          a study folder (see :mod:`actlift.study.experiment`), whose runs also hold a learning curve
``report.html``, ...    what :mod:`actlift.report.suite_page` or :mod:`actlift.report.labels_page` makes of it
======================  ==============================================================================================
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actlift.errors import InputError, MissingInputError
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, Scores
from actlift.files import read_json
from actlift.study.presets import SUITE_FORMAT
from actlift.training.run import Run

ONE, ALL = "one expert", "all experts"  # whose cost is counted: that of an arm's mean network, or of all together
CURVE_COLUMNS = ("progress", "step", "seconds", "cpu_seconds", "action", "metric", "value")


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
        arm, seed: as in the scores.
        seconds, cpu_seconds: of training, evaluation not counted; CPU seconds are summed over threads.
        steps, frames: of each network by name: optimizer steps, different training frames.
        batch: windows of a step.
    """

    run: str
    arm: str
    seed: int
    seconds: float
    cpu_seconds: float
    steps: Mapping[str, int]
    frames: Mapping[str, int]
    batch: int

    @property
    def steps_total(self) -> int:
        return sum(self.steps.values())

    def share(self, member: str) -> float:
        """The part of the cost that is one network's: its steps of all steps (networks train side by side)."""
        return self.steps[member] / self.steps_total

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
        name: "27f", or "27f-1900-800" (frames, steps) under the equality of frames.
        folder: the study's.
        study: its study.json.
        scores: of all arms and seeds.
        curves: run, arm, seed, then :data:`CURVE_COLUMNS`: errors on the test people along training, which
            choose nothing.
        costs: one for each run.
    """

    name: str
    folder: Path
    study: Mapping[str, Any]
    scores: Scores
    curves: pd.DataFrame
    costs: tuple[RunCost, ...]

    @classmethod
    def open(cls, name: str, folder: Path) -> "StudyResults":
        """Open a finished study.

        Raises:
            FileNotFoundError: where the folder holds none.
        """
        for file in ("study.json", "scores.parquet"):
            if not (folder / file).is_file():
                raise MissingInputError(
                    f"{folder} holds no finished study: it has no {file}. `actlift study` goes on with it."
                )
        scores = Scores.read(folder / "scores.parquet")
        of_run = scores.table.groupby("run", sort=False)[["arm", "seed"]].first()
        curves, costs = [], []
        for name_of_run, arm, seed in of_run.itertuples():
            run = Run.open(folder / str(name_of_run))
            curve = pd.DataFrame(_curve(run))
            curves.append(curve.assign(run=name_of_run, arm=arm, seed=seed))
            costs.append(_cost(run, str(name_of_run), str(arm), int(seed)))
        columns = ["run", "arm", "seed", *CURVE_COLUMNS]
        kept = [curve[columns] for curve in curves if len(curve)]
        joined = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=columns)
        return cls(name, folder, read_json(folder / "study.json"), scores, joined, tuple(costs))

    @property
    def receptive_field(self) -> int:
        """Frames that one output sees."""
        return int(self.study["plan"]["network"]["receptive_field"])

    @property
    def steps(self) -> int:
        """Optimizer steps of the generalist."""
        return int(self.study["plan"]["budget"]["steps"])

    @property
    def frames(self) -> int | None:
        """Training frames of every network under the equality of frames, else None."""
        frames = self.study["plan"]["frames"]
        return None if frames is None else int(frames)

    def costs_of(self, arm: str) -> tuple[RunCost, ...]:
        """The costs of an arm's runs, one for each seed."""
        return tuple(cost for cost in self.costs if cost.arm == arm)

    def cost_at(self, arm: str, share: float = 1.0, *, networks: str = ALL) -> Cost:
        """What a share of an arm's training took, the mean over seeds.

        Before the end (1) seconds are those of the snapshots nearest to the share.

        Args:
            networks: which count, as for :meth:`RunCost.of`.

        Raises:
            KeyError: where there are no curves to take seconds before the end from.
        """
        costs = self.costs_of(arm)
        if share < 1:
            at = self._nearest(arm, share).groupby("run").first()
            costs = tuple(
                replace(cost, seconds=at["seconds"][cost.run], cpu_seconds=at["cpu_seconds"][cost.run])
                for cost in costs
            )
        mean = Cost(*np.mean([astuple(cost.of(networks)) for cost in costs], axis=0))
        return replace(mean, steps=share * mean.steps)

    def error_at(self, metric: str, arm: str, share: float = 1.0, *, action: str = MEAN_OVER_ACTIONS) -> float:
        """An arm's error at a share of its training, the mean over seeds, in reported units.

        At the end (1) it is that of the scores, before it that of the snapshots nearest to the share; NaN where there
        are no curves.
        """
        if share == 1:
            return float(self.scores.per_action(metric).T[arm][action])
        rows = self._nearest(arm, share)
        wanted = rows["metric"] == metric
        if action != MEAN_OVER_ACTIONS:
            wanted &= rows["action"] == action
        return float(rows.loc[wanted, "value"].mean())

    def _nearest(self, arm: str, share: float) -> pd.DataFrame:
        """The rows of an arm's curves at each run's snapshot nearest to a share of the training, or at both."""
        curves = self.curves[self.curves["arm"] == arm]
        away = (curves["progress"].astype(float) - share).abs()
        return curves[away == away.groupby(curves["run"]).transform("min")]


@dataclass(frozen=True, eq=False)
class Suite:
    """A suite folder, opened.

    Attributes:
        folder: where it lies.
        about: its suite.json.
        settings: in the order in which they were run.
    """

    folder: Path
    about: Mapping[str, Any]
    settings: tuple[StudyResults, ...]

    @classmethod
    def open(cls, folder: Path | str) -> "Suite":
        """Open a suite whose studies are all finished.

        Raises:
            FileNotFoundError: where the folder holds no suite, or a study of it is not finished.
            ValueError: where suite.json is no suite's, or of another format.
        """
        folder = Path(folder)
        about = read_about(folder)
        settings = tuple(StudyResults.open(name, folder / where) for name, where in about["settings"].items())
        return cls(folder, about, settings)

    @property
    def preset(self) -> str:
        """ "fair", "paper", "action-oriented" or "action-aware"."""
        return str(self.about["preset"])

    @property
    def focus(self) -> str:
        """The action that tables of one action show."""
        return str(self.about["focus"])


def read_about(folder: Path) -> dict[str, Any]:
    """The suite.json of a folder.

    Raises:
        FileNotFoundError: where it holds no suite.
        ValueError: where suite.json is no suite's, or of another format.
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


def _curve(run: Run) -> list[dict[str, Any]]:
    return [
        {**{key: point[key] for key in CURVE_COLUMNS[:4]}, **measured}
        for point in run.curve()
        for measured in point["measured"]
    ]


def _cost(run: Run, name: str, arm: str, seed: int) -> RunCost:
    log = run.log()
    members = run.config["identity"]["members"]
    return RunCost(
        run=name,
        arm=arm,
        seed=seed,
        seconds=float(log["seconds"].max()),
        cpu_seconds=float(log["cpu_seconds"].max()),
        steps={member: int(entry["steps"]) for member, entry in members.items()},
        frames={member: int(entry["frames"]) for member, entry in members.items()},
        batch=int(run.config["identity"]["batch"]),
    )
