import io
import pickle
import re
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from actlift.data.archive import npz_names, read_nested_npz, read_npz


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
    with pytest.raises(ValueError, match=r"trap\.npz: array 'trap' holds Python objects: refused, because"):
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


# nested data, pickled


def pickled(path, content, shape=()):
    """An .npz whose array `x` is this pickle, as NumPy would have written an array of objects."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + content)
    return path


NESTED = {
    "S1": {"Walking 1": [np.arange(6, dtype=np.float32).reshape(2, 3), None], 7: ("text", True, 2, 0.5)},
    "scalars": [np.float64(1.5), np.int32(-3), np.bool_(True), 10**30],
    "arrays": [np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(3, dtype=">i2"), np.array(["ab", "c"])],
    "objects": [np.array([None, {"a": 1}], dtype=object), np.array({"b": [2]}, dtype=object), np.zeros((0, 4))],
}


def assert_same(found, wanted):
    if isinstance(wanted, np.ndarray) and wanted.dtype == object:
        wanted = wanted.tolist()
    if isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            assert_same(found[key], wanted[key])
    elif isinstance(wanted, list | tuple):
        assert type(found) is type(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    else:
        assert found == wanted


def test_nested_data_come_back_as_they_were(tmp_path):
    np.savez_compressed(tmp_path / "nested.npz", nested=NESTED, plain=np.arange(3))
    found = read_nested_npz(tmp_path / "nested.npz")
    assert_same(found, {"nested": NESTED, "plain": np.arange(3)})
    assert npz_names(tmp_path / "nested.npz") == ["nested", "plain"]
    with pytest.raises(ValueError, match=r"array 'nested' holds Python objects: refused"):
        read_npz(tmp_path / "nested.npz")


def test_what_stands_in_two_places_is_read_as_one(tmp_path):
    shared = [np.arange(3)]
    for _ in range(12):
        shared = [shared, shared]  # 4096 paths to one array
    np.savez(tmp_path / "shared.npz", shared={"a": shared})
    found = read_nested_npz(tmp_path / "shared.npz")["shared"]["a"]
    assert found[0] is found[1]


def test_an_array_that_python_2_pickled(tmp_path):
    values = np.array([1.5, -2.25], dtype="<f4")  # its bytes, as text of Python 2, are no ASCII
    content = (
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
        + values.tobytes()
        + b"tbs."
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's, about the name of its own module
        np.testing.assert_array_equal(pickle.loads(content, encoding="latin1")["a"], values)
    np.testing.assert_array_equal(read_nested_npz(pickled(tmp_path / "two.npz", content))["x"]["a"], values)


def test_the_trap_of_the_next_test_bites_where_nothing_is_refused(tmp_path):
    ran = tmp_path / "ran"
    pickle.loads(f"cos\nsystem\n(Vtouch {ran}\ntR.".encode())
    assert ran.exists()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("os system", "(Vtouch {ran}\nt"),
        ("posix system", "(Vtouch {ran}\nt"),
        ("subprocess getoutput", "(Vtouch {ran}\nt"),
        ("builtins eval", "(Vopen('{ran}', 'w')\nt"),
        ("__builtin__ eval", "(Vopen('{ran}', 'w')\nt"),
        ("builtins exec", "(Vopen('{ran}', 'w')\nt"),
        ("builtins getattr", "(cos\n__dict__\nVsystem\nt"),
        ("io open", "(V{ran}\nVw\nt"),
        ("codecs open", "(V{ran}\nVw\nt"),
        ("_codecs encode", "(Vabc\nVlatin1\nt"),
        ("copyreg _reconstructor", "(cbuiltins\nobject\ncbuiltins\nobject\nNt"),
        ("operator attrgetter", "(Vsystem\nt"),
        ("functools partial", "(cos\nsystem\nt"),
        ("numpy save", "(V{ran}\nI0\nt"),
        ("numpy fromfile", "(V{ran}\nt"),
        ("numpy.core.multiarray fromfile", "(V{ran}\nt"),
        ("numpy._core.multiarray frombuffer", "(V{ran}\nt"),
        ("numpy.testing._private.utils runstring", "(Vopen('{ran}', 'w')\n}}t"),
        ("torch.storage _load_from_bytes", "(Vabc\nt"),
        ("torch._utils _rebuild_tensor_v2", "(t"),
        ("collections OrderedDict", "(t"),
        ("numpy.core.multiarray _reconstruct.__globals__", "(t"),
    ],
)
def test_whatever_else_a_pickle_names_is_refused_by_name_and_not_run(tmp_path, name, arguments):
    ran = tmp_path / "ran"
    call = f"c{name.replace(' ', chr(10))}\n{arguments.format(ran=ran)}R.".encode()
    wanted = re.escape(f"trap.npz: array 'x' holds '{name.replace(' ', '.')}': refused, because reading it could run")
    for content in (call, b"(dS'a'\n(l" + call[:-1] + b"as."):
        with pytest.raises(ValueError, match=wanted):
            read_nested_npz(pickled(tmp_path / "trap.npz", content))
    assert not ran.exists()


DTYPE = b"cnumpy\ndtype\n(V%s\nI0\nI1\ntR(I3\nV<\n%sI-1\nI-1\nI0\ntb"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR(I1\n(%st%sI00\n%stb."
CONTENT = b"C\x08" + bytes(8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(b"bytes"), "something of type bytes"),
        (pickle.dumps([{1, 2}]), "something of type set"),
        (pickle.dumps({(1, 2): 3}), "a dict whose keys are of type tuple"),
        (b"\x80\x02Vout\nQ.", "a reference to outside, 'out'"),
        (b"]q\x00h\x00a.", "containers more than 16 deep"),  # a list that holds itself
        (pickle.dumps(eval("[" * 40 + "]" * 40)), "containers more than 16 deep"),
        (b"cnumpy\nndarray\n)R.", None),  # a call of the class itself
        (b"cnumpy.core.multiarray\n_reconstruct\n}Va\nI1\nsb.", "a change to a function"),
        (b"cnumpy.core.multiarray\n_reconstruct\n.", "something of type maker"),
        (DTYPE % (b"f8", b"NNN") + b".", "something of type dtype"),
        (DTYPE % (b"V8", b"NNN") + b".", "an array of type 'V8'"),
        (DTYPE % (b"M8", b"NNN") + b".", "an array of type 'M8'"),
        (DTYPE % (b"f8", b"N(Va\nt}") + b".", "an array of records"),
        (ARRAY % (b"I1\n", DTYPE % (b"O8", b"NNN"), CONTENT), "objects in an array of shape \\(1,\\)"),  # addresses
        (ARRAY % (b"I2\nI1\nI1\n", DTYPE % (b"O8", b"NNN"), b"(lNaNa"), "objects in an array of shape \\(2, 1, 1\\)"),
        (ARRAY % (b"I2\nI2\n", DTYPE % (b"O8", b"NNN"), b"(lNaNa"), "objects in an array of shape \\(2, 2\\)"),
        (ARRAY % (b"I2\n", DTYPE % (b"f8", b"NNN"), CONTENT), None),  # fewer bytes than the shape needs
        (ARRAY % (b"I-1\n", DTYPE % (b"f8", b"NNN"), CONTENT), None),
    ],
)
def test_what_is_no_plain_data_is_refused(tmp_path, content, message):
    wanted = f"x' holds {message}: refused" if message else r"odd\.npz: damaged at 'x' \(no whole pickle"
    with pytest.raises(ValueError, match=wanted):
        read_nested_npz(pickled(tmp_path / "odd.npz", content))


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_pickle_cut_short(tmp_path, share):
    whole = pickle.dumps(np.array(NESTED, dtype=object))
    path = pickled(tmp_path / "cut.npz", whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"cut\.npz: damaged at 'x' \(no whole pickle.*copy it again"):
        read_nested_npz(path)


def test_a_pickle_that_asks_for_memory(tmp_path):
    """Seven bytes that name place 2**24 of the memo: Python's own unpickler reserves 256 MiB for them."""
    path = pickled(tmp_path / "memo.npz", b"\x80\x02Nr\x00\x00\x00\x01.")
    tracemalloc.start()
    try:
        assert read_nested_npz(path) == {"x": None}
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_an_archive_that_would_fill_the_memory(archive, monkeypatch):
    monkeypatch.setattr("actlift.data.archive.LARGEST", 40_000)
    with pytest.raises(ValueError, match=r"some\.npz: it would unpack to 0\.0 GiB; .* is the most"):
        read_npz(archive)


def test_a_header_that_promises_more_than_there_is(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    with zipfile.ZipFile(tmp_path / "vast.npz", "w") as file:
        file.writestr("x.npy", header.getvalue() + bytes(80))
    with pytest.raises(ValueError, match=r"vast\.npz: damaged at 'x' \(80 bytes for float64 \(1000000000000000,\)\)"):
        read_npz(tmp_path / "vast.npz")


def test_objects_in_rows_are_lists_of_lists(tmp_path):
    rows = np.empty((3, 2), dtype=object)
    for i in range(3):
        rows[i] = [[], np.full(i + 1, i)]
    np.savez(tmp_path / "rows.npz", x=rows)
    found = read_nested_npz(tmp_path / "rows.npz")["x"]
    assert [row[0] for row in found] == [[], [], []]
    for i, row in enumerate(found):
        np.testing.assert_array_equal(row[1], np.full(i + 1, i))
