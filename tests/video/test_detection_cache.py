"""Sightings on disk: what was found comes back to the bit, however the writer ended."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actlift.video.detection_cache import Sighting, Sightings
from actlift.video.detectors.base import Detections


def some(counts):
    rng = np.random.default_rng(len(counts))
    return [
        Sighting(
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
        np.testing.assert_array_equal(one.people.points_px, other.people.points_px)
        np.testing.assert_array_equal(one.people.confidence, other.people.confidence)


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(0, 3), min_size=1, max_size=6), data=st.data())
def test_what_was_kept_comes_back_and_goes_on_after_any_loss(tmp_path_factory, counts, data):
    path = tmp_path_factory.mktemp("kept") / "sightings.bin"
    wanted = some(counts)
    kept = Sightings(path, {"a": 1}, 17)
    assert list(kept) == []
    for sighting in wanted:
        kept.append(sighting)
    kept.close()
    whole = path.read_bytes()
    header = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    path.write_bytes(whole[: data.draw(st.integers(header, len(whole)))])  # killed while it wrote
    kept = Sightings(path, {"a": 1}, 17)
    found = list(kept)
    alike(found, wanted[: len(found)])
    for sighting in wanted[len(found) :]:
        kept.append(sighting)
    kept.close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize(("about", "joints"), [({"a": 2}, 17), ({"a": 1}, 33)])
def test_sightings_of_something_else_are_made_anew(tmp_path, about, joints):
    path = tmp_path / "sightings.bin"
    kept = Sightings(path, {"a": 1}, 17)
    kept.append(some([1])[0])
    kept.close()
    other = Sightings(path, about, joints)
    assert list(other) == []
    other.close()
