"""TRC: read by the rules that OpenSim's documentation gives, written out once more here."""

from pathlib import Path

import numpy as np
from tests.exports import motion_of, walking

from actlift.geometry.skeleton import H36M_17
from actlift.motion.trc import write_trc

# The markers of Pose2Sim's HALPE_26 model whose places H36M_17 knows.
POSE2SIM = (
    *("Hip", "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "Neck"),
    *("RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist"),
)
OTHERS_OF_POSE2SIM = {"Head", "Nose", "LBigToe", "RBigToe", "LSmallToe", "RSmallToe", "LHeel", "RHeel"}


def parsed(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray], np.ndarray]:
    """Header, markers (t, 3) by name, times. Three rows of header, two of labels, an empty one, then rows of data."""
    lines = path.read_text(encoding="utf-8").split("\n")
    first = lines[0].split("\t")
    assert first[:3] == ["PathFileType", "4", "(X/Y/Z)"]
    assert first[3] == path.name
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    labels, axes = lines[3].split("\t"), lines[4].split("\t")
    assert labels[:2] == ["Frame#", "Time"]
    assert axes[:2] == ["", ""]
    assert lines[5] == ""
    assert lines[-1] == ""
    rows = np.array([line.split("\t") for line in lines[6:-1]], dtype=float)
    assert rows.shape[1] == len(axes) == len(labels)
    columns = [i for i, label in enumerate(labels) if i > 1 and label]
    assert columns == list(range(2, rows.shape[1], 3))
    for number, column in enumerate(columns, start=1):
        assert axes[column : column + 3] == [f"X{number}", f"Y{number}", f"Z{number}"]
    assert rows[:, 0].tolist() == list(range(1, len(rows) + 1))
    return header, {labels[c]: rows[:, c : c + 3] for c in columns}, rows[:, 1]


def test_read_by_opensims_rules(tmp_path: Path) -> None:
    motion = walking(seconds=1.0, fps=29.97)
    write_trc(motion, tmp_path / "walk.trc")
    header, markers, times = parsed(tmp_path / "walk.trc")
    assert header["DataRate"] == header["CameraRate"] == header["OrigDataRate"] == "29.97"
    assert int(header["NumFrames"]) == int(header["OrigNumFrames"]) == motion.frames == len(times)
    assert int(header["NumMarkers"]) == len(markers) == 18
    assert header["Units"] == "mm"
    assert header["OrigDataStartFrame"] == "1"
    np.testing.assert_allclose(times, np.arange(motion.frames) / 29.97, atol=1e-6)
    assert all(np.isfinite(marker).all() for marker in markers.values())


def test_markers_lie_where_the_joints_do_with_y_up(tmp_path: Path) -> None:
    motion = walking()
    write_trc(motion, tmp_path / "walk.trc")
    _, markers, _ = parsed(tmp_path / "walk.trc")
    names = {"Thorax": "Neck", "Neck": "SkullBase", "Head": "HeadCentre"}
    for j, joint in enumerate(H36M_17.joints):
        x, y, z = motion.joints_world[:, j].T * 1000
        np.testing.assert_allclose(markers[names.get(joint, joint)], np.stack([x, z, -y], axis=1), atol=6e-4)
    np.testing.assert_allclose(markers["Hip"], (markers["LHip"] + markers["RHip"]) / 2, atol=1e-3)


def test_names_are_those_of_pose2sims_model_and_none_means_another_place(tmp_path: Path) -> None:
    write_trc(walking(), tmp_path / "walk.trc")
    _, markers, _ = parsed(tmp_path / "walk.trc")
    assert set(POSE2SIM) <= set(markers)
    assert not OTHERS_OF_POSE2SIM & set(markers)
    assert not any("\t" in name or " " in name for name in markers)


def test_somebody_who_walks_to_the_right_of_the_image_walks_along_x_with_the_right_hand_on_z(tmp_path: Path) -> None:
    joints = walking().joints_world.copy()
    left, right = (H36M_17.index(joint) for joint in ("LHip", "RHip"))
    line = (joints[:, left] - joints[:, right]).mean(axis=0)
    turn = np.pi / 2 - np.arctan2(line[1], line[0])  # left hip away from the camera: the right side shows
    spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    joints = joints @ spin.T
    write_trc(motion_of(joints), tmp_path / "walk.trc")
    _, markers, _ = parsed(tmp_path / "walk.trc")
    assert (markers["RHip"] - markers["LHip"]).mean(axis=0)[2] > 150
    way = markers["Hip"][-1] - markers["Hip"][0]
    assert way[0] > 0.8 * np.linalg.norm(way)
