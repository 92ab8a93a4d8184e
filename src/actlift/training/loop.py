"""The one training loop: one lifter, or several of one shape side by side, within their budgets, into a run folder.

Every random number is a function of (seed, member's name, step), and the weights of a member do not depend on who
trains beside it (to rounding). On a CPU the same call gives the same bits; a run that was killed resumes from its last
saved state to the bits of an unbroken one.
"""

import json
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from actlift.data.corpus import Corpus
from actlift.data.windows import Sampler, Windows
from actlift.errors import InputError
from actlift.files import replacing
from actlift.models.tcn import TCN, check_network, member, multiply_adds
from actlift.models.tensors import of_member, read_tensors, write_tensors
from actlift.training.budget import Budget, Exponential, Schedule
from actlift.training.device import choose_threads, resolve_device, resolve_precision, threads_of
from actlift.training.ensemble import PLAIN, Ensemble, seeded
from actlift.training.options import Loss
from actlift.training.run import Run

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
    """

    name: str
    rows: Int[np.ndarray, " n"]
    budget: Budget
    learning_rate: Schedule = LEARNING_RATE
    conditions: Int[np.ndarray, " n"] | None = None


@dataclass(frozen=True)
class EvaluationCallback:
    """Something to measure on the networks along training, which changes nothing about it.

    Attributes:
        times: how often, evenly spaced over the longest budget, the last time at its end.
        measure: takes every member's network by name, in evaluation mode on the CPU; gives what ``curve.jsonl`` is to
            hold of it, JSON-able.
    """

    times: int
    measure: Callable[[Mapping[str, TCN]], Any]

    def due(self, step: int, longest: int) -> bool:
        """Whether to measure when ``step`` steps of ``longest`` are done."""
        return step * self.times // longest > (step - 1) * self.times // longest


@dataclass(frozen=True)
class TrainProgress:
    """What a progress display is told: windows seen and to see over all members, their mean loss, windows a second."""

    windows: int
    windows_total: int
    loss_mm: float
    windows_per_second: float


def train(
    folder: Path,
    corpus: Corpus,
    members: Sequence[ModelSpec],
    *,
    model: Mapping[str, Any],
    loss: Loss = PLAIN,
    seed: int = 0,
    precision: str = "auto",
    device: str = "auto",
    save_every_s: float = 30.0,
    callback: EvaluationCallback | None = None,
    on_progress: Callable[[TrainProgress], None] = lambda _: None,
) -> Run:
    """Train, or resume, or return what is done.

    Args:
        folder: the run folder; made, or resumed where it holds the same run unfinished.
        corpus: the training selection that the members' rows lie in.
        members: what to train side by side. Budgets may differ in steps, not in batch size.
        model: keywords of :class:`TCN`, shared by all members.
        loss: what is minimized, by all members alike.
        precision: "float32", "bfloat16" (activations and products; masters stay float32), or "auto": bfloat16 where
            the processor multiplies it natively.
        device: "cpu", "cuda", or "auto": a GPU where there is one.
        save_every_s: seconds between saved states.
        callback: what to measure along training; its time is not counted as training's.
        on_progress: called now and then with the :class:`TrainProgress`.

    Raises:
        ValueError: for members of unequal batch or none, no frames, a negative seed, a network that cannot be,
            conditions that do not fit network or rows, a damaged state, or a folder that holds another run. Nothing is
            written then.
        OSError: where the folder cannot be written; the last saved state stays.
        Interrupted: after Ctrl-C, once the state is saved.
    """
    if not members:
        raise InputError("there is nothing to train: give at least one member")
    if len(batches := {m.budget.batch for m in members}) != 1:
        raise InputError(
            f"members that train side by side need the same batch size, got {', '.join(map(str, sorted(batches)))}"
        )
    if len({m.name for m in members}) != len(members):
        raise InputError(f"members need different names, got {', '.join(m.name for m in members)}")
    if seed < 0:
        raise InputError(f"a seed is 0 or more, got {seed}")
    frames = members[0].budget.batch // (2 if loss.velocity else 1)
    if loss.velocity and members[0].budget.batch % 2:
        raise InputError(f"a velocity loss takes pairs of frames: give an even batch, got {members[0].budget.batch}")
    samplers = {m.name: Sampler(m.rows, frames, seed=seed, name=m.name) for m in members}
    check_network(model)
    draws = {m.name: conditions_of(m, int(model.get("conditions", 0)), seed) for m in members}
    where = resolve_device(device)
    threads = (
        choose_threads(multiply_adds(model) * members[0].budget.batch * len(members)) if where.type == "cpu" else None
    )
    identity = {
        "corpus": corpus.digest,
        "members": {
            m.name: {
                "frames": len(m.rows),
                "rows": f"{zlib.crc32(m.rows.tobytes()):08x}",
                "steps": m.budget.steps,
                "learning_rate": asdict(m.learning_rate),
                **({} if m.conditions is None else {"conditions": f"{zlib.crc32(m.conditions.tobytes()):08x}"}),
            }
            for m in members
        },
        "batch": members[0].budget.batch,
        "trained_on": {"subjects": list(corpus.subjects), "actions": list(corpus.actions)},
        "model": dict(model),
        **({} if loss.plain else {"loss": asdict(loss)}),
        "seed": seed,
        "precision": str(resolve_precision(precision, where)).removeprefix("torch."),
        "device": where.type,
        "threads": threads,
    }
    run = Run.create(folder, identity)
    if run.done:
        if run.state.exists():  # killed between the last two file operations
            run.state.unlink()
        return run
    loop = _Loop(run, corpus, members, samplers, draws, loss, where, callback)
    loop.resume()
    with _interrupt_noted() as interrupted, threads_of(run, threads):
        loop.run_to_end(interrupted, save_every_s, on_progress)
    return run


class _Loop:
    def __init__(
        self,
        run: Run,
        corpus: Corpus,
        members: Sequence[ModelSpec],
        samplers: Mapping[str, Sampler],
        conditions: Mapping[str, "Conditions | None"],
        loss: Loss,
        device: torch.device,
        callback: EvaluationCallback | None,
    ) -> None:
        identity = run.config["identity"]
        self.run = run
        self.members = {m.name: m for m in members}
        self.device = device
        self.callback = callback
        self.dtype = getattr(torch, identity["precision"])
        self.seed: int = identity["seed"]
        self.batch = members[0].budget.batch
        model = identity["model"]
        self.model = model
        receptive_field = TCN(**model).receptive_field
        causal, self.trajectory = model.get("causal", False), model.get("trajectory", False)
        self.windows = Windows(corpus, receptive_field, causal=causal, trajectory=self.trajectory, device=device)
        self.samplers = samplers
        self.conditions = conditions
        self.loss = loss
        self.keys = {m.name: (self.seed, zlib.crc32(m.name.encode())) for m in members}
        self.step = 0
        self.longest = max(m.budget.steps for m in members)
        self.spent = (0.0, 0.0)  # seconds of training, by the clock and of all threads
        self.finished: dict[str, Tensor] = {}
        self.losses = 0

    def resume(self) -> None:
        """Begin anew, or go on from the saved state; log lines written after it are cut off."""
        logs = self.run.log_path, self.run.curve_path
        if not self.run.state.exists():
            for log in logs:
                log.unlink(missing_ok=True)
            self._stack(list(self.members), [self._fresh(name) for name in self.members])
            return
        tensors, metadata = read_tensors(self.run.state)
        try:
            self._load_state(tensors, metadata)
        except (KeyError, RuntimeError) as error:
            raise InputError(
                f"{self.run.state} holds no state of this run ({error}). Delete it to train from the start."
            ) from error
        for log in logs:
            if log.exists():
                with replacing(log) as beside:
                    beside.write_text("".join(f"{line}\n" for line in _lines_up_to(log, self.step)), encoding="utf-8")

    def _load_state(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        self.step, self.losses, self.spent = metadata["step"], metadata["losses"], tuple(metadata["spent"])
        active: list[str] = metadata["active"]
        own = {name: of_member(tensors, name) for name in self.members}
        self._stack(active, [self._network(own[name]) for name in active])
        self.stack.load_moments(tensors)
        self.stack.loss.copy_(tensors["/loss"])
        self.finished = {f"{name}/{k}": v for name in self.members if name not in active for k, v in own[name].items()}

    def run_to_end(
        self, interrupted: threading.Event, save_every_s: float, on_progress: Callable[[TrainProgress], None]
    ) -> None:
        total = sum(m.budget.windows for m in self.members.values())
        log_every = max(1, self.longest // LOG_LINES)
        last_saved = last_watched = time.perf_counter()
        clock = _Clock(self.spent)
        before = self.spent[0]
        seen_before = self._windows_seen()
        recent = 0.0
        while True:
            self._retire()
            if not self.stack.names:
                break
            self._one_step()
            self.step += 1
            self.spent = clock.read()
            if self.step % log_every == 0 or self.step == self.longest:
                recent = self._write_log()
            if self.callback is not None and self.callback.due(self.step, self.longest):
                self._measure(self.callback)
                clock = _Clock(self.spent)
            now = time.perf_counter()
            if now - last_watched > 0.2 and self.step < self.longest:
                seen = self._windows_seen()
                rate = (seen - seen_before) / (self.spent[0] - before)
                on_progress(
                    TrainProgress(seen, total, recent or float(self.stack.loss.mean()) / max(1, self.losses), rate)
                )
                last_watched = now
            if interrupted.is_set():
                self._save()
                raise Interrupted(
                    f"stopped at step {self.step} of {self.longest}; the same command resumes {self.run.folder}"
                )
            if now - last_saved > save_every_s:
                self._save()
                last_saved = time.perf_counter()
        write_tensors(self.run.weights, self.finished, {"steps": self.longest})
        self.run.state.unlink(missing_ok=True)
        on_progress(TrainProgress(total, total, recent, (total - seen_before) / max(1e-9, self.spent[0] - before)))

    def _one_step(self) -> None:
        names = self.stack.names
        budgets = [self.members[name].budget for name in names]
        progress = [budget.progress(self.step) for budget in budgets]
        picks = [self._picks(name) for name in names]
        rows, flips = (np.concatenate(part) for part in zip(*picks, strict=True))
        pose2d, target = self.windows.gather(rows, flips)
        e, b = len(names), self.batch
        pairs = self.loss.velocity > 0
        told = [
            draw(self.step, own, pairs=pairs)
            for name, (own, _) in zip(names, picks, strict=True)
            if (draw := self.conditions[name])
        ]
        self.stack.step(
            self.step,
            pose2d.reshape(e, b, *pose2d.shape[1:]),
            target.reshape(e, b, *target.shape[1:]),
            torch.from_numpy(np.stack(told)).to(self.device) if told else None,
            rates=[self.members[n].learning_rate(p) for n, p in zip(names, progress, strict=True)],
            momenta=[BATCH_NORM_MOMENTUM(p) for p in progress],
        )
        self.losses += 1

    def _picks(self, name: str) -> tuple[Int[np.ndarray, " b"], Bool[np.ndarray, " b"]]:
        """Target rows and flips of a member's batch; pairs of neighbors where their velocity counts."""
        rows, flips = self.samplers[name](self.step)
        if not self.loss.velocity:
            return rows, flips
        return np.concatenate([rows, self.windows.following(rows)]), np.tile(flips, 2)

    def _fresh(self, name: str) -> TCN:
        """A member's network before its first step: its weights depend on the seed and its name alone."""
        with seeded(self.keys[name]):
            return TCN(**self.model)

    def _network(self, tensors: Mapping[str, Tensor]) -> TCN:
        """A network of a member's tensors, which may stand among its moments."""
        network = TCN(**self.model)
        network.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("adam.")})
        return network

    def _stack(self, names: list[str], networks: list[TCN]) -> None:
        keys = [self.keys[name] for name in names]
        self.stack = Ensemble(names, networks, keys, dtype=self.dtype, device=self.device, loss=self.loss)

    def _retire(self) -> None:
        """Take members whose budget is spent out of the stack."""
        stays = [n for n in self.stack.names if self.members[n].budget.steps > self.step]
        if len(stays) == len(self.stack.names):
            return
        state = self.stack.state()
        for name in self.stack.names:
            if name not in stays:
                own = of_member(state, name)
                self.finished |= {f"{name}/{k}": v.clone() for k, v in own.items() if not k.startswith("adam.")}
        index = [self.stack.names.index(n) for n in stays]
        if not stays:
            self.stack.names = []
            return
        loss = self.stack.loss[index]
        self._stack(stays, [member(self.stack.network, i) for i in index])
        self.stack.load_moments(state)
        self.stack.loss.copy_(loss)

    def _windows_seen(self) -> int:
        return sum(min(self.step, m.budget.steps) * self.batch for m in self.members.values())

    def _write_log(self) -> float:
        """Append a line with the mean loss since the last; gives the members' mean."""
        means = (self.stack.loss / self.losses).tolist()
        first = self.members[self.stack.names[0]]
        _append(
            self.run.log_path,
            {
                **self._where(),
                "learning_rate": first.learning_rate(first.budget.progress(self.step - 1)),
                "loss_mm": dict(zip(self.stack.names, (round(m, 4) for m in means), strict=True)),
            },
        )
        self.stack.loss.zero_()
        self.losses = 0
        return float(np.mean(means))

    def _where(self) -> dict[str, Any]:
        """What every line of the log and the curve begins with."""
        seconds, cpu_seconds = (round(s, 3) for s in self.spent)
        progress = self.step / self.longest
        return {"step": self.step, "progress": progress, "seconds": seconds, "cpu_seconds": cpu_seconds}

    def _measure(self, callback: EvaluationCallback) -> None:
        tensors = {**self.stack.state(), **self.finished}
        networks = {name: self._network(of_member(tensors, name)).eval() for name in self.members}
        _append(self.run.curve_path, {**self._where(), "measured": callback.measure(networks)})

    def _save(self) -> None:
        tensors = {**self.stack.state(), **self.finished, "/loss": self.stack.loss}
        metadata = {
            "step": self.step,
            "spent": self.spent,
            "losses": self.losses,
            "active": self.stack.names,
        }
        write_tensors(self.run.state, tensors, metadata)


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
        ValueError: for conditions where the network takes none, none where it takes some, or some it does not take.
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
