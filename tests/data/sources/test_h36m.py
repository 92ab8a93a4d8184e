"""Human3.6M from files of the shapes in which people have it, made here."""

import re
import sys
import zipfile

import cdflib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from actlift.data.corpus import Corpus, Exclusion, write_corpus
from actlift.data.noise import Exact, IndependentNoise
from actlift.data.prepare import prepare, read_source
from actlift.data.sources.h36m import ACTIONS, STANDARD_SPLIT, h36m_cameras, read_h36m
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.skeleton import COCO_17, H36M_17, remap
from actlift.report.study_page import cameras_note, data_note

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
# fmt: off
PLACE_AMONG_32 = {  # by the names of the joints in the dataset's metadata
    "Pelvis": 0, "RHip": 1, "RKnee": 2, "RAnkle": 3, "LHip": 6, "LKnee": 7, "LAnkle": 8,
    "Spine": 12, "Thorax": 13, "Neck": 14, "Head": 15, "LShoulder": 17, "LElbow": 18, "LWrist": 19,
    "RShoulder": 25, "RElbow": 26, "RWrist": 27,
}
# fmt: on
# An independent record of the same cameras, that of VideoPose3D in single precision: quaternions (w, x, y, z) from
# camera to world, and places in mm.
QUATERNIONS = {
    "S1": [
        [0.1407056450843811, -0.1500701755285263, -0.755240797996521, 0.6223280429840088],
        [0.6157187819480896, -0.764836311340332, -0.14833825826644897, 0.11794740706682205],
        [0.14651472866535187, -0.14647851884365082, 0.7653023600578308, -0.6094175577163696],
        [0.5834008455276489, -0.7853162288665771, 0.14548823237419128, -0.14749594032764435],
    ],
    "S9": [
        [0.15540587902069092, -0.15548215806484222, -0.7532095313072205, 0.6199594736099243],
        [0.618784487247467, -0.7634735107421875, -0.14132238924503326, 0.11933968216180801],
        [0.13357827067375183, -0.1367100477218628, 0.7689454555511475, -0.6100738644599915],
        [0.5879399180412292, -0.7823407053947449, 0.1427614390850067, -0.14794869720935822],
    ],
}
PLACES_MM = {
    "S1": [
        [1841.1070556640625, 4955.28466796875, 1563.4454345703125],
        [1761.278564453125, -5078.0068359375, 1606.2650146484375],
        [-1846.7777099609375, 5215.04638671875, 1491.972412109375],
        [-1794.7896728515625, -3722.698974609375, 1574.8927001953125],
    ],
    "S9": [
        [2044.45849609375, 4935.1171875, 1481.2275390625],
        [1990.959716796875, -5123.810546875, 1568.8048095703125],
        [-1670.9921875, 5211.98583984375, 1528.387939453125],
        [-1696.04345703125, -3827.099853515625, 1591.4127197265625],
    ],
}
LENSES = [  # fx, fy, cx, cy, k1, k2, k3, and the factors of x and of y in the tangential terms
    [1145.0494, 1143.7811, 512.5415, 515.45148, -0.20709892, 0.24777518, -0.0030751503, -0.00097569887, -0.0014244716],
    [1149.6757, 1147.5917, 508.84863, 508.06491, -0.19421363, 0.24040854, 0.0068199756, -0.001619027, -0.0027408944],
    [1149.1407, 1148.7990, 519.81586, 501.40265, -0.20833819, 0.25548801, -0.0024604974, 0.001484387, -0.00075999933],
    [1145.5114, 1144.7739, 514.9682, 501.88202, -0.19838409, 0.21832368, -0.0089478074, -0.00058720558, -0.0018133620],
]


def project(subject, camera, points_world, factor=2.0):
    """Pixels by the formula written out; with factor 1 in the tangential terms it is the one that circulates."""
    w, *xyz = QUATERNIONS[subject][camera]
    points = (
        Rotation.from_quat([*xyz, w])
        .inv()
        .apply(points_world.reshape(-1, 3) - np.array(PLACES_MM[subject][camera]) / 1000)
    )
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    fx, fy, cx, cy, k1, k2, k3, tx, ty = LENSES[camera]
    r2 = x**2 + y**2
    bent = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + factor * (tx * x + ty * y)
    pixels = np.stack([fx * (x * bent + tx * r2) + cx, fy * (y * bent + ty * r2) + cy], axis=-1)
    return pixels.reshape(*points_world.shape[:-1], 2)


