"""The notebooks among the examples run from top to bottom."""

import json
from pathlib import Path

import matplotlib
import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", EXAMPLES, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    space: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "clear outputs before committing"
            exec("".join(cell["source"]), space)
    matplotlib.pyplot.close("all")
    assert "Walking" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} >= {"walk.html", "walk.bvh", "walk.trc", "segments"}
