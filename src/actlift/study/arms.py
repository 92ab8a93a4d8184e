"""Arms: what a study compares with the generalist. To add one, write a class and a row of `ARMS`.

An arm is any object with the four members of :class:`Arm`: what reports say of it (``about``), what it trains
(``jobs``), and, of the networks that came of a job, their poses of views (``poses``) and a lifter that takes any label
(``conditional``). What a job costs, it says itself (:attr:`Job.windows`).

===================  ===================================================================================================
Generalist           one network for everything
Experts              one network for every part of a partition, for every matching of budgets
Conditioned          one network for everything that is told the part
Finetuned            one of these networks, the last part of its training with frozen normalization statistics
FinetunedExperts     a conditioned network, and a copy of it for every part, fine-tuned so on that part
Derived              a predictor that is made of other arms' networks, or of the training poses, and trains nothing
===================  ===================================================================================================

How budgets are matched, all in optimizer steps of one batch size:

``total``      all experts together spend what the generalist spends (the paper's common problem)
``per_model``  every expert spends what the generalist spends
``frames``     every network sees the same number of training frames and takes the same steps; the generalist spreads
               its frames evenly over the actions (the paper's action-oriented problem)
``epochs``     as the paper's authors ran the common problem: every expert passes over its own frames as often as gives
               it about as many windows as the generalist gets (formula 2), and learning rates fall by a twentieth after
               every pass of a network over its own data, so far more often for experts

A conditioned network spends what the generalist spends, less what the recognizer took where labels are predicted. Of
that, FINETUNING is for fine-tuning where an arm fine-tunes; its copies share it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int

from actlift.data.corpus import Corpus, View
from actlift.data.windows import rows_of
from actlift.errors import InputError
from actlift.evaluation.scores import GENERALIST, Variant
from actlift.lifting.conditional import ConditionalLifter
from actlift.lifting.predict import LifterPredictor, Poses, Predictor, route
from actlift.models.base import Lifter, given
from actlift.models.options import Network
from actlift.study.about import ABOUT, About
from actlift.study.derived import ConstantPose, Mean, NearestPose, measure_statistics, soup
from actlift.study.partitions import PARTITIONS, Partition
from actlift.study.plan import Plan
from actlift.study.recognizers import recognizing_steps
from actlift.training.budget import Stepwise, expert_epochs, frame_share, shared
from actlift.training.loop import ModelSpec

EVERYTHING = "everything"
FINETUNING = 0.3  # of a budget, for fine-tuning
AVERAGING = 0.3  # of a training, over which weights are averaged
PAPER_RATE, PAPER_FACTOR = 1e-3, 0.95


@dataclass(frozen=True)
class Job:
    """One training of a study: the networks of an arm under one matching of budgets, with one seed.

    Attributes:
        variant: what scores call it.
        seed: of the training.
        specs: the networks to train.
        partition: whose parts they train on or are told.
        conditions: the parts that the arm's one network is told, in the order of its conditions.
        base: the training that this one goes on from.
        base_of: the arm that goes on from this one.
        sources: trainings of other arms whose networks a job that trains nothing is made of.
        make: of a job that trains nothing: from the networks of its sources to a predictor.
    """

    variant: Variant
    seed: int
    specs: tuple[ModelSpec, ...]
    partition: Partition | None = None
    conditions: tuple[str, ...] = ()
    base: "Job | None" = None
    base_of: str = ""
    sources: "tuple[Job, ...]" = ()
    make: Callable[[Sequence[Lifter]], Predictor] | None = None

    def model(self, network: Network) -> dict[str, Any]:
        """Keywords of the job's networks."""
        keywords = network.keywords()
        return {**keywords, "conditions": len(self.conditions)} if self.conditions else keywords

    def starts(self, base: Lifter) -> dict[str, Lifter]:
        """What the networks start from, by name: the base's one network, given its part where it is a part's copy."""
        if self.base is None or self.conditions or not self.base.conditions:
            return {spec.name: base for spec in self.specs}
        return {spec.name: given(base, self.base.conditions.index(spec.name)) for spec in self.specs}

    @property
    def run(self) -> str:
        """The run folder that its networks lie in, relative to the study's; "" of a job without networks."""
        trained = self if self.make is None else next(iter(self.sources), None)
        return f"runs/{trained.folder}" if trained else ""

    @property
    def windows(self) -> int:
        """The cost: windows of all trainings together, the base's among them, but not of what other arms trained."""
        return sum(spec.budget.windows for spec in self.specs) + (self.base.windows if self.base else 0)

    @property
    def folder(self) -> str:
        """The name of its run folder."""
        of = f"for-{self.base_of}" if self.base_of else ""
        return "-".join(filter(None, (self.variant.arm, self.variant.matching, of, f"seed{self.seed}")))


