"""The verbs that compare: studies, their reports, advice, audits, and what a change of action costs."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from actlift.cli import console
from actlift.cli.data import data_prepare
from actlift.errors import InputError
from actlift.models.options import Network
from actlift.study.plan import Labels, LabelSource, Plan
from actlift.study.presets import PRESETS, Preset
from actlift.training.budget import Budget
from actlift.training.settings import Device, JointWeights, Loss, Precision


def study_verb(
    corpus: Path,
    out: Path,
    *,
    test_subjects: tuple[str, ...] = (),
    folds: str = "",
    arms: tuple[str, ...] = Plan.arms,
    matching: tuple[str, ...] = Plan.matching,
    seeds: tuple[int, ...] = Plan.seeds,
    steps: int = Budget.steps,
    batch: int = Budget.batch,
    network: Annotated[Network, Parameter(name="*")] = Network(),  # noqa: B008 - frozen
    frames: int | None = None,
    epochs: int | None = None,
    snapshots: int = Plan.snapshots,
    velocity_loss: float = Loss.velocity,
    joint_weights: JointWeights = Loss.joints,
    labels: Labels = "",
    labels_by: LabelSource = Plan.labels_by,
    coupled: bool = False,
    all_actions: bool = False,
    precision: Precision = "auto",
    device: Device = "auto",
    preset: Preset | None = None,
    also: Path | None = None,
    scale: float = 1.0,
    receptive_fields: tuple[int, ...] = (),
) -> None:
    """Train and score generalist, experts and controls under equal budgets, and say which arm has the lower error.

    With a preset: the paper's whole comparison, ending in its tables and a verdict on each of its claims, or (preset
    action-aware) what a network gains that is told the action. Running it again resumes what is unfinished and retrains
    nothing that is done; seeds (and without a preset arms and matchings) can be added.

    For example:

        actlift study corpus studies/first --test-subjects S7 S8 --steps 6000
        actlift study corpus studies/two --test-subjects S7 S8 --arms experts conditioned --matching total per_model
        actlift study corpus studies/scarce --test-subjects S7 S8 --matching frames --frames 7600 --steps 800
        actlift study corpus studies/people --folds people --labels predicted --arms conditioned ensemble-2
        actlift study corpus studies/first --config study.yaml
        actlift study corpus studies/fair --test-subjects S7 S8 --preset fair --receptive-fields 1 27
        actlift study corpus studies/both --test-subjects S7 S8 --preset fair --also detector-corpus
        actlift study corpus studies/paper --test-subjects S7 S8 --preset paper --scale 0.02
        actlift study corpus studies/scarce --test-subjects S7 S8 --preset action-oriented
        actlift study corpus studies/aware --test-subjects S7 S8 --preset action-aware --receptive-fields 27

    Parameters
    ----------
    corpus
        The corpus folder.
    out
        The study folder.
    test_subjects
        People held out to report on: no frame of theirs is trained on.
    folds
        In place of test subjects, everybody is held out in turn: people leaves one person out at a time, people:6 one
        of 6 groups. Several processes may run the same command and share the folds.
    arms
        Of generalist, experts, random-experts, cluster-experts, conditioned, random-conditioned,
        cluster-conditioned, dataset-conditioned, finetuned, finetuned-conditioned,
        random-finetuned-conditioned, cluster-finetuned-conditioned, dataset-finetuned-conditioned,
        finetuned-experts, random-finetuned-experts, cluster-finetuned-experts, averaged, batch-statistics,
        ensemble-2, ensemble-4, finetuned-ensemble-2, soup, constant-pose, nearest-pose. The generalist is
        always trained.
    matching
        What budgets have in common. total: all experts together take as many steps as the generalist. per_model: each
        expert takes as many. Or frames or epochs, which stand alone since their generalist is another.
    seeds
        One training of every arm for each.
    steps
        Optimizer steps of the generalist.
    batch
        Windows of a step.
    network
        Of all arms alike.
    frames
        Training frames of every network with the matching frames.
    epochs
        With the matching epochs, how many passes over its data the generalist's steps stand for; learning rates then
        fall as the paper's authors ran it.
    snapshots
        How often along training the error on the held-out people is noted, for learning curves only.
    velocity_loss
        Weight of the error of the step to the next frame, added to the loss of all arms alike.
    joint_weights
        Of joints in the loss: equal, or extremities, where hands and feet weigh most.
    labels
        Also score experts and conditioned networks under predicted actions, or (all) under predicted, missing and wrong
        ones; the recognizer's cost is then taken off the conditioned networks' steps.
    labels_by
        What predicts these actions: network, as `recognize` trains it and videos are lifted with; or clip, its
        baseline, a linear discriminant of a clip's statistics.
    coupled
        With all labels, also recognize the action again in the poses lifted as recognized, and lift again, twice.
    all_actions
        Also train on actions that no held-out person does (never scored).
    precision
        Of activations and products; auto is bfloat16 where the processor multiplies it natively.
    device
        Where to train; auto is a GPU where there is one.
    preset
        paper: as the paper's authors ran it. fair: equal steps, both matchings, controls. action-oriented: equal
        training frames, several amounts. action-aware: one network told the action, recognized, known, missing or
        wrong, at several steps. Each chooses arms, matching, receptive fields and steps itself.
    also
        A corpus of the same clips and cameras with other 2D keypoints, on which all of a preset's settings are run too:
        what holds on white noise need not hold on a detector's. Claims are judged on the first corpus.
    scale
        Of a preset's numbers of steps: 0.1 trains a tenth as long, and the report says so.
    receptive_fields
        Which of a preset's receptive fields; all of them (1 27 243; 27 for action-oriented; 27 81 for action-aware)
        where left out.
    """
    from actlift.study.arms import arms_of

    plan = Plan(
        test_subjects=test_subjects,
        folds=folds,
        arms=arms,
        matching=matching,
        seeds=seeds,
        budget=Budget(steps, batch),
        frames=frames,
        epochs=epochs,
        snapshots=snapshots,
        network=network,
        loss=Loss(velocity_loss, joint_weights),
        labels=labels,
        labels_by=labels_by,
        coupled=coupled,
        all_actions=all_actions,
        precision=precision,
        device=device,
    )
    arms_of(plan)  # an unknown arm is told before anything is opened
    if preset is not None:
        _suite(corpus, out, preset, plan, also, scale, receptive_fields)
        return
    if also is not None or scale != 1.0 or receptive_fields:
        raise InputError(
            f"--also, --scale and --receptive-fields belong to a preset: give --preset {' or '.join(PRESETS)}"
        )
    study(corpus, out, plan=plan)


def demo(out: Path = Path("out/demo"), *, steps: int = 800, seeds: tuple[int, ...] = (0, 1)) -> None:
    """Run the whole comparison on motions that actlift makes itself: a few minutes, no download, a report to open.

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
        arms=("generalist", "experts", "random-experts", "constant-pose", "nearest-pose"),
        matching=("total", "per_model"),
        seeds=seeds,
        budget=Budget(steps),
        network=Network(receptive_field=27, channels=64),
    )
    folder = out / "corpus"
    if not (folder / "manifest.json").exists():
        data_prepare(["synthetic"], out=folder, keypoints="independent")
    study(folder, out / "study", plan=plan)


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
        Which action networks are told. oracle: the true one, where it is known beforehand. predicted: the one
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
    print_advice(console.CONSOLE, advice)
    console.say(f"advice: {path}")


