"""Experts: one lifter per part of the training views, and the partitions that make the parts.

A partition tells the part of every view, of training and of test alike:

``action``   the part is the true action. At test time that is oracle knowledge.
``random``   control for small data: the part named after an action holds as many training frames as that action, drawn
             clip by clip from all actions; test views of the action go to it. Its expert has the action's amount of
             data and none of its relevance.
``cluster``  control for any other split that makes sense: k-means on each view's 2D poses, which are known at test
             time, so that no oracle is needed.
``dataset``  control for what else an action tells: the part is the data set that a view comes from, whose cameras,
             people and way of capture are its own. It is known of any recording at test time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.cluster.vq import ClusterError, kmeans2

from actlift.data.corpus import View
from actlift.errors import InputError


@dataclass(frozen=True)
class Partition:
    """Parts of the training views, and where a test view belongs.

    name: "action", "random", "cluster" or "dataset". training: the training views of each part. part_of: the part of a
    test view. oracle: whether ``part_of`` uses the true action.
    """

    name: str
    training: dict[str, list[View]]
    part_of: Callable[[View], str]
    oracle: bool


def by_action(views: Sequence[View], seed: int = 0) -> Partition:
    """The parts are the actions. ``seed`` is not used: there is one such partition."""
    del seed
    training: dict[str, list[View]] = {action: [] for action in sorted({v.action for v in views})}
    for view in views:
        training[view.action].append(view)
    return Partition("action", training, lambda view: view.action, oracle=True)


def by_random(views: Sequence[View], seed: int = 0) -> Partition:
    """Parts of the actions' sizes in frames, filled with whole clips drawn from all actions."""
    generator = np.random.default_rng((seed, 0x7A6D))
    wanted = {action: sum(v.frames for v in own) for action, own in by_action(views).training.items()}
    parts = list(wanted)
    missing = np.array(list(wanted.values()), float)
    clips: dict[str, list[View]] = {}
    for view in views:
        clips.setdefault(view.clip, []).append(view)
    training: dict[str, list[View]] = {part: [] for part in parts}
    names = list(clips)
    # long clips first, each to a part drawn in proportion to what it still misses: sizes come out close to wanted
    for name in sorted(generator.permutation(names).tolist(), key=lambda n: -sum(v.frames for v in clips[n])):
        size = sum(v.frames for v in clips[name])
        room = np.where(missing >= size, missing, 0)
        if not room.any():
            room = missing == missing.max()
        part = int(generator.choice(len(parts), p=room / room.sum()))
        training[parts[part]] += clips[name]
        missing[part] -= size
    _none_empty(training, "random")
    return Partition("random", training, lambda view: view.action, oracle=True)


def by_cluster(views: Sequence[View], seed: int = 0, parts: int | None = None) -> Partition:
    """Parts of alike 2D poses: k-means on the views' mean and spread of root-centered, size-normalized keypoints.

    As many parts as there are actions, unless told otherwise.
    """
    k = parts or len({v.action for v in views})
    described = np.stack([_describe(v) for v in views])
    center, spread = described.mean(axis=0), described.std(axis=0) + 1e-6
    if k > (different := len(np.unique(described, axis=0))):
        raise InputError(f"{k} clusters were asked for, but only {different} of {len(views)} views differ")
    codebook = _codebook((described - center) / spread, k, np.random.default_rng((seed, 0xC1)))

    def part_of(view: View) -> str:
        distance = np.linalg.norm(codebook - (_describe(view) - center) / spread, axis=1)
        return f"cluster{int(distance.argmin())}"

    training: dict[str, list[View]] = {f"cluster{c}": [] for c in range(k)}
    for view in views:
        training[part_of(view)].append(view)
    _none_empty(training, "cluster")
    return Partition("cluster", training, part_of, oracle=False)


def by_dataset(views: Sequence[View], seed: int = 0) -> Partition:
    """The parts are the data sets; one, where all views are of one. ``seed`` is not used: there is one such partition.

    A test view of a data set that training does not know goes to the part with the most training frames, of equally
    large ones to the first by name.

    Raises:
        InputError: where a training view names no data set.
    """
    del seed
    if unnamed := sorted({v.clip for v in views if not v.dataset}):
        raise InputError(
            f"{len(unnamed)} clips name no data set, the first is '{unnamed[0]}': was the corpus prepared by an older "
            "actlift? Prepare it anew"
        )
    training: dict[str, list[View]] = {dataset: [] for dataset in sorted({v.dataset for v in views})}
    for view in views:
        training[view.dataset].append(view)
    largest = max(training, key=lambda dataset: sum(v.frames for v in training[dataset]))
    return Partition(
        "dataset", training, lambda view: view.dataset if view.dataset in training else largest, oracle=False
    )


PARTITIONS: dict[str, Callable[..., Partition]] = {
    "action": by_action,
    "random": by_random,
    "cluster": by_cluster,
    "dataset": by_dataset,
}


def _codebook(
    points: Float[np.ndarray, "n features"], k: int, generator: np.random.Generator
) -> Float[np.ndarray, "k features"]:
    """Centers of k clusters, of which none came out empty; begun anew where one did."""
    for _ in range(10):
        try:
            codebook, _ = kmeans2(points, k, iter=100, seed=generator, minit="++", missing="raise")
            return np.asarray(codebook)
        except ClusterError:
            continue
    raise InputError(f"k-means leaves some of {k} clusters empty, in ten trials: ask for fewer clusters")


def _describe(view: View) -> Float[np.ndarray, " features"]:
    """Mean and standard deviation over time of the keypoints about the root, in units of the person's mean extent."""
    pose = view.pose2d.astype(np.float64)
    centered = pose - pose[:, :1]
    extent = np.sqrt(np.square(centered).sum(axis=-1).mean()) + 1e-9
    features: np.ndarray = np.concatenate([centered.mean(axis=0).ravel(), 2 * centered.std(axis=0).ravel()]) / extent
    return features


def _none_empty(training: dict[str, list[View]], name: str) -> None:
    if empty := [part for part, own in training.items() if not own]:
        raise InputError(
            f"the {name} partition leaves {', '.join(empty)} without views: too few clips for {len(training)} parts"
        )
