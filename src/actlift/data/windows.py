"""Windows: batches of receptive fields cut out of a corpus, by gathering rows of the memory-mapped arrays.

A window is named by the row of its target frame. Frames beyond the ends of a view repeat its first or last frame, so a
clip shorter than the receptive field is handled like any other. Every random choice (order, flips) is a pure function
of the seed, the member's name and the step, so that there is no generator state to save and a resumed run draws what
an unbroken one draws.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from actlift.data.corpus import Corpus, View
from actlift.errors import InputError
from actlift.geometry.skeleton import Skeleton, mirror_points


def rows_of(views: Sequence[View]) -> Int[np.ndarray, " n"]:
    """The corpus rows of all frames of these views, in their order."""
    if not views:
        return np.zeros(0, np.int64)
    return np.concatenate([np.arange(v.start, v.start + v.frames, dtype=np.int64) for v in views])


class Windows:
    """Gathers windows of one receptive field from a corpus.

    Args:
        corpus: where the views lie; only the rows of its selection may be asked for.
        receptive_field: frames of a window.
        causal: the target is the window's last frame, not its middle one.
        trajectory: targets carry the root's position in camera meters as a last row.
        device: where the arrays are kept and the batches appear; on "cpu" they stay memory-mapped.
    """

    def __init__(
        self,
        corpus: Corpus,
        receptive_field: int,
        *,
        causal: bool = False,
        trajectory: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.receptive_field = receptive_field
        self.trajectory = trajectory
        self.device = torch.device(device)
        joints = len(corpus.skeleton)
        self._pose2d = torch.from_numpy(corpus.pose2d.reshape(-1, joints * 2)).to(self.device)
        self._pose3d = torch.from_numpy(corpus.pose3d_cam.reshape(-1, joints * 3)).to(self.device)
        order = np.argsort(corpus.starts)
        self._starts = torch.from_numpy(corpus.starts[order]).to(self.device)
        self._ends = torch.from_numpy((corpus.starts + corpus.lengths)[order]).to(self.device)
        self._back = receptive_field - 1 if causal else receptive_field // 2
        self._offsets = torch.arange(receptive_field, device=self.device)
        self._mirror2d = _mirror_matrix(corpus.skeleton, 2).to(self.device)
        self._mirror3d = _mirror_matrix(corpus.skeleton, 3).to(self.device)
        self._root = corpus.skeleton.root
        self._joints = joints

    def gather(
        self, rows: Int[np.ndarray, " n"], flips: Bool[np.ndarray, " n"]
    ) -> tuple[Float[Tensor, "n t j 2"], Float[Tensor, "n j2 3"]]:
        """The windows whose target frames are ``rows``, mirrored left to right where ``flips``.

        Returns:
            2D keypoints in screen units and root-relative targets in camera meters.
        """
        target = torch.from_numpy(rows).to(self.device)
        mirrored = torch.from_numpy(flips).to(self.device)
        view = torch.searchsorted(self._starts, target, right=True) - 1
        pose2d = self._cut(target - self._back, self._starts[view], self._ends[view])
        pose2d = _mirror(pose2d, mirrored, self._mirror2d)
        pose3d = _mirror(self._pose3d.index_select(0, target), mirrored, self._mirror3d)
        pose3d = pose3d.reshape(-1, self._joints, 3)
        root = pose3d[:, self._root : self._root + 1]
        relative = pose3d - root
        if self.trajectory:
            relative = torch.cat([relative, root], dim=1)
        return pose2d.reshape(-1, self.receptive_field, self._joints, 2), relative

    def following(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The rows of the frames after these; the last frame of a view is followed by itself."""
        view = np.searchsorted(self._starts.numpy(force=True), rows, side="right") - 1
        following: np.ndarray = np.minimum(rows + 1, self._ends.numpy(force=True)[view] - 1)
        return following

    def _cut(self, first: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        """The windows that begin at rows ``first`` of views from ``starts`` to ``ends``: (n, t, joints * 2).

        A window within its view is one piece of the array, and copied as one. Those that reach beyond it, and all of
        them on a GPU, are gathered frame by frame.
        """
        t, (frames, columns) = self.receptive_field, self._pose2d.shape
        if self.device.type != "cpu" or frames < t:
            return self._by_frame(first, starts, ends)
        pieces = self._pose2d.as_strided((frames - t + 1, t * columns), (columns, 1))
        windows = pieces.index_select(0, first.clamp(0, frames - t)).view(-1, t, columns)
        beyond = ((first < starts) | (first + t > ends)).nonzero().squeeze(-1)
        if len(beyond):
            windows.index_copy_(0, beyond, self._by_frame(first[beyond], starts[beyond], ends[beyond]))
        return windows

    def _by_frame(self, first: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        frames = first[:, None] + self._offsets
        frames = torch.minimum(torch.maximum(frames, starts[:, None]), ends[:, None] - 1)
        return self._pose2d.index_select(0, frames.reshape(-1)).view(len(first), self.receptive_field, -1)


def _mirror_matrix(skeleton: Skeleton, axes: int) -> Tensor:
    """What flattened joints x axes are multiplied with to give the mirror image. Each column holds one number, so
    products are exact."""
    n = len(skeleton) * axes
    units = np.eye(n, dtype=np.float32).reshape(n, len(skeleton), axes)
    return torch.from_numpy(mirror_points(units, skeleton).reshape(n, n) + 0.0)  # no negative zeros


def _mirror(x: Tensor, mirrored: Tensor, matrix: Tensor) -> Tensor:
    """The rows of x that are marked, mirrored; in place on a CPU, without waiting for the device on a GPU."""
    if x.device.type != "cpu":
        return torch.where(mirrored.reshape(-1, *[1] * (x.ndim - 1)), x @ matrix, x)
    index = mirrored.nonzero().squeeze(-1)
    return x.index_copy_(0, index, x.index_select(0, index) @ matrix)


class Sampler:
    """An endless stream of batches over the rows of one member: shuffled passes, one behind the other.

    Args:
        rows: the rows of the member's target frames.
        batch: windows of a batch.
        seed, name: what the order depends on, besides the rows.
    """

    def __init__(self, rows: Int[np.ndarray, " n"], batch: int, *, seed: int, name: str) -> None:
        if len(rows) == 0:
            raise InputError(f"there is nothing to train {name!r} on: its selection holds no frames")
        self.rows = rows
        self.batch = batch
        self.key = (seed, zlib.crc32(name.encode()))
        self._pass: tuple[int, np.ndarray] = (-1, rows)

    def __call__(self, step: int) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """Target rows and flips of the batch of ``step``."""
        picks = []
        position, missing = step * self.batch, self.batch
        while missing:
            turn, offset = divmod(position, len(self.rows))
            part = self._shuffled(turn)[offset : offset + missing]
            picks.append(part)
            position += len(part)
            missing -= len(part)
        flips = np.random.default_rng((*self.key, 1, step)).random(self.batch) < 0.5
        return np.concatenate(picks), flips

    def _shuffled(self, turn: int) -> np.ndarray:
        if self._pass[0] != turn:
            self._pass = (turn, np.random.default_rng((*self.key, 0, turn)).permutation(self.rows))
        return self._pass[1]
