"""A local web page that lifts videos: drop one, see how far it is, look at the motion, take the files.

One thread works on videos, one after the other. What it makes lies in a temporary folder, and is removed when it is
told so, an hour after it was made, and when the server stops.

What others could do with such a page, and what keeps them from it:

- Files are named here. A random token names a job, which is looked up and never made into a path; a user's name for a
  video is text to be shown.
- A video is opened only as one of :data:`CONTAINERS`: FFmpeg knows formats that name further files, and would read
  those of this machine.
- A page of another site may send requests here from its visitor's browser. What changes something must come from this
  page (`Origin`). A site that points its own name at this machine sends that name (`Host`), and is refused.
- Size, duration, number and time of jobs are limited; pages may load and run nothing but what they bring along.
"""

import asyncio
import base64
import hashlib
import ipaddress
import logging
import re
import secrets
import shutil
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from actlift.errors import InputError, MissingInputError, MissingPackageError
from actlift.geometry.trajectory import STATURES_M
from actlift.motion import WRITERS
from actlift.motion.motion import Motion
from actlift.motion.viewer import write_page
from actlift.video.decode import Source, open_source
from actlift.video.detectors import make_detector
from actlift.video.overlay import write_overlay
from actlift.video.pipeline import Lifters, lift_video

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTAINERS = {  # FFmpeg's names of formats that hold a video themselves, and what a browser calls them
    "mov": "video/mp4",
    "matroska": "video/webm",
    "avi": "video/x-msvideo",
    "mpegts": "video/mp2t",
    "mpeg": "video/mpeg",
}
PAGE, OVERLAY = "html", "mp4"  # formats with everybody in one file
EACH = tuple(suffix.removeprefix(".") for suffix, row in WRITERS.items() if not row.everybody)  # one person a file
VIDEO = "video"  # the file's name, and its address from the page of the motion

MOST_FPS = 240.0  # of a motion, whatever a video claims
MOST_PIXELS = 8192 * 4320  # of a picture: 8K
SLACK = 1.1  # by which a video may have more frames than its duration and rate tell
NAME_LETTERS = 120
CHUNK = 1 << 20  # bytes that are written at once
STOP_S = 10.0  # for which the end waits for the work to stop

STYLED = "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

LOG = logging.getLogger("uvicorn.error.actlift")
Lift = Callable[..., list[Motion]]


@dataclass(frozen=True)
class Limits:
    """What a user may ask for.

    Attributes:
        upload_bytes: of a video.
        video_s: seconds of a video that are lifted.
        job_s: seconds that an upload may take, and the work on it.
        unfinished: jobs that are uploaded, wait or are worked on at a time.
        kept_s: seconds for which a finished job is kept.
    """

    upload_bytes: int = 500_000_000
    video_s: float = 600.0
    job_s: float = 3600.0
    unfinished: int = 8
    kept_s: float = 3600.0


# jobs


class Stopped(Exception):
    """Nobody wants the job any more."""


class Full(Exception):
    """There are as many unfinished jobs as there may be."""


@dataclass(frozen=True)
class Progress:
    """How far a stage of the work is; seconds left are those of the stage."""

    stage: str
    done: int = 0
    total: int | None = None
    left_s: float | None = None


@dataclass(eq=False)
class Job:
    """A video and what is made of it.

    Attributes:
        token: names it.
        name: of the video, to be shown.
        options: of the lifting function.
        folder: of its files.
        state: uploading, waiting, working, done or failed.
        queued_s, finished_s: when it was uploaded and done, by the monotonic clock.
        files: by format and person; everybody is None.
        media: type of the video.
        policy: Content-Security-Policy of its page.
        error, notes: why it failed, and what to know of it.
        stop: set when nobody wants it any more.
    """

    token: str
    name: str
    options: Mapping[str, Any]
    folder: Path
    state: str = "uploading"
    progress: Progress = Progress("waiting")
    queued_s: float = 0.0
    finished_s: float = float("inf")
    people: tuple[dict[str, Any], ...] = ()
    files: dict[tuple[str, int | None], Path] = field(default_factory=dict)
    media: str = ""
    policy: str = ""
    error: str = ""
    notes: tuple[str, ...] = ()
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def video(self) -> Path:
        return self.folder / VIDEO

    @property
    def unfinished(self) -> bool:
        return self.state not in ("done", "failed")


