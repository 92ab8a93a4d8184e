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
from actlift.skeleton import Skeleton


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
        trajectory: targets carry the root's position in camera metres as a last row.
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
        back = receptive_field - 1 if causal else receptive_field // 2
        self._offsets = torch.arange(-back, receptive_field - back, device=self.device)
        self._flip2d = _mirrored_columns(corpus.skeleton, 2, self.device)
        self._flip3d = _mirrored_columns(corpus.skeleton, 3, self.device)
        self._root = corpus.skeleton.root
        self._joints = joints

    def gather(
        self, rows: Int[np.ndarray, " n"], flips: Bool[np.ndarray, " n"]
    ) -> tuple[Float[Tensor, "n t j 2"], Float[Tensor, "n j2 3"]]:
        """The windows whose target frames are ``rows``, mirrored left to right where ``flips``.

        Returns:
            2D keypoints in screen units and root-relative targets in camera metres.
        """
        target = torch.from_numpy(rows).to(self.device)
        flipped = torch.from_numpy(flips).to(self.device).nonzero().squeeze(-1)
        view = torch.searchsorted(self._starts, target, right=True) - 1
        frames = target[:, None] + self._offsets
        frames = torch.minimum(torch.maximum(frames, self._starts[view, None]), self._ends[view, None] - 1)
        n, t = frames.shape
        pose2d = self._pose2d.index_select(0, frames.reshape(-1)).reshape(n, t, -1)
        pose3d = self._pose3d.index_select(0, target)
        if len(flipped):
            for x, (columns, signs) in ((pose2d, self._flip2d), (pose3d, self._flip3d)):
                x[flipped] = x[flipped][..., columns] * signs
        pose3d = pose3d.reshape(n, self._joints, 3)
        root = pose3d[:, self._root : self._root + 1]
        relative = pose3d - root
        if self.trajectory:
            relative = torch.cat([relative, root], dim=1)
        return pose2d.reshape(n, t, self._joints, 2), relative


def _mirrored_columns(skeleton: Skeleton, axes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Flattened joints x axes: which column comes where in the mirror image, and its sign (x changes sign)."""
    columns = np.asarray(skeleton.mirror)[:, None] * axes + np.arange(axes)
    signs = np.ones((len(skeleton), axes), np.float32)
    signs[:, 0] = -1
    return torch.from_numpy(columns.ravel()).to(device), torch.from_numpy(signs.ravel()).to(device)


class Sampler:
    """An endless stream of batches over the rows of one member: shuffled passes, one behind the other.

    Args:
        rows: the rows of the member's target frames.
        batch: windows of a batch.
        seed, name: what the order depends on, besides the rows.
    """

    def __init__(self, rows: Int[np.ndarray, " n"], batch: int, *, seed: int, name: str) -> None:
        if len(rows) == 0:
            raise ValueError(f"there is nothing to train {name!r} on: its selection holds no frames")
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
