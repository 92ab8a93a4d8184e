"""JSON of a motion: strict, rounded, a line for each frame."""

import json
from pathlib import Path

import numpy as np
from tests.exports import walking

from actlift.geometry.skeleton import H36M_17
from actlift.motion.motion import Segment
from actlift.motion.motion_json import write_motion_json


def test_json_is_strict_rounded_and_a_line_for_each_frame(tmp_path: Path) -> None:
    about = {"scale": float("nan"), "names": ["ü", 1]}
    warnings = (Segment(1.6, 1.9, "the camera moves"),)
    motion = walking(start_s=1.5, about=about, warnings=warnings)
    write_motion_json(motion, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads(text, parse_constant=refuse)
    assert list(content) == ["meta", "action_timeline", "warnings", "frames"]
    meta = content["meta"]
    assert (meta["fps"], meta["frames"], meta["person"]) == (50.0, motion.frames, 1)
    assert tuple(meta["joints"]) == H36M_17.joints
    assert meta["about"] == {"scale": None, "names": ["ü", 1]}
    assert content["action_timeline"][0] == {"start_s": 1.5, "stop_s": 2.0, "label": "Walking", "probability": 0.9}
    assert content["warnings"] == [{"start_s": 1.6, "stop_s": 1.9, "label": "the camera moves", "probability": None}]
    frames = content["frames"]
    assert len(frames) == motion.frames
    np.testing.assert_allclose([f["joints_m"] for f in frames], motion.joints_world, atol=0.5001e-4)
    assert [[f["left_foot_stands"], f["right_foot_stands"]] for f in frames] == motion.contacts.tolist()
    np.testing.assert_allclose([f["time_s"] for f in frames], motion.times_s)
    assert sum(line.startswith('  {"time_s"') for line in text.splitlines()) == motion.frames
    longest = max(len(str(number)) for f in frames for joint in f["joints_m"] for number in joint)
    assert longest <= len("-10.1234")
