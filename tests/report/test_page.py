"""The page says what the numbers say, says what they do not, and stands alone."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.report.test_tables import EXPERTS, RANDOM, scores

from actlift.evaluation.scores import GENERALIST, LABELS, Scores, Variant
from actlift.geometry.skeleton import H36M_17
from actlift.report.page import ReportContext, verdicts, write_page
from actlift.report.words import EXPERTS_MATCHED, LABEL_NOTES, MATCHING_NOTES, variant_note
from actlift.study.arms import ARMS
from actlift.training.budget import MATCHINGS

POSE = np.random.default_rng(0).normal(scale=0.4, size=(17, 3))
EXPERTS_TOTAL, CLUSTER = Variant("experts", "total"), Variant("cluster-experts")
OFFSETS = {GENERALIST: 0.0, EXPERTS_TOTAL: -3.0, Variant("random-experts", "total"): 2.0}
ABOUT = {name: arm.about for name, arm in ARMS.items()}


def seeded(of: Scores, offsets: dict[int, dict[Variant, float]]) -> Scores:
    """The same scores once per seed, shifted by seed and variant."""
    return Scores(
        pd.concat(
            of.table.assign(
                seed=seed,
                value=of.table["value"] + of.table["arm"].map({v.arm: by for v, by in shift.items()}).fillna(0.0),
            )
            for seed, shift in offsets.items()
        )
    )


def context(of: Scores, **changes: object) -> ReportContext:
    given: dict[str, object] = {
        "title": "Does <the action> help?",
        "scores": of,
        "arms": ABOUT,
        "study": {
            "arms": list(map(str, of.variants)),
            "steps": 20000,
            "split": {"test subjects": ["S1"]},
            "corpus_digest": "9f2c",
            "commit": "a1b2c3",
            "command": "actlift study --arms 'generalist & experts'",
        },
        "curves": [(GENERALIST, pd.DataFrame({"step": [1, 10], "loss": [0.2, 0.1]}))],
        "examples": [
            {
                "title": "clip 1",
                "action": "walk",
                "ground_truth": POSE,
                "predictions": {GENERALIST: POSE + 0.1, EXPERTS: 1.1 * POSE},
            }
        ],
        "data_note": "2D keypoints are projections by virtual cameras.",
        "skeleton": H36M_17,
        "runs": [{"variant": GENERALIST, "seed": 0, "folder": "out/run-0", "steps": 20000, "seconds": 3723.4}],
    }
    return ReportContext(**(given | changes))  # type: ignore[arg-type]


def page(tmp_path: Path, of: ReportContext) -> str:
    path = tmp_path / "report" / "index.html"
    write_page(path, of)
    return path.read_text(encoding="utf-8")


def with_metrics(*metrics: str) -> Scores:
    return Scores.concat([scores(OFFSETS, metric=metric) for metric in metrics])


# The verdict


def said(of: Scores, metric: str = "mpjpe") -> tuple[str, bool]:
    (sentence,) = verdicts(of, ABOUT, {metric: "Position"})
    return sentence.text.replace("\N{NO-BREAK SPACE}", " "), sentence.decided


def test_a_clear_winner_is_named_with_its_lead_and_interval() -> None:
    of = scores({GENERALIST: 0, EXPERTS: -3})
    text, decided = said(of)
    row = of.compare("mpjpe", EXPERTS, GENERALIST).loc["mean over people"]
    assert decided
    assert "“experts” (told the true action) is best with" in text
    assert f"{-row['difference']:.2f} mm" in text
    assert f"interval {-row['high']:.2f} mm to {-row['low']:.2f} mm below" in text
    assert "one seed" in text


def test_a_difference_within_chance_is_undecided() -> None:
    text, decided = said(scores({GENERALIST: 0, RANDOM: 0.01}))
    assert not decided
    assert "undecided" in text
    assert "may be chance" in text


def test_the_reference_may_win() -> None:
    text, decided = said(scores({GENERALIST: 0, RANDOM: 2, CLUSTER: 1}))
    assert decided
    assert "“generalist” is best" in text
    assert "below “cluster-experts”" in text


def test_higher_is_better_for_shares() -> None:
    text, decided = said(scores({GENERALIST: 0, EXPERTS: 3}, metric="pck"), "pck")
    assert decided
    assert "“experts” (told the true action) is best" in text
    assert "above “generalist”" in text


def test_seeds_that_agree_decide_and_seeds_that_do_not_undo() -> None:
    of = scores({GENERALIST: 0, EXPERTS: -3})
    assert said(seeded(of, {0: {}, 1: {EXPERTS: 0.1}, 2: {EXPERTS: -0.1}}))[1]
    text, decided = said(seeded(of, {0: {}, 1: {EXPERTS: 4.0}, 2: {EXPERTS: -4.0}}))
    assert not decided
    assert "may be chance" in text


def test_of_many_arms_the_best_is_corrected_for_their_number() -> None:
    arms = {Variant(f"arm{n}"): 0.0 for n in range(12)}
    rng = np.random.default_rng(0)
    table = scores({GENERALIST: 0.0, **arms}, clips=5, people=5).table
    alone, together = 0, 0
    for _ in range(60):
        of = Scores(table.assign(value=table["value"] + rng.normal(0, 2, len(table))))
        compared = [of.compare("mpjpe", arm, GENERALIST).loc["mean over people"] for arm in arms]
        alone += any(row["p"] <= 0.05 and row["difference"] < 0 for row in compared)
        together += said(of)[1]
    assert alone > 10
    assert together <= 7  # 3 are expected


def test_the_best_is_set_beside_its_control() -> None:
    control = Variant("random-experts", "total")
    text, decided = said(scores({GENERALIST: 0, EXPERTS_TOTAL: -3, control: -1}))
    assert decided
    assert "below its control “random-experts (total)” by 2." in text
    text, _ = said(scores({GENERALIST: 0, EXPERTS_TOTAL: -3, control: -2.99}))
    assert re.search(r"its control “random-experts \(total\)” by 0\.\d+ mm \(undecided: it may be chance\)", text)
    assert (
        "its control" not in said(scores({GENERALIST: 0, EXPERTS_TOTAL: -3, Variant("random-experts", "frames"): 0}))[0]
    )


def test_neither_baselines_nor_who_is_no_better_are_compared() -> None:
    nearest = Variant("nearest-pose")
    text, decided = said(scores({GENERALIST: 0, EXPERTS: -3, nearest: 4}))
    assert decided
    assert text.startswith("Position: “experts” (told the true action) is best")
    text, decided = said(scores({GENERALIST: 0, EXPERTS: 5, nearest: 4}))
    assert not decided
    assert "“generalist” has" in text
    assert "nothing to compare with" in text
    text, decided = said(scores({GENERALIST: 0, EXPERTS: -3, nearest: -9}))
    assert not decided
    assert "nothing can be said, “generalist” has not learnt to lift" in text


def test_undecided_tells_how_many_people_it_would_take() -> None:
    (people,) = re.findall(r"takes about ([\d,]+) people", said(scores({GENERALIST: 0, RANDOM: 0.05}))[0])
    assert int(people.replace(",", "")) > 4


@pytest.mark.parametrize("people", [1, 3])
def test_few_people_or_one_arm_decide_nothing(people: int) -> None:
    text, decided = said(scores({GENERALIST: 0, EXPERTS: -3}, people=people))
    assert not decided
    assert text.startswith("Position: these people only. “experts”")
    assert "too few for people in general" in text
    text, decided = said(scores({GENERALIST: 0}))
    assert not decided
    assert "nothing to compare with" in text


def test_notes_on_variants() -> None:
    assert "oracle" in variant_note(EXPERTS, ABOUT)
    assert "oracle" in variant_note(EXPERTS_TOTAL, ABOUT)
    assert "oracle" not in variant_note(EXPERTS_TOTAL, ABOUT, labeled=True)
    assert "together" in variant_note(Variant("random-experts", "total"), ABOUT)
    assert "each of its networks" in variant_note(Variant("random-experts", "per_model"), ABOUT)
    assert "oracle" not in variant_note(Variant("random-experts", "per_model"), ABOUT)
    assert "recognized" in variant_note(Variant("conditioned", label="predicted", mixture=True), ABOUT)
    assert variant_note(Variant("something else"), ABOUT) == ""


def test_there_are_words_for_all_that_a_variant_may_be() -> None:
    assert set(LABEL_NOTES) == set(LABELS)
    assert set(MATCHING_NOTES) == set(EXPERTS_MATCHED) == set(MATCHINGS)


# The page


class Tags(HTMLParser):
    """Checks that tags nest, and collects the addresses of what a browser would load."""

    VOID = frozenset({"meta", "br", "link", "img", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_one_wellformed_file_without_network(tmp_path: Path) -> None:
    html = page(tmp_path, context(with_metrics("mpjpe", "mpjve", "p_mpjpe")))
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert all(address.startswith("#") for address in tags.addresses)
    assert not {"script", "link", "img", "iframe"} & tags.tags
    assert "@import" not in html
    assert "url(http" not in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert 'name="viewport"' in html


def test_the_page_says_how_far_it_reaches(tmp_path: Path) -> None:
    html = page(tmp_path, context(seeded(scores(OFFSETS), {0: {}, 1: {EXPERTS_TOTAL: 0.5}})))
    text = re.sub(r"\s+", " ", html)
    assert "2D keypoints are projections by virtual cameras." in text
    assert "12 test clips of 3 actions by 4 people, seen by 1 camera; every arm trained with 2 seeds" in text
    assert "For whom.</strong> People in general: intervals are Student&#39;s over the 4 test people" in text
    assert "true action is known (oracle)" in text
    assert re.search(r"2 seeds, spread 0\.35 mm", text)


def test_a_page_on_few_people_says_so_and_colors_nothing(tmp_path: Path) -> None:
    html = page(tmp_path, context(scores(OFFSETS, people=2)))
    body = re.sub(r"\s+", " ", html[html.index("<body>") :])
    assert "For whom.</strong> These people only: 2 test people are too few" in body
    assert 'class="small better"' not in body
    assert 'class="small worse"' not in body
    assert "(these people only)" in body
    assert 'class="small better"' in page(tmp_path, context(scores(OFFSETS)))


def test_unequal_numbers_of_seeds_are_told(tmp_path: Path) -> None:
    of = scores({GENERALIST: 0, EXPERTS: -3})
    more = of.table[of.table["arm"] == "experts"].assign(seed=1)
    assert "trained with 1 to 2 seeds" in page(tmp_path, context(Scores(pd.concat([of.table, more]))))


def test_the_verdict_comes_first_then_mpjpe_then_mpjve(tmp_path: Path) -> None:
    html = page(tmp_path, context(with_metrics("pck", "p_mpjpe", "mpjve", "mpjpe")))
    places = [
        html.index(part)
        for part in (
            "Where joints are (position error, MPJPE)",
            "How they move (velocity error, MPJVE)",
            "<h2>MPJPE (Protocol 1)</h2>",
            "<h2>MPJVE (velocity error)</h2>",
            "<summary>P-MPJPE (Protocol 2)",
            "<summary>3D PCK at 150 mm",
            "<h2>Training</h2>",
            "<h2>Examples</h2>",
            "<h2>How it was made</h2>",
        )
    ]
    assert places == sorted(places)


def test_how_it_was_made_is_told_and_escaped(tmp_path: Path) -> None:
    html = page(tmp_path, context(scores(OFFSETS)))
    assert "Does &lt;the action&gt; help?" in html
    assert "<the action>" not in html
    assert "<code>actlift study --arms &#39;generalist &amp; experts&#39;</code>" in html
    assert "<dt>corpus digest</dt><dd><code>9f2c</code></dd>" in html
    assert "<dt>split</dt><dd>test subjects: S1</dd>" in html
    assert "<dt>steps</dt><dd>20,000</dd>" in html
    assert "<code>out/run-0</code>" in html
    assert "1 h 2 min" in html


def test_examples_are_measured_about_the_root(tmp_path: Path) -> None:
    html = page(tmp_path, context(scores(OFFSETS)))
    expected = 0.1 * np.linalg.norm(POSE - POSE[0], axis=1).mean() * 1000
    assert "<strong>0 mm</strong>" in html  # a prediction off by a translation only
    assert f"<strong>{expected:.0f} mm</strong>" in html


def test_what_is_not_given_leaves_no_empty_section(tmp_path: Path) -> None:
    html = page(tmp_path, context(scores({GENERALIST: 0}), curves=[], examples=[], runs=[]))
    for heading in ("Training", "Examples", "Other metrics"):
        assert f"<h2>{heading}</h2>" not in html
    assert "run folder" not in html
    assert "Difference to" not in html


def test_a_page_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match="no arm 'baseline'"):
        write_page(path, context(scores(OFFSETS), reference=Variant("baseline")))
    assert path.read_text(encoding="utf-8") == "old"
