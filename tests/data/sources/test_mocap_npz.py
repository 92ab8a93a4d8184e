import numpy as np
import pytest

from actlift.data.clip import Clip
from actlift.data.sources.mocap_npz import read_mocap_npz, write_mocap_npz


def clips():
    rng = np.random.default_rng(0)
    return [
        Clip(f"c{i}", f"s{i % 2}", "Walking", 60.0, rng.uniform(-1, 1, (5 + i, 17, 3)), "by hand", f"number {i}")
        for i in range(3)
    ]


@pytest.fixture
def path(tmp_path):
    write_mocap_npz(tmp_path / "mocap.npz", clips())
    return tmp_path / "mocap.npz"


def change(path, **arrays):
    with np.load(path) as archive:
        content = dict(archive) | arrays
    np.savez(path, **{name: array for name, array in content.items() if array is not None})


def test_round_trip_to_a_twentieth_of_a_millimeter(path):
    for read, written in zip(read_mocap_npz(path), clips(), strict=True):
        for field in ("name", "subject", "action", "fps", "capture", "description"):
            assert getattr(read, field) == getattr(written, field)
        np.testing.assert_allclose(read.joints_world, written.joints_world, atol=0.51e-4)
    assert [entry.name for entry in path.parent.iterdir()] == ["mocap.npz"]


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (None, ["some"] * 3),
        (np.array("cmu"), ["cmu"] * 3),
        (np.array(""), ["some"] * 3),
        (np.array(["a", "", "b"]), ["a", "some", "b"]),
    ],
)
def test_the_data_set_is_what_the_file_says_or_its_name(path, column, names):
    change(path, dataset=column)
    named = path.rename(path.with_name("some_v2.npz"))
    assert [clip.dataset for clip in read_mocap_npz(named)] == names
    write_mocap_npz(path, read_mocap_npz(named))
    assert [clip.dataset for clip in read_mocap_npz(path)] == names


def test_optional_columns(path):
    change(path, capture=None, description=None)
    assert {clip.capture for clip in read_mocap_npz(path)} == {""}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"fps": None, "root_m": None}, r"arrays \['root_m', 'fps'\] are missing"),
        ({"subject": np.array(["a"])}, r"array 'subject' is <U1 \(1,\); wanted text \(3,\)"),
        ({"action": np.arange(3)}, "array 'action' is int64"),
        ({"dataset": np.arange(3)}, "array 'dataset' is int64"),
        ({"dataset": np.array(["a", "b"])}, r"array 'dataset' is <U1 \(2,\); wanted text \(3,\)"),
        ({"frames": np.array([1.0, 2.0, 3.0])}, "array 'frames' is float64"),
        ({"frames": np.array([5, 6, 8])}, r"array 'root_m' is float32 \(18, 3\); wanted float \(19, 3\)"),
        ({"frames": np.array([0, 11, 7])}, "wanted at least one clip, and at least one frame"),
        ({"joint_offset_tenth_mm": np.zeros((18, 17, 3))}, "array 'joint_offset_tenth_mm' is float64"),
        ({"joints": np.array(["x"] * 17)}, "joints are"),
        ({"clip": np.array(["a", "b", "a"])}, r"clip names \['a'\] stand more than once"),
        ({"fps": np.array([60.0])}, r"array 'fps' is float64 \(1,\)"),
        ({"fps": np.array(-1.0)}, "clip 'c0': -1.0 frames per second"),
        ({"root_m": np.full((18, 3), np.nan, np.float32)}, "clip 'c0': frame 0, joint Pelvis"),
    ],
)
def test_a_file_in_another_layout(path, arrays, message):
    change(path, **arrays)
    with pytest.raises(ValueError, match=r"mocap\.npz: " + message):
        read_mocap_npz(path)


def test_what_cannot_be_written(tmp_path):
    first, second, third = clips()
    path = tmp_path / "new.npz"
    with pytest.raises(ValueError, match="wanted one rate"):
        write_mocap_npz(path, [first, second.resampled(30.0)])
    with pytest.raises(ValueError, match="wanted one rate"):
        write_mocap_npz(path, [])
    with pytest.raises(ValueError, match=r"\['c0'\] stand more than once"):
        write_mocap_npz(path, [first, first])
    huge = Clip("huge", "s", "a", 60.0, third.joints_world * 1000)  # millimeters
    with pytest.raises(ValueError, match="clip 'huge' has a joint .* another unit"):
        write_mocap_npz(path, [first, huge])
    assert not list(tmp_path.iterdir())


def test_real_files(actlift_data):
    read = read_mocap_npz(actlift_data / "mocap" / "cmu.npz")
    assert (len(read), sum(clip.frames for clip in read)) == (166, 107_444)
