"""The real command: what it prints, what it leaves, and that errors are one clear line and leave nothing."""

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.commands import Result, assert_refused, assert_usage, command, tree
from tests.data.sources.test_asfamc import ASF, amc

from actlift import cli
from actlift.cli import console
from actlift.cli.data import data_prepare
from actlift.cli.study import study
from actlift.cli.train import train_verb
from actlift.data.corpus import Corpus
from actlift.data.sources.h36m import JOINTS_OF_32, h36m_cameras
from actlift.data.sources.mocap_npz import read_mocap_npz, write_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import GENERALIST, Scores, Variant
from actlift.geometry.skeleton import H36M_17
from actlift.models.options import Network
from actlift.study.plan import Plan
from actlift.training.budget import Budget
from actlift.training.run import Run
from actlift.training.settings import Loss

VERBS = (
    "lift",
    "serve",
    "demo",
    "data",
    "data prepare",
    "data info",
    "train",
    "evaluate",
    "finetune",
    "switching",
    "export",
    "recognize",
    "study",
    "report",
    "advise",
    "audit",
)
TINY = ["--steps", "4", "--batch", "16", "--receptive-field", "9", "--channels", "16"]


# help


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_tells_its_options_and_shows_examples(actlift, verb):
    result = actlift(*verb.split(), "--help")
    assert (result.code, result.err) == (0, "")
    text = re.sub(r"\s+", " ", result.out)
    assert f"Usage: actlift {verb}" in text
    if verb == "data":
        return
    app = cli.app
    for name in verb.split():
        app = app[name]
    examples = [
        line.strip() for line in app.default_command.__doc__.splitlines() if line.startswith(" " * 8 + "actlift")
    ]
    assert examples
    for example in examples:
        assert example in text


def test_the_script_says_what_it_can_do_and_which_version_it_is():
    for words in ([], ["--help"]):
        result = command(*words)
        assert (result.code, result.err) == (0, "")
        assert all(verb in result.out for verb in ("data", "demo", "evaluate", "report", "study", "train"))
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", command("--version").out)


def test_help_is_quick_as_it_leaves_torch_alone():
    code = "import sys; from actlift.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)
    assert "actlift.cli" in done.stdout.split()
    assert not {"torch", "pandas", "scipy"} & set(done.stdout.split())


# a whole way through


