import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actlift.data.clip import Clip, dataset_of, take_of


def clip(joints_world=None, frames=50, fps=50.0, **fields):
    if joints_world is None:
        joints_world = np.random.default_rng(0).normal(size=(frames, 17, 3))
    return Clip(
        **{"name": "c", "subject": "s", "action": "a", "fps": float(fps), "joints_world": joints_world} | fields
    )


def moving(seconds, fps, frequency):
    """Every coordinate a sine of some phase, plus a walk with constant speed."""
    t = np.arange(round(seconds * fps)) / fps
    phase = np.linspace(0, 3, 51).reshape(17, 3)
    return np.sin(2 * np.pi * frequency * t[:, None, None] + phase) + t[:, None, None]


def test_keeps_its_own_read_only_float32_joints():
    given_joints = np.zeros((3, 17, 3))
    made = clip(given_joints)
    given_joints[:] = 1
    assert made.joints_world.dtype == np.float32
    assert made.joints_world.max() == 0
    assert made.frames == 3
    with pytest.raises(ValueError, match="read-only"):
        made.joints_world[0] = 1


def test_joints_lose_less_than_a_micrometer_and_that_once():
    joints_world = np.random.default_rng(0).uniform(-8, 8, (50, 17, 3))
    made = clip(joints_world)
    assert 0 < np.abs(made.joints_world - joints_world).max() < 1e-6
    np.testing.assert_array_equal(clip(made.joints_world).joints_world, made.joints_world)
    np.testing.assert_array_equal(clip(joints_world + 1e-14).joints_world, made.joints_world)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("mocap/cmu_v2.npz", "cmu"),
        ("hdm05.npz", "hdm05"),
        ("a.b/Some-Set.tar.npz", "Some-Set"),
        ("asfamc/hdm05_bd/", "hdm05"),
        (".hidden_one", ".hidden"),
    ],
)
def test_a_data_set_by_the_name_of_its_source(source, name):
    assert dataset_of(source) == name


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gaps_are_named(bad):
    joints_world = np.zeros((9, 17, 3))
    joints_world[6:, 13, 1] = bad
    with pytest.raises(ValueError, match=r"clip 'c': frame 6, joint LWrist.*3 of 9 frames"):
        clip(joints_world)


@pytest.mark.parametrize("shape", [(5, 16, 3), (5, 17, 2), (0, 17, 3), (17, 3)])
def test_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"wanted \(frames, 17, 3\)"):
        clip(np.zeros(shape))


@pytest.mark.parametrize("field", ["name", "subject", "action"])
def test_empty_label(field):
    with pytest.raises(ValueError, match=f"{field} is empty"):
        clip(**{field: " "})


@pytest.mark.parametrize("fps", [0.0, -1.0, np.nan, np.inf])
def test_impossible_rate(fps):
    with pytest.raises(ValueError, match="frames per second"):
        clip(fps=fps)
    with pytest.raises(ValueError, match="cannot resample"):
        clip().resampled(fps)


def test_a_piece_is_named_like_a_slice():
    whole = clip()
    piece = whole.piece(10, 15)
    assert piece.name == "c[10:15]"
    np.testing.assert_array_equal(piece.joints_world, whole.joints_world[10:15])


def test_same_rate_gives_the_clip_itself():
    whole = clip()
    assert whole.resampled(50.0) is whole


@pytest.mark.parametrize(("fps", "to"), [(120, 60), (120, 50), (60, 50), (50, 60), (30, 50), (60, 24), (59.94, 50)])
def test_slow_motion_is_kept(fps, to):
    dense = clip(moving(4, fps, 1.3), fps=fps).resampled(float(to))
    t = np.arange(dense.frames) / to
    wanted = np.sin(2 * np.pi * 1.3 * t[:, None, None] + np.linspace(0, 3, 51).reshape(17, 3)) + t[:, None, None]
    assert dense.fps == to
    np.testing.assert_allclose(dense.joints_world[15:-15], wanted[15:-15], atol=4e-3)
    np.testing.assert_allclose(dense.joints_world, wanted, atol=0.04)  # at the ends one side is a guess


def test_what_the_new_rate_cannot_carry_is_removed_not_folded():
    fast = clip(moving(4, 120, 45) - np.arange(480)[:, None, None] / 120, fps=120)
    assert np.abs(fast.joints_world[::4]).max() > 0.9  # a stride folds 45 Hz into 15 Hz
    assert np.abs(fast.resampled(30.0).joints_world[15:-15]).max() < 0.05


@given(frames=st.integers(1, 40), fps=st.sampled_from([24, 50, 60, 120, 59.94]), to=st.sampled_from([10, 25, 50, 60]))
def test_lines_stay_lines_at_any_length_and_keep_their_first_frame(frames, fps, to):
    t = np.arange(frames)[:, None, None] / fps
    start = np.linspace(-1, 1, 51).reshape(17, 3)
    speed = np.ones((17, 3)) if frames > 1 else 0.0
    dense = clip(start + speed * t, fps=fps).resampled(float(to))
    assert dense.frames in (int(np.floor(frames * to / fps)), int(np.ceil(frames * to / fps)), 1)
    wanted = start + speed * np.arange(dense.frames)[:, None, None] / to
    np.testing.assert_allclose(dense.joints_world, wanted, atol=2e-3)


def test_absurd_ratio():
    with pytest.raises(ValueError, match="under a thousandth"):
        clip(fps=50.0).resampled(0.001)


@pytest.mark.parametrize(
    ("clip", "take"),
    [
        ("CMU13/13_18[0:118]", "CMU13/13_18"),
        ("CMU05/05_20a", "CMU05/05_20"),
        ("CMU05/05_20b[3:40]", "CMU05/05_20"),
        ("HDMmm/squat1Reps_037", "HDMmm/squat1Reps_037"),
        ("syn1/Walking_a", "syn1/Walking_a"),
    ],
)
def test_pieces_of_one_take_are_known_by_their_names(clip, take):
    assert take_of(clip) == take
