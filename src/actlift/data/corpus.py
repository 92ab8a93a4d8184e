"""Corpus: views of clips by cameras, on disk as three memory-mapped arrays beside a JSON manifest.

    manifest.json   format, frame rate, views (with their cameras), exclusions, where it all came from, digest
    pose2d.npy      (f, 17, 2) float32, screen units
    confidence.npy  (f, 17)    float32, 0 to 1
    pose3d_cam.npy  (f, 17, 3) float32, meters in the camera's frame of reference, absolute

Views lie one behind the other along f, sorted by action, clip and camera, so that the frames of an action are a slice.
"""

import hashlib
import itertools
import json
import math
import os
import shutil
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from actlift import __version__
from actlift.data.clip import Clip
from actlift.data.keypoints2d import Keypoints2D
from actlift.data.noise import Keypoints
from actlift.errors import InputError, MissingInputError
from actlift.files import read_json, write_json
from actlift.geometry.camera import RIGS, Camera
from actlift.geometry.grid import on_grid
from actlift.geometry.skeleton import H36M_17, SKELETONS, Skeleton

FORMAT = "actlift corpus"
VERSION = 2
VERSIONS = (1, 2)  # that can be read: in 1 views name no data set, and the digest is over numbers as they stand
MANIFEST = "manifest.json"
OWN = "own"  # the rig of clips that come with their cameras
LONGEST_GLITCH = 0.1  # seconds
SUBSET_KEY = 0x5B  # so that a subset is drawn otherwise than all else of that seed
DIGITS = 9  # significant ones, to which numbers of the manifest count for the digest
CHANNELS = {"pose2d": (2,), "confidence": (), "pose3d_cam": (3,)}  # behind (f, 17)
GRID_BITS = {"pose2d": 22, "confidence": 14, "pose3d_cam": 22}  # multiples of about 0.0001 px, 6e-5 and 0.24 um


@dataclass(frozen=True, eq=False)
class View:
    """One clip (or piece of a clip) as one camera saw it.

    Attributes:
        clip, subject, action, dataset: of the clip; a corpus of version 1 names no data set ("").
        keypoints: what the camera saw, all that predictors are given.
        pose3d_cam: (t, 17, 3) ground truth: meters in the camera's frame of reference, absolute.
        start: row of its first frame in the arrays of the corpus.
    """

    clip: str
    subject: str
    action: str
    dataset: str
    keypoints: Keypoints2D = field(repr=False)
    pose3d_cam: Float32[np.ndarray, "t 17 3"] = field(repr=False)
    start: int

    @property
    def pose2d(self) -> Float32[np.ndarray, "t 17 2"]:
        return self.keypoints.pose2d

    @property
    def confidence(self) -> Float32[np.ndarray, "t 17"]:
        return self.keypoints.confidence

    @property
    def fps(self) -> float:
        return self.keypoints.fps

    @property
    def camera(self) -> Camera:
        return self.keypoints.camera

    @property
    def camera_name(self) -> str:
        return self.keypoints.camera.name

    @property
    def frames(self) -> int:
        return len(self.pose3d_cam)


@dataclass(frozen=True)
class Exclusion:
    """Frames left out of a corpus, and why.

    Attributes:
        clip: name of the clip.
        camera: name of the camera; `*` for all.
        first, last: frames of the clip at its own frame rate, both included; last = -1 is the clip's end.
        reason: in words.
    """

    clip: str
    camera: str
    first: int
    last: int
    reason: str


