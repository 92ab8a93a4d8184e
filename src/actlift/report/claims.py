"""Verdicts on the paper's claims (`paper.json`), each decided by a stated rule on a suite's scores and curves.

A claim is supported or contradicted, for people in general, only where its p-value is at most 5 % once corrected for
all verdicts of the report (Holm); where fewer than `MIN_PEOPLE` people were tested its status is "these people only".
Nothing is decided on networks that do no better than the nearest training pose (:func:`actlift.report.gains.unlearnt`):
their status is "not learnt".
The rules are in :mod:`actlift.report.claim_rules`; intervals are those of single effects. Experts are told the true
action of every test clip (oracle).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actlift.evaluation.intervals import LEVEL, MIN_PEOPLE, holm
from actlift.evaluation.scores import GENERALIST, Variant
from actlift.files import read_json, write_json
from actlift.report.audit import PAPER
from actlift.report.claim_rules import RULES, Evidence, Finding, Rule, Status, untested
from actlift.report.estimate import THESE_PEOPLE, UNKNOWN, Estimate, whom
from actlift.report.results import CONTROL, Suite, is_experts
from actlift.report.words import matching_name

if TYPE_CHECKING:
    from rich.console import Console

ANYBODY = "anybody"
STYLES = {
    "supported": "green",
    "contradicted": "red",
    "undecided": "yellow",
    THESE_PEOPLE: "dim",
    "not learnt": "dim",
    "not tested": "dim",
}


@dataclass(frozen=True)
class Verdict:
    """What a suite says of one claim, under one matching of budgets.

    Attributes:
        claim, text: "C1", and what it claims.
        matching: how the experts' budget matches the generalist's ("per_model"); "" if not tested.
        counting: for costs, whose are counted ("one expert"), else "".
        status: supported, contradicted, undecided, these people only, not learnt or not tested.
        estimate, unit: experts against the generalist, with its 95 % interval.
        p: how often chance alone would lead to this verdict; NaN where it has no say or nobody can tell.
        adjusted: that, corrected for all verdicts of the report (Holm).
        whom: for whom it holds: "people in general", "these people only", "these people, other trainings", or "anybody"
            where costs alone decide.
        seeds: trainings of each arm, the fewest of any; with one, other seeds may differ.
        control: the same effect of random-experts, which have the experts' amount of data and none of its relevance.
        where: the studies: "27f, 1,809 steps".
        caveat: "judged at 27 frames, printed for 243", where these saw other numbers of frames than the paper's.
        sentence: the finding in plain words, with its numbers.
        definition: how it was decided.
    """

    claim: str
    text: str
    matching: str
    counting: str
    status: Status
    estimate: Estimate
    unit: str
    p: float
    adjusted: float
    whom: str
    seeds: int
    control: Estimate | None
    where: str
    caveat: str
    sentence: str
    definition: str

    @property
    def budget(self) -> str:
        """Matching and counting, in words: "per model, one expert"."""
        return ", ".join(filter(None, (matching_name(self.matching), self.counting)))

    @property
    def style(self) -> str:
        """The color of the status: none where it is not one of people in general."""
        return STYLES[self.status] if self.whom in (whom(MIN_PEOPLE), ANYBODY) else "dim"

    def record(self) -> dict[str, Any]:
        """What verdicts.json holds of it; None for NaN."""
        return {
            **{name: getattr(self, name) for name in ("claim", "text", "matching", "counting", "status", "whom")},
            **_numbers(self.estimate),
            "unit": self.unit,
            **{name: _or_none(getattr(self, name)) for name in ("p", "adjusted")},
            "seeds": self.seeds,
            "control": _numbers(self.control) if self.control else None,
            **{name: getattr(self, name) for name in ("where", "caveat", "sentence", "definition")},
        }


def verdicts(suite: Suite) -> list[Verdict]:
    """Decide every claim on the keypoints of the first corpus, under each matching of budgets that has experts.

    Raises:
        InputError: where arms, or two studies that a claim pairs, were not scored on the same clips.
    """
    seen = [Evidence.of(study, suite.focus) for study in suite.of_first_corpus]
    judged: list[Judged] = []
    for claim in read_json(PAPER)["claims"]:
        rule = RULES[claim["id"]]
        if suite.preset in rule.presets:
            judged += _judged(claim, rule, seen)
        else:
            judged.append(Judged(claim, rule, untested("it takes a suite of --preset " + " or ".join(rule.presets))))
    p = [math.nan if one.finding.p is None or one.still else one.finding.p for one in judged]
    return [_verdict(one, adjusted, len(judged)) for one, adjusted in zip(judged, holm(p), strict=True)]


def write_verdicts(path: Path, suite: Suite, found: Sequence[Verdict]) -> None:
    """Write verdicts as JSON, with the suite's command, corpus digest and seeds; numbers that are NaN become null.

    Raises:
        OSError: where the file cannot be written; an older one is then left as it was.
    """
    seeds = {int(seed) for study in suite.studies for seed in study.scores.table["seed"].unique()}
    write_json(
        path,
        {
            "command": suite.about["command"],
            "digest": suite.about["digest"],
            "seeds": sorted(seeds),
            "verdicts": [verdict.record() for verdict in found],
        },
    )


def print_verdicts(console: "Console", found: Sequence[Verdict]) -> None:
    """Print a table of all verdicts, then each claim with what was found of it."""
    from rich.box import SIMPLE_HEAD
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, title="The paper's claims", title_justify="left")
    for name in ("claim", "budgets", "status"):
        grid.add_column(name)
    for name in ("effect\n[95 % interval]", "of random-experts\n[95 % interval]"):
        grid.add_column(name, justify="right")
    for verdict in found:
        effects = [
            "\n".join(filter(None, e.printed(verdict.unit))) for e in (verdict.estimate, verdict.control or UNKNOWN)
        ]
        grid.add_row(verdict.claim, verdict.budget, Text(verdict.status, verdict.style), *effects)
    console.print(grid)
    console.print(
        "Effects are experts against the generalist, mean over people: negative is a lower error. Experts are told "
        "the true action.\n"
        "A status is corrected for the number of verdicts (Holm); intervals are those of single effects.\n"
        "random-experts, the control, have as much data and none of its relevance.",
        style="dim",
        highlight=False,
    )
    for claim, text in {verdict.claim: verdict.text for verdict in found}.items():
        console.print(Text(f"\n{claim} {text}", style="dim"))
        for verdict in (v for v in found if v.claim == claim):
            told = verdict.status + (f" ({verdict.whom})" if verdict.whom not in ("", verdict.status) else "")
            line = Text.assemble((f"{told}: ", verdict.style), verdict.sentence)
            if verdict.caveat:
                line.append(f" ({verdict.caveat})", "dim")
            console.print(Padding(line, (0, 0, 0, 2)))


@dataclass(frozen=True, eq=False)
class Judged:
    """What a rule says of a claim, not yet corrected for the other verdicts."""

    claim: Mapping[str, Any]
    rule: Rule
    finding: Finding
    variant: Variant | None = None
    counting: str = ""
    studies: Sequence[Evidence] = ()
    control: Estimate | None = None

    @property
    def still(self) -> list[Variant]:
        """The variants it speaks of that have not learnt to lift."""
        spoken_of = (GENERALIST, self.variant) if self.variant else ()
        return [variant for variant in spoken_of if any(variant in at.still for at in self.studies)]


def _judged(claim: Mapping[str, Any], rule: Rule, seen: Sequence[Evidence]) -> Iterator[Judged]:
    """Judge one claim, for each matching of budgets and way of counting."""
    studies = rule.studies(seen)
    experts = dict.fromkeys(v for at in studies for v in at.study.scores.variants if is_experts(v))
    if not studies:
        yield Judged(claim, rule, untested("it takes a second, wider receptive field"))
    elif not experts:
        yield Judged(claim, rule, untested("no experts were trained"))
    for variant in experts:
        control = Variant(CONTROL, variant.matching)
        known = all(control in at.samples["mpjpe"].averages for at in studies)
        for counting, judge in rule.judges.items():
            beside = judge(studies, control).estimate if known else None
            yield Judged(claim, rule, judge(studies, variant), variant, counting, studies, beside)


def _verdict(judged: Judged, adjusted: float, count: int) -> Verdict:
    """Decide, given the corrected p-value; `count` is how many verdicts there are."""
    finding, variant, studies = judged.finding, judged.variant, judged.studies
    status: Status = "not learnt" if judged.still and finding.p is not None else finding.status(adjusted)
    notes = [finding.sentence[:1].upper() + finding.sentence[1:]]
    if status == "not learnt":
        lacking = " and ".join(map(str, judged.still))
        notes.append(f"Nothing is decided: {lacking} do no better than the nearest training pose.")
    if status == "undecided" and finding.p is not None and finding.p <= LEVEL:
        notes.append(f"Alone it would be decided (p = {finding.p:.3f}); among {count} verdicts it may be chance.")
    elif status == "undecided":
        notes.append("It may be chance.")
    # where a claim asks something else than whether its effect is 0, nobody can say how many people that takes
    if status == "undecided" and finding.p == finding.estimate.p and (needed := finding.estimate.needed):
        notes.append(f"{needed[:1].upper()}{needed[1:]}.")
    return Verdict(
        claim=judged.claim["id"],
        text=judged.claim["text"],
        matching=variant.matching if variant else "",
        counting=judged.counting,
        status=status,
        estimate=finding.estimate,
        unit=judged.rule.unit,
        p=math.nan if finding.p is None else finding.p,
        adjusted=adjusted,
        whom=_whom(finding),
        seeds=min((at.seeds(variant) for at in studies), default=0) if variant else 0,
        control=None if judged.control is UNKNOWN else judged.control,
        where="; ".join(at.name for at in studies) if len(studies) < 3 else f"{len(studies)} settings",
        caveat="" if status == "not tested" else _caveat(judged.claim.get("frames", ()), studies),
        sentence=" ".join(notes),
        definition=judged.rule.definition,
    )


def _caveat(printed: Sequence[int], studies: Sequence[Evidence]) -> str:
    """Say where studies saw other numbers of frames than the paper's figures, where it has some."""
    tested = sorted({at.field for at in studies})
    if not printed or tested == list(printed):
        return ""
    judged, meant = (" and ".join(map(str, fields)) for fields in (tested, printed))
    return f"judged at {judged} frame{'' if tested == [1] else 's'}, printed for {meant}"


def _whom(finding: Finding) -> str:
    """For whom a finding holds; "" where there is no effect."""
    if finding.estimate is UNKNOWN:
        return ""
    return ANYBODY if finding.p is None else whom(finding.estimate.of.people)


def _numbers(estimate: Estimate) -> dict[str, float | None]:
    return {name: _or_none(getattr(estimate, name)) for name in ("effect", "low", "high")}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
