"""A suite's tables hold what its scores hold, in every format; its page stands alone, and all it links to is there."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tests.suites import ACTIONS, EXPERTS, EXPERTS_PER_MODEL, RANDOM_PER_MODEL, make_suite

from actlift.evaluation.scores import GENERALIST, MEAN_OVER_ACTIONS, MEANS, Variant
from actlift.report import paper_tables
from actlift.report.paper_tables import suite_tables
from actlift.report.results import StudyResults, Suite
from actlift.report.suite_page import SuiteReport, print_suite, scaled, write_suite_report
from actlift.report.table_files import Table, write_table

LABELS = ["setting", "receptive field", "generalist's steps", "model"]


def expert_factor(variant: Variant, action: str, metric: str) -> float:
    """Experts win Eating and velocities, and lose Sitting; random experts lose everything."""
    if variant.arm == "random-experts":
        return 1.1
    of_action = {"Eating": 0.9, "Sitting": 1.12, "Walking": 1.06}[action]
    return (of_action if metric != "mpjve" else 0.9) if variant.arm == "experts" else 1.0


@pytest.fixture(scope="module")
def fair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_suite(tmp_path_factory.mktemp("fair") / "suite", factor=expert_factor)


@pytest.fixture(scope="module")
def suite(fair: Path) -> Suite:
    return Suite.open(fair)


@pytest.fixture(scope="module")
def tables(suite: Suite) -> dict[str, Table]:
    return suite_tables(suite)


@pytest.fixture(scope="module")
def written(fair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "suite"
    shutil.copytree(fair, folder)
    assert write_suite_report(SuiteReport.open(folder)) == folder / "report.html"
    return folder


def by_hand(study: StudyResults, variant: Variant, metric: str, action: str, seed: int) -> float:
    """The frame-weighted mean of an action, from the rows alone."""
    rows = study.scores.table.to_dict("records")
    key = (variant.arm, variant.matching, metric, action, seed)
    mine = [r for r in rows if (r["arm"], r["matching"], r["metric"], r["action"], r["seed"]) == key]
    return sum(r["value"] * r["frames"] for r in mine) / sum(r["frames"] for r in mine)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "metric"), [("table1", "mpjpe"), ("table2", "mpjve"), ("table1_p", "p_mpjpe")])
def test_errors_are_those_of_the_rows(suite: Suite, tables: dict[str, Table], name: str, metric: str) -> None:
    frame = tables[name].frame
    assert list(frame.columns) == [*LABELS, *ACTIONS, *MEANS]
    assert len(frame) == 2 * 5
    for row in frame.to_dict("records"):
        (study,) = (s for s in suite.studies if s.name == row["setting"])
        expected = [np.mean([by_hand(study, row["model"], metric, a, s) for s in (0, 1, 2)]) for a in ACTIONS]
        assert [row[a] for a in ACTIONS] == pytest.approx(expected)
        assert row[MEAN_OVER_ACTIONS] == pytest.approx(np.mean(expected))


def test_bold_is_what_prints_better_than_its_generalist(tables: dict[str, Table]) -> None:
    for name in ("table1", "table2"):
        table = tables[name]
        cells = table.cells()
        assert table.bold is not None
        for _, rows in table.frame.groupby("setting"):
            generalist = rows.index[rows["model"] == GENERALIST][0]
            for column in (*ACTIONS, MEAN_OVER_ACTIONS):
                own = float(cells.loc[generalist, column])
                better = [i for i in rows.index if float(cells.loc[i, column]) < own]
                assert [i for i in rows.index if table.bold.loc[i, column]] == (better or [generalist])
    assert not tables["table1"].bold[LABELS].to_numpy().any()  # type: ignore[index]


def test_differences_and_their_verdicts(suite: Suite, tables: dict[str, Table]) -> None:
    frame = tables["differences"].frame.set_index(["setting", "model", "metric"])
    errors = tables["table1"].frame.set_index(["setting", "model"])[MEAN_OVER_ACTIONS]
    for study in suite.studies:
        ratio = errors[study.name, EXPERTS] / errors[study.name, GENERALIST]
        row = frame.loc[(study.name, EXPERTS, "MPJPE")]
        assert row["difference, %"] == pytest.approx(100 * (ratio - 1))
        assert row["low"] < row["difference, %"] < row["high"]
        assert frame.loc[(study.name, EXPERTS, "MPJVE"), "better"] == EXPERTS
        assert frame.loc[(study.name, RANDOM_PER_MODEL, "MPJPE"), "better"] == GENERALIST


def test_the_difference_is_the_sum_of_its_pieces(tables: dict[str, Table]) -> None:
    frame = tables["decomposition"].frame
    assert set(frame["action"]) == {*ACTIONS, *MEANS}
    np.testing.assert_allclose(frame[["scale", "rotation", "pose"]].sum(axis=1), frame["MPJPE"], atol=1e-10)
    whole, posed = (tables[name].frame.set_index(["setting", "model"]) for name in ("table1", "table1_p"))
    for row in frame.to_dict("records"):
        for name, errors in (("MPJPE", whole), ("pose", posed)):
            of_arm, reference = (errors.loc[(row["setting"], arm), row["action"]] for arm in (row["model"], GENERALIST))
            assert row[name] == pytest.approx(of_arm - reference)


def test_costs_of_one_and_of_all(tables: dict[str, Table]) -> None:
    """In the made-up suite 1,800 steps take 10 s, evenly; each expert of three has a third of them, or all."""
    frame = tables["table3"].frame.set_index(["setting", "model", "share of budget", "counted"])
    for share in (0.5, 1.0):
        at = frame.loc["27f"].xs(share, level="share of budget")
        assert at.loc[(GENERALIST, "its one network"), "wall s"] == pytest.approx(10 * share)
        for arm, seconds in ((EXPERTS, 10), (EXPERTS_PER_MODEL, 30)):
            assert at.loc[(arm, "all 3 networks"), "wall s"] == pytest.approx(seconds * share)
            assert at.loc[(arm, "all 3 networks"), "CPU s"] == pytest.approx(2 * seconds * share)
            assert at.loc[(arm, "all 3 networks"), "steps"] == pytest.approx(180 * seconds * share)
            for one in ("one network, mean", "one network, Eating"):
                assert at.loc[(arm, one), "wall s"] == pytest.approx(seconds * share / 3)
                assert at.loc[(arm, one), "frames"] == 3000


def test_costs_stand_beside_the_papers_at_half_and_at_the_end(tables: dict[str, Table]) -> None:
    """The paper's: 28,848 of 84,972 s and 56,921 of 176,976 s; 50.49 of 50.27 mm and 50.54 of 48.22."""
    frame = tables["table3_paper"].frame.set_index(["setting", "model", "share of budget", "counted"]).loc["27f"]
    costs = tables["table3"].frame.set_index(["setting", "model", "share of budget", "counted"]).loc["27f"]
    for share, cost, error in ((0.5, 28848 / 84972, 50.49 / 50.27), (1.0, 56921 / 176976, 50.54 / 48.22)):
        for arm, seconds in ((EXPERTS, 10), (EXPERTS_PER_MODEL, 30)):
            one, both = (frame.loc[(arm, share, counted)] for counted in ("one network, Eating", "all 3 networks"))
            assert (one["cost, %"], both["cost, %"]) == pytest.approx((1000 * seconds / 300, 1000 * seconds / 100))
            assert one["the paper's cost, %"] == pytest.approx(100 * cost)
            assert both["the paper's cost, %"] == pytest.approx(1500 * cost)
            assert one["the paper's MPJPE, %"] == both["the paper's MPJPE, %"] == pytest.approx(100 * error)
            for metric in ("MPJPE", "MPJVE"):
                of = [
                    costs.loc[key, metric]
                    for key in ((arm, share, "all 3 networks"), (GENERALIST, share, "its one network"))
                ]
                assert one[f"{metric}, %"] == pytest.approx(100 * of[0] / of[1])
    assert np.isnan(frame.loc[(EXPERTS, 1.0, "one network, mean"), "the paper's cost, %"])


