"""The dilated temporal convolution network of Pavllo et al. 2019 ("3D human pose estimation in video with temporal
convolutions and semi-supervised training", CVPR, section 3), in rows layout.

A valid temporal filter: ``(b, t, j, 2) -> (b, t - R + 1, j, 3)`` for a receptive field of R frames. Where the input is
one receptive field (t == R) every convolution strides, and is a reshape and one GEMM; otherwise it dilates, on the same
weights. Both give the same numbers.

Structure: an expanding convolution of the first width; then per further width a block of a convolution and a 1x1
convolution with a residual connection that takes the middle frame (the last one where causal); then a linear head.
BatchNorm, ReLU and dropout follow every convolution. Any product of odd widths is a receptive field.

One class holds one network or several: ``members=None`` is a network; ``members=E`` puts a leading axis of length E on
every parameter, input and output, so that E networks of one shape train side by side (see :func:`stack`).

A network may be told a condition, such as the action, by which every BatchNorm's output is scaled and shifted before
its ReLU (class-conditional normalization: de Vries et al. 2017, "Modulating early visual processing by language";
FiLM: Perez et al. 2018)::

    y = relu(n (1 + gain[condition]) + bias[condition])          n the BatchNorm's output; gain and bias begin at 0

For one condition that is a BatchNorm again, so :meth:`TCN.given` is a plain network, and everything that runs a network
runs it. One further condition, the last, means "unknown".
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int16, Int64
from torch import Tensor, nn

from actlift.errors import InputError

EPS = 1e-5


def keep_threshold(dropout: float) -> int:
    """A unit is kept where its random 16-bit integer exceeds this; probabilities move in steps of 1/65536."""
    if not 0 <= dropout <= 65535 / 65536:
        raise InputError(f"dropout is a probability from 0 to 65535/65536, got {dropout}")
    return round(max(dropout * 65536, 1)) - 32769  # where dropout is 0 none is asked for


class Layer(nn.Module):
    """One convolution of ``width`` taps with BatchNorm, ReLU and dropout. Rows in, rows out."""

    weight: nn.Parameter  # (*e, width * c_in, c_out)
    gamma: nn.Parameter  # (*e, c_out)
    beta: nn.Parameter
    gain: nn.Parameter | None  # (*e, conditions + 1, c_out)
    bias: nn.Parameter | None
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, c_in: int, c_out: int, lead: tuple[int, ...], conditions: int) -> None:
        super().__init__()
        self.width = width
        self.weight = nn.Parameter(torch.empty(*lead, width * c_in, c_out))
        self.gamma = nn.Parameter(torch.ones(*lead, c_out))
        self.beta = nn.Parameter(torch.zeros(*lead, c_out))
        self.gain = nn.Parameter(torch.zeros(*lead, conditions + 1, c_out)) if conditions else None
        self.bias = nn.Parameter(torch.zeros(*lead, conditions + 1, c_out)) if conditions else None
        self.register_buffer("running_mean", torch.zeros(*lead, c_out))
        self.register_buffer("running_var", torch.ones(*lead, c_out))
        _uniform(self.weight, width * c_in)

    def forward(
        self, rows: Tensor, momentum: float | Tensor, keep: Tensor | None, condition: Tensor | None = None
    ) -> Tensor:
        if not self.training and condition is None:
            scale = self.gamma * torch.rsqrt(self.running_var + EPS)
            shift = self.beta - self.running_mean * scale
            weight = (self.weight * scale.unsqueeze(-2)).to(rows.dtype)
            shift = shift.to(rows.dtype)
            add = torch.addmm(shift, rows, weight) if rows.ndim == 2 else torch.baddbmm(shift[:, None], rows, weight)
            return add.relu_()
        n = rows.shape[-2]
        if self.training and n < 2:
            raise InputError("BatchNorm needs at least 2 rows to train on: give a larger batch")
        z = (rows @ self.weight.to(rows.dtype)).to(self.gamma.dtype)
        if self.training:
            variance, mean = torch.var_mean(z, dim=-2, correction=0)
            deviation = torch.rsqrt(variance + EPS)
            self.track(mean.detach(), deviation.detach(), n, momentum)
        else:
            mean, deviation = self.running_mean, torch.rsqrt(self.running_var + EPS)
        y = (z - mean.unsqueeze(-2)) * (self.gamma * deviation).unsqueeze(-2) + self.beta.unsqueeze(-2)
        if condition is not None and self.gain is not None and self.bias is not None:
            y = y * (1 + per_condition(self.gain, condition)) + per_condition(self.bias, condition)
        y = torch.relu(y)
        return (y if keep is None else y * keep).to(rows.dtype)

    def track(self, mean: Tensor, deviation: Tensor, n: int, momentum: float | Tensor) -> None:
        """Move the running statistics towards a batch's mean and inverse deviation over n rows."""
        variance = (deviation.pow(-2) - EPS) * (n / (n - 1))  # unbiased, as running variances are kept
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


