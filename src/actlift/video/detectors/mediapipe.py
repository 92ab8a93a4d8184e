"""BlazePose (Bazarevsky et al. 2020; Apache-2.0) from a `.task` file, through MediaPipe."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from actlift.errors import InputError, MissingPackageError
from actlift.geometry.skeleton import BLAZEPOSE_33, COCO_17, remap, remap_confidence
from actlift.video.detectors.base import Detections, version_of
from actlift.video.wheels import sha256

MOST_PEOPLE = 4  # that MediaPipe looks for


class MediaPipe:
    """BlazePose through MediaPipe. Every image is seen by itself: its mode for video cannot be told whom to follow.

    Args:
        landmarks: from an RGB image to the landmarks of each person, x and y of 1.
        about: as of a detector.
    """

    name = "mediapipe"
    skeleton = COCO_17

    def __init__(self, landmarks: Callable[[np.ndarray], Sequence[Sequence[Any]]], about: Mapping[str, str]) -> None:
        self.landmarks = landmarks
        self.about = about

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> Detections:
        h, w = image.shape[:2]
        found = [[(point.x * w, point.y * h, point.visibility) for point in person] for person in self.landmarks(image)]
        joints = np.array(found, np.float32).reshape(-1, 33, 3)
        return Detections(
            remap(joints[..., :2], BLAZEPOSE_33, COCO_17),
            remap_confidence(joints[..., 2].clip(0, 1), BLAZEPOSE_33, COCO_17),
        )

    def follow(self, detections: Detections | None) -> None:
        """Nothing to do."""


def make_mediapipe(weights: Path | None) -> MediaPipe:
    """Make a detector of the `.task` file of a pose landmarker.

    Raises:
        InputError: it is none.
        MissingPackageError: MediaPipe is not installed.
    """
    if weights is None or weights.suffix != ".task":
        raise InputError(f"needs the .task file of a pose landmarker, given with --weights; got {weights or 'none'}")
    try:
        import mediapipe
    except ImportError as error:
        raise MissingPackageError(f"needs mediapipe: `pip install mediapipe` ({error})") from error
    content = weights.read_bytes()
    vision = mediapipe.tasks.vision
    try:
        landmarker = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=content),
                running_mode=vision.RunningMode.IMAGE,
                num_poses=MOST_PEOPLE,
            )
        )
    except (ValueError, RuntimeError, OSError) as error:  # NOT_FOUND comes as an error about files
        raise InputError(f"{weights}: damaged, or no pose landmarker ({error})") from error

    def landmarks(image: UInt8[np.ndarray, "h w 3"]) -> Sequence[Sequence[Any]]:
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        found: Sequence[Sequence[Any]] = landmarker.detect(picture).pose_landmarks
        return found

    return MediaPipe(landmarks, {"blazepose": sha256(content), "mediapipe": version_of("mediapipe")})
