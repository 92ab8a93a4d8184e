"""Study folders of format 1: brought to format 2 once, whole or not at all, and gone on with."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from actlift.data.corpus import Corpus
from actlift.evaluation.scores import LABELS, Scores, Variant
from actlift.models.options import Network
from actlift.study.experiment import run_study
from actlift.study.plan import Plan
from actlift.study.upgrade import STUDY_FORMAT, upgrade_study
from actlift.training.budget import Budget

PLAN = Plan(
    test_subjects=("syn4",),
    arms=("generalist", "experts", "finetuned", "finetuned-experts", "random-finetuned-experts"),
    matching=("total", "per_model"),
    seeds=(0,),
    budget=Budget(12, 16),
    network=Network(receptive_field=9, channels=16),
    labels="all",
    labels_by="clip",
    precision="float32",
    device="cpu",
)
RUNS = {
    "generalist-seed0": "generalist-seed0",
    "experts-pooled-seed0": "experts-total-seed0",
    "experts-each-seed0": "experts-per_model-seed0",
    "finished-seed0": "finetuned-seed0",
    "generalist-for-finished-seed0": "generalist-for-finetuned-seed0",
    "specialised-seed0": "finetuned-experts-seed0",
    "conditioned-for-specialised-seed0": "conditioned-for-finetuned-experts-seed0",
    "random-specialised-seed0": "random-finetuned-experts-seed0",
    "random-conditioned-for-random-specialised-seed0": "random-conditioned-for-random-finetuned-experts-seed0",
}
ARMS = {
    "finetuned": "finished",
    "finetuned-experts": "specialised",
    "random-finetuned-experts": "random-specialised",
}
MATCHINGS = {"total": "pooled", "per_model": "each"}


def old_arm(variant: Variant) -> str:
    matching = f" ({MATCHINGS.get(variant.matching, variant.matching)})" if variant.matching else ""
    label = f": {LABELS[variant.label]}" if variant.label else ""
    return ARMS.get(variant.arm, variant.arm) + matching + (", mixture" if variant.mixture else "") + label


def age(folder: Path) -> None:
    """Write a study folder as format 1 had it."""
    for path in folder.rglob("predicted.parquet"):
        path.unlink()
    old_run = {f"runs/{new}": f"runs/{old}" for old, new in RUNS.items()}
    for path in [*folder.rglob("scores.parquet"), *folder.rglob("labels.parquet"), *folder.rglob("by_label.parquet")]:
        table = Scores.read(path).table
        table = table[~table["smoothed"]].reset_index(drop=True)  # which nothing was then
        variants = [Variant(*row) for row in table[["arm", "matching", "label", "mixture"]].itertuples(index=False)]
        arms = [v.arm if path.name == "by_label.parquet" else old_arm(v) for v in variants]
        table = table.assign(arm=arms, run=table["run"].map(old_run)).drop(
            columns=["matching", "label", "mixture", "smoothed"]
        )
        table.to_parquet(path, index=False)
    for path in folder.rglob("by_label.parquet"):
        path.rename(path.with_name("told.parquet"))
    for path in folder.rglob("labels.json"):
        notes = json.loads(path.read_text())
        path.write_text(json.dumps({("recognised" if k == "recognized" else k): v for k, v in notes.items()}))
    for old, new in RUNS.items():
        (folder / "runs" / new).rename(folder / "runs" / old)
    study = json.loads((folder / "study.json").read_text())
    del study["format"], study["arms"]
    plan = study["plan"]
    plan["equalities"] = [MATCHINGS[name] for name in plan.pop("matching")]
    plan["arms"] = [ARMS.get(name, name) for name in plan["arms"]]
    (folder / "study.json").write_text(json.dumps(study))


def contents(folder: Path) -> dict[str, object]:
    """What every file says of poses as they are: tables as tables, JSON as JSON, everything else as bytes."""
    found: dict[str, object] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "predicted.parquet"):
        name = str(path.relative_to(folder))
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            if "smoothed" in table:
                table = table[~table["smoothed"]].reset_index(drop=True)
            found[name] = (list(table.dtypes.items()), pd.util.hash_pandas_object(table).tolist())
        else:
            found[name] = json.loads(path.read_text()) if path.suffix == ".json" else path.read_bytes()
    return found


@pytest.fixture(autouse=True, scope="module")
def recognizing_costs_a_step() -> Iterator[None]:
    """So that few steps will do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actlift.study.arms.recognizing_steps", lambda *_: 1)
        yield


