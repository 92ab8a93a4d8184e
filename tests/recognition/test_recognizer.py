"""Recognition: training to the same bits, honest calibration, steady labels, and figures against loops by hand."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, softmax

from actlift.cli.train import recognize_verb
from actlift.data.corpus import Corpus
from actlift.data.windows import rows_of
from actlift.lifting.predict import RoutedPredictor, lift, load_lifter
from actlift.models.tcn import TCN
from actlift.models.tensors import read_tensors, write_tensors
from actlift.recognition import training as module
from actlift.recognition.accuracy import calibration_error, confusion, measure, temperature_of
from actlift.recognition.folds import leave_out
from actlift.recognition.network import RecognizerNetwork
from actlift.recognition.prediction import ActionRecognizer, describe, load_recognizer, smoothed, steady_labels
from actlift.recognition.training import train_recognizer
from actlift.training.budget import Budget
from actlift.training.loop import Interrupted, ModelSpec, train
from actlift.training.run import Run

MODEL = {"receptive_field": 9, "channels": 16}
TINY = {"model": MODEL, "budget": Budget(6, 16), "folds": 2}


@pytest.fixture
def training(corpus) -> Corpus:
    return corpus.split(["syn4"])[0]


@pytest.fixture(scope="module")
def learnt(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A recognizer that has learnt something, from syn1 to syn3; to be read only."""
    folder = tmp_path_factory.mktemp("recognizer") / "run"
    training = Corpus.open(corpus_folder).split(["syn4"])[0]
    return train_recognizer(folder, training, model=MODEL, budget=Budget(300, 32), folds=3)


def lifter(**options) -> TCN:
    """A lifter that has learnt nothing, in evaluation mode."""
    torch.manual_seed(0)
    return TCN((3, 3), 8, **options).eval()


# training


def test_it_learns_actions_of_people_it_never_saw(learnt, corpus):
    views = corpus.select(subjects=["syn4"]).views
    recognized = load_recognizer(learnt)
    assert recognized.actions == ("Squat", "Walking", "Waving")
    found = measure(recognized([v.keypoints for v in views]), views, recognized.actions)
    assert found.frames.top1 > 0.8
    assert found.clips.top1 > 0.7


@pytest.mark.slow
def test_two_calls_give_the_same_bits(tmp_path, training):
    one, other = (train_recognizer(tmp_path / name, training, **TINY) for name in "ab")
    assert one.weights.read_bytes() == other.weights.read_bytes()
    assert sorted(p.name for p in one.folder.iterdir()) == ["config.json", "log.jsonl", "weights.safetensors"]
    seeded = train_recognizer(tmp_path / "c", training, **TINY, seed=1)
    assert seeded.weights.read_bytes() != one.weights.read_bytes()


def interrupt_at(step: int, monkeypatch) -> None:
    """Ctrl-C during the training's step of this number."""
    plain = module.RecognizerLearner.step

    def interrupted(learner, number: int) -> None:
        plain(learner, number)
        if number == step - 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(module.RecognizerLearner, "step", interrupted)


def test_stopped_and_resumed_is_unbroken(tmp_path, training, monkeypatch):
    whole = train_recognizer(tmp_path / "whole", training, **TINY)
    interrupt_at(4, monkeypatch)
    with pytest.raises(Interrupted, match="stopped at step 4 of 6; the same command resumes .*broken"):
        train_recognizer(tmp_path / "broken", training, **TINY)
    assert not Run.open(tmp_path / "broken").done
    assert Run.open(tmp_path / "broken").state.exists()
    monkeypatch.undo()
    broken = train_recognizer(tmp_path / "broken", training, **TINY)
    assert broken.weights.read_bytes() == whole.weights.read_bytes()
    logs = [run.log().drop(columns=["seconds", "cpu_seconds"]) for run in (whole, broken)]
    assert logs[0].equals(logs[1])
    assert list(logs[0]["member"][:3]) == ["everybody", "fold0", "fold1"]
    assert logs[0]["loss_nats"].between(0.5, 2).all()
    assert not broken.state.exists()