@pytest.mark.slow
def test_the_demo_ends_with_tables_who_wins_and_the_page(tmp_path):
    result = command("demo", "out", "--steps", 8, "--seeds", 0, cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "report: out/study/report.html"
    assert (tmp_path / "out/study/report.html").stat().st_size > 50_000
    text = re.sub(r"\s+", " ", result.out)
    assert "96 clips, 384 views by 4 cameras, 96,000 frames at 50 fps, 6 subjects, 8 actions" in text
    for head in ("MPJPE (Protocol 1), mm, lower is better", "MPJVE (velocity error), mm/frame, lower is better"):
        assert head in text
    for arm in (
        "generalist",
        *(f"{arm} ({how})" for arm in ("experts", "random-experts") for how in ("total", "per model")),
    ):
        assert f"{arm}: " in text  # what it is, in words
    assert "the true action is known (oracle)" in text
    assert "Where joints are (position error, MPJPE): " in text
    assert "How they move (velocity error, MPJVE): " in text
    assert "Motions are synthetic, nobody moved" in text
    assert text.count("mean over actions") >= 2
    assert re.search(r"1/5 generalist, seed 0: 100%, [\d.]+ mm [\d,]+ windows/s, \d+% of the whole study", text)

    again = command("demo", "out", "--steps", 8, "--seeds", 0, cwd=tmp_path)
    assert again.code == 0
    assert "windows/s" not in again.out  # nothing was trained
    assert again.out.splitlines() == lines[-len(again.out.splitlines()) :]


def test_prepare_says_what_it_made(actlift, tmp_path):
    clips = [*synthetic_clips(0, subjects=2, clips=2, seconds=0.4, fps=50.0, actions=["Walking", "Squat"])]
    write_mocap_npz(tmp_path / "mocap.npz", clips)
    (tmp_path / "exclude.csv").write_text("clip,camera,first,last,reason\nsyn1/Squat_1,*,10,-1,falls over\n")
    corpus = tmp_path / "corpus"
    options = ["--cameras", 2, "--rig", "random", "--keypoints", "detector", "--fps", 25, "--seed", 3]
    result = actlift(
        "data", "prepare", tmp_path / "mocap.npz", "--out", corpus, *options, "--exclude", tmp_path / "exclude.csv"
    )
    assert (result.code, result.err) == (0, "")
    opened = Corpus.open(corpus)
    assert opened.provenance["keypoints"]["kind"] == "DetectorNoise"
    assert opened.fps == 25
    text = re.sub(r" +", " ", result.out)
    assert "8 clips, 16 views by 2 cameras, 150 frames at 25 fps, 2 subjects, 2 actions" in text
    assert "Squat 4 35 syn1 15, syn2 20" in text
    assert "Walking 4 40 syn1 20, syn2 20" in text
    assert "left out: syn1/Squat_1 (*) frames 10 to -1: falls over" in text
    assert f"digest {opened.digest[:16]}" in text

    info = actlift("data", "info", corpus, "--verify")
    assert (info.code, info.err) == (0, "")
    assert info.out.splitlines()[-1] == f"digest {opened.digest[:16]} (verified)"
    assert info.out.splitlines()[:-1] == result.out.splitlines()[: len(info.out.splitlines()) - 1]


def test_brackets_in_names_are_printed(actlift, tmp_path):
    (clip,) = synthetic_clips(0, subjects=1, clips=1, seconds=0.2, fps=50.0, actions=["Walking"])
    write_mocap_npz(tmp_path / "a.npz", [replace(clip, name="a [red]", action="Walk [bold]", subject="S [/]")])
    result = actlift("data", "prepare", tmp_path / "a.npz", "--out", tmp_path / "[corpus]")
    assert (result.code, result.err) == (0, "")
    assert "Walk [bold]" in result.out
    assert "S [/] 10" in result.out


def test_several_sources_make_one_corpus(actlift, tmp_path):
    for subject, actions in (("a", ["Walking"]), ("b", ["Squat"])):
        clips = synthetic_clips(0, subjects=1, clips=1, seconds=0.2, fps=50.0, actions=actions)
        write_mocap_npz(tmp_path / f"{subject}.npz", clips)
    result = actlift("data", "prepare", tmp_path / "a.npz", tmp_path / "b.npz", "--out", tmp_path / "corpus")
    assert result.code == 0, result.err
    assert Corpus.open(tmp_path / "corpus").actions == ("Squat", "Walking")


def test_asf_and_amc_become_a_corpus(actlift, tmp_path):
    source = tmp_path / "body"
    source.mkdir()
    (source / "body.asf").write_text(ASF)
    (source / "one.amc").write_text(amc(*[{}] * 12), encoding="latin-1")
    (source / "labels.csv").write_text("amc,action\none.amc,Standing\n")
    result = actlift("data", "prepare", source, "--out", tmp_path / "corpus", "--fps", 60, "--keypoints", "exact")
    assert (result.code, result.err) == (0, "")
    assert Corpus.open(tmp_path / "corpus").actions == ("Standing",)


@pytest.mark.slow
def test_train_then_evaluate(actlift, corpus_folder, tmp_path):
    folder = tmp_path / "run"
    words = ["train", corpus_folder, folder, "--test-subjects", "syn3", "syn4", "--actions", "Walking", "Waving", *TINY]
    trained = actlift(*words, "--seed", 5)
    assert (trained.code, trained.err) == (0, "")
    assert re.search(r"training Walking\+Waving: 100%, [\d.]+ mm [\d,]+ windows/s\n", trained.out)
    assert f"`actlift evaluate {folder} {corpus_folder}` scores it" in trained.out
    identity = Run.open(folder).config["identity"]
    assert identity["trained_on"] == {"subjects": ["syn1", "syn2"], "actions": ["Walking", "Waving"]}
    assert (identity["seed"], identity["batch"], identity["model"]["channels"]) == (5, 16, 16)
    before = tree(folder)
    again = actlift(*words, "--seed", 5)
    assert (again.code, again.err) == (0, "")
    assert "windows/s" not in again.out
    assert tree(folder) == before

    scored = actlift("evaluate", folder, corpus_folder, "--out", tmp_path / "scores.parquet")
    assert (scored.code, scored.err) == (0, "")
    scores = Scores.read(tmp_path / "scores.parquet")
    assert scores.metrics == tuple(METRICS)
    assert scores.variants == (Variant("run"),)
    assert set(scores.table["subject"]) == {"syn3", "syn4"}  # nobody it was trained on
    assert set(scores.table["seed"]) == {5}
    assert tree(folder) == before
    printed = {line.split("  ")[0].strip(): line.split()[-len(METRICS) :] for line in scored.out.splitlines() if line}
    for action, value in scores.per_action("mpjpe").iloc[0].items():
        assert printed[action][0] == f"{value:.1f}"
    assert f"{folder} on syn3, syn4" in scored.out


def test_train_on_a_subset_with_a_learning_rate(actlift, corpus_folder, tmp_path):
    words = ["--test-subjects", "syn3", "syn4", *TINY, "--seed", 2]
    members = {}
    for share in (0.2, 0.5, 1.0):
        out = tmp_path / str(share)
        result = actlift("train", corpus_folder, out, *words, "--subset", share, "--learning-rate", 2e-3)
        assert (result.code, result.err) == (0, "")
        members[share] = Run.open(out).config["identity"]["members"]["everything"]
    frames = {share: member["frames"] for share, member in members.items()}
    training, _ = Corpus.open(corpus_folder).split(["syn3", "syn4"])
    assert frames == {share: training.subset(share, 2).frames for share in frames}
    assert frames[0.2] < frames[0.5] < frames[1.0] == training.frames
    assert members[1.0]["learning_rate"] == {"first": 2e-3, "last": 2e-4}
    usual = actlift("train", corpus_folder, tmp_path / "usual", *words)
    assert usual.code == 0
    assert Run.open(tmp_path / "usual").config["identity"]["members"]["everything"] == {
        **members[1.0],
        "learning_rate": {"first": 5e-3, "last": 5e-4},
    }


@pytest.mark.slow
def test_finetune_with_a_learning_rate(actlift, run_folder, corpus_folder, tmp_path):
    words = ["finetune", run_folder, corpus_folder]
    options = ["--action", "Waving", "--test-subjects", "syn4", "--steps", 3, "--batch", 8, "--device", "cpu"]
    for out, more, first in (("usual", [], 1e-3), ("own", ["--learning-rate", 4e-4], 4e-4)):
        result = actlift(*words, tmp_path / out, *options, *more)
        assert (result.code, result.err) == (0, "")
        assert re.search(r"fine-tuning on Waving: 100%, [\d.]+ mm [\d,]+ windows/s\n", result.out)
        (member,) = Run.open(tmp_path / out).config["identity"]["members"].values()
        assert member["learning_rate"] == {"first": first, "last": first / 10}


def test_every_option_of_a_study_reaches_its_plan(actlift, monkeypatch):
    met = {}
    monkeypatch.setattr("actlift.cli.study.study", lambda *_, plan: met.update(plan=plan))
    assert actlift("study", "c", "s", "--test-subjects", "a", "b").code == 0
    assert met["plan"] == Plan(("a", "b"))
    words = ["--arms", "conditioned", "--matching", "frames", "--seeds", 4, 5, "--steps", 7, "--batch", 8]
    words += [
        "--frames",
        9,
        "--snapshots",
        2,
        "--velocity-loss",
        0.5,
        "--joint-weights",
        "extremities",
        "--labels",
        "all",
    ]
    words += ["--labels-by", "clip", "--coupled"]
    words += ["--all-actions", "--precision", "float32", "--device", "cpu", "--receptive-field", 81, "--channels", 12]
    words += ["--causal", "--dropout", 0.2, "--trajectory", "--widths", 3, 5]
    assert actlift("study", "c", "s", "--test-subjects", "a", *words).code == 0
    plan = met["plan"]
    usual = Plan(("b",))
    for field in fields(Plan):
        assert field.name in ("epochs", "folds") or getattr(plan, field.name) != getattr(usual, field.name), field.name
    assert (plan.budget, plan.frames, plan.snapshots) == (Budget(7, 8), 9, 2)
    assert plan.network == Network(81, (3, 5), 12, causal=True, dropout=0.2, trajectory=True)
    assert plan.loss == Loss(0.5, "extremities")
    assert actlift("study", "c", "s", "--test-subjects", "a", "--matching", "epochs", "--epochs", 3).code == 0
    assert met["plan"].epochs == 3
    assert actlift("study", "c", "s", "--folds", "people:6").code == 0
    assert (met["plan"].folds, met["plan"].test_subjects) == ("people:6", ())


def test_evaluate_some(actlift, run_folder, corpus_folder, tmp_path):
    words = ["--subjects", "syn4", "--actions", "Squat", "Waving", "--metrics", "mpjve", "pck", "--no-flip"]
    result = actlift("evaluate", run_folder, corpus_folder, *words, "--out", tmp_path / "s.parquet")
    assert (result.code, result.err) == (0, "")
    scores = Scores.read(tmp_path / "s.parquet")
    assert scores.metrics == ("mpjve", "pck")
    assert scores.actions == ("Squat", "Waving")
    assert set(scores.table["subject"]) == {"syn4"}
    flipped = actlift("evaluate", run_folder, corpus_folder, *words[:-1])
    assert flipped.out != result.out


@pytest.mark.slow
def test_study_then_report(actlift, corpus_folder, tmp_path):
    folder = tmp_path / "study"
    words = ["study", corpus_folder, folder, "--test-subjects", "syn4", "--arms", "experts", "cluster-experts", *TINY]
    result = actlift(*words, "--matching", "total", "per_model", "--seeds", "0")
    assert (result.code, result.err) == (0, "")
    assert Scores.read(folder / "scores.parquet").by_smoothing()[0].variants == (
        GENERALIST,
        *(Variant(arm, how) for arm in ("experts", "cluster-experts") for how in ("total", "per_model")),
    )
    page = folder / "report.html"
    html = page.read_text()
    page.unlink()
    report = actlift("report", folder)
    assert (report.code, report.err) == (0, "")
    assert page.read_text() == html
    assert report.out.splitlines() == result.out.splitlines()[-len(report.out.splitlines()) :]
    assert report.out.splitlines()[-1] == f"report: {page}"
    (folder / "scores.parquet").write_bytes(b"PAR1")
    assert_refused(actlift("report", folder), "scores.parquet: cannot be read as scores")


@pytest.mark.slow
def test_a_terminal_shows_a_bar_with_the_time_left(corpus_folder, tmp_path, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(console, "CONSOLE", Console(file=screen, force_terminal=True, width=100, color_system=None))
    network = Network(receptive_field=9, channels=16)
    train_verb(corpus_folder, tmp_path / "run", test_subjects=["syn4"], steps=4, batch=16, network=network)
    plan = Plan(("syn4",), arms=("experts",), seeds=(0,), budget=Budget(6, 16), network=network)
    study(corpus_folder, tmp_path / "study", plan=plan)
    last: dict[str, str] = {}  # as the bars stood in the end
    for line in re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", screen.getvalue()):
        for label in ("training everything", "the whole study", "2/2 experts (total), seed 0"):
            if line.startswith(label):
                last[label] = line
    assert len(last) == 3
    for line in last.values():
        assert re.search(r"━+ +100% +\d:\d\d:\d\d +ETA +0:00:00", line)
        assert len(line) <= 100
    assert re.search(r"[\d.]+ mm [\d,]+ windows/s", last["2/2 experts (total), seed 0"])


@pytest.mark.parametrize("terminal", [True, False])
def test_stages_tell_how_far_they_are(monkeypatch, terminal):
    screen = io.StringIO()
    screened = Console(file=screen, force_terminal=terminal, width=100, color_system=None)
    monkeypatch.setattr(console, "CONSOLE", screened)
    monkeypatch.setattr(console, "LINE_EVERY_S", -1.0)
    with console.progress() as progress:
        progress.stage("finding people", 10, 40)
        progress.stage("finding people", 40, 40)
        progress.stage("filming", 5, None)
        progress("training it", 1, 2, "loss 0.50 nats")
    text = screen.getvalue()
    if terminal:
        last = [line for line in re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", text) if line.strip()][-3:]
        assert re.match(r"finding people ━+ 100% 0:00:0\d ETA 0:00:00 40 of 40", last[0])
        assert last[1].startswith("filming")
        assert re.match(r"training it +━.* 50% .* loss 0.50 nats", last[2])
    else:
        lines = text.splitlines()
        assert lines == [
            "finding people: 25%, 10 of 40",
            "finding people: 100%, 40 of 40",
            "filming: 5",
            "training it: 50%, loss 0.50 nats",
        ]


def test_lines_tell_the_time_that_is_left(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(console, "CONSOLE", Console(file=screen, width=100))
    monkeypatch.setattr(console, "LINE_EVERY_S", -1.0)
    now = iter([0.0, 1.0, 3.0, 4.0, 5.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    with console.progress() as progress:
        for done in (20, 30, 40):  # it went on from 20
            progress.stage("finding people", done, 60)
    assert screen.getvalue().splitlines() == [
        "finding people: 33%, 20 of 60",
        "finding people: 50%, 30 of 60, 6 s left",
        "finding people: 67%, 40 of 60, 3 s left",
    ]


# options in a file


def test_a_config_file_holds_the_options_and_the_command_line_wins(actlift, corpus_folder, tmp_path):
    config = tmp_path / "train.yaml"
    config.write_text(
        f"corpus: {corpus_folder}\n"
        f"out: {tmp_path / 'run'}\n"
        "test_subjects: [syn3, syn4]\n"
        "seed: 3\n"
        "steps: 3\n"
        "batch: 16\n"
        "channels: 16\n"
        "receptive_field: 9\n"
        "causal: true\n"
        "precision: float32\n"
    )
    result = actlift("train", "--config", config, "--seed", 9, "--channels", 24)
    assert (result.code, result.err) == (0, "")
    identity = Run.open(tmp_path / "run").config["identity"]
    assert identity["trained_on"]["subjects"] == ["syn1", "syn2"]
    assert identity["members"]["everything"]["steps"] == 3
    assert (identity["batch"], identity["seed"], identity["precision"]) == (16, 9, "float32")
    model = identity["model"]
    assert (model["channels"], model["widths"], model["causal"]) == (24, [3, 3], True)


@pytest.mark.slow
def test_a_config_file_holds_a_study(actlift, corpus_folder, tmp_path):
    config = tmp_path / "study.yaml"
    config.write_text(
        "test-subjects: [syn4]\narms: [random-experts]\nmatching: [frames]\nframes: 60\nseeds: [4]\n"
        "steps: 3\nbatch: 16\nchannels: 16\nreceptive-field: 9\n"
    )
    result = actlift("study", corpus_folder, tmp_path / "study", "--config", config)
    assert (result.code, result.err) == (0, "")
    scores = Scores.read(tmp_path / "study" / "scores.parquet")
    assert scores.by_smoothing()[0].variants == (GENERALIST, Variant("random-experts", "frames"))
    assert scores.seeds(GENERALIST) == (4,)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("stepz: 3", ["unknown option [stepz]", "did you mean steps?", "`actlift train --help`"]),
        ("budget: [1, 2]", ["unknown option [budget]"]),
        ("budget: {steps: 3}", ["unknown option [budget]"]),
        ("network: {channels: 3}", ["unknown option [network]"]),
        ("channels: {wide: 3}", ["[channels]", "wide"]),
        ("channels: {1: 3}", ["[channels]", "no text"]),
        ("extra: 3", ["[extra]"]),
        ("extra: [3]", ["[extra]"]),
        ("extra: {joints: {a: 3}}", ["[extra]", "a dict within another"]),
        ("actions: [[Walking]]", ["[actions]", "a list within another"]),
        ("actions: [{a: 3}]", ["[actions]", "a dict within another"]),
        ("actions: [2020-02-02]", ["[actions]", "date", "quote it"]),
        ("actions: [2020-02-31]", ["not valid YAML", "day"]),
        ("actions: &a [*a]", ["[actions]", "a list within another"]),
        ("actions: " + "[" * 5000 + "]" * 5000, ["lists within lists", "one value, or a list"]),
        ("1: 5", ["[1]", "no name of an option", "int"]),
        ("on: 5", ["[True]", "no name of an option", "bool"]),
        ("no-causal: true", ["[no-causal]", "`causal: false`"]),
        ("debug: true", ["unknown option [debug]"]),
        ("steps: many", ["[steps]", '"many"', "int"]),
        ("steps: 2.5", ["[steps]", '"2.5"', "int"]),
        ("steps: .inf", ["[steps]", '"inf"', "int"]),
        ("steps:", ["[steps]", '"null"', "int"]),
        ("channels: [16, 8]", ["[channels]", "int"]),
        ("causal: perhaps", ["[causal]", '"perhaps"', "bool"]),
        ("seed: x", ["[seed]", '"x"', "int"]),
        ("precision: float16", ["[precision]", '"float16"', '"auto", "float32", "bfloat16"']),
        ("train: {seed: 3}", ["[train]", "options of one verb"]),
        ("- 1\n- 2", ["wanted options", "got list"]),
        ("steps: {steps: 3", ["not valid YAML", "line 1"]),
        ("\x00", ["not valid YAML"]),
        ("steps: !!timestamp soon", ["not valid YAML"]),
        ("steps: !!bool soon", ["not valid YAML"]),
        ("steps: !!int ''", ["not valid YAML"]),
        ("steps: !!python/name:os.system", ["not valid YAML", "python/name"]),
        ("[steps]: 3", ["not valid YAML"]),
        ("steps: !!binary aGk=", ["[steps]", "a bytes"]),
        ("actions: !!set {a, b}", ["[actions]", "a set"]),
        ("steps: '\ud800'", ["not valid YAML"]),
    ],
)
def test_a_config_file_that_is_wrong_is_named_with_the_key(actlift, corpus_folder, tmp_path, text, parts):
    config = tmp_path / "mine.yaml"
    config.write_text(text + "\n", encoding="utf-8", errors="surrogatepass")
    before = tree(tmp_path)
    result = actlift("train", corpus_folder, tmp_path / "run", "--test-subjects", "syn4", "--config", config)
    assert_usage(result, str(config), *parts)
    assert tree(tmp_path) == before


def test_a_config_file_that_is_not_there(actlift, corpus_folder, tmp_path):
    result = actlift("train", corpus_folder, tmp_path / "run", "--config", tmp_path / "no.yaml")
    assert_usage(result, "no.yaml", "no such file", "--config takes a YAML file")
    result = actlift("train", corpus_folder, tmp_path / "run", "--config", tmp_path)
    assert_usage(result, str(tmp_path), "cannot be read", "--config takes a YAML file")


def test_one_call_does_not_remember_the_config_of_another(actlift, corpus_folder, tmp_path):
    (tmp_path / "c.yaml").write_text("verify: true\n")
    assert "(verified)" in actlift("data", "info", corpus_folder, "--config", tmp_path / "c.yaml").out
    assert "(verified)" not in actlift("data", "info", corpus_folder).out


def test_prepare_uses_the_cameras_and_detections_of_human36m(actlift, tmp_path):
    clips = [*synthetic_clips(0, subjects=1, clips=1, seconds=0.4, fps=50.0, actions=["Waving"])]
    joints = np.zeros((20, 32, 3), np.float32)
    joints[:, JOINTS_OF_32] = clips[0].joints_world - clips[0].joints_world[0, 0] * (1, 1, 0)
    source, pair, corpus = tmp_path / "data_3d_h36m.npz", tmp_path / "data_2d_h36m_cpn.npz", tmp_path / "corpus"
    np.savez(source, positions_3d={"S9": {"Greeting": joints}, "S11": {"Directions": joints}})
    exact = [camera.cam_to_px(camera.world_to_cam(joints[:, JOINTS_OF_32])) for camera in h36m_cameras("S9")]
    metadata = {"num_joints": 17, "keypoints_symmetry": [H36M_17.left, H36M_17.right]}
    np.savez(pair, positions_2d={"S9": {"Greeting": [points + 4.0 for points in exact]}}, metadata=metadata)

    result = actlift("data", "prepare", source, "--detections", pair, "--out", corpus)
    assert (result.code, result.err) == (0, "")
    assert "1 clips, 4 views by 4 cameras, 80 frames at 50 fps" in result.out
    assert "left out: S11/Directions (*) frames 0 to -1: the video of camera 54138969 is corrupt" in result.out
    assert "digest" in actlift("data", "info", corpus, "--verify").out
    view = Corpus.open(corpus).views[0]
    np.testing.assert_allclose(view.camera.screen_to_px(view.pose2d), exact[0] + 4.0, atol=1e-3)

    before = tree(tmp_path)
    both = actlift("data", "prepare", source, "--detections", pair, "--keypoints", "exact", "--out", tmp_path / "new")
    assert_refused(both, "--keypoints exact makes 2D keypoints, --detections brings them; give one of the two")
    assert_refused(
        actlift("data", "prepare", "synthetic", "--detections", pair, "--out", tmp_path / "new"), "Human3.6M"
    )
    ring = actlift("data", "prepare", source, "--detections", pair, "--rig", "ring", "--out", tmp_path / "new")
    assert_refused(ring, "S9/Greeting", "own cameras", "leave out rig 'ring'")
    assert tree(tmp_path) == before


# words that cannot be


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian"], ['Unknown command "trian"', "train", "`actlift --help`"]),
        (["specialise", "run", "corpus", "out"], ['Unknown command "specialise"', "`actlift --help`"]),
        (["data", "prep"], ['Unknown command "prep"', "prepare", "`actlift data --help`"]),
        (["demo", "--step", "3"], ["--step", "--steps", "`actlift demo --help`"]),
        (["demo", "--steps", "few"], ["--steps", '"few"', "int"]),
        (["demo", "--steps", "2.5"], ["--steps", '"2.5"', "int"]),
        (["report"], ["study", "`actlift report --help`"]),
        (["train", "corpus", "run"], ["--test-subjects", "`actlift train --help`"]),
        (["train", "c", "r", "--test-subjects", "a", "--budget.steps", "3"], ["--budget.steps", "Unknown option"]),
        (["train", "c", "r", "--test-subjects", "a", "--network.channels", "3"], ["--network.channels"]),
        (["train", "c", "r", "--test-subjects", "a", "--learning-rate", "slow"], ["--learning-rate", '"slow"']),
        (["data", "prepare", "synthetic", "--out", "c", "--rig", "square"], ["--rig", '"square"', '"random", "wide"']),
        (["demo", "here", "there"], ["there", "`actlift demo --help`"]),
    ],
)
def test_words_that_are_none_are_refused(actlift, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    assert_usage(actlift(*words), *parts)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["demo", "--steps", "0"], ["at least 1 step", "got 0 steps"]),
        (["demo", "--seeds"], ["needs seeds, each once"]),
        (
            ["study", "c", "s", "--test-subjects", "a", "--arms", "all"],
            ["there is no arm 'all'", "generalist, experts"],
        ),
        (
            ["study", "c", "s", "--test-subjects", "a", "--matching", "fair"],
            ["unknown matching fair", "total, per_model"],
        ),
        (["study", "c", "s", "--test-subjects", "a", "--matching", "frames"], ["'frames'", "give both or neither"]),
        (["study", "c", "s", "--test-subjects", "a", "--batch", "1"], ["at least 2 windows", "steps of 1"]),
        (["study", "c", "s", "--test-subjects", "a", "--scale", "2"], ["--scale", "belong to a preset"]),
    ],
)
def test_words_that_cannot_be_are_refused(actlift, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    assert_refused(actlift(*words), *parts)
    assert tree(tmp_path) == {}


def test_the_script_itself_refuses_with_one_line():
    assert_refused(command("data", "info", "nowhere"), "nowhere: no corpus there", "`actlift data prepare` writes one")


# sources that are wrong


def npz(path: Path, **change: np.ndarray) -> Path:
    """A small mocap file, with some arrays replaced."""
    write_mocap_npz(path, synthetic_clips(0, subjects=1, clips=2, seconds=0.2, fps=50.0, actions=["Walking"]))
    with np.load(path) as found:
        arrays = dict(found)
    np.savez(path, **{**arrays, **change})
    return path


@pytest.fixture
def assert_no_corpus(actlift, tmp_path) -> Callable[..., None]:
    """Preparing this source is refused in these words and leaves nothing."""

    def check(source: object, *parts: str) -> None:
        before = tree(tmp_path)
        assert_refused(actlift("data", "prepare", source, "--out", tmp_path / "corpus"), str(source), *parts)
        assert tree(tmp_path) == before

    return check


def test_frames_that_are_not_numbers(assert_no_corpus, tmp_path):
    root = np.zeros((20, 3), np.float32)
    root[13] = np.nan
    assert_no_corpus(
        npz(tmp_path / "nan.npz", root_m=root), "clip 'syn1/Walking_2': frame 3, joint Pelvis", "nan", "1 of 10 frames"
    )


def test_a_file_cut_short(assert_no_corpus, tmp_path):
    path = npz(tmp_path / "short.npz")
    whole = path.read_bytes()
    for share in (0.3, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        assert_no_corpus(path, "cut short", "copy it again")


def test_objects_are_refused_and_never_unpickled(assert_no_corpus, tmp_path):
    created = tmp_path / "created by the pickle"

    class Trap:
        def __reduce__(self):
            return (open, (str(created), "w"))

    path = npz(tmp_path / "trap.npz", description=np.array([Trap(), Trap()], dtype=object))
    assert_no_corpus(path, "array 'description' holds Python objects", "refused", "plain numbers or text")
    assert not created.exists()


def test_arrays_that_are_missing_or_of_another_shape(assert_no_corpus, tmp_path):
    short = npz(tmp_path / "shape.npz", root_m=np.zeros((7, 3), np.float32))
    assert_no_corpus(short, "'root_m'", "(7, 3)", "(20, 3)")
    np.savez(tmp_path / "part.npz", root_m=np.zeros(3))
    assert_no_corpus(tmp_path / "part.npz", "are missing", "'joint_offset_tenth_mm'", "it has ['root_m']")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    assert_no_corpus(tmp_path / "other.npz", "not a kind of source that is known", "wanted a motion capture .npz")


def test_a_motion_that_does_not_match_its_skeleton(assert_no_corpus, tmp_path):
    source = tmp_path / "body"
    source.mkdir()
    (source / "body.asf").write_text(ASF)
    (source / "odd.amc").write_text(amc({}, {"ltibia": "1 2 3"}), encoding="latin-1")
    assert_no_corpus(source, "odd.amc", "ltibia")
    (source / "odd.amc").write_text(amc({}, {"tail": "1"}), encoding="latin-1")
    assert_no_corpus(source, "odd.amc", "tail")


def test_sources_that_are_not_there_or_no_sources(assert_no_corpus, tmp_path):
    wanted = "wanted a motion capture .npz, a folder with an .asf and its .amc files"
    assert_no_corpus(tmp_path / "gone.npz", "nothing there", wanted)
    (tmp_path / "empty").mkdir()
    assert_no_corpus(tmp_path / "empty", "a folder, but not of a kind of source that is known", wanted)
    (tmp_path / "motion.fbx").write_bytes(b"\x00")
    assert_no_corpus(tmp_path / "motion.fbx", "not a kind of source that is known", wanted)


def test_a_second_source_that_is_wrong_leaves_nothing_either(actlift, tmp_path):
    npz(tmp_path / "good.npz")
    result = actlift("data", "prepare", tmp_path / "good.npz", tmp_path / "gone.npz", "--out", tmp_path / "corpus")
    assert_refused(result, "gone.npz: nothing there")
    assert sorted(tree(tmp_path)) == ["good.npz"]
    assert len(read_mocap_npz(tmp_path / "good.npz")) == 2


def test_exclusions_that_are_wrong(actlift, tmp_path):
    npz(tmp_path / "good.npz")
    rows = tmp_path / "exclude.csv"
    words = ["data", "prepare", tmp_path / "good.npz", "--out", tmp_path / "corpus", "--exclude", rows]
    for text, parts in {
        "clip,first\na,1\n": ["columns clip,first", "wanted clip,camera,first,last,reason"],
        "clip,camera,first,last,reason\nsyn1/Walking_1,*,x,3,why\n": ["line 2, column first", "'x'"],
        "clip,camera,first,last,reason\nsyn9/Walking_1,*,0,3,why\n": ["no such clip", "'syn9/Walking_1'"],
    }.items():
        rows.write_text(text)
        assert_refused(actlift(*words), *parts)
        assert not (tmp_path / "corpus").exists()


def test_a_folder_that_is_no_corpus_is_not_written_over(actlift, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years")
    before = tree(tmp_path)
    result = actlift("data", "prepare", "synthetic", "--out", tmp_path / "thesis")
    assert_refused(result, f"{tmp_path / 'thesis'} exists and is not just a corpus", "choose another folder")
    assert tree(tmp_path) == before


# selections that are wrong


def test_no_corpus_there(actlift, run_folder, tmp_path):
    for words in (
        ["data", "info", tmp_path / "gone"],
        ["train", tmp_path / "gone", tmp_path / "run", "--test-subjects", "S1"],
        ["study", tmp_path / "gone", tmp_path / "study", "--test-subjects", "S1"],
        ["evaluate", run_folder, tmp_path / "gone"],
    ):
        assert_refused(actlift(*words), f"{tmp_path / 'gone'}: no corpus there", "`actlift data prepare` writes one")
    assert tree(tmp_path) == {}


def test_a_corpus_cut_short(actlift, corpus_folder, tmp_path):
    shutil.copytree(corpus_folder, tmp_path / "corpus")
    whole = (tmp_path / "corpus" / "pose2d.npy").read_bytes()
    (tmp_path / "corpus" / "pose2d.npy").write_bytes(whole[: len(whole) // 2])
    result = actlift("train", tmp_path / "corpus", tmp_path / "run", "--test-subjects", "syn4", *TINY)
    assert_refused(result, "pose2d.npy", "cut short", "copy the corpus again")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--test-subjects", "syn9"], ["no subject 'syn9'", "it has 'syn1', 'syn2', 'syn3', 'syn4'"]),
        (["--test-subjects", "syn1", "syn2", "syn3", "syn4"], ["all subjects", "leave some to train on"]),
        (["--test-subjects", "syn4", "--actions", "Walk"], ["no action 'Walk'", "it has 'Squat', 'Walking', 'Waving'"]),
        (
            ["--test-subjects", "syn4", "--receptive-field", "5"],
            ["receptive field of 5", "1, 3, 9, 27, 81, 243"],
        ),
        (["--test-subjects", "syn4", "--widths", "3", "4"], ["odd and positive", "(3, 4)"]),
        (["--test-subjects", "syn4", "--dropout", "2"], ["dropout", "2.0"]),
        (["--test-subjects", "syn4", "--channels", "0"], ["at least 1 channel, got 0"]),
        (["--test-subjects", "syn4", "--seed", "-1"], ["a seed is 0 or more, got -1"]),
        (["--test-subjects", "syn4", "--subset", "0"], ["share of the frames", "got 0"]),
        (["--test-subjects", "syn4", "--subset", "10"], ["share of the frames", "got 10"]),
        (["--test-subjects", "syn4", "--subset", "nan"], ["share of the frames", "got nan"]),
        (["--test-subjects", "syn4", "--learning-rate", "0"], ["a learning rate is a positive number", "got 0"]),
        (["--test-subjects", "syn4", "--learning-rate", "inf"], ["a learning rate is a positive number", "got inf"]),
    ],
)
def test_training_that_cannot_be_leaves_nothing(actlift, corpus_folder, tmp_path, words, parts):
    assert_refused(actlift("train", corpus_folder, tmp_path / "run", *words), *parts)
    assert tree(tmp_path) == {}


def test_a_study_that_cannot_be_leaves_nothing(actlift, corpus_folder, tmp_path):
    for words, parts in (
        (["--test-subjects", "syn9"], ["no subject 'syn9'", "it has 'syn1'"]),
        (["--test-subjects", "syn4", "--receptive-field", "5"], ["receptive field of 5"]),
        (["--test-subjects", "syn4", "--steps", "2"], ["2 steps cannot be shared by 3 experts"]),
        (["--test-subjects", "syn4", "syn4"], ["test subjects, each once"]),
    ):
        assert_refused(actlift("study", corpus_folder, tmp_path / "study", *words), *parts)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--subjects", "syn1"], ["was trained on syn1", "Unseen: syn3, syn4"]),
        (["--subjects", "syn4", "syn2"], ["was trained on syn2", "Unseen: syn3, syn4"]),
        (["--subjects", "syn9"], ["no subject 'syn9'", "it has 'syn1'"]),
        (["--actions", "Walk"], ["no action 'Walk'", "it has 'Squat', 'Walking', 'Waving'"]),
        (["--metrics", "mpjp"], ["unknown metric 'mpjp'", ", ".join(METRICS)]),
        (["--member", "Walking"], ["has no member 'Walking'", "it has: everything"]),
    ],
)
def test_scoring_that_cannot_be_leaves_nothing(actlift, run_folder, corpus_folder, tmp_path, words, parts):
    result = actlift("evaluate", run_folder, corpus_folder, *words, "--out", tmp_path / "scores.parquet")
    assert_refused(result, *parts)
    assert tree(tmp_path) == {}


def test_a_run_that_saw_everybody_has_nobody_to_be_scored_on(actlift, run_folder, tmp_path):
    clips = synthetic_clips(0, subjects=2, clips=1, seconds=0.2, fps=25.0, actions=["Squat"])
    write_mocap_npz(tmp_path / "two.npz", clips)
    assert actlift("data", "prepare", tmp_path / "two.npz", "--out", tmp_path / "two").code == 0
    result = actlift("evaluate", run_folder, tmp_path / "two")
    assert_refused(result, f"{run_folder} was trained on everybody in {tmp_path / 'two'}: there is nobody to score")


@pytest.fixture(scope="module")
def other_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    clips = synthetic_clips(7, subjects=4, clips=1, seconds=0.4, fps=25.0, actions=["Walking", "Squat"])
    write_mocap_npz(folder / "other.npz", clips)
    data_prepare([str(folder / "other.npz")], out=folder / "corpus")
    return folder / "corpus"


def test_a_run_folder_of_another_corpus_is_not_resumed(actlift, run_folder, other_corpus):
    before = tree(run_folder)
    result = actlift("train", other_corpus, run_folder, "--test-subjects", "syn3", "syn4", *TINY)
    assert_refused(result, f"{run_folder} holds another run (", "corpus: there", "another folder, or delete this one")
    assert tree(run_folder) == before


def test_a_run_may_be_scored_on_another_corpus_and_it_is_said(actlift, run_folder, other_corpus, tmp_path):
    result = actlift("evaluate", run_folder, other_corpus, "--out", tmp_path / "scores.parquet")
    assert (result.code, result.err) == (0, "")
    assert f"note: {run_folder} was trained on another corpus than {other_corpus}\n" in result.out
    assert set(Scores.read(tmp_path / "scores.parquet").table["subject"]) == {"syn3", "syn4"}


def test_folders_that_hold_no_run_or_study(actlift, corpus_folder, tmp_path):
    assert_refused(
        actlift("evaluate", tmp_path, corpus_folder), f"{tmp_path} is no run folder", "`actlift train` makes"
    )
    assert_refused(actlift("report", tmp_path), f"{tmp_path} holds no finished study", "`actlift study` makes one")
    (tmp_path / "study.json").write_text("{}")
    (tmp_path / "scores.parquet").write_bytes(b"PAR1")
    assert_refused(actlift("report", tmp_path), "study.json describes no study", "choose another folder")


def test_a_run_that_is_not_done(actlift, run_folder, corpus_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    (tmp_path / "run" / "weights.safetensors").unlink()
    result = actlift("evaluate", tmp_path / "run", corpus_folder)
    assert_refused(result, f"{tmp_path / 'run'} has no weights yet", "Run it again to resume")


def test_ctrl_c_says_that_it_stopped(actlift, corpus_folder, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Corpus, "open", interrupted)
    assert actlift("data", "info", corpus_folder) == Result(130, "", "actlift: stopped\n")
