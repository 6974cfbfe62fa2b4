"""Forecasts: their parts, larger batches, and wrong arguments."""

import json

import pytest

from minicnn import models, study
from minicnn.errors import ShapeError
from minicnn.layers import BatchNorm2d, Conv2d, Flatten, Layer, Linear, Sequential
from minicnn.layers.init import skip_init
from minicnn.machine import Machine
from minicnn.study.cost import step

MACHINE = Machine(5e11, 7e10, 2.4e-6, 160 << 20)


def of(model, *arguments, **options):
    return study.forecast(model, *arguments, machine=MACHINE, **options)


def test_the_parts_of_the_memory():
    net = models.create("lenet5")
    train, infer = of(net, batch=64), of(net, batch=64, train=False)
    values = 4 * sum(p.value.size for p in net.parameters())
    assert (infer.parameters, train.parameters) == (values, 2 * values)
    assert of(net, batch=64, optimizer="adam").parameters == 3 * values
    assert train.images == 4 * 64 * 32 * 32
    assert train.pool > infer.pool > 4 * 64 * 28 * 28 * 6
    assert train.memory == train.parameters + train.images + train.pool + MACHINE.process
    assert train.seconds == pytest.approx(sum(train.operations.values()))
    assert 2 < train.seconds / infer.seconds < 5
    assert str(train).startswith("lenet5, training step with sgd, 64 images of 32x32x1: ")
    assert json.loads(train.to_json())["memory"] == train.memory


@pytest.mark.parametrize(
    ("name", "seconds", "mib"), [("resnet18", 0.2949, 639), ("mobilenet_v2", 0.2188, 1052)]
)
def test_published_times_and_memory(name, seconds, mib):
    """Within 25 % and 10 % of what benchmarks/results/forecast.md has for such a machine."""
    with skip_init():
        found = of(models.create(name, num_classes=10), batch=16)
    assert found.seconds == pytest.approx(seconds, rel=0.25)
    assert found.memory == pytest.approx(mib * 2**20, rel=0.1)


def test_what_if_and_the_largest_batch():
    net = models.create("lenet5")
    found = study.what_if(net, (1, 8), ((32, 32, 1),), machine=MACHINE)
    assert [f.batch for f in found] == [1, 8]
    assert found[0].seconds < found[1].seconds < 8 * found[0].seconds
    assert len(study.what_if(net, machine=MACHINE)) == 9
    room = 200 << 20
    most = study.largest_batch(net, room, machine=MACHINE)
    assert of(net, batch=most).memory <= room < of(net, batch=most + max(2, most // 64)).memory
    assert study.largest_batch(net, 1 << 20, machine=MACHINE) == 0


def test_one_image_may_be_too_few_for_batch_norm():
    net = Sequential(Conv2d(1, 2, 4), BatchNorm2d(2), Flatten(), input_shape=(4, 4, 1))
    with pytest.raises(ShapeError, match="no variance"):
        of(net, batch=1)
    assert study.largest_batch(net, 200 << 20, machine=MACHINE) > 100


def test_a_network_on_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(step, "model_device", lambda model: "cuda")
    for cost in (of, study.profile):
        with pytest.raises(ValueError, match="the network is on the device 'cuda'; expected"):
            cost(models.create("lenet5"))


class Doubled(Layer):
    """A layer that computes with NumPy."""

    def forward(self, x):
        self.save_for_backward(x)
        return x * 2 + x.mean(axis=(1, 2), keepdims=True)

    def backward(self, dy):
        self.pop_saved()
        return dy * 2

    def output_shape(self, shape):
        return shape


def test_a_layer_of_ones_own():
    net = Sequential(Conv2d(3, 4, 1), Doubled(), Conv2d(4, 2, 8), Flatten())
    small, large = (of(net, (8, 8, 3), n).pool for n in (200, 400))
    assert 1.5 < large / small < 2.5


def test_wrong_arguments():
    net = models.create("lenet5")
    with pytest.raises(ValueError, match="optimizer='lamb': expected one of sgd, adam"):
        of(net, optimizer="lamb")
    with pytest.raises(ValueError, match="batch=0: expected at least 1"):
        of(net, batch=0)
    with pytest.raises(ShapeError, match="C1"):
        of(net, (32, 32, 3))
    with pytest.raises(ValueError, match="no input shape"):
        of(Sequential(Linear(2, 2)))
