"""The study: train and score the arms of the comparison under a named equality of budgets, over several seeds.

Arms: ``generalist`` (one network for everything), ``experts`` (one per action, the true action known at test time),
``conditioned`` (one network for everything that is told the action), ``specialised`` (a copy of that one for each
action, finished on it), ``finished`` and ``finished-conditioned`` (the generalist and the conditioned network, finished
on everything; see :mod:`actlift.training.frozen_bn`), and the controls of random parts and of clusters (see
:mod:`actlift.study.partitions`). Which action experts and conditioned networks are told may come from elsewhere than
the truth (see :mod:`actlift.study.labels`).

Equalities, all in optimizer steps of one batch size:

``pooled``  all experts together spend what the generalist spends (the paper's common problem)
``each``    every expert spends what the generalist spends
``frames``  every network sees the same number of training frames and takes the same steps; the generalist spreads its
            frames evenly over the actions (the paper's action-oriented problem)
``epochs``  as the paper's authors ran the common problem: every expert passes over its own frames as often as gives it
            about as many windows as the generalist gets (formula 2), and learning rates fall by a twentieth after every
            pass of a network over its own data, so far more often for experts

A conditioned network spends what the generalist spends, less what the recognizer took where labels are predicted. Of
that, FINISH is for finishing where an arm finishes; its copies share it.

A study folder holds ``study.json``, ``runs/`` with one run folder per arm, equality and seed, and ``scores.parquet``.
With labels it also holds ``recognizer.safetensors`` and ``labels.parquet`` (the generalist beside the arms that labels
make), and the run folders of arms that are told the action ``told.parquet`` (errors under every label),
``labels.parquet`` and ``labels.json``.
Running the same study again resumes what is unfinished and retrains nothing that is done; arms, equalities and seeds
can be added.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from actlift.data.corpus import Corpus, View
from actlift.data.windows import rows_of
from actlift.errors import InputError
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import Scores
from actlift.files import read_json, remove_leftovers, replacing, write_json
from actlift.geometry.skeleton import root_relative
from actlift.lifting.conditional import ConditionalLifter, Gate
from actlift.lifting.predict import LifterPredictor, Poses, load_lifter, route
from actlift.models.base import Lifter, check_network, given, multiply_adds, unconditioned
from actlift.models.options import Network
from actlift.recognition.discriminant import ClipRecognizer
from actlift.study.labels import TOLD_METRICS, score_labels
from actlift.study.partitions import PARTITIONS, Partition
from actlift.study.plan import ARMS, CONDITIONED, EXPERTS, FINISHED, GENERALIST, Plan
from actlift.training.budget import Stepwise, expert_epochs, frame_share, shared
from actlift.training.device import resolve_device
from actlift.training.frozen_bn import tune_frozen
from actlift.training.loop import EvaluationCallback, ModelSpec, TrainProgress, train
from actlift.training.run import Run, environment

EVERYTHING = "everything"
LABELED = [arm for arm, partition in ARMS.items() if partition == "action"]
CONDITIONED_AS = {"": GENERALIST} | {partition: arm for arm, partition in CONDITIONED.items()}
FINISH = 0.3  # of a budget, for finishing
GATE_EVERY = 4  # training views per view that the mixture's gate is fitted on
EXAMPLES = 4
CURVE_METRICS = ("mpjpe", "mpjve")
PAPER_RATE, PAPER_FACTOR = 1e-3, 0.95


@dataclass(frozen=True)
class Job:
    """One training of a study: the members of an arm under an equality, with one seed."""

    arm: str
    equality: str | None
    seed: int
    partition: Partition | None
    members: tuple[ModelSpec, ...]
    base: "Job | None" = None

    @property
    def label(self) -> str:
        """How tables name the arm: "generalist", "experts (pooled)", "conditioned: oracle label"."""
        if self.partition is not None and self.partition.name == "action" and self.arm not in EXPERTS:
            return f"{self.arm}: oracle label"
        return self.arm if self.equality is None else f"{self.arm} ({self.equality})"

    @property
    def conditions(self) -> tuple[str, ...]:
        """The parts that the arm's one network is told, in the order of its conditions; none for other arms."""
        told = self.arm in CONDITIONED or self.arm == "finished-conditioned"
        return tuple(self.partition.training) if self.partition is not None and told else ()

    def model(self, network: Network) -> dict[str, Any]:
        """Keywords of the arm's networks."""
        keywords = network.keywords()
        return {**keywords, "conditions": len(self.conditions)} if self.conditions else keywords

    @property
    def windows(self) -> int:
        return sum(m.budget.windows for m in self.members) + (self.base.windows if self.base else 0)

    @property
    def folder(self) -> str:
        return "-".join(filter(None, (self.arm, self.equality, f"seed{self.seed}")))


