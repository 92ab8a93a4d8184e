"""Clip: one piece of motion capture, a person's joints in world coordinates."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from scipy import signal

from actlift.skeleton import H36M_17


@dataclass(frozen=True, eq=False)
class Clip:
    """The joints of one person over time, with what is known of them.

    Attributes:
        name: unique in its source, e.g. `CMU02/02_01`.
        subject: who moves. Splits are made by it, so one person has to carry one name.
        action: the label of the whole clip; compared by equality only.
        fps: frames per second.
        joints_world: (t, 17, 3) metres, joints in the order of `H36M_17`, right-handed, z up, floor near z = 0.
            Kept as a read-only float32 array.
        capture: how the joints came about (`asf/amc`, `synthetic`, ...), where it matters to a reader.
        description: the source's own words.

    Raises:
        ValueError: a name or label is empty, the rate is not positive, the shape is wrong, or a coordinate is not
            finite (the message names the clip, the first bad frame and the joint).
    """

    name: str
    subject: str
    action: str
    fps: float
    joints_world: np.ndarray  # float (t, 17, 3), checked for every caller below
    capture: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        for field in ("name", "subject", "action"):
            if not getattr(self, field).strip():
                raise ValueError(f"clip '{self.name}': its {field} is empty; every clip needs one")
        if not (self.fps > 0 and math.isfinite(self.fps)):
            raise ValueError(f"clip '{self.name}': {self.fps} frames per second; wanted a positive number")
        joints = np.array(self.joints_world, dtype=np.float32, order="C")  # our own copy: frozen means frozen
        if joints.ndim != 3 or joints.shape[1:] != (len(H36M_17), 3) or len(joints) < 1:
            raise ValueError(
                f"clip '{self.name}': joints of shape {joints.shape}; wanted (frames, {len(H36M_17)}, 3) with at "
                "least one frame, joints in the order of H36M_17"
            )
        bad = np.asarray(~np.isfinite(joints).all(axis=-1))  # (t, 17)
        if bad.any():
            frame, joint = (int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"clip '{self.name}': frame {frame}, joint {H36M_17.joints[joint]} is {joints[frame, joint].tolist()} "
                f"({int(bad.any(axis=1).sum())} of {len(joints)} frames have such joints); cut these frames out "
                "or fill the gaps first"
            )
        joints.flags.writeable = False
        object.__setattr__(self, "joints_world", joints)

    @property
    def frames(self) -> int:
        return len(self.joints_world)

    def piece(self, first: int, stop: int) -> "Clip":
        """Frames first to stop - 1, named like a slice: `13_18[0:118]`."""
        return replace(self, name=f"{self.name}[{first}:{stop}]", joints_world=self.joints_world[first:stop])

    def resampled(self, fps: float) -> "Clip":
        """The same motion at another frame rate; frame 0 keeps its time, and the same rate gives the clip itself.

        Band-limited resampling with a symmetric (zero-phase) Kaiser low-pass at the lower of the two Nyquist
        frequencies (`scipy.signal.resample_poly`), also for whole ratios: taking every fifth frame of a fast wave would
        fold it into a slow one. The clip's ends are extended by point reflection, so that motion runs on with its
        speed. Rates are taken as a ratio of whole numbers up to 1000.
        """
        if not (fps > 0 and math.isfinite(fps)):
            raise ValueError(
                f"clip '{self.name}': cannot resample to {fps} frames per second; wanted a positive number"
            )
        ratio = Fraction(fps / self.fps).limit_denominator(1000)
        if ratio == 0:
            raise ValueError(f"clip '{self.name}': {fps} frames per second is under a thousandth of its {self.fps}")
        up, down = ratio.numerator, ratio.denominator
        if up == down:
            return self
        reach = 10 * max(up, down) // up + 1  # input frames that the filter's half length spans
        pad = down * math.ceil(reach / down)  # whole output frames, so that frame 0 stays on the grid
        padding = ((pad, pad), (0, 0), (0, 0))
        padded = np.pad(self.joints_world.astype(np.float64), padding, mode="reflect", reflect_type="odd")
        dense = signal.resample_poly(padded, up, down, axis=0)
        first, frames = pad * up // down, math.ceil(self.frames * up / down)
        return replace(self, fps=fps, joints_world=dense[first : first + frames])
