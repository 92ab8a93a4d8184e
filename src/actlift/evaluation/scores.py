"""Scores: one long table of errors, one row per run, clip, camera, metric and joint, and the questions one asks of it.

Two averages are always both given, because they are two numbers: "mean over actions" weighs every action alike (as the
papers do), "mean over frames" every frame. Inside an action frames weigh alike, over all clips and cameras. With
several seeds each seed is averaged first and the seeds' results then have equal weight.

What is compared are variants: an arm of a study under one matching of budgets, told one kind of label, its poses as
they are or smoothed (`Variant`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actlift.errors import InputError
from actlift.files import replacing
from actlift.training.budget import MATCHINGS

MEAN_OVER_ACTIONS = "mean over actions"
MEAN_OVER_FRAMES = "mean over frames"
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
class BootstrapSamples:
    """A paired bootstrap over whole clips: what averages become when other clips are drawn.

    Any statistic of the variants, computed row by row, comes with its draws; `percentile_interval` gives its interval.
    Two tables with equal `frames`, drawn with the same seed as often, had the same clips drawn, so that a statistic may
    span both.

    Attributes:
        averages: by variant, (1 + draws) rows, of which the first is the data itself; columns the actions, then "mean
            over actions" and "mean over frames". The draws are NaN where no clip could be drawn in place of another.
        frames: of every (action, clip).
    """

    averages: Mapping[Variant, pd.DataFrame]
    frames: pd.Series

    def compare(self, variant: Variant, against: Variant) -> pd.DataFrame:
        """Say by how much `variant` differs from `against`, both among the drawn, with its 95 % interval.

        Rows: the actions, then the two means. Columns: difference (variant minus against, reported unit), low, high,
        clips. An action with one clip has no interval (NaN).
        """
        differences = self.averages[variant] - self.averages[against]
        low, high = percentile_interval(differences.to_numpy())
        clips = self.frames.groupby(level="action").size()
        return pd.DataFrame(
            {
                "difference": differences.loc[0],
                "low": low,
                "high": high,
                "clips": [*clips, *[clips.sum()] * 2],
            }
        ).rename_axis("action")


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
        """Average over seeds; rows variants, columns the actions, then "mean over actions" and "mean over frames".

        NaN where a variant has no clip of an action, and then also in its mean over actions.
        """
        return self._per_seed(metric).groupby(level="variant", sort=False).mean()

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

    def bootstrap(
        self, metric: str, variants: Sequence[Variant], *, seed: int = 0, draws: int = 2000
    ) -> BootstrapSamples:
        """Draw whole clips with replacement, within their actions and for all variants at once, and average anew.

        A clip is drawn with all its cameras and seeds. The draws speak of other clips of the same people, not of other
        people nor of other seeds. An action with one clip has none and adds nothing to those of the means.

        Raises InputError for an unknown metric or variant, or if the variants (or two seeds of one) were not scored on
        the same clips, cameras and numbers of frames.
        """
        rows = self._rows(metric)
        views = {variant: self._by_view(rows, variant) for variant in variants}
        names = list(views)
        frames, _ = views[names[0]]
        for other in names[1:]:
            their_frames, _ = views[other]
            if not frames.equals(their_frames):
                odd = frames.index.symmetric_difference(their_frames.index)
                example = odd[0] if len(odd) else (frames != their_frames).idxmax()
                raise InputError(
                    f"scores: {str(names[0])!r} and {str(other)!r} cannot be paired: they differ in clips, cameras or "
                    f"frames, first at (action, clip, camera) {example}; evaluate both on the same corpus"
                )
        sums = np.column_stack([frames, *(frames * value for _, value in views.values())])  # (views, 1 + variants)
        index = frames.index.to_frame(index=False)
        clips = (
            pd.DataFrame(sums)
            .groupby([index["action"].to_numpy(), whole_clips(index["clip"]).to_numpy()])
            .sum()
            .rename_axis(["action", "clip"])
        )

        rng = np.random.default_rng(seed)
        totals: list[np.ndarray] = []  # per action (1 + draws, 1 + variants): frames and their summed errors
        several: list[bool] = []
        for _, of_action in clips.groupby(level="action"):
            n = len(of_action)
            several.append(n > 1)
            drawn = rng.multinomial(n, np.full(n, 1 / n), size=draws)  # how often each clip is drawn
            totals.append(np.vstack([np.ones((1, n)), drawn]) @ of_action.to_numpy(np.float64))
        total = np.stack(totals, axis=1)  # (1 + draws, actions, 1 + variants)
        per_action = total[..., 1:] / total[..., :1]
        over_frames = total[..., 1:].sum(axis=1) / total[..., :1].sum(axis=1)
        averages = np.concatenate([per_action, per_action.mean(axis=1, keepdims=True), over_frames[:, None]], axis=1)
        averages[1:, ~np.array([*several, any(several), any(several)])] = np.nan
        columns = [*clips.index.unique("action"), MEAN_OVER_ACTIONS, MEAN_OVER_FRAMES]
        return BootstrapSamples(
            {variant: pd.DataFrame(averages[..., i], columns=columns) for i, variant in enumerate(names)},
            clips[0].rename("frames"),
        )

    def compare(
        self, metric: str, variant: Variant, against: Variant, *, seed: int = 0, draws: int = 2000
    ) -> pd.DataFrame:
        """Say by how much `variant` differs from `against`, with a 95 % interval from a paired bootstrap over clips.

        The table is that of `BootstrapSamples.compare`. What is drawn, and what is refused: see `bootstrap`.
        """
        return self.bootstrap(metric, (variant, against), seed=seed, draws=draws).compare(variant, against)

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
        """Index (variant, seed), variants in order of appearance; columns the actions and the two means."""
        rows = self._rows(metric)
        variants, number = _numbered(rows)
        table = _frame_means(rows, [number, rows["seed"], rows["action"]]).unstack("action")
        over_actions = table.mean(axis="columns", skipna=False)
        over_frames = _frame_means(rows, [number, rows["seed"]])
        table[MEAN_OVER_ACTIONS] = over_actions
        table[MEAN_OVER_FRAMES] = over_frames
        index = pd.MultiIndex.from_tuples([(variants[n], seed) for n, seed in table.index], names=["variant", "seed"])
        return table.set_axis(index, axis="index").rename_axis(columns=None)

    def _by_view(self, rows: pd.DataFrame, variant: Variant) -> tuple[pd.Series, pd.Series]:
        """Frames and seed-averaged value by sorted (action, clip, camera); all seeds of the variant must have them."""
        self._known(variant)
        of_variant = rows[(rows[_VARIANT] == list(astuple(variant))).all(axis="columns")]
        grouped = of_variant.groupby(["action", "clip", "camera"])
        frames = grouped["frames"].min()
        uneven = (grouped["seed"].size() != of_variant["seed"].nunique()) | (frames != grouped["frames"].max())
        if uneven.any():
            raise InputError(
                f"scores: the seeds of {str(variant)!r} were not all scored on the same clips, cameras and frames, "
                f"first at (action, clip, camera) {uneven.idxmax()}; evaluate every seed on the same corpus"
            )
        return frames, grouped["value"].mean()


def percentile_interval(drawn: np.ndarray) -> tuple[Any, Any]:
    """The 95 % interval of a statistic that was computed on `BootstrapSamples`, row by row; NaN where it has no draws.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, Chapter 13 (percentile interval).
    """
    low, high = np.percentile(drawn[1:], [2.5, 97.5], axis=0)
    return low, high


def seed_margin(spreads: Iterable[float], seeds: Iterable[int]) -> float:
    """How far from 0 other seeds may bring a sum or difference of means that is truly 0: two-sided t test at 5 %.

    Args:
        spreads: the standard deviation over seeds of each mean, in the difference's unit.
        seeds: how many each has; NaN comes back where one has a single seed.
    """
    from scipy.stats import t

    spread, n = np.array([*spreads], float), np.array([*seeds])
    if (n < 2).any():
        return float("nan")
    return float(t.ppf(0.975, n.sum() - len(n)) * np.sqrt((spread**2 / n).sum()))


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
