"""`python -m benchmarks.gpu`: its parts on the emulated GPU, torch's side on the CPU, and failures.

Each kind of failure is planted once.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import cases, environment, hopper, launches, report, speed, spot, tables
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.parts import Part, parts, run_part
from minicnn.kernels import dispatch, reference
from minicnn.kernels.cuda import device

from ..emulator import COMPILER

PARTS = (  # those that test_measurements.py does not run without a process of their own
    *("environment", "kernels", "variants", "whole", "communication", "networks", "steps"),
    *("operations", "ladder", "learning"),
)
LADDER = 9 * 3 + 1 + 2 + 3 + 5  # passes: the split sum and batch norm have one, wgmma two
ROOT = Path(__file__).parents[2]
needs_compiler = pytest.mark.skipif(
    COMPILER is None,
    reason="no C++ compiler, which builds the emulator of a GPU",
)


def verify(fault, folder, *options):
    """Run the command in its own process; returns its exit code, its output, and gpu.json."""
    command = [
        sys.executable,
        "-m",
        "tests.cuda.emulated_gpu",
        fault,
        "--tiny",
        "--no-torch",
        "--precisions",
        "fp32",
        "--out",
        str(folder),
    ]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    return done.returncode, done.stdout + done.stderr, json.loads((folder / "gpu.json").read_text())


def test_without_a_gpu(capsys):
    if not isinstance(dispatch.load("cuda"), str):
        pytest.skip("there is a GPU on this machine")
    assert main([]) == 3
    out = capsys.readouterr().out.strip()
    assert out.startswith("benchmarks.gpu: there is no GPU to verify: ")
    assert "\n" not in out


@needs_compiler
def test_everything_at_its_smallest(tmp_path):
    code, out, found = verify("none", tmp_path, "--only", *PARTS)
    assert code == 0, out
    assert found["failures"] == found["left_out"] == []
    names = {check["name"] for check in found["checks"]}
    assert len(names) > 80
    assert "conv 3x3 odd, weight gradient [128x128, 3 stages, 1 parts]" in names
    assert "conv 3x3 odd, weight gradient [64x64, 2 stages, 3 parts]" in names
    assert "LeNet's step by one kernel, 3 images, parameters" in names
    assert "one layer: the bits do not depend on NCCL" in names
    assert all(check["passed"] for check in found["checks"])
    rows = [row for row in found["rows"] if row["group"] != "ladder"]
    assert len(rows) == (4 + 3) + 3
    assert len(found["rows"]) - len(rows) == LADDER
    assert found["courses"][0]["distance"] < 1e-5
    assert (tmp_path / "gpu.md").read_text().count("│ fp32") > 10
    lines = (tmp_path / "gpu.jsonl").read_text().splitlines()
    assert {json.loads(line)["kind"] for line in lines} >= {
        "environment",
        "ceilings",
        "check",
        "speed",
        "course",
    }


@needs_compiler
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("exception", "ValueError: a planted exception"),
        ("sticky", "RuntimeError: an illegal memory access was encountered"),
        ("exit", "its process ended with exit code 9"),
        ("hang", "not finished after 15 s"),
    ],
)
def test_a_failure_is_named_and_the_rest_is_compared(fault, why, tmp_path):
    code, out, found = verify(fault, tmp_path, "--only", "kernels", "--limit", "15")
    assert code == 1, out
    assert [(line["name"], line["message"]) for line in found["failures"]] == [("softmax", why)]
    names = [check["name"] for check in found["checks"]]
    assert names[0] == "linear"
    assert names[-8] == "softmax cross-entropy"  # after the culprit
    assert names[-3:] == ["sgd", "adam", "rmsprop"]
    every = [name for name, *_ in cases.cases(np.random.default_rng(), tiny=True)]
    assert names == [n for n in every if n != "softmax" and not n.startswith("conv ")]
    assert len(names) == len(set(names))
    assert all(check["passed"] for check in found["checks"])
    assert f"FAILED softmax: {why}" in out
    assert "0 failed; 1 errors; 0 left out" in out


@needs_compiler
def test_a_wrong_kernel_fails(tmp_path):
    code, out, found = verify("wrong", tmp_path, "--only", "kernels")
    assert code == 1, out
    assert [check["name"] for check in found["checks"] if not check["passed"]] == [
        "softmax cross-entropy",
        "softmax cross-entropy, smoothed",
        "softmax cross-entropy, soft",
    ]
    assert found["failures"] == []


@needs_compiler
def test_no_time(tmp_path):
    """What the budget does not reach is said, and the command ends in time."""
    started = time.monotonic()
    code, out, found = verify("hang", tmp_path, "--only", "kernels", "networks", "--seconds", "12")
    assert time.monotonic() - started < 60
    assert code == 0, out
    assert [(line["part"], line["message"]) for line in found["left_out"]] == [
        ("kernels fp32", "the time for all parts ended here"),
        ("networks fp32", "no time was left"),
    ]


SWIZZLES = ("(chunk ^ first % 8) * 8", "chunk * 8"), ("(chunk % 8 ^ row % 8) * 8", "chunk % 8 * 8")


@needs_compiler
def test_products_on_hoppers_units(emulate):
    """One task of each kind, with a kernel that is right and with one that is not."""
    chosen = (
        "t, the runtime's comparison [wgmma 128x64]",
        "5x5, residual [wgmma 128x64, 3 parts]",
        "tiny 3x3, speed",
    )
    found: dict[bool, list] = {}
    for right in (True, False):
        emulate(changes=() if right else SWIZZLES)
        picked = {name: task for name, task in hopper.tasks(tiny=True) if name.endswith(chosen)}
        assert len(picked) == 3
        difference, *rest = picked.values()
        if right:
            assert list(difference()) == []
        else:
            with pytest.raises(AssertionError, match="its results differ from those of conv.cu"):
                list(difference())
        found[right] = [row for task in rest for row in task()]
    for right, rows in found.items():
        checks = [(row["name"].split(" ")[-1], row["passed"]) for row in rows if "passed" in row]
        assert checks == [("parts]", right)] + 4 * [("results", True), ("results", right)]
        speeds = [row for row in rows if row["kind"] == "speed"]
        groups = ["convolution by mma", "convolution by wgmma"]
        assert [row["group"] for row in speeds] == 4 * groups
        against = {f"tiny 3x3, {what}" for what in (*speed.PASSES, speed.BIAS)}
        assert {row["against"] for row in speeds} == against
        assert speeds[1]["plan"][0]["tile"] == "128x64"


def test_a_part_of_its_own_on_hopper(emulate):
    run = emulate()
    assert "hopper" in [part.name for part in parts(["bf16"], True, False)]
    assert "hopper" not in [part.name for part in parts(["fp32"], True, False)]
    run.capability = 80
    assert "hopper" not in [part.name for part in parts(["bf16"], True, False)]


def test_the_environment_says_which_commit(emulate, monkeypatch):
    emulate()
    monkeypatch.setenv("MINICNN_COMMIT", "abc1234")
    assert environment.describe()["commit"] == "abc1234"


def test_a_part_goes_on_behind_a_task(emulate, tmp_path, monkeypatch):
    emulate()
    part = Part(
        "numbers",
        lambda: ((str(i), lambda i=i: [{"kind": "check", "name": i}]) for i in range(3)),
        1,
    )
    monkeypatch.setattr(launches, "ahead", True)
    assert run_part(part, tmp_path / "lines", first=2) == 0
    with launches.noted() as found:
        launches.compile_ahead(lambda: device.launch("conv.cu", "forward", 1, 1))
    assert not found  # as if it had been what failed
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["begin", "check", "end"]
    assert lines[1]["name"] == 2


@pytest.mark.parametrize(
    "geometry", [{}, {"padding": 1}, {"padding": 1, "stride": 2}, {"groups": 6}]
)
def test_spot_checks(geometry):
    """Right results pass; wrong ones, of one pass each, do not."""
    generator = np.random.default_rng(0)
    channels = 6 // geometry.get("groups", 1)
    x, w = (
        generator.standard_normal(shape, dtype=np.float32)
        for shape in ((2, 7, 8, 6), (3, 3, channels, 6))
    )
    y = reference.conv2d(x, w, **geometry)
    dy = generator.standard_normal(y.shape, dtype=np.float32)
    results = {
        "forward": y,
        "input gradient": reference.conv2d_grad_input(dy, w, x.shape, **geometry),
        "weight gradient": reference.conv2d_grad_weight(dy, x, w.shape, **geometry)[0],
    }
    for what, result in results.items():
        assert spot.check("", what, "fp32", x, dy, w, geometry, result).passed, what
        wrong = result * np.float32(1.001)
        assert not spot.check("", what, "fp32", x, dy, w, geometry, wrong).passed, what
    dw, db = reference.conv2d_grad_weight(dy, x, w.shape, **geometry)
    for factor, passed in ((1, True), (1.001, False)):
        result = dw, db * np.float32(factor)
        assert spot.check("", speed.BIAS, "fp32", x, dy, w, geometry, result).passed == passed


def test_the_report(tmp_path):
    """This run's rows of PyTorch replace stored ones; ratios are to its best; there is a plot."""
    lines = [{"part": "", "kind": "ceilings", "copy, bytes/s": 2e12}]
    for name, precision in (("LRN", "fp32"), ("LRN", "bf16"), ("max pool", "fp32")):
        row = {
            "kind": "speed",
            "group": "memory",
            "name": name,
            "precision": precision,
            "seconds": 1e-4,
            "flops": 0.0,
            "bytes": 1e8,
        }
        lines.append({"part": ""} | row)
    lines.append(
        {
            "part": "",
            "kind": "torch",
            "name": "LRN",
            "precision": "fp32",
            "ways": {"eager": 5e-4, "graph": 4e-4},
        }
    )
    stored = [
        {"name": name, "precision": "fp32", "ways": {"eager": 2e-4}} for name in ("LRN", "max pool")
    ]
    found = report.collected(lines, stored)
    assert [row["ratio"] for row in found["rows"]] == pytest.approx([4, None, 2])
    assert found["rows"][0]["way"] == "graph"
    assert found["rows"][0]["share"] == pytest.approx(0.5)
    assert tables.means(found["rows"]) == pytest.approx({"memory, fp32": 8**0.5})
    report.write(found, tmp_path)
    assert (tmp_path / "gpu.png").stat().st_size > 5000
    assert json.loads((tmp_path / "gpu-torch.json").read_text())[0]["ways"]["graph"] == 4e-4