def motion(seed=0, seconds=0.4):
    """(t, 32, 3) meters: a person in the middle of the room, whose other 15 joints are anywhere."""
    (clip,) = synthetic_clips(seed, subjects=1, clips=1, seconds=seconds, fps=50.0, actions=["Waving"])
    joints = np.random.default_rng(seed).normal(size=(clip.frames, 32, 3))
    centered = clip.joints_world - clip.joints_world[:1, :1] * (1, 1, 0)
    joints[:, [PLACE_AMONG_32[joint] for joint in H36M_17.joints]] = centered
    return joints.astype(np.float32)


def seventeen(joints):
    return joints[:, [PLACE_AMONG_32[joint] for joint in H36M_17.joints]]


TAKES = {"S1": {"TakingPhoto 1": motion(1), "Sitting": motion(2)}, "S9": {"SittingDown": motion(3)}}
METADATA = {
    "layout_name": "h36m",
    "num_joints": 17,
    "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]],
}
COCO_METADATA = {
    "layout_name": "coco",
    "num_joints": 17,
    "keypoints_symmetry": [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]],
}


def keypoints(noise_px=0.0, factor=2.0):
    """Detections of all takes, each three frames longer than the motion capture, as some videos are."""
    rng = np.random.default_rng(0)
    return {
        subject: {
            take.replace("TakingPhoto", "Photo"): [
                np.concatenate([seen, seen[-1:], seen[-1:], seen[-1:]]).astype(np.float32)
                for camera in range(4)
                for seen in [project(subject, camera, seventeen(joints), factor)]
                for seen in [seen + noise_px * rng.standard_normal(seen.shape)]
            ]
            for take, joints in takes.items()
        }
        for subject, takes in TAKES.items()
    }


@pytest.fixture
def source(tmp_path):
    np.savez_compressed(tmp_path / "data_3d_h36m.npz", positions_3d=TAKES)
    return tmp_path / "data_3d_h36m.npz"


@pytest.fixture
def detections(tmp_path):
    def write(positions=None, name="data_2d_h36m_some.npz", **arrays):
        held = {"positions_2d": keypoints(8.0) if positions is None else positions, "metadata": METADATA} | arrays
        np.savez_compressed(tmp_path / name, **{key: value for key, value in held.items() if value is not None})
        return tmp_path / name

    return write


# cameras


@pytest.mark.parametrize("subject", sorted({*STANDARD_SPLIT[0], *STANDARD_SPLIT[1]}))
def test_cameras_stand_about_the_room_and_look_into_its_middle(subject):
    cameras = h36m_cameras(subject)
    assert tuple(camera.name for camera in cameras) == CAMERAS
    assert [(camera.width, camera.height) for camera in cameras] == [
        (1000, 1002),
        (1000, 1000),
        (1000, 1000),
        (1000, 1002),
    ]
    middle = np.array([0.0, 0.0, 0.9])
    for camera in cameras:
        place = camera.cam_to_world(np.zeros(3))
        assert 3 < np.linalg.norm(place[:2]) < 6
        assert 1.4 < place[2] < 1.7
        axis = camera.R_cam_world[2]
        assert axis @ (middle - place) / np.linalg.norm(middle - place) > np.cos(np.deg2rad(12))
        seen = camera.cam_to_px(camera.world_to_cam(seventeen(motion())))
        assert ((seen > 0) & (seen < 1000)).all()


@pytest.mark.parametrize("subject", ["S1", "S9"])
def test_cameras_agree_with_an_independent_record(subject):
    joints = seventeen(motion()).astype(np.float64) * (1.5, 1.5, 1)
    for i, camera in enumerate(h36m_cameras(subject)):
        own = camera.cam_to_px(camera.world_to_cam(joints))
        np.testing.assert_allclose(own, project(subject, i, joints), atol=2e-3)
        circulating = np.abs(own - project(subject, i, joints, factor=1.0)).max()
        assert 2e-3 < circulating < 1