@dataclass(frozen=True, eq=False)
class Corpus:
    """A selection of the views of a folder; selections share the arrays, which hold the frames of all views.

    Attributes:
        folder: where it lies.
        fps: frames per second of every view.
        skeleton: of every pose.
        views: the selection, sorted by action, clip, camera.
        pose2d, confidence, pose3d_cam: (f, ...) all frames on disk, memory-mapped: writing to them changes no file.
        exclusions: what was left out when it was written, and why.
        digest: sha256 over arrays and manifest (but for the sources' names), as written: the same on every machine,
            see `docs/decisions/digests.md`.
        provenance: sources, rig, keypoints, seed and so on, as written.
    """

    folder: Path
    fps: float
    skeleton: Skeleton = field(repr=False)
    views: tuple[View, ...] = field(repr=False)
    pose2d: Float32[np.ndarray, "f 17 2"] = field(repr=False)
    confidence: Float32[np.ndarray, "f 17"] = field(repr=False)
    pose3d_cam: Float32[np.ndarray, "f 17 3"] = field(repr=False)
    exclusions: tuple[Exclusion, ...] = field(repr=False)
    digest: str
    provenance: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Corpus":
        """Open a folder that `write_corpus` wrote. The arrays are mapped, not read; `verify` reads them.

        Raises:
            MissingInputError: there is no corpus there.
            InputError: it is of another version, or damaged: an array is missing, cut short or of another shape than
                the manifest says. The message names the file.
        """
        folder = Path(folder)
        manifest = _read_manifest(folder)
        total = sum(record["frames"] for record in manifest["views"])
        pose2d, confidence, pose3d_cam = (
            _map_array(folder / f"{name}.npy", (total, len(H36M_17), *channels)) for name, channels in CHANNELS.items()
        )
        views, start = [], 0
        for record in manifest["views"]:
            rows = slice(start, start + record["frames"])
            camera = Camera.from_dict(record["camera"])
            views.append(
                View(
                    record["clip"],
                    record["subject"],
                    record["action"],
                    record.get("dataset", ""),
                    Keypoints2D(pose2d[rows], confidence[rows], manifest["fps"], camera),
                    pose3d_cam[rows],
                    start,
                )
            )
            start = rows.stop
        return cls(
            folder=folder,
            fps=manifest["fps"],
            skeleton=SKELETONS[manifest["skeleton"]],
            views=tuple(views),
            pose2d=pose2d,
            confidence=confidence,
            pose3d_cam=pose3d_cam,
            exclusions=tuple(Exclusion(**row) for row in manifest["exclusions"]),
            digest=manifest["digest"],
            provenance=manifest["provenance"],
        )

    @property
    def actions(self) -> tuple[str, ...]:
        """Labels in the selection, sorted."""
        return tuple(sorted({view.action for view in self.views}))

    @property
    def subjects(self) -> tuple[str, ...]:
        """People in the selection, sorted."""
        return tuple(sorted({view.subject for view in self.views}))

    @property
    def frames(self) -> int:
        """Frames in the selection, each camera's counted."""
        return sum(view.frames for view in self.views)

    @property
    def starts(self) -> Int64[np.ndarray, " views"]:
        """Row of the first frame of each view."""
        return np.array([view.start for view in self.views], dtype=np.int64)

    @property
    def lengths(self) -> Int64[np.ndarray, " views"]:
        """Frames of each view."""
        return np.array([view.frames for view in self.views], dtype=np.int64)

    def select(
        self,
        actions: Iterable[str] | None = None,
        subjects: Iterable[str] | None = None,
        clips: Iterable[str] | None = None,
        predicate: Callable[[View], bool] | None = None,
    ) -> "Corpus":
        """Select the views that meet every condition given; names are compared by equality.

        Raises:
            InputError: a name is not in this selection (the message lists those that are), or no view is left.
        """
        views = self.views
        for kind, wanted in (("action", actions), ("subject", subjects), ("clip", clips)):
            if wanted is None:
                continue
            if isinstance(wanted, str):
                raise InputError(f"{kind}s must be several names, as in ['{wanted}']; got the string '{wanted}'")
            names, known = set(wanted), {getattr(view, kind) for view in self.views}
            if names - known:
                raise InputError(f"no {kind} {_listed(names - known)} in this corpus; it has {_listed(known)}")
            views = tuple(view for view in views if getattr(view, kind) in names)
        if predicate is not None:
            views = tuple(view for view in views if predicate(view))
        if not views:
            raise InputError(f"no view of {self.folder} meets all conditions of the selection; loosen one of them")
        return replace(self, views=views)

    def split(self, test_subjects: Iterable[str], *, shared_actions_only: bool = False) -> tuple["Corpus", "Corpus"]:
        """Cut by person: (the views of everybody else, the views of the test subjects).

        Args:
            test_subjects: who is held out.
            shared_actions_only: keep only actions that stand on both sides; which were dropped shows in a comparison of
                `actions` before and after.

        Raises:
            InputError: a test subject is unknown, a side would be empty, or no action stands on both sides.
        """
        test = self.select(subjects=test_subjects)
        others = sorted(set(self.subjects) - set(test.subjects))
        if not others:
            raise InputError(f"all subjects, {_listed(self.subjects)}, are test subjects; leave some to train on")
        train = self.select(subjects=others)
        if shared_actions_only:
            shared = set(train.actions) & set(test.actions)
            if not shared:
                raise InputError(
                    f"no action stands on both sides: the test subjects do {_listed(test.actions)}, the others "
                    f"{_listed(train.actions)}; choose other test subjects"
                )
            train, test = train.select(actions=shared), test.select(actions=shared)
        return train, test

    def subset(self, share: float, seed: int) -> "Corpus":
        """Draw whole clips, each with all its cameras, that together hold a share of the frames.

        A smaller share of the same seed is a part of a larger one.

        Args:
            share: of the frames, over 0 to 1; reached by the last clip drawn.
            seed: of the order in which clips are drawn.

        Raises:
            InputError: the share is not over 0 to 1, or the seed is negative.
        """
        if not 0 < share <= 1:
            raise InputError(f"a subset is a share of the frames, over 0 to 1, got {share:g}")
        if seed < 0:
            raise InputError(f"a seed is 0 or more, got {seed}")
        frames: dict[str, int] = {}
        for view in sorted(self.views, key=lambda view: view.clip):
            frames[view.clip] = frames.get(view.clip, 0) + view.frames
        clips = np.random.default_rng((seed, SUBSET_KEY)).permutation(list(frames)).tolist()
        reached = np.cumsum([frames[clip] for clip in clips])
        count = int(np.searchsorted(reached, share * self.frames - 1e-6)) + 1
        return self.select(clips=clips[:count])

    def verify(self) -> None:
        """Read everything and compare it with the digest.

        Raises:
            InputError: arrays or manifest are not those that were written.
        """
        manifest = _read_manifest(self.folder)
        digests = [hashlib.sha256(getattr(self, name).data).hexdigest() for name in CHANNELS]
        found = _digest(digests, manifest)
        if not found == self.digest == manifest["digest"]:
            raise InputError(
                f"{self.folder}: digest {found[:12]} is not {self.digest[:12]}, as written; prepare it anew"
            )


