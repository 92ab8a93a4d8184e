"""When the action changes within a clip: a label for every frame, lifters blended where it changes, what that costs.

Each lifter that some frame needs runs over the whole clip; frame by frame their poses are averaged with weights that
cross over, around a change of label, within a fade (:func:`actlift.lifting.stream.fade_window`). The fade takes away
the jump that two lifters, which disagree by some centimeters, would leave in the pose.
:class:`actlift.lifting.stream.RoutedStream` does the same frame by frame.

What a change costs is measured in two ways. Two clips of one person, one behind the other, have a true change of
action; but the person jumps there, which every lifter suffers. Where only the label changes, in the middle second of
one clip, whatever happens is the switch's doing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from actlift.data.corpus import View
from actlift.errors import InputError
from actlift.evaluation.scores import GENERALIST
from actlift.files import write_json
from actlift.geometry.skeleton import root_relative
from actlift.lifting.conditional import FADE_S, UNKNOWN, ConditionalLifter, lift_labeled
from actlift.lifting.predict import Poses, Predictor
from actlift.recognition.prediction import SURE, ActionRecognizer, recognized_labels

FADES_S: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5)  # what is compared

NEAR_S = 0.5  # on either side of a change, what counts as near it
SHOWN_S = 1.0  # on either side of the middle, what figures show
INTERRUPTED_S = 2.5  # what a clip lasts whose middle second is interrupted
ERRORS = ("mpjpe_near", "mpjpe_away", "mpjve_near", "mpjve_away")

JOINED = "two clips of one person joined"
TO_WRONG = "one clip, told a wrong action for its middle second"
TO_NOTHING = "one clip, told nothing for its middle second"
USUAL = f"{FADE_S:g} s fade"
DRAWN = {  # what is shown over time: a measure, and of which ways of lifting
    JOINED: (
        "error",
        "mean error of joints, mm",
        (GENERALIST.arm, f"true timeline, {USUAL}", f"recognized, {USUAL}", f"recognized where sure, {USUAL}"),
    ),
    TO_WRONG: (
        "acceleration",
        "mean acceleration of joints, m/s²",
        (GENERALIST.arm, "interrupted, at once", "interrupted, 0.1 s fade", f"interrupted, {USUAL}"),
    ),
}


# clips in which labels change


@dataclass(frozen=True, eq=False)
class Changing:
    """A view with what its frames are told.

    Attributes:
        view: what is seen; two clips that are joined are called by the first one's action.
        labels: of each frame, an action or "unknown".
        changes: the first frames of other labels.
        seam: the first frame of the second clip, where two are joined.
    """

    view: View
    labels: list[str]
    changes: list[int]
    seam: int | None = None

    @property
    def middle(self) -> int:
        return sum(self.changes) // len(self.changes)

    @property
    def near(self) -> Bool[np.ndarray, " t"]:
        """Which frames lie within NEAR_S of a change."""
        since = np.arange(self.view.frames)[:, None] - np.array(self.changes)
        reach = round(NEAR_S * self.view.fps)
        return np.asarray(((since >= -reach) & (since < reach)).any(axis=1))


def joined(views: Sequence[View], pairs: int, seed: int = 0) -> list[Changing]:
    """Pairs of clips of two actions by one person as one camera saw them, one behind the other.

    Args:
        pairs: how many, or as many as are found; no clip comes twice.
    """
    found: list[Changing] = []
    waiting: dict[tuple[str, str], View] = {}
    for view in _drawn(views, SHOWN_S, seed):
        first = waiting.setdefault((view.subject, view.camera_name), view)
        if first.action == view.action or len(found) == pairs:
            continue
        del waiting[view.subject, view.camera_name]
        both = replace(
            first,
            clip=f"{first.clip} + {view.clip}",
            keypoints=replace(
                first.keypoints,
                pose2d=np.concatenate([first.pose2d, view.pose2d]),
                confidence=np.concatenate([first.confidence, view.confidence]),
            ),
            pose3d_cam=np.concatenate([first.pose3d_cam, view.pose3d_cam]),
        )
        labels = [first.action] * first.frames + [view.action] * view.frames
        found.append(Changing(both, labels, [first.frames], seam=first.frames))
    return found


def interrupted(views: Sequence[View], clips: int, by: Sequence[str], seed: int = 0) -> list[Changing]:
    """Clips told their true action, but in their middle second something else.

    Args:
        clips: how many, or as many as there are of INTERRUPTED_S.
        by: what that is drawn from, for each clip anew.
    """
    generator = np.random.default_rng((seed, 0x1B))
    found = []
    for view in _drawn(views, INTERRUPTED_S, seed)[:clips]:
        other = str(generator.choice([label for label in by if label != view.action]))
        half, middle = round(0.5 * view.fps), view.frames // 2
        changes = [middle - half, middle + half]
        labels = np.full(view.frames, view.action, dtype=object)
        labels[slice(*changes)] = other
        found.append(Changing(view, labels.tolist(), changes))
    return found


def _drawn(views: Sequence[View], seconds: float, seed: int) -> list[View]:
    """Those that are long enough, in the seed's order."""
    long = [v for v in views if v.frames >= seconds * v.fps]
    return [long[i] for i in np.random.default_rng((seed, 0x5E)).permutation(len(long))]


