"""Scores: one long table of errors, one row per run, clip, camera, metric and joint, and the questions one asks of it.

Three averages are always given, because they are three numbers: "mean over actions" weighs every action alike (as the
papers do), "mean over frames" every frame, and "mean over people" every person: of each the mean over his or her own
actions. Inside an action (of a person) frames weigh alike, over all clips and cameras. With several seeds each seed is
averaged first and the seeds' results then have equal weight.

What is said of people in general rests on the mean over people; see :mod:`actlift.evaluation.intervals`.

What is compared are variants: an arm of a study under one matching of budgets, told one kind of label, its poses as
they are or smoothed (`Variant`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actlift.errors import InputError
from actlift.evaluation.intervals import STEP, Uncertainty, freedom_of, parts_of
from actlift.files import replacing
from actlift.training.budget import MATCHINGS

MEAN_OVER_ACTIONS = "mean over actions"
MEAN_OVER_FRAMES = "mean over frames"
MEAN_OVER_PEOPLE = "mean over people"
MEANS = (MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES, MEAN_OVER_PEOPLE)
ALL_JOINTS = "all"

LABELS: dict[str, str] = {
    "oracle": "oracle label",
    "predicted": "predicted label",
    "coupled": "predicted again from poses",
    "coupled_twice": "predicted twice again from poses",
    "none": "no label",
    "wrong_random": "wrong label, at random",
    "wrong_worst": "wrong label, the worst",
}
"""What a network may be told of the action, and the words of tables for it."""


@dataclass(frozen=True, order=True)
class Variant:
    """What one row of a table of scores stands for.

    Its words, `str(variant)`, are those of tables: "experts (per model)", "conditioned, mixture: predicted label".

    Attributes:
        arm: "generalist", "experts", "conditioned" ...
        matching: how the arm's budget is matched with the generalist's, one of `MATCHINGS`; "" where there is one way.
        label: what the network is told of the action, one of `LABELS`; "" where there is nothing to tell.
        mixture: whether its poses are the mean of conditioned and unconditioned ones.
        smoothed: whether they went through the output filter (actlift.lifting.smoothing).

    Raises:
        InputError: for a matching or label that is none of ours.
    """

    arm: str
    matching: str = ""
    label: str = ""
    mixture: bool = False
    smoothed: bool = False

    def __post_init__(self) -> None:
        for what, given, known in (("matching", self.matching, MATCHINGS), ("label", self.label, LABELS)):
            if given and given not in known:
                raise InputError(f"the {what} of {self.arm!r} is {given!r}; known: {', '.join(known)}, or empty")

    def __str__(self) -> str:
        matching = f" ({self.matching.replace('_', ' ')})" if self.matching else ""
        label = f": {LABELS[self.label]}" if self.label else ""
        smoothed = ", smoothed" if self.smoothed else ""
        return f"{self.arm}{matching}{', mixture' if self.mixture else ''}{label}{smoothed}"


GENERALIST = Variant("generalist")

COLUMNS: dict[str, type] = {
    "run": str,
    "arm": str,
    "matching": str,
    "label": str,
    "mixture": bool,
    "smoothed": bool,
    "seed": int,
    "action": str,
    "subject": str,
    "camera": str,
    "clip": str,
    "metric": str,
    "joint": str,
    "frames": int,
    "value": float,
}
"""The table's columns; `arm`, `matching`, `label`, `mixture` and `smoothed` are the fields of a `Variant`. `joint` is
"all" or a joint's (bone's) name; `frames` is how many frames `value` averages, and `value` is in the metric's reported
unit (mm, mm/frame, mm/frame² or %)."""

_DTYPES: dict[type, Any] = {str: "str", int: "int64", float: "float64", bool: "bool"}
_VARIANT = ["arm", "matching", "label", "mixture", "smoothed"]
_KEY = [*_VARIANT, "seed", "clip", "camera", "metric", "joint"]


@dataclass(frozen=True, eq=False)
class Variations:
    """What averages become when one person, or one seed, counts for a little more.

    Any statistic of the averages, computed row by row, comes with what each person and each seed moves it by, and so
    with its uncertainty. Two tables with equal `frames` have the same people, so that a statistic may span both (see
    `aligned`).

    Attributes:
        averages: by variant; rows "data", then one for each person, then one for each seed; columns the actions and
            the three means. Of the means, people move "mean over people" alone: the papers' two have no interval.
        frames: of every (action, person, clip).
        people: by column, how many do the action, or how many there are; 0 for the papers' two means.
        freedom: by column, degrees of freedom over people.
        seeds: of each variant.
    """

    averages: Mapping[Variant, pd.DataFrame]
    frames: pd.Series
    people: pd.Series
    freedom: pd.Series
    seeds: Mapping[Variant, tuple[int, ...]]

    def uncertainty(self, statistic: np.ndarray, column: str, variants: Iterable[Variant]) -> Uncertainty:
        """Tell how far other people and seeds may move a statistic of some variants' averages.

        Args:
            statistic: (rows,), computed row by row; of a single column.
        """
        moved = (statistic[1:] - statistic[0]) / STEP
        of_seeds = moved[len(self.frames.index.unique("subject")) :]
        return Uncertainty(
            int(self.people[column]),
            float(np.linalg.norm(moved[: len(moved) - len(of_seeds)])),
            float(self.freedom[column]),
            min(len(self.seeds[variant]) for variant in variants),
            float(np.linalg.norm(of_seeds)),
        )

    def compare(self, variant: Variant, against: Variant) -> pd.DataFrame:
        """Say by how much `variant` differs from `against`, both among the variants, with its 95 % interval.

        Rows: the actions, then the three means. Columns: difference (variant minus against, reported unit), low, high,
        p (two-sided), people, clips. NaN without an interval: fewer than `MIN_PEOPLE` people, and the papers' means.
        """
        rows = self.averages[variant] - self.averages[against]
        found = []
        for name, column in rows.items():
            of = self.uncertainty(column.to_numpy(), str(name), (variant, against))
            difference, reach = column.iloc[0], of.reach()
            found.append((difference, difference - reach, difference + reach, of.p(difference), of.people))
        clips = self.frames.groupby(level="action").size()
        table = pd.DataFrame(found, rows.columns, ["difference", "low", "high", "p", "people"]).rename_axis("action")
        return table.assign(clips=[*clips, *[clips.sum()] * len(MEANS)])


def aligned(tables: Sequence[Variations]) -> list[Variations]:
    """Tables of the same people with the same rows: a seed that one lacks moves nothing there."""
    labels = pd.Index(
        dict.fromkeys(label for table in tables for of in table.averages.values() for label in of.index), dtype=object
    )
    return [
        replace(table, averages={v: of.reindex(labels).fillna(of.iloc[0]) for v, of in table.averages.items()})
        for table in tables
    ]


@dataclass(frozen=True, eq=False)
class Scores:
    """A checked long table; see `COLUMNS`.

    Raises InputError if a column is missing, unknown or of the wrong kind, a value is not finite, a row averages no
    frames, or one clip, seen by one camera, is scored twice for the same variant, seed, metric and joint.
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        missing = [name for name in COLUMNS if name not in self.table.columns]
        unknown = [str(name) for name in self.table.columns if name not in COLUMNS]
        if missing or unknown:
            raise InputError(
                f"scores: missing columns: {', '.join(missing) or 'none'}; unknown columns: "
                f"{', '.join(unknown) or 'none'}; the table has exactly {', '.join(COLUMNS)}"
            )
        table = self.table[list(COLUMNS)].reset_index(drop=True)
        for name, kind in COLUMNS.items():
            table[name] = _as_kind(table[name], kind)
        _refuse(table, ~np.isfinite(table["value"]), "value must be finite")
        _refuse(table, table["frames"] < 1, "frames must be at least 1")
        _refuse(
            table, table.duplicated(_KEY), "scored twice (was a run read twice, or do two runs share arm and seed?)"
        )
        object.__setattr__(self, "table", table)
        self.variants  # noqa: B018 - refuses matchings and labels that are none of ours

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> "Scores":
        """From one mapping per row, with the keys of `COLUMNS`."""
        listed = list(rows)
        return cls(pd.DataFrame(listed, columns=None if listed else list(COLUMNS)))

    @classmethod
    def concat(cls, parts: Sequence["Scores"]) -> "Scores":
        """All rows of several tables. Raises InputError if there is nothing to join or a row comes twice."""
        if not parts:
            raise InputError("scores: nothing to concatenate; give at least one table")
        return cls(pd.concat([part.table for part in parts], ignore_index=True))

    @classmethod
    def read(cls, path: str | Path) -> "Scores":
        """From a Parquet file that `save` wrote, in this format or in the one before it (see `_upgraded`).

        Raises MissingInputError, or InputError naming the file if scores are not what it holds.
        """
        try:
            table = pd.read_parquet(path)
        except ValueError as error:  # pyarrow's ArrowInvalid is one
            raise InputError(f"{path}: cannot be read as scores: {error}") from error
        try:
            return cls(_upgraded(table))
        except InputError as error:
            raise InputError(f"{path}: cannot be read as scores: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write Parquet at `path`; what lay there before is replaced only once the new file is whole."""
        with replacing(Path(path)) as beside:
            self.table.to_parquet(beside, index=False)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """In the order in which they first appear."""
        return _numbered(self.table)[0]

    def of(self, *variants: Variant) -> "Scores":
        """The rows of these variants alone, in the order of the table."""
        known, number = _numbered(self.table)
        wanted = [known.index(variant) for variant in variants if self._known(variant)]
        return Scores(self.table[number.isin(wanted)])

    def by_smoothing(self) -> "tuple[Scores, Scores]":
        """Part the variants whose poses are as they are from the smoothed ones."""
        smoothed = self.table["smoothed"]
        return Scores(self.table[~smoothed]), Scores(self.table[smoothed])

    @property
    def actions(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self.table["action"].unique()))

    @property
    def metrics(self) -> tuple[str, ...]:
        """In the order in which they first appear."""
        return tuple(self.table["metric"].unique())

    def seeds(self, variant: Variant) -> tuple[int, ...]:
        """The variant's seeds, sorted."""
        return tuple(int(seed) for seed in sorted(self.of(variant).table["seed"].unique()))

    def per_action(self, metric: str) -> pd.DataFrame:
        """Average over seeds; rows variants, columns the actions, then the three means (`MEANS`).

        NaN where a variant has no clip of an action, or of a person's action, and then also in those means.
        """
        return self._per_seed(metric).groupby(level="variant", sort=False).mean()

    def per_person(self, metric: str) -> pd.DataFrame:
        """Rows variants, columns people: of each the mean over his or her own actions, averaged over seeds."""
        rows = self._rows(metric)
        variants, number = _numbered(rows)
        of_actions = _frame_means(rows, [number, rows["seed"], rows["subject"], rows["action"]])
        of_seeds = of_actions.groupby(level=["variant", "seed", "subject"]).mean()
        table = of_seeds.groupby(level=["variant", "subject"]).mean().unstack("subject")
        return table.set_axis(pd.Index(variants, dtype=object, name="variant"), axis="index")

    def per_joint(self, metric: str) -> pd.DataFrame:
        """Rows variants, columns joints (bones), means over frames, averaged over seeds.

        Raises InputError if the metric was not scored joint by joint.
        """
        rows = self._rows(metric, per_joint=True)
        variants, number = _numbered(rows)
        means = _frame_means(rows, [number, rows["seed"], rows["joint"]]).unstack("joint")
        table = means.groupby(level="variant").mean()[rows["joint"].unique()]
        return table.set_axis(pd.Index(variants, dtype=object, name="variant"), axis="index")

    def seed_spread(self, metric: str) -> pd.DataFrame:
        """Rows variants; columns those of `per_action`: their standard deviation over seeds (n - 1; NaN with one seed).

        A last column, "seeds", tells how many there are.
        """
        by_variant = self._per_seed(metric).groupby(level="variant", sort=False)
        spread = by_variant.std(ddof=1)
        spread["seeds"] = by_variant.size()
        return spread

    def variations(self, metric: str, variants: Sequence[Variant]) -> Variations:
        """Let every person and every seed in turn count for a little more, for all variants at once.

        Raises InputError for an unknown metric or variant, or if the variants (or two seeds of one) were not scored on
        the same clips, cameras and numbers of frames.
        """
        rows = self._rows(metric)
        names = list(dict.fromkeys(variants))
        views = {variant: self._frames_by_view(rows, variant) for variant in names}
        frames = views[names[0]]
        for other, their_frames in views.items():
            if not frames.equals(their_frames):
                odd = frames.index.symmetric_difference(their_frames.index)
                example = odd[0] if len(odd) else (frames != their_frames).idxmax()
                raise InputError(
                    f"scores: {str(names[0])!r} and {str(other)!r} cannot be paired: they differ in clips, cameras or "
                    f"frames, first at (action, person, clip, camera) {example}; evaluate both on the same corpus"
                )
        clips = whole_clips(pd.Series(frames.index.get_level_values("clip")))
        weights = frames.groupby(level=["subject", "action"]).sum()
        cells = [weights.index.get_level_values(level) for level in ("subject", "action")]
        people, actions = (pd.Index(of.unique()).sort_values() for of in cells)
        shares = {}  # by column, what each person weighs there
        for action in actions:
            of_action = weights[cells[1] == action].droplevel("action")
            shares[str(action)] = of_action / of_action.sum()
        shares[MEAN_OVER_PEOPLE] = pd.Series(1 / len(people), people)
        columns = [*actions, *MEANS]
        counts = pd.Series({name: len(of) for name, of in shares.items()}).reindex(columns, fill_value=0)
        freedom = pd.Series({name: freedom_of(of.to_numpy(float)) for name, of in shares.items()}).reindex(columns)

        every_seed = self._per_seed(metric)[columns]
        averages, seeds = {}, {}
        for variant in names:
            own = rows[(rows[_VARIANT] == list(astuple(variant))).all(axis="columns")]
            errors = _frame_means(own, [own["subject"], own["action"]]).unstack("action")
            errors[MEAN_OVER_PEOPLE] = errors.mean(axis="columns")
            moved = pd.DataFrame(0.0, people, columns)
            for name, weight in shares.items():
                if len(weight) > 1:
                    moved.loc[weight.index, name] = parts_of(
                        errors[name].loc[weight.index].to_numpy(), weight.to_numpy()
                    )
            of_seeds = every_seed.xs(variant, level="variant")
            n = len(of_seeds)
            by_seed = parts_of(of_seeds.to_numpy(), np.full(n, 1 / n)) if n > 1 else np.zeros_like(of_seeds)
            rows_of = np.vstack([np.zeros(len(columns)), moved, by_seed])
            labels = ["data", *(f"person {name}" for name in people), *(f"seed {seed}" for seed in of_seeds.index)]
            averages[variant] = pd.DataFrame(np.asarray(of_seeds.mean()) + STEP * rows_of, labels, columns)
            seeds[variant] = tuple(int(seed) for seed in of_seeds.index)
        of_clips = frames.groupby([*map(frames.index.get_level_values, ("action", "subject")), clips.to_numpy()]).sum()
        of_clips = of_clips.rename_axis(["action", "subject", "clip"])
        return aligned([Variations(averages, of_clips, counts, freedom, seeds)])[0]

    def compare(self, metric: str, variant: Variant, against: Variant) -> pd.DataFrame:
        """Say by how much `variant` differs from `against`, with 95 % intervals over people and seeds.

        The table is that of `Variations.compare`. What is refused: see `variations`.
        """
        return self.variations(metric, (variant, against)).compare(variant, against)

    def _rows(self, metric: str, per_joint: bool = False) -> pd.DataFrame:
        rows = self.table[self.table["metric"] == metric]
        if rows.empty:
            raise InputError(f"scores: no metric {metric!r}; these scores have: {', '.join(self.metrics) or 'none'}")
        rows = rows[(rows["joint"] == ALL_JOINTS) != per_joint]
        if rows.empty:
            wanted = "joint by joint" if per_joint else f'over joint "{ALL_JOINTS}"'
            raise InputError(f"scores: metric {metric!r} was not scored {wanted}")
        return rows

    def _known(self, variant: Variant) -> bool:
        if variant not in self.variants:
            known = ", ".join(map(str, self.variants))
            raise InputError(f"scores: no arm {str(variant)!r}; these scores have: {known or 'none'}")
        return True

    def _per_seed(self, metric: str) -> pd.DataFrame:
        """Index (variant, seed), variants in order of appearance; columns the actions and the three means."""
        rows = self._rows(metric)
        variants, number = _numbered(rows)
        table = _frame_means(rows, [number, rows["seed"], rows["action"]]).unstack("action")
        over_actions = table.mean(axis="columns", skipna=False)
        over_frames = _frame_means(rows, [number, rows["seed"]])
        table[MEAN_OVER_ACTIONS] = over_actions
        table[MEAN_OVER_FRAMES] = over_frames
        of_people = _frame_means(rows, [number, rows["seed"], rows["subject"], rows["action"]])
        cells = of_people.unstack(["subject", "action"])
        subjects = cells.columns.get_level_values("subject")
        own_actions = subjects.to_series().map(subjects.value_counts()).to_numpy()
        table[MEAN_OVER_PEOPLE] = cells.to_numpy() @ (1 / own_actions / subjects.nunique())
        index = pd.MultiIndex.from_tuples([(variants[n], seed) for n, seed in table.index], names=["variant", "seed"])
        return table.set_axis(index, axis="index").rename_axis(columns=None)

    def _frames_by_view(self, rows: pd.DataFrame, variant: Variant) -> pd.Series:
        """Frames by sorted (action, person, clip, camera); all seeds of the variant must have them."""
        self._known(variant)
        of_variant = rows[(rows[_VARIANT] == list(astuple(variant))).all(axis="columns")]
        grouped = of_variant.groupby(["action", "subject", "clip", "camera"])
        frames: pd.Series = grouped["frames"].min()
        uneven = (grouped["seed"].size() != of_variant["seed"].nunique()) | (frames != grouped["frames"].max())
        if uneven.any():
            raise InputError(
                f"scores: the seeds of {str(variant)!r} were not all scored on the same clips, cameras and frames, "
                f"first at (action, person, clip, camera) {uneven.idxmax()}; evaluate every seed on the same corpus"
            )
        return frames


