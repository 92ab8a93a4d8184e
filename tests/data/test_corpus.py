import errno
import hashlib
import json
import os
import re
import shutil
import weakref
from dataclasses import replace

import numpy as np
import pytest

from actlift.data import corpus as corpus_module
from actlift.data.clip import Clip, Detections
from actlift.data.corpus import Corpus, Exclusion, rewrite_corpus, write_corpus
from actlift.data.noise import DetectorNoise, Exact, IndependentNoise
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.camera import RIGS, human36m_like_ring
from actlift.geometry.skeleton import H36M_17


def some_clips():
    return list(synthetic_clips(1, subjects=3, clips=1, seconds=0.6, actions=["Walking", "Squat", "Waving"]))


def standing(name="still", frames=20, fps=50.0, **fields):
    """Nobody moves, but for a slow drift."""
    joints = some_clips()[0].joints_world[:1] + np.linspace(0, 0.2, frames)[:, None, None]
    return Clip(**{"name": name, "subject": "s", "action": "Standing", "fps": fps, "joints_world": joints} | fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpora") / "corpus"
    write_corpus(path, reversed(some_clips()), keypoints=Exact(), sources=["made up"])
    return path


@pytest.fixture
def corpus(folder):
    return Corpus.open(folder)


@pytest.fixture
def damaged(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_every_clip_is_seen_by_every_camera_in_order(corpus):
    order = [(view.action, view.clip, view.camera_name) for view in corpus.views]
    wanted = [(clip.action, clip.name, f"ring{i}") for clip in some_clips() for i in range(4)]
    assert order == sorted(wanted)
    assert corpus.frames == len(corpus.pose2d) == 9 * 4 * 30
    np.testing.assert_array_equal(corpus.starts, np.arange(36) * 30)
    np.testing.assert_array_equal(corpus.lengths, 30)
    assert corpus.actions == ("Squat", "Walking", "Waving")
    assert corpus.subjects == ("syn1", "syn2", "syn3")
    assert (corpus.fps, corpus.skeleton) == (50.0, H36M_17)
    assert corpus.provenance["sources"] == ["made up"]
    assert corpus.provenance["keypoints"] == {"kind": "Exact"}


def test_views_are_the_clips_seen_by_their_cameras(corpus):
    clips = {clip.name: clip for clip in some_clips()}
    for view in corpus.views:
        joints_world = clips[view.clip].joints_world
        np.testing.assert_allclose(view.camera.cam_to_world(view.pose3d_cam), joints_world, atol=1e-5)
        wanted = view.camera.px_to_screen(view.camera.cam_to_px(view.camera.world_to_cam(joints_world)))
        np.testing.assert_allclose(view.pose2d, wanted, atol=1e-6)
        assert np.abs(view.pose2d).max() < 1
        assert (view.confidence == 1).all()
        rows = slice(view.start, view.start + view.frames)
        assert np.shares_memory(view.pose2d, corpus.pose2d[rows])
        np.testing.assert_array_equal(view.pose3d_cam, corpus.pose3d_cam[rows])


def test_arrays_are_float32_npy_files_that_numpy_alone_can_read(corpus):
    for name in ("pose2d", "confidence", "pose3d_cam"):
        array = np.load(corpus.folder / f"{name}.npy")
        assert (array.dtype, array.flags.c_contiguous) == (np.float32, True)
        np.testing.assert_array_equal(array, getattr(corpus, name))
    assert sorted(os.listdir(corpus.folder)) == ["confidence.npy", "manifest.json", "pose2d.npy", "pose3d_cam.npy"]


def test_writing_to_a_mapped_array_changes_no_file(folder):
    opened = Corpus.open(folder)
    opened.pose2d[0] = 7
    assert Corpus.open(folder).pose2d[0].max() < 7


def test_digest_does_not_depend_on_order_or_names_of_sources_but_on_everything_else(tmp_path, corpus):
    def digest(clips, **changes):
        keywords = {"keypoints": Exact(), "sources": ["made up"]} | changes
        return write_corpus(tmp_path / "other", clips, **keywords).digest

    clips = some_clips()
    assert digest(clips) == corpus.digest
    assert digest(clips, sources=["/some/where/else.npz"]) == corpus.digest
    others = [digest(clips, seed=1), digest(clips[1:]), digest(clips, keypoints=IndependentNoise(1.0))]
    others += [digest(clips, rig="random"), digest(clips, cameras=2), digest(clips, max_speed=11.0)]
    assert len({corpus.digest, *others}) == 7


def test_a_clip_looks_the_same_whoever_else_is_there(tmp_path, corpus):
    alone = write_corpus(tmp_path / "alone", some_clips()[4:5], keypoints=Exact())
    beside = corpus.select(clips=[some_clips()[4].name])
    for one, other in zip(alone.views, beside.views, strict=True):
        np.testing.assert_array_equal(one.pose2d, other.pose2d)


def test_noise_comes_from_the_keypoints_and_differs_between_views(tmp_path):
    noisy = write_corpus(tmp_path / "noisy", [standing()], keypoints=IndependentNoise(5.0))
    error = []
    for view in noisy.views:
        exact = view.camera.cam_to_px(view.pose3d_cam)
        error.append(view.camera.screen_to_px(view.pose2d) - exact)
    assert 4 < np.std(error) < 6
    assert np.abs(np.corrcoef(np.reshape(error, (4, -1))) - np.eye(4)).max() < 0.3
    write_corpus(tmp_path / "detected", [standing()], keypoints=DetectorNoise())


def test_verify(corpus, damaged):
    corpus.verify()
    content = bytearray((damaged / "pose2d.npy").read_bytes())
    content[-1] ^= 1
    (damaged / "pose2d.npy").write_bytes(bytes(content))
    with pytest.raises(ValueError, match="digest .* is not"):
        Corpus.open(damaged).verify()


def change_manifest(folder, **entries):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest = {key: value for key, value in (manifest | entries).items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_verify_covers_the_manifest(damaged):
    change_manifest(damaged, fps=25.0)
    with pytest.raises(ValueError, match="digest"):
        Corpus.open(damaged).verify()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"version": 3}, "version 3; this actlift reads 1 and 2"),
        ({"version": None}, "version None; this actlift reads 1 and 2"),
        ({"format": "else"}, "not the manifest of an actlift corpus"),
        ({"views": None}, "no 'views' in it"),
    ],
)
def test_another_manifest(damaged, entries, message):
    change_manifest(damaged, **entries)
    with pytest.raises(ValueError, match=r"manifest\.json: " + message):
        Corpus.open(damaged)


