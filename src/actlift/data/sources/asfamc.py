"""Acclaim skeletons and motions (.asf, .amc), as the CMU and HDM05 databases publish them.

An .asf file is a tree of bones in a rest pose; an .amc file gives, frame by frame, the angles of each bone's degrees of
freedom. A bone's end is its parent's end plus G (direction * length), with G = G_parent C M C^-1: C the rotation of the
bone's own axes in the rest pose, M the frame's rotation about these axes. Both compose their angles about fixed axes in
the order written (Lander, "Working with Motion Capture File Formats", Game Developer, January 1998).

Angles count about y-up axes; `Clip` is z-up: (x, y, z) becomes (x, -z, y). Lengths are in units of 1/`length` inches:
meters are length / 0.45 * 0.0254 for the usual `length 0.45`.

The joints of `H36M_17` are ends of bones, as named in `JOINT_BONES`. The wrist is the end of `lwrist`, which lies in
one line with the forearm bone `lradius` and completes it.
"""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actlift.data.clip import Clip, dataset_of
from actlift.errors import InputError, MissingInputError
from actlift.geometry.skeleton import H36M_17

METERS_PER_INCH = 0.0254
ANKLE_HEIGHT = 0.085  # meters above the floor, of an ankle that carries
UNLABELED = "unlabelled"  # spelled as prepared corpora hold it
ENCODING = "latin-1"  # comments in HDM05 hold umlauts of old Windows; every byte decodes

JOINT_BONES = {  # joint of H36M_17: the bone at whose end it lies
    "Pelvis": "root",
    "RHip": "rhipjoint",
    "RKnee": "rfemur",
    "RAnkle": "rtibia",
    "LHip": "lhipjoint",
    "LKnee": "lfemur",
    "LAnkle": "ltibia",
    "Spine": "upperback",
    "Thorax": "thorax",
    "Neck": "upperneck",
    "Head": "head",
    "LShoulder": "lclavicle",
    "LElbow": "lhumerus",
    "LWrist": "lwrist",
    "RShoulder": "rclavicle",
    "RElbow": "rhumerus",
    "RWrist": "rwrist",
}


@dataclass(frozen=True, eq=False)
class AsfBone:
    """One bone in the rest pose.

    Attributes:
        parent: name of the bone at whose end it begins.
        offset: (3,) from its beginning to its end, in meters, y up.
        axes: C, the rotation of its own axes.
        dof: its channels, out of `rx ry rz`, in the order in which an .amc lists them.
    """

    name: str
    parent: str
    offset: Float[np.ndarray, "3"]
    axes: Rotation
    dof: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class AsfSkeleton:
    """A skeleton read from `path`; bones stand after their parents.

    Attributes:
        meters_per_unit: of the file's lengths and root translations.
        degrees: whether angles are in degrees.
        root_dof: the channels of the root, out of `tx ty tz rx ry rz`, in their order.
        bones: without the root.
    """

    path: Path
    meters_per_unit: float
    degrees: bool
    root_dof: tuple[str, ...]
    bones: tuple[AsfBone, ...]

    @property
    def channels(self) -> dict[str, tuple[str, ...]]:
        """The channels of everything that an .amc has to move."""
        return {"root": self.root_dof} | {bone.name: bone.dof for bone in self.bones if bone.dof}


