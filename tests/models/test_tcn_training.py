"""The hand-written training pass against autograd on the network itself."""

import pytest
import torch

from actlift.models.tcn import TCN, StackedTCN, stack
from actlift.models.tcn_training import StridedPass


def both(widths, dtype=torch.double, batch=6, members=2, **options):
    """A stack, a copy of it, its pass, windows and dropout's integers."""
    torch.manual_seed(0)
    stacked = StackedTCN([TCN(widths, 10, **options) for _ in range(members)])
    network = stacked.network.to(torch.promote_types(dtype, torch.float32))
    twin = stack([TCN(widths, 10, **options) for _ in range(members)]).to(network.head.dtype)
    twin.load_state_dict(network.state_dict())
    for one in (network, twin):
        one.batch_norm_momentum = torch.full((members, 1), 0.1, dtype=network.head.dtype)
    size = sum(p.numel() for p in network.parameters()) // members
    flat = torch.full((members, size), torch.nan, dtype=network.head.dtype)
    written = StridedPass(stacked, flat, batch, dtype)
    x = torch.randn(members, batch, network.receptive_field, 17, 2, dtype=network.head.dtype)
    noise = torch.randint(-(1 << 15), 1 << 15, (members, network.noise_size(batch)), dtype=torch.int16)
    for layer, other in zip(network.layers, twin.layers, strict=True):
        for name in ("gain", "bias") if network.conditions else ():
            for own in (layer, other):
                with torch.no_grad():
                    getattr(own, name).copy_(torch.randn(getattr(own, name).shape, generator=torch.manual_seed(1)) / 4)
    return stacked, twin, flat, written, x, noise if network.dropout else None


@pytest.mark.parametrize(
    "options",
    [{"dropout": 0.0}, {"dropout": 0.25}, {"causal": True}, {"trajectory": True}, {"conditions": 3, "dropout": 0.25}],
)
@pytest.mark.parametrize("widths", [(1,), (3, 3, 3), (3, 1, 5)])
def test_outputs_gradients_and_statistics_are_autograds(widths, options):
    stacked, twin, flat, written, x, noise = both(widths, **options)
    network = stacked.network
    condition = torch.tensor([[0, 3, 1, 1, 0, 3], [1, 1, 1, 1, 1, 0]]) if network.conditions else None
    found, expected = written.forward(x, noise, condition), twin(x, noise, condition)[:, :, 0]
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(expected)
    written.backward(upstream)
    gradients = torch.autograd.grad(expected, list(twin.parameters()), upstream)
    for (_, view), gradient in zip(stacked.views_of(flat), gradients, strict=True):
        torch.testing.assert_close(view, gradient, atol=1e-9, rtol=1e-7)
    for key, value in twin.state_dict().items():
        torch.testing.assert_close(network.state_dict()[key], value)


def test_buffers_keep_nothing_from_one_batch_to_the_next():
    stacked, _, flat, written, x, noise = both((3, 3))
    again = both((3, 3))
    upstream = torch.randn(2, 6, 17, 3, dtype=torch.double)
    written.forward(torch.randn_like(x), noise)
    written.backward(torch.randn_like(upstream))
    for layer, other in zip(stacked.network.layers, again[0].network.layers, strict=True):
        layer.load_state_dict(other.state_dict())
    for one, two in ((written, flat), (again[3], again[2])):
        one.forward(x, noise)
        one.backward(upstream)
        assert not two.isnan().any()
    assert torch.equal(flat, again[2])


def test_bfloat16_gradients_point_where_float32_ones_do():
    _, _, flat, written, x, noise = both((3, 3), torch.bfloat16, batch=64)
    _, _, exact, reference, _, _ = both((3, 3), torch.float32, batch=64)
    upstream = torch.randn(2, 64, 17, 3)
    for one in (written, reference):
        one.forward(x, noise)
        one.backward(upstream)
    assert torch.cosine_similarity(flat, exact, dim=1).min() > 0.99
