"""Networks of one shape that train side by side: their weights, their optimizer, and one step of all of them.

``master[e]`` holds all parameters of member e one behind the other; the network's parameters are views of it, so an
optimizer step is one fused pass per member, and members may have learning rates of their own. On a GPU the whole step,
forward, backward and optimizer, is captured once as a CUDA graph and replayed, since launching its hundreds of small
kernels one by one takes longer than running them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int16, Int32, Int64
from torch import Tensor

from actlift.errors import InputError
from actlift.geometry.skeleton import H36M_17
from actlift.models.base import Lifter, TrainingPass, stack, training_pass
from actlift.models.tensors import of_member
from actlift.training.settings import Loss

PLAIN = Loss()
EXTREMITIES = {"Head": 1.5, "Nose": 1.5, "Elbow": 2.5, "Knee": 2.5, "Wrist": 4.0, "Ankle": 4.0}  # the others 1
EAGER_STEPS = 3  # before a capture, so that every library and buffer the step needs is there


class Ensemble:
    """The members of a stack in training.

    Args:
        names: of the members.
        networks: their networks, in the same order.
        keys: what each member's dropout depends on, besides the step.
        dtype: of activations and products.
        device: where they train.
        loss: what they minimize; with a velocity loss the second half of a batch follows the first by a frame.

    Attributes:
        loss: (e,) sum of each member's loss in millimeters over the steps since it was last set to zero.
    """

    def __init__(
        self,
        names: Sequence[str],
        networks: Sequence[Lifter],
        keys: Sequence[tuple[int, int]],
        *,
        dtype: torch.dtype,
        device: torch.device,
        loss: Loss = PLAIN,
    ) -> None:
        self.names = list(names)
        self._velocity = loss.velocity
        self._weights = joint_weights(loss.joints, networks[0].joints_out).to(device)
        self.keys = list(keys)
        self._hash_keys = hash_keys(keys, device)
        self.dtype = dtype
        self.device = device
        self.network = stack(networks).to(device).train()
        e = len(names)
        self.master = torch.zeros(e, sum(p.numel() for p in self.network.parameters()) // e, device=device)
        for p, own in self.network.views_of(self.master):
            own.copy_(p.detach())
            p.data = own
        self.gradient = torch.zeros_like(self.master)
        self._pass: TrainingPass | None = None
        self._batch = 0
        self.leaves = [row.detach().requires_grad_() for row in self.master]
        for leaf, gradient in zip(self.leaves, self.gradient, strict=True):
            leaf.grad = gradient
        self.loss = torch.zeros(e, device=device)
        self._rates = torch.zeros(e, device=device)
        self._momenta = torch.zeros(e, 1, device=device)
        self.network.batch_norm_momentum = self._momenta
        self.adam = torch.optim.Adam(
            [{"params": [leaf], "lr": rate} for leaf, rate in zip(self.leaves, self._rates, strict=True)],
            lr=0.0,
            amsgrad=True,
            fused=True,
            capturable=device.type == "cuda",
        )
        self._replay: _Replay | None = None
        self._eager = 0

    def step(
        self,
        number: int,
        pose2d: Float[Tensor, "e b t j 2"],
        target: Float[Tensor, "e b j2 3"],
        condition: Int64[Tensor, "e b"] | None = None,
        *,
        rates: Sequence[float],
        momenta: Sequence[float],
    ) -> None:
        """One optimizer step of every member on its batch.

        Args:
            number: of the step, which dropout depends on.
            pose2d, target: each member's windows and the true joints at their target frames.
            condition: of each window, where the networks take conditions.
            rates, momenta: learning rate and BatchNorm momentum of each member.
        """
        self._rates.copy_(torch.tensor(rates))
        self._momenta.copy_(torch.tensor(momenta)[:, None])
        run = self._pass_for(pose2d.shape[1])
        own = [(*key, number) for key in self.keys]
        if self.device.type == "cpu":
            for group, rate in zip(self.adam.param_groups, rates, strict=True):
                group["lr"] = rate
            noise = random_integers(self.keys, number, run.noise_size) if run.noise_size else None
            self._compute(run, pose2d, target, condition, noise, own)
        elif self._eager < EAGER_STEPS or not run.capturable:
            self._eager += 1
            noise = self._hashed(torch.tensor(number, device=self.device), run.noise_size)
            self._compute(run, pose2d, target, condition, noise, own)
        else:
            if self._replay is None:
                self._replay = _Replay(self, run, pose2d, target, condition)
            self._replay(number, pose2d, target, condition)

    def _pass_for(self, batch: int) -> TrainingPass:
        if self._pass is None or self._batch != batch:
            self._pass, self._batch = training_pass(self.network, self.gradient, batch, self.dtype), batch
        return self._pass

    def _compute(
        self,
        run: TrainingPass,
        pose2d: Tensor,
        target: Tensor,
        condition: Tensor | None,
        noise: Tensor | None,
        keys: Sequence[tuple[int, ...]],
    ) -> None:
        predicted = run.forward(pose2d, noise, condition, keys).requires_grad_()  # (e, b, j, 3)
        loss = lifting_loss(predicted, target, trajectory=self.network.trajectory, weights=self._weights)
        if self._velocity:
            loss = loss + self._velocity * velocity_loss(predicted, target, joints=self.network.joints_out)
        (slope,) = torch.autograd.grad(loss.sum(), predicted)
        run.backward(slope)
        self.adam.step()
        self.loss += loss.detach() * 1000

    def _hashed(self, number: Tensor, size: int) -> Tensor | None:
        return hashed_integers(self._hash_keys, number, size) if size else None

    def state(self) -> dict[str, Tensor]:
        """Weights and moments of every member, by "name/tensor"."""
        tensors = {}
        for e, name in enumerate(self.names):
            for key, value in self.network.member_state(e).items():
                tensors[f"{name}/{key}"] = value
            for key, value in self.adam.state[self.leaves[e]].items():
                tensors[f"{name}/adam.{key}"] = value
        return tensors

    def load_moments(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over the optimizer's moments from a :meth:`state`."""
        for name, leaf in zip(self.names, self.leaves, strict=True):
            own = of_member(tensors, name)
            moments = {k.removeprefix("adam."): v.clone() for k, v in own.items() if k.startswith("adam.")}
            if moments:
                self.adam.state[leaf] = {k: v.to(leaf.device) for k, v in moments.items()}


