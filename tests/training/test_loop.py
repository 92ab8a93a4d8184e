"""Training: against a loop by hand, alone and side by side, and through crashes, Ctrl-C and full disks."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from benchmarks.conventional import ConvolutionalTCN, assemble

from actlift.data.corpus import Corpus, write_corpus
from actlift.data.noise import Exact
from actlift.data.sources.synthetic import synthetic_clips
from actlift.data.windows import Sampler, Windows, rows_of
from actlift.geometry.skeleton import H36M_17
from actlift.lifting.predict import lift, load_lifter
from actlift.models.options import Network
from actlift.models.tcn import TCN
from actlift.models.tensors import of_member, read_tensors, write_tensors
from actlift.training import device
from actlift.training import loop as module
from actlift.training.budget import Budget, Exponential, Schedule, Stepwise
from actlift.training.ensemble import (
    hash_keys,
    hashed_integers,
    joint_weights,
    lifting_loss,
    random_integers,
    velocity_loss,
)
from actlift.training.loop import LEARNING_RATE, EvaluationCallback, Interrupted, ModelSpec, TrainProgress, train
from actlift.training.run import Run
from actlift.training.settings import Loss

MODEL = {"widths": [3, 3], "channels": 16}
CPU = {"device": "cpu", "precision": "float32"}
RATE = Exponential(2e-3, 2e-5)


@pytest.fixture
def training(corpus) -> Corpus:
    return corpus.split(["syn4"])[0]


def experts(training: Corpus, *steps: int, batch: int = 16, rate: Schedule = LEARNING_RATE) -> list[ModelSpec]:
    """A member for each action, with these budgets."""
    rows = [rows_of(training.select(actions=[action]).views) for action in training.actions]
    return [ModelSpec(a, r, Budget(n, batch), rate) for a, r, n in zip(training.actions, rows, steps, strict=False)]


def generalist(training: Corpus, steps: int, batch: int = 16, *, rate: Schedule = LEARNING_RATE) -> list[ModelSpec]:
    return [ModelSpec("everything", rows_of(training.views), Budget(steps, batch), rate)]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return read_tensors(run.weights)[0]


def losses(run: Run, member: str) -> np.ndarray:
    log = run.log()
    return log.loc[log["member"] == member, "loss_mm"].to_numpy()


def log_but_for_seconds(run: Run) -> list[dict]:
    lines = (run.folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if "seconds" not in k} for line in lines]


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference of any two weights."""
    assert one.keys() == other.keys()
    return max(float((one[k] - other[k]).abs().max()) for k in one)


# bits and seeds


def test_one_call_gives_the_same_bits_again(tmp_path, training):
    runs = [train(tmp_path / n, training, experts(training, 6, 6), model=MODEL, **CPU) for n in "ab"]
    assert runs[0].weights.read_bytes() == runs[1].weights.read_bytes()
    assert log_but_for_seconds(runs[0]) == log_but_for_seconds(runs[1])
    assert names(runs[0].folder) == ["config.json", "log.jsonl", "weights.safetensors"]
    assert runs[0].members == ("Squat", "Walking")


def test_saving_often_changes_no_bit(tmp_path, training):
    often, never = (
        train(tmp_path / str(s), training, experts(training, 6, 3), model=MODEL, save_every_s=s, **CPU)
        for s in (0.0, 1e9)
    )
    assert often.weights.read_bytes() == never.weights.read_bytes()


def test_another_seed_or_name_gives_other_weights(tmp_path, training):
    def trained(folder: str, name: str, seed: int) -> dict[str, torch.Tensor]:
        member = ModelSpec(name, rows_of(training.views), Budget(1, 16))
        return of_member(weights(train(tmp_path / folder, training, [member], model=MODEL, seed=seed, **CPU)), name)

    first = trained("first", "a", 0)
    for other in (trained("seed", "a", 1), trained("name", "b", 0)):
        assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])
        assert not torch.equal(first["head"], other["head"])


def test_what_is_done_is_returned_as_it_is(tmp_path, training):
    def on_progress(_):
        pytest.fail("it trained again")

    run = train(tmp_path / "run", training, generalist(training, 2), model=MODEL, **CPU)
    before = run.weights.stat().st_mtime_ns
    again = train(
        tmp_path / "run",
        training,
        generalist(training, 2),
        model=MODEL,
        on_progress=on_progress,
        **CPU,
    )
    assert again.weights.stat().st_mtime_ns == before


# against a loop by hand


def first_network(folder: Path, training: Corpus, member: ModelSpec, model: dict) -> TCN:
    """A member's network before its first step: a step at no learning rate moves the statistics only."""
    short = ModelSpec(member.name, member.rows, Budget(1, member.budget.batch), Exponential(1e-30, 1e-30))
    network = load_lifter(train(folder, training, [short], model=model, **CPU))
    for layer in network.layers:
        layer.running_mean.zero_()
        layer.running_var.fill_(1)
    return network.train()


def batches(training: Corpus, member: ModelSpec, receptive_field: int):
    """Each step's progress and batch, put together sample by sample."""
    sampler = Sampler(member.rows, member.budget.batch, seed=0, name=member.name)
    for step in range(member.budget.steps):
        rows, flips = sampler(step)
        views = np.searchsorted(training.starts, rows, side="right") - 1
        picks = list(zip(views.tolist(), (rows - training.starts[views]).tolist(), flips.tolist(), strict=True))
        sequences, targets = [v.pose2d for v in training.views], [v.pose3d_cam for v in training.views]
        pose2d, pose3d = assemble(sequences, targets, picks, receptive_field, training.skeleton.mirror)
        yield step / member.budget.steps, torch.from_numpy(pose2d), torch.from_numpy(pose3d)


