"""Cross-validation over people: who is held out when, what is trained and scored, and several processes at it."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actlift.data.corpus import Corpus, write_corpus
from actlift.data.noise import Exact
from actlift.data.sources.synthetic import synthetic_clips
from actlift.evaluation.scores import ALL_JOINTS, Scores, Variant
from actlift.files import locked, read_json
from actlift.models.options import Network
from actlift.study import folds as module
from actlift.study.experiment import Progress, run_study
from actlift.study.folds import make_folds
from actlift.study.plan import Plan, parse_folds
from actlift.training.budget import Budget
from actlift.training.run import Run

PLAN = Plan(
    folds="people",
    arms=("generalist", "conditioned", "ensemble-2"),
    seeds=(0,),
    budget=Budget(4, 16),
    network=Network(receptive_field=9, channels=16),
    precision="float32",
    device="cpu",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Three people walk and squat, one of them also waves, and a fourth only juggles."""
    made = [
        *synthetic_clips(0, subjects=3, clips=1, seconds=0.4, fps=25.0, actions=["Walking", "Squat"]),
        *synthetic_clips(0, subjects=1, clips=1, seconds=0.4, fps=25.0, actions=["Waving"]),
    ]
    alone = [replace(clip, name="juggler", subject="juggler", action="Juggling") for clip in made[:1]]
    folder = tmp_path_factory.mktemp("folds") / "corpus"
    return write_corpus(folder, [*made, *alone], cameras=1, keypoints=Exact())


@pytest.fixture(scope="module")
def study(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds") / "study"
    run_study(folder, corpus, PLAN)
    return folder


def test_everybody_is_held_out_once(corpus):
    folds = make_folds(corpus, "people")
    assert dict(folds.people) == {"1": ("syn1",), "2": ("syn2",), "3": ("syn3",)}
    assert folds.untested == ("juggler",)
    assert folds.alone == {"Juggling": "juggler", "Waving": "syn1"}


@given(
    st.integers(2, 5).flatmap(
        lambda k: st.tuples(st.just(k), st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=k))
    )
)
@settings(max_examples=30)
def test_groups_leave_nobody_out_and_nobody_empty(case):
    groups, amounts = case
    does = np.array(amounts, float) + np.eye(len(amounts), 4)
    group = module._grouped(does[:, does.any(axis=0)], groups)
    assert set(group) == set(range(groups))


def test_groups_keep_people_of_an_action_apart():
    amounts = np.zeros((8, 5))
    amounts[[0, 1], 0] = amounts[[2, 3], 1] = amounts[[4, 5], 2] = amounts[[6, 7], 3] = 100  # pairs
    amounts[:, 4] = 10
    group = module._grouped(amounts, 2)
    assert all(group[i] != group[i + 1] for i in (0, 2, 4, 6))
    assert sorted(np.bincount(group)) == [4, 4]


@pytest.mark.parametrize("words", ["person", "people:1", "people:x", "people:", "", "people:-3"])
def test_other_words_than_folds_are_refused(words):
    with pytest.raises(ValueError, match=r"folds are people .leave one out. or people:K with K groups"):
        parse_folds(words)


def test_more_groups_than_people_are_refused(corpus):
    with pytest.raises(ValueError, match="3 people of this corpus do what somebody else does.*need 4 at least"):
        make_folds(corpus, "people:4")


def test_a_study_holds_out_subjects_or_folds():
    with pytest.raises(ValueError, match="give one of them, got test subjects none and folds none"):
        replace(PLAN, folds="")
    with pytest.raises(ValueError, match="got test subjects S9 and folds people"):
        replace(PLAN, test_subjects=("S9",))


def test_each_fold_trains_on_everybody_else_and_all_that_they_do(study):
    for fold, person in (("1", "syn1"), ("2", "syn2"), ("3", "syn3")):
        identity = Run.open(study / "folds" / fold / "runs" / "generalist-seed0").identity
        assert set(identity.subjects) == {"syn1", "syn2", "syn3", "juggler"} - {person}
        assert "Juggling" in identity.actions
        assert ("Waving" in identity.actions) == (person != "syn1")


def test_the_scores_of_all_folds_stand_together(study, corpus):
    scores = Scores.read(study / "scores.parquet")
    assert scores.actions == ("Squat", "Walking"), "not what one person alone does"
    assert set(scores.table["subject"]) == {"syn1", "syn2", "syn3"}
    assert set(scores.table["joint"]) == {ALL_JOINTS}
    for fold in "123":
        own = Scores.read(study / "folds" / fold / "scores.parquet").table
        mine = scores.table[scores.table["run"].str.startswith(f"folds/{fold}/")]
        assert np.array_equal(np.sort(own.loc[own["joint"] == ALL_JOINTS, "value"]), np.sort(mine["value"]))
    about = read_json(study / "study.json")
    assert about["folds"]["untested"] == ["juggler"]
    assert about["fixed"]["folds"] == "people"
    assert about["test"]["subjects"] == ["syn1", "syn2", "syn3"]
    assert about["training"]["frames"] == corpus.frames
    for run in scores.table["run"].unique():
        assert Run.open(study / run).weights.is_file()


def test_a_study_over_folds_goes_on_where_it_was(study, corpus, monkeypatch):
    before = Scores.read(study / "scores.parquet").table
    monkeypatch.setattr("actlift.study.experiment.score_poses", lambda *_, **__: pytest.fail("scored again"))
    assert run_study(study, corpus, PLAN).table.equals(before)
    with pytest.raises(ValueError, match="holds another study .folds: there 'people', asked for 'people:2'"):
        run_study(study, corpus, replace(PLAN, folds="people:2"))


def test_progress_counts_all_folds(tmp_path, corpus):
    seen: list[Progress] = []
    run_study(tmp_path / "study", corpus, replace(PLAN, arms=("generalist", "ensemble-2")), on_progress=seen.append)
    assert [at.windows for at in seen] == sorted(at.windows for at in seen)
    assert seen[-1].windows == seen[-1].windows_total == 3 * 2 * 4 * 16
    assert {at.jobs for at in seen} == {6}
    assert seen[-1].number == 6


@pytest.mark.skipif(os.name == "nt", reason="no such locks there")
def test_what_another_process_holds_is_not_to_be_had(tmp_path):
    lock = tmp_path / "lock"
    script = f"""
        import sys
        from pathlib import Path
        from actlift.files import locked
        with locked(Path({str(lock)!r}), wait=True) as mine:
            print(mine, flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with locked(lock, wait=False) as mine:
            assert not mine
        other.kill()
        with locked(lock, wait=True) as mine:
            assert mine, "what ends lets go"


def test_several_processes_share_the_folds(tmp_path, corpus, study):
    script = f"""
        from pathlib import Path
        from actlift.data.corpus import Corpus
        from actlift.study.experiment import run_study
        from tests.study.test_folds import PLAN
        run_study(Path({str(tmp_path / "study")!r}), Corpus.open({str(corpus.folder)!r}), PLAN)
    """
    call = [sys.executable, "-c", textwrap.dedent(script)]
    for process in [subprocess.Popen(call) for _ in range(2)]:
        assert process.wait() == 0
    alone, shared = (Scores.read(at / "scores.parquet").table for at in (study, tmp_path / "study"))
    assert shared.equals(alone), "the same bits"
    assert Variant("conditioned") in Scores(shared).variants or "conditioned" in set(shared["arm"])