def audit_verb(table: Path | None = None, *, out: Path | None = None) -> None:
    """Check printed tables against themselves: averages, slips of typing, percentages, rates, units.

    Errors cannot follow from the figures, suspicions only look wrong, notes tell what holds. Findings are results: they
    are no failure of the command.

    For example:

        actlift audit
        actlift audit paper --out findings.md
        actlift audit table.csv --out findings.csv

    Parameters
    ----------
    table
        A CSV file, as the table is printed: one row per model, one column per action, perhaps their average, frames and
        the like (table, metric, unit, source and claim have a meaning). The paper's where left out, or the word paper.
    out
        Also write the findings to this .csv or .md file.
    """
    from actlift.report.audit import audit_csv, audit_paper, check_writable, print_findings, read_paper, write_findings

    if out:
        check_writable(out)
    findings = audit_paper(read_paper()) if table in (None, Path("paper")) else audit_csv(table)
    print_findings(console.CONSOLE, findings)
    if out:
        write_findings(out, findings)
        console.say(f"findings written to {out}")


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

        actlift switching studies/aware corpus
        actlift switching studies/aware corpus --recognizer runs/recognizer --out studies/switching

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
    from actlift.training.run import Run, environment, refuse_seen

    runs = {arm: Run.open(study / "runs" / f"{arm}-seed{seed}") for arm in (GENERALIST.arm, "conditioned")}
    identity = runs["conditioned"].identity
    opened = Corpus.open(corpus)
    if opened.digest != identity.corpus:
        raise InputError(f"{study} was made from another corpus than {corpus}: give that one")
    whose = [s for s in opened.subjects if (s in identity.subjects) == (people == "training")]
    chosen = opened.select(subjects=whose, predicate=lambda view: view.action in identity.actions)
    recognizing = Run.open(recognizer) if recognizer else None
    if recognizing:
        refuse_seen(recognizing.identity.subjects, whose, str(recognizer))
    found = measure_switching(
        ConditionalLifter.from_network(load_lifter(runs["conditioned"]), identity.actions),
        LifterPredictor(load_lifter(runs[GENERALIST.arm])),
        chosen.views,
        load_recognizer(recognizing) if recognizing else None,
        clips=clips,
        seed=seed,
    )
    print_switching(console.CONSOLE, found.table, found.scenes, found.recognized)
    console.say(f"{people} people, seed {seed}; {data_note(opened.provenance)}")
    if out:
        about = {"study": str(study), "recognizer": str(recognizer) if recognizer else None, "people": whose}
        found.save(out / "switching.json", {**about, "seed": seed, "corpus": opened.digest, **environment()})
        save_drawing(out, drawing(found.traces, found.scenes))
        console.say(f"written to {out}: switching.json and figures")


