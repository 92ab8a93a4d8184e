"""Two implementations of the same work, run alternately in one process, so that both meet the same machine."""

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Measured:
    """Seconds of either side over the rounds, and what one round of it is.

    unit: what ``amount`` counts ("windows", "frames"). floor_s: seconds of the bare matrix products of the same work,
    if known.
    """

    name: str
    conventional_s: list[float]
    actlift_s: list[float]
    unit: str
    amount: int
    floor_s: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as fast, median against median."""
        return statistics.median(self.conventional_s) / statistics.median(self.actlift_s)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and highest ratio of one round."""
        ratios = [c / a for c, a in zip(self.conventional_s, self.actlift_s, strict=True)]
        return min(ratios), max(ratios)

    @property
    def share(self) -> float | None:
        """What part of actlift's time the bare matrix products would take."""
        return None if self.floor_s is None else self.floor_s / statistics.median(self.actlift_s)


def alternate(
    name: str,
    conventional: Work,
    actlift: Work,
    *,
    unit: str,
    amount: int,
    rounds: int = 7,
    floor: Work | None = None,
    repeat: tuple[int, int] = (1, 1),
) -> Measured:
    """Run both (and the bare products) in turn, after one round that is not counted.

    ``repeat``: how often conventional and actlift are called in a round, where one call is too short to time.
    """
    times: tuple[list[float], list[float], list[float]] = ([], [], [])
    works = (conventional, actlift, floor)
    counts = (*repeat, 1)
    for round_number in range(rounds + 1):
        for work, kept, count in zip(works, times, counts, strict=True):
            if work is None:
                continue
            began = time.perf_counter()
            for _ in range(count):
                work()
            if round_number:
                kept.append((time.perf_counter() - began) / count)
    gc.collect()
    return Measured(name, times[0], times[1], unit, amount, statistics.median(times[2]) if floor else None)


def bare_products(shapes: list[tuple[int, int, int]], dtype: torch.dtype) -> Work:
    """The matrix products of one training step and nothing else: forward, and both gradients (the first layer needs
    only one), for layers of (rows, inputs, outputs)."""
    tensors = [
        (torch.randn(n, k).to(dtype), torch.randn(k, c).to(dtype), torch.randn(n, c).to(dtype)) for n, k, c in shapes
    ]
    outputs = [(torch.empty_like(dz), torch.empty_like(w), torch.empty_like(x)) for x, w, dz in tensors]

    def run() -> None:
        for i, ((x, w, dz), (z, dw, dx)) in enumerate(zip(tensors, outputs, strict=True)):
            torch.mm(x, w, out=z)
            torch.mm(x.T, dz, out=dw)
            if i:
                torch.mm(dz, w.T, out=dx)

    return run


def processor() -> str:
    """The processor's name, its cores, and what it has for bfloat16."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].partition(": ")[2] if lines else name
    flags = [flag for flag in ("avx512_bf16", "amx_bf16") if torch.cpu.get_capabilities().get(flag)]
    return f"{name}, {os.cpu_count()} cores, {' '.join(flags) or 'no bfloat16 products'}"