def whole_clips(names: pd.Series) -> pd.Series:
    """The clips that these are or were cut from: pieces are named like slices, `13_18[0:118]`."""
    return names.str.replace(r"\[\d+:\d+\]$", "", regex=True)


_OLD_ARM = re.compile(
    rf"(?P<arm>.*?)(?: \((?P<matching>pooled|each|frames|epochs)\))?(?P<mixture>, mixture)?"
    rf"(?:: (?P<label>{'|'.join(LABELS.values())}))?",
    re.DOTALL,
)
OLD_MATCHINGS = {"pooled": "total", "each": "per_model"}
OLD_ARMS = {
    "finished": "finetuned",
    "finished-conditioned": "finetuned-conditioned",
    "specialised": "finetuned-experts",
    "random-specialised": "random-finetuned-experts",
}


def _upgraded(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of a variant in place of the one string that carried them before format 2 of studies, and that of
    `smoothed`, which nothing was before it came.

    Such a string was "experts (pooled)", "conditioned: oracle label" or "specialised, mixture: predicted label".
    """
    if "mixture" in table.columns and "smoothed" not in table.columns:
        return table.assign(smoothed=False)
    new = _VARIANT[1:]
    if "arm" not in table.columns or not set(new).isdisjoint(table.columns):
        return table
    variants = {name: _parsed(str(name)) for name in table["arm"].unique()}
    columns = {key: table["arm"].map({name: getattr(v, key) for name, v in variants.items()}) for key in _VARIANT}
    kinds = {key: _DTYPES[COLUMNS[key]] for key in _VARIANT}
    return table.assign(**columns).astype(kinds)


def _parsed(name: str) -> Variant:
    found = _OLD_ARM.fullmatch(name)
    assert found is not None
    arm, matching, label = found["arm"], found["matching"] or "", found["label"]
    return Variant(
        OLD_ARMS.get(arm, arm),
        OLD_MATCHINGS.get(matching, matching),
        next((key for key, words in LABELS.items() if words == label), ""),
        found["mixture"] is not None,
    )


def _numbered(rows: pd.DataFrame) -> tuple[tuple[Variant, ...], pd.Series]:
    """The variants of these rows in the order in which they first appear, and each row's number among them."""
    number = rows.groupby(_VARIANT, sort=False).ngroup().rename("variant")
    first = rows.loc[~number.duplicated(), _VARIANT]
    return tuple(
        Variant(str(a), str(m), str(label), bool(mix), bool(smooth))
        for a, m, label, mix, smooth in first.itertuples(index=False)
    ), number


def _as_kind(column: pd.Series, kind: type) -> pd.Series:
    """The column as str, int64, float64 or bool; an InputError naming it if its values are of another kind."""
    if kind is str:
        fits = pd.api.types.infer_dtype(column, skipna=False) in ("string", "empty")
    elif kind is bool:
        fits = pd.api.types.is_bool_dtype(column) or column.empty
    elif kind is int:
        fits = pd.api.types.is_integer_dtype(column) or column.empty
    else:
        fits = (pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)) or column.empty
    if not fits:
        raise InputError(f"scores: column {column.name!r} must hold {kind.__name__} and holds {column.dtype} values")
    converted: pd.Series = column.astype(_DTYPES[kind])
    return converted


def _refuse(table: pd.DataFrame, bad: pd.Series, why: str) -> None:
    if bad.any():
        raise InputError(f"scores: {int(bad.sum())} rows: {why}; the first is {table[bad].iloc[0].to_dict()}")


def _frame_means(rows: pd.DataFrame, by: list[pd.Series]) -> pd.Series:
    """The mean of `value` in every group, each row with the weight of its frames."""
    weighted = pd.DataFrame({"sum": rows["value"] * rows["frames"], "frames": rows["frames"]})
    totals = weighted.groupby(by).sum()
    means: pd.Series = totals["sum"] / totals["frames"]
    return means
