"""Read NumPy's .npz archives from anywhere, safely: no code of the file's choice is run, no size of it is believed."""

import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from actlift.data.pickled import Refused, load_plain
from actlift.errors import InputError, MissingInputError

LARGEST = 4 << 30  # bytes of all arrays of an archive


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read every array of an .npz file, by name.

    Raises:
        MissingInputError: there is no such file.
        InputError: the file is no .npz, is cut short or damaged, would unpack to over 4 GiB, or holds Python objects
            (which only unpickling, and so running code of the file's choice, could read). The message names the file
            and, where known, the array.
    """
    return _read(Path(path), _refuse)


def read_nested_npz(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read as `read_npz` does, but where an array holds Python objects, the plain data that they are (see `pickled`).

    Raises:
        MissingInputError: there is no such file.
        InputError: as `read_npz`; or there are objects that are no plain data, the first of which is named. None of
            them has been imported or called.
    """
    return _read(Path(path), load_plain)


def npz_names(path: str | os.PathLike[str]) -> list[str]:
    """List the names of the arrays of an .npz file, without reading them.

    Raises:
        FileNotFoundError, ValueError: there is no such file; it is no .npz, or cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(
            f"{path}: no .npz archive, or cut short ({path.stat().st_size} bytes); copy it again whole"
        ) from error


def npz_holds(path: str | os.PathLike[str], *names: str) -> bool:
    """Tell whether there is an .npz file with one of these arrays, or several of them, without reading them.

    Raises:
        InputError: there is an .npz file, but it is damaged or cut short.
    """
    path = Path(path)
    return path.suffix.lower() == ".npz" and path.is_file() and not set(names).isdisjoint(npz_names(path))


def _read(path: Path, objects: Callable[[Any], Any]) -> dict[str, Any]:
    """Every array; those of Python objects as `objects` makes them of a file that holds their pickle."""
    npz_names(path)
    found: dict[str, Any] = {}
    name = "its table of contents"
    try:
        with zipfile.ZipFile(path) as archive:
            if (unpacked := sum(info.file_size for info in archive.infolist())) > LARGEST:
                raise _Unwanted(f"it would unpack to {unpacked / 2**30:.1f} GiB; {LARGEST / 2**30:g} is the most")
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name == info.filename:
                    raise _Unwanted(f"member '{name}' is no .npy array; an .npz archive holds nothing else")
                with archive.open(info) as file:
                    found[name] = _array(file, info.file_size, objects)
    except Refused as refused:
        raise InputError(f"{path}: array '{name}' holds {refused}: refused, {_WHY}") from refused
    except _Unwanted as unwanted:
        raise InputError(f"{path}: {unwanted}") from None
    except (
        *(ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError, SyntaxError, tokenize.TokenError),
        *(NotImplementedError, RuntimeError),  # a packing that zipfile does not know; a password
    ) as error:
        raise InputError(f"{path}: damaged at '{name}' ({error}); copy it again whole") from error
    return found


def _array(file: Any, size: int, objects: Callable[[Any], Any]) -> Any:
    """One member of `size` bytes, whose header is not trusted with more memory than that."""
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in headers:
        raise InputError(f"version {version} of .npy")
    shape, _, dtype = headers[version](file)
    if dtype.hasobject:
        return objects(file)
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise InputError(f"{size - file.tell()} bytes for {dtype} {shape}")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _refuse(_: Any) -> None:
    raise Refused("Python objects")


class _Unwanted(ValueError):
    """Not damaged, but nothing to be read here."""


_WHY = "because reading it could run code of the file's choice; save it again as plain numbers or text"
