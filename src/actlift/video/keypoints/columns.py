"""Columns of tables: what the formats that are text with columns share."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from actlift.errors import InputError
from actlift.video.keypoints.base import COUNTS, TIMES, Content, frame_numbers, shown, timing, track_id

PEOPLE = ("person", "person_id", "track", "track_id", "id", "individual", "individuals", "idx", "player", "people")


def read_table(content: Content, heads: int = 1) -> pd.DataFrame:
    """Read what comes after the lines of names, columns numbered from 0.

    Raises:
        InputError: lines are longer than the first, or no text.
    """
    separator, rows = content.table
    dotted = separator != ";" or re.search(r"\d\.\d", ";".join(rows[heads])) is not None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # instead of cutting lines that are too long
            return pd.read_csv(
                content.path,
                sep=separator,
                decimal="." if dotted else ",",
                header=None,
                skiprows=heads,
                names=range(len(rows[0])),
                index_col=False,
                encoding="utf-8-sig",
                skipinitialspace=True,
                low_memory=False,
            )
    except (ValueError, pd.errors.ParserWarning) as error:  # also of bytes that are no text
        raise InputError(f"lines do not have the columns of the first: {error}") from error


def column(table: pd.DataFrame, names: Sequence[str], wanted: Iterable[str]) -> pd.Series | None:
    """The first of the wanted columns that there is."""
    name = next((name for name in wanted if name in names), None)
    return None if name is None else table[names.index(name)]


def floats(values: pd.Series, name: str) -> Float[np.ndarray, " n"]:
    """A column of numbers, NaN where empty."""
    numbers = pd.to_numeric(values, errors="coerce")
    if len(bad := np.flatnonzero(numbers.isna() & values.notna())):
        raise InputError(f"column '{name}' has {shown(str(values.iloc[bad[0]]))} in row {bad[0] + 1}; wanted a number")
    return numbers.to_numpy(dtype=np.float64)


def frames_of(table: pd.DataFrame, names: Sequence[str]) -> tuple[Float[np.ndarray, " n"], bool, float | None]:
    """Number or time of the frame of every line, as `timing` tells; lines are frames where there is neither."""
    counted, timed = column(table, names, COUNTS), column(table, names, TIMES)
    times = None if timed is None else floats(timed, "time")
    if times is not None and (np.isnan(times).any() or len(np.unique(times)) < 2):
        times = None
    if counted is not None:
        return timing(frame_numbers(counted.tolist(), "frame of row {}"), times)
    return timing(np.arange(float(len(table))) if times is None else times, times)


def people_of(ids: pd.Series | None) -> list[Any] | None:
    """Ids of people: numbers or words, None where empty."""
    return None if ids is None else [None if pd.isna(value) else track_id(value) for value in ids.tolist()]


def joints_of(
    table: pd.DataFrame, columns: Mapping[tuple[str, str], int], joints: Sequence[str]
) -> tuple[Float[np.ndarray, "n j 2"], Float[np.ndarray, "n j"] | None]:
    """Points and scores of every line; the latter None unless all joints have one.

    Args:
        table: of `read_table`.
        columns: number of the column of a joint's "x", "y" or "score".
        joints: in the order that is wanted.
    """

    def stacked(axis: str) -> Float[np.ndarray, "n j"]:
        held = [floats(table[columns[joint, axis]], f"{joint}, {axis}") for joint in joints]
        return np.stack(held, axis=1)

    scored = all((joint, "score") in columns for joint in joints)
    return np.stack([stacked("x"), stacked("y")], axis=-1), stacked("score") if scored else None
