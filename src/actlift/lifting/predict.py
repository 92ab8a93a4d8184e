"""Predictors: whatever is scored or used maps 2D keypoints to 3D joints. Padding and flip averaging live here and
nowhere else.

Each sequence is padded by repeating its end frames, and a lifter runs over it as a valid temporal filter. Sequences of
about one length run side by side; the shorter ones go on repeating their last frame, and what that gives is left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from actlift.data.keypoints2d import Keypoints2D
from actlift.errors import InputError
from actlift.geometry.skeleton import H36M_17, Skeleton, mirror_points
from actlift.models.base import InferenceForm, Lifter, inference_form, make_network, trained_on
from actlift.models.tensors import of_member, read_tensors
from actlift.training.run import Run

Poses = list[Float[np.ndarray, "_ j 3"]]
PACK_FRAMES = 1 << 16
PACK_WASTE = 0.1  # largest part of a pack that may be padding to its longest sequence


@runtime_checkable
class Predictor(Protocol):
    """Root-relative 3D joints in camera meters, ``(t, 17, 3)`` float32, for each sequence in order."""

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Poses: ...


class LifterPredictor:
    """The predictor of one lifter.

    Args:
        lifter: the network, as it is now: what it learns later does not reach the predictor.
        skeleton: of its input (for flips) and output.
        flip: averages the prediction with that of the mirrored input, mirrored back, as is usual for reported figures.
        dtype: of the computation, float32 or bfloat16.
    """

    def __init__(
        self, lifter: Lifter, *, skeleton: Skeleton = H36M_17, flip: bool = True, dtype: torch.dtype = torch.float32
    ) -> None:
        self.lifter = inference_form(lifter, dtype)
        self.trained_on = trained_on(lifter)
        self.skeleton = skeleton
        self.flip = flip

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Poses:
        return lift(self.lifter, [s.pose2d for s in sequences], skeleton=self.skeleton, flip=self.flip)


class RoutedPredictor:
    """The predictor that sends each sequence to one of several: experts, by whatever tells the part from keypoints.

    Args:
        predictors: by part.
        part_of: the part of a sequence.
    """

    def __init__(self, predictors: Mapping[str, Predictor], part_of: Callable[[Keypoints2D], str]) -> None:
        self.predictors = predictors
        self.part_of = part_of
        self.trained_on = frozenset[str]().union(*(trained_on(p) for p in predictors.values()))

    def __call__(self, sequences: Sequence[Keypoints2D]) -> Poses:
        return route(self.predictors, sequences, [self.part_of(s) for s in sequences])


def route(predictors: Mapping[str, Predictor], sequences: Sequence[Keypoints2D], parts: Sequence[str]) -> Poses:
    """The poses of sequences, each by the predictor of its part.

    Raises:
        InputError: for a part there is no predictor for (lists those there are).
    """
    if unknown := sorted(set(parts) - set(predictors)):
        raise InputError(f"no lifter for {', '.join(unknown)}; there are lifters for {', '.join(predictors)}")
    poses: dict[int, Float[np.ndarray, "t j 3"]] = {}
    for part in dict.fromkeys(parts):
        own = [i for i, p in enumerate(parts) if p == part]
        poses |= zip(own, predictors[part]([sequences[i] for i in own]), strict=True)
    return [poses[i] for i in range(len(sequences))]


def load_lifter(run: Run, member: str | None = None) -> Lifter:
    """The network of a finished run, in evaluation mode. The member may be left out where there is one.

    Raises:
        MissingInputError: if training has not ended.
        InputError: for an unknown member (lists the known), or weights that do not fit the config.
    """
    if member is None:
        if len(run.members) != 1:
            raise InputError(f"{run.folder} has several members, name one of: {', '.join(run.members)}")
        member = run.members[0]
    run.check_member(member)
    tensors, _ = read_tensors(run.weights)
    try:
        network = make_network(run.identity.model)
        network.load_state_dict(of_member(tensors, member))
    except (InputError, RuntimeError) as error:  # of torch, for tensors of other shapes
        raise InputError(f"{run.weights} does not fit the network that config.json describes: {error}") from error
    network.eval()
    network.trained_on = frozenset(run.identity.subjects)  # type: ignore[attr-defined]
    return network


@torch.inference_mode()
def lift(
    lifter: Lifter | InferenceForm,
    sequences: Sequence[Float[np.ndarray, "_ j 2"]],
    *,
    skeleton: Skeleton = H36M_17,
    flip: bool = True,
    dtype: torch.dtype = torch.float32,
) -> list[Float[np.ndarray, "_ j2 3"]]:
    """Lift whole sequences of 2D keypoints in screen units, each to as many frames as it has.

    Args:
        lifter: a network, whatever its mode, or one that is folded already.
        sequences: keypoints.
        skeleton: of keypoints (for flips) and poses.
        flip: as for :class:`LifterPredictor`.
        dtype: of the computation, float32 or bfloat16; an inference form has its own.

    Raises:
        InputError: for an empty sequence or another number of joints.
    """
    form = inference_form(lifter, dtype)
    for sequence in sequences:
        form.check_joints(sequence.shape[1])
        if not len(sequence):
            raise InputError("a sequence of no frames cannot be lifted")
    context = form.receptive_field - 1
    before = context if form.causal else context // 2
    poses: dict[int, Float[np.ndarray, "_ j2 3"]] = {}
    for pack in _packs([len(s) for s in sequences], context):
        longest = len(sequences[pack[-1]])
        position = np.arange(-before, longest + context - before)
        padded = np.stack([sequences[i].take(position.clip(0, len(sequences[i]) - 1), axis=0) for i in pack])
        both = np.stack([padded, mirror_points(padded, skeleton)]) if flip else padded[None]
        lifted = form(torch.from_numpy(both).to(form.device, torch.float32))[..., : form.joints_out, :].cpu().numpy()
        if flip:
            lifted = (lifted[:1] + mirror_points(lifted[1:], skeleton)) / 2
        poses |= {i: pose[: len(sequences[i])] for i, pose in zip(pack, lifted[0], strict=True)}
    return [poses[i] for i in range(len(sequences))]


def _packs(lengths: Sequence[int], context: int) -> Iterator[list[int]]:
    """Which sequences run side by side, shortest first: of about one length, and not more than PACK_FRAMES together."""
    pack: list[int] = []
    frames = 0
    for i in np.argsort(lengths, kind="stable").tolist():
        own = lengths[i] + context
        padded = own * (len(pack) + 1)
        if pack and (padded > PACK_FRAMES or frames + own < padded * (1 - PACK_WASTE)):
            yield pack
            pack, frames = [], 0
        pack.append(i)
        frames += own
    if pack:
        yield pack
