"""The study: train and score arms under matched budgets, over several seeds (see :mod:`actlift.study.arms`).

A study folder holds ``study.json``, ``runs/`` with one run folder per arm, matching and seed, and ``scores.parquet``.
With labels (see :mod:`actlift.study.labels`) it also holds the recognizer (a run folder), and the run folders of arms
that are scored under labels ``predicted.parquet``; with all labels also ``labels.parquet`` (the generalist beside what
labels make of the arms), and in the run folders ``by_label.parquet`` (errors conditioned on every label),
``labels.parquet`` and ``labels.json``, and where the action is recognized again in lifted poses, that recognizer (a run
folder).
A study over folds of people (:mod:`actlift.study.folds`) holds a study of every fold in ``folds/``, and their scores
together. Running the same study again resumes what is unfinished and retrains nothing that is done; arms, matchings and
seeds can be added.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from actlift.data.corpus import Corpus, View
from actlift.errors import InputError
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import ALL_JOINTS, GENERALIST, Scores, Variant
from actlift.files import locked, read_json, remove_leftovers, replacing, write_json
from actlift.geometry.skeleton import root_relative
from actlift.lifting.conditional import ConditionalLifter, Gate
from actlift.lifting.predict import LifterPredictor, Poses, load_lifter
from actlift.lifting.smoothing import CUTOFF_HZ, smooth
from actlift.models.base import Lifter, check_network, unconditioned
from actlift.recognition.accuracy import Posteriors
from actlift.study.arms import ARMS, EVERYTHING, Job, arms_of, plan_jobs
from actlift.study.folds import make_folds
from actlift.study.labels import ROUND_LABELS, predicted_poses, score_labels
from actlift.study.plan import Plan
from actlift.study.recognizers import RECOGNIZERS, learn_again
from actlift.study.upgrade import STUDY_FORMAT, upgrade_study
from actlift.training.device import resolve_device
from actlift.training.frozen_bn import tune_frozen
from actlift.training.loop import EvaluationCallback, TrainProgress, train
from actlift.training.run import Run, environment

GATE_EVERY = 4  # training views per view that the mixture's gate is fitted on
EXAMPLES = 4
CURVE_METRICS = ("mpjpe", "mpjve")
Recognized = Callable[[], tuple[Posteriors, float]]  # as of `_recognize`
Told = Callable[[], tuple[ConditionalLifter, Posteriors, Gate]]  # as of `_told`


@dataclass(frozen=True)
class Progress:
    """How far a study is: the training under way, its number of how many, windows of all of them, the moment."""

    job: Job
    number: int
    jobs: int
    windows: int
    windows_total: int
    moment: TrainProgress


def run_study(
    folder: Path, corpus: Corpus, plan: Plan, *, on_progress: Callable[[Progress], None] = lambda _: None
) -> Scores:
    """Train and score everything the plan names, into ``folder``; see the module.

    Args:
        on_progress: told now and then how far the study is.

    Raises:
        InputError: for a folder that holds another study or no study, unknown subjects, or a corpus without people or
            actions on both sides of the split.
        OSError: where the folder cannot be written.
        Interrupted: after Ctrl-C; the same call resumes.
    """
    if plan.folds:
        return _run_folds(folder, corpus, plan, on_progress)
    training, test = plan.split(corpus)
    jobs = plan_jobs(training, plan)
    check_network(plan.network.keywords())
    resolve_device(plan.device)
    _claim(folder, corpus, plan, training, test)
    costs = _costs(jobs)
    trainings, total = list(costs), sum(costs.values())
    recognized = cache(partial(_recognize, folder, plan.labels_by, training, test))
    parts: list[Scores] = []
    labeled: list[Scores] = []
    for job in jobs:
        runs = []
        for of in (of for of in job.sources or (job,) if of.specs):

            def on_job_progress(moment: TrainProgress, of: Job = of) -> None:
                before = trainings.index(of.folder)
                windows = sum(costs[name] for name in trainings[:before]) + moment.windows
                on_progress(Progress(of, before + 1, len(trainings), windows, total, moment))

            runs.append(_train(folder, of, training, test, plan, on_job_progress))
        parts.append(_scores(folder, job, runs, test))
        if plan.labels and ARMS[job.variant.arm].about.labeled:
            told = cache(partial(_told, folder, job, runs, recognized, training))
            parts.append(_predicted_scores(folder, job, told, test))
            if plan.labels == "all":
                labeled.append(_label_scores(folder, job, runs, told, training, test, plan.coupled))
    scores = Scores.concat(parts)
    if labeled:
        Scores.concat([scores.of(GENERALIST), *labeled]).save(folder / "labels.parquet")
    scores.save(folder / "scores.parquet")
    return scores


def split_of(corpus: Corpus, plan: Plan) -> tuple[Corpus, Corpus]:
    """What a plan trains on and reports on; of folds the first one's.

    Raises:
        InputError: as :meth:`Plan.split` and :func:`actlift.study.folds.make_folds`.
    """
    if plan.folds:
        plan = plan.of_fold(next(iter(make_folds(corpus, plan.folds).people.values())))
    return plan.split(corpus)


def amount_of(corpus: Corpus, plan: Plan) -> tuple[int, int]:
    """How many trainings a plan has, and on about how many windows.

    Raises:
        InputError: as :func:`split_of` and :func:`actlift.study.arms.plan_jobs`.
    """
    costs = _costs(plan_jobs(split_of(corpus, plan)[0], plan))  # of a fold: all have as many, of about the same cost
    folds = len(make_folds(corpus, plan.folds).people) if plan.folds else 1
    return folds * len(costs), folds * sum(costs.values())


def _costs(jobs: Sequence[Job]) -> dict[str, int]:
    """The windows of each training by its run folder, those that other jobs are made of among them."""
    return {of.folder: of.windows for job in jobs for of in (job.sources or (job,)) if of.specs}


def _run_folds(folder: Path, corpus: Corpus, plan: Plan, on_progress: Callable[[Progress], None]) -> Scores:
    """A study of every fold, in ``folds/``, and what they say together.

    Several processes may run the same study: each fold is one process's, and the last one waits for the others.
    """
    folds = make_folds(corpus, plan.folds)
    plans = {name: plan.of_fold(people) for name, people in folds.people.items()}
    jobs = amount_of(corpus, plan)[0] // len(plans)
    check_network(plan.network.keywords())
    resolve_device(plan.device)
    tested = {name for people in folds.people.values() for name in people}
    test = corpus.select(predicate=lambda view: view.subject in tested and view.action not in folds.alone)
    _claim(folder, corpus, plan, corpus, test, {"folds": asdict(folds)})
    parts: dict[str, Scores] = {}
    for wait in (False, True):
        for place, (name, of_fold) in enumerate(plans.items()):

            def on_fold_progress(at: Progress, place: int = place) -> None:
                before, of_all = place * at.windows_total, len(plans) * at.windows_total
                on_progress(replace(at, number=place * jobs + at.number, jobs=len(plans) * jobs,
                                    windows=before + at.windows, windows_total=of_all))  # fmt: skip

            if name in parts:
                continue
            at = folder / "folds" / name
            with locked(at.with_name(f".{name}.lock"), wait=wait) as mine:
                if mine:
                    parts[name] = _of_whole(run_study(at, corpus, of_fold, on_progress=on_fold_progress), name)
    scores = Scores.concat([parts[name] for name in plans])
    scores.save(folder / "scores.parquet")
    return scores


def _of_whole(scores: Scores, fold: str) -> Scores:
    """A fold's scores as those of the whole study have them: over all joints together."""
    table = scores.table[scores.table["joint"] == ALL_JOINTS]
    inside = table["run"].where(table["run"] == "", f"folds/{fold}/" + table["run"])
    return Scores(table.assign(run=inside))


