"""The page of a motion stands alone, holds the motion, says everything in words, and moves in a real browser."""

import base64
import json
import os
import re
import select
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actlift.motion.viewer as page_module
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.geometry.camera import Camera, look_at, random_rig
from actlift.geometry.skeleton import COCO_17, H36M_17
from actlift.motion.motion import Motion, Segment
from actlift.motion.viewer import write_page

HOSTILE = '</script><script>window.broken = true</script> "quoted" & <b>bold</b>'
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LEFT, RIGHT = (224, 98, 14), (12, 111, 209)  # as in actlift.report.figures

# A person who stands in the origin with arms stretched out and looks along y, away from the camera: left is at -x.
STANDING = {
    "Pelvis": (0, 0, 0.95),
    "Spine": (0, 0, 1.2),
    "Thorax": (0, 0, 1.45),
    "Neck": (0, 0.05, 1.55),
    "Head": (0, 0.05, 1.65),
    "Nose": (0, 0.15, 1.58),
    **{f"{side}{name}": (sign * x, y, z) for side, sign in (("L", -1), ("R", 1)) for name, x, y, z in (
        ("Hip", 0.12, 0, 0.93), ("Knee", 0.13, 0, 0.5), ("Ankle", 0.14, 0, 0.08), ("Shoulder", 0.18, 0, 1.43),
        ("Elbow", 0.45, 0, 1.43), ("Wrist", 0.7, 0, 1.43), ("Eye", 0.03, 0.12, 1.62), ("Ear", 0.07, 0.05, 1.6),
    )},
}  # fmt: skip


