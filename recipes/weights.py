"""``make weights``: train the networks that actlift ships, on freely licensed motion capture, and write their cards.

    python -m recipes.weights cmu.npz hdm05.npz --work out/weights

The people of TEST are not trained on; the cards tell the errors on them. Bodies and cameras of the training clips are
drawn at random; so is the focal length that framing assumes. Keypoints are synthetic: projections with the errors of
`DetectorNoise`, of the twelve joints of arms and legs and of the ears; all else is derived from these, as it is from
a detector's COCO keypoints. What was trained before is not trained again: the same command resumes.
"""

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from rich.console import Console
from scipy.spatial.transform import Rotation

from actlift.data.augment import SIZES, bodies
from actlift.data.clip import Clip
from actlift.data.corpus import Corpus, View, rewrite_corpus, write_corpus
from actlift.data.noise import DetectorNoise, Exact
from actlift.data.sources.mocap_npz import read_mocap_npz
from actlift.data.windows import rows_of
from actlift.evaluation.evaluate import evaluate, score_poses
from actlift.evaluation.scores import MEAN_OVER_ACTIONS, Scores, Variant
from actlift.files import read_json, write_json
from actlift.geometry.camera import Camera, random_rig
from actlift.geometry.framing import CausalCrop, guessed_camera, virtual_camera_crop
from actlift.geometry.skeleton import COCO_17, H36M_17, remap
from actlift.lifting.conditional import UNKNOWN, ConditionalLifter, lift_labeled
from actlift.lifting.predict import LifterPredictor, load_lifter
from actlift.models.tensors import of_member, read_tensors, write_tensors
from actlift.recognition.accuracy import measure
from actlift.recognition.prediction import EVERYBODY, LIFTER, ActionRecognizer, load_recognizer, recognized_labels
from actlift.recognition.training import train_recognizer
from actlift.training.budget import Budget
from actlift.training.frozen_bn import tune_frozen
from actlift.training.loop import ModelSpec, TrainProgress, train
from actlift.training.run import Run, environment
from actlift.video.clean import fill_gaps, preprocess
from actlift.video.pipeline import Lifters, lift_track, reprojection
from actlift.video.track import Track

TEST = ("HDMmm", "CMU13", "CMU38", "CMU32")
FPS = 30.0
BODIES = 6  # of each training clip, each seen by a camera of its own
CAMERAS = 4  # that see each test clip
FOCAL_SPREAD = 0.2  # standard deviation of the logarithm of the focal length that framing assumes
FINISH = 0.3  # of a budget
TRUNCATED, OCCLUDED = 0.15, 0.3  # shares of views in which legs are out of the image, and an arm or a leg out of sight
OCCLUDED_S = (0.2, 3.0)  # for how long
HIDING = 7  # what random numbers are for
DOWN_DEG = 4.0  # standard deviation about each axis of gravity as it is found (docs/decisions/upright.md)
STEPS = 16000
COMMAND = "python -m recipes.weights cmu.npz hdm05.npz"
WIDTHS = {"aware": [3, 3, 3, 3], "causal": [3, 3, 3]}
CHANNELS = 160
METRICS = ("mpjpe", "p_mpjpe", "n_mpjpe", "mpjve")
NOISE = DetectorNoise()
NOT_YET: dict[str, Any] = {"reprojection": {"limit": 1e9}}  # it takes the networks to find it
CONSOLE = Console(highlight=False)


# bodies and keypoints


def coco_joints(pose3d: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, "t 17 3"]:
    """Joints of motion capture where a detector of COCO keypoints looks for them; the face lies between the ears.

    The ears are where `actlift.geometry.skeleton.remapping` takes them to be when it makes a Neck out of them.
    """
    thorax, neck = (pose3d[:, H36M_17.index(joint)] for joint in ("Thorax", "Neck"))
    ears = thorax + (neck - thorax) * 4 / 3
    limbs = [H36M_17.index(joint) for joint in COCO_17.joints[5:]]
    return np.concatenate([np.repeat(ears[:, None], 5, axis=1), pose3d[:, limbs]], axis=1)


def observed(
    view: View, noise: DetectorNoise | Exact, seed: int = 0, *, hidden: bool = False, cleaned: bool = False
) -> Float[np.ndarray, "t 17 2"]:
    """What a detector reports of a view, in pixels, as joints of Human3.6M.

    Args:
        view: of exact keypoints.
        noise: of the detector.
        seed: of the noise.
        hidden: whether parts of the body are out of sight in some views, and filled in as lifting fills them in.
        cleaned: whether keypoints are mended and smoothed as lifting does it.
    """
    exact_px = view.camera.cam_to_px(coco_joints(view.pose3d_cam))
    names = (zlib.crc32(view.clip.encode()), zlib.crc32(view.camera_name.encode()))
    points_px, confidence = noise.observe(exact_px, COCO_17, view.fps, (seed, *names))
    if hidden:
        confidence = confidence * in_sight(len(confidence), view.fps, (seed, HIDING, *names))
    if hidden or cleaned:
        lost = confidence[..., None] == 0
        track = Track(1, np.arange(view.frames) / view.fps, np.where(lost, np.nan, points_px), confidence)
        points_px = (preprocess(track, view.fps) if cleaned else fill_gaps(track)).points_px
    return remap(points_px, COCO_17, H36M_17)


