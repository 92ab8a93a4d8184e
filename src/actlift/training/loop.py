"""The one training loop: whatever learns (a learner), within budgets of steps, into a run folder.

A learner trains several members side by side: lifters of one shape (:func:`train`), the same from given networks and in
evaluation mode (:mod:`actlift.training.frozen_bn`), recognizers (:mod:`actlift.recognition.training`). The loop gives
it its steps, keeps the log, the clock and the saved state, and takes members out whose budget is spent.

Every random number is a function of (seed, member's name, step), and the weights of a member do not depend on who
trains beside it (to rounding). On a CPU the same call gives the same bits; a run that was killed resumes from its last
saved state to the bits of an unbroken one.
"""

import json
import signal
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from actlift.data.corpus import Corpus
from actlift.data.windows import Sampler, Windows
from actlift.errors import InputError
from actlift.files import replacing
from actlift.models.base import Lifter, check_network, make_network, multiply_adds, seeded
from actlift.models.tensors import of_member, read_tensors, write_tensors
from actlift.training.budget import Budget, Exponential, Schedule
from actlift.training.device import choose_threads, resolve_device, resolve_precision, threads_of
from actlift.training.ensemble import PLAIN, Ensemble
from actlift.training.run import Identity, Run
from actlift.training.settings import Loss

LEARNING_RATE = Exponential(5e-3, 5e-4)
BATCH_NORM_MOMENTUM = Exponential(0.1, 0.001)  # Pavllo et al. 2019, section 5
UNKNOWN_SHARE = 0.4  # of windows whose condition is withheld
LOG_LINES = 200


class Interrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C after saving its state; the same call resumes it."""


@dataclass(frozen=True)
class ModelSpec:
    """One network to train.

    Attributes:
        name: its name.
        rows: the corpus rows of its target frames.
        budget: what it may spend.
        learning_rate: over progress through that.
        conditions: of every row, for networks that take conditions. Some are withheld in training, so that the network
            also learns to do without.
        average: over how much of its end weights are averaged, from 0 (what comes out are those of the last step) up to
            1 (Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization", UAI; every
            step counts alike, running statistics too).
    """

    name: str
    rows: Int[np.ndarray, " n"]
    budget: Budget
    learning_rate: Schedule = LEARNING_RATE
    conditions: Int[np.ndarray, " n"] | None = None
    average: float = 0.0

    def averaged(self, step: int) -> int:
        """How many steps are averaged once ``step`` steps are done."""
        return max(0, step - round((1 - self.average) * self.budget.steps))

    def record(self) -> dict[str, Any]:
        """What of it determines the weights, as a run's identity holds it."""
        record: dict[str, Any] = {
            "frames": len(self.rows),
            "rows": f"{zlib.crc32(self.rows.tobytes()):08x}",
            "steps": self.budget.steps,
            "learning_rate": asdict(self.learning_rate),
        }
        if self.conditions is not None:
            record["conditions"] = f"{zlib.crc32(self.conditions.tobytes()):08x}"
        if self.average:
            record["average"] = self.average
        return record


@dataclass(frozen=True)
class EvaluationCallback:
    """Something to measure on the networks along training, which changes nothing about it.

    Attributes:
        times: how often, evenly spaced over the longest budget, the last time at its end.
        measure: takes every member's network by name, in evaluation mode on the CPU; gives what ``curve.jsonl`` is to
            hold of it, JSON-able.
    """

    times: int
    measure: Callable[[Mapping[str, Lifter]], Any]

    def due(self, step: int, longest: int) -> bool:
        """Whether to measure when ``step`` steps of ``longest`` are done."""
        return step * self.times // longest > (step - 1) * self.times // longest


@dataclass(frozen=True)
class TrainProgress:
    """What a progress display is told: windows seen and to see over all members, their mean loss, windows a second.

    ``loss`` is in ``unit``: mm, or nats of a recognizer.
    """

    windows: int
    windows_total: int
    loss: float
    windows_per_second: float
    unit: str = "mm"


OnProgress = Callable[[TrainProgress], None]


