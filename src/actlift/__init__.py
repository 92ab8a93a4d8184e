"""actlift: lift 2D keypoints to 3D motion with temporal networks that know the action.

Axis letters used everywhere: b batch, t time (frames of one sequence), f frames (of many sequences, one behind the
other), j joints, a actions, c channels. Frames of reference are suffixes: _world, _cam (meters), _px, _screen.
"""

import os
from typing import TYPE_CHECKING, Any

from actlift.errors import InputError

if TYPE_CHECKING:
    from os import PathLike

    from actlift.motion.motion import Motion

# torch's OpenMP library reads this when it is loaded. Threads that wait for each other spin, by default for 100 ms, and
# beside other work that makes two of them slower than one: see actlift.training.device.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "1000"

__version__ = "0.1.0"
__all__ = ["InputError", "lift", "lift_everybody"]


def lift(source: "str | PathLike[str]", **options: Any) -> "Motion":
    """The motion of the person who is seen longest in a video, a folder of images or a file of 2D keypoints.

        motion = actlift.lift("walk.mp4", height_m=1.78)
        motion.action_timeline
        motion.joints_world  # (t, 17, 3) meters, z up
        motion.save("walk.bvh")

    Args:
        source: what to lift.
        options: of :func:`actlift.video.pipeline.lift_video`: height_m, camera, smoothing_hz, refine, detector,
            weights, start_s, end_s, fps, person, layout, size, lifters, on_progress.

    Raises:
        InputError, OSError: for what is no source, and for one in which nobody is seen.
        MissingPackageError: where a library that is needed is not installed; says how to install it.
    """
    return lift_everybody(source, **options)[0]


def lift_everybody(source: "str | PathLike[str]", **options: Any) -> "list[Motion]":
    """The motions of everybody in a video; as :func:`lift`."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from actlift.video.pipeline import lift_video

    with TemporaryDirectory(prefix="actlift-") as folder:
        return lift_video(Path(source), keep=Path(folder) / "detections.bin", **options)
