"""2D keypoints: the noise has the statistics that its parameters promise, at every frame rate; seeds fix every bit."""

from typing import Any

import numpy as np
import pytest

from actlift.data.noise import KEYPOINTS, DetectorNoise, Exact, IndependentNoise, Keypoints
from actlift.geometry.skeleton import BLAZEPOSE_33, COCO_17, H36M_17, HALPE_26, Skeleton

MODELS = pytest.mark.parametrize("model", [Exact(), IndependentNoise(3.0), DetectorNoise()], ids=KEYPOINTS)
SKELETONS = pytest.mark.parametrize("skeleton", [H36M_17, COCO_17, HALPE_26, BLAZEPOSE_33], ids=lambda s: s.name)
HANDS_AND_FEET = Skeleton("ends", ("LAnkle", "RAnkle", "LWrist", "RWrist"), (-1, -1, -1, -1), (1, 0, 3, 2))
QUIET = {"missed": 0.0, "swapped": 0.0}


def still(frames: int, diagonal_px: float = 500.0, skeleton: Skeleton = H36M_17) -> np.ndarray:
    """A person who does not move; the box around the joints has the given diagonal (3 : 4 : 5)."""
    points = np.random.default_rng(0).uniform(size=(len(skeleton), 2))
    points[0], points[1] = 0, 1
    return np.broadcast_to(points * (0.6, 0.8) * diagonal_px, (frames, len(skeleton), 2)).copy()


def errors(model: Keypoints, points: np.ndarray, fps: float = 50.0, seed: int = 0) -> np.ndarray:
    return model.observe(points, H36M_17, float(fps), seed)[0] - points


def lag_correlation(x: np.ndarray, lag: int) -> float:
    """Correlation of x[t] with x[t + lag] over time, mean of the columns; x has mean 0."""
    return float((x[lag:] * x[:-lag]).mean() / (x**2).mean())


# --- what all models promise --------------------------------------------------------------------------------------


@MODELS
@SKELETONS
def test_shapes_and_confidence_for_every_layout(model: Keypoints, skeleton: Skeleton) -> None:
    points = still(40, skeleton=skeleton).astype(np.float32)
    before = points.copy()
    observed, confidence = model.observe(points, skeleton, 50.0, 0)
    assert observed.shape == points.shape
    assert confidence.shape == points.shape[:2]
    assert np.isfinite(observed).all()
    assert ((confidence >= 0) & (confidence <= 1)).all()
    np.testing.assert_array_equal(points, before)


@MODELS
def test_one_frame_is_enough(model: Keypoints) -> None:
    observed, confidence = model.observe(still(1), H36M_17, 50.0, 0)
    assert (observed.shape, confidence.shape) == ((1, 17, 2), (1, 17))


@MODELS
def test_seeds_reproduce_bits(model: Keypoints) -> None:
    points = still(200)
    first, again, other = (model.observe(points, H36M_17, 50.0, seed) for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert isinstance(model, Exact) or (first[0] != other[0]).any()


@MODELS
def test_input_that_cannot_be_observed_is_refused(model: Keypoints) -> None:
    points = still(5)
    with pytest.raises(ValueError, match="got 17 joints; skeleton 'halpe_26' has 26"):
        model.observe(points, HALPE_26, 50.0, 0)
    with pytest.raises(ValueError, match="fps must be more than 0; got 0"):
        model.observe(points, H36M_17, 0.0, 0)
    points[3, 2] = np.nan
    with pytest.raises(ValueError, match="frame 3, RKnee is .* behind the camera"):
        model.observe(points, H36M_17, 50.0, 0)


def test_names() -> None:
    assert [type(m) for m in (Exact(), IndependentNoise(1.0), DetectorNoise())] == list(KEYPOINTS.values())


# --- exact and independent ----------------------------------------------------------------------------------------


def test_exact_is_exact() -> None:
    observed, confidence = Exact().observe(still(5), H36M_17, 50.0, 0)
    np.testing.assert_array_equal(observed, still(5))
    np.testing.assert_array_equal(confidence, 1)


def test_independent_noise_is_white_and_of_its_size() -> None:
    noise = errors(IndependentNoise(3.0), still(4000))
    assert noise.std() == pytest.approx(3, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert lag_correlation(noise, 1) == pytest.approx(0, abs=0.02)
    x, y = noise[..., 0], noise[..., 1]
    assert (x * y).mean() == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf])
