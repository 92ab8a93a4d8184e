import re
import shutil

import numpy as np
import pytest

from actlift.data.sources.asfamc import (
    ANKLE_HEIGHT,
    JOINT_BONES,
    bone_ends,
    read_amc,
    read_asf,
    read_asfamc,
    read_asfamc_folder,
)
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.geometry.skeleton import H36M_17

# A body of straight bones, length 1 each: legs down, trunk up, arms sideways. Parents stand before their children.
DIRECTIONS = {
    "rhipjoint": ("root", "-1 0 0"),
    "rfemur": ("rhipjoint", "0 -1 0"),
    "rtibia": ("rfemur", "0 -1 0"),
    "lhipjoint": ("root", "1 0 0"),
    "lfemur": ("lhipjoint", "0 -1 0"),
    "ltibia": ("lfemur", "0 -1 0"),
    "upperback": ("root", "0 1 0"),
    "thorax": ("upperback", "0 1 0"),
    "upperneck": ("thorax", "0 1 0"),
    "head": ("upperneck", "0 1 0"),
    "lclavicle": ("thorax", "1 0 0"),
    "lhumerus": ("lclavicle", "1 0 0"),
    "lwrist": ("lhumerus", "1 0 0"),
    "rclavicle": ("thorax", "-1 0 0"),
    "rhumerus": ("rclavicle", "-1 0 0"),
    "rwrist": ("rhumerus", "-1 0 0"),
}
DOF = {"lfemur": "rx ry rz", "ltibia": "rx", "lhumerus": "rx rz"}
AXIS = {"lfemur": "0 0 90 XYZ"}
ASF = "\n".join(
    [
        "# a comment",
        ":version 1.10",
        ":units",
        "  mass 1.0",
        "  length 0.0254",  # so that a unit is a meter
        "  angle deg",
        ":documentation",
        "  words that mean nothing",
        ":root",
        "  order TX TY TZ RX RY RZ",
        "  axis XYZ",
        "  position 0 0 0",
        "  orientation 0 0 0",
        ":bonedata",
    ]
    + [
        line
        for bone, (_, direction) in DIRECTIONS.items()
        for line in (
            "  begin",
            f"     name {bone}",
            f"     direction {direction}",
            "     length 1",
            f"     axis {AXIS.get(bone, '0 0 0 XYZ')}",
            *([f"    dof {DOF[bone]}", "    limits (-160 20)", "           (-70 70)"] if bone in DOF else []),
            "  end",
        )
    ]
    + [":hierarchy", "  begin"]
    + [f"    {parent} {bone}" for bone, (parent, _) in DIRECTIONS.items()]
    + ["  end", ""]
)
FRAME = {"root": "1 2 3 0 0 0", "lfemur": "0 0 0", "ltibia": "0", "lhumerus": "0 0"}


def amc(*frames):
    """An .amc text: of each frame what differs from standing still."""
    lines = ["#!OML:ASF X:\\f\xfcr Bonn\\Bastian.ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for number, frame in enumerate(frames, start=1):
        lines += [str(number), *(f"{bone} {values}" for bone, values in (FRAME | frame).items())]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "body.asf").write_text(ASF)
    (tmp_path / "one.amc").write_text(amc({}, {}), encoding="latin-1")
    (tmp_path / "two.amc").write_text(amc({}), encoding="latin-1")
    return tmp_path


def ends_of(folder, *frames):
    (folder / "moved.amc").write_text(amc(*frames), encoding="latin-1")
    skeleton = read_asf(folder / "body.asf")
    return bone_ends(skeleton, read_amc(folder / "moved.amc", skeleton))


def test_at_rest_bones_add_up(folder):
    ends = ends_of(folder, {})
    np.testing.assert_allclose(ends["root"], [[1, 2, 3]])
    np.testing.assert_allclose(ends["ltibia"], [[2, 0, 3]])
    np.testing.assert_allclose(ends["head"], [[1, 6, 3]])
    np.testing.assert_allclose(ends["rwrist"], [[-2, 4, 3]])


