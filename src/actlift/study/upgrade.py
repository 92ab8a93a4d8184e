"""Study folders of format 1, brought to format 2; nothing here needs torch.

Format 1 called arms, matchings and files by other names, and had a variant in one string (see
:mod:`actlift.evaluation.scores`):

============================================  ======================================================================
format 1                                      format 2
============================================  ======================================================================
study.json: plan.equalities [pooled, each]    plan.matching [total, per_model], arms, format
(the clip recognizer, the only one)           plan.labels_by
runs/experts-pooled-seed0, runs/...-each-...  runs/experts-total-seed0, runs/...-per_model-...
runs/finished-..., runs/specialised-...       runs/finetuned-..., runs/finetuned-experts-...
runs/*/told.parquet                           runs/*/by_label.parquet
runs/*/labels.json: recognised                recognized
scores.parquet, labels.parquet: arm, run      arm, matching, label, mixture, smoothed, and runs by their new names
============================================  ======================================================================

Networks, logs, curves and examples stay as they are.
"""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from actlift.errors import InputError
from actlift.evaluation.scores import GENERALIST, OLD_ARMS, OLD_MATCHINGS, Scores
from actlift.files import read_json, replacing, write_json
from actlift.study.about import ABOUT

STUDY_FORMAT = 2

_SPELLED = {"recognised": "recognized"}
_RUN = re.compile(r"(?P<arm>.+?)(?:-(?P<matching>pooled|each|frames|epochs))?-seed(?P<seed>\d+)")


def upgrade_study(folder: Path) -> None:
    """Bring a study folder to this format, once; one of this format, or without study.json, is let be.

    Every new file is written beside the old one before the first takes its place, and study.json comes last: where
    something fails nothing has changed, and where the machine stops in between, the next call goes on.

    Raises:
        InputError: where study.json is no study's, or of a later format, or scores cannot be read.
        OSError: where the folder cannot be written.
    """
    path = folder / "study.json"
    if not path.is_file():
        return
    study = read_json(path)
    if not isinstance(study, dict) or not isinstance(study.get("plan"), dict):
        raise InputError(f"{path} describes no study: choose another folder")
    if study.get("format", 1) == STUDY_FORMAT:
        return
    if study.get("format", 1) != 1:
        raise InputError(
            f"{path} is of format {study['format']}, this actlift knows 1 and {STUDY_FORMAT}: was it made by a later "
            "version?"
        )
    # files take their places in the opposite order: those of the runs, then the folders of the runs, then study.json
    with ExitStack() as last_first:
        beside = last_first.enter_context(replacing(path))
        write_json(beside, _study(study))
        runs = sorted(at for at in (folder / "runs").glob("*") if at.is_dir())
        for run in runs:
            _when_well(last_first, partial(os.replace, run, run.with_name(_renamed(run.name))))
        for run in runs:
            notes = run / "labels.json"
            if notes.is_file():
                content = {_SPELLED.get(key, key): value for key, value in read_json(notes).items()}
                write_json(last_first.enter_context(replacing(notes)), content)
            told = run / "told.parquet"
            if told.is_file():
                _when_well(last_first, told.unlink)
                _write(last_first, run / "by_label.parquet", _by_label(told))
        for name in ("scores.parquet", "labels.parquet"):
            for at in (folder, *runs):
                if (at / name).is_file():
                    _write(last_first, at / name, Scores.read(at / name).table)


def _study(study: Mapping[str, Any]) -> dict[str, Any]:
    """The content of study.json."""
    plan = {("matching" if key == "equalities" else key): value for key, value in study["plan"].items()}
    plan["matching"] = [OLD_MATCHINGS.get(name, name) for name in plan["matching"]]
    plan["labels_by"] = "clip"
    plan["arms"] = [OLD_ARMS.get(name, name) for name in plan["arms"]]
    names = dict.fromkeys((GENERALIST.arm, *plan["arms"]))
    arms = {name: asdict(ABOUT[name]) for name in names}
    return {"format": STUDY_FORMAT, **study, "plan": plan, "arms": arms}


def _renamed(run: str) -> str:
    """The name of a run folder: "experts-total-seed0", "conditioned-for-finetuned-experts-seed0"."""
    base, going_on, rest = run.rpartition("-for-")
    found = _RUN.fullmatch(rest)
    if found is None:
        return run
    arm, matching = found["arm"], found["matching"]
    parts = [OLD_ARMS.get(arm, arm), OLD_MATCHINGS.get(matching, matching) if matching else "", f"seed{found['seed']}"]
    return base + going_on + "-".join(filter(None, parts))


def _by_label(told: Path) -> pd.DataFrame:
    """Errors conditioned on every label, which stands where an arm does and is no arm's name."""
    return Scores(pd.read_parquet(told).assign(matching="", label="", mixture=False, smoothed=False)).table


def _write(last_first: ExitStack, path: Path, table: pd.DataFrame) -> None:
    runs = {name: "/".join([*name.split("/")[:-1], _renamed(name.split("/")[-1])]) for name in table["run"].unique()}
    renamed = Scores(table.assign(run=table["run"].map(runs)))
    renamed.table.to_parquet(last_first.enter_context(replacing(path)), index=False)


def _when_well(last_first: ExitStack, do: Callable[[], object]) -> None:
    """Do something on the way out, unless something failed."""

    def on_the_way_out(kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            do()

    last_first.push(on_the_way_out)
