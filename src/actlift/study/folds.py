"""Cross-validation over people: every person of a corpus is a test person once, in one report.

``people``     leave one person out: as many folds as people
``people:k``   k groups of people, made so that, as far as the data allow, every action has people on both sides of each
               fold, and groups are alike in people, actions and frames

A fold trains on everything that the other folds' people do and is scored on those of its people's actions that somebody
else does too: of an action that one person alone does, networks learn poses, and it says nothing about people.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from actlift.data.corpus import Corpus
from actlift.errors import InputError
from actlift.study.plan import parse_folds

SPOILT = 100.0  # what it costs that all people of an action stand in one group, beside evenness, which is about 1


@dataclass(frozen=True)
class Folds:
    """The folds of a corpus.

    Attributes:
        people: the test people of each fold, by its name.
        untested: people who do nothing that somebody else does; they are trained on in every fold.
        alone: actions that one person alone does, and who.
    """

    people: Mapping[str, tuple[str, ...]]
    untested: tuple[str, ...]
    alone: Mapping[str, str]


def make_folds(corpus: Corpus, folds: str) -> Folds:
    """Share the people of a corpus among folds; the same corpus gives the same folds.

    Args:
        folds: "people" or "people:K".

    Raises:
        InputError: for other words, more groups than people, or nobody who does what somebody else does.
    """
    count = parse_folds(folds)
    frames: dict[tuple[str, str], int] = {}
    for view in corpus.views:
        frames[view.subject, view.action] = frames.get((view.subject, view.action), 0) + view.frames
    actions, people = corpus.actions, corpus.subjects
    amounts = np.array([[frames.get((person, action), 0) for action in actions] for person in people], float)
    doers = (amounts > 0).sum(axis=0)
    alone = {a: people[int((amounts[:, i] > 0).argmax())] for i, a in enumerate(actions) if doers[i] == 1}
    common = amounts[:, doers > 1]
    tested = np.flatnonzero(common.any(axis=1))
    untested = tuple(people[i] for i in range(len(people)) if i not in tested)
    if len(tested) < (count or 2):
        raise InputError(
            f"{len(tested)} people of this corpus do what somebody else does too; folds need {count or 2} at least"
        )
    names = [people[i] for i in tested]
    group = np.arange(len(names)) if count is None else _grouped(common[tested], count)
    width = len(str(group.max() + 1))
    of_group = {
        f"{number + 1:0{width}d}": tuple(name for name, g in zip(names, group, strict=True) if g == number)
        for number in range(group.max() + 1)
    }
    return Folds(of_group, untested, alone)


def _grouped(amounts: Float[np.ndarray, "people actions"], groups: int) -> Int[np.ndarray, " people"]:
    """The group of each person: placed one by one, those of most actions first, then exchanged while that helps."""
    order = np.lexsort((-amounts.sum(axis=1), -(amounts > 0).sum(axis=1)))
    group = np.full(len(amounts), -1)
    for person in order.tolist():
        group[person] = min(range(groups), key=lambda g: _unevenness(amounts, _moved(group, person, g), groups))
    while True:
        now = _unevenness(amounts, group, groups)
        moves = [_moved(group, person, g) for person in range(len(group)) for g in range(groups)]
        moves += [_swapped(group, i, j) for i in range(len(group)) for j in range(i) if group[i] != group[j]]
        best = min(moves, key=lambda moved: _unevenness(amounts, moved, groups))
        if _unevenness(amounts, best, groups) > now - 1e-9:
            return group
        group = best


def _unevenness(amounts: Float[np.ndarray, "people actions"], group: Int[np.ndarray, " people"], groups: int) -> float:
    """How far groups are from alike in people, in the people of each action and in frames; and SPOILT for every action
    whose people stand in one group, or group without people."""
    member = np.arange(groups)[:, None] == group  # (groups, people)
    does = (amounts > 0).astype(float)
    of_action, doers = member @ does, does.sum(axis=0)
    spoilt = (of_action == doers).any(axis=0).sum() + (~member.any(axis=1)).sum()
    shares = [member.mean(axis=1), (of_action / doers).T, member @ amounts.sum(axis=1) / amounts.sum()]
    return float(SPOILT * spoilt + sum(np.square(share).sum(axis=-1).mean() for share in shares))


def _moved(group: Int[np.ndarray, " people"], person: int, to: int) -> Int[np.ndarray, " people"]:
    moved = group.copy()
    moved[person] = to
    return moved


def _swapped(group: Int[np.ndarray, " people"], one: int, other: int) -> Int[np.ndarray, " people"]:
    swapped = group.copy()
    swapped[[one, other]] = swapped[[other, one]]
    return swapped
