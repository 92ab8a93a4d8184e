"""Studies end to end on a tiny corpus: budgets, resuming, refusing, and the page they end with."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from actlift.data.corpus import Corpus, View, write_corpus
from actlift.data.noise import DetectorNoise, Exact
from actlift.data.sources.synthetic import synthetic_clips
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.metrics import METRICS
from actlift.evaluation.scores import GENERALIST, Scores, Variant
from actlift.lifting.predict import load_lifter
from actlift.models.options import Network
from actlift.report.study_page import data_note, write_study_page
from actlift.study.about import About
from actlift.study.arms import ARMS, Job, plan_jobs, some_rows
from actlift.study.experiment import run_study
from actlift.study.partitions import PARTITIONS
from actlift.study.plan import Plan
from actlift.training.budget import Budget, Stepwise
from actlift.training.run import Run

STEPS, BATCH = 9, 16
EXPERTS = ("experts", "random-experts", "cluster-experts")
TINY = Plan(
    test_subjects=("syn4",),
    arms=("generalist", *EXPERTS),
    matching=("total", "per_model"),
    seeds=(0,),
    budget=Budget(STEPS, BATCH),
    network=Network(receptive_field=9, channels=16),
    precision="float32",
    device="cpu",
)
FRAMES = replace(TINY, matching=("frames",), frames=240)


@pytest.fixture(scope="module")
def study(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All four arms, both matchings, one seed; to be read only."""
    folder = tmp_path_factory.mktemp("studies") / "both"
    run_study(folder, Corpus.open(corpus_folder), TINY)
    return folder


@pytest.fixture(scope="module")
def page(study: Path) -> str:
    return write_study_page(study).read_text(encoding="utf-8")


def runs(folder: Path) -> dict[str, Run]:
    return {at.name: Run.open(at) for at in sorted((folder / "runs").iterdir())}


