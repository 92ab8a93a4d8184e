"""Small videos of painted people, a dot of its own color for every joint, and a detector that finds these dots.

With them everything from a video file to the motion files runs without weights of a detector. People are synthetic
clips seen by random cameras. Nose, eyes and ears are one dot, halfway between Neck and Head.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np

from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.camera import Camera, random_rig
from actlift.geometry.skeleton import COCO_17, H36M_17, Skeleton
from actlift.video.detectors.base import Detections
from actlift.video.track import Track

FACE, LIMBS = 5, 12
DOTS = (0, *range(FACE, len(COCO_17)))  # joints with a dot of their own: Nose for the face
DOT_OF = np.array([0] * FACE + list(range(1, 1 + LIMBS)))
MOST = 3  # people who can be told apart
COLORS = np.array([c for c in product((0, 85, 170, 255), repeat=3) if max(c) - min(c) >= 170])[: MOST * len(DOTS)]
RADIUS, FEWEST, TOLERANCE = 3.5, 8, 40
TICK = Fraction(1, 60000)


@dataclass(frozen=True, eq=False)
class Seen:
    """Somebody in front of a camera."""

    joints_world: np.ndarray  # (t, 17, 3) meters, H36M_17
    points_px: np.ndarray  # (t, 17, 2), COCO_17
    camera: Camera
    fps: float

    @property
    def size(self) -> tuple[int, int]:
        return self.camera.width, self.camera.height

    def track(self, person: int = 1, **changes: np.ndarray) -> Track:
        found = Track(
            person, np.arange(len(self.points_px)) / self.fps, self.points_px, np.full((len(self.points_px), 17), 0.9)
        )
        return replace(found, **changes)


def seen(
    action: str = "Walking", *, seconds: float = 1.5, fps: float = 30.0, seed: int = 0, portrait: bool = False
) -> Seen:
    """Somebody doing something, as large as one of the random cameras shows them in a picture of 320 x 180 pixels."""
    (clip,) = synthetic_clips(seed, subjects=1, clips=1, seconds=seconds, fps=fps, actions=[action])
    rig = random_rig(clip.joints_world, seed, 24)
    cameras = [_small(c) for c in rig if c.width != c.height and (c.height > c.width) == portrait]
    looks = [camera.cam_to_px(camera.world_to_cam(_coco(clip.joints_world))) for camera in cameras]
    largest = int(np.argmax([np.ptp(points, axis=1).max(axis=1).mean() for points in looks]))
    return Seen(clip.joints_world, looks[largest], cameras[largest], fps)


def _small(camera: Camera) -> Camera:
    """The same camera with 320 pixels along the longer side."""
    scale = 320 / max(camera.width, camera.height)
    width, height = round(camera.width * scale), round(camera.height * scale)
    return replace(
        camera, focal_px=camera.focal_px * scale, center_px=camera.center_px * scale, width=width, height=height
    )


def _coco(joints: np.ndarray) -> np.ndarray:
    """(t, 17, 3) of H36M_17 to COCO_17; the ears as remapping takes them to be, nose and eyes in the same place."""
    thorax, neck = (joints[:, H36M_17.index(joint)].astype(np.float64) for joint in ("Thorax", "Neck"))
    ears = thorax + 4 / 3 * (neck - thorax)
    limbs = joints[:, [H36M_17.index(joint) for joint in COCO_17.joints[FACE:]]]
    return np.concatenate([np.repeat(ears[:, None], FACE, axis=1), limbs], axis=1)


def together(*points_px: np.ndarray) -> np.ndarray:
    """(t, 17, 2) of several people to (t, n, 17, 2)."""
    return np.stack(points_px, axis=1)


def scenery(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Something gray with enough contrast to be a scene."""
    width, height = size
    blocks = np.random.default_rng(seed).integers(40, 200, (6, 9), dtype=np.uint8)
    rows, columns = np.arange(height) * 6 // height, np.arange(width) * 9 // width
    return np.repeat(blocks[rows][:, columns, None], 3, axis=2)