def study(corpus: Path, out: Path, *, plan: Plan) -> None:
    """Run a study with a progress bar, then write and print its report."""
    from actlift.data.corpus import Corpus
    from actlift.study.experiment import Progress, run_study

    with console.progress() as progress:

        def on_progress(at: Progress) -> None:
            label = f"{at.number}/{at.jobs} {at.job.variant}, seed {at.job.seed}"
            progress.training(label, at.moment, (at.windows, at.windows_total))

        run_study(out, Corpus.open(corpus), plan, on_progress=on_progress)
    _report(out)


def _suite(
    corpus: Path,
    out: Path,
    preset: str,
    plan: Plan,
    also: Path | None,
    scale: float,
    receptive_fields: tuple[int, ...],
) -> None:
    """Run a preset's studies with a progress bar, then write and print its report."""
    from actlift.data.corpus import Corpus
    from actlift.study.experiment import Progress
    from actlift.study.suite import run_suite

    with console.progress() as progress:

        def on_progress(setting: str, at: Progress) -> None:
            label = f"{at.number}/{at.jobs} {setting} {at.job.variant}, seed {at.job.seed}"
            progress.training(label, at.moment, (at.windows, at.windows_total))

        run_suite(
            out,
            Corpus.open(corpus),
            preset,
            plan,
            also=None if also is None else Corpus.open(also),
            scale=scale,
            receptive_fields=receptive_fields,
            on_progress=on_progress,
        )
    _suite_report(out)


def _report(folder: Path) -> None:
    """Write report.html of a study folder, and labels.html where it has labels; print its tables, what the arms are,
    which has the lower error, and where the page is."""
    from actlift.evaluation.scores import Scores
    from actlift.files import read_json
    from actlift.report.estimate import reach_note
    from actlift.report.gains_page import write_gains_page
    from actlift.report.labels_page import LabelsReport, write_labels_report
    from actlift.report.page import HEADLINES, verdicts
    from actlift.report.results import read_arms
    from actlift.report.study_page import data_note, write_study_page
    from actlift.report.tables import print_arms_table
    from actlift.report.words import variant_note

    if (folder / "labels.parquet").is_file():
        write_labels_report(LabelsReport.open(folder))  # the study's page links it
    gains = write_gains_page(folder)  # and this one
    page = write_study_page(folder)
    scores, _ = Scores.read(folder / "scores.parquet").by_smoothing()
    for name in HEADLINES:
        print_arms_table(console.CONSOLE, scores, name)
    about = read_json(folder / "study.json")
    arms = read_arms(about)
    told = [f"{variant}: {variant_note(variant, arms)}." for variant in scores.variants]
    told += ["", *(verdict.text for verdict in verdicts(scores, arms, HEADLINES))]
    people, seeds = (scores.table[of].nunique() for of in ("subject", "seed"))
    told += ["", reach_note(people, seeds), data_note(about["provenance"]), ""]
    for line in told:
        console.CONSOLE.print(line)
    console.say(f"every arm beside its controls: {gains}")
    console.say(f"report: {page}")


def _suite_report(folder: Path) -> None:
    """Write everything a preset's report has, and print its tables and verdicts."""
    from actlift.report.labels_page import PRESET, LabelsReport, print_labels, write_labels_report
    from actlift.report.results import read_about
    from actlift.report.suite_page import SuiteReport, print_suite, write_suite_report

    if read_about(folder)["preset"] == PRESET:
        of_labels = LabelsReport.open(folder)
        page = write_labels_report(of_labels)
        print_labels(console.CONSOLE, of_labels)
    else:
        report = SuiteReport.open(folder)
        page = write_suite_report(report)
        print_suite(console.CONSOLE, report)
    console.say(f"report: {page}")