@pytest.mark.slow
def test_killed_and_resumed_is_unbroken(tmp_path, training, corpus_folder):
    options = TINY | {"budget": Budget(150, 16)}
    script = (
        "import sys, torch; torch.set_num_threads(int(sys.argv[3]))\n"
        "from actlift.training.budget import Budget; from actlift.data.corpus import Corpus\n"
        "from actlift.recognition.training import train_recognizer\n"
        "training = Corpus.open(sys.argv[1]).split(['syn4'])[0]\n"
        f"train_recognizer(__import__('pathlib').Path(sys.argv[2]), training, model={MODEL}, "
        "budget=Budget(150, 16), folds=2, save_every_s=0.0)\n"
    )
    folder = tmp_path / "killed"
    words = [sys.executable, "-c", script, str(corpus_folder), str(folder), str(torch.get_num_threads())]
    process = subprocess.Popen(words)
    try:
        deadline = time.monotonic() + 60
        while not (folder / "state.safetensors").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (folder / "state.safetensors").exists()
    assert not (folder / "weights.safetensors").exists()
    killed = train_recognizer(folder, training, **options)
    whole = train_recognizer(tmp_path / "whole", training, **options)
    assert killed.weights.read_bytes() == whole.weights.read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "log.jsonl", "weights.safetensors"]


def test_what_is_done_is_returned_and_what_differs_is_refused(tmp_path, training):
    run = train_recognizer(tmp_path / "run", training, **TINY)
    before = run.weights.stat().st_mtime_ns
    assert train_recognizer(tmp_path / "run", training, **TINY).weights.stat().st_mtime_ns == before
    with pytest.raises(ValueError, match=r"holds another run \(budget.steps: there 6, asked for 7\)"):
        train_recognizer(tmp_path / "run", training, **TINY | {"budget": Budget(7, 16)})


def test_members_never_draw_from_people_they_leave_out(training):
    """By the windows that each member's batches hold."""
    folds = leave_out(training, 2)
    members = {"everybody": frozenset(), **{f"fold{i}": people for i, people in enumerate(folds)}}
    loop = module.RecognizerLearner(training, members, Budget(6, 16), {**MODEL, "lifted": False}, None, 0)
    windows = [np.arange(v.frames)[:: module.EVERY] for v in training.views]
    of_row = np.repeat(np.arange(len(windows)), [len(w) for w in windows])
    assert loop.described.shape[1] == len(of_row)
    for people, draws in zip(members.values(), loop.draws, strict=True):
        rows, labels, _ = draws(0, 2000)
        views = [training.views[i] for i in of_row[rows]]
        assert {v.subject for v in views} == set(training.subjects) - people
        assert [v.action for v in views] == [training.actions[label] for label in labels]


def test_amounts_are_half_way_between_frames_and_actions():
    known = np.repeat([0, 2, 5], [100, 400, 2500])
    rows = np.random.default_rng(0).permutation(3000)
    drawn, labels, flips = module._Draws(rows, known, (0, 1))(0, 20_000)
    np.testing.assert_allclose(np.bincount(labels)[[0, 2, 5]] / 20_000, np.array([10, 20, 50]) / 80, atol=0.02)
    np.testing.assert_array_equal(known[np.argsort(rows)][drawn], labels)
    assert np.bincount(drawn[labels == 0]).max() < 60  # 25 each on average
    assert flips.mean() == pytest.approx(0.5, abs=0.02)


# held-out people


def relabeled(corpus: Corpus, does: dict[str, str]) -> Corpus:
    """The corpus as if every person did some one thing."""
    return replace(corpus, views=tuple(replace(v, action=does[v.subject]) for v in corpus.views))


def test_everybody_who_can_be_left_out_is_once(corpus):
    folds = leave_out(corpus, 3)
    assert sorted(s for people in folds for s in people) == list(corpus.subjects)
    assert all(folds)


