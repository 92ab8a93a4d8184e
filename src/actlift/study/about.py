"""What a report needs to know of an arm; `study.json` holds it, so that reports see no arm (nor torch)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actlift.evaluation.scores import GENERALIST


@dataclass(frozen=True)
class About:
    """An arm in words, and its place among the others.

    Attributes:
        note: what it is.
        mixture: what its mixture is; "" where it has none.
        note_labeled: what it is under labels from elsewhere than the ground truth; "" where ``note`` says it.
        partition: the name of the partition that it trains on; "" where it knows no parts.
        per_part: whether it has a network for every part, not one network for all.
        control: whether it only tells what another arm's gain is due to.
        labeled: whether it is also scored under predicted, missing and wrong actions.
        against: the arm without labels, trained alike, that it is held against (the generalist where that was not
            trained).
        mixtures_alike: whether its mixture is held against the mixture of that arm.
        controls: arms of the same cost in use that know less, which its gain has to exceed.
        mixture_controls: the same of its mixture, which averages poses of two networks.
    """

    note: str
    mixture: str = ""
    note_labeled: str = ""
    partition: str = ""
    per_part: bool = False
    control: bool = False
    labeled: bool = False
    against: str = GENERALIST.arm
    mixtures_alike: bool = False
    controls: tuple[str, ...] = ()
    mixture_controls: tuple[str, ...] = ()

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "About":
        """From what `study.json` holds of it."""
        plain: Any = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
        return cls(**plain)


ABOUT: dict[str, About] = {
    GENERALIST.arm: About("one network for all actions"),
    "experts": About(
        "one network per action; the true action is known (oracle)",
        "mean of the poses of that network and the generalist's, or the generalist's where in doubt",
        "one network per action: that of the action told, or the generalist where none is",
        partition="action",
        per_part=True,
        labeled=True,
        controls=("random-experts", "cluster-experts"),
        mixture_controls=("ensemble-2",),
    ),
    "random-experts": About(
        "control: one network per random part of the clips, as many and as large as the actions",
        partition="random",
        per_part=True,
        control=True,
    ),
    "cluster-experts": About(
        "control: one network per cluster of similar poses",
        partition="cluster",
        per_part=True,
        control=True,
    ),
    "conditioned": About(
        "one network for all actions that is told which it is",
        "mean of the conditioned network's poses told and untold, or untold where in doubt",
        partition="action",
        labeled=True,
        controls=("random-conditioned", "cluster-conditioned", "dataset-conditioned"),
        mixture_controls=("ensemble-2",),
    ),
    "random-conditioned": About(
        "control: one network that is told a random part of the clips, as large as the action",
        partition="random",
        control=True,
    ),
    "cluster-conditioned": About(
        "control: one network that is told the cluster of similar poses", partition="cluster", control=True
    ),
    "dataset-conditioned": About(
        "control: one network that is told which data set a clip is of", partition="dataset", control=True
    ),
    "finetuned": About(
        "the generalist, the last part of its training in evaluation mode",
        "mean of the poses of the fine-tuned network and of the one it began from",
        controls=("batch-statistics", "averaged"),
        mixture_controls=("ensemble-2",),
    ),
    "finetuned-conditioned": About(
        "the network that is told the action, the last part of its training in evaluation mode",
        "mean of that network's poses told and untold, untold where in doubt",
        partition="action",
        labeled=True,
        against="finetuned",
        controls=(
            "finetuned",
            "random-finetuned-conditioned",
            "cluster-finetuned-conditioned",
            "dataset-finetuned-conditioned",
        ),
        mixture_controls=("finetuned-ensemble-2",),
    ),
    "random-finetuned-conditioned": About(
        "control: the same network, told a random part of the clips, as large as the action",
        partition="random",
        control=True,
        against="finetuned",
    ),
    "cluster-finetuned-conditioned": About(
        "control: the same network, told the cluster of similar poses",
        partition="cluster",
        control=True,
        against="finetuned",
    ),
    "dataset-finetuned-conditioned": About(
        "control: the same network, told which data set a clip is of",
        partition="dataset",
        control=True,
        against="finetuned",
    ),
    "finetuned-experts": About(
        "a network that is told the action, and a copy of it for every action, fine-tuned on that",
        "mean of the poses of the action's copy and of the untold network, untold where in doubt",
        partition="action",
        per_part=True,
        labeled=True,
        against="finetuned",
        mixtures_alike=True,
        controls=("finetuned", "soup", "random-finetuned-experts", "cluster-finetuned-experts"),
        mixture_controls=("finetuned-ensemble-2",),
    ),
    "random-finetuned-experts": About(
        "control: the same for random parts of the clips, as large as the actions",
        "control: mean of the poses of the random part's copy and of the untold network",
        partition="random",
        per_part=True,
        control=True,
        against="finetuned",
        mixtures_alike=True,
    ),
    "cluster-finetuned-experts": About(
        "control: the same for clusters of similar poses",
        "control: mean of the poses of the cluster's copy and of the untold network",
        partition="cluster",
        per_part=True,
        control=True,
        against="finetuned",
        mixtures_alike=True,
    ),
    "averaged": About("control: the generalist's training, the mean of its weights over its last part", control=True),
    "batch-statistics": About(
        "control: the generalist, its normalization statistics measured again without dropout", control=True
    ),
    "ensemble-2": About("control: mean of the poses of two generalists of different seeds", control=True),
    "ensemble-4": About("control: mean of the poses of four generalists of different seeds", control=True),
    "finetuned-ensemble-2": About(
        "control: mean of the poses of two fine-tuned generalists of different seeds", control=True, against="finetuned"
    ),
    "soup": About(
        "control: one network, the mean of the weights of the copies fine-tuned on each action",
        control=True,
        against="finetuned",
    ),
    "constant-pose": About("baseline: the mean training pose, whatever is seen", control=True),
    "nearest-pose": About("baseline: the training pose that looks most alike, frame by frame", control=True),
}
"""The arms of actlift, which are rows of :data:`actlift.study.arms.ARMS`."""