def read_asf(path: str | os.PathLike[str]) -> AsfSkeleton:
    """Read an Acclaim skeleton.

    Raises:
        MissingInputError: there is no such file.
        InputError: something is missing or not as the format wants it; the message names file and line.
    """
    path = Path(path)
    section, degrees, length_unit = "", True, 0.0
    root: dict[str, list[str]] = {}
    bone: dict[str, list[str]] = {}
    bones: dict[str, dict[str, list[str]]] = {}
    parents: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding=ENCODING).splitlines(), start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        key, values = words[0].lower(), words[1:]
        try:
            if key.startswith(":"):
                section = key
            elif section == ":units" and key == "length":
                length_unit = float(values[0])
            elif section == ":units" and key == "angle":
                degrees = {"deg": True, "rad": False}[values[0].lower()]
            elif section == ":root":
                root[key] = values
                if key in ("position", "orientation") and any(float(value) for value in values):
                    raise InputError(f"a root {key} other than 0 0 0 is not supported")
            elif section == ":bonedata" and key == "begin":
                bone = {}
            elif section == ":bonedata" and key == "end":
                _bone_is_complete(bone)
                bones[bone["name"][0]] = bone
            elif section == ":bonedata":
                bone[key] = values
            elif section == ":hierarchy" and key not in ("begin", "end"):
                for name in values:
                    if name not in bones:
                        raise InputError(f"bone '{name}' is not in :bonedata, which has {sorted(bones)}")
                    if words[0] != "root" and words[0] not in parents:
                        raise InputError(f"bone '{words[0]}' has children before it has a parent")
                    if name in parents:
                        raise InputError(f"bone '{name}' has a second parent, '{words[0]}' after '{parents[name]}'")
                    parents[name] = words[0]
        except (ValueError, KeyError, IndexError) as error:
            raise InputError(f"{path}, line {number} ('{line.strip()}'): {error}") from error
    if not length_unit > 0 or "order" not in root or not parents:
        raise InputError(f"{path}: no skeleton; wanted ':units' with 'length', ':root' with 'order', ':hierarchy'")
    loose = sorted(bones.keys() - parents.keys())
    if loose:
        raise InputError(f"{path}: bones {loose} stand in :bonedata but not in :hierarchy")
    meters = METERS_PER_INCH / length_unit
    return AsfSkeleton(
        path=path,
        meters_per_unit=meters,
        degrees=degrees,
        root_dof=tuple(channel.lower() for channel in root["order"]),
        bones=tuple(
            AsfBone(
                name=name,
                parent=parent,
                offset=np.array(bones[name]["direction"], float) * float(bones[name]["length"][0]) * meters,
                axes=Rotation.from_euler(
                    bones[name]["axis"][3].lower(), np.array(bones[name]["axis"][:3], float), degrees
                ),
                dof=tuple(channel.lower() for channel in bones[name].get("dof", [])),
            )
            for name, parent in parents.items()
        ),
    )


def _bone_is_complete(bone: dict[str, list[str]]) -> None:
    """Raise unless the lines of one bone are all there and hold what the rest of this file counts on."""
    missing = [key for key in ("name", "direction", "length", "axis") if key not in bone]
    if missing:
        raise InputError(f"this bone has no {missing}")
    if len([float(value) for value in bone["direction"]]) != 3 or len([float(value) for value in bone["length"]]) != 1:
        raise InputError(f"bone '{bone['name'][0]}': wanted three numbers for its direction and one for its length")
    if len([float(value) for value in bone["axis"][:3]]) != 3 or sorted(bone["axis"][3].lower()) != ["x", "y", "z"]:
        raise InputError(f"bone '{bone['name'][0]}': wanted three angles and an order like XYZ for its axis")
    unknown = [channel for channel in bone.get("dof", []) if channel.lower() not in ("rx", "ry", "rz")]
    if unknown:
        raise InputError(f"bone '{bone['name'][0]}': channels {unknown}; only rx, ry, rz are supported")


