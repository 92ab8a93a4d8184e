"""Partitions: what each expert is trained on, and which expert a test view goes to."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.spatial.distance import cdist

from actlift.data.corpus import Corpus, View, write_corpus
from actlift.data.noise import IndependentNoise
from actlift.data.sources.synthetic import synthetic_clips
from actlift.study.partitions import PARTITIONS, Partition, by_action, by_cluster, by_dataset, by_random

SEEDS = range(5)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Many short clips of four actions of very different amounts, about 60, 24, 12 and 6 clips; two data sets."""
    clips = []
    for action, takes in {"Walking": 10, "Waving": 4, "Sitting": 2, "Squat": 1}.items():
        clips += synthetic_clips(1, actions=[action], subjects=6, clips=takes, seconds=0.8, fps=25.0)
    clips = [replace(clip, dataset="few" if clip.subject == "syn1" else "many") for clip in clips]
    folder = tmp_path_factory.mktemp("uneven") / "corpus"
    return write_corpus(folder, clips, cameras=2, keypoints=IndependentNoise(2.0))


def key(view: View) -> tuple[str, str]:
    return view.clip, view.camera_name


def contents(partition: Partition) -> dict[str, list[tuple[str, str]]]:
    return {part: [key(view) for view in views] for part, views in partition.training.items()}


def frames(views: list[View]) -> int:
    return sum(view.frames for view in views)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PARTITIONS)
def test_parts_are_disjoint_and_cover_everything(uneven, name, seed):
    partition = PARTITIONS[name](uneven.views, seed=seed)
    assert partition.name == name
    assert len(partition.training) == (2 if name == "dataset" else len(uneven.actions))
    assert all(partition.training.values())
    views = [key(view) for own in partition.training.values() for view in own]
    assert Counter(views) == Counter(key(view) for view in uneven.views)
    assert set(map(partition.part_of, uneven.views)) <= set(partition.training)


@pytest.mark.parametrize("name", PARTITIONS)
def test_the_seed_alone_decides(uneven, name):
    first, again = (PARTITIONS[name](uneven.views, seed=3) for _ in range(2))
    assert contents(first) == contents(again)
    assert [first.part_of(v) for v in uneven.views] == [again.part_of(v) for v in uneven.views]
    if name not in ("action", "dataset"):
        assert contents(first) != contents(PARTITIONS[name](uneven.views, seed=4))


def test_actions_are_matched_by_equality(uneven):
    """ "Walk" is no part of "Walking", nor the other way round."""
    views = [replace(v, action="Walk") if v.clip.endswith("_1") else v for v in uneven.views]
    partition = by_action(views)
    for action, own in partition.training.items():
        assert own == [v for v in views if v.action == action]
    assert [partition.part_of(v) for v in views] == [v.action for v in views]


def test_only_what_is_known_of_any_recording_needs_no_oracle(uneven):
    assert {name: make(uneven.views).oracle for name, make in PARTITIONS.items()} == {
        "action": True,
        "random": True,
        "cluster": False,
        "dataset": False,
    }


def test_data_sets_are_parts_of_their_name(uneven):
    partition = by_dataset(uneven.views)
    assert list(partition.training) == ["few", "many"]
    for dataset, own in partition.training.items():
        assert own == [v for v in uneven.views if v.dataset == dataset]
    assert [partition.part_of(v) for v in uneven.views] == [v.dataset for v in uneven.views]


def test_one_data_set_is_one_part(uneven):
    few = [v for v in uneven.views if v.dataset == "few"]
    partition = by_dataset(few)
    assert partition.training == {"few": few}
    assert {partition.part_of(v) for v in uneven.views} == {"few"}


def test_an_unknown_data_set_goes_to_the_one_with_the_most_frames(uneven):
    foreign = [replace(v, dataset=name) for v in uneven.views for name in ("a", "z", "")]
    assert {by_dataset(uneven.views).part_of(v) for v in foreign} == {"many"}
    equal = [replace(uneven.views[0], clip=name, dataset=name) for name in ("b", "a")]
    assert {by_dataset(equal).part_of(v) for v in foreign if v.dataset != "a"} == {"a"}


def test_data_sets_without_a_name_are_refused(uneven):
    views = [replace(v, dataset="") if v.subject == "syn1" else v for v in uneven.views]
    with pytest.raises(ValueError, match=r"17 clips name no data set, the first is 'syn1/Sitting_1'.*Prepare it anew"):
        by_dataset(views)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_parts_have_about_the_sizes_of_the_actions(uneven, seed):
    wanted = {action: frames(views) for action, views in by_action(uneven.views).training.items()}
    assert max(wanted.values()) > 5 * min(wanted.values())
    clip = max(frames([v for v in uneven.views if v.clip == name]) for name in {v.clip for v in uneven.views})
    for part, views in by_random(uneven.views, seed=seed).training.items():
        assert abs(frames(views) - wanted[part]) <= clip


