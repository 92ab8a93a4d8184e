"""Detectors of 2D keypoints, behind one protocol: an image in, the people in it out.

- `rtmpose`: YOLOX and RTMPose (Jiang et al. 2023; Apache-2.0) through rtmlib, which fetches weights on first use.
- `movenet`: Google's MoveNet (2021; Apache-2.0) from ONNX or TensorFlow Lite files. MultiPose finds up to six people;
  Thunder and Lightning look at one person closely. One file is enough; MultiPose with Thunder is best.
- `mediapipe`: BlazePose (Bazarevsky et al. 2020; Apache-2.0) from a `.task` file, through MediaPipe.

What a detector finds depends on the image and on whom it found in the image before, and on nothing else: told the
latter (`Detector.follow`), a new detector goes on to the bit.

Weights of MoveNet are a file, or a folder of files, named by the caller or by the environment variable ACTLIFT_MOVENET;
else those that lie in `cache_folder()` or in an installed package that ships them, where only files count whose
SHA-256 is known here. What is loaded is the bytes that were hashed, as a network for ONNX Runtime or LiteRT, never as a
pickle.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from actlift.errors import InputError, MissingInputError, MissingPackageError
from actlift.geometry.skeleton import BLAZEPOSE_33, COCO_17, Skeleton, remap, remap_confidence
from actlift.video.wheels import WEIGHTS

if TYPE_CHECKING:
    from PIL.Image import Image

THREADS = 2  # of each network, whatever the machine has: what is found must not depend on it

ENVIRONMENT = "ACTLIFT_MOVENET"
SUFFIXES = (".onnx", ".tflite")
KNOWN = {  # SHA-256 of weights that are taken where they are found
    "677895634618ea9c185089333255c5cb82aa73d39263d47067b8623b884b0aad": "MultiPose, ONNX, float16",
    "4bd785b95e0da5209cfb6f9cbbed681a91f7c9e8b2f06e03223bd97b95b225b5": "Thunder, ONNX, float16",
    WEIGHTS.sha256: "MultiPose, TensorFlow Lite, float16",
}


@dataclass(frozen=True, eq=False)
class People:
    """What a detector found in one image.

    Attributes:
        points_px: (n, j, 2) float32, pixels of the whole image, of n people, 0 or more; maybe outside of it.
        confidence: (n, j) float32, 0 to 1.
    """

    points_px: Float[np.ndarray, "n j 2"]
    confidence: Float[np.ndarray, "n j"]


@runtime_checkable
class Detector(Protocol):
    """Finds people in images.

    Attributes:
        name: for people to read.
        skeleton: of its keypoints.
        about: what its results depend on: SHA-256 of weights, versions of libraries.
    """

    name: str
    skeleton: Skeleton
    about: Mapping[str, str]

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> People:
        """The people in an RGB image."""
        ...

    def follow(self, people: People | None) -> None:
        """Go on as if these had been found in the image before; None: nothing is known of it."""
        ...


def detector(
    name: str = "auto",
    weights: Path | None = None,
    *,
    passed_over: Callable[[str, str], None] = lambda _name, _why: None,
) -> Detector:
    """A detector by name; "auto" is the first of :data:`DETECTORS` that works here and now.

    Args:
        name: of :data:`DETECTORS`, or "auto".
        weights: its file of weights, or a folder of such.
        passed_over: is told the name of each detector that "auto" tried in vain, and why.

    Raises:
        ValueError: for an unknown name (lists the known), or weights that are none.
        FileNotFoundError: if there are no weights.
        ModuleNotFoundError: if a library is missing; or, for "auto", if no detector works: each with its reason.
        OSError: if weights cannot be fetched.
    """
    if weights is not None and not weights.exists():
        raise MissingInputError(f"{weights}: no such file; wanted the weights of a detector")
    if name != "auto":
        if name not in DETECTORS:
            raise InputError(f"there is no detector {name!r}; there are auto, {', '.join(DETECTORS)}")
        return DETECTORS[name](weights)
    reasons = []
    for each, make in DETECTORS.items():
        try:
            return make(weights)
        except (ImportError, OSError, ValueError) as error:
            passed_over(each, str(error))
            reasons.append(f"\n- {each}: {error}")
    raise MissingPackageError(f"no detector of 2D keypoints works here:{''.join(reasons)}")


# MoveNet

SIDES = {"multipose": 256, "thunder": 256, "lightning": 192}  # long side of the image that each network sees
LEAST_SCORE = 0.15  # of a person that MultiPose reports
LEAST_JOINT = 0.2  # confidence of a joint that counts as seen
LEAST_PERSON = 0.25  # mean confidence of somebody that Thunder or Lightning reports
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
        self.about: Mapping[str, str] = {**search.about, **look.about, "pillow": metadata.version("pillow")}
        self.followed: list[Joints] = []

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> People:
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
        people = People(joints[..., :2].copy(), joints[..., 2].copy())
        self.follow(people)
        return people

    def follow(self, people: People | None) -> None:
        self.followed = []
        if people is not None:
            joints = np.concatenate([people.points_px, people.confidence[..., None]], axis=-1)
            self.followed = [person for person in joints if _torso_seen(person)]

    def _everywhere(self, picture: "Image") -> list[Joints]:
        """Who is seen in the whole image."""
        if self.search.kind == "multipose":
            return _by_multipose(self.search, picture, (0.0, 0.0, float(picture.width), float(picture.height)))
        return _by_single(self.search, picture, _whole(picture))

    def _closely(self, picture: "Image", person: Joints) -> Joints | None:
        """Somebody whose torso was seen, seen once more in a square about where they were."""
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
    """The person in a square, if there is one: the network always draws somebody."""
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


def _movenet(weights: Path | None) -> Detector:
    """With the best networks among the files at hand."""
    networks: dict[str, Network] = {}
    missing = []
    for name, content in _movenet_files(weights):
        try:
            network = _network(name, content)
        except ModuleNotFoundError as error:
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


def _movenet_files(weights: Path | None) -> list[tuple[str, bytes]]:
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
    known = [(name, content) for name, content in found if _sha256(content) in KNOWN]
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
        ValueError: for a file that is no MoveNet.
        ModuleNotFoundError: where the library that runs it is not installed.
    """
    return _tflite(name, content) if content[4:8] == b"TFL3" else _onnx(name, content)