@pytest.mark.parametrize(
    ("frame", "bone", "wanted"),
    [
        ({"root": "0 0 0 90 0 0"}, "head", [0, 0, 4]),  # about x: y goes to z
        ({"root": "0 0 0 90 0 90"}, "head", [0, 0, 4]),  # x first, then z about the fixed axis
        ({"root": "0 0 0 90 90 0"}, "head", [4, 0, 0]),  # then y: z goes to x
        ({"ltibia": "90"}, "ltibia", [2, 1, 2]),  # the shin swings back: -y goes to -z
        ({"lhumerus": "0 90"}, "lwrist", [2, 6, 3]),  # rz, its second channel: x goes to y
        # its axes are turned by 90 degrees about z, so that its x is the body's y: a thigh that hangs does not move ...
        ({"lfemur": "90 0 0"}, "lfemur", [2, 1, 3]),
        ({"lfemur": "0 90 0"}, "lfemur", [2, 2, 4]),  # ... and its y is the body's -x
    ],
)
def test_each_channel_turns_its_way(folder, frame, bone, wanted):
    np.testing.assert_allclose(ends_of(folder, frame)[bone][0], wanted, atol=1e-12)


def test_radians_and_inches(folder):
    text = ASF.replace("angle deg", "angle rad").replace("length 0.0254", "length 0.45")
    (folder / "body.asf").write_text(text.replace("0 0 90 XYZ", f"0 0 {np.pi / 2} XYZ"))
    ends = ends_of(folder, {"ltibia": str(np.pi / 2)})
    np.testing.assert_allclose(ends["ltibia"][0], np.array([2, 1, 2]) / 0.45 * 0.0254, atol=1e-12)


def test_a_clip_is_z_up_with_ankles_on_the_floor(folder):
    clip = read_asfamc(folder / "body.asf", folder / "one.amc", action="Standing", description="still")
    assert (clip.name, clip.subject, clip.action, clip.fps) == ("body/one", "body", "Standing", 120.0)
    joints = dict(zip(H36M_17.joints, clip.joints_world[0], strict=True))
    np.testing.assert_allclose(joints["LAnkle"], [2, -3, ANKLE_HEIGHT], atol=1e-6)
    np.testing.assert_allclose(joints["Head"] - joints["Pelvis"], [0, 0, 4], atol=1e-6)
    assert set(JOINT_BONES) == set(H36M_17.joints)


def test_a_folder_without_labels(folder):
    clips = read_asfamc_folder(folder, fps=60.0, subject="me")
    assert [(clip.name, clip.action, clip.frames, clip.fps) for clip in clips] == [
        ("me/one", "unlabelled", 2, 60.0),
        ("me/two", "unlabelled", 1, 60.0),
    ]


@pytest.mark.parametrize("place", ["lab_body", "labbody", "lab_v2", "lab/body"])
def test_the_folder_names_the_data_set(folder, place):
    here = folder / place
    here.mkdir(parents=True)
    for path in [path for path in folder.iterdir() if path.is_file()]:
        path.rename(here / path.name)
    assert {clip.dataset for clip in read_asfamc_folder(here)} == {"lab"}


def test_a_folder_with_labels(folder):
    (folder / "labels.csv").write_text("amc,action,description\none.amc,Walking,slow\ntwo.amc,Running,\n")
    assert [(clip.action, clip.description) for clip in read_asfamc_folder(folder)] == [
        ("Walking", "slow"),
        ("Running", ""),
    ]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("file,action\n", r"columns \['file', 'action'\]; wanted amc,action"),
        ("amc,action\none.amc,A\nthree.amc,A\n", "line 3: there is no file 'three.amc'"),
        ("amc,action\none.amc,\n", "line 2: 'one.amc' has no action"),
        ("amc,action\none.amc,A\n", r"no row for \['two.amc'\]"),
    ],
)
def test_labels_that_do_not_fit(folder, labels, message):
    (folder / "labels.csv").write_text(labels)
    with pytest.raises(ValueError, match=r"labels\.csv.*" + message):
        read_asfamc_folder(folder)


