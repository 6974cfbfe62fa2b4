"""`benchmarks.gpu`: PyTorch's side on the CPU, causes, and what failures may cost.

The parent process is tested with children that are three lines of Python.
"""

import json
import math
import stat
import subprocess
import sys
import time

import pytest

from benchmarks.gpu import (
    ablations,
    causes,
    counters,
    launches,
    memory,
    report,
    runner,
    speed,
    steps,
    tables,
    torch_memory,
    torch_side,
    torch_steps,
)
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.parts import DEVICE_LOST, Part, parts
from minicnn.kernels.cuda import runtime

# -- the parent process --------------------------------------------------------------------------

BEGIN = "import json, sys, time; path, first = sys.argv[-3], int(sys.argv[-1])\n"
CHILD = """
def write(**line):
    with open(path, "a") as file: file.write(json.dumps(line) + "\\n")
for task in range(first, 4):
    write(kind="begin", task=task, name=f"task {task}")
    if task in BAD: FAULT
    write(kind="check", name=task, passed=True)
"""


def supervised(bad, fault, seconds=60.0, limit=0.5, count=1):
    """The lines of the results, and the printed ones, of parts whose tasks `bad` do `fault`."""
    child = BEGIN + CHILD.replace("BAD", str(bad)).replace("FAULT", fault)
    said, stored = [], []
    run = runner.Runner([sys.executable, "-c", child], seconds, limit, said.append, stored.append)
    run.run([Part(f"part {i}", lambda: iter(()), 60) for i in range(count)])
    run.close()
    assert stored == run.lines
    return [line for line in run.lines if line["kind"] != "output"], said


def test_two_hangs_end_a_part_and_not_the_next():
    started = time.monotonic()
    lines, said = supervised((0, 1), "time.sleep(100)", count=2)
    assert time.monotonic() - started < 30
    for part in ("part 0", "part 1"):
        mine = [line for line in lines if line.get("part") == part]
        assert [(line["kind"], line["name"]) for line in mine] == [
            ("failure", "task 0"),
            ("failure", "task 1"),
            ("left out", "the tasks after it"),
        ]
        assert mine[0]["message"] == "not finished after 0.5 s"
        assert mine[2]["message"] == "2 of its tasks hung"
    assert any("FAILED task 0: not finished after 0.5 s" in line for line in said)


def test_a_lost_device_costs_one_task():
    fault = f'write(kind="failure", name="task 1", message="lost"), sys.exit({DEVICE_LOST})'
    lines, _ = supervised((1,), fault)
    checks = [line["name"] for line in lines if line["kind"] == "check"]
    assert checks == [0, 2, 3]
    assert [line["message"] for line in lines if line["kind"] == "failure"] == ["lost"]


def test_the_end_of_the_time_is_no_failure():
    lines, _ = supervised((1,), "time.sleep(100)", seconds=1.5, limit=60, count=2)
    ends = [(line["name"], line["message"]) for line in lines if line["kind"] != "check"]
    assert ends == [("task 1", runner.OUT_OF_TIME), ("", "no time was left")]


def test_a_process_that_cannot_be_ended_ends_the_run(monkeypatch):
    """As one that waits in the driver: no other part may start beside it."""
    monkeypatch.setattr(runner, "DEATH", 0.01)
    real = []

    class Stuck(subprocess.Popen):
        def kill(self):
            real.append(self)

    monkeypatch.setattr(runner.subprocess, "Popen", Stuck)
    lines, _ = supervised((0,), "time.sleep(100)", count=2)
    for child in real:
        subprocess.Popen.__mro__[0].terminate(child)
        child.wait()
    messages = [line["message"] for line in lines]
    assert messages == [
        "not finished after 0.5 s; its process cannot be ended",
        "no time was left",
        "no time was left",
    ]


def test_parts_run_in_the_order_that_is_asked_for(emulate, monkeypatch, capsys):
    emulate()
    chosen = []
    monkeypatch.setattr(runner.Runner, "run", lambda self, parts, keep: chosen.extend(parts))
    only = ["environment", "steps", "torch operations", "st"]
    monkeypatch.setattr("benchmarks.gpu.environment.has_torch", lambda: True)
    assert main(["--tiny", "--precisions", "bf16", "--only", *only]) == 0
    names = [part.name for part in chosen]
    assert names == ["environment", "steps bf16", "torch operations bf16"]
    assert main(["--only", "steps", "speling"]) == 2
    assert (
        "--only 'speling': expected the beginning of one of environment" in capsys.readouterr().out
    )
    assert main(["--out", __file__]) == 2
    assert capsys.readouterr().out.endswith(
        "test_measurements.py: it is a file; expected a folder\n"
    )
    assert main(["--torch-file", "no.json"]) == 2
    assert (
        capsys.readouterr().out
        == "benchmarks.gpu: --torch-file no.json: No such file or directory\n"
    )


