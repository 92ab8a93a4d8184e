"""A stream gives, frame by frame, what lifting the whole sequence gives."""

import numpy as np
import pytest
import torch
from benchmarks.conventional import ConvolutionalTCN
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.networks import WIDTHS, network_of

from actlift.lifting.predict import lift
from actlift.lifting.stream import RoutedStream, Stream, fade_window
from actlift.models.tcn_inference import FoldedTCN


def keypoints(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*shape, 2)).astype(np.float32)


def streamed(stream, frames) -> np.ndarray:
    """All poses for frames (t, j, 2) or (t, streams, j, 2), those at the end included."""
    poses = [pose for frame in frames if (pose := stream.push(frame)) is not None]
    return np.concatenate([*(pose[None] for pose in poses), stream.flush()])


@settings(max_examples=40, deadline=None)
@given(
    widths=WIDTHS,
    causal=st.booleans(),
    trajectory=st.booleans(),
    flip=st.booleans(),
    streams=st.integers(1, 3),
    length=st.integers(1, 150),
)
def test_a_stream_is_the_whole_sequence(widths, causal, trajectory, flip, streams, length):
    network = network_of(widths, causal=causal, trajectory=trajectory)
    frames = keypoints(length, streams, 17)
    expected = np.stack(lift(network, list(frames.swapaxes(0, 1)), flip=flip), axis=1)
    stream = Stream(network, streams=streams, flip=flip)
    for _ in range(2):  # it begins anew after its end
        found = streamed(stream, frames if streams > 1 else frames[:, 0])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected if streams > 1 else expected[:, 0], atol=1e-5, rtol=0)


def test_a_pose_is_that_of_the_window_around_its_frame():
    """Against the conventional network, which sees one receptive field for each frame."""
    network = network_of((3, 3, 3), 48)
    reference = ConvolutionalTCN((3, 3, 3), 48, strided=True).load_rows(network).eval()
    frames, stream = keypoints(60, 17), Stream(network)
    assert stream.delay == 13
    for now, frame in enumerate(frames):
        pose = stream.push(frame)
        if now < 13:
            assert pose is None
            continue
        window = frames[np.maximum(np.arange(now - 26, now + 1), 0)]
        with torch.no_grad():
            expected = reference(torch.from_numpy(window[None]))[0, 0].numpy()
        np.testing.assert_allclose(pose, expected, atol=1e-5)


def test_a_causal_stream_answers_at_once():
    network = network_of((3, 3, 3), causal=True)
    frames, stream = keypoints(40, 17), Stream(network)
    assert stream.delay == 0
    found = np.stack([stream.push(frame) for frame in frames])
    np.testing.assert_allclose(found, lift(network, [frames], flip=False)[0], atol=1e-5)
    assert stream.flush().shape == (0, 17, 3)


def test_poses_given_are_not_written_to_again():
    stream = Stream(network_of((3,), causal=True))
    first = stream.push(keypoints(17))
    kept = first.copy()
    stream.push(keypoints(17, seed=1))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5])
def test_the_end_of_a_short_sequence(length):
    network = network_of((3, 3))  # delay 4
    frames, stream = keypoints(length, 17), Stream(network)
    poses = [stream.push(frame) for frame in frames]
    assert [p is None for p in poses] == [True] * min(length, 4) + [False] * max(length - 4, 0)
    last = stream.flush()
    assert last.shape == (min(length, 4), 17, 3)
    assert last.dtype == np.float32
    if length:
        np.testing.assert_allclose(last, lift(network, [frames], flip=False)[0][-4:], atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_a_stream_begins_anew_beside_others(flip):
    network = network_of((3, 3))  # delay 4
    frames, stream = keypoints(50, 2, 17), Stream(network, streams=2, flip=flip)
    whole, *parts = lift(network, [frames[:, 0], frames[:20, 1], frames[20:48, 1], frames[48:, 1]], flip=flip)
    poses = []
    for now, frame in enumerate(frames):
        if now in (20, 48):
            stream.reset(1)
        poses.append(stream.push(frame))
    assert poses[:4] == [None] * 4
    found = np.concatenate([poses[4:], stream.flush()])
    np.testing.assert_allclose(found[:, 0], whole, atol=1e-5)
    expected = np.concatenate([parts[0][:16], np.full((4, 17, 3), np.nan), parts[1][:24], parts[2]])
    # the last part has 2 frames, so its poses come with the last two of the flush
    expected = np.insert(expected, 44, np.full((4, 17, 3), np.nan), axis=0)
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-5)