def test_nobody_else_has_cameras():
    with pytest.raises(ValueError, match="no cameras of a subject 'S2' are known; Human3.6M has S1, S5, S6, S7"):
        h36m_cameras("S2")


# the pair of files


def test_takes_become_clips(source):
    clips = read_h36m(source)
    assert [(clip.name, clip.subject, clip.action) for clip in clips] == [
        ("S1/Photo 1", "S1", "Photo"),
        ("S1/Sitting", "S1", "Sitting"),
        ("S9/SittingDown", "S9", "SittingDown"),
    ]
    for clip, joints in zip(clips, [joints for takes in TAKES.values() for joints in takes.values()], strict=True):
        np.testing.assert_array_equal(clip.joints_world, seventeen(joints))
        assert (clip.fps, clip.detections, clip.fault, clip.dataset) == (50.0, None, "", "human3.6m")
        assert [camera.name for camera in clip.cameras] == list(CAMERAS)


def test_prepared_with_detections_that_are_projections(source, detections, tmp_path):
    """2D poses are those of the file, and the 3D poses project onto them."""
    pair = detections(keypoints(), metadata={key: METADATA[key] for key in ("num_joints", "keypoints_symmetry")})
    corpus = prepare([str(source)], tmp_path / "corpus", detections=pair)
    assert len(corpus.views) == 12
    for view in corpus.views:
        projected = view.camera.px_to_screen(view.camera.cam_to_px(view.pose3d_cam))
        np.testing.assert_allclose(view.pose2d, projected, atol=5e-6)
        take = view.clip.split("/")[1]
        held = keypoints()[view.subject][take][CAMERAS.index(view.camera_name)]
        np.testing.assert_allclose(view.camera.screen_to_px(view.pose2d), held[: view.frames], atol=1e-4)
        assert (view.confidence == 1).all()
    assert corpus.provenance["rig"] == "own"
    assert corpus.provenance["cameras"] == 4
    assert data_note(corpus.provenance) == (
        "2D keypoints are synthetic: projections of motion capture by the cameras that filmed it, "
        "data_2d_h36m_some.npz."
    )
    corpus.verify()


def test_prepared_with_detections(source, detections, tmp_path):
    corpus = prepare([str(source)], tmp_path / "corpus", detections=detections())
    made = dict(corpus.provenance["keypoints"])
    off_px = made.pop("off_px")
    assert made == {"kind": "Detections", "file": "data_2d_h36m_some.npz", "layout": "h36m_17"}
    assert off_px == pytest.approx(8 * np.sqrt(np.pi / 2), rel=0.02)  # the mean of a Rayleigh distribution
    assert data_note(corpus.provenance) == (
        f"2D keypoints are detections: data_2d_h36m_some.npz, on average {off_px:g} px from the projections."
    )
    assert cameras_note(corpus.provenance) == "4, those that filmed the clips"


def test_prepared_without_detections(source, tmp_path):
    corpus = prepare([str(source)], tmp_path / "own", keypoints=IndependentNoise(2.0))
    view = corpus.views[-1]
    noise = view.camera.screen_to_px(view.pose2d) - view.camera.cam_to_px(view.pose3d_cam)
    assert noise.std() == pytest.approx(2.0, rel=0.1)
    assert {view.camera_name for view in corpus.views} == set(CAMERAS)
    assert data_note(corpus.provenance) == (
        "2D keypoints are synthetic: projections of motion capture by the cameras that filmed it, IndependentNoise "
        "(sigma_px 2.0)."
    )
    ring = prepare([str(source)], tmp_path / "ring", rig="ring", cameras=2)
    assert {view.camera_name for view in ring.views} == {"ring0", "ring1"}
    assert "virtual cameras" in data_note(ring.provenance)
    assert cameras_note(ring.provenance) == "2 virtual ones per clip, rig ring"


