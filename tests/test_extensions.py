"""Every example of docs/extending.md runs, and every row of every table keeps what the table promises."""

import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from tests.commands import here
from tests.exports import walking

from actlift.cli.lift import FORMATS_HELP
from actlift.data.corpus import Corpus
from actlift.data.prepare import read_source
from actlift.data.sources import SOURCES, source_of
from actlift.data.sources.asfamc import JOINT_BONES
from actlift.data.sources.h36m import JOINTS_OF_32
from actlift.data.sources.humaneva import JOINTS_15
from actlift.data.sources.mocap_npz import write_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips
from actlift.errors import InputError
from actlift.evaluation.evaluate import evaluate
from actlift.evaluation.metrics import METRICS, Metric
from actlift.evaluation.scores import Scores, Variant
from actlift.geometry.skeleton import H36M_17, root_relative
from actlift.models.base import ARCHITECTURES, Lifter, keywords_of, make_network
from actlift.models.options import Network
from actlift.motion import WRITERS, writer_for
from actlift.study.arms import ARMS
from actlift.study.experiment import run_study
from actlift.study.partitions import PARTITIONS
from actlift.study.plan import Plan
from actlift.training.budget import Budget
from actlift.video.detectors import DETECTORS, make_detector
from actlift.video.detectors.base import Detector
from actlift.video.keypoints import FORMATS, read_keypoints
from actlift.video.keypoints.base import Content
from actlift.video.save import CHOICES, save_motions

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"


# The page


@dataclass(frozen=True)
class Example:
    """One section: a file with its text, and a row of a table in another, or the same, file."""

    file: str
    text: str
    table: str
    table_file: str
    row: str


def module_of(file: str) -> str:
    return file.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def examples() -> Iterator[tuple[str, Example]]:
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        text, row = re.findall(r"^```(?:python|py)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        file, table_file = re.findall(r"`(src/actlift/[^`]+\.py)`", section)
        (table,) = re.findall(r"`([A-Z]+)` in `src/", section)
        yield section.splitlines()[0], Example(file, text, table, table_file, row)


EXAMPLES = dict(examples())


