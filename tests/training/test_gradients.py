"""Clipping against torch, and runs that clip and accumulate."""

import numpy as np
import pytest
import torch

import minicnn
from minicnn import training
from minicnn.errors import CheckpointError
from minicnn.layers import Conv2d, Flatten, Linear, Parameter, Sequential

X = np.random.default_rng(0).random((40, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(40) % 3


def network():
    minicnn.seed(0)
    return Sequential(Conv2d(1, 3, 3, activation="relu"), Flatten(), Linear(12, 3))


def run(model=None, epochs=3, **options):
    model = model or network()
    options = {"batch_size": 8, "progress": False, "optimizer": "sgd", "lr": 0.1} | options
    history = training.fit(model, (X, LABELS), epochs=epochs, **options)
    return {name: p.value for name, p in model.named_parameters()}, history


def squared_norm(parameters):
    return sum(float((p.grad.astype(float) ** 2).sum()) for p in parameters)


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_norm_as_in_torch(limit):
    generator = np.random.default_rng(1)
    ours = [Parameter(np.zeros(s, np.float32)) for s in ((3, 4), (50,), (2, 2, 1, 3))]
    for p in ours[:2]:
        p.grad = generator.standard_normal(p.value.shape).astype(np.float32)
    theirs = [torch.nn.Parameter(torch.zeros(p.value.shape)) for p in ours]
    for p, t in zip(ours[:2], theirs, strict=False):
        t.grad = torch.tensor(p.grad.copy())
    training.ClipNorm(limit)(ours)
    torch.nn.utils.clip_grad_norm_(theirs, limit)
    for p, t in zip(ours[:2], theirs, strict=False):
        np.testing.assert_allclose(p.grad, t.grad, rtol=1e-5)
    assert ours[2]._grad is None
    assert squared_norm(ours) <= limit**2


def test_value():
    parameter = Parameter(np.zeros(4, np.float32))
    parameter.grad = np.array([-3, -0.1, 0.2, 7], np.float32)
    training.ClipValue(0.5)([parameter])
    np.testing.assert_array_equal(parameter.grad, np.array([-0.5, -0.1, 0.2, 0.5], np.float32))


def test_clipping_comes_after_accumulation():
    """The mean gradient is clipped, once per update: the first step has at most that length."""
    before = {name: p.value.copy() for name, p in network().named_parameters()}
    steps = {}

    class First(training.Callback):
        def on_step_end(self, trainer, loss):
            if trainer.iteration == 1:
                named = trainer.model.named_parameters()
                steps.update({n: p.value - before[n] for n, p in named})

    options = {"accumulate": 5, "momentum": 0.0, "lr": 1.0, "callbacks": [First()]}
    run(epochs=1, clip=training.ClipNorm(1e-3), **options)
    length = np.sqrt(sum((step.astype(float) ** 2).sum() for step in steps.values()))
    assert length == pytest.approx(1e-3, rel=1e-3)


OPTIONS = {
    "norm": {"clip": training.ClipNorm(0.05)},
    "value": {"clip": training.ClipValue(0.01)},
    "groups": {"accumulate": 3},
    "both": {"accumulate": 2, "clip": training.ClipNorm(0.05)},
}


class Crash(training.Callback):
    """Ends the process, as a kill would, at an update in the middle of an epoch."""

    def on_step_end(self, trainer, loss):
        trainer.checkpoint_seconds = 0  # from here on each update is saved
        if trainer.iteration == 4:
            raise RuntimeError("killed")


@pytest.mark.parametrize("name", OPTIONS)
def test_resumed_to_the_bit(name, tmp_path):
    options = OPTIONS[name]
    whole, expected = run(**options)
    plain, _ = run()
    with pytest.raises(RuntimeError, match="killed"):
        run(**options, out=tmp_path, callbacks=[Crash()])
    resumed, history = run(**options, out=tmp_path, resume=True)
    for key, value in whole.items():
        np.testing.assert_array_equal(resumed[key], value)
    assert any((plain[key] != value).any() for key, value in whole.items())
    assert history.column("train_loss") == expected.column("train_loss")
    with pytest.raises(CheckpointError, match="(clip|accumulate) was .* and is now None"):
        run(epochs=4, out=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: training.ClipNorm(0), "ClipNorm: limit=0: expected a positive number"),
        (lambda: training.ClipValue(float("nan")), "ClipValue: limit=nan: expected a positive"),
        (lambda: run(accumulate=0), "accumulate=0: expected an integer >= 1"),
        (lambda: run(accumulate=2.5), "accumulate=2.5: expected an integer >= 1"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
