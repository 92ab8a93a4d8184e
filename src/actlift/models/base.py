"""What the rest of actlift asks of a lifter network, the table of those there are, and what it falls back on.

A lifter is a valid temporal filter, ``(b, t, j, 2) -> (b, t - R + 1, j2, 3)`` for a receptive field of R frames and any
t from R on: 2D keypoints in screen units to root-relative joints in camera meters. Padding, flips and batching are not
its business. :class:`Lifter` lists all that is asked of it; a new architecture is one file with a class of these
members and one row of :data:`ARCHITECTURES`.

A row of the table may name faster forms of its own architecture. Where it does not, there is a default for each:

==================  ======================================  ============================================================
of a row            what it makes                           default
==================  ======================================  ============================================================
``stack``           several networks of one shape as one,   :class:`SideBySide`: one after another
                    with a leading axis of members
``training_pass``   forward and backward of windows         :class:`AutogradPass`: torch's autograd
``inference_form``  whole sequences, frozen                 :class:`FrozenForm`: a copy of the network
``stepper``         a new frame from cached activations     :class:`WindowStepper`: the last receptive field again
``graph``           what ONNX files are written of          the network
``given``           the plain network of one condition      :class:`Given`: the condition held fixed
``multiply_adds``   of one window's forward pass            parameters times receptive field
==================  ======================================  ============================================================
"""

import copy
import difflib
import inspect
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int16, Int64
from torch import Tensor, nn

from actlift.errors import InputError
from actlift.models.checks import CheckedForm, check_dtype
from actlift.models.mixer import JointMixer
from actlift.models.options import TCN_NAME
from actlift.models.tcn import TCN, StackedTCN
from actlift.models.tcn_inference import Convolutions, FoldedTCN
from actlift.models.tcn_streaming import Rings
from actlift.models.tcn_training import StridedPass


@runtime_checkable
class Lifter(Protocol):
    """A network that lifts; see the module. All else of :class:`torch.nn.Module` may be used, too.

    Attributes:
        receptive_field: frames that one output sees.
        causal: the output belongs to the last frame it sees, not to the middle one.
        joints_in, joints_out: joints of the input and output skeletons.
        trajectory: one row behind the joints is the root's position in camera meters.
        conditions: how many conditions it may be told beside "unknown", which is numbered last; 0: it takes none.
        keywords: of its class, that make a network like this one.
        training: whether it is in training mode.
    """

    @property
    def receptive_field(self) -> int: ...
    @property
    def causal(self) -> bool: ...
    @property
    def joints_in(self) -> int: ...
    @property
    def joints_out(self) -> int: ...
    @property
    def trajectory(self) -> bool: ...
    @property
    def conditions(self) -> int: ...
    @property
    def keywords(self) -> dict[str, Any]: ...
    @property
    def training(self) -> bool: ...

    def __call__(self, pose2d: Tensor, *, condition: Tensor | None = None) -> Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...
    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def to(self, device: torch.device) -> Any: ...


# making networks


def make_network(keywords: Mapping[str, Any]) -> Lifter:
    """A network of keywords, as run folders hold them under "model".

    Args:
        keywords: ``architecture``, a name of :data:`ARCHITECTURES` (the temporal convolution network where absent);
            ``given``, whether a condition is held fixed (:class:`Given`); all else is the architecture's own.

    Raises:
        InputError: for an unknown architecture (lists the known), or keywords that it does not take.
    """
    rest = dict(keywords)
    name, fixed = rest.pop("architecture", TCN_NAME), rest.pop("given", False)
    if name not in ARCHITECTURES:
        near = difflib.get_close_matches(str(name), ARCHITECTURES, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"unknown architecture {name!r}; known: {', '.join(ARCHITECTURES)}{meant}")
    taken = inspect.signature(ARCHITECTURES[name].network).parameters
    if foreign := [key for key in rest if key not in taken]:
        raise InputError(f"the architecture {name!r} takes no {', '.join(foreign)}; it takes: {', '.join(taken)}")
    network: Any = ARCHITECTURES[name].network(**rest)
    return Given(network, 0) if fixed else network