def test_a_corpus_of_version_1_opens_and_has_its_digest(damaged):
    """Its digest is over numbers as they stand, and its views name no data set."""
    manifest = json.loads((damaged / "manifest.json").read_text())
    views = [{key: held for key, held in view.items() if key != "dataset"} for view in manifest["views"]]
    views[0]["camera"]["t_cam_world"][0] += 1e-12  # as a camera that is not rounded
    manifest |= {"version": 1, "views": views}
    arrays = [np.load(damaged / f"{name}.npy") for name in ("pose2d", "confidence", "pose3d_cam")]
    kept = {key: held for key, held in manifest.items() if key != "digest"}
    kept["provenance"] = {k: v for k, v in manifest["provenance"].items() if k not in ("sources", "actlift")}
    hashed = json.dumps([[hashlib.sha256(array.tobytes()).hexdigest() for array in arrays], kept], sort_keys=True)
    change_manifest(damaged, version=1, views=views, digest=hashlib.sha256(hashed.encode()).hexdigest())
    old = Corpus.open(damaged)
    old.verify()
    assert {view.dataset for view in old.views} == {""}
    views[0]["camera"]["t_cam_world"][0] += 1e-12
    change_manifest(damaged, views=views)
    with pytest.raises(ValueError, match="digest .* is not"):
        old.verify()


@pytest.mark.parametrize("change", [lambda x: x * (1 + 1e-12), lambda x: int(x) if x.is_integer() else x])
def test_the_digest_is_over_nine_digits_of_the_manifest(damaged, change):
    """And tells no whole float from an int: not every JSON writer does."""
    manifest = json.loads((damaged / "manifest.json").read_text())
    for view in manifest["views"]:
        view["camera"]["t_cam_world"] = [change(x) for x in view["camera"]["t_cam_world"]]
        view["camera"]["radial"] = [0 if x == 0 else x for x in view["camera"]["radial"]]
    provenance = manifest["provenance"] | {"max_speed": change(12.0)}
    change_manifest(damaged, views=manifest["views"], provenance=provenance)
    Corpus.open(damaged).verify()
    manifest["views"][3]["camera"]["t_cam_world"][1] *= 1 + 1e-7
    change_manifest(damaged, views=manifest["views"])
    with pytest.raises(ValueError, match="digest .* is not"):
        Corpus.open(damaged).verify()


