"""Where two backends part: a fault put into one of them is found in its layer, and nothing else."""

import numpy as np
import pytest

from minicnn import models
from minicnn.kernels import cpu
from minicnn.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Sequential
from minicnn.study import first_difference


def network():
    return Sequential(
        conv1=Conv2d(3, 8, 3, padding=1, activation="relu"),
        norm=BatchNorm2d(8),
        pool=MaxPool2d(2),
        conv2=Conv2d(8, 8, 3, activation="relu"),
        flat=Flatten(),
        drop=Dropout(0.5),
        fc=Linear(8 * 4 * 4, 5),
    )


def different(monkeypatch, name, change):
    right = getattr(cpu, name)
    monkeypatch.setattr(cpu, name, lambda *args, **more: change(right(*args, **more)))


SHAPE = (12, 12, 3)


def test_right_backends_do_not_differ():
    assert first_difference(network(), "reference", "cpu", input_shape=SHAPE) is None
    assert first_difference(models.create("lenet5", seed=0), "cpu", "reference") is None


def test_a_wrong_forward_is_found_in_its_layer(monkeypatch):
    def change(result):
        y, argmax = result
        y[1, 2, 3, 4] += 0.5
        return y, argmax

    different(monkeypatch, "max_pool2d", change)
    found = first_difference(network(), "reference", "cpu", input_shape=SHAPE)
    assert (found.layer, found.kind, found.direction, found.what) == (
        "pool",
        "MaxPool2d",
        "forward",
        "y",
    )
    assert found.index == (1, 2, 3, 4)
    assert found.b - found.a == pytest.approx(0.5, rel=1e-5)
    assert str(found).startswith("forward, pool (MaxPool2d): y[1, 2, 3, 4] is ")
    assert "with reference and" in str(found)


def test_a_wrong_backward_is_found_in_its_layer(monkeypatch):
    def change(result):
        dx, dgamma, dbeta = result
        return dx, 1.01 * dgamma, dbeta

    different(monkeypatch, "batch_norm_grad", change)
    found = first_difference(network(), "reference", "cpu", input_shape=SHAPE)
    assert (found.layer, found.direction, found.what) == ("norm", "backward", "dweight")
    assert found.index == (0,)


def test_not_a_number_differs(monkeypatch):
    different(monkeypatch, "linear", lambda y: np.where(y == y[0, 1], np.float32("nan"), y))
    found = first_difference(network(), "reference", "cpu", input_shape=SHAPE)
    assert (found.layer, found.index) == ("fc", (0, 1))


def test_the_network_is_left_as_it_was():
    model = network()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    first_difference(model, "reference", "cpu", input_shape=SHAPE)
    assert all(np.array_equal(before[n], a) for n, a in model.state_dict().items())
    assert not any(p.grad.any() for p in model.parameters())


def test_needs_a_shape_and_a_backend():
    with pytest.raises(ValueError, match="no input shape of its own"):
        first_difference(network(), "reference", "cpu")
    with pytest.raises(ValueError, match="unknown backend 'gpu'"):
        first_difference(network(), "reference", "gpu", input_shape=SHAPE)
