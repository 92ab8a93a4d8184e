"""Keypoint files: every format as its program writes it, read against one known motion; what is odd or refused."""

import json
import pickle
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.geometry.skeleton import COCO_17, H36M_17, SKELETONS, Skeleton, remap
from actlift.video.keypoints import FORMATS, Format, is_keypoints, order, read_keypoints
from actlift.video.keypoints.base import Content, KeypointFile, RawKeypoints
from actlift.video.keypoints.layouts import BODY_25, LAYOUTS, OPENPOSE_18, known_joint, to_coco

T, FPS, SIZE = 12, 25.0, (640, 480)
KNOWN = {"fps": FPS, "size": SIZE}


def body() -> dict[str, np.ndarray]:
    """Every joint of every layout of somebody who walks to the right, seen from the front: (t, 2) pixels."""
    half = {  # the left half, offsets in pixels from the pelvis; the person's left is on the image's right
        "LEye": (8, -135),
        "LEyeInner": (5, -135),
        "LEyeOuter": (11, -135),
        "LEar": (16, -130),
        "LMouth": (6, -118),
        "LShoulder": (36, -100),
        "LElbow": (48, -45),
        "LWrist": (55, 5),
        "LHip": (24, 2),
        "LKnee": (27, 90),
        "LAnkle": (28, 172),
        "LBigToe": (34, 186),
        "LSmallToe": (42, 184),
        "LHeel": (26, 182),
        "LFootIndex": (35, 186),
        "LPinky": (58, 20),
        "LIndex": (55, 22),
        "LThumb": (50, 18),
    }
    middle = {
        "Nose": (0, -128),
        "Head": (0, -132),
        "HeadTop": (0, -160),
        "Neck": (0, -124),
        "NeckBase": (0, -100),
        "Thorax": (0, -100),
        "Spine": (0, -50),
        "Pelvis": (0, 0),
    }
    places = half | {"R" + name[1:]: (-x, y) for name, (x, y) in half.items()} | middle
    phase = 2 * np.pi * np.arange(T) / T
    root = np.stack([250 + 6.0 * np.arange(T), 220 + 3 * np.sin(2 * phase)], axis=1)
    return {
        name: root + at + np.stack([4 * np.sin(phase + k), 2 * np.cos(phase + k)], axis=1)
        for k, (name, at) in enumerate(places.items())
    }


BODY = body()
CONFIDENCE = np.random.default_rng(0).uniform(0.4, 0.95, (T, 33)).round(3)


def seen_as(skeleton: Skeleton) -> np.ndarray:
    """(t, j, 3) pixels and confidence, joints in the order of the layout."""
    points = np.stack([BODY[joint] for joint in skeleton.joints], axis=1)
    return np.concatenate([points, CONFIDENCE[:, : len(skeleton), None]], axis=-1)


def padded(points: np.ndarray, joints: int) -> np.ndarray:
    """With joints behind, of hands and the face."""
    more = np.broadcast_to(points[:, :1], (len(points), joints - points.shape[1], 3))
    return np.concatenate([points, more], axis=1)


COCO = seen_as(COCO_17)


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def points_of(file: KeypointFile, person: int = 0) -> np.ndarray:
    return np.stack([people.points_px[person] for _, people in file.frames])


def check(file: KeypointFile, program: str, layout: str = "coco_17", *, confidence: np.ndarray | None = None) -> None:
    """The file tells the known motion."""
    assert (file.program, file.layout) == (program, layout)
    assert (file.fps, file.width, file.height) == (FPS, *SIZE)
    np.testing.assert_allclose([time_s for time_s, _ in file.frames], np.arange(T) / FPS, atol=1e-9)
    np.testing.assert_allclose(points_of(file), COCO[..., :2], atol=2e-3)
    if confidence is not None:
        found = np.stack([people.confidence[0] for _, people in file.frames])
        np.testing.assert_allclose(found, confidence, atol=1e-6)
    for _, people in file.frames:
        assert people.points_px.dtype == people.confidence.dtype == np.float32


# --- formats


def coco_annotations() -> dict[str, Any]:
    names = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"]
    names += ["right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee"]
    names += ["left_ankle", "right_ankle"]
    return {
        "info": {"description": "a walk", "fps": FPS},
        "licenses": [],
        "images": [
            {"id": 100 + i, "file_name": f"walk_{i + 1:06d}.jpg", "width": 640, "height": 480} for i in range(T)
        ],
        "annotations": [
            {
                "id": 900 + i,
                "image_id": 100 + i,
                "category_id": 1,
                "iscrowd": 0,
                "area": 9000.0,
                "track_id": 7,
                "bbox": [200, 60, 120, 350],
                "num_keypoints": 17,
                "keypoints": np.concatenate([COCO[i, :, :2], np.full((17, 1), 2)], axis=-1).ravel().tolist(),
            }
            for i in range(T)
        ],
        "categories": [
            {"id": 1, "name": "person", "supercategory": "person", "keypoints": names, "skeleton": [[16, 14]]}
        ],
    }


def test_coco_annotations(tmp_path: Path) -> None:
    file = read_keypoints(write(tmp_path / "person_keypoints.json", coco_annotations()))
    check(file, "coco", confidence=np.ones((T, 17)))
    assert file.ids is not None
    assert [ids.tolist() for ids in file.ids] == [[7]] * T


def test_coco_annotations_hidden_and_unlabeled_joints_boxes_and_empty_images(tmp_path: Path) -> None:
    held = coco_annotations()
    first, second, third, *_ = held["annotations"]
    first["keypoints"][:6] = [0, 0, 0, *COCO[0, 1, :2].tolist(), 1]
    second["keypoints"] = [0] * 51
    del third["keypoints"]
    file = read_keypoints(write(tmp_path / "f.json", held))
    (_, people), (_, nobody), (_, nobody_else), *_ = file.frames
    np.testing.assert_array_equal(people.confidence[0, :3], [0, 0.5, 1])
    assert np.isnan(people.points_px[0, 0]).all()
    assert people.points_px.shape == (1, 17, 2)
    assert nobody.points_px.shape == nobody_else.points_px.shape == (0, 17, 2)
    assert len(file.frames) == T


def results(program: str = "coco", skeleton: Skeleton = COCO_17, joints: int | None = None) -> list[dict[str, Any]]:
    rows = padded(seen_as(skeleton), joints or len(skeleton))
    if program == "coco":
        return [
            {"image_id": i, "category_id": 1, "keypoints": r.ravel().tolist(), "score": 0.9} for i, r in enumerate(rows)
        ]
    return [
        {
            "image_id": f"{i}.jpg",
            "category_id": 1,
            "keypoints": row.ravel().tolist(),
            "score": 2.9,
            "box": [200.0, 60.0, 120.0, 350.0],
            "idx": [3.0],
        }
        for i, row in enumerate(rows)
    ]


def test_coco_results(tmp_path: Path) -> None:
    check(read_keypoints(write(tmp_path / "f.json", results()), **KNOWN), "coco", confidence=COCO[..., 2])