class Arm(Protocol):
    """What a study asks of an arm."""

    @property
    def about(self) -> About:
        """What reports say of it."""
        ...

    def jobs(self, name: str, training: Corpus, plan: Plan) -> list[Job]:
        """Its trainings, by matching, then by seed.

        Args:
            name: its own, in `ARMS`.
            training: people and actions to train on.
            plan: of the study.

        Raises:
            InputError: where the plan leaves it too few steps or frames.
        """
        ...

    def poses(self, networks: Mapping[str, Lifter], job: Job, views: Sequence[View]) -> Poses:
        """The poses of views by the networks that came of a job, by name; each view goes to its own part."""
        ...

    def conditional(self, networks: Mapping[str, Lifter], job: Job, unconditioned: Lifter) -> ConditionalLifter:
        """The lifter that takes any label, of arms that are scored under labels.

        Args:
            networks, job: as for ``poses``.
            unconditioned: the network without a label that the job went on from, or the generalist.
        """
        ...


@dataclass(frozen=True)
class Generalist:
    """One network for everything.

    Attributes:
        average: over how much of the end of its training its weights are averaged.
    """

    about: About
    average: float = 0.0

    def jobs(self, name: str, training: Corpus, plan: Plan) -> list[Job]:
        specs = {seed: replace(_everything(training, plan, seed), average=self.average) for seed in plan.seeds}
        return [Job(Variant(name), seed, (spec,)) for seed, spec in specs.items()]

    def poses(self, networks: Mapping[str, Lifter], job: Job, views: Sequence[View]) -> Poses:
        del job
        return LifterPredictor(networks[EVERYTHING])([v.keypoints for v in views])

    def conditional(self, networks: Mapping[str, Lifter], job: Job, unconditioned: Lifter) -> ConditionalLifter:
        raise NotImplementedError("a network that knows no parts takes no labels")


@dataclass(frozen=True)
class Experts:
    """One network for every part."""

    about: About

    def jobs(self, name: str, training: Corpus, plan: Plan) -> list[Job]:
        found = []
        for matching in plan.matching:
            for seed in plan.seeds:
                partition = PARTITIONS[self.about.partition](training.views, seed=seed)
                specs = self._specs(partition, plan, matching, seed)
                found.append(Job(Variant(name, matching), seed, specs, partition))
        return found

    def _specs(self, partition: Partition, plan: Plan, matching: str, seed: int) -> tuple[ModelSpec, ...]:
        parts = partition.training
        if matching == "frames":
            return tuple(ModelSpec(p, some_rows(own, plan.frames or 0, seed), plan.budget) for p, own in parts.items())
        rows = {part: rows_of(views) for part, views in parts.items()}
        if matching == "epochs":
            return _by_epochs(rows, plan)
        spends = shared(plan.budget, len(parts)) if matching == "total" else plan.budget
        return tuple(ModelSpec(part, own, spends) for part, own in rows.items())

    def poses(self, networks: Mapping[str, Lifter], job: Job, views: Sequence[View]) -> Poses:
        return _routed(networks, job, views)

    def conditional(self, networks: Mapping[str, Lifter], job: Job, unconditioned: Lifter) -> ConditionalLifter:
        del job
        return ConditionalLifter.from_experts(networks, unconditioned)


