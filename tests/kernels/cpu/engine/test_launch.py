"""Launching kernels: threads, forks, and the cache of compiled kernels."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading

import pytest

import minicnn
from minicnn.kernels.cpu.engine import launch

from ..convolutions import case, error, passes


def test_number_of_threads():
    x, weight, bias, dy, geometry, exact = case(7)
    before = launch.threads()
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
from minicnn.kernels.cpu.engine import launch
assert numba.threading_layer() == "workqueue"
assert launch.threads_for(bytes=1 << 19, flops=1 << 22) == 1  # starting threads takes longer
assert launch.threads_for(bytes=1 << 21) == launch.threads_for(flops=1 << 24) == launch.threads()
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


CACHED = """
import numpy as np
from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import conv
g = np.random.default_rng(0)
x, w = (g.standard_normal(s, dtype=np.float32) for s in ((20, 6, 6, 16), (3, 3, 16, 48)))
y = reference.conv2d(x, w, padding=1)
for algorithm in {algorithms}:
    with conv.algorithm(algorithm):
        assert abs(cpu.conv2d(x, w, padding=1) - y).max() < 1e-4 * abs(y).max(), algorithm
"""


def test_kernels_from_the_cache_call_their_own_functions(tmp_path):
    """Two kernels from different processes, loaded into one.

    Functions of the same name must not be confused.
    """
    for algorithms in (
        ("winograd2",),
        ("winograd4",),
        ("winograd4", "winograd2"),
        ("winograd2", "winograd4"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", CACHED.format(algorithms=algorithms)],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (algorithms, done.stderr[-1000:])


def test_names_of_kernel_functions_are_unique():
    def twice():
        pass

    launch.inline(twice)
    with pytest.raises(ValueError, match="there is a kernel function .*twice"):
        launch.inline(twice)


RELU = """
import warnings, numpy as np
from minicnn.kernels import cpu
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    assert (cpu.relu(np.array([-1, 2], np.float32)) == [0, 2]).all()
    cpu.tanh(np.ones(3, np.float32))
print(len([w for w in said if "NUMBA_CACHE_DIR" in str(w.message)]))
"""


def run_relu(folder, program=RELU):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def whole_cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    run_relu(folder)
    return folder


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"\xff" * 200, None])
def test_damaged_cache_files_are_replaced(tmp_path, whole_cache, kind, damage):
    shutil.copytree(whole_cache, tmp_path, dirs_exist_ok=True)
    files = [p for p in tmp_path.rglob(f"*.{kind}") if "rectify" in p.name]
    assert files
    sizes = {}
    for path in files:
        whole = path.read_bytes()
        sizes[path] = len(whole)
        path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert run_relu(tmp_path) == "0"
    assert all(path.stat().st_size > 0.9 * size for path, size in sizes.items())


def test_without_a_writable_folder_kernels_run_and_say_so_once():
    program = (
        "from numba.core import caching\n"
        "def refuse(self): raise OSError('read-only')\n"
        "caching._CacheLocator.ensure_cache_path = refuse\n"
        "import warnings; warnings.simplefilter('error')\n"
        "said = []; warnings.showwarning = lambda m, *rest, **more: said.append(str(m))\n"
        "warnings.simplefilter('always')\n"
        "import numpy as np\n"
        "from minicnn.kernels import cpu\n"
        "assert (cpu.relu(np.array([-1, 2], np.float32)) == [0, 2]).all()\n"
        "print(len(said), 'NUMBA_CACHE_DIR' in said[0])"
    )
    assert run_relu("", program) == "1 True"
