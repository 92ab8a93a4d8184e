"""How the command ends: bugs keep their traceback and ask for a report; what the user can mend is one line."""

import subprocess
import sys

import pytest
from tests.commands import assert_refused, assert_usage
from tests.exports import walking

from actlift import __version__
from actlift.data.corpus import Corpus
from actlift.errors import InputError, MissingInputError, MissingPackageError
from actlift.motion import WRITERS

BUG = 70
TRACE = "Traceback (most recent call last):"


def assert_bug(result, said: str) -> None:
    """A traceback that ends in these words, below it one line that asks for a report, and the status of bugs."""
    assert result.code == BUG, result
    assert result.err.startswith(TRACE)
    *_, error, line = result.err.splitlines()
    assert error == said
    assert line.startswith("actlift: this is a bug in actlift")
    assert all(part in line for part in ("the command", "traceback", "`actlift --version`", __version__))


def raising(error: BaseException):
    def raise_it(*_: object, **__: object) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("planted", [ValueError("planted"), KeyError("planted"), TypeError("planted")], ids=repr)
def test_a_bug_in_an_exporter_keeps_its_traceback(actlift, tmp_path, monkeypatch, suffix, planted):
    monkeypatch.setattr("actlift.video.pipeline.lift_video", lambda *_, **__: [walking(source="walk.npz")])
    monkeypatch.setattr(f"actlift.motion.{WRITERS[suffix].module}.{WRITERS[suffix].function}", raising(planted))
    words = ["--formats", suffix.removeprefix("."), "--out", tmp_path / "lifted"]
    result = actlift("lift", tmp_path / "walk.npz", *words)
    assert_bug(result, f"{type(planted).__name__}: {planted}")
    assert "raise_it" in result.err


@pytest.mark.parametrize(
    "module", ["actlift.evaluation.evaluate", "actlift.lifting.predict", "actlift.data.corpus", "pandas"]
)
def test_a_bug_in_an_import_keeps_its_traceback(actlift, run_folder, corpus_folder, monkeypatch, module):
    for name in [name for name in sys.modules if name.startswith("actlift.evaluation")]:
        monkeypatch.delitem(sys.modules, name)  # so that it is imported anew
    monkeypatch.setitem(sys.modules, module, None)
    result = actlift("evaluate", run_folder, corpus_folder)
    assert_bug(result, f"ModuleNotFoundError: import of {module} halted; None in sys.modules")


@pytest.mark.parametrize(
    "planted",
    [
        ValueError("planted"),
        KeyError("planted"),
        ModuleNotFoundError("No module named 'planted'"),
        ImportError("planted"),
        AssertionError("planted"),
        RuntimeError("planted"),
        RecursionError("planted"),
        MemoryError("planted"),
    ],
    ids=repr,
)
def test_every_bug_keeps_its_traceback(actlift, corpus_folder, monkeypatch, planted):
    monkeypatch.setattr(Corpus, "open", raising(planted))
    assert_bug(actlift("data", "info", corpus_folder), f"{type(planted).__name__}: {planted}")


@pytest.mark.slow
def test_a_bug_in_a_process_of_its_own(tmp_path):
    code = (
        "from actlift.data.corpus import Corpus\n"
        "from actlift.cli import main\n"
        "Corpus.open = lambda folder: {}['planted']\n"
        "main()\n"
    )
    words = [sys.executable, "-c", code, "data", "info", "corpus"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (BUG, "")
    assert done.stderr.splitlines()[-2] == "KeyError: 'planted'"


@pytest.mark.parametrize(
    "error",
    [
        InputError("a thing:\n  wrong"),
        MissingInputError("a thing: wrong"),
        MissingPackageError("a thing: wrong"),
        OSError("a thing: wrong"),
        PermissionError("a thing: wrong"),
    ],
    ids=repr,
)
def test_what_can_be_mended_is_one_line_and_more_on_demand(actlift, corpus_folder, monkeypatch, error):
    monkeypatch.setattr(Corpus, "open", raising(error))
    assert_refused(actlift("data", "info", corpus_folder), "a thing: wrong")
    for words in (["--debug", "data", "info", corpus_folder], ["data", "info", corpus_folder, "--debug"]):
        result = actlift(*words)
        assert result.code == 1
        assert result.err.startswith(TRACE)
        assert "raise_it" in result.err
        assert result.err.splitlines()[-1] == "actlift: a thing: wrong"


def test_tracebacks_of_words_that_cannot_be_taken(actlift, tmp_path):
    (tmp_path / "c.yaml").write_text("verfiy: true\n")
    for words in (["trian"], ["data", "info"], ["data", "info", "corpus", "--config", tmp_path / "c.yaml"]):
        assert_usage(actlift(*words))
        for debugging in (["--debug", *words], [*words, "--debug"]):
            result = actlift(*debugging)
            assert result.code == 2
            assert result.err.startswith(TRACE)
            assert result.err.splitlines()[-1] == actlift(*words).err.strip()


def test_debugging_changes_nothing_where_all_is_well(actlift, corpus_folder):
    assert actlift("data", "info", corpus_folder, "--debug") == actlift("data", "info", corpus_folder)


def test_ctrl_c_while_debugging(actlift, corpus_folder, monkeypatch):
    monkeypatch.setattr(Corpus, "open", raising(KeyboardInterrupt("stopped; go on")))
    assert actlift("data", "info", corpus_folder).err == "actlift: stopped; go on\n"
    result = actlift("data", "info", corpus_folder, "--debug")
    assert result.code == 130
    assert result.err.startswith(TRACE)
    assert result.err.splitlines()[-1] == "actlift: stopped; go on"
