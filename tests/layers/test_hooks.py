"""Observers: what they are called with, and for which thread."""

import threading

import numpy as np

import minicnn
from minicnn.layers import Conv2d, Flatten, Linear, Sequential, observe

from .contract import X


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
    assert len(seen) == 10, "outside of the block no hook is called"


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


def test_hooks_before_forward_and_backward():
    net = Sequential(inner=Sequential(conv=Conv2d(3, 4, 3)))
    names = {id(layer): name for name, layer in net.named_layers()}
    seen = []
    with observe(
        lambda layer, x, y: seen.append(("after", names[id(layer)])),
        lambda layer, dy, dx: seen.append(("after", names[id(layer)])),
        lambda layer, x: seen.append((x.shape, names[id(layer)])),
        lambda layer, dy: seen.append((dy.shape, names[id(layer)])),
    ):
        y = net(X)
        net.backpropagate(np.ones_like(y))
    walk = ["", "inner", "inner.conv"]
    for shape, found in ((X.shape, seen[:6]), (y.shape, seen[6:])):
        before = [(shape, name) for name in walk]
        assert found == before + [("after", name) for name in reversed(walk)]