def _train(
    folder: Path, job: Job, training: Corpus, test: Corpus, plan: Plan, on_progress: Callable[[TrainProgress], None]
) -> Run:
    """Train a job, and before it what it begins from."""
    at = folder / "runs" / job.folder
    if job.base is None:
        return train(
            at,
            training,
            job.specs,
            model=job.model(plan.network),
            loss=plan.loss,
            seed=job.seed,
            precision=plan.precision,
            device=plan.device,
            evaluation=_evaluation_callback(job, test.views, plan.snapshots) if plan.snapshots else None,
            on_progress=on_progress,
        )
    (network,) = _networks([_train(folder, job.base, training, test, plan, on_progress)]).values()
    before = job.base.windows

    def on_rest_progress(moment: TrainProgress) -> None:
        on_progress(replace(moment, windows=before + moment.windows, windows_total=job.windows))

    return tune_frozen(
        at,
        training,
        job.specs,
        job.starts(network),
        seed=job.seed,
        precision=plan.precision,
        device=plan.device,
        on_progress=on_rest_progress,
    )


def _scores(folder: Path, job: Job, runs: Sequence[Run], test: Corpus) -> Scores:
    """Read a trained job's scores, or score it: each part by its own network, or told it; as it is and smoothed.

    Arms that are fine-tuned and take no labels are also scored as a mixture with what they began from.
    """
    path = folder / "runs" / job.folder / "scores.parquet"
    if not path.exists():
        arm = ARMS[job.variant.arm]
        poses = arm.poses(_networks(runs), job, test.views)
        path.parent.mkdir(parents=True, exist_ok=True)
        _save_examples(path.with_name("examples.npz"), poses, test.views)
        parts = [_as_is_and_smoothed(job, job.variant, poses, test)]
        if job.base is not None and not arm.about.labeled:
            base = LifterPredictor(_unconditioned(folder, job))([v.keypoints for v in test.views])
            means = [(one + other) / 2 for one, other in zip(poses, base, strict=True)]
            parts.append(_as_is_and_smoothed(job, replace(job.variant, mixture=True), means, test))
        Scores.concat(parts).save(path)
    return Scores.read(path)