def test_training_is_that_of_convolutions_autograd_and_plain_adam(tmp_path, training):
    """Gathering, forward, hand-written backward, BatchNorm, schedules, loss and Adam, all against torch's own."""
    model = MODEL | {"dropout": 0.0}
    (member,) = generalist(training, 30, batch=64, rate=RATE)
    run = train(tmp_path / "run", training, [member], model=model, **CPU)
    reference = ConvolutionalTCN([3, 3], 16, dropout=0.0, strided=True)
    reference.load_rows(first_network(tmp_path / "first", training, member, model)).train()
    adam = torch.optim.Adam(reference.parameters(), amsgrad=True)
    by_hand = []
    for progress, pose2d, pose3d in batches(training, member, 9):
        adam.param_groups[0]["lr"] = 2e-3 * (2e-5 / 2e-3) ** progress
        for norm in (m for m in reference.modules() if isinstance(m, torch.nn.BatchNorm1d)):
            norm.momentum = 0.1 * (0.001 / 0.1) ** progress
        loss = (reference(pose2d)[:, 0] - pose3d).norm(dim=-1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        by_hand.append(loss.item() * 1000)
    np.testing.assert_allclose(losses(run, "everything"), by_hand, rtol=1e-4)
    found = ConvolutionalTCN([3, 3], 16, strided=True).load_rows(load_lifter(run)).state_dict()
    for key, expected in reference.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(found[key], expected, atol=2e-4, rtol=1e-3, msg=key)


def test_a_step_with_dropout_is_a_plain_step_of_adam(tmp_path, training, monkeypatch):
    # a short memory for squared gradients, so that amsgrad's maximum matters within few steps
    monkeypatch.setattr(torch.optim, "Adam", partial(torch.optim.Adam, betas=(0.9, 0.6)))
    (member,) = generalist(training, 20, batch=32, rate=RATE)
    run = train(tmp_path / "run", training, [member], model=MODEL, **CPU)
    network = first_network(tmp_path / "first", training, member, MODEL)
    adam = torch.optim.Adam(network.parameters(), amsgrad=True)
    sampler, windows = Sampler(member.rows, 32, seed=0, name=member.name), Windows(training, 9)
    for step in range(20):
        adam.param_groups[0]["lr"] = 2e-3 * 0.01 ** (step / 20)
        network.batch_norm_momentum = 0.1 * 0.01 ** (step / 20)
        pose2d, pose3d = windows.gather(*sampler(step))
        (noise,) = random_integers([sampler.key], step, network.noise_size(32))
        adam.zero_grad()
        (network(pose2d, noise)[:, 0] - pose3d).norm(dim=-1).mean().backward()
        adam.step()
    assert distance(of_member(weights(run), member.name), dict(network.state_dict())) < 1e-5


def some_integers(keys: list[tuple[int, int]], step: int, size: int, device: str) -> torch.Tensor:
    """As a training on this device draws them."""
    if device == "cpu":
        return random_integers(keys, step, size)
    return hashed_integers(hash_keys(keys, torch.device("cpu")), torch.tensor(step), size)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_integers_of_dropout_are_a_function_of_key_and_step(device):
    both = some_integers([(0, 1), (0, 2)], 5, 1001, device)
    assert both.shape == (2, 1001)
    assert both.dtype == torch.int16
    assert torch.equal(some_integers([(0, 2)], 5, 1001, device)[0], both[1])
    others = [both[1], some_integers([(0, 1)], 6, 1001, device)[0], some_integers([(1, 1)], 5, 1001, device)[0]]
    for other in others:
        assert (other == both[0]).double().mean() < 0.02  # one in 65,536 by chance


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_integers_of_dropout_are_uniform_and_independent(device):
    """Over places, over steps, from place to place and from step to step, within 5 standard errors."""
    drawn = torch.stack([some_integers([(3, 4)], step, 4000, device)[0] for step in range(100)]).double()
    for bits in (drawn.long() & 255, drawn.long() >> 8):  # both bytes of an integer
        counts = torch.bincount(bits.flatten() % 256, minlength=256).double()
        expected = drawn.numel() / 256
        assert ((counts - expected).square() / expected).sum() < 255 + 5 * (2 * 255) ** 0.5
    centered = (drawn + 0.5) / (65536**2 / 12) ** 0.5
    assert centered.mean(dim=0).abs().max() * 10 < 5
    assert centered.mean(dim=1).abs().max() * 4000**0.5 < 5
    for shift in (1, 2, 4, 16, 128):  # neighbors in a word, words, rows of channels
        correlation = (centered[:, shift:] * centered[:, :-shift]).mean()
        assert abs(correlation) * (100 * (4000 - shift)) ** 0.5 < 5
    for shift in (1, 2, 64):
        correlation = (centered[shift:] * centered[:-shift]).mean()
        assert abs(correlation) * ((100 - shift) * 4000) ** 0.5 < 5


# side by side


def test_a_member_does_not_feel_who_trains_beside_it(tmp_path, training):
    """To rounding; also where budgets differ and others stop early, and whatever the order."""
    members = experts(training, 24, 9, 24)
    together = weights(train(tmp_path / "together", training, members, model=MODEL, **CPU))
    turned = weights(train(tmp_path / "turned", training, members[::-1], model=MODEL, **CPU))
    for member in members:
        alone = weights(train(tmp_path / member.name, training, [member], model=MODEL, **CPU))
        for stack in (together, turned):
            own = {f"{member.name}/{key}": value for key, value in of_member(stack, member.name).items()}
            assert distance(own, alone) < 1e-4


def test_a_member_that_stops_early_is_logged_until_it_stops(tmp_path, training):
    run = train(tmp_path / "run", training, experts(training, 8, 3), model=MODEL, **CPU)
    log = run.log()
    assert log.loc[log["member"] == "Squat", "step"].tolist() == list(range(1, 9))
    assert log.loc[log["member"] == "Walking", "step"].tolist() == [1, 2, 3]


def test_schedules_read_each_members_own_progress(tmp_path, training, monkeypatch):
    seen = {"momentum": [], "rate": []}

    class Watched(Exponential):
        def __call__(self, progress: float) -> float:
            seen["rate" if self.first == 2e-3 else "momentum"].append(progress)
            return super().__call__(progress)

    monkeypatch.setattr(module, "BATCH_NORM_MOMENTUM", Watched(0.1, 0.001))
    monkeypatch.setattr(module, "LOG_LINES", 1)  # the log asks for the rate as well, once
    rate = Watched(2e-3, 2e-5)
    train(tmp_path / "run", training, experts(training, 4, 2, rate=rate), model=MODEL, **CPU)
    assert seen["momentum"] == seen["rate"][:-1] == [0, 0, 0.25, 0.5, 0.5, 0.75]


def test_the_log_tells_learning_rate_and_mean_loss(tmp_path, training, monkeypatch):
    members = experts(training, 11, 5, rate=RATE)
    each = train(tmp_path / "each", training, members, model=MODEL, **CPU)
    log = each.log().groupby("step").first()
    assert log.index.tolist() == list(range(1, 12))
    np.testing.assert_allclose(log["learning_rate"], [2e-3 * 0.01 ** (step / 11) for step in range(11)])
    np.testing.assert_allclose(log["progress"], np.arange(1, 12) / 11)
    monkeypatch.setattr(module, "LOG_LINES", 4)  # every second step; Walking stops between two lines
    some = train(tmp_path / "some", training, members, model=MODEL, **CPU)
    assert some.weights.read_bytes() == each.weights.read_bytes()
    table = some.log().pivot(index="step", columns="member", values="loss_mm")
    assert table.index.tolist() == [2, 4, 6, 8, 10, 11]
    expected = [*losses(each, "Squat")[:10].reshape(5, 2).mean(axis=1), losses(each, "Squat")[10]]
    np.testing.assert_allclose(table["Squat"], expected, atol=1e-3)
    np.testing.assert_allclose(
        table["Walking"].dropna(), losses(each, "Walking")[:4].reshape(2, 2).mean(axis=1), atol=1e-3
    )


# learning


def test_training_learns(tmp_path, training):
    run = train(tmp_path / "run", training, generalist(training, 150, batch=64), model=MODEL | {"channels": 48}, **CPU)
    curve = losses(run, "everything")
    assert curve[-20:].mean() < 0.4 * curve[:5].mean()
    view = training.select(actions=["Walking"]).views[0]
    truth = view.pose3d_cam - view.pose3d_cam[:, :1]
    (pose,) = lift(load_lifter(run), [view.pose2d])
    assert np.linalg.norm(pose - truth, axis=-1).mean() < 0.5 * np.linalg.norm(truth, axis=-1).mean()


@pytest.mark.parametrize("options", [{"causal": True}, {"widths": [1]}, {"widths": [5, 3]}, {"widths": [3, 3, 3]}])
def test_every_shape_of_network_learns(tmp_path, training, options):
    run = train(tmp_path / "run", training, generalist(training, 40, batch=32), model=MODEL | options, **CPU)
    curve = losses(run, "everything")
    assert curve[-5:].mean() < 0.8 * curve[:3].mean()


def test_bfloat16_trains_float32_masters_near_float32(tmp_path, training):
    model = MODEL | {"dropout": 0.0}
    exact, rounded = (
        train(tmp_path / p, training, generalist(training, 40, batch=64), model=model, device="cpu", precision=p)
        for p in ("float32", "bfloat16")
    )
    assert rounded.config["identity"]["precision"] == "bfloat16"
    assert {v.dtype for v in weights(rounded).values()} == {torch.float32}
    a, b = (losses(run, "everything") for run in (exact, rounded))
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(b[:5], a[:5], rtol=0.03)
    assert b[-5:].mean() == pytest.approx(a[-5:].mean(), rel=0.1)


def test_the_trajectory_head_learns_where_the_person_is(tmp_path, training):
    model = MODEL | {"channels": 48, "trajectory": True}
    run = train(tmp_path / "run", training, generalist(training, 150, batch=64), model=model, **CPU)
    curve = losses(run, "everything")
    assert curve[-20:].mean() < 0.4 * curve[:5].mean()
    view = training.select(actions=["Walking"]).views[0]
    with torch.no_grad():
        found = load_lifter(run)(torch.from_numpy(view.pose2d)[None])[0, :, 17].numpy()
    truth = view.pose3d_cam[4:-4, 0]
    assert np.linalg.norm(found - truth, axis=-1).mean() < 0.3 * np.linalg.norm(truth, axis=-1).mean()


def test_the_loss_is_a_mean_distance_and_the_root_weighs_by_inverse_depth():
    target = torch.zeros(1, 2, 3, 3)
    target[0, :, 2, 2] = torch.tensor([2.0, 4.0])  # roots at a depth of 2 and 4 m
    predicted = target + torch.tensor([0.0, 3.0, 4.0])  # everything 5 m off
    assert lifting_loss(predicted, target, trajectory=False).tolist() == pytest.approx([5.0])
    assert lifting_loss(predicted, target, trajectory=True).tolist() == pytest.approx([5 + (5 / 2 + 5 / 4) / 2])
    two = lifting_loss(torch.cat([predicted, target]), torch.cat([target, target]), trajectory=True)
    assert two[1] == 0


def test_joint_weights_have_a_mean_of_one_and_extremities_weigh_most():
    assert joint_weights("equal", 5).tolist() == [1.0] * 5
    found = joint_weights("extremities", 17)
    assert float(found.mean()) == pytest.approx(1)
    by_name = dict(zip(H36M_17.joints, (found / found.min()).tolist(), strict=True))
    assert by_name["LAnkle"] == by_name["RWrist"] == pytest.approx(4)
    assert by_name["RElbow"] == by_name["LKnee"] == pytest.approx(2.5)
    assert by_name["Spine"] == by_name["LShoulder"] == pytest.approx(1)
    with pytest.raises(ValueError, match="those of h36m_17, the network has 5 joints"):
        joint_weights("extremities", 5)
    target, predicted = torch.zeros(1, 4, 17, 3), torch.zeros(1, 4, 17, 3)
    predicted[..., 0] = 1.0
    equal = lifting_loss(predicted, target, trajectory=False)
    weighted = lifting_loss(predicted, target, trajectory=False, weights=found)
    assert float(weighted) == pytest.approx(float(equal))


def test_the_velocity_loss_is_the_mean_error_of_the_step_to_the_next_frame():
    torch.manual_seed(0)
    target, predicted = torch.randn(2, 6, 4, 3), torch.randn(2, 6, 4, 3)
    found = velocity_loss(predicted, target, joints=3)
    steps = [
        (predicted[:, 3 + i, :3] - predicted[:, i, :3]) - (target[:, 3 + i, :3] - target[:, i, :3]) for i in range(3)
    ]
    torch.testing.assert_close(found, torch.stack(steps).norm(dim=-1).mean(dim=(0, 2)))
    assert velocity_loss(target + 7.0, target, joints=4).tolist() == pytest.approx([0.0, 0.0], abs=1e-5)


def test_pairs_are_neighbors_within_a_view(training):
    windows = Windows(training, 9)
    rows = rows_of(training.views)
    following = windows.following(rows)
    last = {v.start + v.frames - 1 for v in training.views}
    assert all(after == row + (row not in last) for row, after in zip(rows.tolist(), following.tolist(), strict=True))


@pytest.mark.slow
def test_a_velocity_loss_brings_down_velocity_errors(tmp_path, training):
    jitter = {}
    for weight in (0.0, 2.0):
        run = train(
            tmp_path / str(weight),
            training,
            generalist(training, 250, batch=64),
            model=MODEL | {"dropout": 0.0},
            loss=Loss(velocity=weight),
            **CPU,
        )
        assert ("loss" in run.config["identity"]) == (weight > 0)
        views = training.views[:6]
        poses = lift(load_lifter(run), [v.pose2d for v in views])
        errors = [np.diff(p - (v.pose3d_cam - v.pose3d_cam[:, :1]), axis=0) for p, v in zip(poses, views, strict=True)]
        jitter[weight] = np.mean([np.linalg.norm(e, axis=-1).mean() for e in errors])
    assert jitter[2.0] < 0.95 * jitter[0.0]


def test_an_odd_batch_holds_no_pairs(tmp_path, training):
    with pytest.raises(ValueError, match="give an even batch, got 15"):
        train(tmp_path / "r", training, generalist(training, 3, batch=15), model=MODEL, loss=Loss(velocity=1.0), **CPU)
    assert not (tmp_path / "r").exists()


# conditions


def told(training: Corpus, steps: int) -> list[ModelSpec]:
    """A generalist that is told the action."""
    number = {action: i for i, action in enumerate(training.actions)}
    conditions = np.concatenate([np.full(v.frames, number[v.action]) for v in training.views])
    (member,) = generalist(training, steps)
    return [replace(member, conditions=conditions)]


CONDITIONED = MODEL | {"conditions": 3}


@pytest.mark.parametrize("loss", [Loss(), Loss(velocity=1.0)], ids=["plain", "velocity"])
def test_a_conditioned_network_resumes_to_the_same_bits(tmp_path, training, monkeypatch, loss):
    options = {"model": CONDITIONED, "loss": loss, **CPU}
    whole = weights(train(tmp_path / "whole", training, told(training, 12), **options))
    step = module.LifterLearner.step

    def killed(learner, number):
        if number == 7:
            raise MemoryError
        step(learner, number)

    monkeypatch.setattr(module.LifterLearner, "step", killed)
    with pytest.raises(MemoryError):
        train(tmp_path / "part", training, told(training, 12), save_every_s=0.0, **options)
    monkeypatch.setattr(module.LifterLearner, "step", step)
    assert distance(weights(train(tmp_path / "part", training, told(training, 12), **options)), whole) == 0


def test_weights_are_averaged_over_the_end_of_a_training(tmp_path, training, monkeypatch):
    step, seen = module.LifterLearner.step, []

    def noted(learner, number):
        step(learner, number)
        seen.append({k: v.clone() for k, v in learner.ensemble.network.member_state(0).items()})

    monkeypatch.setattr(module.LifterLearner, "step", noted)
    (spec,) = generalist(training, 10)
    last = weights(train(tmp_path / "last", training, [spec], model=MODEL, **CPU))
    seen.clear()
    averaged = weights(train(tmp_path / "mean", training, [replace(spec, average=0.3)], model=MODEL, **CPU))
    for key, mean in averaged.items():
        own = key.removeprefix("everything/")
        torch.testing.assert_close(mean, torch.stack([weights[own] for weights in seen[-3:]]).mean(dim=0))
        assert torch.equal(last[key], seen[-1][own]), "what is trained is the same"
    assert distance(averaged, last) > 1e-4


def test_an_average_of_weights_resumes_to_the_same_bits(tmp_path, training, monkeypatch):
    step = module.LifterLearner.step

    def killed(learner, number):
        if number == 9:
            raise MemoryError
        step(learner, number)

    specs = [replace(spec, average=0.5) for spec in experts(training, 12, 6)]
    whole = weights(train(tmp_path / "whole", training, specs, model=MODEL, **CPU))
    monkeypatch.setattr(module.LifterLearner, "step", killed)
    with pytest.raises(MemoryError):
        train(tmp_path / "part", training, specs, model=MODEL, save_every_s=0.0, **CPU)
    monkeypatch.setattr(module.LifterLearner, "step", step)
    assert distance(weights(train(tmp_path / "part", training, specs, model=MODEL, **CPU)), whole) == 0


def test_the_share_of_windows_is_untold_and_pairs_alike(training):
    (member,) = told(training, 12)
    draw = module.Conditions(member, 3, seed=0)
    rows = np.tile(member.rows, 20)
    found = draw(5, rows, pairs=False)
    assert np.mean(found == 3) == pytest.approx(module.UNKNOWN_SHARE, abs=0.02)
    assert set(found[found != 3] - np.tile(member.conditions, 20)[found != 3]) == {0}
    now, then = np.split(draw(5, np.concatenate([rows, rows]), pairs=True), 2)
    assert np.array_equal(now, then)
    assert not np.array_equal(found, draw(6, rows, pairs=False))


def test_conditions_that_do_not_fit_are_refused(tmp_path, training):
    (member,) = told(training, 12)
    for members, model, message in (
        ([member], MODEL, "has conditions and the network takes 0"),
        (generalist(training, 12), CONDITIONED, "has no conditions and the network takes 3"),
        ([replace(member, conditions=member.conditions + 2)], CONDITIONED, "from 0 to 3"),
    ):
        with pytest.raises(ValueError, match=message):
            train(tmp_path / "r", training, members, model=model, **CPU)
    assert not (tmp_path / "r").exists()


def test_a_display_is_told_how_far_it_is(tmp_path, training, monkeypatch):
    clock = iter(np.arange(0, 1e4, 0.5).tolist())
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    moments: list[TrainProgress] = []
    train(tmp_path / "run", training, experts(training, 5, 2), model=MODEL, on_progress=moments.append, **CPU)
    assert [m.windows for m in moments] == [32, 64, 80, 96, 112]
    assert {m.windows_total for m in moments} == {112}
    assert all(0 < m.loss < 5000 for m in moments)
    assert all(m.windows_per_second > 0 for m in moments)


# crashes

HARNESS = """
import os, random, signal, sys, time, traceback
from pathlib import Path
import torch
import torch._dynamo  # which the first step imports, and which takes longer than all steps
from actlift.training.budget import Budget
from actlift.data.corpus import Corpus
from actlift.data.windows import rows_of
from actlift.training import loop as module
from actlift.training.loop import ModelSpec, train

mode, corpus, out, steps, save_every_s = sys.argv[1:]
out, steps, save_every_s = Path(out), int(steps), float(save_every_s)
torch.set_num_threads(1)
module.LOG_LINES = steps // 3  # so that some states lie between two lines
training, _ = Corpus.open(corpus).split(["syn4"])
rows = [rows_of(training.select(actions=[action]).views) for action in training.actions]
members = [ModelSpec(a, r, Budget(steps // (i + 1), 16)) for i, (a, r) in enumerate(zip(training.actions, rows))]

def start(folder, kill_before=0):
    # a process of its own that trains into folder; dies before its kill_before-th touch of a file there
    pid = os.fork()
    if pid:
        return pid
    touched = 0
    def hook(event, arguments):
        nonlocal touched
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(arguments[0]).startswith(str(folder)):
            touched += 1
            if touched == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    try:
        train(folder, training, members, model={"widths": [3, 3], "channels": 16}, device="cpu", precision="float32",
              save_every_s=save_every_s)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)

def killed(pid):
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"training failed in {out}")
    return os.WIFSIGNALED(status)

began = time.perf_counter()
killed(start(out / "unbroken"))
lasted = time.perf_counter() - began
if mode == "moments":  # ten kills; where a run gets done before, the rest go to another
    chance, kills, number = random.Random(0), 0, 0
    while kills < 10:
        number += 1
        done = False
        while not done:
            pid = start(out / f"killed{number}")
            if kills < 10:
                time.sleep(chance.uniform(0.05, 0.35) * lasted)
                os.kill(pid, signal.SIGKILL)
            done = not killed(pid)
            kills += not done
    print(kills)
else:  # before each touch of a file
    number = 1
    while killed(start(out / f"killed{number}", kill_before=number)):
        killed(start(out / f"killed{number}"))
        number += 1
    print(number - 1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "steps", "save_every_s", "at_least"), [("moments", 300, 0.05, 10), ("touches", 4, 0.0, 20)]
)
def test_a_run_that_was_killed_ends_with_the_bits_of_an_unbroken_one(
    tmp_path, corpus_folder, mode, steps, save_every_s, at_least
):
    """SIGKILL at ten random moments, and before each file operation of a whole training."""
    command = [sys.executable, "-c", HARNESS, mode, corpus_folder, tmp_path, str(steps), str(save_every_s)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= at_least
    unbroken = Run.open(tmp_path / "unbroken")
    assert unbroken.log()["step"].max() == steps
    for folder in tmp_path.glob("killed*"):
        run = Run.open(folder)
        assert run.weights.read_bytes() == unbroken.weights.read_bytes()
        assert log_but_for_seconds(run) == log_but_for_seconds(unbroken)
        assert names(folder) == ["config.json", "log.jsonl", "weights.safetensors"]


@pytest.fixture
def unbroken(tmp_path, training) -> Run:
    return train(tmp_path / "unbroken", training, experts(training, 7, 4), model=MODEL, save_every_s=0.0, **CPU)


def assert_resumes(folder: Path, training: Corpus, unbroken: Run) -> None:
    """The same call goes on to the same bits."""
    run = train(folder, training, experts(training, 7, 4), model=MODEL, save_every_s=0.0, **CPU)
    assert run.weights.read_bytes() == unbroken.weights.read_bytes()
    assert log_but_for_seconds(run) == log_but_for_seconds(unbroken)
    assert names(folder) == names(unbroken.folder)


def write_full(monkeypatch, save: int, what: str) -> None:
    """The disk is full from the ``save``-th file of tensors on: half of it gets written."""
    saves = 0
    save_file, replace = safetensors.torch.save_file, os.replace

    def full_save(tensors, beside, metadata):
        nonlocal saves
        saves += 1
        save_file(tensors, beside, metadata=metadata)
        if saves >= save and what == "save_file":
            os.truncate(beside, 100)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full_replace(source, target):
        if saves >= save and what == "os.replace":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr("actlift.models.tensors.save_file", full_save)
    monkeypatch.setattr("actlift.files.os.replace", full_replace)


@pytest.mark.parametrize("what", ["save_file", "os.replace"])
@pytest.mark.parametrize(("save", "file"), [(1, "state"), (4, "state"), (5, "state"), (8, "weights")])
def test_a_full_disk_leaves_the_last_state(tmp_path, training, unbroken, monkeypatch, save, file, what):
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        write_full(patched, save, what)
        message = rf"could not write {folder}/{file}\.safetensors .*No space left on device.*Free some space"
        with pytest.raises(OSError, match=message):
            train(folder, training, experts(training, 7, 4), model=MODEL, save_every_s=0.0, **CPU)
    assert names(folder) == ["config.json", "log.jsonl", *(["state.safetensors"] if save > 1 else [])]
    if save > 1:
        assert read_tensors(folder / "state.safetensors")[1]["step"] == save - 1
    assert_resumes(folder, training, unbroken)


def test_a_log_that_cannot_be_written_is_named(tmp_path, training, unbroken, monkeypatch):
    folder = tmp_path / "run"
    opened = Path.open

    def full(path, mode="r", **options):
        if path.name == "log.jsonl" and mode == "a" and read_tensors(folder / "state.safetensors")[1]["step"] == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, mode, **options)

    train_once = {"model": MODEL, "save_every_s": 0.0, **CPU}
    with monkeypatch.context() as patched:
        write_full(patched, 4, "save_file")
        with pytest.raises(OSError, match="state"):
            train(folder, training, experts(training, 7, 4), **train_once)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(OSError, match=rf"could not write {folder}/log\.jsonl .*No space.*state stays\. Free some"):
            train(folder, training, experts(training, 7, 4), **train_once)
    assert_resumes(folder, training, unbroken)


def test_a_log_that_was_cut_anywhere_does_not_stop_a_resumption(tmp_path, training, unbroken, monkeypatch):
    """State of step 4, log of step 5: its last line is cut, missing, or repeated by the resumption."""
    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patched:
        write_full(patched, 5, "save_file")
        with pytest.raises(OSError, match="No space"):
            train(stopped, training, experts(training, 7, 4), model=MODEL, save_every_s=0.0, **CPU)
    log = (stopped / "log.jsonl").read_bytes()
    last = len(log.splitlines(keepends=True)[-1])
    for cut in (0, 1, 2, 3, 20, last // 2, last - 1, last):
        folder = shutil.copytree(stopped, tmp_path / f"cut{cut}")
        (folder / "log.jsonl").write_bytes(log[: len(log) - cut])
        assert_resumes(folder, training, unbroken)


def test_a_state_left_behind_a_finished_run_is_removed(unbroken, training):
    unbroken.state.write_bytes(b"")
    assert_resumes(unbroken.folder, training, unbroken)
    assert not unbroken.state.exists()


# Ctrl-C


def signals_at(monkeypatch, step: int, times: int) -> None:
    draw = Sampler.__call__

    def signaling(self, at):
        if at == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return draw(self, at)

    monkeypatch.setattr(Sampler, "__call__", signaling)


def test_ctrl_c_ends_the_step_and_saves(tmp_path, training, unbroken, monkeypatch):
    folder, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        signals_at(patched, 4, times=1)
        with pytest.raises(Interrupted, match=f"stopped at step 5 of 7; the same command resumes {folder}"):
            train(folder, training, experts(training, 7, 4), model=MODEL, **CPU)
    assert signal.getsignal(signal.SIGINT) is handler
    assert read_tensors(folder / "state.safetensors")[1]["step"] == 5
    assert_resumes(folder, training, unbroken)


def test_a_second_ctrl_c_stops_at_once(tmp_path, training, unbroken, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        signals_at(patched, 4, times=2)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "run", training, experts(training, 7, 4), model=MODEL, save_every_s=0.0, **CPU)
    assert signal.getsignal(signal.SIGINT) is handler
    assert_resumes(tmp_path / "run", training, unbroken)


def test_training_in_another_thread(tmp_path, training, unbroken):
    """Signals are the main thread's; there is nothing to note elsewhere."""
    thread = threading.Thread(target=assert_resumes, args=(tmp_path / "run", training, unbroken))
    thread.start()
    thread.join()
    assert (tmp_path / "run" / "weights.safetensors").exists()


@pytest.mark.slow
def test_ctrl_c_on_the_command_says_how_to_resume(tmp_path, corpus_folder, training):
    folder = tmp_path / "run"
    command = [Path(sys.executable).with_name("actlift"), "train", corpus_folder, folder, "--test-subjects", "syn4"]
    command += ["--steps", "400", "--batch", "32", "--receptive-field", "9", "--seed", "3"]
    command += ["--channels", "32", "--precision", "float32", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, **streams) as process:
        while not (folder / "log.jsonl").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "actlift: stopped at step " in errors
    assert f"of 400; the same command resumes {folder}" in errors
    assert "Traceback" not in errors
    assert names(folder) == ["config.json", "log.jsonl", "state.safetensors"]
    stopped = read_tensors(folder / "state.safetensors")[1]["step"]
    assert 0 < stopped < 400
    resumed = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert resumed.returncode == 0, resumed.stderr
    whole = train(
        tmp_path / "whole",
        training,
        generalist(training, 400, batch=32),
        model=Network(receptive_field=9, channels=32).keywords(),
        seed=3,
        **CPU,
    )
    assert Run.open(folder).weights.read_bytes() == whole.weights.read_bytes()


# what cannot be


def test_a_folder_with_another_run_is_refused_by_what_differs(tmp_path, training):
    folder = tmp_path / "run"
    train(folder, training, generalist(training, 2), model=MODEL, **CPU)
    small = write_corpus(
        tmp_path / "corpus", synthetic_clips(1, subjects=1, clips=1, seconds=0.2, actions=["Squat"]), keypoints=Exact()
    )
    calls = [
        (training, generalist(training, 3), {}, "members.everything.steps: there 2, asked for 3"),
        (training, generalist(training, 2, batch=8), {}, "batch: there 16, asked for 8"),
        (training, generalist(training.select(actions=["Squat"]), 2), {}, "members.everything.rows: there"),
        (training, generalist(training, 2), {"seed": 1}, "seed: there 0, asked for 1"),
        (
            training,
            generalist(training, 2),
            {"model": {"widths": [3], "channels": 16}},
            r"model.widths: there \[3, 3\]",
        ),
        (training, generalist(training, 2), {"precision": "bfloat16"}, "precision: there 'float32', asked for 'bfl"),
        (training, generalist(training, 2, rate=Exponential(1e-3, 5e-4)), {}, "learning_rate.first: there 0.005"),
        (training, generalist(training, 2, rate=Stepwise(5e-3, 0.95, 2)), {}, "learning_rate.factor: there None"),
        (small, generalist(small, 2), {}, f"corpus: there '{training.digest}', asked for '{small.digest}'"),
    ]
    for corpus, members, changed, told in calls:
        message = rf"{folder} holds another run \(.*{told}.*\)\. Choose another folder, or delete this one"
        with pytest.raises(ValueError, match=message):
            train(folder, corpus, members, **({"model": MODEL} | CPU | changed))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:-9]),
            "is damaged or no safetensors file .*Delete it and run",
        ),
        (lambda path: path.write_bytes(b""), "is damaged or no safetensors file"),
        (lambda path: write_tensors(path, {}, {}), r"holds no state of this run \('step'\)\. Delete it to train from"),
        (
            lambda path: write_tensors(path, {"Squat/head": torch.zeros(1)}, read_tensors(path)[1]),
            "(?s:holds no state of this run .*Delete it to train from the start)",
        ),
    ],
)
def test_a_damaged_state_is_named(tmp_path, training, unbroken, monkeypatch, spoil, message):
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        write_full(patched, 3, "save_file")
        with pytest.raises(OSError, match="No space"):
            train(folder, training, experts(training, 7, 4), model=MODEL, save_every_s=0.0, **CPU)
    state = folder / "state.safetensors"
    spoil(state)
    with pytest.raises(ValueError, match=rf"{state} {message}"):
        train(folder, training, experts(training, 7, 4), model=MODEL, **CPU)
    state.unlink()  # what the message says helps
    assert_resumes(folder, training, unbroken)


