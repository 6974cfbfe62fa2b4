"""The cache of compiled kernels."""

import os
import shutil
import subprocess
import sys

import pytest

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
