"""Fine-tuning with frozen normalization statistics: the last part of a training, in evaluation mode, of one network or
of copies that go separate ways.

While a network trains, BatchNorm normalizes by the batch and dropout drops; afterwards running statistics take the
batch's place and nothing drops. The two are not the same function (Li et al. 2019, "Understanding the disharmony
between dropout and batch normalization by variance shift"). This stage freezes the statistics, leaves dropout out, and
goes on training the very function that is used. That also lets copies of a network specialize: on the batches of one
action alone, batch statistics would be others than those it was trained with, and a few steps would ruin it.

Every random number is a function of (seed, member's name, step). On a CPU the same call gives the same bits, and a
training that was killed resumes to those of an unbroken one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from actlift.data.corpus import Corpus
from actlift.errors import InputError
from actlift.models.base import Lifter, Stacked, checksum, compute, keywords_of, make_network, multiply_adds, stack
from actlift.training.budget import Exponential, Schedule
from actlift.training.device import choose_threads, resolve_device, resolve_precision
from actlift.training.ensemble import PLAIN, lifting_loss
from actlift.training.loop import Batches, ModelSpec, OnProgress, TogetherLearner, common_batch, run_loop
from actlift.training.run import Identity, Run, written

LEARNING_RATE: Schedule = Exponential(1e-3, 1e-4)


def tune_frozen(
    folder: Path,
    corpus: Corpus,
    specs: Sequence[ModelSpec],
    starts: Mapping[str, Lifter],
    *,
    learning_rate: Schedule = LEARNING_RATE,
    seed: int = 0,
    precision: str = "auto",
    device: str = "auto",
    save_every_s: float = 30.0,
    on_progress: OnProgress = lambda _: None,
) -> Run:
    """Train on from given networks, side by side, in evaluation mode; or resume, or return what is done.

    Args:
        folder: the run folder; made, or resumed where it holds the same run unfinished.
        corpus: the training selection that the specs' rows lie in.
        specs: what to train; of one budget, with conditions where the networks take some. Their learning rates are not
            used.
        starts: the network that each member begins as, by name, all of one shape.
        learning_rate: over progress, of all.
        precision, device, save_every_s, on_progress: as for :func:`actlift.training.loop.train`.

    Raises:
        InputError: for no specs, specs of several budgets, a negative seed, networks of several shapes, conditions that
            do not fit, a damaged state, or a folder that holds another run.
        OSError: where the folder cannot be written.
        Interrupted: after Ctrl-C, once the state is saved.
    """
    if not specs or len({spec.budget for spec in specs}) != 1:
        raise InputError(f"give members of one budget, got {len({s.budget for s in specs})} of {len(specs)}")
    batch = common_batch(specs)
    if seed < 0:
        raise InputError(f"a seed is 0 or more, got {seed}")
    where = resolve_device(device)
    dtype = resolve_precision(precision, where)
    networks = [starts[spec.name] for spec in specs]
    learner = FrozenLearner(corpus, specs, networks, learning_rate, seed, dtype, where)
    steps = specs[0].budget.steps
    identity = Identity(
        corpus=corpus.digest,
        members={
            spec.name: {
                **{k: v for k, v in spec.record().items() if k in ("frames", "rows")},
                "steps": steps,
                "learning_rate": written(learning_rate),
                "start": checksum(network),
            }
            for spec, network in zip(specs, networks, strict=True)
        },
        batch=batch,
        subjects=corpus.subjects,
        actions=corpus.actions,
        model=_model(networks[0]),
        mode="evaluation",
        seed=seed,
        precision=str(dtype).removeprefix("torch."),
        device=where.type,
        threads=choose_threads(multiply_adds(networks[0]) * batch * len(specs)) if where.type == "cpu" else None,
    )
    budgets = {spec.name: spec.budget for spec in specs}
    return run_loop(folder, identity, learner, budgets, save_every_s=save_every_s, on_progress=on_progress)


class FrozenLearner(TogetherLearner):
    """Lifters of one shape that are trained on in evaluation mode; see :class:`actlift.training.loop.Learner`."""

    unit = "mm"

    def __init__(
        self,
        corpus: Corpus,
        specs: Sequence[ModelSpec],
        starts: Sequence[Lifter],
        learning_rate: Schedule,
        seed: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.names = [spec.name for spec in specs]
        self.budget = specs[0].budget
        self.starts, self.rate, self.dtype, self.device = starts, learning_rate, dtype, device
        self.draws = Batches(corpus, specs, starts[0], PLAIN, seed, device)
        self.loss = torch.zeros(len(specs), device=device)

    def begin(self) -> None:
        self.start(self.starts)

    def start(self, networks: Sequence[Lifter]) -> None:
        """See :class:`TogetherLearner`."""
        self.stacked: Stacked = stack(networks).to(self.device).eval()
        self.parameters = list(self.stacked.parameters())
        self.adam = torch.optim.Adam(self.parameters, fused=True)

    def step(self, number: int) -> None:
        pose2d, target, condition = self.draws(self.names, number)
        predicted = compute(self.stacked, pose2d, self.dtype, condition)[:, :, 0]
        loss = lifting_loss(predicted, target, trajectory=self.stacked.trajectory)
        self.adam.param_groups[0]["lr"] = self.learning_rate(number)
        self.adam.zero_grad()
        torch.autograd.backward(loss.sum())
        self.adam.step()
        self.loss += loss.detach() * 1000

    def learning_rate(self, number: int) -> float:
        return self.rate(self.budget.progress(number))

    def weights(self, name: str) -> dict[str, Tensor]:
        return self.stacked.member_state(self.names.index(name))

    def network(self, weights: Mapping[str, Tensor]) -> Lifter:
        network = make_network(keywords_of(self.starts[0]))
        network.load_state_dict(weights)
        network.eval()
        return network


def _model(network: Lifter) -> dict[str, object]:
    """The network's keywords as a run of one spells them: without the skeleton's joints, or conditions where it takes
    none."""
    keywords = {k: written(v) for k, v in keywords_of(network).items() if not k.startswith("joints_")}
    if not keywords["conditions"]:
        del keywords["conditions"]
    return keywords