def test_those_who_do_the_same_are_left_out_apart(corpus):
    folds = leave_out(relabeled(corpus, {"syn1": "a", "syn2": "b", "syn3": "a", "syn4": "b"}), 2)
    for people in folds:
        assert len(people & {"syn1", "syn3"}) == len(people & {"syn2", "syn4"}) == 1


def test_who_does_what_nobody_else_does_is_never_left_out(corpus):
    folds = leave_out(relabeled(corpus, {"syn1": "a", "syn2": "alone", "syn3": "a", "syn4": "alone too"}), 2)
    assert sorted(folds, key=sorted) == [{"syn1"}, {"syn3"}]


def test_too_many_or_too_few_folds_are_refused(corpus):
    for folds in (1, 5):
        with pytest.raises(ValueError, match=f"{folds} folds cannot be made of 4 people"):
            leave_out(corpus, folds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "a seed is 0 or more, got -1"),
        ({"folds": 1}, "1 folds cannot be made of 3 people"),
        ({"model": MODEL | {"channels": 0}}, "a network needs at least 1 channel"),
        ({"model": MODEL | {"causal": True}, "lifter": lifter()}, "a causal recognizer needs a causal lifter"),
    ],
)
def test_bad_options_are_refused_and_leave_nothing(tmp_path, training, options, message):
    with pytest.raises(ValueError, match=message):
        train_recognizer(tmp_path / "run", training, **TINY | options)
    assert not (tmp_path / "run").exists()


def test_one_action_is_refused(tmp_path, training):
    with pytest.raises(ValueError, match="nothing to tell apart among 1 actions"):
        train_recognizer(tmp_path / "run", training.select(actions=["Walking"]), **TINY)


def test_a_damaged_state_is_refused(tmp_path, training, monkeypatch):
    interrupt_at(3, monkeypatch)
    with pytest.raises(Interrupted):
        train_recognizer(tmp_path / "run", training, **TINY)
    monkeypatch.undo()
    write_tensors(tmp_path / "run" / "state.safetensors", {"network/head": torch.zeros(1)}, {"step": 2})
    with pytest.raises(ValueError, match=r"holds no state of this run (?s:.*) Delete it to train from the start"):
        train_recognizer(tmp_path / "run", training, **TINY)


# prediction


@pytest.fixture
def recognized() -> ActionRecognizer:
    torch.manual_seed(0)
    return ActionRecognizer(RecognizerNetwork(3, 9, 8).eval(), ["a", "b", "c"], temperature=2.0)


def test_posteriors_are_probabilities_of_every_frame(recognized, corpus):
    views = corpus.views[::7]
    for posterior, view in zip(recognized([v.keypoints for v in views]), views, strict=True):
        assert posterior.shape == (view.frames, 3)
        np.testing.assert_allclose(posterior.sum(axis=1), 1)
        np.testing.assert_allclose(posterior, softmax(recognized.logits(view.pose2d, view.fps) / 2, axis=1))


def test_lifted_poses_are_seen_beside_the_keypoints(corpus):
    torch.manual_seed(0)
    network = RecognizerNetwork(3, 9, 8, lifted=True).eval()
    view = corpus.select(actions=["Squat"]).views[0]
    (pose3d,) = lift(lifter(), [view.pose2d])
    described = describe(network, view.pose2d, pose3d, view.fps)
    assert described.shape == (2, view.frames, 250, 2)
    flat = describe(RecognizerNetwork(3, 9, 8), view.pose2d, None, view.fps)
    torch.testing.assert_close(described[:, :, :100], flat)
    recognized = ActionRecognizer(network, ["a", "b", "c"], lifter=lifter())
    with torch.no_grad():
        expected = (network(described[0]) + network(described[1])) / 2
    np.testing.assert_allclose(recognized.logits(view.pose2d, view.fps), expected, atol=1e-5)


