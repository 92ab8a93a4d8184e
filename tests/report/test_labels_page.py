"""The report on labels says what was planted, says oracle where it is, and shows what is finished."""

import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, astuple, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tests.report.test_suite_page import Page
from tests.suites import ACTIONS, make_suite

from actlift.cli import app
from actlift.evaluation.scores import GENERALIST, MEAN_OVER_PEOPLE, Scores, Variant
from actlift.report.labels_figures import label_drawings
from actlift.report.labels_page import LabelsReport, print_labels, write_labels_report
from actlift.study.arms import ARMS

FIELDS, STEPS = (27, 81), (1500, 6000, 24000)
METRICS = ("mpjpe", "n_mpjpe", "mpjve")
MINUS = "\N{MINUS SIGN}"
CONDITIONED = Variant("conditioned")
CONTROLS = (Variant("random-conditioned"), Variant("cluster-conditioned"))


def gain(variant: Variant, action: str, metric: str) -> float:
    """The conditioned network told the truth is 20 % better, but 5 % worse on Sitting's positions."""
    if variant != CONDITIONED:
        return {"random-conditioned": 1.04}.get(variant.arm, 1.0)
    return 1.05 if action == "Sitting" and metric != "mpjve" else 0.8


def cost(true: str, told: str) -> float:
    """Errors told an action over those told the truth: Eating suffers from being told Sitting, Walking is better."""
    return {("Eating", "Sitting"): 1.3, ("Walking", "Eating"): 0.98}.get((true, told), 1.0 if told == true else 1.2)


def recognized(true: str, clip: int) -> str:
    """One clip of Eating and two of Walking are mistaken."""
    if true == "Eating" and clip == 0:
        return "Sitting"
    return "Eating" if true == "Walking" and clip < 2 else true


def make_labels(
    folder: Path, *, fields=FIELDS, steps=STEPS, factor: Callable = gain, clips: int = 6, **options
) -> Path:
    """A made-up suite of the preset, its labels as the study writes them; the mixture's poses are half-way."""
    make_suite(
        folder,
        preset="action-aware",
        fields=fields,
        variants=(CONDITIONED, *CONTROLS),
        grid=tuple((None, n) for n in steps),
        by_field=lambda field: 1.0 if field == 27 else 0.95,
        factor=factor,
        clips=clips,
        **options,
    )
    for at in {path.parent for path in folder.glob("*/study.json")}:
        table = pd.read_parquet(at / "scores.parquet")
        own = table[(table["arm"] == "conditioned") & table["metric"].isin(METRICS)]
        places = own["clip"].str.extract(r"(\D+)(\d+)")
        taken = [recognized(a, int(c)) for a, c in places.itertuples(index=False)]
        true = own["action"]
        worst = {a: max((b for b in ACTIONS if b != a), key=lambda b, a=a: cost(a, b)) for a in ACTIONS}
        factors = {
            "oracle": np.ones(len(own)),
            "predicted": np.array([cost(a, b) for a, b in zip(true, taken, strict=True)]),
            "none": np.full(len(own), 1.1),
            "wrong_random": np.array([np.mean([cost(a, b) for b in ACTIONS if b != a]) for a in true]),
            "wrong_worst": np.array([cost(a, worst[a]) for a in true]),
        }
        parts = [own.assign(label=label, value=own["value"] * f) for label, f in factors.items()]
        for label in ("oracle", "predicted", "wrong_random"):
            half = (factors[label] + 1.1) / 2
            parts.append(own.assign(label=label, mixture=True, value=own["value"] * half))
        labels = pd.concat([table[table["arm"] == "generalist"], *parts])
        Scores(labels).save(at / "labels.parquet")
        main = labels[labels["label"].isin(["oracle", "predicted"])]
        main = main[~main["mixture"] | (main["label"] != "oracle")]
        others = table[table["arm"] != "conditioned"]
        Scores(pd.concat([others, main])).save(at / "scores.parquet")
        for run, rows in own.groupby("run"):
            told = [rows.assign(arm=b, value=rows["value"] * [cost(a, b) for a in rows["action"]]) for b in ACTIONS]
            Scores(pd.concat([*told, rows.assign(arm="unknown", value=rows["value"] * 1.1)])).save(
                at / run / "by_label.parquet"
            )
            confusion = [[np.mean([recognized(a, c) == b for c in range(clips)]) for b in ACTIONS] for a in ACTIONS]
            accuracy = {"count": 18, "top1": 15 / 18, "top3": 1.0, "mean_over_actions": 15 / 18, "grouped": 15 / 18}
            notes = {
                "recognized": {**accuracy, "calibration_error": 0.07, "nll": 0.3, "confusion": confusion},
                "actions": list(ACTIONS),
                "gate": {"confidence": 0.5, "distance_m": 0.02},
                "trusted": {"oracle label": 0.97, "predicted label": 0.9, "wrong label, at random": 0.25},
            }
            (at / run / "labels.json").write_text(json.dumps(notes))
    return folder


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_labels(tmp_path_factory.mktemp("aware") / "suite")


