"""What a study trains, and on whom it reports."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from actlift.errors import InputError
from actlift.models.options import Network
from actlift.training.budget import MATCHINGS, Budget
from actlift.training.settings import Device, Loss, Precision

if TYPE_CHECKING:
    from actlift.data.corpus import Corpus

LabelSource = Literal["network", "clip"]  # of actlift.study.recognizers
Labels = Literal["", "predicted", "all"]


@dataclass(frozen=True)
class Plan:
    """What a study trains and on whom it reports.

    Attributes:
        test_subjects: people held out to report on; none where ``folds`` hold out everybody in turn.
        folds: "people" or "people:K", a cross-validation (see :mod:`actlift.study.folds`); "" for one split.
        arms: generalist; experts, random-experts, cluster-experts, one network per part; conditioned,
            random-conditioned, cluster-conditioned, one network told the part; finetuned-experts,
            random-finetuned-experts, one such network of which a copy for each part is fine-tuned on that part;
            finetuned and finetuned-conditioned, the generalist and the conditioned network fine-tuned on everything
            (see actlift.training.frozen_bn). The generalist is always trained.
        matching: how the experts' budgets are matched with the generalist's: total (all together), per_model (each);
            or frames or epochs, which stand alone since their generalist is another.
        seeds: one training of every arm for each.
        budget: the generalist's.
        frames: training frames of every network under the matching "frames".
        epochs: under the matching "epochs", how many passes over its data the generalist's budget stands for; learning
            rates then fall as the paper's authors ran it.
        snapshots: how often along training the error on the held-out people is noted, for learning curves only.
        network: of all arms alike.
        loss: of all arms alike.
        labels: also score experts and conditioned networks under predicted actions, or under predicted, missing and
            wrong ones (all); the cost of the recognizer is then taken off the conditioned networks' budget.
        labels_by: what predicts actions: network, the one that `recognize` trains and videos are lifted with; or clip,
            its baseline, linear discriminant analysis of a clip's statistics.
        coupled: with all labels, also recognize the action again in lifted poses, twice (actlift.recognition.coupled);
            what learning that costs is taken off no budget.
        all_actions: also train on actions that no held-out person does (never scored).
        precision: float32, bfloat16, or auto: bfloat16 where the processor multiplies it natively.
        device: cpu, cuda, or auto.
    """

    test_subjects: tuple[str, ...] = ()
    arms: tuple[str, ...] = ("generalist", "experts", "random-experts")
    matching: tuple[str, ...] = ("total",)
    seeds: tuple[int, ...] = (0, 1, 2)
    budget: Budget = field(default_factory=Budget)
    frames: int | None = None
    epochs: int | None = None
    snapshots: int = 0
    network: Network = field(default_factory=Network)
    loss: Loss = field(default_factory=Loss)
    labels: Labels = ""
    labels_by: LabelSource = "network"
    coupled: bool = False
    all_actions: bool = False
    folds: str = ""
    precision: Precision = "auto"
    device: Device = "auto"

    def __post_init__(self) -> None:
        if unknown := [m for m in self.matching if m not in MATCHINGS]:
            raise InputError(f"unknown matching {', '.join(unknown)}; known: {', '.join(MATCHINGS)}")
        for matching, number in (("frames", self.frames), ("epochs", self.epochs)):
            if matching in self.matching and len(self.matching) > 1:
                raise InputError(f"the matching {matching!r} has a generalist of its own: give it a study of its own")
            if (matching in self.matching) != (number is not None):
                raise InputError(
                    f"the matching {matching!r} and a number of {matching} belong together: give both or neither"
                )
            if number is not None and number < 1:
                raise InputError(f"a number of {matching} is 1 or more, got {number}")
        if self.loss.velocity and self.budget.batch % 2:
            raise InputError(f"a velocity loss takes pairs of frames: give an even batch, got {self.budget.batch}")
        if self.coupled and self.labels != "all":
            raise InputError("recognizing again stands beside all labels: ask for labels all, or leave coupled out")
        if self.snapshots < 0:
            raise InputError(f"a number of snapshots is 0 or more, got {self.snapshots}")
        if self.folds:
            parse_folds(self.folds)
        if bool(self.folds) == bool(self.test_subjects):
            raise InputError(
                "a study holds out test subjects, or everybody in turn in folds: give one of them, got test subjects "
                f"{', '.join(self.test_subjects) or 'none'} and folds {self.folds or 'none'}"
            )
        for name, values in (
            *(() if self.folds else (("test subjects", self.test_subjects),)),
            ("matchings", self.matching),
            ("seeds", self.seeds),
        ):
            if not values or len(set(values)) != len(values):
                raise InputError(f"a study needs {name}, each once; got {values}")

    def split(self, corpus: "Corpus") -> "tuple[Corpus, Corpus]":
        """Cut a corpus into what is trained on and what is reported on: actions that stand on both sides, and of
        training people the others too where ``all_actions``.

        Raises:
            InputError: as :meth:`actlift.data.corpus.Corpus.split`.
        """
        training, test = corpus.split(self.test_subjects, shared_actions_only=True)
        if self.all_actions:
            training, _ = corpus.split(self.test_subjects)
        return training, test

    def of_fold(self, people: tuple[str, ...]) -> "Plan":
        """The study of one fold, which trains on all that the others do."""
        return replace(self, folds="", test_subjects=people, all_actions=True)

    def fixed(self, digest: str) -> dict[str, Any]:
        """What may not change between two calls of one study; arms, matchings and seeds may grow."""
        free = ("arms", "matching", "seeds", "labels", "labels_by", "coupled", "precision", "device")
        kept = {key: value for key, value in asdict(self).items() if key not in free}
        if self.loss.plain:
            del kept["loss"]
        if not self.folds:
            del kept["folds"]
        kept["network"] = self.network.record()
        kept["test_subjects"] = sorted(self.test_subjects)
        plain: dict[str, Any] = json.loads(json.dumps({"corpus": digest, **kept}))
        return plain


def parse_folds(text: str) -> int | None:
    """How many groups of people are asked for; None for as many as there are people.

    Raises:
        InputError: for words that are none.
    """
    kind, _, number = text.partition(":")
    if kind == "people" and not number and ":" not in text:
        return None
    if kind == "people" and number.isdecimal() and int(number) > 1:
        return int(number)
    raise InputError(f"folds are people (leave one out) or people:K with K groups, 2 or more; got {text!r}")
