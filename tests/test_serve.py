"""The page: from an upload to files, and nothing else for anybody who asks for more.

Requests go to the application without a socket. Lifting is a stand-in, but for one test from video to files.
"""

import asyncio
import io
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from actlift import serve as served_by
from actlift.data.sources.synthetic import synthetic_clips
from actlift.errors import InputError, MissingPackageError
from actlift.geometry.framing import guessed_camera
from actlift.geometry.skeleton import COCO_17
from actlift.motion.motion import Motion, Segment
from actlift.motion.viewer import EMBED_UP_TO
from actlift.serve import EACH, Job, Limits, app, media_type, message_of, serve, shown_name
from actlift.video.detectors.base import Detections
from actlift.video.pipeline import lift_video

av = pytest.importorskip("av", reason="PyAV is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")
pytest.importorskip("fastapi", reason="FastAPI is not installed")
from anyio.from_thread import start_blocking_portal  # noqa: E402 - comes with FastAPI

SIZE = 64, 48
FRAMES, FPS = 12, 12
ALL = (*EACH, "html", "mp4")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> bytes:
    return film(tmp_path_factory.mktemp("clip") / "clip.mp4")


def film(path: Path, frames: int = FRAMES, fps: int = FPS) -> bytes:
    """A gray video of 64 x 48 pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", fps)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(frames):
            image = np.full((*SIZE[::-1], 3), 40 + i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def motion(person: int = 1) -> Motion:
    """Somebody who stands in the picture."""
    (clip,) = synthetic_clips(0, subjects=1, clips=1, seconds=1.0, fps=float(FPS), actions=["Waving"])
    standing = np.repeat(clip.joints_world[:1], FRAMES, axis=0)
    return Motion(
        float(FPS),
        standing.astype(np.float32),
        np.full((FRAMES, 17, 2), 20.0, np.float32) + np.arange(17, dtype=np.float32)[:, None],
        np.full((FRAMES, 17), 0.9, np.float32),
        np.ones((FRAMES, 2), bool),
        guessed_camera(*SIZE),
        (Segment(0.0, FRAMES / FPS, "Standing", 0.8),),
        person=person,
        source="video",
    )


@pytest.fixture(autouse=True)
def undrawn(monkeypatch) -> None:
    """Drawing takes most of the time here, and matters to one test only, which undoes this."""
    monkeypatch.setattr(served_by, "write_overlay", lambda _motions, video, path, **_: Path(shutil.copy(video, path)))


@dataclass(eq=False)
class Lifting:
    """A stand-in that lifts when it may, keeps what it was asked, and watches who else works."""

    may: threading.Event = field(default_factory=threading.Event)
    people: int = 1
    frames: int = FRAMES
    asked: list[dict] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def __call__(self, video: Path, *, on_progress: Callable[[str, int, int | None], None], **options) -> list[Motion]:
        self.asked.append({"video": video, **options})
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            assert video.stat().st_size > 0
            for done in range(1, self.frames + 1):
                on_progress("detecting people", done, None)
            while not self.may.wait(0.005):
                on_progress("detecting people", self.frames // 2, None)
        finally:
            self.at_once -= 1
        return [motion(person) for person in range(1, self.people + 1)]


@pytest.fixture
def lifting() -> Lifting:
    made = Lifting()
    made.may.set()
    return made


@dataclass(frozen=True)
class Server:
    """The running application."""

    ask: Callable[..., "httpx.Response"]
    folder: Path

    def upload(self, content, name="walk.mp4", **query) -> "httpx.Response":
        return self.ask("POST", "/jobs", params={"name": name, **query}, content=content)

    def get(self, path: str, **options) -> "httpx.Response":
        return self.ask("GET", path, **options)

    def until(self, token: str, state: str) -> dict:
        """The job, once it is there."""
        end_by = time.monotonic() + 20
        while (told := self.get(f"/jobs/{token}").json())["state"] != state:
            assert time.monotonic() < end_by, told
            assert told["state"] not in ("done", "failed"), told["error"]
            time.sleep(0.005)
        return told

    def lifted(self, content: bytes, name: str = "walk.mp4", **query) -> tuple[str, dict]:
        """The token and the last word of a job that is done."""
        token = self.upload(content, name, **query).json()["id"]
        return token, self.until(token, "done")

    def left(self) -> list[str]:
        """What lies on disk, as paths from the temporary folder."""
        (own,) = self.folder.iterdir()
        return sorted(str(path.relative_to(own)) for path in own.rglob("*"))


@contextmanager
def running(folder: Path, lift, limits: Limits = Limits(), **options) -> Iterator[Server]:  # noqa: B008
    web = app(lift, limits, folder=folder, **options)

    async def ask(method: str, path: str, **request) -> "httpx.Response":
        transport = httpx.ASGITransport(web)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.request(method, path, **request)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(web.router.lifespan_context(web)):
        yield Server(lambda *words, **request: portal.call(partial(ask, *words, **request)), folder)


@pytest.fixture
def server(tmp_path, lifting) -> Iterator[Server]:
    with running(tmp_path, lifting) as started:
        yield started


# ---- from a video to files


def test_a_video_becomes_a_page_and_files_and_goes_when_told_so(server, lifting, clip):
    lifting.people = 2
    answer = server.upload(clip, height=1.8, start=0.25, end=0.75)
    assert answer.status_code == 202
    token = answer.json()["id"]
    told = server.until(token, "done")
    assert (told["name"], told["error"], told["notes"], told["ready"]) == ("walk.mp4", "", [], ["html", "mp4"])
    assert [person["number"] for person in told["people"]] == [1, 2]
    assert told["people"][0]["actions"] == ["Standing"]
    (asked,) = lifting.asked
    assert asked | {"height_m": 1.8, "start_s": 0.25, "end_s": 0.75, "person": None, "fps": FPS} == asked
    assert asked["video"].read_bytes() == clip
    page = server.get(f"/jobs/{token}/page")
    assert "<title>walk.mp4: motion in 3D</title>" in page.text
    for form in ALL:
        file = server.get(f"/jobs/{token}/files/{form}")
        assert file.status_code == 200
        assert len(file.content) > 100
        name = f"walk.{form}" if form in ("html", "mp4") else f"walk_person1.{form}"
        assert file.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert server.get(f"/jobs/{token}/files/json", params={"person": 2}).json()["meta"]["person"] == 2
    assert server.get(f"/jobs/{token}/files/json").json()["meta"]["source"] == "walk.mp4"
    assert server.get(f"/jobs/{token}/files/json", params={"person": 3}).status_code == 404
    assert server.get(f"/jobs/{token}/video").content == clip
    assert server.get(f"/jobs/{token}/video").headers["content-type"] == "video/mp4"
    assert server.ask("DELETE", f"/jobs/{token}").status_code == 204
    assert server.left() == []
    for path in ("", "/page", "/video", "/files/json"):
        assert server.get(f"/jobs/{token}{path}").status_code == 404
    assert server.ask("DELETE", f"/jobs/{token}").status_code == 404


@dataclass(eq=False)
class Standing:
    """A detector that sees one person in every picture."""

    name: str = "standing"
    skeleton = COCO_17
    about: dict[str, str] = field(default_factory=dict)
    seen: int = 0

    def __call__(self, _image: np.ndarray) -> Detections:
        self.seen += 1
        y = np.array([6, 5, 5, 6, 6, 12, 12, 19, 19, 25, 25, 25, 25, 33, 33, 41, 41])
        x = 32 + np.array([0, 1, -1, 2, -2, 5, -5, 6, -6, 6, -6, 3, -3, 3, -3, 3, -3])
        return Detections(np.stack([x, y], axis=-1)[None].astype(np.float32), np.full((1, 17), 0.9, np.float32))

    def follow(self, people: Detections | None) -> None: ...


def test_everything_but_the_detector_is_real(tmp_path, clip, monkeypatch):
    monkeypatch.undo()
    detector = Standing()
    with running(tmp_path, partial(lift_video, detector=detector)) as server:
        token, told = server.lifted(clip, height=1.9)
        assert detector.seen == FRAMES
        assert told["people"] == [{"number": 1, "start_s": 0, "stop_s": FRAMES / FPS, "actions": ANY_LIST}]
        written = server.get(f"/jobs/{token}/files/json").json()["meta"]
        assert written["about"]["height_m"] == 1.9
        assert written["about"]["detector"] == "standing"
        with av.open(io.BytesIO(server.get(f"/jobs/{token}/files/mp4").content)) as drawn:
            assert sum(1 for _ in drawn.decode(video=0)) == FRAMES
            assert drawn.streams.video[0].width > SIZE[0]
        token = server.upload(clip, person=2).json()["id"]
        assert server.until(token, "failed")["error"] == "there is no person 2 in video; there are 1"


class _AnyList:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, list)

    __hash__ = None


ANY_LIST = _AnyList()


def test_progress_tells_the_stage_and_the_time_left(tmp_path, clip):
    lifting = Lifting()
    with running(tmp_path, lifting) as server:
        token = server.upload(clip).json()["id"]
        told = server.until(token, "working")
        end_by = time.monotonic() + 20
        while told["stage"] != "detecting people" or told["done"] != FRAMES // 2:
            assert time.monotonic() < end_by, told
            told = server.get(f"/jobs/{token}").json()
        assert told["total"] == FRAMES
        assert told["left_s"] > 0
        assert told["ready"] == told["people"] == []
        for path in ("page", "files/json", "files/html"):
            assert server.get(f"/jobs/{token}/{path}").status_code == 404
        lifting.may.set()
        server.until(token, "done")


def test_jobs_are_worked_on_in_turn_and_no_more_wait_than_may(tmp_path, clip):
    lifting = Lifting()
    with running(tmp_path, lifting, Limits(unfinished=2)) as server:
        first, second = (server.upload(clip, f"{n}.mp4").json()["id"] for n in (1, 2))
        server.until(first, "working")
        assert (
            server.get(f"/jobs/{second}").json() | {"state": "waiting", "ahead": 1}
            == server.get(f"/jobs/{second}").json()
        )
        third = server.upload(clip)
        assert third.status_code == 429
        assert third.headers["retry-after"]
        lifting.may.set()
        assert [server.until(token, "done")["name"] for token in (first, second)] == ["1.mp4", "2.mp4"]
        assert lifting.most_at_once == 1
        assert [asked["video"].parent.name for asked in lifting.asked] == [first, second]
        assert server.upload(clip).status_code == 202


def test_a_job_that_nobody_wants_stops(tmp_path, clip):
    lifting = Lifting()
    with running(tmp_path, lifting) as server:
        working, waiting = (server.upload(clip).json()["id"] for _ in range(2))
        server.until(working, "working")
        for token in (waiting, working):
            assert server.ask("DELETE", f"/jobs/{token}").status_code == 204
        end_by = time.monotonic() + 10
        while server.left():
            assert time.monotonic() < end_by
            time.sleep(0.005)
        lifting.may.set()
        server.lifted(clip)
        assert waiting not in [asked["video"].parent.name for asked in lifting.asked]


def test_jobs_go_some_time_after_they_are_done(tmp_path, lifting, clip):
    with running(tmp_path, lifting, Limits(kept_s=0.3)) as server:
        token, _ = server.lifted(clip)
        assert server.get(f"/jobs/{token}").status_code == 200
        end_by = time.monotonic() + 10
        while server.get(f"/jobs/{token}").status_code != 404 or server.left():
            assert time.monotonic() < end_by
            time.sleep(0.02)


def test_the_end_stops_the_work_and_leaves_nothing(tmp_path, clip):
    lifting = Lifting()
    with running(tmp_path, lifting) as server:
        tokens = [server.upload(clip).json()["id"] for _ in range(3)]
        server.until(tokens[0], "working")
        while not lifting.asked:  # the job is at work a moment before its video is asked for
            time.sleep(0.005)
        assert len(server.left()) > 3
    assert list(tmp_path.iterdir()) == []
    assert len(lifting.asked) == 1
    assert not any(thread.name == "actlift-jobs" for thread in threading.enumerate())


# ---- limits


def test_an_upload_stops_at_the_limit(tmp_path, lifting):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1000

    with running(tmp_path, lifting, Limits(upload_bytes=10_000)) as server:
        answer = server.upload(endless())
        assert answer.status_code == 413
        assert "0.01 MB" in answer.json()["error"]
        assert sent <= 12
        assert server.left() == []
        sent = 0
        told = server.ask("POST", "/jobs", content=endless(), headers={"content-length": "10001"})
        assert (told.status_code, sent) == (413, 0)
        assert server.left() == []
        lied = server.ask("POST", "/jobs", content=endless(), headers={"content-length": "5"})
        assert lied.status_code == 413
        assert server.left() == []
        assert server.upload(b"x" * 10_000).status_code == 202
    assert lifting.asked == []


def test_uploads_are_written_as_they_come(tmp_path, lifting, clip):
    """None of it waits in memory for the rest."""
    on_disk = []

    async def slowly():
        for start in range(0, len(clip), 500):
            yield clip[start : start + 500]
            on_disk.extend(path.stat().st_size for path in tmp_path.rglob("video"))

    with running(tmp_path, lifting) as server:
        server.until(server.upload(slowly()).json()["id"], "done")
    assert len(on_disk) > 3


@pytest.mark.parametrize(("limit_s", "code"), [(0.05, 408), (0.0, 408)])
def test_an_upload_may_not_take_forever(tmp_path, lifting, limit_s, code):
    async def stuck():
        yield b"x"
        await asyncio.sleep(20)
        yield b"x"

    with running(tmp_path, lifting, Limits(job_s=limit_s)) as server:
        assert server.upload(stuck()).status_code == code
        assert server.left() == []


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path, lifting):
    web = app(lifting, folder=tmp_path)
    messages = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message)

    async def go():
        async with web.router.lifespan_context(web):
            scope = {"type": "http", "method": "POST", "path": "/jobs", "query_string": b"", "http_version": "1.1"}
            await web({**scope, "headers": [(b"host", b"localhost")]}, receive, send)
            (own,) = tmp_path.iterdir()
            assert list(own.iterdir()) == []

    asyncio.run(go())
    assert sent[0]["status"] == 400


def test_a_full_disk_is_told(server, monkeypatch, clip):
    async def full(*_):
        raise OSError(28, "No space left on device", "/somewhere/secret")

    monkeypatch.setattr(served_by, "_received", full)
    answer = server.upload(clip)
    assert answer.status_code == 507
    assert "secret" not in answer.text
    assert server.left() == []


def test_a_video_may_last_so_long(tmp_path, lifting, clip):
    with running(tmp_path, lifting, Limits(video_s=0.5)) as server:
        token = server.upload(clip).json()["id"]
        assert "lasts 1 s, and 0.5 s are the limit" in server.until(token, "failed")["error"]
        assert lifting.asked == []
        lifting.frames = 5
        server.lifted(clip, start=0.5)
        server.lifted(clip, end=0.4)


def test_frames_are_counted_as_they_come(tmp_path, lifting, clip):
    """For what a file tells of its duration may be wrong."""
    lifting.frames = 40
    with running(tmp_path, lifting, Limits(video_s=2.0)) as server:
        token = server.upload(clip).json()["id"]
        assert "more frames than 2 s have" in server.until(token, "failed")["error"]


def test_work_may_take_so_long(tmp_path, clip):
    with running(tmp_path, Lifting(), Limits(job_s=0.5)) as server:
        token = server.upload(clip).json()["id"]
        assert "took longer than 0.5 s" in server.until(token, "failed")["error"]


def test_rates_and_sizes_of_pictures_are_limited(tmp_path, lifting, monkeypatch):
    fast = film(tmp_path / "fast.mp4", fps=1000)
    (folder := tmp_path / "folder").mkdir()
    with running(folder, lifting) as server:
        server.lifted(fast)
        assert lifting.asked[0]["fps"] == served_by.MOST_FPS
        monkeypatch.setattr(served_by, "MOST_PIXELS", 1000)
        assert "64 x 48 pixels" in server.until(server.upload(fast).json()["id"], "failed")["error"]


# ---- what is no video, and what goes wrong


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the video is empty"),
        (b"no video at all, only words", "the video is no video"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "the video ends before its index"),
    ],
)
def test_what_is_no_video_is_told_without_paths(server, lifting, content, words):
    told = server.until(server.upload(content, "holiday.mp4").json()["id"], "failed")
    assert told["error"].startswith(words)
    assert str(server.folder) not in str(told)
    assert lifting.asked == []


@pytest.mark.parametrize(
    "list_of_files",
    [
        b"ffconcat version 1.0\nfile '%s'\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:full:2011">'
        b"<Period><BaseURL>%s</BaseURL></Period></MPD>",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n%s\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_list_of_files_opens_none_of_this_machine(server, lifting, clip, list_of_files):
    other = server.folder / "other.mp4"
    other.write_bytes(clip)
    token = server.upload(list_of_files % str(other).encode()).json()["id"]
    error = server.until(token, "failed")["error"]
    assert "no video" in error
    assert "other" not in error
    assert lifting.asked == []


def test_formats_that_name_files_are_told_before_a_file_is_opened(tmp_path):
    """FFmpeg would say that the file is not there, or play it."""
    listed = tmp_path / "video"
    listed.write_bytes(b"ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(FileNotFoundError):
        av.open(str(listed))
    for present in (False, True):
        if present:
            film(tmp_path / "other.mp4")
            av.open(str(listed)).close()
        with pytest.raises(ValueError, match="in a format that is taken here"):
            media_type(listed)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("nobody is seen in video: try"), "nobody is seen in video: try"),
        (InputError("/srv/data/x/video is no video, nor is /etc/passwd"), "video is no video, nor is passwd"),
        (
            InputError("'/opt/weights/net.onnx': wanted MP4/MOV, 1/2 or 3 / 4"),
            "'net.onnx': wanted MP4/MOV, 1/2 or 3 / 4",
        ),
        (InputError(r"C:\srv\net.onnx begins with b'\x00\x18'"), r"net.onnx begins with b'\x00\x18'"),
        (MissingPackageError("pip install actlift[video]"), "pip install actlift[video]"),
        (OSError(13, "Permission denied", "/srv/secret"), "a reason that is written in the terminal"),
        (KeyError("/srv/secret"), "a reason that is written in the terminal"),
    ],
)
def test_errors_tell_nothing_of_this_machine(error, told):
    message = message_of(error, Job("0", "walk.mp4", {}, Path("/srv/jobs/0")))
    assert told in message
    assert "/srv" not in message
    assert message_of(InputError("/srv/jobs/0/video is empty"), Job("0", "", {}, Path("/srv/jobs/0"))).startswith(
        "the v"
    )


def test_a_job_that_fails_does_not_stop_the_next(tmp_path, clip):
    def failing(video: Path, **_) -> list[Motion]:
        raise ZeroDivisionError(f"in {video}")

    with running(tmp_path, failing) as server:
        for _ in range(2):
            told = server.until(server.upload(clip).json()["id"], "failed")
            assert "terminal" in told["error"]
            assert str(tmp_path) not in str(told)


def test_what_could_not_be_read_is_noted(tmp_path, lifting, clip):
    import warnings

    def warning(video: Path, **options) -> list[Motion]:
        warnings.warn(f"{video}: breaks off", RuntimeWarning, stacklevel=2)
        return lifting(video, **options)

    with running(tmp_path, warning) as server:
        _, told = server.lifted(clip)
        assert told["notes"] == ["the video: breaks off"]


# ---- names and paths


TRICKS = [
    "../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows\\win.ini",
    "walk\x00.mp4",
    "%2e%2e%2fpasswd",
    "‮4pm.exe",
    "ÿ📹 Gehen.mp4",
    "a" * 5000,
    "",
    ".",
    "\r\nSet-Cookie: a=b",
    '"; filename="x',
]


@pytest.mark.parametrize("name", TRICKS)
def test_names_are_shown_and_never_used(server, clip, name):
    token, told = server.lifted(clip, name)
    assert told["name"] == shown_name(name)
    assert told["name"].isprintable()
    assert 0 < len(told["name"]) <= 120
    files = {path.split("/")[-1] for path in server.left()}
    assert files == {token, "video", "page.html", "overlay.mp4", *(f"person1.{form}" for form in EACH)}
    header = server.get(f"/jobs/{token}/files/bvh").headers["content-disposition"]
    assert re.fullmatch(r"attachment; filename(=\"[\w-]+\.bvh\"|\*=utf-8''[\w%.-]+\.bvh)", header)


def test_a_name_is_no_markup(server, clip):
    name = "<img src=x onerror=alert(1)><script>alert(2)<\\/script>.mp4"
    token, told = server.lifted(clip, "<img src=x onerror=alert(1)>.mp4")
    assert told["name"] == "<img src=x onerror=alert(1)>.mp4"  # which the page sets as text
    page = server.get(f"/jobs/{token}/page").text
    assert "<img" not in page
    assert "&lt;img" in page
    token, _ = server.lifted(clip, name)
    assert "<script>alert" not in server.get(f"/jobs/{token}/page").text


@pytest.mark.parametrize("trick", [*TRICKS[:8], "video", "0" * 32])
def test_paths_lead_nowhere_else(server, clip, trick):
    token, _ = server.lifted(clip)
    for path in (f"/jobs/{quote(trick, safe='')}", f"/jobs/{trick.encode('ascii', 'ignore').decode()[:50]}/page"):
        if "\x00" not in path and "\r" not in path:
            assert server.get(path).status_code == 404
    for form in (trick, f"../{trick}", "bvh/..", "BVH"):
        assert server.get(f"/jobs/{token}/files/{quote(form, safe='')}").status_code == 404
    for form in ("person1.bvh", "video", "detections.bin"):
        assert server.get(f"/jobs/{token}/files/{form}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {"height": "nan"},
        {"height": "5"},
        {"height": "tall"},
        {"person": "0"},
        {"person": "../1"},
        {"start": "-1"},
        {"start": "inf"},
        {"end": "nan"},
        {"start": "2", "end": "1"},
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_upload(server, clip, query):
    answer = server.upload(clip, **query)
    assert answer.status_code == 422
    assert next(iter(query)) in answer.json()["error"]
    assert server.left() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/jobs"),
        ("GET", "/jobs"),
        ("POST", "/"),
        ("POST", "/jobs/0"),
        ("DELETE", "/jobs/0/page"),
        ("PATCH", "/"),
    ],
)
def test_other_methods_are_refused(server, method, path):
    answer = server.ask(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/static/../../etc/passwd", "/jobs/0"])
def test_there_is_nothing_else(server, path):
    assert server.get(path).status_code == 404


# ---- other sites


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8000", True),
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("[::1]:8000", True),
        ("192.168.1.7:8000", True),
        ("studio:8000", True),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_only_own_names_are_answered(tmp_path, lifting, clip, host, known):
    with running(tmp_path, lifting, hosts=["studio"]) as server:
        for method, path in (("GET", "/"), ("POST", "/jobs")):
            answer = server.ask(method, path, content=clip if method == "POST" else b"", headers={"host": host})
            assert (answer.status_code < 300) == known
            assert answer.status_code in (200, 202, 403)
        assert bool(server.left()) == known


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        (None, True),
        ("http://127.0.0.1:8000", True),
        ("https://127.0.0.1:8000", True),
        ("http://127.0.0.1:9000", False),
        ("http://127.0.0.1", False),
        ("https://evil.example", False),
        ("http://127.0.0.1:8000.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_other_sites_change_nothing(server, clip, origin, own):
    token, _ = server.lifted(clip)
    headers = {} if origin is None else {"origin": origin}
    posted = server.ask("POST", "/jobs", content=clip, headers=headers)
    deleted = server.ask("DELETE", f"/jobs/{token}", headers=headers)
    assert [posted.status_code, deleted.status_code] == ([202, 204] if own else [403, 403])
    assert server.get(f"/jobs/{token}").status_code == (404 if own else 200)
    assert server.ask("OPTIONS", "/jobs", headers=headers).status_code in (403, 405)
    if own:
        server.until(posted.json()["id"], "done")


def test_answers_bind_browsers(server, clip):
    token, _ = server.lifted(clip)
    for path in ("/", f"/jobs/{token}", f"/jobs/{token}/page", f"/jobs/{token}/video", "/jobs/0", "/nowhere"):
        headers = server.get(path, headers={"origin": "https://evil.example"}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in re.sub(r"style-src 'unsafe-inline'", "", headers["content-security-policy"])
        assert not any(name.startswith("access-control") for name in headers)


def test_pages_name_no_other_address(server, clip):
    token, _ = server.lifted(clip)
    for path in ("/", f"/jobs/{token}/page"):
        assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", server.get(path).text)
    assert server.get("/").headers["content-security-policy"] != server.get("/").headers["content-security-policy"]


def test_a_large_video_is_linked_by_its_page(server, clip, monkeypatch):
    monkeypatch.setattr("actlift.motion.viewer.EMBED_UP_TO", len(clip) - 1)
    assert len(clip) < EMBED_UP_TO
    token, _ = server.lifted(clip)
    page = f"/jobs/{token}/page"
    address = re.search(r'<video[^>]* src="([^"]+)"', server.get(page).text).group(1)
    video = server.get(str(httpx.URL(page).join(address)), headers={"range": "bytes=0-9"})
    assert (video.status_code, video.content) == (206, clip[:10])


# ---- the command's function


@pytest.mark.parametrize("options", [{"max_mb": 0.0}, {"max_minutes": -1.0}, {"max_minutes": float("nan")}])
def test_limits_are_positive(options):
    with pytest.raises(ValueError, match="positive"):
        serve(**options)


def test_a_folder_has_to_be_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        serve(folder=tmp_path / "missing")


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_a_missing_library_is_told(monkeypatch, missing, lifting):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install actlift[serve]")):
        app(lifting) if missing == "fastapi" else serve()


def test_it_serves_this_machine_alone_unless_told(monkeypatch):
    import uvicorn

    started = {}
    monkeypatch.setattr(served_by, "make_detector", lambda *_: Standing())
    monkeypatch.setattr(uvicorn, "run", lambda web, **options: started.update(web=web, **options))
    serve()
    assert (started["host"], started["port"]) == ("127.0.0.1", 8000)


@pytest.mark.slow
def test_the_pages_run_in_a_browser(tmp_path, lifting, clip):
    """Under their own policies: a script that is refused would leave the words that are looked for unwritten."""
    import socket

    import uvicorn

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app(lifting, folder=tmp_path), log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            with httpx.Client(base_url=base, timeout=20) as client:
                token = client.post("/jobs", params={"name": "<b>walk.mp4"}, content=clip).json()["id"]
                while (told := client.get(f"/jobs/{token}").json())["state"] != "done":
                    assert told["state"] != "failed", told["error"]
                    time.sleep(0.02)
            flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
            for path, words in ((f"/#{token}", "<b>Person 1</b>"), (f"/jobs/{token}/page", "frame 1 of 12")):
                folder = tmp_path / f"browser{len(words)}"
                more = [f"--user-data-dir={folder}", "--virtual-time-budget=3000", "--dump-dom", base + path]
                dom = subprocess.run([chromium, *flags, *more], capture_output=True, text=True, timeout=60, check=True)
                assert words in dom.stdout
                assert "&lt;b&gt;walk.mp4" in dom.stdout
        finally:
            server.should_exit = True
            thread.join()
