"""`actlift evaluate --recognizer`: recognition and lifting in turns, by runs on disk."""

from pathlib import Path

import numpy as np
import pytest
from tests.commands import assert_refused

from actlift.data.corpus import Corpus
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import Scores, Variant
from actlift.lifting.conditional import ConditionalLifter
from actlift.lifting.predict import load_lifter
from actlift.recognition.accuracy import measure
from actlift.recognition.coupled import coupled_rounds
from actlift.recognition.prediction import load_recognizer
from actlift.recognition.training import train_recognizer
from actlift.training.budget import Budget
from actlift.training.loop import ModelSpec, train
from actlift.training.run import Run


@pytest.fixture(scope="module")
def recognized_runs(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of runs that syn4 was held out from: a lifter told the action, and recognizers of keypoints and poses."""
    folder = tmp_path_factory.mktemp("rounds")
    training, _ = Corpus.open(corpus_folder).split(["syn4"])
    rows = rows_of(training.views)
    number = {
        row: training.actions.index(v.action) for v in training.views for row in range(v.start, v.start + v.frames)
    }
    spec = ModelSpec("everything", rows, Budget(4, 16), conditions=np.array([number[row] for row in rows]))
    model = {"widths": (3,), "channels": 8, "conditions": len(training.actions)}
    lifter = load_lifter(train(folder / "told", training, [spec], model=model))
    small = {"model": {"receptive_field": 9, "channels": 8}, "budget": Budget(40, 16), "folds": 2}
    train_recognizer(folder / "keypoints", training, **small)
    train_recognizer(folder / "poses", training, **small, lifter=lifter)
    two = training.select(actions=["Squat", "Walking"])
    train_recognizer(folder / "two", two, **small)
    return folder


def test_evaluate_in_rounds(actlift, recognized_runs, corpus_folder, tmp_path):
    told, out = recognized_runs / "told", tmp_path / "s.parquet"
    words = ["evaluate", told, corpus_folder, "--recognizer", recognized_runs / "keypoints"]
    again = ["--again", recognized_runs / "poses", "--rounds", 3]
    result = actlift(*words, *again, "--no-flip", "--out", out)
    assert (result.code, result.err) == (0, "")
    views = Corpus.open(corpus_folder).select(subjects=["syn4"]).views
    seen = [v.keypoints for v in views]
    conditioned = ConditionalLifter.from_network(
        load_lifter(Run.open(told)), ["Squat", "Walking", "Waving"], flip=False
    )
    posteriors = load_recognizer(Run.open(recognized_runs / "keypoints"))(seen)
    looking = load_recognizer(Run.open(recognized_runs / "poses")).of_poses
    scores = Scores.read(out).per_action("mpjpe")["mean over actions"]
    for number, one in enumerate(coupled_rounds(conditioned, seen, posteriors, looking, 3), 1):
        variant = Variant(f"told, round {number}", label="predicted" if number == 1 else "coupled")
        expected = score_poses(one.poses, views, variant=variant, metrics=("mpjpe",)).per_action("mpjpe")
        assert scores[variant] == pytest.approx(expected["mean over actions"].iloc[0], rel=1e-5)
        right = measure(one.posteriors, views, list(conditioned.actions))
        (line,) = (line for line in result.out.splitlines() if f"round {number}," in line)
        assert line.split()[-2:] == [f"{right.frames.top1:.1%}", f"{right.clips.top1:.1%}"]
        assert f"{scores[variant]:.1f}" in line
    assert {v.label for v in scores.index} == {"none", "predicted", "coupled", "oracle"}
    once = actlift(*words)
    assert (once.code, once.err) == (0, "")
    assert "round 1," in once.out
    assert "round 2," not in once.out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--recognizer", "keypoints", "--rounds", 2], ["got none and 2"]),
        (["--recognizer", "keypoints", "--again", "poses"], ["got one and 1"]),
        (["--again", "poses", "--rounds", 2], ["go on from what --recognizer says: give one"]),
        (["--recognizer", "keypoints", "--again", "keypoints", "--rounds", 2], ["sees keypoints alone"]),
        (["--recognizer", "two"], ["recognizes Squat, Walking, and the network is told Squat, Walking, Waving"]),
        (["--recognizer", "keypoints", "--metrics", "pck"], ["scored in mpjpe and mpjve: leave --metrics out"]),
    ],
)
def test_rounds_that_cannot_be_are_refused(actlift, recognized_runs, corpus_folder, words, parts):
    words = [recognized_runs / word if word in ("keypoints", "poses", "two") else word for word in words]
    assert_refused(actlift("evaluate", recognized_runs / "told", corpus_folder, *words), *parts)


def test_rounds_take_a_network_that_is_told_and_a_recognizer_of_others(
    actlift, run_folder, recognized_runs, corpus_folder
):
    words = ["--recognizer", recognized_runs / "keypoints", "--subjects", "syn4"]
    assert_refused(actlift("evaluate", run_folder, corpus_folder, *words), f"{run_folder} is told no action")
    training, _ = Corpus.open(corpus_folder).split(["syn3", "syn4"])
    spec = ModelSpec("e", rows_of(training.views), Budget(1, 8), conditions=np.zeros(training.frames, np.int64))
    folder = recognized_runs / "fewer"
    train(folder, training, [spec], model={"widths": (3,), "channels": 8, "conditions": 3})
    result = actlift("evaluate", folder, corpus_folder, *words[:2])
    assert_refused(result, f"{recognized_runs / 'keypoints'} was trained on syn3")
