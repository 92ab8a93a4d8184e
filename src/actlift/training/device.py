"""Where and how training computes: the device, the precision of activations, the number of threads.

A step of a small network is hundreds of operations of some 10 microseconds each, and threads that share one spin while
they wait for each other. On a machine that does other work, too, a thread that has lost its core keeps all the others
spinning: two threads on two cores then train up to twenty times slower than one. So small steps are computed by one
thread, and where several are worth it they spin briefly (`actlift.__init__` sets GOMP_SPINCOUNT, which the OpenMP
library reads when torch is imported). docs/decisions/threads.md has the measurements.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from actlift.errors import InputError
from actlift.training.run import Run

ONE_THREAD = 1 << 28  # multiply-adds of a step, up to which one thread computes it
ASKED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def resolve_device(device: str) -> torch.device:
    """The device of a name; "auto" is a GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda"):
        raise InputError(f"unknown device {device!r}; known: auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device 'cuda' was asked for, but torch sees no GPU: use cpu, or install a CUDA build of torch"
        )
    return torch.device(device)


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of activations; "auto" is bfloat16 where the device multiplies it natively."""
    if precision == "auto":
        native = device.type == "cuda" or any(
            torch.cpu.get_capabilities().get(flag) for flag in ("avx512_bf16", "amx_bf16", "amx_tile")
        )
        return torch.bfloat16 if native else torch.float32
    if precision not in ("float32", "bfloat16"):
        raise InputError(f"unknown precision {precision!r}; known: auto, float32, bfloat16")
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def choose_threads(multiply_adds: int) -> int:
    """How many threads compute steps of so many multiply-adds.

    A function of these and of the machine alone, not of what else runs on it, since sums that more threads share round
    otherwise: the same command gives the same bits. What the environment asks for (OMP_NUM_THREADS) is taken.
    """
    asked = any(name in os.environ for name in ASKED)
    return 1 if multiply_adds <= ONE_THREAD and not asked else torch.get_num_threads()


@contextmanager
def threads_of(run: Run, chosen: int | None) -> Iterator[None]:
    """Within, torch computes with the threads that the run was begun with, so that it goes on to the same bits.

    Where the environment asks for another number, that is taken, and a RuntimeWarning says that bits may differ.
    """
    if chosen is None:  # a GPU computes
        yield
        return
    begun = run.identity.threads or chosen
    if begun != chosen and any(name in os.environ for name in ASKED):
        warnings.warn(
            f"{run.folder} was begun with {begun} thread(s) and goes on with {chosen}, as the environment asks: its "
            "weights will not be those of an unbroken run to the last bit",
            RuntimeWarning,
            stacklevel=3,
        )
        begun = chosen
    before = torch.get_num_threads()
    torch.set_num_threads(begun)
    try:
        yield
    finally:
        torch.set_num_threads(before)
