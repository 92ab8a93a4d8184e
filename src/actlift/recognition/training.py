"""Training and calibrating a recognizer of actions from 2D keypoints, and from 3D poses lifted from them.

One training makes several networks side by side: the one that is used, which learns from everybody it is given, and
for each of a few folds one that never saw the fold's people. The latter are there to be wrong honestly: on people they
did not see one temperature is fitted (Guo et al. 2017, "On calibration of modern neural networks", section 4.2), and
options can be chosen. What only one person does cannot be learnt without that person, and is missing there. A lifter is
the same for all of them: where the recognizer is given one, it may have seen the people that a fold leaves out.

Every random number is a function of (seed, member, step). On a CPU the same call gives the same bits, and a training
that was killed resumes to those of an unbroken one.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from scipy.special import softmax
from torch import Tensor

from actlift.data.corpus import Corpus, View
from actlift.data.windows import rows_of
from actlift.errors import InputError
from actlift.lifting.predict import lift
from actlift.models.base import Lifter, checksum, keywords_of, seeded, unconditioned
from actlift.models.tcn import member, stack
from actlift.recognition.accuracy import confidence_for, measure, temperature_of
from actlift.recognition.folds import leave_out, people_to_leave_out
from actlift.recognition.network import STILL, RecognizerNetwork
from actlift.recognition.prediction import EVERYBODY, LIFTER, ActionRecognizer, describe
from actlift.training.budget import Budget, Exponential
from actlift.training.device import choose_threads
from actlift.training.ensemble import random_integers
from actlift.training.loop import OnProgress, TogetherLearner, run_loop
from actlift.training.run import Identity, Run

LEARNING_RATE = Exponential(1e-2, 1e-4)
BATCH_NORM_MOMENTUM = Exponential(0.1, 0.001)
WEIGHT_DECAY = 0.01
LABEL_SMOOTHING = 0.1
BALANCE = 0.5  # an action of n windows is drawn in proportion to n ** BALANCE
EVERY = 8  # frames between the windows that are learnt from; nearer ones say about the same
LOG_LINES = 50
SURE = 0.95  # how often the recognizer is right on held-out clips of which it is at least so sure as it says
BUDGET = Budget(2000, 128)
FOLDS = 8


def train_recognizer(
    folder: Path,
    corpus: Corpus,
    *,
    model: Mapping[str, Any],
    lifter: Lifter | None = None,
    budget: Budget = BUDGET,
    folds: int = FOLDS,
    seed: int = 0,
    save_every_s: float = 30.0,
    on_progress: OnProgress = lambda _: None,
) -> Run:
    """Train and calibrate, or resume, or return what is done. On the CPU, in float32.

    Args:
        folder: the run folder; made, or resumed where it holds the same run unfinished.
        corpus: the training selection; its actions are those that are told apart.
        model: keywords of :class:`RecognizerNetwork` but for ``actions`` and ``lifted``.
        lifter: whose poses are seen beside the keypoints, told nothing where it takes conditions; it is kept with the
            recognizer. Its poses of people it learnt from are better than of others, and what is held out looks easier.
        budget: of every member.
        folds: how many times some people are left out; where fewer can be, as many as they are.
        save_every_s: seconds between saved states.
        on_progress: called now and then with the :class:`actlift.training.loop.TrainProgress`, its loss in nats.

    Raises:
        InputError: for one action, folds in which nothing can be learnt or held out, a negative seed, a causal
            recognizer whose lifter sees the future, a damaged state, or a folder that holds another run.
        OSError: where the folder cannot be written; the last saved state stays.
        Interrupted: after Ctrl-C, once the state is saved.
    """
    if seed < 0:
        raise InputError(f"a seed is 0 or more, got {seed}")
    members = members_of(corpus, folds)
    if lifter is not None:
        lifter = unconditioned(lifter)
    model = {**model, "lifted": lifter is not None}
    recognizer = RecognizerNetwork(len(corpus.actions), **model)  # raises what is wrong with it
    if recognizer.causal and lifter is not None and not lifter.causal:
        raise InputError("a causal recognizer needs a causal lifter; this one sees the future")
    identity = Identity(
        corpus=corpus.digest,
        members={name: {"held_out": sorted(people)} for name, people in members.items()},
        clips=f"{zlib.crc32(rows_of(corpus.views).tobytes()):08x}",
        subjects=corpus.subjects,
        actions=corpus.actions,
        budget=asdict(budget),
        model=model,
        lifter=None if lifter is None else {"model": keywords_of(lifter), "weights": checksum(lifter)},
        seed=seed,
        threads=choose_threads(recognizer.trunk.multiply_adds * budget.batch * len(members)),
    )

    def conclude(networks: Mapping[str, RecognizerNetwork]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        of_lifter = {} if lifter is None else {f"{LIFTER}/{k}": v for k, v in lifter.state_dict().items()}
        return of_lifter, _calibrated(networks, corpus, members, lifter)

    return run_loop(
        folder,
        identity,
        RecognizerLearner(corpus, members, budget, model, lifter, seed),
        dict.fromkeys(members, budget),
        save_every_s=save_every_s,
        on_progress=on_progress,
        log_lines=LOG_LINES,
        conclude=conclude,
    )


def members_of(corpus: Corpus, folds: int) -> dict[str, frozenset[str]]:
    """The members of a training, with the people each leaves out: EVERYBODY leaves out nobody.

    Raises:
        InputError: where nothing can be learnt or held out.
    """
    held_out = leave_out(corpus, min(folds, len(people_to_leave_out(corpus))))
    return {EVERYBODY: frozenset[str]()} | {f"fold{i}": people for i, people in enumerate(held_out)}


def training_multiply_adds(corpus: Corpus, model: Mapping[str, Any], budget: Budget, folds: int) -> int:
    """About what a training multiplies and adds, of all members together, to be held against that of a lifter."""
    trunk = RecognizerNetwork(len(corpus.actions), **model).trunk
    return 3 * trunk.multiply_adds * budget.windows * len(members_of(corpus, folds))


class _Draws:
    """The batches of one member: rows, labels and flips, each a function of key and step.

    Args:
        rows: what to draw from.
        labels: of these rows.
        key: of the member.
    """

    def __init__(self, rows: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], key: tuple[int, int]) -> None:
        self.rows = rows[np.argsort(labels, kind="stable")]
        self.labels, self.first, self.count = np.unique(np.sort(labels), return_index=True, return_counts=True)
        if len(self.labels) < 2:
            raise InputError("a fold leaves fewer than 2 actions to learn: ask for more folds, or give more people")
        weights = self.count.astype(float) ** BALANCE
        self.chances = weights / weights.sum()
        self.key = key

    def __call__(self, step: int, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        generator = np.random.default_rng((*self.key, 1, step))
        which = generator.choice(len(self.labels), size=batch, p=self.chances)
        offset = (generator.random(batch) * self.count[which]).astype(np.int64)
        return self.rows[self.first[which] + offset], self.labels[which], generator.random(batch) < 0.5


class RecognizerLearner(TogetherLearner):
    """Recognizers of one shape in training; see :class:`actlift.training.loop.Learner`."""

    unit = "nats"

    def __init__(
        self,
        corpus: Corpus,
        members: Mapping[str, frozenset[str]],
        budget: Budget,
        model: Mapping[str, Any],
        lifter: Lifter | None,
        seed: int,
    ) -> None:
        self.names = list(members)
        self.keys = [(seed, zlib.crc32(name.encode())) for name in members]
        self.corpus, self.members, self.budget, self.model, self.lifter = corpus, members, budget, model, lifter
        self.loss = torch.zeros(len(self.names))

    @cached_property
    def described(self) -> Tensor:
        """Every EVERY-th window of every view, as it is and mirrored: (2, n, features, 2)."""
        blank = RecognizerNetwork(len(self.corpus.actions), **self.model)
        views = self.corpus.views
        poses = [None] * len(views) if self.lifter is None else lift(self.lifter, [v.pose2d for v in views])
        each = [describe(blank, v.pose2d, p, v.fps)[:, ::EVERY] for v, p in zip(views, poses, strict=True)]
        return torch.cat(each, dim=1)

    @cached_property
    def draws(self) -> list["_Draws"]:
        """The batches of every member."""
        views = self.corpus.views
        windows = [-(-v.frames // EVERY) for v in views]
        labels = np.repeat([self.corpus.actions.index(v.action) for v in views], windows)
        people = np.repeat([v.subject for v in views], windows)
        found = []
        for left_out, key in zip(self.members.values(), self.keys, strict=True):
            rows = np.flatnonzero(~np.isin(people, sorted(left_out)))
            found.append(_Draws(rows, labels[rows], key))
        return found

    def begin(self) -> None:
        """Every member's first weights depend on its key alone, its normalization on what it may see."""
        networks = []
        for draws, key in zip(self.draws, self.keys, strict=True):
            with seeded(key):
                network = RecognizerNetwork(len(self.corpus.actions), **self.model)
            scale, center = torch.std_mean(self.described[:, np.sort(draws.rows)], dim=(0, 1))
            network.center.copy_(center)
            network.scale.copy_(scale.clamp_min(STILL))
            networks.append(network)
        self.start(networks)

    def start(self, networks: Sequence[RecognizerNetwork]) -> None:
        """The first network with the trunks of all side by side."""
        self.stacked = networks[0]
        self.stacked.center = torch.stack([n.center for n in networks])[:, None]
        self.stacked.scale = torch.stack([n.scale for n in networks])[:, None]
        self.stacked.trunk = stack([n.trunk for n in networks]).train()
        self.adam = torch.optim.AdamW(self.stacked.parameters(), weight_decay=WEIGHT_DECAY)

    def step(self, number: int) -> None:
        batch, progress = self.budget.batch, self.budget.progress(number)
        rows, labels, flips = (np.stack(p) for p in zip(*(d(number, batch) for d in self.draws), strict=True))
        trunk = self.stacked.trunk
        trunk.batch_norm_momentum = BATCH_NORM_MOMENTUM(progress)
        noise = random_integers(self.keys, number, trunk.noise_size(batch)) if trunk.dropout else None
        logits = self.stacked(self.described[flips.astype(np.int64), rows], noise)  # (e, b, actions)
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1),
            torch.from_numpy(labels.ravel()),
            label_smoothing=LABEL_SMOOTHING,
            reduction="none",
        )
        self.adam.param_groups[0]["lr"] = LEARNING_RATE(progress)
        self.adam.zero_grad()
        loss = losses.reshape(-1, batch).mean(dim=1)
        torch.autograd.backward(loss.sum())
        self.adam.step()
        self.loss += loss.detach()

    def learning_rate(self, number: int) -> float:
        return LEARNING_RATE(self.budget.progress(number))

    def weights(self, name: str) -> dict[str, Tensor]:
        i = self.names.index(name)
        own = {f"trunk.{k}": v for k, v in member(self.stacked.trunk, i).state_dict().items()}
        return {"center": self.stacked.center[i, 0], "scale": self.stacked.scale[i, 0], **own}

    def network(self, weights: Mapping[str, Tensor]) -> RecognizerNetwork:
        network = RecognizerNetwork(len(self.corpus.actions), **self.model)
        network.load_state_dict(weights)
        return network.eval()


