import time
from dataclasses import replace

import pytest

from actlift.data.corpus import Corpus, Exclusion
from actlift.data.noise import IndependentNoise
from actlift.data.prepare import prepare, read_exclusions, read_source
from actlift.data.sources import Source
from actlift.data.sources.mocap_npz import write_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips


def mocap(path, number, fps=60.0):
    """A file with two short clips of one person."""
    clips = list(synthetic_clips(0, subjects=number, clips=1, seconds=0.4, fps=fps, actions=["Walking", "Squat"]))
    write_mocap_npz(path, clips[-2:])
    return str(path)


@pytest.mark.slow
def test_synthetic_source():
    clips = read_source("synthetic", seed=5)
    assert [clip.name for clip in clips] == [clip.name for clip in synthetic_clips(5)]
    assert {clip.dataset for clip in clips} == {"synthetic"}


def test_mocap_file(tmp_path):
    assert [clip.name for clip in read_source(mocap(tmp_path / "a.npz", 1))] == ["syn1/Walking_1", "syn1/Squat_1"]


def test_clips_that_name_no_data_set_get_that_of_their_file(tmp_path, monkeypatch):
    clips = [replace(clip, dataset=name) for clip, name in zip(synthetic_clips(0), ("", "known"), strict=False)]
    monkeypatch.setattr(Source, "read", lambda *_, **__: clips)
    assert [clip.dataset for clip in read_source(mocap(tmp_path / "walks_b.npz", 1))] == ["walks", "known"]


def test_what_is_no_source(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.npz: nothing there; wanted a motion capture \.npz"):
        read_source(tmp_path / "gone.npz")
    with pytest.raises(ValueError, match=r"a folder, but not of a kind .* a folder with an \.asf"):
        read_source(tmp_path)
    (tmp_path / "some.bvh").touch()
    with pytest.raises(ValueError, match=r"some\.bvh: not a kind of source that is known"):
        read_source(tmp_path / "some.bvh")


def test_detections_of_a_source_that_has_none(tmp_path):
    for source in ("synthetic", mocap(tmp_path / "a.npz", 1)):
        with pytest.raises(ValueError, match=r"detections \(found\.npz\) go with Human3\.6M only"):
            read_source(source, detections="found.npz")


def test_several_sources_make_one_corpus(tmp_path):
    sources = [mocap(tmp_path / "a.npz", 1), mocap(tmp_path / "b.npz", 2)]
    corpus = prepare(sources, tmp_path / "corpus", cameras=2, keypoints=IndependentNoise(2.0), seed=3)
    assert corpus.subjects == ("syn1", "syn2")
    assert corpus.provenance["sources"] == sources
    assert corpus.provenance["keypoints"] == {"kind": "IndependentNoise", "sigma_px": 2.0}
    assert (corpus.provenance["seed"], corpus.provenance["cameras"], corpus.fps) == (3, 2, 60.0)


def test_sources_that_do_not_go_together(tmp_path):
    first = mocap(tmp_path / "a.npz", 1)
    with pytest.raises(ValueError, match="two clips are named 'syn1/Walking_1'; names must differ, across sources too"):
        prepare([first, first], tmp_path / "corpus")
    second = mocap(tmp_path / "b.npz", 2, fps=50.0)
    with pytest.raises(ValueError, match=r"differ in frames per second: 50 \('syn2/.*\), 60 \(.*; pass fps"):
        prepare([first, second], tmp_path / "corpus")
    assert prepare([first, second], tmp_path / "corpus", fps=50.0).fps == 50.0
    with pytest.raises(ValueError, match="no source to prepare"):
        prepare([], tmp_path / "corpus")
    with pytest.raises(FileNotFoundError, match=r"gone\.npz: nothing there"):
        prepare([first, "gone.npz"], tmp_path / "corpus")


def test_exclusions_from_a_table(tmp_path):
    (tmp_path / "out.csv").write_text(
        'clip,camera,first,last,reason\nsyn1/Squat_1,*,5,7,"lost, then found"\nsyn1/Squat_1,ring1,20,-1,fog\n'
    )
    rows = read_exclusions(tmp_path / "out.csv")
    assert rows == (
        Exclusion("syn1/Squat_1", "*", 5, 7, "lost, then found"),
        Exclusion("syn1/Squat_1", "ring1", 20, -1, "fog"),
    )
    corpus = prepare([mocap(tmp_path / "a.npz", 1)], tmp_path / "corpus", exclusions=rows)
    assert corpus.exclusions == rows


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", ": columns ; wanted clip,camera,first,last,reason"),
        ("clip,camera,first,last\n", ": columns clip,camera,first,last; wanted"),
        ("clip,camera,first,last,reason\na,*,0,1\n", ", line 2: wanted 5 cells"),
        ("clip,camera,first,last,reason\na,*,0,1,b,c\n", ", line 2: wanted 5 cells; quote a reason"),
        ("clip,camera,first,last,reason\na,*,0,1,b\na,*,x,1,b\n", ", line 3, column first: 'x' is no whole number"),
        ("clip,camera,first,last,reason\na,*,0,,b\n", ", line 2, column last: '' is no whole number"),
        ("clip,camera,first,last,reason\na,*,-2,1,b\n", ", line 2, column first: -2; frames count from 0"),
        ("clip,camera,first,last,reason\na,*,5,4,b\n", ", line 2, column last: 4 comes before first, 5"),
        ("clip,camera,first,last,reason\n,*,5,6,b\n", ", line 2, column clip: it is empty"),
        ("clip,camera,first,last,reason\na,,5,6,b\n", ", line 2, column camera: it is empty"),
        ("clip,camera,first,last,reason\na,*,5,6,\n", ", line 2, column reason: it is empty"),
    ],
)
def test_a_table_that_is_wrong(tmp_path, table, message):
    (tmp_path / "out.csv").write_text(table)
    with pytest.raises(ValueError, match=r"out\.csv" + message):
        read_exclusions(tmp_path / "out.csv")


@pytest.mark.slow
def test_a_folder_of_asfamc(actlift_data):
    source = str(actlift_data / "asfamc" / "cmu02")
    clips = read_source(source)
    assert {clip.fps for clip in clips} == {120.0}
    assert {(clip.subject, clip.dataset) for clip in clips} == {("02", "cmu")}


@pytest.mark.slow
def test_all_real_motion_capture(actlift_data, tmp_path):
    began = time.perf_counter()
    sources = [str(actlift_data / "mocap" / name) for name in ("cmu.npz", "hdm05.npz")]
    corpus = prepare(sources, tmp_path / "corpus")
    assert time.perf_counter() - began < 60
    glitches = {"CMU01/01_06", "CMU01/01_07", "CMU09/09_12", "CMU13/13_18", "HDMdg/lieDownFloor_014"}
    assert {row.clip for row in corpus.exclusions} == glitches  # those of the files' own notes that are in them
    train, test = corpus.split(["HDMmm", "CMU13", "CMU38", "CMU32"])
    assert train.frames + test.frames == corpus.frames > 4 * 135_000
    began = time.perf_counter()
    Corpus.open(tmp_path / "corpus")
    assert time.perf_counter() - began < 2