def stamps(folder: Path) -> dict[str, int]:
    """When each file of the runs was last written."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in (folder / "runs").rglob("*") if p.is_file()}


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("nothing was to be trained")


# what is trained, on what, for how long


def test_every_arm_has_a_run_for_each_matching_and_seed(study):
    experts = {f"{arm}-{matching}-seed0" for arm in EXPERTS for matching in ("total", "per_model")}
    assert set(runs(study)) == experts | {"generalist-seed0"}
    assert all(run.done for run in runs(study).values())
    scores = Scores.read(study / "scores.parquet")
    variants = [Variant(arm, matching) for arm in EXPERTS for matching in ("total", "per_model")]
    as_they_are, smoothed = scores.by_smoothing()
    assert as_they_are.variants == (GENERALIST, *variants)
    assert smoothed.variants == tuple(replace(variant, smoothed=True) for variant in as_they_are.variants)
    assert scores.metrics == tuple(METRICS)
    assert not list(study.rglob("*.part"))


def test_steps_are_what_the_matching_says(study):
    for name, run in runs(study).items():
        members = run.config["identity"]["members"]
        steps = [member["steps"] for member in members.values()]
        assert run.config["identity"]["batch"] == BATCH
        assert len(members) == (1 if "generalist" in name else 3)
        if "total" in name:
            assert sum(steps) == STEPS
        else:
            assert set(steps) == {STEPS}
        log = run.log()
        assert log.groupby("member")["step"].max().to_dict() == {m: v["steps"] for m, v in members.items()}


def test_experts_together_never_spend_more_than_the_generalist(corpus):
    training, _ = corpus.split(["syn4"])
    for steps in (3, 4, 10, 11):
        jobs = plan_jobs(training, replace(TINY, matching=("total",), budget=Budget(steps, BATCH)))
        for job in jobs[1:]:
            spent = sum(spec.budget.steps for spec in job.specs)
            assert steps - len(job.specs) < spent <= steps
    with pytest.raises(ValueError, match="2 steps cannot be shared by 3 experts: give the generalist at least 3 steps"):
        plan_jobs(training, replace(TINY, budget=Budget(2, BATCH)))


def owner(corpus: Corpus) -> list[View]:
    """The view that each row of the arrays belongs to."""
    return [view for view in sorted(corpus.views, key=lambda v: v.start) for _ in range(view.frames)]


@pytest.mark.parametrize("plan", [TINY, FRAMES], ids=["total and per_model", "frames"])
def test_nobody_tested_is_trained_on_and_experts_see_their_part_alone(corpus, plan):
    training, test = corpus.split(plan.test_subjects)
    view_of = owner(corpus)
    for job in plan_jobs(training, plan):
        by = ARMS[job.variant.arm].about.partition
        partition = PARTITIONS[by](training.views, seed=job.seed) if by else None
        for spec in job.specs:
            seen = {view_of[row] for row in spec.rows}
            assert {view.subject for view in seen} <= {"syn1", "syn2", "syn3"}
            if partition:
                assert seen <= set(partition.training[spec.name])
        if plan.frames is None:
            rows = np.concatenate([spec.rows for spec in job.specs])
            assert np.array_equal(np.sort(rows), np.sort(rows_of(training.views)))
    assert set(test.subjects) == {"syn4"}


def test_equal_frames_are_counted_and_the_generalist_spreads_them(corpus, tmp_path):
    folder = tmp_path / "frames"
    scores = run_study(folder, corpus, FRAMES)
    assert scores.by_smoothing()[0].variants == (GENERALIST, *(Variant(arm, "frames") for arm in EXPERTS))
    squat = 120  # all there is to train on: two clips of three people, seen by two cameras, ten frames each
    for name, run in runs(folder).items():
        members = run.config["identity"]["members"]
        assert {member["steps"] for member in members.values()} == {STEPS}
        if name.startswith("experts"):
            assert {m: v["frames"] for m, v in members.items()} == {"Squat": squat, "Walking": 240, "Waving": 240}
        else:
            assert all(member["frames"] <= 240 for member in members.values())
    (generalist,) = plan_jobs(corpus.split(["syn4"])[0], FRAMES)[0].specs
    actions = Counter(view.action for row in generalist.rows for view in [owner(corpus)[row]])
    assert actions == {"Squat": 80, "Walking": 80, "Waving": 80}


def test_some_rows_are_whole_views_in_an_order_of_the_seed(corpus):
    views = corpus.select(actions=["Walking"]).views
    rows = some_rows(views, 100, seed=0)
    assert len(np.unique(rows)) == len(rows) == 100
    starts = {view.start: view.frames for view in views}
    assert rows[0] in starts
    assert rows[40] in starts
    assert np.array_equal(rows[:40], np.arange(rows[0], rows[0] + 40))
    assert np.array_equal(rows, some_rows(views, 100, seed=0))
    assert not np.array_equal(rows, some_rows(views, 100, seed=1))
    assert len(some_rows(views, 10**6, seed=0)) == sum(view.frames for view in views)


def test_too_few_frames_for_the_actions_are_refused(corpus, tmp_path):
    with pytest.raises(ValueError, match="2 frames cannot be shared by 3 actions: give at least 3"):
        run_study(tmp_path / "s", corpus, replace(FRAMES, frames=2))
    assert not (tmp_path / "s").exists()


def test_experts_pass_over_their_own_frames_as_the_papers_authors_had_them(corpus):
    """Formula 2: whole passes, so at most one pass short of the generalist's windows; the rate falls once a pass."""
    plan = replace(TINY, matching=("epochs",), epochs=4, budget=Budget(4000, 16), snapshots=0)
    training, _ = corpus.split(["syn4"])
    everything, *_ = plan_jobs(training, plan)
    assert everything.specs[0].learning_rate == Stepwise(1e-3, 0.95, 4)
    for job in plan_jobs(training, plan)[1:]:
        frames = {spec.name: len(spec.rows) for spec in job.specs}
        for spec in job.specs:
            passes = sum(frames.values()) // frames[spec.name]
            assert spec.learning_rate == Stepwise(1e-3, 0.95, 4 * passes)
            spent = 4000 * passes * frames[spec.name] / sum(frames.values())
            assert spec.budget == Budget(round(spent), 16)
            assert 4000 - 4000 * frames[spec.name] / sum(frames.values()) <= spent <= 4000


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"matching": ("epochs",)}, "'epochs' and a number of epochs belong together"),
        ({"epochs": 3}, "'epochs' and a number of epochs belong together"),
        ({"matching": ("epochs", "per_model"), "epochs": 3}, "'epochs' has a generalist of its own"),
        ({"matching": ("epochs",), "epochs": 0}, "a number of epochs is 1 or more, got 0"),
        ({"snapshots": -1}, "a number of snapshots is 0 or more, got -1"),
    ],
)
def test_plans_that_contradict_themselves_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changed)