def write_corpus(
    folder: str | os.PathLike[str],
    clips: Iterable[Clip],
    *,
    rig: str | None = None,
    cameras: int = 4,
    keypoints: Keypoints,
    fps: float | None = None,
    seed: int = 0,
    exclusions: Sequence[Exclusion] = (),
    max_speed: float = 12.0,
    sources: Sequence[str] = (),
) -> Corpus:
    """See every clip with cameras and write the views; the folder appears whole or not at all.

    The cameras are the clips' own where they come with some, those of a virtual rig otherwise. 2D keypoints are the
    clips' detections where they come with some, made from projections otherwise. Cameras and arrays are rounded to
    binary grids, far below what is measured, so that they are the same bits on every processor.

    Frames at either end of a step in which some joint is faster than `max_speed` are left out (and those between two
    such steps within 0.1 s), recorded among the exclusions with the reason. Where frames are left out the clip is cut,
    and its pieces are named like slices of the clip's own frames: `13_18[0:118]`. All pieces of a clip are seen by the
    same cameras. The ring is one set of cameras for the whole corpus, as in Human3.6M, set about the middle of each
    clip's motion; random cameras are drawn anew for every clip. Clips are taken one at a time; cameras and noise depend
    on the seed and on the names of clip and camera alone, neither on their order nor on other clips.

    Args:
        folder: a new folder, or an existing corpus, which is replaced.
        clips: with names that differ.
        rig: name of an entry of `RIGS`, or `own` for the clips' cameras; `own` where not given and all clips have
            cameras, `ring` where not given and none has.
        cameras: how many a virtual rig has.
        keypoints: what becomes of the exact projections, where there are no detections.
        fps: frame rate of the corpus; the clips' own if not given.
        seed: of cameras and keypoints.
        exclusions: frames to leave out.
        max_speed: meters per second of any joint in the world; `math.inf` lets everything through.
        sources: words on where the clips came from, for the record.

    Raises:
        FileExistsError: the folder exists and holds something else than a corpus.
        InputError: clips share a name or, without `fps`, differ in rate; an exclusion fits no clip, camera or frame;
            the rig is unknown, or not one for all clips; only some clips have detections; nothing is left.
        OSError: the disk is full or not writable. What was there before is untouched.
    """
    if rig not in (None, OWN, *RIGS):
        raise InputError(f"unknown rig '{rig}'; known are {_listed([OWN, *RIGS])}")
    with _appearing(folder) as partial:
        with _Shelf(partial / "clips.raw") as shelf, _Arrays(partial) as arrays:
            for clip in clips:
                shelf.add(clip)
            rig = _common_rig(shelf, rig)
            detected = _common_detections(shelf, rig)
            manifest: dict[str, Any] = {
                "format": FORMAT,
                "version": VERSION,
                "fps": _common_fps(shelf, fps),
                "skeleton": H36M_17.name,
                "views": [],
                "exclusions": [],
                "provenance": {
                    "actlift": __version__,
                    "sources": list(sources),
                    "rig": rig,
                    "cameras": len(shelf.cameras) if rig == OWN else cameras,
                    "keypoints": detected or {"kind": type(keypoints).__name__, **asdict(keypoints)},
                    "seed": seed,
                    "max_speed": max_speed if math.isfinite(max_speed) else None,
                },
            }
            unknown = {row.clip for row in exclusions} - shelf.names
            if unknown:
                raise InputError(f"exclusions name no such clip: {_listed(unknown)}; clips are {_listed(shelf.names)}")
            for clip in shelf.sorted():
                rows = [row for row in exclusions if row.clip == clip.name] + _unusable(clip)
                rows += _too_fast(clip, max_speed)
                manifest["exclusions"] += [asdict(row) for row in rows]
                manifest["views"] += _write_clip(arrays, clip, rows, rig, cameras, keypoints, manifest["fps"], seed)
            if not manifest["views"]:
                raise InputError(f"no frame is left to write to {folder}: no clips were given, or all were excluded")
            if detected:
                frames = sum(record["frames"] for record in manifest["views"])
                off_px = sum(record["frames"] * record["off_px"] for record in manifest["views"])
                detected["off_px"] = round(off_px / frames, 2)
            manifest["digest"] = _digest(arrays.finish(), manifest)
        (partial / "clips.raw").unlink()
        write_json(partial / MANIFEST, manifest)
    return Corpus.open(folder)


