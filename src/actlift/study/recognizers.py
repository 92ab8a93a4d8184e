"""What tells the predicted action in a study. The one that users get is the default; the other is its baseline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from actlift.data.corpus import Corpus
from actlift.data.keypoints2d import Keypoints2D
from actlift.errors import InputError
from actlift.models.base import Lifter, multiply_adds
from actlift.models.options import Network
from actlift.recognition.accuracy import Posteriors
from actlift.recognition.coupled import RecognizeAgain
from actlift.recognition.discriminant import ClipRecognizer
from actlift.recognition.prediction import load_recognizer
from actlift.recognition.training import train_recognizer, training_multiply_adds
from actlift.training.budget import Budget

MODEL = {"receptive_field": 81, "channels": 128}
BUDGET, FOLDS = Budget(200, 128), 5  # more steps tell held-out training people no better, and lifters pay for them


@runtime_checkable
class ClipLabels(Protocol):
    """Tells the actions of whole sequences.

    Attributes:
        sure: the least confidence above which clips of people left out were right nearly always.
    """

    @property
    def sure(self) -> float: ...

    def of_clip(self, seen: Keypoints2D) -> Float[np.ndarray, " actions"]:
        """Calibrated probabilities of the training actions, which sum to 1."""
        ...

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Posteriors:
        """The same in every frame ``(t, actions)`` of each sequence; those of a clip are their mean."""
        ...


@dataclass(frozen=True)
class StudyRecognizer:
    """A row of :data:`RECOGNIZERS`.

    Attributes:
        learn: from the study's folder and the training people, or read what was learnt there.
        multiply_adds: about what learning multiplies and adds, to be held against a lifter's training.
    """

    learn: Callable[[Path, Corpus], ClipLabels]
    multiply_adds: Callable[[Corpus], int]


def _learn_network(folder: Path, training: Corpus) -> ClipLabels:
    return load_recognizer(train_recognizer(folder / "recognizer", training, model=MODEL, budget=BUDGET, folds=FOLDS))


def _fit_discriminant(folder: Path, training: Corpus) -> ClipLabels:
    path = folder / "recognizer.safetensors"
    if not path.exists():
        ClipRecognizer.fit(training).save(path)
    return ClipRecognizer.read(path)


def learn_again(folder: Path, training: Corpus, lifter: Lifter) -> RecognizeAgain:
    """Learn to recognize actions in keypoints and in poses of this lifter, told nothing, or read what was learnt there.

    It takes as many steps as the network that recognizes actions in keypoints alone.

    Args:
        folder: the run folder.
        training: the training people.
        lifter: whose poses it will meet: another's deceive it.
    """
    run = train_recognizer(folder, training, model=MODEL, lifter=lifter, budget=BUDGET, folds=FOLDS)
    return load_recognizer(run).of_poses


RECOGNIZERS: dict[str, StudyRecognizer] = {
    "network": StudyRecognizer(_learn_network, lambda training: training_multiply_adds(training, MODEL, BUDGET, FOLDS)),
    "clip": StudyRecognizer(_fit_discriminant, ClipRecognizer.multiply_adds),
}


def recognizing_steps(name: str, training: Corpus, network: Network, budget: Budget) -> int:
    """How many optimizer steps of a network a recognizer's multiplications would pay for, rounded up.

    Raises:
        InputError: where that is the whole budget or more.
    """
    step = 3 * multiply_adds(network.keywords()) * budget.batch
    charge = -(-RECOGNIZERS[name].multiply_adds(training) // step)
    if charge >= budget.steps:
        raise InputError(
            f"recognizing the action costs about {charge} steps of this network, more than its budget of "
            f"{budget.steps}: give more steps, a cheaper recognizer (--labels-by clip), or leave --labels out"
        )
    return charge