@pytest.fixture(scope="module")
def report(suite: Path) -> LabelsReport:
    return LabelsReport.open(suite)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_labels(tmp_path_factory.mktemp("written") / "suite", fields=(27,), steps=(1500, 6000), clips=3)
    assert write_labels_report(LabelsReport.open(folder)) == folder / "report.html"
    return folder


def sentences(report: LabelsReport) -> list[str]:
    console = Console(file=io.StringIO(), width=400, color_system=None)
    print_labels(console, report)
    text = console.file.getvalue().partition("undecided.\n")[2]  # type: ignore[attr-defined]
    return text.strip().splitlines()


def by_hand(folder: Path, variant: Variant, metric: str, action: str) -> float:
    """The mean over clips, all of which have 100 frames, and seeds."""
    return float(means_by_hand(folder)[*astuple(variant), metric, action])


@cache
def means_by_hand(folder: Path) -> pd.Series:
    rows = pd.concat([pd.read_parquet(folder / f"{name}.parquet") for name in ("labels", "scores")])
    return rows.groupby(["arm", "matching", "label", "mixture", "smoothed", "metric", "action"])["value"].mean()


# verdicts


def test_what_was_planted_is_told(report: LabelsReport) -> None:
    first, *of_studies, last = sentences(report)
    assert first.startswith("Yes. A network that is told the action recognized in the 2D keypoints")
    assert "position error (MPJPE) lower at 6; velocity error (MPJVE) lower at 6" in first
    assert len(of_studies) == 6
    for text, at in zip(of_studies, report.studies, strict=True):
        mine, theirs = (
            np.mean([by_hand(at.study.folder, of, "mpjpe", a) for a in ACTIONS])
            for of in (replace(CONDITIONED, label="predicted"), GENERALIST)
        )
        effect = f"MPJPE {100 * (mine / theirs - 1):+.1f}".replace("-", MINUS)
        told = f"{at.study.receptive_field} frames, {at.study.steps:,} steps, independent noise (conditioned): {effect}"
        assert text.startswith(told)
        assert "; 3 seeds. MPJPE is" in text
        assert text.endswith("MPJPE is more than 1 % higher in 1 of 3 actions.")
    assert "the true action (oracle): " in last
    assert "a random part (control): +" in last


@pytest.mark.parametrize(
    ("position", "velocity", "begins"),
    [
        (1.1, 1.1, "No. A network that is told the action recognized in the 2D keypoints, against the generalist"),
        (1.0, 0.8, "Undecided. "),
    ],
)
def test_harm_and_nothing_are_told_too(tmp_path: Path, position: float, velocity: float, begins: str) -> None:
    def factor(variant: Variant, action: str, metric: str) -> float:
        del action
        share = {"mpjve": velocity}.get(metric, position)
        return share / 1.02 if variant == CONDITIONED else 1.0  # mistakes and the mixture cost about the rest

    folder = make_labels(tmp_path / "s", fields=(27,), steps=(1500,), factor=factor, noise=0.05)
    (first, *_) = sentences(LabelsReport.open(folder))
    assert first.startswith(begins)
    assert "at 1" not in first
    assert ("velocity error (MPJVE) lower" in first) == (velocity < 1)


