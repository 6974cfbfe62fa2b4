"""`compare` and `results` as commands: what they print, their files and exit codes."""

import json

import pytest
from typer.testing import CliRunner

from minicnn.cli import app
from minicnn.errors import CheckpointError
from minicnn.study import expected
from minicnn.study.results import make_result, results
from minicnn.study.runs import read_run

from ..study.trained import trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        trained(folder / str(seed), seed=seed)
    trained(folder / "worse", seed=2, epochs=3)
    return folder


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run a command in an empty folder; the result is what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        if code == 2:
            return str(done.exception)
        assert done.exit_code == code, done.output
        return done.output

    run.folder = tmp_path
    return run


@pytest.fixture
def published(folder, monkeypatch):
    """A published result of these runs, as their network has a name."""
    known = [read_run(folder / str(seed)) for seed in (0, 1)]
    paper = {"error": 0.05, "source": "a paper"}
    found = make_result("tiny-default", known, {"commit": "abc"}, paper=paper)
    monkeypatch.setattr(expected, "results", lambda: [found])
    return found


def test_compare(command, folder):
    said = command("compare", folder / "0", folder / "1")
    assert "test error" in said
    assert "2 of 2" in said
    (line,) = [line for line in said.splitlines() if "seed" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")] == ["seed", "0", "1"]
    assert "picture: compare.png" in said
    assert (command.folder / "compare.png").stat().st_size > 10_000


def test_compare_as_json(command, folder):
    said = json.loads(command("compare", folder / "0", folder / "1", "--json"))
    assert [run["epochs"] for run in said["runs"]] == [2, 2]
    assert said["differences"] == {"seed": [0, 1]}
    assert not list(command.folder.iterdir())
    command("compare", folder / "0", "--json", "--out", "one.png")
    assert (command.folder / "one.png").exists()


def test_what_cannot_be_compared_is_said(command, folder):
    curves = folder / "1" / "history.csv"
    said = command("compare", folder / "0", curves)
    assert f"{curves}: its settings are not known, only its curves" in said.replace("\n", "")
    trained(command.folder / "other", test_images=50)
    said = command("compare", folder / "0", command.folder / "other")
    assert "the runs were tested on different images" in said


def test_errors_name_the_folder(command, folder):
    assert "nowhere: there is no such file or folder" in command("compare", "nowhere", code=2)
    (command.folder / "empty").mkdir()
    assert "empty: it has no history.csv" in command("compare", folder / "0", "empty", code=2)
    said = command("compare", folder / "0", "--out", "a.xyz", code=2)
    assert "a.xyz: expected a name that ends in" in said


def test_expected(command, folder, published):
    said = command("compare", folder / "0", folder / "1", "--expected")
    assert said.count("inside the band of tiny-default (2 seeds) in all 2 epochs") == 2
    assert f"final test error {published.error:.2%}, expected " in said
    assert "the paper 5.00% (a paper)" in said
    said = json.loads(command("compare", folder / "0", "--expected", "--json"))
    assert said["expected"][0]["inside"] is True


def test_a_run_outside_ends_with_1(command, folder, published):
    ends = published.band["train_loss"]
    ends["high"][1] = ends["low"][1] + 1e-9
    said = command("compare", folder / "0", "--expected", code=1)
    assert "outside the band of tiny-default (2 seeds): in epoch 2 its training loss is" in said
    assert "picture: compare.png" in said
    said = json.loads(command("compare", folder / "0", "--expected", "--json", code=1))
    assert said["expected"][0]["left"]["epoch"] == 2


def test_other_settings_are_an_error(command, folder, published):
    said = command("compare", folder / "worse", "--expected", code=2)
    assert "differs in 1: epochs is 3, there 2" in said
    with pytest.raises(CheckpointError):
        expected.check(read_run(folder / "worse"))


def test_results(command):
    said = command("results")
    for result in results():
        (line,) = [line for line in said.splitlines() if f" {result.name} " in line]
        assert f"{result.error:.2%}" in line
    assert [r["name"] for r in json.loads(command("results", "--json"))] == [
        r.name for r in results()
    ]
