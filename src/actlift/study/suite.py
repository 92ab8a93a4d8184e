"""A suite: the studies of a preset, one behind the other, in one folder (see :mod:`actlift.report.results`).

Running the same suite again resumes what is unfinished and retrains nothing that is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from actlift.data.corpus import Corpus
from actlift.data.noise import kind_of
from actlift.errors import InputError
from actlift.files import read_json, remove_leftovers, write_json
from actlift.geometry.camera import Camera
from actlift.study.experiment import Progress, amount_of, run_study, split_of
from actlift.study.plan import Plan
from actlift.study.presets import SUITE_FORMAT, settings_of
from actlift.training.run import environment

PAPERS_FOCUS = "Eating"


def run_suite(
    folder: Path,
    corpus: Corpus,
    preset: str,
    base: Plan,
    *,
    also: Corpus | None = None,
    scale: float = 1.0,
    receptive_fields: tuple[int, ...] = (),
    on_progress: Callable[[str, Progress], None] = lambda _name, _progress: None,
) -> None:
    """Run every study of a preset into ``folder``.

    Args:
        preset, base, scale, receptive_fields: see :func:`actlift.study.presets.settings_of`.
        also: the same clips seen by the same cameras, with other 2D keypoints: every setting is run on it too, named
            after them: "27f" and then "27f detector".
        on_progress: told now and then the setting's name and how far the whole suite is.

    Raises:
        InputError: as :func:`actlift.study.presets.settings_of` and :func:`actlift.study.experiment.run_study`, for
            another corpus that differs in more than its keypoints, or for a folder that holds another suite or
            something else.
        OSError: where the folder cannot be written.
        Interrupted: after Ctrl-C; the same call resumes.
    """
    training, _ = split_of(corpus, base)
    plans = settings_of(preset, base, training_frames=training.frames, scale=scale, receptive_fields=receptive_fields)
    settings = {name: (corpus, plan) for name, plan in plans.items()}
    if also is not None:
        _check_alike(corpus, also)
        settings |= {f"{name} {kind_of(also.provenance['keypoints'])}": (also, plan) for name, plan in plans.items()}
    amounts = {name: amount_of(seen, plan) for name, (seen, plan) in settings.items()}
    folders = {name: name.replace(" ", "-") for name in settings}
    about = {"preset": preset, "scale": float(scale), "settings": folders, "digest": corpus.digest}
    _claim(folder, training, about if also is None else {**about, "also": also.digest})
    count, total = map(sum, zip(*amounts.values(), strict=True))
    done_windows = done_jobs = 0
    for name, (seen, plan) in settings.items():

        def on_study_progress(
            at: Progress, name: str = name, before: tuple[int, int] = (done_windows, done_jobs)
        ) -> None:
            of_all = replace(
                at, number=before[1] + at.number, jobs=count, windows=before[0] + at.windows, windows_total=total
            )
            on_progress(name, of_all)

        run_study(folder / folders[name], seen, plan, on_progress=on_study_progress)
        done_jobs += amounts[name][0]
        done_windows += amounts[name][1]


def _check_alike(corpus: Corpus, also: Corpus) -> None:
    """Raises InputError where corpora differ in more than their 2D keypoints, or not in these; says in what."""

    def differs(what: str) -> InputError:
        return InputError(
            f"{also.folder} differs from {corpus.folder} in its {what}: prepare both from the same sources with the "
            "same rig, cameras, fps, seed and exclusions, and other --keypoints"
        )

    if also.digest == corpus.digest:
        raise InputError(f"{also.folder} is the same corpus as {corpus.folder}: give one with other --keypoints")
    for what, name in (("people", "subject"), ("actions", "action"), ("clips", "clip"), ("cameras", "camera_name")):
        here, there = ({getattr(view, name) for view in side.views} for side in (corpus, also))
        if here != there:
            raise differs(f"{what} ({', '.join(sorted(here ^ there)[:5])} in one alone)")
    if corpus.fps != also.fps:
        raise differs(f"frame rate ({also.fps:g} and {corpus.fps:g} fps)")
    if [(v.clip, v.camera_name, v.frames) for v in corpus.views] != [
        (v.clip, v.camera_name, v.frames) for v in also.views
    ]:
        raise differs("frames")
    for one, other in zip(corpus.views, also.views, strict=True):
        if not all(np.allclose(value, there) for value, there in _numbers(one.camera, other.camera)):
            raise differs(f"cameras ({one.camera_name} of {one.clip} stands elsewhere or has another lens)")


def _numbers(one: Camera, other: Camera) -> list[tuple[Any, Any]]:
    here, there = one.to_dict(), other.to_dict()
    return [(here[key], there[key]) for key in here if key != "name"]


def _claim(folder: Path, training: Corpus, of_suite: Mapping[str, Any]) -> None:
    """Write suite.json, or check that the folder holds the same suite."""
    path = folder / "suite.json"
    amounts = {a: sum(v.frames for v in training.views if v.action == a) for a in training.actions}
    about = {
        "format": SUITE_FORMAT,
        **of_suite,
        "focus": PAPERS_FOCUS if PAPERS_FOCUS in amounts else max(amounts, key=lambda action: amounts[action]),
    }
    remove_leftovers(path)
    if path.exists():
        there = read_json(path)
        if not isinstance(there, dict) or there.get("format") != SUITE_FORMAT:
            raise InputError(f"{path} describes no suite of format {SUITE_FORMAT}: choose another folder")
        if differing := [k for k in about if there.get(k) != about[k]]:
            shown = "; ".join(f"{k}: there {there.get(k)!r}, asked for {about[k]!r}" for k in differing)
            raise InputError(f"{folder} holds another suite ({shown}). Choose another folder, or delete this one.")
    elif folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty and holds no suite: choose another folder")
    write_json(path, {**about, **environment()})