def _as_is_and_smoothed(job: Job, variant: Variant, poses: Poses, test: Corpus) -> Scores:
    return Scores.concat(
        [
            score_poses(of, test.views, variant=replace(variant, smoothed=smoothed), seed=job.seed, run=job.run)
            for smoothed, of in ((False, poses), (True, smooth(poses, test.fps)))
        ]
    )


def _recognize(folder: Path, recognizer_name: str, training: Corpus, test: Corpus) -> tuple[Posteriors, float]:
    """The probabilities of the actions in every test view, and the confidence above which clips are nearly sure."""
    recognizer = RECOGNIZERS[recognizer_name].learn(folder, training)
    return recognizer([view.keypoints for view in test.views]), recognizer.sure


def _told(
    folder: Path, job: Job, runs: Sequence[Run], recognized: Recognized, training: Corpus
) -> tuple[ConditionalLifter, Posteriors, Gate]:
    """The lifter of an arm that takes any label, what the recognizer says of the test views, the mixture's gate."""
    posteriors, sure = recognized()
    conditioned = ARMS[job.variant.arm].conditional(_networks(runs), job, _unconditioned(folder, job))
    return conditioned, posteriors, Gate.fit(conditioned, training.views[::GATE_EVERY], sure)


def _predicted_scores(folder: Path, job: Job, told: Told, test: Corpus) -> Scores:
    """Read how an arm does that is told the predicted action, and its mixture, as is and smoothed; or score it."""
    path = folder / "runs" / job.folder / "predicted.parquet"
    if not path.exists():
        conditioned, posteriors, gate = told()
        predicted = predicted_poses(conditioned, test.views, posteriors, gate, job.variant)
        Scores.concat([_as_is_and_smoothed(job, of, poses, test) for of, poses in predicted.items()]).save(path)
    return Scores.read(path)


def _label_scores(
    folder: Path, job: Job, runs: Sequence[Run], told: Told, training: Corpus, test: Corpus, coupled: bool
) -> Scores:
    """Read what labels do to an arm, or score it; ``labels.parquet`` comes last."""
    at = folder / "runs" / job.folder
    path = at / "labels.parquet"
    if not path.exists() or (coupled and len(read_json(at / "labels.json").get("rounds", ())) < len(ROUND_LABELS)):
        conditioned, posteriors, gate = told()
        met = unconditioned(_networks(runs)[EVERYTHING]) if job.conditions else _unconditioned(folder, job)
        found = score_labels(
            conditioned,
            test.views,
            posteriors,
            gate,
            again=learn_again(at / "recognizer", training, met) if coupled else None,
            variant=job.variant,
            seed=job.seed,
            run=job.run,
        )
        found.by_label.save(at / "by_label.parquet")
        write_json(at / "labels.json", found.notes)
        found.scores.save(path)
    return Scores.read(path)


def _networks(runs: Sequence[Run]) -> dict[str, Lifter]:
    """The networks of runs, by name; by run and name where there are several runs."""
    return {
        name if len(runs) == 1 else f"{run.folder.name}/{name}": load_lifter(run, name)
        for run in runs
        for name in run.members
    }