@pytest.mark.slow
def test_a_learning_curve_ends_where_the_scores_are(tmp_path, corpus):
    plan = replace(TINY, arms=("experts",), matching=("total",), snapshots=3)
    scores = run_study(tmp_path / "study", corpus, plan)
    for variant, run in ((GENERALIST, "generalist-seed0"), (Variant("experts", "total"), "experts-total-seed0")):
        curve = runs(tmp_path / "study")[run].curve()
        assert [point["progress"] for point in curve] == pytest.approx([1 / 3, 2 / 3, 1])
        for measured in curve[-1]["measured"]:
            final = scores.per_action(measured["metric"]).loc[variant, measured["action"]]
            assert measured["value"] == pytest.approx(final, rel=1e-6)
        assert {(m["action"], m["metric"]) for m in curve[0]["measured"]} == {
            (action, metric) for action in scores.actions for metric in ("mpjpe", "mpjve")
        }


def test_scores_are_of_the_runs_on_the_held_out(study, corpus):
    """What the study says of its experts, each run says again when it is loaded and scored by hand."""
    scores = Scores.read(study / "scores.parquet")
    assert set(scores.table["subject"]) == {"syn4"}
    training, test = corpus.split(["syn4"])
    for arm, partition in (("experts", "action"), ("cluster-experts", "cluster")):
        name = f"{arm}-total-seed0"
        run = runs(study)[name]
        lifters = {member: load_lifter(run, member) for member in run.members}
        variant = Variant(arm, "total")
        job = Job(variant, 0, (), PARTITIONS[partition](training.views, seed=0))
        poses = ARMS[arm].poses(lifters, job, test.views)
        again = score_poses(poses, test.views, variant=variant, run=f"runs/{name}").table
        theirs = scores.table.query("run == @again.run[0] and not smoothed").reset_index(drop=True)
        pd.testing.assert_frame_equal(again, theirs, check_exact=False, rtol=1e-5)


def test_actions_of_one_side_are_left_out_unless_asked_for(tmp_path):
    clips = [
        *synthetic_clips(0, subjects=3, clips=1, seconds=0.4, fps=25.0, actions=["Walking", "Squat"]),
        *synthetic_clips(0, subjects=2, clips=1, seconds=0.4, fps=25.0, actions=["Waving"]),
    ]
    corpus = write_corpus(tmp_path / "corpus", clips, cameras=1, keypoints=Exact())
    plan = replace(TINY, test_subjects=("syn3",), arms=("experts",), matching=("per_model",), budget=Budget(2, 4))
    run_study(tmp_path / "shared", corpus, plan)
    assert runs(tmp_path / "shared")["experts-per_model-seed0"].members == ("Squat", "Walking")
    scores = run_study(tmp_path / "all", corpus, replace(plan, all_actions=True))
    assert runs(tmp_path / "all")["experts-per_model-seed0"].members == ("Squat", "Walking", "Waving")
    assert scores.actions == ("Squat", "Walking")


def test_an_unknown_test_subject_lists_the_known(corpus, tmp_path):
    with pytest.raises(ValueError, match="no subject 'syn9' in this corpus; it has 'syn1', 'syn2', 'syn3', 'syn4'"):
        run_study(tmp_path / "s", corpus, replace(TINY, test_subjects=("syn9",)))
    with pytest.raises(ValueError, match="all subjects.* are test subjects; leave some to train on"):
        run_study(tmp_path / "s", corpus, replace(TINY, test_subjects=corpus.subjects))
    assert not (tmp_path / "s").exists()


