"""The ablation of what widens training runs, resumes, and keeps apart who trains and who is scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import wide
from recipes.weights import OCCLUDED, TRUNCATED, in_sight, observed

from actlift.data.clip import Clip
from actlift.data.corpus import Corpus, write_corpus
from actlift.data.noise import Exact
from actlift.data.sources.mocap_npz import write_mocap_npz
from actlift.data.sources.synthetic import synthetic_clips
from actlift.geometry.skeleton import H36M_17

PEOPLE = dict(zip((f"syn{n}" for n in range(1, 8)), (*wide.HELD_OUT, "CMU05", "CMU14", wide.TEST[0]), strict=True))


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """Synthetic clips under the names of the people of motion capture; nobody in training would jump."""
    folder = tmp_path_factory.mktemp("mocap")
    made = synthetic_clips(subjects=7, clips=1, seconds=1.0, fps=30.0, actions=["Walking", "Squat", "Jumping"])
    clips = [replace(c, subject=PEOPLE[c.subject], name=f"{PEOPLE[c.subject]}/{c.action}") for c in made]
    for name, own in (("cmu", clips), ("cmu_v2", clips), ("hdm05", [replace(c, name=f"h/{c.name}") for c in clips])):
        write_mocap_npz(folder / f"{name}.npz", own[:: 2 if name == "hdm05" else 1])
    return folder


def test_variants_are_all_ingredients_alone_and_left_out():
    names = list(wide.INGREDIENTS)
    assert [wide.VARIANTS[f"+ {name}"] for name in names] == [{name} for name in names]
    assert all(wide.VARIANTS["all"] - wide.VARIANTS[f"all but {name}"] == {name} for name in names)
    assert set(wide.HELD_OUT).isdisjoint(wide.TEST)


def test_motions_are_as_many_whatever_becomes_of_them(sources):
    clips = wide.read_clips(sources, old=False)[:6]
    found: dict[str, list[Clip]] = {
        name: list(wide.motions(clips, frozenset(parts))) for name, parts in (("plain", ()), ("all", wide.INGREDIENTS))
    }
    assert len(found["plain"]) == len(found["all"]) == wide.VIEWS * len(clips)
    for clips_of in found.values():
        assert len({clip.name for clip in clips_of}) == len(clips_of)
    for clip, made in zip(clips, found["plain"][:: wide.VIEWS], strict=True):
        np.testing.assert_array_equal(made.joints_world, clip.joints_world)


@pytest.mark.slow
def test_it_trains_scores_and_resumes(sources, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(wide, "SETS", {name: wide.SETS[name] for name in ("people", "new actions", "hidden")})
    words = [str(sources), "--work", str(tmp_path), "--steps", "3", "--channels", "8", "--seeds", "2"]
    words += ["--only", "new data", "all"]
    wide.main(words)
    told = capsys.readouterr().out
    assert told.count("trained on") == len(wide.METRICS)
    assert "held out HDMbk" in told
    for name in ("plain", "-".join(sorted(wide.INGREDIENTS))):
        trained = Corpus.open(tmp_path / "train" / name)
        assert set(trained.subjects) == {"CMU05", "CMU14"}
        assert set(trained.actions) == {"Walking", "Squat"}
    tested = {
        of: Corpus.open(tmp_path / "test" / folder) for of, folder in (("people", "people"), ("new", "new-actions"))
    }
    assert all(set(corpus.subjects) == set(wide.HELD_OUT) for corpus in tested.values())
    assert tested["people"].actions == ("Squat", "Walking")
    assert tested["new"].actions == ("Jumping",)

    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    wide.main(words)
    again = capsys.readouterr().out
    assert "mean over people" in again
    assert told.endswith(again)  # but for the progress
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == made


def test_parts_of_bodies_are_out_of_sight_in_some_views():
    found = [in_sight(90, 30.0, (0, n)) for n in range(200)]
    np.testing.assert_array_equal(found[3], in_sight(90, 30.0, (0, 3)))
    truncated = np.mean([not seen[:, -2:].any() for seen in found])
    occluded = np.mean([not seen.all() and seen[:, -2:].any() for seen in found])
    assert truncated == pytest.approx(TRUNCATED, abs=0.08)
    assert occluded == pytest.approx(OCCLUDED, abs=0.08)
    assert all(seen[:, :7].all() for seen in found)  # faces and shoulders


def test_what_is_out_of_sight_is_filled_in_as_lifting_does_it(sources, tmp_path):
    """Legs that are never seen go along with the body, stiff; what is seen is where it was."""
    clips = [replace(c, name=f"{c.name}/{n}") for c in wide.read_clips(sources, old=False)[:2] for n in range(15)]
    corpus = write_corpus(tmp_path / "exact", clips, rig="random", cameras=1, keypoints=Exact())
    legs = [H36M_17.index("LAnkle"), H36M_17.index("RAnkle")]
    stiff = []
    for view in corpus.views:
        plain, hidden = (observed(view, Exact(), hidden=way) for way in (False, True))
        np.testing.assert_array_equal(plain, observed(view, Exact()))
        wrists = [H36M_17.index("LWrist"), H36M_17.index("RWrist")]
        changed = np.abs(hidden - plain).max(axis=(0, 2)) > 1e-6
        assert changed[legs].all() or changed[wrists].sum() <= 1
        stiff.append(np.ptp(hidden[:, legs[0]] - hidden[:, legs[1]], axis=0).max() < 1e-6)
        assert observed(view, Exact(), hidden=True, cleaned=True).shape == plain.shape
    assert 0 < np.mean(stiff) < 0.5


def test_cameras_of_the_sets_are_held_as_they_are_named(sources):
    clip = wide.read_clips(sources, old=False)[0]
    up = np.array([[c.R_cam_world[:, 2] for c in cameras(clip)] for cameras in (wide.rolled(0), wide.rolled(45))])
    turn = np.rad2deg(np.arctan2(up[..., 0], -up[..., 1]))
    np.testing.assert_allclose(turn[1] - turn[0], 45, atol=1e-6)
    for camera in wide.looking_down(60)(clip):
        assert np.rad2deg(np.arcsin(-camera.R_cam_world[2, 2])) == pytest.approx(60)
        assert (camera.world_to_cam(clip.joints_world)[..., 2] > 2).all()
