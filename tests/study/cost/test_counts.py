"""The work of every operation: counted by hand, and for each one that a network can call."""

import numpy as np

from minicnn.kernels import dispatch
from minicnn.kernels import functional as F
from minicnn.layers import Conv2d, ConvTranspose2d, Linear, Sequential
from minicnn.study.cost.counts import Work, call_of, work


def counted(run):
    """`run`'s operations with their work."""
    found = []

    def count(operation, chosen):
        def call(*arguments):
            result = chosen(*arguments)
            found.append((operation.__name__, work(call_of(operation, arguments, result))))
            return result

        return call

    with dispatch.intercept(count):
        run()
    return found


def test_products_count_twice_their_multiply_adds():
    net = Sequential(Conv2d(4, 6, 3, stride=2, groups=2), Sequential(Conv2d(6, 5, 4, bias=False)))
    x = np.ones((2, 9, 9, 4), np.float32)
    found = dict(counted(lambda: net.backward(np.ones_like(net(x)))))
    last = 2 * 2 * 1 * 1 * (4 * 4 * 6) * 5
    x_bytes, w_bytes, y_bytes = 4 * 2 * 16 * 6, 4 * 16 * 6 * 5, 4 * 2 * 5
    assert found["conv2d"] == Work(last, x_bytes + w_bytes + y_bytes)
    # The last call of backward is that of the first layer.
    first = 2 * 2 * 4 * 4 * (3 * 3 * 2) * 6
    assert found["conv2d_grad_input"].flops == found["conv2d_grad_weight"].flops == first
    linear = Linear(7, 3)
    rows = np.ones((5, 7), np.float32)
    found = dict(counted(lambda: linear.backward(np.ones_like(linear.forward(rows)))))
    names = ("linear", "linear_grad_input", "linear_grad_weight")
    assert [found[name].flops for name in names] == [2 * 5 * 7 * 3] * 3


def test_a_transposed_convolution_counts_as_the_convolution():
    """4 x 5 pixels times all weights of each channel, forward and in both gradients."""
    layer = ConvTranspose2d(4, 6, 3, 2, 1, groups=2)
    x = np.ones((2, 4, 5, 4), np.float32)
    found = dict(counted(lambda: layer.backward(np.ones_like(layer.forward(x)))))
    assert {work.flops for work in found.values()} == {2 * 2 * 20 * 9 * 3 * 4}
    assert len(found) == 3


def test_other_operations_count_every_array_once():
    x, y = np.ones((2, 3, 3, 4), np.float32), np.ones((2, 3, 3, 4), np.float32)
    assert counted(lambda: F.add(x, y, "relu", out=y)) == [("add", Work(0, 2 * x.nbytes))]
    assert counted(lambda: F.activate(x, None)) == [("activate", Work(0, 0))]
    assert counted(lambda: F.activate(x, None, out=y)) == [("activate", Work(0, 2 * x.nbytes))]
    assert counted(lambda: F.empty(x, (2, 2))) == [("empty", Work(0, 0))]
    w = [np.ones(8, np.float32)]
    g, v = [np.ones(8, np.float32)], [np.ones(8, np.float32)]
    found = counted(lambda: F.sgd_update(w, g, v, [0.1], [0.0]))
    assert found == [("sgd_update", Work(0, 5 * 32))], "w and v are read and written, g is read"
