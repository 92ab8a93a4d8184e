"""Networks as ONNX files, for runtimes without torch: ONNX Runtime, browsers, phones, TensorRT.

The graph is the convolutional one, BatchNorm folded into it (:mod:`actlift.models.tcn_inference`). It is a valid
filter, like the network: ``pose2d (batch, frames, joints, 2) -> pose3d (batch, frames - R + 1, joints, 3)``, for any
batch and any number of frames from the receptive field R on. Padding and flips are the caller's.

What else one needs to know stands in the file's ``metadata_props``, texts or JSON:

==================== ===================================================================================================
``receptive_field``  R, frames
``causal``           true: a pose belongs to the last frame that it sees; false: to the middle one
``skeleton``         name, joints, parents (-1: none), and mirror, the left-right swap, of keypoints and poses
``trajectory``       true: behind the joints stands the root's position in the camera's frame
``units``            of input and output
``producer``         actlift and its version
==================== ===================================================================================================
"""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from actlift import __version__
from actlift.errors import InputError, MissingPackageError
from actlift.files import replacing
from actlift.geometry.skeleton import H36M_17, Skeleton
from actlift.models.base import InferenceForm, Lifter, graph, inference_form

UNITS = {
    "pose2d": "screen: x in [-1, 1] over the image's width, y down in the same unit, both 0 in the middle",
    "pose3d": "meters, root-relative, camera axes: x right, y down, z forward",
}


def export_onnx(lifter: Lifter | InferenceForm, path: Path | str, *, skeleton: Skeleton = H36M_17) -> None:
    """Write a network as one ONNX file, whole or not at all, in float32.

    Args:
        lifter: a network, say of :func:`actlift.lifting.predict.load_lifter`.
        path: the file, which is replaced if it is there.
        skeleton: of keypoints and poses, told in the file.

    Raises:
        MissingPackageError: where the packages for it are missing, and how to install them.
        InputError: for a stack of networks, an inference form in bfloat16, or a skeleton of another number of joints.
        OSError: where the file cannot be written; what lay there stays.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"writing ONNX files needs the package {error.name}: pip install actlift[onnx]", name=error.name
        ) from error
    form = inference_form(lifter)
    if form.dtype != torch.float32:
        raise InputError(f"ONNX files are written in float32, this form is in {form.dtype}: give the network")
    if not form.joints_in == form.joints_out == len(skeleton):
        raise InputError(
            f"the network takes {form.joints_in} joints and gives {form.joints_out}, "
            f"the skeleton {skeleton.name} has {len(skeleton)}"
        )
    module = graph(form).eval()
    frames = torch.export.Dim("frames", min=form.receptive_field)
    with _quiet():
        program = torch.onnx.export(
            module,
            (torch.zeros(2, form.receptive_field + 2, form.joints_in, 2),),
            dynamo=True,
            input_names=["pose2d"],
            output_names=["pose3d"],
            dynamic_shapes={"pose2d": {0: torch.export.Dim("batch"), 1: frames}},
            external_data=False,
            verbose=False,
        )
    assert program is not None
    for part in (program.model.graph, *program.model.graph):  # the exporter's notes name files of this machine
        part.metadata_props.clear()
    program.model.metadata_props.update(
        receptive_field=str(form.receptive_field),
        causal=json.dumps(form.causal),
        skeleton=json.dumps(asdict(skeleton)),
        trajectory=json.dumps(form.trajectory),
        units=json.dumps(UNITS),
        producer=f"actlift {__version__}",
    )
    with replacing(Path(path)) as beside:
        program.save(beside)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of torchvision, which is not needed, and of its own use of torch."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        registration.setLevel(level)
