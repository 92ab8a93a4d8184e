"""YOLOX and RTMPose (Jiang et al. 2023; Apache-2.0) through rtmlib, which fetches weights on first use."""

import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from actlift.errors import InputError, MissingPackageError
from actlift.geometry.skeleton import COCO_17
from actlift.video.detectors.base import Detections, onnx_session, version_of
from actlift.video.wheels import sha256


class RTMPose:
    """RTMPose through rtmlib: one network finds people, the other their keypoints. Every image is seen by itself.

    Args:
        find, look: rtmlib's tools: the boxes of people, and keypoints and scores in boxes, of BGR images.
        about: as of a detector.
    """

    name = "rtmpose"
    skeleton = COCO_17

    def __init__(self, find: Callable[..., Any], look: Callable[..., Any], about: Mapping[str, str]) -> None:
        self.find = find
        self.look = look
        self.about = about

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> Detections:
        bgr = np.ascontiguousarray(image[..., ::-1])
        boxes = self.find(bgr)
        if len(boxes) == 0:  # for which rtmlib would draw a person into the whole image
            return Detections(np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32))
        points_px, scores = self.look(bgr, bboxes=boxes)
        return Detections(np.asarray(points_px, np.float32), np.asarray(scores, np.float32).clip(0, 1))

    def follow(self, detections: Detections | None) -> None:
        """Nothing to do."""


def make_rtmpose(weights: Path | None) -> RTMPose:
    """Make a detector with the weights that rtmlib has or fetches; `weights` must be None.

    Raises:
        InputError: weights were given.
        MissingPackageError: rtmlib is not installed.
        OSError: its weights cannot be fetched or loaded.
    """
    if weights is not None:
        raise InputError(f"rtmlib brings its own weights and does not take {weights.name}; leave out --weights")
    try:
        import rtmlib
    except ImportError as error:
        raise MissingPackageError(f"needs rtmlib: `pip install rtmlib` ({error})") from error
    try:
        with redirect_stdout(io.StringIO()):  # it prints what it loads
            body = rtmlib.Body(mode="balanced", backend="onnxruntime", device="cpu")
        tools = {"yolox": body.det_model, "rtmpose": body.pose_model}
        files = {name: tool.onnx_model for name, tool in tools.items()}
    except Exception as error:  # of its download, its archives and its networks: of many classes
        raise _unloaded(error) from error
    about = {library: version_of(library) for library in ("rtmlib", "onnxruntime")}
    for name, tool in tools.items():
        try:
            about[name] = sha256(Path(files[name]).read_bytes())
            tool.session = onnx_session(files[name])
        except (InputError, OSError) as error:
            raise _unloaded(error) from error
    return RTMPose(body.det_model, body.pose_model, about)


def _unloaded(error: Exception) -> OSError:
    return OSError(
        f"rtmlib could not fetch or load its weights ({error}): connect to the internet, or delete what is damaged in "
        "~/.cache/rtmlib"
    )
