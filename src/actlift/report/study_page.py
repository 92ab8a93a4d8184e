"""The page of a study folder: reads study.json, the runs and their scores, and nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from actlift.data.archive import read_npz
from actlift.data.corpus import OWN
from actlift.data.sources.synthetic import SYNTHETIC
from actlift.errors import MissingInputError
from actlift.evaluation.scores import Scores, Variant
from actlift.files import read_json
from actlift.geometry.skeleton import H36M_17, SKELETONS
from actlift.report.page import ReportContext, write_page
from actlift.report.results import begun_from, read_arms, steps_of, variants_of_runs
from actlift.study.upgrade import upgrade_study
from actlift.training.run import Run

PROJECTED_PX = 1.0  # keypoints so near to the projections are projections: no detector is


def write_study_page(folder: Path) -> Path:
    """Write ``report.html`` into a study folder, of this format or an older one, and give its path.

    Raises:
        FileNotFoundError: where the folder holds no finished study.
        OSError: where the page cannot be written.
    """
    upgrade_study(folder)
    for name in ("study.json", "scores.parquet"):
        if not (folder / name).is_file():
            raise MissingInputError(f"{folder} holds no finished study: it has no {name}. `actlift study` makes one.")
    study = read_json(folder / "study.json")
    scores, _ = Scores.read(folder / "scores.parquet").by_smoothing()
    variants = scores.variants
    of_runs = sorted(
        _of_one_fold(variants_of_runs(scores)).items(), key=lambda of: (variants.index(of[1][0]), of[1][1])
    )
    runs = {name: Run.open(folder / name) for name, _ in of_runs}
    seeds = sorted({seed for _, (_, seed) in of_runs})
    first_seed = {name: variant for name, (variant, seed) in of_runs if seed == seeds[0]}
    plan, training, test = study["plan"], study["training"], study["test"]
    path = folder / "report.html"
    write_page(
        path,
        ReportContext(
            title="Which arm has the lower error under equal budgets: one network for all actions, or one for each?",
            scores=scores,
            arms=read_arms(study),
            study={
                "arms": list(map(str, variants)),
                "seeds": seeds,
                "generalist's budget": f"{plan['budget']['steps']:,} steps of {plan['budget']['batch']} windows",
                "training frames of each network": plan["frames"] or "all",
                "network": plan["network"],
                "trained on": f"{training['frames']:,} frames of {', '.join(training['subjects'])}",
                "tested on": f"{test['frames']:,} frames of {', '.join(test['subjects'])}",
                "actions": ", ".join(test["actions"]),
                "frame rate": f"{study['fps']:g} per second",
                "corpus": study["corpus_folder"],
                "corpus digest": study["fixed"]["corpus"],
                "sources": study["provenance"]["sources"],
                "cameras": cameras_note(study["provenance"]),
                "command": study["command"],
                "commit": study["commit"],
                "versions": study["versions"],
            },
            curves=[(variant, _curve(runs[name])) for name, variant in first_seed.items()],
            examples=_examples(folder, first_seed),
            data_note=data_note(study["provenance"]),
            skeleton=H36M_17,
            runs=[_run(name, runs[name], variant, seed) for name, (variant, seed) in of_runs],
            labels_page="labels.html" if (folder / "labels.html").is_file() else "",
            gains_page="gains.html" if (folder / "gains.html").is_file() else "",
        ),
    )
    return path


def _of_one_fold(runs: Mapping[str, tuple[Variant, int]]) -> dict[str, tuple[Variant, int]]:
    """Runs of the first fold, where there are folds: those of the others are of the same kind."""
    first = next(iter(runs)).rpartition("runs/")[0]
    return {name: of for name, of in runs.items() if name.startswith(first)}


def data_note(provenance: Mapping[str, Any]) -> str:
    """Say where the 2D keypoints of a corpus come from, in words that stand beside every verdict."""
    made = provenance["keypoints"]
    if made["kind"] == "Detections":
        return _detections_note(made)
    cameras = "the cameras that filmed it" if provenance.get("rig") == OWN else "virtual cameras"
    described = ", ".join(f"{key} {value}" for key, value in made.items() if key != "kind")
    keypoints = f"{cameras}, {made['kind']}" + (f" ({described})." if described else ".")
    if set(provenance["sources"]) == {SYNTHETIC}:
        return (
            f"Motions are synthetic, nobody moved, and 2D keypoints are their projections by {keypoints} The numbers "
            "show that the comparison works, not how well people are lifted."
        )
    return f"2D keypoints are synthetic: projections of motion capture by {keypoints}"


def _detections_note(made: Mapping[str, Any]) -> str:
    if made["off_px"] < PROJECTED_PX:
        return (
            f"2D keypoints are synthetic: projections of motion capture by the cameras that filmed it, {made['file']}."
        )
    note = f"2D keypoints are detections: {made['file']}, on average {made['off_px']:g} px from the projections."
    if made["layout"] == H36M_17.name:
        return note
    lacking = [joint for joint in H36M_17.joints if joint not in SKELETONS[made["layout"]].joints]
    return f"{note} The detector's layout is {made['layout']}: {', '.join(lacking)} are approximated from other joints."


def cameras_note(provenance: Mapping[str, Any]) -> str:
    """Say which cameras saw the clips of a corpus, in words."""
    if provenance["rig"] == OWN:
        return f"{provenance['cameras']}, those that filmed the clips"
    return f"{provenance['cameras']} virtual ones per clip, rig {provenance['rig']}"


def _curve(run: Run) -> pd.DataFrame:
    """Training loss in mm over the steps of a member, the mean over members."""
    log = run.log()
    means = log.groupby("step")["loss_mm"].mean()
    return pd.DataFrame({"step": means.index, "loss": means.to_numpy()})


def _run(name: str, run: Run, variant: Variant, seed: int) -> dict[str, Any]:
    """A run's row: what it took together with what it went on from."""
    whole = [run, *begun_from(run, variant, seed)]
    return {
        "variant": variant,
        "seed": seed,
        "folder": name,
        "steps": sum(map(steps_of, whole)),
        "seconds": sum(float(of.log()["seconds"].max()) for of in whole),
    }


def _examples(folder: Path, variants: Mapping[str, Variant]) -> list[dict[str, Any]]:
    """The frames that every run saved, the ground truth beside each variant's prediction."""
    examples: list[dict[str, Any]] = []
    for name, variant in variants.items():
        found = read_npz(folder / name / "examples.npz")
        for i, title in enumerate(found["title"]):
            if i == len(examples):
                action, ground_truth = str(found["action"][i]), found["truth"][i]
                examples.append(
                    {"title": str(title), "action": action, "ground_truth": ground_truth, "predictions": {}}
                )
            examples[i]["predictions"][variant] = found["predicted"][i]
    return examples
