"""GLB: read by pygltflib, and held against the rules of the glTF 2.0 specification, which are written out here."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tests.exports import motion_of, walking

from actlift.geometry.body import JOINTS, PARENTS, PLACES, Y_UP_WORLD
from actlift.geometry.skeleton import H36M_17
from actlift.motion.gltf import write_glb
from actlift.motion.motion import Segment

WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
DTYPES = {5126: np.dtype("<f4"), 5121: np.dtype("u1")}


class Glb:
    """The chunks of a file, and its arrays as the accessors tell."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", content)
        assert (magic, version, length) == (b"glTF", 2, len(content))
        size, kind = struct.unpack_from("<I4s", content, 12)
        assert kind == b"JSON"
        assert size % 4 == 0
        self.json = json.loads(content[20 : 20 + size])
        binary, kind = struct.unpack_from("<I4s", content, 20 + size)
        assert kind == b"BIN\0"
        assert binary % 4 == 0
        self.buffer = content[28 + size :]
        assert len(self.buffer) == binary == self.json["buffers"][0]["byteLength"]

    def array(self, accessor: int) -> np.ndarray:
        told = self.json["accessors"][accessor]
        view = self.json["bufferViews"][told["bufferView"]]
        dtype, width = DTYPES[told["componentType"]], WIDTHS[told["type"]]
        return np.frombuffer(self.buffer, dtype, told["count"] * width, view["byteOffset"]).reshape(-1, width)

    def globals(self) -> tuple[np.ndarray, list[Rotation]]:
        """Where the joints are in every frame, (t, j, 3), and how they are turned, by the animation."""
        animation = self.json["animations"][0]
        frames = len(self.array(animation["samplers"][0]["input"]))
        nodes = self.json["nodes"]
        places = [np.tile(node.get("translation", (0, 0, 0)), (frames, 1)) for node in nodes]
        turns = [Rotation.identity(frames) for _ in nodes]
        for channel in animation["channels"]:
            values = self.array(animation["samplers"][channel["sampler"]]["output"])
            target = channel["target"]
            if target["path"] == "translation":
                places[target["node"]] = values
            else:
                turns[target["node"]] = Rotation.from_quat(values)
        stack = [0]
        while stack:
            parent = stack.pop()
            for child in nodes[parent].get("children", ()):
                places[child] = places[parent] + turns[parent].apply(places[child])
                turns[child] = turns[parent] * turns[child]
                stack.append(child)
        return np.stack(places, axis=1), turns


@pytest.fixture(scope="module")
def glb(tmp_path_factory: pytest.TempPathFactory) -> Glb:
    path = tmp_path_factory.mktemp("glb") / "walk.glb"
    write_glb(walking(seconds=1.0, fps=29.97, source="walk.mp4"), path)
    return Glb(path)


