"""The temporal network for inference only: BatchNorm folded into the weights, no copies, no temporaries.

Why folding is exact: with frozen statistics BatchNorm is an affine map per channel, and an affine map after a linear
one is a linear one (up to float rounding)::

    gamma (x W - m) / sqrt(v + eps) + beta  =  x (W s) + (beta - m s)         s = gamma / sqrt(v + eps)

Rows are time-major, frame by frame and in a frame sequence by sequence, ``(t * b, c)``. The rows d frames later are
then a view that begins d * b rows further down, so that a dilated convolution of w taps is w products of shifted
views, added up in place::

    z = x[0:] W_0 + shift        z += x[d b:] W_1        ...        z += x[(w - 1) d b:] W_{w-1}

and several sequences cost what one of as many frames costs: no row is computed that mixes two of them.

Work is done in pieces, several short sequences or a part of a long one, through three buffers in turn. A part computes
up to R - 1 rows per layer more than it answers, R the receptive field, so small ones waste work, and large ones leave
the cache. On a core with 1 MiB of its own and 32 MiB of shared cache, microseconds a frame by outputs of a part::

    frames channels            512   1024   2048   4096   8192
        27      128 float32    3.5    3.4    3.3    3.3    3.7      (Conv1d network 5.2)
                    bfloat16   2.8    2.5    2.2    2.1    2.2
        27     1024 float32    190    193    192    192             (184: nothing but the products is left)
                    bfloat16    96     92     90     90
       243     1024 float32    486    440    412    395             (368)
                    bfloat16   234    203    186    184
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from actlift.errors import InputError
from actlift.models.checks import CheckedForm, check_dtype
from actlift.models.tcn import EPS, TCN, Layer

PIECE_ROWS = 4096
PIECE_ROWS_GPU = 1 << 18


@dataclass(frozen=True, eq=False)
class Affine:
    """A convolution: ``width`` taps, ``dilation`` frames apart, side by side times weight, plus shift.

    The weight lies in memory output by output, which suits products of few rows and does not hurt the others.
    """

    weight: Float[Tensor, "taps c"]
    shift: Float[Tensor, " c"]
    width: int = 1
    dilation: int = 1

    @classmethod
    def fold(cls, layer: Layer, dilation: int, dtype: torch.dtype) -> "Affine":
        """The convolution and the BatchNorm of a layer as one."""
        scale = layer.gamma.double() * torch.rsqrt(layer.running_var.double() + EPS)
        shift = layer.beta.double() - layer.running_mean.double() * scale
        weight = layer.weight.mT * scale.to(layer.weight.dtype)[:, None]
        return cls(weight.contiguous().to(dtype).mT, shift.to(dtype), layer.width, dilation)

    def rectified(self, x: Float[Tensor, "n c_in"], b: int, buffer: Float[Tensor, "size c"]) -> Float[Tensor, "n2 c"]:
        """ReLU of this, over the time-major rows of b sequences, at the start of a buffer."""
        step = self.dilation * b
        z = buffer[: len(x) - (self.width - 1) * step]
        first, *others = self.weight.chunk(self.width)
        torch.addmm(self.shift, x[: len(z)], first, out=z)
        for k, weight in enumerate(others, start=1):
            z.addmm_(x[k * step : k * step + len(z)], weight)
        return z.relu_()


@dataclass(frozen=True, eq=False)
class Block:
    """Two convolutions, and the tap of the first one's that the residual connection keeps."""

    wide: Affine
    narrow: Affine
    kept_tap: int


