"""A suite on disk, opened for reports: its studies ("settings") with their scores, learning curves and costs.

======================  ==============================================================================================
``suite.json``          preset, scale, the settings' folders, the focus action, corpus digest, command, commit
``<setting>/``          a study folder (see :mod:`actlift.study`), whose runs also hold a learning curve
``report.html``, ...    what :mod:`actlift.report.suite` makes of it
======================  ==============================================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from actlift.files import read_json
from actlift.run import Run
from actlift.scores import Scores

FORMAT = 1
CURVE_COLUMNS = ("progress", "step", "seconds", "cpu_seconds", "action", "metric", "value")


@dataclass(frozen=True)
class RunCost:
    """What one training took, all its networks together, and what each network's part of it was.

    Attributes:
        run: folder, relative to the study's.
        arm, seed: as in the scores.
        seconds, cpu_seconds: of training, evaluation not counted; CPU seconds are summed over threads.
        steps, frames: of each network by name: optimiser steps, different training frames.
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


@dataclass(frozen=True, eq=False)
class Setting:
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
    def open(cls, name: str, folder: Path) -> "Setting":
        """Open a finished study.

        Raises:
            FileNotFoundError: where the folder holds none.
        """
        for file in ("study.json", "scores.parquet"):
            if not (folder / file).is_file():
                raise FileNotFoundError(
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
        """Optimiser steps of the generalist."""
        return int(self.study["plan"]["budget"]["steps"])

    @property
    def frames(self) -> int | None:
        """Training frames of every network under the equality of frames, else None."""
        frames = self.study["plan"]["frames"]
        return None if frames is None else int(frames)

    def costs_of(self, arm: str) -> tuple[RunCost, ...]:
        """The costs of an arm's runs, one for each seed."""
        return tuple(cost for cost in self.costs if cost.arm == arm)


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
    settings: tuple[Setting, ...]

    @classmethod
    def open(cls, folder: Path | str) -> "Suite":
        """Open a suite whose studies are all finished.

        Raises:
            FileNotFoundError: where the folder holds no suite, or a study of it is not finished.
            ValueError: where suite.json is no suite's, or of another format.
        """
        folder = Path(folder)
        path = folder / "suite.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} holds no suite: it has no suite.json; `actlift study --preset` makes one"
            )
        about = read_json(path)
        if not isinstance(about, dict) or about.get("format") != FORMAT or not isinstance(about.get("settings"), dict):
            raise ValueError(
                f"{path} describes no suite of format {FORMAT}: was it made by another version of actlift?"
            )
        settings = tuple(Setting.open(name, folder / where) for name, where in about["settings"].items())
        return cls(folder, about, settings)

    @property
    def preset(self) -> str:
        """ "fair", "paper" or "action-oriented"."""
        return str(self.about["preset"])

    @property
    def focus(self) -> str:
        """The action that tables of one action show."""
        return str(self.about["focus"])


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
