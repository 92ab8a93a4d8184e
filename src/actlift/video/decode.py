"""Reading video: files, folders of images and cameras, as upright RGB frames with the times of their source.

Times come from the source's own timestamps, so a variable frame rate is honored. They increase strictly: a frame
without a timestamp comes one nominal frame after the one before it, a repeated timestamp half a frame after it, and
where the timestamps jump back (joined recordings) the clock runs on.
"""

import math
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64, UInt8

from actlift.errors import InputError, MissingInputError, MissingPackageError
from actlift.video.cuts import CutDetector
from actlift.video.upright import Turn, square_size, turn_by, turn_of, upright

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
IMAGES_FPS = 30.0  # of a folder of images, where nothing else is said
BACK_S = 1.0  # timestamps that go back by more have started anew
AHEAD_S = 10.0  # and in formats whose timestamps may jump, those that go ahead by more
MISSING_S = 0.5  # a video that ends so much early is reported
EPSILON_S = 1e-6


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture of a video.

    Attributes:
        index: of the source, from 0.
        time_s: seconds from the source's first frame.
        image: RGB, upright, square pixels.
        cut: nothing to do with the frame before it: the scene changed. False for the first frame that is read.
    """

    index: int
    time_s: float
    image: UInt8[np.ndarray, "h w 3"]
    cut: bool


@dataclass(frozen=True)
class Source:
    """What is known of a video before it is read.

    Attributes:
        name: of the file or folder, without the folder that it lies in; "camera N" of a camera.
        width, height: of the upright images in pixels.
        fps: nominal; the frames' times may be uneven.
        frames, duration_s: as the file tells or lets one reckon: estimates; None where it does not, and of a camera.
    """

    name: str
    width: int
    height: int
    fps: float
    frames: int | None
    duration_s: float | None


def is_live(path: Path | str) -> bool:
    """Whether that is a camera: /dev/videoN, or a whole number where no file or folder has it for its name."""
    text = str(path)
    return bool(re.fullmatch(r"/dev/video\d+", text)) or (text.isdecimal() and not Path(text).exists())


def open_source(path: Path | str, *, fps: float | None = None) -> Source:
    """Look at a video file, a folder of images (in the order of the numbers in their names), or a camera.

    Args:
        path: of a file in any format that FFmpeg knows, of a folder, or a camera as "0" or "/dev/video0" (Linux).
        fps: frames per second of a folder of images; `IMAGES_FPS` where it is left out.

    Raises:
        MissingInputError: if nothing is there.
        OSError: for a file that may not be read, or a camera that does not answer.
        InputError: if no picture comes out of it: an empty file, one cut short before its index, no video at all, sound
            alone, a folder without images; for images of differing sizes; for `fps` where the source has its own.
        MissingPackageError: without the extra `video`; says how to install it.
    """
    try:
        import av  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "reading video needs the package av: pip install actlift[video]", name="av"
        ) from error
    path = Path(path)
    if not is_live(path) and not path.exists():
        raise MissingInputError(f"{path}: no such file or folder; give a video, a folder of images, or a camera as 0")
    if fps is not None and (is_live(path) or not path.is_dir()):
        raise InputError(f"{path} has its own frame rate, but {fps:g} was given: that is for folders of images")
    if fps is not None and not 0 < fps < np.inf:
        raise InputError(f"{fps:g} frames per second: wanted a positive number")
    if path.is_dir() and not is_live(path):
        rate, files = fps or IMAGES_FPS, _image_files(path)
        width, height = _images_size(path, files)
        return Source(path.resolve().name, width, height, rate, len(files), len(files) / rate)
    with _opened(path) as (container, stream):
        picture = next(_decoded(container, stream, []), None)
        if picture is None:
            raise InputError(f"{path}: none of its video can be decoded; copy it again whole, or convert it to MP4")
        width, height = square_size(picture, stream.sample_aspect_ratio)
        if turn_of(picture)[0]:
            width, height = height, width
        rate = _rate(container, stream)
        if is_live(path):
            return Source(f"camera {_camera_number(path)}", width, height, rate, None, None)
        duration_s = _duration_s(container, stream)
        frames = stream.frames or (round(duration_s * rate) if duration_s else None)
        return Source(path.name, width, height, rate, frames, duration_s)


def read_frames(
    path: Path | str,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    on_trouble: Callable[[str], None] | None = None,
) -> Iterator[Frame]:
    """The frames from ``start_s`` to before ``end_s``, one at a time, with the indices and times of the whole source.

    Reading from later on goes to the key frame before, where the timestamps allow it: a pass over the file without
    decoding counts the frames up to there. Otherwise all that comes before is decoded and dropped. The times of a
    camera are those of the clock.

    Where a file breaks off or is damaged, the frames that can be decoded are given, and after the last of them
    ``on_trouble`` is told what is missing; left out, that is a RuntimeWarning. Nothing is told if ``end_s`` comes
    first. The file is closed when the iterator ends, fails or is closed, Ctrl-C included.

    Args:
        path, fps: as for `open_source`.
        start_s, end_s: seconds from the source's first frame; an ``end_s`` left out is the end.
        size: width and height of the images; the source's own where it is left out.
        on_trouble: takes the message.

    Raises:
        InputError: as `open_source`; if the time ends before it starts. With the first frame: if none lies in it.
        MissingInputError, OSError, MissingPackageError: as `open_source`.
    """
    stop_s = np.inf if end_s is None else end_s
    if not 0 <= start_s < stop_s:
        raise InputError(f"frames from {start_s:g} to {stop_s:g} s: the start must be 0 or later, and the end after it")
    source = open_source(path, fps=fps)
    path = Path(path)
    faults: list[str] = []
    if is_live(path):
        pictures = _of_camera(path, faults)
    elif path.is_dir():
        pictures = _of_folder(_image_files(path), source.fps, start_s, faults)
    else:
        pictures = _of_file(path, start_s, faults)
    if size:
        source = replace(source, width=size[0], height=size[1])
    return _frames(source, pictures, start_s, stop_s, faults, on_trouble or _warn)


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=3)


# What every kind of source gives: index, time in seconds, the picture as it was decoded, and how it is to be turned.
_Pictures = Generator[tuple[int, float, "VideoFrame", Turn], None, None]


def _frames(
    source: Source,
    pictures: _Pictures,
    start_s: float,
    stop_s: float,
    faults: list[str],
    on_trouble: Callable[[str], None],
) -> Iterator[Frame]:
    """The pictures of that time as frames; then what went wrong, unless it was left before its end."""
    from av.video.reformatter import VideoReformatter

    to_rgb, is_cut = VideoReformatter(), CutDetector()  # a reformatter keeps its tables from picture to picture
    time_s, given = 0.0, False
    with closing(pictures):
        for index, time_s, picture, turn in pictures:
            if time_s >= stop_s - EPSILON_S:
                break
            if time_s >= start_s - EPSILON_S:
                given = True
                image = upright(picture, turn, source.width, source.height, to_rgb)
                yield Frame(index, time_s, image, is_cut(picture))
        else:
            if faults:
                summed = ", ".join(f"{what} ({n} times)" if n > 1 else what for what, n in Counter(faults).items())
                on_trouble(f"{source.name}: {summed}; what could be read was. Copy or record it again if more matters")
    if not given:
        known = f"it lasts {source.duration_s:.2f} s" if source.duration_s else f"it came to {time_s:.2f} s"
        raise InputError(f"{source.name} has no frame from {start_s:g} to {stop_s:g} s: {known}; ask for less")


def _of_file(path: Path, start_s: float, faults: list[str]) -> _Pictures:
    from av.format import Flags

    shortcut = _shortcut(path, start_s) if start_s > 0 else None
    with _opened(path) as (container, stream):
        step_s, duration_s, time_s = 1 / _rate(container, stream), _duration_s(container, stream), 0.0
        may_jump = Flags.ts_discont in Flags(container.format.flags)
        clock = _Clock(_tick(stream), step_s, AHEAD_S if may_jump else math.inf)
        if shortcut:
            offset, stamps = shortcut
            container.seek(offset, stream=stream)
            clock.shift_s = -float(stamps[0] * _tick(stream))
        turn = None
        for position, picture in enumerate(_decoded(container, stream, faults)):
            turn = turn or turn_of(picture)
            stamp = _stamp(container, picture)
            index = int(np.searchsorted(stamps, stamp)) if shortcut and stamp is not None else position
            time_s = clock(stamp)
            yield index, time_s, picture, turn
    if duration_s and time_s + step_s < duration_s - MISSING_S:
        faults.append(f"breaks off after {time_s:.2f} of {duration_s:.2f} s")


def _of_folder(files: list[Path], fps: float, start_s: float, faults: list[str]) -> _Pictures:
    import av

    for index in range(max(math.ceil(round(start_s * fps, 6)), 0), len(files)):
        try:
            # not opened by name, in which FFmpeg would take a % for a pattern
            with av.open(BytesIO(files[index].read_bytes()), "r") as container:
                picture = next(container.decode(video=0))
        except (av.FFmpegError, StopIteration, IndexError):
            faults.append(f"{files[index].name} cannot be decoded")
        else:
            yield index, index / fps, picture, turn_by(picture.rotation)


def _of_camera(path: Path, faults: list[str]) -> _Pictures:
    with _opened(path) as (container, stream):
        began_s = None
        for index, picture in enumerate(_decoded(container, stream, faults)):
            now_s = time.monotonic()
            began_s = now_s if began_s is None else began_s
            yield index, now_s - began_s, picture, (False, False, False)


def _shortcut(path: Path, start_s: float) -> tuple[int, Int64[np.ndarray, " t"]] | None:
    """Where to seek for the frames from ``start_s`` on, in ticks, and the timestamps of all frames, increasing.

    None where timestamps are missing, repeated or jump, where they are not those of the frames, or where seeking does
    not lead to the key frame: then one has to read from the start.
    """
    import av

    packets: list[tuple[int | None, int | None, bool]] = []
    first = None
    with _opened(path) as (container, stream), suppress(av.FFmpegError):
        if container.format.name == "avi" or stream.codec.name == "vp8":  # VP8 has packets that are never shown
            return None
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                packets.append((packet.pts, packet.dts, packet.is_keyframe))
            if first is None:
                first = next((picture.pts for picture in _decoded_packet(packet, [])), None)
        shown = {pts: (dts, is_key) for pts, dts, is_key in packets if pts is not None}
        order = [dts for _, dts, _ in packets if dts is not None]
        if first not in shown or len(shown) < len(packets) or (np.diff(order) <= 0).any():
            return None
        stamps = np.array(sorted(pts for pts in shown if pts >= first), dtype=np.int64)
        wanted = int(np.searchsorted((stamps - first) * float(_tick(stream)), start_s - EPSILON_S))
        latest = int(stamps[min(wanted, len(stamps) - 1)])
        key = max(pts for pts, (_, is_key) in shown.items() if (is_key or pts == first) and pts <= latest)
        dts = shown[key][0]
        offset = key if dts is None else min(key, dts)
        container.seek(offset, stream=stream)
        met = next(container.demux(stream))
        if met.is_keyframe and met.pts is not None and met.pts <= key:
            return offset, stamps
    return None


@contextmanager
def _opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """The container and its video, closed in the end."""
    import av

    if is_live(path):
        number = _camera_number(path)
        if sys.platform != "linux":
            raise OSError(f"camera {number}: cameras are read on Linux alone; record a file and give that")
        try:
            container = av.open(f"/dev/video{number}", format="v4l2")
        except av.FFmpegError as error:
            raise OSError(
                f"camera {number} (/dev/video{number}) does not answer ({error.strerror}); plug it in, close what else "
                "uses it, or give another number"
            ) from error
    else:
        with path.open("rb") as file:
            start = file.read(16)
        try:
            # "file:" because FFmpeg would take what stands before a colon for a protocol; the whitelist keeps a
            # playlist from fetching anything
            container = av.open(f"file:{path}", container_options={"protocol_whitelist": "file"})
        except av.FFmpegError as error:
            raise InputError(f"{path} {_why_not(start)}") from error
    with container:
        streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
        if container.format.name == "tty":  # FFmpeg films text
            raise InputError(f"{path} {_why_not(start)}")
        if not streams:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise InputError(f"{path} holds no video, but {kinds}; give a file with pictures")
        streams[0].thread_type = "AUTO"
        yield container, streams[0]


def _why_not(start: bytes) -> str:
    """Why a file that begins so is no video."""
    if not start:
        return "is empty (0 bytes): its copy or recording failed; copy or record it again"
    if start[4:8] == b"ftyp":
        return (
            "ends before its index (moov), without which nothing in it can be found: its recording or copy was not "
            "finished; copy it again whole, or have it repaired (untrunc does that)"
        )
    return (
        f"is no video in a format that FFmpeg knows (it begins with {start!r}); give MP4, MOV, MKV, WebM, AVI or such"
    )


def _decoded(container: "InputContainer", stream: "VideoStream", faults: list[str]) -> Iterator["VideoFrame"]:
    """All pictures that can be decoded, in the order in which they are shown."""
    import av

    try:
        for packet in container.demux(stream):
            yield from _decoded_packet(packet, faults)
    except av.FFmpegError as error:
        faults.append(f"cannot be read on ({error.strerror})")


def _decoded_packet(packet: "Packet[VideoStream]", faults: list[str]) -> list["VideoFrame"]:
    import av

    try:
        if not packet.is_corrupt:  # half a packet at the end would take those that threads still work on down with it
            return packet.decode()
    except av.FFmpegError:
        pass
    faults.append("a packet is damaged")
    return []


class _Clock:
    """Timestamps, or their lack, to seconds that increase strictly, from 0."""

    def __init__(self, tick: Fraction, step_s: float, ahead_s: float) -> None:
        self.tick, self.step_s, self.ahead_s = tick, step_s, ahead_s
        self.shift_s: float | None = None
        self.last_s: float | None = None

    def __call__(self, stamp: int | None) -> float:
        if self.shift_s is None:
            self.shift_s = -float((stamp or 0) * self.tick)
        next_s = 0.0 if self.last_s is None else self.last_s + self.step_s
        now_s = next_s if stamp is None else float(stamp * self.tick) + self.shift_s
        if self.last_s is not None:
            if not self.last_s - BACK_S <= now_s <= self.last_s + self.ahead_s:
                self.shift_s += next_s - now_s
                now_s = next_s
            elif now_s <= self.last_s:
                now_s = self.last_s + self.step_s / 2
        self.last_s = now_s
        return now_s


def _stamp(container: "InputContainer", picture: "VideoFrame") -> int | None:
    """In ticks. AVI has the times of decoding alone; a picture's is that of the packet that brought it out."""
    return picture.dts if container.format.name == "avi" else picture.pts


