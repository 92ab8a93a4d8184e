"""Lifting frame by frame, to what whole sequences are lifted to.

How a network takes a new frame is its own business (:func:`actlift.models.base.stepper`): the temporal network keeps
activations in rings, so that a frame costs one row per layer; others lift the last receptive field again.

Where frames are labeled, each with the lifter it wants (:class:`RoutedStream`), lifters that are not wanted do not
run, and one that comes into use knows nothing of what was. It replays the last receptive field of keypoints.
"""

from collections import deque
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from actlift.errors import InputError
from actlift.geometry.skeleton import H36M_17, Skeleton, mirror_points
from actlift.models.base import InferenceForm, Lifter, inference_form, stepper


class Stream:
    """Lifts 2D keypoints as they come, to what :func:`actlift.lifting.predict.lift` makes of the whole sequences.

    Args:
        lifter: a network, or its inference form.
        streams: how many run side by side, say one per person; a frame is then a frame of each.
        flip: averages with the prediction for the mirrored input.
        skeleton: of keypoints (for flips) and poses.
        dtype: of the computation, float32 or bfloat16; an inference form has its own.

    Attributes:
        delay: by how many frames poses come late: half the receptive field, or 0 where causal.

    Raises:
        InputError: for less than one stream.
    """

    @torch.inference_mode()
    def __init__(
        self,
        lifter: Lifter | InferenceForm,
        *,
        streams: int = 1,
        flip: bool = False,
        skeleton: Skeleton = H36M_17,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if streams < 1:
            raise InputError(f"there is at least one stream, got {streams}")
        network = inference_form(lifter, dtype)
        self.streams = streams
        self.delay = 0 if network.causal else network.receptive_field // 2
        self._network = network
        self._flip = flip
        self._skeleton = skeleton
        rows = streams * (1 + flip)  # the mirrored streams behind the others
        self._frame = torch.zeros(rows, network.joints_in, 2)
        self._keypoints = self._frame.numpy().reshape(1 + flip, streams, network.joints_in, 2)
        self._stepper = stepper(network, rows)
        self._seen = np.zeros(streams, np.int64)  # frames of each stream, exact up to the delay
        self.reset()

    def reset(self, stream: int | None = None) -> None:
        """Begin a stream anew, or all: its next frame is its first. Poses it still owes are dropped.

        Raises:
            InputError: for a stream there is not.
        """
        if stream is not None and not 0 <= stream < self.streams:
            raise InputError(f"there are streams 0 to {self.streams - 1}, got {stream}")
        self._seen[slice(None) if stream is None else stream] = 0
        self._unsettled = self.delay + 1  # frames until every stream answers

    def push(self, frame: Float[np.ndarray, "*streams j 2"]) -> Float[np.ndarray, "*streams j2 3"] | None:
        """Take the next frame; give the pose of the frame ``delay`` frames before it, or None where there is none yet.

        Args:
            frame: keypoints in screen units, (j, 2), or (streams, j, 2) for several streams.

        Returns:
            Root-relative joints in camera meters, float32. Where some streams have a pose and others, begun later,
            have none yet, theirs is NaN.

        Raises:
            InputError: for another number of joints or streams.
        """
        self.check(frame)
        self._keypoints[0] = frame
        if self._flip:
            self._keypoints[1] = mirror_points(self._keypoints[0], self._skeleton)
        return self._advance()

    @torch.inference_mode()
    def replay(self, frames: Float[np.ndarray, "t *streams j 2"]) -> None:
        """Begin all streams anew and take several frames at once, without their poses: as if they had been pushed.

        Args:
            frames: keypoints in screen units, oldest first. Of more than a receptive field the last ones count.

        Raises:
            InputError: for no frames, or another number of joints or streams.
        """
        if not len(frames):
            raise InputError("there is nothing to replay: give at least one frame")
        self.check(frames[0])
        network, t = self._network, len(frames)
        last = frames[np.arange(t - network.receptive_field, t).clip(0)].reshape(-1, *self._keypoints.shape[1:])
        both = [last, mirror_points(last, self._skeleton)] if self._flip else [last]
        rows = torch.from_numpy(np.stack(both, axis=1)).to(self._network.device, torch.float32)
        self._stepper.replay(rows.flatten(1, 2))
        self.reset()
        self._seen[:] = t

    def check(self, frame: Float[np.ndarray, "*streams j 2"]) -> None:
        """Refuse a frame of another number of joints or streams."""
        self._network.check_joints(frame.shape[-2])
        wanted = self._keypoints.shape[1:] if self.streams > 1 else self._keypoints.shape[2:]
        if frame.shape != wanted:
            raise InputError(f"a frame of {self.streams} stream(s) has shape {wanted}, got {frame.shape}")

    def flush(self) -> Float[np.ndarray, "t *streams j2 3"]:
        """End all streams: give the poses they still owe, as if their last frames went on, and begin anew.

        Returns:
            One pose for each of the last ``delay`` frames, fewer where fewer were pushed. NaN where a stream, begun
            later than others, has none.
        """
        none = self._seen == 0
        steps = 0 if none.all() else self.delay
        poses = [pose for _ in range(steps) if (pose := self._advance()) is not None]
        self.reset()
        if not poses:
            lead = (0, self.streams) if self.streams > 1 else (0,)
            return np.empty((*lead, self._network.joints_out, 3), np.float32)
        result = np.stack(poses)
        if self.streams > 1:
            result[:, none] = np.nan
        return result

    @torch.inference_mode()
    def _advance(self) -> Float[np.ndarray, "*streams j2 3"] | None:
        """One step of time with the keypoints that lie there."""
        begun = self._begun()
        lifted = self._stepper.push(self._frame.to(self._network.device), begun)
        silent = self._silent()
        if silent is not None and silent.all():
            return None
        straight, *mirrored = lifted.cpu().numpy().reshape(1 + self._flip, self.streams, -1, 3)
        poses = straight[:, : self._network.joints_out].copy()
        if mirrored:
            poses += mirror_points(mirrored[0][:, : self._network.joints_out], self._skeleton)
            poses /= 2
        if silent is not None:
            poses[silent] = np.nan
        return poses if self.streams > 1 else poses[0]

    def _begun(self) -> Int[Tensor, " n"] | None:
        """The rows of the streams whose first frame this is, if there are any."""
        if not self._unsettled or self._seen.all():
            return None
        rows = np.flatnonzero(np.tile(self._seen == 0, 1 + self._flip))
        return torch.from_numpy(rows).to(self._network.device)

    def _silent(self) -> np.ndarray | None:
        """Which streams have no pose yet, after this frame; None once every stream has."""
        if not self._unsettled:
            return None
        self._unsettled -= 1
        self._seen += 1
        return self._seen <= self.delay


def fade_window(frames: int) -> Float[np.ndarray, " n"]:
    """How much the labels of neighboring frames count in a cross-fade of so many frames; the weights sum to 1.

    Their running sum, the weight of a new label, is half a period of a raised cosine, which begins and ends without a
    jump in velocity. 0 frames or 1 switch at once.

    Raises:
        InputError: for a negative number of frames.
    """
    if frames < 0:
        raise InputError(f"a fade lasts 0 frames or more, got {frames}")
    n = max(frames, 1)
    window = np.sin(np.pi * (np.arange(n) + 0.5) / n)
    return np.asarray(window / window.sum())


class RoutedStream:
    """Lifts 2D keypoints as they come, every frame with the lifter of its label, cross-fading where labels change.

    Poses are those of :func:`actlift.study.switching.lift_labeled` of the whole sequence with as many frames
    ``ahead``. Only lifters run whose labels stand within the fade: one where the label is steady, two around a change.

    Args:
        lifters: by label; networks, or their inference forms, of one receptive field and skeleton.
        fade_frames: within which one lifter gives way to the next; 0 switches at once.
        flip, skeleton, dtype: as for :class:`Stream`.

    Attributes:
        delay: as of :class:`Stream`.
        ahead: by how many frames a fade begins before its label does: half of it, as far as the delay allows; 0 where
            causal.

    Raises:
        InputError: for no lifters, lifters that differ in shape, or a negative fade.
    """

    def __init__(
        self,
        lifters: Mapping[str, Lifter | InferenceForm],
        *,
        fade_frames: int,
        flip: bool = False,
        skeleton: Skeleton = H36M_17,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shapes = {(n.receptive_field, n.causal, n.joints_in, n.joints_out) for n in lifters.values()}
        if len(shapes) != 1:
            raise InputError(
                "wanted at least one lifter, all of one shape; got (receptive field, causal, joints in, joints out) "
                f"{sorted(shapes)}"
            )
        ((receptive_field, _, _, self._joints),) = shapes
        self._streams = {label: Stream(n, flip=flip, skeleton=skeleton, dtype=dtype) for label, n in lifters.items()}
        self._any = next(iter(self._streams.values()))
        self._window = fade_window(fade_frames).tolist()
        self.delay = self._any.delay
        self.ahead = min(self.delay, (len(self._window) - 1) // 2)
        self._frames: deque[Float[np.ndarray, "j 2"]] = deque(maxlen=receptive_field)
        # the oldest of these labels are what the window weighs for the frame whose pose is due
        self._span = self.delay - self.ahead + len(self._window)
        self._labels: deque[str] = deque(maxlen=self._span)
        self.reset()

    def reset(self) -> None:
        """Begin anew: the next frame is the first. Poses still owed are dropped."""
        for stream in self._streams.values():
            stream.reset()
        self._running: set[str] = set()
        self._frames.clear()
        self._labels.clear()

    def push(self, frame: Float[np.ndarray, "j 2"], label: str) -> Float[np.ndarray, "j2 3"] | None:
        """Take the next frame and its label; give the pose of the frame ``delay`` frames before it, or None where there
        is none yet.

        Args:
            frame: keypoints in screen units.
            label: of this frame, one of the lifters'.

        Returns:
            Root-relative joints in camera meters, float32.

        Raises:
            InputError: for another number of joints, or a label there is no lifter for.
        """
        self._any.check(frame)
        if label not in self._streams:
            raise InputError(f"no lifter for {label}; there are lifters for {', '.join(self._streams)}")
        if not self._labels:
            self._labels.extend([label] * self._span)
        self._labels.append(label)
        shares: dict[str, float] = {}
        for wanted, share in zip(self._labels, self._window, strict=False):
            shares[wanted] = shares.get(wanted, 0.0) + share
        for cold in shares.keys() - self._running if self._frames else ():
            self._streams[cold].replay(np.stack(self._frames))
        self._running = set(shares)
        self._frames.append(frame.copy())
        poses = {wanted: self._streams[wanted].push(frame) for wanted in shares}
        parts = [shares[wanted] * pose for wanted, pose in poses.items() if pose is not None]
        return np.sum(parts, axis=0) if parts else None

    def flush(self) -> Float[np.ndarray, "t j2 3"]:
        """End the stream: give the poses it still owes, as if its last frame and label went on, and begin anew.

        Returns:
            One pose for each of the last ``delay`` frames, fewer where fewer were pushed.
        """
        steps = self.delay if self._frames else 0
        poses = [pose for _ in range(steps) if (pose := self.push(self._frames[-1], self._labels[-1])) is not None]
        self.reset()
        return np.stack(poses) if poses else np.empty((0, self._joints, 3), np.float32)
