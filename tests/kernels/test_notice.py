"""That kernels are compiled is said once, after some seconds, and not if they are in the cache."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from minicnn.kernels import notice

ROOT = Path(__file__).parents[2]
MODULE = "minicnn.kernels.cpu.conv"


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(notice.time, "perf_counter", lambda: now[0])
    return now


def report(listener, clock, seconds, module=MODULE, inlined=0):
    """One pass of the compiler that takes that long, around passes over inlined functions."""
    listener.notify(SimpleNamespace(is_start=True, data={"module": module}))
    for _ in range(inlined):
        report(listener, clock, seconds / inlined, module)
    clock[0] += 0 if inlined else seconds
    listener.notify(SimpleNamespace(is_start=False, data={"module": module}))


def test_it_is_said_once_after_some_seconds(clock, capsys):
    listener = notice.CompileNotice()
    for _ in range(6):
        clock[0] += 1000  # the time between two kernels does not count
        report(listener, clock, 0.3, inlined=3)
    assert capsys.readouterr().err == ""
    for _ in range(5):
        report(listener, clock, 0.3)
    assert capsys.readouterr().err == notice.TEXT + "\n"


def test_functions_of_others_do_not_count(clock, capsys):
    listener = notice.CompileNotice()
    report(listener, clock, 100.0, module="my_own_code")
    report(listener, clock, 0.3)
    assert capsys.readouterr().err == ""


def test_with_a_cache_it_is_not_said(tmp_path):
    """The limit is 0 s, so whatever is compiled is said. The second process has a cache."""
    code = "from minicnn.kernels import notice; notice.SECONDS = 0\n"
    code += "import numpy as np; from minicnn.kernels.functional import relu\n"
    code += "relu(np.ones((8, 8), np.float32))"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path)}
    said = []
    for _ in range(2):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        said.append(done.stderr)
    assert said == [notice.TEXT + "\n", ""]
