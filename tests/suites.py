"""Suites without training: made-up errors, written as the runner writes them, for tests of what reads them."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from actlift.evaluation.scores import GENERALIST, Scores, Variant
from actlift.study.arms import ARMS
from actlift.study.presets import SUITE_FORMAT
from actlift.study.upgrade import STUDY_FORMAT

ACTIONS = ("Eating", "Sitting", "Walking")
METRICS = {"mpjpe": 60.0, "n_mpjpe": 55.0, "p_mpjpe": 45.0, "mpjve": 6.0}
SNAPSHOTS = 20

EXPERTS, EXPERTS_PER_MODEL = Variant("experts", "total"), Variant("experts", "per_model")
RANDOM, RANDOM_PER_MODEL = Variant("random-experts", "total"), Variant("random-experts", "per_model")

Factor = Callable[[Variant, str, str], float]
"""(variant, action, metric) -> what the made-up error is multiplied with."""


def no_difference(variant: Variant, action: str, metric: str) -> float:
    del variant, action, metric
    return 1.0


def make_suite(
    folder: Path,
    *,
    preset: str = "fair",
    fields: tuple[int, ...] = (1, 27),
    variants: tuple[Variant, ...] = (EXPERTS, EXPERTS_PER_MODEL, RANDOM, RANDOM_PER_MODEL),
    factor: Factor = no_difference,
    by_field: Callable[[int], float] = lambda field: 1.0 if field == 1 else 0.8,
    seeds: tuple[int, ...] = (0, 1, 2),
    clips: int = 6,
    noise: float = 0.02,
    grid: tuple[tuple[int | None, int], ...] = (),
) -> Path:
    """Write a suite, every clip of an action by another person; under ``grid`` (frames, steps) its studies are those of
    the action-oriented preset, or without frames of the action-aware one."""
    studies: dict[str, str] = {}
    for field in fields:
        for frames, steps in grid or ((None, 1800),):
            name = "-".join([f"{field}f", *(str(n) for n in (frames, steps) if grid and n is not None)])
            studies[name] = name
            _study(folder / name, field, frames, steps, variants, factor, by_field(field), seeds, clips, noise)
    about = {
        "format": SUITE_FORMAT,
        "preset": preset,
        "scale": 1.0,
        "settings": studies,
        "focus": "Eating",
        "digest": "ab" * 32,
        "command": f"actlift study corpus {folder.name} --preset {preset}",
        "commit": "0123456789ab",
        "versions": {"actlift": "0.1.0", "python": "3.11", "torch": "2.13", "numpy": "2.0"},
    }
    (folder / "suite.json").write_text(json.dumps(about))
    return folder


def _study(folder, field, frames, steps, variants, factor, level, seeds, clips, noise) -> None:
    folder.mkdir(parents=True)
    variants = (GENERALIST, *variants)
    people = [f"S{3 + clip}" for clip in range(clips)]
    study = {
        "format": STUDY_FORMAT,
        "arms": {variant.arm: asdict(ARMS[variant.arm].about) for variant in variants},
        "fixed": {"corpus": "ab" * 32},
        "plan": {
            "test_subjects": people,
            "seeds": list(seeds),
            "budget": {"steps": steps, "batch": 256},
            "frames": frames,
            "epochs": None,
            "snapshots": SNAPSHOTS,
            "network": {"receptive_field": field, "widths": [], "channels": 128, "dropout": 0.1},
        },
        "corpus_folder": "corpus",
        "provenance": {
            "sources": ["cmu.npz"],
            "rig": "ring",
            "cameras": 4,
            "keypoints": {"kind": "IndependentNoise", "sigma_px": 3.0},
            "seed": 0,
        },
        "fps": 60.0,
        "training": {"subjects": ["S1", "S2"], "actions": list(ACTIONS), "views": 40, "frames": 9000},
        "test": {"subjects": people, "actions": list(ACTIONS), "views": 20, "frames": 2000},
        "command": "actlift study",
        "commit": "0123456789ab",
        "versions": {"actlift": "0.1.0"},
    }
    (folder / "study.json").write_text(json.dumps(study))
    rng = np.random.default_rng(field)
    hard = {(a, c): 1 + 0.2 * rng.standard_normal() for a in ACTIONS for c in range(clips)}
    rows = []
    for variant in variants:
        for seed in seeds:
            run = f"runs/{'-'.join(filter(None, (variant.arm, variant.matching, variant.label)))}-seed{seed}"
            run += "-mixture" * variant.mixture
            chance = np.random.default_rng((field, seed, len(str(variant))))
            for (action, clip), difficulty in hard.items():
                for metric, base in METRICS.items():
                    value = (
                        base
                        * level
                        * difficulty
                        * factor(variant, action, metric)
                        * (1 + noise * chance.standard_normal())
                    )
                    rows.append(
                        {
                            "run": run,
                            **asdict(variant),
                            "seed": seed,
                            "action": action,
                            "subject": f"S{3 + clip}",
                            "camera": "cam0",
                            "clip": f"{action}{clip}",
                            "metric": metric,
                            "joint": "all",
                            "frames": 100,
                            "value": value,
                        }
                    )
            _run(
                folder / run, variant, seed, steps, {m: METRICS[m] * level for m in ("mpjpe", "mpjve")}, factor, chance
            )
    Scores.from_rows(rows).save(folder / "scores.parquet")


def _run(folder, variant, seed, steps, levels, factor, chance) -> None:
    folder.mkdir(parents=True)
    alone = not ARMS[variant.arm].about.per_part
    names = ["everything"] if alone else list(ACTIONS)
    each = steps // len(ACTIONS) if variant.matching == "total" else steps
    identity = {
        "members": {n: {"frames": 9000 if alone else 3000, "rows": "0", "steps": each} for n in names},
        "model": {"widths": [1], "channels": 128},
        "seed": seed,
        "batch": 256,
    }
    (folder / "config.json").write_text(json.dumps({"format": 1, "identity": identity}))
    seconds = 10.0 * each * len(names) / steps
    lines, curve = [], []
    for k in range(1, SNAPSHOTS + 1):
        share = k / SNAPSHOTS
        spent = {"seconds": seconds * share, "cpu_seconds": 2 * seconds * share}
        step = round(each * share)
        losses = dict.fromkeys(names, 50 / share)
        lines.append({"step": step, "progress": share, **spent, "learning_rate": 1e-3, "loss_mm": losses})
        measured = []
        for action in ACTIONS:
            for metric, level in levels.items():
                value = (
                    level
                    * factor(variant, action, metric)
                    * (1 + 0.5 * (1 - share) ** 2 + 0.002 * chance.standard_normal())
                )
                measured.append({"action": action, "metric": metric, "value": value})
        curve.append({"step": step, "progress": share, **spent, "measured": measured})
    pose = np.random.default_rng(0).standard_normal((1, 17, 3))
    np.savez(
        folder / "examples.npz", action=np.array(ACTIONS[:1]), title=np.array(["clip"]), truth=pose, predicted=pose
    )
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in curve))