@pytest.mark.parametrize(("layout", "joints"), [("coco_17", 17), ("halpe_26", 26), ("halpe_26", 136), ("coco_17", 133)])
def test_alphapose(tmp_path: Path, layout: str, joints: int) -> None:
    path = write(tmp_path / "alphapose-results.json", results("alphapose", LAYOUTS[layout], joints))
    file = read_keypoints(path, **KNOWN)
    check(file, "alphapose", layout, confidence=COCO[..., 2])
    assert file.ids is not None
    assert {int(ids[0]) for ids in file.ids} == {3}


def alphapose_open() -> dict[str, Any]:
    return {
        f"{i}.jpg": {"version": "AlphaPose v0.3", "people": [{"pose_keypoints_2d": row}]}
        for i, row in enumerate(seen_as(OPENPOSE_18).reshape(T, -1).tolist())
    }


@pytest.mark.parametrize("form", ["cmu", "open"])
def test_alphapose_in_the_forms_of_others(tmp_path: Path, form: str) -> None:
    held = alphapose_open()
    if form == "cmu":
        for image in held.values():
            image["bodies"] = [{"joints": person["pose_keypoints_2d"]} for person in image.pop("people")]
    check(read_keypoints(write(tmp_path / "f.json", held), **KNOWN), "alphapose", "openpose_18")


def mmpose_instances(skeleton: Skeleton = COCO_17) -> list[list[dict[str, Any]]]:
    return [
        [
            {
                "keypoints": row[:, :2].tolist(),
                "keypoint_scores": row[:, 2].tolist(),
                "bbox": [[200.0, 60.0, 320.0, 410.0]],  # a tuple of one
                "bbox_score": 0.98,
            }
        ]
        for row in seen_as(skeleton)
    ]


@pytest.mark.parametrize("layout", ["coco_17", "h36m_17", "halpe_26"])
def test_mmpose_demo_names_its_joints(tmp_path: Path, layout: str) -> None:
    names = {
        "coco_17": coco_annotations()["categories"][0]["keypoints"],
        "h36m_17": [
            "root",
            "right_hip",
            "right_knee",
            "right_foot",
            "left_hip",
            "left_knee",
            "left_foot",
            "spine",
            "thorax",
            "neck",
            "head",
            "left_shoulder",
            "left_elbow",
            "left_wrist",
            "right_shoulder",
            "right_elbow",
            "right_wrist",
        ],
        "halpe_26": [
            "nose",
            "left_eye",
            "right_eye",
            "left_ear",
            "right_ear",
            "left_shoulder",
            "right_shoulder",
            "left_elbow",
            "right_elbow",
            "left_wrist",
            "right_wrist",
            "left_hip",
            "right_hip",
            "left_knee",
            "right_knee",
            "left_ankle",
            "right_ankle",
            "head",
            "neck",
            "hip",
            "left_big_toe",
            "right_big_toe",
            "left_small_toe",
            "right_small_toe",
            "left_heel",
            "right_heel",
        ],
    }[layout]
    held = {
        "meta_info": {
            "dataset_name": layout,
            "num_keypoints": len(names),
            "keypoint_id2name": {str(i): name for i, name in enumerate(names)},
            "keypoint_colors": {"__ndarray__": [[51, 153, 255]], "dtype": "uint8", "shape": [1, 3]},
        },
        "instance_info": [
            {"frame_id": i + 1, "instances": people} for i, people in enumerate(mmpose_instances(LAYOUTS[layout]))
        ],
    }
    file = read_keypoints(write(tmp_path / "results_walk.json", held), **KNOWN)
    if layout == "h36m_17":
        np.testing.assert_allclose(points_of(file)[:, 5:], COCO[:, 5:, :2], atol=1e-3)
        assert file.layout == "h36m_17"
    else:
        check(file, "mmpose", "coco_17" if layout == "coco_17" else "custom", confidence=COCO[..., 2])
    assert file.frames[0][0] == 0  # the demo counts from 1


@pytest.mark.parametrize("form", ["inferencer", "frames", "with track ids"])
def test_mmpose_lists(tmp_path: Path, form: str) -> None:
    people: Any = mmpose_instances()
    if form == "inferencer":
        people = [{"frame_id": i, "instances": instances} for i, instances in enumerate(people)]
    if form == "with track ids":
        people = [[{"keypoints": row.tolist(), "bbox": [1, 2, 3, 4, 0.9], "track_id": 5}] for row in COCO]
    file = read_keypoints(write(tmp_path / "walk.json", people), **KNOWN)
    check(file, "mmpose", confidence=COCO[..., 2])
    assert (file.ids is not None) == (form == "with track ids")


def openpose(folder: Path, skeleton: Skeleton, name: str = "walk_{:012d}_keypoints.json", person_id: int = -1) -> Path:
    folder.mkdir()
    for i, row in enumerate(seen_as(skeleton)):
        person = {"person_id": [person_id], "pose_keypoints_2d": row.ravel().tolist(), "face_keypoints_2d": []}
        write(folder / name.format(i), {"version": 1.3, "people": [person]})
    return folder


@pytest.mark.parametrize("skeleton", [BODY_25, OPENPOSE_18], ids=lambda s: s.name)
def test_openpose_folder(tmp_path: Path, skeleton: Skeleton) -> None:
    file = read_keypoints(openpose(tmp_path / "json", skeleton), **KNOWN)
    check(file, "openpose", skeleton.name)
    assert file.ids is None
    order = [skeleton.index(joint) for joint in COCO_17.joints]
    np.testing.assert_allclose(file.frames[3][1].confidence[0], CONFIDENCE[3, order], atol=1e-6)


def test_openpose_unseen_joints_empty_frames_and_ids(tmp_path: Path) -> None:
    folder = openpose(tmp_path / "json", BODY_25, person_id=4)
    write(folder / "walk_000000000005_keypoints.json", {"version": 1.3, "people": []})
    row = seen_as(BODY_25)[0]
    row[BODY_25.index("LWrist")] = 0
    person = {"person_id": [4], "pose_keypoints_2d": row.ravel().tolist()}
    hands_only = {"person_id": [9], "pose_keypoints_2d": []}
    write(folder / "walk_000000000000_keypoints.json", {"version": 1.3, "people": [person, hands_only]})
    file = read_keypoints(folder, **KNOWN)
    assert [len(people.confidence) for _, people in file.frames] == [1] * 5 + [0] + [1] * (T - 6)
    wrist = COCO_17.index("LWrist")
    assert np.isnan(file.frames[0][1].points_px[0, wrist]).all()
    assert file.frames[0][1].confidence[0, wrist] == 0
    assert np.isfinite(np.delete(file.frames[0][1].points_px[0], wrist, axis=0)).all()
    assert file.ids is not None
    assert [ids.tolist() for ids in file.ids] == [[4]] * 5 + [[]] + [[4]] * (T - 6)


def test_openpose_folder_of_pose2sim_and_of_scaled_keypoints(tmp_path: Path) -> None:
    check(read_keypoints(openpose(tmp_path / "a", BODY_25, "cam01_{:06d}.json"), **KNOWN), "openpose", "body_25")
    folder = openpose(tmp_path / "b", BODY_25)
    for file in folder.iterdir():
        held = json.loads(file.read_text())
        scaled = np.reshape(held["people"][0]["pose_keypoints_2d"], (-1, 3)) / (*SIZE, 1)
        held["people"][0]["pose_keypoints_2d"] = scaled.ravel().tolist()
        write(file, held)
    check(read_keypoints(folder, **KNOWN), "openpose", "body_25")


