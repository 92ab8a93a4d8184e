"""Clip: one piece of motion capture, a person's joints in world coordinates."""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from actlift.errors import InputError
from actlift.geometry.camera import Camera
from actlift.geometry.grid import on_grid
from actlift.geometry.skeleton import H36M_17

GRID_BITS = 20  # of joints: multiples of about a micrometer


def take_of(clip: str) -> str:
    """The take that a clip is, or was cut from: pieces are named like slices, `13_18[0:118]`, or by letters, `05_20a`.

    Pieces of one take show one person in one go: a split keeps them on one side.
    """
    return re.sub(r"(?<=\d)[a-z]$", "", re.sub(r"\[\d+:\d+\]$", "", clip))


def dataset_of(source: str | os.PathLike[str]) -> str:
    """Name the data set of a source that does not tell, by its path: the last part up to the first `_` or `.`.

    `mocap/cmu_v2.npz` is of `cmu`, `mocap/hdm05.npz` and the folder `asfamc/hdm05_bd` are of `hdm05`.
    """
    return re.split(r"(?<!^)[_.]", Path(os.path.abspath(source)).name)[0]


@dataclass(frozen=True, eq=False)
class Detections:
    """Keypoints that a detector found in the videos of a clip.

    Attributes:
        source: name of the file that holds them.
        layout: name of the skeleton that the detector knows. If it is not `h36m_17`, the points have been remapped, and
            joints that it lacks are approximated.
        points_px: for each camera of the clip (t, 17, 2) pixels, joints in the order of `H36M_17`, or None where the
            camera has no detections.
    """

    source: str
    layout: str
    points_px: tuple[np.ndarray | None, ...]


