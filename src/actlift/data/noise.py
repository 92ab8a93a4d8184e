"""2D keypoints as a detector would report them, from exact projections.

Three models: `Exact`, `IndependentNoise` and `DetectorNoise`. Each is a frozen set of parameters with one method,
`observe(points_px, skeleton, fps, seed) -> (points_px, confidence)`. Points are pixels; confidences lie in [0, 1].
`seed` fixes every bit of the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy.signal import lfilter

from actlift.errors import InputError
from actlift.geometry.skeleton import Skeleton

_MID_LIMB = ("Elbow", "Knee")
_FOOT = ("Ankle", "Foot", "Heel", "Toe")
_HAND = ("Wrist", "Hand", "Thumb", "Index", "Pinky")
_EXTREMITY = _FOOT + _HAND
_HIP = ("Hip",)
_LOWER_BODY = ("Hip", "Knee", *_FOOT)


@dataclass(frozen=True)
class Exact:
    """The projections themselves, with confidence 1."""

    def observe(
        self,
        points_px: Float[np.ndarray, "t j 2"],
        skeleton: Skeleton,
        fps: float,
        seed: int | Sequence[int],  # noqa: ARG002  nothing is drawn
    ) -> tuple[Float[np.ndarray, "t j 2"], Float[np.ndarray, "t j"]]:
        """Give the points as they are, as float64, and ones.

        Raises:
            InputError: points are not finite or not of this skeleton, or fps is not positive.
        """
        points = _checked(points_px, skeleton, fps)
        return points.copy(), np.ones(points.shape[:2])


@dataclass(frozen=True)
class IndependentNoise:
    """Gaussian noise, independent in every frame, joint and axis; confidence 1.

    Attributes:
        sigma_px: standard deviation along each axis, in pixels.
    """

    sigma_px: float

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_px < np.inf:
            raise InputError(f"sigma_px is a standard deviation in pixels, 0 or more; got {self.sigma_px}")

    def observe(
        self, points_px: Float[np.ndarray, "t j 2"], skeleton: Skeleton, fps: float, seed: int | Sequence[int]
    ) -> tuple[Float[np.ndarray, "t j 2"], Float[np.ndarray, "t j"]]:
        """Give the points with noise, and ones.

        Raises:
            InputError: as `Exact.observe`.
        """
        points = _checked(points_px, skeleton, fps)
        rng = np.random.default_rng(seed)
        return points + self.sigma_px * rng.standard_normal(points.shape), np.ones(points.shape[:2])


@dataclass(frozen=True)
class DetectorNoise:
    """A constant offset of every joint, errors that last for a moment, missed joints, and swapped sides.

    Sizes are fractions of the person's size in the frame: the diagonal of the box around the exact joints. Durations
    are in seconds, so that the model means the same at every frame rate. Spread, memory and offsets are fits to what
    MoveNet Thunder did in a recording with ground truth (docs/decisions/detector-noise.md); other defaults without a
    source are plausible values, not measurements: measure your detector and set them.

    Attributes:
        sigma: standard deviation of a joint of the trunk or head along each axis, about its offset. Default 0.0065.
        sigma_mid_limb: of elbows and knees. Default 0.008.
        sigma_foot: of ankles and all beyond. Default 0.010.
        sigma_hand: of wrists and all beyond. Default 0.019.
        white: share of this variance that is new in every frame. Default 0.05.
        memory_s: time constant of the rest, a first-order autoregressive process: the autocorrelation of both together
            at a lag of s > 0 seconds is `(1 - white) exp(-s / memory_s)`. Default 0.086 s.
        offset: root mean square length of the offset of a joint of the trunk or head: a vector that is drawn once for
            each call (the frames of one person seen by one camera) and stays, as a share of the size. The right joint
            of a pair has the left one's, mirrored: with wide hips both stand too far out. Default 0.008.
        offset_limb: of elbows and knees and all beyond. Default 0.012.
        offset_hip: of the hips. Default 0.017.
        missed: fraction of frames in which a joint of the trunk or head is missed. Default 0.02.
        missed_mid_limb, missed_extremity: factor on `missed` for elbows and knees, and for wrists, ankles and all
            beyond. Defaults 1.2 and 1.3: Gaussian errors with these ratios give the failure rates (PCKh at 0.5 on MPII)
            of elbows, knees, wrists and ankles relative to shoulders in Newell et al., "Stacked Hourglass Networks for
            Human Pose Estimation" (2016): 3.7 % shoulder; 8.8 % elbow, 12.6 % knee; 12.9 % wrist, 16.4 % ankle.
        missed_s: mean duration of a miss. Default 0.3 s.
        missed_sigma: standard deviation of the further error of a missed joint along each axis; the wrong guess is held
            and may change within a miss. Default 0.06: about the width of a hand for a standing person.
        swapped: fraction of frames in which left and right are swapped, separately for the lower body (hips and below)
            and all above. Default 0.01.
        swapped_s: mean duration of a swap. Default 0.2 s.
        confidence_size: error at which the confidence has fallen to exp(-1/2) = 0.61. The confidence is
            `exp(-(g error / confidence_size)² / 2)`, the shape of COCO's object keypoint similarity; the offset is part
            of the error. Default 0.03.
        confidence_spread: standard deviation of log g: how badly the detector judges its own error. Default 0.5.
        missed_confidence: factor on the confidence of a missed joint. Default 0.3.

    A swapped joint keeps its confidence: detectors are sure of the wrong side too.
    """

    sigma: float = 0.0065
    sigma_mid_limb: float = 0.008
    sigma_foot: float = 0.010
    sigma_hand: float = 0.019
    white: float = 0.05
    memory_s: float = 0.086
    offset: float = 0.008
    offset_limb: float = 0.012
    offset_hip: float = 0.017
    missed: float = 0.02
    missed_mid_limb: float = 1.2
    missed_extremity: float = 1.3
    missed_s: float = 0.3
    missed_sigma: float = 0.06
    swapped: float = 0.01
    swapped_s: float = 0.2
    confidence_size: float = 0.03
    confidence_spread: float = 0.5
    missed_confidence: float = 0.3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < np.inf:
                raise InputError(f"DetectorNoise: {field.name} must be a number, 0 or more; got {value}")
        for name in ("memory_s", "missed_s", "swapped_s", "confidence_size"):
            if getattr(self, name) == 0:
                raise InputError(f"DetectorNoise: {name} must be more than 0; make it small instead")
        for name in ("white", "missed_confidence"):
            if getattr(self, name) > 1:
                raise InputError(f"DetectorNoise: {name} must be at most 1; got {getattr(self, name)}")
        for name, most in (
            ("swapped", self.swapped),
            ("missed (with its factor for limbs)", self.missed * max(1.0, self.missed_mid_limb, self.missed_extremity)),
        ):
            if most >= 1:
                raise InputError(f"DetectorNoise: {name} is a fraction of the frames and must be below 1; got {most}")

    def observe(
        self, points_px: Float[np.ndarray, "t j 2"], skeleton: Skeleton, fps: float, seed: int | Sequence[int]
    ) -> tuple[Float[np.ndarray, "t j 2"], Float[np.ndarray, "t j"]]:
        """Make what the detector reports of a person: points in pixels, and confidences.

        Raises:
            InputError: as `Exact.observe`.
        """
        points = _checked(points_px, skeleton, fps)
        t, j, _ = points.shape
        rng = np.random.default_rng(seed)
        size_px = np.linalg.norm(np.ptp(points, axis=1), axis=-1)[:, None]  # (t, 1)

        error = self._offsets(rng, skeleton) + self._unsteady(rng, t, skeleton, fps)  # (t, j, 2)
        factor = _by_part(skeleton, (_MID_LIMB, self.missed_mid_limb), (_EXTREMITY, self.missed_extremity), other=1.0)
        missed, since = _bursts(rng, t, self.missed * factor, fps * self.missed_s)
        guess = self.missed_sigma * rng.standard_normal((t, j, 2))
        error += missed[..., None] * np.take_along_axis(guess, since[..., None], axis=0)

        judged = np.linalg.norm(error, axis=-1) * np.exp(self.confidence_spread * rng.standard_normal((t, j)))
        confidence = np.exp(-((judged / self.confidence_size) ** 2) / 2)
        confidence *= np.where(missed, self.missed_confidence, 1.0)

        swapped, _ = _bursts(rng, t, np.full(2, self.swapped), fps * self.swapped_s)  # upper and lower body
        lower = np.array([_named(joint, _LOWER_BODY) for joint in skeleton.joints])
        source = np.where(swapped[:, lower.astype(int)], skeleton.mirror, np.arange(j))  # (t, j)
        observed = points + size_px[..., None] * error
        return (
            np.take_along_axis(observed, source[..., None], axis=1),
            np.take_along_axis(confidence, source, axis=1),
        )

    def _offsets(self, rng: np.random.Generator, skeleton: Skeleton) -> Float64[np.ndarray, "j 2"]:
        """Draw the constant offset of every joint; the right one of a pair has the left one's, mirrored."""
        limb = _MID_LIMB + _EXTREMITY
        length = _by_part(skeleton, (_HIP, self.offset_hip), (limb, self.offset_limb), other=self.offset)
        drawn: Float64[np.ndarray, "j 2"] = rng.standard_normal((len(skeleton), 2)) * length[:, None] / np.sqrt(2)
        mirror = np.array(skeleton.mirror)
        second = mirror < np.arange(len(skeleton))  # of each pair
        drawn[second] = drawn[mirror[second]] * (-1, 1)
        return drawn

    def _unsteady(
        self, rng: np.random.Generator, t: int, skeleton: Skeleton, fps: float
    ) -> Float64[np.ndarray, "t j 2"]:
        """Draw what changes about the offset: a part that lasts and a white one."""
        sigma = _by_part(
            skeleton,
            (_MID_LIMB, self.sigma_mid_limb),
            (_FOOT, self.sigma_foot),  # first: a foot has an index too
            (_HAND, self.sigma_hand),
            other=self.sigma,
        )
        shape = (t, len(skeleton), 2)
        lasting = np.sqrt(1 - self.white) * _autoregressive(rng, shape, fps * self.memory_s)
        noise: Float64[np.ndarray, "t j 2"] = sigma[:, None] * (
            lasting + np.sqrt(self.white) * rng.standard_normal(shape)
        )
        return noise