@pytest.fixture
def extend(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Adds the file and the row of a section, until the test ends, and gives the module that the file is."""

    def add(title: str) -> ModuleType:
        example = EXAMPLES[title]
        home = import_module(module_of(example.table_file))
        module = ModuleType(module_of(example.file))
        if example.file == example.table_file:
            module.__dict__.update(vars(home))
        else:
            assert not (ROOT / example.file).exists()
            monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(example.text, f"{PAGE.name}, {title}", "exec"), module.__dict__)
        table: dict[str, Any] = getattr(home, example.table)
        for key, row in eval(f"{{{example.row}}}", vars(home) | vars(module)).items():
            assert key not in table
            monkeypatch.setitem(table, key, row)
        return module

    return add


def test_the_table_of_the_page_leads_to_its_sections():
    rows = re.findall(r"^\| \[(.*?)\]\(#(.*?)\) \|.*\| `([A-Z]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [(title[:1].upper() + title[1:], table) for title, _, table in rows] == [
        (title, example.table) for title, example in EXAMPLES.items()
    ]
    assert all(anchor == title.lower().replace(" ", "-") for title, anchor, _ in rows)


def test_the_example_of_a_metric(extend, corpus):
    extend("A metric")
    check_metric(METRICS["depth_error"])
    views = corpus.views[:3]
    deeper = [root_relative(view.pose3d_cam) + np.array([5.0, 5.0, 0.02]) for view in views]
    scores = evaluate(lambda _: deeper, views, variant=Variant("deeper"), metrics=["depth_error"])
    np.testing.assert_allclose(scores.table["value"], 20.0)
    assert set(scores.table["joint"]) == {"all"}


def test_the_example_of_an_export(extend, tmp_path):
    extend("An export")
    check_writer(tmp_path, ".xyz")
    motion = walking()
    numbers = np.loadtxt(motion.save(tmp_path / "walk.xyz"))
    np.testing.assert_allclose(numbers.reshape(-1, 17, 3), motion.joints_world, atol=1e-4)
    with pytest.raises(InputError, match=r"known are .*\.xyz"):
        motion.save(tmp_path / "walk.fbx")


def test_the_example_of_a_motion_capture_format(extend, monkeypatch, tmp_path):
    extend("An export")
    extend("A motion capture format")
    check_source(tmp_path, "xyz")
    for person in ("S1", "S2"):
        walking().save(tmp_path / f"{person}_Walking.xyz")
    sources = [str(tmp_path / f"{person}_Walking.xyz") for person in ("S1", "S2")]
    assert here(monkeypatch, "data", "prepare", *sources, "--out", tmp_path / "corpus") == 0
    corpus = Corpus.open(tmp_path / "corpus")
    assert (corpus.subjects, corpus.actions, corpus.fps) == (("S1", "S2"), ("Walking",), 50.0)
    with pytest.raises(InputError, match=r"wanted .* or a file PERSON_ACTION\.xyz"):
        read_source(tmp_path / "other.c3d")


def test_the_example_of_a_lifter_network(extend, corpus_folder, tmp_path, monkeypatch):
    extend("A lifter network")
    check_lifter("one-layer")
    words = ["train", str(corpus_folder), str(tmp_path / "one"), "--test-subjects", "syn4", "--steps", "20"]
    words += ["--architecture", "one-layer", "--receptive-field", "9", "--channels", "16", "--device", "cpu"]
    for command in (
        words,
        ["evaluate", str(tmp_path / "one"), str(corpus_folder), "--out", str(tmp_path / "s.parquet")],
    ):
        assert here(monkeypatch, *command) == 0
    assert set(Scores.read(tmp_path / "s.parquet").table["subject"]) == {"syn4"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_a_lifter(name):
    check_lifter(name)


def check_lifter(name: str) -> None:
    """What holds for every network: a valid temporal filter, with or without conditions and a trajectory."""
    for field, causal, conditions, trajectory in ((27, False, 0, False), (9, True, 3, True), (1, False, 2, False)):
        torch.manual_seed(0)
        options = Network(architecture=name, receptive_field=field, channels=8, causal=causal, trajectory=trajectory)
        keywords = {**options.keywords(), "joints_in": 16, "joints_out": 17, "conditions": conditions}
        network = make_network(keywords).eval()
        assert isinstance(network, Lifter)
        assert (network.receptive_field, network.joints_in, network.conditions) == (field, 16, conditions)
        unknown = {"condition": torch.full((2,), conditions)} if conditions else {}
        pose2d = torch.randn(2, field + 4, 16, 2)
        poses = network(pose2d, **unknown)
        assert poses.shape == (2, 5, 17 + trajectory, 3)
        assert torch.isfinite(poses).all()
        assert torch.equal(network(pose2d, **unknown), poses), "nothing is dropped in evaluation"
        torch.testing.assert_close(network(pose2d[:, 1:], **unknown), poses[:, 1:])
        changed = pose2d.clone()
        changed[:, -1] += 1
        torch.testing.assert_close(network(changed, **unknown)[:, :-1], poses[:, :-1])
        copy = make_network(keywords_of(network)).eval()
        copy.load_state_dict(network.state_dict())
        assert torch.equal(copy(pose2d, **unknown), poses), "all that it knows is in its state"
        if conditions:
            told = network(pose2d, condition=torch.tensor([0, conditions - 1]))
            torch.testing.assert_close(network(pose2d[1:], condition=torch.tensor([conditions - 1])), told[1:])
        network.train()(pose2d, **unknown).square().mean().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_the_example_of_an_arm_of_a_study(extend, corpus, tmp_path):
    extend("An arm of a study")
    check_arm(corpus, "shorter")
    scores = run_study(tmp_path / "study", corpus, replace(TINY, arms=("shorter",)))
    assert set(scores.table["arm"]) == {"generalist", "shorter"}


def test_the_example_of_a_format_of_2d_keypoints(extend, tmp_path):
    extend("A format of 2D keypoints")
    check_format(tmp_path, "Toy")
    people = np.random.default_rng(0).uniform(1, 99, (6, 1, 17, 3))
    path = tmp_path / "people.json"
    path.write_text(json.dumps({"toy": 1, "fps": 25.0, "people": people.tolist()}))
    found = read_keypoints(path, layout="coco_17", size=(100, 100))
    assert (found.program, found.fps, len(found.frames)) == ("Toy", 25.0, 6)


def test_the_example_of_a_2d_detector(extend, tmp_path):
    extend("A 2D detector")
    check_detector(tmp_path, "brightest")
    detector = make_detector("brightest")
    assert isinstance(detector, Detector)
    image = np.zeros((20, 30, 3), np.uint8)
    image[7, 11] = 255
    np.testing.assert_array_equal(detector(image).points_px, np.broadcast_to((11, 7), (1, 17, 2)))
    with pytest.raises(InputError, match="there are auto, .*brightest"):
        make_detector("darkest")


# Arms


TINY = Plan(
    test_subjects=("syn4",),
    seeds=(0, 1),
    budget=Budget(40, 16),
    network=Network(receptive_field=9, channels=8),
    precision="float32",
    device="cpu",
)


def check_arm(corpus: Corpus, name: str) -> None:
    """What holds for every row of ARMS."""
    about = ARMS[name].about
    assert about.note
    assert not about.partition or about.partition in PARTITIONS
    assert about.against in ARMS
    training, _ = corpus.split(TINY.test_subjects, shared_actions_only=True)
    jobs, again = (ARMS[name].jobs(name, training, TINY) for _ in range(2))
    assert {job.seed for job in jobs} == set(TINY.seeds)
    assert {job.variant.arm for job in jobs} == {name}
    assert len({job.folder for job in jobs}) == len(jobs)
    for job, other in zip(jobs, again, strict=True):
        assert job.windows == other.windows
        assert (job.windows > 0) == (job.make is None), "what is made of other arms' networks trains nothing"
        for spec, same in zip(job.specs, other.specs, strict=True):
            assert spec.name == same.name
            np.testing.assert_array_equal(spec.rows, same.rows)


@pytest.mark.parametrize("name", ARMS)
def test_every_arm(corpus, name):
    check_arm(corpus, name)


# Formats of keypoints and detectors


def check_format(folder: Path, name: str) -> None:
    """What holds for every row of FORMATS."""
    row = FORMATS[name]
    module = import_module(f"actlift.video.keypoints.{row.module}")
    assert module.__doc__
    assert callable(module.read)
    assert row.suffixes
    assert all(re.fullmatch(r"\.[a-z0-9]+", suffix) for suffix in row.suffixes)
    for path in foreign(folder / "foreign"):
        if path.is_dir() or path.stat().st_size:
            try:
                recognized = module.recognize(Content(path))
            except InputError:
                continue  # damaged
            assert not recognized, path.name


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_keypoints(tmp_path, name):
    check_format(tmp_path, name)


def check_detector(folder: Path, name: str) -> None:
    """What holds for every row of DETECTORS."""
    module, function = DETECTORS[name]
    make = inspect.unwrap(getattr(import_module(f"actlift.video.detectors.{module}"), function))
    assert list(inspect.signature(make).parameters) == ["weights"]
    assert "Raises:" in (inspect.getdoc(make) or "")
    (folder / "weights.bin").write_bytes(b"nothing")
    with pytest.raises((InputError, OSError)):
        make_detector(name, folder / "weights.bin")


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector(tmp_path, name):
    check_detector(tmp_path, name)


# Writers


def check_writer(folder: Path, suffix: str) -> None:
    """What holds for every row of WRITERS."""
    row = WRITERS[suffix]
    assert re.fullmatch(r"\.[a-z0-9]+", suffix)
    assert row.description.startswith("for ")
    assert row.description == row.description.strip()
    assert len(row.description.splitlines()) == 1
    function = inspect.unwrap(row.load())
    assert "Raises:" in (inspect.getdoc(function) or "")
    assert list(inspect.signature(function).parameters) == (
        ["motions", "path", "video"] if row.everybody else ["motion", "path"]
    )

    motion = walking(seconds=0.2)
    path = folder / "new" / f"a{suffix.upper()}"
    assert motion.save(path) == path
    assert [file.name for file in path.parent.iterdir()] == [path.name], "nothing but the file"
    first = path.read_bytes()
    assert first
    assert motion.save(path).read_bytes() == first, "the same motion gives the same file"
    for changed in (replace(motion, person=3), walking(seconds=0.3)):
        changed.save(path)
    assert path.read_bytes() != first

    blocked = folder / f"b{suffix}"
    (blocked / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="could not write"):
        writer_for(suffix)(motion, blocked)
    (folder / "file").write_text("no folder")
    with pytest.raises(OSError, match="could not write"):
        motion.save(folder / "file" / f"a{suffix}")
    assert sorted(entry.name for entry in folder.iterdir()) == sorted([blocked.name, "file", "new"]), "nothing beside"

    before = path.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="the file that lay there is as it was"):
            motion.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def full(_source: Path, _target: Path) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_writer(tmp_path, suffix):
    check_writer(tmp_path, suffix)


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_writer_is_offered_where_videos_are_lifted(tmp_path, suffix):
    name = suffix.removeprefix(".")
    assert name in CHOICES
    people = [walking(seconds=0.2, person=person, source="match.mp4") for person in (1, 2)]
    written = save_motions(people, tmp_path, [name])
    assert [path.name for path in written] == (
        [f"match{suffix}"] if WRITERS[suffix].everybody else [f"match_person1{suffix}", f"match_person2{suffix}"]
    )
    assert f"| `{suffix}` | {WRITERS[suffix].description} |" in (ROOT / "docs" / "video.md").read_text(encoding="utf-8")


def test_the_help_of_lifting_names_every_format():
    (listed,) = re.findall(r"^Of ([^.]+)\.", FORMATS_HELP)
    assert tuple(listed.split(", ")) == CHOICES


def test_descriptions_tell_writers_apart():
    assert len({row.description for row in WRITERS.values()}) == len(WRITERS)


# Sources


ASF = """
:units
  mass 1.0
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  position 0 0 0
  orientation 0 0 0
:bonedata
{bones}
:hierarchy
  begin
    root {names}
  end
"""
BONE = "  begin\n    id {i}\n    name {name}\n    direction 0 1 0\n    length {i}\n    axis 0 0 0 XYZ\n  end"


def asfamc(folder: Path) -> str:
    """A stick figure with all its bones at the root, that stands for two frames."""
    names = [bone for bone in JOINT_BONES.values() if bone != "root"]
    bones = "\n".join(BONE.format(i=i, name=name) for i, name in enumerate(names, start=1))
    home = folder / "person"
    home.mkdir()
    (home / "person.asf").write_text(ASF.format(bones=bones, names=" ".join(names)))
    (home / "walk.amc").write_text(":FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\n2\nroot 0 0 1 0 0 0\n")
    return str(home)


def positions_3d(path: Path, takes: dict[str, dict[str, np.ndarray]]) -> str:
    np.savez(path, positions_3d=np.array(takes, dtype=object))
    return str(path)


def standing(joints: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.3, (5, joints, 3)).astype(np.float32)


def mocap_npz(folder: Path) -> str:
    clips = synthetic_clips(0, subjects=1, clips=1, seconds=0.2, actions=["Walking"])
    write_mocap_npz(folder / "mocap.npz", clips)
    return str(folder / "mocap.npz")


SAMPLES: dict[str, Callable[[Path], str]] = {  # a source of each format
    "mocap_npz": mocap_npz,
    "asfamc": asfamc,
    "h36m": lambda folder: positions_3d(folder / "h36m.npz", {"S1": {"Walking 1": standing(max(JOINTS_OF_32) + 5)}}),
    "humaneva": lambda folder: positions_3d(
        folder / "eva.npz", {"Train/S1": {"Walking 1 chunk0": standing(len(JOINTS_15))}}
    ),
    "synthetic": lambda _: "synthetic",
}


def foreign(folder: Path) -> list[Path]:
    """Files and folders that are in no format."""
    folder.mkdir()
    (folder / "nothing").mkdir()
    (folder / "picture").mkdir()
    (folder / "picture" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    made = [folder / "nothing", folder / "picture"]
    for suffix in ("", ".npz", ".json", ".csv", ".txt", ".asf", ".bvh", ".c3d", ".xyz"):
        for name, content in (("empty", b""), ("bytes", bytes(range(256))), ("text", b"to be or not to be\n")):
            made.append(folder / f"S1_{name}{suffix}")
            made[-1].write_bytes(content)
    np.savez(folder / "other.npz", x=np.zeros(3))
    return [*made, folder / "other.npz"]


def check_source(folder: Path, name: str) -> None:
    """What holds for every row of SOURCES."""
    row = SOURCES[name]
    assert row.title
    assert row.looks_like
    assert set(row.options) <= {"detections", "seed"} & inspect.signature(read_source).parameters.keys()
    module = import_module(f"actlift.data.sources.{row.module}")
    assert module.__doc__
    reader = inspect.unwrap(getattr(module, row.reads))
    assert "Raises:" in (inspect.getdoc(reader) or "")
    assert set(row.options) <= inspect.signature(reader).parameters.keys()
    assert inspect.getdoc(getattr(module, row.recognizes))
    for path in [*foreign(folder / f"no {name}"), folder / "gone.npz"]:
        with pytest.raises(InputError if path.is_file() else (InputError, OSError)) as caught:
            row.read(str(path), detections=None, seed=0)
        assert path.name in str(caught.value)
        if path.name in ("nothing", "picture", "other.npz", "gone.npz"):
            assert not row.is_format_of(str(path))


@pytest.mark.parametrize("name", SOURCES)
def test_every_source(tmp_path, name):
    check_source(tmp_path, name)


def test_every_source_has_a_sample_here():
    assert SAMPLES.keys() == SOURCES.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_source_reads_its_own_and_no_other(tmp_path, name):
    source = SAMPLES[name](tmp_path)
    assert [key for key, row in SOURCES.items() if row.is_format_of(source)] == [name]
    assert source_of(source) is SOURCES[name]
    clips, again = read_source(source, seed=3), read_source(source, seed=3)
    assert clips
    assert len({clip.name for clip in clips}) == len(clips) == len(again)
    for one, other in zip(clips, again, strict=True):
        assert (one.name, one.subject, one.action, one.fps) == (other.name, other.subject, other.action, other.fps)
        np.testing.assert_array_equal(one.joints_world, other.joints_world)
    if "detections" not in SOURCES[name].options:
        with pytest.raises(InputError, match=r"detections \(found\.npz\) go with Human3\.6M only"):
            read_source(source, detections="found.npz")


def test_what_is_no_source_is_told_all_that_are(tmp_path):
    for path in foreign(tmp_path / "foreign"):
        with pytest.raises(InputError) as caught:
            read_source(path)
        assert path.name in str(caught.value)
        if path.suffix != ".npz":
            assert all(row.looks_like in str(caught.value) for row in SOURCES.values())


# Metrics


def check_metric(metric: Metric) -> None:
    """What holds for every row of METRICS."""
    assert METRICS[metric.name] is metric
    assert metric.title
    assert metric.unit
    assert metric.scale > 0
    assert re.search(r"Raises\s+InputError", inspect.getdoc(inspect.unwrap(metric.function)) or "")
    rng = np.random.default_rng(0)
    fps = 50.0
    true, pred = rng.normal(0, 0.3, (2, 12, len(H36M_17), 3))

    def of(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
        return metric(pred, true, H36M_17, fps)

    best = 0.0 if metric.better == "lower" else 1.0
    np.testing.assert_allclose(of(true, true), best, atol=1e-9)
    rows = 1 if metric.span is None else len(true) - metric.span + 1
    for scale in (1e-3, 1.0, 1e3):
        errors = of(true + scale * pred, true)
        assert errors.shape == (rows, len(metric.parts(H36M_17)))
        assert errors.dtype == np.float64
        assert np.isfinite(errors).all()
        assert (errors >= 0).all() if metric.better == "lower" else (errors <= best).all()
    worse = {  # noise, and motion that is too small
        "noise": [of(true + scale * pred, true).mean() for scale in (0.01, 0.5)],
        "still": [of(scale * true, true).mean() for scale in (0.99, 0.5)],
    }
    steps = [far - near if metric.better == "lower" else near - far for near, far in worse.values()]
    assert max(steps) > 0
    assert min(steps) >= -1e-9
    single = of(pred.astype(np.float32), true.astype(np.float32))
    np.testing.assert_allclose(single, of(pred, true), rtol=1e-5, atol=1e-5)
    shuffled = rng.permutation(len(true)) if metric.span == 1 else np.arange(len(true))
    np.testing.assert_allclose(of(pred[shuffled], true[shuffled]), of(pred, true)[shuffled[:rows]])


@pytest.mark.parametrize("name", METRICS)
def test_every_metric(name):
    check_metric(METRICS[name])
    assert METRICS[name].name == name


def test_titles_tell_metrics_apart():
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)
