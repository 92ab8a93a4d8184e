"""Skeletons: consistency of the known layouts, remapping against joints worked out by hand, every error."""

import numpy as np
import pytest

from actlift.geometry.skeleton import (
    BLAZEPOSE_33,
    COCO_17,
    H36M_17,
    HALPE_26,
    SKELETONS,
    Skeleton,
    mirror_points,
    remap,
    remap_confidence,
    remapping,
)

KNOWN = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
TO_H36M = pytest.mark.parametrize("source", [COCO_17, HALPE_26, BLAZEPOSE_33], ids=lambda s: s.name)


def points_of(skeleton: Skeleton, seed: int = 0) -> dict[str, np.ndarray]:
    positions = np.random.default_rng(seed).normal(size=(len(skeleton), 3))
    return dict(zip(skeleton.joints, positions, strict=True))


def stacked(points: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(points.values()))


@KNOWN
def test_mirror_is_an_involution_that_maps_parents_to_parents(skeleton: Skeleton) -> None:
    mirror, parents = np.array(skeleton.mirror), np.array(skeleton.parents)
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(skeleton)))
    inner = parents >= 0
    np.testing.assert_array_equal(parents[mirror][inner], mirror[parents[inner]])
    np.testing.assert_array_equal(parents[mirror][~inner], -1)


@KNOWN
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mirror_image_swaps_sides_and_the_sign_of_x(skeleton: Skeleton, dtype: type) -> None:
    points = np.random.default_rng(0).normal(size=(4, 3, len(skeleton), 3)).astype(dtype)
    before = points.copy()
    image = mirror_points(points, skeleton)
    assert image.dtype == dtype
    for joint in skeleton.joints:
        other = {"L": "R", "R": "L"}.get(joint[0], joint[0]) + joint[1:]
        own, seen = points[..., skeleton.index(joint), :], image[..., skeleton.index(other), :]
        np.testing.assert_array_equal(seen, own * np.array([-1, 1, 1], dtype))
    np.testing.assert_array_equal(mirror_points(image, skeleton), points)
    np.testing.assert_array_equal(points, before)
    np.testing.assert_array_equal(mirror_points(points[..., :2], skeleton), image[..., :2])
    with pytest.raises(ValueError, match=rf"must hold the {len(skeleton)} joints"):
        mirror_points(points[..., 1:, :], skeleton)


@KNOWN
def test_left_and_right_are_mirror_images_by_name(skeleton: Skeleton) -> None:
    assert all(skeleton.joints[j].startswith("L") for j in skeleton.left)
    assert [skeleton.joints[j][1:] for j in skeleton.left] == [skeleton.joints[j][1:] for j in skeleton.right]
    middle = set(range(len(skeleton))) - set(skeleton.left) - set(skeleton.right)
    assert all(skeleton.mirror[j] == j for j in middle)


@KNOWN
def test_bones_join_every_joint_that_is_no_root(skeleton: Skeleton) -> None:
    assert len(skeleton.bones) == len(skeleton) - skeleton.parents.count(-1)
    assert skeleton.parents[skeleton.root] == -1
    assert SKELETONS[skeleton.name] is skeleton


def test_sizes_and_the_order_of_the_published_layouts() -> None:
    assert [len(s) for s in (H36M_17, COCO_17, HALPE_26, BLAZEPOSE_33)] == [17, 17, 26, 33]
    assert " ".join(H36M_17.joints) == (
        "Pelvis RHip RKnee RAnkle LHip LKnee LAnkle Spine Thorax Neck Head "
        "LShoulder LElbow LWrist RShoulder RElbow RWrist"
    )
    assert " ".join(COCO_17.joints) == (
        "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee RKnee LAnkle RAnkle"
    )
    assert [H36M_17.joints[p] for p in (H36M_17.parents[j] for j in (11, 14, 8, 1))] == [
        "Thorax", "Thorax", "Spine", "Pelvis",
    ]  # fmt: skip
    assert (H36M_17.root, H36M_17.index("Head"), COCO_17.index("RAnkle")) == (0, 10, 16)


@TO_H36M
def test_remapping_rows_sum_to_one(source: Skeleton) -> None:
    weights = remapping(source, H36M_17)
    assert weights.shape == (17, len(source))
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)


@TO_H36M
def test_remapping_commutes_with_the_mirror(source: Skeleton) -> None:
    weights = remapping(source, H36M_17)
    np.testing.assert_allclose(weights[np.ix_(H36M_17.mirror, source.mirror)], weights)


@KNOWN
def test_a_skeleton_remaps_to_itself(skeleton: Skeleton) -> None:
    np.testing.assert_array_equal(remapping(skeleton, skeleton), np.eye(len(skeleton)))


@pytest.mark.parametrize("source", [COCO_17, BLAZEPOSE_33], ids=lambda s: s.name)
def test_coco_and_blazepose_to_h36m_by_hand(source: Skeleton) -> None:
    p = points_of(source)
    hips, shoulders = (p["LHip"] + p["RHip"]) / 2, (p["LShoulder"] + p["RShoulder"]) / 2
    ears = (p["LEar"] + p["REar"]) / 2
    expected = {
        **p,
        "Pelvis": hips,
        "Thorax": shoulders,
        "Spine": (hips + shoulders) / 2,
        "Neck": shoulders + 0.75 * (ears - shoulders),
        "Head": ears,
    }
    got = remap(stacked(p), source, H36M_17)
    np.testing.assert_allclose(got, [expected[joint] for joint in H36M_17.joints])


