"""The verbs: ``actlift lift | serve | demo | data prepare | data info | train | evaluate | export | recognize | study |
report | specialise | switching | advise | audit``."""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, get_args

import cyclopts
import rich.progress
import yaml
from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actlift import __version__
from actlift.errors import InputError, MissingInputError
from actlift.models.options import Network
from actlift.study.plan import Plan
from actlift.study.presets import PRESETS, Preset
from actlift.training.budget import Budget
from actlift.training.options import Device, Precision

if TYPE_CHECKING:
    from actlift.motion.motion import Motion
    from actlift.training.loop import TrainProgress
    from actlift.video.live import LivePose

# names of clips and folders may hold brackets, which are no markup here
CONSOLE = Console(
    width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120, markup=False, highlight=False, emoji=False
)
LINE_EVERY_S = 30.0

app = cyclopts.App(
    name="actlift",
    help="Lift 2D human keypoints to 3D motion with networks that know the action, and measure when that pays.",
    version=__version__,
    help_format="markdown",
    # options take several words, as in --test-subjects S7 S8, and have no --empty-... twins
    default_parameter=Parameter(consume_multiple=True, negative_iterable=()),
    print_error=False,
    exit_on_error=False,
    suppress_keyboard_interrupt=False,  # main says how to resume
)
app.meta.suppress_keyboard_interrupt = False
corpus_app = cyclopts.App(name="data", help="Make corpora out of motion capture, and look at them.")
app.command(corpus_app)


@app.command(name="lift")
def lift_verb(
    video: str,
    *,
    out: Path | None = None,
    formats: tuple[str, ...] = ("npz", "json", "bvh", "trc", "glb", "html"),
    segments: bool = False,
    person: int | None = None,
    start: float = 0.0,
    end: float | None = None,
    fps: float | None = None,
    height: float | None = None,
    camera: Path | None = None,
    lifter: Literal["aware", "generalist", "causal"] = "aware",
    detector: str = "auto",
    weights: Path | None = None,
    layout: str | None = None,
    size: str | None = None,
    live: bool = False,
) -> None:
    """Lift the people in a video to 3D motion, tell what they do when, and write files that other programs open.

    Takes a video, a folder of images, or 2D keypoints as other programs write them (COCO, MMPose, OpenPose, AlphaPose,
    Detectron2, MediaPipe, .npz, CSV). The camera has to stand still. Needs `pip install actlift[video]`; keypoints need
    nothing more. Stopped, it goes on where it was when asked again.

    For example:

        actlift lift walk.mp4
        actlift lift walk.mp4 --height 1.78 --formats bvh c3d trc mp4 --out takes/walk
        actlift lift match.mp4 --start 12.5 --end 20 --person 2
        actlift lift openpose/json --fps 50 --size 1920x1080
        actlift lift 0 --live --out takes/session

    Parameters
    ----------
    video
        What to lift.
    out
        Folder for the files; the video's name under `lifted` where not given.
    formats
        Of npz, csv, parquet, json, bvh, c3d, trc, glb, html (a page to look at), mp4 (drawn over the video).
    segments
        Also write one file per stretch of one action.
    person
        Only this one, by number in order of appearance.
    start, end
        Seconds of the video to lift.
    fps
        Of the motion; the video's own where not given. Keypoints: of their frames, where the file does not tell.
    height
        Of the person in meters, which sets the scale; where not given, an average adult's.
    camera
        JSON file with what is known of the camera: focal_px, and center_px, radial, tangential, R_cam_world.
    lifter
        Told the recognized action where it is sure, told nothing, or told nothing and not seeing what comes.
    detector
        Of 2D keypoints: rtmpose, movenet, mediapipe, or auto, the best that works here.
    weights
        File of the detector's weights.
    layout
        Order of the joints in a file of keypoints, where it does not tell: coco_17, h36m_17, halpe_26, blazepose_33.
    size
        Of the images that keypoints are from, where the file does not tell, as 1920x1080.
    live
        Print poses as they come, one person and time a line, as JSON: time_s, person, pose3d_cam. A webcam (its number,
        or /dev/video0) is filmed until Ctrl-C.
    """
    from actlift.video.camera_file import read_camera
    from actlift.video.pipeline import Lifters, lift_video
    from actlift.video.save import check_formats, save_motions

    path = Path(video)
    check_formats(formats, _film(path))
    folder = out or Path("lifted") / path.stem
    began = time.perf_counter()
    with _stages() as show, _resumes("stopped; the same command goes on where it was"):
        motions = lift_video(
            path,
            keep=folder / "detections.bin",
            detector=detector,
            weights=weights,
            lifters=Lifters(lifter),
            camera=read_camera(camera) if camera else None,
            height_m=height,
            person=person,
            start_s=start,
            end_s=end,
            fps=fps,
            layout=layout,
            size=_size(size),
            on_progress=show,
            live=_print_poses if live else None,
        )
        written = save_motions(motions, folder, formats, video=_film(path), segments=segments, on_progress=show)
    for motion in motions:
        _print_motion(motion)
    frames = max(motion.frames for motion in motions)
    CONSOLE.print(f"{frames} frames in {time.perf_counter() - began:.1f} s; written to {folder}:", soft_wrap=True)
    CONSOLE.print(f"  {', '.join(str(file.relative_to(folder)) for file in written)}", soft_wrap=True)


