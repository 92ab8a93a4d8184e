"""Every row of ARCHITECTURES through all that is asked of a lifter."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from actlift.data.corpus import Corpus
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import evaluate
from actlift.evaluation.scores import Variant
from actlift.lifting.conditional import ConditionalLifter
from actlift.lifting.onnx import export_onnx
from actlift.lifting.predict import LifterPredictor, lift, load_lifter
from actlift.lifting.stream import RoutedStream, Stream
from actlift.models.base import (
    ARCHITECTURES,
    Lifter,
    check_network,
    given,
    inference_form,
    keywords_of,
    make_network,
    multiply_adds,
    parameter_count,
    stack,
    training_pass,
)
from actlift.models.options import TCN_NAME, Network
from actlift.recognition.prediction import load_recognizer
from actlift.recognition.training import train_recognizer
from actlift.study.experiment import run_study
from actlift.study.finetune import finetune
from actlift.study.plan import Plan
from actlift.training.budget import Budget
from actlift.training.frozen_bn import tune_frozen
from actlift.training.loop import LifterLearner, ModelSpec, train
from actlift.training.run import Run

CPU = {"device": "cpu", "precision": "float32"}


@pytest.fixture(params=ARCHITECTURES)
def options(request) -> Network:
    return Network(architecture=request.param, receptive_field=9, channels=16)


@pytest.fixture
def training(corpus: Corpus) -> Corpus:
    return corpus.split(["syn4"])[0]


def network_of(options: Network, seed: int = 0, **keywords) -> Lifter:
    torch.manual_seed(seed)
    network = make_network(options.keywords() | keywords)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    return network.eval()


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_a_valid_temporal_filter(options, causal):
    network = network_of(options, causal=causal, trajectory=True)
    assert isinstance(network, Lifter)
    assert (network.receptive_field, network.causal) == (9, causal)
    x = torch.randn(2, 20, 17, 2)
    whole = network(x)
    assert whole.shape == (2, 12, 18, 3)
    for first in (0, 5, 11):
        torch.testing.assert_close(network(x[:, first : first + 9])[:, 0], whole[:, first], atol=1e-5, rtol=1e-4)
    x[:, 15:] += 1  # the receptive field is what it says
    changed = (network(x) - whole).abs().amax(dim=(0, 2, 3)) > 1e-6
    assert changed.tolist() == [False] * 7 + [True] * 5


def test_keywords_make_the_same_shape_again(options):
    network = network_of(options, conditions=3)
    again = make_network(keywords_of(network))
    again.load_state_dict(network.state_dict())
    assert parameter_count(again) == parameter_count(network)
    assert multiply_adds(keywords_of(network)) > 0
    assert ("architecture" in keywords_of(network)) == (options.architecture != TCN_NAME)


def test_members_side_by_side_are_the_networks_they_were(options):
    networks = [network_of(options, seed=i) for i in range(3)]
    x = torch.randn(3, 4, 9, 17, 2)
    together = stack(networks)
    for i, network in enumerate(networks):
        torch.testing.assert_close(together(x)[i], network(x[i]), atol=1e-5, rtol=1e-4)
        for key, value in network.state_dict().items():
            assert torch.equal(together.member(i).state_dict()[key], value)
            assert torch.equal(together.member_state(i)[key], value)


def test_the_training_pass_gives_autograds_gradients(options):
    options = replace(options, dropout=0.0)
    one, twin = (stack([network_of(options, seed=i) for i in range(2)]).train() for _ in range(2))
    size = sum(p.numel() for p in one.parameters()) // 2
    gradient, x = torch.zeros(2, size), torch.randn(2, 5, 9, 17, 2)
    for stacked in (one, twin):
        stacked.batch_norm_momentum = torch.full((2, 1), 0.1)
    made = training_pass(one, gradient, 5, torch.float32)
    found, expected = made.forward(x, None, None, [(0, 0, 0), (0, 1, 0)]), twin(x)[:, :, 0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    upstream = torch.randn_like(expected)
    made.backward(upstream)
    own = torch.zeros(2, size)
    slopes = torch.autograd.grad(expected, list(twin.parameters()), upstream)
    for (_, view), slope in zip(twin.views_of(own), slopes, strict=True):
        view.copy_(slope)
    torch.testing.assert_close(gradient, own, atol=1e-4, rtol=1e-3)


def test_one_condition_held_fixed_is_the_network_told_it(options):
    network = network_of(options, conditions=2)
    x = torch.randn(3, 12, 17, 2)
    for condition in range(3):
        plain = given(network, condition)
        assert plain.conditions == 0
        told = network(x, condition=torch.full((3,), condition))
        torch.testing.assert_close(plain(x), told, atol=1e-5, rtol=1e-4)
        again = make_network(keywords_of(plain))
        again.load_state_dict(plain.state_dict())
        torch.testing.assert_close(again.eval()(x), told, atol=1e-5, rtol=1e-4)
    assert not torch.equal(given(network, 0)(x), given(network, 1)(x))
    with pytest.raises(ValueError, match="takes one of 2 conditions"):
        inference_form(network)
    with pytest.raises(ValueError, match=r"conditions are 0 to 2 \(unknown\), got 3"):
        given(network, 3)


@pytest.mark.slow
def test_streams_and_files_give_what_whole_sequences_give(options, tmp_path):
    network = network_of(options)
    frames = np.random.default_rng(0).normal(size=(30, 17, 2)).astype(np.float32)
    (whole,) = lift(network, [frames], flip=True)
    stream = Stream(network, flip=True)
    poses = [pose for frame in frames if (pose := stream.push(frame)) is not None]
    np.testing.assert_allclose(np.concatenate([poses, stream.flush()]), whole, atol=1e-5)
    routed = RoutedStream({"a": network, "b": network_of(options, seed=1)}, fade_frames=3, flip=True)
    labels = ["a"] * 10 + ["b"] * 20
    poses = [p for frame, label in zip(frames, labels, strict=True) if (p := routed.push(frame, label)) is not None]
    assert np.concatenate([poses, routed.flush()]).shape == whole.shape

    export_onnx(network, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    for batch, t in ((1, 9), (3, 25)):
        x = np.random.default_rng(1).normal(size=(batch, t, 17, 2)).astype(np.float32)
        (found,) = session.run(None, {"pose2d": x})
        np.testing.assert_allclose(found, inference_form(network)(torch.from_numpy(x)).numpy(), atol=1e-4)


@pytest.mark.slow
def test_it_learns_resumes_is_tuned_scored_and_recognized_with(options, tmp_path, corpus, training, monkeypatch):
    """Generalist, experts side by side, conditioned; killed and resumed; the frozen stage; a recognizer."""
    everything = ModelSpec("everything", rows_of(training.views), Budget(60, 32))
    run = train(tmp_path / "one", training, [everything], model=options.keywords(), **CPU)
    assert run.log()["loss_mm"].iloc[-1] < 0.7 * run.log()["loss_mm"].iloc[0]
    network = load_lifter(run)
    test = corpus.select(subjects=["syn4"])
    assert len(evaluate(LifterPredictor(network), test.views, variant=Variant("one")).table)
    with pytest.raises(ValueError, match="one was trained on syn1, syn2, syn3: scores on them say nothing"):
        evaluate(LifterPredictor(network), corpus.views, variant=Variant("one"))

    experts = [
        ModelSpec(a, rows_of(training.select(actions=[a]).views), Budget(8 + i, 32))
        for i, a in enumerate(training.actions)
    ]
    whole = train(tmp_path / "whole", training, experts, model=options.keywords(), **CPU)
    plain = LifterLearner.step

    def killed(learner, number):
        if number == 9:
            raise MemoryError
        plain(learner, number)

    monkeypatch.setattr(LifterLearner, "step", killed)
    with pytest.raises(MemoryError):
        train(tmp_path / "killed", training, experts, model=options.keywords(), save_every_s=0.0, **CPU)
    monkeypatch.undo()
    resumed = train(tmp_path / "killed", training, experts, model=options.keywords(), **CPU)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()
    alone = train(tmp_path / "alone", training, experts[:1], model=options.keywords(), **CPU)
    for key, value in load_lifter(alone).state_dict().items():
        torch.testing.assert_close(load_lifter(whole, experts[0].name).state_dict()[key], value, atol=1e-4, rtol=1e-3)

    number = {action: i for i, action in enumerate(training.actions)}
    conditions = np.concatenate([np.full(v.frames, number[v.action]) for v in training.views])
    spec = replace(everything, conditions=conditions, budget=Budget(10, 32))
    told = load_lifter(train(tmp_path / "told", training, [spec], model=options.keywords() | {"conditions": 3}, **CPU))
    lifter = ConditionalLifter.from_network(told, training.actions)
    poses = lifter.poses([v.keypoints for v in test.views], [v.action for v in test.views])
    assert [p.shape for p in poses] == [v.pose3d_cam.shape for v in test.views]

    copies = [replace(spec, name=a, conditions=None, budget=Budget(4, 32)) for a in training.actions]
    starts = {a: given(told, i) for i, a in enumerate(training.actions)}
    tuned = tune_frozen(tmp_path / "tuned", training, copies, starts, **CPU)
    assert len(lift(load_lifter(tuned, "Squat"), [test.views[0].pose2d])) == 1

    small = {"receptive_field": 9, "channels": 8}
    recognizer = train_recognizer(
        tmp_path / "recognizer", training, model=small, lifter=told, budget=Budget(5, 16), folds=2
    )
    assert load_recognizer(Run.open(recognizer.folder)).label_of(test.views[0].keypoints) in training.actions


@pytest.mark.slow
def test_a_study_of_every_kind_of_arm_and_fine_tuning_to_an_action(options, tmp_path, corpus):
    plan = Plan(
        test_subjects=("syn4",),
        arms=("experts", "cluster-experts", "conditioned", "finetuned", "finetuned-conditioned", "finetuned-experts"),
        seeds=(0,),
        budget=Budget(24, 32),
        network=replace(options, channels=8),
        **CPU,
    )
    scores = run_study(tmp_path / "study", corpus, plan)
    assert {variant.arm for variant in scores.variants} == {"generalist", *plan.arms}
    assert np.isfinite(scores.table["value"]).all()
    base = Run.open(tmp_path / "study" / "runs" / "conditioned-seed0")
    found = finetune(tmp_path / "run", base, corpus, "Waving", test_subjects=["syn4"], budget=Budget(5, 32), **CPU)
    assert load_lifter(found.run).conditions == 0
    assert found.others is None or len(found.others.table)


def test_an_unknown_architecture_names_the_known_and_the_nearest():
    with pytest.raises(ValueError, match="unknown architecture 'mixr'; known: tcn, mixer; did you mean 'mixer'"):
        check_network({"architecture": "mixr"})
    with pytest.raises(ValueError, match="'mixer' takes no heads; it takes: receptive_field, channels"):
        check_network({"architecture": "mixer", "heads": 3})
    with pytest.raises(ValueError, match="widths .* are those of the architecture tcn, not of mixer"):
        Network(architecture="mixer", widths=(3, 3))
