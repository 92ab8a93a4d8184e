"""The overlay video: every frame at its time, skeletons where the joints are, and no half-written file."""

import resource
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from tests.video.test_decode import film

from actlift.geometry.framing import guessed_camera
from actlift.geometry.skeleton import COCO_17, H36M_17
from actlift.motion.motion import Motion, Segment
from actlift.video import overlay
from actlift.video.decode import open_source, read_frames
from actlift.video.overlay import LEFT, RIGHT, write_overlay

av = pytest.importorskip("av", reason="PyAV is not installed")

WIDTH, HEIGHT = 800, 600
GRAY = 90  # of the source


def source(path, frames=20, width=WIDTH, height=HEIGHT, **options):
    return film(path, [np.full((height, width, 3), GRAY, dtype=np.uint8)] * frames, **options)


def body_px():
    """Somebody who faces the camera with arms spread, so that every limb stands alone."""
    places = {
        "Nose": (200, 60),
        "LEye": (206, 54),
        "REye": (194, 54),
        "LEar": (214, 58),
        "REar": (186, 58),
        "LShoulder": (230, 100),
        "RShoulder": (170, 100),
        "LElbow": (280, 100),
        "RElbow": (120, 100),
        "LWrist": (330, 100),
        "RWrist": (70, 100),
        "LHip": (220, 180),
        "RHip": (180, 180),
        "LKnee": (240, 230),
        "RKnee": (160, 230),
        "LAnkle": (260, 280),
        "RAnkle": (140, 280),
    }
    return 2.0 * np.array([places[joint] for joint in COCO_17.joints])


def body_world():
    """All joints over the origin but the left hand, which is away from the camera, and the right, which is near."""
    joints = np.zeros((17, 3))
    joints[:, 2] = np.linspace(0.1, 1.7, 17)
    joints[H36M_17.index("Pelvis")] = (0, 0, 1.0)
    for side, y in (("L", 0.6), ("R", -0.6)):
        joints[H36M_17.index(f"{side}Wrist")] = (0, y, 1.4)
    return joints


def motion(frames=20, fps=30.0, **changes):
    still = Motion(
        fps=fps,
        joints_world=np.repeat(body_world()[None], frames, axis=0),
        pose2d_px=np.repeat(body_px()[None], frames, axis=0),
        confidence=np.ones((frames, 17)),
        contacts=np.zeros((frames, 2), dtype=bool),
        camera=guessed_camera(WIDTH, HEIGHT),
        action_timeline=(Segment(0.0, frames / fps, "Waving", 0.9),),
    )
    return replace(still, **changes)


def written(path):
    return list(read_frames(path))


def distance(image, at_px, color, window=2):
    """How far the nearest pixel about a place is from a color."""
    x, y = np.round(at_px).astype(int)
    part = image[y - window : y + window + 1, x - window : x + window + 1].astype(float)
    return float(np.abs(part - color).max(axis=-1).min())


def along(start, stop, share=0.5):
    points = body_px()
    return (1 - share) * points[COCO_17.index(start)] + share * points[COCO_17.index(stop)]


def colored(image, color):
    """Columns and rows of the pixels of a color."""
    rows, columns = np.nonzero(np.abs(image.astype(int) - color).max(axis=-1) < 45)
    return columns, rows


