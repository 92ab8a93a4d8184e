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
from torch import Tensor, nn

from actlift import __version__
from actlift.errors import InputError, MissingPackageError
from actlift.files import replacing
from actlift.geometry.skeleton import H36M_17, Skeleton
from actlift.models.tcn import TCN
from actlift.models.tcn_inference import Affine, FoldedTCN

UNITS = {
    "pose2d": "screen: x in [-1, 1] over the image's width, y down in the same unit, both 0 in the middle",
    "pose3d": "meters, root-relative, camera axes: x right, y down, z forward",
}


def export_onnx(lifter: TCN | FoldedTCN, path: Path | str, *, skeleton: Skeleton = H36M_17) -> None:
    """Write a network as one ONNX file, whole or not at all, in float32.

    Args:
        lifter: a network, say of :func:`actlift.lifting.predict.load_lifter`.
        path: the file, which is replaced if it is there.
        skeleton: of keypoints and poses, told in the file.

    Raises:
        ModuleNotFoundError: where the packages for it are missing, and how to install them.
        ValueError: for a stack of networks, one folded to bfloat16, or a skeleton of another number of joints.
        OSError: where the file cannot be written; what lay there stays.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"writing ONNX files needs the package {error.name}: pip install actlift[onnx]", name=error.name
        ) from error
    folded = lifter if isinstance(lifter, FoldedTCN) else FoldedTCN(lifter)
    if folded.dtype != torch.float32:
        raise InputError(f"ONNX files are written in float32, this network is folded to {folded.dtype}: give the TCN")
    if not folded.joints_in == folded.joints_out == len(skeleton):
        raise InputError(
            f"the network takes {folded.joints_in} joints and gives {folded.joints_out}, "
            f"the skeleton {skeleton.name} has {len(skeleton)}"
        )
    graph = _Convolutions(folded).eval()
    frames = torch.export.Dim("frames", min=folded.receptive_field)
    with _quiet():
        program = torch.onnx.export(
            graph,
            (torch.zeros(2, folded.receptive_field + 2, folded.joints_in, 2),),
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
        receptive_field=str(folded.receptive_field),
        causal=json.dumps(folded.causal),
        skeleton=json.dumps(asdict(skeleton)),
        trajectory=json.dumps(folded.trajectory),
        units=json.dumps(UNITS),
        producer=f"actlift {__version__}",
    )
    with replacing(Path(path)) as beside:
        program.save(beside)


class _Convolutions(nn.Module):
    """A folded network from convolutions over time, which exporters and runtimes know best."""

    def __init__(self, folded: FoldedTCN) -> None:
        super().__init__()
        self.first = _convolution(folded.first)
        self.wide = nn.ModuleList(_convolution(block.wide) for block in folded.blocks)
        self.narrow = nn.ModuleList(_convolution(block.narrow) for block in folded.blocks)
        self.head = _convolution(folded.head)
        self.kept = [block.kept_tap * block.wide.dilation for block in folded.blocks]

    def forward(self, pose2d: Tensor) -> Tensor:
        x = pose2d.flatten(2).transpose(1, 2)  # (b, c, t)
        x = torch.relu(self.first(x))
        for wide, narrow, kept in zip(self.wide, self.narrow, self.kept, strict=True):
            y = torch.relu(wide(x))
            x = x[:, :, kept : kept + y.shape[2]] + torch.relu(narrow(y))
        out: Tensor = self.head(x).transpose(1, 2).unflatten(2, (-1, 3))
        return out


def _convolution(affine: Affine) -> nn.Conv1d:
    k, c = affine.weight.shape
    result = nn.Conv1d(k // affine.width, c, affine.width, dilation=affine.dilation)
    result.weight = nn.Parameter(affine.weight.reshape(affine.width, -1, c).permute(2, 1, 0).cpu().contiguous())
    result.bias = nn.Parameter(affine.shift.cpu())
    return result


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
