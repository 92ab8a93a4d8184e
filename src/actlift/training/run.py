"""A run: a folder anyone can read, which training writes and everything else only reads.

======================  ================================================================================================
``config.json``         what was trained on what, with which budget, seed, versions, commit and command
``log.jsonl``           one line now and then: step, progress, seconds (by the clock, and of all threads), learning
                        rate, loss per member in mm (a recognizer's in nats)
``curve.jsonl``         the same for what was measured along training, if anything was
``weights.safetensors`` every member's weights at the last step; there only when training is done
``state.safetensors``   what an unfinished training resumes from
======================  ================================================================================================

A run has one member (a generalist) or several of one shape (experts), named in its config.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from actlift import __version__
from actlift.errors import InputError, MissingInputError
from actlift.files import read_json, remove_leftovers, write_json

FORMAT = 1
FILES = ("config.json", "log.jsonl", "curve.jsonl", "weights.safetensors", "state.safetensors")


@dataclass(frozen=True)
class Identity:
    """All that determines a run's weights.

    Attributes:
        members: of each by name, what it is trained on and for how long.
        model: what makes the networks, see :func:`actlift.models.base.make_network`; no "architecture" means tcn.
        seed: of initial weights, order, flips and dropout.
        corpus: digest of the corpus.
        subjects, actions: whom and what the training selection holds.
        batch: windows of a step.
        loss: what is minimized, where that is not the mean distance alone.
        mode: "evaluation" where normalization statistics were frozen.
        precision, device: of the computation.
        threads: that computed it; None on a GPU. No reason to refuse a run, see :mod:`actlift.training.device`.
        clips, budget, lifter: of a recognizer: what it saw, its budget, and the network whose poses it sees.
    """

    members: Mapping[str, Mapping[str, Any]]
    model: Mapping[str, Any]
    seed: int
    corpus: str = ""
    subjects: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    batch: int | None = None
    loss: Mapping[str, Any] | None = None
    mode: str | None = None
    precision: str | None = None
    device: str | None = None
    threads: int | None = None
    clips: str | None = None
    budget: Mapping[str, Any] | None = None
    lifter: Mapping[str, Any] | None = None

    def record(self) -> dict[str, Any]:
        """As config.json holds it."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("subjects", "actions")}
        kept["trained_on"] = {"subjects": self.subjects, "actions": self.actions}
        plain: dict[str, Any] = written({key: value for key, value in kept.items() if value is not None})
        return plain

    @classmethod
    def read(cls, record: Any) -> "Identity":
        """From what :meth:`record` made.

        Raises:
            InputError: where it lacks members, a model or a seed, or holds what is not known.
        """
        if not isinstance(record, dict) or not {"members", "model", "seed"} <= record.keys():
            raise InputError("an identity has members, a model and a seed")
        known = {f.name for f in fields(cls)} | {"trained_on"}
        if foreign := sorted(record.keys() - known):
            raise InputError(f"an identity has no {', '.join(foreign)}")
        on = record.get("trained_on", {})
        rest = {key: value for key, value in record.items() if key != "trained_on"}
        return cls(**rest, subjects=tuple(on.get("subjects", ())), actions=tuple(on.get("actions", ())))


