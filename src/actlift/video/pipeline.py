"""From a video, or the keypoints of one, to the motion of everybody in it.

    frames -> detector -> detections -> tracker -> tracks: one frame at a time; kept on disk, goes on where it stopped
    a track -> clean keypoints at the lifter's frame rate -> frames that follow the person, upright -> which action ->
    lifted poses, told the action where it is sure -> smooth poses -> refined: bones of constant length, on their
    keypoints -> floor and trajectory -> motion

Networks are those that come with actlift (:mod:`actlift.lifting.pretrained`).
"""

import itertools
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter1d

from actlift.data.keypoints2d import Keypoints2D
from actlift.errors import InputError, UnusableKeypointsError
from actlift.geometry.camera import Camera
from actlift.geometry.framing import CausalCrop, CroppedKeypoints, guessed_camera, virtual_camera_crop
from actlift.geometry.gravity import AGAIN_DEG, LEVEL_DEG, apart_deg, askew_deg, is_better, seen_down
from actlift.geometry.sight import sighted
from actlift.geometry.skeleton import COCO_17, H36M_17, remap, remap_confidence
from actlift.geometry.trajectory import STATURES_M, GlobalTrajectory, global_trajectory, misfit_m, root_trajectory
from actlift.lifting.conditional import UNKNOWN, ConditionalLifter, lift_labeled
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.lifting.pretrained import AWARE, CAUSAL, GENERALIST, RECOGNIZER, pretrained, read_card
from actlift.lifting.refine import refine as refined
from actlift.lifting.smoothing import CUTOFF_HZ, butterworth
from actlift.motion.motion import Motion, Segment
from actlift.recognition.prediction import ActionRecognizer, load_recognizer, recognized_labels, steady_labels
from actlift.video.clean import CUTOFF_HZ as KEYPOINTS_HZ
from actlift.video.clean import preprocess
from actlift.video.decode import EPSILON_S, is_live, open_source
from actlift.video.detection_cache import DetectionCache
from actlift.video.detectors import make_detector
from actlift.video.detectors.base import Detector
from actlift.video.keypoints import is_keypoints, read_keypoints
from actlift.video.live import LiveLifter, LivePose
from actlift.video.track import ActiveTrack, Track, Tracker
from actlift.video.tracking import detect_people, identity, track_people

Watch = Callable[[str, int, int | None], None]

TIMELINE_S = 0.5  # standard deviation of the average over time behind the action timeline
LIKELY = 0.5  # least probability of an action that the timeline names
HOLD_S = 0.5  # for which an action must lead before the timeline turns to it, and least duration of its segment

WARN_S = 0.3  # least duration of a warning
UNSEEN = 0.2  # confidence below which a joint counts as unseen
SMALL_PX = 60.0  # extent of a person, head to foot, below which keypoints are coarse


@dataclass(frozen=True)
class Lifters:
    """What lifts a track: networks that come with actlift.

    Attributes:
        name: "aware" (the mean of a network that is told the recognized action where it is sure, and of one that is
            told nothing), "generalist" (told nothing), or "causal" (told nothing, and does not see what comes).
    """

    name: str = AWARE

    def __post_init__(self) -> None:
        if self.name not in (AWARE, GENERALIST, CAUSAL):
            raise InputError(f"there is no lifter {self.name!r}; there are {AWARE}, {GENERALIST} and {CAUSAL}")

    @cached_property
    def card(self) -> dict[str, Any]:
        return read_card(self.name)

    @property
    def fps(self) -> float:
        """Frame rate at which the networks work."""
        return float(self.card["fps"])

    @cached_property
    def recognized(self) -> ActionRecognizer:
        return load_recognizer(pretrained(RECOGNIZER))

    @cached_property
    def unconditioned(self) -> LifterPredictor:
        """The lifter that is told nothing."""
        return LifterPredictor(load_lifter(pretrained(CAUSAL if self.name == CAUSAL else GENERALIST)))

    @cached_property
    def conditioned(self) -> ConditionalLifter:
        """The lifter that is told the action."""
        return ConditionalLifter.from_network(load_lifter(pretrained(AWARE)), self.card["actions"])

    def lift(self, seen: Keypoints2D) -> Float[np.ndarray, "t 17 3"]:
        """Poses relative to the pelvis, in meters, in the axes of the keypoints' frames."""
        poses = self.unconditioned([seen])[0]
        if self.name != AWARE:
            return poses
        conditioned = lift_labeled(self.conditioned, seen, recognized_labels(self.recognized, seen))
        return np.asarray((poses + conditioned) / 2)


