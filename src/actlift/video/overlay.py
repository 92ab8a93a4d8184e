"""A video of what was found: the source with every person's 2D skeleton, number and action, and beside it their 3D
skeletons from the side, so that one sees whether the depth is right.

Left is blue and right is orange, which people with any common kind of color blindness tell apart (Okabe and Ito,
"Color universal design", 2008). What was seen badly is faint.

Lines are drawn with soft edges straight into the image: the share of a pixel that a round-ended line covers follows
from its distance to the line.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy.ndimage import gaussian_filter1d

from actlift.errors import InputError
from actlift.files import replacing
from actlift.geometry.skeleton import COCO_17, H36M_17, Skeleton
from actlift.motion.motion import Motion
from actlift.video.decode import EPSILON_S, Frame, is_live, open_source, read_frames

if TYPE_CHECKING:
    from av.video.stream import VideoStream

LONGEST_SIDE = 1280  # of the video in pixels; larger sources are scaled down
PANEL = 0.5  # width of the panel beside the video, in the video's shorter side
NARROWEST_PANEL = 96
SIDE_VIEWS = 4  # at most, one below the other
WIDE_M, TALL_M = 1.8, 2.2  # what a side view shows at least
BELOW_PELVIS_M = 1.0  # and of someone who is off the floor
STEADY_S = 0.5  # the side view follows a person's pelvis smoothed over so much
MARK_M = 0.5  # between marks on the floor
LEFT, RIGHT, MIDDLE = (86, 180, 233), (230, 159, 0), (240, 240, 240)
BACKGROUND, GRAY, WHITE = (24, 26, 30), (130, 134, 140), (255, 255, 255)
RIM_PX, RIM_OPACITY = 1.2, 0.6  # a dark rim, for bright backgrounds
FAINTEST = 0.2  # opacity at no confidence
TICK = Fraction(1, 60000)  # every usual frame rate is whole in it, and MPEG-4's old encoder takes no finer one
ENCODERS = {  # the first that is there is taken
    "libx264": {
        "preset": "veryfast",
        "crf": "21",
        "bf": "0",
    },  # with B-frames MP4 would cut the last frame's time short
    "mpeg4": {"qmax": "4"},
}

_Color = tuple[int, int, int]
_Image = UInt8[np.ndarray, "h w 3"]
_Point = Float[np.ndarray, "2"]
_Meters = Float[np.ndarray, "*n"] | float


def _color(skeleton: Skeleton, joint: int) -> _Color:
    return LEFT if joint in skeleton.left else RIGHT if joint in skeleton.right else MIDDLE


def _lines(skeleton: Skeleton, bones: Sequence[tuple[int, int]]) -> tuple[tuple[int, int, _Color], ...]:
    return tuple((child, parent, _color(skeleton, child)) for child, parent in bones)


LINES_3D = _lines(H36M_17, H36M_17.bones)
SHOULDERS, HIPS = ((COCO_17.index(f"L{joint}"), COCO_17.index(f"R{joint}")) for joint in ("Shoulder", "Hip"))
NECK = len(COCO_17)  # between the shoulders
LINES_2D = (  # COCO's tree hangs the shoulders on the ears; a body is bound by its shoulders and hips
    *((a, b, MIDDLE) for a, b in (SHOULDERS, HIPS, (NECK, COCO_17.index("Nose")))),
    *_lines(COCO_17, [(child, parent) for child, parent in COCO_17.bones if child not in SHOULDERS]),
)
DOTS_2D = tuple(_color(COCO_17, joint) for joint in range(len(COCO_17)))


def write_overlay(
    motions: Sequence[Motion],
    source_path: Path | str,
    path: Path | str,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    fps: float | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_trouble: Callable[[str], None] | None = None,
) -> Path:
    """Write the source with the motions drawn over it as MP4 (H.264, or MPEG-4 Part 2 where there is no encoder).

    It has the source's frames at the source's times, scaled down to `LONGEST_SIDE` where they are larger, and a panel
    at their right. The file is written whole or not at all.

    Args:
        motions: of the people in the source.
        source_path: what they were made from: a video file, or a folder of images.
        path: ends in .mp4.
        start_s, end_s: seconds of the source; the video begins with the first frame in them.
        fps: of a folder of images, as when the motions were made.
        on_progress: is called with the number of frames done after each.
        on_trouble: as for `read_frames`.

    Raises:
        InputError: without motions; for a file that does not end in .mp4 or is the source itself, a camera, or a source
            that is not as large as the one that the motions were made from; as `read_frames`.
        OSError: as `read_frames`; if the file cannot be written, and then a file that lay there is as it was.
        MissingPackageError: as `read_frames`.
    """
    path = Path(path)
    if not motions:
        raise InputError("an overlay needs at least one motion, got none: nobody was found in the source")
    if path.suffix.lower() != ".mp4":
        raise InputError(f"an overlay is an MP4 video, but {path} does not end in .mp4; name it so")
    if is_live(source_path):
        raise InputError(f"{source_path} is a camera, whose pictures are gone; record a file and give that")
    source = open_source(source_path, fps=fps)
    if path.exists() and path.samefile(source_path):
        raise InputError(f"{path} is the source itself; give the overlay another name")
    for motion in motions:
        if (motion.camera.width, motion.camera.height) != (source.width, source.height):
            raise InputError(
                f"the motion of person {motion.person} was made from a video of {motion.camera.width} x "
                f"{motion.camera.height} pixels, but {source.name} has {source.width} x {source.height}; give the "
                "video that it was made from"
            )
    scale = min(1.0, LONGEST_SIDE / max(source.width, source.height))
    width, height = (max(2 * round(side * scale / 2), 2) for side in (source.width, source.height))
    to_px = np.array([width / source.width, height / source.height])
    frames = read_frames(
        source_path, start_s=start_s, end_s=end_s, fps=fps, size=(width, height), on_trouble=on_trouble
    )
    with replacing(path) as beside, closing(_drawn(motions, frames, width, height, to_px)) as drawn:
        _encode(drawn, beside, source.fps, on_progress)
    return path


def _encode(
    drawn: Iterator[tuple[float, _Image]], path: Path, fps: float, on_progress: Callable[[int], None] | None
) -> None:
    """Write images, each with its time in seconds, of which the first becomes 0."""
    import av
    from av.video.reformatter import Colorspace, VideoReformatter

    name = next(name for name in ENCODERS if name in av.codecs_available)
    to_yuv = VideoReformatter()
    rate = Fraction(fps).limit_denominator(1001)
    first_s, first = next(drawn)
    try:
        with av.open(f"file:{path}", "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream = cast("VideoStream", container.add_stream(name, rate, ENCODERS[name]))
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt, stream.codec_context.time_base = "yuv420p", TICK
            stream.color_range, stream.colorspace, stream.color_primaries, stream.color_trc = 1, 1, 1, 1  # BT.709

            def mux(packets: list["av.Packet[VideoStream]"]) -> None:
                for packet in packets:
                    packet.duration = round(1 / (rate * packet.time_base))  # counts for the last alone
                    container.mux(packet)

            for done, (time_s, image) in enumerate(chain([(first_s, first)], drawn), start=1):
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture = to_yuv.reformat(picture, format="yuv420p", dst_colorspace=Colorspace.ITU709)
                picture.pts, picture.time_base = round((time_s - first_s) / TICK), TICK
                mux(stream.encode(picture))
                if on_progress:
                    on_progress(done)
            mux(stream.encode())
    except av.FFmpegError as error:
        raise OSError(error.strerror) from error


def _drawn(
    motions: Sequence[Motion], frames: Iterator[Frame], width: int, height: int, to_px: Float[np.ndarray, "2"]
) -> Generator[tuple[float, _Image], None, None]:
    """Time and image of every frame; the image is drawn over when the next one is asked for."""
    panel = max(2 * round(PANEL * min(width, height) / 2), NARROWEST_PANEL)
    font_px = int(np.clip(min(width, height) / 32, 9, 24))
    slots = _slots(motions)
    shown = min(max(slots) + 1, SIDE_VIEWS)
    views = [slice(k * height // shown, (k + 1) * height // shown) for k in range(shown)]
    middles = [gaussian_filter1d(m.joints_world[:, H36M_17.root], STEADY_S * m.fps, axis=0) for m in motions]
    canvas = np.empty((height, width + panel, 3), dtype=np.uint8)
    with closing(frames):  # type: ignore[type-var]
        for frame in frames:
            canvas[:, :width] = frame.image
            canvas[:, width:] = BACKGROUND
            labels = []
            for motion, slot, middle in zip(motions, slots, middles, strict=True):
                at = (frame.time_s - motion.start_s) * motion.fps
                if not -0.5 <= at <= motion.frames - 0.5:
                    continue
                points_px = _between(motion.pose2d_px, at) * to_px
                _draw_body(canvas[:, :width], points_px, _between(motion.confidence, at))
                labels.append((points_px, _label(motion, frame.time_s)))
                if slot < shown:
                    _draw_side_view(
                        canvas[views[slot], width:],
                        _between(motion.joints_world, at),
                        _between(middle, at),
                        _label(motion, frame.time_s),
                        font_px,
                    )
            for points_px, label in labels:  # over all bodies
                _draw_label(canvas[:, :width], points_px, label, font_px)
            yield frame.time_s, canvas


def _slots(motions: Sequence[Motion]) -> list[int]:
    """A side view for each motion, the lowest that is free for all of its time."""
    free_s: list[float] = []
    slots = [0] * len(motions)
    for i in sorted(range(len(motions)), key=lambda i: (motions[i].start_s, motions[i].person)):
        start_s, stop_s = motions[i].start_s, motions[i].start_s + motions[i].frames / motions[i].fps
        slots[i] = next((slot for slot, until_s in enumerate(free_s) if until_s <= start_s), len(free_s))
        free_s[slots[i] : slots[i] + 1] = [stop_s]
    return slots


def _between(values: Float[np.ndarray, "t *axes"], at: float) -> Float[np.ndarray, "*axes"]:
    """Values at a position between two frames."""
    before = int(np.clip(at, 0, len(values) - 1))
    after = min(before + 1, len(values) - 1)
    share = float(np.clip(at - before, 0, 1))
    between: Float[np.ndarray, "*axes"] = (1 - share) * values[before] + share * values[after]
    return between


def _label(motion: Motion, time_s: float) -> str:
    action = next((s.label for s in reversed(motion.action_timeline) if s.start_s <= time_s + EPSILON_S), "")
    return f"{motion.person}  {action}".rstrip()


def _draw_body(image: _Image, points_px: Float[np.ndarray, "17 2"], confidence: Float[np.ndarray, " 17"]) -> None:
    thick = float(np.clip(np.ptp(points_px, axis=0).max() / 60, 1.5, 6.0))
    points = np.concatenate([points_px, points_px[SHOULDERS, :].mean(axis=0, keepdims=True)])
    opacity = FAINTEST + (1 - FAINTEST) * np.clip(np.append(confidence, confidence[SHOULDERS,].min()), 0, 1)
    for a, b, color in LINES_2D:
        _draw_line(image, points[a], points[b], thick, color, float(min(opacity[a], opacity[b])))
    for joint, color in enumerate(DOTS_2D):
        _draw_line(image, points[joint], points[joint], 1.7 * thick, color, float(opacity[joint]))


def _draw_label(image: _Image, points_px: Float[np.ndarray, "17 2"], label: str, font_px: int) -> None:
    """A person's number and action, over the highest keypoint, within the image."""
    text = _text(label, font_px)
    height, width = text.shape
    pad = font_px // 3
    left = int(np.clip(np.mean(points_px[:, 0]) - width / 2, pad, max(image.shape[1] - width - pad, pad)))
    top = int(np.clip(points_px[:, 1].min() - height - 1.5 * font_px, pad, max(image.shape[0] - height - pad, pad)))
    box = image[top - pad : top + height + pad, left - pad : left + width + pad]
    box[:] = (0.35 * box + 0.65 * np.array(BACKGROUND)).astype(np.uint8)
    _draw_text(image, left, top, text, WHITE)


