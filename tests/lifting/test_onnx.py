"""ONNX files give the network's poses in ONNX Runtime, for any batch and length, and tell what they are."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tests.commands import here
from tests.networks import network_of

from actlift.data.windows import rows_of
from actlift.geometry.skeleton import COCO_17, H36M_17, HALPE_26
from actlift.lifting.onnx import UNITS, export_onnx
from actlift.lifting.predict import load_lifter
from actlift.models.tcn import stack
from actlift.models.tcn_inference import FoldedTCN
from actlift.training.budget import Budget
from actlift.training.loop import ModelSpec, train

CASES = {
    "one frame": ((1,), {}),
    "symmetric": ((3, 3, 3), {}),
    "causal with trajectory": ((5, 3), {"causal": True, "trajectory": True}),
}


@pytest.fixture(scope="module", params=CASES)
def exported(request, tmp_path_factory):
    """A network and the file it was written to."""
    widths, options = CASES[request.param]
    network = network_of(widths, **options)
    path = tmp_path_factory.mktemp("onnx") / "deep" / "network.onnx"
    export_onnx(network, path)
    return network, path


def poses_of(path, pose2d):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["pose3d"], {"pose2d": pose2d})[0]


def test_any_batch_and_length_gives_the_networks_poses(exported):
    network, path = exported
    rng = np.random.default_rng(0)
    for b, more in ((1, 0), (1, 1), (3, 0), (2, 57), (5, 200)):
        pose2d = rng.normal(size=(b, network.receptive_field + more, 17, 2)).astype(np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(pose2d)).numpy()
        found = poses_of(path, pose2d)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_the_file_tells_what_it_is(exported):
    network, path = exported
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    told = {p.key: p.value for p in model.metadata_props}
    assert told["receptive_field"] == str(network.receptive_field)
    assert json.loads(told["causal"]) is network.causal
    assert json.loads(told["trajectory"]) is network.trajectory
    assert json.loads(told["units"]) == UNITS
    assert told["producer"].startswith("actlift ")
    skeleton = json.loads(told["skeleton"])
    assert skeleton["joints"] == list(H36M_17.joints)
    assert skeleton["parents"] == list(H36M_17.parents)
    assert skeleton["mirror"] == list(H36M_17.mirror)
    axes = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", "frames", 17, 2]


def test_the_file_is_one_and_names_no_files_of_the_machine(exported):
    _, path = exported
    assert [p.name for p in path.parent.iterdir()] == ["network.onnx"]
    assert b".py" not in path.read_bytes()


def test_another_skeleton_is_told(tmp_path):
    export_onnx(FoldedTCN(network_of((3,))), tmp_path / "a.onnx", skeleton=COCO_17)
    told = {p.key: p.value for p in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert json.loads(told["skeleton"])["name"] == COCO_17.name


def test_what_cannot_be_written(tmp_path):
    network, path = network_of((3,)), tmp_path / "a.onnx"
    with pytest.raises(ValueError, match=r"float32, this form is in torch\.bfloat16: give the network"):
        export_onnx(FoldedTCN(network, torch.bfloat16), path)
    with pytest.raises(ValueError, match="takes 17 joints and gives 17, the skeleton halpe_26 has 26"):
        export_onnx(network, path, skeleton=HALPE_26)
    with pytest.raises(ValueError, match="stack of 2 networks; fold one of them"):
        export_onnx(stack([network, network]), path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_error_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"old")

    def full(_program, destination, **_options):
        destination.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch.onnx.ONNXProgram, "save", full)
    with pytest.raises(OSError, match=r"could not write .*a\.onnx .*No space left.*is as it was"):
        export_onnx(network_of((3,)), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_missing_packages_are_named(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=rf"needs the package {missing}: pip install actlift\[onnx\]"):
        export_onnx(network_of((3,)), tmp_path / "a.onnx")


def test_the_verb(tmp_path, corpus, monkeypatch, capsys):
    members = [ModelSpec(n, rows_of(corpus.select(actions=[n]).views), Budget(2, 4)) for n in ("Squat", "Walking")]
    run = train(tmp_path / "run", corpus, members, model={"widths": [3], "channels": 8}, device="cpu")
    path = tmp_path / "squat.onnx"

    def actlift(*words) -> int:
        return here(monkeypatch, "export", run.folder, "--out", path, *words)

    assert actlift("--member", "Squat") == 0
    assert "squat.onnx: 3 frames receptive field, 1,291 parameters" in capsys.readouterr().out
    pose2d = np.random.default_rng(0).normal(size=(2, 10, 17, 2)).astype(np.float32)
    expected = FoldedTCN(load_lifter(run, "Squat"))(torch.from_numpy(pose2d)).numpy()
    np.testing.assert_allclose(poses_of(path, pose2d), expected, atol=1e-5, rtol=0)

    assert actlift() == 1
    assert "has several members, name one of: Squat, Walking" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert actlift("--member", "Squat") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "actlift: writing ONNX files needs the package onnxscript: pip install actlift[onnx]"
