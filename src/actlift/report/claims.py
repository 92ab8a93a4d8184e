"""Verdicts on the paper's claims (`paper.json`), each decided by a stated rule on a suite's scores and curves.

A claim is supported or contradicted only where the effect's interval leaves out 0 and, with several seeds, the effect
also exceeds what seeds explain (see :mod:`actlift.report.estimate`); the rules are in
:mod:`actlift.report.claim_rules`. Intervals are not corrected for the number of claims, actions or studies that are
looked at. Experts are told the true action of every test clip (oracle).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actlift.evaluation.scores import Variant
from actlift.files import read_json, write_json
from actlift.report.audit import PAPER
from actlift.report.claim_rules import RULES, Evidence, Finding, Rule, Status, untested
from actlift.report.estimate import UNKNOWN, Estimate
from actlift.report.results import CONTROL, Suite, is_experts
from actlift.report.words import matching_name

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"supported": "green", "contradicted": "red", "undecided": "yellow", "not tested": "dim"}


@dataclass(frozen=True)
class Verdict:
    """What a suite says of one claim, under one matching of budgets.

    Attributes:
        claim, text: "C1", and what it claims.
        matching: how the experts' budget matches the generalist's ("per_model"); "" if not tested.
        counting: for costs, whose are counted ("one expert"), else "".
        status: supported, contradicted, undecided or not tested.
        effect, low, high, unit: experts against the generalist, with its 95 % interval; NaN where there is none.
        seeds: trainings of each arm, the fewest of any; with one, other seeds may differ.
        seed_robust: whether the effect exceeds what seeds explain; None with one seed.
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
    effect: float
    unit: str
    low: float
    high: float
    seeds: int
    seed_robust: bool | None
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
    def estimate(self) -> Estimate:
        """The effect and its interval; what seeds explain is not kept."""
        return Estimate(self.effect, self.low, self.high, math.nan)


def verdicts(suite: Suite) -> list[Verdict]:
    """Decide every claim on the keypoints of the first corpus, under each matching of budgets that has experts.

    Raises:
        InputError: where arms, or two studies that a claim pairs, were not scored on the same clips.
    """
    seen = [Evidence.of(study, suite.focus) for study in suite.of_first_corpus]
    found: list[Verdict] = []
    for claim in read_json(PAPER)["claims"]:
        rule = RULES[claim["id"]]
        if suite.preset in rule.presets:
            found += _judged(claim, rule, seen)
        else:
            found.append(_verdict(claim, rule, untested("it takes a suite of --preset " + " or ".join(rule.presets))))
    return found


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
            "verdicts": [_without_nan(asdict(verdict)) for verdict in found],
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
        grid.add_row(verdict.claim, verdict.budget, Text(verdict.status, STYLES[verdict.status]), *effects)
    console.print(grid)
    console.print(
        "Effects are experts against the generalist: negative is a lower error. Experts are told the true action.\n"
        "random-experts, the control, have as much data and none of its relevance.",
        style="dim",
        highlight=False,
    )
    for claim, text in {verdict.claim: verdict.text for verdict in found}.items():
        console.print(Text(f"\n{claim} {text}", style="dim"))
        for verdict in (v for v in found if v.claim == claim):
            line = Text.assemble((f"{verdict.status}: ", STYLES[verdict.status]), verdict.sentence)
            if verdict.caveat:
                line.append(f" ({verdict.caveat})", "dim")
            console.print(Padding(line, (0, 0, 0, 2)))


def _judged(claim: Mapping[str, Any], rule: Rule, seen: Sequence[Evidence]) -> Iterator[Verdict]:
    """The verdicts on one claim, one for each matching of budgets and way of counting."""
    studies = rule.studies(seen)
    experts = dict.fromkeys(v for at in studies for v in at.study.scores.variants if is_experts(v))
    if not studies:
        yield _verdict(claim, rule, untested("it takes a second, wider receptive field"))
    elif not experts:
        yield _verdict(claim, rule, untested("no experts were trained"))
    for variant in experts:
        control = Variant(CONTROL, variant.matching)
        known = all(control in at.samples["mpjpe"].averages for at in studies)
        for counting, judge in rule.judges.items():
            beside = judge(studies, control).estimate if known else None
            yield _verdict(claim, rule, judge(studies, variant), variant, counting, studies, beside)


def _verdict(
    claim: Mapping[str, Any],
    rule: Rule,
    finding: Finding,
    variant: Variant | None = None,
    counting: str = "",
    studies: Sequence[Evidence] = (),
    control: Estimate | None = None,
) -> Verdict:
    estimate = finding.estimate
    margin = estimate.seed_margin
    return Verdict(
        claim=claim["id"],
        text=claim["text"],
        matching=variant.matching if variant else "",
        counting=counting,
        status=finding.status,
        effect=estimate.effect,
        unit=rule.unit,
        low=estimate.low,
        high=estimate.high,
        seeds=min((n for at in studies for n in at.seeds(variant)), default=0) if variant else 0,
        seed_robust=None if math.isnan(margin) else abs(estimate.effect) >= margin,
        control=None if control is UNKNOWN else control,
        where="; ".join(at.name for at in studies) if len(studies) < 3 else f"{len(studies)} settings",
        caveat="" if finding.status == "not tested" else _caveat(claim.get("frames", ()), studies),
        sentence=finding.sentence[:1].upper() + finding.sentence[1:],
        definition=rule.definition,
    )


def _caveat(printed: Sequence[int], studies: Sequence[Evidence]) -> str:
    """Say where studies saw other numbers of frames than the paper's figures, where it has some."""
    tested = sorted({at.field for at in studies})
    if not printed or tested == list(printed):
        return ""
    judged, meant = (" and ".join(map(str, fields)) for fields in (tested, printed))
    return f"judged at {judged} frame{'' if tested == [1] else 's'}, printed for {meant}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
