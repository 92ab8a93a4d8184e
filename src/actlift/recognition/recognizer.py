"""Recognizing actions from 2D keypoints, and from 3D poses lifted from them: training, calibration, labels without
flicker, and what they are worth.

One training makes several networks side by side: the one that is used, which learns from everybody it is given, and
for each of a few folds one that never saw the fold's people. The latter are there to be wrong honestly: on people they
did not see one temperature is fitted (Guo et al. 2017, "On calibration of modern neural networks", section 4.2), and
options can be chosen. What only one person does cannot be learnt without that person, and is missing there. A lifter is
the same for all of them: where the recognizer is given one, it may have seen the people that a fold leaves out.

Every random number is a function of (seed, member, step). On a CPU the same call gives the same bits, and a training
that was killed resumes to those of an unbroken one.
"""

import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from scipy.signal import lfilter
from scipy.special import log_softmax, softmax
from torch import Tensor

from actlift.data.corpus import Corpus, View
from actlift.data.keypoints2d import Keypoints2D
from actlift.data.windows import rows_of
from actlift.errors import InputError
from actlift.files import replacing
from actlift.lifting.predict import lift, mirrored
from actlift.models.tcn import TCN, member, shape_of, stack
from actlift.models.tcn_inference import FoldedTCN
from actlift.models.tensors import of_member, read_tensors, write_tensors
from actlift.recognition.network import STILL, RecognizerNetwork, features, statistics
from actlift.training.budget import Budget, Exponential
from actlift.training.device import choose_threads, threads_of
from actlift.training.ensemble import random_integers, seeded
from actlift.training.run import Run

EVERYBODY = "everybody"  # the member that is used
LIFTER = "lifter"  # what stands before its tensors
LEARNING_RATE = Exponential(1e-2, 1e-4)
BATCH_NORM_MOMENTUM = Exponential(0.1, 0.001)
WEIGHT_DECAY = 0.01
LABEL_SMOOTHING = 0.1
BALANCE = 0.5  # an action of n windows is drawn in proportion to n ** BALANCE
EVERY = 8  # frames between the windows that are learnt from; nearer ones say about the same
LOG_LINES = 50
BINS = 15  # of calibration errors
SMOOTHING_S = 0.25  # time constant of recognized probabilities
SURE = 0.8  # what an action needs of these to be told
UNKNOWN = "unknown"  # the label of a frame whose action is not
BLOCK = 2048  # frames whose windows are described at once

Posteriors = list[Float[np.ndarray, "_ actions"]]


# training


