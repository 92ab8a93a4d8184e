"""Predictor x views -> Scores. Millimeters begin here.

Metrics run once over all frames of all views of one frame rate, one behind the other; rows of motion metrics that span
a seam between two views are left out, and each view's mean is taken from there. Metrics of a whole sequence run view by
view.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from actlift.data.corpus import View
from actlift.errors import InputError
from actlift.evaluation.metrics import METRICS, Metric, metric
from actlift.evaluation.scores import ALL_JOINTS, Scores, Variant
from actlift.geometry.skeleton import H36M_17, Skeleton, root_relative
from actlift.lifting.predict import Poses, Predictor
from actlift.models.base import trained_on
from actlift.training.run import refuse_seen


def evaluate(
    predictor: Predictor,
    views: Sequence[View],
    *,
    variant: Variant,
    seed: int = 0,
    run: str = "",
    metrics: Sequence[str] = tuple(METRICS),
    skeleton: Skeleton = H36M_17,
    known_people: bool = False,
) -> Scores:
    """Predict these views and score the root-relative poses; see :func:`score_poses`.

    Args:
        known_people: also score people on whose other clips the predictor was trained, which whoever shows the scores
            has to say.

    Raises:
        InputError: as :func:`score_poses`, and for views of people whom the predictor was trained on.
    """
    for name in metrics:
        metric(name)
    if not known_people:
        refuse_seen(trained_on(predictor), {v.subject for v in views}, run or str(variant))
    poses = predictor([v.keypoints for v in views])
    return score_poses(poses, views, variant=variant, seed=seed, run=run, metrics=metrics, skeleton=skeleton)


def score_poses(
    poses: Poses,
    views: Sequence[View],
    *,
    variant: Variant,
    seed: int = 0,
    run: str = "",
    metrics: Sequence[str] = tuple(METRICS),
    skeleton: Skeleton = H36M_17,
) -> Scores:
    """Score root-relative predictions, one per view, against the views' truth.

    Returns:
        One row per view and metric (and per joint, where the metric is to be had `by_joint`), in the metric's unit. A
        view with fewer frames than a metric spans has no row for it.

    Raises:
        InputError: for an unknown metric (lists the known), no views, or poses that do not fit their views or are not
            finite.
    """
    chosen = [metric(name) for name in metrics]
    if not views:
        raise InputError("nothing to score: the selection holds no views")
    if len(poses) != len(views):
        raise InputError(f"{len(poses)} predictions for {len(views)} views: give one for each")
    for pose, view in zip(poses, views, strict=True):
        if pose.shape != view.pose3d_cam.shape:
            raise InputError(
                f"{view.clip} seen by {view.camera_name}: predicted {pose.shape}, the truth is {view.pose3d_cam.shape}"
            )
        if not np.isfinite(pose).all():
            frame, joint = np.argwhere(~np.isfinite(pose))[0, :2]
            raise InputError(
                f"{view.clip} seen by {view.camera_name}: the prediction is not finite, first in frame {frame} at "
                f"{skeleton.joints[joint]}; did the training diverge?"
            )
    packs = [_Pack.of(poses, views, fps, skeleton) for fps in sorted({v.fps for v in views})]
    tables = []
    for m in chosen:
        counts, means = np.zeros(len(views), np.int64), np.zeros((len(views), len(m.parts(skeleton))))
        for pack in packs:
            counts[pack.places], means[pack.places] = pack.scored(m, skeleton)
        kept = counts > 0
        if not kept.any():
            continue
        columns = [(ALL_JOINTS, means.mean(axis=1))]
        if m.by_joint:
            columns += zip(m.parts(skeleton), means.T, strict=True)
        for joint, values in columns:
            tables.append(
                _table([v for v, k in zip(views, kept, strict=True) if k], m.name, joint, counts[kept], values[kept])
            )
    table = pd.concat(tables, ignore_index=True)
    return Scores(table.assign(run=run, **asdict(variant), seed=seed))


@dataclass(frozen=True, eq=False)
class _Pack:
    """The poses of all views of one frame rate, one behind the other.

    places: of the views among all. lengths: their frames.
    """

    places: Int[np.ndarray, " v"]
    lengths: Int[np.ndarray, " v"]
    fps: float
    pred: Float[np.ndarray, "f j 3"]
    true: Float[np.ndarray, "f j 3"]

    @classmethod
    def of(cls, poses: Poses, views: Sequence[View], fps: float, skeleton: Skeleton) -> "_Pack":
        places = np.array([i for i, v in enumerate(views) if v.fps == fps])
        return cls(
            places,
            np.array([views[i].frames for i in places]),
            fps,
            np.concatenate([poses[i] for i in places]).astype(np.float64),
            np.concatenate([root_relative(views[i].pose3d_cam, skeleton) for i in places]),
        )

    def scored(self, m: Metric, skeleton: Skeleton) -> tuple[Int[np.ndarray, " v"], Float[np.ndarray, "v parts"]]:
        """How many frames (rows) each view's value stands for, and the value by joint or bone; 0 where it has none."""
        counts = m.frames(self.lengths, self.fps)
        means = np.zeros((len(counts), len(m.parts(skeleton))))
        if not counts.any():
            return counts, means
        first = np.cumsum(self.lengths) - self.lengths
        if m.span is None:
            for i in np.flatnonzero(counts):
                own = slice(first[i], first[i] + self.lengths[i])
                means[i] = m(self.pred[own], self.true[own], skeleton, self.fps)[0] * m.scale
            return counts, means
        errors = m(self.pred, self.true, skeleton, self.fps) * m.scale  # row i covers frames i to i + span - 1
        sums = np.concatenate([np.zeros((1, errors.shape[1])), np.cumsum(errors, axis=0)])
        last = np.minimum(first + counts, len(errors))
        return counts, (sums[last] - sums[np.minimum(first, len(errors))]) / np.maximum(counts, 1)[:, None]


def _table(views: Sequence[View], name: str, joint: str, counts: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "action": [v.action for v in views],
            "subject": [v.subject for v in views],
            "camera": [v.camera_name for v in views],
            "clip": [v.clip for v in views],
            "metric": name,
            "joint": joint,
            "frames": counts,
            "value": values,
        }
    )
