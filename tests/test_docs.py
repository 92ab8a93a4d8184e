"""Every command that the documentation shows can be run: options that are gone, or were never there, fail here."""

import ast
import inspect
import pkgutil
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import cyclopts
import pytest
from tests.exports import walking

from actlift import cli
from actlift.cli.data import data_prepare
from actlift.cli.lift import lift_verb
from actlift.cli.options_file import whole_numbers_only
from actlift.cli.serve import serve_verb
from actlift.cli.study import study_verb
from actlift.cli.train import evaluate_verb
from actlift.data.sources import SOURCES
from actlift.evaluation.metrics import METRICS
from actlift.lifting.smoothing import CUTOFF_HZ
from actlift.models.base import ARCHITECTURES
from actlift.models.options import Network
from actlift.motion.trc import write_trc
from actlift.study.arms import ARMS, arms_of
from actlift.study.plan import Plan
from actlift.training.budget import MATCHINGS
from actlift.video.detectors import DETECTORS
from actlift.video.keypoints import FORMATS
from actlift.video.keypoints.layouts import LAYOUTS
from actlift.video.save import CHOICES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```(?:bash|sh|shell|console)\b[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
ACTLIFT = re.compile(r"^(?:\S*/)?actlift$")


def shell_commands(script: str) -> Iterator[list[str]]:
    """The words of every command of a script: prompts, comments, assignments in front and redirections left out."""
    script = re.sub(r"\\\n", " ", script)
    for line in script.splitlines():
        lexer = shlex.shlex(re.sub(r"^\s*\$ ", "", line), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if not re.fullmatch(r"[;&|()]+", word):
                command.append(word)
                continue
            while command and re.fullmatch(r"\w+=.*", command[0]):
                command.pop(0)
            if command:
                cut = next((i for i, w in enumerate(command) if re.fullmatch(r"[<>]+", w)), len(command))
                yield command[:cut]
            command = []


def of_actlift(command: list[str]) -> list[str] | None:
    """What stands behind `actlift`, `.venv/bin/actlift` or `python -m actlift`; None for another command."""
    if ACTLIFT.match(command[0]):
        return command[1:]
    if re.search(r"python[\d.]*$", command[0]) and command[1:3] == ["-m", "actlift"]:
        return command[3:]
    return None


def blocks() -> Iterator[tuple[str, str]]:
    for path in DOCUMENTS:
        for _, script in FENCE.findall(path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT).as_posix(), script


def verbs(app: cyclopts.App = cli.app, name: str = "actlift") -> Iterator[tuple[str, cyclopts.App]]:
    """Every verb by its whole name."""
    for word in app:
        if not word.startswith("-"):
            found = app[word]
            if found.default_command:
                yield f"{name} {word}", found
            yield from verbs(found, f"{name} {word}")


def examples(app: cyclopts.App) -> list[str]:
    """The indented commands of a verb's help."""
    lines = inspect.getdoc(app.default_command).splitlines()
    return [line.strip() for line in lines if line.startswith("    actlift")]


def shown() -> Iterator[tuple[str, str]]:
    """Where a command of actlift is shown, and the command."""
    for name, app in verbs():
        for example in examples(app):
            yield f"{name} --help", example
    for path, script in blocks():
        for command in shell_commands(script):
            if of_actlift(command) is not None:
                yield path, shlex.join(command)


def parse(command: str) -> None:
    """Raises a CycloptsError or ValueError if the command line would refuse these words. Runs nothing."""
    words = of_actlift(shlex.split(command))
    assert words is not None
    _, bound, *_ = cli.app.meta.parse_args(words)
    cli.app.config = whole_numbers_only
    words = list(bound.args)
    while True:
        try:
            parse_study(words)
            return
        except cyclopts.MissingArgumentError as error:
            if "config" not in bound.arguments:
                raise
            words += [error.argument.name, "1"]  # the file may hold what is missing here


def parse_study(words: list[str]) -> None:
    """Raises a ValueError if a study has no such arms or matchings."""
    command, bound, _ = cli.app.parse_args(words)
    if command is study_verb:
        asked = {name: bound.arguments[name] for name in ("arms", "matching") if name in bound.arguments}
        numbers = {name: bound.arguments[name] for name in ("frames", "epochs") if name in bound.arguments}
        arms_of(Plan(("a person",), **asked, **numbers))


@pytest.mark.parametrize(("where", "command"), sorted(set(shown())))
def test_a_command_shown_can_be_run(where, command):
    words = of_actlift(shlex.split(command))
    if words and set(words) & {"--help", "-h", "--version"}:
        path = [word for word in words if not word.startswith("-")]
        assert not path or f"actlift {' '.join(path)}" in {name for name, _ in verbs()} | {"actlift data"}, where
        return
    parse(command)


@pytest.mark.parametrize(("name", "app"), list(verbs()), ids=[name for name, _ in verbs()])
def test_every_verb_shows_an_example_of_itself(name, app):
    assert examples(app)
    assert all(example.startswith(f"{name} ") or example == name for example in examples(app))


@pytest.mark.parametrize(
    "command",
    [
        "actlift trane corpus run --test-subjects S7",
        "actlift train corpus run",
        "actlift train corpus run --test-subjects S7 --rate 3",
        "actlift train corpus run --test-subjects S7 --budget.steps 3",
        "actlift train corpus run --test-subjects S7 --steps 2.5",
        "actlift train corpus run --test-subjects S7 --precision half",
        "actlift study corpus s --test-subjects S7 --joint-weights heavy",
        "actlift study corpus s --test-subjects S7 --arms specialists",
        "actlift study corpus s --test-subjects S7 --matching fair",
        "actlift demo here there",
        "actlift train corpus run --config train.yaml --rate 3",
    ],
)
def test_a_command_that_cannot_be_run_would_be_found(command):
    with pytest.raises((cyclopts.CycloptsError, ValueError)):
        parse(command)


def test_commands_are_found_in_scripts():
    script = """
    # prepare first
    $ OMP_NUM_THREADS=2 actlift data prepare \\
        "my file.npz" --out corpus   # a comment
    cd there && .venv/bin/actlift demo out --steps 3 > log.txt; python3 -m actlift report s | head
    pip install actlift
    """
    found = [words for command in shell_commands(script) if (words := of_actlift(command)) is not None]
    assert found == [
        ["data", "prepare", "my file.npz", "--out", "corpus"],
        ["demo", "out", "--steps", "3"],
        ["report", "s"],
    ]
    text = "text\n```bash\nactlift demo\n```\n- item\n\n  ```sh\n  actlift report s\n  ```\n```python\nactlift\n```\n"
    assert [script.strip() for _, script in FENCE.findall(text)] == ["actlift demo", "actlift report s"]


def test_make_targets_shown_are_there():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for where, script in [*blocks(), ("Makefile", "make demo; make test")]:
        for command in shell_commands(script):
            if command[0] == "make":
                wanted = {word for word in command[1:] if "=" not in word and not word.startswith("-")}
                assert wanted <= targets, where


def test_the_makefile_runs_commands_that_exist():
    recipes = re.findall(r"^\t[@-]?\$\(BIN\)/(actlift .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipes
    for command in recipes:
        parse(command)


@pytest.mark.parametrize("text", re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
def test_files_of_options_shown_can_be_read(text, tmp_path, monkeypatch):
    (tmp_path / "options.yaml").write_text(text)
    met = {}
    monkeypatch.setattr("actlift.data.corpus.Corpus.open", lambda folder: met.setdefault("corpus", folder) and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.app.meta(["train", "corpus", "run", "--config", str(tmp_path / "options.yaml")])
    assert met == {"corpus": Path("corpus")}


def test_links_to_files_lead_somewhere():
    for path in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target):
                assert (path.parent / target).exists(), f"{path.name} links to {target}"


def python_blocks() -> Iterator[tuple[str, str]]:
    for path in DOCUMENTS:
        for script in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            yield path.relative_to(ROOT).as_posix(), script


def test_python_shown_imports_what_is_there():
    for where, script in python_blocks():
        tree = ast.parse(script, where)
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(tree, where, "exec"), {})


def test_the_tree_in_the_readme_is_the_tree():
    (tree,) = re.findall(r"^src/actlift/\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    listed = set(re.findall(r"^  (\S+)", tree, re.MULTILINE))
    package = ROOT / "src" / "actlift"
    there = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    there |= {f"{path.name}/" for path in package.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert listed == there


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_modules_named_are_there(path):
    """In backticks: files from the root of the repository, and what actlift can import."""
    for name in re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8")):
        if re.fullmatch(r"(src|tests|docs|benchmarks|recipes|examples)/[\w./-]+", name):
            if path.name == "extending.md" and f"`{name}`:" in path.read_text(encoding="utf-8"):
                continue  # a file that its example makes
            assert (ROOT / name).exists(), name
        elif re.fullmatch(r"actlift(\.\w+)+", name):
            assert pkgutil.resolve_name(name) is not None


# lists of what there is


def option(verb: Callable[..., None], name: str) -> str:
    """What the help of a verb says of an option, in one line."""
    lines = re.findall(rf"^{name}\n((?:    .*\n?)+)", inspect.getdoc(verb) or "", re.MULTILINE)
    return " ".join("".join(lines).split())


def first_column(path: Path, head: str) -> list[str]:
    """The first cells of a table in a document, which begins with the cell ``head``; without backticks."""
    text = path.read_text(encoding="utf-8")
    (table,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [row.split("|")[1].strip().strip("`") for row in table.splitlines()]