def test_large_whole_numbers_count_in_full(tmp_path):
    seeds = (1234567890123, 1234567890124)
    made = {write_corpus(tmp_path / "c", [standing()], keypoints=Exact(), cameras=1, seed=s).digest for s in seeds}
    assert len(made) == 2


def test_views_name_the_data_set_of_their_clip(tmp_path):
    made = write_corpus(tmp_path / "c", [standing(dataset="one"), standing("b", dataset="two")], keypoints=Exact())
    assert {(view.clip, view.dataset) for view in made.views} == {("still", "one"), ("b", "two")}
    copy = rewrite_corpus(
        tmp_path / "copy", made, lambda view: (view.pose2d, view.confidence, view.pose3d_cam), provenance={}
    )
    assert [view.dataset for view in copy.views] == [view.dataset for view in made.views]
    assert copy.digest == made.digest


def test_no_corpus_there(tmp_path, damaged):
    with pytest.raises(FileNotFoundError, match="no corpus there"):
        Corpus.open(tmp_path / "gone")
    (damaged / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match="no corpus there"):
        Corpus.open(damaged)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.5, 0.9999])
@pytest.mark.parametrize("name", ["pose2d", "confidence", "pose3d_cam"])
def test_an_array_cut_short(damaged, name, share):
    path = damaged / f"{name}.npy"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"{name}\.npy: missing or cut short"):
        Corpus.open(damaged)


def test_an_array_missing_or_of_another_corpus(damaged):
    np.save(damaged / "pose2d.npy", np.zeros((5, 17, 2), np.float32))
    with pytest.raises(
        ValueError, match=r"pose2d\.npy: float32 \(5, 17, 2\), but the manifest wants float32 \(1080, 17"
    ):
        Corpus.open(damaged)
    np.save(damaged / "pose2d.npy", np.zeros((1080, 17, 2)))
    with pytest.raises(ValueError, match="float64"):
        Corpus.open(damaged)
    (damaged / "pose2d.npy").unlink()
    with pytest.raises(ValueError, match=r"pose2d\.npy: missing"):
        Corpus.open(damaged)


def test_select(corpus):
    some = corpus.select(
        actions=["Walking", "Squat"], subjects=["syn2"], predicate=lambda view: view.camera_name == "ring1"
    )
    assert [(view.action, view.subject, view.camera_name) for view in some.views] == [
        ("Squat", "syn2", "ring1"),
        ("Walking", "syn2", "ring1"),
    ]
    assert some.pose2d is corpus.pose2d
    assert (some.frames, some.digest) == (60, corpus.digest)
    assert some.actions == ("Squat", "Walking")


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"actions": ["Walk"]}, "no action 'Walk' in this corpus; it has 'Squat', 'Walking', 'Waving'"),
        ({"subjects": ["syn1", "S9"]}, "no subject 'S9' in this corpus; it has 'syn1'"),
        ({"clips": ["x"]}, "no clip 'x'"),
        ({"actions": "Walking"}, r"actions must be several names, as in \['Walking'\]"),
        ({"predicate": lambda _: False}, "no view of .* meets all conditions"),
        ({"actions": []}, "no view of .* meets all conditions"),
    ],
)
def test_nothing_to_select(corpus, conditions, message):
    with pytest.raises(ValueError, match=message):
        corpus.select(**conditions)


def test_split_by_person(corpus):
    train, test = corpus.split(["syn2"])
    assert (train.subjects, test.subjects) == (("syn1", "syn3"), ("syn2",))
    assert train.frames + test.frames == corpus.frames


def test_split_that_leaves_nothing(corpus):
    with pytest.raises(ValueError, match="leave some to train on"):
        corpus.split(["syn1", "syn2", "syn3"])
    with pytest.raises(ValueError, match="no subject 'S1'"):
        corpus.split(["S1"])
    with pytest.raises(ValueError, match="no view"):
        corpus.split([])


def test_shared_actions(corpus):
    partly = corpus.select(predicate=lambda view: (view.subject == "syn1") <= (view.action != "Squat"))
    train, test = partly.split(["syn1"], shared_actions_only=True)
    assert train.actions == test.actions == ("Walking", "Waving")
    train, test = partly.split(["syn1"])
    assert (train.actions, test.actions) == (("Squat", "Walking", "Waving"), ("Walking", "Waving"))
    apart = corpus.select(predicate=lambda view: (view.subject == "syn1") == (view.action == "Squat"))
    with pytest.raises(ValueError, match="no action stands on both sides"):
        apart.split(["syn1"], shared_actions_only=True)


