"""GLB (binary glTF 2.0), for web viewers, Blender, game engines: an animated skeleton with a simple body around it.

Meters; y up, x to the camera's right, z towards the camera: a viewer's usual place is the camera's. Joints are those of
`actlift.geometry.body`, whose rest pose is a T-pose. Each bone is drawn as an octahedron: gray in the middle, orange
on the left, blue on the right. The animation's `extras` hold `source`, `person`, `fps`, and `actions`: start, stop
(seconds from the animation's beginning), label and probability of each.
"""

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from actlift import __version__
from actlift.files import replacing
from actlift.geometry.body import JOINTS, PARENTS, TIPS, Y_UP_WORLD, Body, body_from_joints
from actlift.motion.motion import Motion

COLORS = {"Middle": (0.62, 0.64, 0.67), "Left": (0.87, 0.42, 0.13), "Right": (0.13, 0.42, 0.75)}  # linear RGB
THICK = 0.1  # of a bone's length: half of its octahedron's width
WAIST = 0.2  # of a bone's length: from where it begins to where it is widest
TYPES = {"f": 5126, "u": 5121}  # glTF's numbers for 32-bit floats and bytes
VERTICES = 34962  # and for a buffer view that holds vertices

Bone = tuple[int, Float[np.ndarray, "3"], Float[np.ndarray, "3"]]  # the joint that turns it, its start and its end


def write_glb(motion: Motion, path: Path) -> None:
    """Write the motion as GLB, whole or not at all.

    Bones have the median of their lengths, so that joints come to lie where they were as far as lengths are constant.

    Raises:
        InputError: in some frame the joints are no body; see `actlift.geometry.body.body_from_joints`.
        OSError: the file cannot be written; what lay there stays.
    """
    body = body_from_joints(motion.joints_world, motion.fps)
    offsets, tips = body.offsets @ Y_UP_WORLD.T, body.tips @ Y_UP_WORLD.T
    tipped = [JOINTS.index(joint) for joint in TIPS]
    rest = np.zeros_like(offsets)  # where the joints lie in the T-pose
    for joint, parent in enumerate(PARENTS[1:], start=1):
        rest[joint] = rest[parent] + offsets[joint]
    rest[:, 1] -= (rest[tipped] + tips)[:, 1].min()  # its feet stand on the floor
    offsets[0] = rest[0]
    # Neck and both shoulders begin at one place: what leads there is one bone
    drawn = [j for j, joint in enumerate(JOINTS) if j and joint not in ("LeftShoulder", "RightShoulder")]
    bones: list[Bone] = [(PARENTS[j], rest[PARENTS[j]], rest[j]) for j in drawn]
    bones += [(j, rest[j], rest[j] + tip) for j, tip in zip(tipped, tips, strict=True)]

    nodes: list[dict[str, Any]] = [
        {"name": joint, "translation": offset.tolist()} for joint, offset in zip(JOINTS, offsets, strict=True)
    ]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        nodes[parent].setdefault("children", []).append(joint)
    packed = _Packed()
    unbound = np.tile(np.eye(4), (len(JOINTS), 1, 1))
    unbound[:, 3, :3] = -rest  # column by column, as glTF wants it
    content = {
        "asset": {"version": "2.0", "generator": f"actlift {__version__}"},
        "scene": 0,
        "scenes": [{"nodes": [0, len(JOINTS)]}],
        "nodes": [*nodes, {"name": "Body", "mesh": 0, "skin": 0}],
        "skins": [
            {"joints": [*range(len(JOINTS))], "skeleton": 0, "inverseBindMatrices": packed.add(unbound.reshape(-1, 16))}
        ],
        "meshes": [{"name": "Body", "primitives": [_part(bones, side, packed) for side in COLORS]}],
        "materials": [
            {"name": side, "pbrMetallicRoughness": {"baseColorFactor": [*color, 1], "metallicFactor": 0}}
            for side, color in COLORS.items()
        ],
        "animations": [_animation(motion, body, packed)],
    }
    with replacing(path) as beside:
        beside.write_bytes(packed.glb(content))