def read_amc(path: str | os.PathLike[str], asf: AsfSkeleton) -> dict[str, Float[np.ndarray, "t _"]]:
    """Read an Acclaim motion: for the root and every bone that moves, its channels (t, len(dof)) as the file has them.

    Raises:
        MissingInputError: there is no such file.
        InputError: the motion does not fit the skeleton (a bone it does not have or moves otherwise, a wrong number of
            channels), or a frame is incomplete or out of turn; the message names file and line.
    """
    path = Path(path)
    channels = asf.channels
    frames: list[dict[str, list[float]]] = []
    first = number = 0
    for number, line in enumerate(path.read_text(encoding=ENCODING).splitlines(), start=1):
        words = line.split("#")[0].split()
        if not words or (words[0].startswith(":") and not frames):
            continue
        try:
            if len(words) == 1 and words[0].isdecimal():
                if frames:
                    _frame_is_complete(frames[-1], channels, first + len(frames) - 1)
                else:
                    first = int(words[0])
                if int(words[0]) != first + len(frames):
                    raise InputError(f"wanted frame {first + len(frames)}")
                frames.append({})
                continue
            name, values = words[0], [float(word) for word in words[1:]]
            if not frames:
                raise InputError("wanted the number of the first frame")
            if name not in channels:
                raise InputError(f"bone '{name}' does not move in {asf.path}, where {sorted(channels)} do")
            if name in frames[-1]:
                raise InputError(f"bone '{name}' stands twice in this frame")
            if len(values) != len(channels[name]):
                wanted = " ".join(channels[name])
                raise InputError(
                    f"{len(values)} values for '{name}'; {asf.path} wants {len(channels[name])} ({wanted})"
                )
            frames[-1][name] = values
        except ValueError as error:
            raise InputError(f"{path}, line {number} ('{line.strip()}'): {error}") from error
    if not frames:
        raise InputError(f"{path}: no frame in it; wanted an Acclaim motion")
    try:
        _frame_is_complete(frames[-1], channels, first + len(frames) - 1)
    except InputError as error:
        raise InputError(f"{path}, line {number} (the end): {error}; is the file cut short?") from error
    return {name: np.array([frame[name] for frame in frames]) for name in channels}


def _frame_is_complete(frame: dict[str, list[float]], channels: dict[str, tuple[str, ...]], number: int) -> None:
    missing = sorted(channels.keys() - frame.keys())
    if missing:
        raise InputError(f"frame {number} ends without {missing}")


def bone_ends(asf: AsfSkeleton, motion: Mapping[str, Float[np.ndarray, "t _"]]) -> dict[str, Float[np.ndarray, "t 3"]]:
    """Compute where each bone ends in each frame, and the root: meters, y up, floor wherever the files have it."""
    turns = {"root": _rotation(asf.root_dof, motion["root"], asf.degrees)}
    shift = [asf.root_dof.index(channel) for channel in ("tx", "ty", "tz")]
    ends = {"root": motion["root"][:, shift] * asf.meters_per_unit}
    for bone in asf.bones:
        turn = turns[bone.parent]
        if bone.dof:
            turn = turn * bone.axes * _rotation(bone.dof, motion[bone.name], asf.degrees) * bone.axes.inv()
        turns[bone.name] = turn
        ends[bone.name] = ends[bone.parent] + turn.apply(bone.offset)
    return ends


def _rotation(dof: tuple[str, ...], values: Float[np.ndarray, "t c"], degrees: bool) -> Rotation:
    """Rotations about fixed axes, one after the other in the order of the r channels."""
    turning = [i for i, channel in enumerate(dof) if channel.startswith("r")]
    return Rotation.from_euler("".join(dof[i][1] for i in turning), values[:, turning], degrees)


