"""What a page of the documentation says of the paper's claims, as Markdown: python -m recipes.verdicts SUITE.

One row a claim and way of counting, one column a matching of budgets: status, experts against the generalist with its
95 % interval, the same of experts for random parts, and what made them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from actlift.report.claims import Verdict
from actlift.report.results import Suite
from actlift.report.suite_page import IN_SHORT, SuiteReport
from actlift.report.words import counted, matching_name
from recipes.gains import command_of

SURE = ("supported", "contradicted")


def markdown(folder: Path) -> str:
    """The verdicts of a suite's folder, and its command, seeds, corpus digest and commit."""
    report = SuiteReport.open(folder)
    tested = [verdict for verdict in report.verdicts if verdict.status != "not tested"]
    matchings = list(dict.fromkeys(verdict.matching for verdict in tested))
    lines = [
        f"| claim | {' | '.join(map(matching_name, matchings))} |",
        "|---" * (1 + len(matchings)) + "|",
    ]
    for claim, counting in dict.fromkeys((verdict.claim, verdict.counting) for verdict in tested):
        rows = [v for v in tested if (v.claim, v.counting) == (claim, counting)]
        (caveat,) = {verdict.caveat for verdict in rows}
        notes = "; ".join(filter(None, (counting, caveat)))
        cells = ["; ".join(_cell(verdict) for verdict in rows if verdict.matching == m) for m in matchings]
        lines.append(f"| {claim} {IN_SHORT[claim]}{notes and f' ({notes})'} | {' | '.join(cells)} |")
    left = ", ".join(dict.fromkeys(v.claim for v in report.verdicts if v.status == "not tested"))
    lines += ["", f"Not tested by this preset: {left}.", ""] if left else [""]
    return "\n".join([*lines, _made_by(report.suite, report.verdicts)])


def _cell(verdict: Verdict) -> str:
    status = f"**{verdict.status}**" if verdict.status in SURE else verdict.status
    effect = " ".join(verdict.estimate.printed(verdict.unit))
    control = " ".join(verdict.control.printed(verdict.unit)) if verdict.control else ""
    return ", ".join(filter(None, (status, effect, control and f"random {control}")))


def _made_by(suite: Suite, found: Sequence[Verdict]) -> str:
    scores = suite.studies[0].scores.table
    people, seeds = scores["subject"].nunique(), sorted(int(seed) for seed in scores["seed"].unique())
    return (
        f"{command_of(suite.about)}: {counted(people, 'test person', 'test people')}, seeds "
        f"{', '.join(map(str, seeds))}, {len(found)} verdicts corrected together (Holm), corpus digest "
        f"`{suite.about['digest'][:12]}`, commit {suite.about['commit']}."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", type=Path)
    print(markdown(parser.parse_args().suite))
