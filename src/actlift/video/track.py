"""Tracking: which of the people found in one image is which of those in the next.

Frame by frame. Everybody who is followed is expected where they were last seen, moved on by the velocity of their body,
which fades while they are unseen. People found are assigned to those expected by the least sum of distances between
keypoints (Kuhn 1955, the Hungarian method), in units of the person's size; joints count by confidence, and left and
right are not told apart, since detectors mistake them. Who is out of reach of everybody is new. Whoever has been in
sight lately chooses first, then those lost from sight, for up to a second (the cascade of Wojke et al. 2017, "Simple
online and realtime tracking with a deep association metric"). A person found faintly goes on with a track but does not
begin one (as in Zhang et al. 2022, "ByteTrack").

It is deterministic: the same people pushed again give the same tracks, to the bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Float32
from scipy.optimize import linear_sum_assignment

from actlift.errors import InputError
from actlift.geometry.skeleton import COCO_17

if TYPE_CHECKING:
    from actlift.video.detectors.base import Detections

# Confidences are of a person: the mean over the surer half of the joints, since half of a body may be out of sight.
FAINT = 0.15  # below which a person found is none
BEGIN = 0.3  # from which one begins a track
PRESENT = 0.2  # least confidence of a track, mean over its frames, those without a detection counting 0

# Distances are of keypoints, mean over joints, in units of the person's size (`sizes`).
REACH = 0.25  # farthest from where they are expected that a person is found
REACH_PER_S = 0.7  # by which it grows with every second out of sight
SAME = 0.06  # nearest that two people are: what is nearer is one person found twice
SIZE_WEIGHT = 0.2  # distance that a size e times as large or small is worth

LOST_S = 1.0  # out of sight for longer, and for more than LOST_FRAMES frames: whoever comes then is a new person
LOST_FRAMES = 5
LATELY_S = 0.25  # out of sight for no longer: chooses first
VELOCITY_S = 0.15  # time over which the velocity of a body is averaged
FADE_S = 0.5  # time constant with which the velocity fades out of sight
SIZE_S = 1.0  # time over which the size of a body is averaged

LEAST_FRAMES = 3  # fewest of a person, where the scene has as many frames
SHORT_S = 0.5  # shortest that a person is there, where the scene is twice as long

_MIRROR = np.array(COCO_17.mirror)
_HALF = len(COCO_17) // 2


@dataclass(frozen=True, eq=False)
class Track:
    """One person, for as long as they were followed.

    Attributes:
        person: number, from 1.
        times_s: seconds of the source, of every frame from the first in which they were seen to the last; increasing,
            maybe uneven.
        points_px: (t, 17, 2) pixels, joints in the order of `COCO_17`; NaN where unseen.
        confidence: (t, 17) 0 to 1; 0 where unseen.

    Raises:
        InputError: there is no frame, shapes do not fit together, times do not increase, or confidences do not fit.
    """

    person: int
    times_s: Float[np.ndarray, " t"]
    points_px: Float[np.ndarray, "t 17 2"]
    confidence: Float[np.ndarray, "t 17"]

    def __post_init__(self) -> None:
        t, j = len(self.times_s), len(COCO_17)
        shapes = self.points_px.shape, self.confidence.shape
        if t == 0 or shapes != ((t, j, 2), (t, j)):
            raise InputError(
                f"a track of {t} times has points and confidence of shapes {shapes[0]} and {shapes[1]}; wanted "
                f"({t}, {j}, 2) and ({t}, {j}), of at least one frame"
            )
        if not (np.isfinite(self.times_s).all() and (np.diff(self.times_s) > 0).all()):
            raise InputError("the times of a track must be finite and increase from frame to frame")
        unseen = ~np.isfinite(self.points_px).all(axis=-1)
        if not ((self.confidence >= 0) & (self.confidence <= np.where(unseen, 0, 1))).all():
            raise InputError("confidences of a track lie in 0 to 1, and are 0 where a joint has no place")

    @property
    def frames(self) -> int:
        return len(self.times_s)


class ActiveTrack(NamedTuple):
    """A person in sight: their number, (17, 2) pixels, NaN where unseen, and (17,) confidences, 0 where unseen."""

    person: int
    points_px: Float32[np.ndarray, "17 2"]
    confidence: Float32[np.ndarray, " 17"]


@dataclass(eq=False)
class _Person:
    """What is known of one who is followed: how they are expected to be seen next, and all that was seen, as bytes."""

    points: Float[np.ndarray, "17 2"]  # where each joint was seen last, moved on; NaN for those never seen
    confidence: Float[np.ndarray, " 17"]  # of each joint when it was seen last
    size: float
    seen_s: float
    velocity: Float[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2))  # px/s
    number: int | None = None  # once seen often enough
    sure: float = 0.0  # sum over frames
    frames: list[int] = field(default_factory=list)
    seen: bytearray = field(default_factory=bytearray)  # 17 x (x, y, confidence), float32

    def record(self, frame: int, points: Float[np.ndarray, "17 2"], confidence: Float[np.ndarray, " 17"]) -> None:
        self.frames.append(frame)
        self.seen += np.concatenate([points, confidence[:, None]], axis=1).astype(np.float32).tobytes()
        self.sure += float(_sureness(confidence))

    def expected(self, time_s: float) -> Float[np.ndarray, "17 2"]:
        """Where the joints should be: the body has moved on, ever slower."""
        return np.asarray(self.points - self.velocity * FADE_S * np.expm1(-(time_s - self.seen_s) / FADE_S))

    def see(self, time_s: float, points: Float[np.ndarray, "17 2"], confidence: Float[np.ndarray, " 17"]) -> None:
        """Learn from where they are seen."""
        dt = time_s - self.seen_s
        expected = self.expected(time_s)
        weights = np.sqrt(self.confidence * confidence)[:, None]
        missed = np.nansum(weights * (points - expected), axis=0) / weights.sum().clip(1e-9)
        self.velocity = self.velocity * np.exp(-dt / FADE_S) - np.expm1(-dt / VELOCITY_S) * missed / dt
        seen = confidence > 0
        self.points = np.where(seen[:, None], points, expected + missed)
        self.confidence = np.where(seen, confidence, self.confidence)
        self.size += float(-np.expm1(-dt / SIZE_S) * (sizes(points[None], confidence[None])[0] - self.size))
        self.seen_s = time_s


class Tracker:
    """Follows everybody through a video, frame by frame.

    Memory is about 250 bytes a person and frame: 23 MB for five people in ten minutes at 30 frames per second.
    """

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._scenes: list[int] = []  # first frame of each
        self._active: list[_Person] = []
        self._ended: list[_Person] = []
        self._numbers = 0

    def push(self, time_s: float, detections: "Detections", *, cut: bool = False) -> None:
        """Take the next frame.

        Args:
            time_s: seconds, more than of the frame before.
            detections: in it, with the joints of `COCO_17`. A joint with confidence 0, or not finite, is unseen.
            cut: nobody goes on from the frame before.

        Raises:
            InputError: for a time that does not increase, or joints that are not those of `COCO_17`.
        """
        if not np.isfinite(time_s) or (self._times_s and time_s <= self._times_s[-1]):
            last = f"; the frame before is at {self._times_s[-1]} s" if self._times_s else ""
            raise InputError(f"a frame at {time_s} s cannot come next{last}: times must increase")
        points, confidence = _distinct(*_seen(detections))
        if cut or not self._times_s:
            self._scenes.append(len(self._times_s))
            self._end(self._active)
        self._times_s.append(time_s)
        frame = len(self._times_s) - 1

        self._end([who for who in self._active if self._lost(who)])
        left = np.arange(len(points))
        for group in (True, False):  # those in sight lately, then the others
            whose = [f for f in self._active if (time_s - f.seen_s <= LATELY_S or f.frames[-1] == frame - 1) == group]
            taken = []
            for i, k in _assigned(whose, time_s, points[left], confidence[left]):
                whose[i].see(time_s, points[left[k]], confidence[left[k]])
                whose[i].record(frame, points[left[k]], confidence[left[k]])
                taken.append(k)
            left = np.delete(left, taken)
        for k in left[_sureness(confidence[left]) >= BEGIN]:
            who = _Person(points[k], confidence[k], float(sizes(points[k : k + 1], confidence[k : k + 1])[0]), time_s)
            who.record(frame, points[k], confidence[k])
            self._active.append(who)

        often = min(LEAST_FRAMES, len(self._times_s) - self._scenes[-1])
        for who in self._active:
            if who.number is None and len(who.frames) >= often:
                self._numbers += 1
                who.number = self._numbers

    def active_tracks(self) -> list[ActiveTrack]:
        """Everybody seen in the last frame who is no newcomer: seen in three frames, or in all of a scene so far.

        They are numbered in the order in which they came to be so; where :meth:`finish` drops a person, its numbers
        are others.
        """
        now = len(self._times_s) - 1
        active = []
        for who in self._active:
            if who.number is not None and who.frames[-1] == now:
                points, confidence = _unpacked(who.seen[-len(COCO_17) * 12 :])
                active.append(ActiveTrack(who.number, points[0], confidence[0]))
        return active

    def finish(self) -> list[Track]:
        """The tracks of all that was pushed so far, those seen in most frames first.

        They are numbered in the order of their first frames, the more often seen first among those of one frame. Left
        out are people who were seen too seldom, for too short a time or too faintly to be there.
        """
        there = [who for who in (*self._ended, *self._active) if self._counts(who)]
        there.sort(key=lambda who: (who.frames[0], -len(who.frames)))
        numbered = sorted(enumerate(there, 1), key=lambda entry: -len(entry[1].frames))
        return [self._track(number, who) for number, who in numbered]

    def _track(self, number: int, who: _Person) -> Track:
        first, last = who.frames[0], who.frames[-1]
        points = np.full((last - first + 1, len(COCO_17), 2), np.nan, np.float32)
        confidence = np.zeros(points.shape[:2], np.float32)
        rows = np.array(who.frames) - first
        points[rows], confidence[rows] = _unpacked(who.seen)
        return Track(number, np.array(self._times_s[first : last + 1]), points, confidence)

    def _lost(self, who: _Person) -> bool:
        """Whether a person was out of sight for too long, before the last frame."""
        now = len(self._times_s) - 1
        return self._times_s[now] - who.seen_s > LOST_S and now - who.frames[-1] > LOST_FRAMES

    def _end(self, who: list[_Person]) -> None:
        self._active = [other for other in self._active if other not in who]
        self._ended += [ended for ended in who if self._counts(ended)]

    def _counts(self, who: _Person) -> bool:
        """Whether a person was there, as far as the scene goes until now; once not, never: a scene only gets longer."""
        first, last = who.frames[0], who.frames[-1]
        scene = int(np.searchsorted(self._scenes, first, side="right")) - 1
        begin = self._scenes[scene]
        stop = self._scenes[scene + 1] if scene + 1 < len(self._scenes) else len(self._times_s)
        there_s = self._times_s[last] - self._times_s[first]
        scene_s = self._times_s[stop - 1] - self._times_s[begin]
        return (
            len(who.frames) >= min(LEAST_FRAMES, stop - begin)
            and there_s >= min(SHORT_S, scene_s / 2)
            and who.sure / (last - first + 1) >= PRESENT
        )


def _unpacked(seen: bytearray) -> tuple[Float32[np.ndarray, "t 17 2"], Float32[np.ndarray, "t 17"]]:
    rows = np.frombuffer(bytes(seen), np.float32).reshape(-1, len(COCO_17), 3)
    return rows[..., :2], rows[..., 2]


def _seen(detections: "Detections") -> tuple[Float[np.ndarray, "n 17 2"], Float[np.ndarray, "n 17"]]:
    """Points, NaN where unseen, and confidences, 0 where unseen, without those who are too faint; the surest first.

    Raises:
        InputError: for joints that are not those of `COCO_17`.
    """
    shape = detections.points_px.shape
    if shape[1:] != (len(COCO_17), 2) or detections.confidence.shape != shape[:2]:
        raise InputError(
            f"people with points and confidence of shapes {shape} and {detections.confidence.shape}; wanted (n, 17, 2) "
            "and (n, 17), joints in the order of COCO_17: remap them"
        )
    points = detections.points_px.astype(np.float64)
    confidence = np.nan_to_num(detections.confidence.astype(np.float64), nan=0.0).clip(0.0, 1.0)
    confidence = np.where(np.isfinite(points).all(axis=-1), confidence, 0.0)
    points = np.where(confidence[..., None] > 0, points, np.nan)
    sure = _sureness(confidence)
    order = np.argsort(-sure, kind="stable")
    order = order[sure[order] >= FAINT]
    return points[order], confidence[order]


def _distinct(
    points: Float[np.ndarray, "n 17 2"], confidence: Float[np.ndarray, "n 17"]
) -> tuple[Float[np.ndarray, "m 17 2"], Float[np.ndarray, "m 17"]]:
    """Those who are not a surer person, found twice."""
    apart = _distances(points, confidence, points, confidence) / sizes(points, confidence)[:, None]
    kept: list[int] = []
    for k in range(len(points)):
        if (apart[kept, k] > SAME).all():
            kept.append(k)
    return points[kept], confidence[kept]


def _sureness(confidence: Float[np.ndarray, "*lead 17"]) -> Float[np.ndarray, "*lead"]:
    """Confidence of people: mean over the surer half of the joints."""
    return np.asarray(np.sort(confidence, axis=-1)[..., _HALF:].mean(axis=-1))


def sizes(
    points_px: Float[np.ndarray, "*lead 17 2"], confidence: Float[np.ndarray, "*lead 17"]
) -> Float[np.ndarray, "*lead"]:
    """About the diagonal of the box around a person's joints, in pixels, at least one.

    It is 3.15 times the joints' root mean square distance from their mean, by confidence, so that no single joint makes
    it jump. Joints with confidence 0 may be NaN.
    """
    weights = confidence / confidence.sum(axis=-1, keepdims=True).clip(1e-9)
    points = np.where(weights[..., None] > 0, points_px, 0.0)
    off = points - (weights[..., None] * points).sum(axis=-2, keepdims=True)
    return np.asarray((3.15 * np.sqrt((weights * (off**2).sum(axis=-1)).sum(axis=-1))).clip(1.0))


def _distances(
    points: Float[np.ndarray, "n 17 2"],
    confidence: Float[np.ndarray, "n 17"],
    others: Float[np.ndarray, "m 17 2"],
    others_confidence: Float[np.ndarray, "m 17"],
) -> Float[np.ndarray, "n m"]:
    """Mean distance of joints of everybody to those of every other, in pixels, by confidence; infinite where none is.

    Each pair of left and right is matched as it fits best.
    """
    straight = np.linalg.norm(points[:, None] - others[None], axis=-1)  # (n, m, 17)
    across = np.linalg.norm(points[:, None] - others[None][:, :, _MIRROR], axis=-1)
    gain = straight - across
    apart = np.where(gain + gain[..., _MIRROR] > 0, across, straight)
    weights = np.sqrt(confidence[:, None] * others_confidence[None]) * np.isfinite(apart)
    total = weights.sum(axis=-1)
    mean = (weights * np.nan_to_num(apart)).sum(axis=-1) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, mean, np.inf))


def _assigned(
    people: list[_Person],
    time_s: float,
    points: Float[np.ndarray, "m 17 2"],
    confidence: Float[np.ndarray, "m 17"],
) -> Iterator[tuple[int, int]]:
    """Pairs of a person who is followed and one who is found that are the same."""
    if not people or not len(points):
        return
    expected = np.stack([who.expected(time_s) for who in people])
    size = np.array([who.size for who in people])
    unseen_s = time_s - np.array([who.seen_s for who in people])
    apart = _distances(expected, np.stack([who.confidence for who in people]), points, confidence) / size[:, None]
    apart += SIZE_WEIGHT * np.abs(np.log(sizes(points, confidence)[None] / size[:, None]))
    reach = (REACH + REACH_PER_S * unseen_s)[:, None]
    cost = np.minimum(apart / reach, 1.0)  # no pair costs as much as one that is just out of reach
    for i, k in zip(*linear_sum_assignment(cost), strict=True):
        if apart[i, k] < reach[i, 0]:
            yield int(i), int(k)