def rewrite_corpus(
    folder: str | os.PathLike[str],
    corpus: Corpus,
    change: Callable[[View], tuple[np.ndarray, np.ndarray, np.ndarray]],
    *,
    provenance: Mapping[str, Any],
) -> Corpus:
    """Write the views of a selection with other keypoints or poses; the folder appears whole or not at all.

    Args:
        folder: a new folder, or an existing corpus, which is replaced.
        change: gives the new ``pose2d``, ``confidence`` and ``pose3d_cam`` of a view, of as many frames.
        provenance: entries to add to those of the corpus, or to put in their place: what became of the keypoints.

    Raises:
        FileExistsError: the folder exists and holds something else than a corpus.
        InputError: a view came back with another number of frames.
        OSError: the disk is full or not writable. What was there before is untouched.
    """
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "fps": corpus.fps,
        "skeleton": corpus.skeleton.name,
        "views": [],
        "exclusions": [asdict(row) for row in corpus.exclusions],
        "provenance": {**corpus.provenance, "actlift": __version__, **provenance},
    }
    with _appearing(folder) as partial:
        with _Arrays(partial) as arrays:
            for view in corpus.views:
                pose2d, confidence, pose3d_cam = change(view)
                if not len(pose2d) == len(confidence) == len(pose3d_cam) == view.frames:
                    raise InputError(f"{view.clip} has {view.frames} frames and came back with {len(pose2d)}")
                arrays.append(pose2d=pose2d, confidence=confidence, pose3d_cam=pose3d_cam)
                manifest["views"].append(
                    {
                        "clip": view.clip,
                        "subject": view.subject,
                        "action": view.action,
                        "dataset": view.dataset,
                        "frames": view.frames,
                        "camera": view.camera.to_dict(),
                    }
                )
            manifest["digest"] = _digest(arrays.finish(), manifest)
        write_json(partial / MANIFEST, manifest)
    return Corpus.open(folder)


