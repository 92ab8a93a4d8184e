"""The command line as its users run it: what it prints, how it ends, and what it leaves."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from actlift import cli
from actlift.cli import console


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def command(*words: object, columns: int = 100, cwd: Path | None = None) -> Result:
    """Runs the installed script."""
    script = Path(sys.executable).with_name("actlift")
    environment = os.environ | {"COLUMNS": str(columns)}
    done = subprocess.run(
        [script, *map(str, words)], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


def here(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Runs the command's entry point in this process; gives the status."""
    monkeypatch.setattr(sys, "argv", ["actlift", *map(str, words)])
    monkeypatch.setattr(console, "CONSOLE", Console(width=120, markup=False, highlight=False))
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def tree(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, with what is in it."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def assert_refused(result: Result, *parts: str, code: int = 1) -> None:
    """One line on stderr that says all these parts, and the status of input that cannot be used."""
    assert result.code == code, result
    assert "Traceback" not in result.err
    (line,) = result.err.splitlines()
    assert line.startswith("actlift: ")
    for part in parts:
        assert part in line


def assert_usage(result: Result, *parts: str) -> None:
    """One line on stderr that says all these parts, and the status of words that cannot be taken."""
    assert_refused(result, *parts, code=2)