def keywords_of(network: Lifter) -> dict[str, Any]:
    """What :func:`make_network` makes a network like this one of."""
    if isinstance(network, Given):
        return {**keywords_of(network.network), "given": True}
    name = next(name for name, row in ARCHITECTURES.items() if row.network is type(network))
    return network.keywords if name == TCN_NAME else {"architecture": name, **network.keywords}


def check_network(keywords: Mapping[str, Any]) -> None:
    """Raise what :func:`make_network` raises, without the cost of making one."""
    with torch.device("meta"):
        make_network(keywords)


def multiply_adds(network: Lifter | Mapping[str, Any]) -> int:
    """About what one window's forward pass multiplies and adds; a training step takes three times that for each."""
    if isinstance(network, Mapping):
        with torch.device("meta"):
            network = make_network(network)
    own = _row(network).multiply_adds
    return parameter_count(network) * network.receptive_field if own is None else own(network)


def parameter_count(network: Lifter) -> int:
    """Numbers that the network learns."""
    return sum(p.numel() for p in network.parameters())


def checksum(network: Lifter) -> str:
    """Of all that the network has learnt, in the order of its state."""
    crc = 0
    for value in network.state_dict().values():
        crc = zlib.crc32(value.detach().cpu().contiguous().numpy().tobytes(), crc)
    return f"{crc:08x}"


# one condition


def given(network: Lifter, condition: int) -> Lifter:
    """The network that this one is for one condition, as it is now; ``network.conditions`` is "unknown".

    Raises:
        InputError: for a condition there is not, or a network that takes none.
    """
    if not network.conditions:
        raise InputError("only a network that takes conditions can be given one")
    if not 0 <= condition <= network.conditions:
        raise InputError(f"conditions are 0 to {network.conditions} (unknown), got {condition}")
    own = _row(network).given
    plain: Any = Given(copy.deepcopy(network), condition) if own is None else own(network, condition)
    plain.trained_on = trained_on(network)
    lifter: Lifter = plain
    return lifter


def trained_on(network: Any) -> frozenset[str]:
    """The people whose motion a loaded network, or what is made of it, was trained on; nobody where that is unknown."""
    people: frozenset[str] = getattr(network, "trained_on", frozenset())
    return people


def unconditioned(network: Lifter) -> Lifter:
    """The network as it is without a condition: itself, or given "unknown" where it takes some."""
    return given(network, network.conditions) if network.conditions else network