def test_the_root_of_lifted_poses_may_be_anywhere(corpus):
    view, network = corpus.views[0], RecognizerNetwork(3, 9, 8, lifted=True)
    absolute = view.pose3d_cam - view.pose3d_cam[:1, :1]
    moved = absolute + np.float32([0.2, -0.1, 3.0])
    found = describe(network, view.pose2d, moved, view.fps)
    torch.testing.assert_close(found, describe(network, view.pose2d, absolute, view.fps), atol=1e-3, rtol=1e-3)


def test_the_mirror_image_has_the_same_label(recognized, corpus):
    view = corpus.views[0]
    mirrored = view.pose2d[:, list(corpus.skeleton.mirror)] * np.float32([-1, 1])
    np.testing.assert_allclose(recognized.logits(mirrored, 25.0), recognized.logits(view.pose2d, 25.0), atol=1e-5)


def test_a_causal_recognizer_sees_no_future(corpus):
    torch.manual_seed(0)
    causal = ActionRecognizer(RecognizerNetwork(3, 9, 8, causal=True).eval(), ["a", "b", "c"])
    pose2d = corpus.select(actions=["Walking"]).views[0].pose2d
    changed = pose2d.copy()
    changed[20:] += np.random.default_rng(0).normal(size=changed[20:].shape).astype(np.float32)
    before, after = causal.logits(pose2d, 25.0), causal.logits(changed, 25.0)
    np.testing.assert_allclose(after[:20], before[:20], atol=1e-6)
    assert (np.abs(after[20] - before[20]) > 1e-3).any()


def test_it_routes_experts(learnt, corpus):
    """Each view goes to the predictor of the action that is likeliest on average."""
    recognized = load_recognizer(learnt)
    views = corpus.select(subjects=["syn4"]).views
    marks = dict(zip(recognized.actions, (1.0, 2.0, 3.0), strict=True))
    experts = {
        action: lambda own, mark=mark: [np.full((v.frames, 17, 3), mark) for v in own] for action, mark in marks.items()
    }
    poses = RoutedPredictor(experts, recognized.label_of)([v.keypoints for v in views])
    for pose, posterior in zip(poses, recognized([v.keypoints for v in views]), strict=True):
        assert (pose == 1 + posterior.mean(axis=0).argmax()).all()


def test_bad_sequences_and_names_are_refused(recognized):
    for shape in ((0, 17, 2), (5, 16, 2)):
        with pytest.raises(ValueError, match=r"wanted at least one frame of the 17 joints of .*, got \("):
            recognized.logits(np.zeros(shape, np.float32), 60.0)
    with pytest.raises(ValueError, match="tells 3 actions apart, got 2 names"):
        ActionRecognizer(recognized.recognizer, ["a", "b"])
    with pytest.raises(ValueError, match="this recognizer takes no lifted poses"):
        ActionRecognizer(recognized.recognizer, ["a", "b", "c"], lifter=lifter())


def test_runs_that_are_no_recognizers_are_refused(learnt, tmp_path):
    with pytest.raises(ValueError, match="no member 'somebody'; it has: everybody, fold0, fold1, fold2"):
        load_recognizer(learnt, "somebody")
    with pytest.raises(ValueError, match="does not fit the network that config.json describes"):
        load_lifter(learnt, "everybody")
    unfinished = Run.create(tmp_path / "run", learnt.identity)
    with pytest.raises(FileNotFoundError, match="its training has not ended. Run it again to resume"):
        load_recognizer(unfinished)
    write_tensors(unfinished.weights, {"everybody/head": torch.zeros(1)}, {})
    with pytest.raises(ValueError, match=r"holds no recognizer (?s:.*): `actlift recognize` trains one"):
        load_recognizer(unfinished)


