"""A lifter of another kind than convolutions over whole frames: joints are mixed by a small perceptron over the joint
axis (as tokens are in Tolstikhin et al. 2021, "MLP-Mixer"; for motion in Bouazizi et al. 2022, "MotionMixer"), and time
by a convolution of each channel alone, dilated as in Pavllo et al. 2019.

A block with a temporal width of w and a dilation of d, on tokens x (b, t, j, c)::

    x = x + P2 gelu(P1 n(x))                    over joints       n: layer normalization
    y = sum_k x[t + k d] * W_k                  over time         W_k one weight a channel
    x = x[middle] + M2 gelu(M1 n(y))            over channels     middle: the kept tap (the last where causal)

Conditions scale and shift every normalization's output (FiLM: Perez et al. 2018). All is valid over time, so that any
number of frames from the receptive field on is lifted.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import gelu

from actlift.errors import InputError
from actlift.models.options import widths_of


class _Norm(nn.Module):
    """Layer normalization over channels, scaled and shifted by the condition."""

    def __init__(self, channels: int, conditions: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.film = nn.Parameter(torch.zeros(conditions + 1, 2, channels)) if conditions else None

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        y: Tensor = self.norm(x)
        if self.film is None or condition is None:
            return y
        gain, bias = self.film[condition][:, :, None, None].unbind(1)  # (b, 1, 1, c)
        return y * (1 + gain) + bias


class _Block(nn.Module):
    def __init__(
        self, width: int, dilation: int, kept: int, joints: int, channels: int, dropout: float, conditions: int
    ) -> None:
        super().__init__()
        self.width, self.dilation, self.kept = width, dilation, kept
        self.over_joints = _Norm(channels, conditions)
        self.joints_in, self.joints_out = nn.Linear(joints, 2 * joints), nn.Linear(2 * joints, joints)
        self.taps = nn.Parameter(torch.randn(width, channels) / width)
        self.over_channels = _Norm(channels, conditions)
        self.channels_in, self.channels_out = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "b t j c"], condition: Tensor | None) -> Float[Tensor, "b t2 j c"]:
        mixed = self.joints_out(gelu(self.joints_in(self.over_joints(x, condition).mT))).mT
        x = x + self.dropout(mixed)
        t2 = x.shape[1] - (self.width - 1) * self.dilation
        shifted = [x[:, k * self.dilation : k * self.dilation + t2] for k in range(self.width)]
        y = torch.stack([part * tap for part, tap in zip(shifted, self.taps, strict=True)]).sum(dim=0)
        y = self.channels_out(gelu(self.channels_in(self.over_channels(y, condition))))
        result: Tensor = shifted[self.kept] + self.dropout(y)
        return result


class JointMixer(nn.Module):
    """Lifter of joint mixing and separable temporal convolutions; see the module.

    Args:
        receptive_field: 1, 3, 9, 27, 81 or 243 frames.
        channels: of each joint's token.
        joints_in, joints_out, causal, dropout, trajectory, conditions: as of :class:`actlift.models.tcn.TCN`.

    Raises:
        InputError: for a receptive field that is not known by name, no channel, a negative number of conditions, or a
            dropout outside [0, 1).
    """

    def __init__(
        self,
        receptive_field: int = 27,
        channels: int = 48,
        *,
        joints_in: int = 17,
        joints_out: int = 17,
        causal: bool = False,
        dropout: float = 0.1,
        trajectory: bool = False,
        conditions: int = 0,
    ) -> None:
        super().__init__()
        widths: Sequence[int] = widths_of(receptive_field)
        if channels < 1 or conditions < 0 or not 0 <= dropout < 1:
            raise InputError(
                f"wanted at least 1 channel, 0 conditions and a dropout in [0, 1), got {channels}, {conditions} and "
                f"{dropout}"
            )
        self.receptive_field, self.channels = receptive_field, channels
        self.joints_in, self.joints_out = joints_in, joints_out
        self.causal, self.trajectory, self.conditions, self.dropout = causal, trajectory, conditions, dropout
        self.embed = nn.Linear(2, channels)
        self.place = nn.Parameter(torch.randn(joints_in, channels) * 0.1)
        self.blocks = nn.ModuleList(
            _Block(
                width,
                math.prod(widths[:i]),
                width - 1 if causal else width // 2,
                joints_in,
                channels,
                dropout,
                conditions,
            )
            for i, width in enumerate(widths)
        )
        self.last = _Norm(channels, conditions)
        self.head = nn.Linear(joints_in * channels, (joints_out + trajectory) * 3)

    @property
    def keywords(self) -> dict[str, Any]:
        """What makes a network like this one."""
        return {
            "receptive_field": self.receptive_field,
            "channels": self.channels,
            "joints_in": self.joints_in,
            "joints_out": self.joints_out,
            "causal": self.causal,
            "dropout": self.dropout,
            "trajectory": self.trajectory,
            "conditions": self.conditions,
        }

    def forward(
        self, pose2d: Float[Tensor, "b t j 2"], *, condition: Int64[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b t2 j2 3"]:
        """Lift windows or whole sequences; see :class:`actlift.models.base.Lifter`.

        Args:
            pose2d: keypoints in screen units, at least the receptive field of frames.
            condition: of each sequence, where the network takes conditions; ``conditions`` is "unknown".
        """
        x = self.embed(pose2d) + self.place
        for block in self.blocks:
            x = block(x, condition)
        poses: Tensor = self.head(self.last(x, condition).flatten(2))
        return poses.view(*poses.shape[:2], -1, 3)