def in_sight(frames: int, fps: float, seed: tuple[int, ...]) -> Bool[np.ndarray, "t 17"]:
    """Which keypoints of COCO can be seen: in some views not the legs, in some an arm or a leg not for a while."""
    rng = np.random.default_rng(seed)
    seen = np.ones((frames, len(COCO_17)), bool)
    chance = rng.uniform()
    if chance < TRUNCATED:  # the image ends above the ankles, the knees or the hips
        lost = rng.integers(1, 4)
        seen[:, [COCO_17.index(f"{side}{part}") for part in ("Ankle", "Knee", "Hip")[:lost] for side in "LR"]] = False
    elif chance < TRUNCATED + OCCLUDED:
        side, parts = rng.choice(["L", "R"]), (("Elbow", "Wrist"), ("Knee", "Ankle"))[rng.integers(2)]
        first, lasts = rng.integers(frames), int(fps * rng.uniform(*OCCLUDED_S)) + 1
        seen[first : first + lasts, [COCO_17.index(f"{side}{part}") for part in parts]] = False
    return seen


def assumed(camera: Camera, factor: float) -> Camera:
    """A camera that is not known: its focal length is off by a factor, its lens straight, its center in the middle."""
    plain = guessed_camera(camera.width, camera.height)
    return replace(plain, focal_px=camera.focal_px * factor)


def about_down(view: View, seed: int = 0) -> Float[np.ndarray, "3"]:
    """Gravity in the axes of a view's camera, about as well as it is found before people are lifted."""
    rng = np.random.default_rng((seed, zlib.crc32(view.clip.encode()), zlib.crc32(view.camera_name.encode())))
    off = Rotation.from_rotvec(np.deg2rad(DOWN_DEG) * rng.standard_normal(3))
    return np.asarray(off.apply(-view.camera.R_cam_world[:, 2]))


