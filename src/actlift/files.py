"""Files that are never half-written: write beside, then rename."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from actlift.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes ``path``'s place when the block ends well, and goes when it fails.

    Raises:
        OSError: what the disk said, with the path that could not be written and what became of the old file.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(beside, path)
    except Exception as error:
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            kept = "the file that lay there is as it was" if os.path.exists(path) else "nothing was left behind"
            raise OSError(
                f"could not write {path} ({error}); {kept}. Free some space or choose another folder."
            ) from error
        raise
    finally:
        with suppress(OSError):
            beside.unlink()


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Within, no other process holds ``path``, an empty file made where it is not; gives whether that is so.

    The system lets go of it when the process ends, however it ends. Where the system has no such locks (Windows), it is
    always so.

    Args:
        wait: until another process lets go; otherwise what it holds is not to be had.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        try:
            import fcntl
        except ImportError:
            yield True
            return
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed while writing ``path`` left beside it."""
    for beside in path.parent.glob(f".{path.name}.*.part"):
        beside.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON, whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def render(path: Path, template: Path, contents: Mapping[str, Any]) -> None:
    """Write what a template makes of its contents, whole or not at all; it may include others of its folder.

    Raises:
        OSError: where the file cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template(template.name).render(contents)
    with replacing(path) as beside:
        beside.write_text(html, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON; an error names the file and where in it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