# one person


def lift_track(
    track: Track,
    width: int,
    height: int,
    *,
    lifters: Lifters | None = None,
    camera: Camera | None = None,
    height_m: float | None = None,
    smoothing_hz: float | None = CUTOFF_HZ,
    refine: bool = True,
    fps: float | None = None,
    source: str = "",
    about: dict[str, Any] | None = None,
) -> Motion:
    """The motion of one tracked person.

    Args:
        track: keypoints of COCO-17 in pixels; gaps and uneven times are mended here.
        width, height: of the image, in pixels.
        lifters: the action-aware ones where None.
        camera: its intrinsics, and its rotation where it is not the identity; guessed where None.
        height_m: of the person, in meters; where None, poses keep the size of the people that the lifter learnt from.
        smoothing_hz: cut-off of lifted poses (`actlift.lifting.smoothing`); None leaves them as they are.
        refine: whether poses are then brought onto their keypoints, with bones of constant length
            (`actlift.lifting.refine`).
        fps: of the motion; the lifter's where None.
        source, about: for the record.

    Raises:
        UnusableKeypointsError: too little is seen in the track.
        InputError: for a height, cut-off or rate that is none, or a camera with images of another size.
    """
    _check(width, height, camera, height_m, smoothing_hz, fps)
    lifters = lifters or Lifters()
    assumed = camera or guessed_camera(width, height)
    clean = preprocess(track, lifters.fps)
    lifted, found = _lifted_upright(clean, lifters, assumed, smoothing_hz, height_m, refine)
    sight = sighted(lifted.pose3d_cam, clean.points_px, clean.confidence, lifters.fps, assumed)
    lifted_cam = lifted.pose3d_cam + root_trajectory(sight).root_cam[:, None]
    start_s = float(clean.times_s[0])
    motion = Motion(
        lifters.fps,
        found.joints_world.astype(np.float32),
        clean.points_px.astype(np.float32),
        clean.confidence.astype(np.float32),
        found.contacts,
        found.camera,
        action_timeline(lifters.recognized, lifted.seen, start_s),
        start_s,
        track.person,
        source,
        warnings_of(clean, found.camera, found.camera.cam_to_world(lifted_cam), lifters.card, start_s),
        {
            **(about or {}),
            "lifter": f"actlift {lifters.name}",
            "camera": "given" if camera else f"guessed: {assumed.focal_px[0]:.0f} px focal length, straight lens",
            "roll_deg": round(lifted.roll_deg, 1),
            "smoothing": f"keypoints at {KEYPOINTS_HZ:g} Hz, poses "
            + ("not" if smoothing_hz is None else f"at {smoothing_hz:g} Hz"),
            "refined": "onto keypoints, with bones of constant length" if refine else "not",
            "scale": f"a height of {height_m:g} m, as told" if height_m else "of an average adult; give --height",
            "height_m": round(float(found.height_m), 3),
            "notes": list(found.notes),
        },
    )
    return motion if fps is None else at_rate(motion, fps, until_s=float(track.times_s[-1]))