def test_jobs_are_named_by_arm_matching_and_seed():
    assert Job(GENERALIST, 2, ()).folder == "generalist-seed2"
    assert Job(Variant("experts", "total"), 0, ()).folder == "experts-total-seed0"
    assert Job(Variant("conditioned", label="oracle"), 0, (), base_of="mine").folder == "conditioned-for-mine-seed0"


def test_an_unknown_arm_names_the_nearest(corpus, tmp_path):
    message = r"there is no arm 'expert'; did you mean 'experts'\? known: generalist, experts, random-experts"
    with pytest.raises(ValueError, match=message):
        run_study(tmp_path / "s", corpus, replace(TINY, arms=("generalist", "expert")))
    assert not (tmp_path / "s").exists()


def test_the_folder_tells_reports_what_its_arms_are(study):
    described = json.loads((study / "study.json").read_text())
    assert list(described["arms"]) == ["generalist", *EXPERTS]
    assert {name: About.read(told) for name, told in described["arms"].items()} == {
        name: ARMS[name].about for name in described["arms"]
    }


def test_what_older_folders_do_not_name_is_no_difference():
    network = TINY.fixed("ab")["network"]
    assert set(network) == {"receptive_field", "widths", "channels", "causal", "dropout", "trajectory"}
    assert "loss" not in TINY.fixed("ab")
    other = replace(TINY, network=Network(receptive_field=9, channels=16, architecture="mixer"))
    assert other.fixed("ab")["network"] == {**network, "architecture": "mixer"}


# again, more, and after a crash


def test_running_again_trains_nothing(study, corpus, monkeypatch):
    before = stamps(study)
    scores = Scores.read(study / "scores.parquet")
    monkeypatch.setattr("actlift.training.loop._Loop.run_to_end", refuse)
    again = run_study(study, corpus, TINY, on_progress=refuse)
    assert stamps(study) == before
    pd.testing.assert_frame_equal(again.table, scores.table)


def test_running_again_elsewhere_trains_nothing(study, corpus, monkeypatch):
    """A machine of other threads takes finished runs as they are."""
    monkeypatch.setattr("actlift.training.loop._Loop.run_to_end", refuse)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    run_study(study, corpus, TINY)


@pytest.mark.slow
def test_more_seeds_arms_and_matchings_train_only_what_is_new(corpus, tmp_path):
    folder = tmp_path / "growing"
    plan = replace(TINY, arms=("experts",), matching=("total",), budget=Budget(3, 4))
    steps = [
        (plan, {"generalist-seed0", "experts-total-seed0"}),
        (replace(plan, seeds=(0, 1)), {"generalist-seed1", "experts-total-seed1"}),
        (
            replace(plan, seeds=(0, 1), arms=("random-experts", "experts")),
            {f"random-experts-total-seed{s}" for s in (0, 1)},
        ),
        (replace(plan, matching=("total", "per_model")), {"experts-per_model-seed0"}),
    ]
    there: set[str] = set()
    for grown, new in steps:
        before = stamps(folder) if there else {}
        trained = set()
        scores = run_study(folder, corpus, grown, on_progress=lambda at, t=trained: t.add(at.job.folder))
        assert trained == new
        there |= new
        assert set(runs(folder)) == there
        assert stamps(folder).items() >= before.items()
        assert {run.removeprefix("runs/") for run in scores.table["run"]} == {
            job.folder for job in plan_jobs(corpus.split(["syn4"])[0], grown)
        }
    assert "runs/experts-per_model-seed0" in set(Scores.read(folder / "scores.parquet").table["run"])


def test_progress_adds_up_over_all_trainings(corpus, tmp_path):
    seen = []
    plan = replace(TINY, arms=("experts",), matching=("per_model",), budget=Budget(3, 4))
    run_study(tmp_path / "s", corpus, plan, on_progress=seen.append)
    assert [at.number for at in seen] == sorted(at.number for at in seen)
    assert {at.jobs for at in seen} == {2}
    assert [at.windows for at in seen] == sorted(at.windows for at in seen)
    assert seen[-1].windows == seen[-1].windows_total == 3 * 4 * (1 + 3)


