"""Finishing: the last part of a training, in evaluation mode, of one network or of copies that go separate ways.

While a network trains, BatchNorm normalizes by the batch and dropout drops; afterwards running statistics take the
batch's place and nothing drops. The two are not the same function (Li et al. 2019, "Understanding the disharmony
between dropout and batch normalization by variance shift"). Finishing freezes the statistics, leaves dropout out, and
goes on training the very function that is used. That also lets copies of a network specialise: on the batches of one
action alone, batch statistics would be others than those it was trained with, and a few steps would ruin it.

Every random number is a function of (seed, member's name, step). On a CPU the same call gives the same bits. Finishing
is short, so what was interrupted begins anew.
"""

import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from actlift.data.corpus import Corpus
from actlift.data.windows import Sampler, Windows
from actlift.errors import InputError
from actlift.files import replacing
from actlift.models.tcn import TCN, member, shape_of, stack
from actlift.models.tensors import write_tensors
from actlift.training.budget import Exponential, Schedule
from actlift.training.device import choose_threads, resolve_device, resolve_precision, threads_of
from actlift.training.ensemble import lifting_loss
from actlift.training.loop import LOG_LINES, ModelSpec, TrainProgress, conditions_of
from actlift.training.run import Run

LEARNING_RATE: Schedule = Exponential(1e-3, 1e-4)


def finish(
    folder: Path,
    corpus: Corpus,
    members: Sequence[ModelSpec],
    starts: Mapping[str, TCN],
    *,
    learning_rate: Schedule = LEARNING_RATE,
    seed: int = 0,
    precision: str = "auto",
    device: str = "auto",
    on_progress: Callable[[TrainProgress], None] = lambda _: None,
) -> Run:
    """Train on from given networks, side by side, in evaluation mode; or return what is done.

    Args:
        folder: the run folder; made, or reopened where it holds the same run.
        corpus: the training selection that the members' rows lie in.
        members: what to train; of one budget, with conditions where the networks take some.
        starts: the network that each member begins as, by name, all of one shape.
        learning_rate: over progress through the budget.
        precision, device: as for :func:`actlift.training.loop.train`.
        on_progress: called now and then with the :class:`TrainProgress`.

    Raises:
        ValueError: for no members, members of several budgets, a negative seed, networks of several shapes, conditions
            that do not fit, or a folder that holds another run.
        OSError: where the folder cannot be written.
    """
    if not members or len({m.budget for m in members}) != 1:
        raise InputError(f"give members of one budget, got {len({m.budget for m in members})} of {len(members)}")
    if seed < 0:
        raise InputError(f"a seed is 0 or more, got {seed}")
    budget = members[0].budget
    where = resolve_device(device)
    dtype = resolve_precision(precision, where)
    networks = [starts[m.name] for m in members]
    shape = shape_of(networks[0])
    model = {k: list(v) if k == "widths" else v for k, v in shape.items() if not k.startswith("joints_")}
    if not model["conditions"]:
        del model["conditions"]
    draws = [conditions_of(m, networks[0].conditions, seed) for m in members]
    threads = choose_threads(networks[0].multiply_adds * budget.batch * len(members)) if where.type == "cpu" else None
    identity = {
        "corpus": corpus.digest,
        "members": {
            m.name: {
                "frames": len(m.rows),
                "rows": f"{zlib.crc32(m.rows.tobytes()):08x}",
                "steps": budget.steps,
                "learning_rate": asdict(learning_rate),
                "start": f"{_checksum(starts[m.name]):08x}",
            }
            for m in members
        },
        "batch": budget.batch,
        "trained_on": {"subjects": list(corpus.subjects), "actions": list(corpus.actions)},
        "model": model,
        "mode": "evaluation",
        "seed": seed,
        "precision": str(dtype).removeprefix("torch."),
        "device": where.type,
        "threads": threads,
    }
    run = Run.create(folder, identity)
    if run.done:
        return run
    network = stack(networks).to(where).eval()
    adam = torch.optim.Adam(network.parameters(), fused=True)
    windows = Windows(
        corpus, network.receptive_field, causal=network.causal, trajectory=network.trajectory, device=where
    )
    samplers = [Sampler(m.rows, budget.batch, seed=seed, name=m.name) for m in members]
    e, b = len(members), budget.batch
    log_every = max(1, budget.steps // LOG_LINES)
    lines, losses = [], torch.zeros(e, device=where)
    began = watched = time.perf_counter()
    cpu = time.process_time()
    with threads_of(run, threads):
        for step in range(budget.steps):
            picks = [sampler(step) for sampler in samplers]
            rows, flips = (np.concatenate(part) for part in zip(*picks, strict=True))
            pose2d, target = windows.gather(rows, flips)
            told = [draw(step, own, pairs=False) for draw, (own, _) in zip(draws, picks, strict=True) if draw]
            condition = torch.from_numpy(np.stack(told)).to(where) if told else None
            predicted = network(pose2d.reshape(e, b, *pose2d.shape[1:]).to(dtype), condition=condition)[:, :, 0]
            loss = lifting_loss(predicted, target.reshape(e, b, *target.shape[1:]), trajectory=network.trajectory)
            adam.param_groups[0]["lr"] = learning_rate(budget.progress(step))
            adam.zero_grad()
            torch.autograd.backward(loss.sum())
            adam.step()
            losses += loss.detach() * 1000
            now = time.perf_counter()
            if (step + 1) % log_every == 0 or step + 1 == budget.steps:
                means = (losses / ((step % log_every) + 1)).tolist()
                losses.zero_()
                done = {"step": step + 1, "progress": (step + 1) / budget.steps, "seconds": round(now - began, 3)}
                done |= {
                    "cpu_seconds": round(time.process_time() - cpu, 3),
                    "learning_rate": adam.param_groups[0]["lr"],
                }
                shown = {m.name: round(mean, 4) for m, mean in zip(members, means, strict=True)}
                lines.append(json.dumps({**done, "loss_mm": shown}))
            if now - watched > 0.2 or step + 1 == budget.steps:
                seen = (step + 1) * b * e
                on_progress(
                    TrainProgress(seen, budget.windows * e, float(loss.detach().mean()) * 1000, seen / (now - began))
                )
                watched = now
    with replacing(run.log_path) as beside:
        beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    tensors = {
        f"{m.name}/{key}": value
        for i, m in enumerate(members)
        for key, value in member(network, i).state_dict().items()
    }
    write_tensors(run.weights, tensors, {"steps": budget.steps})
    return run


def _checksum(network: TCN) -> int:
    crc = 0
    for value in network.state_dict().values():
        crc = zlib.crc32(value.detach().cpu().contiguous().numpy().tobytes(), crc)
    return crc