Keypoints = Exact | IndependentNoise | DetectorNoise  # what makes the 2D keypoints of a corpus of exact projections

KEYPOINTS: dict[str, type[Exact] | type[IndependentNoise] | type[DetectorNoise]] = {
    "exact": Exact,
    "independent": IndependentNoise,
    "detector": DetectorNoise,
}


def kind_of(made: Mapping[str, Any]) -> str:
    """Name the 2D keypoints that the provenance of a corpus records: a word of `KEYPOINTS`, or "detections"."""
    words = {model.__name__: word for word, model in KEYPOINTS.items()}
    kind = str(made["kind"])
    return words.get(kind, kind.lower())


def _checked(points_px: Float[np.ndarray, "t j 2"], skeleton: Skeleton, fps: float) -> Float64[np.ndarray, "t j 2"]:
    if points_px.shape[1] != len(skeleton):
        raise InputError(
            f"got {points_px.shape[1]} joints; skeleton {skeleton.name!r} has {len(skeleton)}. Give all of its joints, "
            "in its order"
        )
    if not 0 < fps < np.inf:
        raise InputError(f"fps must be more than 0; got {fps}")
    broken = np.argwhere(~np.isfinite(points_px).all(axis=-1))
    if len(broken):
        frame, joint = broken[0]
        raise InputError(
            f"keypoints are made from finite pixels; frame {frame}, {skeleton.joints[joint]} is "
            f"{points_px[frame, joint].tolist()}. Is it behind the camera?"
        )
    return points_px.astype(np.float64)


