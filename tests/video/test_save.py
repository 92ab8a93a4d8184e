"""Files of lifted motions: which are written, by what names, and what is left where one fails."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.exports import walking
from tests.painted import film

from actlift import motion as export
from actlift.motion import WRITERS
from actlift.video.save import CHOICES, check_formats, save_motions

EACH = [name for name in CHOICES if name not in ("html", "mp4", "c3d")]


def take(person: int = 1, **fields):
    return walking(0.6, source="my take.v2.mp4", person=person, **fields)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_one_person_has_the_name_of_the_video(tmp_path):
    written = save_motions([take()], tmp_path / "new" / "folder", [*EACH, "html"])
    assert names(tmp_path) == sorted(f"new/folder/my take.v2.{name}" for name in [*EACH, "html"])
    assert sorted(written) == sorted(path for path in tmp_path.rglob("*") if path.is_file())


def test_several_people_have_files_of_their_own_and_a_page_together(tmp_path):
    written = save_motions([take(2), take(1)], tmp_path, ["npz", "html"])
    assert [path.name for path in written] == ["my take.v2_person2.npz", "my take.v2_person1.npz", "my take.v2.html"]


def test_whom_one_asks_for_by_number_has_the_same_name_as_among_all(tmp_path):
    everybody = {path.name for path in save_motions([take(1), take(2)], tmp_path / "all", ["npz"])}
    (alone,) = save_motions([take(2)], tmp_path / "one", ["npz"])
    assert alone.name in everybody


def test_saving_again_gives_the_same_bytes(tmp_path):
    formats = [name for name in EACH if name != "npz"] + ["html"]  # npz holds times
    one, two = (save_motions([take()], tmp_path / name, formats) for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_segments_have_a_folder_of_their_own(tmp_path):
    written = save_motions([take()], tmp_path, ["npz", "bvh", "html"], segments=True)
    parts = [path for path in written if path.parent.name == "segments"]
    assert {path.suffix for path in parts} == {".npz", ".bvh"}
    assert len(parts) == 4  # two actions in two formats


@pytest.mark.parametrize(
    ("formats", "words"),
    [(["npz", "fbx"], "no format is known for fbx; known are npz, csv,"), (["npz", "mp4"], "leave out the format mp4")],
)
def test_formats_are_looked_at_before_anything_is_written(tmp_path, formats, words):
    with pytest.raises(ValueError, match=words):
        check_formats(formats, None)
    with pytest.raises(ValueError, match=words):
        save_motions([take()], tmp_path / "new", formats)
    assert not list(tmp_path.iterdir())
    check_formats(CHOICES, Path("a.mp4"))


def test_a_format_that_fails_leaves_the_others_whole_and_nothing_of_itself(tmp_path, monkeypatch):
    save_motions([take()], tmp_path, ["json", "trc"])
    before = (tmp_path / "my take.v2.trc").read_bytes()
    real = os.replace

    def full(source, target):
        if str(target).endswith(".trc"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    shorter = replace(take(), source="my take.v2.mp4").cut(2.5, 2.8)
    with pytest.raises(OSError, match=r"could not write .*my take.v2.trc .*the file that lay there is as it was"):
        save_motions([shorter], tmp_path, ["json", "trc", "html"])
    assert names(tmp_path) == ["my take.v2.json", "my take.v2.trc"]
    assert (tmp_path / "my take.v2.trc").read_bytes() == before


def test_ctrl_c_while_writing_leaves_nothing_half_written(tmp_path, monkeypatch):
    def interrupted(_source, _target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_motions([take()], tmp_path, ["bvh"])
    assert names(tmp_path) == []


def test_a_missing_library_says_how_to_install_it(tmp_path, monkeypatch):
    def lacking(_suffix):
        raise ModuleNotFoundError("c3d needs ezc3d: `pip install actlift[export]`")

    assert ".c3d" in WRITERS
    monkeypatch.setattr(export, "writer_for", lacking)
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        save_motions([take()], tmp_path, ["c3d"])
    assert names(tmp_path) == []


def test_an_overlay_is_drawn_over_the_video(tmp_path):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    motion = replace(take(), fps=30.0, start_s=0.0, source="walk.mp4", action_timeline=(), warnings=())
    size = (motion.camera.width, motion.camera.height)
    points = np.full((10, 1, 17, 2), np.nan)
    video = film(tmp_path / "walk.mp4", points, size)
    told = []
    written = save_motions(
        [motion], tmp_path / "out", ["mp4"], video=video, on_progress=lambda *how_far: told.append(how_far)
    )
    assert [path.name for path in written] == ["walk_overlay.mp4"]
    assert told[-1][:2] == ("drawing over the video", 10)
    with av.open(str(written[0])) as container:
        assert len(list(container.decode(video=0))) == 10
    assert names(tmp_path / "out") == ["walk_overlay.mp4"]
