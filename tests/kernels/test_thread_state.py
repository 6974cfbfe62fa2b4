"""Settings that belong to one thread."""

import threading

import numpy as np
import pytest

import minicnn
from minicnn.kernels.thread_state import ThreadState
from minicnn.layers import Conv2d, Sequential

from ..layers.contract import X


class Settings(ThreadState):
    color, size = "red", 1


def test_changed_settings_are_restored():
    settings, seen = Settings(), []
    with settings.changed(size=2):
        with settings.changed(color="blue", size=3):
            assert (settings.color, settings.size) == ("blue", 3)
            thread = threading.Thread(target=lambda: seen.append(settings.size))
            thread.start()
            thread.join()
        assert (settings.color, settings.size) == ("red", 2)
    assert seen == [1], "another thread has its own settings"
    with pytest.raises(ZeroDivisionError), settings.changed(size=2):
        1 / 0  # noqa: B018
    assert (settings.color, settings.size) == ("red", 1)
    with pytest.raises(AttributeError), settings.changed(hue="blue"):
        pass


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
