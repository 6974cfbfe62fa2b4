"""Settings that belong to one thread."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minicnn
from minicnn import device
from minicnn.kernels import cpu, dispatch
from minicnn.kernels.cpu import conv
from minicnn.kernels.cpu import precision as cpu_precision
from minicnn.kernels.cuda import hopper
from minicnn.kernels.cuda import precision as cuda_precision
from minicnn.kernels.thread_state import ThreadState, inheriting
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


def switches():
    """What this thread computes with."""
    on_cpu, on_gpu = cpu_precision.in_bfloat16(2), cuda_precision.product_option(False)
    return dispatch.current(), device.precision(), on_cpu, on_gpu, hopper.is_forced()


def convolved():
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 16), dtype=np.float32)
    return cpu.conv2d(x, np.ones((3, 3, 16, 16), np.float32), padding=1).tobytes()


def choose_others():
    minicnn.use("reference")
    minicnn.set_precision("tf32")
    cpu_precision.set_precision("bf16")


OTHERS = "reference", "tf32", True, "TF32", True


def test_a_thread_changes_no_other_ones_results(monkeypatch):
    monkeypatch.setattr(cpu_precision, "unavailable", lambda name: None)
    before, right, theirs = switches(), convolved(), []
    entered, leave = threading.Event(), threading.Event()

    def other():
        with conv.algorithm("winograd4"), hopper.algorithm("wgmma"):
            theirs.append(convolved())
            choose_others()
            theirs.append(switches())
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(300), "it compiles kernels"
    assert (switches(), convolved()) == (before, right)
    leave.set()
    thread.join()
    assert (switches(), convolved()) == (before, right)
    assert theirs[0] != right, "by another algorithm, the last bits differ"
    assert theirs[1] == OTHERS


def test_threads_of_a_computation_inherit_its_switches(monkeypatch):
    monkeypatch.setattr(cpu_precision, "unavailable", lambda name: None)
    seen = []

    def starter():
        with conv.algorithm("winograd4"):
            seen.append(convolved())
            by_winograd = inheriting(convolved)
        choose_others()
        with hopper.algorithm("wgmma"):
            with_others = inheriting(switches)
        with ThreadPoolExecutor(1) as pool:
            for function in (by_winograd, with_others, convolved, switches):
                seen.append(pool.submit(function).result())

    thread = threading.Thread(target=starter)
    thread.start()
    thread.join()
    assert seen == [seen[0], seen[0], OTHERS, convolved(), switches()]
