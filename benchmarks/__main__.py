"""``python -m benchmarks [names]``: actlift against the conventional implementation, in one table and into results/."""

import datetime
import json
import resource
import statistics
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from actlift.training.run import commit
from benchmarks.harness import Measured, processor
from benchmarks.works import all_works, benchmark_corpus


def main(wanted: list[str]) -> None:
    """Measure the works whose names begin with one of those wanted; all, without any."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    works = [(n, w) for n, w in all_works(benchmark_corpus()) if not wanted or n.startswith(tuple(wanted))]
    table = Table(
        title=f"{processor()}; torch {torch.__version__}, {torch.get_num_threads()} threads; commit {commit()}"
    )
    for column in ("work", "conventional", "actlift", "ratio", "of rounds", "share of bare products"):
        table.add_column(column, justify="left" if column == "work" else "right")
    rows = []
    for name, work in works:
        with console.status(name):
            measured = work()
        low, high = measured.spread
        table.add_row(
            measured.name,
            _rate(measured, measured.conventional_s),
            _rate(measured, measured.actlift_s),
            f"{measured.ratio:.1f}x",
            f"{low:.1f}-{high:.1f}",
            "" if measured.share is None else f"{measured.share:.0%}",
        )
        rows.append(vars(measured) | {"ratio": measured.ratio, "share": measured.share})
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"peak memory of this process, both sides together: {peak:,.0f} MB")
    record = {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "peak_memory_mb": round(peak),
        "works": rows,
    }
    path = Path(__file__).parent / "results" / f"{record['date']}-{commit().rstrip('+')}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    console.print(f"written to {path}")


def _rate(measured: Measured, seconds: list[float]) -> str:
    return f"{measured.amount / statistics.median(seconds):,.0f} {measured.unit}/s"


if __name__ == "__main__":
    main(sys.argv[1:])
