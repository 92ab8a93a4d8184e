"""Windows and their order: gathered bits are those of a loop over samples, and every row comes once a pass."""

import numpy as np
import pytest
import torch
from benchmarks.conventional import assemble
from hypothesis import given
from hypothesis import strategies as st

from actlift.data.corpus import Corpus
from actlift.data.windows import Sampler, Windows, rows_of


def some_picks(selection: Corpus, n: int, seed: int) -> tuple[list[tuple[int, int, bool]], np.ndarray, np.ndarray]:
    """Random (view, frame, flip), both ends of every view among them, and the same as rows and flips."""
    rng = np.random.default_rng(seed)
    views = rng.integers(len(selection.views), size=n)
    picks = [(int(v), int(rng.integers(selection.views[v].frames)), bool(rng.integers(2))) for v in views]
    for i, view in enumerate(selection.views):
        picks += [(i, 0, bool(i % 2)), (i, view.frames - 1, bool(i % 3))]
    rows = np.array([selection.views[v].start + frame for v, frame, _ in picks])
    return picks, rows, np.array([flip for _, _, flip in picks])


def same_bits(one: torch.Tensor, other: np.ndarray) -> bool:
    return one.dtype == torch.float32 and tuple(one.shape) == other.shape and one.numpy().tobytes() == other.tobytes()


@pytest.mark.parametrize("selected", [{}, {"actions": ["Squat", "Waving"], "subjects": ["syn1", "syn3"]}])
@pytest.mark.parametrize("receptive_field", [1, 27, 243])
def test_gathered_windows_are_those_of_a_loop_bit_for_bit(corpus, receptive_field, selected):
    selection = corpus.select(**selected)
    assert selection.lengths.min() < 27 < selection.lengths.max() < 243  # both shorter and longer views
    picks, rows, flips = some_picks(selection, 200, seed=receptive_field)
    pose2d, pose3d = Windows(selection, receptive_field).gather(rows, flips)
    sequences, targets = [v.pose2d for v in selection.views], [v.pose3d_cam for v in selection.views]
    expected2d, expected3d = assemble(sequences, targets, picks, receptive_field, selection.skeleton.mirror)
    assert same_bits(pose2d, expected2d)
    assert same_bits(pose3d, expected3d)


@pytest.mark.parametrize("receptive_field", [1, 3, 27])
def test_causal_windows_end_at_their_target(corpus, receptive_field):
    picks, rows, flips = some_picks(corpus, 50, seed=1)
    pose2d, pose3d = Windows(corpus, receptive_field, causal=True).gather(rows, flips)
    swap = list(corpus.skeleton.mirror)
    for found2d, found3d, (v, frame, flip) in zip(pose2d, pose3d, picks, strict=True):
        view = corpus.views[v]
        window = view.pose2d[[max(f, 0) for f in range(frame - receptive_field + 1, frame + 1)]]
        target = view.pose3d_cam[frame] - view.pose3d_cam[frame, :1]
        if flip:
            window, target = window[:, swap] * [-1, 1], target[swap] * [-1, 1, 1]
        np.testing.assert_array_equal(found2d.numpy(), window)
        np.testing.assert_array_equal(found3d.numpy(), target)


def test_trajectory_targets_carry_the_root_behind_the_joints(corpus):
    _, rows, flips = some_picks(corpus, 50, seed=2)
    plain = Windows(corpus, 3).gather(rows, flips)[1]
    target = Windows(corpus, 3, trajectory=True).gather(rows, flips)[1]
    assert target.shape == (len(rows), 18, 3)
    assert torch.equal(target[:, :17], plain)
    root = corpus.pose3d_cam[rows, corpus.skeleton.root] * np.where(flips[:, None], [-1, 1, 1], 1)
    np.testing.assert_array_equal(target[:, 17].numpy(), root.astype(np.float32))


def test_a_mirrored_pose_seen_by_its_camera_is_the_mirrored_window(corpus):
    """Left and right change places and x its sign in 2D and 3D alike, and doing it twice changes nothing."""
    rows = np.arange(0, corpus.frames, 7)
    windows = Windows(corpus, 9)
    (pose2d, pose3d), (flipped2d, flipped3d) = (windows.gather(rows, np.full(len(rows), f)) for f in (False, True))
    swap = list(corpus.skeleton.mirror)
    assert torch.equal(flipped2d[:, :, swap] * torch.tensor([-1, 1]), pose2d)
    assert torch.equal(flipped3d[:, swap] * torch.tensor([-1, 1, 1]), pose3d)


def test_gathering_leaves_the_corpus_as_it_is(corpus):
    before = corpus.pose2d.copy(), corpus.pose3d_cam.copy()
    rows = np.arange(corpus.frames)
    for flips in (np.ones(len(rows), bool), np.zeros(len(rows), bool)):
        for batch in Windows(corpus, 1).gather(rows, flips):
            batch.mul_(0)
    np.testing.assert_array_equal(corpus.pose2d, before[0])
    np.testing.assert_array_equal(corpus.pose3d_cam, before[1])
    corpus.verify()


def test_rows_of_views(corpus):
    squats = corpus.select(actions=["Squat"], subjects=["syn2", "syn4"])
    rows = rows_of(squats.views)
    assert len(set(rows.tolist())) == len(rows) == squats.frames
    np.testing.assert_array_equal(corpus.pose2d[rows], np.concatenate([v.pose2d for v in squats.views]))
    np.testing.assert_array_equal(rows_of(corpus.views), np.arange(corpus.frames))
    assert rows_of([]).shape == (0,)


@given(
    count=st.integers(1, 60),
    batch=st.integers(2, 150),
    seed=st.integers(0, 2**40),
    passes=st.integers(1, 3),
)
def test_every_row_comes_once_a_pass(count, batch, seed, passes):
    """Also where a batch is bigger than the member, and takes several passes."""
    rows = np.arange(count) * 3 + 1000
    sampler = Sampler(rows, batch, seed=seed, name="Walking")
    steps = -(-passes * count // batch)
    drawn = np.concatenate([sampler(step)[0] for step in range(steps)])
    assert len(drawn) == steps * batch
    for turn in range(passes):
        np.testing.assert_array_equal(np.sort(drawn[turn * count : (turn + 1) * count]), rows)


def test_a_batch_is_a_function_of_seed_name_and_step():
    rows = np.arange(100)

    def drawn(step: int, seed: int = 1, name: str = "Walking", seen: int = 0) -> tuple[list[int], list[bool]]:
        sampler = Sampler(rows, 64, seed=seed, name=name)
        for earlier in range(seen):
            sampler(earlier)
        picks, flips = sampler(step)
        return picks.tolist(), flips.tolist()

    assert drawn(5) == drawn(5) == drawn(5, seen=3) == drawn(5, seen=9)  # no state, whatever came before
    for other in (drawn(6), drawn(5, seed=2), drawn(5, name="Squat")):
        assert other[0] != drawn(5)[0]
        assert other[1] != drawn(5)[1]


def test_about_half_of_the_windows_are_flipped():
    sampler = Sampler(np.arange(10), 1000, seed=0, name="a")
    share = np.mean([sampler(step)[1] for step in range(20)])
    assert share == pytest.approx(0.5, abs=0.02)


def test_passes_differ():
    sampler = Sampler(np.arange(64), 64, seed=0, name="a")
    assert sampler(0)[0].tolist() != sampler(1)[0].tolist()


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(ValueError, match=r"nothing to train 'Walking' on.*no frames"):
        Sampler(np.zeros(0, np.int64), 8, seed=0, name="Walking")
