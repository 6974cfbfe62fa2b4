"""`minicnn forecast`: tables, JSON, and errors."""

import json

import pytest

from minicnn.cli import forecast
from minicnn.machine import Machine


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    monkeypatch.setattr(forecast, "this_machine", lambda again: Machine(5e11, 7e10, 2e-6, 10**8))


def test_forecast(run):
    said = run("forecast", "lenet5", "--batch", 8, "--what-if", "batch=1,64", "--memory", 0.2)
    for text in ("lenet5, training step with sgd, 8 images", "what if", "conv2d_grad_weight"):
        assert text in said
    assert "largest batch in 0.2 GiB: " in said
    told = json.loads(run("forecast", "lenet5", "--inference", "--json", "--memory", 0.001))
    assert told["largest_batch"] == 0
    assert not told["train"]


def test_wrong_arguments(run):
    said = run("forecast", "lenet5", "--what-if", "batch=x", code=2)
    assert "--what-if batch=x: expected batch=1,8,64 or input=160,224x320" in said
    assert "expected H, HxW" in run("forecast", "lenet5", "--what-if", "input=x", code=2)
    assert "optimizer='lamb'" in run("forecast", "lenet5", "--optimizer", "lamb", code=2)
