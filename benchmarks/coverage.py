"""``python -m benchmarks.coverage [--studies N] [--json]``: how often do 95 % intervals hold the truth?

Studies are made up whose truth is known: two arms on the same clips, log-normal errors, and arms that differ by a fixed
effect and by what people, actions of people, clips and seeds add to it. Designs (who does which action, in how many
clips) are those of CMU and HDM05, and balanced ones. The estimand is the ratio of the arms' expected errors, people and
seeds drawn anew, the actions and who does which being as they are: in the mean over actions for the first row and for
"cluster-robust", else in the mean over people, which also the mixed model (whose effect is a mean of logarithms) is
held to. In %: how often the interval holds it; the other column, how wide it is against Student's over people.
"""

import argparse
import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize
from scipy.stats import norm

from actlift.evaluation.intervals import Uncertainty, freedom_of, parts_of
from actlift.training.run import commit

DRAWS = 400
Interval = tuple[float, float]

# Clips of the persons (rows) in the actions (columns) of the standard test split of CMU and HDM05.
FOUR = [
    [1, 2, 4, 1, 3, 0, 8, 0, 3, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    [0, 0, 0, 0, 0, 2, 3, 6, 0, 4, 8, 6, 3, 3, 0, 3, 4, 2, 0],
]
# The same of everybody who stands in several clips or actions, in the order of how much they do.
OTHERS = [
    [0, 0, 0, 0, 0, 6, 12, 6, 0, 4, 6, 4, 4, 2, 0, 3, 12, 3, 0],
    [0, 0, 0, 0, 0, 6, 9, 6, 0, 6, 6, 6, 4, 5, 0, 2, 12, 3, 0],
    [0, 0, 0, 0, 0, 6, 9, 6, 0, 4, 6, 6, 2, 3, 0, 4, 12, 3, 0],
    [1, 3, 3, 3, 3, 0, 0, 0, 3, 0, 0, 3, 0, 0, 7, 0, 0, 0, 0],
    [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 2],
    [0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 0, 26],
]
WALKERS = [11, 10, 3, 1, 1, 1, 1]  # clips of those who only walk
SINGLE = [
    (3, 1),
    (6, 2),
    (6, 2),
    (13, 4),
    (7, 1),
    (7, 3),
    (16, 1),
    (0, 1),
    (10, 2),
    (13, 11),
    (8, 5),
    (5, 3),
    (1, 1),
    (14, 1),
]


def _one_action(action: int, clips: int) -> list[int]:
    return [clips if a == action else 0 for a in range(19)]


EVERYBODY = [*FOUR, *OTHERS, *(_one_action(18, n) for n in WALKERS), *(_one_action(*single) for single in SINGLE)]
DESIGNS: dict[str, np.ndarray] = {
    "4 people, test split": np.array(FOUR),
    "4 people, balanced": np.full((4, 19), 2),
    "6 people, real": np.array([FOUR[0], FOUR[3], *OTHERS[:4]]),
    "10 people, real": np.array([*FOUR, *OTHERS]),
    "10 people, balanced": np.full((10, 19), 2),
    "31 people, real": np.array(EVERYBODY),
}


@dataclass(frozen=True)
class Structure:
    """Scatter in %: of clips, of actions of a person, of people, of seeds and of clips between seeds.

    uneven: the first person scatters so many times as the others. tails: t with 3 degrees of freedom in place of normal
    people. actions: by how much true effects of actions differ.
    """

    clip: float
    action_person: float
    person: float
    seeds: int = 3
    seed: float = 0.5
    uneven: float = 1.0
    tails: bool = False
    actions: float = 0.0
    effect: float = 0.0

    def __str__(self) -> str:
        words = f"{self.clip:g}/{self.action_person:g}/{self.person:g}, {self.seeds} seeds of {self.seed:g}"
        if self.uneven != 1:
            words += f", one person x{self.uneven:g}"
        words += ", heavy tails" * self.tails
        words += f", actions {self.actions:g}" * (self.actions > 0)
        return words + (f", effect {self.effect:g}" if self.effect else "")


STRUCTURES = [
    *(
        Structure(*scatter, seeds=seeds, seed=seed)
        for scatter in ((5, 0, 0), (5, 3, 0), (5, 3, 2), (3, 5, 3))
        for seeds, seed in ((1, 0.0), (3, 0.5))
    ),
    Structure(1.8, 4.5, 3.6, seeds=3, seed=0.5),
    Structure(1.8, 4.5, 3.6, seeds=5, seed=1.0),
    Structure(5, 3, 2, seeds=3, seed=1.0, effect=-20),
    Structure(5, 3, 2, seeds=3, seed=0.5, effect=100),
    Structure(1.8, 4.5, 3.6, uneven=3),
    Structure(1.8, 4.5, 3.6, tails=True),
    Structure(5, 3, 2, actions=5),
    Structure(5, 3, 2, seeds=2, seed=1.0),
]


@dataclass(frozen=True, eq=False)
class Study:
    """A made-up study: errors of the arm and of the reference, (2, seeds, clips).

    truth_people, truth_actions: by how many % the arm's expected error is above the reference's in either mean.
    """

    people: np.ndarray
    actions: np.ndarray
    frames: np.ndarray
    errors: np.ndarray
    truth_people: float
    truth_actions: float


def make_study(design: np.ndarray, of: Structure, rng: np.random.Generator) -> Study:
    """Draw a study; `design` (people, actions) says how many clips there are."""
    cells = np.repeat(np.arange(design.size), design.ravel())
    person, action = np.divmod(cells, design.shape[1])
    n, (people, actions) = len(cells), design.shape
    frames = np.exp(rng.normal(5.2, 1.0, n)).clip(28, 3000).round()  # as CMU's and HDM05's
    fixed = np.random.default_rng(7)
    base = np.log(60) + 0.2 * fixed.normal(size=actions)
    own = fixed.normal(size=actions)
    true = np.log1p(of.effect / 100) + of.actions / 100 * (own - own.mean())
    scale = np.where(np.arange(people) == 0, of.uneven, 1.0)
    normal = (rng.standard_t(3, people) / np.sqrt(3)).clip(-5, 5) if of.tails else rng.normal(size=people)
    shared = 0.1 * rng.normal(size=people)[person] + 0.15 * rng.normal(size=n)
    arm = (
        true[action]
        + (of.person / 100 * scale * normal)[person]
        + (of.action_person / 100 * scale[:, None] * rng.normal(size=(people, actions)))[person, action]
        + of.clip / 100 * scale[person] * rng.normal(size=n)
    )
    logs = np.stack([base[action] + shared, base[action] + shared + arm])[::-1]  # the arm first
    of_seeds = of.seed / 100 * rng.normal(size=(2, of.seeds, 1)) / np.sqrt(2)
    between = 0.005 * rng.normal(size=(2, of.seeds, n))
    variance = scale**2 * (of.clip**2 + of.action_person**2 + of.person**2) / 1e4
    expected = np.exp(base + true + variance[:, None] / 2), np.exp(base)[None].repeat(people, axis=0)
    done = design > 0
    by_people = [np.mean([e[p][done[p]].mean() for p in range(people)]) for e in expected]
    # who has which share of an action's frames is chance, and independent of the errors: clips stand for it
    by_actions = [
        np.mean([np.average(e[:, a], weights=design[:, a]) for a in range(actions) if done[:, a].any()])
        for e in expected
    ]
    truths = [100 * (arm / reference - 1) for arm, reference in (by_people, by_actions)]
    return Study(person, action, frames, np.exp(logs[:, None] + of_seeds + between), *truths)


# Averages


def _cells(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Errors (2, seeds, people, actions), NaN where nobody did it, and frames (people, actions)."""
    shape = (study.people.max() + 1, study.actions.max() + 1)
    place = study.people * shape[1] + study.actions
    frames = np.bincount(place, study.frames, np.prod(shape))
    sums = [[np.bincount(place, study.frames * e, np.prod(shape)) for e in of_arm] for of_arm in study.errors]
    with np.errstate(invalid="ignore"):
        return (np.array(sums) / frames).reshape(2, -1, *shape), frames.reshape(shape)


def _by_person(study: Study) -> np.ndarray:
    """Each person's mean over actions, (2, seeds, people)."""
    return np.nanmean(_cells(study)[0], axis=-1)


def _relative(averages: np.ndarray) -> np.ndarray:
    return 100 * (averages[0] / averages[1] - 1)


def _linear(values: np.ndarray, averages: np.ndarray) -> np.ndarray:
    """What values (2, ...) move the ratio of averages (2,) by, in %."""
    return 100 * (values[0] - averages[0] / averages[1] * values[1]) / averages[1]


def _student(values: np.ndarray, weights: np.ndarray) -> Interval:
    """The chosen interval of (2, seeds, people), people having these weights."""
    of_seeds = values @ weights
    mean = of_seeds.mean(axis=1)
    seeds = values.shape[1]
    own = parts_of(_linear(values.mean(axis=1), mean), weights)
    theirs = parts_of(_linear(of_seeds, mean), np.full(seeds, 1 / seeds)) if seeds > 1 else np.zeros(1)
    freedom = freedom_of(weights)
    reach = Uncertainty(len(weights), float(np.linalg.norm(own)), freedom, seeds, float(np.linalg.norm(theirs))).reach()
    effect = float(_relative(mean))
    return effect - reach, effect + reach


# Candidates


def clips_within_actions(study: Study, rng: np.random.Generator) -> Interval:
    """What actlift did before: clips drawn within their actions; percentiles of the mean over actions."""
    errors = study.errors.mean(axis=1)
    drawn = np.zeros((2, DRAWS))
    done = np.unique(study.actions)
    for action in done:
        own = study.actions == action
        n = int(own.sum())
        counts = rng.multinomial(n, np.full(n, 1 / n), DRAWS) * study.frames[own]
        drawn += (counts @ errors[:, own].T / counts.sum(axis=1, keepdims=True)).T / len(done)
    low, high = np.percentile(_relative(drawn), [2.5, 97.5])
    return float(low), float(high)


def _drawn_people(study: Study, rng: np.random.Generator, *, clips: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean over people (2, draws) with people and seeds (and clips) drawn, and what was drawn: (2, draws, people)."""
    values = _by_person(study)
    seeds, people = values.shape[1:]
    which = rng.integers(people, size=(DRAWS, people))
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS) / seeds
    own = np.einsum("vsp,ds->vdp", values, of_seeds)
    if clips:
        own = np.zeros((2, DRAWS, people))
        for person in range(people):
            done = np.unique(study.actions[study.people == person])
            for action in done:
                at = (study.people == person) & (study.actions == action)
                n = int(at.sum())
                counts = rng.multinomial(n, np.full(n, 1 / n), DRAWS) * study.frames[at]
                errors = np.einsum("vsn,ds->vdn", study.errors[..., at], of_seeds)
                own[..., person] += np.einsum("vdn,dn->vd", errors, counts) / counts.sum(axis=1) / len(done)
    drawn = np.take_along_axis(own, np.broadcast_to(which, (2, *which.shape)), axis=2)
    return drawn.mean(axis=2), drawn


def people_clips_seeds(study: Study, rng: np.random.Generator) -> Interval:
    """A hierarchical bootstrap: people, of them clips, and seeds are drawn; percentiles."""
    means, _ = _drawn_people(study, rng, clips=True)
    low, high = np.percentile(_relative(means), [2.5, 97.5])
    return float(low), float(high)


def bootstrap_t(study: Study, rng: np.random.Generator) -> Interval:
    """Bootstrap-t over people (and seeds)."""
    values = _by_person(study).mean(axis=1)
    mean = values.mean(axis=1)
    effect, people = float(_relative(mean)), values.shape[1]
    error = _linear(values, mean).std(ddof=1) / np.sqrt(people)
    means, drawn = _drawn_people(study, rng, clips=False)
    own = 100 * (drawn[0] - (means[0] / means[1])[:, None] * drawn[1]) / means[1][:, None]
    errors = own.std(axis=1, ddof=1) / np.sqrt(people)
    kept = errors > 1e-9  # the same person every time has no scatter
    low, high = np.percentile((_relative(means) - effect)[kept] / errors[kept], [2.5, 97.5])
    return float(effect - high * error), float(effect - low * error)


def bca(study: Study, rng: np.random.Generator) -> Interval:
    """Bias-corrected and accelerated bootstrap over people (and seeds)."""
    values = _by_person(study).mean(axis=1)
    effect = float(_relative(values.mean(axis=1)))
    drawn = _relative(_drawn_people(study, rng, clips=False)[0])
    without = np.array([_relative(np.delete(values, p, axis=1).mean(axis=1)) for p in range(values.shape[1])])
    away = without.mean() - without
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5 + 1e-12)
    bias = norm.ppf(np.clip(np.mean(drawn < effect), 1 / DRAWS, 1 - 1 / DRAWS))
    ends = norm.cdf(bias + (bias + norm.ppf([0.025, 0.975])) / (1 - acceleration * (bias + norm.ppf([0.025, 0.975]))))
    low, high = np.percentile(drawn, 100 * ends)
    return float(low), float(high)


def over_people(study: Study, rng: np.random.Generator) -> Interval:
    """Chosen: Student's t over people and over seeds, the widest of three, of the mean over people."""
    del rng
    values = _by_person(study)
    return _student(values, np.full(values.shape[2], 1 / values.shape[2]))


def cluster_robust(study: Study, rng: np.random.Generator) -> Interval:
    """CR2 with Bell and McCaffrey's degrees of freedom, of the mean over actions."""
    del rng
    errors, frames = _cells(study)
    done = frames.sum(axis=0) > 0
    shares = frames[:, done] / frames[:, done].sum(axis=0) / done.sum()  # (people, actions), sum 1
    weights = shares.sum(axis=1)
    return _student((np.nan_to_num(errors[..., done]) * shares).sum(axis=-1) / weights, weights)


def mixed_model(study: Study, rng: np.random.Generator) -> Interval:
    """REML: log error ~ arm + (arm | person) + (arm | action) + (arm | action x person), on paired differences."""
    del rng
    logs = np.log(study.errors)
    difference = (logs[0] - logs[1]).mean(axis=0)
    effect, error = reml(difference, study.people, study.actions)
    seeds = logs.shape[1]
    of_seeds = (logs[0] - logs[1]).mean(axis=1).std(ddof=1) / np.sqrt(seeds) if seeds > 1 else 0.0
    reach = Uncertainty(99, error, len(np.unique(study.people)) - 1, seeds, of_seeds).reach()
    low, high = 100 * np.expm1([effect - reach, effect + reach])
    return float(low), float(high)


def reml(values: np.ndarray, people: np.ndarray, actions: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error under random people, actions, actions of people and clips, by restricted likelihood.

    Clips of one cell enter by their mean and their scatter within it, which are independent.
    """
    cells, place = np.unique(np.stack([people, actions], axis=1), axis=0, return_inverse=True)
    counts = np.bincount(place)
    means = np.bincount(place, values) / counts
    within, freedom = ((values - means[place]) ** 2).sum(), len(values) - len(counts)
    alike = [(cells[:, k, None] == cells[None, :, k]).astype(float) for k in range(2)]

    def solved(logs: np.ndarray) -> tuple[float, float, float]:
        person, action, both, clip = np.exp(np.clip(logs, -25, 5))
        covariance = person * alike[0] + action * alike[1] + np.diag(both + clip / counts)
        factor = np.linalg.cholesky(covariance)
        ones, own = np.linalg.solve(factor, np.stack([np.ones(len(means)), means], axis=1)).T
        information = float(ones @ ones)
        mean = float(ones @ own) / information
        residual = own - mean * ones
        loss = 2 * np.log(np.diag(factor)).sum() + np.log(information) + residual @ residual
        return mean, information**-0.5, float(loss + freedom * np.log(clip) + within / clip)

    start = np.log(np.full(4, values.var() / 4 + 1e-8))
    best = minimize(lambda logs: solved(logs)[2], start, method="L-BFGS-B", bounds=[(-20, 5)] * 4)
    mean, error, _ = solved(best.x)
    return mean, error


CANDIDATES: dict[str, tuple[Callable[[Study, np.random.Generator], Interval], str, int]] = {
    # what is done, which mean it speaks of, and every how many studies it is tried (slow ones)
    "clips drawn within actions (before)": (clips_within_actions, "actions", 8),
    "people, clips, seeds drawn": (people_clips_seeds, "people", 10),
    "bootstrap-t over people": (bootstrap_t, "people", 4),
    "BCa over people": (bca, "people", 4),
    "cluster-robust": (cluster_robust, "actions", 2),
    "mixed model": (mixed_model, "people", 20),
    "t over people (chosen)": (over_people, "people", 1),
}


@dataclass
class Counted:
    """Of one candidate in one structure: how often the truth was held, of how many, and how wide intervals were."""

    tried: int = 0
    held: int = 0
    widths: list[float] = field(default_factory=list)


def covered(design: np.ndarray, of: Structure, studies: int, seed: int = 0) -> dict[str, Counted]:
    """Make studies and count by candidate."""
    rng = np.random.default_rng(seed)
    found = {name: Counted() for name in CANDIDATES}
    for number in range(studies):
        study = make_study(design, of, rng)
        for name, (candidate, mean, every) in CANDIDATES.items():
            if number % every == 0:
                low, high = candidate(study, rng)
                truth = study.truth_people if mean == "people" else study.truth_actions
                found[name].tried += 1
                found[name].held += low <= truth <= high
                found[name].widths.append(high - low)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="also write results/coverage.jsonl")
    asked = parser.parse_args()
    console = Console(width=190)
    rows = []
    for design_name, design in DESIGNS.items():
        title = f"{design_name}: {asked.studies} studies each, 95 % intervals; commit {commit()}"
        table = Table("clip / action x person / person", *CANDIDATES, box=SIMPLE_HEAD, title=title)
        for of in STRUCTURES:
            found = covered(design, of, asked.studies)
            width = np.median(found["t over people (chosen)"].widths)
            cells = [f"{100 * c.held / c.tried:.1f} ({np.median(c.widths) / width:.2f})" for c in found.values()]
            table.add_row(str(of), *cells)
            covered_of = {name: round(c.held / c.tried, 3) for name, c in found.items()}
            widths = {name: round(float(np.median(c.widths)), 2) for name, c in found.items()}
            rows.append({"design": design_name, "structure": str(of), "covered": covered_of, "median_width": widths})
        console.print(table)
    if asked.json:
        path = Path(__file__).parent / "results" / "coverage.jsonl"
        about = {"date": datetime.date.today().isoformat(), "commit": commit(), "studies": asked.studies, "seed": 0}
        path.write_text("\n".join(map(json.dumps, [about, *rows])) + "\n")
        console.print(f"written to {path}")


if __name__ == "__main__":
    main()
