"""How far a predicted motion is from the true one: pure functions, meters in, meters out.

Every metric takes `pred` and `true`, joints of frames in one common frame of reference, and returns the error of every
frame and joint (or bone) whose mean is the metric. Averaging, and with it the choice of what weighs what, is left to
the caller, who can then average by joint, clip or action. All arithmetic is float64, whatever the input.

Metrics of one frame (`span` 1) take the frames of many sequences one behind the other. Metrics of motion (`span` 2 or
3) take ONE sequence of consecutive frames: across a seam there is no velocity. They return `f - span + 1` rows. Metrics
of a whole sequence (`span` None) compare what no few frames show, such as its peak speed, and return one row.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.fft import dct

from actlift.errors import InputError
from actlift.geometry.skeleton import Skeleton

AUC_THRESHOLDS = np.linspace(0.0, 0.150, 31)
"""The thresholds of MPI-INF-3DHP's area under the curve: 0, 5, ... 150 mm, in meters."""

SHORTEST_S = 0.2  # that a sequence must last to be measured as a whole
PEAK = 0.95  # the quantile of a joint's speed that is called its peak: one wild frame does not make it
STILL_M_PER_S = 0.05  # peak speed below which a joint rests, and what is missing counts as of this
BAND_HZ = (3.0, 10.0)  # of fast motion: see `power_lost`
QUIET_M_PER_S = 0.01  # root mean square speed within the band that counts as nothing: 0.3 mm to and fro at 5 Hz


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


def velocity_error_per_s(
    pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"], fps: float
) -> Float[np.ndarray, "f-1 j"]:
    """MPJVE in meters per second, which means the same at every frame rate.

    Takes consecutive frames of one sequence, at `fps` frames per second. Raises InputError as `mpjve`.
    """
    pred, true = _paired("velocity_error_per_s", pred, true, span=2)
    return fps * _norm(np.diff(pred - true, axis=0))


def acceleration_error_per_s2(
    pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"], fps: float
) -> Float[np.ndarray, "f-2 j"]:
    """The acceleration error in meters per second squared, which means the same at every frame rate.

    Takes consecutive frames of one sequence, at `fps` frames per second. Raises InputError as `acceleration_error`.
    """
    pred, true = _paired("acceleration_error_per_s2", pred, true, span=3)
    return _norm(np.diff(pred - true, n=2, axis=0)) * fps**2


def peak_speed_lost(
    pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"], fps: float
) -> Float[np.ndarray, "1 j"]:
    """By what share the peak speed of each joint falls short: what smoothing takes from a punch or a kick.

    The peak is the 95th percentile over the sequence. One that is too high loses nothing and counts 0; a joint that
    never moves at all has lost 1, or less where it rests (`STILL_M_PER_S`) in truth. Raises InputError if the shapes
    differ, are not (f, j, 3), or last less than `SHORTEST_S`.
    """
    pred, true = _sequences("peak_speed_lost", pred, true, fps)
    found, peak = (np.quantile(_norm(np.diff(p, axis=0)) * fps, PEAK, axis=0, keepdims=True) for p in (pred, true))
    lost: np.ndarray = np.maximum(peak - found, 0.0) / np.maximum(peak, STILL_M_PER_S)
    return lost


def power_lost(
    pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"], fps: float
) -> Float[np.ndarray, "1 j"]:
    """How much weaker the fast motion of each joint is than in truth, in decibels; 0 where it is stronger.

    Fast is from 3 to 10 Hz: above the first harmonics of gait, and up to where next to nothing of human motion is left
    (of a walking foot's power 99.7 % lies below 6 Hz: Winter, "Biomechanics and Motor Control of Human Movement", 2009,
    section 3.4.3; of the forces of gait 98 % below 10 Hz: Antonsson and Mann, "The frequency content of gait", Journal
    of Biomechanics 1985). The power is that of the velocity, which the slow and wide parts of motion do not drown, by a
    cosine transform of the whole sequence: ends need no window, and every frame counts alike. Power is counted from
    that of `QUIET_M_PER_S`, so that who stands still neither gains nor loses. Raises InputError as `peak_speed_lost`.
    """
    pred, true = _sequences("power_lost", pred, true, fps)
    lost: np.ndarray = np.maximum(_power_db(true, fps) - _power_db(pred, fps), 0.0)
    return lost


