"""2D keypoints as a detector would report them, from exact projections.

Three models: `Exact`, `IndependentNoise` and `DetectorNoise`. Each is a frozen set of parameters with one method,
`observe(points_px, skeleton, fps, seed) -> (points_px, confidence)`. Points are pixels; confidences lie in [0, 1].
`seed` fixes every bit of the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy.signal import lfilter

from actlift.errors import InputError
from actlift.geometry.skeleton import Skeleton

_MID_LIMB = ("Elbow", "Knee")
_EXTREMITY = ("Wrist", "Hand", "Thumb", "Index", "Pinky", "Ankle", "Foot", "Heel", "Toe")
_LOWER_BODY = ("Hip", "Knee", "Ankle", "Foot", "Heel", "Toe")


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
    """Errors that grow with the person, last for a while and are worst at hands and feet; missed joints; swapped sides.

    Sizes are fractions of the person's size in the frame: the diagonal of the box around the exact joints. Durations
    are in seconds, so that the model means the same at every frame rate. Defaults without a source are plausible
    values, not measurements: measure your detector and set them.

    Attributes:
        sigma: standard deviation of the error of a joint of the trunk or head along each axis. Default 0.008: 3 to 4 px
            for a person who stands 5 m from a Human3.6M camera.
        mid_limb, extremity: factor on `sigma` and on `missed` for elbows and knees, and for wrists, ankles and all
            beyond. Defaults 1.2 and 1.3: Gaussian errors with these ratios give the failure rates (PCKh at 0.5 on MPII)
            of elbows, knees, wrists and ankles relative to shoulders in Newell et al., "Stacked Hourglass Networks for
            Human Pose Estimation" (2016): 3.7 % shoulder; 8.8 % elbow, 12.6 % knee; 12.9 % wrist, 16.4 % ankle.
        memory_s: time constant of the error: its autocorrelation at lag `s` is `exp(-s / memory_s)` (a first-order
            autoregressive process). Default 0.2 s.
        missed: fraction of frames in which a joint of the trunk or head is missed. Default 0.02.
        missed_s: mean duration of a miss. Default 0.3 s.
        missed_sigma: standard deviation of the further error of a missed joint along each axis; the wrong guess is held
            and may change within a miss. Default 0.06: about the width of a hand for a standing person.
        swapped: fraction of frames in which left and right are swapped, separately for the lower body (hips and below)
            and all above. Default 0.01.
        swapped_s: mean duration of a swap. Default 0.2 s.
        confidence_size: error at which the confidence has fallen to exp(-1/2) = 0.61. The confidence is
            `exp(-(g error / confidence_size)² / 2)`, the shape of COCO's object keypoint similarity. Default 0.03.
        confidence_spread: standard deviation of log g: how badly the detector judges its own error. Default 0.5.
        missed_confidence: factor on the confidence of a missed joint. Default 0.3.

    A swapped joint keeps its confidence: detectors are sure of the wrong side too.
    """

    sigma: float = 0.008
    mid_limb: float = 1.2
    extremity: float = 1.3
    memory_s: float = 0.2
    missed: float = 0.02
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
        if self.missed_confidence > 1:
            raise InputError(f"DetectorNoise: missed_confidence must be at most 1; got {self.missed_confidence}")
        for name, most in (
            ("swapped", self.swapped),
            ("missed (with its factor for limbs)", self.missed * max(1.0, self.mid_limb, self.extremity)),
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
        factor = self._factors(skeleton)  # (j,)

        error = self.sigma * factor[:, None] * _autoregressive(rng, (t, j, 2), fps * self.memory_s)
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

    def _factors(self, skeleton: Skeleton) -> Float64[np.ndarray, " j"]:
        return np.array(
            [
                self.extremity if _named(joint, _EXTREMITY) else self.mid_limb if _named(joint, _MID_LIMB) else 1.0
                for joint in skeleton.joints
            ]
        )


Keypoints = Exact | IndependentNoise | DetectorNoise  # what makes the 2D keypoints of a corpus of exact projections

KEYPOINTS: dict[str, type[Exact] | type[IndependentNoise] | type[DetectorNoise]] = {
    "exact": Exact,
    "independent": IndependentNoise,
    "detector": DetectorNoise,
}


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
