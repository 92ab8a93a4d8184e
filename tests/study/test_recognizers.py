"""What tells the predicted action in a study: each row, its cost, and a study with the one that users get."""

from dataclasses import replace

import numpy as np
import pytest

from actlift.evaluation.scores import Variant
from actlift.files import read_json
from actlift.models.options import Network
from actlift.recognition.prediction import load_recognizer
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


@pytest.mark.usefixtures("training")
def test_a_study_is_told_by_the_recognizer_that_users_get(corpus, tmp_path, monkeypatch):
    plan = Plan(
        test_subjects=("syn4",),
        arms=("conditioned",),
        seeds=(0,),
        budget=Budget(60, 64),
        network=SMALL,
        labels=True,
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
    monkeypatch.setitem(RECOGNIZERS, "clip", replace(RECOGNIZERS["clip"], multiply_adds=lambda _: 1))
    with pytest.raises(ValueError, match="labels_by: there 'network', asked for 'clip'"):
        run_study(tmp_path / "study", corpus, replace(plan, labels_by="clip"))