def camera(width: int = 1280, height: int = 720) -> Camera:
    R, t = look_at(np.array([0.0, -5.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    middle = np.array([width / 2, height / 2])
    return Camera("c", R, t, np.array([900.0, 900.0]), middle, width, height, np.zeros(3), np.zeros(2))


def moving(frames: int = 90, *, shift_m: float = 0.0, start_s: float = 0.0, **changes: Any) -> Motion:
    """A person who sways by 0.2 m along x, in three seconds, seen with full confidence."""
    sway = np.zeros((frames, 1, 3))
    sway[..., 0] = shift_m + 0.2 * np.sin(2 * np.pi * np.arange(frames) / 90)[:, None]
    joints, points = (np.array([STANDING[name] for name in s.joints]) + sway for s in (H36M_17, COCO_17))
    lens = camera()
    stop_s = start_s + frames / 30
    middle_s = start_s + 1.0
    motion = Motion(
        fps=30.0,
        joints_world=joints,
        pose2d_px=lens.cam_to_px(lens.world_to_cam(points)),
        confidence=np.ones((frames, 17)),
        contacts=np.arange(2 * frames).reshape(frames, 2) % 3 == 0,
        camera=lens,
        action_timeline=(Segment(start_s, middle_s, "Walking", 0.873), Segment(middle_s, stop_s, "unknown")),
        start_s=start_s,
        source="clip.mp4",
        warnings=(Segment(start_s + 0.5, start_s + 1.5, "the left arm is hidden"),),
        about={"detector": "movenet", "body_height_m": 1.7, "recognizer": {"window": 81, "classes": ["A", "B"]}},
    )
    return replace(motion, **changes)


class Parsed(HTMLParser):
    """Tags with their attributes, the visible text, and what stands inside elements with an id."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.text = ""
        self._script: str | None = None
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._script = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script:
            self.inside[self._script] = self.inside.get(self._script, "") + data
        else:
            self.text += data + " "

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.tags if name in (attrs.get("class") or "").split()]

    @property
    def scene(self) -> dict[str, Any]:
        scene: dict[str, Any] = json.loads(self.inside["scene"])
        return scene


def decoded(packed: dict[str, Any], *shape: int) -> np.ndarray:
    integers = np.frombuffer(base64.b64decode(packed["data"]), dtype=f"<u{packed['bits'] // 8}")
    return packed["low"] + packed["step"] * integers.reshape(-1, *shape)


# what the file holds


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_motion_can_be_read_back_from_the_page(tmp_path: Path, scale: float) -> None:
    rng = np.random.default_rng(0)
    motion = moving(
        joints_world=scale * rng.normal(size=(90, 17, 3)),
        pose2d_px=scale * rng.normal(size=(90, 17, 2)),
        confidence=rng.random((90, 17)),
        contacts=rng.random((90, 2)) > 0.5,
        start_s=1.25,
    )
    write_page([motion], tmp_path / "m.html")
    (person,) = Parsed(tmp_path / "m.html").scene["people"]
    assert (person["start"], person["fps"], person["frames"]) == (1.25, 30, 90)
    for name, values, levels in (
        ("joints", motion.joints_world, 65535),
        ("points", motion.pose2d_px, 65535),
        ("seen", motion.confidence, 255),
    ):
        error = np.abs(decoded(person[name], *values.shape[1:]) - values).max()
        assert error <= 0.5001 * np.ptp(values) / levels
    np.testing.assert_array_equal(decoded(person["feet"], 2) > 0.5, motion.contacts)


def test_what_never_changes_is_kept_too(tmp_path: Path) -> None:
    never = np.zeros((90, 2), bool)
    write_page([moving(contacts=never, confidence=np.full((90, 17), 0.4))], tmp_path / "m.html")
    (person,) = Parsed(tmp_path / "m.html").scene["people"]
    np.testing.assert_array_equal(decoded(person["feet"], 2), never)
    np.testing.assert_array_equal(decoded(person["seen"], 17), np.full((90, 17), 0.4))


def test_ten_minutes_fit_into_five_megabytes(tmp_path: Path) -> None:
    write_page([moving(18_000)], tmp_path / "m.html")
    assert (tmp_path / "m.html").stat().st_size < 5e6


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    write_page([moving(), moving(person=2)], tmp_path / "m.html")
    page = Parsed(tmp_path / "m.html")
    assert not {"link", "img", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if {"src", "href", "srcset", "data", "action"} & set(attrs)]
    for word in ("http://", "https://", "url(", "@import", "import(", "fetch("):
        assert word not in page.html


def test_foreign_words_are_words(tmp_path: Path) -> None:
    motion = moving(
        source=HOSTILE,
        action_timeline=(Segment(0.0, 3.0, HOSTILE, 0.5),),
        warnings=(Segment(0.0, 1.0, HOSTILE),),
        about={HOSTILE: HOSTILE, "deep": {HOSTILE: [HOSTILE]}},
    )
    write_page([motion], tmp_path / "m.html")
    page = Parsed(tmp_path / "m.html")
    assert [attrs.get("id") for tag, attrs in page.tags if tag == "script"] == ["scene", None]
    assert "b" not in [tag for tag, attrs in page.tags if "id" not in attrs]
    assert page.text.count(HOSTILE) >= 8
    assert "window.broken" not in "".join(page.inside.values())
    for kind in ("action", "warning"):
        (span,) = page.of_class(kind)
        assert (span["title"] or "").startswith(HOSTILE)


def test_everything_on_the_bands_stands_in_words_too(tmp_path: Path) -> None:
    write_page([moving(start_s=59.5)], tmp_path / "m.html")
    page = Parsed(tmp_path / "m.html")
    text = " ".join(page.text.split())
    assert "Walking 87 %" in text
    assert "59.5 s 1:00.5 Walking 87 %" in text
    assert "1:00.0 1:01.0 the left arm is hidden" in text
    assert "nan" not in text.lower()
    assert [span["title"] for span in page.of_class("action")] == [
        "Walking, 87 %, 59.5 s to 1:00.5",
        "unknown, 1:00.5 to 1:02.5",
    ]
    for _, attrs in page.tags:
        if attrs.get("role") == "img" or "span" in (attrs.get("class") or "").split():
            assert attrs["aria-label"]


def test_a_motion_without_actions_or_warnings_says_so(tmp_path: Path) -> None:
    write_page([moving(action_timeline=(), warnings=(), about={}, source="")], tmp_path / "m.html")
    page = Parsed(tmp_path / "m.html")
    assert "no action was looked for" in page.text
    assert not page.of_class("span")
    assert "<h1>A motion</h1>" in page.html


def test_what_is_known_about_it_stands_on_top(tmp_path: Path) -> None:
    write_page([moving(about={**moving().about, "mirrored": False, "floor": None})], tmp_path / "m.html")
    text = " ".join(Parsed(tmp_path / "m.html").text.split())
    assert "length 3.0 s, 90 frames at 30 per second detector movenet body height m 1.7 mirrored no floor" in text
    assert "How it was made recognizer window: 81; classes: A, B" in text


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.01, 3)), min_size=1, max_size=12))
def test_warnings_in_a_lane_do_not_overlap(tmp_path_factory: pytest.TempPathFactory, times: list) -> None:
    path = tmp_path_factory.mktemp("lanes") / "m.html"
    write_page([moving(warnings=tuple(Segment(s, s + long, "w") for s, long in times))], path)
    lanes = re.findall(r'<div class="lane">(.*?)</div>', Parsed(path).html, re.DOTALL)
    found = 0
    for lane in lanes:
        places = [(float(a), float(b)) for a, b in re.findall(r'data-start="(\S+)" data-stop="(\S+)"', lane)]
        found += len(places)
        assert all(stop <= start for (_, stop), (start, _) in pairwise(places))
    assert found == len(times)
    at_once = max(sum(s <= t < s + long for s, long in times) for t, _ in times)
    assert len(lanes) == at_once


@pytest.mark.parametrize(("frames", "start_s"), [(1, 0.0), (20, 3.3), (90, 0.0), (2000, 100.0), (18_000, 0.0)])
def test_ticks_are_few_round_and_in_their_places(tmp_path: Path, frames: int, start_s: float) -> None:
    write_page([moving(frames, start_s=start_s)], tmp_path / "m.html")
    html = Parsed(tmp_path / "m.html").html
    ticks = re.findall(r'<span style="left: ([\d.]+)%">([\d.]+)(?::(\d\d)| s)</span>', html)
    assert 1 <= len(ticks) <= page_module.TICKS + 1
    assert "-0 s" not in html
    for left, first, seconds in ticks:
        time_s = float(first) * 60 + float(seconds) if seconds else float(first)
        assert float(left) == pytest.approx(100 * (time_s - start_s) / (frames / 30), abs=0.01)


def test_saving_as_html_writes_the_page(tmp_path: Path) -> None:
    write_page([moving()], tmp_path / "m.html")
    assert moving().save(tmp_path / "n.html").read_bytes() == (tmp_path / "m.html").read_bytes()


# video


def test_a_small_video_goes_into_the_page(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(10_000)
    (tmp_path / "clip.webm").write_bytes(content)
    write_page([moving()], tmp_path / "m.html", video=tmp_path / "clip.webm")
    page = Parsed(tmp_path / "m.html")
    assert base64.b64decode(page.inside["film"]) == content
    (video,) = (attrs for tag, attrs in page.tags if tag == "video")
    assert "src" not in video


def test_a_large_video_is_linked_by_its_relative_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "EMBED_UP_TO", 3)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "clip #1.mp4").write_bytes(b"film")
    write_page([moving()], tmp_path / "pages" / "m.html", video=tmp_path / "videos" / "clip #1.mp4")
    page = Parsed(tmp_path / "pages" / "m.html")
    (video,) = (attrs for tag, attrs in page.tags if tag == "video")
    assert video["src"] == "../videos/clip%20%231.mp4"
    assert "film" not in page.inside


# what cannot be written


def test_what_is_wrong_is_said_and_an_older_page_stays(tmp_path: Path) -> None:
    path = tmp_path / "m.html"
    path.write_text("older")
    with pytest.raises(ValueError, match="at least one motion; got none"):
        write_page([], path)
    with pytest.raises(ValueError, match="images of one size, got 640 x 480 and 1280 x 720 pixels; write a page each"):
        write_page([moving(), moving(camera=camera(640, 480))], path)
    with pytest.raises(FileNotFoundError, match=r"there is no video .*gone\.mp4; leave it out"):
        write_page([moving()], path, video=tmp_path / "gone.mp4")
    assert path.read_text() == "older"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="could not write"):
        write_page([moving()], tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "m.html"]


# in a browser


HELP = """
    const $ = (id) => document.getElementById(id), after = (ms) => new Promise((done) => setTimeout(done, ms));
    const press = (key, more = {}) =>
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, ...more}));
    const pixels = (id) => {
        const {width, height} = $(id), copy = new OffscreenCanvas(width, height);
        const pen = copy.getContext("2d", {willReadFrequently: true});
        pen.drawImage($(id), 0, 0);
        return {width, height, data: pen.getImageData(0, 0, width, height).data};
    };
    /** Of the pixels of a color in a canvas: mean x and y as parts of its size, and how many they are. */
    const colored = (id, [r, g, b]) => {
        const {width, height, data} = pixels(id);
        let n = 0, x = 0, y = 0;
        for (let i = 0; i < data.length; i += 4) {
            const off = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
            if (data[i + 3] < 250 || off > 12) continue;
            n++; x += (i / 4) % width; y += Math.floor(i / 4 / width);
        }
        return [x / n / width, y / n / height, n];
    };
