"""The temporal network frame by frame: a new frame costs one row per layer, not a receptive field.

A convolution of w taps that lie d frames apart needs, for a new row, its inputs of now, d frames ago, 2 d frames ago,
and so on. Each convolution keeps its inputs in a ring of d phases with w slots each: frame t lies in phase t mod d, and
there in slot floor(t / d) mod w, so that one phase holds the taps of one output. Each phase is kept twice, end to end,
here for w = 3 (in units of d frames)::

    slot       0   1   2   0   1   2
    frame      6   7   5   6   7   5          7 has just been written, to both slots 1
                       '---------'            its taps, oldest first: always one unbroken run

A row of a layer is then one product of that run, a view made beforehand, with the layer's weight, whatever the frame;
several streams are as many rows. Before a stream's first frame lie copies of it, which is how sequences are padded
(:mod:`actlift.lifting.predict`): a constant sequence has constant activations, so its first row of each layer fills
the ring.

A frame reads all weights once, and where these outgrow the cache (34 MB in float32 for 27 frames of 1024 channels)
that is what takes the time; bfloat16 halves it. In smaller networks the calls do, and float32 is faster: a frame on one
core took 0.05 ms in float32 and 0.14 in bfloat16 with 128 channels, 2.1 and 1.5 ms with 1024.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from actlift.models.tcn_inference import Affine, FoldedTCN


class Rings:
    """Cached activations of several streams; see :class:`actlift.models.base.Stepper`.

    Args:
        network: the folded network.
        rows: streams.
    """

    def __init__(self, network: FoldedTCN, rows: int) -> None:
        self._network = network
        self._first = _Ring(rows, network.first, 0)
        self._rings = [_Ring(rows, block.wide, block.kept_tap) for block in network.blocks]
        like = network.head.weight
        self._expanded = like.new_empty(rows, network.channels)
        self._z, self._y = like.new_empty(2, rows, network.channels, dtype=network.dtype)
        self._last = self._z.new_empty(rows, 2, network.channels)
        self._out = like.new_empty(rows, like.shape[1])
        self._time = 0

    def push(self, frame: Float[Tensor, "n j 2"], begun: Int[Tensor, " k"] | None) -> Float[Tensor, "n j2 3"]:
        """The poses of the windows that end with these frames; see :class:`actlift.models.base.Stepper`."""
        network, time = self._network, self._time
        views = [ring.views[time % len(ring.views)] for ring in self._rings]
        targets = [*(view.slot for view in views), self._last]  # what each block reads, and the head

        first = self._first.views[time % len(self._first.views)]
        first.slot.copy_(frame.flatten(1)[:, None])
        self._first.fill(begun, first)
        torch.addmm(network.first.shift, first.taps, network.first.weight, out=self._expanded).relu_()
        targets[0].copy_(self._expanded[:, None])
        for block, ring, view, target in zip(network.blocks, self._rings, views, targets[1:], strict=True):
            ring.fill(begun, view)
            torch.addmm(block.wide.shift, view.taps, block.wide.weight, out=self._z).relu_()
            torch.addmm(block.narrow.shift, self._z, block.narrow.weight, out=self._y).relu_()
            torch.add(view.kept, self._y[:, None].expand_as(target), out=target)
        self._time += 1
        torch.addmm(network.head.shift, self._last[:, 0].float(), network.head.weight, out=self._out)
        return self._out.view(len(self._out), -1, 3)

    def replay(self, frames: Float[Tensor, "t n j 2"]) -> None:
        """Take a receptive field of frames at once, without their poses; rings are filled layer by layer."""
        network, n = self._network, frames.shape[1]

        def layer(affine: Affine, rows: Float[Tensor, "m c"]) -> Float[Tensor, "m2 c2"]:
            return affine.rectified(rows, n, rows.new_empty(len(rows), network.channels))

        rows = frames.flatten(0, 1).flatten(1)  # frame by frame and in a frame stream by stream
        self._first.remember(rows)
        rows = layer(network.first, rows).to(network.dtype)
        for block, ring in zip(network.blocks, self._rings, strict=True):
            ring.remember(rows)
            y = layer(block.narrow, layer(block.wide, rows))
            kept = rows[block.kept_tap * block.wide.dilation * n :]
            rows = y.add_(kept[: len(y)])
        self._time = 0


class _View(NamedTuple):
    """Where the frame of one time is written, twice, what its product reads, and what the residual connection keeps."""

    slot: Tensor  # (n, 2, c)
    taps: Tensor  # (n, width * c)
    kept: Tensor  # (n, 2, c), one row seen twice


class _Ring:
    """The inputs of one convolution, as the module's docstring draws them."""

    def __init__(self, rows: int, layer: Affine, kept_tap: int) -> None:
        width, dilation = layer.width, layer.dilation
        c = layer.weight.shape[0] // width
        self.memory = torch.zeros(rows, dilation, 2, width, c, dtype=layer.weight.dtype, device=layer.weight.device)
        runs = self.memory.view(rows, dilation, 2 * width, c)
        self.views = []  # by time modulo width * dilation
        for slot in range(width):
            for phase in range(dilation):
                taps = runs[:, phase, slot + 1 : slot + 1 + width]
                kept = taps[:, kept_tap, None].expand(rows, 2, c)
                self.views.append(_View(self.memory[:, phase, :, slot], taps.view(rows, width * c), kept))

    def remember(self, rows: Float[Tensor, "n c"]) -> None:
        """Hold these time-major rows as those of the last frames before time 0."""
        n, dilation, _, width, c = self.memory.shape
        frames = rows.view(-1, n, c)[-width * dilation :]
        time = torch.arange(-len(frames), 0, device=frames.device)
        slot = time.div(dilation, rounding_mode="floor") % width
        self.memory[:, time % dilation, :, slot] = frames[:, :, None]

    def fill(self, rows: Int[Tensor, " n"] | None, view: _View) -> None:
        """Copy what was just written for these rows to every slot, as if it had always been so."""
        if rows is not None:
            self.memory[rows] = view.slot[rows, 0, None, None, None]