@dataclass(frozen=True)
class Progress:
    """How far a study is: the training under way, its number of how many, windows of all trainings, the moment."""

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
        ValueError: for a folder that holds another study or no study, unknown subjects, or a corpus without people or
            actions on both sides of the split.
        OSError: where the folder cannot be written.
        Interrupted: after Ctrl-C; the same call resumes.
    """
    train_part, test_part = corpus.split(plan.test_subjects, shared_actions_only=not plan.all_actions)
    jobs = plan_jobs(train_part, plan)
    check_network(plan.network.keywords())
    resolve_device(plan.device)
    _claim(folder, corpus, plan, train_part, test_part)
    total = sum(job.windows for job in jobs)
    parts: list[Scores] = []
    of_labels: list[Scores] = []
    for number, job in enumerate(jobs, 1):
        at = folder / "runs" / job.folder
        before = sum(j.windows for j in jobs[: number - 1])

        def on_job_progress(moment: TrainProgress, job: Job = job, number: int = number, before: int = before) -> None:
            on_progress(Progress(job, number, len(jobs), before + moment.windows, total, moment))

        run = _run(folder, job, train_part, test_part, plan, on_job_progress)
        if not (at / "scores.parquet").exists():
            poses = poses_of(_lifters(run), job, test_part.views)
            _save_examples(at / "examples.npz", poses, test_part.views)
            of_job = score_poses(poses, test_part.views, arm=job.label, seed=job.seed, run=f"runs/{job.folder}")
            if job.base is not None and job.arm not in LABELED:
                of_job = Scores.concat([of_job, _score_mean(folder, job, poses, test_part)])
            of_job.save(at / "scores.parquet")
        parts.append(Scores.read(at / "scores.parquet"))
        if plan.labels and job.arm in LABELED:
            if not (at / "labels.parquet").exists():
                _score_labels(folder, job, train_part, test_part)
            of_labels.append(Scores.read(at / "labels.parquet"))
            told = of_labels[-1].table
            parts.append(Scores(told[told["arm"].str.endswith(": predicted label")]))
    scores = Scores.concat(parts)
    if of_labels:
        generalists = [part for part in parts if part.arms == (GENERALIST,)]
        Scores.concat([*generalists, *of_labels]).save(folder / "labels.parquet")
    scores.save(folder / "scores.parquet")
    return scores


def _run(
    folder: Path, job: Job, training: Corpus, test: Corpus, plan: Plan, on_progress: Callable[[TrainProgress], None]
) -> Run:
    """Train a job, and before it what it begins from."""
    at = folder / "runs" / job.folder
    if job.base is None:
        return train(
            at,
            training,
            job.members,
            model=job.model(plan.network),
            loss=plan.loss,
            seed=job.seed,
            precision=plan.precision,
            device=plan.device,
            evaluation=_evaluation_callback(job, test.views, plan.snapshots) if plan.snapshots else None,
            on_progress=on_progress,
        )
    (network,) = _lifters(_run(folder, job.base, training, test, plan, on_progress)).values()
    numbers = {part: number for number, part in enumerate(job.base.conditions)}
    starts = {m.name: given(network, numbers[m.name]) if m.name in numbers else network for m in job.members}
    before = job.base.windows

    def on_rest_progress(moment: TrainProgress) -> None:
        on_progress(replace(moment, windows=before + moment.windows, windows_total=job.windows))

    return tune_frozen(
        at,
        training,
        job.members,
        starts,
        seed=job.seed,
        precision=plan.precision,
        device=plan.device,
        on_progress=on_rest_progress,
    )


def plan_jobs(training: Corpus, plan: Plan) -> list[Job]:
    """Every training of the plan, the generalists first."""
    actions = training.actions
    jobs = []
    for seed in plan.seeds:
        if plan.frames is None:
            rows = rows_of(training.views)
        else:
            own = PARTITIONS["action"](training.views).training
            rows = np.concatenate([some_rows(own[a], frame_share(plan.frames, len(actions)), seed) for a in actions])
        everything = ModelSpec(EVERYTHING, rows, plan.budget)
        if plan.epochs is not None:
            everything = replace(everything, learning_rate=Stepwise(PAPER_RATE, PAPER_FACTOR, plan.epochs))
        jobs.append(Job(GENERALIST, None, seed, None, (everything,)))
    for arm in plan.arms:
        if arm in CONDITIONED:
            for seed in plan.seeds:
                (everything,) = next(job.members for job in jobs if job.seed == seed)
                partition = PARTITIONS[ARMS[arm]](training.views, seed=seed)
                member = _conditioned(everything, partition, training, plan)
                jobs.append(Job(arm, None, seed, partition, (member,)))
        if arm in FINISHED:
            jobs += [
                _finishing(arm, next(job.members[0] for job in jobs if job.seed == seed), training, plan, seed)
                for seed in plan.seeds
            ]
        for equality in plan.equalities if arm in EXPERTS else ():
            for seed in plan.seeds:
                partition = PARTITIONS[ARMS[arm]](training.views, seed=seed)
                members = _experts(partition, plan, equality, seed)
                jobs.append(Job(arm, equality, seed, partition, members))
    return jobs


def _conditioned(everything: ModelSpec, partition: Partition, training: Corpus, plan: Plan) -> ModelSpec:
    """The generalist's training, told the part of every row, for what the recognizer leaves of its budget."""
    part_of_row = np.zeros(len(training.pose2d), np.int64)
    for number, views in enumerate(partition.training.values()):
        part_of_row[rows_of(views)] = number
    budget = plan.budget
    if plan.labels:
        step = 3 * multiply_adds(plan.network.keywords()) * budget.batch
        charge = -(-ClipRecognizer.multiply_adds(training) // step)
        if charge >= budget.steps:
            raise InputError(
                f"recognizing the action costs about {charge} steps of this network, more than its budget of "
                f"{budget.steps}: give more steps, or leave --labels out"
            )
        budget = replace(budget, steps=budget.steps - charge)
    return replace(everything, budget=budget, conditions=part_of_row[everything.rows])


def _finishing(arm: str, everything: ModelSpec, training: Corpus, plan: Plan, seed: int) -> Job:
    """An arm that trains one network for most of the budget and finishes it, or a copy of it for every part."""
    partition, member = None, everything
    if ARMS[arm]:
        partition = PARTITIONS[ARMS[arm]](training.views, seed=seed)
        member = _conditioned(everything, partition, training, plan)
    finished: tuple[ModelSpec, ...] = (member,)
    if partition is not None and arm != "finished-conditioned":
        finished = tuple(ModelSpec(part, rows_of(views), member.budget) for part, views in partition.training.items())
    each = int(FINISH * member.budget.steps / len(finished))
    if plan.frames is not None or plan.epochs is not None or not each:
        raise InputError(
            f"the arm {arm!r} finishes {len(finished)} networks for {FINISH:.0%} of {member.budget.steps} steps: give "
            "it more steps, and neither frames nor epochs"
        )
    left = member.budget.steps - each * len(finished)
    base = (replace(member, budget=replace(member.budget, steps=left)),)
    return Job(
        arm,
        None,
        seed,
        partition,
        tuple(replace(m, budget=replace(m.budget, steps=each)) for m in finished),
        Job(CONDITIONED_AS[ARMS[arm]], f"for-{arm}", seed, partition, base),
    )


def _experts(partition: Partition, plan: Plan, equality: str, seed: int) -> tuple[ModelSpec, ...]:
    """The members of a partition under an equality."""
    parts = partition.training
    if equality == "frames":
        return tuple(ModelSpec(p, some_rows(own, plan.frames or 0, seed), plan.budget) for p, own in parts.items())
    rows = {part: rows_of(views) for part, views in parts.items()}
    if equality == "epochs":
        frames = {part: len(own) for part, own in rows.items()}
        passes = {part: expert_epochs(1, frames, part) for part in rows}
        steps = {p: round(plan.budget.steps * passes[p] * frames[p] / sum(frames.values())) for p in rows}
        return tuple(
            ModelSpec(
                part,
                own,
                replace(plan.budget, steps=max(1, steps[part])),
                Stepwise(PAPER_RATE, PAPER_FACTOR, (plan.epochs or 1) * passes[part]),
            )
            for part, own in rows.items()
        )
    spends = shared(plan.budget, len(parts)) if equality == "pooled" else plan.budget
    return tuple(ModelSpec(part, own, spends) for part, own in rows.items())


def _evaluation_callback(job: Job, views: Sequence[View], times: int) -> EvaluationCallback:
    """Errors of every action along training."""

    def measure(lifters: Mapping[str, Lifter]) -> list[dict[str, Any]]:
        poses = poses_of(lifters, job, views)
        scores = score_poses(poses, views, arm=job.label, metrics=CURVE_METRICS)
        return [
            {"action": action, "metric": metric, "value": float(value)}
            for metric in CURVE_METRICS
            for action, value in scores.per_action(metric)[list(scores.actions)].iloc[0].items()
        ]

    return EvaluationCallback(times, measure)


def some_rows(views: Sequence[View], frames: int, seed: int) -> Int[np.ndarray, " n"]:
    """The rows of ``frames`` frames: whole views in a random order, the last one cut; all where there are fewer."""
    order = np.random.default_rng((seed, 0xF4)).permutation(len(views))
    return rows_of([views[i] for i in order])[:frames]


def poses_of(lifters: Mapping[str, Lifter], job: Job, views: Sequence[View]) -> Poses:
    """The poses of views by one lifter, one that is told its part, or experts, routed by the job's partition."""
    seen = [v.keypoints for v in views]
    if job.partition is None:
        (lifter,) = lifters.values()
        return LifterPredictor(lifter)(seen)
    networks = dict(lifters)
    if job.conditions:
        (lifter,) = lifters.values()
        networks = {part: given(lifter, number) for number, part in enumerate(job.conditions)}
    predictors = {part: LifterPredictor(network) for part, network in networks.items()}
    return route(predictors, seen, [job.partition.part_of(v) for v in views])


def _lifters(run: Run) -> dict[str, Lifter]:
    return {name: load_lifter(run, name) for name in run.members}


def _untold_base(folder: Path, job: Job) -> Lifter:
    """What an arm that finishes begins from, without a label."""
    assert job.base is not None
    (network,) = _lifters(Run.open(folder / "runs" / job.base.folder)).values()
    return unconditioned(network)


def _score_mean(folder: Path, job: Job, poses: Poses, test: Corpus) -> Scores:
    """The control of a mixture: the mean of an arm's poses and of those of the untold network that it began from."""
    base = LifterPredictor(_untold_base(folder, job))([v.keypoints for v in test.views])
    means = [(one + other) / 2 for one, other in zip(poses, base, strict=True)]
    run = f"runs/{job.folder}"
    return score_poses(means, test.views, arm=f"{job.label}, mixture", seed=job.seed, run=run, metrics=TOLD_METRICS)


def _score_labels(folder: Path, job: Job, training: Corpus, test: Corpus) -> None:
    """Write what labels do to an arm that is told the action; ``labels.parquet`` comes last."""
    path = folder / "recognizer.safetensors"
    if not path.exists():
        ClipRecognizer.fit(training).save(path)
    recognizer = ClipRecognizer.read(path)
    at = folder / "runs" / job.folder
    lifters = _lifters(Run.open(at))
    if job.conditions:
        told = ConditionalLifter.from_network(lifters[EVERYTHING], job.conditions)
    elif job.base is not None:
        told = ConditionalLifter.from_experts(lifters, _untold_base(folder, job))
    else:
        told = ConditionalLifter.from_experts(
            lifters, load_lifter(Run.open(folder / "runs" / f"{GENERALIST}-seed{job.seed}"))
        )
    gate = Gate.fit(told, training.views[::GATE_EVERY], recognizer.sure)
    name = job.label.removesuffix(": oracle label")
    posteriors = [recognizer.posterior(view.keypoints) for view in test.views]
    found = score_labels(told, test.views, posteriors, gate, arm=name, seed=job.seed, run=f"runs/{job.folder}")
    found.told.save(at / "told.parquet")
    write_json(at / "labels.json", found.notes)
    found.arms.save(at / "labels.parquet")


def _claim(folder: Path, corpus: Corpus, plan: Plan, training: Corpus, test: Corpus) -> None:
    """Write study.json, or check that the folder holds the same study."""
    path = folder / "study.json"
    fixed = plan.fixed(corpus.digest)
    remove_leftovers(path)
    if path.exists():
        there = _fixed(path)
        if differing := [k for k in fixed if there.get(k) != fixed[k]]:
            shown = "; ".join(f"{k}: there {there.get(k)!r}, asked for {fixed[k]!r}" for k in differing)
            raise InputError(f"{folder} holds another study ({shown}). Choose another folder, or delete this one.")
    elif folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty and holds no study: choose another folder")
    write_json(
        path,
        {
            "fixed": fixed,
            "plan": asdict(plan),
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
