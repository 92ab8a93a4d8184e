"""The training pass of the temporal network on windows of one receptive field, forward and backward written out.

In rows layout an activation is a matrix of rows (one per time step of each window) by channels. A convolution whose
stride is its width is then a reshape and one GEMM, so a layer is GEMM, BatchNorm, ReLU, dropout. All arrays carry a
leading axis of members, networks of one shape that train side by side.

Forward, over the n rows of a member (sums and means run over rows)::

    z = x W                          x (n, k)   W (k, c)
    m = mean z     s = 1 / sqrt(var z + eps)                          (biased variance)
    h = a gamma (z - m) s + a beta                                    a = 1 / (1 - p): dropout's scale, folded in
    y = max(h, 0) keep                                                keep in {0, 1}

Backward, given dL/dy. Since y > 0 exactly where h > 0 and keep = 1, neither h nor the mask is stored::

    dh = [y > 0] dy
    dbeta = a sum dh     dgamma = a sum dh (z - m) s
    dz = a gamma s (dh - mean dh - (z - m) s mean(dh (z - m) s))      (Ioffe & Szegedy 2015, section 3)
    dx = dz W^T          dW = x^T dz

Where the network takes conditions, h is scaled and shifted once more, by g = 1 + gain[condition of the row's window]
and a bias[the same]; with u the BatchNorm's output above, a included::

    h = g u + a bias          du = g dh          dgain = sum of dh u          dbias = a sum of dh

with sums over the rows of a condition, and BatchNorm's backward pass takes du for dh.

A residual block keeps one tap of its input x: r = x[tap] + y, so dx[tap] gains dr.

With bfloat16 the products and activations are rounded and accumulated in float32; ``W``, ``gamma`` and ``beta`` stay
float32 masters, and BatchNorm's statistics are float32. With float32 the gradients are those of autograd on
:class:`actlift.models.tcn.TCN` to rounding.

What makes it fast, beside the GEMMs: buffers made once (a fresh 40 MB tensor costs more in page faults than the pass
that fills it); and dropout by ``threshold_backward(a, b, t)``, torch's one vectorized pass for "a where b > t, else 0":
with the activations' bits and random integers it drops, with gradients and activations it is ReLU's backward.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int16, Int64
from torch import Tensor

from actlift.models.tcn import EPS, TCN, Layer, StackedTCN, per_condition

INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
select = torch.ops.aten.threshold_backward
batch_norm = torch.ops.aten.native_batch_norm.out
batch_norm_backward = torch.ops.aten.native_batch_norm_backward


class StridedPass:
    """Forward and backward of a network with members, for batches of one size.

    Args:
        stacked: in training mode; its running statistics are moved by each forward pass.
        gradient: where to write gradients, (e, parameters of a member).
        batch: windows per member.
        dtype: of activations and products.
    """

    capturable = True  # by a CUDA graph

    def __init__(self, stacked: StackedTCN, gradient: Tensor, batch: int, dtype: torch.dtype) -> None:
        self.network = network = stacked.network
        self.noise_size = network.noise_size(batch) if network.dropout else 0
        self.dtype = dtype
        self.batch = batch
        self.layers = [layer for layer in network.layers if isinstance(layer, Layer)]
        of = {id(p): own for p, own in stacked.views_of(gradient)}
        self._head_gradients = of[id(network.head)], of[id(network.head_bias)]
        self._states = []
        rows = batch * network.receptive_field
        for layer in self.layers:
            rows //= layer.width
            own = {name: of[id(p)] for name, p in layer.named_parameters()}
            self._states.append(_LayerState(layer, own, rows, batch, dtype))
        self._scale = network.dropout_scale
        # the last residual block's output is the head's input; each block has an output of its own
        self._blocks = [torch.empty_like(state.y) for state in self._states[2::2]]
        self._head = torch.empty_like(network.head, dtype=dtype)

    @torch.no_grad()
    def forward(
        self,
        pose2d: Float[Tensor, "e b t j 2"],
        noise: Int16[Tensor, "e units"] | None,
        condition: Int64[Tensor, "e b"] | None = None,
        keys: Sequence[tuple[int, ...]] = (),
    ) -> Float[Tensor, "e b j2 3"]:
        """Lift the windows' target frames; see :meth:`TCN.forward` for the arguments. Keys are not needed."""
        del keys
        e, b = pose2d.shape[:2]
        network, states = self.network, self._states
        network.check_condition(condition)
        used = 0
        x = pose2d.to(self.dtype)

        def layer(index: int, x: Tensor) -> Tensor:
            nonlocal used
            state = states[index]
            units = state.z.shape[1] * network.channels
            drop = None if noise is None else noise[:, used : used + units]
            used += units
            return state.forward(x.reshape(e, state.z.shape[1], -1), drop, condition, self._scale, network)

        x = layer(0, x)
        for i, width in enumerate(network.widths[1:]):
            kept = self._kept(x, width)
            y = layer(2 * i + 2, layer(2 * i + 1, x))
            x = torch.add(kept, y, out=self._blocks[i])
        self._last = x
        self._head.copy_(network.head)
        out = torch.baddbmm(network.head_bias.to(self.dtype)[:, None], x, self._head)
        return out.to(network.head.dtype).reshape(e, b, -1, 3)

    @torch.no_grad()
    def backward(self, gradient: Float[Tensor, "e b j2 3"]) -> None:
        """Write the gradients of all parameters, given that of the forward pass's result."""
        network, states = self.network, self._states
        g = gradient.flatten(2).to(self.dtype)  # (e, b, j2 * 3)
        of_head, of_bias = self._head_gradients
        of_head.copy_((g.mT @ self._last).mT)  # this way round no large matrix is transposed
        torch.sum(gradient.flatten(2), dim=1, out=of_bias)
        g = g @ self._head.mT
        for i in reversed(range(len(network.widths) - 1)):
            narrow, wide = states[2 * i + 2], states[2 * i + 1]
            inner = narrow.backward(g, self._scale, into=narrow.dx)
            outer = wide.backward(inner, self._scale, into=wide.dx)
            rows = outer.reshape(outer.shape[0], -1, network.channels)
            self._kept(rows, network.widths[i + 1]).add_(g)
            g = rows
        states[0].backward(g, self._scale, into=None)

    def _kept(self, x: Tensor, width: int) -> Tensor:
        """The tap that a residual block keeps of its input (e, n * width, c): a view (e, n, c)."""
        return x.view(x.shape[0], -1, width, x.shape[2])[:, :, self.network.kept_tap(width)]