def test_scores_lost_are_scored_again_without_training(study, corpus, monkeypatch):
    before = Scores.read(study / "scores.parquet")
    lost = study / "runs" / "experts-per_model-seed0" / "scores.parquet"
    kept = lost.read_bytes()
    lost.unlink()
    try:
        monkeypatch.setattr("actlift.training.loop._Loop.run_to_end", refuse)
        again = run_study(study, corpus, TINY)
    finally:
        lost.write_bytes(kept)
    pd.testing.assert_frame_equal(again.table, before.table)


@pytest.mark.slow
def test_a_killed_study_resumes_to_the_scores_of_an_unbroken_one(corpus_folder, tmp_path):
    plan = replace(TINY, arms=("experts",), budget=Budget(100, 64), network=Network(receptive_field=9, channels=48))
    broken = tmp_path / "broken"
    command = [str(Path(sys.executable).with_name("actlift")), "study", str(corpus_folder), str(broken)]
    command += ["--test-subjects", "syn4", "--arms", "experts", "--matching", "total", "per_model", "--seeds", "0"]
    command += ["--steps", "100", "--batch", "64", "--receptive-field", "9"]
    command += ["--channels", "48", "--precision", "float32", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    for name in ("generalist-seed0", "experts-per_model-seed0"):
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and not (broken / "runs" / name / "log.jsonl").exists():
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not (broken / "scores.parquet").exists()
    finished = stamps(broken)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(broken.rglob("state.safetensors"))
    for name in ("generalist-seed0", "experts-total-seed0"):  # those that were done were let be
        weights = f"runs/{name}/weights.safetensors"
        assert stamps(broken)[weights] == finished[weights]
    whole = run_study(tmp_path / "whole", Corpus.open(corpus_folder), plan)
    pd.testing.assert_frame_equal(Scores.read(broken / "scores.parquet").table, whole.table, check_exact=True)


# folders that hold something else


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"budget": Budget(STEPS + 1, BATCH)}, rf"budget: there .*{STEPS}.*asked for .*{STEPS + 1}"),
        ({"test_subjects": ("syn3",)}, r"test_subjects: there \['syn4'\], asked for \['syn3'\]"),
        ({"network": Network(receptive_field=9, channels=8)}, "network: there .*16.*asked for .*8"),
        ({"all_actions": True}, "all_actions: there False, asked for True"),
        ({"matching": ("frames",), "frames": 30}, "frames: there None, asked for 30"),
    ],
)
def test_another_study_is_refused_by_what_differs(study, corpus, change, named):
    before = {p: p.read_bytes() for p in (study / "study.json", study / "scores.parquet")}
    with pytest.raises(ValueError, match=f"{study} holds another study .*{named}.*another folder, or delete this one"):
        run_study(study, corpus, replace(TINY, **change))
    assert {p: p.read_bytes() for p in before} == before


def test_a_study_of_another_corpus_is_refused(study, tmp_path):
    clips = synthetic_clips(3, subjects=4, clips=1, seconds=0.4, fps=25.0, actions=["Walking", "Squat"])
    other = write_corpus(tmp_path / "corpus", clips, cameras=1, keypoints=Exact())
    with pytest.raises(ValueError, match=f"holds another study .corpus: there .*asked for '{other.digest}'"):
        run_study(study, other, TINY)


def test_a_folder_of_something_else_is_refused(corpus, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=f"{tmp_path} is not empty and holds no study: choose another folder"):
        run_study(tmp_path, corpus, TINY)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("content", ["[]", "{}", '{"fixed": 3}'])
