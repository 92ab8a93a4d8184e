"""Run folders, tensors on disk, and files that are never half-written."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from actlift import files
from actlift.files import read_json, remove_leftovers, replacing, write_json
from actlift.models.tensors import of_member, read_tensors, write_tensors
from actlift.training.run import Identity, Run

IDENTITY = {"corpus": "abc", "members": {"a": {"steps": 3}, "b": {"steps": 3}}, "model": {"widths": [3]}, "seed": 0}


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# files


def write(path: Path, text: str, then=None) -> None:
    with replacing(path) as beside:
        beside.write_text(text)
        if then:
            then()


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "made" / "on the way" / "é.json"
    write_json(path, {"a": [1, "ü"]})
    assert read_json(path) == {"a": [1, "ü"]}
    write_json(path, [])
    assert read_json(path) == []
    assert names(path.parent) == ["é.json"]


@pytest.mark.parametrize("failing", ["while writing", "os.replace", "os.fsync"])
@pytest.mark.parametrize("existing", [True, False])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, existing, failing):
    path = tmp_path / "file"
    if existing:
        path.write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if failing.startswith("os."):
        monkeypatch.setattr(files.os, failing.removeprefix("os."), full)
    what_became = "the file that lay there is as it was" if existing else "nothing was left behind"
    message = f"could not write {path} .*No space left on device.*; {what_became}. Free some space or choose another"
    with pytest.raises(OSError, match=message):
        write(path, "new", then=full if failing == "while writing" else None)
    assert names(tmp_path) == (["file"] if existing else [])
    assert not existing or path.read_text() == "old"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TypeError("something else")])
def test_other_errors_pass_unchanged_and_leave_nothing(tmp_path, error):
    def fail():
        raise error

    with pytest.raises(type(error)) as caught:
        write(tmp_path / "file", "half", then=fail)
    assert caught.value is error
    assert names(tmp_path) == []


@pytest.mark.parametrize("parent", ["a file", "/proc/no/such"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, parent):
    (tmp_path / "a file").write_text("")
    path = tmp_path / parent / "config.json"  # an absolute parent stands for itself
    message = f"could not write {path} .*(Not a directory|No such file|exists).*nothing was left behind.*another folder"
    with pytest.raises(OSError, match=message):
        write_json(path, {})


def test_leftovers_of_one_file_are_removed(tmp_path):
    for name in (".config.json.12.part", ".config.json.345.part", "config.json", ".other.12.part", "config.part"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path / "config.json")
    assert names(tmp_path) == [".other.12.part", "config.json", "config.part"]
    remove_leftovers(tmp_path / "no folder" / "config.json")


@pytest.mark.parametrize("content", [b"", b'{"format": 1, "ident', b"\xff\xfe\x00"])
def test_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is not valid JSON: .*(char|line|position)"):
        read_json(path)


# tensors


def test_tensors_come_back_bit_for_bit(tmp_path):
    tensors = {"a/x": torch.randn(3, 4).T, "a/step": torch.tensor(7.0), "/loss": torch.randn(2).bfloat16()}
    write_tensors(tmp_path / "t.safetensors", tensors, {"step": 3, "active": ["a"]})
    found, metadata = read_tensors(tmp_path / "t.safetensors")
    assert metadata == {"step": 3, "active": ["a"]}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[k], tensors[k]) and found[k].dtype == tensors[k].dtype for k in tensors)


def test_views_of_one_buffer_can_be_written(tmp_path):
    buffer = torch.arange(12.0).reshape(2, 6)
    write_tensors(tmp_path / "t.safetensors", {"a": buffer[0, :3], "b": buffer[0, 3:], "c": buffer[1]}, {})
    found, _ = read_tensors(tmp_path / "t.safetensors")
    assert [found[k].tolist() for k in "abc"] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_tensors_of_a_member_whose_name_begins_another():
    tensors = {
        f"{name}/{key}": torch.zeros(()) for name in ("Walk", "Walk/Run", "Walking") for key in ("head", "adam.m")
    }
    for name in ("Walk", "Walk/Run", "Walking"):
        assert of_member(tensors, name).keys() == {"head", "adam.m"}
    assert of_member(tensors, "Run") == {}


def test_a_full_disk_leaves_the_old_tensors(tmp_path, monkeypatch):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"a": torch.ones(3)}, {})
    before = path.read_bytes()

    def half_written(_tensors, beside, metadata):
        Path(beside).write_bytes(before[:10])
        raise SafetensorError(f"Error while serializing: I/O error: No space left on device {bool(metadata)}")

    monkeypatch.setattr("actlift.models.tensors.save_file", half_written)
    with pytest.raises(OSError, match=rf"could not write {path} .*No space left.*as it was\. Free some space"):
        write_tensors(path, {"a": torch.zeros(3)}, {})
    assert path.read_bytes() == before
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("content", [b"", b"\x10", b"no safetensors file, and longer than a header", None])
def test_damaged_tensors_are_named(tmp_path, content):
    path = tmp_path / "t.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is damaged or no safetensors file .*Delete it and run the training"):
        read_tensors(path)


def test_tensors_of_others_have_no_metadata_of_ours(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "t.safetensors")
    assert read_tensors(tmp_path / "t.safetensors")[1] == {}
    save_file({"a": torch.ones(1)}, tmp_path / "t.safetensors", metadata={"actlift": "{"})
    with pytest.raises(ValueError, match="is damaged"):
        read_tensors(tmp_path / "t.safetensors")


# runs


def test_a_run_is_made_once_and_opened_again(tmp_path):
    folder = tmp_path / "runs" / "one"
    made = Run.create(folder, Identity.read(IDENTITY | {"loss": {"range": (1, 2)}}))  # what JSON keeps is what counts
    opened, again = Run.open(str(folder)), Run.create(folder, Identity.read(IDENTITY | {"loss": {"range": [1, 2]}}))
    assert made.config == opened.config == again.config
    assert made.members == ("a", "b")
    assert not made.done
    assert made.log().empty
    made.weights.touch()
    assert made.done


def test_the_config_says_what_ran(tmp_path):
    config = Run.create(tmp_path / "run", Identity.read(IDENTITY)).config
    assert config["identity"] == IDENTITY | {"trained_on": {"subjects": [], "actions": []}}
    assert config["versions"].keys() == {"python", "actlift", "torch", "numpy"}
    assert config["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert config["command"] == " ".join(sys.argv)
    assert re.fullmatch(r"[0-9a-f]{12}\+?|unknown", config["commit"])
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == config


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"corpus": "abd"}, "corpus: there 'abc', asked for 'abd'"),
        ({"seed": 1}, "seed: there 0, asked for 1"),
        ({"model": {"widths": [5]}}, r"model\.widths: there \[3\], asked for \[5\]"),
        ({"members": {"a": {"steps": 3}}}, r"members\.b: there {'steps': 3}, asked for None"),
        ({"precision": "bfloat16"}, "precision: there None, asked for 'bfloat16'"),
        ({"seed": 1, "members": {"a": {"steps": 3}, "b": {"steps": 4}}}, r"members\.b\.steps: .*; seed: "),
    ],
)
def test_another_run_in_the_folder_is_refused_by_what_differs(tmp_path, change, told):
    Run.create(tmp_path / "run", Identity.read(IDENTITY))
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(ValueError, match=rf"run holds another run \(.*{told}.*\)\. Choose another folder, or delete"):
        Run.create(tmp_path / "run", Identity.read(IDENTITY | change))
    assert (tmp_path / "run" / "config.json").read_bytes() == before


@pytest.mark.parametrize("done", [True, False])
def test_no_run_is_refused_for_its_threads(tmp_path, done):
    run = Run.create(tmp_path, Identity.read(IDENTITY | {"threads": 4}))
    if done:
        run.weights.touch()
    assert Run.create(tmp_path, Identity.read(IDENTITY | {"threads": 2})).config == run.config
    with pytest.raises(ValueError, match="seed: there 0, asked for 1"):
        Run.create(tmp_path, Identity.read(IDENTITY | {"threads": 2, "seed": 1}))


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_text("")
    with pytest.raises(ValueError, match=f"{tmp_path} is not empty and holds no run: choose another folder"):
        Run.create(tmp_path, Identity.read(IDENTITY))
    assert names(tmp_path) == ["holiday.jpg"]
    with pytest.raises(ValueError, match=r"holiday\.jpg is a file, a run needs a folder: choose another name"):
        Run.create(tmp_path / "holiday.jpg", Identity.read(IDENTITY))


def test_what_a_killed_process_half_wrote_is_no_obstacle(tmp_path):
    (tmp_path / ".config.json.123.part").write_text("{")
    Run.create(tmp_path, Identity.read(IDENTITY))
    for name in (".state.safetensors.123.part", ".tmp0rgQvr"):  # ours, safetensors'
        (tmp_path / name).write_text("")
    Run.create(tmp_path, Identity.read(IDENTITY))
    assert names(tmp_path) == ["config.json"]


@pytest.mark.parametrize("parent", ["a file", "/proc/no"])
def test_a_run_folder_that_cannot_be_made_is_named(tmp_path, parent):
    (tmp_path / "a file").write_text("")
    with pytest.raises(OSError, match=f"could not write {tmp_path / parent / 'run'}/config.json .*another folder"):
        Run.create(tmp_path / parent / "run", Identity.read(IDENTITY))


def test_no_run_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(
            FileNotFoundError, match=f"{folder} is no run folder.*no config.json.*`actlift train` makes"
        ):
            Run.open(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 1, "ident', "is not valid JSON"),
        ('{"format": 2, "identity": {}}', "not the config of a run of format 1.*another version"),
        ('{"identity": {}}', "not the config of a run"),
        ('{"format": 1}', "not the config of a run"),
        ('{"format": 1, "identity": {}}', "not the config of a run"),
        ('{"format": 1, "identity": [1]}', "not the config of a run"),
        ("[1]", "not the config of a run"),
    ],
)
def test_damaged_configs_are_named(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_text(content)
    for door in (Run.open, lambda folder: Run.create(folder, Identity.read(IDENTITY))):
        with pytest.raises(ValueError, match=f"{path} is.*{message.removeprefix('is ')}"):
            door(tmp_path)
    assert path.read_text() == content


def test_the_log_is_a_table_of_lines_and_members(tmp_path):
    run = Run.create(tmp_path, Identity.read(IDENTITY))
    line = {
        "step": 1,
        "progress": 0.5,
        "seconds": 0.1,
        "cpu_seconds": 0.2,
        "learning_rate": 1e-3,
        "loss_mm": {"a": 3.0, "b": 4.0},
    }
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line | {"step": s}) + "\n" for s in (1, 2)))
    log = run.log()
    assert log["step"].tolist() == [1, 1, 2, 2]
    assert log.pivot(index="step", columns="member", values="loss_mm").loc[2].to_dict() == {"a": 3.0, "b": 4.0}


# the real command


@pytest.mark.slow
def test_the_command_tells_what_is_wrong_in_one_line(corpus_folder):
    command = [
        Path(sys.executable).with_name("actlift"),
        "train",
        corpus_folder,
        "/proc/no/run",
        "--test-subjects",
        "syn4",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("actlift: could not write /proc/no/run/config.json (")
    assert done.stderr.endswith("Free some space or choose another folder.\n")
    assert done.stderr.count("\n") == 1
