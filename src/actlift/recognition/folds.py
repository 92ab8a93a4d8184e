"""Folds over people: whom to leave out together, so that what is learnt can be tested on people it never saw."""

from actlift.data.corpus import Corpus
from actlift.errors import InputError


def leave_out(corpus: Corpus, folds: int) -> list[frozenset[str]]:
    """People to leave out together, one set per fold, so that as much as can be of what they do is left to learn.

    Raises:
        InputError: for fewer than two folds, or more than people who do what somebody else does too.
    """
    does = _does(corpus)
    useful = people_to_leave_out(corpus)
    if not 2 <= folds <= len(useful):
        raise InputError(
            f"{folds} folds cannot be made of {len(useful)} people who do what somebody else does too: ask for 2 or "
            "more, but not more than they are"
        )
    sets: list[set[str]] = [set() for _ in range(folds)]
    for subject in useful:  # each to the people who do the least of what they do
        min(sets, key=lambda own: sum(len(does[subject] & does[other]) for other in own)).add(subject)
    return [frozenset(own) for own in sets]


def people_to_leave_out(corpus: Corpus) -> list[str]:
    """Those who do something that somebody else does too, those who do most of it first."""
    does = _does(corpus)
    shared = {s: sum(any(a in does[o] for o in does if o != s) for a in does[s]) for s in does}
    return [s for s in sorted(does, key=lambda s: (-shared[s], s)) if shared[s]]


def _does(corpus: Corpus) -> dict[str, set[str]]:
    """What everybody does."""
    return {s: {v.action for v in corpus.views if v.subject == s} for s in corpus.subjects}