@dataclass(frozen=True, eq=False)
class _Lifted:
    """A lifted person, and as what the lifter saw them.

    Attributes:
        frames: the crops that were lifted.
        seen: their keypoints.
        pose3d_cam: (t, 17, 3) meters from the pelvis, in the axes of the camera; not refined.
        down_cam: where gravity was taken to point; None where the camera was taken to be about level.
        roll_deg: of the camera about the axes of the crops, undone in them; 0 where it was taken to be about level.
    """

    frames: CroppedKeypoints
    seen: Keypoints2D
    pose3d_cam: Float[np.ndarray, "t 17 3"]
    down_cam: Float[np.ndarray, "3"] | None = None
    roll_deg: float = 0.0


def _lifted_upright(
    clean: Track,
    lifters: Lifters,
    camera: Camera,
    smoothing_hz: float | None,
    height_m: float | None,
    refine: bool,
) -> tuple[_Lifted, GlobalTrajectory]:
    """Lift a person as a camera would see them that is held upright, and place them in the world.

    How the camera is held is known, or guessed by the person (`actlift.geometry.gravity`) and then found out by what
    was lifted: if that has gravity elsewhere, it is lifted again.
    """
    points_px = remap(clean.points_px, COCO_17, H36M_17)
    confidence = remap_confidence(clean.confidence, COCO_17, H36M_17).astype(np.float32)
    fps = lifters.fps

    def lift(down_cam: Float[np.ndarray, "3"] | None, roll_deg: float = 0.0) -> _Lifted:
        causal = lifters.name == CAUSAL
        crop = CausalCrop(camera, fps, down_cam) if causal else None
        frames = crop(points_px) if crop else virtual_camera_crop(points_px, camera, fps, down_cam)
        seen = Keypoints2D(frames.pose2d, confidence, fps, camera)
        pose3d_cam = frames.to_cam(lifters.lift(seen))
        if smoothing_hz is not None:
            pose3d_cam = butterworth(pose3d_cam, fps, smoothing_hz)
        return _Lifted(frames, seen, pose3d_cam, down_cam, roll_deg)

    def place(lifted: _Lifted) -> GlobalTrajectory:
        pose3d_cam = lifted.pose3d_cam
        if refine:
            pose3d_cam = refined(pose3d_cam, clean.points_px, clean.confidence, fps, camera).pose3d_cam
        return global_trajectory(
            pose3d_cam,
            clean.points_px,
            clean.confidence,
            fps,
            camera,
            height_m=height_m,
            down_cam=lifted.down_cam,
        )

    def misfit(lifted: _Lifted) -> float:
        return misfit_m(lifted.pose3d_cam, clean.points_px, clean.confidence, fps, camera)

    level = lift(None)
    known = not np.allclose(camera.R_cam_world, np.eye(3))
    guess_cam = -camera.R_cam_world[:, 2] if known else seen_down(level.frames, confidence)
    roll_deg = askew_deg(level.frames, guess_cam)
    if abs(roll_deg) <= LEVEL_DEG:
        return level, place(level)
    turned = lift(guess_cam, roll_deg)
    if known:
        return turned, place(turned)
    if not is_better(roll_deg, misfit(turned), misfit(level)):
        return level, place(level)
    placed = place(turned)
    down_cam = -placed.camera.R_cam_world[:, 2]
    if apart_deg(level.frames, down_cam, guess_cam) <= AGAIN_DEG:
        return turned, placed
    turned = lift(down_cam, askew_deg(level.frames, down_cam))
    return turned, place(turned)


def _check(
    width: int,
    height: int,
    camera: Camera | None,
    height_m: float | None,
    smoothing_hz: float | None,
    fps: float | None,
) -> None:
    """Raise for what cannot be, before hours are spent on detecting."""
    if camera is not None and (camera.width, camera.height) != (width, height):
        raise InputError(
            f"the camera has images of {camera.width} x {camera.height} pixels, but those to lift have {width} x "
            f"{height}; give what its focal length and center are in these"
        )
    if height_m is not None and not STATURES_M[0] <= height_m <= STATURES_M[1]:
        raise InputError(f"a height of {height_m:g}: wanted meters, {STATURES_M[0]} to {STATURES_M[1]}")
    if smoothing_hz is not None and not 0 < smoothing_hz < np.inf:
        raise InputError(f"smoothing at {smoothing_hz:g} Hz: wanted a positive cut-off, or none")
    if fps is not None and not 0 < fps < np.inf:
        raise InputError(f"{fps:g} frames per second: wanted a positive number")