# -- PyTorch's side ------------------------------------------------------------------------------


@pytest.fixture
def torch_on_the_cpu(monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setattr(torch_side, "DEVICE", "cpu")
    monkeypatch.setattr(speed, "L2", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def measured(tasks):
    return [row for _, task in tasks for row in task()]


def test_pytorch_has_each_of_our_rows(torch_on_the_cpu, emulate):
    """The names of both sides are the same; what cannot be captured is said."""
    rows = measured(torch_side.operations("fp32", True)) + measured(
        torch_memory.tasks("fp32", True)
    )
    rows += measured(torch_steps.tasks("fp32", True)) + measured(
        torch_steps.inference("fp32", True)
    )
    for row in rows:
        assert row["kind"] == "torch"
        assert min(row["ways"].values()) > 0
        assert all("eager" in way for way in row["ways"])
        assert all("graph" in way and why for way, why in row["refused"].items())
    shapes = speed.TINY.items()
    ours = [f"{name}, {what}" for name, shape in shapes for what in speed.passes(name, shape[0])]
    ours += [*memory.IMAGES, *memory.LOSSES, *memory.OPTIMIZERS]
    ours += [f"{n}, {what}" for n in memory.TINY_LINEAR for what in memory.LINEAR_PASSES]
    ours += ["lenet5, batch 2", steps.inference_title("lenet5", 1)]
    assert [row["name"] for row in rows] == ours
    emulate()
    for names, calls in (
        (memory.IMAGES, memory.on_images((1, 8, 8, 32))),
        (memory.LOSSES, memory.on_logits(2, 3)),
        (memory.OPTIMIZERS, memory.on_parameters(1, 2)),
    ):
        assert set(calls) == set(names)


def test_a_way_that_fails_is_said():
    (found,) = torch_side.row("an operation", "bf16", iter([("eager", "no kernel")]))
    assert (found["kind"], found["message"]) == ("left out", "PyTorch: no kernel")


def test_stored_rows_are_not_measured_again():
    """But for the anchors."""
    all_of_them = {
        (f"{n}, {w}", "bf16") for n, s in speed.CONVOLUTIONS.items() for w in speed.passes(n, s[0])
    }
    again = [name for name, _ in torch_side.operations("bf16", False, all_of_them)]
    assert again == [torch_side.ANCHORS[0]]
    missing = all_of_them - {("ResNet 1x1, 512 to 2048 at 7, forward", "bf16")}
    assert len(list(torch_side.operations("bf16", False, missing))) == 2
    stored = {("lenet5, batch 128", "bf16"), ("GELU", "bf16")}
    assert "lenet5" not in [name for name, _ in torch_steps.tasks("bf16", False, stored)]
    assert "lenet5" in [name for name, _ in torch_steps.tasks("fp32", False, stored)]
    assert "GELU" not in [name for name, _ in torch_memory.tasks("bf16", False, stored)]


def test_ways_of_several_rows_are_compared_together():
    rows = [
        {"name": "step", "precision": "bf16", "ways": {"eager": 3.0}},
        {"name": "step", "precision": "bf16", "ways": {"compiled, graph": 1.0}},
    ]
    assert report.best_ways(rows) == {("step", "bf16"): {"eager": 3.0, "compiled, graph": 1.0}}


def test_the_networks_of_the_steps_have_twins():
    twins = pytest.importorskip("tests.models.twins", reason="torch is not installed")
    for name, (_, classes) in steps.STEPS.items():
        assert twins.pair(name, classes, full=True)[1]
        assert classes == (10 if name in ("lenet5", "resnet20_cifar") else 1000)


# -- causes --------------------------------------------------------------------------------------


def test_a_driver_that_does_not_tell_costs_no_time(emulate, monkeypatch):
    run = emulate()
    monkeypatch.setattr(run, "kernel", lambda *names: 1 / 0)
    found = launches.described([launches.Launch("conv.cu", "forward", (), 1, 32, 0)])
    assert found == [{"error": "ZeroDivisionError: division by zero"}]


def test_what_limits_the_blocks():
    """By hand, from the table of compute capability 9.0."""
    # 255 registers: 8,160 of a warp, rounded up to 8,192; two blocks of four warps.
    found = launches.limits(128, 255, 0, 228 << 10)
    assert found == {"registers": 2, "shared memory": 228, "warps": 16, "blocks": 32}
    found = launches.limits(256, 32, (109 << 10) + 512, 228 << 10)
    assert found == {"registers": 8, "shared memory": 2, "warps": 8, "blocks": 32}


@pytest.mark.parametrize(
    ("kernel", "group"),
    [
        ("forward", "forward products"),
        ("grad_weight_hopper", "weight gradient"),
        ("sums", "depthwise convolutions"),
        ("bias_totals", "sums of parts"),
        ("normalize_grad", "normalization"),
        ("max_pool_grad", "pooling"),
        ("sm90_xmma_dgrad_implicit_gemm_bf16bf16_bf16f32", "input gradient"),
        ("cutlass_tensorop_s16816wgrad_optimized_bf16", "weight gradient"),
        ("sm80_xmma_fprop_implicit_gemm_tf32f32", "forward products"),
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NNT", "forward products"),
        ("void cudnn::ops::nchwToNhwcKernel<float>", "copies"),
        ("void cudnn::bn_fw_tr_1C11_singleread", "normalization"),
        ("void at::native::batch_norm_backward_elemt_kernel", "normalization"),
        ("void at::native::multi_tensor_apply_kernel<FusedSgdMathFunctor>", "optimizer"),
        ("void at::native::vectorized_elementwise_kernel<4, CUDAFunctor_add>", "activations"),
        ("Memset (Device)", "copies"),
        ("something else", "other"),
    ],
)
def test_groups_of_kernels(kernel, group):
    assert causes.group_of(kernel) == group


def test_without_cupti(torch_on_the_cpu):
    how, kernels = causes.profiled(lambda: None)
    assert not kernels
    assert how.startswith("the profiler")


def test_ablations_change_one_line_each(emulate):
    """No name of the kernels' page is needed twice; the kernels of a variant are its own."""
    source = runtime.source("conv.cu")
    for what, changes in ablations.CHANGES.items():
        emulate()
        with ablations.without(what), launches.noted(run_them=False) as found:
            assert runtime.source("conv.cu") != source
            for old, _ in changes:
                assert source.count(old) == 1
                assert old not in runtime.source("conv.cu")
            speed.prepared((1, 6, 6, 8), 3, 8, {"padding": 1})
        assert f"-DWITHOUT={what}" in found[0].options
    assert runtime.source("conv.cu") == source


NCU = """#!/bin/sh
cat <<'END'
==PROF== Connected to process 7
"ID","Kernel Name","sm__throughput.avg.pct_of_peak_sustained_elapsed","smsp__average_warps_issue_\
stalled_long_scoreboard_per_issue_active.ratio","smsp__average_warps_issue_stalled_barrier_per_\
issue_active.ratio"
"","","%","inst","inst"
"0","grad_weight","41.5","1,003.25","0.5"
END
"""
NOT_ALLOWED = "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission"


def test_ncu(tmp_path, monkeypatch):
    monkeypatch.setattr(counters, "PLACES", ())
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (row,) = measured(counters.tasks("bf16", True))
    assert (row["name"], row["message"]) == ("ncu", "not installed")
    tool = tmp_path / "ncu"
    tool.write_text(NCU)
    tool.chmod(tool.stat().st_mode | stat.S_IEXEC)
    (row,) = measured(counters.tasks("bf16", True))
    assert row["shares"] == {"multiprocessors": 41.5}
    assert list(row["stalls"].items()) == [("long_scoreboard", 1003.25), ("barrier", 0.5)]
    assert row["message"] == ""
    monkeypatch.setattr(counters, "_refused", [])
    tool.write_text(f"#!/bin/sh\necho '{NOT_ALLOWED}'\necho once >> {tmp_path}/calls\n")
    rows = measured(counters.tasks("bf16", False))
    assert {row["message"] for row in rows} == {NOT_ALLOWED.removeprefix("==ERROR== ")}
    assert (tmp_path / "calls").read_text() == "once\n"  # who may not once may not later


def test_random_numbers_repeat_no_pixel():
    for shape, *_ in speed.CONVOLUTIONS.values():
        assert math.gcd(speed.POOL, shape[3]) == 1


def test_tables_of_causes(capsys):
    plan = {"tile": "128x64", "splits": 2, "blocks per SM": 1.5, "cycles": 2e4}
    launch = dict.fromkeys(("blocks", "threads", "waves", "last wave", "registers", "spilled"), 1)
    launch |= {"shared": 512, "blocks at a time": 2, "limit": "registers", "kernel": "forward"}
    launch |= {"file": "conv.cu"}
    wide = launch | {"file": "activation.cu", "kernel": "convert", "blocks": 99}
    row = {"name": "3x3", "precision": "bf16", "seconds": 2e-5, "flops": 0, "torch": None}
    row |= {"plan": [plan], "launches": [wide, launch], "ratio": None, "share": None, "way": None}
    other = row | {"name": "another", "launches": [{"error": "[no] attributes"}]}
    side = {"name": "resnet50", "precision": "bf16", "how": "CUPTI", "wall": 2e-3, "gaps": 5e-4}
    side |= {"groups": {"pooling": 1.5e-3}, "kernels": [["max_pool", 3, 1.5e-3]]}
    then = {"name": "3x3", "precision": "bf16", "ways": {"eager": 4e-5}}
    found = {
        "environment": {"clock": "1000 MHz"},
        "rows": [row, other],
        "stored": [then],
        "torch": [then | {"ways": {"graph": 3e-5}}],
        "ablations": [then | {"seconds": {"nothing": 4e-5, "loads": 1e-5}}],
        "counters": [then | {"shares": {"memory": 7.0}, "stalls": {"barrier": 2.5}}],
        "causes": [side | {"side": "ours"}, side | {"side": "PyTorch"}],
    }
    console = report.Console(width=220)
    for table in tables.tables(found):
        console.print(table)
    out = capsys.readouterr().out
    lines = {line.split("│")[1].strip(): line for line in out.splitlines() if line.startswith("│")}
    assert [" 25% " in line for line in out.splitlines() if "3x3" in line and "40.0" in line]
    assert "20.0" in out and "1.00" in out  # microseconds at 1 GHz; measured over estimated
    assert "0.75" in out  # PyTorch now over then
    assert "[no] attributes" in lines["another"]
    assert "forward + 1" in out  # not the conversion, which has more threads
    assert lines["pooling"].split("│")[2:4] == [" 1,500.0  ", " 75%   "]
    assert lines["between kernels"].split("│")[2:4] == [" 500.0    ", " 25%   "]
    assert "memory 7 %" in out and "barrier 2.50" in out


def test_measurements_of_the_smallest(emulate):
    """Each part that measures runs, here in this process."""
    emulate()
    rows = measured(memory.tasks("fp32", True)) + measured(steps.inference("fp32", True))
    assert len(rows) == len(memory.IMAGES) + 1 + 2 + 3 + 1
    assert all(row["seconds"] > 0 for row in rows)
    assert all(row["launches"] for row in rows if row["group"] != "inference")
    (row,) = [row for row in rows if row["name"] == "max pool 2x2"]
    (pool, _) = row["launches"]
    assert (pool["kernel"], pool["blocks"], pool["limit"]) == ("max_pool", 1, "registers")
    assert pool["waves"] == pytest.approx(1 / (2 * 4), abs=0.01)  # two processors, four blocks each
    (cause,) = measured(causes.tasks("fp32", True, False))
    assert cause["groups"].keys() >= {"forward products", "weight gradient", "optimizer", "loss"}
    assert cause["gaps"] == pytest.approx(cause["wall"] - sum(cause["groups"].values()))
    found = measured(ablations.tasks("fp32", True))
    assert [line["name"] for line in found] == [f"tiny 3x3, {what}" for what in speed.PASSES]
    assert all({"nothing", *ablations.CHANGES} == line["seconds"].keys() for line in found)


def test_parts_of_every_kind(emulate):
    emulate()
    names = [part.name for part in parts(["bf16"], True, True)]
    assert names.index("steps bf16") < names.index("torch steps bf16") < names.index("causes bf16")
    assert names[-1] == "torch compiled steps bf16"
    json.dumps(names)