def test_a_stream_without_frames_has_no_poses_at_the_end():
    network, frames = network_of((3, 3)), keypoints(9, 2, 17)
    stream = Stream(network, streams=2)
    for frame in frames:
        stream.push(frame)
    stream.reset(0)
    last = stream.flush()
    assert np.isnan(last[:, 0]).all()
    np.testing.assert_allclose(last[:, 1], lift(network, [frames[:, 1]], flip=False)[0][-4:], atol=1e-5)
    assert stream.flush().shape == (0, 2, 17, 3)


def test_all_streams_begin_anew():
    stream, frames = Stream(network_of((3, 3)), streams=2), keypoints(12, 2, 17)
    expected = streamed(stream, frames)
    stream.push(frames[3])
    stream.reset()
    np.testing.assert_allclose(streamed(stream, frames), expected, atol=1e-6)


@pytest.mark.parametrize("at", [0, 40])
def test_missing_keypoints_pass(at):
    """They spoil the poses that see them, as in the whole sequence, and no later ones."""
    network, frames = network_of((3, 3, 3)), keypoints(100, 17)
    frames[at] = np.nan
    expected = lift(network, [frames])[0]
    found = streamed(Stream(network, flip=True), frames)
    assert np.isnan(found).any()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bfloat16_stays_near_float32():
    """Within 1 % in norm; equal to the whole sequence in bfloat16 up to how sums are rounded."""
    network, frames = network_of((3, 3, 3), 64), keypoints(80, 17)
    exact = lift(network, [frames])[0]
    found = streamed(Stream(network, flip=True, dtype=torch.bfloat16), frames)
    assert 0 < np.linalg.norm(found - exact) < 1e-2 * np.linalg.norm(exact)
    np.testing.assert_array_equal(streamed(Stream(FoldedTCN(network, torch.bfloat16), flip=True), frames), found)


@pytest.mark.parametrize(
    ("streams", "shape", "message"),
    [
        (1, (16,), "takes 17 joints, got 16: remap the keypoints first"),
        (1, (1, 17), r"a frame of 1 stream\(s\) has shape \(17, 2\), got \(1, 17, 2\)"),
        (2, (17,), r"a frame of 2 stream\(s\) has shape \(2, 17, 2\), got \(17, 2\)"),
        (2, (3, 17), r"a frame of 2 stream\(s\) has shape \(2, 17, 2\), got \(3, 17, 2\)"),
    ],
)
def test_frames_that_are_refused_leave_the_stream_as_it_was(streams, shape, message):
    network = network_of((3,))
    stream, fresh = Stream(network, streams=streams), Stream(network, streams=streams)
    frames = keypoints(6, *((streams,) if streams > 1 else ()), 17)
    stream.push(frames[0])
    with pytest.raises(ValueError, match=message):
        stream.push(keypoints(*shape))
    poses = [stream.push(frame) for frame in frames[1:]]
    fresh.push(frames[0])
    np.testing.assert_array_equal(poses, [fresh.push(frame) for frame in frames[1:]])


def test_streams_there_are_not():
    with pytest.raises(ValueError, match="at least one stream, got 0"):
        Stream(network_of((3,)), streams=0)
    stream = Stream(network_of((3,)), streams=2)
    for index in (-1, 2):
        with pytest.raises(ValueError, match=f"there are streams 0 to 1, got {index}"):
            stream.reset(index)


# catching up


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    widths=WIDTHS,
    causal=st.booleans(),
    flip=st.booleans(),
    streams=st.integers(1, 2),
    length=st.integers(1, 150),
    warm=st.integers(0, 40),
)
def test_a_replay_is_pushing_every_frame(widths, causal, flip, streams, length, warm):
    network = network_of(widths, causal=causal)
    frames = keypoints(length + 40, *((streams,) if streams > 1 else ()), 17)
    pushed, replayed = (Stream(network, streams=streams, flip=flip) for _ in range(2))
    for frame in keypoints(warm, *frames.shape[1:-1], seed=1):
        replayed.push(frame)
    for frame in frames[:length]:
        pushed.push(frame)
    replayed.replay(frames[:length])
    for frame in frames[length:]:
        one, other = pushed.push(frame), replayed.push(frame)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(other, one, atol=1e-5, rtol=0)
    np.testing.assert_allclose(replayed.flush(), pushed.flush(), atol=1e-5, rtol=0)