@dataclass(frozen=True)
class Conditioned:
    """One network for everything that is told the part."""

    about: About

    def jobs(self, name: str, training: Corpus, plan: Plan) -> list[Job]:
        return [self._job(name, training, plan, seed) for seed in plan.seeds]

    def _job(self, name: str, training: Corpus, plan: Plan, seed: int) -> Job:
        """The generalist's training, told the part of every row, for what recognizing leaves of its budget."""
        partition = PARTITIONS[self.about.partition](training.views, seed=seed)
        part_of_row = np.zeros(len(training.pose2d), np.int64)
        for number, views in enumerate(partition.training.values()):
            part_of_row[rows_of(views)] = number
        everything = _everything(training, plan, seed)
        charge = recognizing_steps(plan.labels_by, training, plan.network, plan.budget) if plan.labels else 0
        budget = replace(plan.budget, steps=plan.budget.steps - charge)
        spec = replace(everything, budget=budget, conditions=part_of_row[everything.rows])
        return Job(_variant(name, self.about), seed, (spec,), partition, tuple(partition.training))

    def poses(self, networks: Mapping[str, Lifter], job: Job, views: Sequence[View]) -> Poses:
        network = networks[EVERYTHING]
        return _routed({part: given(network, i) for i, part in enumerate(job.conditions)}, job, views)

    def conditional(self, networks: Mapping[str, Lifter], job: Job, unconditioned: Lifter) -> ConditionalLifter:
        del unconditioned
        return ConditionalLifter.from_network(networks[EVERYTHING], job.conditions)


@dataclass(frozen=True)
class Finetuned:
    """The one network of another arm, the last part of its training with frozen normalization statistics.

    Attributes:
        base: the name of the other arm.
    """

    about: About
    base: str

    def jobs(self, name: str, training: Corpus, plan: Plan) -> list[Job]:
        variant = _variant(name, self.about)
        return [
            _finetuning(base, variant, base.specs, plan) for base in ARMS[self.base].jobs(self.base, training, plan)
        ]

    def poses(self, networks: Mapping[str, Lifter], job: Job, views: Sequence[View]) -> Poses:
        return ARMS[self.base].poses(networks, job, views)

    def conditional(self, networks: Mapping[str, Lifter], job: Job, unconditioned: Lifter) -> ConditionalLifter:
        return ARMS[self.base].conditional(networks, job, unconditioned)


@dataclass(frozen=True)
class FinetunedExperts:
    """The one conditioned network of another arm, and a copy of it for every part, fine-tuned on that part.

    Attributes:
        base: the name of the other arm.
    """

    about: About
    base: str

    def jobs(self, name: str, training: Corpus, plan: Plan) -> list[Job]:
        found = []
        for base in ARMS[self.base].jobs(self.base, training, plan):
            assert base.partition is not None
            parts = base.partition.training
            specs = tuple(ModelSpec(part, rows_of(views), plan.budget) for part, views in parts.items())
            job = _finetuning(base, _variant(name, self.about), specs, plan)
            found.append(replace(job, conditions=()))
        return found

    def poses(self, networks: Mapping[str, Lifter], job: Job, views: Sequence[View]) -> Poses:
        return _routed(networks, job, views)

    def conditional(self, networks: Mapping[str, Lifter], job: Job, unconditioned: Lifter) -> ConditionalLifter:
        del job
        return ConditionalLifter.from_experts(networks, unconditioned)