def action_timeline(recognized: ActionRecognizer, seen: Keypoints2D, start_s: float) -> tuple[Segment, ...]:
    """What was being done when: segments without gaps, "unknown" where no action is likely enough."""
    chances = gaussian_filter1d(
        recognized.posterior(seen.pose2d, seen.fps), TIMELINE_S * seen.fps, axis=0, mode="nearest"
    )
    hold = max(2, round(HOLD_S * seen.fps))
    steady = steady_labels(chances, margin=0.0, hold=hold)
    likely = chances[np.arange(len(chances)), steady]
    labels = np.where(likely >= LIKELY, steady, -1)
    for first, stop in _runs(labels):
        if stop - first < min(hold, len(labels)):
            labels[first:stop] = -1
    return tuple(
        Segment(
            start_s + first / seen.fps,
            start_s + stop / seen.fps,
            recognized.actions[labels[first]] if labels[first] >= 0 else UNKNOWN,
            float(likely[first:stop].mean()),
        )
        for first, stop in _runs(labels)
    )


def warnings_of(
    track: Track, camera: Camera, lifted_world: Float[np.ndarray, "t 17 3"], card: dict[str, Any], start_s: float
) -> tuple[Segment, ...]:
    """When and why the motion is not to be trusted: what was not seen, and what is not as the lifter learnt it.

    Args:
        track: keypoints.
        camera: that saw them.
        lifted_world: joints as they were lifted; refined ones fit their keypoints whatever the lifter made of these.
        card: of the lifter.
        start_s: time of the first frame.
    """
    fps = float(card["fps"])
    limbs = track.confidence[:, 5:] < UNSEEN
    spans = np.ptp(track.points_px, axis=1)
    off = reprojection(track.points_px, camera, lifted_world)
    reasons = {
        "hardly seen: most joints are guessed": limbs.mean(axis=1) > 0.5,
        "feet not seen: legs are guessed": limbs[:, -2:].all(axis=1) & (limbs.mean(axis=1) <= 0.5),
        f"smaller than {SMALL_PX:.0f} pixels: keypoints are coarse": np.hypot(*spans.T) < SMALL_PX,
        "unlike what the lifter learnt: its pose does not fit the keypoints": off > card["reprojection"]["limit"],
    }
    found = [
        Segment(start_s + first / fps, start_s + stop / fps, why)
        for why, holds in reasons.items()
        for first, stop in _runs(holds)
        if holds[first] and stop - first >= min(WARN_S * fps, len(holds))
    ]
    return tuple(sorted(found, key=lambda segment: segment.start_s))


def reprojection(
    points_px: Float[np.ndarray, "t 17 2"], camera: Camera, joints_world: Float[np.ndarray, "t 17 3"]
) -> Float[np.ndarray, " t"]:
    """How far the joints of arms and legs are from their keypoints, mean over them, in units of the person's extent."""
    limbs = [H36M_17.index(joint) for joint in COCO_17.joints[5:]]
    seen = camera.cam_to_px(camera.world_to_cam(joints_world[:, limbs]))
    off = np.linalg.norm(seen - points_px[:, 5:], axis=-1).mean(axis=1)
    return np.asarray(np.nan_to_num(off / np.hypot(*np.ptp(points_px, axis=1).T).clip(1e-9), nan=np.inf))


def _runs(values: Int[np.ndarray, " t"] | Bool[np.ndarray, " t"]) -> list[tuple[int, int]]:
    """First frame and end of every run of equal values."""
    edges = np.flatnonzero(np.diff(values)) + 1
    return list(itertools.pairwise([0, *edges.tolist(), len(values)]))