def test_rates_are_formulas_4_and_5(suite: Suite, tables: dict[str, Table]) -> None:
    (study,) = (s for s in suite.studies if s.name == "27f")
    half = study.curves[(study.curves["progress"] == 0.5) & (study.curves["metric"] == "mpjpe")]
    mean = half.groupby("variant")["value"].mean()
    rows = tables["table3_rates"].frame.set_index(["setting", "model", "metric", "counted"]).loc["27f"]
    for counted, seconds in (("all 3 networks", 30), ("one network, mean", 10)):
        row = rows.loc[(EXPERTS_PER_MODEL, "MPJPE", counted)]
        regulated = 1.2 * (mean[GENERALIST] + mean[EXPERTS_PER_MODEL]) / 2
        assert row["regulated error"] == pytest.approx(regulated)
        end = study.scores.per_action("mpjpe")[MEAN_OVER_ACTIONS]
        assert row["rate"] == pytest.approx((regulated - end[EXPERTS_PER_MODEL]) / seconds)
        assert row["generalist's rate"] == pytest.approx((regulated - end[GENERALIST]) / 10)


def test_halfway_is_the_snapshot_nearest_to_half(suite: Suite) -> None:
    whole = suite.studies[1]
    study = replace(whole, curves=whole.curves[whole.curves["progress"].isin([0.3, 0.55, 1.0])])
    rows = whole.curves[(whole.curves["progress"] == 0.55) & (whole.curves["variant"] == EXPERTS_PER_MODEL)]
    errors = rows[rows["metric"] == "mpjpe"].groupby("action")["value"].mean()
    assert study.error_at("mpjpe", EXPERTS_PER_MODEL, 0.5) == pytest.approx(errors.mean())
    assert study.error_at("mpjpe", EXPERTS_PER_MODEL, 0.5, action="Eating") == pytest.approx(errors["Eating"])
    cost = study.cost_at(EXPERTS_PER_MODEL, 0.5)
    assert (cost.seconds, cost.cpu_seconds, cost.steps) == pytest.approx((0.55 * 30, 0.55 * 60, 0.5 * 5400))

    without = replace(whole, curves=whole.curves[:0])
    assert np.isnan(without.error_at("mpjpe", EXPERTS_PER_MODEL, 0.5))
    assert without.error_at("mpjpe", EXPERTS_PER_MODEL) == whole.error_at("mpjpe", EXPERTS_PER_MODEL)