def test_a_replay_in_bfloat16_is_pushing_up_to_rounding():
    network, frames = network_of((3, 3, 3), 64), keypoints(60, 17)
    pushed, replayed = (Stream(network, dtype=torch.bfloat16) for _ in range(2))
    for frame in frames[:59]:
        pushed.push(frame)
    replayed.replay(frames[:59])
    expected = pushed.push(frames[59])
    assert np.linalg.norm(replayed.push(frames[59]) - expected) < 1e-2 * np.linalg.norm(expected)


def test_what_cannot_be_replayed_is_refused():
    stream = Stream(network_of((3,)))
    with pytest.raises(ValueError, match="nothing to replay: give at least one frame"):
        stream.replay(keypoints(0, 17))
    with pytest.raises(ValueError, match="takes 17 joints, got 16: remap the keypoints first"):
        stream.replay(keypoints(3, 16))


# labels


@given(st.integers(0, 40))
def test_a_new_label_gains_weight_as_a_raised_cosine(frames):
    n = max(frames, 1)
    weight = np.cumsum(fade_window(frames))
    np.testing.assert_allclose(weight, (1 - np.cos(np.pi * np.arange(1, n + 1) / n)) / 2, atol=1e-12)


def test_only_lifters_within_the_fade_run_and_one_that_comes_into_use_catches_up_in_one_call(monkeypatch):
    pushed, replayed = [], []
    push, replay = Stream.push, Stream.replay
    monkeypatch.setattr(Stream, "push", lambda self, frame: pushed.append(self) or push(self, frame))
    monkeypatch.setattr(Stream, "replay", lambda self, frames: replayed.append(len(frames)) or replay(self, frames))
    networks = {str(i): network_of((3, 3), causal=True, seed=i) for i in range(5)}
    stream = RoutedStream(networks, fade_frames=4)
    running = []
    for frame, label in zip(keypoints(40, 17), ["0"] * 20 + ["3"] * 20, strict=True):
        pushed.clear()
        stream.push(frame, label)
        running.append(len(pushed))
    assert running == [1] * 20 + [2] * 3 + [1] * 17  # the fourth frame of the fade is the new lifter's alone
    assert replayed == [9]  # a receptive field


def test_one_label_is_the_plain_stream():
    networks = {"a": network_of((3, 3)), "b": network_of((3, 3), seed=1)}
    frames, stream = keypoints(30, 17), RoutedStream(networks, fade_frames=5, flip=True)
    for label, network in networks.items():  # it begins anew after its end
        poses = [pose for frame in frames if (pose := stream.push(frame, label)) is not None]
        found = np.concatenate([poses, stream.flush()])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, lift(network, [frames])[0], atol=1e-5)
    assert stream.flush().shape == (0, 17, 3)


def test_a_routed_frame_that_is_refused_leaves_the_stream_as_it_was():
    networks = {"a": network_of((3,)), "b": network_of((3,), seed=1)}
    stream, fresh = (RoutedStream(networks, fade_frames=3) for _ in range(2))
    for i, frame in enumerate(keypoints(8, 17)):
        label = "ab"[i > 3]
        with pytest.raises(ValueError, match="takes 17 joints, got 16"):
            stream.push(keypoints(16), label)
        with pytest.raises(ValueError, match="no lifter for c; there are lifters for a, b"):
            stream.push(frame, "c")
        one, other = stream.push(frame, label), fresh.push(frame, label)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)


def test_a_frame_may_be_written_to_once_it_is_pushed():
    networks = {"a": network_of((3, 3), causal=True), "b": network_of((3, 3), causal=True, seed=1)}
    reused, fresh = (RoutedStream(networks, fade_frames=0) for _ in range(2))
    buffer = np.empty((17, 2), np.float32)
    for i, frame in enumerate(keypoints(12, 17)):
        buffer[:] = frame
        label = "ab"[i > 5]
        np.testing.assert_array_equal(reused.push(buffer, label), fresh.push(frame, label))


def test_lifters_that_cannot_take_turns_are_refused():
    with pytest.raises(ValueError, match="at least one lifter, all of one shape"):
        RoutedStream({}, fade_frames=3)
    with pytest.raises(ValueError, match=r"all of one shape.*\(3, False, 17, 17\), \(9, False, 17, 17\)"):
        RoutedStream({"a": network_of((3,)), "b": network_of((3, 3))}, fade_frames=3)
    with pytest.raises(ValueError, match="a fade lasts 0 frames or more, got -1"):
        RoutedStream({"a": network_of((3,))}, fade_frames=-1)