def objects(items: list[Any]) -> np.ndarray:
    """An array of objects, as NumPy made them of uneven lists."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def detectron(path: Path, pairs: bool) -> Path:
    """As VideoPose3D's inference writes it: pairs of the classes nothing and person, in one array of objects."""
    boxes, keypoints = [], []
    for i, row in enumerate(COCO):
        person = np.concatenate([row[:, :2], np.zeros((17, 1)), row[:, 2:] / 10], axis=1).T[None].astype(np.float32)
        boxes.append([[], np.array([[200, 60, 320, 410, 0.98]], np.float32)] if i != 4 else [[], []])
        keypoints.append([[], person] if i != 4 else [[], []])
    both = {"boxes": boxes, "segments": [None] * T, "keypoints": keypoints}
    arrays = {name: objects(held) for name, held in both.items()}
    if pairs:
        for name in ("boxes", "keypoints"):
            arrays[name] = np.empty((T, 2), dtype=object)
            for i, (nothing, people) in enumerate(both[name]):
                arrays[name][i, 0], arrays[name][i, 1] = nothing, people
    np.savez_compressed(path, **arrays, metadata=np.array({"w": 640, "h": 480}, dtype=object))
    return path


def check_detectron(file: KeypointFile) -> None:
    assert (file.program, file.layout, file.width, file.height) == ("detectron", "coco_17", 640, 480)
    assert [len(people.confidence) for _, people in file.frames] == [1] * 4 + [0] + [1] * (T - 5)
    there = [i for i in range(T) if i != 4]
    points = np.concatenate([people.points_px for _, people in file.frames])
    np.testing.assert_allclose(points, COCO[there, :, :2], atol=1e-3)
    sure = np.concatenate([people.confidence for _, people in file.frames])
    np.testing.assert_allclose(sure, 0.6 * COCO[there, :, 2], atol=1e-5)


def test_detectron(tmp_path: Path) -> None:
    check_detectron(read_keypoints(detectron(tmp_path / "walk.mp4.npz", pairs=False), fps=FPS))


def test_detectron_in_pairs_as_numpy_wrote_them(tmp_path: Path) -> None:
    check_detectron(read_keypoints(detectron(tmp_path / "walk.mp4.npz", pairs=True), fps=FPS))


def test_older_detectron_has_logits(tmp_path: Path) -> None:
    rows = [
        np.concatenate([row[:, :2], np.full((17, 1), logit), np.full((17, 1), 1e-3)], axis=1).T.astype(np.float32)
        for row, logit in zip(COCO, np.linspace(1, 9, T), strict=True)
    ]
    path = tmp_path / "walk.npz"
    np.savez(
        path,
        boxes=objects([[[], np.ones((1, 5))] for _ in rows]),
        keypoints=objects([[[], [row]] for row in rows]),
        metadata=np.array({"w": 640, "h": 480}, dtype=object),
    )
    file = read_keypoints(path, fps=FPS)
    sure = [people.confidence[0, 0] for _, people in file.frames]
    assert sure[0] < 0.3 < 0.99 < sure[-1]
    np.testing.assert_allclose(points_of(file), COCO[..., :2], atol=1e-3)


def videopose3d(path: Path, skeleton: Skeleton, videos: int = 1) -> Path:
    points = seen_as(skeleton)[..., :2].astype(np.float32)
    metadata = {
        "layout_name": skeleton.name.removesuffix("_17"),
        "num_joints": 17,
        "keypoints_symmetry": [list(skeleton.left), list(skeleton.right)],
        "video_metadata": {f"walk{i}.mp4": {"w": 640, "h": 480} for i in range(videos)},
    }
    positions = {f"walk{i}.mp4": {"custom": [points]} for i in range(videos)}
    np.savez(path, positions_2d=np.array(positions, dtype=object), metadata=np.array(metadata, dtype=object))
    return path


def test_videopose3d(tmp_path: Path) -> None:
    file = read_keypoints(videopose3d(tmp_path / "data_2d_custom_walk.npz", COCO_17), fps=FPS)
    check(file, "videopose3d", confidence=np.ones((T, 17)))
    file = read_keypoints(videopose3d(tmp_path / "data_2d_h36m.npz", H36M_17), fps=FPS)
    np.testing.assert_allclose(points_of(file)[:, 5:], COCO[:, 5:, :2], atol=1e-3)
    assert file.layout == "h36m_17"


BLAZEPOSE = SKELETONS["blazepose_33"]


def marks() -> list[list[dict[str, float]]]:
    """MediaPipe's landmarks: shares of the image, with depth and visibility."""
    return [
        [{"x": x / 640, "y": y / 480, "z": -0.1, "visibility": v} for x, y, v in row]
        for row in seen_as(BLAZEPOSE).tolist()
    ]


MEDIAPIPE: dict[str, Callable[[], Any]] = {
    "lists": marks,
    "frames": lambda: [{"frame": i, "landmarks": row} for i, row in enumerate(marks())],
    "about": lambda: {"fps": FPS, "width": 640, "height": 480, "frames": [{"pose_landmarks": row} for row in marks()]},
    "people": lambda: [{"timestamp_ms": 40 * i, "landmarks": [row]} for i, row in enumerate(marks())],
    "seconds": lambda: [{"timestamp": 0.04 * i, "landmarks": row} for i, row in enumerate(marks())],
    "frames and no times": lambda: [
        {"frame_number": i, "timestamp": 0, "landmarks": row} for i, row in enumerate(marks())
    ],
    "by name": lambda: [
        {"frame_number": i, "landmarks": dict(zip(BLAZEPOSE.joints, row, strict=True))} for i, row in enumerate(marks())
    ],
    "named": lambda: [
        {
            "keypoints": [
                {"name": name, "score": m["visibility"], **m} for name, m in zip(BLAZEPOSE.joints, row, strict=True)
            ]
        }
        for row in marks()
    ],
}


@pytest.mark.parametrize("form", MEDIAPIPE)
def test_mediapipe_json(tmp_path: Path, form: str) -> None:
    file = read_keypoints(write(tmp_path / "f.json", MEDIAPIPE[form]()), **KNOWN)
    order = [BLAZEPOSE.index(joint) for joint in COCO_17.joints]
    check(file, "landmarks", "blazepose_33", confidence=CONFIDENCE[:, order])


def test_mediapipe_json_tells_rate_and_size_and_frames_without_anybody(tmp_path: Path) -> None:
    check(read_keypoints(write(tmp_path / "f.json", MEDIAPIPE["about"]())), "landmarks", "blazepose_33")
    file = read_keypoints(write(tmp_path / "g.json", MEDIAPIPE["people"]()), size=SIZE)
    assert file.fps == FPS
    held: list[Any] = marks()
    held[0], held[3] = None, []
    file = read_keypoints(write(tmp_path / "h.json", held), **KNOWN)
    assert [len(people.confidence) for _, people in file.frames] == [0, 1, 1, 0] + [1] * (T - 4)