def test_errors_along_training_are_the_curves_means(suite: Suite, tables: dict[str, Table]) -> None:
    frame = tables["table4"].frame
    assert len(frame) == 2 * 20
    curves = suite.studies[1].curves
    kept = curves[(curves["metric"] == "mpjpe") & (curves["variant"] == EXPERTS_PER_MODEL) & (curves["step"] == 900)]
    row = frame[(frame["setting"] == "27f") & (frame["share of budget"] == 0.5)].iloc[0]
    assert row[f"experts (per model), {MEAN_OVER_ACTIONS}"] == pytest.approx(kept["value"].mean())
    assert row["experts (per model), Eating"] == pytest.approx(kept.loc[kept["action"] == "Eating", "value"].mean())


def test_csv_gives_the_same_numbers_back(tables: dict[str, Table], tmp_path: Path) -> None:
    for table in tables.values():
        write_table(tmp_path, table)
        with (tmp_path / f"{table.name}.csv").open(newline="", encoding="utf-8") as stream:
            back = list(csv.DictReader(stream))
        for found, meant in zip(back, table.frame.to_dict("records"), strict=True):
            for name, value in meant.items():
                if isinstance(value, (str, Variant)):
                    assert found[name] == str(value)
                else:
                    assert float(found[name] or "nan") == pytest.approx(value, rel=0, abs=0, nan_ok=True)


