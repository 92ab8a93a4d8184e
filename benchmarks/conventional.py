"""The conventional implementation that actlift is measured against, written from the published description
(Pavllo et al. 2019, sections 3 and 5): convolution layers over time, a Python loop over the samples of a batch, padding
chunk by chunk, one sequence at a time at evaluation. It is what most projects in the field do. Only benchmarks and
tests use it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from actlift.models.tcn import TCN


class ConvolutionalTCN(nn.Module):
    """The temporal network from ``Conv1d``, ``BatchNorm1d``, ``ReLU`` and ``Dropout``.

    With ``strided`` it is the training form for inputs of one receptive field, otherwise the dilated form.
    (b, t, j, 2) -> (b, t - R + 1, j, 3).
    """

    def __init__(
        self, widths: Sequence[int], channels: int, *, joints: int = 17, dropout: float = 0.25, strided: bool = False
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.strided = strided
        self.joints = joints
        self.drop = nn.Dropout(dropout)
        self.expand = nn.Conv1d(joints * 2, channels, widths[0], stride=widths[0] if strided else 1, bias=False)
        self.expand_norm = nn.BatchNorm1d(channels)
        self.wide, self.narrow, self.wide_norms, self.narrow_norms = (nn.ModuleList() for _ in range(4))
        dilation = widths[0]
        for width in widths[1:]:
            steps = {"stride": width} if strided else {"dilation": dilation}
            self.wide.append(nn.Conv1d(channels, channels, width, bias=False, **steps))
            self.narrow.append(nn.Conv1d(channels, channels, 1, bias=False))
            self.wide_norms.append(nn.BatchNorm1d(channels))
            self.narrow_norms.append(nn.BatchNorm1d(channels))
            dilation *= width
        self.shrink = nn.Conv1d(channels, joints * 3, 1)

    def forward(self, pose2d: Tensor) -> Tensor:
        b, t = pose2d.shape[:2]
        x = pose2d.reshape(b, t, -1).permute(0, 2, 1)
        x = self.drop(torch.relu(self.expand_norm(self.expand(x))))
        dilation = self.widths[0]
        for i, width in enumerate(self.widths[1:]):
            if self.strided:
                kept = x[:, :, width // 2 :: width]
            else:
                side = width // 2 * dilation
                kept = x[:, :, side : x.shape[2] - side]
            x = self.drop(torch.relu(self.wide_norms[i](self.wide[i](x))))
            x = kept + self.drop(torch.relu(self.narrow_norms[i](self.narrow[i](x))))
            dilation *= width
        return self.shrink(x).permute(0, 2, 1).reshape(b, -1, self.joints, 3)

    def load_rows(self, network: TCN) -> "ConvolutionalTCN":
        """Take over the weights and statistics of actlift's network."""
        self._exchange(network, give=False)
        return self

    def give_rows(self, network: TCN) -> TCN:
        """Hand weights and statistics to actlift's network of the same shape, and give it back."""
        self._exchange(network, give=True)
        return network

    @torch.no_grad()
    def _exchange(self, network: TCN, *, give: bool) -> None:
        convolutions = [self.expand, *(m for pair in zip(self.wide, self.narrow, strict=True) for m in pair)]
        norms = [self.expand_norm, *(m for pair in zip(self.wide_norms, self.narrow_norms, strict=True) for m in pair)]
        pairs = [(self.shrink.weight, network.head.mT[..., None]), (self.shrink.bias, network.head_bias)]
        for layer, convolution, norm in zip(network.layers, convolutions, norms, strict=True):
            c_out, c_in, width = convolution.weight.shape
            pairs.append((convolution.weight, layer.weight.view(width, c_in, c_out).permute(2, 1, 0)))
            pairs += [(norm.weight, layer.gamma), (norm.bias, layer.beta)]
            pairs += [(norm.running_mean, layer.running_mean), (norm.running_var, layer.running_var)]
        for mine, theirs in pairs:
            theirs.copy_(mine) if give else mine.copy_(theirs)


def assemble(
    sequences: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    picks: Sequence[tuple[int, int, bool]],
    receptive_field: int,
    mirror: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """One batch by a loop over its samples: (sequence, frame, flip) each, padded by repeating the end frames."""
    pad = receptive_field // 2
    swap = list(mirror)
    pose2d = np.empty((len(picks), receptive_field, *sequences[0].shape[1:]), np.float32)
    pose3d = np.empty((len(picks), *targets[0].shape[1:]), np.float32)
    for n, (index, frame, flip) in enumerate(picks):
        sequence = sequences[index]
        first, last = frame - pad, frame + pad + 1
        low, high = max(first, 0), min(last, len(sequence))
        part = sequence[low:high]
        if low != first or high != last:
            part = np.pad(part, ((low - first, last - high), (0, 0), (0, 0)), "edge")
        pose2d[n] = part
        pose3d[n] = targets[index][frame]
        if flip:
            pose2d[n, :, :, 0] *= -1
            pose2d[n] = pose2d[n][:, swap]
            pose3d[n, :, 0] *= -1
            pose3d[n] = pose3d[n][swap]
    return pose2d, pose3d - pose3d[:, :1]


@torch.no_grad()
def evaluate_one_by_one(
    network: nn.Module, sequences: Sequence[np.ndarray], receptive_field: int, mirror: Sequence[int]
) -> list[np.ndarray]:
    """Every sequence alone, padded at its ends, averaged with the mirrored one in a batch of two."""
    pad = receptive_field // 2
    swap = list(mirror)
    poses = []
    for sequence in sequences:
        padded = np.pad(sequence, ((pad, pad), (0, 0), (0, 0)), "edge")
        mirrored = padded[:, swap].copy()
        mirrored[..., 0] *= -1
        both = network(torch.from_numpy(np.stack([padded, mirrored])))
        back = both[1][:, swap].clone()
        back[..., 0] *= -1
        poses.append(((both[0] + back) / 2).numpy())
    return poses
