"""The folded network is the network: same poses, whatever the widths, the length, the batch and the pieces."""

import pytest
import torch
from benchmarks.conventional import ConvolutionalTCN
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.networks import WIDTHS, network_of

from actlift.lifting.predict import lift
from actlift.models import tcn_inference as folded
from actlift.models.tcn import member, stack
from actlift.models.tcn_inference import FoldedTCN


def keypoints(*shape, seed=0):
    return torch.randn(*shape, 2, generator=torch.Generator().manual_seed(seed))


def evaluated(network, pose2d):
    with torch.no_grad():
        return network(pose2d)


def assert_close(found, expected, atol=1e-5):
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


@settings(max_examples=50, deadline=None)
@given(
    widths=WIDTHS,
    causal=st.booleans(),
    trajectory=st.booleans(),
    joints=st.sampled_from([(17, 17), (5, 3)]),
    b=st.integers(1, 4),
    more=st.integers(0, 40),
    piece_rows=st.sampled_from([1, 7, 60, 4096]),
)
def test_folded_is_the_network(widths, causal, trajectory, joints, b, more, piece_rows):
    options = {"causal": causal, "trajectory": trajectory, "joints_in": joints[0], "joints_out": joints[1]}
    network = network_of(widths, **options)
    pose2d = keypoints(b, network.receptive_field + more, joints[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folded, "PIECE_ROWS", piece_rows)
        found = FoldedTCN(network)(pose2d)
    assert found.shape == (b, more + 1, joints[1] + trajectory, 3)
    assert_close(found, evaluated(network, pose2d))


@pytest.mark.parametrize("widths", [(1,), (3, 3, 3), (3, 3, 3, 3, 3)])
def test_folded_is_the_convolutional_network(widths):
    network = network_of(widths, 48)
    reference = ConvolutionalTCN(widths, 48).load_rows(network).eval()
    pose2d = keypoints(2, network.receptive_field + 99, 17)
    assert_close(FoldedTCN(network)(pose2d), evaluated(reference, pose2d))


def test_one_sequence_and_any_leading_axes_are_taken():
    lifter = FoldedTCN(network_of((3, 3)))
    pose2d = keypoints(2, 3, 20, 17)
    batch = lifter(pose2d)
    assert batch.shape == (2, 3, 12, 17, 3)
    for i in range(2):
        for k in range(3):
            assert_close(lifter(pose2d[i, k]), batch[i, k], atol=1e-6)


def test_no_sequence_gives_no_poses():
    assert FoldedTCN(network_of((3, 3)))(keypoints(0, 20, 17)).shape == (0, 12, 17, 3)


def test_keypoints_are_taken_as_they_lie_and_left_as_they_are():
    lifter = FoldedTCN(network_of((3, 3)))
    pose2d = keypoints(17, 3, 20).permute(1, 2, 0, 3)
    before = pose2d.clone()
    assert_close(lifter(pose2d), lifter(pose2d.contiguous()), atol=0)
    assert_close(lifter(pose2d.double()), lifter(pose2d), atol=0)
    assert torch.equal(pose2d, before)


def test_it_is_frozen():
    """Neither the mode of the network matters nor what becomes of it."""
    network, pose2d = network_of((3, 3)), keypoints(30, 17)
    expected = evaluated(network, pose2d[None])[0]
    network.train()
    lifter = FoldedTCN(network)
    assert network.training
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.zero_()
    found = lifter(pose2d)
    assert_close(found, expected)
    assert not found.requires_grad


def test_missing_keypoints_of_one_sequence_do_not_reach_another():
    lifter, pose2d = FoldedTCN(network_of((3, 3, 3))), keypoints(3, 60, 17)
    whole = lifter(pose2d)
    pose2d[1, 30] = torch.nan
    spoilt = lifter(pose2d)
    assert_close(spoilt[[0, 2]], whole[[0, 2]], atol=0)
    reached = spoilt[1].isnan().any(dim=(1, 2))
    assert torch.equal(reached.nonzero().squeeze(1), torch.arange(30 - 26, 31))


@pytest.mark.parametrize("widths", [(3, 3, 3), (3, 3, 3, 3, 3)])
def test_bfloat16_stays_near_float32(widths):
    """Within 1 % in norm, and nearer than the network itself in bfloat16, whose ends are rounded too."""
    network = network_of(widths, 64)
    pose2d = keypoints(2, network.receptive_field + 50, 17)
    exact = FoldedTCN(network)(pose2d)
    error = (FoldedTCN(network, torch.bfloat16)(pose2d) - exact).norm() / exact.norm()
    plain = (evaluated(network, pose2d.bfloat16()) - exact).norm() / exact.norm()
    assert 0 < error < 1e-2
    assert error < plain


def test_a_member_of_a_stack_is_folded_by_itself():
    networks = [network_of((3, 3), seed=seed) for seed in range(2)]
    pose2d = keypoints(20, 17)
    for i, network in enumerate(networks):
        assert_close(FoldedTCN(member(stack(networks), i))(pose2d), FoldedTCN(network)(pose2d), atol=0)


def test_lifting_takes_a_folded_network():
    network = network_of((3, 3))
    sequences = [keypoints(t, 17, seed=t).numpy() for t in (1, 5, 40)]
    for dtype in (torch.float32, torch.bfloat16):
        for one, other in zip(
            lift(FoldedTCN(network, dtype), sequences), lift(network, sequences, dtype=dtype), strict=True
        ):
            assert (one == other).all()


def test_what_cannot_be_folded():
    network = network_of((3,))
    with pytest.raises(ValueError, match="stack of 2 networks; fold one of them: member"):
        FoldedTCN(stack([network, network]))
    with pytest.raises(ValueError, match=r"runs in torch\.float32 or torch\.bfloat16, got torch\.float16"):
        FoldedTCN(network, torch.float16)


def test_what_cannot_be_lifted():
    lifter = FoldedTCN(network_of((3, 3)))
    with pytest.raises(ValueError, match="takes 17 joints, got 16: remap the keypoints first"):
        lifter(keypoints(20, 16))
    with pytest.raises(ValueError, match=r"at least its receptive field of 9 frames, got 8: pad.*predict\.lift does"):
        lifter(keypoints(2, 8, 17))


def test_a_network_that_takes_conditions_is_folded_for_one_of_them():
    network = network_of((3, 3), conditions=2)
    for layer in network.layers:
        torch.nn.init.normal_(layer.gain, 0, 0.3)
        torch.nn.init.normal_(layer.bias, 0, 0.3)
    with pytest.raises(ValueError, match="takes one of 2 conditions"):
        FoldedTCN(network)
    x = torch.randn(4, 20, 17, 2)
    for condition in range(3):
        told = network(x, condition=torch.full((4,), condition))
        torch.testing.assert_close(FoldedTCN(network.given(condition))(x), told, atol=1e-5, rtol=1e-4)
    for wrong in (3, -1):
        with pytest.raises(ValueError, match="conditions are 0 to 2"):
            network.given(wrong)
    with pytest.raises(ValueError, match="only one network, which takes conditions"):
        network_of((3, 3)).given(0)