def test_what_finetuning_gains_is_not_taken_for_what_the_action_does(tmp_path: Path) -> None:
    """A fine-tuned conditioned network beats the generalist by far, and the fine-tuned generalist does too."""

    def factor(variant: Variant, action: str, metric: str) -> float:
        del action, metric
        return {"conditioned": 0.8, "random-conditioned": 0.7}.get(variant.arm, 1.0)

    folder = make_labels(tmp_path / "s", fields=(27,), steps=(1500,), factor=factor)
    names = {"random-conditioned": "finetuned", "conditioned": "finetuned-conditioned"}
    for path in (folder / "27f-1500").glob("*.parquet"):
        table = pd.read_parquet(path)
        table["arm"] = table["arm"].replace(names)
        table.to_parquet(path)
    path = folder / "27f-1500" / "study.json"
    about = json.loads(path.read_text())
    about["arms"] = {new: asdict(ARMS[new].about) for name in about["arms"] for new in [names.get(name, name)]}
    path.write_text(json.dumps(about))
    report = LabelsReport.open(folder)
    first, second, _ = sentences(report)
    assert first.startswith("No. ")
    assert "against an untold network that was trained alike" in first
    assert "(finetuned-conditioned, against finetuned): MPJPE +1" in second
    frame = report.tables["labels"].frame.set_index(["network", "told"])
    assert frame.loc[("finetuned-conditioned", "the recognized action"), "MPJPE difference, %"] < -10  # the generalist
    assert set(report.tables["actions"].frame["against"]) == {"finetuned"}


def test_studies_that_differ_are_told_apart(tmp_path: Path) -> None:
    folder = make_labels(tmp_path / "s", fields=(27,), steps=(1500, 6000))
    worse = folder / "27f-1500" / "labels.parquet"
    table = pd.read_parquet(worse)
    table.loc[table["arm"] != "generalist", "value"] *= 1.5
    table.to_parquet(worse)
    first, *_ = sentences(LabelsReport.open(folder))
    assert first.startswith("In part. ")
    assert "at 2 settings: position error (MPJPE) lower at 1, higher at 1" in first


def test_one_seed_is_told(tmp_path: Path) -> None:
    (_, text, _) = sentences(LabelsReport.open(make_labels(tmp_path / "s", fields=(27,), steps=(1500,), seeds=(0,))))
    assert "one seed, others may differ" in text


def test_three_people_answer_nothing(tmp_path: Path) -> None:
    folder = make_labels(tmp_path / "s", fields=(27,), steps=(1500,), clips=3)
    report = LabelsReport.open(folder)
    first, second, _ = sentences(report)
    assert first.startswith("Nobody can say of 3 people. A network that is told the action recognized")
    assert "(these people only)" in second
    frame = report.tables["labels"].frame
    assert set(frame["MPJPE is"]) == {"", "these people only"}
    write_labels_report(report)
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "These people only: 3 test people are too few" in html
    cells = html[html.index("<h2>Every label") :]
    assert '<span class="better"><' not in cells
    assert re.search(r'<span class="(better|worse)">[^GgRr]', cells) is None


# tables


def test_every_label_stands_beside_the_others(report: LabelsReport) -> None:
    frame = report.tables["labels"].frame
    for at in report.studies:
        rows = frame[frame["setting"] == at.study.name]
        assert len(rows) == 1 + 5 + 3 + 2
        assert list(rows["told"])[1:4] == ["the true action (oracle)", "the recognized action", "nothing"]
        for variant, row in zip(at.variants, rows.to_dict("records"), strict=True):
            for metric, name in zip(METRICS, ("MPJPE", "N-MPJPE", "MPJVE"), strict=True):
                expected = np.mean([by_hand(at.study.folder, variant, metric, a) for a in ACTIONS])
                assert row[name] == pytest.approx(expected)
            if variant != GENERALIST:
                assert row["MPJPE low"] <= row["MPJPE difference, %"] <= row["MPJPE high"]