def test_halpe_to_h36m_by_hand() -> None:
    p = points_of(HALPE_26)
    ears = (p["LEar"] + p["REar"]) / 2
    expected = {
        **p,
        "Thorax": p["NeckBase"],
        "Spine": (p["Pelvis"] + p["NeckBase"]) / 2,
        "Neck": 0.25 * p["NeckBase"] + 0.75 * ears,
        "Head": (p["HeadTop"] + ears) / 2,
    }
    got = remap(stacked(p), HALPE_26, H36M_17)
    np.testing.assert_allclose(got, [expected[joint] for joint in H36M_17.joints])


def test_a_neck_base_is_found_between_the_shoulders() -> None:
    p = points_of(COCO_17)
    bust = Skeleton("bust", ("NeckBase", "Nose"), (-1, 0), (0, 1))
    got = remap(stacked(p), COCO_17, bust)
    np.testing.assert_allclose(got, [(p["LShoulder"] + p["RShoulder"]) / 2, p["Nose"]])


@pytest.mark.parametrize("source", [HALPE_26, BLAZEPOSE_33], ids=lambda s: s.name)
def test_richer_layouts_contain_coco(source: Skeleton) -> None:
    p = points_of(source)
    np.testing.assert_array_equal(remap(stacked(p), source, COCO_17), [p[joint] for joint in COCO_17.joints])


def test_remap_keeps_leading_axes_and_dtype() -> None:
    points = np.random.default_rng(0).normal(size=(2, 5, 17, 2)).astype(np.float32)
    got = remap(points, COCO_17, H36M_17)
    assert got.shape == (2, 5, 17, 2)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got[1, 3], remap(points[1, 3], COCO_17, H36M_17))


def test_confidence_is_that_of_the_least_sure_ingredient() -> None:
    confidence = np.random.default_rng(0).uniform(size=(4, 17)).astype(np.float32)
    c = dict(zip(COCO_17.joints, confidence.T, strict=True))
    got = remap_confidence(confidence, COCO_17, H36M_17)
    assert got.dtype == np.float32
    pelvis = np.minimum(c["LHip"], c["RHip"])
    shoulders = np.minimum(c["LShoulder"], c["RShoulder"])
    ears = np.minimum(c["LEar"], c["REar"])
    for joint, expected in {
        "Pelvis": pelvis,
        "Spine": np.minimum(pelvis, shoulders),
        "Neck": np.minimum(shoulders, ears),
        "LWrist": c["LWrist"],
    }.items():
        np.testing.assert_array_equal(got[:, H36M_17.index(joint)], expected)


def test_joints_that_cannot_be_derived_are_listed() -> None:
    with pytest.raises(
        ValueError, match="'coco_17' cannot be made from 'h36m_17': nothing there gives Nose, LEye, REye"
    ):
        remapping(H36M_17, COCO_17)


@pytest.mark.parametrize("shape", [(5, 16, 2), (17,)])
def test_remap_refuses_other_layouts(shape: tuple[int, ...]) -> None:
    if len(shape) > 1:
        with pytest.raises(ValueError, match="must hold the 17 joints of 'coco_17'"):
            remap(np.zeros(shape), COCO_17, H36M_17)
    with pytest.raises(ValueError, match="must hold the 26 joints of 'halpe_26'"):
        remap_confidence(np.zeros(shape), HALPE_26, H36M_17)


def test_an_unknown_joint_lists_the_known() -> None:
    with pytest.raises(ValueError, match="no joint 'Tail'; it has Pelvis, RHip"):
        H36M_17.index("Tail")


@pytest.mark.parametrize(
    ("joints", "parents", "mirror", "message"),
    [
        ((), (), (), "has no joints"),
        (("A", "A"), (-1, 0), (0, 1), "names A more than once"),
        (("A", "B"), (-1,), (0, 1), "2 joints but 1 parents"),
        (("A", "B"), (-1, 0), (0,), "2 joints but 1 mirror"),
        (("A", "B"), (-1, 2), (0, 1), "parent of B is 2; want -1 for a root or 0 to 1"),
        (("A", "B"), (-1, -2), (0, 1), "parent of B is -2"),
        (("A", "B", "C"), (-1, 2, 1), (0, 1, 2), "B is its own ancestor"),
        (("A", "L", "R"), (-1, 0, 0), (1, 2, 0), "is no swap of pairs"),
        (("A", "L", "R"), (-1, 0, 0), (0, 0, 2), "is no swap of pairs"),
        (("A", "L", "B"), (-1, 0, 0), (0, 2, 1), "name one L... and the other R..."),
        (("A", "L", "R"), (-1, 0, 1), (0, 2, 1), "do not mirror each other"),
        (("A", "L", "R"), (-1, 0, -1), (0, 2, 1), "do not mirror each other"),
    ],
)
def test_what_is_no_skeleton_is_refused(
    joints: tuple[str, ...], parents: tuple[int, ...], mirror: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Skeleton("x", joints, parents, mirror)
