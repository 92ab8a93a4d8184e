"""What a report needs to know of an arm; `study.json` holds it, so that reports see no arm (nor torch)."""

from dataclasses import dataclass

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


ABOUT: dict[str, About] = {
    GENERALIST.arm: About("one network for all actions"),
    "experts": About(
        "one network per action; the true action is known (oracle)",
        "mean of the poses of that network and the generalist's, or the generalist's where in doubt",
        "one network per action: that of the action told, or the generalist where none is",
        partition="action",
        per_part=True,
        labeled=True,
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
    ),
    "random-conditioned": About(
        "control: one network that is told a random part of the clips, as large as the action",
        partition="random",
        control=True,
    ),
    "cluster-conditioned": About(
        "control: one network that is told the cluster of similar poses", partition="cluster", control=True
    ),
    "finetuned": About(
        "the generalist, the last part of its training in evaluation mode",
        "mean of the poses of the fine-tuned network and of the one it began from",
    ),
    "finetuned-conditioned": About(
        "the network that is told the action, the last part of its training in evaluation mode",
        "mean of that network's poses told and untold, untold where in doubt",
        partition="action",
        labeled=True,
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
}
"""The arms of actlift, which are rows of :data:`actlift.study.arms.ARMS`."""
