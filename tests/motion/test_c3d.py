"""C3D: read back by ezc3d, the reference library of the biomechanics community."""

from pathlib import Path

import numpy as np
import pytest
from tests.exports import motion_of, walking

from actlift.geometry.skeleton import H36M_17
from actlift.motion.c3d import write_c3d
from actlift.motion.motion import Segment

ezc3d = pytest.importorskip("ezc3d")


def read(path: Path):
    return ezc3d.c3d(str(path))


def test_another_reader_sees_the_same_points(tmp_path: Path) -> None:
    motion = walking(seconds=1.0, fps=29.97)
    write_c3d(motion, tmp_path / "walk.c3d")
    file = read(tmp_path / "walk.c3d")
    point = file["parameters"]["POINT"]
    assert tuple(point["LABELS"]["value"]) == H36M_17.joints
    assert point["UNITS"]["value"] == ["mm"]
    assert point["RATE"]["value"][0] == np.float32(29.97)
    assert point["FRAMES"]["value"][0] == motion.frames
    assert len(point["DESCRIPTIONS"]["value"]) == 17
    assert all(joint in text for joint, text in zip(H36M_17.joints, point["DESCRIPTIONS"]["value"], strict=True))
    assert (point["X_SCREEN"]["value"], point["Y_SCREEN"]["value"]) == (["+X"], ["+Z"])
    assert file["header"]["points"]["size"] == 17
    assert file["header"]["points"]["first_frame"] == 0
    assert file["header"]["points"]["last_frame"] == motion.frames - 1
    assert file["parameters"]["ANALOG"]["USED"]["value"][0] == 0
    points = file["data"]["points"]  # (4, 17, t)
    np.testing.assert_allclose(points[:3].T, motion.joints_world * 1000, atol=1e-3)
    assert (points[3] == 1).all()
    assert (file["data"]["meta_points"]["residuals"] == 0).all(), "below 0 would mean invalid"


def test_an_event_begins_each_action(tmp_path: Path) -> None:
    timeline = (
        Segment(10.0, 75.5, "Walking", 0.9),
        Segment(75.5, 140.0, "跑步" * 40),
        Segment(140.0, 150.0, "x" * 200),
    )
    motion = walking(seconds=1.0, start_s=10.0, action_timeline=timeline)
    write_c3d(motion, tmp_path / "a.c3d")
    event = read(tmp_path / "a.c3d")["parameters"]["EVENT"]
    assert event["USED"]["value"][0] == 3
    assert event["CONTEXTS"]["value"] == ["General"] * 3
    np.testing.assert_allclose(event["TIMES"]["value"], [[0, 1, 2], [0, 5.5, 10]])  # minutes; seconds
    walking_, running, long = event["LABELS"]["value"]
    assert walking_ == "Walking"
    assert long == "x" * 127
    assert running == "跑步" * 21  # as many whole letters as fit


def test_no_actions_no_events(tmp_path: Path) -> None:
    write_c3d(walking(action_timeline=()), tmp_path / "a.c3d")
    assert read(tmp_path / "a.c3d")["parameters"]["EVENT"]["USED"]["value"][0] == 0


def test_the_bytes_are_those_of_the_format(tmp_path: Path) -> None:
    """Blocks of 512 bytes; parameters where the header says; data where header and parameters say."""
    motion = walking()
    write_c3d(motion, tmp_path / "a.c3d")
    content = (tmp_path / "a.c3d").read_bytes()
    assert len(content) % 512 == 0
    words = np.frombuffer(content[:512], "<u2")
    assert content[:2] == bytes([2, 0x50])
    assert words[1:6].tolist() == [17, 0, 1, motion.frames, 0]
    scale, rate = np.frombuffer(content[12:16] + content[20:24], "<f4")
    assert scale == -1
    assert rate == 50
    start = int(words[8])
    assert content[512:516] == bytes([1, 0x50, start - 2, 84])
    data = np.frombuffer(content[(start - 1) * 512 :], "<f4")[: motion.frames * 17 * 4].reshape(-1, 17, 4)
    np.testing.assert_allclose(data[..., :3], motion.joints_world * 1000, rtol=1e-6, atol=1e-4)
    assert not data[..., 3].any()


def test_the_most_frames_that_16_bits_count(tmp_path: Path) -> None:
    joints = np.repeat(walking(seconds=0.1).joints_world[:1].astype(np.float32), 65_534, axis=0)
    joints[:, 0, 0] = np.arange(65_534) / 1000
    write_c3d(motion_of(joints), tmp_path / "long.c3d")
    points = read(tmp_path / "long.c3d")["data"]["points"]
    assert points.shape == (4, 17, 65_534)
    np.testing.assert_allclose(points[0, 0], np.arange(65_534), rtol=1e-6)


def test_longer_ones_are_refused_with_what_to_do(tmp_path: Path) -> None:
    joints = np.repeat(walking(seconds=0.1).joints_world[:1].astype(np.float32), 65_535, axis=0)
    motion = motion_of(joints, start_s=0.0)
    with pytest.raises(ValueError, match=r"C3D counts 65,534 frames, this motion has 65,535: .*cut\(0, 655.35\)"):
        write_c3d(motion, tmp_path / "long.c3d")
    short = walking(action_timeline=tuple(Segment(i / 500, (i + 1) / 500, "a") for i in range(256)))
    with pytest.raises(ValueError, match="C3D counts 255 actions, this motion has 256"):
        write_c3d(short, tmp_path / "many.c3d")
    assert not any(tmp_path.iterdir())


def test_as_many_events_as_8_bits_count(tmp_path: Path) -> None:
    timeline = tuple(Segment(2.5 + i / 500, 2.5 + (i + 1) / 500, "y" * 127) for i in range(255))
    write_c3d(walking(action_timeline=timeline), tmp_path / "many.c3d")
    event = read(tmp_path / "many.c3d")["parameters"]["EVENT"]
    assert event["LABELS"]["value"] == ["y" * 127] * 255
    np.testing.assert_allclose(event["TIMES"]["value"][1], np.arange(255) / 500, atol=1e-6)