@app.command(name="serve")
def serve_verb(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    detector: str = "auto",
    weights: Path | None = None,
    folder: Path | None = None,
    max_mb: float = 500.0,
    max_minutes: float = 10.0,
) -> None:
    """Serve a page on this machine that lifts videos: drop one, look at the motion, take the files. Until Ctrl-C.

    Needs `pip install actlift[serve]`. Videos and files are removed after an hour, and in the end.

    For example:

        actlift serve --weights movenet.onnx
        actlift serve --port 8080 --max-minutes 2

    Parameters
    ----------
    host
        Address to listen at; others than 127.0.0.1 open the page to the network, where everybody may use it.
    port
        To listen at.
    detector
        Of 2D keypoints: rtmpose, movenet, mediapipe, or auto, the best that works here.
    weights
        File of the detector's weights.
    folder
        For what is worked on; the system's folder for temporary files where not given.
    max_mb
        Size of a video.
    max_minutes
        Length of a video.
    """
    from actlift.serve import serve

    serve(host, port, detector=detector, weights=weights, folder=folder, max_mb=max_mb, max_minutes=max_minutes)


@app.command
def demo(out: Path = Path("out/demo"), *, steps: int = 800, seeds: tuple[int, ...] = (0, 1)) -> None:
    """The whole comparison on motions that actlift makes itself: a few minutes, no download, a report to open.

    For example:

        actlift demo
        actlift demo out/quick --steps 400 --seeds 0

    Parameters
    ----------
    out
        Folder of the corpus, the study and the report; running again resumes.
    steps
        Optimizer steps of the generalist.
    seeds
        One training of every arm for each.
    """
    plan = Plan(
        test_subjects=("syn5", "syn6"),
        arms=("generalist", "experts", "random-experts"),
        matching=("total", "per_model"),
        seeds=seeds,
        budget=Budget(steps),
        network=Network(receptive_field=27, channels=64),
    )
    folder = out / "corpus"
    if not (folder / "manifest.json").exists():
        data_prepare(["synthetic"], out=folder, keypoints="independent")
    study(folder, out / "study", plan=plan)


