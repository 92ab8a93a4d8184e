"""Human3.6M: its original CDF files, or the pair of .npz files in which it circulates; its cameras, actions and split.

Human3.6M (Ionescu, Papava, Olaru, Sminchisescu, TPAMI 2014) has seven people with public motion capture, fifteen
actions twice each, and four cameras, 50 frames per second. The pair is that of Pavllo et al. (VideoPose3D, CVPR 2019):

- `data_3d_h36m.npz`: `positions_3d`, subject -> take -> (t, 32, 3) meters in the world;
- `data_2d_h36m_*.npz`: `positions_2d`, subject -> take -> for each of the four cameras (t or more, 17, 2) pixels; and
  `metadata` with `num_joints` and `keypoints_symmetry`, the joints on the left and those on the right.

Of the 32 joints, 15 repeat others or are hands and toes; the other 17, in their order, are `H36M_17`. Lenses are given
in the formula of `Camera`, with p1 and p2 as the dataset's metadata has them; tables that circulate with the pair list
p2 first, for a formula of their own.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from actlift.data.archive import npz_holds, read_nested_npz
from actlift.data.clip import Clip, Detections
from actlift.errors import InputError, MissingPackageError
from actlift.geometry.camera import Camera
from actlift.geometry.skeleton import COCO_17, H36M_17, Skeleton, remap

FPS = 50.0
ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases"),
    *("Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether"),
)
SPELLINGS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}
STANDARD_SPLIT = (("S1", "S5", "S6", "S7", "S8"), ("S9", "S11"))  # who is trained on, who is tested on
JOINTS_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)  # those of H36M_17, in its order
FAULTS = {
    "S11/Directions": "the video of camera 54138969 is corrupt; published results leave the whole take out",
}
CDF_FILES = "*/MyPoseFeatures/D3_Positions/*.cdf"

_CAMERAS = json.loads(Path(__file__).with_name("h36m_cameras.json").read_text(encoding="utf-8"))


def h36m_cameras(subject: str) -> tuple[Camera, ...]:
    """Give the four cameras as they stood when this person was filmed, named by their serial numbers.

    Raises:
        InputError: nobody of that name has cameras; the message lists who has.
    """
    if subject not in _CAMERAS["places"]:
        raise InputError(
            f"no cameras of a subject '{subject}' are known; Human3.6M has {', '.join(_CAMERAS['places'])}"
        )
    cameras = []
    for lens, place in zip(_CAMERAS["lenses"], _CAMERAS["places"][subject], strict=True):
        R_cam_world = Rotation.from_euler("XYZ", place["angles_rad"]).as_matrix()
        t_cam_world = -R_cam_world @ np.array(place["position_mm"]) / 1000
        cameras.append(Camera.from_dict({**lens, "R_cam_world": R_cam_world, "t_cam_world": t_cam_world}))
    return tuple(cameras)


def is_h36m(source: str) -> bool:
    """Tell whether a source is a folder of CDF files or a file like `data_3d_h36m.npz`, by its content.

    HumanEva-I circulates in the same layout, with a slash in the names of subjects.
    """
    path = Path(source)
    if path.is_dir():
        return any(path.glob(CDF_FILES))
    return npz_holds(path, "positions_3d") and not any("/" in subject for subject in read_positions(path))


def read_h36m(source: str | os.PathLike[str], *, detections: str | os.PathLike[str] | None = None) -> list[Clip]:
    """Read all takes, named like `S9/Directions 1`, with the cameras that filmed them.

    A take that is known to be unusable (`FAULTS`) comes with its fault.

    Args:
        source: `data_3d_h36m.npz`; or a folder with `S1/MyPoseFeatures/D3_Positions/Directions.cdf` and so on, which
            needs the package cdflib.
        detections: a file like `data_2d_h36m_cpn_ft_h36m_dbb.npz`. Its keypoints are cut to the length of the motion
            capture; joints of the COCO layout are remapped.

    Raises:
        MissingInputError: a file is not there.
        MissingPackageError: the source is a folder, and cdflib is missing.
        InputError: a file is damaged or not in its layout, a subject or action is not one of Human3.6M, or detections
            are missing, too short or of another skeleton. The message names file and take.
    """
    path = Path(source)
    takes = _by_take(path, _read_cdf_folder(path) if path.is_dir() else read_positions(path))
    found = _Found.read(Path(detections)) if detections is not None else None
    clips = []
    for (subject, take), positions in takes.items():
        name = f"{subject}/{take}"
        fault = FAULTS.get(name, "")
        try:
            cameras = h36m_cameras(subject)
            joints_world = check_positions(name, positions, 32)[:, JOINTS_OF_32]
            detected = found.of(subject, take, len(joints_world), cameras) if found and not fault else None
            clips.append(
                Clip(
                    name,
                    subject,
                    take.split(" ")[0],
                    FPS,
                    joints_world,
                    capture="Human3.6M",
                    cameras=cameras,
                    detections=detected,
                    fault=fault,
                    dataset="human3.6m",
                )
            )
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return clips


def canonical_take(label: str) -> str:
    """Name a take by the fifteen actions: `TakingPhoto 1` is `Photo 1`.

    Raises:
        InputError: it is no action of Human3.6M; the message lists those there are.
    """
    word, space, number = label.partition(" ")
    action = SPELLINGS.get(word, word)
    if action not in ACTIONS or (space and not number.isdecimal()):
        raise InputError(
            f"'{label}' is no action of Human3.6M; they are {', '.join(ACTIONS)}, perhaps with a number as in 'Photo 1'"
        )
    return action + space + number


def read_positions(path: Path) -> dict[str, dict[str, Any]]:
    """Read `positions_3d` of a file as above: subject -> take -> what stands there.

    Raises:
        FileNotFoundError, ValueError: as `read_nested_npz`; or it is not in this layout.
    """
    return _by_subject_and_take(path, read_nested_npz(path), "positions_3d")


def check_positions(name: str, positions: Any, joints: int) -> np.ndarray:
    """Give the array of a take, if it is one of (t, joints, 3).

    Raises:
        InputError: it is not; the message names the take.
    """
    return _check_array(f"'{name}'", positions, (joints, 3), "meters in the world")


def _check_array(where: str, held: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    if not (isinstance(held, np.ndarray) and held.dtype.kind == "f" and held.ndim == 3 and held.shape[1:] == shape):
        came = f"{held.dtype} {held.shape}" if isinstance(held, np.ndarray) else type(held).__name__
        raise InputError(f"{where} is {came}; wanted float (frames, {shape[0]}, {shape[1]}), {what}")
    return held


def _by_take(path: Path, subjects: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    """(subject, canonical take) -> what stands there."""
    found: dict[tuple[str, str], Any] = {}
    for subject, takes in subjects.items():
        for label, held in takes.items():
            try:
                key = (subject, canonical_take(label))
            except InputError as error:
                raise InputError(f"{path}, subject '{subject}': {error}") from error
            if key in found:
                raise InputError(f"{path}: two spellings of one take, '{'/'.join(key)}'; keep one")
            found[key] = held
    return found


def _by_subject_and_take(path: Path, arrays: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    if name not in arrays:
        raise InputError(f"{path}: no array '{name}'; it has {sorted(arrays)}")
    subjects = arrays[name]
    if not (isinstance(subjects, dict) and all(isinstance(takes, dict) for takes in subjects.values())):
        raise InputError(f"{path}: '{name}' is not in its layout; wanted a dict of subjects, each a dict of takes")
    return {str(subject): {str(take): held for take, held in takes.items()} for subject, takes in subjects.items()}


def _read_cdf_folder(folder: Path) -> dict[str, dict[str, Any]]:
    """subject -> take -> (t, 32, 3) meters of all CDF files; their variable `Pose` is (1, t, 96) millimeters."""
    try:
        import cdflib
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "reading CDF files needs the package cdflib: pip install actlift[h36m]", name="cdflib"
        ) from error
    takes: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob(CDF_FILES)):
        try:
            pose_mm = np.asarray(cdflib.CDF(path).varget("Pose"))
        except Exception as error:  # a damaged file fails in any way
            raise InputError(f"{path}: no CDF file with a variable 'Pose', or damaged ({error})") from error
        if pose_mm.ndim != 3 or pose_mm.shape[::2] != (1, 96):
            raise InputError(
                f"{path}: 'Pose' of shape {pose_mm.shape}; wanted (1, frames, 96), millimeters in the world"
            )
        takes.setdefault(path.parents[2].name, {})[path.stem] = pose_mm.reshape(-1, 32, 3) / 1000
    if not takes:
        raise InputError(f"{folder}: no file {CDF_FILES} in it")
    return takes


class _Found:
    """What a file of detections holds."""

    def __init__(self, path: Path, layout: Skeleton, takes: dict[tuple[str, str], Any]) -> None:
        self.path, self.layout, self.takes = path, layout, takes

    @classmethod
    def read(cls, path: Path) -> "_Found":
        arrays = read_nested_npz(path)
        subjects = _by_subject_and_take(path, arrays, "positions_2d")
        known = {who: takes for who, takes in subjects.items() if who in _CAMERAS["places"]}  # S2 to S4: no mocap
        return cls(path, _layout(path, arrays.get("metadata")), _by_take(path, known))

    def of(self, subject: str, take: str, frames: int, cameras: tuple[Camera, ...]) -> Detections:
        """Detections of a take, cut to its frames."""
        name = f"{subject}/{take}"
        if (subject, take) not in self.takes:
            raise InputError(f"{self.path} has no detections of '{name}'; take a file that covers the source")
        held = self.takes[subject, take]
        names = [camera.name for camera in cameras]
        if not isinstance(held, list | tuple | np.ndarray) or len(held) != len(names):
            came = f"{len(held)} cameras" if isinstance(held, list | tuple | np.ndarray) else type(held).__name__
            raise InputError(f"{self.path}: '{name}' has {came}; wanted an array, or None, for each of {names}")
        points = (self._cut(array, frames, f"'{name}', camera {at}") for at, array in zip(names, held, strict=True))
        return Detections(self.path.name, self.layout.name, tuple(points))

    def _cut(self, held: Any, frames: int, where: str) -> np.ndarray | None:
        if held is None:
            return None
        points = _check_array(f"{self.path}: {where}", held, (len(self.layout), 2), "pixels")
        if len(points) < frames:
            raise InputError(
                f"{self.path}: {where} has {len(points)} frames; wanted the motion capture's {frames} or more"
            )
        return points[:frames] if self.layout is H36M_17 else remap(points[:frames], self.layout, H36M_17)


def _layout(path: Path, metadata: Any) -> Skeleton:
    """The skeleton with these joints on the left and on the right: not every file names its layout."""
    wanted = "wanted 17 joints of Human3.6M or COCO"
    if not isinstance(metadata, dict) or not {"num_joints", "keypoints_symmetry"} <= metadata.keys():
        raise InputError(f"{path}: no 'metadata' with num_joints and keypoints_symmetry; {wanted}")
    sides = np.asarray(metadata["keypoints_symmetry"], dtype=object).tolist()
    for skeleton in (H36M_17, COCO_17):
        if metadata["num_joints"] == len(skeleton) and sides == [list(skeleton.left), list(skeleton.right)]:
            return skeleton
    name = f"layout '{metadata['layout_name']}'" if "layout_name" in metadata else "a layout without name"
    raise InputError(f"{path}: {name}, {metadata['num_joints']} joints, left and right {sides}; {wanted}")
