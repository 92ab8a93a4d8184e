"""``python -m benchmarks.memory``: what a training process takes at the size of Human3.6M (1.57 million view-frames).

The corpus is synthetic motion, repeated under other names until it is as large. The training runs in a process of its
own, so that what writing the corpus took does not count.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

FRAMES = 1_570_000
STEPS = 300


def main() -> None:
    """Write the corpus, train in a fresh process, print what it took."""
    from actlift.data.clip import Clip
    from actlift.data.corpus import write_corpus
    from actlift.data.noise import IndependentNoise
    from actlift.data.sources.synthetic import synthetic_clips

    def clips() -> Iterator[Clip]:
        own = list(synthetic_clips(0))
        frames, turn = 0, 0
        while frames < FRAMES // 4:
            for clip in own:
                frames += clip.frames
                yield replace(clip, name=f"{turn}-{clip.name}")
            turn += 1

    with tempfile.TemporaryDirectory(prefix="actlift-memory-") as folder:
        corpus = write_corpus(Path(folder) / "corpus", clips(), keypoints=IndependentNoise(3.0))
        size = sum(path.stat().st_size for path in corpus.folder.iterdir()) / 2**20
        print(f"corpus: {corpus.frames:,} frames, {size:,.0f} MB on disk")
        subprocess.run([sys.executable, "-m", "benchmarks.memory", str(corpus.folder), folder], check=True)


def train_here(corpus_folder: str, folder: str) -> None:
    """Train a little and print this process's memory: with nothing but torch imported, and at its peak."""
    import torch

    before = memory()
    from actlift.data.corpus import Corpus
    from actlift.data.windows import rows_of
    from actlift.models.options import Network
    from actlift.training.budget import Budget
    from actlift.training.loop import ModelSpec, train

    corpus = Corpus.open(corpus_folder)
    member = ModelSpec("everything", rows_of(corpus.views), Budget(STEPS))
    peaks = {"VmHWM": 0.0, "RssAnon": 0.0, "RssFile": 0.0}

    def on_progress(_: object) -> None:
        for key, value in memory().items():
            peaks[key] = max(peaks[key], value)

    train(Path(folder) / "run", corpus, [member], model=Network().keywords(), device="cpu", on_progress=on_progress)
    print(f"torch {torch.__version__} imported: {before['VmHWM']:,.0f} MB")
    print(
        f"training of 128 channels, peak: {peaks['VmHWM']:,.0f} MB resident, {peaks['RssAnon']:,.0f} MB of it its own;"
    )
    print(f"{peaks['RssFile']:,.0f} MB are pages of mapped files, which the system takes back when it needs them")


def memory() -> dict[str, float]:
    """Peak and present resident memory of this process in MB, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {
        line.partition(":")[0]: line.split()[1] for line in lines if line.startswith(("VmHWM", "RssAnon", "RssFile"))
    }
    return {key: int(value) / 1024 for key, value in found.items()}


if __name__ == "__main__":
    train_here(*sys.argv[1:]) if len(sys.argv) == 3 else main()