def _write_clip(
    arrays: "_Arrays",
    clip: Clip,
    exclusions: Sequence[Exclusion],
    rig: str,
    count: int,
    keypoints: Keypoints,
    fps: float,
    seed: int,
) -> list[dict[str, Any]]:
    """Append every camera's views of what the exclusions leave of a clip; their entries in the manifest."""
    everywhere = _kept(clip, [row for row in exclusions if row.camera == "*"])
    if not everywhere.any():
        return []
    drawn = seed if rig == "ring" else (seed, zlib.crc32(clip.name.encode()))
    placed = clip.cameras if rig == OWN else RIGS[rig](clip.joints_world[everywhere], drawn, count)
    cameras = [camera.rounded() for camera in placed]
    unknown = {row.camera for row in exclusions} - {camera.name for camera in cameras} - {"*"}
    if unknown:
        raise InputError(
            f"an exclusion of clip '{clip.name}' names no such camera: {_listed(unknown)}; cameras are "
            f"{_listed(camera.name for camera in cameras)}, or * for all"
        )
    cuts = sorted(
        (first, stop, camera.name, camera)
        for camera in cameras
        for first, stop in _runs(_kept(clip, [row for row in exclusions if row.camera in ("*", camera.name)]))
    )
    pieces = {
        (first, stop): (clip if stop - first == clip.frames else clip.piece(first, stop)).resampled(fps)
        for first, stop, _, _ in cuts
    }
    records = []
    for first, stop, _, camera in cuts:
        piece = pieces[first, stop]
        pose3d_cam = camera.world_to_cam(piece.joints_world)
        exact_px = camera.cam_to_px(pose3d_cam)
        off: dict[str, float] = {}
        if piece.detections is None:
            names = (zlib.crc32(piece.name.encode()), zlib.crc32(camera.name.encode()))
            points_px, confidence = keypoints.observe(exact_px, H36M_17, fps, (seed, *names))
        else:
            detected_px = piece.detections.points_px[cameras.index(camera)]
            assert detected_px is not None  # _unusable has excluded such cameras
            points_px, confidence = detected_px, np.ones(detected_px.shape[:2])
            off["off_px"] = round(float(np.linalg.norm(points_px - exact_px, axis=-1).mean()), 3)
        arrays.append(pose2d=camera.px_to_screen(points_px), confidence=confidence, pose3d_cam=pose3d_cam)
        records.append(
            {
                "clip": piece.name,
                "subject": piece.subject,
                "action": piece.action,
                "dataset": piece.dataset,
                "frames": piece.frames,
                "camera": camera.to_dict(),
                **off,
            }
        )
    return records


def _unusable(clip: Clip) -> list[Exclusion]:
    """Exclusions of what the source itself says cannot be used: a whole clip, or cameras without detections."""
    if clip.fault:
        return [Exclusion(clip.name, "*", 0, -1, clip.fault)]
    if clip.detections is None:
        return []
    return [
        Exclusion(clip.name, camera.name, 0, -1, f"no detections in {clip.detections.source}")
        for camera, points_px in zip(clip.cameras, clip.detections.points_px, strict=True)
        if points_px is None
    ]


def _too_fast(clip: Clip, max_speed: float) -> list[Exclusion]:
    """Exclusions of the frames on either side of every step in which a joint is faster than max_speed (m/s).

    Frames between two such steps within 0.1 s go too: there a joint jumped away and back.
    """
    speed = np.linalg.norm(np.diff(clip.joints_world, axis=0), axis=-1) * clip.fps  # (t - 1, 17)
    fast = (speed > max_speed).any(axis=1)
    steps = np.flatnonzero(fast)
    for before, after in itertools.pairwise(steps):
        fast[before:after] |= after - before <= LONGEST_GLITCH * clip.fps
    rows = []
    for first, stop in _runs(np.append(fast, False) | np.append(False, fast)):
        joint = int(speed[first : stop - 1].max(axis=0).argmax())
        fastest = speed[first : stop - 1, joint].max()
        reason = f"{H36M_17.joints[joint]} moves at {fastest:.1f} m/s, over {max_speed:g}"
        rows.append(Exclusion(clip.name, "*", first, stop - 1, reason))
    return rows


def _kept(clip: Clip, exclusions: Sequence[Exclusion]) -> Bool[np.ndarray, " t"]:
    """Which frames of a clip its exclusions leave."""
    kept = np.ones(clip.frames, dtype=bool)
    for row in exclusions:
        last = clip.frames - 1 if row.last == -1 else row.last
        if not 0 <= row.first <= last < clip.frames:
            raise InputError(
                f"an exclusion of clip '{clip.name}' leaves out frames {row.first} to {row.last}; the clip has 0 to "
                f"{clip.frames - 1} (a last of -1 is its end)"
            )
        kept[row.first : last + 1] = False
    return kept