def _draw_side_view(
    image: _Image,
    joints_world: Float[np.ndarray, "17 3"],
    middle_world: Float[np.ndarray, "3"],
    label: str,
    font_px: int,
) -> None:
    """A person as seen from the camera's right, along -x and without perspective: away from the camera is right."""
    height, width = image.shape[:2]
    pad, small = font_px // 2, max(round(0.7 * font_px), 8)
    top, bottom = pad + 3 * small, height - pad - 2 * small
    px_per_m = min(width / WIDE_M, max(bottom - top, 1) / TALL_M)
    bottom = (top + bottom + TALL_M * px_per_m) / 2  # in the middle of a panel that is higher than need be
    y_m, z_m = middle_world[1], max(middle_world[2] - BELOW_PELVIS_M, 0.0)
    reach_m = width / 2 / px_per_m

    def to_px(y: _Meters, z: _Meters) -> Float[np.ndarray, "*n 2"]:
        return np.stack(np.broadcast_arrays(width / 2 + (y - y_m) * px_per_m, bottom - (z - z_m) * px_per_m), axis=-1)

    marks = np.arange(np.ceil((y_m - reach_m) / MARK_M), (y_m + reach_m) / MARK_M) * MARK_M
    ends = to_px(np.array([y_m - reach_m, y_m + reach_m]), 0.0)
    _draw_line(image, ends[0], ends[1], 1.0, GRAY, 1.0)
    for start, stop in zip(to_px(marks, 0.0), to_px(marks, -0.05), strict=True):
        _draw_line(image, start, stop, 1.0, GRAY, 1.0)
    points = to_px(joints_world[:, 1], joints_world[:, 2])
    for a, b, color in sorted(LINES_3D, key=lambda line: joints_world[line[0], 0] + joints_world[line[1], 0]):
        _draw_line(image, points[a], points[b], max(px_per_m / 40, 1.5), color, 1.0)
    _draw_text(image, pad, pad, _text(label, font_px), WHITE)
    left = pad
    for text, color in ((f"from the side, marks every {MARK_M:g} m", GRAY), ("left", LEFT), ("right", RIGHT)):
        _draw_text(image, left, pad + round(1.3 * font_px), _text(text, small), color)
        left += _text(text, small).shape[1] + small // 2
    away = _text("away \u2192", small)
    below = min(round(bottom) + small // 2, height - pad - away.shape[0])
    _draw_text(image, pad, below, _text("\u2190 to the camera", small), GRAY)
    _draw_text(image, width - away.shape[1] - pad, below, away, GRAY)


def _draw_line(image: _Image, start: _Point, stop: _Point, thick: float, color: _Color, opacity: float) -> None:
    """A round-ended line, or a dot, with a dark rim; coordinates in pixels from the corner of the image."""
    outer = thick / 2 + RIM_PX
    (left, top), (right, bottom) = np.minimum(start, stop) - outer - 1, np.maximum(start, stop) + outer + 1
    rows = slice(*np.clip([top, bottom], 0, image.shape[0]).astype(int))
    columns = slice(*np.clip([left, right], 0, image.shape[1]).astype(int))
    x = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - start[0])
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - start[1])
    along_x, along_y = (stop - start).astype(np.float32)
    share = np.clip((x * along_x + y * along_y) / max(along_x**2 + along_y**2, np.float32(1e-6)), 0, 1)
    distance = np.hypot(x - share * along_x, y - share * along_y)[..., None]
    part = image[rows, columns]
    inside = np.clip(thick / 2 + 0.5 - distance, 0, 1)
    rim = np.clip(outer + 0.5 - distance, 0, 1) * np.float32(RIM_OPACITY * opacity)
    drawn = part + rim * (np.array(BACKGROUND, dtype=np.float32) - part)
    part[:] = drawn + inside * np.float32(opacity) * (np.array(color, dtype=np.float32) - drawn) + 0.5


def _draw_text(image: _Image, left: int, top: int, text: Float32[np.ndarray, "rows columns"], color: _Color) -> None:
    part = image[top : top + text.shape[0], left : left + text.shape[1]]
    cover = text[: part.shape[0], : part.shape[1], None]
    part[:] = part + cover * (np.array(color, dtype=np.float32) - part) + 0.5


@lru_cache(maxsize=256)
def _text(text: str, font_px: int) -> Float32[np.ndarray, "rows columns"]:
    """What share of each pixel the letters cover."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", font_px)
    left, _, right, _ = font.getbbox(text)
    rise, fall = font.getmetrics()
    image = Image.new("L", (max(int(right - left), 1), rise + fall))
    ImageDraw.Draw(image).text((-left, 0), text, fill=255, font=font)
    return np.asarray(image, dtype=np.float32) / 255
