"""Pictures of a run that has come to its end."""

import numpy as np
import pytest

from minicnn import training
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.study.callbacks import DrawCurves

X = np.random.default_rng(0).random((16, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(16) % 2


def run(*used, **options):
    model = Sequential(Flatten(), Linear(16, 2))
    options = {"epochs": 2, "batch_size": 4, "progress": False} | options
    return training.fit(model, (X, LABELS), (X, LABELS), callbacks=used, **options)


def test_curves_of_a_finished_run(tmp_path):
    run(DrawCurves(), out=tmp_path)
    assert {"curves.png", "confusion.png"} <= {path.name for path in tmp_path.iterdir()}
    run(DrawCurves())  # without a folder there is nothing to draw


def test_no_curves_of_a_run_that_failed(tmp_path):
    class Fail(training.Callback):
        def on_epoch_end(self, trainer, row):
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        run(DrawCurves(), Fail(), out=tmp_path)
    assert not list(tmp_path.glob("*.png"))
