"""2D keypoints: the noise has the statistics that its parameters promise, at every frame rate; seeds fix every bit."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from actlift.data.noise import KEYPOINTS, DetectorNoise, Exact, IndependentNoise, Keypoints
from actlift.geometry.skeleton import BLAZEPOSE_33, COCO_17, H36M_17, HALPE_26, Skeleton

MODELS = pytest.mark.parametrize("model", [Exact(), IndependentNoise(3.0), DetectorNoise()], ids=KEYPOINTS)
SKELETONS = pytest.mark.parametrize("skeleton", [H36M_17, COCO_17, HALPE_26, BLAZEPOSE_33], ids=lambda s: s.name)
HANDS_AND_FEET = Skeleton("ends", ("LAnkle", "RAnkle", "LWrist", "RWrist"), (-1, -1, -1, -1), (1, 0, 3, 2))
QUIET = {"missed": 0.0, "swapped": 0.0}
STEADY = {"offset": 0.0, "offset_limb": 0.0, "offset_hip": 0.0}
UNSHAKEN = {"sigma": 0.0, "sigma_mid_limb": 0.0, "sigma_foot": 0.0, "sigma_hand": 0.0}
WITHOUT_ERROR = STEADY | UNSHAKEN
MEASURED = {1 / 60: 0.78, 0.1: 0.32, 0.2: 0.06}  # autocorrelation of a real detector's error at a lag in seconds


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


# --- the detector: offsets ----------------------------------------------------------------------------------------


def offsets(seeds: int, skeleton: Skeleton = H36M_17, frames: int = 1) -> np.ndarray:
    """(seeds, frames, j, 2) what a detector that does nothing else adds, in diagonals of the box."""
    model, points = DetectorNoise(**UNSHAKEN, **QUIET), still(frames, skeleton=skeleton)
    return np.stack([model.observe(points, skeleton, 50.0, seed)[0] - points for seed in range(seeds)]) / 500


def test_a_joint_stands_off_by_the_same_vector_in_every_frame_and_by_another_in_another_clip() -> None:
    found = offsets(3, frames=40)
    np.testing.assert_allclose(found, np.broadcast_to(found[:, :1], found.shape), atol=1e-12)
    assert (found[0] != found[1]).all()
    points = still(2)
    points[1] *= 3
    grown = errors(DetectorNoise(**UNSHAKEN, **QUIET), points)
    np.testing.assert_allclose(grown[1], 3 * grown[0], atol=1e-9)


def test_offsets_are_as_long_as_promised_and_longest_at_the_hips() -> None:
    length = np.sqrt((offsets(3000)[:, 0] ** 2).sum(axis=-1).mean(axis=0))
    wanted = np.full(17, 0.008)
    wanted[[H36M_17.index(side + part) for side in "LR" for part in ("Elbow", "Wrist", "Knee", "Ankle")]] = 0.012
    wanted[[H36M_17.index(hip) for hip in ("LHip", "RHip")]] = 0.017
    np.testing.assert_allclose(length, wanted, rtol=0.05)


@SKELETONS
def test_the_offsets_of_left_and_right_are_mirror_images_and_pairs_differ(skeleton: Skeleton) -> None:
    found = offsets(400, skeleton)[:, 0]
    mirror = np.array(skeleton.mirror)
    paired = mirror != np.arange(len(skeleton))
    np.testing.assert_allclose(found[:, paired], (found[:, mirror] * (-1, 1))[:, paired], atol=1e-12)
    once = mirror >= np.arange(len(skeleton))
    correlation = np.corrcoef(found[:, once].reshape(400, -1).T)
    assert np.abs(correlation - np.eye(len(correlation))).max() < 0.25


# --- the detector: unsteadiness -----------------------------------------------------------------------------------


@pytest.mark.parametrize("diagonal_px", [100.0, 800.0])
@SKELETONS
def test_the_error_about_the_offset_grows_with_the_person(diagonal_px: float, skeleton: Skeleton) -> None:
    points = still(6000, diagonal_px, skeleton)
    noise = DetectorNoise(memory_s=0.02, **QUIET).observe(points, skeleton, 50.0, 0)[0] - points
    std = noise.std(axis=0).mean(axis=-1)
    wanted = {
        **dict.fromkeys(("Elbow", "Knee"), 0.008),
        **dict.fromkeys(("Ankle", "Heel", "BigToe", "SmallToe", "FootIndex"), 0.010),
        **dict.fromkeys(("Wrist", "Thumb", "Index", "Pinky"), 0.019),
    }
    expected = [wanted.get(joint[1:], 0.0065) for joint in skeleton.joints]
    np.testing.assert_allclose(std / diagonal_px, expected, rtol=0.06)


def test_the_error_follows_the_size_in_each_frame() -> None:
    points = still(4000)
    points[2000:] *= 3
    noise = errors(DetectorNoise(memory_s=0.02, **STEADY, **QUIET), points)
    assert noise[2000:].std() / noise[:2000].std() == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("fps", [30, 60, 240])
def test_the_error_is_remembered_for_the_same_time_at_every_frame_rate(fps: int) -> None:
    """What is white is so at every rate: the autocorrelation at a lag in seconds does not know the frame rate."""
    model = DetectorNoise(white=0.3, memory_s=0.2, **STEADY, **QUIET)
    noise = errors(model, still(200 * fps), fps)
    for seconds in (1 / 30, 0.2, 0.4):
        correlation = lag_correlation(noise, round(seconds * fps))
        assert correlation == pytest.approx(0.7 * np.exp(-seconds / 0.2), abs=0.04)


@pytest.mark.parametrize("fps", [60, 120])
def test_the_error_is_remembered_as_long_as_a_real_detector_remembers_it(fps: int) -> None:
    """The two parameters are those with the least squared misfit at the three lags, and the misfit is small."""
    model = DetectorNoise(**STEADY, **QUIET)
    noise = errors(model, still(400 * fps), fps)
    for seconds, measured in MEASURED.items():
        assert lag_correlation(noise, round(seconds * fps)) == pytest.approx(measured, abs=0.05)

    def misfit(white: float, memory_s: float) -> float:
        return sum(((1 - white) * np.exp(-s / memory_s) - measured) ** 2 for s, measured in MEASURED.items())

    found = minimize(lambda p: misfit(*p), (0.1, 0.1), bounds=((0, 1), (0.01, 1)), method="Nelder-Mead").x
    assert (model.white, model.memory_s) == pytest.approx(found, abs=0.005)


def test_the_error_has_its_full_size_from_the_first_frame() -> None:
    model = DetectorNoise(**STEADY, **QUIET)
    first = np.stack([errors(model, still(2), seed=seed)[0] for seed in range(800)])
    assert first[:, H36M_17.index("Thorax")].std() == pytest.approx(500 * 0.0065, rel=0.06)


def test_axes_and_joints_err_independently_about_their_offsets() -> None:
    noise = errors(DetectorNoise(memory_s=0.02, **QUIET), still(6000)).reshape(6000, 34)
    assert np.abs(np.corrcoef(noise.T) - np.eye(34)).max() < 0.08


# --- the detector: misses -----------------------------------------------------------------------------------------


def misses(fps: int, seconds: int, **parameters: float) -> np.ndarray:
    """Where joints are missed: all else is free of error."""
    model = DetectorNoise(**WITHOUT_ERROR, swapped=0.0, **parameters)
    return (errors(model, still(seconds * fps), fps) != 0).any(axis=-1)


@pytest.mark.parametrize("fps", [25, 60])
def test_joints_are_missed_as_often_and_as_long_as_promised(fps: int) -> None:
    p, duration = 0.1, 0.3
    missed = misses(fps, 1200, missed=p, missed_s=duration, missed_mid_limb=1.0, missed_extremity=1.0)
    assert missed.mean() == pytest.approx(p, rel=0.06)
    # A two-state Markov process: being on lasts `duration`, so its correlation decays within duration * (1 - p).
    for seconds in (0.04, 0.2, 0.4):
        lag = round(seconds * fps)
        expected = np.exp(-lag / fps / (duration * (1 - p)))
        assert lag_correlation(missed - missed.mean(), lag) == pytest.approx(expected, abs=0.03)


def test_the_mean_length_of_a_miss_is_the_parameter() -> None:
    fps = 1000
    missed = misses(fps, 100, missed=0.1, missed_s=0.3, missed_mid_limb=1.0, missed_extremity=1.0)
    bursts = (missed[1:] & ~missed[:-1]).sum()
    assert missed.sum() / bursts / fps == pytest.approx(0.3, rel=0.08)


def test_limbs_are_missed_more_often() -> None:
    rate = misses(50, 1500, missed=0.1, missed_s=0.1).mean(axis=0)
    assert rate[H36M_17.index("Thorax")] == pytest.approx(0.1, rel=0.1)
    assert rate[H36M_17.index("LElbow")] == pytest.approx(0.12, rel=0.1)
    assert rate[H36M_17.index("RAnkle")] == pytest.approx(0.13, rel=0.1)


def test_a_wrong_guess_is_held_and_of_its_size() -> None:
    model = DetectorNoise(**WITHOUT_ERROR, swapped=0.0, missed=0.3, missed_sigma=0.06)
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
    model = DetectorNoise(**WITHOUT_ERROR, missed=0.0, swapped=p, swapped_s=duration)
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
    model = DetectorNoise(**WITHOUT_ERROR, missed=0.0, swapped=0.3)
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
    _, confidence = DetectorNoise(**WITHOUT_ERROR, **QUIET).observe(still(20), H36M_17, 50.0, 0)
    np.testing.assert_array_equal(confidence, 1)


def test_confidence_of_a_perfect_judge_is_the_formula() -> None:
    points = still(500)
    model = DetectorNoise(confidence_spread=0.0, **QUIET)
    observed, confidence = model.observe(points, H36M_17, 50.0, 0)
    error = np.linalg.norm(observed - points, axis=-1) / 500
    np.testing.assert_allclose(confidence, np.exp(-((error / 0.03) ** 2) / 2))


def test_the_worse_the_error_the_lower_the_confidence() -> None:
    """Of a judge that is not perfect in the mean: from the best tenth of the errors to the worst."""
    points = still(8000)
    observed, confidence = DetectorNoise(**QUIET).observe(points, H36M_17, 50.0, 0)
    order = np.linalg.norm(observed - points, axis=-1).ravel().argsort()
    tenths = [part.mean() for part in np.array_split(confidence.ravel()[order], 10)]
    assert (np.diff(tenths) < 0).all()


def test_confidence_says_something_of_the_error_but_not_all() -> None:
    points = still(8000)
    observed, confidence = DetectorNoise(**QUIET).observe(points, H36M_17, 50.0, 0)
    error = np.linalg.norm(observed - points, axis=-1)
    assert -0.95 < np.corrcoef(error.ravel(), confidence.ravel())[0, 1] < -0.4


def test_missed_joints_are_not_trusted() -> None:
    points = still(20000)
    observed, confidence = DetectorNoise(**WITHOUT_ERROR, swapped=0.0).observe(points, H36M_17, 50.0, 0)
    missed = (observed != points).any(axis=-1)
    assert confidence[missed].max() <= 0.3
    assert confidence[~missed].min() == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sigma": -0.1}, "sigma must be a number, 0 or more; got -0.1"),
        ({"confidence_spread": np.nan}, "confidence_spread must be a number"),
        ({"white": 1.1}, "white must be at most 1; got 1.1"),
        ({"offset_hip": -0.01}, "offset_hip must be a number, 0 or more; got -0.01"),
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
