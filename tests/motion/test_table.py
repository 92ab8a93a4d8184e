"""Tables with a row for each frame: other programs understand them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.exports import motion_of, walking

from actlift.geometry.skeleton import H36M_17
from actlift.motion.motion import Segment
from actlift.motion.table import write_csv, write_parquet


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_row_for_each_frame(tmp_path: Path, kind: str) -> None:
    motion = walking(start_s=1.5)
    write, read, exact = {
        "csv": (write_csv, pd.read_csv, 1e-6),
        "parquet": (write_parquet, pd.read_parquet, 0),
    }[kind]
    write(motion, tmp_path / "a")
    table = read(tmp_path / "a")
    assert list(table.columns[:4]) == ["frame", "time_s", "action", "Pelvis_x_m"]
    coordinates = [f"{joint}_{axis}_m" for joint in H36M_17.joints for axis in "xyz"]
    assert list(table.columns) == ["frame", "time_s", "action", *coordinates, "left_foot_stands", "right_foot_stands"]
    assert table["frame"].tolist() == list(range(motion.frames))
    np.testing.assert_allclose(table["time_s"], motion.times_s, atol=exact)
    np.testing.assert_allclose(table[coordinates].to_numpy().reshape(-1, 17, 3), motion.joints_world, atol=exact)
    np.testing.assert_array_equal(table[["left_foot_stands", "right_foot_stands"]], motion.contacts)
    assert table["action"].tolist() == ["Walking"] * 25 + ["unknown"] * 25


def test_actions_with_commas_and_every_script_stay_one_column(tmp_path: Path) -> None:
    label = 'sit, "down"\n走'
    motion = walking(start_s=0.0, action_timeline=(Segment(0.0, 0.31, label), Segment(0.9, 2.0, "late")))
    write_csv(motion, tmp_path / "a.csv")
    action = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)["action"].tolist()
    assert action == [label] * 16 + [""] * 29 + ["late"] * 5  # a frame belongs to the segment that its time is in


def test_parquet_tells_units_and_all_else(tmp_path: Path) -> None:
    motion = motion_of(walking().joints_world.astype(np.float32), source="a.mp4")
    write_parquet(motion, tmp_path / "a.parquet")
    schema = pq.read_schema(tmp_path / "a.parquet")
    units = {field.name: (field.metadata or {}).get(b"unit") for field in schema}
    assert units["time_s"] == b"s"
    assert {unit for name, unit in units.items() if name.endswith("_m")} == {b"m"}
    assert units["frame"] is units["action"] is None
    assert str(schema.field("Head_z_m").type) == "float"
    whole = json.loads(schema.metadata[b"actlift"])
    assert whole["fps"] == 50
    assert whole["source"] == "a.mp4"
    assert "z up" in whole["axes"]
    assert whole["action_timeline"][1]["probability"] is None