def at_rate(motion: Motion, fps: float, *, until_s: float | None = None) -> Motion:
    """The same motion at another frame rate; the first frame keeps its time.

    Args:
        motion: of any rate.
        fps: frames per second.
        until_s: time of the source up to which there are frames, less than a frame after the motion's last; where None,
            that of the last.

    Raises:
        InputError: for a rate that is not positive.
    """
    if not 0 < fps < np.inf:
        raise InputError(f"{fps} frames per second: wanted a positive number")
    if fps == motion.fps:
        return motion
    old = motion.times_s - motion.start_s
    end = old[-1] if until_s is None else until_s - motion.start_s
    new = np.arange(int(np.floor(end * fps + 1e-6)) + 1) / fps
    nearest = np.rint(new * motion.fps).astype(int).clip(0, motion.frames - 1)
    degree = min(3, motion.frames - 1)

    def moved(points: Float[np.ndarray, "t *c"]) -> Float[np.ndarray, "n *c"]:
        if degree == 0:
            return np.asarray(points[nearest])
        return np.asarray(make_interp_spline(old, points, k=degree)(new).astype(points.dtype))

    return replace(
        motion,
        fps=fps,
        joints_world=moved(motion.joints_world),
        pose2d_px=moved(motion.pose2d_px),
        confidence=motion.confidence[nearest],
        contacts=motion.contacts[nearest],
    )


# whole videos


def lift_video(
    source: Path | str,
    *,
    keep: Path,
    detector: Detector | str = "auto",
    weights: Path | None = None,
    lifters: Lifters | None = None,
    camera: Camera | None = None,
    height_m: float | None = None,
    smoothing_hz: float | None = CUTOFF_HZ,
    refine: bool = True,
    person: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    fps: float | None = None,
    layout: str | None = None,
    size: tuple[int, int] | None = None,
    on_progress: Watch = lambda _stage, _done, _total: None,
    live: Callable[[list[LivePose]], None] | None = None,
) -> list[Motion]:
    """The motions of everybody in a video, a folder of images or a file of 2D keypoints; the longest seen first.

    Args:
        source: what to lift.
        keep: file in which detections are kept while and after a detector works; the same call goes on from there.
        detector: one of :data:`actlift.video.detectors.DETECTORS` by name, "auto", or one that is made already.
        weights: file of the detector's weights, where it does not find them itself.
        lifters, camera, height_m, smoothing_hz, refine: as for :func:`lift_track`.
        person: only this one, by number.
        start_s, end_s: which part to lift.
        fps: of the motions; where None, that of the source, at which keypoints are taken to come where their file does
            not tell.
        layout, size: of keypoints in a file and of their images, where it does not tell.
        on_progress: is told the stage, how much of it is done, and how much there is where that is known.
        live: is given poses as they come (`actlift.video.live`), while people are detected; refined if `refine`, and
            smoothed by a filter of their own, unless `smoothing_hz` is None.

    Raises:
        InputError, OSError: for what is no source, and for one in which nobody is seen.
        UnusableKeypointsError: too little is seen of everybody. Where others can be lifted, that is a RuntimeWarning.
        MissingPackageError: where a library that is needed is not installed; says how to install it.
    """
    path = Path(source)

    def check(width: int, height: int) -> None:
        _check(width, height, camera, height_m, smoothing_hz, fps)

    if is_keypoints(path):
        found = _tracks_of_keypoints(path, start_s, end_s, fps, layout, size, check)
    else:
        found_by = partial(make_detector, detector, weights) if isinstance(detector, str) else lambda: detector
        living = None if live is None else partial(_living, live, camera, smoothing_hz is not None, refine)
        found = _tracks_of_video(path, keep, found_by, start_s, end_s, fps, check, on_progress, living)
    tracks = _chosen(found.tracks, person, path.name)
    motions, left_out = [], []
    for done, track in enumerate(tracks):
        on_progress("lifting", done, len(tracks))
        try:
            motion = lift_track(
                track,
                found.width,
                found.height,
                lifters=lifters,
                camera=camera,
                height_m=height_m,
                smoothing_hz=smoothing_hz,
                refine=refine,
                fps=found.fps,
                source=path.name,
                about=found.about,
            )
        except UnusableKeypointsError as error:  # which is no reason to do without the others
            left_out.append(f"person {track.person} of {path.name} cannot be lifted: {error}")
        else:
            motions.append(motion)
    on_progress("lifting", len(tracks), len(tracks))
    if not motions:
        raise UnusableKeypointsError(left_out[0])
    for reason in left_out:
        warnings.warn(reason, RuntimeWarning, stacklevel=2)
    return motions


