"""``python -m benchmarks.wide MOCAP_FOLDER``: what each way to widen training buys, alone and together with all others.

One plain lifter (27 frames, 128 channels) for every variant and seed is trained on the people that are neither held out
here nor reported on anywhere, without the actions that are left out; every variant on as many views (three of each
clip) and for as many steps. It is scored on what it has not seen: people; people who do what nobody in training does;
cameras held askew, and from above, with exact keypoints. Keypoints are synthetic.

A variant is a set of INGREDIENTS. Corpora are made once and shared; what is made, trained or scored already is taken
from the folder of work, so the same command resumes. To run a part of it on another machine: ``--only``.
"""

import argparse
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from recipes.weights import FOCAL_SPREAD, FPS, TEST, about_down, assumed, frame_view, observed
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.spatial.transform import Rotation

from actlift.data.augment import bodies, posed, recombined, warped
from actlift.data.clip import Clip
from actlift.data.corpus import Corpus, View, rewrite_corpus, write_corpus
from actlift.data.keypoints2d import Keypoints2D
from actlift.data.noise import DetectorNoise, Exact
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import evaluate
from actlift.evaluation.scores import MEAN_OVER_PEOPLE, Scores, Variant
from actlift.geometry.camera import Camera, look_at, random_rig, wide_rig
from actlift.geometry.framing import guessed_camera
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.models.options import Network
from actlift.training.budget import Budget
from actlift.training.loop import ModelSpec, TrainProgress, train
from actlift.training.run import commit

HELD_OUT = ("HDMbk", "CMU02", "CMU16", "CMU49")
LEFT_OUT = ("Jumping", "LieDown", "Boxing")  # nobody in training does these; of the four, everybody does one
VIEWS = 3  # of each training clip
CAMERAS = 2  # that see each clip held out
METRICS = ("mpjpe", "p_mpjpe", "mpjve")

INGREDIENTS = {
    "bodies": "proportions drawn anew for every view",
    "wide": "cameras of the rig `wide`, not `random`",
    "recombined": "two of three views with another clip's upper body",
    "posed": "two of three views in other poses",
    "warped": "two of three views in another time",
    "offsets": "constant offsets of every joint, as a detector has them",
    "upright": "crops turned by gravity, about as well as it is found",
    "cleaned": "keypoints mended and smoothed as lifting does it",
    "hidden": "legs out of the image, arms and legs out of sight, and filled in as lifting does it",
}
OLD = "old data"  # cmu.npz in place of cmu_v2.npz
PLAIN = "new data"
VARIANTS: dict[str, frozenset[str]] = {
    OLD: frozenset({OLD}),
    PLAIN: frozenset(),
    **{f"+ {name}": frozenset({name}) for name in INGREDIENTS},
    "all": frozenset(INGREDIENTS),
    **{f"all but {name}": frozenset(INGREDIENTS) - {name} for name in INGREDIENTS},
}
MOTION = {"recombined", "posed", "warped"}
MOVING = DetectorNoise(offset=0.0, offset_limb=0.0, offset_hip=0.0)
CONSOLE = Console(highlight=False, width=170)


# what is trained on


def motions(clips: Sequence[Clip], ingredients: frozenset[str]) -> Iterator[Clip]:
    """Every training clip as often as it has views: once as it is, then changed; a body for each."""
    for clip in clips:
        for number in range(VIEWS):
            made = replace(clip, name=f"{clip.name}/{number}")
            if number and "recombined" in ingredients:
                made = next(recombined([made], clips), made)
            if number and "posed" in ingredients:
                made = next(posed([made]))
            if number and "warped" in ingredients:
                made = next(warped([made]))
            yield next(bodies([made], 1)) if "bodies" in ingredients else made