def test_mistakes_add_up_to_what_they_should_cost(report: LabelsReport) -> None:
    """Expected minus oracle is the sum of what single mistakes add; planted are two kinds, one of which does good."""
    mistakes, expected = (report.tables[name].frame for name in ("mistakes", "expected"))
    for at in report.studies:
        own = mistakes[mistakes["setting"] == at.study.name]
        assert list(zip(own["true action"], own["taken for"], strict=True)) == [
            ("Eating", "Sitting"),
            ("Walking", "Eating"),
        ]
        np.testing.assert_allclose(own["how often, %"], [100 / 6, 100 / 3])
        oracle = {a: by_hand(at.study.folder, replace(CONDITIONED, label="oracle"), "mpjpe", a) for a in ACTIONS}
        adds = [0.3 * oracle["Eating"] / 6 / 3, -0.02 * oracle["Walking"] / 3 / 3]
        np.testing.assert_allclose(own["adds"], adds)
        row = expected[expected["setting"] == at.study.name].iloc[0]
        assert row["told the truth (oracle)"] == pytest.approx(np.mean(list(oracle.values())))
        assert row["recognized, as expected"] - row["told the truth (oracle)"] == pytest.approx(sum(adds))
        measured = [by_hand(at.study.folder, replace(CONDITIONED, label="predicted"), "mpjpe", a) for a in ACTIONS]
        assert row["recognized, as measured"] == pytest.approx(np.mean(measured))


def test_regret_is_relative_to_the_untold(report: LabelsReport) -> None:
    frame = report.tables["regret"].frame
    assert len(frame) == 6 * 9
    for row in frame.to_dict("records"):
        share = cost(row["true action"], row["told"]) / 1.1
        assert row["to told nothing, %"] == pytest.approx(100 * (share - 1))
    assert frame.groupby(["setting", "true action"])["how often, %"].sum().tolist() == pytest.approx([100] * 18)


def test_the_recognizer_and_the_gate_are_told(report: LabelsReport) -> None:
    row = report.tables["recognizer"].frame.iloc[0]
    assert row["right, %"] == pytest.approx(100 * 15 / 18)
    assert row["calibration error, %"] == pytest.approx(7)
    assert [row[f"trusted: {kind} labels, %"] for kind in ("right", "recognized", "wrong")] == pytest.approx(
        [97, 90, 25]
    )


# the page


