"""The verb that lifts a video."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.table import Table

from actlift.cli import console
from actlift.errors import InputError
from actlift.motion import WRITERS

if TYPE_CHECKING:
    from actlift.motion.motion import Motion
    from actlift.video.live import LivePose

NAMES = ", ".join(suffix.removeprefix(".") for suffix in WRITERS)
FORMATS_HELP = f"Of {NAMES}, mp4. html is a page to look at, mp4 is drawn over the video."


def lift_verb(
    video: str,
    *,
    out: Path | None = None,
    formats: Annotated[tuple[str, ...], Parameter(help=FORMATS_HELP)] = ("npz", "json", "bvh", "trc", "glb", "html"),
    segments: bool = False,
    person: int | None = None,
    start: float = 0.0,
    end: float | None = None,
    fps: float | None = None,
    height: float | None = None,
    camera: Path | None = None,
    lifter: Literal["aware", "generalist", "causal"] = "aware",
    smoothing: float | None = None,
    refine: bool = True,
    detector: str = "auto",
    weights: Path | None = None,
    layout: str | None = None,
    size: str | None = None,
    live: bool = False,
) -> None:
    """Lift the people in a video to 3D motion, tell what they do when, and write files that other programs open.

    Takes a video, a folder of images, or 2D keypoints as other programs write them. The camera has to stand still.
    Needs `pip install actlift[video]`; keypoints need nothing more. Stopped, it goes on where it was when asked again.

    For example:

        actlift lift walk.mp4
        actlift lift walk.mp4 --height 1.78 --formats bvh c3d trc mp4 --out takes/walk
        actlift lift match.mp4 --start 12.5 --end 20 --person 2
        actlift lift openpose/json --fps 50 --size 1920x1080
        actlift lift 0 --live --out takes/session

    Parameters
    ----------
    video
        What to lift; or keypoints of OpenPose, COCO annotations, COCO or AlphaPose results, MMPose, AlphaPose in the
        form of OpenPose or CMU-Pose, landmarks of MediaPipe, Detectron, VideoPose3D, NumPy, DeepLabCut, table of
        joints, table of frames.
    out
        Folder for the files; the video's name under `lifted` where not given.
    segments
        Also write one file per stretch of one action.
    person
        Only this one, by number in order of appearance.
    start
        Second of the video from which it is lifted.
    end
        Second of the video up to which it is lifted; its end where not given.
    fps
        Of the motion; the video's own where not given. Keypoints: of their frames, where the file does not tell.
    height
        Of the person in meters, which sets the scale; where not given, an average adult's.
    camera
        JSON file with what is known of the camera: focal_px, and center_px, radial, tangential, R_cam_world.
    lifter
        Told the recognized action where it is sure, told nothing, or told nothing and not seeing what comes.
    smoothing
        Cut-off in Hz below which lifted poses move; 4 where not given, 0 leaves them as they are. Poses of --live have
        a filter of their own, which 0 leaves out too.
    refine
        Bring poses onto their keypoints, with bones of constant length; --no-refine leaves them as they were lifted.
    detector
        Of 2D keypoints: rtmpose, movenet, mediapipe, or auto, the best that works here.
    weights
        File of the detector's weights.
    layout
        Order of the joints in a file of keypoints, where it does not tell: h36m_17, coco_17, halpe_26,
        blazepose_33, openpose_18, body_25.
    size
        Of the images that keypoints are from, where the file does not tell, as 1920x1080.
    live
        Print poses as they come, one person and time a line, as JSON: time_s, person, pose3d_cam. A webcam (its number,
        or /dev/video0) is filmed until Ctrl-C.
    """
    from actlift.lifting.smoothing import CUTOFF_HZ
    from actlift.video.camera_file import read_camera
    from actlift.video.pipeline import Lifters, lift_video
    from actlift.video.save import check_formats, save_motions

    path = Path(video)
    check_formats(formats, _film(path))
    folder = out or Path("lifted") / path.stem
    began = time.perf_counter()
    with _resumes("stopped; the same command goes on where it was"), console.progress() as progress:
        motions = lift_video(
            path,
            keep=folder / "detections.bin",
            detector=detector,
            weights=weights,
            lifters=Lifters(lifter),
            camera=read_camera(camera) if camera else None,
            height_m=height,
            smoothing_hz=CUTOFF_HZ if smoothing is None else smoothing or None,
            refine=refine,
            person=person,
            start_s=start,
            end_s=end,
            fps=fps,
            layout=layout,
            size=_size(size),
            on_progress=progress.stage,
            live=_print_poses if live else None,
        )
        written = save_motions(
            motions, folder, formats, video=_film(path), segments=segments, on_progress=progress.stage
        )
    for motion in motions:
        _print_motion(motion)
    frames = max(motion.frames for motion in motions)
    console.say(f"{frames} frames in {time.perf_counter() - began:.1f} s; written to {folder}:")
    console.say(f"  {', '.join(str(file.relative_to(folder)) for file in written)}")


@contextmanager
def _resumes(how: str) -> Iterator[None]:
    """Say at Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how) from None


def _size(text: str | None) -> tuple[int, int] | None:
    """Read 1920x1080 as two numbers."""
    if text is None:
        return None
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise InputError(f"a size is a width and a height in pixels, as in 1920x1080; got {text}")
    return int(width), int(height)


def _film(source: Path) -> Path | None:
    """Give the source back where it is a video that can be read again."""
    from actlift.video.decode import is_live
    from actlift.video.keypoints import is_keypoints

    return None if is_keypoints(source) or is_live(source) else source


def _print_poses(poses: "list[LivePose]") -> None:
    """Print each pose as a line of JSON, at once."""
    for pose in poses:
        record = {
            "time_s": round(pose.time_s, 4),
            "person": pose.person,
            "pose3d_cam": pose.pose3d_cam.round(4).tolist(),
        }
        print(json.dumps(record), flush=True)


def _print_motion(motion: "Motion") -> None:
    """Print who was seen how long, what was done when, and what is not to be trusted."""
    stop_s = motion.start_s + motion.frames / motion.fps
    about = motion.about
    console.say(
        f"person {motion.person}: {motion.start_s:.1f} to {stop_s:.1f} s, {motion.frames} frames at {motion.fps:g} per "
        f"second; {about['lifter']}; smoothing {about['smoothing']}; refined: {about['refined']}; scale "
        f"{about['scale']}; camera {about['camera']}",
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("from", "to", "action", "probability"):
        table.add_column(column, justify="left" if column == "action" else "right")
    for part in motion.action_timeline:
        table.add_row(f"{part.start_s:.2f} s", f"{part.stop_s:.2f} s", part.label, f"{part.probability:.0%}")
    console.CONSOLE.print(table)
    for part in motion.warnings:
        console.say(f"warning: {part.start_s:.1f} to {part.stop_s:.1f} s: {part.label}")