def test_a_damaged_config_is_named(tmp_path, training):
    run = train(tmp_path / "run", training, generalist(training, 2), model=MODEL, **CPU)
    (run.folder / "config.json").write_text('{"format": 1, ')
    with pytest.raises(ValueError, match=r"config\.json is not valid JSON"):
        train(tmp_path / "run", training, generalist(training, 2), model=MODEL, **CPU)


def test_impossible_trainings_say_why_and_write_nothing(tmp_path, training):
    rows = rows_of(training.views)
    one = [ModelSpec("a", rows, Budget(2, 8))]
    calls = [
        ([], {}, "nothing to train: give at least one member"),
        ([*one, ModelSpec("b", rows, Budget(2, 16))], {}, "need the same batch size, got 8, 16"),
        (one * 2, {}, "need different names, got a, a"),
        (
            [ModelSpec("Walking", rows[:0], Budget(2, 8))],
            {},
            "nothing to train 'Walking' on: its selection holds no frames",
        ),
        (one, {"seed": -1}, "a seed is 0 or more, got -1"),
        (one, {"model": {"widths": [3, 2]}}, r"widths are odd and positive, at least one of them; got \(3, 2\)"),
        (one, {"precision": "float16"}, "unknown precision 'float16'; known: auto, float32, bfloat16"),
        (one, {"device": "tpu"}, "unknown device 'tpu'; known: auto, cpu, cuda"),
    ]
    if not torch.cuda.is_available():
        calls.append((one, {"device": "cuda"}, "torch sees no GPU: use cpu, or install a CUDA build of torch"))
    for members, changed, message in calls:
        with pytest.raises(ValueError, match=message):
            train(tmp_path / "run", training, members, **({"model": MODEL} | CPU | changed))
    assert names(tmp_path) == []