def _named(joint: str, parts: tuple[str, ...]) -> bool:
    return any(part in joint for part in parts)


def _by_part(skeleton: Skeleton, *values: tuple[tuple[str, ...], float], other: float) -> Float64[np.ndarray, " j"]:
    """Give each joint the value of the first parts that its name has, or the other."""
    return np.array([next((v for parts, v in values if _named(joint, parts)), other) for joint in skeleton.joints])


def _autoregressive(
    rng: np.random.Generator, shape: tuple[int, int, int], memory: float
) -> Float64[np.ndarray, "t j 2"]:
    """Stationary first-order autoregressive noise along the first axis, of unit variance; `memory` in frames."""
    keep = round(float(np.exp(-1 / memory)), 12)  # in the last digits exp differs between processors
    innovation = rng.standard_normal(shape)
    innovation[1:] *= np.sqrt(1 - keep**2)
    noise: Float64[np.ndarray, "t j 2"] = lfilter([1.0], [1.0, -keep], innovation, axis=0)
    return noise


def _bursts(
    rng: np.random.Generator, t: int, fraction: Float64[np.ndarray, " n"], duration: float
) -> tuple[Bool[np.ndarray, "t n"], Int[np.ndarray, "t n"]]:
    """n independent on-off processes, each on for its `fraction` of the time, `duration` frames on average at a time.

    Each is a two-state Markov process observed once a frame. It is drawn as a process that forgets its state now and
    then and draws it anew; being on lasts `forget / (1 - fraction)`, so that is how the mean time between two draws,
    `forget`, is chosen.

    Returns:
        Whether it is on, and the frame in which its state was last drawn.
    """
    forget = duration * (1 - fraction)
    anew = rng.random((t, len(fraction))) < -np.expm1(-1 / forget)
    since = np.maximum.accumulate(np.where(anew, np.arange(t)[:, None], 0), axis=0)
    on = rng.random((t, len(fraction))) < fraction
    return np.take_along_axis(on, since, axis=0), since