"""


class Browser:
    """A headless Chromium, spoken to over two pipes in the DevTools protocol: JSON, a zero byte after each message."""

    def __init__(self, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        flags = "--headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars --disable-background-networking"
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", str(CHROMIUM), *flags.split(),
             f"--user-data-dir={profile}", "--remote-debugging-pipe"],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._unread, self._asked = b"", 0
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": params}
        os.write(self._out, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while (answer := self._next()).get("id") != self._asked:
            self.events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def until(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            assert select.select([self._in], [], [], 60)[0], "the browser says nothing"
            self._unread += os.read(self._in, 1 << 20)
        message, self._unread = self._unread.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(message)
        return answer

    def close(self) -> None:
        self.ask("Browser.close")
        self._process.wait(timeout=60)
        os.close(self._in)
        os.close(self._out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None or shutil.which("bash") is None:
        pytest.skip("no Chromium here: pages were not opened in a browser")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


def opened(browser: Browser, path: Path, script: str, *, address: str = "", size: tuple[int, int] = (1280, 900)) -> Any:
    """What the body of an asynchronous function returns that runs in the page, which must log no complaint."""
    browser.events.clear()
    target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
    session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    width, height = size
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.ask("Emulation.setDeviceMetricsOverride", session, **screen)
    for domain in ("Page", "Runtime", "Log"):
        browser.ask(f"{domain}.enable", session)
    browser.ask("Page.navigate", session, url=path.as_uri() + address)
    browser.until("Page.loadEventFired")
    code = {"expression": f"(async () => {{ {HELP} {script} }})()", "awaitPromise": True, "returnByValue": True}
    answer = browser.ask("Runtime.evaluate", session, **code)
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    browser.ask("Target.closeTarget", targetId=target)
    complaints = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    assert not [event for event in browser.events if event["method"] in complaints]
    return answer["result"].get("value")


def test_the_clock_moves_and_what_is_pressed_and_clicked_jumps(browser: Browser, tmp_path: Path) -> None:
    write_page([moving()], tmp_path / "m.html")
    seen = opened(
        browser,
        tmp_path / "m.html",
        """
        const seen = {}, now = () => [$("time").textContent, $("frame").textContent, $("action").textContent];
        seen.opened = now();
        press("ArrowRight"); seen.right = now();
        press("ArrowLeft"); press("ArrowLeft"); seen.left = now();
        press("ArrowLeft", {shiftKey: true}); seen.second = now();
        document.querySelectorAll(".span.action")[1].click(); seen.action = now();
        document.querySelector(".span.warning").click(); seen.warning = [...now(), $("warning").textContent];
        $("slider").value = 2; $("slider").dispatchEvent(new Event("input")); seen.slider = now();
        seen.said = $("slider").getAttribute("aria-valuetext");
        press(" "); seen.playing = $("play").getAttribute("aria-label");
        const lasted = async (ms) => {
            const since = performance.now(), from = parseFloat($("time").textContent);
            await after(ms);
            return 1000 * (parseFloat($("time").textContent) - from) / (performance.now() - since);
        };
        seen.speed = await lasted(400); press(" ");
        $("speed").value = "0.25"; $("speed").dispatchEvent(new Event("change"));
        press(" "); seen.slow = await lasted(600); press(" ");
        $("speed").value = "2"; $("speed").dispatchEvent(new Event("change"));
        $("play").click();
        while ($("play").getAttribute("aria-label") !== "Play") await after(50);
        seen.end = now();
        $("play").click(); await after(200); $("play").click(); seen.again = parseFloat($("time").textContent);
        location.hash = "t=0.5"; await after(100); seen.address = now();
        location.hash = "t=99"; await after(100); seen.late = now();
        return seen;
        """,
        address="#t=1.2",
    )
    assert seen["opened"] == ["1.20 s", "frame 37 of 90", "unknown"]
    assert seen["right"][1] == "frame 38 of 90"
    assert seen["left"][1] == "frame 36 of 90"
    assert seen["second"] == ["0.17 s", "frame 6 of 90", "Walking 87 %"]
    assert seen["action"] == ["1.00 s", "frame 31 of 90", "unknown"]
    assert seen["warning"] == ["0.50 s", "frame 16 of 90", "Walking 87 %", "the left arm is hidden"]
    assert seen["slider"][:2] == ["2.00 s", "frame 61 of 90"]
    assert seen["said"] == "2.00 s"
    assert seen["playing"] == "Pause"
    assert 0.5 < seen["speed"] < 1.2
    assert 0.1 < seen["slow"] < 0.35
    assert seen["end"] == ["2.97 s", "frame 90 of 90", "unknown"]
    assert 0 < seen["again"] < 2
    assert seen["address"] == ["0.50 s", "frame 16 of 90", "Walking 87 %"]
    assert seen["late"][0] == "2.97 s"


def test_left_and_right_are_drawn_where_they_are(browser: Browser, tmp_path: Path) -> None:
    """A person seen from behind has the left arm on the left of the picture, and from the front on the right."""
    motion = moving()
    write_page([motion], tmp_path / "m.html")
    seen = opened(
        browser,
        tmp_path / "m.html",
        f"""
        const both = (id) => [colored(id, {list(LEFT)}), colored(id, {list(RIGHT)})];
        const seen = {{flat: both("flat")}};
        document.querySelector('[data-turn="0"][data-tilt="5"]').click(); seen.behind = both("deep");
        document.querySelector('[data-tilt="89"]').click(); seen.above = both("deep");
        document.querySelector('[data-turn="90"]').click(); seen.side = both("deep");
        const drag = (type, clientX) =>
            $("deep").dispatchEvent(new PointerEvent(type, {{pointerId: 1, clientX, clientY: 9}}));
        $("deep").setPointerCapture = () => {{}};
        document.querySelector('[data-turn="0"]').click();
        drag("pointerdown", 0); drag("pointermove", 314); drag("pointerup", 314); seen.front = both("deep");
        const big = seen.front[0][2];
        $("deep").dispatchEvent(new WheelEvent("wheel", {{deltaY: 100, cancelable: true}}));
        seen.smaller = both("deep")[0][2] / big;
        $("deep").dispatchEvent(new MouseEvent("dblclick")); seen.reset = both("deep");
        return seen;
        """,
    )
    for name in ("flat", "behind", "above"):
        left, right = seen[name]
        assert min(left[2], right[2]) > 50, name
        assert right[0] - left[0] > 0.05, name
    assert seen["front"][0][0] - seen["front"][1][0] > 0.05
    assert abs(seen["side"][0][0] - seen["side"][1][0]) < 0.03
    assert seen["smaller"] < 0.9
    assert seen["reset"][1][0] - seen["reset"][0][0] > 0.02
    joints = motion.pose2d_px[0] / (1280, 720)  # the arms and legs, drawn from the numbers of the page
    own = [j for j in COCO_17.left if "E" not in COCO_17.joints[j]]
    assert seen["flat"][0][0] == pytest.approx(joints[own, 0].mean(), abs=0.04)


def test_a_joint_that_was_not_seen_is_hollow_and_named(browser: Browser, tmp_path: Path) -> None:
    confidence = np.ones((90, 17))
    confidence[30:60, COCO_17.index("LWrist")] = 0
    write_page([moving(confidence=confidence)], tmp_path / "m.html")
    wrist = moving().pose2d_px[45, COCO_17.index("LWrist")]
    seen = opened(
        browser,
        tmp_path / "m.html",
        f"const wrist = {wrist.tolist()}, k = {COCO_17.index('LWrist')};"
        """
        const row = [...document.querySelectorAll("#joints li")].find((li) => li.textContent.includes("left wrist"));
        const at = () => {
            const {width, height, data} = pixels("flat"), s = Math.min(width / 1280, height / 720);
            const [x, y] = [(width - 1280 * s) / 2 + s * wrist[0], (height - 720 * s) / 2 + s * wrist[1]];
            return [...data].splice(4 * (Math.round(y) * width + Math.round(x)), 3);
        };
        const strip = (part) => {
            const {width, height, data} = pixels("doubt");
            return data[4 * (Math.round(height * (k + 0.4) / 17) * width + Math.round(width * part)) + 3];
        };
        const hidden = [row.querySelector("output").textContent, at()];
        location.hash = "t=0"; await after(100);
        return {hidden, open: row.querySelector("output").textContent, strip: [strip(0.1), strip(0.5), strip(0.9)]};
        """,
        address="#t=1.5",
    )
    assert seen["hidden"] == ["filled", [255, 255, 255]]
    assert seen["open"] == "100 %"
    assert seen["strip"][1] == 255
    assert max(seen["strip"][0], seen["strip"][2]) < 30


def test_people_are_switched_between_and_all_stand_in_one_room(browser: Browser, tmp_path: Path) -> None:
    motions = [moving(), moving(60, person=2, start_s=2.0, shift_m=1.0, action_timeline=(Segment(2.0, 4.0, "Boxing"),))]
    write_page(motions, tmp_path / "m.html")
    seen = opened(
        browser,
        tmp_path / "m.html",
        f"""
        const now = () => [$("frame").textContent, $("action").textContent, $("absent").hidden,
            document.querySelectorAll(".span:not([hidden])").length, colored("flat", {list(LEFT)})];
        const seen = {{both: now()}};
        document.querySelector('[data-pick="1"]').click(); seen.second = now();
        seen.pressed = [...document.querySelectorAll("[data-pick]")].map((b) => b.getAttribute("aria-pressed"));
        location.hash = "t=1&person=2"; await after(100); seen.early = now();
        location.hash = "t=3.5&person=1"; await after(100); seen.late = now();
        return seen;
        """,
        address="#t=2.5",
    )
    assert seen["both"][:3] == ["frame 76 of 90", "unknown", True]
    assert seen["second"][:3] == ["frame 16 of 60", "Boxing", True]
    assert seen["second"][4][0] - seen["both"][4][0] > 0.08  # who is picked is drawn in full colors: 1 m further right
    assert seen["pressed"] == ["false", "true"]
    assert seen["early"][:3] == ["", "", False]
    assert seen["late"][:3] == ["", "", False]


def test_hostile_words_do_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    motion = moving(source=HOSTILE, action_timeline=(Segment(0.0, 3.0, HOSTILE, 0.5),), about={HOSTILE: HOSTILE})
    write_page([motion], tmp_path / "m.html")
    assert opened(browser, tmp_path / "m.html", 'return [window.broken ?? null, $("action").textContent];') == [
        None,
        f"{HOSTILE} 50 %",
    ]


def test_a_video_that_cannot_be_played_is_said_to_be_so(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no film")
    write_page([moving()], tmp_path / "m.html", video=tmp_path / "clip.mp4")
    script = """
        while (!$("video").hidden) await after(20);
        const words = document.querySelector("figcaption").innerText;
        press(" "); await after(200); press(" ");
        return [$("video").hidden, words, parseFloat($("time").textContent)];
    """
    hidden, words, time_s = opened(browser, tmp_path / "m.html", script)
    assert hidden
    assert "clip.mp4 cannot be played here" in words
    assert time_s > 0


def test_a_real_trial(browser: Browser, actlift_data: Path, tmp_path: Path) -> None:
    clip = next(c for c in read_mocap_npz(actlift_data / "mocap" / "cmu.npz") if c.action == "Walking")
    joints = clip.joints_world[::2].astype(np.float64)
    lens = random_rig(joints, 0, 1)[0]
    t = len(joints)
    points = np.repeat(lens.cam_to_px(lens.world_to_cam(joints[:, :1])), 17, axis=1)
    write_page(
        [
            Motion(
                fps=clip.fps / 2,
                joints_world=joints,
                pose2d_px=points,
                confidence=np.ones((t, 17)),
                contacts=np.zeros((t, 2), bool),
                camera=lens,
                action_timeline=(Segment(0.0, t / clip.fps * 2, clip.action, 1.0),),
            )
        ],
        tmp_path / "m.html",
    )
    (person,) = Parsed(tmp_path / "m.html").scene["people"]
    assert np.abs(decoded(person["joints"], 17, 3) - joints).max() < 1e-4
    shown = opened(
        browser, tmp_path / "m.html", 'return [$("frame").textContent, $("action").textContent];', address="#t=1"
    )
    assert shown == [f"frame {round(clip.fps / 2) + 1} of {t}", f"{clip.action} 100 %"]


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_sideways(browser: Browser, tmp_path: Path, width: int) -> None:
    long = tuple(
        Segment(0.03 * i, 0.03 * (i + 1), "a label that is far longer than its stretch", 0.5) for i in range(99)
    )
    people = [
        moving(action_timeline=long, warnings=long[::9], source="a/very/long/" * 20 + "name.mp4", person=i)
        for i in range(9)
    ]
    write_page(people, tmp_path / "m.html")
    script = "return [document.documentElement.scrollWidth, innerWidth, $('deep').clientWidth, $('deep').clientHeight];"
    whole, inner, view_width, view_height = opened(browser, tmp_path / "m.html", script, size=(width, 800))
    assert whole <= inner == width
    assert min(view_width, view_height) >= 300


def test_the_video_and_the_skeleton_share_one_clock(browser: Browser, actlift_data: Path, tmp_path: Path) -> None:
    video = actlift_data.parent / "videos" / "sports2d_demo.mp4"
    if not video.is_file():
        pytest.skip(f"no {video.name} beside the motion capture")
    write_page([moving()], tmp_path / "m.html", video=video)
    seen = opened(
        browser,
        tmp_path / "m.html",
        """
        const both = () => [parseFloat($("time").textContent), $("video").currentTime];
        while ($("video").readyState < 2 && !$("video").hidden) await after(20);
        if ($("video").hidden) return null;
        const seen = {opened: both()};
        press(" "); await after(600); seen.playing = both();
        press(" "); await after(100); seen.paused = both();
        press("ArrowRight"); seen.stepped = both();
        document.querySelectorAll(".span.action")[1].click(); seen.jumped = both();
        return seen;
        """,
        address="#t=0.5",
    )
    if seen is None:
        pytest.skip("this Chromium does not play H.264")
    assert seen["playing"][0] > seen["opened"][0]
    for shown, filmed in seen.values():
        assert shown == pytest.approx(filmed, abs=0.1)
    assert seen["jumped"] == pytest.approx([1.0, 1.0], abs=0.01)
