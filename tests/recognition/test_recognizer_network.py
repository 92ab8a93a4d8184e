"""The recognizer's features, their statistics over windows, and its network: loops by hand and invariances."""

import math

import numpy as np
import pytest
import torch

from actlift.geometry.skeleton import H36M_17
from actlift.recognition.network import STILL, RecognizerNetwork, features, statistics


def walk(*lead: int, axes: int = 2, seed: int = 0) -> torch.Tensor:
    """Smooth random points in double precision, away from degenerate poses."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(*lead, 17, axes, dtype=torch.double, generator=generator) * 0.01
    return steps.cumsum(dim=-3) + torch.randn(17, axes, dtype=torch.double, generator=generator) * 0.3


AXES = pytest.mark.parametrize("axes", [2, 3])


@AXES
def test_features_by_hand(axes):
    """One frame after another, joint by joint."""
    pose, fps = walk(4, axes=axes).numpy(), 50.0
    found = features(torch.from_numpy(pose), fps).numpy()
    assert found.shape == (3, 50, axes)
    for t in (1, 2, 3):
        bones = [pose[t, child] - pose[t, parent] for child, parent in H36M_17.bones]
        extent = sum(math.hypot(*bone) for bone in bones) / 16
        expected = [(pose[t, j] - pose[t, 0]) / extent for j in range(17)]
        expected += [bone / math.hypot(*bone) for bone in bones]
        expected += [(pose[t, j] - pose[t - 1, j]) / (1 / fps) / extent for j in range(17)]
        np.testing.assert_allclose(found[t - 1], expected)


@AXES
@pytest.mark.parametrize("scale", [0.2, 7.0])
def test_features_know_neither_place_nor_size(scale, axes):
    pose = walk(12, axes=axes)
    moved = scale * pose + torch.tensor([0.4, -0.3, 2.0][:axes], dtype=torch.double)
    torch.testing.assert_close(features(moved, 60.0), features(pose, 60.0))


@AXES
def test_features_of_the_mirror_image_are_the_mirror_image_of_features(axes):
    pose = walk(12, axes=axes)
    swapped = list(H36M_17.mirror)
    bones = [H36M_17.bones.index((swapped[c], swapped[p])) for c, p in H36M_17.bones]
    order = [*swapped, *(17 + b for b in bones), *(33 + j for j in swapped)]
    sign = torch.tensor([-1.0, 1.0, 1.0][:axes], dtype=torch.double)
    torch.testing.assert_close(features(pose[:, swapped] * sign, 60.0), features(pose, 60.0)[:, order] * sign)


def test_velocities_are_per_second():
    """A motion filmed at half the rate moves twice as far from frame to frame."""
    there, moved = walk(1)[0], walk(1, seed=1)[0] * 0.01
    fast = torch.stack([there - moved, there])
    slow = torch.stack([there - 2 * moved, there])
    torch.testing.assert_close(features(slow, 30.0), features(fast, 60.0))


def test_features_of_a_point_are_finite():
    assert features(torch.zeros(3, 17, 2), 60.0).isfinite().all()


@pytest.mark.parametrize("fps", [0.0, math.nan])
def test_velocities_need_a_frame_rate(fps):
    with pytest.raises(ValueError, match="positive number of frames per second, got"):
        features(walk(3), fps)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("receptive_field", [1, 4, 9, 100])
def test_statistics_against_a_loop(receptive_field, causal):
    each = walk(20).flatten(-2)
    found = statistics(each, receptive_field, causal=causal)
    assert found.shape == (20, 34, 2)
    for t in range(20):
        first = t - (receptive_field - 1 if causal else receptive_field // 2)
        window = each[max(first, 0) : first + receptive_field].numpy()
        np.testing.assert_allclose(found[t, :, 0], window.mean(axis=0))
        np.testing.assert_allclose(found[t, :, 1], np.log(window.std(axis=0) + STILL), atol=1e-5)


def test_statistics_of_single_precision_far_from_zero():
    """What a running sum in single precision would lose."""
    each = 100 + walk(3000).flatten(-2)
    torch.testing.assert_close(statistics(each.float(), 9).double(), statistics(each, 9), atol=1e-3, rtol=1e-3)


def test_the_network_sees_standard_statistics():
    """Center and scale are taken off, and what lies far out counts no more than what lies near."""
    torch.manual_seed(0)
    network = RecognizerNetwork(4, 9, 16).eval().double()
    described = torch.randn(7, 100, 2, dtype=torch.double)
    plain = network(described)
    assert plain.shape == (7, 4)
    network.center.fill_(3.0)
    network.scale.fill_(0.5)
    torch.testing.assert_close(network(described * 0.5 + 3.0), plain)
    far = described.clone()
    far[:, 0] = 10 * 0.5 + 3
    torch.testing.assert_close(network(far), network(torch.where(far == 8, 1000, far)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"actions": 1}, "nothing to tell apart among 1 actions: give at least 2"),
        ({"actions": 3, "receptive_field": 0}, "a window has at least 1 frame, got 0"),
    ],
)
def test_bad_networks_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RecognizerNetwork(**options)
