"""What a detector of 2D keypoints is: an image in, the people in it out. And what detectors share."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from actlift.errors import InputError, MissingPackageError
from actlift.geometry.skeleton import Skeleton

THREADS = 2  # of each network, whatever the machine has: what is found must not depend on it


@dataclass(frozen=True, eq=False)
class Detections:
    """The people that a detector found in one image.

    Attributes:
        points_px: (n, j, 2) float32, pixels of the whole image, of n people, 0 or more; maybe outside of it.
        confidence: (n, j) float32, 0 to 1.
    """

    points_px: Float[np.ndarray, "n j 2"]
    confidence: Float[np.ndarray, "n j"]


@runtime_checkable
class Detector(Protocol):
    """Finds people in images.

    What it finds depends on the image and on whom it found in the image before, and on nothing else: told the latter
    (`follow`), a new detector goes on to the bit.

    Attributes:
        name: for people to read.
        skeleton: of its keypoints.
        about: what its results depend on: SHA-256 of weights, versions of libraries.
    """

    name: str
    skeleton: Skeleton
    about: Mapping[str, str]

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> Detections:
        """Find the people in an RGB image."""
        ...

    def follow(self, detections: Detections | None) -> None:
        """Go on as if these had been found in the image before; None: nothing is known of it."""
        ...


def onnx_session(model: bytes | str) -> Any:
    """Open a session of ONNX Runtime with a fixed number of threads, which leave the processor alone while they wait.

    Args:
        model: content of a file, or its path.

    Raises:
        MissingPackageError: ONNX Runtime is not installed.
        InputError: it does not take the network; says why.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingPackageError("needs onnxruntime: `pip install actlift[video]`") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # its errors come as exceptions
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes differ from release to release
        raise InputError(str(error)) from error


def version_of(package: str) -> str:
    """Tell the version of a package.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise MissingPackageError(f"needs {package}: `pip install {package}`") from error
