"""Keypoints2D: what a camera saw of a person, and nothing of what is true. Predictors take these."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from actlift.geometry.camera import Camera


@dataclass(frozen=True, eq=False)
class Keypoints2D:
    """2D keypoints of one person over time, as one camera saw them.

    Attributes:
        pose2d: (t, 17, 2) in screen units (see `Camera.px_to_screen`), joints in the order of `H36M_17`.
        confidence: (t, 17) of each keypoint, 0 to 1; 1 for exact ones.
        fps: frames per second.
        camera: who saw it, as far as that is known.
    """

    pose2d: Float[np.ndarray, "t 17 2"] = field(repr=False)
    confidence: Float[np.ndarray, "t 17"] = field(repr=False)
    fps: float
    camera: Camera

    @property
    def frames(self) -> int:
        return len(self.pose2d)