def blazepose_table(header: list[str], *, lines: int = 1) -> str:
    scaled = np.insert(seen_as(BLAZEPOSE) / (*SIZE, 1), 2, -0.1, axis=2)  # x, y, z, visibility
    rows = [",".join(header)] + [",".join([str(i), *(f"{v:.7f}" for v in row.ravel())]) for i, row in enumerate(scaled)]
    return "\n".join(rows) + "\n" * lines


@pytest.mark.parametrize(
    "columns",
    [
        lambda i, _: [f"x{i + 1}", f"y{i + 1}", f"z{i + 1}", f"v{i + 1}"],
        lambda i, _: [f"landmark_{i}_x", f"landmark_{i}_y", f"landmark_{i}_z", f"landmark_{i}_visibility"],
        lambda i, _: [f"lmk{i}_x", f"lmk{i}_y", f"lmk{i}_z", f"lmk{i}_vis"],
        lambda i, _: [f"{i}_x", f"{i}_y", f"{i}_z", f"{i}_v"],
        lambda _, name: [f"{name}_x", f"{name}_y", f"{name}_z", f"{name}_visibility"],
        lambda _, name: [f"{name}.x", f"{name}.y", f"{name}.z", f"{name}.visibility"],
        lambda _, name: [f"x_{name}", f"y_{name}", f"z_{name}", f"v_{name}"],
        lambda _, name: [f"{name} X", f"{name} Y", f"{name} Z", f"{name} Score"],
    ],
    ids=["x1", "landmark_0_x", "lmk0_x", "0_x", "NAME_x", "NAME.x", "x_NAME", "NAME X"],
)
def test_mediapipe_csv(tmp_path: Path, columns: Callable[[int, str], list[str]]) -> None:
    names = [
        "NOSE",
        "LEFT_EYE_INNER",
        "LEFT_EYE",
        "LEFT_EYE_OUTER",
        "RIGHT_EYE_INNER",
        "RIGHT_EYE",
        "RIGHT_EYE_OUTER",
        "LEFT_EAR",
        "RIGHT_EAR",
        "MOUTH_LEFT",
        "MOUTH_RIGHT",
        "LEFT_SHOULDER",
        "RIGHT_SHOULDER",
        "LEFT_ELBOW",
        "RIGHT_ELBOW",
        "LEFT_WRIST",
        "RIGHT_WRIST",
        "LEFT_PINKY",
        "RIGHT_PINKY",
        "LEFT_INDEX",
        "RIGHT_INDEX",
        "LEFT_THUMB",
        "RIGHT_THUMB",
        "LEFT_HIP",
        "RIGHT_HIP",
        "LEFT_KNEE",
        "RIGHT_KNEE",
        "LEFT_ANKLE",
        "RIGHT_ANKLE",
        "LEFT_HEEL",
        "RIGHT_HEEL",
        "LEFT_FOOT_INDEX",
        "RIGHT_FOOT_INDEX",
    ]
    header = [cell for i, name in enumerate(names) for cell in columns(i, name)]
    path = tmp_path / "f.csv"
    path.write_text(blazepose_table(["frame", *header]))
    order = [BLAZEPOSE.index(joint) for joint in COCO_17.joints]
    check(read_keypoints(path, **KNOWN), "csv", "blazepose_33", confidence=CONFIDENCE[:, order])


def wide(separator: str = ",", name: Callable[[str], str] = str, when: str = "frame") -> str:
    header = [when, *(f"{name(joint)}_{axis}" for joint in COCO_17.joints for axis in ("x", "y", "score"))]
    step = 1 if when == "frame" else 1 / FPS
    rows = [[f"{i * step:g}", *(f"{v:.4f}" for v in row.ravel())] for i, row in enumerate(COCO)]
    return "\n".join(separator.join(row) for row in [header, *rows]) + "\n"