def test_independent_noise_refuses_what_is_no_deviation(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma_px is a standard deviation in pixels"):
        IndependentNoise(sigma)


# --- the detector: error ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diagonal_px", [100.0, 800.0])
def test_the_error_grows_with_the_person(diagonal_px: float) -> None:
    noise = errors(DetectorNoise(memory_s=0.02, **QUIET), still(6000, diagonal_px))
    std = noise.std(axis=(0, 2)) / diagonal_px
    trunk = [H36M_17.index(joint) for joint in ("Pelvis", "LHip", "Spine", "Thorax", "Neck", "Head", "RShoulder")]
    limbs = [H36M_17.index(joint) for joint in ("LElbow", "RElbow", "LKnee", "RKnee")]
    ends = [H36M_17.index(joint) for joint in ("LWrist", "RWrist", "LAnkle", "RAnkle")]
    np.testing.assert_allclose(std[trunk], 0.008, rtol=0.06)
    np.testing.assert_allclose(std[limbs], 0.008 * 1.2, rtol=0.06)
    np.testing.assert_allclose(std[ends], 0.008 * 1.3, rtol=0.06)


def test_the_error_follows_the_size_in_each_frame() -> None:
    points = still(4000)
    points[2000:] *= 3
    noise = errors(DetectorNoise(memory_s=0.02, **QUIET), points)
    assert noise[2000:].std() / noise[:2000].std() == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("fps", [25, 50, 200])
def test_the_error_is_remembered_for_the_same_time_at_every_frame_rate(fps: int) -> None:
    noise = errors(DetectorNoise(memory_s=0.2, **QUIET), still(200 * fps), fps)
    for seconds in (0.04, 0.2, 0.4):
        assert lag_correlation(noise, round(seconds * fps)) == pytest.approx(np.exp(-seconds / 0.2), abs=0.04)


def test_the_error_has_its_full_size_from_the_first_frame() -> None:
    first = np.concatenate([errors(DetectorNoise(**QUIET), still(2), seed=seed)[0, :1] for seed in range(800)])
    assert first.std() == pytest.approx(500 * 0.008, rel=0.06)


def test_axes_and_joints_err_independently() -> None:
    noise = errors(DetectorNoise(memory_s=0.02, **QUIET), still(6000)).reshape(6000, 34)
    assert np.abs(np.corrcoef(noise.T) - np.eye(34)).max() < 0.08


# --- the detector: misses -----------------------------------------------------------------------------------------


def misses(fps: int, seconds: int, **parameters: float) -> np.ndarray:
    """Where joints are missed: all else is free of error."""
    model = DetectorNoise(sigma=0.0, swapped=0.0, **parameters)
    return (errors(model, still(seconds * fps), fps) != 0).any(axis=-1)


@pytest.mark.parametrize("fps", [25, 60])
def test_joints_are_missed_as_often_and_as_long_as_promised(fps: int) -> None:
    p, duration = 0.1, 0.3
    missed = misses(fps, 1200, missed=p, missed_s=duration, mid_limb=1.0, extremity=1.0)
    assert missed.mean() == pytest.approx(p, rel=0.06)
    # A two-state Markov process: being on lasts `duration`, so its correlation decays within duration * (1 - p).
    for seconds in (0.04, 0.2, 0.4):
        lag = round(seconds * fps)
        expected = np.exp(-lag / fps / (duration * (1 - p)))
        assert lag_correlation(missed - missed.mean(), lag) == pytest.approx(expected, abs=0.03)


def test_the_mean_length_of_a_miss_is_the_parameter() -> None:
    fps = 1000
    missed = misses(fps, 100, missed=0.1, missed_s=0.3, mid_limb=1.0, extremity=1.0)
    bursts = (missed[1:] & ~missed[:-1]).sum()
    assert missed.sum() / bursts / fps == pytest.approx(0.3, rel=0.08)


def test_limbs_are_missed_more_often() -> None:
    rate = misses(50, 1500, missed=0.1, missed_s=0.1).mean(axis=0)
    assert rate[H36M_17.index("Thorax")] == pytest.approx(0.1, rel=0.1)
    assert rate[H36M_17.index("LElbow")] == pytest.approx(0.12, rel=0.1)
    assert rate[H36M_17.index("RAnkle")] == pytest.approx(0.13, rel=0.1)


def test_a_wrong_guess_is_held_and_of_its_size() -> None:
    model = DetectorNoise(sigma=0.0, swapped=0.0, missed=0.3, missed_sigma=0.06)
    noise = errors(model, still(20000))
    missed = (noise != 0).any(axis=-1)
    assert noise[missed].std() == pytest.approx(500 * 0.06, rel=0.05)
    both = missed[1:] & missed[:-1]
    held = np.abs(np.diff(noise, axis=0)).max(axis=-1)[both] < 1e-9
    assert held.mean() > 0.9  # 0.3 s are 15 frames


# --- the detector: swaps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [25, 60])
def test_sides_are_swapped_as_often_and_as_long_as_promised(fps: int) -> None:
    p, duration = 0.1, 0.2
    points = still(4000 * fps, skeleton=HANDS_AND_FEET)
    model = DetectorNoise(sigma=0.0, missed=0.0, swapped=p, swapped_s=duration)
    observed, _ = model.observe(points, HANDS_AND_FEET, float(fps), 0)
    moved = (observed != points).any(axis=-1)
    legs, arms = [0, 1], [2, 3]
    for pair in (legs, arms):
        swapped = moved[:, pair[0]]
        np.testing.assert_array_equal(observed[swapped][:, pair], points[swapped][:, pair[::-1]])
        assert swapped.mean() == pytest.approx(p, rel=0.1)
        correlation = lag_correlation(swapped - swapped.mean(), round(0.2 * fps))
        assert correlation == pytest.approx(np.exp(-0.2 / (duration * (1 - p))), abs=0.05)
    both = (moved[:, legs[0]] & moved[:, arms[0]]).mean()
    assert both == pytest.approx(p**2, rel=0.3)  # the halves swap independently


@SKELETONS
def test_a_swap_takes_a_whole_half_of_the_body_and_leaves_the_middle(skeleton: Skeleton) -> None:
    points = still(3000, skeleton=skeleton)
    model = DetectorNoise(sigma=0.0, missed=0.0, swapped=0.3)
    moved = (model.observe(points, skeleton, 50.0, 0)[0] != points).any(axis=-1)
    middle = [j for j in range(len(skeleton)) if skeleton.mirror[j] == j]
    assert not moved[:, middle].any()
    lower = {
        side + part for side in "LR" for part in ("Hip", "Knee", "Ankle", "Heel", "BigToe", "SmallToe", "FootIndex")
    }
    for half in (lower, set(skeleton.joints) - lower - {skeleton.joints[j] for j in middle}):
        together = moved[:, [skeleton.index(joint) for joint in skeleton.joints if joint in half]]
        np.testing.assert_array_equal(together.all(axis=1), together.any(axis=1))


def test_a_swap_keeps_confidence() -> None:
    points = still(3000)
    calm, swaps = (DetectorNoise(missed=0.0, swapped=p).observe(points, H36M_17, 50.0, 0)[1].mean() for p in (0.0, 0.5))
    assert swaps == pytest.approx(calm, rel=0.02)


# --- the detector: confidence -------------------------------------------------------------------------------------


def test_without_error_confidence_is_one() -> None:
    _, confidence = DetectorNoise(sigma=0.0, **QUIET).observe(still(20), H36M_17, 50.0, 0)
    np.testing.assert_array_equal(confidence, 1)


def test_confidence_of_a_perfect_judge_is_the_formula() -> None:
    points = still(500)
    model = DetectorNoise(confidence_spread=0.0, **QUIET)
    observed, confidence = model.observe(points, H36M_17, 50.0, 0)
    error = np.linalg.norm(observed - points, axis=-1) / 500
    np.testing.assert_allclose(confidence, np.exp(-((error / 0.03) ** 2) / 2))


def test_confidence_says_something_of_the_error_but_not_all() -> None:
    points = still(8000)
    observed, confidence = DetectorNoise(**QUIET).observe(points, H36M_17, 50.0, 0)
    error = np.linalg.norm(observed - points, axis=-1)
    assert -0.95 < np.corrcoef(error.ravel(), confidence.ravel())[0, 1] < -0.4


def test_missed_joints_are_not_trusted() -> None:
    points = still(20000)
    observed, confidence = DetectorNoise(sigma=0.0, swapped=0.0).observe(points, H36M_17, 50.0, 0)
    missed = (observed != points).any(axis=-1)
    assert confidence[missed].max() <= 0.3
    assert confidence[~missed].min() == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sigma": -0.1}, "sigma must be a number, 0 or more; got -0.1"),
        ({"confidence_spread": np.nan}, "confidence_spread must be a number"),
        ({"memory_s": 0.0}, "memory_s must be more than 0"),
        ({"missed_s": 0.0}, "missed_s must be more than 0"),
        ({"swapped": 1.0}, "swapped is a fraction of the frames and must be below 1; got 1.0"),
        ({"missed": 0.8}, "with its factor for limbs.* must be below 1; got 1.04"),
        ({"missed_confidence": 1.5}, "missed_confidence must be at most 1; got 1.5"),
    ],
)
def test_parameters_that_make_no_detector_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DetectorNoise(**parameters)