@runtime_checkable
class Learner(Protocol):
    """What the loop trains.

    Attributes:
        names: members in training, in order.
        loss: (e,) sum of each one's loss over the steps since it was last set to zero, in ``unit``.
        unit: mm or nats.
    """

    unit: str

    @property
    def names(self) -> list[str]: ...
    @property
    def loss(self) -> Tensor: ...

    def begin(self) -> None:
        """Make all members as they are before their first step."""
        ...

    def step(self, number: int) -> None:
        """One optimizer step of every member in training."""
        ...

    def learning_rate(self, number: int) -> float:
        """Of the first member in training, at a step."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything of the members in training that the next step depends on, by "name/tensor"."""
        ...

    def load(self, active: list[str], tensors: Mapping[str, Tensor]) -> None:
        """Go on from a state of these members."""
        ...

    def weights(self, name: str) -> dict[str, Tensor]:
        """A member's weights, as they are now."""
        ...

    def keep(self, names: list[str]) -> None:
        """Go on with these members alone, at least one."""
        ...

    def network(self, weights: Mapping[str, Tensor]) -> Any:
        """A member of these weights in evaluation mode, on the CPU."""
        ...


def train(
    folder: Path,
    corpus: Corpus,
    specs: Sequence[ModelSpec],
    *,
    model: Mapping[str, Any],
    loss: Loss = PLAIN,
    seed: int = 0,
    precision: str = "auto",
    device: str = "auto",
    save_every_s: float = 30.0,
    evaluation: EvaluationCallback | None = None,
    on_progress: OnProgress = lambda _: None,
) -> Run:
    """Train lifters, or resume, or return what is done.

    Args:
        folder: the run folder; made, or resumed where it holds the same run unfinished.
        corpus: the training selection that the specs' rows lie in.
        specs: what to train side by side. Budgets may differ in steps, not in batch size.
        model: what makes the networks, see :func:`actlift.models.base.make_network`; shared by all.
        loss: what is minimized, by all alike.
        precision: "float32", "bfloat16" (activations and products; masters stay float32), or "auto": bfloat16 where
            the processor multiplies it natively.
        device: "cpu", "cuda", or "auto": a GPU where there is one.
        save_every_s: seconds between saved states.
        evaluation: what to measure along training; its time is not counted as training's.
        on_progress: called now and then with the :class:`TrainProgress`.

    Raises:
        InputError: for specs of unequal batch or none, no frames, a negative seed, a network that cannot be,
            conditions that do not fit network or rows, a damaged state, or a folder that holds another run. Nothing is
            written then.
        OSError: where the folder cannot be written; the last saved state stays.
        Interrupted: after Ctrl-C, once the state is saved.
    """
    batch = common_batch(specs)
    if seed < 0:
        raise InputError(f"a seed is 0 or more, got {seed}")
    if loss.velocity and batch % 2:
        raise InputError(f"a velocity loss takes pairs of frames: give an even batch, got {batch}")
    check_network(model)
    where = resolve_device(device)
    learner = LifterLearner(corpus, specs, model, loss, seed, resolve_precision(precision, where), where)
    identity = Identity(
        corpus=corpus.digest,
        members={spec.name: spec.record() for spec in specs},
        batch=batch,
        subjects=corpus.subjects,
        actions=corpus.actions,
        model=dict(model),
        loss=None if loss.plain else asdict(loss),
        seed=seed,
        precision=str(learner.dtype).removeprefix("torch."),
        device=where.type,
        threads=choose_threads(multiply_adds(model) * batch * len(specs)) if where.type == "cpu" else None,
    )
    budgets = {spec.name: spec.budget for spec in specs}
    return run_loop(
        folder, identity, learner, budgets, save_every_s=save_every_s, evaluation=evaluation, on_progress=on_progress
    )


def common_batch(specs: Sequence[ModelSpec]) -> int:
    """The batch size of specs that may train side by side.

    Raises:
        InputError: for none, several batch sizes, or a name that comes twice.
    """
    if not specs:
        raise InputError("there is nothing to train: give at least one member")
    if len(batches := {spec.budget.batch for spec in specs}) != 1:
        raise InputError(
            f"members that train side by side need the same batch size, got {', '.join(map(str, sorted(batches)))}"
        )
    if len({spec.name for spec in specs}) != len(specs):
        raise InputError(f"members need different names, got {', '.join(spec.name for spec in specs)}")
    return batches.pop()


