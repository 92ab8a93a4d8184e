"""How far a predicted motion is from the true one: pure functions, meters in, meters out.

Every metric takes `pred` and `true`, joints of frames in one common frame of reference, and returns the error of every
frame and joint (or bone) whose mean is the metric. Averaging, and with it the choice of what weighs what, is left to
the caller, who can then average by joint, clip or action. All arithmetic is float64, whatever the input.

Metrics of one frame (`span` 1) take the frames of many sequences one behind the other. Metrics of motion (`span` 2 or
3) take ONE sequence of consecutive frames: across a seam there is no velocity. They return `f - span + 1` rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from actlift.errors import InputError
from actlift.geometry.skeleton import Skeleton

AUC_THRESHOLDS = np.linspace(0.0, 0.150, 31)
"""The thresholds of MPI-INF-3DHP's area under the curve: 0, 5, ... 150 mm, in meters."""


def mpjpe(pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"]) -> Float[np.ndarray, "f j"]:
    """Mean per-joint position error (Protocol 1): the distance of every joint to the true one, in meters.

    The frame of reference is the caller's; Human3.6M's protocol wants both root-relative. Source: Ionescu et al.,
    "Human3.6M", TPAMI 2014, Eq. 8. Raises InputError if the shapes differ or are not (f, j, 3).
    """
    pred, true = _paired("mpjpe", pred, true, span=1)
    return _norm(pred - true)


def p_mpjpe(pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"]) -> Float[np.ndarray, "f j"]:
    """MPJPE after the best similarity per frame (Protocol 2): rotation, translation and scale, never a reflection.

    "Best" is least squares, so a single joint, or even the mean over joints, can come out worse than before aligning.
    Where all predicted joints of a frame coincide no rotation is defined; they are then moved to the true centroid.
    Meters. Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    TPAMI 1991, Eqs. 40-42. Raises InputError if the shapes differ or are not (f, j, 3).
    """
    pred, true = _paired("p_mpjpe", pred, true, span=1)
    pred = pred - pred.mean(axis=1, keepdims=True)  # (f, j, 3)
    true = true - true.mean(axis=1, keepdims=True)
    covariance = true.swapaxes(1, 2) @ pred  # (f, 3, 3)
    u, stretch, vt = np.linalg.svd(covariance)
    handed = np.ones_like(stretch)  # (f, 3)
    handed[:, 2] = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    rotation = (u * handed[:, None, :]) @ vt  # (f, 3, 3), true ~ rotation @ pred
    scale = _ratio((stretch * handed).sum(axis=1), np.square(pred).sum(axis=(1, 2)))  # (f,)
    return _norm(scale[:, None, None] * (pred @ rotation.swapaxes(1, 2)) - true)


def n_mpjpe(pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"]) -> Float[np.ndarray, "f j"]:
    """MPJPE after the best scale per frame (Protocol 3): the least-squares factor on the prediction.

    The scale is about the origin, so both must be root-relative. A prediction whose joints all lie at the origin keeps
    its error, as no factor changes it. Meters. Source: Rhodin et al., "Unsupervised Geometry-Aware Representation for
    3D Human Pose Estimation", ECCV 2018, Section 5. Raises InputError if the shapes differ or are not (f, j, 3).
    """
    pred, true = _paired("n_mpjpe", pred, true, span=1)
    scale = _ratio((pred * true).sum(axis=(1, 2)), np.square(pred).sum(axis=(1, 2)))  # (f,)
    return _norm(scale[:, None, None] * pred - true)


def mpjve(pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"]) -> Float[np.ndarray, "f-1 j"]:
    """Mean per-joint velocity error: how far the displacement to the next frame is off, in meters per frame.

    Takes consecutive frames of one sequence. Source: Pavllo et al., "3D human pose estimation in video with temporal
    convolutions and semi-supervised training", CVPR 2019, Section 5. Raises InputError if the shapes differ, are not
    (f, j, 3), or f < 2.
    """
    pred, true = _paired("mpjve", pred, true, span=2)
    return _norm(np.diff(pred - true, axis=0))


def acceleration_error(
    pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"]
) -> Float[np.ndarray, "f-2 j"]:
    """How far the second difference over three frames is off, in meters per frame squared.

    Takes consecutive frames of one sequence. Source: Kanazawa et al., "Learning 3D Human Dynamics from Video", CVPR
    2019, Section 5. Raises InputError if the shapes differ, are not (f, j, 3), or f < 3.
    """
    pred, true = _paired("acceleration_error", pred, true, span=3)
    return _norm(np.diff(pred - true, n=2, axis=0))


def pck(
    pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"], threshold: float = 0.150
) -> Float[np.ndarray, "f j"]:
    """Correct keypoints in 3D: 1 where a joint is at most `threshold` meters from the true one, else 0.

    Source: Mehta et al., "Monocular 3D Human Pose Estimation In The Wild Using Improved CNN Supervision", 3DV 2017,
    Section 6 (150 mm, about half a head). Their script wants strictly less; the difference shows only at errors that
    equal a threshold, such as the 0 of a root that is its own origin, which here counts as correct. Raises
    InputError if the shapes differ or are not (f, j, 3).
    """
    pred, true = _paired("pck", pred, true, span=1)
    return (_norm(pred - true) <= threshold).astype(np.float64)


def auc(pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"]) -> Float[np.ndarray, "f j"]:
    """Area under the PCK curve: the share of `AUC_THRESHOLDS` that a joint's error does not exceed, in [0, 1].

    The first threshold is 0 mm, so only an exact joint reaches 1. Source: as `pck`. Raises InputError if the shapes
    differ or are not (f, j, 3).
    """
    pred, true = _paired("auc", pred, true, span=1)
    exceeded = np.searchsorted(AUC_THRESHOLDS, _norm(pred - true), side="left")
    return 1.0 - exceeded / len(AUC_THRESHOLDS)


def bone_length_error(
    pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"], skeleton: Skeleton
) -> Float[np.ndarray, "f bones"]:
    """How much too long or too short every bone is (absolute), in meters; bones in the order of `skeleton.bones`.

    Raises InputError if the shapes differ, are not (f, j, 3), or do not have the skeleton's joints.
    """
    pred, true = _paired("bone_length_error", pred, true, span=1)
    if pred.shape[1] != len(skeleton):
        raise InputError(
            f"bone_length_error: got {pred.shape[1]} joints, but skeleton {skeleton.name!r} has {len(skeleton)}; "
            "pass the skeleton of these joints"
        )
    child, parent = np.array(skeleton.bones, dtype=np.int64).reshape(-1, 2).T
    too_long: np.ndarray = np.abs(_norm(pred[:, child] - pred[:, parent]) - _norm(true[:, child] - true[:, parent]))
    return too_long


@dataclass(frozen=True)
class Metric:
    """A metric with all that a table has to know about it.

    name: its key in `METRICS`. title: its column head. unit: of a reported value, which is `scale` times what the
    function returns (meters, meters per frame, or a share). better: which way is good. span: how many consecutive
    frames one value takes; at span > 1 call it on one sequence at a time. function: `(pred, true)` or, where
    `of_bones`, `(pred, true, skeleton)`; calling the metric itself is the same for all. by_joint: whether scores have a
    row for each of its parts, too.
    """

    name: str
    title: str
    unit: str
    scale: float
    better: Literal["lower", "higher"]
    span: Literal[1, 2, 3]
    function: Callable[..., np.ndarray]
    of_bones: bool = False
    by_joint: bool = False

    def __call__(
        self, pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"], skeleton: Skeleton
    ) -> Float[np.ndarray, "rows parts"]:
        """Errors (f - span + 1, parts) in the function's own unit; multiply by `scale` to report."""
        return self.function(pred, true, skeleton) if self.of_bones else self.function(pred, true)

    def parts(self, skeleton: Skeleton) -> tuple[str, ...]:
        """Name the columns that a call returns: the joints, or `child-parent` of every bone."""
        if self.of_bones:
            return tuple(f"{skeleton.joints[child]}-{skeleton.joints[parent]}" for child, parent in skeleton.bones)
        return skeleton.joints


METRICS: dict[str, Metric] = {
    "mpjpe": Metric("mpjpe", "MPJPE (Protocol 1)", "mm", 1000.0, "lower", 1, mpjpe, by_joint=True),
    "p_mpjpe": Metric("p_mpjpe", "P-MPJPE (Protocol 2)", "mm", 1000.0, "lower", 1, p_mpjpe),
    "n_mpjpe": Metric("n_mpjpe", "N-MPJPE (Protocol 3)", "mm", 1000.0, "lower", 1, n_mpjpe),
    "mpjve": Metric("mpjve", "MPJVE (velocity error)", "mm/frame", 1000.0, "lower", 2, mpjve, by_joint=True),
    "acceleration_error": Metric(
        "acceleration_error", "Acceleration error", "mm/frame²", 1000.0, "lower", 3, acceleration_error
    ),
    "pck": Metric("pck", "3D PCK at 150 mm", "%", 100.0, "higher", 1, pck),
    "auc": Metric("auc", "AUC of 3D PCK", "%", 100.0, "higher", 1, auc),
    "bone_length_error": Metric(
        "bone_length_error", "Bone length error", "mm", 1000.0, "lower", 1, bone_length_error, of_bones=True
    ),
}


def metric(name: str) -> Metric:
    """Find the metric of this name; an InputError lists the known names otherwise."""
    if name not in METRICS:
        raise InputError(f"unknown metric {name!r}; known: {', '.join(METRICS)}")
    return METRICS[name]


def _paired(name: str, pred: np.ndarray, true: np.ndarray, span: int) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, or an error that says what is wrong with their shapes."""
    if pred.shape != true.shape:
        raise InputError(
            f"{name}: pred has shape {pred.shape} and true {true.shape}; both must be the same frames and joints, "
            "(f, j, 3): crop or remap one of them"
        )
    if pred.ndim != 3 or pred.shape[2] != 3:
        raise InputError(f"{name}: got shape {pred.shape}, want (f, j, 3): frames, joints, xyz")
    if len(pred) < span:
        raise InputError(f"{name}: needs {span} consecutive frames, got {len(pred)}; leave shorter sequences out")
    return pred.astype(np.float64), true.astype(np.float64)


def _norm(vectors: np.ndarray) -> np.ndarray:
    """Length of the last axis; einsum is several times faster here than np.linalg.norm."""
    lengths: np.ndarray = np.sqrt(np.einsum("...c,...c->...", vectors, vectors))
    return lengths


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, and 0 where the denominator is 0."""
    quotient: np.ndarray = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return quotient
