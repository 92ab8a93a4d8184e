"""Predictors: packing, padding, flips and routes, against an independent network and one sequence at a time."""

import jaxtyping
import numpy as np
import pytest
import torch
from benchmarks.conventional import ConvolutionalTCN, evaluate_one_by_one
from tests.networks import network_of

from actlift.data.corpus import Corpus
from actlift.data.keypoints2d import Keypoints2D
from actlift.data.windows import rows_of
from actlift.geometry.skeleton import H36M_17
from actlift.lifting import predict
from actlift.lifting.predict import LifterPredictor, RoutedPredictor, lift, load_lifter, route
from actlift.models.tensors import write_tensors
from actlift.training.budget import Budget
from actlift.training.loop import ModelSpec, train
from actlift.training.run import Run

LENGTHS = (1, 40, 2, 26, 27, 28, 300, 1)


def sequences_of(lengths=LENGTHS, seed=0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(t, 17, 2)).astype(np.float32) for t in lengths]


def assert_close(found, expected, atol=1e-5):
    assert [f.shape for f in found] == [e.shape for e in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=atol, rtol=0)


@pytest.mark.parametrize("strided", [True, False])
@pytest.mark.parametrize("widths", [(1,), (3,), (3, 3, 3), (5, 3), (3, 3, 3, 3, 3)])
def test_the_network_is_the_convolutional_one(widths, strided):
    network = network_of(widths)
    reference = ConvolutionalTCN(widths, 24, strided=strided).load_rows(network).eval()
    t = network.receptive_field + (0 if strided else 30)
    pose2d = torch.randn(4, t, 17, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network(pose2d), reference(pose2d), atol=1e-5, rtol=0)


@pytest.mark.parametrize("widths", [(1,), (3, 3, 3), (3, 3, 3, 3, 3)])
def test_lifting_is_evaluation_one_by_one(widths):
    """Padding by the end frames, flips and all, for sequences longer and shorter than the receptive field."""
    network = network_of(widths)
    reference = ConvolutionalTCN(widths, 24).load_rows(network).eval()
    expected = evaluate_one_by_one(reference, sequences_of(), network.receptive_field, H36M_17.mirror)
    assert_close(lift(network, sequences_of()), expected)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("pack_frames", [8192, 50, 7])
def test_a_sequence_alone_is_the_sequence_in_a_pack(monkeypatch, causal, pack_frames):
    """Whatever lies beside it, and wherever packs and pieces are cut."""
    network = network_of((3, 3, 3), causal=causal)
    alone = [lift(network, [sequence])[0] for sequence in sequences_of()]
    monkeypatch.setattr(predict, "PACK_FRAMES", pack_frames)
    assert_close(lift(network, sequences_of()), alone, atol=1e-6)
    assert_close(lift(network, sequences_of()[::-1]), alone[::-1], atol=1e-6)


def test_missing_keypoints_of_one_sequence_do_not_reach_another():
    sequences = sequences_of()
    whole = lift(network_of((3, 3)), sequences)
    sequences[1][:] = np.nan
    spoilt = lift(network_of((3, 3)), sequences)
    assert np.isnan(spoilt[1]).all()
    assert_close(spoilt[:1] + spoilt[2:], whole[:1] + whole[2:], atol=0)


def test_a_causal_lifter_sees_no_future():
    network = network_of((3, 3, 3), causal=True)
    (sequence,) = sequences_of([60])
    (whole,) = lift(network, [sequence])
    changed = sequence.copy()
    changed[31:] = 7
    np.testing.assert_array_equal(lift(network, [changed])[0][:31], whole[:31])
    assert_close(lift(network, [sequence[:31]]), [whole[:31]], atol=1e-6)
    # each frame by itself, from the window that ends there
    for frame in (0, 5, 59):
        window = sequence[[max(f, 0) for f in range(frame - 26, frame + 1)]]
        with torch.no_grad():
            (alone,) = network(torch.from_numpy(window)[None])
        np.testing.assert_allclose(lift(network, [sequence], flip=False)[0][frame], alone[0], atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_one_frame_is_a_pose_held_still(causal):
    network = network_of((3, 3, 3), causal=causal)
    (frame,) = sequences_of([1])
    (pose,) = lift(network, [frame])
    assert pose.shape == (1, 17, 3)
    assert_close([pose], [lift(network, [np.repeat(frame, 99, axis=0)])[0][50:51]], atol=1e-6)


def test_flips_average_a_prediction_with_the_mirrored_ones():
    network = network_of((3, 3))
    (sequence,) = sequences_of([20])
    swap = list(H36M_17.mirror)
    (plain,) = lift(network, [sequence], flip=False)
    (mirrored,) = lift(network, [sequence[:, swap] * np.array([-1, 1], np.float32)], flip=False)
    (averaged,) = lift(network, [sequence])
    assert_close([averaged], [(plain + mirrored[:, swap] * [-1, 1, 1]) / 2], atol=1e-6)
    assert np.abs(averaged - plain).max() > 1e-2
    # so that the mirrored sequence gives the mirrored poses
    (again,) = lift(network, [sequence[:, swap] * np.array([-1, 1], np.float32)])
    assert_close([again[:, swap] * [-1, 1, 1]], [averaged], atol=1e-6)


def test_a_second_head_is_not_part_of_the_poses():
    network = network_of((3,), trajectory=True)
    (sequence,) = sequences_of([9])
    with torch.no_grad():
        whole = network(torch.from_numpy(sequence)[None])[0].numpy()
    assert whole.shape == (7, 18, 3)
    assert_close([lift(network, [sequence], flip=False)[0][1:-1]], [whole[:, :17]], atol=1e-6)


def test_lifting_in_bfloat16_stays_near_float32():
    exact, rounded = (lift(network_of((3, 3)), sequences_of(), dtype=d) for d in (torch.float32, torch.bfloat16))
    for one, other in zip(exact, rounded, strict=True):
        assert other.dtype == np.float32
        assert np.linalg.norm(one - other) < 3e-2 * np.linalg.norm(one)


def seen(corpus: Corpus) -> list[Keypoints2D]:
    return [view.keypoints for view in corpus.views]


def test_a_predictor_lifts_sequences_in_their_order(corpus):
    predictor = LifterPredictor(network_of((3, 3, 3)).train())
    poses = predictor(seen(corpus))
    assert [p.shape for p in poses] == [v.pose3d_cam.shape for v in corpus.views]
    assert {p.dtype for p in poses} == {np.dtype(np.float32)}
    backwards = predictor(seen(corpus)[::-1])
    assert_close(backwards[::-1], poses, atol=1e-6)
    assert predictor([]) == []
    plain = LifterPredictor(network_of((3, 3, 3)), flip=False)(seen(corpus))
    assert_close(plain, lift(network_of((3, 3, 3)), [v.pose2d for v in corpus.views], flip=False), atol=1e-6)


def test_a_predictor_is_not_given_the_ground_truth(corpus):
    with pytest.raises(jaxtyping.TypeCheckError):
        LifterPredictor(network_of((3,)))(corpus.views)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        (sequences_of([5, 0, 3]), "no frames cannot be lifted"),
        ([np.zeros((5, 16, 2), np.float32)], "takes 17 joints, got 16: remap"),
    ],
)
def test_what_cannot_be_lifted(sequences, message):
    with pytest.raises(ValueError, match=message):
        lift(network_of((3,)), sequences)


