"""What every inference form refuses, whatever its architecture."""

import torch
from jaxtyping import Float
from torch import Tensor

from actlift.errors import InputError


def check_dtype(dtype: torch.dtype) -> None:
    """Refuse products of another dtype than float32 and bfloat16."""
    if dtype not in (torch.float32, torch.bfloat16):
        raise InputError(f"inference runs in torch.float32 or torch.bfloat16, got {dtype}")


class CheckedForm:
    """What an inference form takes, held against what it is given."""

    receptive_field: int
    joints_in: int

    def check_joints(self, joints: int) -> None:
        """Refuse keypoints of another number of joints."""
        if joints != self.joints_in:
            raise InputError(f"this network takes {self.joints_in} joints, got {joints}: remap the keypoints first")

    def check_pose2d(self, pose2d: Float[Tensor, "*b t j 2"]) -> None:
        """Refuse sequences of another number of joints, or of fewer frames than the receptive field."""
        frames, joints = pose2d.shape[-3:-1]
        self.check_joints(joints)
        if frames < self.receptive_field:
            raise InputError(
                f"this network needs at least its receptive field of {self.receptive_field} frames, got {frames}: "
                "pad the sequence (actlift.lifting.predict.lift does)"
            )