def test_a_lifter_is_kept_with_the_recognizer(tmp_path, training):
    """One that takes conditions is told none."""
    network = lifter(conditions=3)
    for layer in network.layers:
        torch.nn.init.normal_(layer.gain)
    run = train_recognizer(tmp_path / "run", training, **TINY, lifter=network)
    view = training.views[0]
    (expected,) = lift(network.given(3), [view.pose2d])
    found = load_recognizer(run)
    np.testing.assert_array_equal(lift(found.lifter, [view.pose2d])[0], expected)
    assert found.posterior(view.pose2d, view.fps).shape == (view.frames, 3)
    with pytest.raises(ValueError, match=r"holds another run \(lifter.weights: there"):
        train_recognizer(tmp_path / "run", training, **TINY, lifter=network.given(0))


# calibration


def nll(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_labels_is_found(true):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 5)) * 3
    labels = (softmax(logits / true, axis=1).cumsum(axis=1) < generator.random((20_000, 1))).sum(axis=1)
    found = temperature_of(logits, labels)
    assert found == pytest.approx(true, rel=0.05)
    weights = np.where(np.arange(20_000) < 10_000, 3.0, 0.0)
    weighted = temperature_of(logits, labels, weights)
    assert weighted == pytest.approx(temperature_of(logits[:10_000], labels[:10_000]), rel=1e-4)
    grid = np.geomspace(0.05, 20, 300)
    assert nll(logits, labels, found) <= min(nll(logits, labels, t) for t in grid) + 1e-9


def test_calibration_is_on_held_out_people_whose_clips_weigh_the_same(learnt, corpus):
    """The very figures that training noted, from the networks that left people out."""
    logits, labels, weights = [], [], []
    for name, entry in learnt.config["identity"]["members"].items():
        recognized = load_recognizer(learnt, name)
        for view in corpus.views:
            if view.subject in entry["held_out"]:
                logits.append(recognized.logits(view.pose2d, view.fps))
                labels.append(np.full(view.frames, recognized.actions.index(view.action)))
                weights.append(np.full(view.frames, 1 / view.frames))
    logits, labels = np.concatenate(logits), np.concatenate(labels)
    noted = read_tensors(learnt.weights)[1]
    assert len(labels) == noted["held_out"]["frames"]["count"] == 1080
    assert noted["temperature"] == pytest.approx(temperature_of(logits, labels, np.concatenate(weights)))
    assert nll(logits, labels, noted["temperature"]) == pytest.approx(noted["held_out"]["frames"]["nll"], rel=1e-4)


@given(
    arrays(float, st.tuples(st.integers(1, 40), st.integers(2, 5)), elements=st.floats(0.01, 1)), st.integers(0, 2**31)
)
def test_calibration_error_against_a_loop(chances, seed):
    posterior = chances / chances.sum(axis=1, keepdims=True)
    labels = np.random.default_rng(seed).integers(posterior.shape[1], size=len(posterior))
    error = 0.0
    for b in range(15):
        inside = [i for i, p in enumerate(posterior) if b / 15 < max(p) <= (b + 1) / 15]
        if inside:
            confidence = sum(max(posterior[i]) for i in inside) / len(inside)
            accuracy = sum(int(posterior[i].argmax() == labels[i]) for i in inside) / len(inside)
            error += len(inside) / len(posterior) * abs(confidence - accuracy)
    assert calibration_error(posterior, labels) == pytest.approx(error)


# figures