def test_auto_settles_on_a_device_and_a_precision():
    assert device.resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device.resolve_precision("auto", torch.device("cuda")) == torch.bfloat16
    assert device.resolve_precision("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("where", ["a file/run", "/proc/no/run"])
def test_a_folder_that_cannot_be_written(tmp_path, training, where):
    (tmp_path / "a file").write_text("")
    with pytest.raises(OSError, match=f"could not write {tmp_path / where}/config.json .*choose another folder"):
        train(tmp_path / where, training, generalist(training, 2), model=MODEL, **CPU)


# what is measured along training


def test_a_probe_sees_the_networks_along_the_way_and_changes_nothing(tmp_path, training):
    seen: list[dict[str, torch.Tensor]] = []

    def measure(networks) -> float:
        assert not any(network.training for network in networks.values())
        seen.append({name: network.head.detach().clone() for name, network in networks.items()})
        return len(seen)

    members = experts(training, 6, 3)
    probed = train(
        tmp_path / "probed", training, members, model=MODEL, evaluation=EvaluationCallback(4, measure), **CPU
    )
    plain = train(tmp_path / "plain", training, members, model=MODEL, **CPU)
    assert probed.weights.read_bytes() == plain.weights.read_bytes()
    assert [point["step"] for point in probed.curve()] == [2, 3, 5, 6]
    assert [point["measured"] for point in probed.curve()] == [1, 2, 3, 4]
    assert plain.curve() == []
    for name, head in seen[-1].items():
        assert torch.equal(head, load_lifter(probed, name).head)
    assert torch.equal(seen[-1]["Walking"], seen[1]["Walking"])  # its budget was spent by then
    assert not torch.equal(seen[-1]["Squat"], seen[1]["Squat"])
    seconds = [[point[key] for point in probed.curve()] for key in ("seconds", "cpu_seconds")]
    assert all(sorted(of) == of and of[0] > 0 for of in seconds)


def test_time_spent_measuring_is_not_training_time(tmp_path, training):
    callback = EvaluationCallback(2, lambda _: time.sleep(0.4))
    run = train(tmp_path / "run", training, generalist(training, 2), model=MODEL, evaluation=callback, **CPU)
    assert run.log()["seconds"].max() < 0.4


def test_more_measurements_than_steps_are_one_a_step():
    assert [step for step in range(1, 4) if EvaluationCallback(10, lambda _: None).due(step, 3)] == [1, 2, 3]


def test_a_killed_run_goes_on_to_the_same_curve(tmp_path, training):
    """Ctrl-C after the state was saved before: what was measured since then is measured anew, not twice."""

    def measure(networks) -> list[float]:
        return [float(network.head.detach().sum()) for network in networks.values()]

    members = generalist(training, 12)
    whole = train(tmp_path / "whole", training, members, model=MODEL, evaluation=EvaluationCallback(6, measure), **CPU)

    class Killed(Exception):
        pass

    def dying(networks) -> list[float]:
        if len(Run.open(tmp_path / "killed").curve()) == 4:
            raise Killed
        return measure(networks)

    with pytest.raises(Killed):
        train(
            tmp_path / "killed",
            training,
            members,
            model=MODEL,
            evaluation=EvaluationCallback(6, dying),
            save_every_s=0.0,
            **CPU,
        )
    assert read_tensors(tmp_path / "killed" / "state.safetensors")[1]["step"] == 9
    with (tmp_path / "killed" / "curve.jsonl").open("a") as curve:
        curve.write(json.dumps({"step": 10, "measured": "after the last saved state"}) + "\n")
    resumed = train(
        tmp_path / "killed", training, members, model=MODEL, evaluation=EvaluationCallback(6, measure), **CPU
    )
    assert [(p["step"], p["measured"]) for p in resumed.curve()] == [(p["step"], p["measured"]) for p in whole.curve()]
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()
