"""Read NumPy's .npz archives from anywhere, safely: what would need unpickling is refused, never run."""

import os
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Every array of an .npz file, by name, read whole.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no .npz, is cut short or damaged, or holds Python objects (which only unpickling, and so
            running code of the file's choice, could read). The message names the file and, where known, the array.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: no .npz archive, or cut short ({path.stat().st_size} bytes); copy it again whole")
    arrays: dict[str, np.ndarray] = {}
    name = "its table of contents"
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                arrays[name] = archive[name]
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError, SyntaxError, tokenize.TokenError) as error:
        if "allow_pickle" in str(error):
            raise ValueError(
                f"{path}: array '{name}' holds Python objects, which are refused because reading them can run code; "
                "save it again as plain numbers or strings"
            ) from error
        raise ValueError(f"{path}: damaged at '{name}' ({error}); copy it again whole") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # a member without the .npy ending comes back as bytes
            raise ValueError(f"{path}: member '{name}' is no .npy array; an .npz archive holds nothing else")
    return arrays
