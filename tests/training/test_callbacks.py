"""Progress on terminals and in logs, and a first step that takes long."""

import io
import time

import numpy as np
import pytest
from rich.console import Console

from minicnn import training
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.training import callbacks

X = np.random.default_rng(0).random((16, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(16) % 2


def slow_once(seconds):
    """A loss whose first call takes that long."""
    calls = []

    def loss(outputs, labels):
        if not calls:
            time.sleep(seconds)
        calls.append(1)
        return training.softmax_cross_entropy(outputs, labels)

    return loss


def run(*used, **options):
    model = Sequential(Flatten(), Linear(16, 2))
    options = {"epochs": 2, "batch_size": 4, "progress": False} | options
    return training.fit(model, (X, LABELS), (X, LABELS), callbacks=used, **options)


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=120)


@pytest.mark.parametrize(("limit", "expected"), [(0.05, 1), (1000.0, 0)])
@pytest.mark.parametrize("as_bar", [True, False])
def test_a_slow_first_step_is_explained_once(as_bar, limit, expected, monkeypatch, capsys):
    monkeypatch.setattr(callbacks, "FIRST_STEP_SECONDS", limit)
    monkeypatch.setattr(callbacks, "model_device", lambda model: "cuda")
    console = terminal()
    run(callbacks.ProgressBar(console) if as_bar else callbacks.LogLines(), loss=slow_once(0.3))
    text = console.file.getvalue() if as_bar else capsys.readouterr().out
    assert text.count("the first step also compiles") == expected


def test_the_bar_shows_where_training_is():
    console = terminal()
    run(callbacks.ProgressBar(console))
    text = console.file.getvalue()
    assert "epoch 2/2: loss" in text
    assert "images/s" in text


def test_event_files_need_a_folder(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    monkeypatch.chdir(tmp_path)
    images = np.zeros((8, 2, 2, 1), np.float32), np.arange(8) % 2
    net = Sequential(Flatten(), Linear(4, 2))
    with pytest.raises(ValueError, match="TensorBoardLog: the run has no folder"):
        training.fit(net, images, callbacks=[training.TensorBoardLog()], progress=False)
    assert not list(tmp_path.iterdir())