class Jobs:
    """Jobs by token, and the thread that works on them one after the other.

    Args:
        folder: for their files.
        lift: as :func:`actlift.video.pipeline.lift_video`.
        limits: of jobs.
    """

    def __init__(self, folder: Path, lift: Lift, limits: Limits) -> None:
        self.folder, self.lift, self.limits = folder, lift, limits
        self._jobs: dict[str, Job] = {}
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._working: Job | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="actlift-jobs", daemon=True)
        self._thread.start()

    def get(self, token: str) -> Job | None:
        return self._jobs.get(token)

    def add(self, name: str, options: Mapping[str, Any]) -> Job:
        """A job whose video is yet to be uploaded.

        Raises:
            Full: if there are too many that are not finished.
        """
        token = secrets.token_hex(16)
        job = Job(token, name, options, self.folder / token)
        with self._lock:
            if sum(other.unfinished for other in self._jobs.values()) >= self.limits.unfinished:
                raise Full
            job.folder.mkdir()
            self._jobs[token] = job
        return job

    def start(self, job: Job) -> None:
        """Work on it when its turn comes."""
        job.state, job.queued_s = "waiting", time.monotonic()
        self._queue.put(job)

    def ahead(self, job: Job) -> int:
        """How many jobs come before it."""
        with self._lock:
            others = list(self._jobs.values())
        return sum(other.state in ("waiting", "working") and other.queued_s < job.queued_s for other in others)

    def remove(self, job: Job) -> None:
        """Forget it and its files; work on it stops soon."""
        with self._lock:
            self._jobs.pop(job.token, None)
            job.stop.set()
            working = job is self._working
        if not working:  # else its thread removes the files when it has stopped
            shutil.rmtree(job.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove jobs that were done long enough ago."""
        with self._lock:
            old = [j for j in self._jobs.values() if time.monotonic() - j.finished_s > self.limits.kept_s]
        for job in old:
            self.remove(job)

    def close(self) -> None:
        """Stop the work."""
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        self._queue.put(None)
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            with self._lock:
                if job.stop.is_set():
                    continue
                self._working, job.state = job, "working"
            try:
                with warnings.catch_warnings(record=True) as warned:
                    warnings.simplefilter("always", RuntimeWarning)
                    work(job, self.lift, self.limits)
            except Stopped:
                pass
            except Exception as error:
                job.error = message_of(error, job)
            job.notes = tuple(_scrubbed(str(w.message), job) for w in warned if w.category is RuntimeWarning)
            job.finished_s, job.state = time.monotonic(), "failed" if job.error else "done"
            with self._lock:
                self._working, unwanted = None, job.stop.is_set()
            if unwanted:
                shutil.rmtree(job.folder, ignore_errors=True)


# the work on one job


def work(job: Job, lift: Lift, limits: Limits) -> None:
    """Lift the job's video and write its files, which are there for the taking as soon as they are written.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what lifting raises, and for a video beyond the limits.
        Stopped: if nobody wants the job any more.
    """
    job.media = media_type(job.video)
    source = open_source(job.video)
    expected = _expected_frames(source, job.options["start_s"], job.options["end_s"], limits)
    most = SLACK * limits.video_s * source.fps + 1
    end_by = time.monotonic() + limits.job_s
    stage, stage_began = "", 0.0

    def on_progress(now_at: str, done: int, total: int | None) -> None:
        nonlocal stage, stage_began
        now = time.monotonic()
        if job.stop.is_set():
            raise Stopped
        if now > end_by:
            raise InputError(f"this took longer than {_spoken(limits.job_s)}, the limit here; lift a part of the video")
        if done > most and now_at != "writing files":
            raise InputError(f"the video has more frames than {_spoken(limits.video_s)} have; lift a part of it")
        if now_at != stage:
            stage, stage_began = now_at, now
        total = total or expected
        left_s = (now - stage_began) * (total - done) / done if total and 0 < done <= total else None
        job.progress = Progress(now_at, done, total, left_s)

    on_progress("opening the video", 0, None)
    found = lift(
        job.video,
        keep=job.folder / "detections.bin",
        fps=min(source.fps, MOST_FPS),
        on_progress=on_progress,
        **job.options,
    )
    motions = [replace(motion, source=job.name) for motion in found]
    job.people = tuple(_about(motion) for motion in motions)
    for done, motion in enumerate(motions):
        for form in EACH:
            on_progress("writing files", done, len(motions))
            job.files[form, motion.person] = motion.save(job.folder / f"person{motion.person}.{form}")
    page = job.folder / f"page.{PAGE}"
    write_page(motions, page, video=job.video)
    job.policy = _policy(page.read_text(encoding="utf-8"))
    job.files[PAGE, None] = page
    part = {key: job.options[key] for key in ("start_s", "end_s")}
    job.files[OVERLAY, None] = write_overlay(
        motions,
        job.video,
        job.folder / f"overlay.{OVERLAY}",
        on_progress=lambda done: on_progress("drawing over the video", done, None),
        **part,
    )


def media_type(video: Path) -> str:
    """What a browser calls a video of one of :data:`CONTAINERS`; "" where FFmpeg makes nothing of it.

    Raises:
        InputError: for any other format. It is told before anything that the file names is opened.
    """
    import av

    whitelists = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
    try:
        with av.open(f"file:{video}", container_options=whitelists) as container:
            names = container.format.name.split(",")
    except av.ArgumentError as error:
        raise InputError("that is no video in a format that is taken here: MP4, MOV, MKV, WebM, AVI or MPEG") from error
    except av.FFmpegError:  # of a known format, but damaged, or of none: opening it tells more
        return ""
    return next(media for name, media in CONTAINERS.items() if name in names)


def _expected_frames(source: Source, start_s: float, end_s: float | None, limits: Limits) -> int | None:
    """How many frames there are to lift, as far as the file tells; raises for too much."""
    if source.width * source.height > MOST_PIXELS:
        raise InputError(f"its pictures have {source.width} x {source.height} pixels; 8K is the limit here")
    ends = [s for s in (source.duration_s, end_s) if s is not None]
    if not ends:
        return None
    part_s = max(min(ends) - start_s, 0.0)
    if part_s > limits.video_s:
        raise InputError(
            f"that lasts {_spoken(part_s)}, and {_spoken(limits.video_s)} are the limit here; tell from when to when "
            "to lift it"
        )
    return round(part_s * source.fps) or None


def _about(motion: Motion) -> dict[str, Any]:
    """Who that is, for the page."""
    actions = dict.fromkeys(s.label for s in motion.action_timeline if s.label != "unknown")
    stop_s = motion.start_s + motion.frames / motion.fps
    return {"number": motion.person, "start_s": motion.start_s, "stop_s": stop_s, "actions": list(actions)}


def _policy(html: str) -> str:
    """The Content-Security-Policy of a page of a motion: its own script, which stands last, and its own video."""
    script = html.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; script-src 'sha256-{digest}'; media-src 'self' blob:; {STYLED}"


def message_of(error: Exception, job: Job) -> str:
    """What went wrong, for the user: nothing about this machine."""
    if isinstance(error, InputError):
        return _scrubbed(str(error), job)
    LOG.error("a job failed", exc_info=error)
    return "that failed on this machine, for a reason that is written in the terminal of `actlift serve`"


def _scrubbed(message: str, job: Job) -> str:
    """The message with the video called so, and other files by their names alone."""
    told = message.replace(str(job.video), "the video")
    return re.sub(r"(?<![\w.)/\\])(?:[A-Za-z]:[/\\]|/)(?:[^\s/\\'\":,;()]+[/\\])*(?=[^\s/\\])", "", told)


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.3g} minutes" if seconds > 90 else f"{seconds:.3g} s"


# the page


def app(
    lift: Lift,
    limits: Limits = Limits(),
    *,
    folder: Path | None = None,
    hosts: Collection[str] = (),
) -> "FastAPI":
    """The web application.

    Args:
        lift: makes motions of a video, as :func:`actlift.video.pipeline.lift_video` with a detector.
        limits: of what users may ask for.
        folder: in which a temporary folder is made for videos and their files; the system's where None.
        hosts: names of this machine by which browsers may call it, besides localhost and addresses.

    Raises:
        MissingPackageError: without the extra `serve`; says how to install it.
    """
    try:
        from fastapi import FastAPI, HTTPException, Query, Request
        from fastapi.concurrency import run_in_threadpool
        from fastapi.exceptions import RequestValidationError
        from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
        from starlette.exceptions import HTTPException as AnyHTTPException
        from starlette.requests import ClientDisconnect
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"the page needs the package {error.name}: pip install actlift[serve]", name=error.name
        ) from error
    from jinja2 import Environment, StrictUndefined

    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        Path(__file__).with_name("serve.html").read_text(encoding="utf-8")
    )
    jobs: Jobs

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        nonlocal jobs
        with TemporaryDirectory(prefix="actlift-serve-", dir=folder, ignore_cleanup_errors=True) as own:
            jobs = Jobs(Path(own), lift, limits)
            sweeping = asyncio.create_task(_sweep(jobs))
            try:
                yield
            finally:
                sweeping.cancel()
                await run_in_threadpool(jobs.close)

    web = FastAPI(lifespan=running, openapi_url=None, docs_url=None, redoc_url=None)
    web.add_middleware(Guard, hosts=hosts)

    def known(token: str) -> Job:
        job = jobs.get(token)
        if job is None:
            raise HTTPException(404, "there is no such job; jobs are removed some time after they are done")
        return job

    @web.exception_handler(AnyHTTPException)
    def refused(_: Request, error: AnyHTTPException) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @web.exception_handler(RequestValidationError)
    def misunderstood(_: Request, error: RequestValidationError) -> Response:
        told = "; ".join(f"{e['loc'][-1]}: {e['msg'].lower()}" for e in error.errors())
        return JSONResponse({"error": told}, 422)

    @web.get("/")
    def start_page() -> Response:
        nonce = secrets.token_urlsafe(16)
        policy = f"default-src 'none'; script-src 'nonce-{nonce}'; connect-src 'self'; media-src 'self'; {STYLED}"
        html = template.render(nonce=nonce, limits=limits, statures_m=STATURES_M, each=EACH, spoken=_spoken)
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})

    @web.post("/jobs", status_code=202)
    async def upload(
        request: Request,
        name: str = "",
        height: Annotated[float | None, Query(ge=STATURES_M[0], le=STATURES_M[1], allow_inf_nan=False)] = None,
        person: Annotated[int | None, Query(ge=1, le=10_000)] = None,
        start: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
        end: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
    ) -> dict[str, str]:
        if end is not None and end <= start:
            raise HTTPException(422, f"from {start:g} to {end:g} s: the end must come after the start")
        too_large = HTTPException(413, f"the video is larger than {limits.upload_bytes / 1e6:g} MB, the limit here")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limits.upload_bytes:
            raise too_large
        options = {"height_m": height, "person": person, "start_s": start, "end_s": end}
        try:
            job = jobs.add(shown_name(name), options)
        except Full:
            raise HTTPException(
                429, "too many videos are waiting; try again in some minutes", {"Retry-After": "60"}
            ) from None
        try:
            async with asyncio.timeout(limits.job_s):
                if not await _received(request.stream(), job.video, limits.upload_bytes):
                    raise too_large
        except BaseException as error:
            jobs.remove(job)
            if isinstance(error, ClientDisconnect):
                raise HTTPException(400, "the upload broke off; try again") from None
            if isinstance(error, TimeoutError):
                raise HTTPException(408, "the upload took too long") from None
            if isinstance(error, OSError):
                LOG.error("an upload could not be written", exc_info=error)
                raise HTTPException(507, "the video could not be written on this machine; is its disk full?") from None
            raise
        jobs.start(job)
        return {"id": job.token}

    @web.get("/jobs/{token}")
    def progress(token: str) -> dict[str, Any]:
        job = known(token)
        now = job.progress
        return {
            "name": job.name,
            "state": job.state,
            "ahead": jobs.ahead(job) if job.state == "waiting" else 0,
            "stage": now.stage,
            "done": now.done,
            "total": now.total,
            "left_s": now.left_s,
            "people": job.people,
            "ready": [form for form in (PAGE, OVERLAY) if (form, None) in job.files],
            "error": job.error,
            "notes": job.notes,
        }

    @web.delete("/jobs/{token}", status_code=204)
    def delete(token: str) -> None:
        jobs.remove(known(token))

    @web.get("/jobs/{token}/page")
    def page(token: str) -> Response:
        job = known(token)
        if (PAGE, None) not in job.files:
            raise HTTPException(404, "this job has no page yet")
        return FileResponse(job.files[PAGE, None], headers={"Content-Security-Policy": job.policy})

    @web.get(f"/jobs/{{token}}/{VIDEO}")
    def video(token: str) -> Response:
        """Large videos are linked by the page."""
        job = known(token)
        if not job.media:
            raise HTTPException(404, "this job has no video yet")
        return FileResponse(job.video, media_type=job.media)

    @web.get("/jobs/{token}/files/{form}")
    def file(token: str, form: str, person: int | None = None) -> Response:
        """A file of one person, the one who is seen longest where none is told, or of everybody."""
        job = known(token)
        if form in (PAGE, OVERLAY):
            person = None
        elif person is None and job.people:
            person = job.people[0]["number"]
        if (form, person) not in job.files:
            raise HTTPException(404, f"this job has no such file; formats are {', '.join((*EACH, PAGE, OVERLAY))}")
        return FileResponse(job.files[form, person], filename=_download_name(job, form, person))

    return web


def shown_name(name: str) -> str:
    """The name of a video as it is shown: without folders and invisible letters, and not too long."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable())[:NAME_LETTERS].strip() or "video"


def _download_name(job: Job, form: str, person: int | None) -> str:
    stem = re.sub(r"[^\w-]+", "_", job.name.rpartition(".")[0] or job.name).strip("_") or "motion"
    return f"{stem}{f'_person{person}' if person and len(job.people) > 1 else ''}.{form}"


async def _received(chunks: AsyncIterator[bytes], path: Path, most: int) -> bool:
    """Write what comes, never more than so many bytes; whether that was all."""
    got = 0
    with path.open("wb", buffering=CHUNK) as file:
        async for chunk in chunks:
            got += len(chunk)
            if got > most:
                return False
            await asyncio.to_thread(file.write, chunk)
    return True


async def _sweep(jobs: Jobs) -> None:
    while True:
        await asyncio.sleep(jobs.limits.kept_s / 60)
        await asyncio.to_thread(jobs.sweep)


class Guard:
    """Refuses what comes from other sites, and sets the headers of every answer.

    Args:
        app: behind it.
        hosts: names of this machine besides localhost; addresses need not be told, since nobody can make them theirs.
    """

    def __init__(self, app: "ASGIApp", hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = {"localhost", *(host.lower() for host in hosts)}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        from starlette.datastructures import Headers, MutableHeaders
        from starlette.responses import JSONResponse

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: "Message") -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer: ASGIApp = self.app
        if why := self._refusal(scope["method"], Headers(scope=scope)):
            answer = JSONResponse({"error": why}, 403)
        await answer(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Mapping[str, str]) -> str:
        """Why a request is refused, or nothing."""
        host = headers.get("host", "")
        if not self._is_own(host):
            return "this machine is not known by that name; use its address, or start it with that name as --host"
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin is not None and urlsplit(origin).netloc != host:
            return "requests of other sites are refused"
        return ""

    def _is_own(self, host: str) -> bool:
        name = host.lower()
        with suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
            return True
        return name in self.hosts


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    detector: str = "auto",
    weights: Path | None = None,
    folder: Path | None = None,
    max_mb: float = 500.0,
    max_minutes: float = 10.0,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        host: address or name to be called by; others than 127.0.0.1 open it to the network, where everybody may use it.
        port: to listen on.
        detector, weights: as for :func:`actlift.video.detectors.make_detector`.
        folder: in which a temporary folder is made for videos and their files; the system's where None.
        max_mb: size of a video in megabytes.
        max_minutes: of a video that are lifted.

    Raises:
        InputError, OSError: if the detector cannot be made, or a limit is none.
        MissingPackageError: without the extra `serve`, or what the detector needs; says how to install it.
    """
    if not (max_mb > 0 and max_minutes > 0):
        raise InputError(f"limits of {max_mb:g} MB and {max_minutes:g} minutes: wanted positive numbers")
    if folder is not None and not folder.is_dir():
        raise MissingInputError(f"there is no folder {folder} to keep videos in")
    limits = Limits(upload_bytes=int(max_mb * 1e6), video_s=60.0 * max_minutes)
    try:
        import av  # noqa: F401
        import uvicorn
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"the page needs the package {error.name}: pip install actlift[serve]", name=error.name
        ) from error
    lift = partial(lift_video, detector=make_detector(detector, weights), lifters=Lifters())
    web = app(lift, limits, folder=folder, hosts=[host])
    uvicorn.run(web, host=host, port=port, access_log=False, server_header=False, timeout_graceful_shutdown=3)
