"""What tells the predicted action in a study: each row, its cost, and a study with the one that users get."""

from dataclasses import replace

import numpy as np
import pytest

from actlift.evaluation.scores import Scores, Variant
from actlift.files import read_json
from actlift.lifting.conditional import ConditionalLifter
from actlift.lifting.predict import load_lifter
from actlift.models.options import Network
from actlift.recognition.coupled import coupled_rounds
from actlift.recognition.prediction import load_recognizer
from actlift.report.labels_page import LabelsReport
from actlift.study import recognizers
from actlift.study.experiment import run_study
from actlift.study.plan import Plan
from actlift.study.recognizers import RECOGNIZERS, ClipLabels, recognizing_steps
from actlift.training.budget import Budget
from actlift.training.run import Run

SMALL = Network(receptive_field=9, channels=16)


@pytest.fixture
def training(corpus, monkeypatch):
    monkeypatch.setattr(recognizers, "BUDGET", Budget(20, 16))
    monkeypatch.setattr(recognizers, "FOLDS", 2)
    monkeypatch.setattr(recognizers, "MODEL", {"receptive_field": 9, "channels": 8})
    return corpus.split(["syn4"])[0]


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_every_recognizer_tells_clips_and_is_read_again(name, training, tmp_path):
    learnt = RECOGNIZERS[name].learn(tmp_path, training)
    assert isinstance(learnt, ClipLabels)
    seen = training.views[0].keypoints
    assert learnt.of_clip(seen).shape == (len(training.actions),)
    assert learnt.of_clip(seen).sum() == pytest.approx(1)
    (of_frames,) = learnt([seen])
    assert len(of_frames) == seen.frames
    np.testing.assert_allclose(of_frames.mean(axis=0), learnt.of_clip(seen), atol=1e-12)
    assert 0 <= learnt.sure <= 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    np.testing.assert_array_equal(RECOGNIZERS[name].learn(tmp_path, training).of_clip(seen), learnt.of_clip(seen))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_its_cost_is_paid_in_steps_of_the_lifter(name, training):
    dear, cheap = (recognizing_steps(name, training, replace(SMALL, channels=c), Budget(10**6, 16)) for c in (16, 64))
    assert dear > cheap >= 1
    with pytest.raises(ValueError, match=r"costs about \d+ steps of this network.*budget of 1: .*--labels-by clip"):
        recognizing_steps(name, training, SMALL, Budget(1, 16))


def test_recognizing_again_needs_a_label_to_go_on_from():
    with pytest.raises(ValueError, match="ask for labels all, or leave coupled out"):
        Plan(test_subjects=("syn4",), coupled=True)


@pytest.mark.usefixtures("training")
def test_a_study_is_told_by_the_recognizer_that_users_get(corpus, tmp_path, monkeypatch):
    plan = Plan(
        test_subjects=("syn4",),
        arms=("conditioned",),
        seeds=(0,),
        budget=Budget(60, 64),
        network=SMALL,
        labels="all",
        precision="float32",
        device="cpu",
    )
    scores = run_study(tmp_path / "study", corpus, plan)
    assert Variant("conditioned", label="predicted") in scores.variants
    recognizer = load_recognizer(Run.open(tmp_path / "study" / "recognizer"))
    _, test = corpus.split(["syn4"], shared_actions_only=True)
    right = np.mean([recognizer.label_of(v.keypoints) == v.action for v in test.views])
    notes = read_json(tmp_path / "study" / "runs" / "conditioned-seed0" / "labels.json")
    assert notes["recognized"]["top1"] == pytest.approx(right)
    folder = tmp_path / "study" / "runs" / "conditioned-seed0"
    assert [one["clips"] for one in notes["rounds"]] == [pytest.approx(right)]
    assert not (folder / "recognizer").exists()

    run_study(tmp_path / "study", corpus, replace(plan, coupled=True))
    labels = Scores.read(tmp_path / "study" / "labels.parquet")
    assert {v.label for v in labels.variants} >= {"predicted", "coupled", "coupled_twice"}
    rounds = read_json(folder / "labels.json")["rounds"]
    looking = load_recognizer(Run.open(folder / "recognizer"))
    conditioned = ConditionalLifter.from_network(load_lifter(Run.open(folder)), test.actions)
    seen = [v.keypoints for v in test.views]
    by_hand = coupled_rounds(conditioned, seen, recognizer(seen), looking.of_poses, 3)
    for one, expected in zip(rounds, by_hand, strict=True):
        assert one["clips"] == pytest.approx(
            np.mean([a == v.action for a, v in zip(expected.labels, test.views, strict=True)])
        )
    page = LabelsReport.open(tmp_path / "study").tables["rounds"].frame
    np.testing.assert_allclose(page["clips right, %"], [100 * one["clips"] for one in rounds])
    written = (folder / "labels.parquet").stat().st_mtime_ns
    run_study(tmp_path / "study", corpus, replace(plan, coupled=True))
    assert (folder / "labels.parquet").stat().st_mtime_ns == written
    monkeypatch.setitem(RECOGNIZERS, "clip", replace(RECOGNIZERS["clip"], multiply_adds=lambda _: 1))
    with pytest.raises(ValueError, match="labels_by: there 'network', asked for 'clip'"):
        run_study(tmp_path / "study", corpus, replace(plan, labels_by="clip"))