def _unconditioned(folder: Path, job: Job) -> Lifter:
    """The network without a label that a job went on from, or the generalist of its seed."""
    begins = job.base.folder if job.base is not None else f"{GENERALIST.arm}-seed{job.seed}"
    return unconditioned(load_lifter(Run.open(folder / "runs" / begins)))


def _evaluation_callback(job: Job, views: Sequence[View], times: int) -> EvaluationCallback:
    """Errors of every action along training."""

    def measure(networks: Mapping[str, Lifter]) -> list[dict[str, Any]]:
        poses = ARMS[job.variant.arm].poses(networks, job, views)
        scores = score_poses(poses, views, variant=job.variant, metrics=CURVE_METRICS)
        return [
            {"action": action, "metric": metric, "value": float(value)}
            for metric in CURVE_METRICS
            for action, value in scores.per_action(metric)[list(scores.actions)].iloc[0].items()
        ]

    return EvaluationCallback(times, measure)


def _claim(
    folder: Path,
    corpus: Corpus,
    plan: Plan,
    training: Corpus,
    test: Corpus,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write study.json, with ``more`` in it, or check that the folder holds the same study."""
    path = folder / "study.json"
    fixed = {**plan.fixed(corpus.digest), "smoothing_hz": CUTOFF_HZ}
    if path.exists():
        there = {"smoothing_hz": CUTOFF_HZ, **_fixed(path)}  # of a study from before there was smoothing none is scored
        before = read_json(path)["plan"]
        if plan.labels and before.get("labels"):  # labels of another recognizer would stand beside those there
            there |= {"labels_by": before.get("labels_by", "clip")}  # the only one of format 1
            fixed |= {"labels_by": plan.labels_by}
        if differing := [k for k in fixed if there.get(k) != fixed[k]]:
            shown = "; ".join(f"{k}: there {there.get(k)!r}, asked for {fixed[k]!r}" for k in differing)
            raise InputError(f"{folder} holds another study ({shown}). Choose another folder, or delete this one.")
        upgrade_study(folder)
    elif folder.exists() and any(not at.name.startswith(".") for at in folder.iterdir()):
        raise InputError(f"{folder} is not empty and holds no study: choose another folder")
    with locked(folder / ".lock", wait=True):  # another process of the same study may be at it
        remove_leftovers(path)
        write_json(
            path,
            {
                "format": STUDY_FORMAT,
                "fixed": fixed,
                "plan": {**asdict(plan), "network": plan.network.record()},
                "arms": {name: asdict(ARMS[name].about) for name in arms_of(plan)},
                "corpus_folder": str(corpus.folder),
                "provenance": corpus.provenance,
                "fps": corpus.fps,
                "training": {
                    "subjects": training.subjects,
                    "actions": training.actions,
                    "views": len(training.views),
                    "frames": training.frames,
                },
                "test": {
                    "subjects": test.subjects,
                    "actions": test.actions,
                    "views": len(test.views),
                    "frames": test.frames,
                },
                **more,
                **environment(),
            },
        )


def _fixed(path: Path) -> dict[str, Any]:
    """What a study.json says may not change."""
    study = read_json(path)
    if not isinstance(study, dict) or not isinstance(study.get("fixed"), dict):
        raise InputError(f"{path} describes no study: choose another folder")
    fixed: dict[str, Any] = study["fixed"]
    return fixed


def _save_examples(path: Path, poses: Poses, views: Sequence[View]) -> None:
    """Truth and prediction at the middle of a few views, evenly spread over the views (which are sorted by action)."""
    chosen = np.unique(np.linspace(0, len(views) - 1, EXAMPLES + 2).round().astype(int)[1:-1])
    middle = [views[i].frames // 2 for i in chosen]
    truth = [root_relative(views[i].pose3d_cam[m : m + 1])[0] for i, m in zip(chosen, middle, strict=True)]
    with replacing(path) as beside, beside.open("wb") as stream:
        np.savez(
            stream,
            action=np.array([views[i].action for i in chosen]),
            title=np.array([f"{views[i].clip}, frame {m}" for i, m in zip(chosen, middle, strict=True)]),
            truth=np.stack(truth),
            predicted=np.stack([poses[i][m] for i, m in zip(chosen, middle, strict=True)]).astype(np.float64),
        )