def test_excluded_frames_cut_the_clip(tmp_path):
    rows = [
        Exclusion("still", "*", 5, 7, "an elbow is lost"),
        Exclusion("still", "ring1", 15, -1, "fog"),
        Exclusion("other", "*", 0, -1, "not wanted"),
    ]
    clips = [standing(), standing("other"), standing("third")]
    made = write_corpus(tmp_path / "cut", clips, keypoints=Exact(), cameras=2, exclusions=rows)
    assert [(view.clip, view.camera_name, view.frames) for view in made.views] == [
        ("still[0:5]", "ring0", 5),
        ("still[0:5]", "ring1", 5),
        ("still[8:15]", "ring1", 7),
        ("still[8:20]", "ring0", 12),
        ("third", "ring0", 20),
        ("third", "ring1", 20),
    ]
    assert sorted(made.exclusions, key=str) == sorted(rows, key=str)
    whole = standing().joints_world
    for view in made.views[:4]:
        first = int(view.clip.split("[")[1].split(":")[0])
        expected = whole[first : first + view.frames]
        np.testing.assert_allclose(view.camera.cam_to_world(view.pose3d_cam), expected, atol=1e-5)
    assert len({view.camera.position_world[0] for view in made.views[:4]}) == 2  # the same two cameras


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("sill", "*", 0, 1), "exclusions name no such clip: 'sill'; clips are 'still'"),
        (("still", "ring9", 0, 1), "names no such camera: 'ring9'; cameras are 'ring0'"),
        (("still", "*", 18, 20), "leaves out frames 18 to 20; the clip has 0 to 19"),
        (("still", "*", 3, 2), "leaves out frames 3 to 2"),
        (("still", "*", -1, 2), "leaves out frames -1 to 2"),
        (("still", "*", 0, -1), "no frame is left"),
    ],
)
def test_exclusions_that_do_not_fit(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        write_corpus(tmp_path / "new", [standing()], keypoints=Exact(), exclusions=[Exclusion(*row, "why")])
    assert not list(tmp_path.iterdir())


def test_impossible_speed_is_cut_out_and_recorded(tmp_path):
    joints = standing(frames=60).joints_world.copy()
    joints[20:22, 13] += 1  # a wrist jumps a meter away for two frames
    joints[40:, :, 0] += 0.5  # everything jumps, and stays there
    clip = standing(joints_world=joints)
    made = write_corpus(tmp_path / "cut", [clip], keypoints=Exact(), cameras=1)
    assert [view.clip for view in made.views] == ["still[0:19]", "still[23:39]", "still[41:60]"]
    first, second = made.exclusions
    assert (first.clip, first.camera, first.first, first.last) == ("still", "*", 19, 22)
    assert first.reason.startswith("LWrist moves at 86.")
    assert (second.first, second.last) == (39, 40)
    uncut = write_corpus(tmp_path / "uncut", [clip], keypoints=Exact(), cameras=1, max_speed=float("inf"))
    assert [view.clip for view in uncut.views] == ["still"]
    assert uncut.provenance["max_speed"] is None


def test_frame_rates(tmp_path):
    clips = [standing(), standing("fast", frames=40, fps=100.0)]
    with pytest.raises(
        ValueError, match=r"clips differ in frames per second: 50 \('still'\), 100 \('fast'\); pass fps"
    ):
        write_corpus(tmp_path / "new", clips, keypoints=Exact())
    made = write_corpus(tmp_path / "new", clips, keypoints=Exact(), fps=25.0, cameras=1)
    assert [(view.clip, view.frames, view.fps) for view in made.views] == [("fast", 10, 25.0), ("still", 10, 25.0)]


def test_names_must_differ(tmp_path):
    with pytest.raises(ValueError, match="two clips are named 'still'"):
        write_corpus(tmp_path / "new", [standing(), standing()], keypoints=Exact())


def test_unknown_rig_and_no_clip(tmp_path):
    with pytest.raises(ValueError, match="unknown rig 'circle'; known are 'own', 'random', 'ring', 'wide'"):
        write_corpus(tmp_path / "new", [standing()], keypoints=Exact(), rig="circle")
    with pytest.raises(ValueError, match="no frame is left"):
        write_corpus(tmp_path / "new", [], keypoints=Exact())
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_corpus_is_left_alone(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "dear.txt").write_text("diary")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"format": "of something else"}')
    mixed = write_corpus(tmp_path / "mixed", [standing()], keypoints=Exact()).folder
    (mixed / "runs").mkdir()
    for path in (tmp_path / "notes", tmp_path / "notes" / "dear.txt", tmp_path / "web", mixed):
        with pytest.raises(FileExistsError, match="exists and is not just a corpus"):
            write_corpus(path, [standing()], keypoints=Exact())
    assert (tmp_path / "notes" / "dear.txt").read_text() == "diary"
    assert (mixed / "runs").is_dir()