@dataclass(frozen=True)
class Derived:
    """What is made of the networks of another arm, or of the training poses alone, and trains nothing.

    Attributes:
        make: from the training people, a seed and those networks to a predictor.
        base: the name of the other arm; "" where none is needed.
        seeds: how many seeds of it each predictor takes: its own and the next, trained where the plan lacks them.
    """

    about: About
    make: Callable[[Corpus, int, Sequence[Lifter]], Predictor]
    base: str = ""
    seeds: int = 1

    def jobs(self, name: str, training: Corpus, plan: Plan) -> list[Job]:
        found = []
        for seed in plan.seeds:
            sources: tuple[Job, ...] = ()
            if self.base:
                needed = replace(plan, seeds=tuple(range(seed, seed + self.seeds)))
                sources = tuple(ARMS[self.base].jobs(self.base, training, needed))
            made = partial(self.make, training, seed)
            found.append(Job(Variant(name), seed, (), sources=sources, make=made))
        return found

    def poses(self, networks: Mapping[str, Lifter], job: Job, views: Sequence[View]) -> Poses:
        assert job.make is not None
        return job.make(list(networks.values()))([v.keypoints for v in views])

    def conditional(self, networks: Mapping[str, Lifter], job: Job, unconditioned: Lifter) -> ConditionalLifter:
        raise NotImplementedError("what is made of networks takes no labels")


def _mean(training: Corpus, seed: int, networks: Sequence[Lifter]) -> Predictor:
    del training, seed
    return Mean.of(networks)


def _measured(training: Corpus, seed: int, networks: Sequence[Lifter]) -> Predictor:
    (network,) = networks
    return LifterPredictor(measure_statistics(network, training, seed=seed))


def _soup(training: Corpus, seed: int, networks: Sequence[Lifter]) -> Predictor:
    del training, seed
    return LifterPredictor(soup(networks))


def _constant(training: Corpus, seed: int, networks: Sequence[Lifter]) -> Predictor:
    del networks, seed
    return ConstantPose.of(training)


def _nearest(training: Corpus, seed: int, networks: Sequence[Lifter]) -> Predictor:
    del networks
    return NearestPose.of(training, seed=seed)


ARMS: dict[str, Arm] = {
    GENERALIST.arm: Generalist(ABOUT[GENERALIST.arm]),
    "experts": Experts(ABOUT["experts"]),
    "random-experts": Experts(ABOUT["random-experts"]),
    "cluster-experts": Experts(ABOUT["cluster-experts"]),
    "conditioned": Conditioned(ABOUT["conditioned"]),
    "random-conditioned": Conditioned(ABOUT["random-conditioned"]),
    "cluster-conditioned": Conditioned(ABOUT["cluster-conditioned"]),
    "dataset-conditioned": Conditioned(ABOUT["dataset-conditioned"]),
    "finetuned": Finetuned(ABOUT["finetuned"], base=GENERALIST.arm),
    "finetuned-conditioned": Finetuned(ABOUT["finetuned-conditioned"], base="conditioned"),
    **{
        f"{part}-finetuned-conditioned": Finetuned(ABOUT[f"{part}-finetuned-conditioned"], base=f"{part}-conditioned")
        for part in ("random", "cluster", "dataset")
    },
    "finetuned-experts": FinetunedExperts(ABOUT["finetuned-experts"], base="conditioned"),
    "random-finetuned-experts": FinetunedExperts(ABOUT["random-finetuned-experts"], base="random-conditioned"),
    "cluster-finetuned-experts": FinetunedExperts(ABOUT["cluster-finetuned-experts"], base="cluster-conditioned"),
    "averaged": Generalist(ABOUT["averaged"], AVERAGING),
    "batch-statistics": Derived(ABOUT["batch-statistics"], _measured, GENERALIST.arm),
    "ensemble-2": Derived(ABOUT["ensemble-2"], _mean, GENERALIST.arm, seeds=2),
    "ensemble-4": Derived(ABOUT["ensemble-4"], _mean, GENERALIST.arm, seeds=4),
    "finetuned-ensemble-2": Derived(ABOUT["finetuned-ensemble-2"], _mean, "finetuned", seeds=2),
    "soup": Derived(ABOUT["soup"], _soup, "finetuned-experts"),
    "constant-pose": Derived(ABOUT["constant-pose"], _constant),
    "nearest-pose": Derived(ABOUT["nearest-pose"], _nearest),
}


