"""What a page of the documentation shows of a study with all labels, as Markdown: python -m recipes.labels STUDY.

One row a network and what it is told, and below the table what made it.
"""

import argparse
from pathlib import Path

from actlift.evaluation.metrics import METRICS
from actlift.report.labels_page import LabelsReport
from actlift.report.labels_tables import to_generalist
from actlift.report.tables import number
from actlift.report.words import ERRORS, metric_name
from recipes.gains import command_of, made_with


def markdown(folder: Path) -> str:
    """The errors of a study under every label and its command, seeds, corpus digest and commit; bold what is sure."""
    report = LabelsReport.open(folder)
    signs = to_generalist(report.studies)
    (at,) = report.studies
    head = [
        cell for metric in ERRORS for cell in (f"{metric_name(metric)}, {METRICS[metric].unit}", "to the generalist, %")
    ]
    lines = [f"| network | told | {' | '.join(head)} |", "|---" * (2 + len(head)) + "|"]
    for variant in at.variants:
        cells = []
        for metric in ERRORS:
            effect = " ".join(at.relative(metric, variant).printed(""))
            sure = "**" if signs.get((at.study.name, metric, variant), 0) else ""
            cells += [number(at.error(metric, variant), METRICS[metric]), effect and f"{sure}{effect}{sure}"]
        lines.append(f"| {' | '.join([*at.named(variant), *cells])} |")
    about = at.study.about
    return "\n".join([*lines, "", f"{command_of(about)}: mean over {at.people} people, {made_with(about)}."])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    print(markdown(parser.parse_args().study))