def test_markdown_and_latex_escape_what_is_special(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a & b_c": ["50 % | #1", "x_$y"], "value": [1.25, np.nan]})
    bold = pd.DataFrame({"a & b_c": [False, False], "value": [True, False]})
    write_table(tmp_path, Table("t", "100 % of_it", "Note & more.", frame, 1, {"value": 2}, bold))
    tex = (tmp_path / "t.tex").read_text()
    body = re.sub(r"\\[&%#_$]", "", tex)
    assert not re.search(r"[%#$]", body)
    assert "_" not in body
    assert [line.count("&") for line in body.splitlines() if line.endswith(r"\\")] == [1, 1, 1]
    assert r"\textbf{1.25}" in tex
    for rule in ("toprule", "midrule", "bottomrule"):
        assert f"\\{rule}" in tex
    lines = [line for line in (tmp_path / "t.md").read_text().splitlines() if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == [3] * 4
    assert "**1.25**" in lines[2]
    assert lines[3].endswith("n/a |")


class Page(HTMLParser):
    """Addresses, ids, tags and words of a page; every tag that is opened must be closed."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "xlink:href"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_stands_alone_and_its_links_lead_somewhere(written: Path) -> None:
    page = Page((written / "report.html").read_text(encoding="utf-8"))
    assert not page.open
    assert not {"script", "img", "iframe", "link"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    links = [address for address in page.addresses if not address.startswith("#")]
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
        else:
            assert ":" not in address
            assert (written / address).exists(), address
    for study in ("1f", "27f"):
        assert f"{study}/report.html" in links
        runs = {f"{study}/runs/{run.name}/" for run in (written / study / "runs").iterdir()}
        assert runs <= set(links)


def test_the_page_says_which_arm_has_the_lower_error_how_sure_and_on_what(written: Path) -> None:
    text = Page((written / "report.html").read_text(encoding="utf-8")).text
    assert "oracle" in text
    assert "2D keypoints are synthetic" in text
    assert "curves are on the test people and choose nothing" in text
    assert "Position error (MPJPE), all experts together trained as long as the generalist:" in text
    assert re.search(
        r"Velocity error \(MPJVE\), each expert trained .*: experts are better at 1 frame \(experts \N{MINUS SIGN}\d",
        text,
    )
    assert "actlift study corpus suite --preset fair" in text
    assert "ab" * 32 in text
    assert "0123456789ab" in text
    assert "Table I as the paper has it (Human3.6M)" in text
    found = json.loads((written / "verdicts.json").read_text())["verdicts"]
    assert all(f"{verdict['claim']} " in text for verdict in found)


@pytest.mark.slow
def test_a_still_pose_is_no_good_velocity(written: Path, tmp_path: Path) -> None:
    """Networks that hardly learnt win velocity with three times the position error; the page says what that is."""
    warning = "a pose that hardly moves has a low velocity error"

    def hardly_learnt(variant: Variant, action: str, metric: str) -> float:
        del action
        return 1.0 if variant.arm != "experts" else 0.4 if metric == "mpjve" else 3.0

    folder = make_suite(tmp_path / "s", fields=(27,), variants=(EXPERTS,), factor=hardly_learnt)
    page = write_suite_report(SuiteReport.open(folder))
    assert warning in " ".join(page.read_text().split())
    assert warning not in " ".join((written / "report.html").read_text().split())


@pytest.mark.slow
def test_of_networks_that_have_not_learnt_nothing_is_said(tmp_path: Path) -> None:
    nearest = Variant("nearest-pose")

    def hardly_learnt(variant: Variant, action: str, metric: str) -> float:
        del action
        of_experts = 0.4 if metric == "mpjve" else 3.0
        return {"experts": of_experts, "nearest-pose": 1.5}.get(variant.arm, 1.0)

    folder = make_suite(tmp_path / "s", fields=(27,), variants=(EXPERTS, nearest), factor=hardly_learnt)
    report = SuiteReport.open(folder)
    frame = report.tables["differences"].frame
    assert set(frame[frame["model"] == EXPERTS]["better"]) == {"not learnt"}
    assert set(frame[frame["model"] == nearest]["better"]) == {GENERALIST}
    head = write_suite_report(report).read_text().split("For whom.")[0]
    assert head.count("nothing is said, as they have not learnt to lift, at 27") == 2
    assert "is better" not in head


@pytest.mark.slow
def test_the_same_suite_gives_the_same_bytes(written: Path) -> None:
    def contents() -> dict[Path, bytes]:
        made = [written / "report.html", written / "verdicts.json", *(written / "tables").iterdir()]
        return {path: path.read_bytes() for path in (*made, *(written / "figures").iterdir())}

    before = contents()
    write_suite_report(SuiteReport.open(written))
    assert contents() == before


def test_verdicts_are_a_table_too(written: Path) -> None:
    with (written / "tables" / "verdicts.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = json.loads((written / "verdicts.json").read_text())["verdicts"]
    assert [(row["claim"], row["status"]) for row in rows] == [(v["claim"], v["status"]) for v in found]


@pytest.mark.slow
def test_without_curves_and_controls_what_they_would_show_is_left_out(tmp_path: Path) -> None:
    folder = make_suite(
        tmp_path / "s", variants=(Variant("experts", "epochs"),), preset="paper", fields=(27,), clips=2, seeds=(0,)
    )
    for curve in folder.glob("*/runs/*/curve.jsonl"):
        curve.unlink()
    html = write_suite_report(SuiteReport.open(folder)).read_text(encoding="utf-8")
    assert "Errors along training" not in html
    assert not (folder / "tables" / "table4.csv").exists()
    assert not (folder / "tables" / "table3_rates.csv").exists()
    assert set(pd.read_csv(folder / "tables" / "table3.csv")["share of budget"]) == {1.0}
    assert "random-experts" not in (folder / "tables" / "table1.md").read_text()


@pytest.mark.slow
def test_a_grid_of_frames_shows_where_experts_cross(tmp_path: Path) -> None:
    variants = (Variant("experts", "frames"), Variant("random-experts", "frames"))
    grid = ((1900, 200), (7600, 200))
    folder = make_suite(
        tmp_path / "s",
        preset="action-oriented",
        fields=(27,),
        variants=variants,
        grid=grid,
        factor=expert_factor,
        clips=3,
    )
    html = write_suite_report(SuiteReport.open(folder)).read_text(encoding="utf-8")
    assert (folder / "figures" / "crossing-light.svg").is_file()
    assert "at 2 of 2 points" in html
    frame = pd.read_csv(folder / "tables" / "differences.csv")
    assert sorted(frame["training frames"].unique()) == [1900, 7600]


def test_what_was_scaled_is_told(suite: Suite) -> None:
    told = scaled(replace(suite, about={**suite.about, "scale": 0.02}))
    assert told[1] == "27f: 1 pass over all training frames, scaled by 0.02: 1,800"
    assert scaled(suite)[1] == "27f: 1 pass over all training frames: 1,800"


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_every_arm_and_verdict(fair: Path, suite: Suite, width: int) -> None:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_suite(console, SuiteReport.open(fair))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for variant in suite.studies[0].scores.variants[1:]:
        assert text.count(f" {variant} ") >= 4  # two settings, two errors
    assert "C1" in text
    assert "told the true action" in text


def test_the_papers_tables_are_as_copied() -> None:
    table = paper_tables.printed_table("I")
    row = table.frame[(table.frame["receptive field"] == "243") & (table.frame["model"] == "experts")].iloc[0]
    assert (row["Eating"], row["average"]) == (45.1, 50.5)
    assert table.cells().loc[row.name, "unit epochs"] == "1,200"
