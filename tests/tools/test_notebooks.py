"""The notebooks of the course are what the scripts give, and two of them are executed."""

import os

import pytest

from minicnn.cli.course import steps

jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")

from tools import notebooks  # noqa: E402

STEPS = steps()


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.path.stem)
def test_notebooks_are_current(step):
    path = notebooks.NOTEBOOKS / f"{step.path.stem}.ipynb"
    written = path.read_text(encoding="utf-8")
    assert notebooks.notebook(step.path) == written, "run: python -m tools.notebooks"
    cells = nbformat.reads(written, 4).cells
    assert cells[0].source.startswith(f"# {step.title}")
    assert "**Change**:" in cells[0].source and "\n\n**Then**:" in cells[0].source


def test_there_are_no_others():
    names = {path.stem for path in notebooks.NOTEBOOKS.glob("*.ipynb")}
    assert names == {step.path.stem for step in STEPS}


@pytest.mark.filterwarnings("ignore")  # those of Jupyter
@pytest.mark.parametrize("number", [3, 12])
def test_notebooks_run(number, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(notebooks.EXAMPLES.parent), prepend=os.pathsep)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")  # small networks, beside other tests
    path = notebooks.NOTEBOOKS / f"{STEPS[number - 1].path.stem}.ipynb"
    found = nbformat.read(path, 4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(found, timeout=120, resources=resources).execute()
    shown = [o.data for cell in found.cells for o in cell.get("outputs", []) if "data" in o]
    assert any("image/png" in data for data in shown)
    if number == 12:  # the table of the epochs replaced the bar
        assert any(data.get("text/html", "").count("<tr>") == 13 for data in shown)