class _Replay:
    """A step captured as a CUDA graph, with the buffers that it reads its inputs from."""

    def __init__(
        self, owner: Ensemble, run: TrainingPass, pose2d: Tensor, target: Tensor, condition: Tensor | None
    ) -> None:
        self.inputs = [None if given is None else given.clone() for given in (pose2d, target, condition)]
        self.number = torch.zeros((), dtype=torch.int64, device=owner.device)
        self.graph = torch.cuda.CUDAGraph()
        held2d, held_target, held_condition = self.inputs
        assert held2d is not None
        assert held_target is not None
        with torch.cuda.graph(self.graph):
            noise = owner._hashed(self.number, run.noise_size)
            owner._compute(run, held2d, held_target, held_condition, noise, [])

    def __call__(self, number: int, pose2d: Tensor, target: Tensor, condition: Tensor | None) -> None:
        self.number.fill_(number)
        for held, new in zip(self.inputs, (pose2d, target, condition), strict=True):
            if held is not None and new is not None:
                held.copy_(new)
        self.graph.replay()


def lifting_loss(
    predicted: Float[Tensor, "e b j 3"],
    target: Float[Tensor, "e b j 3"],
    *,
    trajectory: bool,
    weights: Float[Tensor, " joints"] | None = None,
) -> Float[Tensor, " e"]:
    """Mean distance between predicted and true joints in meters, per member; joints may have weights.

    With ``trajectory`` the last row is the root's position, whose error is weighed by the inverse of the true depth
    (Pavllo et al. 2019, equation 1: far away, a precise trajectory is neither possible nor important).
    """
    distance = (predicted - target).norm(dim=-1)
    joints = distance[..., :-1] if trajectory else distance
    loss: Tensor = (joints if weights is None else joints * weights).mean(dim=(1, 2))
    if trajectory:
        loss = loss + (distance[..., -1] / target[..., -1, 2]).mean(dim=1)
    return loss


def velocity_loss(
    predicted: Float[Tensor, "e b j 3"], target: Float[Tensor, "e b j 3"], *, joints: int
) -> Float[Tensor, " e"]:
    """Mean distance between the predicted and the true step from each frame of a batch's first half to the frame after
    it, in the second half; in meters, per member."""
    apart = (predicted - target)[:, :, :joints]
    now, then = apart.chunk(2, dim=1)
    loss: Tensor = (then - now).norm(dim=-1).mean(dim=(1, 2))
    return loss


def joint_weights(kind: str, joints: int) -> Float[Tensor, " joints"]:
    """The weights of joints that :class:`actlift.study.plan.Loss` names; their mean is 1.

    Raises:
        InputError: where the weights are not equal and the skeleton is not H36M_17.
    """
    if kind == "equal":
        return torch.ones(joints)
    if joints != len(H36M_17):
        raise InputError(f"the weights {kind!r} are those of {H36M_17.name}, the network has {joints} joints")
    weights = torch.tensor([EXTREMITIES.get(name.lstrip("LR"), 1.0) for name in H36M_17.joints])
    return weights / weights.mean()


def random_integers(keys: Sequence[tuple[int, int]], step: int, size: int) -> Int16[Tensor, "e size"]:
    """Random integers for each key at this step, on the CPU: a pure function of key and step."""
    words = -(-size // 4)
    drawn = np.stack([np.random.SFC64(np.random.SeedSequence((*key, 2, step))).random_raw(words) for key in keys])
    return torch.from_numpy(drawn.view(np.int16)[:, :size])


def hash_keys(keys: Sequence[tuple[int, int]], device: torch.device) -> Int32[Tensor, " e"]:
    """What :func:`hashed_integers` wants of each key, on the device."""
    mixed = np.array([np.random.SeedSequence(key).generate_state(1)[0] for key in keys], np.uint32)
    return torch.from_numpy(mixed.view(np.int32)).to(device)


def hashed_integers(keys: Int32[Tensor, " e"], step: Tensor, size: int) -> Int16[Tensor, "e size"]:
    """Random integers for each key, on the device of ``step``, by hashing a counter: nothing but tensor operations, so
    that a CUDA graph can hold it. A pure function of key and step, but another one than :func:`random_integers`.

    The 32-bit finalizer "lowbias32" of Wellons ("Prospecting for hash functions", 2018), twice: once over the step and
    the key, once over that and the counter.
    """
    start = _mix(keys ^ _mix(step.to(torch.int32) + 1))
    counter = torch.arange(-(-size // 2), dtype=torch.int32, device=step.device)
    return _mix(counter + start[:, None]).view(torch.int16)[:, :size]


def _mix(x: Tensor) -> Tensor:
    """lowbias32, on int32 tensors, whose products wrap around; the masks make the shifts logical."""
    x = x ^ ((x >> 16) & 0xFFFF)
    x = x * 0x7FEB352D
    x = x ^ ((x >> 15) & 0x1FFFF)
    x = x * -2073254261  # 0x846ca68b as a signed number
    return x ^ ((x >> 16) & 0xFFFF)