@pytest.fixture(scope="module")
def new(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of this format, to be read only."""
    folder = tmp_path_factory.mktemp("formats") / "new"
    run_study(folder, Corpus.open(corpus_folder), PLAN)
    return folder


@pytest.fixture(scope="module")
def aged(new: Path) -> Path:
    """The same study as format 1 had it, to be read only."""
    folder = shutil.copytree(new, new.with_name("aged"))
    age(folder)
    return folder


@pytest.fixture
def old(aged: Path, tmp_path: Path) -> Path:
    """A copy of that."""
    return shutil.copytree(aged, tmp_path / "old")


def test_an_old_folder_becomes_what_a_new_study_writes(new, old):
    assert {at.name for at in (old / "runs").iterdir()} == set(RUNS)
    before = contents(old)
    assert before != contents(new)
    upgrade_study(old)
    assert contents(old) == contents(new)
    upgrade_study(old)
    assert contents(old) == contents(new)


def test_a_new_folder_is_let_be(new):
    before = {p: p.stat().st_mtime_ns for p in new.rglob("*")}
    upgrade_study(new)
    assert {p: p.stat().st_mtime_ns for p in new.rglob("*")} == before


def test_an_old_study_goes_on_and_trains_nothing_again(new, old, corpus, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing was to be trained or scored under labels")

    monkeypatch.setattr("actlift.training.loop._Loop.run_to_end", refuse)
    monkeypatch.setattr("actlift.study.experiment.score_labels", refuse)
    scores = run_study(old, corpus, PLAN, on_progress=refuse)
    as_they_are, smoothed = scores.by_smoothing()
    pd.testing.assert_frame_equal(as_they_are.table, Scores.read(new / "scores.parquet").by_smoothing()[0].table)
    assert {v.label for v in smoothed.variants} == {"predicted"}, "what is scored now, and what was is let be"
    monkeypatch.undo()
    more = run_study(old, corpus, replace(PLAN, arms=(*PLAN.arms, "random-experts")))
    assert Variant("random-experts", "total") in more.variants


def test_another_study_asked_for_leaves_an_old_folder_as_it_is(old, corpus):
    before = contents(old)
    with pytest.raises(ValueError, match="holds another study"):
        run_study(old, corpus, replace(PLAN, budget=Budget(13, 16)))
    assert contents(old) == before


def test_scores_that_cannot_be_read_change_nothing(old):
    bad = old / "runs" / "specialised-seed0" / "scores.parquet"
    bad.write_bytes(b"no parquet")
    before = contents_of_bytes(old)
    with pytest.raises(ValueError, match=r"specialised-seed0/scores\.parquet: cannot be read as scores"):
        upgrade_study(old)
    assert contents_of_bytes(old) == before


def contents_of_bytes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("stopped_at", [0, 9, 20, -1])
def test_what_was_stopped_halfway_is_finished_by_the_next_call(new, old, monkeypatch, stopped_at):
    """Stopped after so many files and folders took their places; study.json is the last of them."""
    replaced: list[Path] = []
    whole = shutil.copytree(old, old.with_name("whole"))
    move = os.replace

    def counted(source: Path, target: Path) -> None:
        replaced.append(Path(target))
        move(source, target)

    monkeypatch.setattr(os, "replace", counted)
    upgrade_study(whole)
    last = [path for path in replaced if not path.name.endswith(".part")]
    assert last[-1].name == "study.json"
    stop = range(len(last))[stopped_at]
    replaced.clear()

    def stopping(source: Path, target: Path) -> None:
        if not Path(target).name.endswith(".part"):
            if len(replaced) == stop:
                raise OSError("the disk went away")
            replaced.append(Path(target))
        move(source, target)

    monkeypatch.setattr(os, "replace", stopping)
    with pytest.raises(OSError, match="the disk went away"):
        upgrade_study(old)
    assert "format" not in json.loads((old / "study.json").read_text())
    assert not list(old.rglob("*.part"))
    monkeypatch.setattr(os, "replace", move)
    upgrade_study(old)
    assert contents(old) == contents(new)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "describes no study"),
        ('{"plan": 3}', "describes no study"),
        (json.dumps({"format": STUDY_FORMAT + 1, "plan": {}}), "is of format 3, this actlift knows 1 and 2"),
    ],
)
def test_what_is_no_study_of_a_known_format_is_refused(tmp_path, content, message):
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        upgrade_study(tmp_path)
    assert (tmp_path / "study.json").read_text() == content


def test_a_folder_without_a_study_is_let_be(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    upgrade_study(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_runs_of_other_names_keep_them(old):
    (old / "runs" / "mine").mkdir()
    (old / "runs" / "mine" / "notes.txt").write_text("mine")
    upgrade_study(old)
    assert (old / "runs" / "mine" / "notes.txt").read_text() == "mine"