@dataclass(frozen=True)
class Run:
    """A run folder, opened.

    Attributes:
        folder: where it lies.
        config: its config.json.
    """

    folder: Path
    config: dict[str, Any]

    @cached_property
    def identity(self) -> Identity:
        """All that determines its weights."""
        return Identity.read(self.config["identity"])

    @classmethod
    def open(cls, folder: Path | str) -> "Run":
        """Open a run folder.

        Raises:
            MissingInputError: where it holds no ``config.json``.
            InputError: for a config that is no run's, or of another format.
        """
        folder = Path(folder)
        path = folder / "config.json"
        if not path.is_file():
            raise MissingInputError(f"{folder} is no run folder: it has no config.json. `actlift train` makes one.")
        config = read_json(path)
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise InputError(
                f"{path} is not the config of a run of format {FORMAT}: was it made by another version of actlift?"
            )
        try:
            Identity.read(config.get("identity"))
        except InputError as error:
            raise InputError(
                f"{path} is not the config of a run of format {FORMAT}: {error}; was it made by another version of "
                "actlift?"
            ) from None
        return cls(folder, config)

    @classmethod
    def create(cls, folder: Path, identity: Identity) -> "Run":
        """Make a run folder, or reopen the one there if all that determines its weights is the same.

        Raises:
            InputError: if another run lies there; it tells what differs.
        """
        record = identity.record()
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file, a run needs a folder: choose another name")
        for name in FILES:
            remove_leftovers(folder / name)
        if (folder / "config.json").exists():
            run = cls.open(folder)
            # threads are no reason to refuse: a run goes on with those that it was begun with (actlift.training.device)
            differing = [d for d in _differences(run.config["identity"], record) if d[0] != "threads"]
            if differing:
                shown = "; ".join(f"{key}: there {old!r}, asked for {new!r}" for key, old, new in differing)
                raise InputError(f"{folder} holds another run ({shown}). Choose another folder, or delete this one.")
            for leftover in folder.glob(".tmp??????"):  # what safetensors writes to before it renames
                leftover.unlink(missing_ok=True)
            return run
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"{folder} is not empty and holds no run: choose another folder")
        config = {"format": FORMAT, "identity": record, **environment()}
        write_json(folder / "config.json", config)
        return cls(folder, config)

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(self.identity.members)

    @property
    def log_path(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def curve_path(self) -> Path:
        return self.folder / "curve.jsonl"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def state(self) -> Path:
        return self.folder / "state.safetensors"

    @property
    def done(self) -> bool:
        return self.weights.exists()

    def check_member(self, member: str) -> None:
        """Refuse a member that the run does not have, or whose training has not ended.

        Raises:
            MissingInputError: if training has not ended.
            InputError: for an unknown member (lists the known).
        """
        if member not in self.members:
            raise InputError(f"{self.folder} has no member {member!r}; it has: {', '.join(self.members)}")
        if not self.done:
            raise MissingInputError(
                f"{self.folder} has no weights yet: its training has not ended. Run it again to resume."
            )

    def log(self) -> pd.DataFrame:
        """The log, a row per line and member: step, progress, seconds, cpu_seconds, learning_rate, member, and the
        loss: loss_mm, of a recognizer loss_nats."""
        lines = _lines(self.log_path)
        loss = "loss_nats" if lines and "loss_nats" in lines[0] else "loss_mm"
        rows = [{**entry, "member": name, loss: value} for entry in lines for name, value in entry[loss].items()]
        return pd.DataFrame(
            rows, columns=["step", "progress", "seconds", "cpu_seconds", "learning_rate", "member", loss]
        )

    def curve(self) -> list[dict[str, Any]]:
        """What was measured along training: step, progress, seconds, cpu_seconds and ``measured``, in order."""
        return _lines(self.curve_path)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def environment() -> dict[str, Any]:
    """What a figure has to name beside its data and seed: command, commit, versions."""
    return {
        "command": " ".join(sys.argv),
        "commit": commit(),
        "versions": {
            "actlift": __version__,
            "python": sys.version.split()[0],
            "torch": version("torch"),
            "numpy": version("numpy"),
        },
    }


@cache
def commit() -> str:
    """The commit of the source tree that runs, "+" behind it where files differ; "unknown" for an installed package."""
    here = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != here.parent.parent:
            return "unknown"
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def refuse_seen(
    trained_on: Iterable[str], subjects: Iterable[str], who: str, among: Iterable[str] | None = None
) -> None:
    """Refuse to score people on whose motion something was trained, whatever the corpus or clips.

    Args:
        trained_on: the people it was trained on.
        subjects: the people to score.
        who: what was trained, for the message.
        among: all who could be scored, for the message; the ``subjects`` where None.

    Raises:
        InputError: where somebody is among both.
    """
    known = set(trained_on)
    subjects = set(subjects)
    if seen := sorted(subjects & known):
        unseen = sorted((subjects if among is None else set(among)) - known)
        others = f" Unseen: {', '.join(unseen)}." if unseen else ""
        raise InputError(f"{who} was trained on {', '.join(seen)}: scores on them say nothing.{others}")


def written(value: Any) -> Any:
    """What JSON makes of a value: tuples become lists, dataclasses mappings."""
    return json.loads(json.dumps(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value))


def _differences(old: Any, new: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Where two nested dicts differ: dotted key, old value, new value."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        return [d for k in keys for d in _differences(old.get(k), new.get(k), f"{prefix}.{k}" if prefix else str(k))]
    return [] if old == new else [(prefix, old, new)]
