"""A file for each action of a motion."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.exports import walking

from actlift.motion.arrays import read_motion
from actlift.motion.motion import Motion, Segment
from actlift.motion.segments import write_segments

SHORT = walking(seconds=0.1)
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@pytest.mark.parametrize("suffix", [".bvh", ".glb"])
def test_a_motion_that_is_no_body_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    path = walking(seconds=0.2).save(tmp_path / f"a{suffix}")
    before = path.read_bytes()
    motion = walking(seconds=0.2)
    motion.joints_world[3] = 1.0
    with pytest.raises(ValueError, match="frame 3: the bone to"):
        motion.save(path)
    assert path.read_bytes() == before


def test_a_file_for_each_action_in_each_format(tmp_path: Path) -> None:
    timeline = (
        Segment(0.0, 0.401, "Walking", 0.9),
        Segment(0.401, 0.419, "too short for a frame"),
        Segment(0.419, 1.0, "Sitting down"),
    )
    motion = walking(start_s=0.0, action_timeline=timeline, source="folder/take one.mp4")
    paths = write_segments(motion, tmp_path / "parts", [".npz", ".trc"])
    assert [path.name for path in paths] == [
        "take-one_01_Walking_0.0-0.4s.npz",
        "take-one_01_Walking_0.0-0.4s.trc",
        "take-one_02_Sitting-down_0.4-1.0s.npz",
        "take-one_02_Sitting-down_0.4-1.0s.trc",
    ]
    parts = [read_motion(path) for path in paths[::2]]
    assert [part.frames for part in parts] == [21, 29]
    np.testing.assert_array_equal(parts[1].joints_world, motion.joints_world[21:])
    assert parts[1].action_timeline[0].label == "Sitting down"


def test_names_without_a_source_and_of_other_persons(tmp_path: Path) -> None:
    whole = (Segment(0.0, 3.2, "Walking"),)
    names = [
        write_segments(walking(start_s=0.0, action_timeline=whole, **fields), tmp_path, [".trc"])[0].name
        for fields in ({}, {"person": 2}, {"source": "a.b.mov", "person": 3})
    ]
    assert names[0] == "take_01_Walking_0.0-3.2s.trc"
    assert names[1] == "take_person2_01_Walking_0.0-3.2s.trc"
    assert names[2] == "a-b_person3_01_Walking_0.0-3.2s.trc"


def test_an_unknown_format_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.fbx; known are \.npz"):
        write_segments(walking(), tmp_path / "parts", [".trc", ".fbx"])
    assert not (tmp_path / "parts").exists()


@given(source=st.text(max_size=300), label=st.text(max_size=300))
@example(source="\U0001d400" * 100, label="\U0001d4a9" * 100)  # letters of four bytes
@settings(max_examples=200, deadline=None)
def test_names_are_safe_on_every_file_system(tmp_path_factory: pytest.TempPathFactory, source: str, label: str) -> None:
    folder = tmp_path_factory.mktemp("names")
    names = []

    def note(_: Motion, path: Path) -> None:
        names.append(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actlift.motion.segments.writer_for", lambda _: note)
        motion = replace(SHORT, action_timeline=(Segment(2.5, 2.6, label),), source=source, person=12)
        (path,) = write_segments(motion, folder, [".parquet"])
    assert names == [path]
    assert path.parent == folder
    assert re.fullmatch(r"[\w.-]+", path.name)
    assert not RESERVED.fullmatch(path.name)
    assert path.name[0] not in ".-"
    assert len(path.name.encode()) < 200, "255 bytes hold the name of the part that is being written, too"