@dataclass(frozen=True, eq=False)
class _Found:
    """The people of a source in images of one size, the frame rate of their motions, and what found them."""

    tracks: list[Track]
    width: int
    height: int
    fps: float
    about: dict[str, Any]


def _tracks_of_keypoints(
    path: Path,
    start_s: float,
    end_s: float | None,
    fps: float | None,
    layout: str | None,
    size: tuple[int, int] | None,
    check: Callable[[int, int], None],
) -> _Found:
    """Track the people of a file of keypoints."""
    file = read_keypoints(path, layout=layout, fps=fps, size=size)
    check(file.width, file.height)
    stop_s = np.inf if end_s is None else end_s
    frames = [f for f in file.frames if start_s - EPSILON_S <= f[0] < stop_s - EPSILON_S]
    if not frames:
        raise InputError(
            f"{path.name} has no frame from {start_s:g} to {stop_s:g} s: its last is at {file.frames[-1][0]:.2f} s"
        )
    tracker = Tracker()
    for time_s, people in frames:
        tracker.push(time_s, people)
    about = {"keypoints": f"{file.program}, {file.layout}"}
    return _Found(tracker.finish(), file.width, file.height, fps or file.fps, about)


def _tracks_of_video(
    path: Path,
    keep: Path,
    make: Callable[[], Detector],
    start_s: float,
    end_s: float | None,
    fps: float | None,
    check: Callable[[int, int], None],
    on_progress: Watch,
    living: Callable[[int, int], Callable[[float, list[ActiveTrack]], None]] | None,
) -> _Found:
    """Detect and track the people of a video; detections are kept, and taken up where they are there."""
    opened = open_source(path)
    width, height = opened.width, opened.height
    check(width, height)
    detector = make()
    cache = DetectionCache(keep, identity(opened, path, detector, start_s), len(detector.skeleton))
    see = None if living is None else living(width, height)
    expected = opened.frames if start_s == 0 and end_s is None else None
    with closing(detect_people(path, detector, cache, start_s=start_s, end_s=end_s)) as found:
        tracks = track_people(
            found,
            detector,
            lambda done: on_progress("detecting people", done, expected),
            see=see,
            endless=is_live(path),
        )
    return _Found(tracks, width, height, fps or opened.fps, {"detector": detector.name})


def _chosen(tracks: list[Track], person: int | None, name: str) -> list[Track]:
    """The tracks to lift: all, or that of one person."""
    if not tracks:
        raise InputError(
            f"nobody is seen in {name}: is there a person, upright in the image, and not too small? `--detector` "
            "chooses another detector"
        )
    if person is None:
        return tracks
    chosen = [track for track in tracks if track.person == person]
    if not chosen:
        there = sorted(track.person for track in tracks)
        raise InputError(f"there is no person {person} in {name}; there are {', '.join(map(str, there))}")
    return chosen


def _living(
    live: Callable[[list[LivePose]], None], camera: Camera | None, smooth: bool, refine: bool, width: int, height: int
) -> Callable[[float, list[ActiveTrack]], None]:
    """What gives poses as people come."""
    lifter = LiveLifter(width, height, camera, smooth=smooth, refine=refine)
    return lambda time_s, tracks: live(lifter.push(time_s, tracks))
