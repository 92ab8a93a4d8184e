"""The verbs of one network: train it, fine-tune it, score it, write it; and train what recognizes actions."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from actlift.cli import console
from actlift.errors import InputError
from actlift.models.options import Network
from actlift.training.budget import Budget, Exponential, Schedule
from actlift.training.settings import Device, Precision

if TYPE_CHECKING:
    from actlift.data.corpus import View
    from actlift.evaluation.scores import Scores
    from actlift.lifting.conditional import ConditionalLifter
    from actlift.recognition.coupled import Round


def train_verb(
    corpus: Path,
    out: Path,
    *,
    test_subjects: list[str],
    actions: list[str] | None = None,
    subset: float = 1.0,
    steps: int = Budget.steps,
    batch: int = Budget.batch,
    learning_rate: float | None = None,
    network: Annotated[Network, Parameter(name="*")] = Network(),  # noqa: B008 - frozen
    seed: int = 0,
    precision: Precision = "auto",
    device: Device = "auto",
    save_every_s: float = 30.0,
) -> None:
    """Train one lifter, a generalist or the expert of some actions, into a run folder. Resumes where it stopped.

    For example:

        actlift train corpus runs/generalist --test-subjects S7 S8 --steps 6000
        actlift train corpus runs/walking --test-subjects S7 --actions Walking --receptive-field 81
        actlift train corpus runs/little --test-subjects S7 S8 --subset 0.1 --learning-rate 2e-3

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
    subset
        Share of the training frames, 0 to 1: whole clips with all their cameras, drawn by the seed. A smaller share is
        a part of a larger one.
    steps
        Optimizer steps.
    batch
        Windows of a step.
    learning_rate
        At the beginning; it falls to a tenth of that. Where left out, 0.005.
    network
        The temporal convolution network.
    seed
        Of initial weights, order, flips and dropout, and of the subset.
    precision
        Of activations and products; auto is bfloat16 where the processor multiplies it natively.
    device
        Where to train; auto is a GPU where there is one.
    save_every_s
        Seconds between saved states.
    """
    from actlift.data.corpus import Corpus
    from actlift.data.windows import rows_of
    from actlift.training.loop import LEARNING_RATE, ModelSpec, train

    training, _ = Corpus.open(corpus).split(test_subjects)
    if actions:
        training = training.select(actions=actions)
    training = training.subset(subset, seed)
    name = "+".join(actions) if actions else "everything"
    schedule = _falling(learning_rate, LEARNING_RATE)
    with console.progress() as progress:
        run = train(
            out,
            training,
            [ModelSpec(name, rows_of(training.views), Budget(steps, batch), schedule)],
            model=network.keywords(),
            seed=seed,
            precision=precision,
            device=device,
            save_every_s=save_every_s,
            on_progress=lambda at: progress.training(f"training {name}", at),
        )
    console.say(
        f"{out}: done, {run.identity.precision} on {run.identity.device}; `actlift evaluate {out} {corpus}` scores it",
    )


def _falling(learning_rate: float | None, usual: Schedule) -> Schedule:
    """Make the schedule that falls from a learning rate to a tenth of it, or take the usual one where none is given."""
    if learning_rate is None:
        return usual
    if not 0 < learning_rate < math.inf:
        raise InputError(f"a learning rate is a positive number, such as 0.005; got {learning_rate:g}")
    return Exponential(learning_rate, learning_rate / 10)


def finetune_verb(
    run: Path,
    corpus: Path,
    out: Path,
    *,
    action: str,
    test_subjects: tuple[str, ...] = (),
    test_share: float = 0.34,
    steps: int = 300,
    batch: int = Budget.batch,
    learning_rate: float | None = None,
    seed: int = 0,
    precision: Precision = "auto",
    device: Device = "auto",
) -> None:
    """Fine-tune a trained network on your own action, and tell what that is worth on clips or people held out.

    `actlift data prepare` makes a corpus of your clips (mocap .npz, ASF/AMC). The result is a network for this action
    alone, which `evaluate` and `export` take; for all else the old one is kept.

    For example:

        actlift finetune runs/generalist soccer runs/soccer --action Soccer
        actlift finetune runs/generalist corpus runs/dance --action Dancing --test-subjects S9

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
    learning_rate
        At the beginning; it falls to a tenth of that. Where left out, 0.001.
    seed
        Of the order and of the clips held out.
    precision
        Of activations and products; auto is bfloat16 where the processor multiplies it natively.
    device
        Where to train; auto is a GPU where there is one.
    """
    from actlift.data.corpus import Corpus
    from actlift.evaluation.metrics import metric
    from actlift.evaluation.scores import MEAN_OVER_PEOPLE
    from actlift.report.tables import interval, judgment, number, signed
    from actlift.study.finetune import AFTER, BEFORE, METRICS, finetune
    from actlift.training.frozen_bn import LEARNING_RATE
    from actlift.training.run import Run

    schedule = _falling(learning_rate, LEARNING_RATE)
    with console.progress() as progress:
        found = finetune(
            out,
            Run.open(run),
            Corpus.open(corpus),
            action,
            test_subjects=test_subjects,
            test_share=test_share,
            budget=Budget(steps, batch),
            learning_rate=schedule,
            seed=seed,
            precision=precision,
            device=device,
            on_progress=lambda at: progress.training(f"fine-tuning on {action}", at),
        )
    title = f"{action}, {len(found.held_out)} clips held out"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for name, justify in (("", "left"), ("before", "right"), ("after", "right"), ("difference [95 %]", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in METRICS:
        measure = metric(name)
        errors = found.action.per_action(name)[MEAN_OVER_PEOPLE].to_dict()
        row = found.action.compare(name, AFTER, BEFORE).T[MEAN_OVER_PEOPLE]
        style = {"better": "green", "worse": "red", "undecided": "dim"}[judgment(row, measure)]
        difference = Text(f"{signed(row['difference'], measure)} {interval(row, measure)}", style)
        values = (number(errors[arm], measure) for arm in (BEFORE, AFTER))
        table.add_row(f"{measure.title}, {measure.unit}", *values, difference)
    console.CONSOLE.print(table)
    if not test_subjects:
        people = ", ".join(sorted(set(found.action.table["subject"])))
        console.say(
            f"Held-out clips are of {people}, whose other clips were trained on: other people gain less.",
        )
    if found.others is not None:
        errors = found.others.per_action("mpjpe")[MEAN_OVER_PEOPLE].to_dict()
        before, after = (number(errors[arm], metric("mpjpe")) for arm in (BEFORE, AFTER))
        console.say(
            "Other actions of unseen people keep the old network and lose nothing; with the new one they would go from "
            f"{before} to {after} mm MPJPE.",
        )
    console.say(f"{out}: done; `actlift export {out} --out {action.lower()}.onnx` writes it")


def evaluate_verb(
    run: Path,
    corpus: Path,
    *,
    subjects: list[str] | None = None,
    actions: list[str] | None = None,
    metrics: list[str] | None = None,
    member: str | None = None,
    flip: bool = True,
    recognizer: Path | None = None,
    again: Path | None = None,
    rounds: int = 1,
    out: Path | None = None,
) -> None:
    """Score a run on people it was not trained on, per action.

    With a recognizer, a network that takes actions is told what is recognized, and the table is one of rounds: error,
    and how often the recognizer was right, told what keypoints say, then what they say together with the poses of the
    round before.

    For example:

        actlift evaluate runs/generalist corpus
        actlift evaluate studies/aware/runs/conditioned-seed0 corpus --recognizer studies/aware/recognizer
        actlift evaluate runs/conditioned corpus --recognizer runs/recognizer --again runs/of-poses --rounds 3
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
        Which metrics; all where left out: mpjpe, p_mpjpe, n_mpjpe, mpjve, velocity_error_per_s, acceleration_error,
        acceleration_error_per_s2, peak_speed_lost, power_lost, power_added, pck, auc, bone_length_error.
    member
        Which of the run's networks, where it holds several.
    flip
        Average with the prediction for the mirrored input.
    recognizer
        The run folder of a recognizer, which tells a network that takes actions what is done in each clip.
    again
        The run folder of a recognizer that sees poses (`recognize --lifter`) beside keypoints, for rounds after the
        first.
    rounds
        How often to lift: from 2 on the action is recognized again in what was lifted.
    out
        Also write the scores to this Parquet file.
    """
    from actlift.data.corpus import Corpus
    from actlift.evaluation.evaluate import evaluate
    from actlift.evaluation.metrics import METRICS, metric
    from actlift.evaluation.scores import MEAN_OVER_ACTIONS, Variant
    from actlift.lifting.conditional import ConditionalLifter
    from actlift.lifting.predict import LifterPredictor, load_lifter
    from actlift.report.tables import number
    from actlift.training.run import Run, refuse_seen

    opened = Run.open(run)
    everything = Corpus.open(corpus)
    unseen = [s for s in everything.subjects if s not in opened.identity.subjects]
    refuse_seen(opened.identity.subjects, subjects or (), str(run), among=everything.subjects)
    if not unseen:
        raise InputError(f"{run} was trained on everybody in {corpus}: there is nobody to score it on")
    chosen = everything.select(subjects=subjects or unseen, actions=actions)
    if everything.digest != opened.identity.corpus:
        console.say(f"note: {run} was trained on another corpus than {corpus}")
    if recognizer is not None:
        told = opened.identity.actions
        network = load_lifter(opened, member)
        if network.conditions != len(told):
            raise InputError(f"{run} is told no action: give a network that is (`actlift study --arms conditioned`)")
        if metrics:
            raise InputError("rounds are scored in mpjpe and mpjve: leave --metrics out, or --recognizer")
        conditioned = ConditionalLifter.from_network(network, told, flip=flip)
        views = chosen.select(predicate=lambda view: view.action in told).views
        found = _rounds_of(conditioned, views, recognizer, again, rounds)
        _save(_evaluate_rounds(run, conditioned, views, found, opened.identity.seed), out)
        return
    if again is not None or rounds != 1:
        raise InputError("--again and --rounds go on from what --recognizer says: give one")
    scores = evaluate(
        LifterPredictor(load_lifter(opened, member), flip=flip),
        chosen.views,
        variant=Variant(run.resolve().name),
        seed=opened.identity.seed,
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
    console.CONSOLE.print(table)
    _save(scores, out)


def _save(scores: "Scores", out: Path | None) -> None:
    """Write scores where they are asked for."""
    if out:
        scores.save(out)
        console.say(f"scores written to {out}")


def _evaluate_rounds(
    run: Path, conditioned: "ConditionalLifter", views: "Sequence[View]", rounds: "Sequence[Round]", seed: int
) -> "Scores":
    """Print errors, and how often the recognizer was right, told nothing, in each round, and told the truth."""
    from actlift.evaluation.evaluate import score_poses
    from actlift.evaluation.metrics import metric
    from actlift.evaluation.scores import MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES, Scores, Variant
    from actlift.recognition.accuracy import measure
    from actlift.recognition.coupled import ROUND_METRICS
    from actlift.report.tables import number
    from actlift.report.words import metric_name

    name, seen = run.resolve().name, [view.keypoints for view in views]
    told = [("nothing", Variant(name, label="none"), conditioned.unconditioned(seen), "", "")]
    for n, one in enumerate(rounds, 1):
        right = measure(one.posteriors, views, list(conditioned.actions))
        told.append(
            (
                "round 1, keypoints" if n == 1 else f"round {n}, and poses",
                Variant(f"{name}, round {n}", label="predicted" if n == 1 else "coupled"),
                one.poses,
                f"{right.frames.top1:.1%}",
                f"{right.clips.top1:.1%}",
            )
        )
    truth = conditioned.poses(seen, [view.action for view in views])
    told.append(("the true action (oracle)", Variant(name, label="oracle"), truth, "", ""))
    people = ", ".join(sorted({view.subject for view in views}))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"{run} on {people}", title_justify="left")
    table.add_column("told")
    means = [(of, mean) for of in ROUND_METRICS for mean in (MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES)]
    for of, mean in means:
        table.add_column(f"{metric_name(of)}, {metric(of).unit}\n{mean}", justify="right")
    for what in ("frames", "clips"):
        table.add_column(f"{what}\nright", justify="right")
    kept = []
    for words, variant, poses, *right_of in told:
        scores = score_poses(poses, views, variant=variant, seed=seed, run=str(run), metrics=ROUND_METRICS)
        errors = [number(scores.per_action(of)[mean].iloc[0], metric(of)) for of, mean in means]
        table.add_row(words, *errors, *right_of)
        kept.append(scores)
    console.CONSOLE.print(table)
    return Scores.concat(kept)


def _rounds_of(
    conditioned: "ConditionalLifter",
    views: "Sequence[View]",
    recognizer: Path,
    again: Path | None,
    rounds: int,
) -> "list[Round]":
    """Recognize and lift in turns, by trained recognizers of the lifter's actions that saw none of these people."""
    from actlift.recognition.coupled import coupled_rounds
    from actlift.recognition.prediction import load_recognizer
    from actlift.training.run import Run, refuse_seen

    loaded = []
    for folder in filter(None, (recognizer, again)):
        opened = Run.open(folder)
        refuse_seen(opened.identity.subjects, {view.subject for view in views}, str(folder))
        loaded.append(load_recognizer(opened))
        if loaded[-1].actions != tuple(conditioned.actions):
            raise InputError(
                f"{folder} recognizes {', '.join(loaded[-1].actions)}, and the network is told "
                f"{', '.join(conditioned.actions)}: train both on the same people"
            )
    seen = [view.keypoints for view in views]
    of_poses = loaded[1].of_poses if again else None
    return coupled_rounds(conditioned, seen, loaded[0](seen), of_poses, rounds)


