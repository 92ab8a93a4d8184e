"""Tensors in safetensors files: nothing is ever unpickled, nothing half-written."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from actlift.errors import InputError
from actlift.files import replacing


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able mapping, whole or not at all.

    Raises:
        OSError: where the file cannot be written; what lay there stays.
    """
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with replacing(path) as beside:
        save_file(plain, beside, metadata={"actlift": json.dumps(metadata)})


def of_member(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors called "name/key", by key. A name may hold slashes, a key holds none."""
    return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.rpartition("/")[0] == name}


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote, onto the CPU.

    Raises:
        InputError: for a damaged file; it is named.
    """
    try:
        with safe_open(path, "pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - not a dict
            metadata = json.loads((opened.metadata() or {}).get("actlift", "{}"))
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is damaged or no safetensors file ({error}). Delete it and run the training again to make it anew."
        ) from error
    return {re.sub(r"\bcentre$", "center", key): value for key, value in tensors.items()}, metadata  # as once spelled
