"""Whole files, in a process of their own: right, broken, endless, crashing, not Python."""

import sys
from pathlib import Path

import pytest

from minicnn.errors import DataError
from minicnn.study import check_file

STUDENTS = Path(__file__).parent / "students"


def write(folder, text):
    path = folder / "layers.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "count"), [("cs231n_right", 11), ("nhwc_right", 3), ("layers_right", 2)]
)
def test_right_solutions_are_right(name, count):
    report = check_file(STUDENTS / f"{name}.py")
    assert report.ok, str(report)
    assert len(report.checks) == count
    assert report.points == report.possible


def test_right_solutions_in_torch():
    pytest.importorskip("torch")
    report = check_file(STUDENTS / "eecs498_right.py", timeout=120)
    assert report.ok, str(report)
    names = ["Conv", "MaxPool", "Dropout", "MyReLU", "Conv2dFunction"]
    assert [check.name for check in report.checks] == names
    assert "a3_helper is not here" in report.remarks[0]


def test_a_broken_solution():
    """What one page says about a file with a mistake of every kind."""
    report = check_file(STUDENTS / "cs231n_broken.py", timeout=5)
    checks = {check.name: check for check in report.checks}
    found = {
        name: {r: f.name for f in check.findings for r in f.results}
        for name, check in checks.items()
    }
    assert not report.ok
    assert found["affine"] == {"db": "kept axis"}
    assert found["conv_naive"] == {"dx": "stride ignored + border"}
    assert found["max_pool_naive"] == {"dx": "assigned dx, all ties"}
    assert found["softmax_loss"] == {"dx": "without 1/N"}
    assert found["batchnorm"] == {
        "y": "unbiased variance",
        "dx": "unbiased variance + variance term missing",
    }
    assert "dgamma fits the forward that you wrote" in str(checks["batchnorm"])
    assert checks["relu"].effects == ["backward changes its input dout in place: work on a copy"]
    assert checks["layernorm"].is_missing
    assert "It declines geometries whose windows leave a rest" in str(checks["max_pool_naive"])
    assert "no answer within 5 s: it was in line 1" in checks["dropout"].error
    assert "of dropout_backward. Is there an endless loop?" in checks["dropout"].error
    assert "in line 103 of batchnorm_forward" in str(checks["spatial_batchnorm"])


def test_layers_without_a_definition(tmp_path):
    path = write(
        tmp_path,
        "from minicnn.layers import Layer\n"
        "class Square(Layer):\n"
        "    def forward(self, x):\n        self.save_for_backward(x)\n        return x * x\n"
        "    def backward(self, dy):\n        return 2 * dy * self.pop_saved()[0]\n"
        "class Cube(Square):\n    def forward(self, x): return super().forward(x) * x\n"
        "class Unknown(Square):\n    def __init__(self, table): pass\n"
        "class Endless(Square):\n    def backward(self, dy):\n        while True: pass\n",
    )
    report = check_file(path, timeout=3)
    found = {check.name: check for check in report.checks}
    assert found["Square"].ok
    assert [row.verdict for row in found["Cube"].rows] == ["wrong"]
    assert "no answer within 3 s: it was in line" in found["Endless"].error
    (remark,) = report.remarks
    assert remark.startswith("Not checked, because the constructor takes more than numbers")
    assert remark.endswith(": Unknown.")


def test_a_file_that_ends_its_process(tmp_path):
    path = write(
        tmp_path,
        "import os\ndef relu_forward(x): os._exit(3)\ndef relu_backward(dout, cache): return dout\n"
        "def affine_forward(x, w, b): return x.reshape(len(x), -1) @ w + b, (x, w)\n"
        "def affine_backward(dout, cache):\n    x, w = cache\n    return (dout @ w.T).reshape("
        "x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(0)\n",
    )
    report = check_file(path)
    assert [check.name for check in report.checks] == ["relu", "affine"]
    assert report.checks[0].error == "the process ended (exit status 3)"
    assert report.checks[1].ok


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(:\n", "layers.py, line 1: invalid syntax"),
        (
            "x = 1\n\ny = x / 0\n",
            "cannot be imported: ZeroDivisionError: division by zero in line 3",
        ),
        ("def main(): pass\n", "nothing to check was found"),
        ("while True: pass\n", "no answer within 2 s while it was imported: it was in line 1"),
        ("import sys\nsys.exit(4)\n", "the process ended while it was imported (exit status 4)"),
    ],
)
def test_a_file_that_cannot_be_checked(tmp_path, text, expected):
    report = check_file(write(tmp_path, text), timeout=2)
    assert expected in report.error
    assert not report.ok
    assert expected.split(":")[0] in str(report).replace("\n", " ")


def test_a_process_that_does_not_start_in_time(tmp_path, monkeypatch):
    """As on a busy machine: nothing is said about the file."""
    monkeypatch.setattr(sys.modules[check_file.__module__], "START", 0.01)
    report = check_file(write(tmp_path, "x = 1\n"))
    assert report.error == "layers.py: its process did not start within 0.01 s"


def test_what_a_file_prints_does_not_disturb(tmp_path):
    path = write(
        tmp_path,
        "import os\nprint('hello')\nos.system('echo from a process')\n"
        "def relu_forward(x):\n    print('x' * 10)\n    return x * (x > 0), x\n"
        "def relu_backward(dout, cache): return dout * (cache > 0)\n",
    )
    assert check_file(path).ok


def test_wrong_arguments(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        check_file(tmp_path / "none.py")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt: expected a file of Python, NAME\.py"):
        check_file(tmp_path / "notes.txt")
    with pytest.raises(ValueError, match="layout='CHWN': expected one of NCHW, NHWC"):
        check_file(write(tmp_path, ""), layout="CHWN")


COMPILED = """
import numpy as np
from numba import njit
from minicnn.layers import Layer


@njit
def relu_forward(x):
    return np.maximum(x, 0), x


@njit
def relu_backward(dout, cache):
    return dout * (cache > 0)


class Twice(Layer):
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


Same = Twice
"""


def test_compiled_functions_are_found_and_classes_only_once(tmp_path):
    report = check_file(write(tmp_path, COMPILED), timeout=300)  # compiling is slow
    assert report.ok, str(report)
    assert [check.name for check in report.checks] == ["relu", "Twice"]