def plan_jobs(training: Corpus, plan: Plan) -> list[Job]:
    """Every training of the plan, the generalists first.

    Raises:
        InputError: for an unknown arm, or a plan that leaves an arm too few steps or frames.
    """
    return [job for name in arms_of(plan) for job in ARMS[name].jobs(name, training, plan)]


def arms_of(plan: Plan) -> tuple[str, ...]:
    """The names of the plan's arms, each once, the generalist first.

    Raises:
        InputError: for an unknown arm (lists the known).
    """
    for name in plan.arms:
        if name not in ARMS:
            near = get_close_matches(name, ARMS, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(f"there is no arm {name!r}; {meant}known: {', '.join(ARMS)}")
    return tuple(dict.fromkeys((GENERALIST.arm, *plan.arms)))


def some_rows(views: Sequence[View], frames: int, seed: int) -> Int[np.ndarray, " n"]:
    """The rows of ``frames`` frames: whole views in a random order, the last one cut; all where there are fewer."""
    order = np.random.default_rng((seed, 0xF4)).permutation(len(views))
    return rows_of([views[i] for i in order])[:frames]


def _everything(training: Corpus, plan: Plan, seed: int) -> ModelSpec:
    """What the generalist trains on, for how long."""
    if plan.frames is None:
        rows = rows_of(training.views)
    else:
        own, actions = PARTITIONS["action"](training.views).training, training.actions
        rows = np.concatenate([some_rows(own[a], frame_share(plan.frames, len(actions)), seed) for a in actions])
    spec = ModelSpec(EVERYTHING, rows, plan.budget)
    return spec if plan.epochs is None else replace(spec, learning_rate=_by_pass(plan.epochs))


def _by_epochs(rows: Mapping[str, Int[np.ndarray, " n"]], plan: Plan) -> tuple[ModelSpec, ...]:
    """Experts that pass over their own rows as often as the paper's authors had them."""
    frames = {part: len(own) for part, own in rows.items()}
    specs = []
    for part, own in rows.items():
        passes = expert_epochs(1, frames, part)
        steps = max(1, round(plan.budget.steps * passes * frames[part] / sum(frames.values())))
        specs.append(ModelSpec(part, own, replace(plan.budget, steps=steps), _by_pass((plan.epochs or 1) * passes)))
    return tuple(specs)


def _by_pass(passes: int) -> Stepwise:
    return Stepwise(PAPER_RATE, PAPER_FACTOR, passes)


def _variant(name: str, about: About) -> Variant:
    """How scores call an arm that is told the true part: oracle where other labels are told it too."""
    return Variant(name, label="oracle" if about.labeled else "")


def _finetuning(base: Job, variant: Variant, specs: Sequence[ModelSpec], plan: Plan) -> Job:
    """The job that fine-tunes these networks, which share FINETUNING of the base's budget; the rest is left to that."""
    (whole,) = base.specs
    each = int(FINETUNING * whole.budget.steps / len(specs))
    if plan.frames is not None or plan.epochs is not None or not each:
        raise InputError(
            f"the arm {variant.arm!r} fine-tunes {len(specs)} networks for {FINETUNING:.0%} of {whole.budget.steps} "
            "steps: give it more steps, and neither frames nor epochs"
        )
    left = replace(whole.budget, steps=whole.budget.steps - each * len(specs))
    return replace(
        base,
        variant=variant,
        specs=tuple(replace(spec, budget=replace(spec.budget, steps=each)) for spec in specs),
        base=replace(base, specs=(replace(whole, budget=left),), base_of=variant.arm),
    )


def _routed(networks: Mapping[str, Lifter], job: Job, views: Sequence[View]) -> Poses:
    """The poses of each view by the network of its part."""
    assert job.partition is not None
    predictors = {part: LifterPredictor(network) for part, network in networks.items()}
    return route(predictors, [v.keypoints for v in views], [job.partition.part_of(v) for v in views])
