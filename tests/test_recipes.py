"""What the documentation's tables are made by."""

import re

import pytest
from recipes.gains import markdown
from tests.suites import make_suite

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
