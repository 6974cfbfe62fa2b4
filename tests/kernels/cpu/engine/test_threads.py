"""Kernels on several threads, from several threads of Python, and in a forked process."""

import multiprocessing
import os
import subprocess
import sys
import threading

import pytest

import minicnn
from minicnn.kernels.cpu.engine import threads

from ..convolutions import case, error, passes


def test_number_of_threads():
    x, weight, bias, dy, geometry, exact = case(7)
    before = threads.threads()
    try:
        minicnn.set_num_threads(1)
        assert minicnn.get_num_threads() == 1
        for ours, theirs in zip(passes(x, weight, bias, dy, geometry), exact, strict=True):
            assert error(ours, theirs) < 1e-5
    finally:
        minicnn.set_num_threads(before)
    for wrong in (0, 10_000, 1.5, True):
        with pytest.raises(ValueError, match=r"set_num_threads\(.*expected 1 to "):
            minicnn.set_num_threads(wrong)


def test_two_python_threads_at_once():
    """Kernels release the interpreter's lock; calls from two threads at once give right results."""
    wrong = []

    def work(index):
        x, weight, bias, dy, geometry, exact = case(index)
        for _ in range(20):
            if any(
                error(a, b) > 1e-5
                for a, b in zip(passes(x, weight, bias, dy, geometry), exact, strict=True)
            ):
                wrong.append(index)

    for index in (0, 7):
        case(index)
    workers = [threading.Thread(target=work, args=(index,)) for index in (0, 7, 0)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


WORK_QUEUE = """
import threading
import numba, numpy as np
from minicnn.kernels import cpu
from minicnn.kernels.cpu.engine import threads
assert numba.threading_layer() == "workqueue"
assert threads.threads_for(bytes=1 << 19, flops=1 << 22) == 1  # starting threads takes longer
assert threads.threads_for(bytes=1 << 21) == threads.threads_for(flops=1 << 24) == threads.threads()
x = np.arange(-(1 << 18), 1 << 18, dtype=np.float32)
def work():
    for _ in range(50):
        np.testing.assert_array_equal(cpu.relu(x), np.maximum(x, 0))
workers = [threading.Thread(target=work) for _ in range(2)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print("agree")
"""


def test_threads_of_numbas_work_queue():
    """The layer without OpenMP, as on macOS. It ends the process if two threads use it at once."""
    done = subprocess.run(
        [sys.executable, "-c", WORK_QUEUE],
        env=os.environ | {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "agree\n", done.stderr[-2000:]


def _in_child(queue):
    x, weight, bias, dy, geometry, exact = case(7)
    queue.put(
        [
            float(error(a, b))
            for a, b in zip(passes(x, weight, bias, dy, geometry), exact, strict=True)
        ]
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_after_a_fork():
    """OpenMP aborts a forked child that starts threads again: the child works alone."""
    x, weight, bias, dy, geometry, _ = case(7)
    passes(x, weight, bias, dy, geometry)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert max(queue.get(timeout=300)) < 1e-5
    child.join()
    assert child.exitcode == 0
