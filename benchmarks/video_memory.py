"""``python -m benchmarks.video_memory``: what lifting ten minutes of video takes in memory, beside ten seconds.

The videos are of one painted person who walks to and fro (tests/painted.py), 640 x 360 pixels at 30 frames per second;
a stand-in finds the dots. Each is lifted in a process of its own, from decoding to the files.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tests.painted import Dots, film, seen

SIZE, FPS = (640, 360), 30.0
SECONDS = (10, 600)
MOST_MB = 300
FORMATS = ("npz", "json", "bvh", "trc", "glb", "html")


def main() -> None:
    """Paint both videos, lift each in a fresh process, print what it took."""
    peaks = []
    with tempfile.TemporaryDirectory(prefix="actlift-memory-") as folder:
        for seconds in SECONDS:
            path = film(Path(folder) / f"{seconds}.mp4", _walking(seconds), SIZE, fps=FPS)
            words = [sys.executable, "-m", "benchmarks.video_memory", str(path), str(Path(folder) / str(seconds))]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"lifting {seconds} s failed: {done.stderr}")
            peaks.append(float(done.stdout.split()[-1]))
            print(f"{seconds:4} s of video: {done.stdout.strip()} MB at the peak", flush=True)
    more = peaks[1] - peaks[0]
    print(f"{more:+.0f} MB for {SECONDS[1] // SECONDS[0]} times the video; wanted at most {MOST_MB}")


def _walking(seconds: int) -> Iterator[np.ndarray]:
    """Pixels of one person in every frame: five seconds, forwards and backwards by turns."""
    points_px = seen(seconds=5.0, fps=FPS).points_px[:, None] * 2
    there_and_back = np.concatenate([points_px, points_px[::-1]])
    for index in range(round(seconds * FPS)):
        yield there_and_back[index % len(there_and_back)]


def lift_here(path: Path, folder: Path) -> None:
    """Lift a video and print the frames, the seconds and this process's peak of resident memory in MB."""
    from actlift.video.pipeline import lift_video
    from actlift.video.save import save_motions

    began = time.perf_counter()
    motions = lift_video(path, keep=folder / "detections.bin", detector=Dots())
    save_motions(motions, folder, FORMATS, video=path)
    frames = max(motion.frames for motion in motions)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux
    print(f"{frames:,} frames, {len(motions)} people, {time.perf_counter() - began:.0f} s, {peak_kb / 1024:.0f}")


if __name__ == "__main__":
    lift_here(*map(Path, sys.argv[1:])) if len(sys.argv) == 3 else main()