def training_corpus(work: Path, sources: Path, ingredients: frozenset[str], every: int) -> Corpus:
    """What a variant is trained on, as it lies on disk or made now."""
    folder = work / "train" / ("-".join(sorted(ingredients)) or "plain")
    if (folder / "manifest.json").exists():
        return Corpus.open(folder)
    seen = ingredients & {OLD, "bodies", "wide", *MOTION}
    plain = work / "exact" / ("-".join(sorted(seen)) or "plain")
    if not (plain / "manifest.json").exists():
        clips = [clip for clip in read_clips(sources, OLD in seen)[::every] if clip.subject not in (*TEST, *HELD_OUT)]
        kept = [clip for clip in clips if clip.action not in LEFT_OUT]
        rig = "wide" if "wide" in seen else "random"
        write_corpus(plain, motions(kept, seen), rig=rig, cameras=1, keypoints=Exact(), fps=FPS)
    noise = DetectorNoise() if "offsets" in ingredients else MOVING

    def change(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng((1, zlib.crc32(view.clip.encode())))
        camera = assumed(view.camera, float(np.exp(FOCAL_SPREAD * rng.standard_normal())))
        down_cam = about_down(view) if "upright" in ingredients else None
        points_px = observed(view, noise, hidden="hidden" in ingredients, cleaned="cleaned" in ingredients)
        return frame_view(view, points_px, camera, False, down_cam)

    provenance = {"keypoints": {"kind": "DetectorNoise, COCO-17, framed", "ingredients": sorted(ingredients)}}
    return rewrite_corpus(folder, Corpus.open(plain), change, provenance=provenance)


def read_clips(sources: Path, old: bool) -> list[Clip]:
    names = ("cmu.npz" if old else "cmu_v2.npz", "hdm05.npz")
    return [clip for name in names for clip in read_mocap_npz(sources / name)]


# what is scored


@dataclass(frozen=True)
class HeldOut:
    """A table's column: who is seen how.

    Attributes:
        cameras: of a clip.
        noise: of the keypoints; those of a detector are mended and smoothed, as lifting does it.
        new_actions: whether it is what nobody in training does; None for all actions.
        hidden: whether parts of the body are out of sight.
    """

    cameras: Callable[[Clip], list[Camera]]
    noise: DetectorNoise | Exact
    new_actions: bool | None = None
    hidden: bool = False


def seed_of(clip: Clip) -> tuple[int, int]:
    return 3, zlib.crc32(clip.name.encode())


def rolled(degrees: float) -> Callable[[Clip], list[Camera]]:
    """Random cameras, turned about their axes."""
    turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()

    def cameras(clip: Clip) -> list[Camera]:
        found = random_rig(clip.joints_world, seed_of(clip), CAMERAS)
        return [replace(c, R_cam_world=turn @ c.R_cam_world, t_cam_world=turn @ c.t_cam_world) for c in found]

    return cameras


def looking_down(degrees: float) -> Callable[[Clip], list[Camera]]:
    """Cameras that look down at the middle of the motion by so much, from 4 m beyond its end."""
    slope = np.deg2rad(degrees)

    def cameras(clip: Clip) -> list[Camera]:
        low, high = clip.joints_world.min(axis=(0, 1)), clip.joints_world.max(axis=(0, 1))
        middle, distance = (low + high) / 2.0, 4 + float(np.linalg.norm(high - low)) / 2
        azimuths = np.random.default_rng(seed_of(clip)).uniform(0, 2 * np.pi, CAMERAS)
        placed = []
        for number, azimuth in enumerate(azimuths):
            way = np.array([np.cos(slope) * np.cos(azimuth), np.cos(slope) * np.sin(azimuth), np.sin(slope)])
            R_cam_world, t_cam_world = look_at(middle + distance * way, middle)
            placed.append(
                replace(
                    guessed_camera(1920, 1080), name=f"down{number}", R_cam_world=R_cam_world, t_cam_world=t_cam_world
                )
            )
        return placed

    return cameras


def wide(clip: Clip) -> list[Camera]:
    return wide_rig(clip.joints_world, seed_of(clip), CAMERAS)


SETS = {
    "people": HeldOut(rolled(0), DetectorNoise(), new_actions=False),
    "new actions": HeldOut(rolled(0), DetectorNoise(), new_actions=True),
    "level, exact": HeldOut(rolled(0), Exact()),
    "roll 20": HeldOut(rolled(20), Exact()),
    "roll 45": HeldOut(rolled(45), Exact()),
    "roll 90": HeldOut(rolled(90), Exact()),
    "down 40": HeldOut(looking_down(40), Exact()),
    "down 60": HeldOut(looking_down(60), Exact()),
    "wide": HeldOut(wide, DetectorNoise()),
    "hidden": HeldOut(rolled(0), DetectorNoise(), hidden=True),
}


def test_corpus(work: Path, sources: Path, name: str, every: int) -> Corpus:
    """Exact views of the people held out."""
    folder = work / "test" / name.replace(" ", "-").replace(",", "")
    if not (folder / "manifest.json").exists():
        clips = read_clips(sources, False)[::every]
        known = {clip.action for clip in clips if clip.subject not in (*TEST, *HELD_OUT)} - set(LEFT_OUT)
        wanted = SETS[name]
        own = [clip for clip in clips if clip.subject in HELD_OUT]
        if wanted.new_actions is not None:
            own = [clip for clip in own if (clip.action not in known) == wanted.new_actions]
        seen = (replace(clip, cameras=tuple(wanted.cameras(clip))) for clip in own)
        write_corpus(folder, seen, rig="own", keypoints=Exact(), fps=FPS)
    return Corpus.open(folder)


def as_lifted(view: View, how: HeldOut, upright: bool) -> View:
    """The view as a lifter is given it: seen by a detector, framed, its focal length guessed."""
    camera = guessed_camera(view.camera.width, view.camera.height)
    down_cam = about_down(view) if upright else None
    points_px = observed(view, how.noise, hidden=how.hidden, cleaned=how.noise != Exact())
    pose2d, confidence, pose3d = frame_view(view, points_px, camera, False, down_cam)
    seen = Keypoints2D(pose2d, confidence, view.fps, view.camera)
    return replace(view, keypoints=seen, pose3d_cam=pose3d.astype(np.float32))


# variants


def scored(work: Path, sources: Path, name: str, asked: argparse.Namespace) -> dict[str, Scores]:
    """A variant's scores on every set, of all seeds."""
    ingredients = VARIANTS[name]
    key = "-".join(sorted(ingredients)).replace(" ", "-") or "plain"
    folder = work / "scores" / f"{key}-{asked.steps}-{asked.channels}"
    files = {of: folder / f"{of.replace(' ', '-').replace(',', '')}.parquet" for of in SETS}
    if not all(file.exists() for file in files.values()):
        corpus = training_corpus(work, sources, ingredients, asked.every)
        rows, budget = rows_of(corpus.views), Budget(asked.steps, 256)

        def on_progress(now: TrainProgress) -> None:
            CONSOLE.print(f"{name}: {now.windows / now.windows_total:.0%}, {now.loss:.1f} mm   ", end="\r")

        run = train(
            work / "runs" / f"{key}-{asked.steps}-{asked.channels}",
            corpus,
            [ModelSpec(f"seed{seed}", rows, budget) for seed in range(asked.seeds)],
            model=Network(receptive_field=27, channels=asked.channels).keywords(),
            on_progress=on_progress,
        )
        predictors = [LifterPredictor(load_lifter(run, f"seed{seed}")) for seed in range(asked.seeds)]
        folder.mkdir(parents=True, exist_ok=True)
        for of, file in files.items():
            exact = test_corpus(work, sources, of, asked.every)
            views = [as_lifted(view, SETS[of], "upright" in ingredients) for view in exact.views]
            parts = [
                evaluate(predictor, views, variant=Variant(name), seed=seed, metrics=METRICS)
                for seed, predictor in enumerate(predictors)
            ]
            Scores.concat(parts).save(file)
    return {of: Scores.read(file) for of, file in files.items()}


def table_of(found: dict[str, dict[str, Scores]], metric: str, against: str) -> Table:
    """Means over people of every variant on every set, and their differences from one of them with 95 % intervals."""
    table = Table(box=SIMPLE_HEAD, title=f"{metric}: mean over people, and difference from {against!r} [95 %]")
    table.add_column("trained on")
    for of in SETS:
        table.add_column(of, justify="right", no_wrap=True)
    for name in found:
        cells = []
        for of in SETS:
            both = Scores.concat([found[n][of] for n in dict.fromkeys((name, against))])
            mean = float(both.per_action(metric).loc[Variant(name), MEAN_OVER_PEOPLE])
            off = both.compare(metric, Variant(name), Variant(against)).loc[MEAN_OVER_PEOPLE]
            apart = f"\n{off['difference']:+.1f}" if name != against else ""
            interval = f"\n[{off['low']:+.1f}, {off['high']:+.1f}]" if apart and np.isfinite(off["low"]) else ""
            cells.append(f"{mean:.1f}{apart}{interval}")
        table.add_row(name, *cells)
    return table


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, help="the folder with cmu.npz, cmu_v2.npz and hdm05.npz")
    parser.add_argument("--work", type=Path, default=Path("out/wide"))
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="only every so many-th clip, to try it out")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--corpora", action="store_true", help="make the corpora and stop")
    asked = parser.parse_args(words)
    if asked.corpora:
        for name in asked.only:
            corpus = training_corpus(asked.work, asked.sources, VARIANTS[name], asked.every)
            CONSOLE.print(f"{name}: {len(corpus.views)} views, {corpus.frames:,} frames, digest {corpus.digest[:12]}")
        for name in SETS:
            test_corpus(asked.work, asked.sources, name, asked.every)
        return
    found = {name: scored(asked.work, asked.sources, name, asked) for name in asked.only}
    against = PLAIN if PLAIN in found else next(iter(found))
    for metric in METRICS:
        CONSOLE.print(table_of(found, metric, against))
    CONSOLE.print(
        f"{asked.steps} steps of 256, {asked.channels} channels, seeds 0 to {asked.seeds - 1}; held out "
        f"{', '.join(HELD_OUT)}; left out {', '.join(LEFT_OUT)}; commit {commit()}"
    )


if __name__ == "__main__":
    main()
