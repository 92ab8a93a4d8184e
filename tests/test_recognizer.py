"""The recogniser's features and network: invariances, its two forms, and that the causal one sees no future."""

import math

import numpy as np
import pytest
import torch

from actlift.models.folded import Folded
from actlift.models.recognizer import Recognizer, features
from actlift.skeleton import H36M_17


def walk(*lead: int, seed: int = 0) -> torch.Tensor:
    """Smooth random keypoints in double precision, away from degenerate poses."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(*lead, 17, 2, dtype=torch.double, generator=generator) * 0.01
    return steps.cumsum(dim=-3) + torch.randn(17, 2, dtype=torch.double, generator=generator) * 0.3


def lively(*args, **options) -> Recognizer:
    """A recogniser in evaluation mode whose statistics matter."""
    torch.manual_seed(0)
    network = Recognizer(*args, **options)
    for layer in network.trunk.layers:
        layer.running_mean.normal_(0, 0.1)
        layer.running_var.uniform_(0.5, 1.5)
    return network.eval()


def test_features_by_hand():
    """One frame after another, joint by joint."""
    pose2d, fps = walk(4).numpy(), 50.0
    found = features(torch.from_numpy(pose2d), fps).numpy()
    assert found.shape == (3, 50, 2)
    for t in (1, 2, 3):
        bones = [pose2d[t, child] - pose2d[t, parent] for child, parent in H36M_17.bones]
        extent = sum(math.hypot(*bone) for bone in bones) / 16
        expected = [(pose2d[t, j] - pose2d[t, 0]) / extent for j in range(17)]
        expected += [bone / math.hypot(*bone) for bone in bones]
        expected += [(pose2d[t, j] - pose2d[t - 1, j]) / (1 / fps) / extent for j in range(17)]
        np.testing.assert_allclose(found[t - 1], expected)


@pytest.mark.parametrize("scale", [0.2, 7.0])
def test_features_know_neither_place_nor_size(scale):
    pose2d = walk(12)
    moved = scale * pose2d + torch.tensor([0.4, -0.3], dtype=torch.double)
    torch.testing.assert_close(features(moved, 60.0), features(pose2d, 60.0))


def test_features_of_the_mirror_image_are_the_mirror_image_of_features():
    pose2d = walk(12)
    swapped = list(H36M_17.mirror)
    bones = [H36M_17.bones.index((swapped[c], swapped[p])) for c, p in H36M_17.bones]
    order = [*swapped, *(17 + b for b in bones), *(33 + j for j in swapped)]
    sign = torch.tensor([-1.0, 1.0], dtype=torch.double)
    torch.testing.assert_close(features(pose2d[:, swapped] * sign, 60.0), features(pose2d, 60.0)[:, order] * sign)


def test_velocities_are_per_second():
    """A motion filmed at half the rate moves twice as far from frame to frame."""
    there, moved = walk(1)[0], walk(1, seed=1)[0] * 0.01
    fast = torch.stack([there - moved, there])
    slow = torch.stack([there - 2 * moved, there])
    torch.testing.assert_close(features(slow, 30.0), features(fast, 60.0))


def test_features_of_a_point_are_finite():
    assert features(torch.zeros(3, 17, 2), 60.0).isfinite().all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("widths", [(3,), (3, 3), (5, 3, 3)])
def test_strided_and_dilated_forms_agree(widths, causal):
    network = lively(5, widths, 16, causal=causal).double()
    assert network.receptive_field == math.prod(widths) + 1
    sequence = walk(2, network.receptive_field + 7)
    whole = network(sequence, 60.0)
    windows = sequence.unfold(1, network.receptive_field, 1).permute(0, 1, 4, 2, 3)
    one_by_one = network(windows.flatten(0, 1), 60.0).unflatten(0, (2, -1))[:, :, 0]
    assert whole.shape == (2, 8, 5)
    torch.testing.assert_close(whole, one_by_one)


def test_the_trunk_can_be_folded():
    network = lively(4, (3, 3), 16)
    sequence = walk(2, 30).float()
    folded = Folded(network.trunk)(features(sequence, 60.0)).flatten(-2)[..., :4]
    torch.testing.assert_close(folded, network(sequence, 60.0), atol=1e-5, rtol=1e-4)


def test_the_residual_connection_of_a_causal_network_takes_the_last_frame():
    """A change of one frame reaches the outputs of both alike, but for what the residual connection keeps."""
    sequence, changed = walk(1, 10), walk(1, 10)
    changed[:, -1] += 0.1 * walk(1, seed=3)[0]
    with torch.no_grad():
        moved = {c: lively(3, (3, 3), 16, causal=c).double() for c in (False, True)}
        found = {c: (n(changed, 60.0) - n(sequence, 60.0)).abs().max() for c, n in moved.items()}
    assert found[True] > 0
    assert found[True] != found[False]


@pytest.mark.parametrize(
    ("shape", "fps", "message"),
    [
        ((1, 9, 17, 2), 60.0, "at least its receptive field of 10 frames, got 9: pad the sequence"),
        ((1, 10, 16, 2), 60.0, "takes 17 joints, got 16: remap the keypoints first"),
        ((1, 10, 17, 2), 0.0, "positive number of frames per second, got 0"),
        ((1, 10, 17, 2), math.nan, "positive number of frames per second, got nan"),
    ],
)
def test_bad_input_is_refused(shape, fps, message):
    with pytest.raises(ValueError, match=message):
        lively(3, (3, 3), 8)(torch.zeros(shape), fps)


def test_one_action_is_refused():
    with pytest.raises(ValueError, match="nothing to tell apart among 1 actions: give at least 2"):
        Recognizer(1)