def test_the_readme_shows_every_verb():
    shown = [words for path, script in blocks() if path == "README.md" for words in shell_commands(script)]
    of_readme = {" ".join(["actlift", *words]) for each in shown if (words := of_actlift(each)) is not None}
    of_readme.add("actlift demo")  # as `make demo`
    for name, _ in verbs():
        assert any(f"{command} ".startswith(f"{name} ") for command in of_readme), name


def test_lists_of_what_lifting_takes_and_makes():
    video = ROOT / "docs" / "video.md"
    assert first_column(video, "file") == [f".{name}" if name != "mp4" else "_overlay.mp4" for name in CHOICES]
    assert first_column(video, "detector") == list(DETECTORS)
    for verb in (lift_verb, serve_verb):
        assert option(verb, "detector").startswith(f"Of 2D keypoints: {', '.join(DETECTORS)}, or auto")
    assert first_column(video, "keypoints") == list(FORMATS)
    assert option(lift_verb, "video").endswith(f"keypoints of {', '.join(FORMATS)}.")
    assert f"; {CUTOFF_HZ:g} where not given" in option(lift_verb, "smoothing")
    assert option(lift_verb, "layout").endswith(f": {', '.join(LAYOUTS)}.")


def test_the_list_of_architectures():
    (listed,) = re.findall(r"architecture: of `actlift\.models\.base\.ARCHITECTURES`: (.+)\.$", Network.__doc__, re.M)
    assert listed.split(", ") == list(ARCHITECTURES)