def test_the_page_stands_alone_and_its_links_lead_somewhere(written: Path) -> None:
    page = Page((written / "report.html").read_text(encoding="utf-8"))
    assert not page.open
    assert not {"script", "img", "iframe", "link", "image"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
        else:
            assert ":" not in address
            assert (written / address).exists(), address
    for name in ("27f-1500", "27f-6000"):
        assert f"{name}/report.html" in page.addresses
        assert {f"{name}/runs/{run.name}/" for run in (written / name / "runs").iterdir()} <= set(page.addresses)
    assert {f"figures/{n}-{t}.png" for n in ("steps", "regret") for t in ("light", "dark")} <= set(page.addresses)
    assert "ab" * 32 in page.text
    assert "actlift study corpus suite --preset action-aware" in page.text
    assert "2D keypoints are synthetic" in page.text


def test_nothing_says_the_truth_was_told_without_saying_oracle(written: Path, report: LabelsReport) -> None:
    pages = [Page((written / "report.html").read_text(encoding="utf-8")).text]
    pages += [path.read_text(encoding="utf-8") for path in (written / "tables").glob("*.md")]
    pages += ["\n".join(sentences(report)), *(words for d in label_drawings(report.studies) for words, *_ in d.legend)]
    told = [found for text in pages for found in re.findall(r"(?:told )?the (?:true action|truth)\b.{0,9}", text)]
    about = [found for found in told if not re.match(r"the true action (is )?(taken|recog)", found)]
    assert len(about) > 20
    assert all("(oracle)" in found for found in about), about
    for name in ("labels", "expected", "mistakes"):
        table = report.tables[name]
        assert any("oracle" in str(c) for c in (*table.frame.columns, *table.frame.to_numpy().ravel()))


def test_the_figure_has_a_panel_for_each_field_and_error(report: LabelsReport) -> None:
    steps, regret = label_drawings(report.studies)
    assert [panel.title for panel in steps.panels] == [
        f"{error}, {field} frames, conditioned" for field in FIELDS for error in ("MPJPE", "MPJVE")
    ]
    assert [words for words, _, dashed in steps.legend if dashed] == ["told the true action (oracle)"]
    assert len({(place, dashed) for _, place, dashed in steps.legend}) == len(steps.legend) == 6
    assert "81 frames, 6,000 steps" in regret.title
    assert len(regret.panels) == 2


def test_settings_on_other_keypoints_have_panels_and_titles_of_their_own(report: LabelsReport) -> None:
    provenance = {"keypoints": {"kind": "DetectorNoise", "sigma": 0.0065}}
    others = [
        replace(at, study=replace(at.study, about={**at.study.about, "provenance": provenance}))
        for at in report.studies
    ]
    steps, _ = label_drawings([*report.studies, *others])
    assert [panel.title for panel in steps.panels] == [
        f"{error}, {field} frames, {keypoints} noise, conditioned"
        for field in FIELDS
        for keypoints in ("detector", "independent")
        for error in ("MPJPE", "MPJVE")
    ]
    assert {at.study.title for at in others}.isdisjoint(at.study.title for at in report.studies)


@pytest.mark.slow
def test_what_is_not_finished_is_named_and_breaks_nothing(suite: Path, tmp_path: Path) -> None:
    folder = tmp_path / "suite"
    shutil.copytree(suite, folder)
    for name in ("27f-24000", "81f-1500", "81f-24000"):
        shutil.rmtree(folder / name)
    (folder / "27f-6000" / "labels.parquet").unlink()
    table = pd.read_parquet(folder / "81f-6000" / "scores.parquet")
    table[table["arm"] != "cluster-conditioned"].to_parquet(folder / "81f-6000" / "scores.parquet")
    report = LabelsReport.open(folder)
    assert [at.study.name for at in report.studies] == ["27f-1500", "81f-6000"]
    told = "Not finished, so not shown: 27f-6000, 27f-24000, 81f-1500, 81f-24000."
    assert told in write_labels_report(report).read_text(encoding="utf-8")
    assert sentences(report)[-1] == told
    for at in folder.glob("*/labels.parquet"):
        at.unlink()
    with pytest.raises(FileNotFoundError, match="no study in .* is finished: `actlift study` goes on with them"):
        LabelsReport.open(folder)


@pytest.mark.slow
def test_the_same_suite_gives_the_same_bytes(written: Path) -> None:
    def contents() -> dict[Path, bytes]:
        made = [written / "report.html", *(written / "tables").iterdir(), *(written / "figures").iterdir()]
        return {path: path.read_bytes() for path in made}

    before = contents()
    write_labels_report(LabelsReport.open(written))
    assert contents() == before


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_every_network_and_label(report: LabelsReport, width: int) -> None:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_labels(console, report)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.count("(oracle)") >= 2 * 6
    flowed = " ".join(text.split())
    assert MEAN_OVER_PEOPLE in flowed
    assert "People in general: intervals are Student's over the 6 test people and over the 3 seeds" in flowed


# one study


@pytest.mark.slow
def test_a_study_with_labels_has_a_page_on_them_and_links_it(suite: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "study"
    shutil.copytree(suite / "27f-1500", folder)
    app(["report", str(folder)], result_action="return_value")
    capsys.readouterr()
    page = Page((folder / "labels.html").read_text(encoding="utf-8"))
    for address in page.addresses:
        assert address[1:] in page.ids if address.startswith("#") else (folder / address).exists()
    assert "27 frames, 1,500 steps, independent noise (conditioned)" in page.text
    assert "labels.html" in Page((folder / "report.html").read_text(encoding="utf-8")).addresses
    (folder / "labels.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="holds no labels: it has no labels.parquet"):
        LabelsReport.open(folder)
