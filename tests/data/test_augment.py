"""Motion that nobody captured is still motion of people: bones, limits, floor and speeds hold."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from actlift.data import augment
from actlift.data.augment import bodies, off_balance, posed, recombined, warped
from actlift.data.clip import Clip
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.sight import unit
from actlift.geometry.skeleton import H36M_17

Augmentation = Callable[[Iterable[Clip]], Iterator[Clip]]


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return list(synthetic_clips(subjects=2, clips=1, seconds=2.0, fps=30.0))


def all_of(clips: list[Clip], seed: int = 0, strength: float = 1.0) -> dict[str, Augmentation]:
    return {
        "bodies": partial(bodies, count=2, seed=seed),
        "posed": partial(posed, strength=strength, seed=seed),
        "recombined": partial(recombined, donors=clips, seed=seed),
        "warped": partial(warped, strength=strength, seed=seed),
    }


NAMES = ("bodies", "posed", "recombined", "warped")


def lengths(joints: np.ndarray) -> np.ndarray:
    return np.stack([np.linalg.norm(joints[:, c] - joints[:, p], axis=-1) for c, p in H36M_17.bones], axis=1)


def angle_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    cos = (one * other).sum(axis=-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)
    return np.rad2deg(np.arccos(np.clip(cos, -1, 1)))


def flexions(joints: np.ndarray) -> np.ndarray:
    """Of both knees and both elbows, in degrees."""
    chains = [("Hip", "Knee", "Ankle"), ("Shoulder", "Elbow", "Wrist")]
    found = []
    for chain in chains:
        for side in "LR":
            a, b, c = (joints[:, H36M_17.index(f"{side}{joint}")].astype(np.float64) for joint in chain)
            found.append(angle_deg(b - a, c - b))
    return np.stack(found, axis=1)


def source_of(made: Clip, clips: list[Clip]) -> Clip:
    (found,) = (clip for clip in clips if made.name.startswith(f"{clip.name}/"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_and_the_name_decide(clips, name):
    one, again = (list(all_of(clips)[name](clips)) for _ in range(2))
    other = list(all_of(clips, seed=1)[name](clips))
    alone = [made for clip in reversed(clips) for made in all_of(clips)[name](iter([clip]))]
    by_name = {clip.name: clip.joints_world for clip in alone}
    assert len({clip.name for clip in one}) == len(one) == len(by_name)
    for made, same in zip(one, again, strict=True):
        np.testing.assert_array_equal(made.joints_world, same.joints_world)
        np.testing.assert_array_equal(made.joints_world, by_name[made.name])
    assert any(not np.array_equal(a.joints_world, b.joints_world) for a, b in zip(one, other, strict=False))


@pytest.mark.parametrize("name", NAMES)
def test_clips_pass_one_at_a_time(clips, name):
    taken = []

    def stream() -> Iterator[Clip]:
        for clip in clips:
            taken.append(clip)
            yield clip

    next(all_of(clips)[name](stream()))
    assert len(taken) <= 2


@pytest.mark.parametrize("name", NAMES)
def test_who_does_what_stays(clips, name):
    for made in all_of(clips)[name](clips):
        clip = source_of(made, clips)
        assert (made.subject, made.action, made.fps, made.dataset) == (
            clip.subject,
            clip.action,
            clip.fps,
            clip.dataset,
        )
        assert made.joints_world.dtype == np.float32


@pytest.mark.parametrize("name", ["posed", "warped"])
def test_without_strength_nothing_changes(clips, name):
    for made, clip in zip(all_of(clips, strength=0.0)[name](clips), clips, strict=True):
        np.testing.assert_allclose(made.joints_world, clip.joints_world, atol=2e-6)
    for strength in (-0.1, 2.1):
        with pytest.raises(ValueError, match="a strength of 0 to 2; got"):
            next(all_of(clips, strength=strength)[name](clips))


@pytest.mark.parametrize("name", ["posed", "recombined"])
def test_bones_are_as_long_as_before(clips, name):
    for made in all_of(clips)[name](clips):
        np.testing.assert_allclose(lengths(made.joints_world), lengths(source_of(made, clips).joints_world), atol=1e-5)


def test_warped_bones_are_of_lengths_that_they_had(clips):
    for made, clip in zip(warped(clips), clips, strict=True):
        own, found = lengths(clip.joints_world), lengths(made.joints_world)
        assert (found.min(axis=0) >= own.min(axis=0) - 1e-5).all()
        assert (found.max(axis=0) <= own.max(axis=0) + 1e-5).all()


def test_bodies_are_of_other_proportions_and_alike_left_and_right(clips):
    ratios = []
    for made in bodies(clips, 2):
        ratio = lengths(made.joints_world) / lengths(source_of(made, clips).joints_world)
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=1e-4)
        ratios.append(ratio[0])
        by_joint = {H36M_17.joints[child]: value for (child, _), value in zip(H36M_17.bones, ratio[0], strict=True)}
        for joint, value in by_joint.items():
            if joint[0] == "L":
                assert by_joint[f"R{joint[1:]}"] == pytest.approx(value, rel=1e-3)
        # ankles are as high over the floor as legs are longer
        legs = made.joints_world[:, 0, 2] / source_of(made, clips).joints_world[:, 0, 2]
        assert np.ptp(legs) < 1e-4
    assert np.std(np.log(ratios), axis=0).min() > 0.02


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_poses_are_new_and_within_limits(clips, strength):
    moved = []
    for made, clip in zip(posed(clips, strength), clips, strict=True):
        allowed = np.maximum(augment.FLEXION_DEG, flexions(clip.joints_world))
        assert (flexions(made.joints_world) <= allowed + 3).all()
        trunk = [made.joints_world[:, H36M_17.index(j)].astype(np.float64) for j in ("Pelvis", "Spine", "Thorax")]
        assert (angle_deg(trunk[1] - trunk[0], trunk[2] - trunk[1]) < augment.CONE_DEG["Thorax"] + 12).all()
        own, before = (joints - joints[:, :1] for joints in (made.joints_world, clip.joints_world))
        moved.append(np.linalg.norm(own - before, axis=-1).mean())
    assert np.median(moved) > 0.05 * strength


def test_knees_bend_to_the_back(clips):
    """A shin lies behind its thigh, as the pelvis faces, unless it is as good as straight."""
    for made in posed(clips, 1.0):
        joints = made.joints_world.astype(np.float64)
        left = joints[:, H36M_17.index("LHip")] - joints[:, H36M_17.index("RHip")]
        for side in "LR":
            hip, knee, ankle = (joints[:, H36M_17.index(f"{side}{j}")] for j in ("Hip", "Knee", "Ankle"))
            turn = np.cross(knee - hip, ankle - knee)
            bent = angle_deg(knee - hip, ankle - knee) > 20
            assert ((turn * left).sum(axis=-1)[bent] > 0).mean() > 0.95 if bent.any() else True


def test_the_lowest_joint_stays_as_high_as_it_was_or_the_body_lies(clips):
    lying = 0
    many = [replace(clip, name=f"{clip.name}-{k}") for clip in clips for k in range(3)]
    for made, clip in zip(posed(many), many, strict=True):
        lowest, was = (joints[..., 2].min(axis=1) for joints in (made.joints_world, clip.joints_world))
        trunk = made.joints_world[:, H36M_17.index("Thorax")] - made.joints_world[:, 0]
        flat = np.median(np.abs(trunk[:, 2]) / np.linalg.norm(trunk, axis=1)) < 0.6 and np.ptp(lowest) < 0.05
        lying += flat
        assert flat or np.abs(lowest - was).max() < 0.08
    assert 1 <= lying <= 12


def test_speeds_stay_those_of_people(clips):
    for name in ("posed", "recombined", "warped"):
        for made in all_of(clips)[name](clips):
            clip = source_of(made, clips)
            speeds = [
                np.linalg.norm(np.diff(c.joints_world.astype(np.float64), axis=0), axis=-1) * c.fps
                for c in (made, clip)
            ]
            assert speeds[0].max() < max(10, 1.2 * speeds[1].max())


def test_somebody_who_crouches_keeps_the_feet(clips):
    crouched = 0
    for clip in clips:
        joints = clip.joints_world.astype(np.float64)
        lowered = augment._lowered(joints, clip.fps, np.random.default_rng(0))
        np.testing.assert_allclose(lengths(lowered), lengths(joints), atol=1e-9)
        ankles = [H36M_17.index("LAnkle"), H36M_17.index("RAnkle")]
        kept = np.linalg.norm(lowered[:, ankles] - joints[:, ankles], axis=-1) < 1e-9
        crouched += kept.mean() > 0.9 and (joints[:, 0, 2] - lowered[:, 0, 2]).max() > 0.05
        assert (lowered[:, 0, 2] <= joints[:, 0, 2] + 1e-9).all()
        assert (flexions(lowered)[:, :2] <= np.maximum(augment.FLEXION_DEG, flexions(joints)[:, :2]) + 1e-6).all()
    assert crouched > len(clips) / 2


def test_an_upper_body_is_in_the_same_place_to_the_pelvis_of_other_legs(clips):
    for made in recombined(clips, clips):
        clip = source_of(made, clips)
        (donor,) = (other for other in clips if made.name == f"{clip.name}/with {other.name}")
        legs = [0, *(H36M_17.index(f"{side}{joint}") for side in "LR" for joint in ("Hip", "Knee", "Ankle"))]
        np.testing.assert_array_equal(made.joints_world[:, legs], clip.joints_world[:, legs])
        frames = [augment._frame(c.joints_world.astype(np.float64), "Hip", "Pelvis", "Spine") for c in (made, donor)]
        arms = [
            np.einsum("tji,tj->ti", frame, unit((c.joints_world[:, 13] - c.joints_world[:, 12]).astype(float)))
            for frame, c in zip(frames, (made, donor), strict=True)
        ]
        nearest = [np.linalg.norm(arms[1] - arm, axis=1).min() for arm in arms[0]]
        assert max(nearest) < 1e-3
        held = np.maximum(augment.SUPPORT_M, off_balance(clip.joints_world.astype(float)) + augment.LOOSER_M)
        assert (off_balance(made.joints_world.astype(float)) <= held + 1e-4).mean() >= augment.BALANCED


def test_who_would_fall_is_left_out(monkeypatch):
    """Somebody who bends forward with everything above the spine lends nothing to legs that stand."""
    (waving,) = synthetic_clips(subjects=1, clips=1, seconds=1.0, actions=["Waving"])
    standing = replace(waving, joints_world=np.repeat(waving.joints_world[:1], 30, axis=0))
    joints = standing.joints_world.astype(np.float64)
    forward = augment._frame(joints, "Hip", "Pelvis", "Spine")[..., 1]
    for child, parent in H36M_17.bones:
        if child not in (*augment._LEGS, H36M_17.index("Spine")):
            length = np.linalg.norm(standing.joints_world[:, child] - standing.joints_world[:, parent], axis=-1)
            joints[:, child] = joints[:, parent] + length[:, None] * forward
    bent = replace(standing, name="bent", joints_world=joints)
    own_m, bent_m = off_balance(standing.joints_world.astype(np.float64)).max(), off_balance(joints).min()
    assert own_m + 0.02 < bent_m
    monkeypatch.setattr(augment, "SUPPORT_M", (own_m + bent_m) / 2)
    monkeypatch.setattr(augment, "LOOSER_M", 0.01)
    assert list(recombined([standing], [bent])) == []
    assert len(list(recombined([standing], [bent, replace(standing, name="other")]))) == 1
    assert list(recombined([standing], [standing])) == []


def test_a_warp_passes_the_same_poses_in_another_time(clips):
    longer = []
    for made, clip in zip(warped(clips), clips, strict=True):
        np.testing.assert_allclose(made.joints_world[0], clip.joints_world[0], atol=2e-6)
        gaps = np.linalg.norm(made.joints_world[:, None] - clip.joints_world[None], axis=-1).mean(axis=-1).min(axis=1)
        steps = np.linalg.norm(np.diff(clip.joints_world, axis=0), axis=-1).mean(axis=-1)
        assert gaps.max() < steps.max()
        longer.append(made.frames / clip.frames)
    assert np.std(np.log(longer)) > 0.05
    assert 0.4 < min(longer) < 1 < max(longer) < 2.5


def test_a_short_clip_is_no_trouble():
    (clip,) = synthetic_clips(subjects=1, clips=1, seconds=1.0, actions=["Walking"])
    for frames in (1, 2, 5):
        short = clip.piece(0, frames)
        for name, change in all_of([short, clip]).items():
            made = list(change([short]))
            assert name == "recombined" or made
            assert all(np.isfinite(m.joints_world).all() for m in made)


def test_real_people_stay_whole(actlift_data):
    own = read_mocap_npz(actlift_data / "mocap" / "hdm05.npz")[::24]
    chain = list(warped(posed(recombined(own, own))))
    assert len(chain) > 0.8 * len(own)
    added = []
    for made in chain:
        clip = source_of(made, own)
        speed, was = (
            np.linalg.norm(np.diff(c.joints_world.astype(float), axis=0), axis=-1).max() * c.fps for c in (made, clip)
        )
        added.append(speed - was)
        spread = np.ptp(lengths(made.joints_world), axis=0) - np.ptp(lengths(clip.joints_world), axis=0)
        assert spread.max() < 1e-4
    assert np.median(added) < 3
