"""What a page of the documentation shows of a study's `gains.csv`, as Markdown: python -m recipes.gains STUDY.

One table an error, arms beside their controls, as they are and smoothed, and below them what made them. The pages hold
what this prints, and nothing typed.
"""

import argparse
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from actlift.evaluation.metrics import METRICS
from actlift.files import read_json
from actlift.report.gains_page import write_gains_page
from actlift.report.tables import MINUS, number

SHOWN = ("mpjpe", "mpjve")


def markdown(study: Path) -> str:
    """The tables of a study folder and its command, seeds, corpus digest and commit."""
    write_gains_page(study)
    gains = pd.read_csv(study / "gains.csv", keep_default_na=False, na_values=["", "nan"])
    about = read_json(study / "study.json")
    lines = [line for metric in SHOWN for line in _table(gains[gains["metric"] == metric], metric)]
    return "\n".join([*lines, f"{command_of(about)}: {made_with(about)}."])


def made_with(about: Mapping[str, Any]) -> str:
    """Seeds, corpus digest and commit of a study, as its `study.json` has them."""
    seeds = ", ".join(map(str, about["plan"]["seeds"]))
    return f"seeds {seeds}, corpus digest `{about['fixed']['corpus'][:12]}`, commit {about['commit']}"


def command_of(about: Mapping[str, Any]) -> str:
    """The command that a study or suite says made it, as others would type it."""
    program, *words = str(about["command"]).split(" ")
    return f"`{' '.join([Path(program).name, *words])}`"


def _table(gains: pd.DataFrame, metric: str) -> Iterator[str]:
    people = int(gains["people"].max())
    measure = METRICS[metric]
    yield f"{measure.title}, {measure.unit}, mean over {people} people; differences in % with 95 % intervals:"
    yield ""
    half = ("error", "to the generalist", "to its best control")
    yield f"| arm | {' | '.join(half)} | smoothed: {' | '.join(half)} |"
    yield "|---" * 7 + "|"
    for arm, of_arm in gains.groupby("arm", sort=False):
        cells = []
        for smoothed in (False, True):
            own = of_arm[of_arm["smoothed"] == smoothed]
            cells += _cells(own.iloc[0].to_dict()) if len(own) else [""] * 3
        yield f"| {arm} | {' | '.join(cells)} |"
    yield ""


def _cells(row: dict[str, object]) -> list[str]:
    control = _difference(row, "control")
    if control:
        sure = "" if row["sure"] == 0 else "**"
        control = f"{sure}{control}{sure} ({row['control']})"
    return [number(float(str(row["error"])), METRICS[str(row["metric"])]), _difference(row, "generalist"), control]


def _difference(row: dict[str, object], of: str) -> str:
    effect, low, high = (float(str(row[f"over {of}, %{end}"])) for end in ("", " low", " high"))
    if math.isnan(effect):
        return ""
    within = "" if math.isnan(low) else f" [{low:+.1f}, {high:+.1f}]"
    return f"{effect:+.1f}{within}".replace("-", MINUS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    print(markdown(parser.parse_args().study))
