"""Your own action: a trained network, fine-tuned with frozen statistics on labeled clips of a new action (see
:mod:`actlift.training.frozen_bn`).

The result is a plain network for that action; everything else keeps the network it had. What it is worth is measured on
clips that were held out, whole with all their cameras, or on people who were.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actlift.data.clip import take_of
from actlift.data.corpus import Corpus, View
from actlift.data.windows import rows_of
from actlift.errors import InputError
from actlift.evaluation.evaluate import evaluate
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, Scores, Variant
from actlift.files import write_json
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.models.base import Lifter, unconditioned
from actlift.training.budget import Budget, Schedule
from actlift.training.frozen_bn import LEARNING_RATE, tune_frozen
from actlift.training.loop import ModelSpec, TrainProgress
from actlift.training.run import Run, refuse_seen

BEFORE, AFTER = Variant("before"), Variant("after")
METRICS = ("mpjpe", "n_mpjpe", "mpjve")


@dataclass(frozen=True, eq=False)
class Finetuned:
    """A network for a new action and what it is worth.

    Attributes:
        run: with one member, named after the action.
        held_out: names of the clips that it was scored on.
        action: scores of the held-out views, variants BEFORE and AFTER.
        others: the same of the other actions, of people whom neither network saw, as if the new network were used for
            them too; None where there are none.
    """

    run: Run
    held_out: tuple[str, ...]
    action: Scores
    others: Scores | None


def finetune(
    folder: Path,
    base: Run,
    corpus: Corpus,
    action: str,
    *,
    test_subjects: Sequence[str] = (),
    test_share: float = 0.34,
    budget: Budget = Budget(300, 256),  # noqa: B008 - frozen
    learning_rate: Schedule = LEARNING_RATE,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    on_progress: Callable[[TrainProgress], None] = lambda _: None,
) -> Finetuned:
    """Fine-tune a network on a new action, and compare it with what it was.

    Args:
        folder: the run folder, which also gets ``scores.parquet`` and ``finetuned.json``.
        base: a finished run of one network; of one that takes conditions, the network without a label is taken.
        corpus: holds the clips of the action, and may hold others.
        test_subjects: people held out; where none, clips are.
        test_share: of the action's clips to hold out, at least one.
        budget: of fine-tuning.
        learning_rate: over progress through that.

    Raises:
        InputError: for an action the corpus does not have, too few clips to hold one out, or held-out people whom the
            base was trained on.
        OSError: where the folder cannot be written.
    """
    if action not in corpus.actions:
        raise InputError(f"there are no clips of {action!r}; the corpus has {', '.join(corpus.actions)}")
    network = unconditioned(load_lifter(base))
    seen = set(base.identity.subjects)
    refuse_seen(seen, test_subjects, str(base.folder))
    own = [v for v in corpus.views if v.action == action]
    training, test = _split(own, test_subjects, test_share, seed)
    met = seen | {v.subject for v in training}
    run = tune_frozen(
        folder,
        corpus.select(subjects=[s for s in corpus.subjects if s in met]),
        [ModelSpec(action, rows_of(training), budget)],
        {action: network},
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        precision=precision,
        on_progress=on_progress,
    )
    pair = {BEFORE: network, AFTER: load_lifter(run)}
    rest = [v for v in corpus.views if v.action != action and v.subject not in met]
    found = Finetuned(
        run,
        tuple(sorted({v.clip for v in test})),
        _compared(pair, test, seed, folder),
        _compared(pair, rest, seed, folder) if rest else None,
    )
    found.action.save(folder / "scores.parquet")
    write_json(folder / "finetuned.json", _described(found, base, training, test))
    return found


def _described(found: Finetuned, base: Run, training: Sequence[View], test: Sequence[View]) -> dict[str, Any]:
    """What finetuned.json holds."""
    return {
        "action": test[0].action,
        "base": str(base.folder),
        "trained_on": {"clips": sorted({v.clip for v in training}), "frames": sum(v.frames for v in training)},
        "held_out": {"clips": found.held_out, "subjects": sorted({v.subject for v in test})},
        "errors": _means(found.action),
        "other_actions": None if found.others is None else _means(found.others),
    }


def _split(views: Sequence[View], subjects: Sequence[str], share: float, seed: int) -> tuple[list[View], list[View]]:
    """The views to train on and those held out: people, or whole takes, whose pieces stay on one side."""
    if subjects:
        held = {take_of(v.clip) for v in views if v.subject in subjects}
        what = f"people; {', '.join(sorted({v.subject for v in views}))} do it"
    else:
        clips = sorted({take_of(v.clip) for v in views})
        count = max(1, round(share * len(clips)))
        held = set(np.random.default_rng((seed, 0x5C)).permutation(clips)[:count].tolist())
        what = f"clips, there are {len(clips)}"
    test = [v for v in views if take_of(v.clip) in held]
    training = [v for v in views if take_of(v.clip) not in held]
    if not training or not test:
        raise InputError(
            f"{views[0].action} needs something to train on and something to hold out: give other held-out {what}"
        )
    return training, test


def _compared(networks: dict[Variant, Lifter], views: Sequence[View], seed: int, folder: Path) -> Scores:
    parts = [
        evaluate(
            LifterPredictor(network),
            views,
            variant=variant,
            seed=seed,
            run=str(folder),
            metrics=METRICS,
            known_people=True,
        )
        for variant, network in networks.items()
    ]
    return Scores.concat(parts)


def _means(scores: Scores) -> dict[str, dict[str, float]]:
    """Mean over actions by metric, before and after, in the metrics' units."""
    return {
        metric: {str(variant): float(mean) for variant, mean in scores.per_action(metric)[MEAN_OVER_ACTIONS].items()}
        for metric in METRICS
    }
