"""The command's entry point in this process, and a tiny run."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands import Result, here

from actlift.cli.train import train_verb
from actlift.models.options import Network


@pytest.fixture
def actlift(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs the command's entry point in this process."""

    def run(*words: object) -> Result:
        capfd.readouterr()
        code = here(monkeypatch, *words)
        return Result(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def run_folder(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that syn3 and syn4 were held out from; to be read only."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    network = Network(receptive_field=9, channels=16)
    train_verb(corpus_folder, folder, test_subjects=["syn3", "syn4"], steps=4, batch=16, network=network)
    return folder