@corpus_app.command(name="prepare")
def data_prepare(
    sources: list[str],
    *,
    out: Path,
    detections: Path | None = None,
    rig: Literal["own", "ring", "random"] | None = None,
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
        Any number of: a mocap .npz; a folder of one ASF and its AMC files, with their actions in labels.csv; Human3.6M
        as data_3d_h36m.npz or as the folder of its CDF files; HumanEva-I as data_3d_humaneva15.npz; the word
        "synthetic".
    out
        Folder of the corpus, which appears whole or not at all.
    detections
        2D keypoints of Human3.6M in its own cameras, data_2d_h36m_*.npz, instead of projections.
    rig
        own: the cameras that filmed the clips. ring: cameras about the person like those of Human3.6M. random: seeded
        random cameras. Left out: own where the sources have cameras, ring where they have none.
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
    with CONSOLE.status(Text(f"preparing {out}")):
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
    CONSOLE.print(f"prepared in {time.perf_counter() - began:.1f} s")


@corpus_app.command(name="info")
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
    CONSOLE.print(table)
    CONSOLE.print(
        f"{len({v.clip for v in opened.views})} clips, {len(opened.views)} views by {len(cameras)} cameras, "
        f"{opened.frames:,} frames at {opened.fps:g} fps, {len(opened.subjects)} subjects, "
        f"{len(opened.actions)} actions",
    )
    for row in opened.exclusions:
        CONSOLE.print(f"left out: {row.clip} ({row.camera}) frames {row.first} to {row.last}: {row.reason}")
    CONSOLE.print(f"digest {opened.digest[:16]}{' (verified)' if verify else ''}")


@app.command(name="train")
def train_verb(
    corpus: Path,
    out: Path,
    *,
    test_subjects: list[str],
    actions: list[str] | None = None,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    network: Network = Network(),  # noqa: B008 - frozen
    seed: int = 0,
    precision: Precision = "auto",
    device: Device = "auto",
    save_every_s: float = 30.0,
) -> None:
    """Train one lifter, a generalist or the expert of some actions, into a run folder. Resumes where it stopped.

    For example:

        actlift train corpus runs/generalist --test-subjects S7 S8 --budget.steps 6000
        actlift train corpus runs/walking --test-subjects S7 --actions Walking --network.receptive-field 81

    Parameters
    ----------
    corpus
        The corpus folder.
    out
        The run folder.
    test_subjects
        People held out: no frame of theirs is trained on.
    actions
        Train on these actions only; all where left out.
    budget
        Optimizer steps, and windows of a step.
    network
        The temporal convolution network.
    seed
        Of initial weights, order, flips and dropout.
    precision
        Of activations and products; auto is bfloat16 where the processor multiplies it natively.
    device
        Where to train; auto is a GPU where there is one.
    save_every_s
        Seconds between saved states.
    """
    from actlift.data.corpus import Corpus
    from actlift.data.windows import rows_of
    from actlift.training.loop import ModelSpec, train

    training, _ = Corpus.open(corpus).split(test_subjects)
    if actions:
        training = training.select(actions=actions)
    name = "+".join(actions) if actions else "everything"
    with _progress() as show:
        run = train(
            out,
            training,
            [ModelSpec(name, rows_of(training.views), budget)],
            model=network.keywords(),
            seed=seed,
            precision=precision,
            device=device,
            save_every_s=save_every_s,
            on_progress=lambda moment: show(f"training {name}", moment),
        )
    identity = run.config["identity"]
    CONSOLE.print(
        f"{out}: done, {identity['precision']} on {identity['device']}; `actlift evaluate {out} {corpus}` scores it",
        soft_wrap=True,
    )


@app.command(name="evaluate")
def evaluate_verb(
    run: Path,
    corpus: Path,
    *,
    subjects: list[str] | None = None,
    actions: list[str] | None = None,
    metrics: list[str] | None = None,
    member: str | None = None,
    flip: bool = True,
    out: Path | None = None,
) -> None:
    """Score a run on people it was not trained on, per action.

    For example:

        actlift evaluate runs/generalist corpus
        actlift evaluate runs/generalist corpus --subjects S7 --metrics mpjpe mpjve --out scores.parquet

    Parameters
    ----------
    run
        The run folder.
    corpus
        The corpus folder.
    subjects
        Whom to score; everybody the run was not trained on where left out.
    actions
        Which actions to score; all where left out.
    metrics
        Which metrics; all where left out.
    member
        Which of the run's networks, where it holds several.
    flip
        Average with the prediction for the mirrored input.
    out
        Also write the scores to this Parquet file.
    """
    from actlift.data.corpus import Corpus
    from actlift.evaluation.evaluate import evaluate
    from actlift.evaluation.metrics import METRICS, metric
    from actlift.evaluation.scores import MEAN_OVER_ACTIONS, Variant
    from actlift.lifting.predict import LifterPredictor, load_lifter
    from actlift.report.tables import number
    from actlift.training.run import Run

    opened = Run.open(run)
    everything = Corpus.open(corpus)
    trained_on = set(opened.config["identity"]["trained_on"]["subjects"])
    unseen = [s for s in everything.subjects if s not in trained_on]
    if seen := sorted(set(subjects or ()) & trained_on):
        raise InputError(
            f"{run} was trained on {', '.join(seen)}: scores on them say nothing. Unseen: {', '.join(unseen)}"
        )
    if not unseen:
        raise InputError(f"{run} was trained on everybody in {corpus}: there is nobody to score it on")
    chosen = everything.select(subjects=subjects or unseen, actions=actions)
    if everything.digest != opened.config["identity"]["corpus"]:
        CONSOLE.print(f"note: {run} was trained on another corpus than {corpus}", soft_wrap=True)
    scores = evaluate(
        LifterPredictor(load_lifter(opened, member), flip=flip),
        chosen.views,
        variant=Variant(run.resolve().name),
        seed=opened.config["identity"]["seed"],
        run=str(run),
        metrics=metrics or tuple(METRICS),
    )
    title = f"{run} on {', '.join(chosen.subjects)}"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, title=title, title_justify="left")
    table.add_column("action", no_wrap=True)
    columns = {name: scores.per_action(name).iloc[0] for name in scores.metrics}
    for name in columns:
        table.add_column(f"{metric(name).title}\n{metric(name).unit}", justify="right", overflow="fold")
    for action in next(iter(columns.values())).index:
        if action == MEAN_OVER_ACTIONS:
            table.add_section()
        table.add_row(str(action), *(number(column[action], metric(name)) for name, column in columns.items()))
    CONSOLE.print(table)
    if out:
        scores.save(out)
        CONSOLE.print(f"scores written to {out}", soft_wrap=True)