def run_loop(
    folder: Path,
    identity: Identity,
    learner: Learner,
    budgets: Mapping[str, Budget],
    *,
    save_every_s: float = 30.0,
    evaluation: EvaluationCallback | None = None,
    on_progress: OnProgress = lambda _: None,
    log_lines: int | None = None,
    conclude: Callable[[Mapping[str, Any]], tuple[Mapping[str, Tensor], Mapping[str, Any]]] | None = None,
) -> Run:
    """Train a learner into a run folder, or resume, or return what is done.

    Args:
        folder, save_every_s, evaluation, on_progress: as for :func:`train`.
        identity: all that determines the weights.
        learner: what learns, not yet begun.
        budgets: of every member, all of one batch size.
        log_lines: about how many lines the log gets; LOG_LINES where None.
        conclude: from the trained networks by name, what else the weights file is to hold: tensors, metadata.

    Raises:
        InputError: for a folder that holds another run, or a damaged state.
        OSError: where the folder cannot be written; the last saved state stays.
        Interrupted: after Ctrl-C, once the state is saved.
    """
    run = Run.create(folder, identity)
    if run.done:
        run.state.unlink(missing_ok=True)  # there where it was killed between the last two file operations
        return run
    loop = _Loop(run, learner, budgets, evaluation, log_lines or LOG_LINES)
    with threads_of(run, identity.threads):
        loop.resume()
        with _interrupt_noted() as interrupted:
            loop.run_to_end(interrupted, save_every_s, on_progress)
        tensors, metadata = loop.finished, {"steps": loop.longest}
        if conclude is not None:
            networks = {name: learner.network(of_member(loop.finished, name)) for name in budgets}
            more, words = conclude(networks)
            tensors, metadata = {**tensors, **more}, {**metadata, **words}
    write_tensors(run.weights, tensors, metadata)
    run.state.unlink(missing_ok=True)
    return run