@dataclass(frozen=True, eq=False)
class Clip:
    """The joints of one person over time, with what is known of them.

    Attributes:
        name: unique in its source, e.g. `CMU02/02_01`.
        subject: who moves. Splits are made by it, so one person has to carry one name.
        action: the label of the whole clip; compared by equality only.
        fps: frames per second.
        joints_world: (t, 17, 3) meters, joints in the order of `H36M_17`, right-handed, z up, floor near z = 0.
            Kept as a read-only float32 array, rounded to multiples of 2^-20 m (about a micrometer), so that joints
            that were computed are the same bits on every processor.
        capture: how the joints came about (`asf/amc`, `synthetic`, ...), where it matters to a reader.
        description: the source's own words.
        cameras: those that filmed it, where that is known.
        detections: what a detector made of their images, where it is known.
        fault: why nothing of it is to be used, in words; `write_corpus` leaves it out with this reason.
        dataset: the collection that it comes from (`cmu`, `human3.6m`, ...), where that is known.

    Raises:
        InputError: a name or label is empty, the rate is not positive, the shape of joints or detections is wrong, a
            coordinate is not finite (the message names the clip, the first bad frame and the joint), cameras share a
            name, or there are detections for more or fewer cameras than the clip has.
    """

    name: str
    subject: str
    action: str
    fps: float
    joints_world: np.ndarray  # float (t, 17, 3), checked for every caller below
    capture: str = ""
    description: str = ""
    cameras: tuple[Camera, ...] = ()
    detections: Detections | None = None
    fault: str = ""
    dataset: str = ""

    def __post_init__(self) -> None:
        for field in ("name", "subject", "action"):
            if not getattr(self, field).strip():
                raise InputError(f"clip '{self.name}': its {field} is empty; every clip needs one")
        if not (self.fps > 0 and math.isfinite(self.fps)):
            raise InputError(f"clip '{self.name}': {self.fps} frames per second; wanted a positive number")
        joints = on_grid(np.asarray(self.joints_world), GRID_BITS).astype(np.float32, order="C")  # our own copy
        if joints.ndim != 3 or joints.shape[1:] != (len(H36M_17), 3) or len(joints) < 1:
            raise InputError(
                f"clip '{self.name}': joints of shape {joints.shape}; wanted (frames, {len(H36M_17)}, 3) with at "
                "least one frame, joints in the order of H36M_17"
            )
        _check_finite(joints, f"clip '{self.name}'")
        joints.flags.writeable = False
        object.__setattr__(self, "joints_world", joints)
        names = [camera.name for camera in self.cameras]
        if len(set(names)) < len(names):
            raise InputError(f"clip '{self.name}': cameras {names}; wanted a name of its own for each")
        if self.detections is not None:
            self._check_detections(self.detections.points_px)

    def _check_detections(self, points_px: tuple[np.ndarray | None, ...]) -> None:
        if len(points_px) != len(self.cameras):
            raise InputError(
                f"clip '{self.name}': detections for {len(points_px)} cameras; wanted an array, or None where there "
                f"are none, for each of {[camera.name for camera in self.cameras]}"
            )
        for camera, points in zip(self.cameras, points_px, strict=True):
            where = f"clip '{self.name}', camera '{camera.name}'"
            if points is None:
                continue
            if points.shape != (self.frames, len(H36M_17), 2):
                raise InputError(
                    f"{where}: detections of shape {points.shape}; wanted {(self.frames, len(H36M_17), 2)}"
                )
            _check_finite(points, where)

    @property
    def frames(self) -> int:
        return len(self.joints_world)

    def piece(self, first: int, stop: int) -> "Clip":
        """Cut out frames first to stop - 1, named like a slice: `13_18[0:118]`."""
        return self._changed(lambda points: points[first:stop], name=f"{self.name}[{first}:{stop}]")

    def resampled(self, fps: float) -> "Clip":
        """Resample to another frame rate; frame 0 keeps its time, and the same rate gives the clip itself.

        Band-limited resampling with a symmetric (zero-phase) Kaiser low-pass at the lower of the two Nyquist
        frequencies (`scipy.signal.resample_poly`), also for whole ratios: taking every fifth frame of a fast wave would
        fold it into a slow one. The clip's ends are extended by point reflection, so that motion runs on with its
        speed. Rates are taken as a ratio of whole numbers up to 1000. Detections are resampled like the joints.
        """
        if not (fps > 0 and math.isfinite(fps)):
            raise InputError(
                f"clip '{self.name}': cannot resample to {fps} frames per second; wanted a positive number"
            )
        ratio = Fraction(fps / self.fps).limit_denominator(1000)
        if ratio == 0:
            raise InputError(f"clip '{self.name}': {fps} frames per second is under a thousandth of its {self.fps}")
        up, down = ratio.numerator, ratio.denominator
        if up == down:
            return self
        reach = 10 * max(up, down) // up + 1  # input frames that the filter's half length spans
        pad = down * math.ceil(reach / down)  # whole output frames, so that frame 0 stays on the grid
        first, frames = pad * up // down, math.ceil(self.frames * up / down)

        def change(points: np.ndarray) -> np.ndarray:  # (t, 17, 2 or 3)
            padding = ((pad, pad), (0, 0), (0, 0))
            padded = np.pad(points.astype(np.float64), padding, mode="reflect", reflect_type="odd")
            return signal.resample_poly(padded, up, down, axis=0)[first : first + frames]

        return self._changed(change, fps=fps)

    def _changed(self, change: Callable[[np.ndarray], np.ndarray], **fields: Any) -> "Clip":
        """Joints and detections changed along time, and other fields."""
        detections = self.detections
        if detections is not None:
            changed = tuple(None if points is None else change(points) for points in detections.points_px)
            detections = replace(detections, points_px=changed)
        return replace(self, joints_world=change(self.joints_world), detections=detections, **fields)


def _check_finite(points: np.ndarray, where: str) -> None:
    bad = np.asarray(~np.isfinite(points).all(axis=-1))  # (t, 17)
    if bad.any():
        frame, joint = (int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{where}: frame {frame}, joint {H36M_17.joints[joint]} is {points[frame, joint].tolist()} "
            f"({int(bad.any(axis=1).sum())} of {len(points)} frames have such joints); cut these frames out "
            "or fill the gaps first"
        )