# what a change costs


@dataclass(frozen=True, eq=False)
class Switching:
    """What changes of label cost, by ``scene`` and ``way`` of lifting.

    Attributes:
        table: ``mpjpe`` (mm) and ``mpjve`` (mm/frame), mean over clips, ``_near`` changes (within NEAR_S) and ``_away``
            from them; the step over a seam is left out, where the person jumps. ``speed`` (m/s) and ``acceleration``
            (m/s²): the highest of a clip near its changes, mean over joints; ``_p95`` and ``_max`` over clips. There
            all steps of the predicted pose count.
        traces: mean over clips of some ``measure`` over ``seconds`` from the middle of what changes: ``value``.
        scenes: of each, ``clips``, and ``changes`` in seconds from the middle.
        recognized: which part of the frames of joined clips, ``near`` the seam or ``away``, is told ``right``,
            ``wrong`` or ``nothing``, by ``way``. Empty without a recognizer.
    """

    table: pd.DataFrame
    traces: pd.DataFrame
    scenes: Mapping[str, Mapping[str, Any]]
    recognized: pd.DataFrame

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write it as JSON, whole or not at all, with what else there is to say ``about`` it."""
        keys = ["scene", "measure", "way"]
        traces = [
            dict(zip(keys, key, strict=True)) | line[["seconds", "value"]].round(4).to_dict("list")
            for key, line in self.traces.groupby(keys, sort=False)
        ]
        tables = {"table": self.table.reset_index(), "recognized": self.recognized}
        records = {name: table.to_dict("records") for name, table in tables.items()}
        write_json(path, {**about, "scenes": self.scenes, **records, "traces": traces})


def measure_switching(
    conditioned: ConditionalLifter,
    generalist: Predictor,
    views: Sequence[View],
    recognized: ActionRecognizer | None = None,
    *,
    clips: int = 80,
    seed: int = 0,
) -> Switching:
    """Measure what changes of label cost, see :class:`Switching`.

    Args:
        conditioned: the lifters that are told an action.
        generalist: what they are held against.
        views: clips to draw from.
        recognized: whose labels are told too, where two clips are joined.
        clips: pairs of clips to join, and clips to interrupt.
        seed: of what is drawn.

    Raises:
        InputError: for views that are too short or too much alike, or actions that there is no lifter for.
    """
    scenes = {
        JOINED: joined(views, clips, seed),
        TO_WRONG: interrupted(views, clips, list(conditioned.actions), seed),
        TO_NOTHING: interrupted(views, clips, [UNKNOWN], seed),
    }
    if not all(scenes.values()):
        raise InputError(
            f"too few clips: wanted at least one of {INTERRUPTED_S:g} s, and two of {SHOWN_S:g} s by one person and "
            "camera, of different actions"
        )
    rows: list[dict[str, Any]] = []
    traces: list[pd.DataFrame] = []
    shares: list[dict[str, Any]] = []
    for scene, found in scenes.items():
        labeled = [
            Labeled("true timeline" if scene == JOINED else "interrupted", [c.labels for c in found], FADES_S),
            *(_recognized(recognized, found) if recognized and scene == JOINED else ()),
        ]
        shares += [share for of in labeled[1:] for share in _shares(of.name, of.labels, found)]
        for way, poses in _ways(conditioned, generalist, scene, found, labeled).items():
            measured = [_measured(pose, c) for pose, c in zip(poses, found, strict=True)]
            rows.append({"scene": scene, "way": way, **_over_clips(measured)})
            traces += _trace(scene, way, measured, found[0].view.fps)
    about = {
        scene: {"clips": len(found), "changes": [(c - found[0].middle) / found[0].view.fps for c in found[0].changes]}
        for scene, found in scenes.items()
    }
    table = pd.DataFrame(rows).set_index(["scene", "way"])
    columns = ["way", "frames", "right", "wrong", "nothing"]
    return Switching(table, pd.concat(traces, ignore_index=True), about, pd.DataFrame(shares, columns=columns))


@dataclass(frozen=True)
class Labeled:
    """Labels of the frames of some clips: what tells them, each clip's, and the fades to lift them with, in seconds."""

    name: str
    labels: list[list[str]]
    fades_s: tuple[float, ...]


