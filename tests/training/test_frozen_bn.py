"""Finishing networks in evaluation mode, alone and as arms of a study."""

import signal

import numpy as np
import pytest
import torch
from tests.networks import network_of

from actlift.data.corpus import Corpus
from actlift.data.windows import rows_of
from actlift.lifting.predict import lift, load_lifter
from actlift.models.tcn import TCN
from actlift.training.budget import Budget
from actlift.training.frozen_bn import FrozenLearner, tune_frozen
from actlift.training.loop import Interrupted, ModelSpec

CPU = {"device": "cpu", "precision": "float32"}


@pytest.fixture
def training(corpus: Corpus) -> Corpus:
    return corpus.split(["syn4"])[0]


def members(training: Corpus, steps: int = 40) -> list[ModelSpec]:
    """One for each action."""
    return [
        ModelSpec(a, rows_of([v for v in training.views if v.action == a]), Budget(steps, 32)) for a in training.actions
    ]


def start() -> TCN:
    network = network_of((3, 3), dropout=0.25)
    with torch.no_grad():
        network.head.mul_(0.1)
    return network


def error(network: TCN, training: Corpus, action: str) -> float:
    views = [v for v in training.views if v.action == action]
    poses = lift(network, [v.pose2d for v in views])
    truth = [v.pose3d_cam - v.pose3d_cam[:, :1] for v in views]
    return float(np.mean([np.linalg.norm(p - t, axis=-1).mean() for p, t in zip(poses, truth, strict=True)]))


def test_each_copy_learns_its_part_best_and_statistics_stay(tmp_path, training):
    own = members(training, 120)
    run = tune_frozen(tmp_path / "run", training, own, {m.name: start() for m in own}, **CPU)
    found = {m.name: load_lifter(run, m.name) for m in own}
    for action in training.actions:
        errors = {name: error(network, training, action) for name, network in found.items()}
        assert min(errors, key=errors.get) == action
        assert errors[action] < 0.8 * error(start(), training, action)
        for key, value in start().state_dict().items():
            if "running" in key:
                assert torch.equal(found[action].state_dict()[key], value)


def test_the_same_call_gives_the_same_bits_and_what_is_done_is_returned(tmp_path, training):
    own = members(training, 5)
    runs = [tune_frozen(tmp_path / str(i), training, own, {m.name: start() for m in own}, **CPU) for i in range(2)]
    one, other = (run.weights.read_bytes() for run in runs)
    assert one == other
    before = runs[0].weights.stat().st_mtime_ns
    again = tune_frozen(tmp_path / "0", training, own, {m.name: start() for m in own}, **CPU)
    assert again.weights.stat().st_mtime_ns == before
    assert list(again.log().columns)[:2] == ["step", "progress"]
    with pytest.raises(ValueError, match="holds another run"):
        tune_frozen(tmp_path / "0", training, own, {m.name: network_of((3, 3), seed=1) for m in own}, **CPU)


def test_what_is_stopped_resumes_to_the_same_bits(tmp_path, training, monkeypatch):
    own = members(training, 8)
    whole = tune_frozen(tmp_path / "whole", training, own, {m.name: start() for m in own}, **CPU)
    plain = FrozenLearner.step

    def interrupted(learner, number: int) -> None:
        plain(learner, number)
        if number == 4:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(FrozenLearner, "step", interrupted)
    with pytest.raises(Interrupted, match="stopped at step 5 of 8; the same command resumes"):
        tune_frozen(tmp_path / "run", training, own, {m.name: start() for m in own}, **CPU)
    monkeypatch.undo()
    resumed = tune_frozen(tmp_path / "run", training, own, {m.name: start() for m in own}, **CPU)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()
    assert resumed.log()["loss_mm"].tolist() == whole.log()["loss_mm"].tolist()


def test_members_of_several_budgets_are_refused(tmp_path, training):
    own = [*members(training, 5)[:1], *members(training, 6)[1:]]
    with pytest.raises(ValueError, match="give members of one budget, got 2 of 3"):
        tune_frozen(tmp_path / "run", training, own, {m.name: start() for m in own}, **CPU)
    assert not (tmp_path / "run").exists()