class Constant:
    """A predictor of one number, that remembers what it was asked."""

    def __init__(self, value: float) -> None:
        self.value, self.asked = value, []

    def __call__(self, sequences):
        self.asked += sequences
        return [np.full((s.frames, 17, 3), self.value, np.float32) for s in sequences]


def test_routes_keep_the_order_of_sequences(corpus):
    experts = {action: Constant(float(n)) for n, action in enumerate(corpus.actions)}
    views = [corpus.views[i] for i in np.random.default_rng(0).permutation(len(corpus.views))]
    poses = route(experts, [v.keypoints for v in views], [v.action for v in views])
    for pose, view in zip(poses, views, strict=True):
        assert pose.shape == (view.frames, 17, 3)
        assert (pose == corpus.actions.index(view.action)).all()
    for action, expert in experts.items():
        assert expert.asked == [v.keypoints for v in views if v.action == action]


def test_routed_lifters_are_the_lifters(corpus):
    lifters = {action: LifterPredictor(network_of((3,), seed=n)) for n, action in enumerate(corpus.actions)}
    squats = seen(corpus.select(actions=["Squat"]))  # the other lifters get no sequences
    assert_close(RoutedPredictor(lifters, lambda _: "Squat")(squats), lifters["Squat"](squats), atol=0)


def test_a_sequence_without_an_expert_is_an_error(corpus):
    routed = RoutedPredictor({"Squat": Constant(0.0), "Running": Constant(1.0)}, lambda _: "Walking")
    with pytest.raises(ValueError, match="no lifter for Walking; there are lifters for Squat, Running"):
        routed(seen(corpus))


@pytest.fixture
def run_of_two(tmp_path, corpus) -> Run:
    """A finished run whose members' names begin alike."""
    members = [
        ModelSpec(n, rows_of(corpus.select(actions=["Squat"]).views), Budget(2, 4)) for n in ("Walk", "Walk/Run")
    ]
    return train(tmp_path / "run", corpus, members, model={"widths": [3], "channels": 8}, device="cpu")


def test_lifters_are_loaded_by_name(run_of_two):
    one, other = (load_lifter(run_of_two, name) for name in ("Walk", "Walk/Run"))
    assert not one.training
    assert not torch.equal(one.head, other.head)
    with pytest.raises(ValueError, match="has several members, name one of: Walk, Walk/Run"):
        load_lifter(run_of_two)
    with pytest.raises(ValueError, match="has no member 'Squat'; it has: Walk, Walk/Run"):
        load_lifter(run_of_two, "Squat")


def test_weights_that_cannot_be_used_are_named(run_of_two):
    whole = run_of_two.weights.read_bytes()
    for damaged in (b"", b"not a safetensors file at all", whole[: len(whole) // 2], whole[:-1], b"\xff" * 100):
        run_of_two.weights.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"weights\.safetensors is damaged or no safetensors file.*Delete it"):
            load_lifter(run_of_two, "Walk")
    write_tensors(run_of_two.weights, {"Walk/head": torch.zeros(2)}, {})
    with pytest.raises(ValueError, match=r"weights\.safetensors does not fit the network that config\.json describes"):
        load_lifter(run_of_two, "Walk")
    run_of_two.weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no weights yet.*Run it again to resume"):
        load_lifter(run_of_two, "Walk")
