"""`config.toml`: what is written is read back, by hand and from a run in Python."""

import errno
import tomllib

import numpy as np
import pytest

from minicnn import training
from minicnn.errors import CheckpointError
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.training import config_file

TABLE = {
    "text": 'a "quoted" \\ path, an umlaut \u00fc and \U0001f600',
    "lines": 'one\n  "two" \\ """\n',
    "number": 1e-05,
    "list": [1, 2.5],
    "nothing": None,
    "true": True,
    "a key (with signs)": [],
    "inner": {"layer.1": [2.0, 0.0]},
    "empty": {},
}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "c.toml"
    config_file.write(path, {"one": TABLE, "two": {}}, "minicnn train x")
    expected = {key: value for key, value in TABLE.items() if value not in (None, {})}
    assert config_file.read(path) == {"one": expected, "two": {}}
    head = path.read_text(encoding="utf-8").splitlines()[:2]
    assert head[0].endswith(f"minicnn train --config {path} --out FOLDER")
    assert head[1] == "# Command: minicnn train x"


def test_a_name_that_the_locale_cannot_express(tmp_path):
    """Under LC_ALL=C, Python has the bytes of such a name as lone surrogates."""
    name = "r\u00fcn".encode().decode("ascii", "surrogateescape")
    config_file.write(tmp_path / "c.toml", {"data": {"source": name}}, f"minicnn train {name}")
    assert config_file.read(tmp_path / "c.toml") == {"data": {"source": "r\u00fcn"}}


def test_a_run_in_python(tmp_path):
    """Its settings and versions; there are no options of the command line."""
    data = np.zeros((8, 4, 4, 1), np.float32), np.arange(8) % 2
    model = Sequential(Flatten(), Linear(16, 2))
    options = {"epochs": 2, "accumulate": 2, "clip": training.ClipValue(1), "metric": "loss"}
    training.fit(model, data, out=tmp_path, batch_size=2, seed=5, progress=False, **options)
    found = tomllib.loads((tmp_path / "config.toml").read_text(encoding="utf-8"))
    assert set(found) == {"settings", "versions"}
    settings = found["settings"]
    assert (settings["epochs"], settings["batch_size"], settings["seed"]) == (2, 2, 5)
    assert (settings["accumulate"], settings["metric"]) == (2, "loss")
    assert settings["clip"] == "ClipValue(1)"
    assert settings["network"] == repr(model)
    assert found["versions"]["numpy"] == np.__version__


def test_what_cannot_be_read_or_written(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="none.toml: cannot be read: No such file"):
        config_file.read(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match="bad.toml: it is not a TOML file"):
        config_file.read(tmp_path / "bad.toml")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(CheckpointError, match="c.toml: cannot be written: No space left"):
        config_file.write(tmp_path / "c.toml", {})
    assert {path.name for path in tmp_path.iterdir()} == {"bad.toml"}


def test_a_command_of_several_lines(tmp_path):
    config_file.write(tmp_path / "a.toml", {"train": {"lr": 0.1}}, "minicnn train 'my\nnet'")
    assert config_file.read(tmp_path / "a.toml") == {"train": {"lr": 0.1}}