class _LayerState:
    """The buffers of one layer: what its backward pass needs of its forward pass, and where it writes."""

    def __init__(
        self, layer: Layer, gradients: Mapping[str, Tensor], rows: int, batch: int, dtype: torch.dtype
    ) -> None:
        e, k, c = layer.weight.shape
        make: dict[str, Any] = {"dtype": dtype, "device": layer.weight.device}
        self.layer = layer
        self.of_weight, self.of_gamma, self.of_beta = (gradients[name] for name in ("weight", "gamma", "beta"))
        self.z, self.y = torch.empty(e, rows, c, **make), torch.empty(e, rows, c, **make)
        self.dh, self.dx = torch.empty(e, rows, c, **make), torch.empty(e, rows, k, **make)
        self.weight, self.dw = torch.empty(e, k, c, **make), torch.empty(e, k, c, **make)
        self.scaled, self.mean, self.deviation = (torch.empty_like(layer.gamma) for _ in range(3))
        self.conditioning = None if layer.gain is None else _Conditioning(layer, gradients, self.y, batch)

    def forward(self, x: Tensor, noise: Tensor | None, condition: Tensor | None, scale: float, network: TCN) -> Tensor:
        layer = self.layer
        self.x = x
        self.weight.copy_(layer.weight)
        torch.bmm(x, self.weight, out=self.z)
        torch.mul(layer.gamma, scale, out=self.scaled)
        shift = layer.beta * scale
        normed = self.y if self.conditioning is None else self.conditioning.u
        for z, y, gamma, beta, mean, deviation in zip(
            self.z, normed, self.scaled, shift, self.mean, self.deviation, strict=True
        ):
            batch_norm(z, gamma, beta, None, None, True, 0.0, EPS, out=y, save_mean=mean, save_invstd=deviation)
        if self.conditioning is not None and condition is not None:
            self.conditioning.forward(condition, scale, into=self.y)
        self.y.clamp_min_(0)
        if noise is not None:
            bits = self.y.view(INTEGERS[self.y.element_size()])
            select.grad_input(bits, noise.reshape(bits.shape).to(bits.dtype), network.threshold, grad_input=bits)
        layer.track(self.mean, self.deviation, self.z.shape[1], network.batch_norm_momentum)
        return self.y

    def backward(self, dy: Tensor, scale: float, *, into: Tensor | None) -> Tensor:
        """The gradient of the layer's input, written ``into`` a buffer (not computed for None)."""
        select.grad_input(dy, self.y, 0, grad_input=self.dh)
        if self.conditioning is not None:
            self.conditioning.backward(self.dh, scale)
        for dh, z, gamma, mean, deviation, dgamma, dbeta in zip(
            self.dh, self.z, self.scaled, self.mean, self.deviation, self.of_gamma, self.of_beta, strict=True
        ):
            dz, dg, db = batch_norm_backward(dh, z, gamma, None, None, mean, deviation, True, EPS, [True, True, True])
            dh.copy_(dz)
            torch.mul(dg, scale, out=dgamma)
            torch.mul(db, scale, out=dbeta)
        torch.bmm(self.x.mT, self.dh, out=self.dw)
        self.of_weight.copy_(self.dw)
        return self.dh if into is None else torch.bmm(self.dh, self.weight.mT, out=into)


class _Conditioning:
    """The gain and bias of one layer, window by window: (e, b, rows of a window, c)."""

    def __init__(self, layer: Layer, gradients: Mapping[str, Tensor], like: Tensor, batch: int) -> None:
        assert layer.gain is not None
        assert layer.bias is not None
        self.gain, self.bias = layer.gain, layer.bias
        self.of_gain, self.of_bias = gradients["gain"], gradients["bias"]
        self.u, self._product = torch.empty_like(like), torch.empty_like(like)
        self._windows = (len(like), batch, -1, like.shape[2])

    def forward(self, condition: Tensor, scale: float, *, into: Tensor) -> None:
        self.condition = condition
        self.factor = (1 + per_condition(self.gain, condition)).to(into.dtype)[:, :, None]
        shift = (per_condition(self.bias, condition) * scale).to(into.dtype)[:, :, None]
        torch.addcmul(shift, self.u.view(self._windows), self.factor, out=into.view(self._windows))

    def backward(self, dh: Tensor, scale: float) -> None:
        """Write the gradients of gain and bias, and turn dh into du."""
        torch.mul(dh, self.u, out=self._product)
        for terms, gradient, factor in ((self._product, self.of_gain, 1.0), (dh, self.of_bias, scale)):
            of_window = terms.view(self._windows).sum(dim=2, dtype=gradient.dtype)
            gradient.zero_()
            for own, of_condition, part in zip(gradient, self.condition, of_window, strict=True):
                own.index_add_(0, of_condition, part, alpha=factor)
        dh.view(self._windows).mul_(self.factor)
