"""Starting processes as a user does: with the mpirun of the installed MPI."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def mpirun():
    """The launcher; without one, or without mpi4py, the test is skipped."""
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if not found or importlib.util.find_spec("mpi4py") is None:
        pytest.skip("there is no mpirun, or no mpi4py, on this machine")
    return found


def launch(ranks, *arguments):
    """The finished processes of `mpirun -n RANKS python ...`, with one thread each."""
    return python(*arguments, before=[mpirun(), "-n", str(ranks)])


def python(*arguments, before=()):
    """The finished process of `python ...`."""
    return subprocess.run(
        [*before, sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def environment():
    """That of the tests, for one thread, and the package as it is imported here."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"NUMBA_NUM_THREADS": "1", "PYTHONPATH": path, "COLUMNS": "200"}
