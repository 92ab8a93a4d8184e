"""CSV and Parquet, for analysis: a row for each frame.

Columns are `frame` from 0, `time_s`, `action`, then `<joint>_x_m`, `<joint>_y_m`, `<joint>_z_m` for each joint of
`H36M_17`, then `left_foot_stands` and `right_foot_stands`, 0 or 1. Meters and seconds of the source, in the world of
`Motion`. The .csv has six decimals. The .parquet has the unit of a column in the column's metadata, and what is true of
the whole motion as JSON in the table's metadata under `actlift`.
"""

import json
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from actlift.files import replacing
from actlift.motion.motion import Motion
from actlift.motion.motion_json import FEET, described


def write_csv(motion: Motion, path: Path) -> None:
    """Write a row for each frame, whole or not at all; columns as above.

    Raises:
        OSError: the file cannot be written; what lay there stays.
    """
    import pandas as pd

    with replacing(path) as beside:
        frames = pd.DataFrame({name: column for name, column, _ in _frames(motion)})
        frames.to_csv(beside, index=False, float_format="%.6f", lineterminator="\n", encoding="utf-8")


def write_parquet(motion: Motion, path: Path) -> None:
    """Write a row for each frame, whole or not at all; columns and metadata as above.

    Raises:
        OSError: the file cannot be written; what lay there stays.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _frames(motion)
    head = described(motion)
    whole = head.pop("meta") | head
    schema = pa.schema(
        [
            pa.field(name, pa.array(column).type, metadata={"unit": unit} if unit else None)
            for name, column, unit in columns
        ],
        metadata={"actlift": json.dumps(whole)},
    )
    with replacing(path) as beside:
        pq.write_table(pa.table([pa.array(column) for _, column, _ in columns], schema=schema), beside)


def _frames(motion: Motion) -> list[tuple[str, Shaped[np.ndarray, " t"], str]]:
    """Name, values and unit of the columns of a table with a row for each frame."""
    action = np.full(motion.frames, "", dtype=object)
    for segment, part in motion.segments():
        first = round((part.start_s - motion.start_s) * motion.fps)
        action[first : first + part.frames] = segment.label
    return [
        ("frame", np.arange(motion.frames), ""),
        ("time_s", motion.times_s, "s"),
        ("action", action, ""),
        *(
            (f"{joint}_{axis}_m", motion.joints_world[:, j, c], "m")
            for j, joint in enumerate(motion.skeleton.joints)
            for c, axis in enumerate("xyz")
        ),
        *((foot, motion.contacts[:, side].astype(np.int8), "") for side, foot in enumerate(FEET)),
    ]