@pytest.mark.parametrize("seed", SEEDS)
def test_random_parts_mix_actions_and_keep_clips_whole(uneven, seed):
    training = by_random(uneven.views, seed=seed).training
    home = {view.clip: part for part, views in training.items() for view in views}
    for part, views in training.items():
        assert all(home[view.clip] == part for view in views)
    by_size = sorted(training.values(), key=frames)
    for views in by_size[1:]:  # the smallest holds six clips, which may by chance be of one action
        assert len({view.action for view in views}) > 1
    # the largest part has about its share of the largest action, not all of it
    largest = by_size[-1]
    share = frames([v for v in largest if v.action == "Walking"]) / frames(largest)
    overall = frames([v for v in uneven.views if v.action == "Walking"]) / uneven.frames
    assert abs(share - overall) < 0.2


def test_random_parts_differ_in_members_not_in_routing(uneven):
    partition = by_random(uneven.views)
    assert [partition.part_of(v) for v in uneven.views] == [v.action for v in uneven.views]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_training_view_is_routed_to_its_own_cluster(uneven, seed):
    partition = by_cluster(uneven.views, seed=seed)
    for part, views in partition.training.items():
        assert {partition.part_of(view) for view in views} == {part}


def test_clusters_see_neither_labels_nor_truth_nor_who_or_where(uneven):
    partition = by_cluster(uneven.views)
    for view in uneven.views[:20]:
        hidden = replace(
            view,
            action="?",
            subject="?",
            clip="?",
            pose3d_cam=np.full_like(view.pose3d_cam, np.nan),
            keypoints=replace(
                view.keypoints,
                camera=replace(view.camera, name="?"),
                pose2d=2 * view.pose2d + np.float32(0.3),  # nearer, and elsewhere in the image
            ),
        )
        assert partition.part_of(hidden) == partition.part_of(view)


def test_clusters_hold_alike_poses(uneven):
    """Within a cluster the mean poses are closer to each other than across clusters."""

    def mean_pose(view: View) -> np.ndarray:
        centered = view.pose2d - view.pose2d[:, :1]
        return (centered / np.sqrt(np.square(centered).sum(axis=-1).mean())).mean(axis=0).ravel()

    training = by_cluster(uneven.views).training
    described = {part: np.stack([mean_pose(v) for v in views]) for part, views in training.items()}
    within = np.concatenate([cdist(x, x)[np.triu_indices(len(x), 1)] for x in described.values()])
    across = np.concatenate([cdist(x, y).ravel() for p, x in described.items() for q, y in described.items() if p < q])
    assert within.mean() < 0.8 * across.mean()


def test_clusters_may_be_as_many_as_wanted(uneven):
    assert set(by_cluster(uneven.views, parts=7).training) == {f"cluster{i}" for i in range(7)}
    assert len(by_cluster(uneven.views, parts=1).training) == 1


def test_more_clusters_than_different_views_are_refused(uneven):
    with pytest.raises(ValueError, match="3 clusters were asked for, but only 2 of 2 views differ"):
        by_cluster(uneven.views[:2], parts=3)
    alike = [replace(uneven.views[0], clip=f"clip{i}") for i in range(4)]
    with pytest.raises(ValueError, match="2 clusters were asked for, but only 1 of 4 views differ"):
        by_cluster(alike, parts=2)


def test_an_empty_cluster_is_tried_again_and_then_refused(uneven, monkeypatch):
    tries = []

    def empty(*args, **kwargs):
        tries.append(1)
        if len(tries) % 11 == 0:
            return kmeans2(*args, **kwargs)
        raise ClusterError("empty")

    monkeypatch.setattr("actlift.study.partitions.kmeans2", empty)
    with pytest.raises(ValueError, match="leaves some of 4 clusters empty, in ten trials: ask for fewer clusters"):
        by_cluster(uneven.views)
    assert len(by_cluster(uneven.views).training) == 4


def test_too_few_clips_for_random_parts_are_refused(uneven):
    """Two actions in one clip (pieces of a cut one) leave a part without any."""
    views = [replace(uneven.views[0], clip="a", action=action) for action in ("Walking", "Sitting")]
    with pytest.raises(ValueError, match="random partition leaves .* without views: too few clips for 2 parts"):
        by_random(views)
