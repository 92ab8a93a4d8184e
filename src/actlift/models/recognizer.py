"""The action recogniser: a temporal convolution network from windows of 2D keypoints to logits of actions.

What it sees of a frame changes neither with where a person stands in the image nor with how large: joints about the
root in units of the person's extent, directions of bones, and velocities of joints in extents per second, which makes
them comparable across frame rates. The extent is the mean projected bone length of that very frame: one joint gone
astray moves it little, and a stream is treated as a recording is.

On these features runs the trunk of the lifter, :class:`actlift.models.tcn.TCN`. A velocity takes two frames, so the
receptive field is the trunk's and the frame before it: 28, 82 or 244 frames.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int16
from torch import Tensor, nn

from actlift.models.tcn import TCN
from actlift.skeleton import H36M_17, Skeleton

SMALLEST = 1e-6  # screen units; keeps features finite where all joints fall together


class Recognizer(nn.Module):
    """A valid temporal filter from keypoints to logits: ``(b, t, j, 2) -> (b, t - R + 1, actions)``.

    It strides where t == R and dilates otherwise, to the same numbers. The logits belong to the later of the
    two middle frames (R is even); to the last frame where causal.

    Args:
        actions: how many there are.
        widths, channels, causal, dropout, members: of the trunk.
        skeleton: of the keypoints.

    Raises:
        ValueError: for fewer than two actions, or what makes no trunk.
    """

    def __init__(
        self,
        actions: int,
        widths: Sequence[int] = (3, 3, 3, 3),
        channels: int = 128,
        *,
        causal: bool = False,
        dropout: float = 0.25,
        skeleton: Skeleton = H36M_17,
        members: int | None = None,
    ) -> None:
        super().__init__()
        if actions < 2:
            raise ValueError(f"there is nothing to tell apart among {actions} actions: give at least 2")
        self.actions = actions
        self.skeleton = skeleton
        self.trunk = TCN(
            widths,
            channels,
            joints_in=2 * len(skeleton) + len(skeleton.bones),
            joints_out=-(-actions // 3),  # the trunk answers in threes; those too many are left out
            causal=causal,
            dropout=dropout,
            members=members,
        )

    @property
    def receptive_field(self) -> int:
        return self.trunk.receptive_field + 1

    def forward(
        self, pose2d: Float[Tensor, "*e b t j 2"], fps: float, noise: Int16[Tensor, "*e units"] | None = None
    ) -> Float[Tensor, "*e b t2 actions"]:
        """Logits of windows or whole sequences.

        Args:
            pose2d: keypoints in screen units.
            fps: frames per second.
            noise: of dropout, as :meth:`TCN.forward` takes it.

        Raises:
            ValueError: for fewer frames than the receptive field, another number of joints, or no frame rate.
        """
        t, j = pose2d.shape[-3:-1]
        if j != len(self.skeleton):
            raise ValueError(f"this recogniser takes {len(self.skeleton)} joints, got {j}: remap the keypoints first")
        if t < self.receptive_field:
            raise ValueError(
                f"this recogniser needs at least its receptive field of {self.receptive_field} frames, got {t}: "
                "pad the sequence (Recognized does)"
            )
        logits: Tensor = self.trunk(features(pose2d, fps, self.skeleton), noise)
        return logits.flatten(-2)[..., : self.actions]


def features(
    pose2d: Float[Tensor, "*n t j 2"], fps: float, skeleton: Skeleton = H36M_17
) -> Float[Tensor, "*n t2 features 2"]:
    """What the trunk sees of every frame but the first: joints about the root, bone directions, velocities.

    Raises:
        ValueError: for a frame rate that is not positive.
    """
    if not fps > 0:
        raise ValueError(f"velocities need a positive number of frames per second, got {fps}")
    children, parents = (list(ends) for ends in zip(*skeleton.bones, strict=True))
    now = pose2d[..., 1:, :, :]
    bones = now[..., children, :] - now[..., parents, :]
    length = bones.norm(dim=-1, keepdim=True)
    extent = length.mean(dim=-2, keepdim=True).clamp_min(SMALLEST)
    joints = (now - now[..., skeleton.root, None, :]) / extent
    velocities = (now - pose2d[..., :-1, :, :]) * fps / extent
    return torch.cat([joints, bones / length.clamp_min(SMALLEST), velocities], dim=-2)