def painted(background: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The picture with (n, 17, 2) pixels of people on it; nothing of joints that are NaN or outside."""
    image = background.copy()
    height, width = image.shape[:2]
    for person, points in enumerate(people):
        for dot, (x, y) in enumerate(points[list(DOTS)]):
            if not (np.isfinite([x, y]).all() and -RADIUS < x < width + RADIUS and -RADIUS < y < height + RADIUS):
                continue
            left, top = max(int(x - RADIUS), 0), max(int(y - RADIUS), 0)
            patch = image[top : int(y + RADIUS) + 2, left : int(x + RADIUS) + 2]
            down, right = np.ogrid[top : top + patch.shape[0], left : left + patch.shape[1]]
            patch[(right + 0.5 - x) ** 2 + (down + 0.5 - y) ** 2 <= RADIUS**2] = COLORS[person * len(DOTS) + dot]
    return image


def film(
    path: Path,
    people: Iterable[np.ndarray],
    size: tuple[int, int],
    *,
    fps: float = 30.0,
    times_s: Sequence[float] | None = None,
    scene: Callable[[int], int] = lambda _index: 0,
    turn: int = 0,
) -> Path:
    """Write a video of people, (n, 17, 2) pixels for every frame.

    Args:
        path: its suffix is the format.
        people: of each frame.
        size: width and height.
        fps: frames per second.
        times_s: of each frame, where the rate varies.
        scene: number of the background of a frame, by its index.
        turn: degrees by which a player has to turn the pictures, which lie on their side in the file.
    """
    import av

    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream("libx264", Fraction(fps).limit_denominator(1001))
        stream.options = {"preset": "ultrafast", "crf": "8", "bf": "0", "g": "15", "sc_threshold": "0"}
        stream.pix_fmt = "yuv444p"  # colors as sharp as the picture
        stream.width, stream.height = size[::-1] if turn % 180 else size
        stream.codec_context.time_base = TICK
        if turn:
            stream.set_display_rotation(turn, False, False)
        shown = -1
        for index, now in enumerate(people):
            if scene(index) != shown:
                shown = scene(index)
                background = scenery(size, shown)
            image = np.ascontiguousarray(np.rot90(painted(background, now), -turn // 90))
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.time_base = TICK
            picture.pts = round((index / fps if times_s is None else times_s[index]) / TICK)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@dataclass(eq=False)
class Dots:
    """A detector that finds painted people; it may fail at some frame, counted from its first."""

    name: str = "dots"
    skeleton: Skeleton = COCO_17
    about: dict[str, str] = field(default_factory=dict)
    fails_at: int | None = None
    error: type[BaseException] = KeyboardInterrupt
    calls: int = 0
    told: list[Detections | None] = field(default_factory=list)

    def __call__(self, image: np.ndarray) -> Detections:
        if self.calls == self.fails_at:
            raise self.error
        self.calls += 1
        ys, xs = np.nonzero(np.ptp(image, axis=2) > 100)
        off = np.abs(image[ys, xs].astype(np.int16)[:, None] - COLORS[None]).max(axis=2)
        nearest = off.argmin(axis=1)
        good = off.min(axis=1) < TOLERANCE
        nearest, places = nearest[good], np.stack([xs[good], ys[good]], axis=1) + 0.5
        count = np.bincount(nearest, minlength=len(COLORS))
        sums = np.stack([np.bincount(nearest, places[:, axis], len(COLORS)) for axis in range(2)], axis=1)
        found = (count >= FEWEST).reshape(MOST, -1)
        points = (sums / count.clip(1)[:, None]).reshape(MOST, -1, 2)
        there = found.sum(axis=1) >= 4
        confidence = np.where(found, 0.9, 0.0)[there][:, DOT_OF]
        return Detections(points[there][:, DOT_OF].astype(np.float32), confidence.astype(np.float32))

    def follow(self, people: Detections | None) -> None:
        self.told.append(people)