def read_asfamc(
    asf: str | os.PathLike[str] | AsfSkeleton,
    amc: str | os.PathLike[str],
    *,
    fps: float = 120.0,
    subject: str | None = None,
    action: str = UNLABELED,
    description: str = "",
) -> Clip:
    """Read one motion as a clip at its own frame rate, z up, named `subject/stem of the .amc`.

    The floor is put where it makes the lower ankle stand at 85 mm in the 2 %-lowest frame.

    Args:
        asf: the skeleton or its file.
        amc: the motion's file.
        fps: frames per second, which the file does not say; CMU and HDM05 record 120.
        subject: whose motion it is; the stem of the .asf if not given.
        action: its label.
        description: words about it.

    Raises:
        MissingInputError: a file is not there.
        InputError: as `read_asf` and `read_amc`; or the skeleton lacks a bone of `JOINT_BONES`.
    """
    skeleton = asf if isinstance(asf, AsfSkeleton) else read_asf(asf)
    missing = sorted(set(JOINT_BONES.values()) - {"root"} - {bone.name for bone in skeleton.bones})
    if missing:
        raise InputError(f"{skeleton.path}: bones {missing} are missing, at whose ends joints lie; see JOINT_BONES")
    ends = bone_ends(skeleton, read_amc(amc, skeleton))
    joints = np.stack([ends[JOINT_BONES[joint]] for joint in H36M_17.joints], axis=1)  # (t, 17, 3), y up
    joints = np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], axis=-1)
    ankles = joints[:, [H36M_17.index("LAnkle"), H36M_17.index("RAnkle")], 2]  # (t, 2)
    joints[..., 2] += ANKLE_HEIGHT - np.percentile(ankles.min(axis=1), 2)
    person = subject if subject is not None else skeleton.path.stem
    return Clip(f"{person}/{Path(amc).stem}", person, action, fps, joints, "asf/amc", description)


def is_asfamc_folder(source: str) -> bool:
    """Tell whether a source is a folder with an .asf file."""
    path = Path(source)
    return path.is_dir() and any(entry.suffix.lower() == ".asf" for entry in path.iterdir())


def read_asfamc_folder(folder: str | os.PathLike[str], *, fps: float = 120.0, subject: str | None = None) -> list[Clip]:
    """Read all motions of a folder with one .asf and its .amc files, sorted by name, at their own frame rate.

    The folder names the data set, `cmu02` or `cmu_02` with `02.asf` in it `cmu`; one that is named after the person
    alone has it of the folder that it lies in.

    Labels come from a table `labels.csv` in the folder, with the columns `amc,action` and perhaps `description`, a row
    for each motion. Without the table, every clip's action is `unlabelled`: good for a generalist, not for experts.

    Raises:
        MissingInputError: there is no such folder.
        InputError: there is not exactly one .asf, no .amc, the labels do not match the files, or as `read_asfamc`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingInputError(f"{folder}: no such folder")
    skeletons = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".asf")
    motions = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".amc")
    if len(skeletons) != 1 or not motions:
        found = f"{len(skeletons)} .asf and {len(motions)} .amc files"
        raise InputError(f"{folder}: {found}; wanted one .asf and its .amc files (one folder for each person)")
    labels = _read_labels(folder / "labels.csv", motions)
    skeleton = read_asf(skeletons[0])
    place = Path(os.path.abspath(folder))
    dataset = dataset_of(place.name.removesuffix(skeletons[0].stem) or place.parent)
    clips = []
    for path in motions:
        action, description = labels[path.name]
        clip = read_asfamc(skeleton, path, fps=fps, subject=subject, action=action, description=description)
        clips.append(replace(clip, dataset=dataset))
    return clips


def _read_labels(path: Path, motions: list[Path]) -> dict[str, tuple[str, str]]:
    """Action and description by file name."""
    names = {motion.name for motion in motions}
    if not path.exists():
        return dict.fromkeys(names, (UNLABELED, ""))
    with open(path, encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        if not {"amc", "action"} <= set(table.fieldnames or []):
            raise InputError(f"{path}: columns {table.fieldnames}; wanted amc,action and perhaps description")
        labels: dict[str, tuple[str, str]] = {}
        for row in table:
            if row["amc"] not in names:
                raise InputError(f"{path}, line {table.line_num}: there is no file '{row['amc']}' in this folder")
            if not row["action"]:
                raise InputError(f"{path}, line {table.line_num}: '{row['amc']}' has no action")
            labels[row["amc"]] = (row["action"], row.get("description") or "")
    if names - labels.keys():
        raise InputError(f"{path}: no row for {sorted(names - labels.keys())[:5]}; wanted one for each .amc")
    return labels