def test_frames_and_times_are_those_of_the_source(tmp_path):
    times = np.cumsum([0, 1, 2, 2, 5, 30, 2, 2, 7])
    path = source(tmp_path / "a.mp4", len(times), times=times)
    done = []
    assert write_overlay([motion(30)], path, tmp_path / "o.mp4", on_progress=done.append) == tmp_path / "o.mp4"
    found = written(tmp_path / "o.mp4")
    np.testing.assert_allclose([f.time_s for f in found], times / 60, atol=1e-4)
    assert done == list(range(1, len(times) + 1))
    raw = (tmp_path / "o.mp4").read_bytes()
    assert raw.index(b"moov") < raw.index(b"mdat")  # plays before it is there whole
    with av.open(str(tmp_path / "o.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.duration * stream.time_base) == pytest.approx(times[-1] / 60, abs=0.3)
        assert float(stream.duration * stream.time_base) > times[-1] / 60  # the last frame is shown, too


def test_even_rates_come_out_even(tmp_path):
    path = source(tmp_path / "a.mp4", 15, rate=25)
    write_overlay([motion(30)], path, tmp_path / "o.mp4")
    told, want = open_source(tmp_path / "o.mp4"), open_source(path)
    assert (told.fps, told.frames) == (25.0, 15)
    assert told.duration_s == pytest.approx(want.duration_s, abs=1e-3)


def test_skeletons_lie_on_the_joints_left_blue_right_orange(tmp_path):
    path = source(tmp_path / "a.mp4", 3)
    write_overlay([motion(3)], path, tmp_path / "o.mp4")
    for frame in written(tmp_path / "o.mp4"):
        for joint, point in zip(COCO_17.joints, body_px(), strict=True):
            if joint[1:] in ("Elbow", "Wrist", "Knee", "Ankle"):
                mine, other = (LEFT, RIGHT) if joint[0] == "L" else (RIGHT, LEFT)
                assert distance(frame.image, point, mine) < 60 < distance(frame.image, point, other)
        assert distance(frame.image, along("LElbow", "LWrist"), LEFT) < 60
        assert distance(frame.image, along("RKnee", "RAnkle"), RIGHT) < 60
        assert distance(frame.image, along("LShoulder", "RShoulder"), (240, 240, 240)) < 60
        untouched = frame.image[400:, 600:WIDTH].astype(int)
        assert np.abs(untouched - GRAY).max() < 12


def test_left_and_right_differ_in_brightness_of_blue_for_every_eye():
    """Matrices of Viénot, Brettel and Mollon (1999) for red- and green-blindness, in linear RGB."""
    linear = (np.array([LEFT, RIGHT]) / 255) ** 2.2
    for blind in (
        [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    ):
        seen = (linear @ np.array(blind).T).clip(0) ** (1 / 2.2)
        assert np.abs(seen[0] - seen[1]).max() > 0.5


def test_what_is_not_sure_is_faint(tmp_path):
    path = source(tmp_path / "a.mp4", 3)
    confidence = np.ones((3, 17))
    confidence[:, COCO_17.index("LWrist")] = 0.0
    write_overlay([motion(3, confidence=confidence)], path, tmp_path / "o.mp4")
    image = written(tmp_path / "o.mp4")[1].image
    faint, sure = (distance(image, along(f"{side}Elbow", f"{side}Wrist"), GRAY, 0) for side in "LR")
    assert 5 < faint < 60 < sure


def test_motion_is_drawn_at_the_time_of_the_frame(tmp_path):
    """A motion of 10 frames per second over a video of 30, and only while it lasts."""
    moving = np.repeat(body_px()[None], 3, axis=0) + np.array([0, 6, 12])[:, None, None] * [1.0, 0.0]
    path = source(tmp_path / "a.mp4", 20)
    late = motion(3, fps=10.0, start_s=0.2, pose2d_px=moving, action_timeline=(Segment(0.2, 0.5, "Waving"),))
    write_overlay([late], path, tmp_path / "o.mp4")
    found = written(tmp_path / "o.mp4")
    ankle = body_px()[COCO_17.index("LAnkle")]
    for frame in found[6:13]:
        columns, _ = colored(frame.image[550:570, :WIDTH], LEFT)
        shift = 60 * (frame.time_s - 0.2)
        assert columns.max() == pytest.approx(ankle[0] + shift + 5, abs=3)
    for frame in (*found[:4], *found[16:]):
        assert np.abs(frame.image[:, :WIDTH].astype(int) - GRAY).max() < 12
        assert np.ptp(frame.image[:, WIDTH + 20 :]) < 30  # an empty panel


def test_the_panel_shows_depth_from_the_side(tmp_path):
    path = source(tmp_path / "a.mp4", 3)
    write_overlay([motion(3)], path, tmp_path / "o.mp4")
    panel = written(tmp_path / "o.mp4")[1].image[80:, WIDTH:]  # below the words
    left, right = colored(panel, LEFT), colored(panel, RIGHT)
    middle = panel.shape[1] / 2
    px_per_m = (left[0].max() - right[0].min()) / 1.2
    assert left[0].max() - middle == pytest.approx(middle - right[0].min(), abs=4)
    assert left[0].max() - middle > 0.5 * px_per_m
    floor = panel[:, 5].sum(axis=-1, dtype=int).argmax()  # a line, and the hands are 1.4 m above it
    hand = left[1][left[0] > left[0].max() - 3].mean()
    assert floor - hand == pytest.approx(1.4 * px_per_m, rel=0.08)


def test_the_panel_follows_somebody_who_walks_away_or_climbs(tmp_path):
    path = source(tmp_path / "a.mp4", 3)
    far = body_world() + np.array([3.0, 40.0, 6.0])
    write_overlay([motion(3)], path, tmp_path / "o.mp4")
    write_overlay([motion(3, joints_world=np.repeat(far[None], 3, axis=0))], path, tmp_path / "far.mp4")
    near, away = (colored(written(tmp_path / name)[1].image[80:, WIDTH:], LEFT) for name in ("o.mp4", "far.mp4"))
    assert abs(near[0].max() - away[0].max()) <= 2
    assert abs(near[1].min() - away[1].min()) <= 6


def test_number_and_action_of_the_moment_are_written(tmp_path):
    path = source(tmp_path / "a.mp4", 12)
    timeline = (Segment(0.0, 0.2, "Waving"), Segment(0.2, 0.4, "Sitting down"))
    write_overlay([motion(12, action_timeline=timeline)], path, tmp_path / "o.mp4")
    write_overlay([motion(12, person=2, action_timeline=timeline)], path, tmp_path / "two.mp4")
    found, two = written(tmp_path / "o.mp4"), written(tmp_path / "two.mp4")
    above = np.s_[20:90, 250:550]  # the label over the head
    same = np.abs(found[0].image[above].astype(int) - found[5].image[above]).max()
    assert same < 30 < np.abs(found[0].image[above].astype(int) - found[6].image[above]).max()
    assert np.abs(found[0].image[above].astype(int) - two[0].image[above]).max() > 30
    assert overlay._label(motion(12, action_timeline=timeline), 0.2 - 1e-9) == "1  Sitting down"
    assert overlay._label(motion(12, action_timeline=()), 0.0) == "1"


def test_side_views_are_shared_by_those_who_do_not_meet():
    times = [(0.0, 30), (0.5, 30), (1.0, 30), (1.2, 30), (9.0, 3)]
    people = [motion(frames, start_s=start_s, person=i + 1) for i, (start_s, frames) in enumerate(times)]
    assert overlay._slots(people) == [0, 1, 0, 2, 0]
    assert overlay._slots(people[::-1]) == [0, 2, 0, 1, 0]


def test_more_people_than_side_views(tmp_path):
    path = source(tmp_path / "a.mp4", 2)
    write_overlay([motion(2, person=i) for i in range(1, 7)], path, tmp_path / "o.mp4")
    panel = written(tmp_path / "o.mp4")[0].image[:, WIDTH:]
    assert all(len(colored(panel[k * HEIGHT // 4 : (k + 1) * HEIGHT // 4], LEFT)[0]) for k in range(4))


@pytest.mark.parametrize(
    ("size", "video"),
    [((2000, 1000), (1280, 640)), ((600, 1500), (512, 1280)), ((401, 301), (400, 300)), ((160, 120), (160, 120))],
)
def test_large_sources_are_scaled_down_and_sizes_even(tmp_path, size, video):
    width, height = size
    path = source(tmp_path / "a.mkv", 2, width=width, height=height, pix_fmt="yuv444p")
    scaled = body_px() / (WIDTH, HEIGHT) * size
    poses = np.repeat(scaled[None], 2, axis=0)
    write_overlay([motion(2, pose2d_px=poses, camera=guessed_camera(*size))], path, tmp_path / "o.mp4")
    image = written(tmp_path / "o.mp4")[0].image
    assert image.shape[0] == video[1]
    assert image.shape[1] % 2 == 0
    assert image.shape[1] >= video[0] + 90
    wrist = scaled[COCO_17.index("LWrist")] * video[0] / width
    assert distance(image, wrist, LEFT) < 100 < distance(image, wrist, RIGHT)


def test_a_part_of_a_folder_of_images(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(12):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 10 * i, dtype=np.uint8)).save(tmp_path / "in" / f"{i}.png")
    write_overlay([motion(60)], tmp_path / "in", tmp_path / "o.mp4", fps=10.0, start_s=0.5, end_s=0.9)
    found = written(tmp_path / "o.mp4")
    np.testing.assert_allclose([f.time_s for f in found], [0.0, 0.1, 0.2, 0.3], atol=1e-4)
    np.testing.assert_allclose([f.image[-5, 5].mean() for f in found], [50, 60, 70, 80], atol=5)


def test_without_an_h264_encoder(tmp_path, monkeypatch):
    path = source(tmp_path / "a.mp4", 5)
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    write_overlay([motion(5)], path, tmp_path / "o.mp4")
    found = written(tmp_path / "o.mp4")
    assert len(found) == 5
    assert distance(found[2].image, along("LElbow", "LWrist"), LEFT) < 60
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert container.streams.video[0].codec.name == "mpeg4"


def test_what_cannot_be_drawn(tmp_path):
    path = source(tmp_path / "a.mp4", 5)
    with pytest.raises(ValueError, match="at least one motion, got none"):
        write_overlay([], path, tmp_path / "o.mp4")
    with pytest.raises(ValueError, match=r"o.gif does not end in .mp4; name it so"):
        write_overlay([motion()], path, tmp_path / "o.gif")
    with pytest.raises(ValueError, match="97 is a camera, whose pictures are gone"):
        write_overlay([motion()], "97", tmp_path / "o.mp4")
    with pytest.raises(ValueError, match="is the source itself"):
        write_overlay([motion()], path, path)
    with pytest.raises(ValueError, match="made from a video of 64 x 48 pixels, but a.mp4 has 800 x 600"):
        write_overlay([motion(camera=guessed_camera(64, 48))], path, tmp_path / "o.mp4")
    with pytest.raises(ValueError, match="no frame from 5 to inf s"):
        write_overlay([motion()], path, tmp_path / "o.mp4", start_s=5.0)
    with pytest.raises(FileNotFoundError, match="no such file"):
        write_overlay([motion()], tmp_path / "b.mp4", tmp_path / "o.mp4")
    with pytest.raises(OSError, match="could not write"):
        write_overlay([motion()], path, path / "o.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, error):
    path = source(tmp_path / "a.mp4", 10)
    (tmp_path / "o.mp4").write_bytes(b"what lay there")

    def stop(done):
        if done == 4:
            raise error

    with pytest.raises(error):
        write_overlay([motion()], path, tmp_path / "o.mp4", on_progress=stop)
    assert (tmp_path / "o.mp4").read_bytes() == b"what lay there"
    assert {p.name for p in tmp_path.iterdir()} == {"a.mp4", "o.mp4"}


def test_a_full_disk(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (4, HEIGHT, WIDTH, 3), np.uint8)
    path = film(tmp_path / "a.mp4", images)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match=r"could not write .*o.mp4 .*nothing was left behind"):
            write_overlay([motion()], path, tmp_path / "o.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_trouble_with_the_source_is_passed_on(tmp_path):
    path = film(tmp_path / "a.mkv", np.random.default_rng(0).integers(0, 255, (60, 60, 80, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    told = []
    write_overlay([motion(camera=guessed_camera(80, 60))], path, tmp_path / "o.mp4", on_trouble=told.append)
    assert 20 < len(written(tmp_path / "o.mp4")) < 40
    assert len(told) == 1
    assert "breaks off" in told[0]


def test_the_smallest_of_sources(tmp_path):
    path = source(tmp_path / "a.mp4", 2, width=16, height=16)
    write_overlay([motion(2, camera=guessed_camera(16, 16))], path, tmp_path / "o.mp4")
    assert len(written(tmp_path / "o.mp4")) == 2


# ---- drawing


@pytest.mark.parametrize(("start", "stop"), [((12.0, 9.0), (45.5, 31.0)), ((20.0, 20.0), (20.0, 20.0))])
def test_lines_are_as_smooth_as_supersampled_ones(start, stop, monkeypatch):
    """Against Pillow at sixteen times the size."""
    monkeypatch.setattr(overlay, "RIM_OPACITY", 0.0)
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    overlay._draw_line(image, np.array(start), np.array(stop), 6.0, (255, 255, 255), 1.0)
    large = Image.new("L", (960, 640))
    pen = ImageDraw.Draw(large)
    if start != stop:
        pen.line([16 * value for value in (*start, *stop)], fill=255, width=96)
    for x, y in (start, stop):
        pen.ellipse([16 * (x - 3), 16 * (y - 3), 16 * (x + 3), 16 * (y + 3)], fill=255)
    reference = np.asarray(large.reduce(16), dtype=int)
    apart = np.abs(image[..., 0].astype(int) - reference)
    assert apart.max() < 45
    assert apart[reference > 0].mean() < 8
    assert (image[..., 0] == image[..., 2]).all()


place = st.floats(-3000, 3000)


@settings(max_examples=50, deadline=None)
@given(ends=st.tuples(place, place, place, place), thick=st.floats(0.5, 30), opacity=st.floats(0, 1))
def test_lines_may_leave_the_image(ends, thick, opacity):
    small = np.full((30, 40, 3), 100, dtype=np.uint8)
    overlay._draw_line(small, np.array(ends[:2]), np.array(ends[2:]), thick, (0, 200, 50), opacity)
    large = np.full((230, 240, 3), 100, dtype=np.uint8)  # the same with a margin
    overlay._draw_line(large, np.array(ends[:2]) + 100, np.array(ends[2:]) + 100, thick, (0, 200, 50), opacity)
    assert np.abs(small.astype(int) - large[100:130, 100:140]).max() <= 1
    if opacity == 0:
        assert (small == 100).all()


@pytest.mark.parametrize("shift", [(-1000, 0), (1000, 0), (0, -1000), (0, 1000), (-120, -60)])
def test_people_may_leave_the_image(tmp_path, shift):
    path = source(tmp_path / "a.mp4", 1)
    moved = body_px()[None] + np.array(shift, dtype=np.float64)
    write_overlay([motion(1, pose2d_px=moved)], path, tmp_path / "o.mp4")
    (frame,) = written(tmp_path / "o.mp4")
    label = (frame.image[:, :WIDTH] > 200).all(axis=-1).sum()
    assert label > 30  # number and action stay on the image
