"""Motion: what one person did in a video, in 3D and in time, with what it was made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from actlift.errors import InputError
from actlift.geometry.camera import Camera
from actlift.geometry.skeleton import COCO_17, H36M_17, Skeleton


@dataclass(frozen=True)
class Segment:
    """A stretch of time in which one action was recognized, or something else holds.

    Attributes:
        start_s, stop_s: seconds of the source; it ends before ``stop_s``.
        label: the action, "unknown", or whatever holds there, in words.
        probability: mean of the recognizer's, 0 to 1; NaN where none stands behind the label.
    """

    start_s: float
    stop_s: float
    label: str
    probability: float = float("nan")


@dataclass(frozen=True, eq=False)
class Motion:
    """The motion of one person, at an even frame rate.

    Frame ``i`` is at ``start_s + i / fps`` seconds of the source.

    Attributes:
        fps: frames per second.
        joints_world: (t, 17, 3) meters, joints in the order of `H36M_17`; right-handed, z up, floor at z = 0, x to the
            camera's right and y away from it.
        pose2d_px: (t, 17, 2) what was seen, in pixels of the source, joints in the order of `COCO_17`; gaps filled.
        confidence: (t, 17) of the keypoints, 0 to 1; 0 where a gap was filled.
        contacts: (t, 2) whether the left and the right foot stand.
        camera: as it was taken to be; `camera.cam_to_px(camera.world_to_cam(joints_world))` lies on the image.
        action_timeline: segments that follow one another without gaps, the first from ``start_s``.
        start_s: seconds of the source at the first frame.
        person: number of the person in the source, from 1.
        source: name of the video or file, without its folder.
        warnings: when and why not to trust it.
        about: detector, lifter, where the scale comes from and so on: numbers, words, lists and dicts of these.
    """

    fps: float
    joints_world: Float[np.ndarray, "t 17 3"]
    pose2d_px: Float[np.ndarray, "t 17 2"]
    confidence: Float[np.ndarray, "t 17"]
    contacts: Bool[np.ndarray, "t 2"]
    camera: Camera
    action_timeline: tuple[Segment, ...]
    start_s: float = 0.0
    person: int = 1
    source: str = ""
    warnings: tuple[Segment, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    skeleton: Skeleton = H36M_17
    skeleton2d: Skeleton = COCO_17

    def __post_init__(self) -> None:
        t = len(self.joints_world)
        shapes = {"joints_world": (17, 3), "pose2d_px": (17, 2), "confidence": (17,), "contacts": (2,)}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != (t, *shape) or t == 0:
                raise InputError(f"a motion needs {name} of shape (t, {', '.join(map(str, shape))}), got {array.shape}")
            if not np.isfinite(array).all():
                raise InputError(f"{name} is not finite in frame {np.argwhere(~np.isfinite(array))[0][0]}")
        if not 0 < self.fps < np.inf:
            raise InputError(f"{self.fps} frames per second: wanted a positive number")

    @property
    def frames(self) -> int:
        return len(self.joints_world)

    @property
    def times_s(self) -> Float[np.ndarray, " t"]:
        """Seconds of the source, of each frame."""
        return self.start_s + np.arange(self.frames) / self.fps

    def cut(self, start_s: float, stop_s: float) -> "Motion":
        """Cut out the frames from ``start_s`` to before ``stop_s``, with the segments of that time.

        Raises:
            InputError: if there is no frame in that time.
        """
        first, stop = (int(np.ceil(round((s - self.start_s) * self.fps, 6))) for s in (start_s, stop_s))
        first, stop = max(first, 0), min(stop, self.frames)
        if first >= stop:
            raise InputError(
                f"no frame lies from {start_s:g} to {stop_s:g} s: the motion has {self.frames} frames from "
                f"{self.start_s:g} to {self.start_s + self.frames / self.fps:g} s"
            )
        rows = slice(first, stop)
        start, end = self.start_s + first / self.fps, self.start_s + stop / self.fps

        def within(segments: Sequence[Segment]) -> tuple[Segment, ...]:
            met = (s for s in segments if s.start_s < end and s.stop_s > start)
            return tuple(replace(s, start_s=max(s.start_s, start), stop_s=min(s.stop_s, end)) for s in met)

        return replace(
            self,
            joints_world=self.joints_world[rows],
            pose2d_px=self.pose2d_px[rows],
            confidence=self.confidence[rows],
            contacts=self.contacts[rows],
            action_timeline=within(self.action_timeline),
            warnings=within(self.warnings),
            start_s=start,
        )

    def segments(self) -> list[tuple[Segment, "Motion"]]:
        """List the segments of the timeline that hold a frame, each with its part of the motion."""
        found = []
        for segment in self.action_timeline:
            first, stop = np.ceil(np.round((np.array([segment.start_s, segment.stop_s]) - self.start_s) * self.fps, 6))
            if max(first, 0) < min(stop, self.frames):
                found.append((segment, self.cut(segment.start_s, segment.stop_s)))
        return found

    def save(self, path: Path | str) -> Path:
        """Write it in the format that the file's suffix names, whole or not at all; see `actlift.motion.WRITERS`.

        Raises:
            InputError: for an unknown suffix (lists the known).
            MissingPackageError: for a format whose library is not installed; says how to install it.
            OSError: if the file cannot be written; a file that lay there is as it was.
        """
        from actlift.motion import writer_for

        path = Path(path)
        writer_for(path.suffix)(self, path)
        return path
