"""The network: its size, its two forms, its hand-written gradients."""

import pytest
import torch
from benchmarks.conventional import ConvolutionalTCN
from torch import nn

from actlift.models.base import parameter_count
from actlift.models.options import widths_of
from actlift.models.tcn import TCN, member, stack


@pytest.mark.parametrize(("receptive_field", "millions"), [(243, 16.95), (81, 12.75), (27, 8.56)])
def test_parameter_counts_of_the_published_network(receptive_field, millions):
    network = TCN(widths_of(receptive_field), 1024)
    assert round(parameter_count(network) / 1e6, 2) == millions
    assert network.receptive_field == receptive_field


def test_parameter_count_of_the_papers_one_frame_network():
    assert parameter_count(TCN(widths_of(1), 1024)) == 89_139


def integers(*shape: int) -> torch.Tensor:
    """Dropout's random numbers."""
    return torch.randint(-(1 << 15), 1 << 15, shape, dtype=torch.int16)


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
    """With one layer both forms normalize over the same rows, so gradients and statistics are the same."""
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


@pytest.mark.parametrize("widths", [(1,), (3, 3), (3, 5, 3)])
def test_training_form_is_that_of_plain_convolution_layers(widths):
    """Outputs, gradients and running statistics, against Conv1d and BatchNorm1d, differentiated by autograd."""
    torch.manual_seed(0)
    network = TCN(widths, 12, dropout=0.0).double()
    reference = ConvolutionalTCN(widths, 12, dropout=0.0, strided=True).double().load_rows(network)
    x = torch.randn(20, network.receptive_field, 17, 2, dtype=torch.double)
    upstream = torch.randn(20, 1, 17, 3, dtype=torch.double)
    found, expected = network(x), reference(x)
    torch.testing.assert_close(found, expected)
    found.backward(upstream)
    expected.backward(upstream)
    first, last = network.layers[0], reference.expand
    torch.testing.assert_close(first.weight.grad, last.weight.grad.permute(2, 1, 0).reshape(first.weight.shape))
    torch.testing.assert_close(first.gamma.grad, reference.expand_norm.weight.grad)
    torch.testing.assert_close(first.beta.grad, reference.expand_norm.bias.grad)
    torch.testing.assert_close(network.head.grad, reference.shrink.weight.grad[..., 0].T)
    torch.testing.assert_close(first.running_mean, reference.expand_norm.running_mean)
    torch.testing.assert_close(first.running_var, reference.expand_norm.running_var)


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
    noise = integers(3, networks[0].noise_size(5))
    stacked = stack(networks).double()
    together = stacked(x, noise)
    assert together.shape == (3, 5, 1, 18, 3)
    for e, network in enumerate(networks):
        torch.testing.assert_close(together[e], network(x[e], noise[e]))
        again = member(stacked, e).double()
        for key, value in network.state_dict().items():
            torch.testing.assert_close(again.state_dict()[key], value)


def test_dropout_drops_the_stated_share_and_keeps_the_expectation():
    torch.manual_seed(0)
    network = TCN((1,), 64, dropout=0.25)
    layer = network.layers[0]
    with torch.no_grad():
        layer.gamma.zero_()
        layer.beta.fill_(1)
    keep = (integers(2000, 64) > network.threshold) * network.dropout_scale
    y = layer(torch.randn(2000, 34), 0.1, keep).detach()
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
