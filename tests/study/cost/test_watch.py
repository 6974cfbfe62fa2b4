"""Time, work and memory are assigned to the layer that runs."""

import numpy as np

from minicnn.layers import AvgPool2d, Concat, Conv2d, Layer, MaxPool2d, Residual, Sequential
from minicnn.study.cost import watch
from minicnn.study.cost.step import LOSS
from minicnn.study.cost.watch import BACKWARD, FORWARD, Counter, Timer, held_bytes

X = np.random.default_rng(0).standard_normal((2, 8, 8, 3), dtype=np.float32)


class Clock:
    """A clock that only layers advance."""

    def __init__(self):
        self.now = 0

    def perf_counter(self):
        return self.now


class Slow(Layer):
    """The identity, which takes some seconds forward and twice as many backward."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def forward(self, x):
        self.clock.now += self.seconds
        return x

    def backward(self, dy):
        self.clock.now += 2 * self.seconds
        return dy

    def output_shape(self, shape):
        return shape


def test_times_are_those_of_the_layer_itself(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(watch, "time", clock)
    net = Residual(Sequential(a=Slow(clock, 1), b=Slow(clock, 30)), activation="relu")
    timer = Timer()
    with timer.watching():
        y = net(X)
        timer.begin(LOSS)
        clock.now += 500
        timer.begin(BACKWARD)
        net.backpropagate(y)
    found = {(part, key): seconds for (part, key), seconds in timer.seconds.items() if seconds}
    a, b = id(net.body.a), id(net.body.b)
    expected = {(FORWARD, a): 1, (FORWARD, b): 30, (LOSS, 0): 500, (BACKWARD, a): 2}
    assert found == expected | {(BACKWARD, b): 60}, "nothing of its layers in that of a container"
    assert set(timer.operations) == {"add", "activation_grad"}


def test_work_is_that_of_the_innermost_layer():
    net = Residual(Sequential(conv=Conv2d(3, 3, 3, padding=1)), activation="relu")
    counter = Counter(net, lambda work: float(work.flops))
    with counter.watching():
        y = net(X)
        counter.begin(LOSS)
        counter.begin(BACKWARD)
        net.backpropagate(y)
    conv = id(net.body.conv)
    assert counter.floors[FORWARD, conv] == 2 * 2 * 64 * 27 * 3 == counter.work[FORWARD, conv].flops
    assert counter.floors[BACKWARD, conv] == 2 * counter.floors[FORWARD, conv]
    assert counter.work[FORWARD, id(net)].bytes == 3 * X.nbytes  # a, b, and y
    assert counter.work[BACKWARD, id(net)].bytes > 0 == counter.floors[BACKWARD, id(net)]
    assert counter.order == [net.body.conv, net.body, net]


def test_held_bytes_count_each_array_once():
    """conv keeps x and y; pool keeps cells in place of its input; the branches share x."""
    net = Sequential(
        conv=Conv2d(3, 16, 3),
        pool=MaxPool2d(2),
        split=Concat(a=Conv2d(16, 16, 1), b=Conv2d(16, 48, 1)),
        end=Conv2d(64, 4, 3),
        mean=AvgPool2d(1),
    )
    net(X)
    names = {id(layer): name for name, layer in net.named_layers()}
    held = {names[key]: size for key, size in held_bytes(net).items()}
    image = 2 * 3 * 3  # of what pool returns
    assert held["conv"] == X.nbytes + 4 * 2 * 6 * 6 * 16
    assert held["pool"] == image * 16
    assert held["split.a"] == 4 * image * 16 + 4 * image * 16, "x and its channels of y"
    assert held["split.b"] == 4 * image * 48
    assert held["end"] == 4 * 2 * 4, "only y: x is y of split"
    assert held["mean"] == held["split"] == held[""] == 0