def _runs(mask: Bool[np.ndarray, " t"]) -> list[tuple[int, int]]:
    """First and stop of every run of true values."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]


class _Shelf:
    """Clips set aside on disk until all are known and can be sorted; only their labels stay in memory."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w+b")
        self.labels: list[tuple[Clip, int, int]] = []  # a clip of the first frame alone, where it begins, its frames
        self.names: set[str] = set()

    def __enter__(self) -> "_Shelf":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, clip: Clip) -> None:
        if clip.name in self.names:
            raise InputError(f"two clips are named '{clip.name}'; names must differ, across sources too")
        self.names.add(clip.name)
        self.labels.append((replace(clip.piece(0, 1), name=clip.name), self.file.tell(), clip.frames))
        for points in (clip.joints_world, *_detected(clip)):
            self.file.write(np.ascontiguousarray(points, dtype=np.float32).data)

    def sorted(self) -> Iterator[Clip]:
        """The clips by action, then name."""
        for label, begin, frames in sorted(self.labels, key=lambda entry: (entry[0].action, entry[0].name)):
            self.file.seek(begin)
            joints_world = self._read(frames, 3)
            detections = label.detections
            if detections is not None:
                points_px = tuple(None if p is None else self._read(frames, 2) for p in detections.points_px)
                detections = replace(detections, points_px=points_px)
            yield replace(label, joints_world=joints_world, detections=detections)

    @property
    def cameras(self) -> set[str]:
        """Names of the cameras with which the clips came."""
        return {camera.name for clip, _, _ in self.labels for camera in clip.cameras}

    def _read(self, frames: int, axes: int) -> np.ndarray:
        shape = (frames, len(H36M_17), axes)
        return np.frombuffer(self.file.read(4 * math.prod(shape)), np.float32).reshape(shape)


def _detected(clip: Clip) -> list[np.ndarray]:
    """The arrays of a clip's detections."""
    return [] if clip.detections is None else [points for points in clip.detections.points_px if points is not None]


class _Arrays:
    """The three arrays of a corpus as .npy files that grow, with the digest of each."""

    def __init__(self, folder: Path) -> None:
        self.frames = 0
        self.files = {name: (folder / f"{name}.npy").open("wb") for name in CHANNELS}
        self.hashes = {name: hashlib.sha256() for name in CHANNELS}
        self._write_headers()

    def __enter__(self) -> "_Arrays":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files.values():
            file.close()

    def append(self, **blocks: np.ndarray) -> None:
        for name, block in blocks.items():
            block = np.ascontiguousarray(on_grid(block, GRID_BITS[name]), dtype=np.float32)
            self.hashes[name].update(block.data)
            self.files[name].write(block.data)
        self.frames += len(block)

    def finish(self) -> list[str]:
        """Write the final shapes and everything else to disk; the sha256 of each array."""
        self._write_headers()
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())
        return [digest.hexdigest() for digest in self.hashes.values()]

    def _write_headers(self) -> None:
        """NumPy leaves room in a header for its first axis to grow, so that it can be written over."""
        for name, file in self.files.items():
            shape = (self.frames, len(H36M_17), *CHANNELS[name])
            file.seek(0)
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def _common_fps(shelf: _Shelf, fps: float | None) -> float:
    if fps is not None:
        return float(fps)
    examples = {clip.fps: clip.name for clip, _, _ in shelf.labels}
    if len(examples) > 1:
        found = ", ".join(f"{rate:g} ('{name}')" for rate, name in sorted(examples.items()))
        raise InputError(f"clips differ in frames per second: {found}; pass fps, to which all are resampled")
    return next(iter(examples), math.nan)  # no clip: write_corpus says so


def _common_rig(shelf: _Shelf, rig: str | None) -> str:
    """The rig for all clips, where it can be one."""
    found = {bool(clip.cameras): clip for clip, _, _ in shelf.labels}  # an example with and one without cameras
    if rig is None and len(found) > 1:
        raise InputError(
            f"clip '{found[True].name}' comes with its cameras, clip '{found[False].name}' with none; name a virtual "
            f"rig for all ({_listed(RIGS)}), or make two corpora"
        )
    if rig == OWN and False in found:
        raise InputError(
            f"rig 'own', but clip '{found[False].name}' comes with no cameras; name a virtual rig ({_listed(RIGS)})"
        )
    return rig or (OWN if True in found else "ring")


