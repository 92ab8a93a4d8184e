"""A page to look at a motion: one HTML file with the video, the skeleton in 2D and 3D, and what was recognized when.

It opens from disk in any browser and needs no network and no library (see docs/decisions/motion-page.md). The address
may name a moment: ``page.html#t=1.5``, ``#t=1.5&person=2``, ``#t=1.5&play``.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Float

from actlift.errors import InputError, MissingInputError
from actlift.files import render
from actlift.geometry.skeleton import COCO_17, H36M_17, Skeleton, remapping
from actlift.motion.motion import Motion, Segment

EMBED_UP_TO = 20_000_000  # bytes of video; larger ones are linked
COLORS = 6  # of actions, in viewer.css; further actions take them again
TICKS = 6  # at most, under the time line
ACROSS_2D = tuple((COCO_17.index("L" + joint), COCO_17.index("R" + joint)) for joint in ("Shoulder", "Hip"))


def write_page(motions: Sequence[Motion], path: Path, *, video: Path | None = None) -> None:
    """Write one page of several people of the same source, whole or not at all.

    Joints are rounded to a 65,535th of their range (0.15 mm in 10 m), keypoints likewise, confidences to a 255th.

    Args:
        motions: of people in one world, seen in images of one size.
        path: of the page.
        video: in a format that browsers play, its first frame being second 0 of the source. Up to 20 MB it goes into
            the page, beyond that the page links to it, and the two must be moved together. Without one the 2D skeleton
            is drawn on an empty image.

    Raises:
        InputError: for no motions, or images of several sizes.
        MissingInputError: if there is no such video.
        OSError: if the page cannot be written; an older one is then left as it was.
    """
    if not motions:
        raise InputError("a page shows at least one motion; got none")
    sizes = sorted({(motion.camera.width, motion.camera.height) for motion in motions})
    if len(sizes) > 1:
        given = " and ".join(f"{width} x {height}" for width, height in sizes)
        raise InputError(f"people of one page were seen in images of one size, got {given} pixels; write a page each")

    render(path, Path(__file__).with_name("viewer.html"), {**_contents(motions), "video": _film(video, path)})


def _contents(motions: Sequence[Motion]) -> dict[str, Any]:
    """What the template prints, every number already in words, and what the script reads."""
    start = min(motion.start_s for motion in motions)
    stop = max(_stop(motion) for motion in motions)
    labels = list(dict.fromkeys(s.label for m in motions for s in m.action_timeline if s.label != "unknown"))
    colors = {label: f"action-{i % COLORS}" for i, label in enumerate(labels)} | {"unknown": "unknown"}
    width, height = motions[0].camera.width, motions[0].camera.height
    scene = {
        "start": start,
        "stop": stop,
        "width": width,
        "height": height,
        "bones": _bones(H36M_17),
        "bones2d": [*_bones(COCO_17), *([left, right, 0] for left, right in ACROSS_2D)],
        "joints": list(H36M_17.joints),
        "madeOf": [np.flatnonzero(row).tolist() for row in remapping(COCO_17, H36M_17)],
        "people": [_numbers(motion) for motion in motions],
    }
    return {
        "source": next((motion.source for motion in motions if motion.source), "A motion"),
        "people": [
            {
                "number": motion.person,
                "range": f"{_clock(motion.start_s)} to {_clock(_stop(motion))}",
                "facts": _facts(motion),
                "details": {_spaced(k): _words(v) for k, v in motion.about.items() if not _short(v)},
                "actions": [{**_span(s, start, stop), "color": colors[s.label]} for s in motion.action_timeline],
                "warnings": [_span(s, start, stop) for s in motion.warnings],
                "lanes": [[_span(s, start, stop) for s in lane] for lane in _lanes(motion.warnings)],
            }
            for motion in motions
        ],
        "keypoints": [_spoken(joint) for joint in COCO_17.joints],
        "ticks": _ticks(start, stop),
        "start": start,
        "stop": stop,
        "width": width,
        "height": height,
        "scene": scene,
    }


def _film(video: Path | None, page: Path) -> dict[str, str] | None:
    """The video as the template takes it: its name with its content in base64, or with its address from the page."""
    if video is None:
        return None
    if not video.is_file():
        raise MissingInputError(f"there is no video {video}; leave it out for a page without one")
    if video.stat().st_size <= EMBED_UP_TO:
        return {"name": video.name, "content": base64.b64encode(video.read_bytes()).decode(), "address": ""}
    relative = Path(os.path.relpath(video.resolve(), page.resolve().parent))
    return {"name": video.name, "content": "", "address": quote(relative.as_posix())}


# numbers for the script


def _numbers(motion: Motion) -> dict[str, Any]:
    return {
        "person": motion.person,
        "start": motion.start_s,
        "fps": motion.fps,
        "frames": motion.frames,
        "joints": _packed(motion.joints_world, 16),
        "points": _packed(motion.pose2d_px, 16),
        "seen": _packed(motion.confidence, 8),
        "feet": _packed(motion.contacts.astype(np.float64), 8),
    }


def _packed(values: Float[np.ndarray, "*shape"], bits: int) -> dict[str, Any]:
    """Numbers as `low + step * integer`, the integers of so many bits, little-endian, in base64."""
    low, high = float(values.min()), float(values.max())
    step = (high - low) / (2**bits - 1)
    integers = np.rint((values.astype(np.float64) - low) / (step or 1.0)).astype(f"<u{bits // 8}")
    return {"low": low, "step": step, "bits": bits, "data": base64.b64encode(integers.tobytes()).decode()}


def _bones(skeleton: Skeleton) -> list[list[int]]:
    """Child, parent, and the child's side: 1 left, 2 right, 0 middle."""
    sides = {**dict.fromkeys(skeleton.left, 1), **dict.fromkeys(skeleton.right, 2)}
    return [[child, parent, sides.get(child, 0)] for child, parent in skeleton.bones]


