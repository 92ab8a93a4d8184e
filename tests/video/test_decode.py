"""Reading video: true times and indices, upright square pixels, cuts, and sources that are broken."""

import gc
import os
import sys
import warnings
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from actlift.video.decode import Source, is_live, open_source, read_frames

av = pytest.importorskip("av", reason="PyAV is not installed")

X264 = {"g": "12", "bf": "3", "b-adapt": "0", "sc_threshold": "0", "preset": "ultrafast", "crf": "10"}
BITS = 8


def film(
    path, images, *, codec="libx264", times=None, rate=30, pix_fmt="yuv420p", options=None, aspect=None, turn=None
):
    """Write a video; ``times`` in sixtieths of a second."""
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate, options=X264 if codec == "libx264" and options is None else options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if turn:
            stream.set_display_rotation(*turn)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 60)
        for i, image in enumerate(images):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = int(times[i]), Fraction(1, 60)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def numbered(count, height=48, width=64):
    """Pictures that carry their number as black and white bars."""
    bars = np.arange(count)[:, None] >> np.arange(BITS) & 1
    row = np.repeat(bars * 255, width // BITS, axis=1).astype(np.uint8)
    return np.repeat(np.repeat(row[:, None, :, None], height, axis=1), 3, axis=3)


def number(image):
    bars = image[:, :, 1].mean(axis=0).reshape(BITS, -1).mean(axis=1) > 127
    return int(bars @ (1 << np.arange(BITS)))


def quadrants(height=60, width=100):
    """Red top left, green top right, blue bottom left, white bottom right."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[: height // 2, : width // 2] = (250, 0, 0)
    image[: height // 2, width // 2 :] = (0, 250, 0)
    image[height // 2 :, : width // 2] = (0, 0, 250)
    image[height // 2 :, width // 2 :] = (250, 250, 250)
    return image


def corners(image):
    height, width = image.shape[:2]
    named = {(1, 0, 0): "R", (0, 1, 0): "G", (0, 0, 1): "B", (1, 1, 1): "W"}
    at = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return "".join(named[tuple((image[y, x] > 127).astype(int).tolist())] for y, x in at)


def opened(path):
    """How many descriptors of this process are on the file."""
    links = [Path("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd")]
    return sum(1 for link in links if os.path.exists(link) and os.path.realpath(link) == os.path.realpath(path))


# ---- times, indices, seeking


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.avi", "libx264"),  # has no presentation times
        ("a.h264", "libx264"),  # has no times
        ("a.webm", "libvpx"),  # has packets that are not shown
        ("a.mov", "mpeg4"),
    ],
)
def test_reading_from_later_on_gives_the_same_frames(tmp_path, name, codec):
    options = {"auto-alt-ref": "1", "lag-in-frames": "8", "g": "12", "b": "2M"} if codec == "libvpx" else None
    path = film(tmp_path / name, numbered(50), codec=codec, options=options)
    whole = list(read_frames(path))
    assert [f.index for f in whole] == [number(f.image) for f in whole] == list(range(50))
    # Matroska rounds to milliseconds
    np.testing.assert_allclose([f.time_s for f in whole], np.arange(50) / 30, atol=6e-4)
    for start_s, end_s in ((0.02, 0.5), (0.4, None), (0.81, 1.2), (whole[-1].time_s, None)):
        part = list(read_frames(path, start_s=start_s, end_s=end_s))
        wanted = [f for f in whole if start_s - 1e-6 <= f.time_s < (end_s or 99) - 1e-6]
        assert [(f.index, f.time_s) for f in part] == [(f.index, f.time_s) for f in wanted]
        for got, want in zip(part, wanted, strict=True):
            np.testing.assert_array_equal(got.image, want.image)
        assert not part[0].cut


def test_seeking_skips_what_comes_before(tmp_path, monkeypatch):
    """Otherwise every picture before the start would be decoded."""
    path = film(tmp_path / "a.mp4", numbered(120))
    from actlift.video import decode

    met = []
    stamp = decode._stamp
    monkeypatch.setattr(decode, "_stamp", lambda c, picture: met.append(picture) or stamp(c, picture))
    assert [f.index for f in read_frames(path, start_s=3.5)] == list(range(105, 120))
    assert len(met) < 15 + 2 * int(X264["g"])


@settings(max_examples=10, deadline=None)
@given(steps=st.lists(st.integers(1, 90), min_size=5, max_size=20), start=st.integers(1, 99))
def test_uneven_times_are_the_containers(tmp_path_factory, steps, start):
    times = np.cumsum([7, *steps])  # the first frame is not at 0
    path = film(tmp_path_factory.mktemp("vfr") / "a.mp4", numbered(len(times)), times=times)
    wanted = (times - times[0]) / 60
    found = list(read_frames(path))
    np.testing.assert_allclose([f.time_s for f in found], wanted, atol=1e-6)
    start_s = wanted[-1] * start / 100
    later = list(read_frames(path, start_s=start_s))
    assert [f.index for f in later] == np.flatnonzero(wanted >= start_s - 1e-6).tolist()
    assert [number(f.image) for f in later] == [f.index for f in later]


def test_timestamps_that_stop_or_jump_still_increase():
    from actlift.video.decode import _Clock

    clock = _Clock(Fraction(1, 100), 0.04, 10.0)
    told = [500, 504, 504, 508, None, 516, 20, 24, 90000, 90004, 90104]
    wanted = [0.0, 0.04, 0.06, 0.08, 0.12, 0.16, 0.2, 0.24, 0.28, 0.32, 1.32]  # a pause of a second is a pause
    np.testing.assert_allclose([clock(stamp) for stamp in told], wanted, atol=1e-9)
    patient = _Clock(Fraction(1, 100), 0.04, np.inf)
    np.testing.assert_allclose([patient(stamp) for stamp in (None, None, 3008)], [0.0, 0.04, 30.08])


def test_what_is_known_before_reading(tmp_path):
    path = film(tmp_path / "a.mp4", numbered(50))
    assert open_source(path) == Source("a.mp4", 64, 48, 30.0, 50, 50 / 30)
    assert open_source(film(tmp_path / "a.mkv", numbered(50))).frames == 50  # reckoned from the duration
    raw = open_source(film(tmp_path / "a.h264", numbered(50)))
    assert (raw.fps, raw.frames, raw.duration_s) == (30.0, None, None)


# ---- pictures


@pytest.mark.parametrize(
    ("turn", "wanted"),
    [
        ((90,), "GWRB"),  # counterclockwise
        ((180,), "WBGR"),
        ((-90,), "BRWG"),
        ((0, True), "GRWB"),  # a mirror image
        ((0, False, True), "BWRG"),
        ((-90, True), "RBGW"),  # columns and rows changed
    ],
)
def test_pictures_are_turned_as_their_metadata_say(tmp_path, turn, wanted):
    path = film(tmp_path / "a.mp4", [quadrants()] * 3, turn=turn)
    image = next(read_frames(path)).image
    source = open_source(path)
    assert image.shape == (source.height, source.width, 3)
    assert image.shape[:2] == ((100, 60) if abs(turn[0]) == 90 else (60, 100))
    assert corners(image) == wanted
    assert image.flags.c_contiguous


@pytest.mark.parametrize(
    ("aspect", "turn", "size"),
    [
        (Fraction(4, 3), None, (133, 60)),
        (Fraction(8, 9), None, (100, 68)),
        (Fraction(2), (90,), (60, 200)),
        (Fraction(50), None, (100, 60)),  # not to be believed
    ],
)
def test_pixels_are_made_square(tmp_path, aspect, turn, size):
    path = film(tmp_path / "a.mp4", [quadrants()] * 3, aspect=aspect, turn=turn)
    source = open_source(path)
    assert (source.width, source.height) == size
    image = next(read_frames(path)).image
    assert image.shape[:2] == size[::-1]
    assert corners(image) == ("GWRB" if turn else "RGBW")


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        ("libx264", "yuv420p"),
        ("libx264", "yuv444p"),
        ("libx265", "yuv420p10le"),
        ("ffv1", "gbrp10le"),
        ("ffv1", "gray16le"),
        ("mjpeg", "yuvj420p"),  # full range
        ("qtrle", "argb"),
    ],
)
def test_every_pixel_format_becomes_8_bit_rgb(tmp_path, codec, pix_fmt):
    ramp = np.repeat(np.linspace(20, 235, 64).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    path = film(
        tmp_path / ("a.mov" if codec == "qtrle" else "a.mkv"),
        [ramp] * 3,
        codec=codec,
        pix_fmt=pix_fmt,
        options={"x265-params": "log-level=none"},
    )
    image = next(read_frames(path)).image
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image.astype(int), ramp, atol=6)


@pytest.mark.parametrize(("height", "matrix"), [(720, "itu709"), (480, "itu601")])
def test_an_unnamed_color_matrix_is_that_of_the_size(tmp_path, height, matrix):
    from av.video.reformatter import Colorspace

    image = np.full((height, 640, 3), (30, 180, 60), dtype=np.uint8)
    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    picture = picture.reformat(format="yuv420p", dst_colorspace=getattr(Colorspace, matrix))
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 30, options=X264)
        stream.width, stream.height, stream.pix_fmt = 640, height, "yuv420p"
        raw = av.VideoFrame.from_ndarray(picture.to_ndarray(), format="yuv420p")  # forgets the matrix
        container.mux(stream.encode(raw))
        container.mux(stream.encode())
    np.testing.assert_allclose(next(read_frames(path)).image[::40, ::40].astype(int), image[::40, ::40], atol=4)


@pytest.mark.parametrize("turn", [None, (90,)])
def test_images_of_another_size(tmp_path, turn):
    path = film(tmp_path / "a.mp4", [quadrants()] * 3, turn=turn)
    image = next(read_frames(path, size=(30, 40))).image
    assert image.shape == (40, 30, 3)
    assert corners(image) == ("GWRB" if turn else "RGBW")


def test_pictures_that_change_size_keep_that_of_the_first(tmp_path):
    raw = b"".join(
        film(tmp_path / f"{i}.h264", [quadrants(*size)] * 5).read_bytes() for i, size in enumerate([(64, 96), (48, 80)])
    )
    (tmp_path / "a.h264").write_bytes(raw)
    found = list(read_frames(tmp_path / "a.h264"))
    assert [f.image.shape for f in found] == [(64, 96, 3)] * 10
    assert corners(found[-1].image) == "RGBW"


# ---- folders of images


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG", "bmp", "webp"])
def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path, suffix):
    images = numbered(12)
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"img {i}%03d.{suffix}", quality=95)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / f"._img 1.{suffix}").write_text("not an image either")
    found = list(read_frames(tmp_path))
    assert [number(f.image) for f in found] == [f.index for f in found] == list(range(12))
    assert found[3].time_s == pytest.approx(0.1)
    slow = list(read_frames(tmp_path, fps=10.0, start_s=0.55, end_s=0.9))
    assert [(f.index, f.time_s) for f in slow] == [(6, 0.6), (7, pytest.approx(0.7)), (8, 0.8)]
    assert open_source(tmp_path, fps=10.0) == Source(tmp_path.name, 64, 48, 10.0, 12, 1.2)


def test_photographs_are_turned_as_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(quadrants(64, 96)).save(tmp_path / "1.jpg", exif=exif, quality=95)
    upright = np.rot90(quadrants(64, 96), -1)
    Image.fromarray(upright).save(tmp_path / "2.jpg", quality=95)
    assert (open_source(tmp_path).width, open_source(tmp_path).height) == (64, 96)
    one, other = read_frames(tmp_path)
    assert corners(one.image) == corners(other.image) == corners(upright)


def test_a_damaged_image_is_left_out_and_told(tmp_path):
    for i, image in enumerate(numbered(4)):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"")
    told = []
    assert [f.index for f in read_frames(tmp_path, on_trouble=told.append)] == [0, 1, 3]
    assert len(told) == 1
    assert "2.png cannot be decoded" in told[0]


def test_folders_that_are_no_video(tmp_path):
    with pytest.raises(ValueError, match=r"a folder without images; wanted a video file, or a folder of .png"):
        open_source(tmp_path)
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match="none of its 1 images can be read"):
        open_source(tmp_path)
    for name, size in (("2.png", (48, 64)), ("3.png", (48, 60))):
        Image.fromarray(quadrants(*size)).save(tmp_path / name)
    with pytest.raises(ValueError, match=r"differ in size: 2.png has 64 x 48, 3.png has 60 x 48"):
        read_frames(tmp_path)
    with pytest.raises(ValueError, match="0 frames per second: wanted a positive number"):
        open_source(tmp_path, fps=0.0)


# ---- cameras


def test_what_is_a_camera(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_live("0")
    assert is_live(Path("12"))
    assert is_live("/dev/video3")
    assert not any(map(is_live, ("a.mp4", "0.mp4", "-1", "", tmp_path)))
    (tmp_path / "0").mkdir()
    assert not is_live("0")


def test_a_camera_is_timed_by_the_clock(tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", numbered(4))
    ticks = iter([100.0, 100.5, 100.6, 102.0])
    really = av.open
    asked = []

    def plugged(name, **options):
        asked.append((name, options))
        return really(str(path))

    monkeypatch.setattr("actlift.video.decode.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    monkeypatch.setattr(av, "open", plugged)
    found = list(read_frames("7"))
    np.testing.assert_allclose([f.time_s for f in found], [0.0, 0.5, 0.6, 2.0])
    assert asked == [("/dev/video7", {"format": "v4l2"})] * 2
    assert open_source("/dev/video7") == Source("camera 7", 64, 48, 30.0, None, None)


def test_cameras_that_do_not_answer(monkeypatch):
    with pytest.raises(OSError, match=r"camera 97 \(/dev/video97\) does not answer .*; plug it in"):
        open_source("97")
    with pytest.raises(ValueError, match="has its own frame rate"):
        open_source("97", fps=5.0)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(OSError, match="cameras are read on Linux alone; record a file"):
        open_source("97")


# ---- broken sources


def sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode())


def unfinished(path):
    """As a recording that was cut off: all pictures, and no index."""
    whole = film(path.with_suffix(".mov"), numbered(30)).read_bytes()
    path.write_bytes(whole[: whole.index(b"moov")])


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("empty.mp4", lambda path: path.touch(), r"is empty \(0 bytes\).*copy or record it again"),
        ("sound.wav", sound, "holds no video, but audio; give a file with pictures"),
        ("sound.mkv", sound, "holds no video, but audio"),
        ("text.mp4", lambda path: path.write_text("no video\n" * 99), "is no video .*begins with b'no video"),
        ("text.txt", lambda path: path.write_text("no video\n" * 99), "is no video in a format that FFmpeg knows"),
        ("unfinished.mp4", unfinished, r"ends before its index \(moov\).*copy it again whole, or have it repaired"),
        ("list.m3u8", lambda path: path.write_text("#EXTM3U\n#EXTINF:9,\nhttp://localhost/a.ts\n"), "list.m3u8"),
    ],
)
def test_files_that_are_no_video(tmp_path, name, make, message):
    make(tmp_path / name)
    for read in (open_source, read_frames):  # at once, not with the first frame
        with pytest.raises(ValueError, match=message):
            read(tmp_path / name)
    assert opened(tmp_path / name) == 0


def test_video_that_cannot_be_decoded(tmp_path):
    path = film(tmp_path / "a.mp4", numbered(30))
    raw = path.read_bytes()
    start = raw.index(b"mdat") + 4
    path.write_bytes(raw[:start] + bytes(len(raw) - start))
    with pytest.raises(ValueError, match="none of its video can be decoded; copy it again"):
        read_frames(path)


def test_what_is_not_there_or_not_meant(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.mp4: no such file or folder; give a video"):
        read_frames(tmp_path / "nothing.mp4")
    path = film(tmp_path / "a: 1.mp4", numbered(30))  # FFmpeg takes a colon for a protocol
    with pytest.raises(ValueError, match="has its own frame rate, but 25 was given"):
        read_frames(path, fps=25.0)
    for start_s, end_s in ((-1.0, None), (1.0, 1.0), (2.0, 1.0), (float("nan"), None), (float("inf"), None)):
        with pytest.raises(ValueError, match="the start must be 0 or later, and the end after it"):
            read_frames(path, start_s=start_s, end_s=end_s)
    with pytest.raises(ValueError, match=r"no frame from 5 to inf s: it lasts 1.00 s"):
        next(read_frames(path, start_s=5.0))
    with pytest.raises(ValueError, match=r"no frame from 0.51 to 0.52 s"):
        next(read_frames(path, start_s=0.51, end_s=0.52))


def test_without_pyav(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install actlift\[video\]"):
        open_source(tmp_path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_file_that_breaks_off_gives_what_is_there_and_says_so(tmp_path, suffix):
    whole = film(tmp_path / f"whole{suffix}", np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8))
    path = tmp_path / f"part{suffix}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    told = []
    found = list(read_frames(path, on_trouble=told.append))
    assert 25 < len(found) < 45
    for got, want in zip(found[:-4], read_frames(whole), strict=False):
        np.testing.assert_array_equal(got.image, want.image)
    if suffix == ".ts":  # a broadcast has no length that could be missed
        assert len(told) <= 1
    else:
        assert len(told) == 1
        assert f"breaks off after {found[-1].time_s:.2f} of 2.00 s" in told[0]
        with pytest.warns(RuntimeWarning, match="breaks off"):
            assert len(list(read_frames(path))) == len(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(read_frames(path, end_s=0.5))) == 15


def test_damage_in_the_middle_costs_frames_not_the_video(tmp_path):
    path = film(tmp_path / "a.webm", numbered(40), codec="libvpx-vp9", options={"g": "5", "lag-in-frames": "0"})
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    raw = path.read_bytes()
    path.write_bytes(raw.replace(packets[12], b"\xff" * len(packets[12])))
    told = []
    found = list(read_frames(path, on_trouble=told.append))
    times = [f.time_s for f in found]
    assert 30 <= len(found) < 40
    assert (np.diff(times) > 0).all()
    assert times[-1] == pytest.approx(39 / 30, abs=1e-3)
    assert len(told) == 1
    assert "a.webm: a packet is damaged" in told[0]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_nothing_stays_open(tmp_path):
    path = film(tmp_path / "a.mp4", numbered(30))
    list(read_frames(path))
    assert opened(path) == 0
    frames = read_frames(path)
    assert opened(path) == 0
    next(frames)
    assert opened(path) == 1
    with pytest.raises(KeyboardInterrupt):
        frames.throw(KeyboardInterrupt)
    assert opened(path) == 0
    frames = read_frames(path, start_s=0.5)
    next(frames)
    frames.close()
    assert opened(path) == 0


def test_pictures_are_freed_as_they_are_read(tmp_path):
    """PyAV keeps a picture whose side data were asked for until the collector comes: hundreds of megabytes."""
    path = film(tmp_path / "a.mp4", numbered(60), turn=(90,))
    gc.collect()
    gc.disable()
    try:
        for _ in read_frames(path):
            pass
        left = sum(type(kept) is av.VideoFrame for kept in gc.get_objects())
    finally:
        gc.enable()
    assert left < 6


# ---- cuts


def scene(seed, height=144, width=256):
    """Something like a place: smooth light, edges of some sizes."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width))
    for size, weight in ((3, 90), (6, 70), (12, 50), (24, 25)):
        coarse = Image.fromarray((rng.random((size, size * 2)) * 255).astype(np.uint8))
        image += weight * (np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 255 - 0.5)
    for _ in range(12):
        y, x = rng.integers(0, height - 20), rng.integers(0, width - 20)
        image[y : y + rng.integers(10, 70), x : x + rng.integers(10, 70)] += rng.uniform(-60, 60)
    return np.clip(image + rng.uniform(90, 160), 0, 255)


def cuts(tmp_path, gray):
    images = [np.repeat(np.clip(g, 0, 255).astype(np.uint8)[..., None], 3, axis=2) for g in gray]
    path = film(tmp_path / "a.mp4", [np.ascontiguousarray(image) for image in images], options={"crf": "20"})
    return [f.index for f in read_frames(path) if f.cut]


def panned(wide, shifts, size=(144, 256)):
    return [wide[y : y + size[0], x : x + size[1]] for y, x in shifts]


@pytest.mark.parametrize("seed", range(4))
def test_hard_cuts_are_found(tmp_path, seed):
    a, b, c = (scene(10 * seed + k) for k in range(3))
    assert cuts(tmp_path, [a] * 9 + [b] * 5 + [b[:, ::-1]] * 6 + [0.3 * c] * 4 + [0.3 * a] * 4) == [9, 14, 20, 24]


def test_hard_cuts_of_a_shaking_camera_are_found(tmp_path):
    rng = np.random.default_rng(0)
    shifts = rng.integers(0, 12, (30, 2))
    taken = [panned(scene(seed, 160, 272), shifts[15 * seed : 15 * seed + 15]) for seed in range(2)]
    assert cuts(tmp_path, taken[0] + taken[1]) == [15]


def still_with(seed, draw, count=30):
    base = scene(seed)
    return [draw(base.copy(), k) for k in range(count)]


def walker(image, k):
    """A person a third as wide as the image, all as high, comes in within a third of a second."""
    left = 256 - 25 * min(k, 8)
    image[10:, left : left + 85] = 40 + 60 * (np.indices(image[10:, left : left + 85].shape)[0] // 30 % 2)
    return image


NO_CUTS = {
    "walking in": lambda seed: still_with(seed, walker),
    "fading out and in": lambda seed: still_with(seed, lambda image, k: image * abs(k - 12) / 12, 25),
    "dissolve": lambda seed: [scene(seed) * (1 - k / 15) + scene(seed + 1) * k / 15 for k in range(16)],
    "exposure": lambda seed: still_with(seed, lambda image, k: image * (1.35 if k > 10 else 1.0) - 20 * (k > 20)),
    "fast pan": lambda seed: panned(scene(seed, 144, 900), [(0, 22 * k) for k in range(29)]),
    "shake": lambda seed: panned(scene(seed, 170, 282), np.random.default_rng(seed).integers(0, 26, (30, 2))),
    "noise": lambda seed: still_with(
        seed, lambda image, k: image + np.random.default_rng(k).normal(0, 25, image.shape)
    ),
    "darkness": lambda seed: still_with(seed, lambda image, k: np.random.default_rng(k).normal(12, 5, image.shape)),
    "repeats": lambda seed: [
        s for s in panned(scene(seed, 144, 500), [(0, 10 * k) for k in range(15)]) for _ in (0, 1)
    ],
}


@pytest.mark.parametrize("seed", [3, 5])
@pytest.mark.parametrize("name", NO_CUTS)
def test_what_is_no_cut(tmp_path, name, seed):
    assert cuts(tmp_path, NO_CUTS[name](seed)) == []


def test_a_real_clip_of_one_shot(actlift_data):
    """Its sun goes behind a hand for one frame, and someone dives through the picture."""
    path = actlift_data.parent / "videos" / "sports2d_demo.mp4"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    frames = [(f.index, f.cut) for f in read_frames(path)]
    assert len(frames) == 230 == open_source(path).frames
    assert not any(cut for _, cut in frames)