def _common_detections(shelf: _Shelf, rig: str) -> dict[str, Any] | None:
    """The record of the keypoints of clips that come with detections; None where no clip does."""
    usable = [clip for clip, _, _ in shelf.labels if not clip.fault]
    having = [clip for clip in usable if clip.detections is not None]
    if not having:
        return None
    if rig != OWN:
        raise InputError(
            f"clip '{having[0].name}' has detections, made in images of its own cameras; leave out rig '{rig}', or "
            "leave out the detections"
        )
    without = [clip.name for clip in usable if clip.detections is None]
    if without:
        raise InputError(f"clips have detections, but not {_listed(without, 5)}; give all or none, or make two corpora")
    found = {(clip.detections.source, clip.detections.layout) for clip in having if clip.detections is not None}
    if len(found) > 1:
        raise InputError(f"clips have detections of several kinds, {sorted(found)}; make a corpus of each")
    file, layout = found.pop()
    return {"kind": "Detections", "file": file, "layout": layout}


@contextmanager
def _appearing(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder to write a corpus to; it takes the place of ``folder`` when the block ends well, and goes when it fails.

    Raises:
        FileExistsError: the folder exists and holds something else than a corpus.
        OSError: the disk is full or not writable. What was there before is untouched.
    """
    folder = Path(folder)
    if not _may_be_replaced(folder):
        raise FileExistsError(f"{folder} exists and is not just a corpus; choose another folder, or empty it yourself")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unique = uuid.uuid4().hex[:8]
    partial = folder.with_name(f".{folder.name}.{unique}.part")
    partial.mkdir()
    try:
        yield partial
        _put_in_place(partial, folder, folder.with_name(f".{folder.name}.{unique}.old"))
    except FileNotFoundError:  # a source that is not there
        raise
    except OSError as error:
        raise OSError(f"could not write the corpus {folder} ({error}); what was there before is untouched") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _may_be_replaced(folder: Path) -> bool:
    """Whether nothing would be lost but a corpus, of whatever version."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    found = {entry.name for entry in folder.iterdir()}
    if MANIFEST not in found or found - {MANIFEST, *(f"{name}.npy" for name in CHANNELS)}:
        return not found
    manifest = read_json(folder / MANIFEST)
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def _put_in_place(partial: Path, folder: Path, old: Path) -> None:
    """Rename the finished folder, and take away the corpus that it replaces."""
    if not folder.exists():
        os.replace(partial, folder)
        return
    os.replace(folder, old)
    try:
        os.replace(partial, folder)
    except BaseException:
        os.replace(old, folder)
        raise
    shutil.rmtree(old)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingInputError(f"{folder}: no corpus there (no {MANIFEST}); `actlift data prepare` writes one")
    manifest: dict[str, Any] = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path}: not the manifest of an {FORMAT}")
    if manifest.get("version") not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise InputError(f"{path}: version {manifest.get('version')}; this actlift reads {known}; prepare it anew")
    missing = {"fps", "skeleton", "views", "exclusions", "provenance", "digest"} - manifest.keys()
    if missing:
        raise InputError(f"{path}: no {_listed(missing)} in it; prepare it anew")
    return manifest


def _map_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Map a .npy file copy-on-write: torch takes writable arrays only, and the file stays as it is."""
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError) as error:
        raise InputError(
            f"{path}: missing or cut short ({error}); copy the corpus again, or prepare it anew"
        ) from error
    if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise InputError(
            f"{path}: {array.dtype} {array.shape}, but the manifest wants float32 {shape}; the files are not of one "
            "corpus, prepare it anew"
        )
    return np.asarray(array)


def _digest(arrays: Sequence[str], manifest: Mapping[str, Any]) -> str:
    """sha256 over the digests of the arrays and the manifest, but for the digest itself and what changes no number: the
    words on sources, which are paths of one machine, and the version of actlift that wrote it."""
    kept = {key: value for key, value in manifest.items() if key != "digest"}
    words = ("sources", "actlift")
    kept["provenance"] = {key: value for key, value in manifest["provenance"].items() if key not in words}
    if manifest["version"] > 1:
        kept = _rounded(kept)
    return hashlib.sha256(json.dumps([list(arrays), kept], sort_keys=True).encode()).hexdigest()


def _rounded(value: Any) -> Any:
    """A part of a manifest with its floats rounded to `DIGITS`; those that are whole numbers then are ints."""
    if isinstance(value, Mapping):
        return {key: _rounded(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(held) for held in value]
    if not isinstance(value, float):
        return value
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def _listed(names: Iterable[str], most: int = 40) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(f"'{name}'" for name in ordered[:most]) + more