# words and places for the template


def _stop(motion: Motion) -> float:
    return motion.start_s + motion.frames / motion.fps


def _span(segment: Segment, start: float, stop: float) -> dict[str, Any]:
    """A segment in words, and its place in per cent of the time line."""
    first, last = (min(max(s, start), stop) for s in (segment.start_s, segment.stop_s))
    probability = "" if np.isnan(segment.probability) else f"{100 * segment.probability:.0f} %"
    return {
        "label": segment.label,
        "probability": probability,
        "from": _clock(segment.start_s),
        "to": _clock(segment.stop_s),
        "start": first,
        "stop": last,
        "left": round(100 * (first - start) / (stop - start), 3),
        "width": round(100 * (last - first) / (stop - start), 3),
    }


def _lanes(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Segments in rows without overlap, as few as possible."""
    lanes: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: s.start_s):
        lane = next((lane for lane in lanes if lane[-1].stop_s <= segment.start_s), None)
        if lane is None:
            lanes.append([segment])
        else:
            lane.append(segment)
    return lanes


def _facts(motion: Motion) -> dict[str, str]:
    """What stands under the title: name, words."""
    return {
        "length": f"{_clock(motion.frames / motion.fps)}, {motion.frames:,} frames at {motion.fps:.4g} per second",
        **{_spaced(key): _words(value) for key, value in motion.about.items() if _short(value)},
    }


def _short(value: object) -> bool:
    return not isinstance(value, Mapping | list | tuple)


def _words(value: object) -> str:
    """A value of `about` in one line; of nested ones too."""
    if isinstance(value, Mapping):
        return "; ".join(f"{_spaced(key)}: {_words(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unknown"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _spaced(key: object) -> str:
    return str(key).replace("_", " ")


def _spoken(joint: str) -> str:
    """ "left knee" of "LKnee"."""
    j = COCO_17.index(joint)
    side = "left " if j in COCO_17.left else "right " if j in COCO_17.right else ""
    return side + joint[bool(side) :].lower()


def _clock(seconds: float) -> str:
    """ "3.2 s", or minutes and seconds "1:03.2"."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}" if tenths >= 600 else f"{tenths / 10:.1f} s"


def _ticks(start: float, stop: float) -> list[dict[str, Any]]:
    """Round times of the time line, with their places in per cent."""
    steps = np.outer(10.0 ** np.arange(-2, 5), [1, 2, 5]).ravel()
    steps = np.sort(np.append(steps[steps < 20], [15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200]))
    step = float(next((s for s in steps if (stop - start) / s < TICKS), steps[-1]))
    times = step * np.arange(np.ceil(start / step - 1e-9), np.floor(stop / step + 1e-9) + 1)
    return [
        {
            "text": f"{t // 60:.0f}:{t % 60:02.0f}" if stop >= 60 else f"{t:g} s",
            "left": 100 * (t - start) / (stop - start),
        }
        for t in (round(float(t), 6) + 0.0 for t in times)  # 0.0: no minus before a zero
    ]
