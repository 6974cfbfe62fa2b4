"""Names, children and gradients: what is refused, and what a layer of one's own may do."""

import threading

import numpy as np
import pytest

import minicnn
from minicnn import study
from minicnn.errors import ShapeError
from minicnn.layers import (
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    Network,
    Parameter,
    Sequential,
    observe,
)

X = np.random.default_rng(0).standard_normal((2, 6, 6, 3)).astype(np.float32)


class Scale(Layer):
    """A layer of one's own, as the documentation of `Layer` shows it."""

    def __init__(self, channels):
        self.gain = Parameter(np.ones(channels, np.float32))

    def forward(self, x):
        self.save_for_backward(x)
        return x * self.gain.value

    def backward(self, dy):
        (x,) = self.pop_saved()
        self.gain.grad += (dy * x).sum(axis=(0, 1, 2))
        return dy * self.gain.value

    def output_shape(self, shape):
        return shape


def test_a_layer_of_ones_own():
    net = Network(scale=Scale(3), conv=Conv2d(3, 2, 3), last=Scale(2), input_shape=(6, 6, 3))
    joined = minicnn.layers.Concat(a=net, b=Conv2d(3, 1, 3))
    y = joined(X)
    assert joined.backward(np.ones_like(y)).shape == X.shape
    assert (net.scale.gain.grad != 0).all()
    assert study.check_gradients(net.astype(float), X.astype(float)).ok
    assert [row.name for row in study.summarize(net).rows] == ["scale", "conv", "last"]


def test_layers_in_lists_and_dicts_are_children():
    class Block(Layer):
        def __init__(self):
            self.convs = [Conv2d(3, 3, 1), Conv2d(3, 3, 1)]
            self.heads = {"one": Linear(2, 2)}

    assert [name for name, _ in Block().named_parameters()] == [
        "convs.0.weight",
        "convs.0.bias",
        "convs.1.weight",
        "convs.1.bias",
        "heads.one.weight",
        "heads.one.bias",
    ]


def test_one_layer_in_two_places_is_refused():
    pool, conv = MaxPool2d(2), Conv2d(4, 4, 1)
    with pytest.raises(ValueError, match=r"pool1 and pool2 are the same layer object, MaxPool2d"):
        Sequential(pool1=pool, conv=Conv2d(3, 3, 1), pool2=pool)
    with pytest.raises(ValueError, match=r"a and part\.b are the same layer object, Conv2d"):
        Sequential(a=conv, part=Sequential(b=conv))

    class Own(Layer):
        def __init__(self):
            self.first = self.second = conv

    with pytest.raises(ValueError, match="first and second are the same"):
        Own().parameters()


def test_layers_are_replaced_or_refused():
    net = Network(conv=Conv2d(3, 4, 3), flatten=Flatten(), linear=Linear(64, 10))
    net.linear = Linear(64, 2)
    assert net.output_shape((1, 6, 6, 3)) == (1, 2)
    assert net(X).shape == (2, 2)
    net["linear"] = Linear(64, 3)
    net[2] = net[2]
    assert net(X).shape == (2, 3)
    with pytest.raises(AttributeError, match="no layer 'head' to replace; it has conv, flatten, l"):
        net.head = Linear(64, 2)
    with pytest.raises(KeyError, match="no layer 'head'"):
        net["head"] = Linear(64, 2)
    with pytest.raises(ValueError, match="linear is 3; expected a layer"):
        net.linear = 3
    with pytest.raises(ValueError, match="the same layer object"):
        net.linear = net.conv
    with pytest.raises(ValueError, match=r"the name 'a\.b' has a dot"):
        Sequential(**{"a.b": Flatten()})


def test_observers_see_forward_and_backward():
    net = Sequential(conv=Conv2d(3, 4, 3), inner=Sequential(flatten=Flatten(), fc=Linear(64, 2)))
    names = {id(layer): name for name, layer in net.named_layers()}
    seen = []
    with observe(
        lambda layer, x, y: seen.append(("forward", names[id(layer)], y.shape)),
        lambda layer, dy, dx: seen.append(("backward", names[id(layer)], dy.shape)),
    ):
        y = net(X)
        net.backpropagate(np.ones_like(y))
    assert [entry[:2] for entry in seen] == [
        *(("forward", name) for name in ("conv", "inner.flatten", "inner.fc", "inner", "")),
        *(("backward", name) for name in ("inner.fc", "inner.flatten", "inner", "conv", "")),
    ]
    assert seen[6][2] == (2, 64), "the gradient of what flatten returned"
    net(X)
    assert len(seen) == 10, "outside of the block nobody is told"


def test_switches_belong_to_their_thread():
    net, inside, done = Sequential(Conv2d(3, 2, 3)), threading.Event(), threading.Event()
    seen = []

    def hold():
        with minicnn.no_grad(), observe(lambda *what: seen.append(what)):
            inside.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(20)
    net.backward(np.ones_like(net(X)))
    done.set()
    thread.join()
    assert not seen


def test_overlapping_no_grad_blocks():
    first_in, second_in, first_out = (threading.Event() for _ in range(3))

    def first():
        with minicnn.no_grad():
            first_in.set()
            second_in.wait(20)
        first_out.set()

    def second():
        first_in.wait(20)
        with minicnn.no_grad():
            second_in.set()
            first_out.wait(20)

    threads = [threading.Thread(target=f) for f in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    net = Sequential(Conv2d(3, 2, 3))
    net.backward(np.ones_like(net(X)))


def test_a_second_forward_keeps_its_own_argmax():
    pool = MaxPool2d(2)
    first, second = X, X[:, ::-1].copy()
    pool(first)
    y = pool(second)
    alone = MaxPool2d(2)
    expected = (alone(second), alone.backward(np.ones_like(y)))[1]
    np.testing.assert_array_equal(pool.backward(np.ones_like(y)), expected)
    with pytest.raises(RuntimeError, match="MaxPool2d: backward needs a forward before it"):
        pool.backward(np.ones_like(y))


def test_gradients_have_their_own_memory():
    p, q, g = (np.zeros(3, np.float32) for _ in range(3))
    p, q, g = Parameter(p), Parameter(q), g + 1
    p.add_grad(g), q.add_grad(g), p.add_grad(g)
    np.testing.assert_array_equal(p.grad, [2, 2, 2])
    np.testing.assert_array_equal(q.grad, [1, 1, 1])
    np.testing.assert_array_equal(g, [1, 1, 1])
    q.grad = g
    g[:] = 5
    np.testing.assert_array_equal(q.grad, [1, 1, 1])


@pytest.mark.parametrize("shape", [(1,), (4, 8), (), (9,)])
def test_a_gradient_of_another_shape_is_refused(shape):
    p = Parameter(np.ones(8, np.float32))
    for give in (p.add_grad, lambda g: setattr(p, "grad", g)):
        with pytest.raises(ShapeError, match=r"the gradient has shape .*; expected \(8,\)"):
            give(np.ones(shape, np.float32))
    p.add_grad(np.ones(8))
    assert p.grad.dtype == np.float32


def test_a_batch_of_bytes_is_refused_with_a_hint():
    with pytest.raises(ShapeError, match=r"array of uint8; .*normalize it first: training\.prepro"):
        Sequential(Conv2d(3, 2, 3))((255 * X).astype(np.uint8))