def power_added(
    pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"], fps: float
) -> Float[np.ndarray, "1 j"]:
    """How much stronger the fast motion of each joint is than in truth, in decibels: jitter; 0 where it is weaker.

    The other side of `power_lost`; the sum of both is how far the power is off. Raises InputError as `peak_speed_lost`.
    """
    pred, true = _sequences("power_added", pred, true, fps)
    added: np.ndarray = np.maximum(_power_db(pred, fps) - _power_db(true, fps), 0.0)
    return added


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
    frames one value takes, None for a whole sequence; at other spans than 1 call it on one sequence at a time.
    function: `(pred, true)`, and `skeleton` where `of_bones`, and `fps` where `timed`; calling the metric itself is the
    same for all. by_joint: whether scores have a row for each of its parts, too.
    """

    name: str
    title: str
    unit: str
    scale: float
    better: Literal["lower", "higher"]
    span: Literal[1, 2, 3] | None
    function: Callable[..., np.ndarray]
    of_bones: bool = False
    timed: bool = False
    by_joint: bool = False

    def __call__(
        self, pred: Float[np.ndarray, "f j 3"], true: Float[np.ndarray, "f j 3"], skeleton: Skeleton, fps: float
    ) -> Float[np.ndarray, "rows parts"]:
        """Errors, (f - span + 1, parts) or (1, parts), in the function's own unit; multiply by `scale` to report."""
        further = [skeleton] * self.of_bones + [fps] * self.timed
        return self.function(pred, true, *further)

    def parts(self, skeleton: Skeleton) -> tuple[str, ...]:
        """Name the columns that a call returns: the joints, or `child-parent` of every bone."""
        if self.of_bones:
            return tuple(f"{skeleton.joints[child]}-{skeleton.joints[parent]}" for child, parent in skeleton.bones)
        return skeleton.joints

    def frames(self, lengths: Int[np.ndarray, " n"], fps: float) -> Int[np.ndarray, " n"]:
        """Count what the mean over a sequence of so many frames stands for: its rows, or all frames of a whole one.

        0 where it is too short to have a value.
        """
        if self.span is None:
            return lengths * (lengths >= _shortest(fps))
        return (lengths - self.span + 1).clip(0)


METRICS: dict[str, Metric] = {
    "mpjpe": Metric("mpjpe", "MPJPE (Protocol 1)", "mm", 1000.0, "lower", 1, mpjpe, by_joint=True),
    "p_mpjpe": Metric("p_mpjpe", "P-MPJPE (Protocol 2)", "mm", 1000.0, "lower", 1, p_mpjpe),
    "n_mpjpe": Metric("n_mpjpe", "N-MPJPE (Protocol 3)", "mm", 1000.0, "lower", 1, n_mpjpe),
    "mpjve": Metric("mpjve", "MPJVE (velocity error)", "mm/frame", 1000.0, "lower", 2, mpjve, by_joint=True),
    "velocity_error_per_s": Metric(
        "velocity_error_per_s",
        "Velocity error per second",
        "mm/s",
        1000.0,
        "lower",
        2,
        velocity_error_per_s,
        timed=True,
    ),
    "acceleration_error": Metric(
        "acceleration_error", "Acceleration error", "mm/frame²", 1000.0, "lower", 3, acceleration_error
    ),
    "acceleration_error_per_s2": Metric(
        "acceleration_error_per_s2",
        "Acceleration error per second²",
        "m/s²",
        1.0,
        "lower",
        3,
        acceleration_error_per_s2,
        timed=True,
    ),
    "peak_speed_lost": Metric(
        "peak_speed_lost", "Peak speed lost", "%", 100.0, "lower", None, peak_speed_lost, timed=True
    ),
    "power_lost": Metric("power_lost", "Power lost, 3 to 10 Hz", "dB", 1.0, "lower", None, power_lost, timed=True),
    "power_added": Metric("power_added", "Power added, 3 to 10 Hz", "dB", 1.0, "lower", None, power_added, timed=True),
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


def _sequences(name: str, pred: np.ndarray, true: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """As `_paired`, of a sequence that is long enough to be measured as a whole."""
    pred, true = _paired(name, pred, true, span=1)
    if len(pred) < _shortest(fps):
        raise InputError(
            f"{name}: needs {_shortest(fps)} consecutive frames, {SHORTEST_S} s at {fps:g} per second, got "
            f"{len(pred)}; leave shorter sequences out"
        )
    return pred, true


def _shortest(fps: float) -> int:
    """Frames of the shortest sequence that is measured as a whole."""
    return max(math.ceil(SHORTEST_S * fps - 1e-9), 2)


def _power_db(points: Float[np.ndarray, "f j 3"], fps: float) -> Float[np.ndarray, "1 j"]:
    """Mean square of each joint's speed within `BAND_HZ`, and what counts as nothing, in decibels of (m/s)²."""
    velocity = np.diff(points, axis=0) * fps
    n = len(velocity)
    hz = np.arange(n) * fps / (2 * n)
    inside = slice(*np.searchsorted(hz, BAND_HZ))
    spectrum = dct(velocity, axis=0, norm="ortho")[inside]  # its squares sum to those of the velocity
    power = np.einsum("kjc,kjc->j", spectrum, spectrum)[None] / n
    decibels: np.ndarray = 10 * np.log10(power + QUIET_M_PER_S**2)
    return decibels


def _norm(vectors: np.ndarray) -> np.ndarray:
    """Length of the last axis; einsum is several times faster here than np.linalg.norm."""
    lengths: np.ndarray = np.sqrt(np.einsum("...c,...c->...", vectors, vectors))
    return lengths


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, and 0 where the denominator is 0."""
    quotient: np.ndarray = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return quotient
