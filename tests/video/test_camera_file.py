"""Cameras that users write down."""

import json

import numpy as np
import pytest

from actlift.video.camera_file import read_camera


def test_a_focal_length_and_a_size_are_enough(tmp_path):
    path = tmp_path / "phone.json"
    path.write_text(json.dumps({"focal_px": 1450, "width": 1920, "height": 1080}))
    camera = read_camera(path)
    assert (camera.name, camera.width, camera.height) == ("phone", 1920, 1080)
    np.testing.assert_array_equal(camera.focal_px, [1450, 1450])
    np.testing.assert_array_equal(camera.center_px, [960, 540])
    np.testing.assert_array_equal(camera.R_cam_world, np.eye(3))


def test_all_that_is_known_is_taken(tmp_path):
    path = tmp_path / "camera.json"
    known = {"focal_px": [1450, 1440], "width": 1920, "height": 1080, "center_px": [950, 530], "radial": [0.1, 0, 0]}
    path.write_text(json.dumps(known))
    camera = read_camera(path)
    np.testing.assert_array_equal(camera.radial, [0.1, 0, 0])
    np.testing.assert_array_equal(camera.center_px, [950, 530])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not valid JSON"),
        ("[1]", "no camera; everything is missing"),
        ('{"focal_px": 3}', 'no camera; width, height is missing. Wanted something like {"focal_px": 1450'),
        ('{"focal_px": -3, "width": 10, "height": 10}', "focal lengths and image size must be positive"),
        ('{"focal_px": 3, "width": 10, "height": 10, "zoom": 2}', "unknown: zoom"),
        ('{"focal_px": "wide", "width": 10, "height": 10}', "focal_px is 'wide'; wanted a number or numbers"),
        ('{"focal_px": 3, "width": 10, "height": null}', "height is None; wanted a number"),
        ('{"focal_px": 3, "width": "10", "height": 10}', "width is '10'; wanted a number"),
        ('{"focal_px": 3, "width": [10, 20], "height": 10}', "width and height are one number each"),
        ('{"focal_px": 3, "width": 10, "height": 10, "radial": [[1], [2, 3]]}', "radial is [[1], [2, 3]]; wanted"),
    ],
)
def test_what_is_no_camera_is_refused(tmp_path, content, why):
    path = tmp_path / "camera.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="camera.json") as caught:
        read_camera(path)
    assert why in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.json: no such file"):
        read_camera(tmp_path / "none.json")
