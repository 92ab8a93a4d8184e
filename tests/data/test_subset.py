"""Subsets of a corpus are whole clips that hold a share of its frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actlift.data.corpus import Corpus
from actlift.errors import InputError

SHARES = st.floats(0.0, 1.0, exclude_min=True)


@pytest.fixture(scope="module")
def whole(corpus_folder) -> Corpus:
    return Corpus.open(corpus_folder)


@given(share=SHARES, seed=st.integers(0, 2**40))
def test_a_subset_holds_its_share_in_whole_clips(whole, share, seed):
    part = whole.subset(share, seed)
    clips = {view.clip for view in part.views}
    assert part.views == tuple(view for view in whole.views if view.clip in clips)
    longest = max(sum(v.frames for v in whole.views if v.clip == clip) for clip in clips)
    assert share * whole.frames - 1e-3 <= part.frames <= share * whole.frames + longest
    assert whole.subset(share, seed).views == part.views


@given(shares=st.tuples(SHARES, SHARES), seed=st.integers(0, 1000))
def test_a_smaller_share_is_part_of_a_larger_one(whole, shares, seed):
    small, large = (whole.subset(share, seed) for share in sorted(shares))
    assert set(small.views) <= set(large.views)


def test_seeds_draw_other_clips_and_one_is_everything(whole):
    drawn = [frozenset(view.clip for view in whole.subset(0.3, seed).views) for seed in range(20)]
    assert len(set(drawn)) > 10
    assert whole.subset(1.0, 0).views == whole.views


def test_a_subset_does_not_depend_on_what_else_the_corpus_holds_in_order(whole):
    two = whole.select(actions=["Walking", "Squat"])
    assert two.subset(0.5, 3).views == whole.select(actions=["Squat", "Walking"]).subset(0.5, 3).views


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan"), float("inf")])
def test_what_is_no_share(whole, share):
    with pytest.raises(InputError, match=rf"share of the frames, over 0 to 1, got {share:g}"):
        whole.subset(share, 0)


def test_what_is_no_seed(whole):
    with pytest.raises(InputError, match="a seed is 0 or more, got -1"):
        whole.subset(0.5, -1)
