"""Finished studies that advice is drawn from, by budget, and what lies between the budgets that were studied.

Between budgets that were studied gains are linear in the logarithm of frames and of steps; beyond them there is no
advice.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from actlift.errors import InputError
from actlift.evaluation.scores import GENERALIST, MEAN_OVER_PEOPLE, Scores, Variant
from actlift.report.results import StudyResults, Suite
from actlift.report.words import counted
from actlift.study.about import About

Labels = Literal["oracle", "predicted"]
Choice = tuple[str, Variant]  # what networks are told, and which they are: a variant without a label
ADVICE = {"experts": "specialize", "finetuned-experts": "specialize", "conditioned": "condition"}  # by arm
TOLD = {"oracle": "told the true action", "predicted": "told the recognized action"}
# of the plan, what may differ between studies that advice is drawn from
VARIED = {"arms", "matching", "seeds", "labels", "precision", "device", "frames", "epochs", "snapshots"} | {
    "budget.steps",
    "network.receptive_field",
}


@dataclass(frozen=True)
class Point:
    """A budget: frames that one output sees, training frames of every network (None: all there are, where
    budgets do not match in frames), and optimizer steps of the generalist."""

    receptive_field: int
    frames: int | None
    steps: int

    def __str__(self) -> str:
        frames = "all training frames" if self.frames is None else f"{self.frames:,} training frames"
        return f"a receptive field of {counted(self.receptive_field, 'frame')}, {frames} and {self.steps:,} steps"


@dataclass(frozen=True, eq=False)
class Studies:
    """Finished studies of one corpus, split and kind of network, by budget.

    Attributes:
        labels: which action networks are told.
        scores: of all variants and seeds, where there is a choice with these labels.
        arms: what the studies say of their arms, by name.
        folders: the studies'.
        digest: the corpus's.
        aside: folders of studies without a choice with these labels.
    """

    labels: Labels
    scores: Mapping[Point, Scores]
    arms: Mapping[str, About]
    folders: Mapping[Point, Sequence[Path]]
    digest: str
    aside: Sequence[Path]

    @classmethod
    def open(cls, folders: Sequence[Path], labels: Labels | None = None) -> "Studies":
        """Open folders of studies and of suites; studies that differ in their arms and seeds only are joined.

        Args:
            labels: predicted where any study has those and this is left out.

        Raises:
            MissingInputError: where a folder holds no finished study or suite.
            InputError: where studies differ in more than budgets, receptive field, arms and seeds, disagree on the
                same variant and seed, or none has a choice with these labels.
        """
        studies = [study for folder in folders for study in _open(folder)]
        _check_alike(studies)
        groups: dict[Point, list[StudyResults]] = {}
        for study in studies:
            groups.setdefault(Point(study.receptive_field, study.frames, study.steps), []).append(study)
        scores = {}
        for point, group in groups.items():
            # the generalist of a seed may stand in several studies; its errors are then the same
            joined = pd.concat([study.scores.table for study in group], ignore_index=True).drop_duplicates()
            try:
                scores[point] = Scores(joined)
            except InputError as error:
                names = ", ".join(str(study.folder) for study in group)
                raise InputError(
                    f"{names} have other errors for the same arm, seed and budget: give one of them ({error})"
                ) from error
        scored = {point: {label for label, _ in choices_of(of_point)} for point, of_point in scores.items()}
        labels = labels or ("predicted" if "predicted" in set().union(*scored.values()) else "oracle")
        kept = [point for point in scores if labels in scored[point]]
        if not kept:
            variants = dict.fromkeys(str(variant) for of_point in scores.values() for variant in of_point.variants)
            raise InputError(
                f"no study here has experts or a conditioned network {TOLD[labels]}; there is {', '.join(variants)}. "
                "`actlift study --labels all` scores true and recognized actions"
            )
        paths = {point: [study.folder for study in group] for point, group in groups.items()}
        return cls(
            labels,
            {point: scores[point] for point in kept},
            {name: about for study in studies for name, about in study.arms.items()},
            {point: paths[point] for point in kept},
            str(studies[0].about["fixed"]["corpus"]),
            [folder for point, of_point in paths.items() if point not in kept for folder in of_point],
        )

    def asked(self, metric: str, receptive_field: int | None, frames: int | None, steps: int | None) -> Point:
        """The budget that is asked for; what is left open is taken from the study whose generalist errs least.

        Raises:
            InputError: for a receptive field that was not studied, or frames where no study has a number of them.
        """
        known = list(self.scores)
        if receptive_field is not None:
            fields = sorted({point.receptive_field for point in known})
            known = [point for point in known if point.receptive_field == receptive_field]
            if not known:
                raise InputError(
                    f"no study here has a receptive field of {counted(receptive_field, 'frame')}; there are studies "
                    f"of {', '.join(map(str, fields))} frames"
                )
        if frames is not None:
            known = [point for point in known if point.frames is not None]
            if not known:
                raise InputError(
                    f"no study here has a number of training frames: leave --frames {frames} out, or run "
                    "`actlift study` with --matching frames"
                )
        best = min(known, key=lambda p: float(self.scores[p].per_action(metric).T[GENERALIST][MEAN_OVER_PEOPLE]))
        return replace(
            best, frames=best.frames if frames is None else frames, steps=best.steps if steps is None else steps
        )

    def weights(self, at: Point) -> dict[Point, float]:
        """What gains are interpolated from at a budget: studied ones, with weights that sum to 1.

        Raises:
            InputError: outside the range that was studied.
        """
        known = self.beside(at)
        frames: Mapping[Any, float] = {None: 1.0}
        if at.frames is not None:
            frames = _between({p.frames or 0 for p in known}, at.frames, "training frames")
        return {
            replace(at, frames=f, steps=s): of_frames * of_steps
            for f, of_frames in frames.items()
            for s, of_steps in _between({p.steps for p in known if p.frames == f}, at.steps, "steps").items()
        }

    def beside(self, at: Point) -> list[Point]:
        """The studied budgets that differ from this one in numbers only."""
        return [
            p
            for p in self.scores
            if p.receptive_field == at.receptive_field and (p.frames is None) == (at.frames is None)
        ]

    def line(self, at: Point, axis: str) -> tuple[Point, ...]:
        """The budgets through this one along "frames" or "steps", at the numbers that were studied."""
        found = []
        for value in sorted({getattr(p, axis) for p in self.beside(at)} - {None}):
            with suppress(InputError):  # not studied with the other number
                self.weights(point := replace(at, **{axis: value}))
                found.append(point)
        return tuple(found)


def _between(studied: set[int], asked: int, what: str) -> dict[int, float]:
    """The studied numbers about one asked for, with the weights of an interpolation linear in the logarithm."""
    if asked in studied:
        return {asked: 1.0}
    below, above = [n for n in studied if n < asked], [n for n in studied if n > asked]
    if not below or not above:
        raise InputError(
            f"{asked:,} {what} lie outside what was studied ({', '.join(f'{n:,}' for n in sorted(studied))}): gains "
            "are interpolated between budgets, never extrapolated; ask for a number within, or run a study there"
        )
    low, high = max(below), min(above)
    share = float(np.log(asked / low) / np.log(high / low))
    return {low: 1 - share, high: share}


def _open(folder: Path) -> tuple[StudyResults, ...]:
    if (folder / "suite.json").is_file():
        return Suite.open(folder).studies
    return (StudyResults.open(folder.name, folder),)


def _check_alike(studies: Sequence[StudyResults]) -> None:
    """Raises InputError where studies differ in more than may differ."""
    first = studies[0]
    here = _identity(first)
    for other in studies[1:]:
        there = _identity(other)
        if differing := [key for key in here | there if here.get(key) != there.get(key)]:
            shown = "; ".join(f"{key}: {here.get(key)!r} and {there.get(key)!r}" for key in differing)
            raise InputError(
                f"{first.folder} and {other.folder} cannot be set side by side ({shown}): ask for advice on each"
            )


def _identity(study: StudyResults) -> dict[str, Any]:
    """What must be equal in studies that advice is drawn from."""
    plan = {**study.about["plan"], **study.about["fixed"]}
    flat = pd.json_normalize(plan).iloc[0].to_dict()
    return {
        **{str(k): v for k, v in flat.items() if k not in VARIED},
        "rates fall by epochs": plan["epochs"] is not None,
    }


def choices_of(scores: Scores) -> dict[Choice, Variant]:
    """The variants that one could train instead of the generalist, by what they are told and are without it."""
    return {
        (variant.label or "oracle", replace(variant, label="")): variant
        for variant in scores.variants
        if variant.arm in ADVICE and (variant.label or "oracle") in TOLD
    }
