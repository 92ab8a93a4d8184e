"""The options of a training: device, precision and what is minimized; nothing here needs torch."""

from dataclasses import dataclass
from typing import Literal

from actlift.errors import InputError

Precision = Literal["auto", "float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]
JointWeights = Literal["equal", "extremities"]


@dataclass(frozen=True)
class Loss:
    """What training minimizes: the mean distance of joints, and what is added to it.

    Attributes:
        velocity: weight of the mean distance between the predicted and the true step from a frame to the next, in the
            same unit (as in Zhang et al. 2022, "MixSTE"). A batch then holds pairs of neighboring frames, so half as
            many different ones.
        joints: weights of joints in the mean distance. equal; or extremities: trunk 1, head 1.5, elbows and knees 2.5,
            wrists and ankles 4 (Zhang et al. 2022), brought to a mean of 1.
    """

    velocity: float = 0.0
    joints: JointWeights = "equal"

    def __post_init__(self) -> None:
        if not self.velocity >= 0:
            raise InputError(f"the weight of the velocity loss is 0 or more, got {self.velocity}")

    @property
    def plain(self) -> bool:
        """Whether it is the mean distance alone."""
        return self == Loss()
