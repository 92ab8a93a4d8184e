"""The block of the temporal network: GEMM, BatchNorm, ReLU, dropout, with forward and backward written out.

In rows layout an activation is a matrix of rows (one per time step of each window) by channels, and a convolution is a
GEMM. All arrays may carry one leading axis of members: networks of one shape that are trained side by side.

Forward, over the n rows of a member (sums and means run over rows)::

    z = x W                          x (n, k)   W (k, c)
    m = mean z     s = 1 / sqrt(var z + eps)                          (biased variance)
    h = gamma (z - m) s + beta
    y = max(h, 0) * keep / (1 - p)                                    keep in {0, 1}

Backward, given dL/dy. Since y > 0 exactly where h > 0 and keep = 1, the mask need not be stored::

    dh = [y > 0] dy / (1 - p)
    dbeta = sum dh     dgamma = sum dh (z - m) s
    dz = gamma s (dh - dbeta / n - (z - m) s dgamma / n)              (Ioffe & Szegedy 2015, section 3)
    dx = dz W^T        dW = x^T dz

``x`` may be bfloat16 (the products then run in bfloat16 with float32 accumulation) while ``W``, ``gamma`` and ``beta``
stay float32 masters; statistics are accumulated in float32 by torch's channels-last BatchNorm kernels.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

EPS = 1e-5


def keep_threshold(dropout: float) -> int:
    """Dropout by bytes: a unit is dropped where its random byte is below this. Dropout moves in steps of 1/256."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is a probability in [0, 1), got {dropout}")
    return round(dropout * 256)


class TrainBlock(torch.autograd.Function):
    """The training-mode block; returns the activation and the batch statistics (mean, inverse deviation)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "*e n k"],
        weight: Float[Tensor, "*e k c"],
        gamma: Float[Tensor, "*e c"],
        beta: Float[Tensor, "*e c"],
        noise: UInt8[Tensor, "*e n c"] | None,
        threshold: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        w = weight.to(x.dtype)
        z = x @ w
        y = torch.empty_like(z)
        mean = torch.empty_like(gamma)
        inverse_deviation = torch.empty_like(gamma)
        scale = 256 / (256 - threshold)
        for zi, yi, gi, bi, mi, si in _members(z, y, gamma, beta, mean, inverse_deviation):
            h, m, s = torch.native_batch_norm(zi, gi, bi, None, None, True, 0.0, EPS)
            torch.clamp_min(h, 0, out=yi)
            mi.copy_(m)
            si.copy_(s)
        if noise is not None and threshold:
            y.mul_(noise >= threshold).mul_(scale)
        else:
            scale = 1.0
        ctx.save_for_backward(x, w, z, y, gamma, mean, inverse_deviation)
        ctx.scale = scale
        ctx.mark_non_differentiable(mean, inverse_deviation)
        return y, mean, inverse_deviation

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _mean: Tensor, _deviation: Tensor) -> tuple[Tensor | None, ...]:
        x, w, z, y, gamma, mean, inverse_deviation = ctx.saved_tensors
        dh = torch.where(y > 0, dy * ctx.scale, 0)
        dz = torch.empty_like(z)
        dgamma = torch.empty_like(gamma)
        dbeta = torch.empty_like(gamma)
        for dhi, zi, gi, mi, si, dzi, dgi, dbi in _members(dh, z, gamma, mean, inverse_deviation, dz, dgamma, dbeta):
            a, b, c = torch.ops.aten.native_batch_norm_backward(
                dhi, zi, gi, None, None, mi, si, True, EPS, [True, True, True]
            )
            dzi.copy_(a)
            dgi.copy_(b)
            dbi.copy_(c)
        dx = dz @ w.mT if ctx.needs_input_grad[0] else None
        dw = (x.mT @ dz).to(gamma.dtype)
        return dx, dw, dgamma, dbeta, None, None


def train_block(
    x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor, noise: Tensor | None, threshold: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Apply :class:`TrainBlock`: activation, batch mean, inverse batch deviation.

    ``noise`` holds a random byte per unit of the activation; a unit is dropped where its byte is below ``threshold``.
    """
    result: tuple[Tensor, Tensor, Tensor] = TrainBlock.apply(x, weight, gamma, beta, noise, threshold)  # type: ignore[no-untyped-call]
    return result


def _members(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The members' slices side by side; a network without a members axis is one member."""
    if tensors[0].ndim == 2:
        return zip(*((t,) for t in tensors), strict=True)
    return zip(*tensors, strict=True)
