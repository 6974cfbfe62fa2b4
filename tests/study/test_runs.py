"""Runs read back from their folders, and the settings in which they differ."""

from dataclasses import replace

import pytest

from minicnn.errors import CheckpointError
from minicnn.study.runs import (
    CONFIGURATION,
    MULTIPLIERS,
    differences,
    read_run,
    read_runs,
    shown_values,
    simplified,
)
from minicnn.training.history import History

from .trained import as_torchs, made_up, trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    trained(folder / "a", seed=0)
    trained(folder / "b", seed=1, lr=0.02)
    return folder


def test_a_run_is_read_with_its_settings(folder):
    run = read_run(folder / "a")
    assert run.history.rows == History.read(folder / "a" / "history.csv").rows
    assert (run.epochs, run.configuration["epochs"]) == (2, 2)
    assert (run.configuration["seed"], run.configuration["lr"]) == (0, 0.01)
    assert run.configuration["test data"].startswith("digits, 100 images, hash ")
    assert run.parameters == 5 * 5 * 4 + 4 + 196 * 10 + 10  # not those of the optimizer
    assert run.seconds == sum(run.history.column("seconds")) > 0
    assert run.errors() == [1 - a for a in run.history.column("test_accuracy")]
    assert run.errors("validation") == [None, None]


def test_runs_have_labels_and_differences(folder):
    runs = read_runs([folder / "a", folder / "b"])
    assert [run.label for run in runs] == ["a", "b"]
    assert differences(runs) == {"seed": [0, 1], "lr": [0.01, 0.02]}
    assert differences(runs[:1]) == {}


def test_labels_are_what_is_not_shared(tmp_path):
    paths = [tmp_path / "x" / "one" / "run", tmp_path / "y" / "one" / "run", tmp_path / "y"]
    for path in paths:
        path.mkdir(parents=True, exist_ok=True)
        made_up().history.save_csv(path / "history.csv")
    assert [r.label for r in read_runs(paths[:2])] == ["x/one/run", "y/one/run"]
    assert [r.label for r in read_runs(paths[:1])] == ["run"]
    assert [r.label for r in read_runs(paths[1:])] == ["y/one/run", "y"]
    with pytest.raises(ValueError, match="y: the same run is given twice"):
        read_runs([*paths, tmp_path / "x" / ".." / "y"])


def test_a_name_that_the_locale_cannot_express(tmp_path):
    """Under LC_ALL=C, Python has the bytes of such a name as lone surrogates."""
    path = tmp_path / "r\u00fcn".encode().decode("ascii", "surrogateescape")
    path.mkdir()
    made_up().history.save_csv(path / "history.csv")
    assert [run.label for run in read_runs([path])] == ["r\u00fcn"]


def test_without_its_checkpoint_a_run_has_the_settings_of_its_configuration(folder, tmp_path):
    for name in ("history.csv", "config.toml"):
        (tmp_path / name).write_bytes((folder / "b" / name).read_bytes())
    run, whole = read_run(tmp_path), read_run(folder / "b")
    assert run.configuration["lr"] == 0.02
    assert differences([run, whole]) == {}
    assert run.parameters is None


def test_multipliers_that_are_1_are_left_out():
    multipliers = {"a.weight": [1.0, 1.0], "a.bias": [2.0, 0.0]}
    found = simplified({"lr": 0.1, MULTIPLIERS: multipliers})
    assert found == {"lr": 0.1, "options": {}, MULTIPLIERS: {"a.bias": [2.0, 0.0]}}


def test_only_curves(folder):
    run = read_run(folder / "a" / "history.csv")
    assert run.history.rows == read_run(folder / "a").history.rows
    assert (run.configuration, run.parameters) == ({}, None)


def test_a_run_of_another_engine(tmp_path):
    run = read_run(as_torchs(tmp_path / "torch"))
    assert (run.configuration["engine"], run.parameters, run.epochs) == ("torch", None, 4)
    assert differences([made_up(seed=3), run]) == {"seed": [3, 0], "engine": [None, "torch"]}


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere: there is no such file or folder"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"it has no history\.csv"):
        read_run(tmp_path)
    made_up().history.save_csv(tmp_path / "history.csv")
    checkpoint = tmp_path / "last.safetensors"
    checkpoint.write_bytes((folder / "a" / "last.safetensors").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"last\.safetensors: it is not a safetensors file"):
        read_run(tmp_path)
    checkpoint.write_bytes((folder / "a" / "best.safetensors").read_bytes())  # only weights
    with pytest.raises(CheckpointError, match=r"last\.safetensors: it has no settings of a tr"):
        read_run(tmp_path)
    checkpoint.unlink()
    (tmp_path / CONFIGURATION).write_text("{")
    with pytest.raises(CheckpointError, match=r"configuration\.json: cannot be read"):
        read_run(tmp_path)
    (tmp_path / CONFIGURATION).write_text("[]")
    with pytest.raises(
        CheckpointError, match=r"configuration\.json: it has \[\] in place of a table"
    ):
        read_run(tmp_path)
    (tmp_path / CONFIGURATION).write_text('{"epochs": "ten"}')
    with pytest.raises(CheckpointError, match=r"json: epochs is 'ten'; expected a number"):
        read_run(tmp_path)
    (tmp_path / "config.toml").write_text("[settings]\noptions = 3")
    with pytest.raises(CheckpointError, match=r"config\.toml: options is 3; expected a table"):
        read_run(tmp_path)


def test_values_are_shown_by_what_differs():
    assert shown_values([0.1, None, "sgd"]) == ["0.1", "", "sgd"]
    one = {"a.weight": [1, 1], "a.bias": [2, 0], "b.bias": [2, 0]}
    other = {"a.weight": [1, 1], "a.bias": [1, 1]}
    assert shown_values([one, other]) == ["a.bias=[2, 0], b.bias=[2, 0]", "a.bias=[1, 1]"]
    assert shown_values([one, None]) == ["a.weight=[1, 1], a.bias=[2, 0], b.bias=[2, 0]", ""]
    many = dict.fromkeys("abcde", 1)
    assert shown_values([many, {}])[0] == "a=1, b=1, c=1, and 2 more"
    text = "Network(\n  conv: Conv2d(1, {})\n)"
    assert shown_values([text.format(4), text.format(8)]) == [
        "conv: Conv2d(1, 4)",
        "conv: Conv2d(1, 8)",
    ]


def test_the_best_epoch_is_that_of_the_metric():
    run = made_up(errors=(0.3, 0.1, 0.2))
    run.history.rows[2]["test_loss"] = 0.05
    assert run.best["epoch"] == 2
    assert replace(run, configuration={"metric": "loss"}).best["epoch"] == 3
