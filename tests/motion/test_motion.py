"""Motion: what it refuses, how it is cut, and in which formats it is saved."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actlift.geometry.framing import guessed_camera
from actlift.motion import WRITERS, writer_for
from actlift.motion.motion import Motion, Segment


def made(frames: int = 30, fps: float = 10.0, start_s: float = 2.0) -> Motion:
    rng = np.random.default_rng(0)
    end = start_s + frames / fps
    middle = (start_s + end) / 2
    return Motion(
        fps,
        rng.normal(size=(frames, 17, 3)).astype(np.float32),
        rng.uniform(0, 100, size=(frames, 17, 2)).astype(np.float32),
        np.ones((frames, 17), np.float32),
        np.zeros((frames, 2), bool),
        guessed_camera(100, 100),
        (Segment(start_s, middle, "Walking", 0.9), Segment(middle, end, "Sitting", 0.8)),
        start_s,
        warnings=(Segment(middle - 0.5, middle + 0.5, "feet not seen"),),
    )


@given(first=st.integers(0, 29), frames=st.integers(1, 30))
def test_a_cut_keeps_frames_and_their_times(first, frames):
    motion = made()
    stop = min(first + frames, 30)
    part = motion.cut(motion.times_s[first], motion.times_s[0] + stop / motion.fps)
    np.testing.assert_array_equal(part.joints_world, motion.joints_world[first:stop])
    np.testing.assert_allclose(part.times_s, motion.times_s[first:stop])
    assert part.action_timeline[0].start_s == pytest.approx(part.start_s)
    assert part.action_timeline[-1].stop_s == pytest.approx(part.start_s + part.frames / part.fps)


def test_segments_put_together_are_the_motion():
    motion = made()
    parts = motion.segments()
    assert [segment.label for segment, _ in parts] == ["Walking", "Sitting"]
    np.testing.assert_array_equal(np.concatenate([part.joints_world for _, part in parts]), motion.joints_world)
    assert [part.warnings[0].label for _, part in parts] == ["feet not seen"] * 2


def test_what_is_no_motion_is_refused(tmp_path):
    motion = made()
    nothing = {name: getattr(motion, name)[:0] for name in ("joints_world", "pose2d_px", "confidence", "contacts")}
    with pytest.raises(ValueError, match=r"joints_world of shape \(t, 17, 3\), got \(0, 17, 3\)"):
        replace(motion, **nothing)
    with pytest.raises(ValueError, match="pose2d_px is not finite in frame 3"):
        replace(motion, pose2d_px=np.where(np.arange(30)[:, None, None] == 3, np.nan, motion.pose2d_px))
    with pytest.raises(ValueError, match="0.0 frames per second"):
        replace(motion, fps=0.0)
    with pytest.raises(ValueError, match="no frame lies from 5 to 6 s: the motion has 30 frames from 2 to 5 s"):
        motion.cut(5.0, 6.0)
    with pytest.raises(ValueError, match=r"no format is known for \.fbx; known are \.npz"):
        motion.save(tmp_path / "motion.fbx")


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_has_a_writer(suffix):
    assert callable(writer_for(suffix.upper()))
