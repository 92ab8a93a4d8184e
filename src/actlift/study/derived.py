"""Controls that train nothing: what other arms' networks, or the training poses alone, are good for.

===========================  ===========================================================================================
:class:`Mean`                the mean of several networks' poses: what averaging gains, whatever is averaged
:func:`measure_statistics`   a network whose normalization statistics are measured again without dropout
:func:`soup`                 one network, the mean of the weights of several
:class:`ConstantPose`        the mean training pose, whatever is seen
:class:`NearestPose`         the training pose whose keypoints look most alike, frame by frame
===========================  ===========================================================================================

A network that does no better than the last two has not learnt to lift.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32

from actlift.data.corpus import Corpus
from actlift.data.keypoints2d import Keypoints2D
from actlift.data.windows import Sampler, Windows, rows_of
from actlift.errors import InputError
from actlift.geometry.skeleton import root_relative
from actlift.lifting.predict import LifterPredictor, Poses, Predictor
from actlift.models.base import Lifter, keywords_of, make_network, trained_on

BATCHES, BATCH = 100, 256  # that statistics are measured on
REMEMBERED = 5000  # training frames that a pose is looked up among
LOOKED_UP = 4096  # frames at once


@dataclass(frozen=True, eq=False)
class Mean:
    """The predictor of the mean of several predictors' poses.

    Attributes:
        predictors: at least one.
    """

    predictors: Sequence[Predictor]

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Poses:
        each = [predictor(sequences) for predictor in self.predictors]
        return [np.stack(poses).mean(axis=0, dtype=np.float64).astype(np.float32) for poses in zip(*each, strict=True)]

    @classmethod
    def of(cls, networks: Sequence[Lifter]) -> "Mean":
        """Of networks that take no conditions."""
        return cls([LifterPredictor(network) for network in networks])


@torch.no_grad()
def measure_statistics(network: Lifter, training: Corpus, *, seed: int) -> Lifter:
    """Measure a network's normalization statistics on training windows, without dropout; its weights stay.

    While it trained, dropout thinned what the statistics were measured on; in use nothing is dropped (Li et al. 2019,
    "Understanding the disharmony between dropout and batch normalization by variance shift", CVPR).

    Args:
        network: takes no conditions.
        training: whose frames it is measured on, BATCHES batches of BATCH windows, half of them mirrored.
        seed: of the frames.

    Raises:
        InputError: for a network that does not normalize by batches.
    """
    keywords = keywords_of(network)
    if "dropout" not in keywords or not hasattr(network, "batch_norm_momentum"):
        raise InputError(
            "statistics can be measured again of networks that normalize by batches, and this one does not"
        )
    measured = make_network({**keywords, "dropout": 0.0})
    measured.load_state_dict(network.state_dict())
    measured.train()
    windows = Windows(training, network.receptive_field, causal=network.causal, trajectory=network.trajectory)
    draw = Sampler(rows_of(training.views), BATCH, seed=seed, name="statistics")
    for number in range(BATCHES):
        measured.batch_norm_momentum = 1 / (number + 1)  # type: ignore[attr-defined] # so that all batches weigh alike
        measured(windows.gather(*draw(number))[0])
    measured.eval()
    measured.trained_on = trained_on(network)  # type: ignore[attr-defined]
    return measured


@torch.no_grad()
def soup(networks: Sequence[Lifter]) -> Lifter:
    """Average the weights of networks that went separate ways from one start.

    Source: Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy
    without increasing inference time", ICML (the uniform soup).
    """
    mean = make_network(keywords_of(networks[0]))
    states = [network.state_dict() for network in networks]
    means = {key: torch.stack([state[key].double() for state in states]).mean(dim=0) for key in states[0]}
    mean.load_state_dict({key: value.to(states[0][key].dtype) for key, value in means.items()})
    mean.eval()
    mean.trained_on = frozenset[str]().union(*map(trained_on, networks))  # type: ignore[attr-defined]
    return mean


@dataclass(frozen=True, eq=False)
class ConstantPose:
    """The predictor that answers one pose.

    Attributes:
        pose: (j, 3) meters, about the root.
    """

    pose: Float32[np.ndarray, "j 3"]

    @classmethod
    def of(cls, training: Corpus) -> "ConstantPose":
        """The mean pose of all training frames, in the axes of the cameras that saw them."""
        sums = [root_relative(view.pose3d_cam).sum(axis=0, dtype=np.float64) for view in training.views]
        return cls((np.sum(sums, axis=0) / training.frames).astype(np.float32))

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Poses:
        return [np.tile(self.pose, (seen.frames, 1, 1)) for seen in sequences]


@dataclass(frozen=True, eq=False)
class NearestPose:
    """The predictor that answers, frame by frame, the training pose whose keypoints look most alike.

    Alike are keypoints about the root, in units of their root mean square: where in the image and how large a person is
    makes no difference. Distances are Euclidean over all joints.

    Attributes:
        looks: (n, j * 2) such keypoints of training frames.
        poses: (n, j, 3) meters, about the root.
    """

    looks: Float32[np.ndarray, "n features"]
    poses: Float32[np.ndarray, "n j 3"]

    @classmethod
    def of(cls, training: Corpus, *, seed: int) -> "NearestPose":
        """Remember REMEMBERED training frames, drawn at random; all where there are fewer."""
        rows = rows_of(training.views)
        if len(rows) > REMEMBERED:
            rows = np.sort(np.random.default_rng((seed, 0x4E)).choice(rows, REMEMBERED, replace=False))
        return cls(_looks(training.pose2d[rows]), root_relative(training.pose3d_cam[rows]).astype(np.float32))

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Poses:
        seen = _looks(np.concatenate([sequence.pose2d for sequence in sequences]))
        half = np.square(self.looks).sum(axis=1) / 2
        lots = [seen[i : i + LOOKED_UP] for i in range(0, len(seen), LOOKED_UP)]
        nearest = np.concatenate([(half - lot @ self.looks.T).argmin(axis=1) for lot in lots])
        ends = np.cumsum([sequence.frames for sequence in sequences])[:-1]
        return list(np.split(self.poses[nearest], ends))


def _looks(pose2d: Float[np.ndarray, "n j 2"]) -> Float32[np.ndarray, "n features"]:
    """Keypoints about the root, in units of their root mean square, side by side."""
    centered = pose2d - pose2d[:, :1]
    size = np.sqrt(np.square(centered).mean(axis=(1, 2), keepdims=True)) + 1e-9
    looks: np.ndarray = (centered / size).reshape(len(pose2d), -1).astype(np.float32)
    return looks
