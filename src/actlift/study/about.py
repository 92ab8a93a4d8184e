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