class _Packed:
    """Arrays in one buffer, each described by an accessor and a buffer view of its own."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, array: np.ndarray, *, vertices: bool = False) -> int:
        """The number of its accessor. Items of 1 to 4 or 16 numbers; bytes stay bytes, all else becomes floats."""
        array = np.ascontiguousarray(array, None if array.dtype == np.uint8 else "<f4")
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[array[0].size]
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.buffer), "byteLength": array.nbytes}
        self.views.append(view | ({"target": VERTICES} if vertices else {}))
        accessor = {"bufferView": len(self.views) - 1, "componentType": TYPES[array.dtype.kind], "count": len(array)}
        bounds = {"min": np.atleast_1d(array.min(axis=0)).tolist(), "max": np.atleast_1d(array.max(axis=0)).tolist()}
        self.accessors.append({**accessor, "type": kind, **bounds})
        self.buffer += array.tobytes()  # all items are a multiple of four bytes, so that all stay aligned
        return len(self.accessors) - 1

    def glb(self, content: dict[str, Any]) -> bytes:
        """The file: a header, a chunk of JSON and a chunk of bytes."""
        described = {"buffers": [{"byteLength": len(self.buffer)}], "bufferViews": self.views}
        text = json.dumps(content | described | {"accessors": self.accessors}, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        header = struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(self.buffer))
        chunks = (
            struct.pack("<I4s", len(part), kind) + part for part, kind in ((text, b"JSON"), (self.buffer, b"BIN\0"))
        )
        return header + b"".join(chunks)


def _part(bones: list[Bone], side: str, packed: _Packed) -> dict[str, Any]:
    """The bones of one side as a primitive of triangles, in that side's material."""
    sides = [
        "Left" if joint.startswith("Left") else "Right" if joint.startswith("Right") else "Middle" for joint in JOINTS
    ]
    chosen = [bone for bone in bones if sides[bone[0]] == side]
    corners = np.concatenate([_octahedron(start, end) for _, start, end in chosen])  # (f, 3, 3)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    joints = np.zeros((3 * len(corners), 4), dtype=np.uint8)
    joints[:, 0] = np.repeat([joint for joint, _, _ in chosen], 24)
    return {
        "attributes": {
            "POSITION": packed.add(corners.reshape(-1, 3), vertices=True),
            "NORMAL": packed.add(np.repeat(normals, 3, axis=0), vertices=True),
            "JOINTS_0": packed.add(joints, vertices=True),
            "WEIGHTS_0": packed.add(np.tile([1.0, 0, 0, 0], (len(joints), 1)), vertices=True),
        },
        "material": [*COLORS].index(side),
    }


def _octahedron(start: Float[np.ndarray, "3"], end: Float[np.ndarray, "3"]) -> Float[np.ndarray, "8 3 3"]:
    """The corners of its triangles, counterclockwise as seen from outside."""
    along = end - start
    across = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    across *= np.linalg.norm(along) / np.linalg.norm(across)
    beside = np.cross(along, across) / np.linalg.norm(along)
    ring = [start + WAIST * along + THICK * way for way in (across, beside, -across, -beside)]
    pairs = [(ring[i], ring[(i + 1) % 4]) for i in range(4)]
    return np.array([(start, b, a) for a, b in pairs] + [(end, a, b) for a, b in pairs])


def _animation(motion: Motion, body: Body, packed: _Packed) -> dict[str, Any]:
    """The way of the root and the turns of the joints; hands and feet are still."""
    rotations = Y_UP_WORLD @ body.rotations @ Y_UP_WORLD.T
    turns = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat().reshape(motion.frames, -1, 4)  # x y z w
    back = (turns[1:] * turns[:-1]).sum(axis=-1, keepdims=True) < 0
    turns[1:] *= np.where(np.cumsum(back, axis=0) % 2, -1, 1)  # q and -q are one turn, but what lies between is not
    times = packed.add(np.arange(motion.frames) / motion.fps)
    moved = [(0, "translation", body.root_world @ Y_UP_WORLD.T)]
    moved += [(j, "rotation", turns[:, j]) for j, joint in enumerate(JOINTS) if not joint.endswith(("Hand", "Foot"))]
    return {
        "name": motion.source or "motion",
        "samplers": [{"input": times, "output": packed.add(values)} for _, _, values in moved],
        "channels": [
            {"sampler": sampler, "target": {"node": joint, "path": path}}
            for sampler, (joint, path, _) in enumerate(moved)
        ],
        "extras": {
            "source": motion.source,
            "person": motion.person,
            "fps": float(motion.fps),
            "actions": [
                {
                    "start_s": segment.start_s - motion.start_s,
                    "stop_s": segment.stop_s - motion.start_s,
                    "label": segment.label,
                    "probability": segment.probability if math.isfinite(segment.probability) else None,
                }
                for segment in motion.action_timeline
            ],
        },
    }