def _onnx(name: str, content: bytes) -> Network:
    try:
        session = _session(content)
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"{name} needs onnxruntime: `pip install actlift[video]`") from error
    except Exception as error:  # its classes differ from release to release
        raise InputError(f"{name}: damaged, or neither ONNX nor TensorFlow Lite ({error})") from error
    into, out = session.get_inputs(), session.get_outputs()
    types = {"tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(float)": np.float32}
    kind = _kind(name, [i.shape for i in into if i.type in types], [o.shape for o in out])
    dtype = types[into[0].type]
    return Network(
        kind,
        lambda image: session.run(None, {into[0].name: image[None].astype(dtype)})[0],
        {f"movenet {kind}": _sha256(content), "onnxruntime": metadata.version("onnxruntime")},
    )


def _session(model: bytes | str) -> Any:
    """A session of ONNX Runtime with a fixed number of threads, which leave the processor alone while they wait."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # its errors come as exceptions
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


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

    about = {f"movenet {kind}": _sha256(content), "ai-edge-litert": metadata.version("ai-edge-litert")}
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


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# RTMPose


class RTMPose:
    """RTMPose through rtmlib: one network finds people, the other their keypoints. Every image is seen by itself.

    Args:
        find, look: rtmlib's tools: the boxes of people, and keypoints and scores in boxes, of BGR images.
        about: as of a detector.
    """

    name = "rtmpose"
    skeleton = COCO_17

    def __init__(self, find: Callable[..., Any], look: Callable[..., Any], about: Mapping[str, str]) -> None:
        self.find = find
        self.look = look
        self.about = about

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> People:
        bgr = np.ascontiguousarray(image[..., ::-1])
        boxes = self.find(bgr)
        if len(boxes) == 0:  # for which rtmlib would draw somebody into the whole image
            return People(np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32))
        points_px, scores = self.look(bgr, bboxes=boxes)
        return People(np.asarray(points_px, np.float32), np.asarray(scores, np.float32).clip(0, 1))

    def follow(self, people: People | None) -> None:
        """Nothing to do."""


def _rtmpose(weights: Path | None) -> Detector:
    if weights is not None:
        raise InputError(f"rtmlib brings its own weights and does not take {weights.name}; leave out --weights")
    try:
        import rtmlib
    except ImportError as error:
        raise MissingPackageError(f"needs rtmlib: `pip install rtmlib` ({error})") from error
    try:
        with redirect_stdout(io.StringIO()):  # it prints what it loads
            body = rtmlib.Body(mode="balanced", backend="onnxruntime", device="cpu")
        tools = {"yolox": body.det_model, "rtmpose": body.pose_model}
        about = {name: _sha256(Path(tool.onnx_model).read_bytes()) for name, tool in tools.items()}
        for tool in tools.values():
            tool.session = _session(tool.onnx_model)
    except Exception as error:  # of its download, its archives and its networks: of many classes
        raise OSError(
            f"rtmlib could not fetch or load its weights ({error}): connect to the internet, or delete what is damaged "
            "in ~/.cache/rtmlib"
        ) from error
    about |= {library: metadata.version(library) for library in ("rtmlib", "onnxruntime")}
    return RTMPose(body.det_model, body.pose_model, about)


# MediaPipe

MOST_PEOPLE = 4  # that MediaPipe looks for


class MediaPipe:
    """BlazePose through MediaPipe. Every image is seen by itself: its mode for video cannot be told whom to follow.

    Args:
        landmarks: from an RGB image to the landmarks of each person, x and y of 1.
        about: as of a detector.
    """

    name = "mediapipe"
    skeleton = COCO_17

    def __init__(self, landmarks: Callable[[np.ndarray], Sequence[Sequence[Any]]], about: Mapping[str, str]) -> None:
        self.landmarks = landmarks
        self.about = about

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> People:
        h, w = image.shape[:2]
        found = [[(point.x * w, point.y * h, point.visibility) for point in person] for person in self.landmarks(image)]
        joints = np.array(found, np.float32).reshape(-1, 33, 3)
        return People(
            remap(joints[..., :2], BLAZEPOSE_33, COCO_17),
            remap_confidence(joints[..., 2].clip(0, 1), BLAZEPOSE_33, COCO_17),
        )

    def follow(self, people: People | None) -> None:
        """Nothing to do."""


def _mediapipe(weights: Path | None) -> Detector:
    if weights is None or weights.suffix != ".task":
        raise InputError(f"needs the .task file of a pose landmarker, given with --weights; got {weights or 'none'}")
    try:
        import mediapipe
    except ImportError as error:
        raise MissingPackageError(f"needs mediapipe: `pip install mediapipe` ({error})") from error
    content = weights.read_bytes()
    vision = mediapipe.tasks.vision
    try:
        landmarker = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=content),
                running_mode=vision.RunningMode.IMAGE,
                num_poses=MOST_PEOPLE,
            )
        )
    except (ValueError, RuntimeError, OSError) as error:  # NOT_FOUND comes as an error about files
        raise InputError(f"{weights}: damaged, or no pose landmarker ({error})") from error

    def landmarks(image: UInt8[np.ndarray, "h w 3"]) -> Sequence[Sequence[Any]]:
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        found: Sequence[Sequence[Any]] = landmarker.detect(picture).pose_landmarks
        return found

    return MediaPipe(landmarks, {"blazepose": _sha256(content), "mediapipe": metadata.version("mediapipe")})


DETECTORS: dict[str, Callable[[Path | None], Detector]] = {  # the most exact first
    "rtmpose": _rtmpose,
    "movenet": _movenet,
    "mediapipe": _mediapipe,
}
