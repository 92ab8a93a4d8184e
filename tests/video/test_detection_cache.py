"""Detections on disk: what was found comes back to the bit, however the writer ended."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actlift.video.detection_cache import DetectionCache, FrameDetections
from actlift.video.detectors.base import Detections


def some(counts):
    rng = np.random.default_rng(len(counts))
    return [
        FrameDetections(
            i,
            i / 30,
            i == 2,
            Detections(rng.normal(size=(n, 17, 2)).astype(np.float32), rng.random((n, 17), np.float32)),
        )
        for i, n in enumerate(counts)
    ]


def alike(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one.index, one.time_s, one.cut) == (other.index, other.time_s, other.cut)
        np.testing.assert_array_equal(one.detections.points_px, other.detections.points_px)
        np.testing.assert_array_equal(one.detections.confidence, other.detections.confidence)


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(0, 3), min_size=1, max_size=6), data=st.data())
def test_what_was_kept_comes_back_and_goes_on_after_any_loss(tmp_path_factory, counts, data):
    path = tmp_path_factory.mktemp("kept") / "detections.bin"
    wanted = some(counts)
    cache = DetectionCache(path, {"a": 1}, 17)
    assert list(cache) == []
    for frame in wanted:
        cache.append(frame)
    cache.close()
    whole = path.read_bytes()
    header = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    path.write_bytes(whole[: data.draw(st.integers(header, len(whole)))])  # killed while it wrote
    cache = DetectionCache(path, {"a": 1}, 17)
    found = list(cache)
    alike(found, wanted[: len(found)])
    for frame in wanted[len(found) :]:
        cache.append(frame)
    cache.close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize(("about", "joints"), [({"a": 2}, 17), ({"a": 1}, 33)])
def test_detections_of_something_else_are_made_anew(tmp_path, about, joints):
    path = tmp_path / "detections.bin"
    cache = DetectionCache(path, {"a": 1}, 17)
    cache.append(some([1])[0])
    cache.close()
    other = DetectionCache(path, about, joints)
    assert list(other) == []
    other.close()