def _calibrated(
    networks: Mapping[str, RecognizerNetwork],
    corpus: Corpus,
    members: Mapping[str, frozenset[str]],
    lifter: Lifter | None,
) -> dict[str, Any]:
    """The temperature, and how right the networks that left people out are on these people with it.

    Every clip weighs the same: its frames are no witnesses independent of each other.
    """
    actions, views, logits = corpus.actions, list[View](), list[np.ndarray]()
    for name, people in members.items():
        known = {v.action for v in corpus.views if v.subject not in people}
        own = [v for v in corpus.views if v.subject in people and v.action in known]
        recognized = ActionRecognizer(networks[name], actions, lifter=lifter)
        views += own
        logits += [recognized.logits(v.pose2d, v.fps) for v in own]
    frames = np.array([v.frames for v in views])
    labels = np.repeat([actions.index(v.action) for v in views], frames)
    temperature = temperature_of(np.concatenate(logits), labels, np.repeat(1 / frames, frames))
    posteriors = [softmax(x / temperature, axis=1) for x in logits]
    found = measure(posteriors, views, actions)
    of_clip = np.stack([posterior.mean(axis=0) for posterior in posteriors])
    sure = confidence_for(of_clip, np.array([actions.index(v.action) for v in views]), SURE)
    held_out = {"frames": asdict(found.frames), "clips": asdict(found.clips)}
    return {"temperature": temperature, "sure": sure, "held_out": held_out}