def test_detections_follow_the_motion_to_another_rate_and_into_pieces(source, detections, tmp_path):
    """Where detections are projections, they still are after cutting and resampling."""
    rows = [Exclusion("S9/SittingDown", "*", 8, 9, "fell"), Exclusion("S1/Sitting", CAMERAS[2], 0, -1, "fog")]
    clips = read_h36m(source, detections=detections(keypoints()))
    corpus = write_corpus(tmp_path / "corpus", clips, keypoints=Exact(), fps=25.0, exclusions=rows)
    assert {view.clip for view in corpus.views} == {
        *("S1/Photo 1", "S1/Sitting", "S9/SittingDown[0:8]", "S9/SittingDown[10:20]")
    }
    assert len(corpus.views) == 4 + 3 + 2 * 4
    for view in corpus.views:
        error = view.camera.screen_to_px(view.pose2d) - view.camera.cam_to_px(view.pose3d_cam)
        assert np.abs(error).max() < 0.2


def test_coco_detections_are_remapped_and_called_approximated(source, detections, tmp_path):
    rng = np.random.default_rng(4)
    points = {
        subject: {
            take: [rng.uniform(0, 1000, held.shape).astype(np.float32) for held in views]
            for take, views in takes.items()
        }
        for subject, takes in keypoints().items()
    }
    clips = read_h36m(source, detections=detections(points, metadata=COCO_METADATA))
    held = points["S1"]["Photo 1"][2][: clips[0].frames]
    np.testing.assert_array_equal(clips[0].detections.points_px[2], remap(held, COCO_17, H36M_17))
    left = H36M_17.index("LWrist")
    np.testing.assert_array_equal(clips[0].detections.points_px[2][:, left], held[:, COCO_17.index("LWrist")])
    corpus = write_corpus(tmp_path / "corpus", clips, keypoints=Exact())
    assert corpus.provenance["keypoints"]["layout"] == "coco_17"
    note = data_note(corpus.provenance)
    assert note.endswith(
        "The detector's layout is coco_17: Pelvis, Spine, Thorax, Neck, Head are approximated from other joints."
    )


def test_a_camera_without_detections_is_left_out_with_the_reason(source, detections, tmp_path):
    points = keypoints()
    points["S1"]["Sitting"][1] = None
    corpus = prepare([str(source)], tmp_path / "corpus", detections=detections(points))
    row = Exclusion("S1/Sitting", CAMERAS[1], 0, -1, "no detections in data_2d_h36m_some.npz")
    assert corpus.exclusions == (row,)
    assert len(corpus.views) == 11


def test_the_take_whose_video_is_corrupt_is_left_out_with_the_reason(detections, tmp_path):
    np.savez(tmp_path / "all.npz", positions_3d={"S11": {"Directions": motion(5), "Directions 1": motion(6)}})
    corpus = prepare([str(tmp_path / "all.npz")], tmp_path / "corpus")
    assert {view.clip for view in corpus.views} == {"S11/Directions 1"}
    (row,) = corpus.exclusions
    assert (row.clip, row.camera, row.first, row.last) == ("S11/Directions", "*", 0, -1)
    assert "camera 54138969 is corrupt" in row.reason
    points = {"S11": {"Directions 1": [np.zeros((30, 17, 2), np.float32)] * 4}}  # published detections lack it
    detected = prepare([str(tmp_path / "all.npz")], tmp_path / "detected", detections=detections(points))
    assert {view.clip for view in detected.views} == {"S11/Directions 1"}


def test_people_and_takes_only_in_the_detections_do_not_matter(source, detections):
    points = keypoints()
    points["S2"] = {"anything": [None] * 4}
    points["S1"]["Walking"] = [None] * 4
    assert len(read_h36m(source, detections=detections(points))) == 3


def test_actions_are_those_of_the_paper_and_matched_whole(tmp_path):
    spellings = {"WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether", "TakingPhoto 2": "Photo"}
    takes = {action: motion() for action in (*ACTIONS, *spellings) if action not in spellings.values()}
    np.savez(tmp_path / "all.npz", positions_3d={"S1": takes})
    clips = {clip.name: clip.action for clip in read_h36m(tmp_path / "all.npz")}
    assert set(clips.values()) == set(ACTIONS)
    assert (clips["S1/Sitting"], clips["S1/SittingDown"]) == ("Sitting", "SittingDown")
    assert clips["S1/Photo 2"] == "Photo"


