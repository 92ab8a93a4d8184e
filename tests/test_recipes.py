"""What the documentation's tables are made by."""

import re

import pytest
from recipes import labels, verdicts
from recipes.gains import command_of, markdown
from tests.report.test_labels_page import make_labels
from tests.suites import EXPERTS_PER_MODEL, make_suite

from actlift.evaluation.scores import Scores, Variant
from actlift.report.tables import MINUS

CONDITIONED, CLUSTER = Variant("conditioned", label="predicted"), Variant("cluster-conditioned")


def test_tables_of_the_documentation_are_those_of_the_study(tmp_path):
    suite = make_suite(
        tmp_path / "suite",
        fields=(27,),
        variants=(CONDITIONED, CLUSTER),
        factor=lambda variant, *_: 0.9 if variant == CONDITIONED else 1.0,
        noise=0.002,
    )
    text = markdown(suite / "27f")
    (line,) = re.findall(r"^\| conditioned: predicted label \| (.*)$", text.split("MPJVE")[0], re.M)
    error, to_generalist, to_control, *smoothed = [cell.strip() for cell in line.split("|")[:-1]]
    own = Scores.read(suite / "27f" / "scores.parquet").per_action("mpjpe").T[CONDITIONED]
    assert error == f"{own['mean over people']:.1f}"
    effect, low, high = map(float, re.findall(r"[-+][\d.]+", to_generalist.replace(MINUS, "-")))
    assert low < effect < high < 0
    assert effect == pytest.approx(-10, abs=0.5)
    assert to_control.startswith("**")
    assert to_control.endswith("(cluster-conditioned)")
    assert smoothed == ["", "", ""], "nothing was smoothed"
    assert "seeds 0, 1, 2, corpus digest `abababababab`, commit 0123456789ab" in text


def test_the_claims_are_told_as_the_suite_judges_them(tmp_path):
    suite = make_suite(
        tmp_path / "suite", factor=lambda variant, *_: 0.9 if variant == EXPERTS_PER_MODEL else 1.0, noise=0.002
    )
    text = verdicts.markdown(suite)
    head, *_ = text.splitlines()
    assert head == "| claim | total | per model |"
    total, per_model = re.findall(r"^\| C1 [^|]*\| (.*) \| (.*) \|$", text, re.M)[0]
    assert total.startswith("undecided")
    assert re.match(r"\*\*supported\*\*, .(9|10)\.\d\s%\ \[.*\], random .*0\.\d", per_model)
    assert "6 test people, seeds 0, 1, 2, " in text
    assert "verdicts corrected together (Holm), corpus digest `abababababab`, commit 0123456789ab." in text
    assert "Not tested by this preset: C10" in text


def test_labels_of_the_documentation_are_those_of_the_study(tmp_path):
    suite = make_labels(tmp_path / "suite", fields=(27,), steps=(1500,))
    text = labels.markdown(suite / "27f-1500")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]
    generalist, *others = rows
    assert generalist[0] == "generalist"
    assert {row[1] for row in others} >= {"the true action (oracle)", "the recognized action"}
    assert all(len(row) == len(generalist) for row in rows)
    assert "seeds 0, 1, 2, corpus digest `abababababab`" in text


def test_a_command_is_shown_as_others_would_type_it():
    assert command_of({"command": "/somewhere/bin/actlift study corpus out"}) == "`actlift study corpus out`"