def test_lists_of_arms_and_matchings():
    readme = ROOT / "README.md"
    assert [arm for cell in first_column(readme, "arm") for arm in re.findall(r"[\w-]+", cell)] == list(ARMS)
    assert option(study_verb, "arms").startswith(f"Of {', '.join(ARMS)}. ")
    assert first_column(readme, "`--matching`") == list(MATCHINGS)
    assert set(MATCHINGS) <= set(re.findall(r"\w+", option(study_verb, "matching")))


def test_lists_of_sources_and_metrics():
    for row in SOURCES.values():
        assert row.title in " ".join(README.replace("`", "").split())
        assert row.title in option(data_prepare, "sources")
    assert option(evaluate_verb, "metrics").endswith(f": {', '.join(METRICS)}.")


def test_the_markers_of_trc_are_those_that_are_written(tmp_path):
    write_trc(walking(), tmp_path / "walk.trc")
    _, fields, values, markers, *_ = (tmp_path / "walk.trc").read_text().splitlines()
    written = dict(zip(fields.split("\t"), values.split("\t"), strict=True))
    text = " ".join((ROOT / "docs" / "video.md").read_text(encoding="utf-8").split())
    ((count, listed),) = re.findall(r"The (\d+) markers of `\.trc` are ([^;]+);", text)
    assert count == written["NumMarkers"]
    assert listed.split(", ") == [marker for marker in markers.split("\t")[2:] if marker]
    (row,) = re.findall(r"\| `\.trc` \| ([^|]+) \|", text)
    assert {"mm": "millimeters", "m": "meters"}[written["Units"]] in row.split()


@pytest.mark.parametrize("app", [app for _, app in verbs()], ids=[name for name, _ in verbs()])
def test_every_option_is_explained(app):
    for argument in app.assemble_argument_collection(parse_docstring=True):
        if not argument.children:
            assert argument.parameter.help, argument.name


def test_options_are_flat():
    for name, app in verbs():
        for argument in app.assemble_argument_collection():
            assert not any("." in option for option in argument.names), name