class FoldedTCN(CheckedForm):
    """A TCN in evaluation mode, frozen: later changes of the TCN do not reach it.

    In bfloat16 the ends stay in float32, keypoints, first layer and head: a keypoint rounded to 8 bits is off by up to
    2 pixels of 1000. That takes 3 % longer with 1024 channels and brings poses 2.6 times as close to float32's (a
    trained network of 27 frames and 128 channels: 0.4 instead of 1.0 mm on average).

    Args:
        network: one network, not a stack of them.
        dtype: float32 or bfloat16.

    Attributes:
        first, blocks, head: its layers.

    Raises:
        InputError: for a stack of networks, a network that takes conditions, or another dtype.
    """

    @torch.no_grad()
    def __init__(self, network: TCN, dtype: torch.dtype = torch.float32) -> None:
        if network.members is not None:
            raise InputError(f"this is a stack of {network.members} networks; fold one of them: member(stack, 0)")
        if network.conditions:
            raise InputError(
                f"this network takes one of {network.conditions} conditions: fold the network of one, or of none "
                "known: network.given(condition), network.given(network.conditions)"
            )
        check_dtype(dtype)
        self.joints_in = network.joints_in
        self.joints_out = network.joints_out
        self.trajectory = network.trajectory
        self.causal = network.causal
        self.channels = network.channels
        self.receptive_field = network.receptive_field
        self.dtype = dtype
        first, *others = (layer for layer in network.layers if isinstance(layer, Layer))
        self.first = Affine.fold(first, 1, torch.float32)
        self.blocks: list[Block] = []
        dilation = first.width
        for wide, narrow in zip(others[::2], others[1::2], strict=True):
            folded = Affine.fold(wide, dilation, dtype), Affine.fold(narrow, 1, dtype)
            self.blocks.append(Block(*folded, network.kept_tap(wide.width)))
            dilation *= wide.width
        self.head = Affine(network.head.float().mT.contiguous().mT, network.head_bias.float().clone())

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    @torch.no_grad()
    def __call__(self, pose2d: Float[Tensor, "*b t j 2"]) -> Float[Tensor, "*b t2 j2 3"]:
        """Lift whole sequences of one length, which may be any from the receptive field on.

        Args:
            pose2d: keypoints in screen units; one sequence, or several on leading axes.

        Returns:
            Root-relative joints in camera meters (then the root, where ``trajectory``), float32, t - R + 1 frames.

        Raises:
            InputError: for fewer frames than the receptive field, or another number of joints.
        """
        *lead, t, j, _ = pose2d.shape
        self.check_pose2d(pose2d)
        context = self.receptive_field - 1
        frames = t - context
        most = PIECE_ROWS if pose2d.device.type == "cpu" else PIECE_ROWS_GPU
        together = max(1, most // frames)  # sequences
        size = math.ceil(frames / math.ceil(frames / most))  # frames of a piece, all of about one size
        sequences = pose2d.reshape(math.prod(lead), t, j * 2).float()
        j2 = self.joints_out + self.trajectory
        out = sequences.new_empty(len(sequences), frames, j2 * 3)
        buffers = self._buffers((size + context) * min(together, len(sequences)))
        for i in range(0, len(sequences), together):
            x = sequences[i : i + together].transpose(0, 1)
            b = x.shape[1]
            rows = x.reshape(t * b, j * 2)
            for start in range(0, frames, size):
                stop = min(start + size, frames)
                y = self._piece(rows[start * b : (stop + context) * b], b, buffers)
                out[i : i + b, start:stop] = y.view(stop - start, b, -1).transpose(0, 1)
        return out.view(*lead, frames, j2, 3)

    def _buffers(self, rows: int) -> list[Tensor]:
        """For activations: of the first layer, which is float32, and two more."""
        like = self.head.weight
        return [like.new_empty(rows, self.channels, dtype=dtype) for dtype in (torch.float32, self.dtype, self.dtype)]

    def _piece(self, x: Float[Tensor, "n c_in"], b: int, buffers: list[Tensor]) -> Float[Tensor, "n2 c"]:
        """The network over the time-major rows of b sequences."""
        first, free, spare = buffers
        held = h = self.first.rectified(x, b, first).to(self.dtype)
        for block in self.blocks:
            z = block.wide.rectified(h, b, free)
            y = block.narrow.rectified(z, b, spare)
            start = block.kept_tap * block.wide.dilation * b
            y += h[start : start + len(y)]
            h, held, spare = y, spare, held
        return torch.addmm(self.head.shift, h.float(), self.head.weight)


class Convolutions(nn.Module):
    """A folded network from convolutions over time, which exporters and runtimes know best."""

    def __init__(self, folded: FoldedTCN) -> None:
        super().__init__()
        self.first = _convolution(folded.first)
        self.wide = nn.ModuleList(_convolution(block.wide) for block in folded.blocks)
        self.narrow = nn.ModuleList(_convolution(block.narrow) for block in folded.blocks)
        self.head = _convolution(folded.head)
        self.kept = [block.kept_tap * block.wide.dilation for block in folded.blocks]

    def forward(self, pose2d: Tensor) -> Tensor:
        x = pose2d.flatten(2).transpose(1, 2)  # (b, c, t)
        x = torch.relu(self.first(x))
        for wide, narrow, kept in zip(self.wide, self.narrow, self.kept, strict=True):
            y = torch.relu(wide(x))
            x = x[:, :, kept : kept + y.shape[2]] + torch.relu(narrow(y))
        out: Tensor = self.head(x).transpose(1, 2).unflatten(2, (-1, 3))
        return out


def _convolution(affine: Affine) -> nn.Conv1d:
    k, c = affine.weight.shape
    result = nn.Conv1d(k // affine.width, c, affine.width, dilation=affine.dilation)
    result.weight = nn.Parameter(affine.weight.reshape(affine.width, -1, c).permute(2, 1, 0).cpu().contiguous())
    result.bias = nn.Parameter(affine.shift.cpu())
    return result
