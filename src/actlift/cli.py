"""The verbs: ``actlift demo | data prepare | data info | train | evaluate | study | report``."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
import rich.progress
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from actlift import __version__
from actlift.budget import Budget
from actlift.plan import Network, Plan

CONSOLE = Console(width=None if sys.stdout.isatty() else 120)
DATA_NOTE = "2D keypoints are projections of motion capture by virtual cameras (synthetic keypoints), {keypoints}."

app = cyclopts.App(
    name="actlift",
    help="Lift 2D human keypoints to 3D motion with networks that know the action, and measure when that pays.",
    version=__version__,
    help_format="markdown",
)
corpus_app = cyclopts.App(name="data", help="Make corpora out of motion capture, and look at them.")
app.command(corpus_app)


@app.command
def demo(out: Path = Path("out/demo"), *, steps: int = 1900, seeds: tuple[int, ...] = (0, 1)) -> None:
    """The whole comparison on motions that actlift makes itself: a few minutes, no download, a report to open.

    Examples:

        actlift demo
        actlift demo out/quick --steps 400 --seeds 0

    Parameters
    ----------
    out
        Folder of the corpus, the study and the report; running again resumes.
    steps
        Optimiser steps of the generalist.
    seeds
        One training of every arm for each.
    """
    from actlift.data.corpus import Corpus

    folder = out / "corpus"
    if not (folder / "manifest.json").exists():
        data_prepare(["synthetic"], out=folder, keypoints="independent")
    subjects = Corpus.open(folder).subjects
    plan = Plan(
        test_subjects=subjects[-2:],
        arms=("generalist", "experts", "random-experts"),
        equalities=("pooled", "each"),
        seeds=seeds,
        budget=Budget(steps),
        network=Network(receptive_field=27, channels=64),
    )
    study(folder, out / "study", plan=plan)


@corpus_app.command(name="prepare")
def data_prepare(
    sources: list[str],
    *,
    out: Path,
    rig: Literal["ring", "random"] = "ring",
    cameras: int = 4,
    keypoints: Literal["exact", "independent", "detector"] = "independent",
    sigma_px: float = 3.0,
    fps: float | None = None,
    seed: int = 0,
    exclude: Path | None = None,
    max_speed: float = 12.0,
) -> None:
    """Turn motion capture into a corpus: clips seen by virtual cameras, in memory-mapped arrays beside a manifest.

    Examples:

        actlift data prepare synthetic --out corpus
        actlift data prepare cmu.npz hdm05.npz --out corpus --keypoints independent --sigma-px 3
        actlift data prepare asfamc/cmu02 --out corpus --fps 60 --rig random --keypoints detector

    Parameters
    ----------
    sources
        A mocap .npz, a folder of one ASF and its AMC files, or the word "synthetic"; several make one corpus.
    out
        Folder of the corpus, which appears whole or not at all.
    rig
        ring: four cameras about the person as in Human3.6M. random: seeded random cameras.
    cameras
        Cameras of the rig.
    keypoints
        exact projections; independent: Gaussian noise of sigma-px; detector: the detector-noise model.
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
    from actlift.data.prepare import prepare, read_exclusions
    from actlift.keypoints2d import DetectorNoise, Exact, IndependentNoise

    observers: dict[str, Exact | IndependentNoise | DetectorNoise] = {
        "exact": Exact(),
        "independent": IndependentNoise(sigma_px),
        "detector": DetectorNoise(),
    }
    began = time.perf_counter()
    with CONSOLE.status(f"preparing {out}"):
        prepare(
            sources,
            out,
            rig=rig,
            cameras=cameras,
            keypoints=observers[keypoints],
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

    Examples:

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
    cameras = {v.camera_name for v in opened.views}
    table = Table(title="frames of motion (each seen by every camera)", title_justify="left")
    table.add_column("action")
    for subject in opened.subjects:
        table.add_column(subject.removeprefix("CMUx_"), justify="right", overflow="fold")
    table.add_column("all", justify="right", style="bold")
    first = min(cameras)
    for action in opened.actions:
        own = [v for v in opened.views if v.action == action and v.camera_name == first]
        counts = [sum(v.frames for v in own if v.subject == s) for s in opened.subjects]
        table.add_row(action, *(f"{c:,}" if c else "·" for c in counts), f"{sum(counts):,}")
    CONSOLE.print(table)
    clips = {v.clip for v in opened.views}
    CONSOLE.print(
        f"{len(clips)} clips, {len(opened.views)} views by {len(cameras)} cameras, {opened.frames:,} frames at "
        f"{opened.fps:g} fps, {len(opened.subjects)} subjects, {len(opened.actions)} actions"
    )
    for row in opened.exclusions:
        CONSOLE.print(
            f"left out: {row.clip} ({row.camera}) frames {row.first} to {row.last}: {row.reason}", highlight=False
        )
    CONSOLE.print(f"digest {opened.digest[:16]}{' (verified)' if verify else ''}", highlight=False)


@app.command(name="train")
def train_verb(
    corpus: Path,
    out: Path,
    *,
    test_subjects: list[str],
    actions: list[str] | None = None,
    budget: Budget = Budget(6000),  # noqa: B008 - frozen
    network: Network = Network(),  # noqa: B008 - frozen
    seed: int = 0,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    save_every_s: float = 30.0,
) -> None:
    """Train one lifter, a generalist or the expert of some actions, into a run folder. Resumes where it stopped.

    Examples:

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
        Optimiser steps, and windows of a step.
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
    from actlift.train import Member, train

    training, _ = Corpus.open(corpus).split(test_subjects)
    if actions:
        training = training.select(actions=actions)
    name = "+".join(actions) if actions else "everything"
    with _bar() as bar:
        task = bar.add_task(f"training {name}", total=budget.windows, loss="")
        run = train(
            out,
            training,
            [Member(name, rows_of(training.views), budget)],
            model=network.keywords(),
            seed=seed,
            precision=precision,
            device=device,
            save_every_s=save_every_s,
            watch=lambda m: bar.update(
                task, completed=m.windows, loss=f"{m.loss_mm:.1f} mm {m.windows_per_second:,.0f} windows/s"
            ),
        )
    identity = run.config["identity"]
    CONSOLE.print(
        f"{out}: done, {identity['precision']} on {identity['device']}; `actlift evaluate {out} {corpus}` scores it"
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

    Examples:

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
    from actlift.evaluate import evaluate
    from actlift.metrics import METRICS, metric
    from actlift.predict import Lifted, load_lifter
    from actlift.report.tables import arms_table
    from actlift.run import Run

    opened = Run.open(run)
    for name in metrics or ():
        metric(name)
    everything = Corpus.open(corpus)
    trained_on = set(opened.config["identity"]["trained_on"]["subjects"])
    unseen = [s for s in everything.subjects if s not in trained_on]
    if seen := sorted(set(subjects or ()) & trained_on):
        raise ValueError(
            f"{run} was trained on {', '.join(seen)}: scores on them say nothing. Unseen: {', '.join(unseen)}"
        )
    if not unseen:
        raise ValueError(f"{run} was trained on everybody in {corpus}: there is nobody to score it on")
    chosen = everything.select(subjects=subjects or unseen, actions=actions)
    if everything.digest != opened.config["identity"]["corpus"]:
        CONSOLE.print(f"note: {run} was trained on another corpus than {corpus}")
    scores = evaluate(
        Lifted(load_lifter(opened, member), flip=flip),
        chosen.views,
        arm=run.name,
        seed=opened.config["identity"]["seed"],
        run=str(run),
        metrics=metrics or tuple(METRICS),
    )
    table = Table(title=f"{run} on {', '.join(chosen.subjects)}", title_justify="left")
    table.add_column("action")
    columns = {name: arms_table(scores, name).iloc[0] for name in scores.metrics}
    for name in columns:
        table.add_column(f"{metric(name).title}\n{metric(name).unit}", justify="right")
    for action in next(iter(columns.values())).index:
        table.add_row(str(action), *(f"{column[action]:.2f}" for column in columns.values()))
    CONSOLE.print(table)
    if out:
        scores.save(out)
        CONSOLE.print(f"scores written to {out}")


@app.command(name="study")
def study_verb(corpus: Path, out: Path, *, plan: Annotated[Plan, Parameter(name="*")]) -> None:
    """Train and score generalist, experts and controls under equal budgets, and say who wins and how sure that is.

    Running it again resumes what is unfinished and retrains nothing that is done; arms, equalities and seeds can be
    added.

    Examples:

        actlift study corpus studies/first --test-subjects S7 S8 --budget.steps 6000
        actlift study corpus studies/first --test-subjects S7 S8 --arms experts cluster-experts --equalities pooled each
        actlift study corpus studies/scarce --test-subjects S7 S8 --equalities frames --frames 7600 --budget.steps 800
        actlift study corpus studies/first --config study.yaml

    Parameters
    ----------
    corpus
        The corpus folder.
    out
        The study folder.
    """
    study(corpus, out, plan=plan)


@app.command(name="report")
def report_verb(study: Path) -> None:
    """Write report.html of a study again, and print its tables.

    Examples:

        actlift report studies/first

    Parameters
    ----------
    study
        The study folder.
    """
    _report(study)


def study(corpus: Path, out: Path, *, plan: Plan) -> None:
    """Run a study with a progress bar, then write and print its report."""
    from actlift.data.corpus import Corpus
    from actlift.study import Progress, run_study

    with _bar() as bar:
        whole = bar.add_task("the whole study", total=None, loss="")
        current = bar.add_task("", total=None, loss="")

        def watch(progress: Progress) -> None:
            moment = progress.moment
            bar.update(whole, completed=progress.windows, total=progress.windows_total)
            bar.update(
                current,
                description=f"{progress.number}/{progress.jobs} {progress.job.label}, seed {progress.job.seed}",
                completed=moment.windows,
                total=moment.windows_total,
                loss=f"{moment.loss_mm:.1f} mm {moment.windows_per_second:,.0f} windows/s",
            )

        run_study(out, Corpus.open(corpus), plan, watch=watch)
    _report(out)


@contextmanager
def _bar() -> Iterator[rich.progress.Progress]:
    """A progress bar with loss, speed and time left; a plain line now and then where there is no terminal."""
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("ETA"),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
        rich.progress.TextColumn("{task.fields[loss]}"),
    )
    with rich.progress.Progress(*columns, console=CONSOLE, speed_estimate_period=120) as bar:
        yield bar


def _report(folder: Path) -> None:
    """Write report.html of a study folder and print its tables."""
    from actlift.report.study import write_study_page
    from actlift.report.tables import print_arms_table
    from actlift.scores import Scores

    scores = Scores.read(folder / "scores.parquet")
    for name in ("mpjpe", "mpjve"):
        print_arms_table(CONSOLE, scores, name)
    CONSOLE.print(f"report: {write_study_page(folder)}", highlight=False, soft_wrap=True)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[
        Path | None, Parameter(help="YAML file with the options of the verb; the command line wins.")
    ] = None,
) -> None:
    if config is not None:
        app.config = cyclopts.config.Yaml(config, must_exist=True, use_commands_as_keys=False)
    app(tokens)


def main() -> None:
    """The command ``actlift``: errors about input are one clear line, Ctrl-C says how to resume."""
    from actlift.train import Interrupted

    errors = Console(stderr=True)
    try:
        app.meta()
    except (ValueError, OSError) as error:
        errors.print(f"actlift: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except (Interrupted, KeyboardInterrupt) as stop:
        errors.print(f"actlift: {stop or 'stopped'}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(130)
