"""``python -m benchmarks.averages STUDY CORPUS``: is the action worth something beside averaging networks?

Takes a finished study with the arms "finetuned" and "finetuned-conditioned", and averages the poses of its networks: of
the fine-tuned generalist and of the one it began from, which know no action, and of the mixtures of the fine-tuned
conditioned network and of the one it began from, told the recognized action, the true one (oracle) or a wrong one.
Errors of unseen people against the study's generalist, of the same budget; an average of networks takes as many times
longer to use.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from actlift.data.corpus import Corpus
from actlift.evaluation.evaluate import score_poses
from actlift.evaluation.scores import GENERALIST, Scores, Variant
from actlift.files import read_json
from actlift.lifting.conditional import ConditionalLifter, Gate, mixture
from actlift.lifting.predict import LifterPredictor, Poses, load_lifter
from actlift.recognition.discriminant import ClipRecognizer
from actlift.report.estimate import relative_error
from actlift.study.experiment import GATE_EVERY
from actlift.study.upgrade import upgrade_study
from actlift.training.run import Run, commit

METRICS = ("mpjpe", "mpjve")


def averaged(*poses: Poses) -> Poses:
    return [np.mean(each, axis=0).astype(np.float32) for each in zip(*poses, strict=True)]


def of_seed(study: Path, seed: int, training: Corpus, test: Corpus) -> Scores:
    """Scores of all ways with the networks of one seed."""
    views = test.views
    seen = [view.keypoints for view in views]

    def lifter(name: str) -> LifterPredictor:
        return LifterPredictor(load_lifter(Run.open(study / "runs" / f"{name}-seed{seed}")))

    recognizer = ClipRecognizer.read(study / "recognizer.safetensors")
    actions = list(recognizer.actions)
    true = np.array([actions.index(view.action) for view in views])
    wrong = (true + np.random.default_rng((seed, 0x3A)).integers(1, len(actions), len(true))) % len(actions)
    labels = {
        "recognized": [recognizer.of_clip(keypoints) for keypoints in seen],
        "true (oracle)": list(np.eye(len(actions))[true]),
        "wrong at random": list(np.eye(len(actions))[wrong]),
    }
    ways = {
        "generalist": lifter("generalist")(seen),
        "fine-tuned": lifter("finetuned")(seen),
    }
    ways["fine-tuned + before"] = averaged(ways["fine-tuned"], lifter("generalist-for-finetuned")(seen))
    mixtures: dict[str, list[Poses]] = {label: [] for label in labels}
    for name in ("finetuned-conditioned", "conditioned-for-finetuned-conditioned"):
        network = load_lifter(Run.open(study / "runs" / f"{name}-seed{seed}"))
        told = ConditionalLifter.from_network(network, actions)
        gate = Gate.fit(told, training.views[::GATE_EVERY], recognizer.sure)
        untold = told.unconditioned(seen)
        for label, posteriors in labels.items():
            mixtures[label].append(mixture(told, untold, seen, posteriors, gate)[0])
    ways |= {f"mixtures, fine-tuned + before: {label}": averaged(*both) for label, both in mixtures.items()}
    return Scores.concat(
        [score_poses(p, views, variant=Variant(way), seed=seed, metrics=METRICS) for way, p in ways.items()]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    asked = parser.parse_args()
    corpus = Corpus.open(asked.corpus)
    upgrade_study(asked.study)
    people = read_json(asked.study / "study.json")["test"]["subjects"]
    training, test = corpus.split(people, shared_actions_only=True)
    scores = Scores.concat([of_seed(asked.study, seed, training, test) for seed in asked.seeds])
    ways = list(scores.variants)
    table = Table(box=SIMPLE_HEAD, title=f"{asked.study.name}; seeds {asked.seeds}; commit {commit()}; % of generalist")
    for column in ("", "MPJPE", "MPJVE", "worse by over 1 %"):
        table.add_column(column)
    for way in ways[1:]:
        cells = []
        for metric in METRICS:
            error = relative_error(scores.variations(metric, [GENERALIST, way]), way)
            cells.append(f"{error.effect:+.1f} [{error.low:+.1f}, {error.high:+.1f}]")
        per_action = scores.per_action("mpjpe")[list(scores.actions)]
        worse = (per_action.loc[way] > 1.01 * per_action.loc[GENERALIST]).sum()
        table.add_row(str(way), *cells, f"{worse} actions")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
