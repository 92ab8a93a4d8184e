"""The verbs that make corpora and look at them."""

import time
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from actlift.cli import console
from actlift.errors import InputError


def data_prepare(
    sources: list[str],
    *,
    out: Path,
    detections: Path | None = None,
    rig: Literal["own", "ring", "random", "wide"] | None = None,
    cameras: int = 4,
    keypoints: Literal["exact", "independent", "detector"] | None = None,
    sigma_px: float = 3.0,
    fps: float | None = None,
    seed: int = 0,
    exclude: Path | None = None,
    max_speed: float = 12.0,
) -> None:
    """Turn motion capture into a corpus: clips seen by cameras, in memory-mapped arrays beside a manifest.

    Human3.6M comes with its cameras, and may come with detections in its videos; all else is seen by virtual ones.

    For example:

        actlift data prepare synthetic --out corpus
        actlift data prepare cmu.npz hdm05.npz --out corpus --keypoints independent --sigma-px 3
        actlift data prepare asfamc/cmu02 --out corpus --fps 60 --rig random --keypoints detector
        actlift data prepare data_3d_h36m.npz --detections data_2d_h36m_cpn_ft_h36m_dbb.npz --out h36m

    Parameters
    ----------
    sources
        Any number of: mocap .npz; ASF/AMC, a folder of one skeleton and its motions, with their actions in labels.csv;
        Human3.6M, data_3d_h36m.npz or the folder of its CDF files; HumanEva-I, data_3d_humaneva15.npz; synthetic
        motions, the word "synthetic".
    out
        Folder of the corpus, which appears whole or not at all.
    detections
        2D keypoints of Human3.6M in its own cameras, data_2d_h36m_*.npz, instead of projections.
    rig
        own: the cameras that filmed the clips. ring: cameras about the person like those of Human3.6M. random: seeded
        random cameras, about level. wide: random cameras from above and below, held askew, with wide and long lenses.
        Left out: own where the sources have cameras, ring where they have none.
    cameras
        Cameras of a virtual rig.
    keypoints
        exact projections; independent (where left out): Gaussian noise of sigma-px; detector: the detector-noise model.
    sigma_px
        Standard deviation of independent noise, in pixels.
    fps
        Frame rate of the corpus; the sources' own where they agree.
    seed
        Of cameras, noise and synthetic motion.
    exclude
        CSV of what to leave out, with columns clip,camera,first,last,reason.
    max_speed
        Frames in which a joint is faster, in m/s, are left out and listed with the reason.
    """
    from actlift.data.noise import KEYPOINTS
    from actlift.data.prepare import prepare, read_exclusions

    if detections is not None and keypoints is not None:
        raise InputError(f"--keypoints {keypoints} makes 2D keypoints, --detections brings them; give one of the two")
    kind = keypoints or "independent"
    options = {"sigma_px": sigma_px} if kind == "independent" else {}
    began = time.perf_counter()
    with console.CONSOLE.status(Text(f"preparing {out}")):
        prepare(
            sources,
            out,
            detections=detections,
            rig=rig,
            cameras=cameras,
            keypoints=KEYPOINTS[kind](**options),
            fps=fps,
            seed=seed,
            exclusions=read_exclusions(exclude) if exclude else (),
            max_speed=max_speed,
        )
    data_info(out)
    console.CONSOLE.print(f"prepared in {time.perf_counter() - began:.1f} s")


def data_info(corpus: Path, *, verify: bool = False) -> None:
    """Print what a corpus holds: clips, frames, subjects x actions, frame rate, exclusions, digest.

    For example:

        actlift data info corpus
        actlift data info corpus --verify

    Parameters
    ----------
    corpus
        The corpus folder.
    verify
        Also read every array and compare it with the digest.
    """
    from actlift.data.corpus import Corpus

    opened = Corpus.open(corpus)
    if verify:
        opened.verify()
    cameras = sorted({v.camera_name for v in opened.views})
    once = [v for v in opened.views if v.camera_name == cameras[0]]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"frames as {cameras[0]} sees them", title_justify="left")
    table.add_column("action", no_wrap=True)
    table.add_column("clips", justify="right")
    table.add_column("frames", justify="right")
    table.add_column("subjects")
    for action in opened.actions:
        own = [v for v in once if v.action == action]
        counts = {s: sum(v.frames for v in own if v.subject == s) for s in sorted({v.subject for v in own})}
        people = ", ".join(f"{subject} {count:,}" for subject, count in counts.items())
        table.add_row(action, str(len(own)), f"{sum(counts.values()):,}", people)
    console.CONSOLE.print(table)
    console.CONSOLE.print(
        f"{len({v.clip for v in opened.views})} clips, {len(opened.views)} views by {len(cameras)} cameras, "
        f"{opened.frames:,} frames at {opened.fps:g} fps, {len(opened.subjects)} subjects, "
        f"{len(opened.actions)} actions",
    )
    for row in opened.exclusions:
        console.CONSOLE.print(f"left out: {row.clip} ({row.camera}) frames {row.first} to {row.last}: {row.reason}")
    console.CONSOLE.print(f"digest {opened.digest[:16]}{' (verified)' if verify else ''}")
