"""Unpickle plain data and nothing else: arrays, dicts, lists, tuples, text, numbers, True, False and None.

A pickle is a program that names functions and calls them, so reading one from anywhere means running it. Here every
name is refused before anything is imported or called, but for the four with which NumPy writes its arrays, dtypes and
scalars; and these are stand-ins of our own, which only keep what they are given. NumPy's own are not safe to call: a
crafted state makes a dtype that reads beyond its memory. Arrays are built afterwards, from checked parts.
"""

import math
import pickle
import re
from typing import Any

import numpy as np

from actlift.errors import InputError

DEEPEST = 16  # containers within containers
DTYPE = re.compile(r"(b|i|u|f|U|O)\d{1,6}")  # kind and size: plain numbers and text, and O for objects


class Refused(ValueError):
    """The pickle holds something else than plain data; the message says what."""


def load_plain(file: Any) -> Any:
    """Load the plain data that an open binary file holds as a pickle.

    Bytes in pickles of Python 2 are read as Latin-1. Arrays are read-only. An array of objects becomes its item where
    it has no axis, a list where it has one.

    Raises:
        Refused: it names something or holds something that is not plain data.
        InputError: it is cut short or damaged.
    """
    try:
        return _plain(_Unpickler(file, encoding="latin1").load(), 0, {})
    except Refused:
        raise
    except Exception as error:  # a damaged pickle fails in any way
        raise InputError(f"no whole pickle: {type(error).__name__}, {error}") from error


class _Unpickler(pickle._Unpickler):
    """The one that is written in Python: that in C reserves as much memory as a pickle asks for."""

    def find_class(self, module: str, name: str) -> Any:
        makers = {
            "numpy.core.multiarray._reconstruct": _Maker(_Array),
            "numpy.core.multiarray.scalar": _Maker(_Scalar),
            "numpy.dtype": _Maker(_Dtype),
            "numpy.ndarray": None,  # an argument of _reconstruct
        }
        wanted = f"{module}.{name}"
        known = wanted.replace("numpy._core.", "numpy.core.", 1)  # its name since NumPy 2
        if known not in makers:
            raise Refused(f"'{wanted}'")
        return makers[known]

    def persistent_load(self, pid: Any) -> Any:
        raise Refused(f"a reference to outside, '{pid}'")


class _Maker:
    """A function that a pickle may call, and do nothing else with."""

    __slots__ = ("kind",)

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def __call__(self, *arguments: object) -> object:
        return self.kind(*arguments)

    def __setstate__(self, state: object) -> None:
        raise Refused("a change to a function")


class _Dtype:
    __slots__ = ("code",)

    def __init__(self, code: object = None, *_: object) -> None:
        if not (isinstance(code, str) and DTYPE.fullmatch(code)):
            raise Refused(f"an array of type {code!r}")
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *parts = state[:5]
        if order not in ("<", ">", "|", "=") or parts != [None, None, None]:
            raise Refused("an array of records")
        self.code = order + self.code

    def build(self, shape: tuple[int, ...], fortran: bool, content: bytes | str) -> np.ndarray:
        content = content.encode("latin1") if isinstance(content, str) else content  # text: Python 2 wrote it
        dtype = np.dtype(self.code)
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content):
            raise InputError(f"{len(content)} bytes for {dtype} {shape}")
        return np.ndarray(shape, dtype, buffer=bytes(content), order="F" if fortran else "C")


class _Scalar:
    __slots__ = ("content", "dtype")

    def __init__(self, dtype: _Dtype, content: bytes | str) -> None:
        self.dtype, self.content = dtype, content

    def __setstate__(self, state: object) -> None:
        raise Refused("a change to a number")


class _Array:
    __slots__ = ("state",)

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


def _plain(value: Any, depth: int, done: dict[int, Any]) -> Any:
    """The value with stand-ins turned into what they stand for; what stands in several places is turned once."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if depth > DEEPEST:
        raise Refused(f"containers more than {DEEPEST} deep")
    if id(value) not in done:
        done[id(value)] = _turned(value, depth + 1, done)
    return done[id(value)]


def _turned(value: Any, depth: int, done: dict[int, Any]) -> Any:
    if type(value) in (list, tuple):
        return type(value)(_plain(item, depth, done) for item in value)
    if type(value) is dict:
        return {_key(key): _plain(item, depth, done) for key, item in value.items()}
    if type(value) is _Scalar and "O" not in value.dtype.code:
        return value.dtype.build((), False, value.content).item()
    if type(value) is _Array:
        _, shape, dtype, fortran, content = value.state
        if "O" not in dtype.code:
            return dtype.build(shape, fortran, content)
        known = len(shape) < 2 or (len(shape) == 2 and shape[1] > 0 and not fortran)
        if not known or type(content) is not list or len(content) != math.prod(shape):
            raise Refused(f"objects in an array of shape {shape}")
        items = [_plain(item, depth, done) for item in content]
        if len(shape) == 2:  # a list of lists
            items = [items[i : i + shape[1]] for i in range(0, len(items), shape[1])]
        return items if shape else items[0]
    raise Refused(f"something of type {type(value).__name__.strip('_').lower()}")


def _key(key: Any) -> str | int:
    if type(key) not in (str, int):
        raise Refused(f"a dict whose keys are of type {type(key).__name__.strip('_').lower()}")
    return key  # type: ignore[no-any-return]