def test_a_study_json_of_something_else_is_refused(corpus, tmp_path, content):
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(ValueError, match="study.json describes no study: choose another folder"):
        run_study(tmp_path, corpus, TINY)
    assert (tmp_path / "study.json").read_text() == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": Network(receptive_field=5)}, "receptive field of 5 frames; known: 1, 3, 9"),
        ({"network": Network(widths=(3, 4))}, r"widths are odd and positive.*\(3, 4\)"),
        ({"network": Network(channels=0)}, "at least 1 channel, got 0"),
        ({"network": Network(dropout=1.5)}, "dropout .*1.5"),
    ],
)
def test_a_network_that_cannot_be_leaves_no_folder(corpus, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run_study(tmp_path / "s", corpus, replace(TINY, **change))
    assert not (tmp_path / "s").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_leaves_no_folder(corpus, tmp_path):
    with pytest.raises(ValueError, match="torch sees no GPU: use cpu"):
        run_study(tmp_path / "s", corpus, replace(TINY, device="cuda"))
    assert not (tmp_path / "s").exists()


# the page


class Fetches(HTMLParser):
    """Everything that a browser would load on its own account."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"<{tag} {k}={v}>" for k, v in attrs if k in ("src", "srcset", "data", "poster")]
        self.found += [f"<{tag} {k}={v}>" for k, v in attrs if k == "href" and tag == "link"]
        if tag in ("script", "iframe", "object", "embed"):
            self.found.append(f"<{tag}>")


def test_the_page_needs_no_network(page):
    parser = Fetches()
    parser.feed(page)
    assert parser.found == []
    assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", page)


def test_the_page_says_what_it_rests_on(page, study, corpus):
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)))
    described = json.loads((study / "study.json").read_text())
    assert data_note(corpus.provenance) in text
    assert "Motions are synthetic, nobody moved" in text
    assert "the true action is known (oracle)" in text
    assert corpus.digest in text
    assert described["command"] in text
    assert re.sub(r"\s+", " ", described["commit"]) in text
    assert re.search(r"seeds 0\b", text)
    assert f"{STEPS} steps of {BATCH} windows" in text
    assert "frames of syn4" in text
    assert "mean over actions" in text
    assert "mean over frames" in text
    for variant in Scores.read(study / "scores.parquet").by_smoothing()[0].variants:
        assert str(variant) in text
    for run in runs(study):
        assert f"runs/{run}" in text
    for metric in METRICS.values():
        assert metric.title in text


@pytest.mark.slow
def test_the_page_is_made_of_the_folder_alone(study, page, monkeypatch):
    """Neither corpus nor torch is touched, and nothing but the page is written."""
    monkeypatch.setattr("actlift.data.corpus.Corpus.open", refuse)
    before = stamps(study)
    assert write_study_page(study) == study / "report.html"
    assert (study / "report.html").read_text(encoding="utf-8") == page
    assert stamps(study) == before


@pytest.mark.parametrize("missing", ["study.json", "scores.parquet"])
def test_an_unfinished_study_has_no_page(study, tmp_path, missing):
    for name in {"study.json", "scores.parquet"} - {missing}:
        (tmp_path / name).write_bytes((study / name).read_bytes())
    message = f"{tmp_path} holds no finished study: it has no {missing}. `actlift study` makes one."
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        write_study_page(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_data_note_names_the_noise():
    noise = {"kind": "IndependentNoise", "sigma_px": 3.0}
    real = data_note({"keypoints": noise, "sources": ["cmu.npz", "hdm05.npz"]})
    assert real == (
        "2D keypoints are synthetic: projections of motion capture by virtual cameras, IndependentNoise (sigma_px 3.0)."
    )
    assert data_note({"keypoints": {"kind": "Exact"}, "sources": ["a.npz"]}).endswith("virtual cameras, Exact.")
    mixed = data_note({"keypoints": noise, "sources": ["synthetic", "cmu.npz"]})
    assert "nobody moved" not in mixed
    assert "nobody moved" in data_note({"keypoints": noise, "sources": ["synthetic"]})


def test_an_example_keeps_an_action_with_a_comma(tmp_path):
    clips = synthetic_clips(0, subjects=3, clips=1, seconds=0.4, fps=25.0, actions=["Walking", "Squat"])
    renamed = (replace(clip, action=f"{clip.action}, slowly") for clip in clips)
    corpus = write_corpus(tmp_path / "corpus", renamed, cameras=1, keypoints=DetectorNoise())
    plan = replace(TINY, test_subjects=("syn3",), arms=("generalist",), budget=Budget(2, 4))
    run_study(tmp_path / "s", corpus, plan)
    html = write_study_page(tmp_path / "s").read_text(encoding="utf-8")
    assert re.search(r"<h3>syn3/Squat_1, frame 5 <span class=\"soft\">Squat, slowly</span></h3>", html)
