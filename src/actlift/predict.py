"""Predictors: whatever is scored or used maps views to their 3D joints. Padding and flip averaging live here and
nowhere else.

Sequences are packed: each is padded by repeating its end frames, all lie one behind the other in one long sequence, a
lifter runs over it as a valid temporal filter, and the outputs that mix two sequences are left out.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from actlift.data.corpus import View
from actlift.models.tcn import TCN
from actlift.models.weights import of_member, read_tensors
from actlift.run import Run
from actlift.skeleton import H36M_17, Skeleton

Poses = list[Float[np.ndarray, "_ j 3"]]
PACK_FRAMES = 8192


@runtime_checkable
class Predictor(Protocol):
    """Root-relative 3D joints in camera metres, ``(t, 17, 3)`` float32 for each view, in the order of the views."""

    def __call__(self, views: Sequence[View]) -> Poses: ...


class Lifted:
    """The predictor of one lifter.

    Args:
        lifter: the network, in evaluation mode.
        skeleton: of its input (for flips) and output.
        flip: averages the prediction with that of the mirrored input, mirrored back, as is usual for reported figures.
        dtype: of the computation.
    """

    def __init__(
        self, lifter: TCN, *, skeleton: Skeleton = H36M_17, flip: bool = True, dtype: torch.dtype = torch.float32
    ) -> None:
        self.lifter = lifter.eval()
        self.skeleton = skeleton
        self.flip = flip
        self.dtype = dtype

    def __call__(self, views: Sequence[View]) -> Poses:
        return lift(self.lifter, [v.pose2d for v in views], skeleton=self.skeleton, flip=self.flip, dtype=self.dtype)


class Routed:
    """The predictor that sends each view to one of several: experts, by whatever tells the part.

    Args:
        predictors: by part.
        part_of: the part of a view.
    """

    def __init__(self, predictors: dict[str, Predictor], part_of: Callable[[View], str]) -> None:
        self.predictors = predictors
        self.part_of = part_of

    def __call__(self, views: Sequence[View]) -> Poses:
        parts = [self.part_of(v) for v in views]
        if unknown := sorted(set(parts) - set(self.predictors)):
            raise ValueError(f"no expert for {', '.join(unknown)}; there are experts for {', '.join(self.predictors)}")
        poses: dict[int, Float[np.ndarray, "t j 3"]] = {}
        for part, predictor in self.predictors.items():
            own = [i for i, p in enumerate(parts) if p == part]
            poses |= zip(own, predictor([views[i] for i in own]), strict=True)
        return [poses[i] for i in range(len(views))]


def load_lifter(run: Run, member: str | None = None) -> TCN:
    """The network of a finished run, in evaluation mode. The member may be left out where there is one.

    Raises:
        FileNotFoundError: if training has not ended.
        ValueError: for an unknown member (lists the known), or weights that do not fit the config.
    """
    if member is None:
        if len(run.members) != 1:
            raise ValueError(f"{run.folder} has several members, name one of: {', '.join(run.members)}")
        member = run.members[0]
    if member not in run.members:
        raise ValueError(f"{run.folder} has no member {member!r}; it has: {', '.join(run.members)}")
    if not run.done:
        raise FileNotFoundError(f"{run.folder} has no weights yet: its training has not ended. Run it again to resume.")
    network = TCN(**run.config["identity"]["model"])
    tensors, _ = read_tensors(run.weights)
    try:
        network.load_state_dict(of_member(tensors, member))
    except RuntimeError as error:
        raise ValueError(f"{run.weights} does not fit the network that config.json describes: {error}") from error
    return network.eval()


@torch.inference_mode()
def lift(
    lifter: TCN,
    sequences: Sequence[Float[np.ndarray, "_ j 2"]],
    *,
    skeleton: Skeleton = H36M_17,
    flip: bool = True,
    dtype: torch.dtype = torch.float32,
) -> list[Float[np.ndarray, "_ j2 3"]]:
    """Lift whole sequences of 2D keypoints in screen units, each to as many frames as it has.

    Raises:
        ValueError: for an empty sequence or another number of joints.
    """
    device = lifter.head.device
    poses: list[Float[np.ndarray, "_ j2 3"]] = []
    for pack in _packs(sequences, lifter.receptive_field):
        lengths = np.array([len(s) for s in pack])
        if lengths.min(initial=1) < 1:
            raise ValueError("a sequence of no frames cannot be lifted")
        rows, outputs = _padded_rows(lengths, lifter.receptive_field, lifter.causal)
        frames = torch.from_numpy(np.concatenate(pack)).to(device, torch.float32)
        padded = frames[torch.from_numpy(rows).to(device)].to(dtype)
        lifted = _filter(lifter, padded)
        if flip:
            mirrored = _mirror(padded, skeleton)
            lifted = (lifted + _mirror(_filter(lifter, mirrored), skeleton)) / 2
        kept = lifted[torch.from_numpy(outputs).to(device)].cpu().numpy()
        poses += np.split(kept, np.cumsum(lengths)[:-1])
    return poses


def _filter(lifter: TCN, padded: Float[Tensor, "t j 2"]) -> Float[Tensor, "t2 j2 3"]:
    """The lifter over one long sequence, in pieces that stay in the processor's cache."""
    receptive_field = lifter.receptive_field
    size = PACK_FRAMES if padded.device.type == "cpu" else 1 << 18
    outputs = len(padded) - receptive_field + 1
    pieces = [padded[i : i + size + receptive_field - 1] for i in range(0, outputs, size)]
    lifted = torch.cat([lifter(piece[None])[0] for piece in pieces])
    return lifted[:, : lifter.joints_out]


def _mirror(points: Float[Tensor, "t j axes"], skeleton: Skeleton) -> Float[Tensor, "t j axes"]:
    """The mirror image: x changes sign, left and right joints change places."""
    swapped = points[:, list(skeleton.mirror)].clone()
    swapped[..., 0] *= -1
    return swapped


def _packs(sequences: Sequence[np.ndarray], receptive_field: int) -> Iterator[list[np.ndarray]]:
    """Runs of sequences of about PACK_FRAMES frames together, padding counted."""
    pack: list[np.ndarray] = []
    size = 0
    for sequence in sequences:
        if pack and size > PACK_FRAMES * 8:
            yield pack
            pack, size = [], 0
        pack.append(sequence)
        size += len(sequence) + receptive_field - 1
    if pack:
        yield pack


def _padded_rows(
    lengths: Int[np.ndarray, " n"], receptive_field: int, causal: bool
) -> tuple[Int[np.ndarray, " padded"], Int[np.ndarray, " t"]]:
    """Which frame of the concatenated sequences comes where in the padded ones, and which outputs belong to frames."""
    before = receptive_field - 1 if causal else receptive_field // 2
    padded = lengths + receptive_field - 1
    first = np.cumsum(lengths) - lengths
    first_padded = np.cumsum(padded) - padded
    position = np.arange(padded.sum()) - np.repeat(first_padded + before, padded)
    rows = np.repeat(first, padded) + np.clip(position, 0, np.repeat(lengths - 1, padded))
    outputs = np.arange(lengths.sum()) + np.repeat(first_padded - first, lengths)
    return rows, outputs