class TCN(nn.Module):
    """Temporal convolution network from 2D keypoints in screen units to root-relative 3D joints in camera meters.

    Args:
        widths: odd convolution widths, whose product is the receptive field in frames.
        channels: hidden channels.
        joints_in, joints_out: joints of the input and output skeletons.
        causal: residuals take the last frame and the output belongs to the last input frame, not the middle one.
        dropout: probability, a multiple of 1/65536.
        trajectory: adds one row behind the joints, the root's position in camera meters
            (Pavllo et al. 2019, section 4, as a second head on the shared trunk).
        conditions: how many conditions it may be told beside "unknown"; 0 for a network that takes none.
        members: None for one network, or how many networks lie side by side on a leading axis.

    Raises:
        InputError: for an even or missing width, no channel, a negative number of conditions, or a dropout outside
            [0, 65535/65536].
    """

    def __init__(
        self,
        widths: Sequence[int] = (3, 3, 3),
        channels: int = 1024,
        *,
        joints_in: int = 17,
        joints_out: int = 17,
        causal: bool = False,
        dropout: float = 0.25,
        trajectory: bool = False,
        conditions: int = 0,
        members: int | None = None,
    ) -> None:
        super().__init__()
        widths = tuple(int(w) for w in widths)
        if not widths or any(w < 1 or w % 2 == 0 for w in widths):
            raise InputError(f"widths are odd and positive, at least one of them; got {widths}")
        if channels < 1:
            raise InputError(f"a network needs at least 1 channel, got {channels}")
        if conditions < 0:
            raise InputError(f"a network has 0 conditions or more, got {conditions}")
        self.widths = widths
        self.channels = channels
        self.joints_in = joints_in
        self.joints_out = joints_out
        self.causal = causal
        self.dropout = dropout
        self.trajectory = trajectory
        self.conditions = conditions
        self.members = members
        self.threshold = keep_threshold(dropout)
        self.dropout_scale = 65536 / (32767 - self.threshold) if dropout else 1.0
        self.batch_norm_momentum: float | Tensor = 0.1  # or one per member, (e, 1)
        lead = () if members is None else (members,)
        layers = [Layer(widths[0], joints_in * 2, channels, lead, conditions)]
        for width in widths[1:]:
            layers += [Layer(w, channels, channels, lead, conditions) for w in (width, 1)]
        self.layers = nn.ModuleList(layers)
        outputs = (joints_out + trajectory) * 3
        self.head = nn.Parameter(torch.empty(*lead, channels, outputs))
        self.head_bias = nn.Parameter(torch.empty(*lead, outputs))
        _uniform(self.head, channels)
        _uniform(self.head_bias, channels)

    @property
    def receptive_field(self) -> int:
        return math.prod(self.widths)

    @property
    def keywords(self) -> dict[str, Any]:
        """What makes a network like this one, but for its members."""
        return {
            "widths": self.widths,
            "channels": self.channels,
            "joints_in": self.joints_in,
            "joints_out": self.joints_out,
            "causal": self.causal,
            "dropout": self.dropout,
            "trajectory": self.trajectory,
            "conditions": self.conditions,
        }

    @property
    def multiply_adds(self) -> int:
        """Of all products of one window's forward pass; a training step takes three times that for each window."""
        layers = [layer for layer in self.layers if isinstance(layer, Layer)]
        rows = self._outputs(1, self.receptive_field, strided=True)
        products = sum(n * math.prod(layer.weight.shape[-2:]) for n, layer in zip(rows, layers, strict=True))
        return products + math.prod(self.head.shape[-2:])

    def kept_tap(self, width: int) -> int:
        """Which tap of a convolution its residual connection keeps: the middle one, or the last where causal."""
        return width - 1 if self.causal else width // 2

    def noise_size(self, b: int) -> int:
        """Random integers that the dropout of one member takes for ``b`` windows of one receptive field."""
        return sum(self._outputs(b, self.receptive_field, strided=True)) * self.channels

    def forward(
        self,
        pose2d: Float[Tensor, "*e b t j 2"],
        noise: Int16[Tensor, "*e units"] | None = None,
        condition: Int64[Tensor, "*e b"] | None = None,
    ) -> Float[Tensor, "*e b t2 j2 3"]:
        """Lift windows or whole sequences.

        Args:
            pose2d: keypoints in screen units; its dtype is the dtype of the computation.
            noise: dropout's random integers in training mode, :meth:`noise_size` per member; drawn from torch's global
                generator where absent.
            condition: of every window or sequence, where the network takes conditions; ``conditions`` is "unknown".

        Returns:
            Root-relative joints in camera meters (then the root, where ``trajectory``), t - R + 1 frames, in the dtype
            of the parameters.

        Raises:
            InputError: for fewer frames than the receptive field, another number of joints, or conditions that are
                missing or too many.
        """
        *lead, b, t, j, _ = pose2d.shape
        self.check_condition(condition)
        if j != self.joints_in:
            raise InputError(f"this network takes {self.joints_in} joints, got {j}: remap the keypoints first")
        if t < self.receptive_field:
            raise InputError(
                f"this network needs at least its receptive field of {self.receptive_field} frames, got {t}: "
                "pad the sequence (a Predictor does)"
            )
        x = pose2d.reshape(*lead, b, t, j * 2)
        strided = t == self.receptive_field
        drawn = self.training and self.dropout > 0
        if drawn and noise is None:
            size = sum(self._outputs(b, t, strided)) * self.channels
            noise = torch.randint(-(1 << 15), 1 << 15, (*lead, size), dtype=torch.int16, device=x.device)
        used = 0
        dilation = 1

        def layer(index: int, x: Tensor, dilation: int) -> Tensor:  # (*e, b, t, c) -> (*e, b, t2, c2)
            nonlocal used
            module = self.layers[index]
            assert isinstance(module, Layer)
            taps = _taps(x, module.width, dilation, strided)
            rows = taps.reshape(*lead, -1, taps.shape[-1])
            n = rows.shape[-2]
            drop = None
            if drawn and noise is not None:
                drop = (noise[..., used : used + n * self.channels] > self.threshold) * self.dropout_scale
                drop = drop.reshape(*lead, n, self.channels)
                used += n * self.channels
            told = None if condition is None else condition.repeat_interleave(n // b, dim=-1)
            y: Tensor = module(rows, self.batch_norm_momentum, drop, told)
            return y.reshape(*lead, b, -1, self.channels)

        x = layer(0, x, 1)
        for i, width in enumerate(self.widths[1:]):
            dilation *= self.widths[i]
            kept = _kept(x, width, dilation, strided, self.kept_tap(width))
            x = layer(2 * i + 1, x, dilation)
            x = kept + layer(2 * i + 2, x, 1)
        rows = x.reshape(*lead, -1, self.channels)
        out = rows @ self.head.to(rows.dtype) + self.head_bias.to(rows.dtype).unsqueeze(-2)
        return out.to(self.head.dtype).reshape(*lead, b, x.shape[-2], self.joints_out + self.trajectory, 3)

    def check_condition(self, condition: Tensor | None) -> None:
        """Refuse conditions that this network does not take, or their absence."""
        if self.conditions and condition is None:
            raise InputError(
                f"this network takes one of {self.conditions} conditions, or {self.conditions} for unknown: give them, "
                "or take the network of one condition: network.given(condition)"
            )
        if condition is not None and not self.conditions:
            raise InputError("this network takes no conditions")

    @torch.no_grad()
    def given(self, condition: int) -> "TCN":
        """The plain network that this one is for one condition, as it is now.

        Args:
            condition: its number, ``conditions`` for "unknown".

        Raises:
            InputError: for a condition there is not, a stack, or a network that takes none.
        """
        if not self.conditions or self.members is not None:
            raise InputError("only one network, which takes conditions, can be given one")
        if not 0 <= condition <= self.conditions:
            raise InputError(f"conditions are 0 to {self.conditions} (unknown), got {condition}")
        plain = TCN(**{**self.keywords, "conditions": 0}).to(self.head.device)
        plain.load_state_dict({k: v for k, v in self.state_dict().items() if k in plain.state_dict()})
        for layer, own in zip(plain.layers, self.layers, strict=True):
            assert isinstance(layer, Layer)
            assert isinstance(own, Layer)
            assert own.gain is not None
            assert own.bias is not None
            layer.gamma.mul_(1 + own.gain[condition])
            layer.beta.mul_(1 + own.gain[condition]).add_(own.bias[condition])
        return plain.train(self.training)

    def _outputs(self, b: int, t: int, strided: bool) -> list[int]:
        """Rows after each layer for b sequences of t frames: 9, 3, 3, 1, 1 times b for one receptive field of 27."""
        rows: list[int] = []
        frames, dilation = t, 1
        for width in self.widths:
            frames = frames // width if strided else frames - (width - 1) * dilation
            dilation *= width
            rows += [b * frames] * (2 if rows else 1)
        return rows


def _taps(x: Tensor, width: int, dilation: int, strided: bool) -> Tensor:
    """The inputs of each output row side by side: (*e, b, t, c) -> (*e, b, t2, width * c)."""
    if width == 1:
        return x
    *lead, t, c = x.shape
    if strided:
        return x.reshape(*lead, t // width, width * c)
    t2 = t - (width - 1) * dilation
    return torch.cat([x[..., k * dilation : k * dilation + t2, :] for k in range(width)], dim=-1)


def _kept(x: Tensor, width: int, dilation: int, strided: bool, tap: int) -> Tensor:
    """The frames that the residual connection keeps: one tap of each convolution."""
    *lead, t, c = x.shape
    if strided:
        return x.reshape(*lead, t // width, width, c)[..., tap, :]
    t2 = t - (width - 1) * dilation
    return x[..., tap * dilation : tap * dilation + t2, :]


def per_condition(table: Tensor, condition: Tensor) -> Tensor:
    """The rows (*e, n, c) of a table (*e, conditions + 1, c) that belong to conditions (*e, n)."""
    if table.ndim == 2:
        return table[condition]
    return torch.stack([own[of] for own, of in zip(table, condition, strict=True)])


def _uniform(parameter: nn.Parameter, fan_in: int) -> None:
    """torch's own default for linear and convolution layers: uniform within 1 / sqrt(fan in)."""
    bound = 1 / math.sqrt(fan_in)
    nn.init.uniform_(parameter, -bound, bound)


def stack(networks: Sequence[TCN]) -> TCN:
    """Networks of one shape as the members of one network, in their order."""
    first = networks[0]
    result = _like(first, len(networks))
    states = [n.state_dict() for n in networks]
    if any(s.keys() != states[0].keys() or any(s[k].shape != states[0][k].shape for k in s) for s in states):
        raise InputError("only networks of one shape can be stacked")
    result.load_state_dict({k: torch.stack([s[k] for s in states]) for k in states[0]})
    return result.train(first.training)


def member(network: TCN, index: int) -> TCN:
    """One member of a stack as a network of its own."""
    result = _like(network, None)
    result.load_state_dict({k: v[index] for k, v in network.state_dict().items()})
    return result.train(network.training)


def _like(network: TCN, members: int | None) -> TCN:
    return TCN(**network.keywords, members=members).to(network.head.device)


class StackedTCN:
    """Networks of one shape as one with a leading axis of members; see :class:`actlift.models.base.Stacked`."""

    def __init__(self, networks: Sequence[TCN]) -> None:
        self.network = stack(networks)
        self.trajectory, self.joints_out = self.network.trajectory, self.network.joints_out

    def __call__(
        self, pose2d: Float[Tensor, "e b t j 2"], *, condition: Int64[Tensor, "e b"] | None = None
    ) -> Float[Tensor, "e b t2 j2 3"]:
        poses: Tensor = self.network(pose2d, condition=condition)
        return poses

    @property
    def batch_norm_momentum(self) -> float | Tensor:
        return self.network.batch_norm_momentum

    @batch_norm_momentum.setter
    def batch_norm_momentum(self, momentum: float | Tensor) -> None:
        self.network.batch_norm_momentum = momentum

    def parameters(self) -> Iterator[nn.Parameter]:
        return self.network.parameters()

    def member(self, index: int) -> TCN:
        """One of them, as it is now."""
        return member(self.network, index)

    def member_state(self, index: int) -> dict[str, Tensor]:
        """Its state."""
        return {key: value[index] for key, value in self.network.state_dict().items()}

    def views_of(self, flat: Float[Tensor, "e n"]) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Every parameter, and its place in a buffer of the parameters of each member, one behind the other."""
        offset = 0
        for p in self.network.parameters():
            size = p.numel() // len(flat)
            yield p, flat[:, offset : offset + size].view(p.shape)
            offset += size

    def train(self, mode: bool = True) -> "StackedTCN":
        self.network.train(mode)
        return self

    def eval(self) -> "StackedTCN":
        return self.train(False)

    def to(self, device: torch.device) -> "StackedTCN":
        self.network.to(device)
        return self
