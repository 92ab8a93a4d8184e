"""``python -m benchmarks.switching``: what a live change of lifter costs, by the way cold lifters are kept ready.

On one core, median milliseconds: of a frame with one lifter; of a frame where those of 20 labels all run always; of the
frame in which a lifter comes into use and replays the last receptive field in one batch; of doing so frame by frame.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from actlift.lifting.stream import RoutedStream, Stream
from actlift.models.options import widths_of
from actlift.models.tcn import TCN
from actlift.training.run import commit
from benchmarks.harness import processor

LABELS = 20
ROUNDS = 15


def main() -> None:
    """Measure a few sizes of network and print a table."""
    torch.set_num_threads(1)
    table = Table(title=f"{processor()}; torch {torch.__version__}; commit {commit()}; ms")
    for column in ("frames", "channels", "one lifter", "all of 20", "a change", "frame by frame"):
        table.add_column(column, justify="right")
    for receptive_field, channels in ((27, 128), (81, 128), (243, 128), (27, 1024), (243, 1024)):
        network = TCN(widths_of(receptive_field), channels, causal=True).eval()
        window = np.random.default_rng(0).random((receptive_field, 17, 2), np.float32)
        streams = [Stream(network) for _ in range(LABELS)]
        routed = RoutedStream({"a": network, "b": network}, fade_frames=0)
        for frame in window:
            routed.push(frame, "a")
            for stream in streams:
                stream.push(frame)
        label = iter("ba" * ROUNDS * 10)
        works: tuple[Callable[[], object], ...] = (
            lambda s=streams, f=window[0]: s[0].push(f),
            lambda s=streams, f=window[0]: [stream.push(f) for stream in s],
            lambda r=routed, f=window[0], n=label: r.push(f, next(n)),
            lambda s=streams, w=window: [s[0].push(f) for f in w],
        )
        table.add_row(str(receptive_field), str(channels), *(f"{_median_ms(work):.2f}" for work in works))
    Console(width=120).print(table)


def _median_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