def test_figures_against_loops(corpus):
    actions, generator = ("Squat", "Walking", "Waving"), np.random.default_rng(0)
    views = corpus.views[::5]
    posteriors = [generator.dirichlet([0.6] * 3, size=v.frames) for v in views]
    found = measure(posteriors, views, actions, groups={"Walking": "upright", "Waving": "upright"})
    frames = [(p, actions.index(v.action)) for own, v in zip(posteriors, views, strict=True) for p in own]
    right = [int(p.argmax()) == label for p, label in frames]
    assert found.frames.count == len(frames)
    assert found.frames.top1 == pytest.approx(sum(right) / len(right))
    assert found.frames.top3 == 1.0
    assert found.frames.grouped == pytest.approx(np.mean([(p.argmax() == 0) == (label == 0) for p, label in frames]))
    assert found.frames.nll == pytest.approx(-np.mean([np.log(p[label]) for p, label in frames]))
    shares = [[np.mean([p.argmax() == j for p, label in frames if label == i]) for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(found.confusion, shares)
    assert found.frames.mean_over_actions == pytest.approx(np.mean([shares[i][i] for i in range(3)]))
    clips = [p.mean(axis=0).argmax() == actions.index(v.action) for p, v in zip(posteriors, views, strict=True)]
    assert found.clips.count == len(views)
    assert found.clips.top1 == pytest.approx(np.mean(clips))


def test_top3_counts_the_three_likeliest(corpus):
    view = replace(corpus.views[0], action="c")
    for place, expected in enumerate([1.0, 1.0, 1.0, 0.0]):
        chances = np.roll([0.4, 0.3, 0.2, 0.1], 2 - place)
        found = measure([np.tile(chances, (view.frames, 1))], [view], ["a", "b", "c", "d"])
        assert found.frames.top3 == found.clips.top3 == expected


def test_confusion_of_an_action_that_nobody_does_is_nan():
    found = confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 3)
    np.testing.assert_array_equal(found, [[0.5, 0.5, 0], [0, 1, 0], [np.nan] * 3])


def test_measuring_what_does_not_fit_is_refused(corpus):
    view = corpus.views[0]
    with pytest.raises(ValueError, match="nothing to measure: the selection holds no views"):
        measure([], [], ["a", "b"])
    with pytest.raises(ValueError, match="does not know Squat; it knows a, b"):
        measure([np.ones((view.frames, 2))], [view], ["a", "b"])
    with pytest.raises(ValueError, match=r"give one array \(frames, actions\) of probabilities for every view"):
        measure([np.ones((view.frames + 1, 2))], [view], ["Squat", "b"])


# labels without flicker

POSTERIORS = arrays(float, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(0.01, 1))


@given(POSTERIORS, st.integers(2, 6), st.floats(0, 0.5))
def test_steady_labels_switch_only_after_a_lead_held(chances, hold, margin):
    posterior = chances / chances.sum(axis=1, keepdims=True)
    labels = steady_labels(posterior, margin=margin, hold=hold)
    assert labels[0] == posterior[0].argmax()
    for t in np.flatnonzero(np.diff(labels)) + 1:
        new, old = labels[t], labels[t - 1]
        assert t >= hold - 1
        for p in posterior[t - hold + 1 : t + 1]:
            assert p.argmax() == new
            assert p[new] - p[old] >= margin


@given(POSTERIORS, st.integers(2, 6), st.sampled_from([0.0, 0.05, 0.2]))
def test_steady_labels_against_a_loop_over_frames(chances, hold, margin):
    posterior = chances / chances.sum(axis=1, keepdims=True)
    present, rival, lead, expected = int(posterior[0].argmax()), -1, 0, []
    for now in posterior:
        likeliest = int(now.argmax())
        ahead = likeliest != present and now[likeliest] - now[present] >= margin
        lead = (lead + 1 if likeliest == rival else 1) if ahead else 0
        rival = likeliest
        if lead == hold:
            present, lead = likeliest, 0
        expected.append(present)
    np.testing.assert_array_equal(steady_labels(posterior, margin=margin, hold=hold), expected)


def test_a_single_frame_never_switches_and_a_change_that_lasts_does():
    one, other = [0.8, 0.2], [0.2, 0.8]
    flicker = np.array([one, other] * 20)
    assert (steady_labels(flicker, hold=2) == 0).all()
    np.testing.assert_array_equal(steady_labels(np.array([one] * 5 + [other] * 5), hold=3), [0] * 7 + [1] * 3)
    narrow = np.array([one] * 5 + [[0.48, 0.52]] * 20)
    assert (steady_labels(narrow, margin=0.1, hold=3) == 0).all()


@pytest.mark.parametrize("options", [{"margin": 1.0}, {"margin": -0.1}, {"hold": 1}])
def test_bad_hysteresis_is_refused(options):
    with pytest.raises(ValueError, match="a margin is from 0 to below 1 and a hold at least 2 frames, got"):
        steady_labels(np.ones((3, 2)), **options)


def test_smoothing_against_a_loop():
    posterior = np.random.default_rng(0).dirichlet([1.0] * 4, size=30)
    keep = np.exp(-1 / (0.2 * 25))
    average, expected = np.log(posterior[0]), []
    for chances in posterior:
        average = keep * average + (1 - keep) * np.log(chances)
        expected.append(np.exp(average) / np.exp(average).sum())
    np.testing.assert_allclose(smoothed(posterior, 0.2, 25.0), expected)
    certain = np.eye(2)[[0, 0, 1, 0]]
    assert np.isfinite(smoothed(certain, 0.2, 25.0)).all()


@pytest.mark.parametrize(("seconds", "fps"), [(0.0, 25.0), (0.2, 0.0)])
def test_bad_smoothing_is_refused(seconds, fps):
    with pytest.raises(ValueError, match="smoothing needs a positive time constant and frame rate, got"):
        smoothed(np.ones((3, 2)) / 2, seconds, fps)


# the command


@pytest.mark.slow
def test_the_command_trains_and_tells_how_right_it_is(corpus_folder, tmp_path):
    script = Path(sys.executable).with_name("actlift")
    out, lifting = tmp_path / "run", tmp_path / "lifter"
    training, test = Corpus.open(corpus_folder).split(["syn4"])
    train(lifting, training, [ModelSpec("all", rows_of(training.views), Budget(2, 16))], model={"channels": 8})
    words = ["recognize", corpus_folder, out, "--test-subjects", "syn4", "--receptive-field", "27", "--channels", "8"]
    words += ["--steps", "3", "--batch", "16", "--folds", "2", "--lifter", lifting]
    done = subprocess.run([script, *map(str, words)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    run = Run.open(out)
    assert "syn4" not in run.config["identity"]["trained_on"]["subjects"]
    recognized = load_recognizer(run)
    found = measure(recognized([v.keypoints for v in test.views]), test.views, recognized.actions)
    frames = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["frames"])
    expected = [found.frames.top1, found.frames.mean_over_actions, found.frames.top3, found.frames.calibration_error]
    assert frames.split()[1:] == [*(f"{share:.1%}" for share in expected), "360"]
    for action in recognized.actions:
        assert f"{action} is taken for " in done.stdout
    with pytest.raises(ValueError, match="lifter, whose poses .* was trained on syn1: scores on them say nothing"):
        recognize_verb(corpus_folder, tmp_path / "other", test_subjects=["syn1"], lifter=lifting)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_the_command_refuses_unknown_people_in_one_line(corpus_folder, tmp_path):
    script = Path(sys.executable).with_name("actlift")
    words = ["recognize", str(corpus_folder), str(tmp_path / "run"), "--test-subjects", "nobody"]
    done = subprocess.run([script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("actlift: no subject 'nobody' in this corpus")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("block", [1, 7, 30])
def test_long_sequences_in_blocks_are_what_they_are_at_once(monkeypatch, causal, block):
    torch.manual_seed(0)
    recognizer = RecognizerNetwork(3, receptive_field=9, channels=8, causal=causal).eval()
    recognized = ActionRecognizer(recognizer, ["a", "b", "c"])
    pose2d = np.random.default_rng(0).normal(size=(40, 17, 2)).astype(np.float32)
    whole = recognized.logits(pose2d, 30.0)
    monkeypatch.setattr("actlift.recognition.prediction.BLOCK", block)
    np.testing.assert_allclose(recognized.logits(pose2d, 30.0), whole, atol=1e-4)
