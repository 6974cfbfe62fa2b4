"""`minicnn check`: the page, the points, JSON and the exit status."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from minicnn.cli import app

STUDENTS = Path(__file__).parents[1] / "study" / "check" / "students"


@pytest.fixture
def relu_files(tmp_path):
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    text = "def relu_forward(x): return x * (x > 0), x\ndef relu_backward(dout, cache): return dout"
    wrong.write_text(text)
    right.write_text(text + " * (cache > 0)")
    return str(right), str(wrong)


def run(*arguments):
    return CliRunner().invoke(app, ["check", *arguments])


def test_page_and_exit_status(relu_files):
    right, wrong = relu_files
    result = run(right)
    assert result.exit_code == 0
    assert "3 of 3 points: all of it is right" in result.output
    result = run(wrong)
    assert result.exit_code == 1
    assert "dx: the mask is forgotten: dout passes everywhere" in result.output
    assert "formula: dx = dout where x > 0, else 0" in result.output


def test_a_folder_of_submissions_as_json(relu_files):
    result = run(*relu_files, "--json")
    assert result.exit_code == 1
    first, second = json.loads(result.output)
    assert (first["ok"], first["points"], first["possible"]) == (True, 3, 3)
    assert (second["ok"], second["points"]) == (False, 2)
    assert second["checks"][0]["findings"][0]["name"] == "mask forgotten"


def test_points(relu_files):
    lines = run(*relu_files, "--points").output.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["3", "of", "3"],
        ["3", "of", "3"],
        ["2", "of", "3"],
        ["2", "of", "3"],
    ]