def test_an_old_corpus_or_an_empty_folder_is_replaced(tmp_path):
    (tmp_path / "new").mkdir()
    write_corpus(tmp_path / "new", [standing()], keypoints=Exact())
    open_one = Corpus.open(tmp_path / "new")
    write_corpus(tmp_path / "new", [standing(frames=5)], keypoints=Exact())
    assert Corpus.open(tmp_path / "new").frames == 20
    assert open_one.frames == 80
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]


class Interrupted(BaseException):
    """As KeyboardInterrupt, without stopping the test run."""


def full_disk():
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("failure", [full_disk, Interrupted, MemoryError], ids=["disk full", "interrupted", "memory"])
@pytest.mark.parametrize("where", ["append", "finish"])
@pytest.mark.parametrize("before", [False, True], ids=["new", "old"])
def test_nothing_half_written(tmp_path, monkeypatch, failure, where, before):
    if before:
        write_corpus(tmp_path / "corpus", [standing(frames=5)], keypoints=Exact())
    real = getattr(corpus_module._Arrays, where)
    calls = []

    def failing(self, **blocks):
        calls.append(None)
        if len(calls) == 3 or where == "finish":
            raise failure()
        return real(self, **blocks)

    monkeypatch.setattr(corpus_module._Arrays, where, failing)
    wanted = OSError if failure is full_disk else failure
    match = "could not write the corpus .*No space left.*untouched" if failure is full_disk else None
    with pytest.raises(wanted, match=match):
        write_corpus(tmp_path / "corpus", [standing()], keypoints=Exact())
    assert [entry.name for entry in tmp_path.iterdir()] == (["corpus"] if before else [])
    if before:
        Corpus.open(tmp_path / "corpus").verify()


def test_the_old_corpus_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    write_corpus(tmp_path / "corpus", [standing(frames=5)], keypoints=Exact())
    real = os.replace

    def failing(source, target):
        if str(source).endswith(".part") and str(target).endswith("corpus"):
            raise full_disk()
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="untouched"):
        write_corpus(tmp_path / "corpus", [standing()], keypoints=Exact())
    assert [entry.name for entry in tmp_path.iterdir()] == ["corpus"]
    assert Corpus.open(tmp_path / "corpus").frames == 20


def test_clips_are_taken_one_at_a_time(tmp_path):
    alive = weakref.WeakSet()

    def stream():
        for i in range(6):
            clip = standing(f"c{i}")
            alive.add(clip)
            yield clip
            del clip
            assert len(alive) <= 2

    write_corpus(tmp_path / "new", stream(), keypoints=Exact(), cameras=1)


@pytest.mark.parametrize("rig", sorted(RIGS))
def test_rigs(tmp_path, rig):
    made = write_corpus(tmp_path / rig, some_clips()[:1], keypoints=Exact(), rig=rig, cameras=3)
    assert len(made.views) == 3


def test_repr_is_short(corpus):
    assert len(repr(corpus)) < 300


# clips that come with cameras, and with detections


def filmed(name="filmed", missing=(), **fields):
    """A clip with three cameras of its own and detections that are off by 3 and 4 px, but for some cameras."""
    clip = standing(name, frames=40)
    cameras = tuple(human36m_like_ring(clip.joints_world, 5, 3))
    exact = {camera.name: camera.cam_to_px(camera.world_to_cam(clip.joints_world)) for camera in cameras}
    found = tuple(None if name in missing else points + np.array([3.0, -4.0]) for name, points in exact.items())
    return replace(clip, **{"cameras": cameras, "detections": Detections("found.npz", "h36m_17", found)} | fields)


def test_own_cameras_and_detections_are_used(tmp_path):
    clips = [filmed(), filmed("other")]
    made = write_corpus(tmp_path / "new", reversed(clips), keypoints=IndependentNoise(50.0))
    assert (made.provenance["rig"], made.provenance["cameras"]) == ("own", 3)
    made.verify()
    assert made.provenance["keypoints"] == {
        "kind": "Detections",
        "file": "found.npz",
        "layout": "h36m_17",
        "off_px": pytest.approx(5.0, abs=0.01),
    }
    assert [view.camera_name for view in made.views] == ["ring0", "ring1", "ring2"] * 2
    for view, camera in zip(made.views, clips[0].cameras * 2, strict=True):
        np.testing.assert_array_equal(view.camera.t_cam_world, camera.rounded().t_cam_world)
        off = view.camera.screen_to_px(view.pose2d) - view.camera.cam_to_px(view.pose3d_cam)
        np.testing.assert_allclose(off, np.broadcast_to((3.0, -4.0), off.shape), atol=1e-3)