# files that are wrong


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"positions_3d": {"S1": {"Sitting": np.zeros((5, 33, 3), "f4")}}},
            "'S1/Sitting' is float32 (5, 33, 3); wanted",
        ),
        ({"positions_3d": {"S1": {"Sitting": np.zeros((5, 17, 3), "f4")}}}, "wanted float (frames, 32, 3), meters"),
        ({"positions_3d": {"S1": {"Sitting": np.zeros((5, 32, 3), int)}}}, "'S1/Sitting' is int64 (5, 32, 3); wanted"),
        ({"positions_3d": {"S1": {"Sitting": [1.0, 2.0]}}}, "'S1/Sitting' is list; wanted"),
        ({"positions_3d": {"S1": {"Sitting": np.zeros((0, 32, 3), "f4")}}}, "at least one frame"),
        (
            {"positions_3d": {"S1": {"Sitting": np.full((5, 32, 3), np.nan, "f4")}}},
            "'S1/Sitting': frame 0, joint Pelvis",
        ),
        ({"positions_3d": {"S2": {"Sitting": motion()}}}, "no cameras of a subject 'S2' are known"),
        (
            {"positions_3d": {"S1": {"Sit": motion()}}},
            "subject 'S1': 'Sit' is no action of Human3.6M; they are Directions,",
        ),
        ({"positions_3d": {"S1": {"Sitting Down": motion()}}}, "'Sitting Down' is no action of Human3.6M"),
        (
            {"positions_3d": {"S1": {"Photo": motion(), "TakingPhoto": motion()}}},
            "two spellings of one take, 'S1/Photo'",
        ),
        ({"positions_3d": {"S1": motion()}}, "not in its layout; wanted a dict of subjects, each a dict of takes"),
        ({"positions_3d": motion()}, "not in its layout"),
        ({"poses": {"S1": {}}}, "no array 'positions_3d'; it has ['poses']"),
    ],
)
def test_motion_capture_that_is_wrong(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=r"bad\.npz.*" + re.escape(message)):
        read_h36m(tmp_path / "bad.npz")


def changed(change):
    points = keypoints()
    change(points["S1"]["Sitting"])
    return points


@pytest.mark.parametrize(
    ("positions", "arrays", "message"),
    [
        (
            changed(lambda views: views.pop()),
            {},
            "'S1/Sitting' has 3 cameras; wanted an array, or None, for each of ['541",
        ),
        (changed(lambda views: views.append(None)), {}, "'S1/Sitting' has 5 cameras"),
        (keypoints() | {"S1": {"Sitting": "gone"}}, {}, "no detections of 'S1/Photo 1'; take a file that covers"),
        (keypoints() | {"S1": {"Photo 1": 3, "Sitting": []}}, {}, "'S1/Photo 1' has int; wanted"),
        (keypoints() | {"S1": {}}, {}, "no detections of 'S1/Photo 1'"),
        ({"S1": keypoints()["S1"]}, {}, "no detections of 'S9/SittingDown'"),
        (
            changed(lambda views: views.__setitem__(3, views[3][:19])),
            {},
            "'S1/Sitting', camera 60457274 has 19 frames; wanted the motion capture's 20 or more",
        ),
        (
            changed(lambda views: views.__setitem__(0, views[0][:, :16])),
            {},
            "'S1/Sitting', camera 54138969 is float32 (23, 16, 2); wanted float (frames, 17, 2), pixels",
        ),
        (
            changed(lambda views: views[2].__setitem__((4, 3), np.nan)),
            {},
            "clip 'S1/Sitting', camera '58860488': frame 4, joint RAnkle is [nan, nan]",
        ),
        (
            None,
            {"metadata": {"num_joints": 16, "keypoints_symmetry": [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]]}},
            "a layout without name, 16 joints, left and right [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]]; want",
        ),
        (None, {"metadata": METADATA | {"num_joints": 32}}, "layout 'h36m', 32 joints"),
        (None, {"metadata": METADATA | {"keypoints_symmetry": 5}}, "layout 'h36m', 17 joints, left and right 5;"),
        (None, {"metadata": {"num_joints": 17}}, "no 'metadata' with num_joints and keypoints_symmetry"),
        (None, {"metadata": None}, "no 'metadata'"),
        (None, {"positions_2d": None}, "no array 'positions_2d'; it has ['metadata']"),
        ({"S1": {"Sit": []}}, {}, "subject 'S1': 'Sit' is no action"),
    ],
)
def test_detections_that_are_wrong(source, detections, positions, arrays, message):
    path = detections(positions, **arrays)
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        read_h36m(source, detections=path)
    if "RAnkle" not in message:
        assert path.name in str(raised.value)