def test_wide_csv_in_every_tongue(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    for text in (
        wide(),
        wide("\t"),
        wide(";"),
        wide(";").replace(".", ","),
        "\ufeff" + wide(),
        wide().replace("\n", "\r\n"),
    ):
        path.write_bytes(text.encode())
        check(read_keypoints(path, **KNOWN), "csv", confidence=COCO[..., 2])
    path.write_text(wide(when="time"))
    check(read_keypoints(path, size=SIZE), "csv", confidence=COCO[..., 2])
    path.write_text(
        wide(name=lambda joint: {"L": "left_", "R": "right_"}.get(joint[0], "") + joint.lower().lstrip("lr"))
    )
    check(read_keypoints(path, **KNOWN), "csv")


def test_wide_csv_of_a_subset_with_gaps_and_people(tmp_path: Path) -> None:
    joints = [joint for joint in COCO_17.joints if joint not in ("LEye", "REye", "LEar", "REar")]
    lines = [",".join(["frame", "person", "score", *(f"{joint}_{axis}" for joint in joints for axis in "xy")])]
    for i in range(T):
        cells = [f"{BODY[joint][i, k]:.3f}" if joint != "LKnee" or i else "" for joint in joints for k in (0, 1)]
        lines += [",".join([str(i), who, "0.9", *cells]) for who in ("anna", "bert")]
    path = tmp_path / "f.csv"
    path.write_text("\n".join(lines))
    file = read_keypoints(path, **KNOWN)
    assert (file.layout, len(file.frames)) == ("custom", T)
    assert file.ids is not None
    assert [ids.tolist() for ids in file.ids] == [[0, 1]] * T
    first = file.frames[0][1]
    assert first.points_px.shape == (2, 17, 2)
    assert np.isnan(first.points_px[:, COCO_17.index("LKnee")]).all()
    for joint in ("LEye", "REye", "LEar", "REar"):  # all that is known of the head is the nose
        np.testing.assert_allclose(first.points_px[0, COCO_17.index(joint)], BODY["Nose"][0], atol=1e-3)
        assert first.confidence[0, COCO_17.index(joint)] == 0.5


def long(people: tuple[int, ...] = (1,), numbered: bool = False) -> str:
    lines = ["frame,person,joint,x,y,confidence"] if len(people) > 1 else ["frame,joint,x,y,confidence"]
    for i, row in enumerate(COCO):
        for who in people:
            for j, (x, y, c) in enumerate(row):
                cells = [
                    str(i),
                    str(who),
                    str(j) if numbered else COCO_17.joints[j],
                    f"{x + 9 * who - 9:.4f}",
                    f"{y:.4f}",
                ]
                lines.append(",".join([*(cells if len(people) > 1 else [cells[0], *cells[2:]]), f"{c:.4f}"]))
    return "\n".join(lines)


@pytest.mark.parametrize("numbered", [False, True])
def test_long_csv(tmp_path: Path, numbered: bool) -> None:
    path = tmp_path / "f.csv"
    path.write_text(long(numbered=numbered))
    check(read_keypoints(path, **KNOWN), "csv", confidence=COCO[..., 2])
    path.write_text(long((1, 2), numbered=numbered))
    file = read_keypoints(path, **KNOWN)
    check(file, "csv", confidence=COCO[..., 2])
    np.testing.assert_allclose(points_of(file, 1), COCO[..., :2] + (9, 0), atol=1e-3)
    assert file.ids is not None
    assert [ids.tolist() for ids in file.ids] == [[1, 2]] * T


def deeplabcut(individuals: tuple[str, ...] = ()) -> str:
    who = individuals or ("",)
    cells = [(person, joint, axis) for person in who for joint in COCO_17.joints for axis in ("x", "y", "likelihood")]
    rows = [["scorer", *("DLC_resnet50" for _ in cells)]]
    if individuals:
        rows.append(["individuals", *(person for person, _, _ in cells)])
    rows += [["bodyparts", *(joint for _, joint, _ in cells)], ["coords", *(axis for _, _, axis in cells)]]
    rows += [[str(i), *([f"{v:.4f}" for v in row.ravel()] * len(who))] for i, row in enumerate(COCO)]
    return "\n".join(",".join(row) for row in rows)


def test_deeplabcut(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(deeplabcut())
    check(read_keypoints(path, **KNOWN), "deeplabcut", confidence=COCO[..., 2])
    path.write_text(deeplabcut(("anna", "bert")))
    file = read_keypoints(path, **KNOWN)
    check(file, "deeplabcut", confidence=COCO[..., 2])
    assert file.ids is not None
    assert [ids.tolist() for ids in file.ids] == [[0, 1]] * T


def test_npy_and_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", COCO)
    check(read_keypoints(tmp_path / "a.npy", **KNOWN), "numpy", confidence=COCO[..., 2])
    np.save(tmp_path / "b.npy", COCO[:, None, :, :2].astype(np.float32))
    check(read_keypoints(tmp_path / "b.npy", **KNOWN), "numpy", confidence=np.ones((T, 17)))
    shuffled = np.random.default_rng(3).permutation(17)
    np.savez(
        tmp_path / "c.npz",
        keypoints=np.stack([COCO[:, shuffled, :2], COCO[:, shuffled, :2] + 3], axis=1),
        scores=np.stack([COCO[:, shuffled, 2]] * 2, axis=1)[..., None],
        fps=FPS,
        size=np.array(SIZE),
        joints=np.array(COCO_17.joints)[shuffled],
        ids=np.array([5, 8]),
    )
    file = read_keypoints(tmp_path / "c.npz")
    check(file, "numpy", confidence=COCO[..., 2])
    assert file.ids is not None
    assert [ids.tolist() for ids in file.ids] == [[5, 8]] * T


# --- which joint is which


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_body(tmp_path: Path, layout: str) -> None:
    np.savez(tmp_path / "f.npz", keypoints=seen_as(LAYOUTS[layout]), layout=layout)
    file = read_keypoints(tmp_path / "f.npz", **KNOWN)
    assert file.layout == layout
    np.testing.assert_allclose(points_of(file)[:, 5:], COCO[:, 5:, :2], atol=1e-3)
    if layout != "h36m_17":
        np.testing.assert_allclose(points_of(file), COCO[..., :2], atol=1e-3)


def test_a_face_made_from_neck_and_thorax_gives_the_neck_back() -> None:
    points = seen_as(H36M_17)
    coco, confidence = to_coco(points[..., :2], points[..., 2], H36M_17)
    back = remap(coco, COCO_17, H36M_17)
    neck, thorax = H36M_17.index("Neck"), H36M_17.index("Thorax")
    between_shoulders = (points[:, 11, :2] + points[:, 14, :2]) / 2
    np.testing.assert_allclose(back[:, neck] - between_shoulders / 4, points[:, neck, :2] - points[:, thorax, :2] / 4)
    limbs = [H36M_17.index(joint) for joint in COCO_17.joints[5:]]
    np.testing.assert_allclose(coco[:, 5:], points[:, limbs, :2])
    np.testing.assert_allclose(confidence[:, :5], np.tile(points[:, [thorax, neck], 2].min(axis=1)[:, None] / 2, 5))


def test_17_joints_in_the_other_order_are_found_out(tmp_path: Path) -> None:
    np.save(tmp_path / "h.npy", seen_as(H36M_17))
    np.save(tmp_path / "c.npy", COCO)
    with pytest.raises(
        ValueError, match=r"h\.npy: these 17 joints look like h36m_17, not coco_17: give layout='h36m_17'"
    ):
        read_keypoints(tmp_path / "h.npy", **KNOWN)
    assert read_keypoints(tmp_path / "h.npy", layout="h36m_17", **KNOWN).layout == "h36m_17"
    with pytest.warns(UserWarning, match="look like coco_17, not h36m_17"):
        file = read_keypoints(tmp_path / "c.npy", layout="h36m_17", **KNOWN)
    assert file.layout == "h36m_17"  # what was told is done


def test_orders_are_told_apart_on_real_motion(actlift_data: Path) -> None:
    """From any side, lying, crouching or upside down, the right order fits better than the wrong one."""
    rng = np.random.default_rng(0)
    found = []
    for clip in read_mocap_npz(actlift_data / "mocap" / "hdm05.npz"):
        joints = clip.joints_world[::5].astype(np.float64)
        angle = rng.uniform(0, 2 * np.pi)
        across = joints[..., 0] * np.cos(angle) + joints[..., 1] * np.sin(angle)
        h36m = np.stack([across, -joints[..., 2]], axis=-1)
        head = h36m[:, H36M_17.index("Head")]
        aside = [np.array([(j % 2 - 0.5) * 0.14 * np.cos(angle + j // 2), -0.02]) for j in range(5)]
        coco = np.stack([*(head + a for a in aside), *(h36m[:, H36M_17.index(j)] for j in COCO_17.joints[5:])], axis=1)
        for points, right, wrong in ((h36m, H36M_17, COCO_17), (coco, COCO_17, H36M_17)):
            sure = np.ones(points.shape[:2])
            odd = [order.oddity(to_coco(points, sure, skeleton)[0]) for skeleton in (right, wrong)]
            found.append(odd[1] - odd[0])
    assert np.mean(np.array(found) > order.FAR_BETTER) > 0.99
    assert min(found) > 0  # never is the wrong one preferred


def test_people_on_their_heads_and_crossed_sides_are_doubted(tmp_path: Path) -> None:
    upright = COCO.copy()
    upright[..., 1] = 480 - upright[..., 1]
    np.save(tmp_path / "f.npy", upright)
    with pytest.warns(UserWarning, match="stand on their heads"):
        read_keypoints(tmp_path / "f.npy", **KNOWN)
    crossed = COCO.copy()
    crossed[:, [5, 6, 7, 8, 9, 10]] = crossed[:, [6, 5, 8, 7, 10, 9]]
    np.save(tmp_path / "g.npy", crossed)
    with pytest.warns(UserWarning, match="left and right of the shoulders are not those of the hips"):
        read_keypoints(tmp_path / "g.npy", **KNOWN)


@pytest.mark.parametrize(
    ("name", "joint"),
    [
        *(("left_hip", "LHip"), ("LHip", "LHip"), ("hip_left", "LHip"), ("Left Hip", "LHip"), ("lhip", "LHip")),
        *(("hip.l", "LHip"), ("RIGHT_FOOT_INDEX", "RFootIndex"), ("mouth_right", "RMouth"), ("rear", "REar")),
        *(("right_foot", "RAnkle"), ("root", "Pelvis"), ("MidHip", "Pelvis"), ("hip", "Pelvis"), ("nose", "Nose")),
        *(("face-12", None), ("left_thumb1", None), ("", None), ("instance", None)),
    ],
)
def test_names_of_joints(name: str, joint: str | None) -> None:
    assert known_joint(name) == joint


def test_every_joint_of_every_layout_is_known_by_its_name() -> None:
    for skeleton in LAYOUTS.values():
        assert [known_joint(joint) for joint in skeleton.joints] == list(skeleton.joints)


# --- frames, scores, coordinates


def test_gaps_are_frames_without_people_and_times_go_on(tmp_path: Path) -> None:
    kept = [row for i, row in enumerate(results("alphapose")) if i not in (0, 3, 4, 5)]
    file = read_keypoints(write(tmp_path / "f.json", kept), **KNOWN)
    np.testing.assert_allclose([time_s for time_s, _ in file.frames], np.arange(1, T) / FPS)
    assert [len(people.confidence) for _, people in file.frames] == [1, 1, 0, 0, 0] + [1] * (T - 6)


def test_every_fifth_frame_stays_every_fifth_frame(tmp_path: Path) -> None:
    rows = results()
    for i, row in enumerate(rows):
        row["image_id"] = 5.0 * i  # floats, as pandas makes them
    del rows[2]
    file = read_keypoints(write(tmp_path / "f.json", rows), **KNOWN)
    np.testing.assert_allclose([time_s for time_s, _ in file.frames], 5 * np.arange(T) / FPS)
    assert len(file.frames[2][1].confidence) == 0


@pytest.mark.parametrize(
    "name", ["{}.jpg", "frame_{:04d}.jpg", "video.mp4_{:06d}", "take 2/{:05d}.png", r"c:\cam2\{:05d}.PNG", "{}"]
)
def test_frames_are_numbered_by_names_of_images(tmp_path: Path, name: str) -> None:
    rows = results("alphapose")[::-1]
    for i, row in enumerate(rows):
        row["image_id"] = name.format(T - 1 - i)
    check(read_keypoints(write(tmp_path / "f.json", rows), **KNOWN), "alphapose")


def test_files_of_one_frame(tmp_path: Path) -> None:
    for held in (marks()[0], mmpose_instances()[0], [results()[0]]):
        file = read_keypoints(write(tmp_path / "f.json", held), **KNOWN)
        ((time_s, people),) = file.frames
        assert time_s == 0
        np.testing.assert_allclose(people.points_px[0], COCO[0, :, :2], atol=1e-3)


def test_times_that_are_missing_leave_numbers(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    lines = wide(when="time").splitlines()
    lines[3] = "," + lines[3].split(",", 1)[1]
    path.write_text("\n".join(lines))
    check(read_keypoints(path, **KNOWN), "csv")


def test_a_head_stands_in_for_the_face(tmp_path: Path) -> None:
    joints = ["Head", *COCO_17.joints[5:]]
    np.savez(tmp_path / "f.npz", keypoints=np.stack([BODY[joint] for joint in joints], axis=1), joints=np.array(joints))
    file = read_keypoints(tmp_path / "f.npz", **KNOWN)
    for joint in range(5):
        np.testing.assert_allclose(points_of(file)[:, joint], BODY["Head"], atol=1e-3)
    assert {float(people.confidence[0, 0]) for _, people in file.frames} == {0.5}


def test_numbers_that_count_no_frames_from_the_start_are_timed_from_the_first(tmp_path: Path) -> None:
    rows = results()
    for i, row in enumerate(rows):
        row["image_id"] = 10001280000 + i
    file = read_keypoints(write(tmp_path / "f.json", rows), **KNOWN)
    np.testing.assert_allclose([time_s for time_s, _ in file.frames], np.arange(T) / FPS)


def test_scores_out_of_range_missing_and_nan(tmp_path: Path) -> None:
    points = COCO.copy()
    points[:, 0, 2], points[:, 1, 2], points[:, 2, 2], points[:, 3, 2] = 5.5, -0.2, np.nan, 0
    points[:, 4, :2] = np.nan, 1e300
    np.save(tmp_path / "f.npy", points)
    _, people = read_keypoints(tmp_path / "f.npy", **KNOWN).frames[0]
    np.testing.assert_array_equal(people.confidence[0, :5], [1, 0, 0, 0, 0])
    assert np.isnan(people.points_px[0, 1:5]).all()
    assert np.isfinite(people.points_px[0, 5:]).all()
    np.save(tmp_path / "g.npy", COCO * (1, 1, 0))  # scores left out
    check(read_keypoints(tmp_path / "g.npy", **KNOWN), "numpy", confidence=np.ones((T, 17)))


def test_ids_that_do_not_tell_people_apart_are_none(tmp_path: Path) -> None:
    rows = results("alphapose")
    twice = [*rows, *({**row, "idx": [3.0]} for row in rows)]
    assert read_keypoints(write(tmp_path / "f.json", twice), **KNOWN).ids is None


def test_rows_need_not_be_in_order(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(T)
    rows = results()
    check(read_keypoints(write(tmp_path / "f.json", [rows[i] for i in order]), **KNOWN), "coco")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shift=st.tuples(st.floats(0, 300), st.floats(0, 90)),
    gone=st.sets(st.tuples(st.integers(0, T - 1), st.integers(0, 16)), max_size=40),
    form=st.sampled_from(["npz", "wide", "long"]),
)
def test_what_is_written_is_read(
    tmp_path: Path, shift: tuple[float, float], gone: set[tuple[int, int]], form: str
) -> None:
    points = COCO + np.array([*shift, 0])
    for frame, joint in gone:
        points[frame, joint] = np.nan
    path = tmp_path / ("f.npz" if form == "npz" else "f.csv")
    if form == "npz":
        np.savez(path, keypoints=points, fps=FPS, size=SIZE)
    elif form == "wide":
        header = ["frame", *(f"{joint}_{axis}" for joint in COCO_17.joints for axis in ("x", "y", "score"))]
        rows = [[str(i), *("" if np.isnan(v) else repr(float(v)) for v in row.ravel())] for i, row in enumerate(points)]
        path.write_text("\n".join(",".join(row) for row in [header, *rows]))
    else:
        rows = [
            [str(i), joint, *(repr(float(v)) for v in points[i, j])]
            for i in range(T)
            for j, joint in enumerate(COCO_17.joints)
            if (i, j) not in gone
        ]
        path.write_text("\n".join(",".join(row) for row in [["frame", "joint", "x", "y", "score"], *rows]))
    file = read_keypoints(path, **({} if form == "npz" else KNOWN))
    there = ~np.isnan(points[..., 0])
    rows_there = [(k, people) for k, (_, people) in enumerate(file.frames) if len(people.confidence)]
    assert len(rows_there) == there.any(axis=1).sum()
    for k, people in rows_there:
        np.testing.assert_allclose(people.points_px[0], points[k, :, :2].astype(np.float32), atol=1e-3)
        np.testing.assert_allclose(people.confidence[0], np.nan_to_num(points[k, :, 2]), atol=1e-6)


# --- the table of formats


def test_every_format_is_a_module_that_recognizes_nothing_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("nothing, to, see")
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "arrays.npz", poses=np.zeros(3))
    write(tmp_path / "f.json", {"shapes": []})
    for path in tmp_path.iterdir():
        content = Content(path)
        for name, row in FORMATS.items():
            module = import_module(f"actlift.video.keypoints.{row.module}")
            assert module.__doc__
            assert module.recognize(content) == (name == "NumPy" and path.suffix == ".npy")


def test_a_format_is_a_module_and_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is of a kind that nobody knew is recognized, read and told from a video."""
    made_up = ModuleType("actlift.video.keypoints.made_up")
    made_up.recognize = lambda content: content.start.startswith(b"KEYS")  # type: ignore[attr-defined]
    made_up.read = (
        lambda content: RawKeypoints.from_arrays(  # type: ignore[attr-defined]
            "made up", np.frombuffer(content.path.read_bytes()[8:]).reshape(-1, 17, 3)
        )
    )
    path = tmp_path / "f.keys"
    path.write_bytes(b"KEYS\0\0\0\0" + COCO.tobytes())
    assert not is_keypoints(path)
    refused(path, "neither JSON|no table")
    monkeypatch.setitem(sys.modules, made_up.__name__, made_up)
    monkeypatch.setitem(FORMATS, "made up", Format("made_up", (".keys",)))
    assert is_keypoints(path)
    check(read_keypoints(path, **KNOWN), "made up", confidence=COCO[..., 2])


def test_keypoints_are_told_from_videos_by_their_names(tmp_path: Path) -> None:
    for suffix in (".json", ".npz", ".npy", ".csv", ".JSON"):
        assert is_keypoints(tmp_path / f"walk{suffix}")
    for suffix in (".mp4", ".png", ""):
        assert not is_keypoints(tmp_path / f"walk{suffix}")
    (tmp_path / "1.png").touch()
    assert not is_keypoints(tmp_path)
    (tmp_path / "1.json").touch()
    assert is_keypoints(tmp_path)


# --- what is refused


def refused(path: Path, match: str, **about: Any) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        read_keypoints(path, **{**KNOWN, **about})
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count(str(path)) == 1


def test_rate_size_and_layout_have_to_be_known(tmp_path: Path) -> None:
    path = write(tmp_path / "f.json", results())
    refused(path, "does not tell its frames per second; give them, as in --fps 30", fps=None)
    refused(path, "does not tell the size of the image; give it, as in --size 1920x1080", size=None)
    refused(path, "0 frames per second; wanted a positive number", fps=0.0)
    refused(path, "an image of 0x480 pixels", size=(0, 480))
    refused(path, "no layout 'coco'; known are h36m_17, coco_17", layout="coco")
    refused(path, "17 joints, but 'body_25' has 25; that many are coco_17 or h36m_17", layout="body_25")
    refused(path, "100% of the joints lie outside of an image of 64x48 pixels: x from", size=(64, 48))
    told = write(tmp_path / "g.json", coco_annotations())
    refused(told, "images of 640x480 pixels, but 1920x1080 was given", size=(1920, 1080))
    refused(
        told, "names its joints, which are those of 'coco_17'; leave layout='h36m_17' out", size=None, layout="h36m_17"
    )
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_keypoints(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"[", "no valid JSON, or cut short"),
        (json.dumps(results()).encode()[:-300], "no valid JSON, or cut short: .* line 1"),
        (b"[" * 100_000, "no valid JSON, or cut short"),
        (b"{}", "an object with  is no known format"),
        (b'{"shapes": [], "version": 3}', "an object with shapes, version is no known format; known are COCO"),
        (b"[1, 2, 3]", "a list of 3 items is no known format"),
        (b'{"images": [], "annotations": []}', "nobody is in it"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "neither JSON, .npz, .npy nor text"),
        (b"hello", "no table"),
        (b"a,b,c\n", "no table"),
        (b"frame,a,b\n1,2,3\n", "name no joints; wanted some as nose_x, nose_y, nose_score"),
        (b"PK\x03\x04 not really", "no .npz archive, or cut short"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "no whole .npy file of numbers"),
        (b"1,2,3\n4,5,6\n", "name no joints"),
        (b"joint,x,y\nnose,1,2\n", "no column for the frame"),
        (b"frame,joint,x,y\n0,nose,1,2\n0,nose,3,4\n", "a joint is there twice in a frame"),
        (b"frame,joint,x,y\n0,nose,1,cat\n", "column 'y' has \"cat\" in row 1; wanted a number"),
        (b"frame,nose_x,nose_y\nzero,1,2\n", "frame of row 0 is 'zero'; wanted a number"),
        (b"frame,nose_x,nose_y\n0,1,2,3,4,5\n", "lines do not have the columns of the first"),
        (b"frame,nose_x,nose_y\n0,100,200\n", "no joints LShoulder, RShoulder, .*; the file names Nose"),
        (
            b"scorer,a,a\nbodyparts,nose,nose\n0,1,2\n",
            "header rows scorer, bodyparts; wanted scorer, bodyparts and coords",
        ),
        (b"scorer,a,a\nbodyparts,nose,nose\ncoords,y,z\n0,1,2\n", "no animal has x and y of all body parts"),
    ],
)
def test_what_is_not_what_it_seems(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    refused(path, match)


def spoilt(change: Callable[[Any], Any], held: Any) -> Any:
    change(held)
    return held


@pytest.mark.parametrize(
    ("held", "match"),
    [
        (spoilt(lambda h: h[3].pop("keypoints"), results()), r"\[3\] has no 'keypoints'; it has image_id"),
        (
            spoilt(lambda h: h[3].update(keypoints=[1.0] * 50), results()),
            r"\[3\].keypoints is numbers of shape \(50,\)",
        ),
        (spoilt(lambda h: h[3].update(keypoints="a"), results()), r"\[3\].keypoints is no list of numbers|shape \(\)"),
        (
            spoilt(lambda h: h[3].update(image_id=None), results()),
            r"\[3\].image_id is null; wanted the number of a frame",
        ),
        (spoilt(lambda h: h[3].update(image_id=[1]), results()), r"\[3\].image_id is \[1\]"),
        (
            spoilt(lambda h: h[3].update(image_id="walk.jpg"), results()),
            r"\[3\].image_id is 'walk.jpg'; wanted a number",
        ),
        (
            spoilt(lambda h: h[3].update(image_id="b_2.jpg"), results("alphapose")),
            "'2.jpg' and 'b_2.jpg' are both frame 2",
        ),
        (spoilt(lambda h: h[3].update(image_id=-3), results()), "a frame has number -3; wanted 0 or more"),
        (spoilt(lambda h: h.insert(2, 5), results()), r"\[2\] is 5; wanted an object"),
        (
            spoilt(lambda h: h[0].update(image_id=10**9), results()),
            "frames are numbered from 1 to 1e.09 in steps of 1: over",
        ),
        ([{"image_id": i, "keypoints": [3.0] * 50} for i in range(3)], "has 50 numbers; wanted x, y and score"),
        ([{"image_id": i, "keypoints": [3.0] * 63} for i in range(3)], "21 joints without names; known are 17"),
        ([{"image_id": i, "keypoints": [0.0] * 51} for i in range(3)], "no joint of anybody is seen"),
        (spoilt(lambda h: h["annotations"][1].update(image_id=5), coco_annotations()), "which is the id of no image"),
        (spoilt(lambda h: h["images"][1].update(width=50), coco_annotations()), "several sizes, as 50x480 and 640x480"),
        (
            spoilt(lambda h: h["images"][1].update(id=100, file_name="a.jpg"), coco_annotations()),
            "number of its own for each",
        ),
        (spoilt(lambda h: h.update({"3.jpg": 5}), alphapose_open()), "3.jpg is 5; wanted an object"),
        (spoilt(lambda h: h.update(annotations={}), coco_annotations()), "annotations is {}; wanted a list of objects"),
        ({"instance_info": 3}, "instance_info is 3; wanted a list of frames"),
        ({"instance_info": [{"frame_id": 1}]}, r"instance_info\[0\] has no 'instances'"),
        (
            [[{"keypoints": [[1, 2, 3]] * 17, "keypoint_scores": [1] * 17, "bbox": []}]],
            "3 numbers a joint besides scores; wanted 2",
        ),
    ],
)
def test_json_that_is_wrong_somewhere(tmp_path: Path, held: Any, match: str) -> None:
    refused(write(tmp_path / "f.json", held), match)


def test_folders_that_are_wrong_somewhere(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    refused(tmp_path / "none", r"no file \*_keypoints.json in this folder")
    folder = openpose(tmp_path / "json", BODY_25)
    path = folder / "walk_000000000003_keypoints.json"
    whole = path.read_text()
    path.write_text(whole[:50])
    refused(folder, r"walk_000000000003_keypoints.json: no valid JSON, or cut short")
    write(path, {"version": 1.3})
    refused(folder, r"walk_000000000003_keypoints.json: the frame has no 'people'")
    write(path, {"people": [{"pose_keypoints_2d": [1.0] * 54}]})
    refused(
        folder,
        r"000003_keypoints.json: people\[0\].pose_keypoints_2d is numbers of shape \(54,\); wanted n numbers, and",
    )
    path.write_text(whole)
    write(folder / "other_000000000003_keypoints.json", json.loads(whole))
    refused(folder, "are both frame 3; wanted one video, or one camera")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("/tmp/never"),)


def test_pickles_of_anything_but_plain_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    np.savez(path, keypoints=np.array([Evil()], dtype=object))
    refused(path, "array 'keypoints' holds .*: refused")
    (tmp_path / "f.npy").write_bytes(b"")
    np.save(tmp_path / "f.npy", np.array([Evil()], dtype=object))
    refused(tmp_path / "f.npy", "no whole .npy file of numbers")
    (tmp_path / "f.pkl").write_bytes(pickle.dumps(COCO))
    refused(tmp_path / "f.pkl", "neither JSON|no table")


def test_arrays_that_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    for arrays, match in (
        ({"poses": COCO}, r"arrays \['poses'\] are no known format; wanted 'keypoints'"),
        ({"keypoints": COCO[0]}, r"keypoints are float64 \(17, 3\); wanted numbers"),
        ({"keypoints": np.array(["a"])}, r"keypoints are <U1 \(1,\)"),
        ({"keypoints": np.zeros((4, 17, 5))}, r"keypoints of shape \(4, 17, 5\); wanted x and y"),
        ({"keypoints": np.zeros((0, 17, 2))}, r"keypoints of shape \(0, 17, 2\)"),
        ({"keypoints": COCO, "scores": np.ones(3)}, r"scores of shape \(3,\), keypoints of \(12, 17, 3\)"),
        ({"keypoints": COCO, "joints": np.array(["a", "b"])}, "2 names of joints, but 17 joints"),
        ({"keypoints": COCO, "joints": np.array(COCO_17.joints[:9])}, "9 names of joints, but 17 joints"),
        ({"keypoints": (COCO[..., :2] - (320, 240)) / 320}, "between -1 and 1"),
        ({"keypoints": COCO, "boxes": COCO, "metadata": COCO}, r"keypoints\[0\] is no pair of classes"),
        ({"positions_2d": COCO, "metadata": COCO}, "'positions_2d' is not in its layout"),
        ({"keypoints": COCO, "layout": "coco"}, "no layout 'coco'; known are h36m_17, coco_17"),
        ({"keypoints": COCO, "size": 640}, "the size of the image is one number; wanted width and height"),
        ({"keypoints": COCO, "scores": np.array(["a"])}, "scores are no array of numbers"),
        ({"keypoints": COCO, "ids": np.zeros(5)}, r"ids of shape \(5,\); wanted \(1,\) or \(12, 1\)"),
        ({"keypoints": COCO, "joints": np.array([*COCO_17.joints[5:], *"abcde"])}, "nothing there gives Nose"),
    ):
        np.savez(path, **arrays)
        refused(path, match)
    several = videopose3d(tmp_path / "g.npz", COCO_17, videos=3)
    refused(several, r"'positions_2d' has 3 sequences \(walk0.mp4/custom, camera 0, .*wanted one")


SAMPLES: list[Any] = [
    *(
        coco_annotations(),
        results(),
        results("alphapose"),
        mmpose_instances(),
        *(make() for make in MEDIAPIPE.values()),
    ),
    {"meta_info": {}, "instance_info": [{"frame_id": i, "instances": p} for i, p in enumerate(mmpose_instances())]},
    alphapose_open(),
]
JUNK = st.sampled_from(
    [None, True, -1, 1e300, float("nan"), 10**400, "", "x", [], [[]], {}, {"x": 1}, [None], [1, "a"]]
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_spoilt_file_is_read_or_refused_and_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever stands in one place of a file, the answer is people or a ValueError that names the file."""
    root = json.loads(json.dumps({"": data.draw(st.sampled_from(SAMPLES))}))
    place, key = root, ""
    while isinstance(place[key], list | dict) and place[key] and data.draw(st.integers(0, 4)):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.integers(0, len(place) - 1))
    if data.draw(st.booleans()) or place is root:
        place[key] = data.draw(JUNK)
    else:
        del place[key]
    path = write(tmp_path / "f.json", root[""])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            frames, message = read_keypoints(path, **KNOWN).frames, str(path)
        except ValueError as error:
            frames, message = (), str(error)
    assert message.startswith(str(path))
    assert all(people.points_px.shape[1:] == (17, 2) for _, people in frames)


def test_twenty_thousand_people_are_read_in_a_second_or_so(tmp_path: Path) -> None:
    rows = results("alphapose")
    path = write(
        tmp_path / "f.json", [{**rows[i % T], "image_id": f"{i // 2}.jpg", "idx": i % 2} for i in range(20_000)]
    )
    start = time.process_time()
    file = read_keypoints(path, **KNOWN)
    assert time.process_time() - start < 5  # 0.7 s on one idle core, shapes unchecked
    assert len(file.frames) == 10_000