def test_folders_that_are_none(folder):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_asfamc_folder(folder / "gone")
    shutil.copy(folder / "body.asf", folder / "other.asf")
    with pytest.raises(ValueError, match=r"2 \.asf and 2 \.amc files; wanted one \.asf"):
        read_asfamc_folder(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("     direction 0 1 0\n", "", r"line \d+ \('end'\): this bone has no \['direction'\]"),
        ("direction 0 1 0", "direction 0 1", "wanted three numbers for its direction"),
        ("direction 0 1 0", "direction 0 1 x", "could not convert"),
        ("axis 0 0 0 XYZ\n", "axis 0 0 0 XYX\n", "an order like XYZ"),
        ("dof rx\n", "dof rx l\n", r"bone 'ltibia': channels \['l'\]"),
        ("angle deg", "angle gon", "line 6 .*'gon'"),
        ("position 0 0 0", "position 0 1 0", "line 12 .*root position other than 0 0 0"),
        ("    lfemur ltibia", "    lfemur ltoes", "bone 'ltoes' is not in :bonedata"),
        ("    rhipjoint rfemur", "    rtibia rfemur", "bone 'rtibia' has children before it has a parent"),
        ("    lfemur ltibia", "    lfemur rtibia", "bone 'rtibia' has a second parent"),
        ("    lfemur ltibia\n", "", r"bones \['ltibia'\] stand in :bonedata but not in :hierarchy"),
        ("  length 0.0254\n", "", "no skeleton; wanted ':units'"),
    ],
)
def test_a_broken_skeleton(folder, old, new, message):
    assert old in ASF
    (folder / "body.asf").write_text(ASF.replace(old, new))
    with pytest.raises(ValueError, match=r"body\.asf.*" + message):
        read_asf(folder / "body.asf")


def test_a_skeleton_without_a_bone_that_joints_need(folder):
    (folder / "body.asf").write_text(ASF.replace("upperback", "middleback"))
    with pytest.raises(ValueError, match=r"bones \['upperback'\] are missing"):
        read_asfamc(folder / "body.asf", folder / "one.amc")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ltibia 0\n", "ltail 0\n", r"line 7 \('ltail 0'\): bone 'ltail' does not move"),
        ("ltibia 0\n", "head 0\n", "line 7 .*bone 'head' does not move"),
        ("ltibia 0\n", "ltibia 0 1\n", "line 7 .*2 values for 'ltibia'; .* wants 1 \\(rx\\)"),
        ("ltibia 0\n", "ltibia x\n", "line 7 .*could not convert"),
        ("ltibia 0\n", "ltibia 0\nltibia 0\n", "line 8 .*'ltibia' stands twice"),
        ("ltibia 0\n", "", r"line 8 \('2'\): frame 1 ends without \['ltibia'\]"),
        ("\n2\n", "\n3\n", r"line 9 \('3'\): wanted frame 2"),
        ("\n1\n", "\n", "line 4 .*wanted the number of the first frame"),
    ],
)
def test_a_motion_that_does_not_fit(folder, old, new, message):
    text = amc({}, {})
    assert old in text
    (folder / "one.amc").write_text(text.replace(old, new, 1), encoding="latin-1")
    with pytest.raises(ValueError, match=r"one\.amc, " + message):
        read_amc(folder / "one.amc", read_asf(folder / "body.asf"))


def test_a_motion_cut_short(folder):
    lines = amc({}, {}).splitlines()
    (folder / "one.amc").write_text("\n".join(lines[:-1]), encoding="latin-1")
    with pytest.raises(ValueError, match=r"one\.amc, line 12 \(the end\): frame 2 ends without \['lhumerus'\]; is the"):
        read_amc(folder / "one.amc", read_asf(folder / "body.asf"))
    (folder / "one.amc").write_text(":DEGREES\n")
    with pytest.raises(ValueError, match="no frame in it"):
        read_amc(folder / "one.amc", read_asf(folder / "body.asf"))


def grounded(joints_world):
    """With the floor where the published clips have it, found on their own frames."""
    ankles = joints_world[:, [H36M_17.index("LAnkle"), H36M_17.index("RAnkle")], 2]
    return joints_world + np.array([0, 0, ANKLE_HEIGHT - np.percentile(ankles.min(axis=1), 2)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder_name", "npz", "rename"),
    [
        ("cmu02", "cmu.npz", (r"02/(.*)", r"CMU02/\1")),
        ("hdm05_bd", "hdm05.npz", (r"HDM_bd/HDM_bd_(.*)_120", r"HDMbd/\1")),
    ],
)
def test_original_files_give_the_published_joints(actlift_data, folder_name, npz, rename):
    published = {clip.name: clip for clip in read_mocap_npz(actlift_data / "mocap" / npz)}
    clips = read_asfamc_folder(actlift_data / "asfamc" / folder_name)
    assert len(clips) >= 10
    for clip in clips:
        wanted = published[re.sub(*rename, clip.name)].joints_world  # every second frame of 120 per second
        error = np.linalg.norm(grounded(clip.joints_world[::2]) - wanted, axis=-1)
        assert error.max() < 0.2e-3, clip.name  # they are rounded to 0.1 mm
        assert abs(clip.joints_world[::2] - wanted).max() < 2e-3, clip.name  # floor from twice as many frames