@app.command(name="specialise")
def specialise_verb(
    run: Path,
    corpus: Path,
    out: Path,
    *,
    action: str,
    test_subjects: tuple[str, ...] = (),
    test_share: float = 0.34,
    steps: int = 300,
    batch: int = 256,
    seed: int = 0,
    precision: Precision = "auto",
    device: Device = "auto",
) -> None:
    """Finish a trained network on your own action, and tell what that is worth on clips or people held out.

    `actlift data prepare` makes a corpus of your clips (mocap .npz, ASF/AMC). The result is a network for this action
    alone, which `evaluate` and `export` take; for all else the old one is kept.

    For example:

        actlift specialise runs/generalist soccer runs/soccer --action Soccer
        actlift specialise runs/generalist corpus runs/dance --action Dancing --test-subjects S9

    Parameters
    ----------
    run
        The run folder of one trained network.
    corpus
        The corpus folder with the action's clips, at the frame rate that the network was trained at.
    out
        The run folder to make.
    action
        The action.
    test_subjects
        People held out; where left out, clips are.
    test_share
        Share of the action's clips that are held out, each with all its cameras.
    steps
        Optimizer steps.
    batch
        Windows of a step.
    seed
        Of the order and of the clips held out.
    precision
        Of activations and products; auto is bfloat16 where the processor multiplies it natively.
    device
        Where to train; auto is a GPU where there is one.
    """
    from actlift.data.corpus import Corpus
    from actlift.evaluation.metrics import metric
    from actlift.evaluation.scores import MEAN_OVER_ACTIONS
    from actlift.report.tables import interval, judgment, number, signed
    from actlift.study.finetune import AFTER, BEFORE, METRICS, finetune
    from actlift.training.run import Run

    with _progress() as show:
        found = finetune(
            out,
            Run.open(run),
            Corpus.open(corpus),
            action,
            test_subjects=test_subjects,
            test_share=test_share,
            budget=Budget(steps, batch),
            seed=seed,
            precision=precision,
            device=device,
            on_progress=lambda moment: show(f"finishing on {action}", moment),
        )
    title = f"{action}, {len(found.held_out)} clips held out"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for name, justify in (("", "left"), ("before", "right"), ("after", "right"), ("difference [95 %]", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in METRICS:
        measure = metric(name)
        errors = found.action.per_action(name)[MEAN_OVER_ACTIONS].to_dict()
        row = found.action.compare(name, AFTER, BEFORE).T[MEAN_OVER_ACTIONS]
        style = {"better": "green", "worse": "red", "undecided": "dim"}[judgment(row, measure)]
        difference = Text(f"{signed(row['difference'], measure)} {interval(row, measure)}", style)
        values = (number(errors[arm], measure) for arm in (BEFORE, AFTER))
        table.add_row(f"{measure.title}, {measure.unit}", *values, difference)
    CONSOLE.print(table)
    if not test_subjects:
        people = ", ".join(sorted(set(found.action.table["subject"])))
        CONSOLE.print(
            f"Held-out clips are of {people}, whose other clips were trained on: other people gain less.",
            soft_wrap=True,
        )
    if found.others is not None:
        errors = found.others.per_action("mpjpe")[MEAN_OVER_ACTIONS].to_dict()
        before, after = (number(errors[arm], metric("mpjpe")) for arm in (BEFORE, AFTER))
        CONSOLE.print(
            "Other actions of unseen people keep the old network and lose nothing; with the new one they would go from "
            f"{before} to {after} mm MPJPE.",
            soft_wrap=True,
        )
    CONSOLE.print(f"{out}: done; `actlift export {out} --out {action.lower()}.onnx` writes it", soft_wrap=True)


@app.command
def switching(
    study: Path,
    corpus: Path,
    *,
    recognizer: Path | None = None,
    people: Literal["test", "training"] = "test",
    clips: int = 80,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Measure what happens when the action changes: errors and spikes around it, switched at once or faded over.

    Where two clips of one person meet, and where only the label of one clip changes. Prints tables; trains nothing.

    For example:

        actlift switching studies/told corpus
        actlift switching studies/told corpus --recognizer runs/recognizer --out studies/switching

    Parameters
    ----------
    study
        Folder of a study with the arm "conditioned".
    corpus
        The corpus folder that it was made from.
    recognizer
        The run folder of a recognizer, whose labels are told too.
    people
        Whose clips: test people to report, training people to choose.
    clips
        Pairs of clips to join, and clips to interrupt.
    seed
        Of the study's networks, and of the clips drawn.
    out
        Also write switching.json and figures to this folder.
    """
    from actlift.data.corpus import Corpus
    from actlift.evaluation.scores import GENERALIST
    from actlift.lifting.conditional import ConditionalLifter
    from actlift.lifting.predict import LifterPredictor, load_lifter
    from actlift.recognition.prediction import load_recognizer
    from actlift.report.figures import save_drawing
    from actlift.report.study_page import data_note
    from actlift.report.switching_page import drawing, print_switching
    from actlift.study.switching import measure_switching
    from actlift.training.run import Run, environment

    runs = {arm: Run.open(study / "runs" / f"{arm}-seed{seed}") for arm in (GENERALIST.arm, "conditioned")}
    identity = runs["conditioned"].config["identity"]
    opened = Corpus.open(corpus)
    if opened.digest != identity["corpus"]:
        raise InputError(f"{study} was made from another corpus than {corpus}: give that one")
    trained_on, actions = set(identity["trained_on"]["subjects"]), identity["trained_on"]["actions"]
    whose = [s for s in opened.subjects if (s in trained_on) == (people == "training")]
    chosen = opened.select(subjects=whose, predicate=lambda view: view.action in actions)
    recognizing = Run.open(recognizer) if recognizer else None
    if recognizing and (seen := sorted(set(whose) & set(recognizing.config["identity"]["trained_on"]["subjects"]))):
        raise InputError(f"{recognizer} was trained on {', '.join(seen)}: its labels of them would be no test")
    found = measure_switching(
        ConditionalLifter.from_network(load_lifter(runs["conditioned"]), actions),
        LifterPredictor(load_lifter(runs[GENERALIST.arm])),
        chosen.views,
        load_recognizer(recognizing) if recognizing else None,
        clips=clips,
        seed=seed,
    )
    print_switching(CONSOLE, found.table, found.scenes, found.recognized)
    CONSOLE.print(f"{people} people, seed {seed}; {data_note(opened.provenance)}", soft_wrap=True)
    if out:
        about = {"study": str(study), "recognizer": str(recognizer) if recognizer else None, "people": whose}
        found.save(out / "switching.json", {**about, "seed": seed, "corpus": opened.digest, **environment()})
        save_drawing(out, drawing(found.traces, found.scenes))
        CONSOLE.print(f"written to {out}: switching.json and figures", soft_wrap=True)


@app.command
def export(run: Path, *, out: Path, member: str | None = None) -> None:
    """Write a network of a run as an ONNX file, for runtimes without torch. Needs `pip install actlift[onnx]`.

    It takes (batch, frames, joints, 2) to (batch, frames - receptive field + 1, joints, 3), for any batch and length;
    skeleton, receptive field and units stand in the file's metadata.

    For example:

        actlift export runs/generalist --out generalist.onnx
        actlift export studies/first/runs/experts-each-seed0 --member Walking --out walking.onnx

    Parameters
    ----------
    run
        The run folder.
    out
        The file to write.
    member
        Which of the run's networks, where it holds several.
    """
    from actlift.lifting.onnx import export_onnx
    from actlift.lifting.predict import load_lifter
    from actlift.models.base import parameter_count
    from actlift.training.run import Run

    lifter = load_lifter(Run.open(run), member)
    export_onnx(lifter, out)
    CONSOLE.print(
        f"{out}: {lifter.receptive_field} frames receptive field, {parameter_count(lifter):,} parameters",
        soft_wrap=True,
    )


@app.command(name="recognize")
def recognize_verb(
    corpus: Path,
    out: Path,
    *,
    test_subjects: list[str],
    lifter: Path | None = None,
    receptive_field: int = 81,
    channels: int = 128,
    causal: bool = False,
    steps: int = 2000,
    batch: int = 128,
    folds: int = 8,
    seed: int = 0,
    save_every_s: float = 30.0,
) -> None:
    """Train a recognizer of actions from 2D keypoints, and from the poses of a lifter where one is given; calibrate it,
    and tell how right it is on unseen people.

    Actions that only one side of the split does are left out. Nothing is chosen on the test people: probabilities are
    calibrated on training people whom networks trained beside leave out. Resumes where it stopped.

    For example:

        actlift recognize corpus runs/recognizer --test-subjects S7 S8
        actlift recognize corpus runs/lifted --test-subjects S7 S8 --lifter runs/generalist
        actlift recognize corpus runs/live --test-subjects S7 S8 --receptive-field 27 --causal

    Parameters
    ----------
    corpus
        The corpus folder.
    out
        The run folder.
    test_subjects
        People held out: no frame of theirs is trained on, all are scored.
    lifter
        The run folder of a lifter, trained without the test people, whose poses are seen beside the keypoints.
    receptive_field
        Frames of a window.
    channels
        Hidden channels.
    causal
        See the past only.
    steps
        Optimizer steps of each network.
    batch
        Windows of a step.
    folds
        Networks trained beside, each of which leaves out some people; fewer where there are fewer people.
    seed
        Of initial weights, order, flips and dropout.
    save_every_s
        Seconds between saved states.
    """
    from actlift.data.corpus import Corpus
    from actlift.lifting.predict import load_lifter
    from actlift.recognition.accuracy import measure
    from actlift.recognition.prediction import load_recognizer
    from actlift.recognition.training import train_recognizer
    from actlift.report.study_page import data_note
    from actlift.training.run import Run

    training, test = Corpus.open(corpus).split(test_subjects, shared_actions_only=True)
    lifting = None if lifter is None else Run.open(lifter)
    if lifting and (seen := sorted(set(test_subjects) & set(lifting.config["identity"]["trained_on"]["subjects"]))):
        raise InputError(f"{lifter} was trained on {', '.join(seen)}: poses of them would be no test; give another one")
    with _progress() as show:
        run = train_recognizer(
            out,
            training,
            model={"receptive_field": receptive_field, "channels": channels, "causal": causal},
            lifter=load_lifter(lifting) if lifting else None,
            budget=Budget(steps, batch),
            folds=folds,
            seed=seed,
            save_every_s=save_every_s,
            on_progress=lambda progress: show(f"training {out}", progress),
        )
    recognized = load_recognizer(run)
    found = measure(recognized([v.keypoints for v in test.views]), test.views, recognized.actions)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"{out} on {', '.join(test.subjects)}", title_justify="left")
    for column in ("", "top-1", "mean over actions", "top-3", "calibration error", "number"):
        table.add_column(column, justify="right" if column else "left")
    for name, of in (("frames", found.frames), ("clips, as each camera saw them", found.clips)):
        shares = (of.top1, of.mean_over_actions, of.top3, of.calibration_error)
        table.add_row(name, *(f"{share:.1%}" for share in shares), f"{of.count:,}")
    CONSOLE.print(table)
    for action, row in zip(found.actions, found.confusion, strict=True):
        taken = [f"{found.actions[i]} {row[i]:.0%}" for i in (-row).argsort()[:4] if row[i] >= 0.01]
        CONSOLE.print(f"{action} is taken for {', '.join(taken)}")
    CONSOLE.print(data_note(test.provenance))


@app.command(name="study")
def study_verb(
    corpus: Path,
    out: Path,
    *,
    preset: Preset | None = None,
    scale: float = 1.0,
    receptive_fields: tuple[int, ...] = (),
    plan: Annotated[Plan, Parameter(name="*")],
) -> None:
    """Train and score generalist, experts and controls under equal budgets, and say who wins and how sure that is.

    With a preset: the paper's whole comparison, ending in its tables and a verdict on each of its claims, or (preset
    action-aware) what a network gains that is told the action. Running it again resumes what is unfinished and retrains
    nothing that is done; seeds (and without a preset arms and matchings) can be added.

    For example:

        actlift study corpus studies/first --test-subjects S7 S8 --budget.steps 6000
        actlift study corpus studies/first --test-subjects S7 S8 --arms cluster-experts --matching total per_model
        actlift study corpus studies/scarce --test-subjects S7 S8 --matching frames --frames 7600 --budget.steps 800
        actlift study corpus studies/first --config study.yaml
        actlift study corpus studies/fair --test-subjects S7 S8 --preset fair --receptive-fields 1 27
        actlift study corpus studies/paper --test-subjects S7 S8 --preset paper --scale 0.02
        actlift study corpus studies/scarce --test-subjects S7 S8 --preset action-oriented
        actlift study corpus studies/aware --test-subjects S7 S8 --preset action-aware --receptive-fields 27

    Parameters
    ----------
    corpus
        The corpus folder.
    out
        The study folder.
    preset
        paper: as the paper's authors ran it. fair: equal steps, both matchings, controls. action-oriented: equal
        training frames, several amounts. action-aware: one network told the action, recognized, known, missing or
        wrong, at several steps. Each chooses arms, matchings, receptive fields and steps itself.
    scale
        Of a preset's numbers of steps: 0.1 trains a tenth as long, and the report says so.
    receptive_fields
        Which of a preset's receptive fields; all of them (1 27 243; 27 for action-oriented; 27 81 for action-aware)
        where left out.
    """
    if preset is not None:
        _suite(corpus, out, preset, plan, scale, receptive_fields)
        return
    if scale != 1.0 or receptive_fields:
        raise InputError(f"--scale and --receptive-fields belong to a preset: give --preset {' or '.join(PRESETS)}")
    study(corpus, out, plan=plan)


@app.command(name="report")
def report_verb(study: Path) -> None:
    """Write report.html of a study again, and print its tables; of a preset's study also tables and figures as files.

    A study with labels also gets labels.html. Of preset action-aware the studies that are finished are shown.

    For example:

        actlift report studies/first

    Parameters
    ----------
    study
        The study folder.
    """
    if (study / "suite.json").exists():
        _suite_report(study)
    else:
        _report(study)


@app.command
def advise(
    studies: list[Path],
    *,
    metric: Literal["mpjpe", "n_mpjpe", "mpjve"] = "mpjpe",
    receptive_field: int | None = None,
    frames: int | None = None,
    steps: int | None = None,
    labels: Literal["oracle", "predicted"] | None = None,
    out: Path | None = None,
) -> None:
    """Say for each action whether to train an expert of its own, tell one network the action, or stay general.

    Reads finished studies, trains nothing. Prints what each choice is expected to gain over the generalist and how sure
    that is, and where the answer changes with training frames or steps; writes advice.json and figures.

    For example:

        actlift advise studies/scarce
        actlift advise studies/scarce --frames 5000 --steps 400
        actlift advise studies/seed0 studies/seed1 studies/seed2 --labels oracle --out advice

    Parameters
    ----------
    studies
        Folders of finished studies, or of presets' studies; studies that differ in their seeds only are joined.
    metric
        The error that advice rests on; position and velocity stand side by side in any case.
    receptive_field
        Frames that one output sees, one of those studied.
    frames
        Training frames of every network, within the numbers studied. What is left out of the receptive field, frames
        and steps is that of the study whose generalist errs least.
    steps
        Optimizer steps of the generalist, within the numbers studied.
    labels
        Which action networks are told. oracle: the true one, where somebody knows it beforehand. predicted: the one
        recognized in the 2D keypoints; chosen where it was scored and this is left out.
    out
        Folder for advice.json and figures; the first study's where left out.
    """
    from actlift.report.advice import advise as advice_of
    from actlift.report.advice_print import print_advice, write_advice

    advice = advice_of(
        studies, metric=metric, receptive_field=receptive_field, frames=frames, steps=steps, labels=labels
    )
    path = write_advice(out or studies[0], advice)
    print_advice(CONSOLE, advice)
    CONSOLE.print(f"advice: {path}", soft_wrap=True)


@app.command(name="audit")
def audit_verb(table: Path | None = None, *, out: Path | None = None) -> None:
    """Check printed tables against themselves: averages, percentages, repeated cells, rates, units, unequal costs.

    Errors cannot follow from the figures, suspicions only look wrong, notes tell what holds. Findings are results: they
    are no failure of the command.

    For example:

        actlift audit
        actlift audit paper --out findings.md
        actlift audit table.csv --out findings.csv

    Parameters
    ----------
    table
        A CSV file: one row per model, first columns of names (table, metric, unit, source and claim have a meaning),
        then one column per action and perhaps their average. The paper's tables where left out, or for the word paper.
    out
        Also write the findings to this .csv or .md file.
    """
    from actlift.report.audit import audit_csv, audit_paper, check_writable, print_findings, read_paper, write_findings

    if out:
        check_writable(out)
    findings = audit_paper(read_paper()) if table in (None, Path("paper")) else audit_csv(table)
    print_findings(CONSOLE, findings)
    if out:
        write_findings(out, findings)
        CONSOLE.print(f"findings written to {out}", soft_wrap=True)


def study(corpus: Path, out: Path, *, plan: Plan) -> None:
    """Run a study with a progress bar, then write and print its report."""
    from actlift.data.corpus import Corpus
    from actlift.study.experiment import Progress, run_study

    with _progress() as show:

        def on_progress(at: Progress) -> None:
            label = f"{at.number}/{at.jobs} {at.job.variant}, seed {at.job.seed}"
            show(label, at.moment, (at.windows, at.windows_total))

        run_study(out, Corpus.open(corpus), plan, on_progress=on_progress)
    _report(out)


def _suite(corpus: Path, out: Path, preset: str, plan: Plan, scale: float, receptive_fields: tuple[int, ...]) -> None:
    """Run a preset's studies with a progress bar, then write and print its report."""
    from actlift.data.corpus import Corpus
    from actlift.study.experiment import Progress
    from actlift.study.suite import run_suite

    with _progress() as show:

        def on_progress(setting: str, at: Progress) -> None:
            label = f"{at.number}/{at.jobs} {setting} {at.job.variant}, seed {at.job.seed}"
            show(label, at.moment, (at.windows, at.windows_total))

        run_suite(
            out,
            Corpus.open(corpus),
            preset,
            plan,
            scale=scale,
            receptive_fields=receptive_fields,
            on_progress=on_progress,
        )
    _suite_report(out)


def _suite_report(folder: Path) -> None:
    """Write everything a preset's report has, and print its tables and verdicts."""
    from actlift.report.labels_page import PRESET, LabelsReport, print_labels, write_labels_report
    from actlift.report.results import read_about
    from actlift.report.suite_page import SuiteReport, print_suite, write_suite_report

    if read_about(folder)["preset"] == PRESET:
        of_labels = LabelsReport.open(folder)
        page = write_labels_report(of_labels)
        print_labels(CONSOLE, of_labels)
    else:
        report = SuiteReport.open(folder)
        page = write_suite_report(report)
        print_suite(CONSOLE, report)
    CONSOLE.print(f"report: {page}", soft_wrap=True)


@contextmanager
def _progress() -> Iterator[Callable[..., None]]:
    """Shows how far training is: bars with the time left in a terminal, elsewhere a line every half minute.

    What it yields takes a label, a moment, and, for one of several trainings, the windows seen and to see in all.
    """
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(bar_width=None),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("ETA"),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("{task.fields[speed]}", markup=False),
    )
    terminal = CONSOLE.is_terminal
    tasks: dict[str, rich.progress.TaskID] = {}
    current, said = "", time.perf_counter()
    with rich.progress.Progress(
        *columns, console=CONSOLE, expand=True, speed_estimate_period=120, disable=not terminal
    ) as bars:

        def bar(row: str, label: str, seen: int, total: int, speed: str = "") -> None:
            if row not in tasks:
                tasks[row] = bars.add_task(label, total=total, speed=speed)
            elif row == "one" and label != current:
                bars.reset(tasks[row])
            bars.update(tasks[row], description=label, completed=seen, total=total, speed=speed)

        def show(label: str, moment: "TrainProgress", whole: tuple[int, int] | None = None) -> None:
            nonlocal current, said
            speed = f"{moment.loss:.1f} {moment.unit} {moment.windows_per_second:,.0f} windows/s"
            if terminal:
                if whole:
                    bar("all", "the whole study", *whole)
                bar("one", label, moment.windows, moment.windows_total, speed)
            elif moment.windows == moment.windows_total or time.perf_counter() - said > LINE_EVERY_S:
                so_far = f", {whole[0] / whole[1]:.0%} of the whole study" if whole else ""
                CONSOLE.print(f"{label}: {moment.windows / moment.windows_total:.0%}, {speed}{so_far}")
                said = time.perf_counter()
            current = label

        yield show


@contextmanager
def _resumes(how: str) -> Iterator[None]:
    """Says at Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how) from None


def _size(text: str | None) -> tuple[int, int] | None:
    """1920x1080 as two numbers."""
    if text is None:
        return None
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise InputError(f"a size is a width and a height in pixels, as in 1920x1080; got {text}")
    return int(width), int(height)


def _film(source: Path) -> Path | None:
    """The source, where it is a video that can be read again."""
    from actlift.video.decode import is_live
    from actlift.video.keypoints import is_keypoints

    return None if is_keypoints(source) or is_live(source) else source


def _print_poses(poses: "list[LivePose]") -> None:
    for pose in poses:
        record = {
            "time_s": round(pose.time_s, 4),
            "person": pose.person,
            "pose3d_cam": pose.pose3d_cam.round(4).tolist(),
        }
        print(json.dumps(record), flush=True)


def _print_motion(motion: "Motion") -> None:
    """Who was seen how long, what was done when, and what is not to be trusted."""
    stop_s = motion.start_s + motion.frames / motion.fps
    about = motion.about
    CONSOLE.print(
        f"person {motion.person}: {motion.start_s:.1f} to {stop_s:.1f} s, {motion.frames} frames at {motion.fps:g} per "
        f"second; {about['lifter']}; scale {about['scale']}; camera {about['camera']}",
        soft_wrap=True,
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("from", "to", "action", "probability"):
        table.add_column(column, justify="left" if column == "action" else "right")
    for part in motion.action_timeline:
        table.add_row(f"{part.start_s:.2f} s", f"{part.stop_s:.2f} s", part.label, f"{part.probability:.0%}")
    CONSOLE.print(table)
    for part in motion.warnings:
        CONSOLE.print(f"warning: {part.start_s:.1f} to {part.stop_s:.1f} s: {part.label}", soft_wrap=True)


@contextmanager
def _stages() -> Iterator[Callable[[str, int, int | None], None]]:
    """Shows how far the stages of a work are: bars with the time left in a terminal, elsewhere a line now and then."""
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(bar_width=None),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("ETA"),
        rich.progress.TimeRemainingColumn(),
    )
    tasks: dict[str, rich.progress.TaskID] = {}
    began: dict[str, float] = {}
    said = time.perf_counter()
    with rich.progress.Progress(*columns, console=CONSOLE, expand=True, disable=not CONSOLE.is_terminal) as bars:

        def show(stage: str, done: int, total: int | None) -> None:
            nonlocal said
            now = time.perf_counter()
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
                began[stage] = now
            bars.update(tasks[stage], completed=done, total=total)
            if not CONSOLE.is_terminal and (done == total or now - said > LINE_EVERY_S):
                left = (
                    f" of {total}, {(now - began[stage]) * (total - done) / max(done, 1):.0f} s left" if total else ""
                )
                CONSOLE.print(f"{stage}: {done}{left}")
                said = now

        yield show


def _report(folder: Path) -> None:
    """Write report.html of a study folder, and labels.html where it has labels; print its tables, what the arms are,
    who wins, and where the page is."""
    from actlift.evaluation.scores import Scores
    from actlift.files import read_json
    from actlift.report.labels_page import LabelsReport, write_labels_report
    from actlift.report.page import HEADLINES, verdict
    from actlift.report.results import read_arms
    from actlift.report.study_page import data_note, write_study_page
    from actlift.report.tables import print_arms_table
    from actlift.report.words import variant_note

    if (folder / "labels.parquet").is_file():
        write_labels_report(LabelsReport.open(folder))  # the study's page links it
    page = write_study_page(folder)
    scores = Scores.read(folder / "scores.parquet")
    for name in HEADLINES:
        print_arms_table(CONSOLE, scores, name)
    about = read_json(folder / "study.json")
    arms = read_arms(about)
    told = [f"{variant}: {variant_note(variant, arms)}." for variant in scores.variants]
    told += ["", *(f"{verdict(scores, name, what).text}" for name, what in HEADLINES.items())]
    told += ["", data_note(about["provenance"]), ""]
    for line in told:
        CONSOLE.print(line)
    CONSOLE.print(f"report: {page}", soft_wrap=True)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[
        Path | None, Parameter(help="YAML file with the options of the verb; the command line wins.")
    ] = None,
) -> None:
    app.config = (*([] if config is None else [_read_config(config)]), _whole_numbers_only)
    app(tokens)


def _read_config(path: Path) -> cyclopts.config.Dict:
    """The options in a YAML file, as keys of the verb: `budget: {steps: 6000}` is `--budget.steps 6000`."""
    try:
        with path.open("rb") as stream:
            options = yaml.safe_load(stream)
    except FileNotFoundError:
        raise MissingInputError(f"{path}: no such file; --config takes a YAML file of options") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise InputError(f"{path}: wanted options such as `seed: 1`, one a line; got {type(options).__name__}")
    if verbs := [key for key in options if key in app]:
        raise InputError(f"{path}: unknown option [{verbs[0]}]; the options of one verb stand there, without its name")
    return cyclopts.config.Dict(options, source=str(path), use_commands_as_keys=False)


def _whole_numbers_only(_app: cyclopts.App, _commands: tuple[str, ...], arguments: Any) -> None:
    """Refuse 2.5 where a whole number is wanted, which would otherwise be rounded."""
    for argument in arguments:
        if int in (argument.hint, *get_args(argument.hint)):
            for token in argument.tokens:
                if "." in token.value:
                    raise cyclopts.CoercionError(argument=argument, token=token, target_type=int)


def main() -> None:
    """The command ``actlift``: errors about input are one clear line, Ctrl-C says how to resume."""

    def stop(why: object, code: int) -> NoReturn:
        line = f"actlift: {' '.join(str(why).split())}"
        Console(stderr=True).print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(code)

    def warn(message: Warning | str, *_: object, **__: object) -> None:
        Console(stderr=True).print(f"actlift: warning: {message}", markup=False, highlight=False, soft_wrap=True)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn
            app.meta(sys.argv[1:])
    except cyclopts.CycloptsError as error:
        error.verbose = False
        verb = " ".join(("actlift", *(error.command_chain or ())))
        stop(f"{error} `{verb} --help` lists what there is.", 1)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        stop(error, 1)
    except KeyboardInterrupt as interrupt:  # train.Interrupted is one, and says how to resume
        stop(str(interrupt) or "stopped", 130)