class Given(nn.Module):
    """A network that takes conditions, with one held fixed, which is kept among its weights."""

    conditions = 0
    condition: Tensor

    def __init__(self, network: Any, condition: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("condition", torch.tensor(condition))  # kept with the weights
        self.receptive_field, self.causal = network.receptive_field, network.causal
        self.joints_in, self.joints_out, self.trajectory = network.joints_in, network.joints_out, network.trajectory

    @property
    def keywords(self) -> dict[str, Any]:
        """What makes a network like this one."""
        return {**self.network.keywords, "given": True}

    def forward(
        self, pose2d: Float[Tensor, "b t j 2"], *, condition: Int64[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b t2 j2 3"]:
        """As the network's, told the condition."""
        if condition is not None:
            raise InputError("this network takes no conditions")
        own = self.condition.expand(len(pose2d))
        poses: Tensor = self.network(pose2d, condition=own)
        return poses


# several networks in one step


@runtime_checkable
class Stacked(Protocol):
    """Networks of one shape as one: inputs and outputs have a leading axis of members."""

    batch_norm_momentum: float | Tensor  # (e, 1), of those that normalize by batches

    @property
    def trajectory(self) -> bool: ...
    @property
    def joints_out(self) -> int: ...

    def __call__(self, pose2d: Tensor, *, condition: Tensor | None = None) -> Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def member(self, index: int) -> Lifter: ...
    def member_state(self, index: int) -> dict[str, Tensor]: ...
    def views_of(self, flat: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]: ...
    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def to(self, device: torch.device) -> Any: ...


def stack(networks: Sequence[Lifter]) -> Stacked:
    """Networks of one shape as the members of one, in their order.

    Raises:
        InputError: for networks of several shapes.
    """
    first = networks[0]
    if any(keywords_of(n) != keywords_of(first) for n in networks):
        raise InputError("only networks of one shape can be stacked")
    own = _row(first).stack
    stacked: Stacked = SideBySide(networks) if own is None else own(networks)
    return stacked


class SideBySide(nn.Module):
    """Networks of one shape, computed one after another."""

    batch_norm_momentum: float | Tensor = 0.1  # their own, if they normalize by batches

    def __init__(self, networks: Sequence[Any]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.trajectory, self.joints_out = networks[0].trajectory, networks[0].joints_out
        self.train(networks[0].training)

    def forward(
        self, pose2d: Float[Tensor, "e b t j 2"], *, condition: Int64[Tensor, "e b"] | None = None
    ) -> Float[Tensor, "e b t2 j2 3"]:
        """Lift each member's windows."""
        told = [None] * len(self.networks) if condition is None else list(condition)
        return torch.stack([n(x, condition=c) for n, x, c in zip(self.networks, pose2d, told, strict=True)])

    def member(self, index: int) -> Lifter:
        """One of them, as it is now."""
        network: Any = copy.deepcopy(self.networks[index])
        for parameter in network.parameters():  # which may be views of a buffer of all members
            parameter.data, parameter.grad = parameter.data.clone(), None
        lifter: Lifter = network
        return lifter

    def member_state(self, index: int) -> dict[str, Tensor]:
        """Its state."""
        state: dict[str, Tensor] = self.networks[index].state_dict()
        return state

    def views_of(self, flat: Float[Tensor, "e n"]) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Every parameter, and its place in a buffer of the parameters of each member, one behind the other."""
        for network, own in zip(self.networks, flat, strict=True):
            offset = 0
            for p in network.parameters():
                yield p, own[offset : offset + p.numel()].view(p.shape)
                offset += p.numel()


def compute(stacked: Stacked, pose2d: Tensor, dtype: torch.dtype, condition: Tensor | None = None) -> Tensor:
    """What stacked networks make of (e, b, t, j, 2), with activations and products of this dtype."""
    if isinstance(stacked, SideBySide):
        with precision(pose2d.device, dtype):
            poses: Tensor = stacked(pose2d, condition=condition).float()
        return poses
    return stacked(pose2d.to(dtype), condition=condition)  # one of its own computes in its input's dtype


# training


@runtime_checkable
class TrainingPass(Protocol):
    """Forward and backward of windows of one receptive field, for batches of one size.

    Attributes:
        noise_size: random 16-bit integers that each member's dropout takes of every batch; 0 where it draws its own.
        capturable: whether a CUDA graph can hold it.
    """

    noise_size: int
    capturable: bool

    def forward(
        self, pose2d: Tensor, noise: Tensor | None, condition: Tensor | None, keys: Sequence[tuple[int, ...]]
    ) -> Tensor:
        """The target frames (e, b, j2, 3) of windows (e, b, R, j, 2); ``keys`` are each member's and the step's."""
        ...

    def backward(self, gradient: Tensor) -> None:
        """Write the gradients of all parameters, given that of the forward pass's result."""
        ...


def training_pass(stacked: Stacked, gradient: Tensor, batch: int, dtype: torch.dtype) -> TrainingPass:
    """The training pass of stacked networks.

    Args:
        stacked: in training mode, their parameters views of one buffer (e, parameters of a member).
        gradient: a buffer of that shape to write gradients to.
        batch: windows of each member.
        dtype: of activations and products.
    """
    own = next((row.training_pass for row in ARCHITECTURES.values() if row.stack is type(stacked)), None)
    made: TrainingPass = AutogradPass(stacked, gradient, dtype) if own is None else own(stacked, gradient, batch, dtype)
    return made


class AutogradPass:
    """The training pass of any network: torch's autograd, and autocast where activations are bfloat16.

    What a member draws (dropout) is a function of its key and the step, whoever trains beside it.
    """

    noise_size = 0
    capturable = False

    def __init__(self, stacked: Any, gradient: Tensor, dtype: torch.dtype) -> None:
        self.stacked = stacked
        self.gradient = gradient
        self.dtype = dtype
        for p, own in stacked.views_of(gradient):
            p.grad = own

    def forward(
        self,
        pose2d: Float[Tensor, "e b t j 2"],
        noise: Int16[Tensor, "e units"] | None,
        condition: Int64[Tensor, "e b"] | None,
        keys: Sequence[tuple[int, ...]],
    ) -> Float[Tensor, "e b j2 3"]:
        """See :class:`TrainingPass`."""
        del noise
        parts = []
        for i, key in enumerate(keys):
            one = None if condition is None else condition[i]
            with seeded(key), precision(pose2d.device, self.dtype):
                parts.append(self.stacked.networks[i](pose2d[i], condition=one)[:, 0].float())
        self._result = torch.stack(parts)
        return self._result.detach()

    def backward(self, gradient: Float[Tensor, "e b j2 3"]) -> None:
        """See :class:`TrainingPass`."""
        self.gradient.zero_()
        torch.autograd.backward(self._result, gradient)


def precision(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Within, products are of this dtype, where a network does not see to that itself."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


@contextmanager
def seeded(key: tuple[int, ...]) -> Iterator[None]:
    """Within, what torch draws on the CPU is a function of the key; its generator is as it was afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence((*key, 3)).generate_state(1, np.uint64)[0] >> 1))
        yield


# inference


@runtime_checkable
class InferenceForm(Protocol):
    """A network for use alone: frozen, in evaluation mode; later changes of the network do not reach it.

    Attributes:
        dtype: of products.
        device: where it computes.
    """

    receptive_field: int
    causal: bool
    joints_in: int
    joints_out: int
    trajectory: bool
    dtype: torch.dtype

    @property
    def device(self) -> torch.device: ...

    def check_joints(self, joints: int) -> None:
        """Refuse keypoints of another number of joints."""
        ...

    def __call__(self, pose2d: Float[Tensor, "*b t j 2"]) -> Float[Tensor, "*b t2 j2 3"]:
        """Lift sequences of one length, any from the receptive field on, to float32."""
        ...


def inference_form(lifter: Lifter | InferenceForm, dtype: torch.dtype = torch.float32) -> InferenceForm:
    """The inference form of a network, or the form that it is already.

    Raises:
        InputError: for a network that takes conditions, or a dtype other than float32 and bfloat16.
    """
    if isinstance(lifter, InferenceForm):
        return lifter
    if lifter.conditions:
        raise InputError(
            f"this network takes one of {lifter.conditions} conditions: take the network of one, or of none known: "
            "given(network, condition), unconditioned(network)"
        )
    check_dtype(dtype)
    own = _row(lifter).inference_form
    made: InferenceForm = FrozenForm(lifter, dtype) if own is None else own(lifter, dtype)
    return made


class FrozenForm(CheckedForm):
    """The inference form of any network: a copy of it in evaluation mode."""

    def __init__(self, network: Any, dtype: torch.dtype) -> None:
        self.network = copy.deepcopy(network).eval()
        self.dtype = dtype
        self.receptive_field, self.causal = network.receptive_field, network.causal
        self.joints_in, self.joints_out, self.trajectory = network.joints_in, network.joints_out, network.trajectory

    @property
    def device(self) -> torch.device:
        parameter: nn.Parameter = next(self.network.parameters())
        return parameter.device

    @torch.no_grad()
    def __call__(self, pose2d: Float[Tensor, "*b t j 2"]) -> Float[Tensor, "*b t2 j2 3"]:
        """See :class:`InferenceForm`.

        Raises:
            InputError: for fewer frames than the receptive field, or another number of joints.
        """
        *lead, t, j, _ = pose2d.shape
        self.check_pose2d(pose2d)
        with precision(pose2d.device, self.dtype):
            poses: Tensor = self.network(pose2d.reshape(-1, t, j, 2).float()).float()
        return poses.reshape(*lead, *poses.shape[1:])

    def graph(self) -> nn.Module:
        """The network, on the CPU."""
        network: nn.Module = copy.deepcopy(self.network).cpu()
        return network


# streaming


@runtime_checkable
class Stepper(Protocol):
    """Lifts several streams frame by frame, each row of a batch one stream."""

    def push(self, frame: Float[Tensor, "n j 2"], begun: Int64[Tensor, " k"] | None) -> Float[Tensor, "n j2 3"]:
        """The poses of the windows that end with these frames; before the first frame of the rows that have ``begun``
        lie copies of it."""
        ...

    def replay(self, frames: Float[Tensor, "t n j 2"]) -> None:
        """Take a receptive field of frames at once, without their poses, as if they had been pushed."""
        ...


def stepper(form: InferenceForm, rows: int) -> Stepper:
    """What lifts ``rows`` streams frame by frame with this form."""
    own = next((row.stepper for row in ARCHITECTURES.values() if row.inference_form is type(form)), None)
    made: Stepper = WindowStepper(form, rows) if own is None else own(form, rows)
    return made


class WindowStepper:
    """The stepper of any network: it lifts the last receptive field of frames again."""

    def __init__(self, form: InferenceForm, rows: int) -> None:
        self.form = form
        self.window = torch.zeros(rows, form.receptive_field, form.joints_in, 2, device=form.device)

    def push(self, frame: Float[Tensor, "n j 2"], begun: Int64[Tensor, " k"] | None) -> Float[Tensor, "n j2 3"]:
        """See :class:`Stepper`."""
        self.window = torch.cat([self.window[:, 1:], frame[:, None]], dim=1)
        if begun is not None:
            self.window[begun] = frame[begun, None]
        return self.form(self.window)[:, 0]

    def replay(self, frames: Float[Tensor, "t n j 2"]) -> None:
        """See :class:`Stepper`."""
        self.window = frames.transpose(0, 1).clone()


def graph(form: InferenceForm) -> nn.Module:
    """What ONNX files are written of: a module from keypoints (b, t, j, 2) to poses (b, t2, j2, 3), on the CPU."""
    own = next((row.graph for row in ARCHITECTURES.values() if row.inference_form is type(form)), None)
    if own is not None:
        made: nn.Module = own(form)
        return made
    assert isinstance(form, FrozenForm)
    return form.graph()


# the table


@dataclass(frozen=True)
class Architecture:
    """A row of :data:`ARCHITECTURES`: a network's class and its faster forms, see the module.

    Attributes:
        network: a :class:`torch.nn.Module` with the members of :class:`Lifter`, made by keywords.
        stack: a class of networks stacked; see :class:`Stacked`.
        training_pass: from stacked networks, gradient buffer, batch and dtype; see :class:`TrainingPass`.
        inference_form: from a network and a dtype; see :class:`InferenceForm`.
        stepper: from an inference form and a number of rows; see :class:`Stepper`.
        graph: from an inference form; see :func:`graph`.
        given: from a network and a condition.
        multiply_adds: of a network.
    """

    network: type[Any]
    stack: type[Any] | None = None
    training_pass: Callable[..., TrainingPass] | None = None
    inference_form: type[Any] | None = None
    stepper: Callable[..., Stepper] | None = None
    graph: Callable[..., nn.Module] | None = None
    given: Callable[..., Any] | None = None
    multiply_adds: Callable[..., int] | None = None


ARCHITECTURES: dict[str, Architecture] = {
    TCN_NAME: Architecture(
        TCN,
        stack=StackedTCN,
        training_pass=StridedPass,
        inference_form=FoldedTCN,
        stepper=Rings,
        graph=Convolutions,
        given=TCN.given,
        multiply_adds=lambda network: network.multiply_adds,
    ),
    "mixer": Architecture(JointMixer),
}


def _row(network: Any) -> Architecture:
    """The row of a network's class; one without faster forms for those not in the table."""
    return next((row for row in ARCHITECTURES.values() if row.network is type(network)), Architecture(type(network)))