def train_recognizer(
    folder: Path,
    corpus: Corpus,
    *,
    model: Mapping[str, Any],
    lifter: TCN | None = None,
    budget: Budget = Budget(2000, 128),  # noqa: B008 - frozen
    folds: int = 8,
    seed: int = 0,
    save_every_s: float = 30.0,
    on_progress: Callable[[int, float], None] = lambda _step, _loss: None,
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
        on_progress: is told the step and the mean loss (in nats) now and then.

    Raises:
        ValueError: for one action, folds in which nothing can be learnt or held out, a negative seed, a causal
            recognizer whose lifter sees the future, a damaged state, or a folder that holds another run.
        OSError: where the folder cannot be written; the last saved state stays.
    """
    if seed < 0:
        raise InputError(f"a seed is 0 or more, got {seed}")
    held_out = leave_out(corpus, min(folds, len(people_to_leave_out(corpus))))
    members = {EVERYBODY: frozenset[str]()} | {f"fold{i}": people for i, people in enumerate(held_out)}
    if lifter is not None and lifter.conditions:
        lifter = lifter.given(lifter.conditions)
    model = {**model, "lifted": lifter is not None}
    recognizer = RecognizerNetwork(len(corpus.actions), **model)  # raises what is wrong with it
    if recognizer.causal and lifter is not None and not lifter.causal:
        raise InputError("a causal recognizer needs a causal lifter; this one sees the future")
    threads = choose_threads(recognizer.trunk.multiply_adds * budget.batch * len(members))
    identity = {
        "corpus": corpus.digest,
        "members": {name: {"held_out": sorted(people)} for name, people in members.items()},
        "clips": f"{zlib.crc32(rows_of(corpus.views).tobytes()):08x}",
        "trained_on": {"subjects": list(corpus.subjects), "actions": list(corpus.actions)},
        "budget": asdict(budget),
        "model": model,
        "lifter": None if lifter is None else {"model": shape_of(lifter), "weights": _checksum(lifter)},
        "seed": seed,
        "threads": threads,
    }
    run = Run.create(folder, identity)
    if not run.done:
        with threads_of(run, threads):
            loop = _Loop(run, corpus, members, budget, lifter)
            loop.resume()
            try:
                loop.run_to_end(save_every_s, on_progress)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"stopped; the same command resumes {folder} from its last saved state"
                ) from None
            networks = loop.networks()
            keep = networks if lifter is None else {**networks, LIFTER: lifter}
            tensors = {f"{name}/{k}": v for name, network in keep.items() for k, v in network.state_dict().items()}
            write_tensors(run.weights, tensors, _calibrated(networks, corpus, members, lifter))
    run.state.unlink(missing_ok=True)
    return run


def leave_out(corpus: Corpus, folds: int) -> list[frozenset[str]]:
    """People to leave out together, one set per fold, so that as much as can be of what they do is left to learn.

    Raises:
        ValueError: for fewer than two folds, or more than people who do what somebody else does too.
    """
    does = _does(corpus)
    useful = people_to_leave_out(corpus)
    if not 2 <= folds <= len(useful):
        raise InputError(
            f"{folds} folds cannot be made of {len(useful)} people who do what somebody else does too: ask for 2 or "
            "more, but not more than they are"
        )
    sets: list[set[str]] = [set() for _ in range(folds)]
    for subject in useful:  # each to the people who do the least of what they do
        min(sets, key=lambda own: sum(len(does[subject] & does[other]) for other in own)).add(subject)
    return [frozenset(own) for own in sets]


def people_to_leave_out(corpus: Corpus) -> list[str]:
    """Those who do something that somebody else does too, those who do most of it first."""
    does = _does(corpus)
    shared = {s: sum(any(a in does[o] for o in does if o != s) for a in does[s]) for s in does}
    return [s for s in sorted(does, key=lambda s: (-shared[s], s)) if shared[s]]


def _does(corpus: Corpus) -> dict[str, set[str]]:
    """What everybody does."""
    return {s: {v.action for v in corpus.views if v.subject == s} for s in corpus.subjects}


def describe(
    network: RecognizerNetwork,
    pose2d: Float[np.ndarray, "t j 2"],
    pose3d: Float[np.ndarray, "t j 3"] | None,
    fps: float,
) -> Float[Tensor, "2 t features 2"]:
    """What a recognizer takes of every frame of a sequence, as it is and mirrored.

    Args:
        network: whose windows these are.
        pose2d: keypoints in screen units.
        pose3d: joints in camera meters, wherever the root; where the network takes lifted poses.
        fps: frames per second.

    Raises:
        ValueError: for an empty sequence, another number of joints, or a frame rate that is not positive.
    """
    skeleton = network.skeleton
    if pose2d.ndim != 3 or not len(pose2d) or pose2d.shape[1] != len(skeleton):
        raise InputError(
            f"wanted at least one frame of the {len(skeleton)} joints of {skeleton.name}, got {pose2d.shape}"
        )
    each = []
    for points in (pose2d, pose3d):
        if points is not None:
            own = torch.from_numpy(np.concatenate([points[:1], points])).float()  # the first frame stands still
            each.append(features(torch.stack([own, mirrored(own, skeleton)]), fps, skeleton).flatten(-2))
    return statistics(torch.cat(each, dim=-1), network.receptive_field, causal=network.causal)


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


class _Loop:
    """The members of a run in training, side by side."""

    def __init__(
        self, run: Run, corpus: Corpus, members: Mapping[str, frozenset[str]], budget: Budget, lifter: TCN | None
    ) -> None:
        identity = run.config["identity"]
        self.run, self.budget, self.names = run, budget, list(members)
        self.keys = [(identity["seed"], zlib.crc32(name.encode())) for name in members]
        networks = [_fresh(len(corpus.actions), identity["model"], key) for key in self.keys]
        self.network = networks[0]
        views, poses = corpus.views, _lifted(lifter, corpus.views)
        each = [describe(self.network, v.pose2d, p, v.fps)[:, ::EVERY] for v, p in zip(views, poses, strict=True)]
        self.described = torch.cat(each, dim=1)
        windows = [own.shape[1] for own in each]
        labels = np.repeat([corpus.actions.index(v.action) for v in views], windows)
        people = np.repeat([v.subject for v in views], windows)
        self.draws = []
        for network, left_out, key in zip(networks, members.values(), self.keys, strict=True):
            rows = np.flatnonzero(~np.isin(people, sorted(left_out)))
            self.draws.append(_Draws(rows, labels[rows], key))
            scale, center = torch.std_mean(self.described[:, rows], dim=(0, 1))
            network.center.copy_(center)
            network.scale.copy_(scale.clamp_min(STILL))
        self.network.trunk = stack([n.trunk for n in networks]).train()
        self.network.center = torch.stack([n.center for n in networks])[:, None]
        self.network.scale = torch.stack([n.scale for n in networks])[:, None]
        self.adam = torch.optim.AdamW(self.network.parameters(), weight_decay=WEIGHT_DECAY)
        self.step = 0
        self.seconds = 0.0
        self.log: list[dict[str, Any]] = []

    def one_step(self) -> Float[Tensor, " e"]:
        """The loss of every member before the step, in nats."""
        batch, progress = self.budget.batch, self.budget.progress(self.step)
        rows, labels, flips = (np.stack(p) for p in zip(*(d(self.step, batch) for d in self.draws), strict=True))
        trunk = self.network.trunk
        trunk.batch_norm_momentum = BATCH_NORM_MOMENTUM(progress)
        noise = random_integers(self.keys, self.step, trunk.noise_size(batch)) if trunk.dropout else None
        logits = self.network(self.described[flips.astype(np.int64), rows], noise)  # (e, b, actions)
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
        self.step += 1
        return loss.detach()

    def save(self) -> None:
        tensors = {f"network/{k}": v for k, v in self.network.state_dict().items()}
        for i, moments in self.adam.state_dict()["state"].items():
            tensors |= {f"adam{i}/{k}": v for k, v in moments.items()}
        write_tensors(self.run.state, tensors, {"step": self.step, "seconds": self.seconds, "log": self.log})

    def resume(self) -> None:
        """Go on from the saved state, if there is one."""
        if not self.run.state.exists():
            return
        tensors, metadata = read_tensors(self.run.state)
        try:
            self.network.load_state_dict(of_member(tensors, "network"))
            adam = self.adam.state_dict()
            adam["state"] = {i: of_member(tensors, f"adam{i}") for i in adam["param_groups"][0]["params"]}
            self.adam.load_state_dict(adam)
            self.step, self.seconds, self.log = metadata["step"], metadata["seconds"], metadata["log"]
        except (KeyError, RuntimeError) as error:
            raise InputError(
                f"{self.run.state} holds no state of this run ({error}). Delete it to train from the start."
            ) from error

    def run_to_end(self, save_every_s: float, on_progress: Callable[[int, float], None]) -> None:
        saved = time.perf_counter()
        began = saved - self.seconds
        log_every = max(1, self.budget.steps // LOG_LINES)
        while self.step < self.budget.steps:
            loss = self.one_step()
            now = time.perf_counter()
            self.seconds = now - began
            if self.step % log_every == 0 or self.step == self.budget.steps:
                self.log.append(
                    {
                        "step": self.step,
                        "progress": self.step / self.budget.steps,
                        "seconds": round(self.seconds, 3),
                        "learning_rate": self.adam.param_groups[0]["lr"],
                        "loss_nats": dict(zip(self.names, np.round(loss.double().tolist(), 4).tolist(), strict=True)),
                    }
                )
                on_progress(self.step, float(loss[0]))
            if now - saved > save_every_s:
                self.save()
                saved = now
        with replacing(self.run.log_path) as beside:
            beside.write_text("".join(json.dumps(entry) + "\n" for entry in self.log), encoding="utf-8")

    def networks(self) -> dict[str, RecognizerNetwork]:
        """The members as networks of their own, in evaluation mode."""
        networks = {}
        for i, name in enumerate(self.names):
            networks[name] = _fresh(self.network.actions, self.run.config["identity"]["model"], self.keys[i]).eval()
            networks[name].trunk = member(self.network.trunk, i).eval()
            networks[name].center.copy_(self.network.center[i, 0])
            networks[name].scale.copy_(self.network.scale[i, 0])
        return networks


def _fresh(actions: int, model: Mapping[str, Any], key: tuple[int, int]) -> RecognizerNetwork:
    """A member before its first step: its weights depend on its key alone."""
    with seeded(key):
        return RecognizerNetwork(actions, **model)


def _lifted(lifter: TCN | None, views: Sequence[View]) -> list[np.ndarray] | list[None]:
    return [None] * len(views) if lifter is None else lift(lifter, [v.pose2d for v in views])


def _checksum(lifter: TCN) -> str:
    tensors = b"".join(v.cpu().numpy().tobytes() for _, v in sorted(lifter.state_dict().items()))
    return f"{zlib.crc32(tensors):08x}"


# prediction


class ActionRecognizer:
    """Probabilities of actions for every frame of whole sequences, and one label for each.

    Mirrored keypoints show the same action, so logits are averaged over both.

    Args:
        recognizer: the network, in evaluation mode.
        actions: names of its outputs.
        temperature: what logits are divided by.
        lifter: whose poses the network sees beside the keypoints, where it takes lifted poses.
    """

    def __init__(
        self, recognizer: RecognizerNetwork, actions: Sequence[str], temperature: float = 1.0, lifter: TCN | None = None
    ) -> None:
        if len(actions) != recognizer.actions:
            raise InputError(f"the recognizer tells {recognizer.actions} actions apart, got {len(actions)} names")
        if (lifter is not None) != recognizer.lifted:
            raise InputError(f"this recognizer takes {'' if recognizer.lifted else 'no '}lifted poses")
        self.recognizer = recognizer
        self.actions = tuple(actions)
        self.temperature = temperature
        self.lifter = None if lifter is None else FoldedTCN(lifter)

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Posteriors:
        """Probabilities ``(t, actions)`` of every frame of each sequence; they sum to 1."""
        return [self.posterior(s.pose2d, s.fps) for s in sequences]

    def posterior(self, pose2d: Float[np.ndarray, "t j 2"], fps: float) -> Float[np.ndarray, "t actions"]:
        """Probabilities of every frame of a sequence in screen units; see :meth:`logits`."""
        return np.asarray(softmax(self.logits(pose2d, fps) / self.temperature, axis=1))

    def label_of(self, seen: Keypoints2D) -> str:
        """The action likeliest on average over the sequence."""
        return self.actions[int(self.posterior(seen.pose2d, seen.fps).mean(axis=0).argmax())]

    @torch.no_grad()
    def logits(self, pose2d: Float[np.ndarray, "t j 2"], fps: float) -> Float[np.ndarray, "t actions"]:
        """Uncalibrated logits of every frame of a sequence in screen units, whose windows end where it does.

        Raises:
            ValueError: for an empty sequence or another number of joints.
        """
        pose3d = None if self.lifter is None else lift(self.lifter, [pose2d])[0]
        blocks = []
        for first in range(0, max(len(pose2d), 1), BLOCK):
            low = max(first - self.recognizer.receptive_field, 0)  # no window of the block reaches so far
            high = first + BLOCK + self.recognizer.receptive_field
            seen = describe(self.recognizer, pose2d[low:high], None if pose3d is None else pose3d[low:high], fps)
            both = self.recognizer(seen[:, first - low : first - low + BLOCK].flatten(0, 1)).unflatten(0, (2, -1))
            blocks.append(both.mean(dim=0).double())
        return np.asarray(torch.cat(blocks))


def load_recognizer(run: Run, member: str = EVERYBODY) -> ActionRecognizer:
    """The calibrated recognizer of a finished run, or one of those that left people out.

    Raises:
        FileNotFoundError: if training has not ended.
        ValueError: for an unknown member (lists the known), or weights that are no recognizer's.
    """
    run.check_member(member)
    tensors, metadata = read_tensors(run.weights)
    identity = run.config["identity"]
    try:
        network = RecognizerNetwork(len(identity["trained_on"]["actions"]), **identity["model"])
        network.load_state_dict(of_member(tensors, member))
        temperature = float(metadata["temperature"])
        lifter = TCN(**identity["lifter"]["model"]).eval() if identity["lifter"] else None
        if lifter is not None:
            lifter.load_state_dict(of_member(tensors, LIFTER))
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{run.folder} holds no recognizer ({error}): `actlift recognize` trains one") from error
    return ActionRecognizer(network.eval(), identity["trained_on"]["actions"], temperature, lifter)


def smoothed(posterior: Float[np.ndarray, "t actions"], seconds: float, fps: float) -> Float[np.ndarray, "t actions"]:
    """Probabilities after an exponential moving average of their logarithms, with a time constant. Sees the past only.

    Raises:
        ValueError: for a time constant or frame rate that is not positive.
    """
    if not (seconds > 0 and fps > 0):
        raise InputError(f"smoothing needs a positive time constant and frame rate, got {seconds} s and {fps} fps")
    keep = np.exp(-1 / (seconds * fps))
    logs = np.log(np.maximum(posterior, np.finfo(float).tiny))
    average, _ = lfilter([1 - keep], [1, -keep], logs, axis=0, zi=keep * logs[:1])
    return np.asarray(softmax(average, axis=1))


def steady_labels(
    posterior: Float[np.ndarray, "t actions"], *, margin: float = 0.1, hold: int = 10
) -> Int[np.ndarray, " t"]:
    """One action per frame, with hysteresis: another one takes over at the last of ``hold`` frames in a row in which it
    is the likeliest and leads the present one by at least ``margin`` of probability.

    Raises:
        ValueError: for a margin outside [0, 1) or a hold of fewer than 2 frames.
    """
    if not 0 <= margin < 1 or hold < 2:
        raise InputError(f"a margin is from 0 to below 1 and a hold at least 2 frames, got {margin} and {hold}")
    likeliest = posterior.argmax(axis=1)
    first = np.flatnonzero(np.diff(likeliest, prepend=-1))  # of every run of frames with one likeliest action
    long = np.diff(first, append=len(likeliest)) >= hold
    labels = np.empty(len(posterior), np.int64)
    present, since = int(likeliest[0]), 0
    for start, stop in zip(first[long], np.append(first, len(likeliest))[1:][long], strict=True):
        rival = int(likeliest[start])
        run = posterior[start:stop]
        ahead = run[:, rival] - run[:, present] >= margin
        held = np.lib.stride_tricks.sliding_window_view(ahead, hold).all(axis=1)
        if rival != present and held.any():
            change = int(start) + int(held.argmax()) + hold - 1
            labels[since:change] = present
            present, since = rival, change
    labels[since:] = present
    return labels


def recognized_labels(recognized: ActionRecognizer, seen: Keypoints2D, *, sure: float = SURE) -> list[str]:
    """What to tell each frame: the recognized action, smoothed and without flicker, or "unknown" where it is not sure.

    Args:
        sure: the least probability of an action that is told; 0 always tells one.
    """
    chances = smoothed(recognized.posterior(seen.pose2d, seen.fps), SMOOTHING_S, seen.fps)
    steady = steady_labels(chances)
    likely = chances[np.arange(len(chances)), steady] >= sure
    labels: list[str] = np.where(likely, np.array(recognized.actions)[steady], UNKNOWN).tolist()
    return labels


# calibration and evaluation


@dataclass(frozen=True)
class Accuracy:
    """How right probabilities are, over frames or over clips as one camera each saw them.

    Attributes:
        count: of frames or clips.
        top1, top3: how often the true action is the likeliest, or among the three likeliest.
        mean_over_actions: mean over actions of top1 among their own.
        grouped: how often the likeliest action is of the true one's group.
        calibration_error: expected calibration error over 15 equal bins (see :func:`calibration_error`).
        nll: mean negative log-likelihood of the true action, in nats.
    """

    count: int
    top1: float
    top3: float
    mean_over_actions: float
    grouped: float
    calibration_error: float
    nll: float


@dataclass(frozen=True, eq=False)
class Recognition:
    """What a recognizer is worth on some views: over frames, over clips, and what it takes for what.

    ``confusion[i, j]`` is the share of the frames of action i that are taken for action j; rows of actions that nobody
    does are NaN.
    """

    actions: tuple[str, ...]
    frames: Accuracy
    clips: Accuracy
    confusion: Float[np.ndarray, "actions actions"]


def measure(
    posteriors: Posteriors, views: Sequence[View], actions: Sequence[str], groups: Mapping[str, str] | None = None
) -> Recognition:
    """Compare probabilities, one array per view, with the views' actions.

    Args:
        groups: the group of an action; one that is not there is a group of its own.

    Raises:
        ValueError: for no views, arrays that do not fit them, or an action that is not among ``actions``.
    """
    if not views:
        raise InputError("nothing to measure: the selection holds no views")
    if unknown := sorted({v.action for v in views} - set(actions)):
        raise InputError(f"the recognizer does not know {', '.join(unknown)}; it knows {', '.join(actions)}")
    if [p.shape for p in posteriors] != [(v.frames, len(actions)) for v in views]:
        raise InputError("give one array (frames, actions) of probabilities for every view, in their order")
    group = [(groups or {}).get(action, action) for action in actions]
    of_clip = np.array([actions.index(v.action) for v in views])
    of_frame = np.repeat(of_clip, [v.frames for v in views])
    frames = np.concatenate(posteriors)
    clips = np.stack([p.mean(axis=0) for p in posteriors])
    return Recognition(
        tuple(actions),
        accuracy(frames, of_frame, group),
        accuracy(clips, of_clip, group),
        confusion(frames.argmax(axis=1), of_frame, len(actions)),
    )


def accuracy(
    posterior: Float[np.ndarray, "n actions"], labels: Int[np.ndarray, " n"], group: Sequence[str]
) -> Accuracy:
    """How right probabilities are of frames or clips whose true actions are ``labels``; ``group`` names the group of
    each action."""
    order = np.argsort(-posterior, axis=1, kind="stable")
    right = order == labels[:, None]
    own_group = np.array(group)[order[:, 0]] == np.array(group)[labels]
    true = np.maximum(posterior[np.arange(len(labels)), labels], np.finfo(float).tiny)
    return Accuracy(
        count=len(labels),
        top1=float(right[:, 0].mean()),
        top3=float(right[:, :3].any(axis=1).mean()),
        mean_over_actions=float(np.mean([right[labels == action, 0].mean() for action in np.unique(labels)])),
        grouped=float(own_group.mean()),
        calibration_error=calibration_error(posterior, labels),
        nll=float(-np.log(true).mean()),
    )


def confusion(
    predicted: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], actions: int
) -> Float[np.ndarray, "actions actions"]:
    """Rows of true actions, columns of predicted ones; rows sum to 1, and are NaN where nothing is of the action."""
    counts = np.bincount(labels * actions + predicted, minlength=actions**2).reshape(actions, actions)
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0))


def calibration_error(
    posterior: Float[np.ndarray, "n actions"], labels: Int[np.ndarray, " n"], bins: int = BINS
) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): how far confidence, the highest probability, is from
    accuracy in each of several equal-width bins of confidence, open below; their mean, weighted by what is in them."""
    confidence = posterior.max(axis=1)
    where = np.ceil(confidence * bins).astype(int).clip(1, bins)
    gap = confidence - (posterior.argmax(axis=1) == labels)
    return float(np.abs(np.bincount(where, weights=gap)).sum() / len(labels))


def temperature_of(
    logits: Float[np.ndarray, "n actions"],
    labels: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"] | None = None,
) -> float:
    """The temperature from 0.05 to 20 at which ``softmax(logits / temperature)`` makes the labels, weighted where
    weights are given, likeliest."""

    def nll(log_temperature: float) -> float:
        logs = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(np.average(logs[np.arange(len(labels)), labels], weights=weights))

    return float(np.exp(minimize_scalar(nll, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def _calibrated(
    networks: Mapping[str, RecognizerNetwork], corpus: Corpus, members: Mapping[str, frozenset[str]], lifter: TCN | None
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
    return {"temperature": temperature, "held_out": {"frames": asdict(found.frames), "clips": asdict(found.clips)}}
