"""Detections of a video: found once, kept, and the same to the bit however often the work was stopped."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from tests.painted import Dots, film, painted, scenery, seen, together

from actlift.geometry.skeleton import COCO_17, HALPE_26, remap
from actlift.video.decode import open_source
from actlift.video.detection_cache import DetectionCache
from actlift.video.detectors.base import Detections
from actlift.video.tracking import AGAIN, FLUSH_EVERY, as_coco, detect_people, identity, track_people

av = pytest.importorskip("av", reason="PyAV is not installed")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """65 frames of a walker; a cut at frame 40, after which they go on elsewhere in the picture."""
    who = seen(seconds=65 / 30)
    points = who.points_px + np.where(np.arange(65) >= 40, 60.0, 0.0)[:, None, None] * (1, 0)
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return film(path, together(points), who.size, scene=lambda index: int(index >= 40))


def found(path, keep, detector, **part):
    about = identity(open_source(path), path, detector, part.get("start_s", 0.0))
    return list(detect_people(path, detector, DetectionCache(keep, about, len(detector.skeleton)), **part))


def alike(some, others):
    assert [(s.index, s.time_s, s.cut) for s in some] == [(s.index, s.time_s, s.cut) for s in others]
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one.detections.points_px, other.detections.points_px)
        np.testing.assert_array_equal(one.detections.confidence, other.detections.confidence)


@pytest.fixture(scope="module")
def whole(clip, tmp_path_factory):
    keep = tmp_path_factory.mktemp("whole") / "detections.bin"
    return found(clip, keep, Dots()), keep.read_bytes()


def test_everything_is_found_once_and_cuts_are_told_to_the_detector(clip, whole, tmp_path):
    detector = Dots()
    alike(found(clip, tmp_path / "kept" / "detections.bin", detector), whole[0])
    assert [s.index for s in whole[0]] == list(range(65))
    assert [s.index for s in whole[0] if s.cut] == [40]
    assert detector.calls == 65
    assert detector.told == [None, None]  # at the start and at the cut
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["detections.bin"]


@pytest.mark.parametrize("stop", [0, 1, FLUSH_EVERY, FLUSH_EVERY + 1, 40, 41, 64])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_stopped_run_goes_on_where_it_was(clip, whole, tmp_path, stop, error):
    keep = tmp_path / "detections.bin"
    with pytest.raises(error):
        found(clip, keep, Dots(fails_at=stop, error=error))
    assert keep.exists() == (stop > 0)
    detector = Dots()
    alike(found(clip, keep, detector), whole[0])
    assert detector.calls == 65 - stop
    if stop:
        np.testing.assert_array_equal(detector.told[0].points_px, whole[0][stop - 1].detections.points_px)
    assert keep.read_bytes() == whole[1]
    again = Dots(fails_at=0)
    alike(found(clip, keep, again), whole[0])
    assert [path.name for path in tmp_path.iterdir()] == ["detections.bin"]


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_whole_record(clip, whole, tmp_path):
    keep = tmp_path / "detections.bin"
    header = whole[1].index(b"\n", whole[1].index(b"\n") + 1) + 1
    for size in (0, 5, header - 1, header, header + 7, (header + len(whole[1])) // 2, len(whole[1]) - 1):
        keep.write_bytes(whole[1][:size])
        detector = Dots()
        alike(found(clip, keep, detector), whole[0])
        assert detector.calls <= 65 - (65 * max(size - header, 0)) // (len(whole[1]) - header)
        assert keep.read_bytes() == whole[1]


def test_who_leaves_the_iterator_leaves_whole_records(clip, whole, tmp_path):
    keep = tmp_path / "detections.bin"
    about = identity(open_source(clip), clip, Dots(), 0.0)
    iterator = detect_people(clip, Dots(), DetectionCache(keep, about, 17))
    for _ in range(7):
        next(iterator)
    iterator.close()
    assert whole[1].startswith(keep.read_bytes())
    detector = Dots()
    found(clip, keep, detector)
    assert detector.calls == 65 - 7


def test_an_end_is_honored_whatever_was_kept(clip, whole, tmp_path):
    keep = tmp_path / "detections.bin"
    ends = (0.5, 1.5, 0.25, 1.0, None, 1 / 3)
    known = 0
    for end_s in ends:
        detector = Dots()
        wanted = [s for s in whole[0] if end_s is None or s.time_s < end_s - 1e-6]
        alike(found(clip, keep, detector, end_s=end_s), wanted)
        assert detector.calls == max(len(wanted) - known, 0)
        known = max(known, len(wanted))
    assert keep.read_bytes() == whole[1]


@pytest.mark.parametrize("kept_before", [False, True])
@pytest.mark.parametrize(("part", "words"), [((1.0, 0.5), "the end after it"), ((9.0, None), "no frame from 9")])
def test_a_part_without_frames_is_refused_and_nothing_is_written(clip, tmp_path, part, words, kept_before):
    keep = tmp_path / "new" / "detections.bin"
    if kept_before:
        found(clip, keep, Dots(), start_s=part[0]) if part[0] < 2 else found(clip, keep, Dots())
    before = keep.read_bytes() if kept_before else None
    with pytest.raises(ValueError, match=words):
        found(clip, keep, Dots(), start_s=part[0], end_s=part[1])
    assert (keep.read_bytes() if keep.exists() else None) == before
    assert kept_before or not list(tmp_path.iterdir())


@pytest.mark.slow
def test_cuts_are_the_same_after_a_stop_where_pictures_change_much(tmp_path):
    """What counts as a cut depends on how much pictures have changed of late."""
    frames = AGAIN + 50
    rng = np.random.default_rng(0)
    path = tmp_path / "wild.mp4"
    size = (64, 48)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 30, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        before = rng.normal(size=(48, 64))
        for _ in range(frames):
            new = rng.normal(size=(48, 64))
            before = rng.choice([0.95, 0.9, 0.0], p=[0.45, 0.45, 0.1]) * before + 0.35 * new
            gray = np.repeat((128 + 40 * before).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="rgb24")))
        container.mux(stream.encode())
    whole = found(path, tmp_path / "a.bin", Dots())
    assert 0 < sum(s.cut for s in whole) < frames / 2
    for stop in (20, AGAIN, AGAIN + 13, frames - 1):
        keep = tmp_path / f"{stop}.bin"
        with pytest.raises(KeyboardInterrupt):
            found(path, keep, Dots(fails_at=stop))
        alike(found(path, keep, Dots()), whole)


def test_detections_of_another_file_detector_or_start_are_not_taken(clip, tmp_path):
    keep, source = tmp_path / "detections.bin", open_source(clip)
    known = identity(source, clip, Dots(), 0.0)
    assert known == identity(source, str(clip), Dots(fails_at=3), 0.0)
    copy = tmp_path / clip.name
    copy.write_bytes(clip.read_bytes())
    others = [
        identity(source, copy, Dots(), 0.0),
        identity(source, clip, Dots(name="others"), 0.0),
        identity(source, clip, Dots(about={"weights": "0123"}), 0.0),
        identity(source, clip, Dots(), 0.5),
    ]
    assert all(one != other for one, other in pairwise([known, *others]))
    found(clip, keep, Dots(), end_s=0.5)
    detector = Dots(about={"weights": "0123"})
    found(clip, keep, detector, end_s=0.5)
    assert detector.calls == 15


def test_other_skeletons_are_remapped():
    rng = np.random.default_rng(0)
    people = Detections(rng.random((2, 26, 2), np.float32), rng.random((2, 26), np.float32))
    coco = as_coco(people, Dots(skeleton=HALPE_26))
    np.testing.assert_array_equal(coco.points_px, remap(people.points_px, HALPE_26, COCO_17))
    names = [HALPE_26.index(joint) for joint in COCO_17.joints]
    np.testing.assert_array_equal(coco.confidence, people.confidence[:, names])
    assert as_coco(people, Dots()) is people


def test_tracks_tell_how_far_they_are_and_follow_the_dots(whole):
    told = []
    tracks = track_people(iter(whole[0]), Dots(), told.append)
    assert told == list(range(1, 66))
    assert [(track.person, track.frames) for track in tracks] == [(1, 40), (2, 25)]  # nobody goes on across the cut


def test_the_stand_in_finds_what_was_painted():
    """Else the tests with it would not tell much."""
    one, other = seen(seconds=0.2), seen("Waving", seconds=0.2, seed=1)
    for now in together(one.points_px, other.points_px + np.array([60, 0])):
        people = Dots()(painted(scenery(one.size), now))
        assert len(people.points_px) == 2
        off = np.linalg.norm(people.points_px - now, axis=-1)[people.confidence > 0]
        assert np.median(off) < 0.2
        assert (people.confidence > 0).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_a_real_process_that_is_stopped_goes_on(actlift_data, tmp_path, way):
    """The real clip, the real detector."""
    video = actlift_data.parent / "videos" / "sports2d_demo.mp4"
    weights = actlift_data.parent / "weights"
    if not (video.is_file() and weights.is_dir()):
        pytest.skip("there is no real video, or no weights of a detector")

    def command(folder):
        words = ["lift", video, "--weights", weights, "--out", folder, "--end", 2.5, "--formats", "npz", "bvh", "json"]
        return [sys.executable, "-m", "actlift", *map(str, words)]

    straight = subprocess.run(command(tmp_path / "straight"), capture_output=True, text=True, check=False)
    assert straight.returncode == 0, straight.stderr
    stopped = tmp_path / "stopped"
    process = subprocess.Popen(
        command(stopped),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in the background ignores it
    )
    deadline = time.monotonic() + 60
    while not (stopped / "detections.bin").exists() or os.path.getsize(stopped / "detections.bin") < 4000:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing was kept in a minute"
        time.sleep(0.02)
    process.send_signal(way)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if way == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in said
    assert [path.name for path in stopped.iterdir()] == ["detections.bin"]
    done = subprocess.run(command(stopped), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in stopped.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "straight").iterdir())
    assert len(names) >= 4
    for name in names:
        one, other = (folder / name for folder in (stopped, tmp_path / "straight"))
        if name.endswith(".npz"):
            with np.load(one) as a, np.load(other) as b:
                assert a.files == b.files
                for key in a.files:
                    np.testing.assert_array_equal(a[key], b[key])
        else:
            assert one.read_bytes() == other.read_bytes(), name