def test_a_file_cut_short(source):
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"data_3d_h36m\.npz: no \.npz archive, or cut short"):
        read_source(source)


def test_a_file_that_would_run_code(source, tmp_path):
    with zipfile.ZipFile(source, "a") as archive:
        header = archive.read("positions_3d.npy")[:128]
        archive.writestr("metadata.npy", header + f"cos\nsystem\n(Vtouch {tmp_path / 'ran'}\ntR.".encode())
    with pytest.raises(ValueError, match=r"array 'metadata' holds 'os\.system': refused"):
        read_source(source)
    assert not (tmp_path / "ran").exists()


# the original files


def write_cdf(folder, subject, take, pose, name="Pose"):
    path = folder / subject / "MyPoseFeatures" / "D3_Positions" / f"{take}.cdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = cdflib.cdfwrite.CDF(path, cdf_spec={"Majority": "row_major"})
    spec = {"Variable": name, "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": list(pose.shape[1:])}
    file.write_var(spec, var_data=pose.astype(np.float32))
    file.close()


def test_original_files_give_the_same_clips_as_the_prepared_file(source, tmp_path):
    for subject, takes in TAKES.items():
        for take, joints in takes.items():
            write_cdf(tmp_path / "original", subject, take, joints.reshape(1, -1, 96) * 1000)
    clips = {clip.name: clip for clip in read_source(tmp_path / "original")}
    prepared = {clip.name: clip for clip in read_source(source)}
    assert clips.keys() == prepared.keys()
    for name, clip in clips.items():
        np.testing.assert_allclose(clip.joints_world, prepared[name].joints_world, atol=1e-6)
    one = prepare([str(tmp_path / "original")], tmp_path / "corpus")
    assert (one.provenance["rig"], len(one.views)) == ("own", 12)


def test_original_files_that_are_wrong(tmp_path):
    write_cdf(tmp_path / "angles", "S1", "Sitting", np.zeros((1, 5, 78)))
    with pytest.raises(ValueError, match=r"Sitting\.cdf: 'Pose' of shape \(1, 5, 78\); wanted \(1, frames, 96\)"):
        read_source(tmp_path / "angles")
    write_cdf(tmp_path / "other", "S1", "Sitting", np.zeros((1, 5, 96)), name="Angles")
    with pytest.raises(ValueError, match=r"Sitting\.cdf: no CDF file with a variable 'Pose', or damaged"):
        read_source(tmp_path / "other")
    (tmp_path / "other/S1/MyPoseFeatures/D3_Positions/Sitting.cdf").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"Sitting\.cdf: no CDF file with a variable 'Pose', or damaged"):
        read_source(tmp_path / "other")
    with pytest.raises(ValueError, match=r"no file \*/MyPoseFeatures/D3_Positions/\*\.cdf in it"):
        read_h36m(tmp_path)


def test_original_files_without_the_package_for_them(tmp_path, monkeypatch):
    write_cdf(tmp_path, "S1", "Sitting", np.zeros((1, 5, 96)))
    monkeypatch.setitem(sys.modules, "cdflib", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs the package cdflib: pip install actlift\[h36m\]"):
        read_h36m(tmp_path)


def test_a_corpus_can_be_opened_again(source, detections, tmp_path):
    made = prepare([str(source)], tmp_path / "corpus", detections=detections())
    opened = Corpus.open(tmp_path / "corpus")
    assert opened.provenance == made.provenance
    for before, after in zip(h36m_cameras("S9"), opened.select(subjects=["S9"]).views, strict=True):
        np.testing.assert_array_equal(before.rounded().R_cam_world, after.camera.R_cam_world)