def test_detections_are_cut_with_the_clip(tmp_path):
    whole = write_corpus(tmp_path / "whole", [filmed()], keypoints=Exact())
    rows = [Exclusion("filmed", "*", 10, 14, "fog"), Exclusion("filmed", "ring1", 30, -1, "a fly")]
    made = write_corpus(tmp_path / "cut", [filmed()], keypoints=Exact(), exclusions=rows)
    assert {(view.clip, view.camera_name) for view in made.views if view.camera_name == "ring1"} == {
        ("filmed[0:10]", "ring1"),
        ("filmed[15:30]", "ring1"),
    }
    for view in made.views:
        first, stop = map(int, view.clip.removeprefix("filmed[").removesuffix("]").split(":"))
        (source,) = (other for other in whole.views if other.camera_name == view.camera_name)
        np.testing.assert_array_equal(view.pose2d, source.pose2d[first:stop])
        np.testing.assert_array_equal(view.pose3d_cam, source.pose3d_cam[first:stop])


def test_what_a_source_calls_unusable_is_left_out_with_the_reason(tmp_path):
    clips = [filmed(missing=("ring2",)), filmed("broken", fault="the lens was fogged", detections=None)]
    made = write_corpus(tmp_path / "new", clips, keypoints=Exact())
    assert made.exclusions == (
        Exclusion("broken", "*", 0, -1, "the lens was fogged"),
        Exclusion("filmed", "ring2", 0, -1, "no detections in found.npz"),
    )
    assert [(view.clip, view.camera_name) for view in made.views] == [("filmed", "ring0"), ("filmed", "ring1")]


@pytest.mark.parametrize(
    ("clips", "rig", "message"),
    [
        (
            [filmed(), standing()],
            None,
            "clip 'filmed' comes with its cameras, clip 'still' with none; name a virtual rig",
        ),
        ([standing()], "own", "rig 'own', but clip 'still' comes with no cameras; name a virtual rig"),
        ([filmed()], "ring", "clip 'filmed' has detections, made in images of its own cameras; leave out rig 'ring'"),
        ([filmed(), filmed("bare", detections=None)], None, "clips have detections, but not 'bare'; give all or none"),
        (
            [filmed(), replace(filmed("b"), detections=replace(filmed().detections, source="other.npz"))],
            None,
            "detections of several kinds, [('found.npz', 'h36m_17'), ('other.npz', 'h36m_17')]; make a corpus of each",
        ),
    ],
)
def test_clips_that_do_not_go_together(tmp_path, clips, rig, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        write_corpus(tmp_path / "new", clips, keypoints=Exact(), rig=rig)
    assert not list(tmp_path.iterdir())


def test_clips_with_and_without_cameras_may_share_a_virtual_rig(tmp_path):
    made = write_corpus(
        tmp_path / "new", [filmed(detections=None), standing()], keypoints=Exact(), rig="ring", cameras=2
    )
    assert (made.provenance["rig"], made.provenance["cameras"], len(made.views)) == ("ring", 2, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda points: points[:2], "clip 'filmed': detections for 2 cameras; wanted an array, or None"),
        (
            lambda points: (*points[:2], points[2][:39]),
            "clip 'filmed', camera 'ring2': detections of shape (39, 17, 2)",
        ),
        (
            lambda points: (points[0], np.where(np.arange(40)[:, None, None] == 7, np.inf, points[1]), points[2]),
            "clip 'filmed', camera 'ring1': frame 7, joint Pelvis is [inf, inf] (1 of 40 frames have such joints)",
        ),
    ],
)
def test_detections_that_do_not_fit_the_clip(change, message):
    clip = filmed()
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(clip, detections=replace(clip.detections, points_px=change(clip.detections.points_px)))


def test_cameras_of_a_clip_have_names_of_their_own():
    clip = filmed()
    with pytest.raises(ValueError, match=r"cameras \['ring0', 'ring0', 'ring0'\]; wanted a name of its own for each"):
        replace(clip, cameras=clip.cameras[:1] * 3)