def export(run: Path, *, out: Path, member: str | None = None) -> None:
    """Write a network of a run as an ONNX file, for runtimes without torch. Needs `pip install actlift[onnx]`.

    It takes (batch, frames, joints, 2) to (batch, frames - receptive field + 1, joints, 3), for any batch and length;
    skeleton, receptive field and units stand in the file's metadata.

    For example:

        actlift export runs/generalist --out generalist.onnx
        actlift export studies/first/runs/experts-per_model-seed0 --member Walking --out walking.onnx

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
    console.say(
        f"{out}: {lifter.receptive_field} frames receptive field, {parameter_count(lifter):,} parameters",
    )


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
    from actlift.training.run import Run, refuse_seen

    training, test = Corpus.open(corpus).split(test_subjects, shared_actions_only=True)
    lifting = None if lifter is None else Run.open(lifter)
    if lifting:
        refuse_seen(lifting.identity.subjects, test_subjects, f"{lifter}, whose poses the recognizer would see,")
    with console.progress() as progress:
        run = train_recognizer(
            out,
            training,
            model={"receptive_field": receptive_field, "channels": channels, "causal": causal},
            lifter=load_lifter(lifting) if lifting else None,
            budget=Budget(steps, batch),
            folds=folds,
            seed=seed,
            save_every_s=save_every_s,
            on_progress=lambda at: progress.training(f"training {out}", at),
        )
    recognized = load_recognizer(run)
    found = measure(recognized([v.keypoints for v in test.views]), test.views, recognized.actions)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"{out} on {', '.join(test.subjects)}", title_justify="left")
    for column in ("", "top-1", "mean over actions", "top-3", "calibration error", "number"):
        table.add_column(column, justify="right" if column else "left")
    for name, of in (("frames", found.frames), ("clips, as each camera saw them", found.clips)):
        shares = (of.top1, of.mean_over_actions, of.top3, of.calibration_error)
        table.add_row(name, *(f"{share:.1%}" for share in shares), f"{of.count:,}")
    console.CONSOLE.print(table)
    for action, row in zip(found.actions, found.confusion, strict=True):
        taken = [f"{found.actions[i]} {row[i]:.0%}" for i in (-row).argsort()[:4] if row[i] >= 0.01]
        console.CONSOLE.print(f"{action} is taken for {', '.join(taken)}")
    console.CONSOLE.print(data_note(test.provenance))
