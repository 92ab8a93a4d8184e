"""Lifting people as they come: every frame's keypoints to poses, with nothing of what comes after.

A frame goes through a filter that smooths what is at rest and follows what moves (`actlift.video.clean.OneEuro`), into
frames that follow the person, to the causal network that comes with actlift, at the frame rate at which it was trained:
between two frames of a camera keypoints are interpolated. Its poses are brought onto their keypoints
(`actlift.lifting.refine.CausalRefiner`) and go through a filter of the same kind as these
(`actlift.lifting.smoothing.CausalSmoother`). They are relative to the pelvis. Which action it is, floor and trajectory
take more than a moment's look, and are found afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from actlift.geometry.camera import Camera
from actlift.geometry.framing import CausalCrop, guessed_camera
from actlift.geometry.skeleton import COCO_17, H36M_17, remap
from actlift.lifting.predict import load_lifter
from actlift.lifting.pretrained import CAUSAL, pretrained, read_card
from actlift.lifting.refine import CausalRefiner
from actlift.lifting.smoothing import CausalSmoother
from actlift.lifting.stream import Stream
from actlift.video.clean import OneEuro
from actlift.video.track import ActiveTrack

FORGET_S = 1.0  # after which a person who was not seen begins anew


@dataclass(frozen=True, eq=False)
class LivePose:
    """One person at one time.

    Attributes:
        time_s: seconds of the source.
        person: number.
        pose3d_cam: (17, 3) meters from the pelvis in the camera's axes (x right, y down, z forward), `H36M_17`.
    """

    time_s: float
    person: int
    pose3d_cam: Float[np.ndarray, "17 3"]


class LiveLifter:
    """Lifts everybody in sight.

    Args:
        width, height: of the image, in pixels.
        camera: its intrinsics count; guessed where None.
        smooth: whether poses are smoothed, besides keypoints.
        refine: whether poses are brought onto their keypoints.
    """

    def __init__(
        self, width: int, height: int, camera: Camera | None = None, *, smooth: bool = True, refine: bool = True
    ) -> None:
        self.fps = float(read_card(CAUSAL)["fps"])
        self._network = load_lifter(pretrained(CAUSAL))
        self._camera = camera or guessed_camera(width, height)
        self._smooth, self._refine = smooth, refine
        self._people: dict[int, _Person] = {}

    def push(self, time_s: float, tracks: Sequence[ActiveTrack]) -> list[LivePose]:
        """Take who is in sight in the next frame, with keypoints of COCO-17; give the poses that are due.

        Raises:
            InputError: for a time that does not increase.
        """
        self._people = {n: p for n, p in self._people.items() if time_s - p.seen_s <= FORGET_S}
        poses = []
        for person, points_px, confidence in tracks:
            if person not in self._people:
                self._people[person] = _Person(
                    Stream(self._network, flip=True),
                    CausalCrop(self._camera, self.fps),
                    CausalRefiner(self.fps, self._camera) if self._refine else None,
                    CausalSmoother(self.fps) if self._smooth else None,
                    self.fps,
                )
            found = self._people[person].push(time_s, points_px, confidence)
            poses += [LivePose(at_s, person, pose) for at_s, pose in found]
        return poses


class _Person:
    def __init__(
        self,
        stream: Stream,
        crop: CausalCrop,
        refiner: CausalRefiner | None,
        smoother: CausalSmoother | None,
        fps: float,
    ) -> None:
        self._stream, self._crop, self._refiner, self._smoother, self._fps = stream, crop, refiner, smoother, fps
        self._filter = OneEuro()
        self._last: Float[np.ndarray, "17 2"] | None = None
        self._due_s = 0.0
        self.seen_s = -np.inf

    def push(
        self, time_s: float, points_px: Float[np.ndarray, "17 2"], confidence: Float[np.ndarray, "17"]
    ) -> Iterator[tuple[float, Float[np.ndarray, "17 3"]]]:
        points = self._filter(time_s, points_px, confidence)
        if self._last is None:
            self._due_s, before, self.seen_s = time_s, points, time_s - 1 / self._fps
        else:
            before = self._last
        step_s = time_s - self.seen_s
        while self._due_s <= time_s + 1e-9:
            part = np.clip((self._due_s - self.seen_s) / step_s, 0.0, 1.0)
            yield self._due_s, self._lifted(before + part * (points - before), confidence)
            self._due_s += 1 / self._fps
        self._last, self.seen_s = points, time_s

    def _lifted(
        self, points_px: Float[np.ndarray, "17 2"], confidence: Float[np.ndarray, "17"]
    ) -> Float[np.ndarray, "17 3"]:
        cropped = self._crop(remap(points_px[None], COCO_17, H36M_17))
        pose = self._stream.push(cropped.pose2d[0])
        assert pose is not None  # a causal network does not wait
        poses = cropped.to_cam(pose[None])
        if self._refiner:
            poses = self._refiner(poses, points_px[None], confidence[None])
        return np.asarray((self._smoother(poses) if self._smoother else poses)[0])
