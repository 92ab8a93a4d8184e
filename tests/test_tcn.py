"""The network: its size, its two forms, its hand-written gradients."""

import pytest
import torch
from torch import nn

from actlift.models.block import EPS, TrainBlock, keep_threshold
from actlift.models.tcn import TCN, member, stack
from actlift.plan import widths_of


@pytest.mark.parametrize(("receptive_field", "millions"), [(243, 16.95), (81, 12.75), (27, 8.56)])
def test_parameter_counts_of_the_published_network(receptive_field, millions):
    network = TCN(widths_of(receptive_field), 1024)
    assert round(network.parameters_per_member / 1e6, 2) == millions
    assert network.receptive_field == receptive_field


def test_parameter_count_of_the_papers_one_frame_network():
    assert TCN(widths_of(1), 1024).parameters_per_member == 89_139


def trained_statistics(network: TCN) -> TCN:
    """Give the running statistics values that matter."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.layers:
        layer.running_mean.copy_(torch.randn(layer.running_mean.shape, generator=generator) * 0.1)
        layer.running_var.copy_(torch.rand(layer.running_var.shape, generator=generator) + 0.5)
    return network.eval()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("widths", [(1,), (3, 3, 3), (3, 5), (1, 3, 1), (3, 3, 3, 3, 3)])
def test_strided_and_dilated_forms_agree(widths, causal):
    torch.manual_seed(0)
    network = trained_statistics(TCN(widths, 48, causal=causal))
    sequence = torch.randn(2, network.receptive_field + 10, 17, 2)
    whole = network(sequence)
    windows = sequence.unfold(1, network.receptive_field, 1).permute(0, 1, 4, 2, 3)  # (b, t2, R, j, 2)
    one_by_one = network(windows.flatten(0, 1)).unflatten(0, (2, -1))[:, :, 0]
    assert whole.shape == (2, 11, 17, 3)
    torch.testing.assert_close(whole, one_by_one, atol=1e-5, rtol=0)


def test_both_forms_train_alike():
    """With one layer both forms normalise over the same rows, so gradients and statistics are the same."""
    torch.manual_seed(0)
    network, other = (TCN((3,), 16, dropout=0.0).double() for _ in range(2))
    other.load_state_dict(network.state_dict())
    x = torch.randn(8, 12, 17, 2, dtype=torch.double)
    windows = x.unfold(1, 3, 1).permute(0, 1, 4, 2, 3).flatten(0, 1)
    dilated = torch.autograd.grad(network(x).square().mean(), list(network.parameters()))
    strided = torch.autograd.grad(other(windows).square().mean(), list(other.parameters()))
    for one, another in zip(dilated, strided, strict=True):
        torch.testing.assert_close(one, another)
    torch.testing.assert_close(network.layers[0].running_var, other.layers[0].running_var)


class Reference(nn.Module):
    """The block from torch's own layers, differentiated by autograd."""

    def __init__(self, weight, gamma, beta):
        super().__init__()
        self.weight, self.norm = nn.Parameter(weight), nn.BatchNorm1d(len(gamma), eps=EPS).double()
        self.norm.weight, self.norm.bias = nn.Parameter(gamma), nn.Parameter(beta)

    def forward(self, x, keep, scale):
        return torch.relu(self.norm(x @ self.weight)) * keep * scale


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_gradients_of_the_block_are_autograds(dropout):
    torch.manual_seed(0)
    x = torch.randn(40, 12, dtype=torch.double, requires_grad=True)
    weight, gamma, beta = torch.randn(12, 7).double(), torch.rand(7).double() + 0.5, torch.randn(7).double()
    noise = torch.randint(0, 256, (40, 7), dtype=torch.uint8)
    threshold = keep_threshold(dropout)
    reference = Reference(weight, gamma, beta)
    expected = reference(x, noise >= threshold, 1 / (1 - dropout))
    upstream = torch.randn_like(expected)
    expected_gradients = torch.autograd.grad(
        expected, [x, reference.weight, reference.norm.weight, reference.norm.bias], upstream
    )
    leaves = [x, *(t.clone().requires_grad_() for t in (weight, gamma, beta))]
    y, mean, inverse_deviation = TrainBlock.apply(*leaves, noise, threshold)
    gradients = torch.autograd.grad(y, leaves, upstream)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(mean, (x @ weight).mean(0))
    torch.testing.assert_close(inverse_deviation, ((x @ weight).var(0, correction=0) + EPS).rsqrt())
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-10, rtol=1e-8)


def test_running_statistics_are_those_of_batch_norm():
    torch.manual_seed(0)
    network = TCN((1,), 8, dropout=0.0).double()
    norm = nn.BatchNorm1d(8, momentum=0.1).double()
    for _ in range(3):
        x = torch.randn(50, 1, 17, 2, dtype=torch.double)
        network(x)
        norm(x.reshape(50, 34) @ network.layers[0].weight)
    torch.testing.assert_close(network.layers[0].running_mean, norm.running_mean)
    torch.testing.assert_close(network.layers[0].running_var, norm.running_var)


@pytest.mark.parametrize("training", [False, True])
def test_members_of_a_stack_are_the_networks_they_were(training):
    torch.manual_seed(0)
    networks = [trained_statistics(TCN((3, 3), 16, trajectory=True)).double().train(training) for _ in range(3)]
    x = torch.randn(3, 5, 9, 17, 2, dtype=torch.double)
    noise = torch.randint(0, 256, (3, networks[0].noise_size(5)), dtype=torch.uint8)
    stacked = stack(networks).double()
    together = stacked(x, noise)
    assert together.shape == (3, 5, 1, 18, 3)
    for e, network in enumerate(networks):
        torch.testing.assert_close(together[e], network(x[e], noise[e]))
        again = member(stacked, e).double()
        for key, value in network.state_dict().items():
            torch.testing.assert_close(again.state_dict()[key], value)


def test_dropout_keeps_the_expectation_and_drops_the_stated_share():
    torch.manual_seed(0)
    x = torch.ones(20_000, 1)
    noise = torch.randint(0, 256, (20_000, 4), dtype=torch.uint8)
    gamma, beta = torch.zeros(4), torch.ones(4)
    y, _, _ = TrainBlock.apply(x, torch.ones(1, 4), gamma, beta, noise, keep_threshold(0.25))
    assert (y == 0).double().mean() == pytest.approx(0.25, abs=0.005)
    assert y.mean() == pytest.approx(1.0, abs=0.01)


def test_bfloat16_stays_near_float32():
    torch.manual_seed(0)
    network = TCN((3, 3, 3), 64, dropout=0.0)
    x = torch.randn(64, 27, 17, 2)
    exact, rounded = network(x), network(x.bfloat16())
    assert rounded.dtype == torch.float32
    assert (exact - rounded).norm() / exact.norm() < 2e-2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TCN((3, 2)), "odd"),
        (lambda: TCN(()), "at least one"),
        (lambda: TCN(dropout=1.0), "dropout"),
        (lambda: widths_of(28), "known: 1, 3, 9, 27, 81, 243"),
        (lambda: TCN((3,), 8)(torch.zeros(1, 2, 17, 2)), "receptive field of 3 frames, got 2"),
        (lambda: TCN((3,), 8)(torch.zeros(1, 3, 16, 2)), "takes 17 joints, got 16"),
        (lambda: TCN((1,), 8)(torch.zeros(1, 1, 17, 2)), "larger batch"),
        (lambda: stack([TCN((3,), 8), TCN((3,), 16)]), "one shape"),
    ],
)
def test_errors_say_what_was_wanted(make, message):
    with pytest.raises(ValueError, match=message):
        make()