class _Loop:
    def __init__(
        self,
        run: Run,
        learner: Learner,
        budgets: Mapping[str, Budget],
        evaluation: EvaluationCallback | None,
        log_lines: int,
    ) -> None:
        self.run = run
        self.learner = learner
        self.budgets = budgets
        self.evaluation = evaluation
        self.batch = next(iter(budgets.values())).batch
        self.longest = max(budget.steps for budget in budgets.values())
        self.log_every = max(1, self.longest // log_lines)
        self.step = 0
        self.active = list(budgets)
        self.spent = (0.0, 0.0)  # seconds of training, by the clock and of all threads
        self.finished: dict[str, Tensor] = {}
        self.losses = 0

    def resume(self) -> None:
        """Begin anew, or go on from the saved state; log lines written after it are cut off."""
        logs = self.run.log_path, self.run.curve_path
        if not self.run.state.exists():
            for log in logs:
                log.unlink(missing_ok=True)
            self.learner.begin()
            return
        tensors, metadata = read_tensors(self.run.state)
        try:
            self.step, self.losses, self.spent = metadata["step"], metadata["losses"], tuple(metadata["spent"])
            self.active = metadata["active"]
            self.learner.load(self.active, tensors)
            self.learner.loss.copy_(tensors["/loss"])
        except (KeyError, RuntimeError) as error:  # of torch, for tensors of other shapes
            raise InputError(
                f"{self.run.state} holds no state of this run ({error}). Delete it to train from the start."
            ) from error
        over = [name for name in self.budgets if name not in self.active]
        self.finished = {f"{name}/{k}": v for name in over for k, v in of_member(tensors, name).items()}
        for log in logs:
            if log.exists():
                with replacing(log) as beside:
                    beside.write_text("".join(f"{line}\n" for line in _lines_up_to(log, self.step)), encoding="utf-8")

    def run_to_end(self, interrupted: threading.Event, save_every_s: float, on_progress: OnProgress) -> None:
        total = sum(budget.windows for budget in self.budgets.values())
        last_saved = last_shown = time.perf_counter()
        clock = _Clock(self.spent)
        before, seen_before = self.spent[0], self._windows_seen()
        recent = 0.0
        while self._retire():
            self.learner.step(self.step)
            self.losses += 1
            self.step += 1
            self.spent = clock.read()
            if self.step % self.log_every == 0 or self.step == self.longest:
                recent = self._write_log()
            if self.evaluation is not None and self.evaluation.due(self.step, self.longest):
                self._measure(self.evaluation)
                clock = _Clock(self.spent)
            now = time.perf_counter()
            if now - last_shown > 0.2 and self.step < self.longest:
                rate = (self._windows_seen() - seen_before) / (self.spent[0] - before)
                shown = recent or float(self.learner.loss.mean()) / max(1, self.losses)
                on_progress(TrainProgress(self._windows_seen(), total, shown, rate, self.learner.unit))
                last_shown = now
            if interrupted.is_set():
                self._save()
                raise Interrupted(
                    f"stopped at step {self.step} of {self.longest}; the same command resumes {self.run.folder}"
                )
            if now - last_saved > save_every_s:
                self._save()
                last_saved = time.perf_counter()
        rate = (total - seen_before) / max(1e-9, self.spent[0] - before)
        on_progress(TrainProgress(total, total, recent, rate, self.learner.unit))

    def _retire(self) -> bool:
        """Take members whose budget is spent out of training; gives whether any are left."""
        stays = [name for name in self.active if self.budgets[name].steps > self.step]
        for name in self.active:
            if name not in stays:
                self.finished |= {f"{name}/{k}": v.clone() for k, v in self.learner.weights(name).items()}
        if stays and len(stays) < len(self.active):
            self.learner.keep(stays)
        self.active = stays
        return bool(stays)

    def _windows_seen(self) -> int:
        return sum(min(self.step, budget.steps) * self.batch for budget in self.budgets.values())

    def _write_log(self) -> float:
        """Append a line with the mean loss since the last; gives the members' mean."""
        means = (self.learner.loss / self.losses).tolist()
        shown = dict(zip(self.learner.names, (round(m, 4) for m in means), strict=True))
        rate = self.learner.learning_rate(self.step - 1)
        _append(self.run.log_path, {**self._where(), "learning_rate": rate, f"loss_{self.learner.unit}": shown})
        self.learner.loss.zero_()
        self.losses = 0
        return float(np.mean(means))

    def _where(self) -> dict[str, Any]:
        """What every line of the log and the curve begins with."""
        seconds, cpu_seconds = (round(s, 3) for s in self.spent)
        progress = self.step / self.longest
        return {"step": self.step, "progress": progress, "seconds": seconds, "cpu_seconds": cpu_seconds}

    def _measure(self, evaluation: EvaluationCallback) -> None:
        weights = {name: self.learner.weights(name) for name in self.active}
        weights |= {name: of_member(self.finished, name) for name in self.budgets if name not in self.active}
        networks = {name: self.learner.network(weights[name]) for name in self.budgets}
        _append(self.run.curve_path, {**self._where(), "measured": evaluation.measure(networks)})

    def _save(self) -> None:
        tensors = {**self.learner.state(), **self.finished, "/loss": self.learner.loss}
        metadata = {"step": self.step, "spent": self.spent, "losses": self.losses, "active": self.active}
        write_tensors(self.run.state, tensors, metadata)


class TogetherLearner(ABC):
    """The half of a :class:`Learner` that is alike where all members have one budget and one optimizer of torch.

    Attributes:
        names: of the members.
        adam: the optimizer, of one group of parameters; made by :meth:`start`.
    """

    names: list[str]
    adam: torch.optim.Optimizer

    @abstractmethod
    def start(self, networks: Sequence[Any]) -> None:
        """Begin to train these networks, one of each member, side by side."""

    @abstractmethod
    def weights(self, name: str) -> dict[str, Tensor]:
        """See :class:`Learner`."""

    @abstractmethod
    def network(self, weights: Mapping[str, Tensor]) -> Any:
        """See :class:`Learner`."""

    def state(self) -> dict[str, Tensor]:
        """See :class:`Learner`."""
        tensors = {f"{name}/{k}": v for name in self.names for k, v in self.weights(name).items()}
        moments = self.adam.state_dict()["state"]
        return tensors | {f"/adam/{i}/{k}": v for i, own in moments.items() for k, v in own.items()}

    def load(self, active: list[str], tensors: Mapping[str, Tensor]) -> None:
        """See :class:`Learner`."""
        self.start([self.network(of_member(tensors, name)) for name in active])
        state = self.adam.state_dict()
        state["state"] = {i: of_member(tensors, f"/adam/{i}") for i in state["param_groups"][0]["params"]}
        self.adam.load_state_dict(state)

    def keep(self, names: list[str]) -> None:
        """See :class:`Learner`."""
        raise AssertionError(f"all members end at once, not {names} before others")


class LifterLearner:
    """Lifters of one shape in training, from scratch; see :class:`Learner`."""

    unit = "mm"

    def __init__(
        self,
        corpus: Corpus,
        specs: Sequence[ModelSpec],
        model: Mapping[str, Any],
        loss: Loss,
        seed: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.specs = {spec.name: spec for spec in specs}
        self.keys = {name: (seed, zlib.crc32(name.encode())) for name in self.specs}
        self.model, self.objective, self.dtype, self.device = dict(model), loss, dtype, device
        self.draws = Batches(corpus, specs, make_on_meta(model), loss, seed, device)
        self.names = list(self.specs)
        self.loss = torch.zeros(len(specs), device=device)
        self.averages: dict[str, dict[str, Tensor]] = {}

    def begin(self) -> None:
        """Every member's first weights depend on the seed and its name alone."""
        networks = []
        for key in self.keys.values():
            with seeded(key):
                networks.append(make_network(self.model))
        self._stack(list(self.specs), networks)

    def step(self, number: int) -> None:
        names = self.names
        own = [self.specs[name] for name in names]
        progress = [spec.budget.progress(number) for spec in own]
        pose2d, target, condition = self.draws(names, number)
        self.ensemble.step(
            number,
            pose2d,
            target,
            condition,
            rates=[spec.learning_rate(p) for spec, p in zip(own, progress, strict=True)],
            momenta=[BATCH_NORM_MOMENTUM(p) for p in progress],
        )
        for spec in own:
            if count := spec.averaged(number + 1):
                self._average(spec.name, count)

    def learning_rate(self, number: int) -> float:
        first = self.specs[self.names[0]]
        return first.learning_rate(first.budget.progress(number))

    def state(self) -> dict[str, Tensor]:
        means = {f"{name}/mean.{k}": v for name in self.names for k, v in self.averages.get(name, {}).items()}
        return self.ensemble.state() | means

    def load(self, active: list[str], tensors: Mapping[str, Tensor]) -> None:
        own = {name: of_member(tensors, name) for name in active}
        self._stack(active, [self.network(_weights(own[name])) for name in active])
        self.ensemble.load_moments(tensors)
        for name, of in own.items():
            if means := {k.removeprefix("mean."): v.to(self.device) for k, v in of.items() if k.startswith("mean.")}:
                self.averages[name] = means

    def weights(self, name: str) -> dict[str, Tensor]:
        return self.averages.get(name) or self._last(name)

    def _last(self, name: str) -> dict[str, Tensor]:
        """A member's weights after its last step, averaged or not."""
        state: dict[str, Tensor] = self.ensemble.network.member_state(self.names.index(name))
        return state

    def _average(self, name: str, count: int) -> None:
        """Take a member's weights into their mean over so many steps."""
        last = self._last(name)
        if count == 1:
            self.averages[name] = {key: value.clone() for key, value in last.items()}
            return
        for key, mean in self.averages[name].items():
            mean.lerp_(last[key], 1 / count)

    def keep(self, names: list[str]) -> None:
        index = [self.names.index(name) for name in names]
        state, loss = self.ensemble.state(), self.loss[index]
        self._stack(names, [self.ensemble.network.member(i) for i in index])
        self.ensemble.load_moments(state)
        self.ensemble.loss.copy_(loss)

    def network(self, weights: Mapping[str, Tensor]) -> Lifter:
        network = make_network(self.model)
        network.load_state_dict(weights)
        network.eval()
        return network

    def _stack(self, names: list[str], networks: Sequence[Lifter]) -> None:
        keys = [self.keys[name] for name in names]
        self.ensemble = Ensemble(names, networks, keys, dtype=self.dtype, device=self.device, loss=self.objective)
        self.names, self.loss = names, self.ensemble.loss


class Batches:
    """The windows of every step of specs that train side by side.

    Raises:
        InputError: for a spec without frames, or conditions that do not fit network or rows.
    """

    def __init__(
        self,
        corpus: Corpus,
        specs: Sequence[ModelSpec],
        network: Lifter,
        loss: Loss,
        seed: int,
        device: torch.device,
    ) -> None:
        self.pairs = loss.velocity > 0
        self.batch = specs[0].budget.batch
        self.device = device
        frames = self.batch // (2 if self.pairs else 1)
        self.samplers = {spec.name: Sampler(spec.rows, frames, seed=seed, name=spec.name) for spec in specs}
        self.conditions = {spec.name: conditions_of(spec, network.conditions, seed) for spec in specs}
        self._make_windows = partial(
            Windows,
            corpus,
            network.receptive_field,
            causal=network.causal,
            trajectory=network.trajectory,
            device=device,
        )

    @cached_property
    def windows(self) -> Windows:
        """Made at the first step: of a run that is done nothing is read."""
        return self._make_windows()

    def __call__(self, names: Sequence[str], number: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Windows (e, b, t, j, 2), targets (e, b, j2, 3) and conditions (e, b) of these members at a step."""
        picks = [self._picks(name, number) for name in names]
        rows, flips = (np.concatenate(part) for part in zip(*picks, strict=True))
        pose2d, target = self.windows.gather(rows, flips)
        e, b = len(names), self.batch
        told = [
            draw(number, own, pairs=self.pairs)
            for name, (own, _) in zip(names, picks, strict=True)
            if (draw := self.conditions[name])
        ]
        condition = torch.from_numpy(np.stack(told)).to(self.device) if told else None
        return pose2d.reshape(e, b, *pose2d.shape[1:]), target.reshape(e, b, *target.shape[1:]), condition

    def _picks(self, name: str, number: int) -> tuple[Int[np.ndarray, " b"], Bool[np.ndarray, " b"]]:
        """Target rows and flips of a member's batch; pairs of neighbors where their velocity counts."""
        rows, flips = self.samplers[name](number)
        if not self.pairs:
            return rows, flips
        return np.concatenate([rows, self.windows.following(rows)]), np.tile(flips, 2)


def make_on_meta(model: Mapping[str, Any]) -> Lifter:
    """A network without weights, to ask what it takes."""
    with torch.device("meta"):
        return make_network(model)


def _weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A member's weights among its optimizer's moments and its weights' means."""
    return {k: v for k, v in tensors.items() if not k.startswith(("adam.", "mean."))}


class Conditions:
    """The conditions that a member is told in training: those of its windows, some withheld."""

    def __init__(self, member: ModelSpec, unknown: int, seed: int) -> None:
        assert member.conditions is not None
        self.unknown = unknown
        self.key = (seed, zlib.crc32(member.name.encode()))
        self.of_row = np.full(int(member.rows.max()) + 1, unknown, np.int64)
        self.of_row[member.rows] = member.conditions

    def __call__(self, step: int, rows: Int[np.ndarray, " b"], *, pairs: bool) -> Int[np.ndarray, " b"]:
        """The conditions of the windows of ``step``, a function of key and step; of pairs both are told, or neither."""
        drawn = np.random.default_rng((*self.key, 4, step)).random(len(rows) // (1 + pairs))
        return np.where(np.tile(drawn < UNKNOWN_SHARE, 1 + pairs), self.unknown, self.of_row[rows])


def conditions_of(member: ModelSpec, conditions: int, seed: int) -> Conditions | None:
    """What a member is told, if anything, in a network that takes so many conditions.

    Raises:
        InputError: for conditions where the network takes none, none where it takes some, or some it does not take.
    """
    own = member.conditions
    if (own is not None) != (conditions > 0):
        raise InputError(
            f"member {member.name!r} has {'no ' if own is None else ''}conditions and the network takes {conditions}: "
            "give the conditions of the member's rows exactly where the network takes some"
        )
    if own is None:
        return None
    if len(own) != len(member.rows) or not 0 <= own.min() <= own.max() <= conditions:
        raise InputError(
            f"member {member.name!r} needs a condition from 0 to {conditions} (unknown) for each of its "
            f"{len(member.rows)} rows, got {len(own)}, from {own.min()} to {own.max()}"
        )
    return Conditions(member, conditions, seed)


class _Clock:
    """Seconds of this process from now on, by the clock and of all threads, upon those already spent."""

    def __init__(self, spent: tuple[float, ...]) -> None:
        self.began = [s - now for s, now in zip(spent, self._now(), strict=True)]

    def read(self) -> tuple[float, float]:
        seconds, cpu_seconds = (now + began for now, began in zip(self._now(), self.began, strict=True))
        return seconds, cpu_seconds

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    """Append a line to a log."""
    try:
        with path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise OSError(
            f"could not write {path} ({error}); the last saved state stays. Free some space and run it again."
        ) from error


def _lines_up_to(log: Path, step: int) -> Iterator[str]:
    """The whole lines of a log that were written at ``step`` or before; what a crash cut short ends it."""
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        try:
            written = json.loads(line)["step"]
        except json.JSONDecodeError:
            return
        if written <= step:
            yield line


@contextmanager
def _interrupt_noted() -> Iterator[threading.Event]:
    """Within, the first Ctrl-C sets an event that the loop reads between steps; a second one stops at once."""
    noted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        noted.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
