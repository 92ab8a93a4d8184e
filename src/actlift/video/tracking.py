"""Who is in a video, and where: frames through a detector and a tracker, one at a time.

What the detector finds is kept on disk (:mod:`actlift.video.detection_cache`), since detecting takes most of the time:
a run that was stopped goes on from the last frame that was kept, and a second run with other options does not detect
again. The tracker is fast and deterministic, and always sees all frames from the first.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from actlift.geometry.skeleton import COCO_17, remap, remap_confidence
from actlift.video.decode import EPSILON_S, Source, read_frames
from actlift.video.detection_cache import DetectionCache, FrameDetections
from actlift.video.detectors.base import Detections, Detector
from actlift.video.track import ActiveTrack, Track, Tracker

FLUSH_EVERY = 30  # frames
AGAIN = 100  # frames read once more before going on, so that cuts are told as if there had been no stop


def detect_people(
    path: Path | str,
    detector: Detector,
    cache: DetectionCache,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> Generator[FrameDetections, None, None]:
    """Give what the detector finds in each frame: what was kept of an earlier run first, then the rest.

    An earlier run may have gone further, or less far.

    Args:
        path: of the video.
        detector: told to go on where the last run stopped.
        cache: where it is kept; closed in the end.
        start_s, end_s: the part of the video.

    Raises:
        InputError, OSError: what :func:`actlift.video.decode.read_frames` raises.
    """
    with closing(cache):
        last = None
        times_s = deque([start_s], maxlen=AGAIN)
        for found in cache:
            if end_s is not None and found.time_s >= end_s - EPSILON_S:
                if last is not None:
                    return
                break  # no frame lies in that time, which is for read_frames to say
            last = found
            times_s.append(last.time_s)
            yield last
        detector.follow(None if last is None else last.detections)
        for frame in read_frames(path, start_s=times_s[0], end_s=end_s):
            if last is not None and frame.index <= last.index:
                continue
            if frame.cut:
                detector.follow(None)
            found = FrameDetections(frame.index, frame.time_s, frame.cut, detector(frame.image))
            cache.append(found)
            if frame.index % FLUSH_EVERY == 0:
                cache.flush()
            yield found


def track_people(
    frames: Iterable[FrameDetections],
    detector: Detector,
    on_progress: Callable[[int], None] = lambda _: None,
    *,
    see: Callable[[float, list[ActiveTrack]], None] | None = None,
    endless: bool = False,
) -> list[Track]:
    """Follow everybody through the frames; give their tracks, of COCO-17 keypoints, longest first.

    Args:
        frames: what was found in each, in order.
        detector: whose skeleton they have.
        on_progress: is told how many frames are done.
        see: is told the time of each frame and who is in sight.
        endless: the source has no end but Ctrl-C.
    """
    tracker = Tracker()
    with suppress(KeyboardInterrupt) if endless else nullcontext():
        for done, frame in enumerate(frames, 1):
            tracker.push(frame.time_s, as_coco(frame.detections, detector), cut=frame.cut)
            if see is not None:
                see(frame.time_s, tracker.active_tracks())
            on_progress(done)
    return tracker.finish()


def as_coco(detections: Detections, detector: Detector) -> Detections:
    """Give the same people with the joints of `COCO_17`."""
    if detector.skeleton == COCO_17:
        return detections
    points_px = remap(detections.points_px, detector.skeleton, COCO_17)
    return Detections(points_px, remap_confidence(detections.confidence, detector.skeleton, COCO_17))


def identity(source: Source, path: Path | str, detector: Detector, start_s: float) -> dict[str, Any]:
    """What determines what is detected in a video, whoever asks for them: the file by its size and time of change."""
    file = Path(path)
    stat = file.stat() if file.is_file() else None
    changed = {"bytes": stat.st_size, "changed_ns": stat.st_mtime_ns} if stat else {}
    found_by = {"detector": detector.name, **detector.about}
    return {"source": asdict(source), **changed, **found_by, "start_s": start_s}
