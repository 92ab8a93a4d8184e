"""A network fine-tuned on one's own action, and what that is worth on what was held out."""

import json
from dataclasses import replace

import pytest

from actlift import cli
from actlift.data.clip import take_of
from actlift.data.corpus import Corpus
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import evaluate
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, Variant
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.study.finetune import AFTER, BEFORE, _split, finetune
from actlift.training.budget import Budget
from actlift.training.loop import ModelSpec, train
from actlift.training.run import Run

CPU = {"device": "cpu", "precision": "float32"}
MODEL = {"widths": [3, 3], "channels": 24}

AGAIN = {"variant": Variant("again"), "metrics": ("mpjpe",), "known_people": True}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, corpus_folder) -> Run:
    """A network that has seen everything but Waving, and everybody but syn4."""
    training = Corpus.open(corpus_folder).split(["syn4"])[0].select(actions=["Walking", "Squat"])
    member = ModelSpec("everything", rows_of(training.views), Budget(150, 64))
    return train(tmp_path_factory.mktemp("runs") / "base", training, [member], model=MODEL, **CPU)


def test_a_new_action_gains_on_clips_that_were_held_out(tmp_path, corpus, base):
    found = finetune(tmp_path / "run", base, corpus, "Waving", budget=Budget(80, 64), **CPU)
    errors = found.action.per_action("mpjpe")[MEAN_OVER_ACTIONS]
    assert errors[AFTER] < 0.8 * errors[BEFORE]
    clips = {v.clip for v in corpus.views if v.action == "Waving"}
    written = json.loads((tmp_path / "run" / "finetuned.json").read_text())
    assert set(written["held_out"]["clips"]) | set(written["trained_on"]["clips"]) == clips
    assert not set(written["held_out"]["clips"]) & set(written["trained_on"]["clips"])
    assert written["errors"]["mpjpe"] == {
        "before": pytest.approx(errors[BEFORE]),
        "after": pytest.approx(errors[AFTER]),
    }
    views = [v for v in corpus.views if v.clip in found.held_out]
    again = evaluate(
        LifterPredictor(load_lifter(found.run)), views, variant=Variant("again"), metrics=("mpjpe",), known_people=True
    )
    assert again.per_action("mpjpe").loc[Variant("again"), MEAN_OVER_ACTIONS] == pytest.approx(errors[AFTER])


def test_people_can_be_held_out_and_others_of_them_tell_what_would_be_lost(tmp_path, corpus, base):
    found = finetune(tmp_path / "run", base, corpus, "Waving", test_subjects=["syn4"], budget=Budget(80, 64), **CPU)
    assert set(found.action.table["subject"]) == {"syn4"}
    assert set(found.run.config["identity"]["trained_on"]["subjects"]) == {"syn1", "syn2", "syn3"}
    assert found.others is not None
    assert set(found.others.table["subject"]) == {"syn4"}
    assert set(found.others.table["action"]) == {"Walking", "Squat"}
    views = [v for v in corpus.views if v.subject == "syn4" and v.action != "Waving"]
    again = evaluate(
        LifterPredictor(load_lifter(base)), views, variant=Variant("again"), metrics=("mpjpe",), known_people=True
    )
    found_before = found.others.per_action("mpjpe").loc[BEFORE, MEAN_OVER_ACTIONS]
    assert again.per_action("mpjpe").loc[Variant("again"), MEAN_OVER_ACTIONS] == pytest.approx(found_before)


def test_a_conditioned_network_begins_unconditioned(tmp_path, corpus):
    training, _ = corpus.split(["syn4"])
    number = {action: i for i, action in enumerate(training.actions)}
    rows = rows_of(training.views)
    conditions = [number[v.action] for v in training.views for _ in range(v.frames)]
    member = ModelSpec("everything", rows, Budget(20, 64), conditions=rows * 0 + conditions)
    told = train(tmp_path / "told", training, [member], model=MODEL | {"conditions": 3}, **CPU)
    found = finetune(tmp_path / "run", told, corpus, "Waving", test_subjects=["syn4"], budget=Budget(5, 32), **CPU)
    assert load_lifter(found.run).conditions == 0


def test_what_cannot_be_finetuned_is_said(tmp_path, corpus, base):
    with pytest.raises(ValueError, match="no clips of 'Flying'; the corpus has Squat, Walking, Waving"):
        finetune(tmp_path / "run", base, corpus, "Flying")
    for selection in (corpus, replace(corpus, digest="of another selection")):
        with pytest.raises(ValueError, match="was trained on syn1: scores on them say nothing"):
            finetune(tmp_path / "run", base, selection, "Waving", test_subjects=["syn1"])
    with pytest.raises(ValueError, match="Waving needs something to train on and something to hold out"):
        finetune(tmp_path / "run", base, corpus, "Waving", test_subjects=["nobody"])
    with pytest.raises(ValueError, match="give other held-out clips, there are 8"):
        finetune(tmp_path / "run", base, corpus, "Waving", test_share=1.0)
    assert not (tmp_path / "run").exists()


def test_the_command_tells_before_and_after(tmp_path, corpus_folder, base, capfd):
    words = [str(base.folder), str(corpus_folder), str(tmp_path / "run"), "--action", "Waving", "--steps", "5"]
    cli.app(["finetune", *words, "--batch", "32", "--device", "cpu"], result_action="return_value")
    out = capfd.readouterr().out
    assert "clips held out" in out
    assert "before" in out
    assert "other people gain less" in " ".join(out.split())


def test_pieces_of_one_take_are_held_out_together(corpus):
    views = [v for v in corpus.views if v.action == "Waving"]
    pieces = [replace(v, clip=f"{v.subject}_{i // 2}{'ab'[i % 2]}") for i, v in enumerate(views)]
    training, test = _split(pieces, (), 0.5, seed=0)
    assert {take_of(v.clip) for v in training}.isdisjoint(take_of(v.clip) for v in test)
    assert len(training) + len(test) == len(views)
