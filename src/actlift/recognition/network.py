"""The action recognizer: statistics of a window of poses, and a small network from these to logits of actions.

What it sees of a frame changes neither with where a person stands in the image nor with how large: joints about the
root in units of the person's extent, directions of bones, and velocities of joints in extents per second, which makes
them comparable across frame rates. The extent is the mean bone length of that very frame, projected where the points
are: one joint gone astray moves it little, and a stream is treated as a recording is. Points may be 2D keypoints or 3D
joints in the camera's frame of reference; a recognizer that is given both has their features side by side.

Of each feature it sees the mean and the logarithm of the standard deviation over a window about the frame (statistics
pooling: Snyder et al. 2018, "X-vectors: robust DNN embeddings for speaker recognition", section 2.1), which forget the
order in which things happened. On these runs one hidden layer, the trunk of the lifter with a width of one
(:class:`actlift.models.tcn.TCN`).
"""

import torch
from jaxtyping import Float, Int16
from torch import Tensor, nn

from actlift.errors import InputError
from actlift.geometry.skeleton import H36M_17, Skeleton
from actlift.models.tcn import TCN

SMALLEST = 1e-6  # screen units or meters; keeps features finite where all joints fall together
FARTHEST = 5.0  # standard deviations from the center; statistics beyond are drawn in
STILL = 1e-2  # added to standard deviations, in units of the features; below, nothing is told from noise


class RecognizerNetwork(nn.Module):
    """From statistics of windows to logits: ``(n, features, 2) -> (n, actions)``.

    Args:
        actions: how many there are.
        receptive_field: frames of a window.
        channels: of the hidden layer.
        causal: windows end with their frame, which else is in their middle.
        lifted: sees 3D joints beside 2D keypoints.
        dropout: probability.
        skeleton: of keypoints and joints.

    Attributes:
        center, scale: (features, 2) mean and standard deviation of the statistics that it learnt from.

    Raises:
        InputError: for fewer than two actions, a window of no frames, or what makes no trunk.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        actions: int,
        receptive_field: int = 81,
        channels: int = 128,
        *,
        causal: bool = False,
        lifted: bool = False,
        dropout: float = 0.5,
        skeleton: Skeleton = H36M_17,
    ) -> None:
        super().__init__()
        if actions < 2:
            raise InputError(f"there is nothing to tell apart among {actions} actions: give at least 2")
        if receptive_field < 1:
            raise InputError(f"a window has at least 1 frame, got {receptive_field}")
        self.actions = actions
        self.receptive_field = receptive_field
        self.causal = causal
        self.lifted = lifted
        self.skeleton = skeleton
        count = (2 * len(skeleton) + len(skeleton.bones)) * (5 if lifted else 2)
        self.register_buffer("center", torch.zeros(count, 2))
        self.register_buffer("scale", torch.ones(count, 2))
        self.trunk = TCN(
            (1,),
            channels,
            joints_in=count,  # a statistic has two coordinates, as a keypoint has
            joints_out=-(-actions // 3),  # the trunk answers in threes; those too many are left out
            dropout=dropout,
        )

    def forward(
        self, described: Float[Tensor, "*e b features 2"], noise: Int16[Tensor, "*e units"] | None = None
    ) -> Float[Tensor, "*e b actions"]:
        """Logits of windows.

        Args:
            described: their statistics.
            noise: of dropout, as :meth:`TCN.forward` takes it.
        """
        standard = ((described - self.center) / self.scale).clamp(-FARTHEST, FARTHEST)
        logits: Tensor = self.trunk(standard.unsqueeze(-3), noise)
        return logits.flatten(-3)[..., : self.actions]


def features(
    points: Float[Tensor, "*n t j axes"], fps: float, skeleton: Skeleton = H36M_17
) -> Float[Tensor, "*n t2 features axes"]:
    """What is seen of every frame but the first: joints about the root, bone directions, velocities.

    Args:
        points: 2D keypoints or 3D joints.
        fps: frames per second.

    Raises:
        InputError: for a frame rate that is not positive.
    """
    if not fps > 0:
        raise InputError(f"velocities need a positive number of frames per second, got {fps}")
    children, parents = (list(ends) for ends in zip(*skeleton.bones, strict=True))
    now = points[..., 1:, :, :]
    bones = now[..., children, :] - now[..., parents, :]
    length = bones.norm(dim=-1, keepdim=True)
    extent = length.mean(dim=-2, keepdim=True).clamp_min(SMALLEST)
    joints = (now - now[..., skeleton.root, None, :]) / extent
    velocities = (now - points[..., :-1, :, :]) * fps / extent
    return torch.cat([joints, bones / length.clamp_min(SMALLEST), velocities], dim=-2)


def statistics(
    each: Float[Tensor, "*n t features"], receptive_field: int, *, causal: bool = False
) -> Float[Tensor, "*n t features 2"]:
    """Mean and logarithm of the standard deviation of each feature over the window of every frame.

    Windows have their frame in the middle (the later of the two, where there are two) or, where causal, at their end.
    They end where the sequence does.
    """
    t = each.shape[-2]
    frames = torch.arange(t, device=each.device)
    first = frames - (receptive_field - 1 if causal else receptive_field // 2)
    start, stop = first.clamp_min(0), (first + receptive_field).clamp_max(t)

    def mean(x: Tensor) -> Tensor:
        sums = torch.nn.functional.pad(x, (0, 0, 1, 0)).cumsum(dim=-2)
        return (sums[..., stop, :] - sums[..., start, :]) / (stop - start)[:, None]

    x = each.double()
    center = mean(x)
    spread = (mean(x * x) - center * center).clamp_min(0).sqrt()
    return torch.stack([center, (spread + STILL).log()], dim=-1).to(each.dtype)