def _tick(stream: "VideoStream") -> Fraction:
    return stream.time_base or Fraction(1, 1000)


def _rate(container: "InputContainer", stream: "VideoStream") -> float:
    """Nominal frames per second; a stream without timestamps has no average."""
    rates = (stream.average_rate, stream.guessed_rate)
    return next((float(rate) for rate in (rates if container.duration else rates[::-1]) if rate), IMAGES_FPS)


def _duration_s(container: "InputContainer", stream: "VideoStream") -> float | None:
    """Seconds of the video; the container's where the stream tells none and there is no other that may be longer."""
    if stream.duration:
        return float(stream.duration * _tick(stream))
    if container.duration and len(container.streams) == 1:
        return float(container.duration) / 1e6
    return None


def _camera_number(path: Path) -> int:
    return int(str(path).removeprefix("/dev/video"))


def _image_files(folder: Path) -> list[Path]:
    """The images of a folder, in the order of the numbers in their names."""
    files = [f for f in folder.iterdir() if f.suffix.lower() in IMAGES and not f.name.startswith(".")]
    if not files:
        raise InputError(f"{folder} is a folder without images; wanted a video file, or a folder of {' '.join(IMAGES)}")
    return sorted(files, key=lambda f: [int(s) if s.isdecimal() else s.lower() for s in re.split(r"(\d+)", f.name)])


def _images_size(folder: Path, files: list[Path]) -> tuple[int, int]:
    """Width and height of every image that tells them, upright."""
    from PIL import Image

    names: dict[tuple[int, int], str] = {}
    for file in files:
        try:
            with Image.open(file) as image:
                width, height = image.size
                turned = image.getexif().get(0x0112, 1) >= 5
        except OSError:
            continue
        names.setdefault((height, width) if turned else (width, height), file.name)
    if not names:
        raise InputError(f"{folder}: none of its {len(files)} images can be read; copy them again")
    if len(names) > 1:
        sizes = ", ".join(f"{name} has {width} x {height}" for (width, height), name in list(names.items())[:3])
        raise InputError(f"the images in {folder} differ in size: {sizes}; put those of one video into one folder")
    return next(iter(names))
