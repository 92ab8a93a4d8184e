"""Presets and suites: what each setting trains, resuming, refusing, and the command that runs them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.data.sources.test_h36m import METADATA, motion, project, seventeen

from actlift.cli import app
from actlift.data.corpus import Corpus, Exclusion, write_corpus
from actlift.data.noise import DetectorNoise, IndependentNoise
from actlift.data.sources.synthetic import synthetic_clips
from actlift.evaluation.scores import GENERALIST, Variant
from actlift.models.options import Network
from actlift.report.results import Suite
from actlift.report.suite_page import SuiteReport, write_suite_report
from actlift.study.plan import Plan
from actlift.study.presets import ARMS_OF, settings_of
from actlift.study.suite import run_suite
from actlift.training.budget import Budget
from actlift.training.run import Run

BASE = Plan(
    test_subjects=("syn4",),
    seeds=(0,),
    budget=Budget(batch=16),
    network=Network(channels=8),
    precision="float32",
    device="cpu",
)


def test_the_papers_settings_are_its_unit_epochs():
    """15 and 1,200 unit epochs of 15 actions are 1 and 80 passes over everything, two windows a frame."""
    plans = settings_of("paper", replace(BASE, budget=Budget(batch=1024)), training_frames=1_559_752)
    assert list(plans) == ["1f", "27f", "243f"]
    assert [plan.epochs for plan in plans.values()] == [1, 1, 80]
    assert [plan.budget.steps for plan in plans.values()] == [round(e * 2 * 1_559_752 / 1024) for e in (1, 1, 80)]
    for plan, field in zip(plans.values(), (1, 27, 243), strict=True):
        assert plan.network == Network(receptive_field=field, channels=8, dropout=0.25)
        assert plan.matching == ("epochs",)


def test_the_fair_settings_spend_the_same_steps_under_both_matchings_with_both_controls():
    paper, fair = (settings_of(p, BASE, training_frames=9000, scale=0.5) for p in ("paper", "fair"))
    assert [p.budget for p in fair.values()] == [p.budget for p in paper.values()]
    for plan in fair.values():
        assert plan.matching == ("total", "per_model")
        assert set(plan.arms) > {"generalist", "experts", "random-experts", "cluster-experts", "ensemble-2"}
        assert plan.network.dropout == BASE.network.dropout
    assert fair["1f"].budget == Budget(round(0.5 * 2 * 9000 / 16), 16)


def test_the_action_oriented_settings_are_a_grid_of_frames_and_steps():
    plans = settings_of("action-oriented", BASE, training_frames=12800, scale=0.25, receptive_fields=(9,))
    assert {name: (plan.frames, plan.budget.steps) for name, plan in plans.items()} == {
        f"9f-{frames}-{steps}": (frames, steps) for frames in (100, 400, 1600, 6400) for steps in (50, 200)
    }
    assert all(plan.matching == ("frames",) for plan in plans.values())


def test_the_action_aware_settings_are_steps_at_each_receptive_field():
    plans = settings_of("action-aware", BASE, training_frames=9000)
    assert list(plans) == [f"{field}f-{steps}" for field in (27, 81) for steps in (1500, 6000, 24000)]
    for name, plan in plans.items():
        assert name == f"{plan.network.receptive_field}f-{plan.budget.steps}"
        assert {"generalist", "conditioned", "random-conditioned", "finetuned-conditioned"} < set(plan.arms)
        assert plan.matching == ("total",)
        assert plan.labels
        assert plan.snapshots == 0
        assert plan.budget.batch == BASE.budget.batch
    assert list(settings_of("action-aware", BASE, training_frames=1, scale=0.1, receptive_fields=(9,))) == [
        "9f-150",
        "9f-600",
        "9f-2400",
    ]


@pytest.mark.parametrize(
    ("preset", "changed", "options", "message"),
    [
        ("best", {}, {}, "unknown preset 'best'; known: paper, fair, action-oriented, action-aware"),
        ("fair", {}, {"scale": 0.0}, "a scale is positive, got 0.0"),
        ("fair", {}, {"receptive_fields": (9,)}, "no receptive field of 9 frames; it has: 1, 27, 243"),
        ("paper", {"arms": ("experts",)}, {}, "--preset paper chooses --arms itself"),
        ("paper", {"budget": Budget(10, 16)}, {}, "--preset paper chooses --steps itself, got 10: leave it out"),
        ("fair", {"network": Network(receptive_field=81)}, {}, "chooses --receptive-field itself, got 81"),
        ("fair", {"snapshots": 3}, {}, "chooses --snapshots itself"),
        ("action-aware", {"arms": ("conditioned",)}, {}, "--preset action-aware chooses --arms itself"),
    ],
)
def test_choices_that_are_the_presets_are_refused(preset, changed, options, message):
    with pytest.raises(ValueError, match=message):
        settings_of(preset, replace(BASE, **changed), training_frames=9000, **options)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "fair", "action-oriented"])
def test_a_suite_runs_resumes_and_refuses_to_be_another(preset, corpus, tmp_path):
    folder, options = tmp_path / "suite", {"scale": 0.05, "receptive_fields": (1, 27)}
    seen = []
    run_suite(folder, corpus, preset, BASE, on_progress=lambda name, at: seen.append((name, at)), **options)
    suite = Suite.open(folder)
    assert [study.receptive_field for study in suite.studies[:1]] == [1]
    assert suite.preset == preset
    assert suite.focus == "Walking"  # there is no Eating here: the action with most frames, the first of two alike
    last_name, last = seen[-1]
    assert (last_name, last.number, last.windows) == (suite.studies[-1].name, last.jobs, last.windows_total)
    assert [at.windows for _, at in seen] == sorted(at.windows for _, at in seen)
    for study in suite.studies:
        assert study.scores.variants[0] == GENERALIST
        assert {cost.run for cost in study.costs} == set(study.scores.table["run"]) - {""}
        assert {variant.arm for variant in study.scores.variants} > {"constant-pose", "nearest-pose"}
        for cost in study.costs:
            assert sum(cost.share(member) for member in cost.steps) == pytest.approx(1)
            assert cost.seconds > 0
            assert cost.cpu_seconds > 0
        if preset != "action-oriented":
            assert set(study.curves["run"]) == set(study.scores.table["run"]) - {""}
            assert study.curves["progress"].max() == 1

    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/runs/*/weights.safetensors")}
    run_suite(folder, corpus, preset, BASE, **options)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/runs/*/weights.safetensors")} == before
    with pytest.raises(ValueError, match=r"holds another suite \(scale: there 0.05, asked for 0.04"):
        run_suite(folder, corpus, preset, BASE, **(options | {"scale": 0.04}))


def test_a_folder_of_something_else_is_left_alone(corpus, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no suite: choose another folder"):
        run_suite(tmp_path, corpus, "fair", BASE, scale=0.05)
    (tmp_path / "suite.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="describes no suite of format 1: choose another folder"):
        run_suite(tmp_path, corpus, "fair", BASE, scale=0.05)
    with pytest.raises(ValueError, match="suite of format 1: was it made by another version"):
        Suite.open(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no suite"):
        Suite.open(tmp_path / "elsewhere")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def seen_otherwise(folder, *, people=4, **options):
    """The clips of the shared corpus as another corpus has them."""
    clips = [
        *synthetic_clips(0, seconds=1.6, actions=["Walking", "Waving"], subjects=people, clips=2, fps=25.0),
        *synthetic_clips(0, seconds=0.4, actions=["Squat"], subjects=people, clips=2, fps=25.0),
    ]
    usual = {"cameras": 2, "keypoints": DetectorNoise(), "sources": ["synthetic"]}
    return write_corpus(folder, clips, **(usual | options))


@pytest.mark.slow
def test_every_setting_is_run_on_both_kinds_of_keypoints(corpus, tmp_path):
    also = seen_otherwise(tmp_path / "also")
    options = {"also": also, "scale": 0.05, "receptive_fields": (1, 27)}
    run_suite(tmp_path / "s", corpus, "paper", BASE, **options)
    suite = Suite.open(tmp_path / "s")
    assert [study.name for study in suite.studies] == ["1f", "27f", "1f detector", "27f detector"]
    assert [study.about["fixed"]["corpus"] for study in suite.studies] == [corpus.digest] * 2 + [also.digest] * 2
    white, detected = suite.studies[1], suite.studies[3]
    assert white.title.endswith("steps, independent noise")
    assert detected.title == white.title.replace("independent noise", "detector noise")
    assert (detected.steps, detected.scores.variants) == (white.steps, white.scores.variants)
    assert not np.array_equal(white.scores.table["value"], detected.scores.table["value"])
    assert suite.of_first_corpus == suite.studies[:2]

    report = SuiteReport.open(tmp_path / "s")
    assert {verdict.where for verdict in report.verdicts if verdict.claim == "C2"} == {
        "; ".join(f"{study.receptive_field}f, {study.steps:,} steps" for study in suite.studies[:2])
    }
    page = write_suite_report(report).read_text(encoding="utf-8")
    assert all(study.title in page for study in suite.studies)
    with pytest.raises(ValueError, match="holds another suite .*settings: there .*27f detector"):
        run_suite(tmp_path / "s", corpus, "paper", BASE, **(options | {"also": None}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"keypoints": IndependentNoise(3.0)}, "is the same corpus as .* give one with other --keypoints"),
        ({"people": 3}, r"differs from .* in its people \(syn4 in one alone\): prepare both from the same sources"),
        ({"cameras": 3}, r"in its cameras \(ring2 in one alone\)"),
        ({"seed": 1}, r"in its cameras \(ring0 of .* stands elsewhere or has another lens\)"),
        ({"fps": 50.0}, r"in its frame rate \(50 and 25 fps\)"),
        (
            {"exclusions": [Exclusion("syn1/Squat_1", "*", 0, 1, "a test")]},
            r"in its clips \(syn1/Squat_1, syn1/Squat_1\[",
        ),
        (
            {"exclusions": [Exclusion("syn1/Squat_1", "*", 0, -1, "a test")]},
            r"in its clips \(syn1/Squat_1 in",
        ),
    ],
)
def test_a_corpus_of_other_clips_people_or_cameras_is_not_the_same_seen_otherwise(corpus, tmp_path, changed, message):
    also = seen_otherwise(tmp_path / "also", **changed)
    with pytest.raises(ValueError, match=message):
        run_suite(tmp_path / "s", corpus, "fair", BASE, also=also, scale=0.05, receptive_fields=(1,))
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_an_unfinished_suite_says_how_to_go_on(corpus, tmp_path):
    run_suite(tmp_path / "s", corpus, "fair", BASE, scale=0.05, receptive_fields=(1,))
    (tmp_path / "s" / "1f" / "scores.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"1f holds no finished study: it has no scores.parquet"):
        Suite.open(tmp_path / "s")


@pytest.mark.slow
def test_the_command_ends_in_verdicts_tables_and_a_page(corpus_folder, tmp_path, capsys):
    out = tmp_path / "fair"
    words = ["study", corpus_folder, out, "--test-subjects", "syn4", "--preset", "fair", "--scale", "0.05"]
    words += ["--receptive-fields", "1", "27", "--seeds", "0", "1", "--batch", "16", "--channels", "8"]
    app([str(word) for word in words], result_action="return_value")
    printed = capsys.readouterr().out
    assert "C1" in printed
    assert "C10" in printed
    assert f"report: {out / 'report.html'}" in printed
    assert json.loads((out / "verdicts.json").read_text())
    assert (out / "tables" / "table1.csv").is_file()
    assert Run.open(out / "27f" / "runs" / "experts-per_model-seed1").done
    assert Corpus.open(corpus_folder).digest in (out / "report.html").read_text()

    app(["report", str(out)], result_action="return_value")
    assert "C1" in capsys.readouterr().out


@pytest.mark.slow
def test_what_labels_do_from_training_to_a_page(corpus_folder, tmp_path, monkeypatch, capsys):
    """Budgets a little above the recognizer's cost, which at real sizes is a few steps."""
    monkeypatch.setattr("actlift.study.presets.AWARE_STEPS", (60, 80))
    arms = ("generalist", "conditioned", "random-conditioned", "finetuned", "finetuned-conditioned", "nearest-pose")
    monkeypatch.setitem(ARMS_OF, "action-aware", arms)
    out = tmp_path / "aware"
    words = ["study", corpus_folder, out, "--test-subjects", "syn4", "--preset", "action-aware", "--seeds", "0"]
    words += ["--receptive-fields", "9", "--channels", "64", "--labels-by", "clip"]
    app([str(word) for word in words], result_action="return_value")
    printed = " ".join(capsys.readouterr().out.split())
    assert "against an untold network that was trained alike, at 2 settings" in printed
    assert "the true action (oracle)" in printed
    assert [study.name for study in Suite.open(out).studies] == ["9f-60", "9f-80"]
    (charged,) = (
        cost.steps["everything"] for cost in Suite.open(out).studies[0].costs_of(Variant("conditioned", label="oracle"))
    )
    assert 0 < charged < 60
    assert Corpus.open(corpus_folder).digest in (out / "report.html").read_text()
    assert (out / "tables" / "labels.csv").is_file()

    before = {path: path.stat().st_mtime_ns for path in out.glob("*/runs/*/weights.safetensors")}
    app([str(word) for word in words], result_action="return_value")
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/runs/*/weights.safetensors")} == before
    (out / "9f-80" / "labels.parquet").unlink()
    capsys.readouterr()
    app(["report", str(out)], result_action="return_value")
    assert "Not finished, so not shown: 9f-80." in capsys.readouterr().out


def test_a_recognizer_that_costs_more_than_a_budget_is_refused_before_anything_is_written(corpus, tmp_path):
    with pytest.raises(ValueError, match="recognizing the action costs about .* more than its budget of 75"):
        run_suite(tmp_path / "s", corpus, "action-aware", BASE, scale=0.05, receptive_fields=(27,))
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_the_papers_study_on_files_shaped_like_human36m(tmp_path, capsys):
    """From the pair of .npz files that people have, to verdicts: detections, own cameras, the authors' schedule."""
    actions = ("Sitting", "SittingDown", "Walking")
    takes = {
        subject: {
            f"{action}{take}": motion(100 * i + 10 * k + n)
            for k, action in enumerate(actions)
            for n, take in enumerate(("", " 1"))
        }
        for i, subject in enumerate(("S1", "S9"))
    }
    noise = np.random.default_rng(0)
    seen = {
        subject: {
            take: [project(subject, c, seventeen(joints)) + noise.normal(0, 5, (len(joints), 17, 2)) for c in range(4)]
            for take, joints in of_subject.items()
        }
        for subject, of_subject in takes.items()
    }
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=takes)
    np.savez(tmp_path / "data_2d_h36m_cpn.npz", positions_2d=seen, metadata=METADATA)
    corpus, out = tmp_path / "h36m", tmp_path / "paper"
    prepare = ["data", "prepare", tmp_path / "data_3d_h36m.npz", "--detections", tmp_path / "data_2d_h36m_cpn.npz"]
    study = ["study", corpus, out, "--test-subjects", "S9", "--preset", "paper", "--scale", "0.5", "--seeds", "0"]
    study += ["--receptive-fields", "1", "27", "--batch", "16", "--channels", "8"]
    for words in ([*prepare, "--out", corpus], study):
        app([str(word) for word in words], result_action="return_value")
    printed = " ".join(capsys.readouterr().out.split())
    assert "2D keypoints are detections: data_2d_h36m_cpn.npz" in " ".join((out / "report.html").read_text().split())
    assert "one seed, others may differ" in printed
    plan = Suite.open(out).studies[1].about["plan"]
    assert plan["epochs"] == 1
    (experts,) = Suite.open(out).studies[1].costs_of(Variant("experts", "epochs"))
    assert set(experts.steps) == set(actions)  # Sitting takes in no SittingDown, both takes are of one action
    verdicts = json.loads((out / "verdicts.json").read_text())["verdicts"]
    assert {v["claim"]: v["matching"] for v in verdicts}["C1"] == "epochs"


def test_a_scale_without_a_preset_is_refused(corpus_folder, tmp_path):
    words = ["study", str(corpus_folder), str(tmp_path / "s"), "--test-subjects", "syn4", "--scale", "0.5"]
    with pytest.raises(ValueError, match="--also, --scale and --receptive-fields belong to a preset"):
        app(words, result_action="return_value")


def test_the_command_takes_a_second_corpus_and_refuses_the_same(corpus_folder, tmp_path):
    words = ["study", str(corpus_folder), str(tmp_path / "s"), "--test-subjects", "syn4", "--also", str(corpus_folder)]
    with pytest.raises(ValueError, match="--also, --scale and --receptive-fields belong to a preset"):
        app(words, result_action="return_value")
    with pytest.raises(ValueError, match="is the same corpus as"):
        app([*words, "--preset", "fair"], result_action="return_value")
