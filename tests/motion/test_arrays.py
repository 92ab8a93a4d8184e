"""Arrays: what is written comes back to the bit."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exports import walking

from actlift.geometry.skeleton import H36M_17
from actlift.motion.arrays import read_motion, write_npz
from actlift.motion.motion import Motion, Segment

NUMBERS = st.floats(-1e6, 1e6)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
SEGMENTS = st.lists(st.builds(Segment, NUMBERS, NUMBERS, TEXTS, st.floats(0, 1) | st.just(float("nan")))).map(tuple)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def assert_same(one: Any, other: Any) -> None:
    """Equal to the bit: arrays with their types, NaN to NaN."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()
    elif hasattr(one, "__dataclass_fields__"):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, float):
        assert np.float64(one).tobytes() == np.float64(other).tobytes()
    else:
        assert one == other


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32 - 1),
    types=st.tuples(*[st.sampled_from(["f4", "f8"])] * 3),
    fps=st.floats(0.1, 1000),
    start_s=NUMBERS,
    person=st.integers(1, 10**6),
    source=TEXTS,
    timeline=SEGMENTS,
    warnings=SEGMENTS,
    about=st.dictionaries(TEXTS, PLAIN, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_a_motion_comes_back_bit_for_bit(
    tmp_path_factory, seed, types, fps, start_s, person, source, timeline, warnings, about
) -> None:
    rng = np.random.default_rng(seed)
    t = int(rng.integers(1, 6))
    motion = Motion(
        fps=fps,
        joints_world=rng.normal(size=(t, 17, 3)).astype(types[0]),
        pose2d_px=rng.normal(size=(t, 17, 2)).astype(types[1]),
        confidence=rng.random((t, 17)).astype(types[2]),
        contacts=rng.random((t, 2)) < 0.5,
        camera=walking(seconds=0.1).camera,
        action_timeline=timeline,
        start_s=start_s,
        person=person,
        source=source,
        warnings=warnings,
        about=about,
    )
    path = tmp_path_factory.mktemp("npz") / "motion.npz"
    write_npz(motion, path)
    assert_same(read_motion(path), motion)


def test_npz_is_plain_and_says_what_is_what(tmp_path: Path) -> None:
    motion = walking(start_s=1.5)
    write_npz(motion, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["times_s"], 1.5 + np.arange(motion.frames) / 50)
        assert tuple(arrays["joints"]) == H36M_17.joints
        assert tuple(arrays["parents"]) == H36M_17.parents
        assert arrays["parents2d"].shape == arrays["joints2d"].shape == (17,)
        assert arrays["action_label"].tolist() == ["Walking", "unknown"]
        np.testing.assert_array_equal(arrays["action_probability"], [0.9, np.nan])
        assert all(arrays[name].dtype.kind in "fbiU" for name in arrays)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fps": None}, "array 'fps' is missing; wanted what write_npz writes, got .*joints_world"),
        ({"fps": np.array([50.0])}, r"array 'fps' is float64 \(1,\); wanted floats \(\)"),
        ({"contacts": np.zeros((50, 2))}, r"'contacts' is float64 \(50, 2\); wanted truth values \(50, 2\)"),
        ({"contacts": np.zeros((49, 2), bool)}, r"'contacts' is bool \(49, 2\); wanted truth values \(50, 2\)"),
        ({"person": np.float64(1)}, "'person' is float64 .*wanted whole numbers"),
        ({"joints": np.array(["A"] * 17)}, "'joints' are A, A, .*; wanted Pelvis, RHip"),
        ({"joints2d": np.arange(17)}, "'joints2d' is int64 .*wanted text"),
        ({"action_start_s": np.zeros(3)}, r"'action_start_s' is float64 \(3,\); wanted floats \(2\)"),
        ({"joints_world": np.full((50, 17, 3), np.nan)}, "joints_world is not finite in frame 0"),
        ({"joints_world": np.zeros((0, 17, 3))}, r"'pose2d_px' is float64 \(50, 17, 2\); wanted floats \(0, 17, 2\)"),
        ({"fps": np.float64(0)}, "0.0 frames per second: wanted a positive number"),
        ({"camera_radial": None}, "a camera record must have exactly .*missing: radial"),
        ({"camera_focal_px": np.array([0.0, 0.0])}, "focal lengths and image size must be positive"),
        ({"about": np.str_("{")}, "Expecting property name"),
        ({"about": np.str_("[1]")}, "'about' holds list; wanted a JSON object"),
        ({"camera_width": np.str_("wide")}, "a number as width; got 'wide'"),
        ({"camera_focal_px": np.array(["a", "b"])}, "numbers as focal_px; got"),
        ({"source": np.array(["a", {}], dtype=object)}, "array 'source' holds Python objects: refused"),
    ],
)
def test_what_is_no_motion_is_refused_with_its_name(
    tmp_path: Path, changed: dict[str, np.ndarray | None], message: str
) -> None:
    write_npz(walking(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        kept = {name: value for name, value in {**arrays, **changed}.items() if value is not None}
    np.savez(tmp_path / "b.npz", **kept)
    with pytest.raises(ValueError, match=message) as caught:
        read_motion(tmp_path / "b.npz")
    assert str(caught.value).count("b.npz") == 1


def test_no_file_and_no_archive(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.npz: no such file"):
        read_motion(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"no \.npz archive"):
        read_motion(tmp_path / "a.npz")


def test_about_that_json_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_npz(walking(about={"when": object()}), tmp_path / "a.npz")
    assert not any(tmp_path.iterdir())
