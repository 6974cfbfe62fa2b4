"""A network on imagined arrays calls the same operations, with the same shapes, as a real one."""

import numpy as np
import pytest

from minicnn import models
from minicnn.kernels import dispatch, functional
from minicnn.kernels.cpu.engine import memory
from minicnn.layers import (
    GELU,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    HardSwish,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    PReLU,
    Sequential,
    Softmax,
    Upsample,
)
from minicnn.study.cost.counts import arrays_in, call_of
from minicnn.study.cost.imagine import imagine
from minicnn.study.cost.shapes import RESULTS
from minicnn.study.cost.step import borrowed, make_step


def mixed():
    """Branches, dropout, normalizations and every pooling."""
    return Sequential(
        conv=Conv2d(3, 16, 3, padding=1, activation="relu"),
        pool=MaxPool2d(3, 2, ceil_mode=True),
        lrn=LocalResponseNorm(),
        split=Concat(Conv2d(16, 16, 1), Sequential(AvgPool2d(3, 1, 1), Conv2d(16, 8, 3, 1, 1))),
        bn=BatchNorm2d(24, activation="gelu"),
        drop=Dropout(0.5),
        wide=Conv2d(24, 24, 5, padding=2, groups=2, activation="tanh"),
        mean=GlobalAvgPool2d(),
        fc=Linear(24, 5),
    )


def enlarging():
    """Everything that makes maps larger, and the poolings without a size of their own."""
    return Sequential(
        conv=Conv2d(3, 8, 3, stride=2),
        up=ConvTranspose2d(8, 6, 4, 2, 1, groups=2),
        lrn=LocalResponseNorm(3, within_channel=True),
        wide=Upsample(1.5, "bilinear"),
        pool=AdaptiveMaxPool2d(5),
        last=ConvTranspose2d(6, 4, 1, bias=False),
        max=GlobalMaxPool2d(),
        fc=Linear(4, 5),
    )


def newer():
    """The activations and norms of newer networks."""
    return Sequential(
        conv=Conv2d(3, 8, 3, activation="relu6"),
        norm=GroupNorm(2, 8),
        prelu=PReLU(8),
        split=Concat(HardSwish(), Sequential(Conv2d(8, 8, 1), LayerNorm(8), GELU("tanh"))),
        bn=BatchNorm2d(16, activation="silu"),
        clip=Clip(-1, 1),
        mean=GlobalAvgPool2d(),
        fc=Linear(16, 5),
        softmax=Softmax(),
    )


def shapes(call):
    """The operation, and the shapes and types of what it returns."""
    return call.operation, [(a.shape, a.dtype) for a in arrays_in(call.result)]


CASES = [
    (mixed, (16, 16, 3)),
    (enlarging, (9, 10, 3)),
    (newer, (9, 10, 3)),
    (lambda: models.create("resnet20_cifar"), (32, 32, 3)),
    (lambda: models.create("lenet5_1998"), (32, 32, 1)),
]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("make", "shape"), CASES)
def test_the_calls_are_those_of_a_step(make, shape, train):
    model, found, imagined = make(), [], []

    def record(operation, chosen):
        def run(*arguments):
            result = chosen(*arguments)
            found.append(shapes(call_of(operation, arguments, result)))
            return result

        return run

    with borrowed(model):
        run = make_step(model, 2, shape).prepare(train)
        with dispatch.intercept(record):
            run()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    imagine(model, 2, shape, train, see=lambda call: imagined.append(shapes(call)))
    assert imagined == found
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert all(p._grad is None for p in model.parameters())


def test_the_pool_grows_as_the_real_one(monkeypatch):
    """Only the scratch memory of less than some megabytes is not imagined."""
    monkeypatch.setattr(memory, "_arenas", [])
    monkeypatch.setattr(memory, "_blocks", {})
    net = Sequential(
        a=Conv2d(3, 32, 3, padding=1, activation="relu"),
        p=MaxPool2d(2),
        b=Conv2d(32, 64, 3, padding=1, activation="relu"),
        f=Flatten(),
        fc=Linear(64 * 32 * 32, 8),
    )
    run = make_step(net, 8, (64, 64, 3)).prepare(train=True)
    for _ in range(2):
        run()
    large = memory._arenas[0].reached
    small = sum({id(b): b.nbytes for found in memory._blocks.values() for b, _ in found}.values())
    assert large > 1 << 23
    assert imagine(net, 8, (64, 64, 3)).pool == pytest.approx(large + small, rel=0.2)


def test_every_operation_is_known():
    assert set(functional.OPERATIONS) - set(RESULTS) == set()