def _recognized(recognizer: ActionRecognizer, found: Sequence[Changing]) -> list[Labeled]:
    """What a recognizer says of clips: always, and only where it is sure."""
    return [
        Labeled(name, [recognized_labels(recognizer, c.view.keypoints, sure=sure) for c in found], (0.0, FADE_S))
        for name, sure in (("recognized", 0.0), ("recognized where sure", SURE))
    ]


def _ways(
    conditioned: ConditionalLifter,
    generalist: Predictor,
    scene: str,
    found: Sequence[Changing],
    labeled: Sequence[Labeled],
) -> dict[str, Poses]:
    """The poses of a scene's clips by way of lifting."""
    seen = [c.view.keypoints for c in found]
    ways = {GENERALIST.arm: generalist(seen), "told nothing": conditioned.unconditioned(seen)}
    if scene != JOINED:
        ways["told the truth throughout"] = conditioned.poses(seen, [c.view.action for c in found])
    for of in labeled:
        for s in of.fades_s:
            fading = f"{s:g} s fade" if s else "at once"
            ways[f"{of.name}, {fading}"] = [
                lift_labeled(conditioned, v, own, fade_s=s) for v, own in zip(seen, of.labels, strict=True)
            ]
    return ways


def _trace(scene: str, way: str, measured: Sequence[Mapping[str, Any]], fps: float) -> list[pd.DataFrame]:
    """What figures show over time, of the ways that they show."""
    column, measure, drawn = DRAWN.get(scene, ("", "", ()))
    if way not in drawn:
        return []
    value = np.mean([one[column] for one in measured], axis=0)
    seconds = np.arange(-len(value) // 2, len(value) // 2) / fps
    return [pd.DataFrame({"scene": scene, "measure": measure, "way": way, "seconds": seconds, "value": value})]


def _measured(pose: Float[np.ndarray, "t j 3"], of: Changing) -> dict[str, Any]:
    """A clip's errors and spikes, and error and acceleration of the frames about its middle."""
    fps, near = of.view.fps, of.near
    predicted, true = 1000 * pose.astype(np.float64), 1000 * root_relative(of.view.pose3d_cam)
    error, step_error = _length(predicted - true), _length(np.diff(predicted - true, axis=0))
    speed = _length(np.diff(predicted, axis=0)) * fps / 1000
    acceleration = np.pad(_length(np.diff(predicted, 2, axis=0)) * fps**2 / 1000, 1, mode="edge")
    step_near, step_away = near[:-1] & near[1:], ~near[:-1] & ~near[1:]
    peaks = {"speed": speed[step_near].max(), "peak": acceleration[near].max()}
    if of.seam is not None:
        step_near[of.seam - 1] = False
    reach = round(SHOWN_S * fps)
    shown = slice(of.middle - reach, of.middle + reach)
    return {
        "mpjpe_near": error[near].mean(),
        "mpjpe_away": error[~near].mean(),
        "mpjve_near": step_error[step_near].mean(),
        "mpjve_away": step_error[step_away].mean(),
        **peaks,
        "error": error[shown],
        "acceleration": acceleration[shown],
    }


def _length(vectors: Float[np.ndarray, "t j 3"]) -> Float[np.ndarray, " t"]:
    """Of the vectors of each frame, the mean over joints."""
    return np.asarray(np.linalg.norm(vectors, axis=-1).mean(axis=1))


def _over_clips(measured: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """A row of the table."""
    found = {name: float(np.mean([one[name] for one in measured])) for name in ERRORS}
    for name, key in (("speed", "speed"), ("acceleration", "peak")):
        highest = [one[key] for one in measured]
        found |= {f"{name}_p95": float(np.percentile(highest, 95)), f"{name}_max": float(max(highest))}
    return found


def _shares(way: str, labels: Sequence[Sequence[str]], found: Sequence[Changing]) -> list[dict[str, Any]]:
    """How often recognized labels are right, near seams and away."""
    near = np.concatenate([c.near for c in found])
    labeled = np.concatenate([np.array(own) for own in labels])
    true = np.concatenate([np.array(c.labels) for c in found])
    rows = []
    for frames, where in (("near", near), ("away", ~near)):
        right, nothing = (labeled == true)[where].mean(), (labeled == UNKNOWN)[where].mean()
        rows.append({"way": way, "frames": frames, "right": right, "wrong": 1 - right - nothing, "nothing": nothing})
    return rows
