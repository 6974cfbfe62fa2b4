"""Settings that belong to one thread."""

import threading

import numpy as np

import minicnn
from minicnn.layers import Conv2d, Sequential

from ..layers.test_tree import X


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