def test_arrays_lie_in_the_buffer_aligned_and_within_their_bounds(glb: Glb) -> None:
    end = 0
    for number, told in enumerate(glb.json["accessors"]):
        view = glb.json["bufferViews"][told["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] == end, "no gap and no overlap"
        end = view["byteOffset"] + view["byteLength"]
        array = glb.array(number)
        assert array.nbytes == view["byteLength"]
        assert told["count"] == len(array) > 0
        assert np.isfinite(array).all()
        assert told["min"] == array.min(axis=0).tolist()
        assert told["max"] == array.max(axis=0).tolist()
    assert end == len(glb.buffer)


def test_animation_is_as_the_specification_wants_it(glb: Glb) -> None:
    (animation,) = glb.json["animations"]
    targets = [(c["target"]["node"], c["target"]["path"]) for c in animation["channels"]]
    assert len(set(targets)) == len(targets)
    assert (0, "translation") in targets
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        times = glb.array(sampler["input"])[:, 0]
        assert times[0] == 0
        assert (np.diff(times) > 0).all()
        np.testing.assert_allclose(times, np.arange(len(times)) / 29.97, atol=1e-6)
        values = glb.array(sampler["output"])
        assert len(values) == len(times)
        if channel["target"]["path"] == "rotation":
            np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-6)
            assert ((values[1:] * values[:-1]).sum(axis=1) > 0).all(), "viewers blend the short way"


def test_joints_come_to_lie_where_they_were(glb: Glb) -> None:
    motion = walking(seconds=1.0, fps=29.97)
    places, turns = glb.globals()
    names = [node["name"] for node in glb.json["nodes"]]
    assert names[: len(JOINTS)] == list(JOINTS)
    for joint, place in PLACES.items():
        expected = motion.joints_world[:, H36M_17.index(place)] @ Y_UP_WORLD.T
        np.testing.assert_allclose(places[:, names.index(joint)], expected, atol=2e-4, err_msg=joint)
    head = names.index("Head")
    towards = turns[head].apply((0, 1, 0))
    expected = (
        motion.joints_world[:, H36M_17.index("Head")] - motion.joints_world[:, H36M_17.index("Neck")]
    ) @ Y_UP_WORLD.T
    np.testing.assert_allclose(towards, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_skin_binds_the_rest_pose(glb: Glb) -> None:
    """Joint times inverse bind matrix is identity in the rest pose, so that the mesh stands as it was modeled."""
    nodes, (skin,) = glb.json["nodes"], glb.json["skins"]
    assert skin["joints"] == list(range(len(JOINTS)))
    rest = np.array([node["translation"] for node in nodes[: len(JOINTS)]])
    for joint, parent in enumerate(PARENTS[1:], start=1):
        assert joint in nodes[parent]["children"]
        rest[joint] += rest[parent]
    inverse = np.swapaxes(glb.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4), 1, 2)  # columns first
    expected = np.tile(np.eye(4), (len(JOINTS), 1, 1))
    expected[:, :3, 3] = -rest
    np.testing.assert_allclose(inverse, expected, atol=1e-6)
    children = [child for node in nodes for child in node.get("children", ())]
    assert sorted(children) == list(range(1, len(JOINTS))), "every joint but the root hangs on one other"
    assert glb.json["scenes"][0]["nodes"] == [0, len(JOINTS)]
    assert all(np.linalg.norm(node["translation"]) > 0.01 for node in nodes[: len(JOINTS)])


def test_mesh_is_a_standing_body_with_outward_faces(glb: Glb) -> None:
    (mesh,) = glb.json["meshes"]
    corners, joints = [], []
    for primitive in mesh["primitives"]:
        attributes = {name: glb.array(number) for name, number in primitive["attributes"].items()}
        assert len({len(values) for values in attributes.values()}) == 1
        assert primitive["material"] < len(glb.json["materials"])
        np.testing.assert_allclose(np.linalg.norm(attributes["NORMAL"], axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(attributes["WEIGHTS_0"].sum(axis=1), 1)
        assert attributes["JOINTS_0"].max() < len(JOINTS)
        triangles = attributes["POSITION"].reshape(-1, 3, 3).astype(float)
        bones = triangles.reshape(-1, 8, 3, 3)
        outward = bones.mean(axis=2) - bones.mean(axis=(1, 2))[:, None]
        facing = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]).reshape(-1, 8, 3)
        assert ((facing * outward).sum(axis=-1) > 0).all()
        assert ((facing * attributes["NORMAL"][::3].reshape(-1, 8, 3)).sum(axis=-1) > 0).all()
        corners.append(triangles.reshape(-1, 3))
        joints.append(attributes["JOINTS_0"][:, 0])
    every = np.concatenate(corners)
    assert every[:, 1].min() == pytest.approx(0, abs=1e-6), "the feet stand on the floor"
    assert 1.3 < every[:, 1].max() < 2.0
    assert set(np.concatenate(joints).tolist()) == set(range(len(JOINTS)))
    names = [glb.json["materials"][p["material"]]["name"] for p in mesh["primitives"]]
    side = dict(zip(names, corners, strict=True))
    assert side["Left"][:, 0].min() > -0.05, "facing the viewer, left is to the right"
    assert side["Right"][:, 0].max() < 0.05


def test_skinned_bones_reach_from_joint_to_joint(glb: Glb) -> None:
    """Moved by the file's own matrices, the octahedra of a shin still begin at the knee and end at the ankle."""
    places, turns = glb.globals()
    inverse = np.swapaxes(glb.array(glb.json["skins"][0]["inverseBindMatrices"]).reshape(-1, 4, 4), 1, 2)
    frame = 17
    for primitive in glb.json["meshes"][0]["primitives"]:
        joint = glb.array(primitive["attributes"]["JOINTS_0"])[:, 0]
        corner = glb.array(primitive["attributes"]["POSITION"])
        for name, end in (("LeftLeg", "LeftFoot"), ("RightArm", "RightForeArm"), ("Spine1", "Neck")):
            if (number := JOINTS.index(name)) not in joint:
                continue
            own = corner[joint == number] + inverse[number, :3, 3]
            moved = turns[number][frame].apply(own) + places[frame, number]
            for wanted in (places[frame, number], places[frame, JOINTS.index(end)]):
                assert np.linalg.norm(moved - wanted, axis=1).min() < 1e-6, name


def test_the_timeline_stands_in_the_extras(tmp_path: Path) -> None:
    timeline = (Segment(10.0, 10.5, "Walking", 0.75), Segment(10.5, 11.0, "unknown"))
    write_glb(walking(start_s=10.0, action_timeline=timeline, source="a.mp4", person=2), tmp_path / "a.glb")
    (animation,) = Glb(tmp_path / "a.glb").json["animations"]
    assert animation["name"] == "a.mp4"
    assert animation["extras"] == {
        "source": "a.mp4",
        "person": 2,
        "fps": 50.0,
        "actions": [
            {"start_s": 0.0, "stop_s": 0.5, "label": "Walking", "probability": 0.75},
            {"start_s": 0.5, "stop_s": 1.0, "label": "unknown", "probability": None},
        ],
    }


def test_another_reader_opens_it(tmp_path: Path) -> None:
    pygltflib = pytest.importorskip("pygltflib")
    write_glb(walking(), tmp_path / "a.glb")
    read = pygltflib.GLTF2().load(tmp_path / "a.glb")
    assert [node.name for node in read.nodes] == [*JOINTS, "Body"]
    assert read.asset.version == "2.0"
    assert len(read.animations[0].channels) == len(read.animations[0].samplers)


def test_turning_round_and_round_keeps_quaternions_on_one_side(tmp_path: Path) -> None:
    motion = walking(seconds=3.0)
    spin = Rotation.from_rotvec(np.linspace(0, 10 * np.pi, motion.frames)[:, None] * (0, 0, 1)).as_matrix()
    write_glb(motion_of(np.einsum("tij,tkj->tki", spin, motion.joints_world)), tmp_path / "a.glb")
    glb = Glb(tmp_path / "a.glb")
    (animation,) = glb.json["animations"]
    (root,) = (c for c in animation["channels"] if c["target"] == {"node": 0, "path": "rotation"})
    turns = glb.array(animation["samplers"][root["sampler"]]["output"])
    assert ((turns[1:] * turns[:-1]).sum(axis=1) > 0.9).all()
    assert (turns @ turns[0]).min() < -0.9, "five turns pass through both signs"


def test_one_frame_is_a_motion(tmp_path: Path) -> None:
    write_glb(walking(seconds=0.02), tmp_path / "a.glb")
    places, _ = Glb(tmp_path / "a.glb").globals()
    assert places.shape == (1, len(JOINTS) + 1, 3)
