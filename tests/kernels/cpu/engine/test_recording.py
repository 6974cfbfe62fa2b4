"""Launches that are repeated without the Python code that led to them."""

import threading

import numpy as np
import pytest

from minicnn.kernels import cpu
from minicnn.kernels.cpu.engine.recording import Recording, active, current
from minicnn.kernels.cpu.engine.weight_cache import weight_cache
from minicnn.layers import no_grad

LARGE = 1 << 26


def random(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def network(x, w, v):
    """Kernels on one thread and on several, whose scratch memory only they know."""
    y = cpu.relu(cpu.conv2d(x, w, padding=1))
    return cpu.linear(cpu.avg_pool2d(y, 2).reshape(len(x), -1), v)


def test_kernels_read_what_the_arrays_hold_now():
    x, w, v = random(16, 12, 12, 3), random(3, 3, 3, 8), random(288, 10)
    recording = Recording(LARGE)
    with recording.of_this_thread():
        y = network(x, w, v)
    assert recording.is_complete
    for factor in (2, 3):
        x *= factor
        w += factor
        expected = network(x, w, v)
        y.fill(np.nan)
        recording.repeat()
        assert y.tobytes() == expected.tobytes()


def test_the_arrays_are_not_used_for_others():
    x, w, v = random(16, 12, 12, 3), random(3, 3, 3, 8), random(288, 10)
    recording = Recording(LARGE)
    with recording.of_this_thread():
        y = network(x, w, v)
    expected = y.copy()
    others = [network(x + i, w, v) for i in range(20)]
    copies = [other.copy() for other in others]
    recording.repeat()
    assert y.tobytes() == expected.tobytes()
    for other, copy in zip(others, copies, strict=True):
        assert other.tobytes() == copy.tobytes()


def test_other_threads_are_not_recorded():
    x, recording, other = random(4, 4), Recording(LARGE), []
    thread = threading.Thread(target=lambda: other.extend([cpu.relu(x), current()]))
    with recording.of_this_thread():
        y = cpu.relu(x)
        thread.start()
        thread.join()
    assert other.pop() is None
    other[0].fill(7)
    recording.repeat()
    assert (other[0] == 7).all()
    assert y.tobytes() == np.maximum(x, 0).tobytes()


def copied(x):
    cpu.relu(x[:, ::2])


def hashed(x):
    w = random(3, 3, 16, 16)
    with no_grad():
        weight_cache(w).get("name", w, lambda: w)


@pytest.mark.parametrize("function", [copied, hashed])
def test_what_numpy_computes_is_not_recorded(function):
    recording = Recording(LARGE)
    with recording.of_this_thread():
        function(random(4, 4))
    assert not recording.is_complete


def test_too_large_arrays_are_not_recorded_nor_kept():
    recording = Recording(most_bytes=1 << 20)
    with recording.of_this_thread():
        for _ in range(4):
            cpu.relu(random(1 << 17))
        assert current() is None
    assert not recording.is_complete
    assert not recording._arrays


def test_an_error_ends_the_recording():
    recording = Recording(LARGE)
    with pytest.raises(ValueError, match="convolution of images"), recording.of_this_thread():
        cpu.conv2d(random(1, 4, 4, 2), random(3, 3, 3, 2))
    assert not recording.is_complete
    assert not active
