"""What the runtime asks of CuPy while a graph is captured, of a stand-in for CuPy."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from minicnn.kernels.cuda.capture import ReplayedInputs, replayed_input
from minicnn.kernels.cuda.runtime import Captures, CuPy


class Array(np.ndarray):
    def set(self, host):
        self[...] = host


class Stream:
    def __init__(self, non_blocking):
        assert non_blocking

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def begin_capture(self):
        self.is_capturing = True

    def end_capture(self):
        self.is_capturing = False
        return SimpleNamespace(launch=lambda: None)


@pytest.fixture
def run():
    """A runtime on host memory, which has not looked for a device."""
    found = object.__new__(CuPy)
    found._capture, found._poison = Captures(), False
    found._lasting = SimpleNamespace(malloc=None)
    found.freed = 0

    def free_all_blocks():
        found.freed += 1

    found.cupy = SimpleNamespace(
        empty=lambda shape, dtype: np.full(shape, 0, dtype).view(Array),
        asarray=lambda host: host.copy().view(Array),
        get_default_memory_pool=lambda: SimpleNamespace(free_all_blocks=free_all_blocks),
        cuda=SimpleNamespace(
            get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
            MemoryPool=lambda: SimpleNamespace(malloc=None),
            Stream=Stream,
            using_allocator=lambda malloc: nullcontext(),
        ),
    )
    return found


HOST = np.arange(3.0)


def test_uploads_wait_for_the_end_of_a_capture(run):
    found = []

    def work():
        assert run.capturing
        found.append(run.upload(HOST))
        assert (found[0] == 0).all()

    run.capture(work)
    np.testing.assert_array_equal(found[0], HOST)
    assert not run.capturing
    assert run.freed == 1  # before the graph takes memory of its own
    np.testing.assert_array_equal(run.upload(HOST), HOST)


def test_after_a_failure_the_uploads_are_there(run):
    """Tables are cached: a later call reads them."""
    found = []

    def work():
        found.append(run.upload(HOST))
        raise RuntimeError("cannot be captured")

    with pytest.raises(RuntimeError, match="cannot be captured"):
        run.capture(work)
    np.testing.assert_array_equal(found[0], HOST)
    assert not run.capturing


def elsewhere(function):
    """The result of a call in another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_other_threads_copy_at_once(run, emulate):
    def work():
        assert not elsewhere(lambda: run.capturing)
        np.testing.assert_array_equal(elsewhere(lambda: run.upload(HOST)), HOST)

    run.capture(work)
    emulate()
    with ReplayedInputs() as inputs:
        drawn = elsewhere(lambda: replayed_input(lambda: HOST, (3,), np.float64))
        np.testing.assert_array_equal(drawn, HOST)
        replayed_input(lambda: HOST, (3,), np.float64)
    assert len(inputs._inputs) == 1