def frame_view(
    view: View,
    points_px: Float[np.ndarray, "t 17 2"],
    camera: Camera,
    causal: bool,
    down_cam: Float[np.ndarray, "3"] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    crop = CausalCrop(camera, view.fps, down_cam) if causal else None
    found = crop(points_px) if crop else virtual_camera_crop(points_px, camera, view.fps, down_cam)
    return found.pose2d, np.ones(points_px.shape[:2], np.float32), found.from_cam(view.pose3d_cam)


def training_corpus(work: Path, clips: Sequence[Clip], causal: bool) -> Corpus:
    folder = work / f"train-{'causal' if causal else 'aware'}"
    if (folder / "manifest.json").exists():
        return Corpus.open(folder)
    plain = work / "train-plain"
    if not (plain / "manifest.json").exists():
        write_corpus(plain, bodies(clips, BODIES), rig="random", cameras=1, keypoints=Exact(), fps=FPS)

    def change(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng((1, zlib.crc32(view.clip.encode())))
        camera = assumed(view.camera, float(np.exp(FOCAL_SPREAD * rng.standard_normal())))
        return frame_view(view, observed(view, NOISE), camera, causal)

    provenance = {"keypoints": {"kind": "DetectorNoise, COCO-17, framed", "causal": causal}, "bodies": BODIES}
    return rewrite_corpus(folder, Corpus.open(plain), change, provenance=provenance)


def test_corpus(work: Path, clips: Sequence[Clip], causal: bool, noise: DetectorNoise | Exact) -> Corpus:
    kind = type(noise).__name__
    folder = work / f"test-{'causal' if causal else 'aware'}-{kind}"
    if (folder / "manifest.json").exists():
        return Corpus.open(folder)
    plain = work / "test-plain"
    if not (plain / "manifest.json").exists():
        write_corpus(plain, clips, rig="random", cameras=CAMERAS, keypoints=Exact(), fps=FPS)

    def change(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        camera = guessed_camera(view.camera.width, view.camera.height)
        return frame_view(view, observed(view, noise), camera, causal)

    provenance = {"keypoints": {"kind": f"{kind}, COCO-17, framed", "causal": causal}}
    return rewrite_corpus(folder, Corpus.open(plain), change, provenance=provenance)


# training


def lifter(work: Path, name: str, corpus: Corpus, steps: int, conditions: Sequence[str] = ()) -> Run:
    """Train a network, then finish it in evaluation mode, within ``steps`` in all."""
    rows = rows_of(corpus.views)
    told = {"conditions": len(conditions)} if conditions else {}
    numbers = np.concatenate([np.full(v.frames, conditions.index(v.action)) for v in corpus.views]) if told else None
    causal = name == "causal"
    model: dict[str, Any] = {"widths": WIDTHS["causal" if causal else "aware"], "channels": CHANNELS, "causal": causal}

    def on_progress(moment: TrainProgress) -> None:
        CONSOLE.print(
            f"{name}: {moment.windows / moment.windows_total:.0%}, {moment.loss_mm:.1f} mm, "
            f"{moment.windows_per_second:.0f} windows/s   ",
            end="\r",
        )

    first = Budget(round(steps * (1 - FINISH)), 256)
    base = train(
        work / f"{name}-base",
        corpus,
        [ModelSpec(name, rows, first, conditions=numbers)],
        model={**model, **told},
        on_progress=on_progress,
    )
    last = Budget(steps - first.steps, 256)
    members = [ModelSpec(name, rows, last, conditions=numbers)]
    return tune_frozen(work / name, corpus, members, {name: load_lifter(base)}, on_progress=on_progress)


def ship(run: Run, folder: Path, card: dict[str, Any], keep: Sequence[str]) -> None:
    """Write what is used of a run, and its card."""
    tensors, metadata = read_tensors(run.weights)
    kept = {f"{name}/{k}": v for name in keep for k, v in of_member(tensors, name).items()}
    members = {name: about for name, about in run.config["identity"]["members"].items() if name in keep}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / "config.json",
        {**run.config, "identity": {**run.config["identity"], "members": members}, "command": COMMAND},
    )
    write_tensors(folder / "weights.safetensors", kept, metadata)
    write_json(folder / "card.json", card)


# cards


def per_action(scores: Scores) -> dict[str, dict[str, float]]:
    """Errors by action, and their mean over actions."""
    tables = {name: scores.per_action(name).iloc[0] for name in METRICS}
    return {
        ("mean over actions" if action == MEAN_OVER_ACTIONS else str(action)): {
            name: round(float(table[action]), 2) for name, table in tables.items()
        }
        for action in tables[METRICS[0]].index
    }


def card(name: str, purpose: str, corpus: Corpus, errors: dict[str, Any], **more: Any) -> dict[str, Any]:
    subjects = sorted(corpus.subjects)
    return {
        "name": name,
        "purpose": purpose,
        "input": "COCO-17 keypoints of one person, turned into those of H36M-17 and framed (actlift.geometry.framing)",
        "output": "H36M-17 joints relative to the pelvis, in meters, in the axes of the frame",
        "fps": FPS,
        "cameras": "static, 0.3 to 3 m above the floor, 2.5 m away or more, focal length 0.4 to 2.8 image widths",
        "bodies": f"adults, sizes x {SIZES[0]} to {SIZES[1]}",
        "training": {
            "people": len(subjects),
            "subjects": subjects,
            "frames": corpus.frames,
            "actions": list(corpus.actions),
            "keypoints": f"synthetic: {NOISE}",
        },
        "data": [
            {
                "name": "CMU Graphics Lab Motion Capture Database",
                "license": "free for all uses; may be included in products, not resold as data",
                "acknowledgement": "The data used in this project was obtained from mocap.cs.cmu.edu. The database "
                "was created with funding from NSF EIA-0196217.",
            },
            {
                "name": "HDM05 (Mueller, Roeder, Clausen, Eberhardt, Krueger, Weber 2007, Documentation Mocap Database "
                "HDM05, University of Bonn)",
                "license": "CC BY-SA 3.0",
            },
        ],
        "license": "CC BY-SA 3.0",
        "errors": {
            "what": f"on people who were not trained on ({', '.join(TEST)}), {CAMERAS} random cameras a clip, focal "
            "lengths guessed, synthetic keypoints; MPJPE, P-MPJPE, N-MPJPE in mm, MPJVE in mm/frame at 30 fps",
            **errors,
        },
        "not_for": "medical use, children, several people as one, moving cameras, half bodies",
        **more,
        "made_by": {**environment(), "command": COMMAND},
    }


def aware_errors(
    generalist: LifterPredictor, told: ConditionalLifter, recognized: ActionRecognizer, test: Corpus
) -> dict[str, Any]:
    """Of the mean of the generalist's poses and those told, as `actlift.video.pipeline.Lifters` has it."""
    views = test.views
    seen = [v.keypoints for v in views]
    labels = [recognized_labels(recognized, keypoints) for keypoints in seen]
    ways = {
        "recognized where sure": labels,
        "told nothing": [[UNKNOWN] * v.frames for v in views],
        "true action (oracle)": [[v.action] * v.frames for v in views],
    }
    untold = generalist(seen)

    def score(labels: list[list[str]], way: str) -> dict[str, dict[str, float]]:
        poses = [(p + lift_labeled(told, k, own)) / 2 for p, k, own in zip(untold, seen, labels, strict=True)]
        return per_action(score_poses(poses, views, variant=Variant(way), metrics=METRICS))

    return {way: score(labels, way) for way, labels in ways.items()}


def reprojection_limit(lifters: Lifters, clips: Sequence[Clip]) -> float:
    """What 99 % of the frames of training people stay below: how far lifted joints are from their keypoints."""
    found = []
    for clip in clips[::4]:
        (camera,) = random_rig(clip.joints_world, (2, zlib.crc32(clip.name.encode())), 1)
        exact_px = camera.cam_to_px(coco_joints(camera.world_to_cam(clip.joints_world)))
        points_px, confidence = NOISE.observe(exact_px, COCO_17, clip.fps, (2, zlib.crc32(clip.name.encode())))
        times_s = np.arange(clip.frames) / clip.fps
        track = Track(1, times_s, points_px.astype(np.float32), confidence.astype(np.float32))
        motion = lift_track(track, camera.width, camera.height, lifters=lifters, refine=False)
        found.append(reprojection(motion.pose2d_px, motion.camera, motion.joints_world))
    return round(float(np.quantile(np.concatenate(found), 0.99)), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--work", type=Path, default=Path("out/weights"))
    parser.add_argument("--out", type=Path, default=Path("src/actlift/weights"))
    asked = parser.parse_args()
    clips = [clip for source in asked.sources for clip in read_mocap_npz(source)]
    own = [clip for clip in clips if clip.subject not in TEST]
    test = [clip for clip in clips if clip.subject in TEST]
    shared = sorted({c.action for c in own} & {c.action for c in test})

    corpora = {causal: training_corpus(asked.work, own, causal) for causal in (False, True)}
    tests = {
        (causal, type(noise).__name__): test_corpus(asked.work, test, causal, noise).select(actions=shared)
        for causal in (False, True)
        for noise in (NOISE, Exact())
    }
    told_of = corpora[False].select(actions=shared)
    generalist = lifter(asked.work, "generalist", corpora[False], STEPS)
    aware = lifter(asked.work, "aware", told_of, STEPS, shared)
    causal = lifter(asked.work, "causal", corpora[True], STEPS)
    recognizer = train_recognizer(asked.work / "recognizer", told_of, model={}, lifter=load_lifter(generalist))

    for name, run, purpose in (
        ("generalist", generalist, "any motion, offline"),
        ("causal", causal, "any motion, live: it does not see what comes"),
    ):
        errors = {
            kind: per_action(
                evaluate(
                    LifterPredictor(load_lifter(run)),
                    tests[name == "causal", kind].views,
                    variant=Variant(name),
                    metrics=METRICS,
                )
            )
            for kind in ("DetectorNoise", "Exact")
        }
        ship(run, asked.out / name, card(name, purpose, corpora[name == "causal"], errors, **NOT_YET), [name])
    recognized = load_recognizer(recognizer)
    told = ConditionalLifter.from_network(load_lifter(aware), shared)
    untold = LifterPredictor(load_lifter(generalist))
    errors = {kind: aware_errors(untold, told, recognized, tests[False, kind]) for kind in ("DetectorNoise", "Exact")}
    ship(
        aware,
        asked.out / "aware",
        card(
            "aware",
            "the actions of its card, offline; its poses are averaged with those of the generalist",
            told_of,
            errors,
            actions=shared,
            **NOT_YET,
        ),
        ["aware"],
    )
    noisy = tests[False, "DetectorNoise"]
    found = measure(recognized([v.keypoints for v in noisy.views]), noisy.views, recognized.actions)
    ship(
        recognizer,
        asked.out / "recognizer",
        card(
            "recognizer",
            "which of the actions of its card",
            told_of,
            {"frames": asdict(found.frames), "clips": asdict(found.clips)},
            actions=shared,
        ),
        [EVERYBODY, LIFTER],
    )
    for name in ("generalist", "aware", "causal"):
        limit = reprojection_limit(Lifters(name), own)
        path = asked.out / name / "card.json"
        write_json(path, {**read_json(path), "reprojection": {"limit": limit, "unit": "of the person's extent"}})
    size = sum(path.stat().st_size for path in asked.out.rglob("*.safetensors"))
    CONSOLE.print(f"\nwritten to {asked.out}: {size / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    main()
