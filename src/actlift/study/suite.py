"""A suite: the studies of a preset, one behind the other, in one folder (see :mod:`actlift.report.results`).

Running the same suite again resumes what is unfinished and retrains nothing that is done.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from actlift.data.corpus import Corpus
from actlift.errors import InputError
from actlift.files import read_json, remove_leftovers, write_json
from actlift.study.arms import plan_jobs
from actlift.study.experiment import Progress, run_study
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
    scale: float = 1.0,
    receptive_fields: tuple[int, ...] = (),
    on_progress: Callable[[str, Progress], None] = lambda _name, _progress: None,
) -> None:
    """Run every study of a preset into ``folder``.

    Args:
        preset, base, scale, receptive_fields: see :func:`actlift.study.presets.settings_of`.
        on_progress: told now and then the setting's name and how far the whole suite is.

    Raises:
        InputError: as :func:`actlift.study.presets.settings_of` and :func:`actlift.study.experiment.run_study`, or for
            a folder that holds another suite or something else.
        OSError: where the folder cannot be written.
        Interrupted: after Ctrl-C; the same call resumes.
    """
    training, _ = base.split(corpus)
    plans = settings_of(preset, base, training_frames=training.frames, scale=scale, receptive_fields=receptive_fields)
    jobs = {name: plan_jobs(training, plan) for name, plan in plans.items()}
    _claim(folder, corpus, training, preset, scale, plans)
    windows = {name: sum(job.windows for job in of_plan) for name, of_plan in jobs.items()}
    total, count = sum(windows.values()), sum(map(len, jobs.values()))
    done_windows = done_jobs = 0
    for name, plan in plans.items():

        def on_study_progress(
            at: Progress, name: str = name, before: tuple[int, int] = (done_windows, done_jobs)
        ) -> None:
            of_all = replace(
                at, number=before[1] + at.number, jobs=count, windows=before[0] + at.windows, windows_total=total
            )
            on_progress(name, of_all)

        run_study(folder / name, corpus, plan, on_progress=on_study_progress)
        done_windows += windows[name]
        done_jobs += len(jobs[name])


def _claim(folder: Path, corpus: Corpus, training: Corpus, preset: str, scale: float, plans: dict[str, Plan]) -> None:
    """Write suite.json, or check that the folder holds the same suite."""
    path = folder / "suite.json"
    amounts = {a: sum(v.frames for v in training.views if v.action == a) for a in training.actions}
    about = {
        "format": SUITE_FORMAT,
        "preset": preset,
        "scale": float(scale),
        "settings": {name: name for name in plans},
        "focus": PAPERS_FOCUS if PAPERS_FOCUS in amounts else max(amounts, key=lambda action: amounts[action]),
        "digest": corpus.digest,
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
