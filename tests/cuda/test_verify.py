"""`python -m minicnn.gpu_verify`: all of its parts on the emulated GPU, torch's side on the CPU, and what it says without a GPU."""

import json

import pytest
from minicnn.kernels import dispatch

from minicnn.gpu_verify import correctness, environment, report, speed
from minicnn.gpu_verify.__main__ import main


def test_without_a_gpu(capsys):
    if not isinstance(dispatch.load("cuda"), str):
        pytest.skip("there is a GPU on this machine")
    assert main([]) == 3
    out = capsys.readouterr().out.strip()
    assert out.startswith("gpu_verify: there is no GPU to verify: ")
    assert "\n" not in out


def test_everything_at_its_smallest(emulate, tmp_path, monkeypatch):
    emulate(seed=1)
    monkeypatch.setattr(environment, "has_torch", lambda: False)
    monkeypatch.setattr(speed, "has_torch", lambda: False)
    assert main(["--tiny", "--quick", "--precisions", "fp32", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert len(found["checks"]) > 40
    assert all(check["passed"] for check in found["checks"])
    assert len(found["rows"]) == 12
    assert found["errors"] == {}
    assert found["courses"][0]["distance"] < 1e-5
    assert (tmp_path / "gpu.md").read_text().count("│ fp32") > 10


def test_one_convolution_for_a_profiler(emulate):
    run = emulate()
    assert main(["--one", "tiny 3x3, weight gradient", "--precisions", "tf32"]) == 0
    assert run.launches.count("grad_weight") == 3
    with pytest.raises(ValueError, match="--one 4x4: there is no such convolution; known are VGG 3x3, 64 to 64 at 224"):
        main(["--one", "4x4"])


def test_a_wrong_kernel_fails(emulate, capsys):
    emulate(changes=[("by.y - (to_float(row[label]) - by.x)", "by.y - (to_float(row[label]) + by.x)")])
    assert main(["--tiny", "--quick", "--kernels-only", "--precisions", "fp32"]) == 1
    out = capsys.readouterr().out
    assert "FAILED" in out
    assert " 1 failed; 0 parts ended with an error" in out


def test_gradients_against_torch(emulate):
    emulate()
    check = correctness.against_torch("lenet5", batch=2)
    assert check.passed, check
    assert check.error < 1e-5


def test_torchs_side(monkeypatch):
    """Every measurement of torch, here on the CPU at small sizes: it must run where nobody can mend it."""
    monkeypatch.setattr(speed, "TORCH", "cpu")
    for precision in ("fp32", "bf16"):
        found = speed._torch_convolution((2, 8, 8, 4), 3, 8, {"padding": 1, "stride": 2}, precision, 2)
        assert all(times["contiguous_format, eager"] > 0 and "channels_last, eager" in times for times in found.values())
    found = speed._torch_memory_bound((2, 8, 8, 16), (4, 10), 100, "fp32")
    assert len(found) == 6
    assert all(min(times.values()) > 0 for times in found.values())
    times = speed._torch_step("lenet5", 2, "fp32", quick=True)
    assert set(times) == {"contiguous_format, eager", "channels_last, eager"}


def test_the_picture(tmp_path):
    same = {"group": "memory", "seconds": 1e-4, "way": "eager", "flops": 0, "share": 0.5}
    rows = [
        same | {"name": name, "precision": precision, "torch": ratio * 1e-4, "ratio": ratio}
        for name, ratio in (("LRN", 4), ("max pool", 1))
        for precision in ("fp32", "bf16")
    ]
    report.write({"environment": {}, "rows": rows, "checks": [], "courses": []}, tmp_path)
    assert (tmp_path / "gpu.png").stat().st_size > 5000
    assert report.means(rows) == pytest.approx({"memory, fp32": 2, "memory, bf16": 2})
