import pickle
import zipfile

import numpy as np
import pytest

from actlift.data.archive import read_npz


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "some.npz"
    np.savez_compressed(path, numbers=np.arange(5000.0), words=np.array(["a", "bc"]))
    return path


def test_reads_what_was_saved(archive):
    arrays = read_npz(archive)
    assert sorted(arrays) == ["numbers", "words"]
    np.testing.assert_array_equal(arrays["numbers"], np.arange(5000.0))
    assert arrays["words"].tolist() == ["a", "bc"]


def test_nothing_is_unpickled(tmp_path):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (open, (str(ran), "w"))

    path = tmp_path / "trap.npz"
    np.savez(path, fine=np.zeros(2), trap=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match=r"trap\.npz: array 'trap' holds Python objects, which are refused"):
        read_npz(path)
    assert not ran.exists()


def test_a_bare_pickle_is_refused(tmp_path):
    path = tmp_path / "bare.npz"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match=r"bare\.npz: no \.npz archive"):
        read_npz(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.npz"):
        read_npz(tmp_path / "gone.npz")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_cut_short(archive, share):
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"some\.npz.*copy it again"):
        read_npz(archive)


def test_damaged_inside(archive):
    content = bytearray(archive.read_bytes())
    content[200:400] = bytes(200)
    archive.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"some\.npz: damaged at 'numbers'"):
        read_npz(archive)


def test_a_member_that_is_no_array(archive):
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("note.txt", "hello")
    with pytest.raises(ValueError, match=r"member 'note\.txt' is no \.npy array"):
        read_npz(archive)
