"""TRC, for OpenSim: markers over time, tab separated.

Millimeters; y up, x to the camera's right, z towards the camera: a person who walks to the right of the image walks
along x, as OpenSim's models do. Time is in seconds from the first frame.

Markers are named as Pose2Sim's OpenSim models name them: Hip lies between the hips, Neck between the shoulders at the
base of the neck (Thorax in `H36M_17`). Where `H36M_17` has a joint that those models have no marker for, its name is no
marker's: Pelvis, Spine, SkullBase (Neck in `H36M_17`) and HeadCentre (its Head; the models' Head is the top of the
head). OpenSim leaves out markers that a model does not have.
"""

from pathlib import Path

import numpy as np

from actlift.files import replacing
from actlift.geometry.body import Y_UP_WORLD
from actlift.geometry.skeleton import H36M_17
from actlift.motion.motion import Motion

MM = 1000.0  # per meter
NAMES = {"Thorax": "Neck", "Neck": "SkullBase", "Head": "HeadCentre"}  # spelled as in the files of every version
FIELDS = (
    *("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"),
    *("OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"),
)
MARKERS = ("Hip", *(NAMES.get(joint, joint) for joint in H36M_17.joints))


def write_trc(motion: Motion, path: Path) -> None:
    """Write the joints as markers, whole or not at all.

    Raises:
        OSError: the file cannot be written; what lay there stays.
    """
    joints = motion.joints_world.astype(np.float64)
    hip = joints[:, [H36M_17.index("LHip"), H36M_17.index("RHip")]].mean(axis=1, keepdims=True)
    markers = np.concatenate([hip, joints], axis=1) @ Y_UP_WORLD.T * MM
    number = np.arange(motion.frames)
    table = np.column_stack([number + 1, number / motion.fps, markers.reshape(motion.frames, -1)])
    rate = f"{motion.fps:.10g}"
    count = len(MARKERS)
    header = (
        ("PathFileType", "4", "(X/Y/Z)", path.name),
        FIELDS,
        (rate, rate, str(motion.frames), str(count), "mm", rate, "1", str(motion.frames)),
        ("Frame#", "Time", *(cell for marker in MARKERS for cell in (marker, "", ""))),
        ("", "", *(f"{axis}{marker}" for marker in range(1, count + 1) for axis in "XYZ")),
        (),
    )
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines("\t".join(row) + "\n" for row in header)
        np.savetxt(file, table, fmt=["%d", "%.6f", *["%.3f"] * (3 * count)], delimiter="\t")
