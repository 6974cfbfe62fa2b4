"""The GPU's ladders, and the command that climbs them.

The rungs run on the emulated GPU, their twins in Python in Numba's simulator.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from minicnn.cli import app
from minicnn.kernels import dispatch, reference
from minicnn.kernels.ladder import gpu
from minicnn.kernels.ladder.gpu import conv, peak, roofs
from minicnn.study import ladder_gpu as study
from minicnn.study.ladder import Problem

from .common import planted, relative, to_device

CONV, NORM = gpu.rungs("conv"), gpu.rungs("batch_norm")


@pytest.fixture(autouse=True)
def _no_measured_peaks(monkeypatch):
    monkeypatch.setattr(peak, "multiply_add_rate", lambda: 1e12)
    monkeypatch.setattr(peak, "copy_rate", lambda: 1e12)


PROGRAM = """
import numpy as np
from minicnn.kernels import reference
from minicnn.kernels.ladder.gpu import twins
generator = np.random.default_rng(0)
for shape, size, filters in (((1, 3, 3, 4), 3, 5), ((2, 3, 2, 3), 1, 4)):
    x = generator.standard_normal(shape, dtype=np.float32)
    w = generator.standard_normal((size, size, shape[3], filters), dtype=np.float32)
    b = generator.standard_normal(filters, dtype=np.float32)
    expected = reference.conv2d(x, w, b, padding=size // 2, activation="relu")
    for twin in (twins.naive, twins.coalesced, twins.shared_tile, twins.register_tile):
        np.testing.assert_allclose(twin(x, w, b), expected, atol=1e-4, err_msg=twin.__name__)
"""


def test_twins_in_python():
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-3000:]


def convolution(shape, size, filters):
    """x, w, b and dy, and the result of each pass in float64."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal(shape, dtype=np.float32)
    w = generator.standard_normal((size, size, shape[3], filters), dtype=np.float32)
    w /= np.float32(size * shape[3] ** 0.5)
    b = generator.standard_normal(filters, dtype=np.float32)
    dy = generator.standard_normal((*shape[:3], filters), dtype=np.float32)
    exact_x, exact_w, exact_b, exact_dy = (a.astype(np.float64) for a in (x, w, b, dy))
    pad = size // 2
    return (x, w, b, dy), {
        "forward": reference.conv2d(exact_x, exact_w, exact_b, padding=pad, activation="relu"),
        "grad_input": reference.conv2d_grad_input(exact_dy, exact_w, shape, padding=pad),
        "grad_weight": reference.conv2d_grad_weight(exact_dy, exact_x, w.shape, padding=pad)[0],
    }


@pytest.mark.parametrize("rung", CONV, ids=lambda rung: rung.name.replace(" ", "-"))
def test_rungs_of_the_convolution(rung, emulate):
    """Images smaller than a tile, and of more than one; sums that end within a step."""
    for seed, shape, size, filters in ((0, (2, 5, 3, 64), 3, 64), (1, (3, 9, 5, 64), 1, 192)):
        emulate(seed=seed)
        arrays, exact = convolution(shape, size, filters)
        passes = rung.prepare(*map(to_device, arrays))
        assert set(passes) <= set(exact)
        for name, call in passes.items():
            call()
            assert relative(call(), exact[name]) < rung.error, name


@pytest.mark.parametrize("rung", NORM, ids=lambda rung: rung.name.replace(" ", "-"))
def test_rungs_of_batch_norm(rung, emulate):
    """Fewer pixels than threads, and more; a mean that is large beside the spread."""
    generator = np.random.default_rng(0)
    for seed, shape in ((0, (2, 5, 3, 32)), (1, (3, 9, 13, 64))):
        emulate(seed=seed)
        x = generator.standard_normal(shape, dtype=np.float32) + 30
        gamma, beta = (generator.standard_normal(shape[3], dtype=np.float32) for _ in range(2))
        rows = x.astype(np.float64).reshape(-1, shape[3])
        normalized = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5)
        exact = np.maximum(normalized * gamma + beta, 0).reshape(shape)
        call = rung.prepare(*map(to_device, (x, gamma, beta)))["forward"]
        call()
        assert relative(call(), exact) < rung.error


WGMMA = next(rung for rung in CONV if rung.name == "wgmma and TMA")
MISTAKES = {  # a statement that is left out, or what takes the place of an expression
    "wait_for(full + stage, step / STAGES % 2);": None,
    "if (turn) wait_for(empty + stage, (turn - 1) % 2);": None,
    "products_begin();": None,
    "products_close();": None,
    "products_arrive<0>();": None,
    "barriers_ready();\n    }": None,
    "2 * TILE * int(sizeof(bf16))": "TILE * int(sizeof(bf16))",
    "barrier_init(empty + stage, 8)": "barrier_init(empty + stage, 4)",
}


def test_mistakes_in_asynchronous_copies_and_products_are_noticed(emulate, monkeypatch):
    """A wrong result, a barrier that never ends its phase, or a rule of an instruction."""
    arrays, exact = convolution((2, 5, 3, 64), 3, 64)

    def is_right(seed):
        emulate(seed=seed, changes=planted(MISTAKES, "#define STAGES 4"))
        with np.errstate(all="ignore"):
            try:
                y = WGMMA.prepare(*map(to_device, arrays))["forward"]()
            except RuntimeError:
                return False
            y = np.asarray(y, np.float64)
            return np.isfinite(y).all() and relative(y, exact["forward"]) < WGMMA.error

    assert all(is_right(seed) for seed in (0, 1, 2))
    for i, mistake in enumerate(MISTAKES):
        monkeypatch.setenv("PLANTED", str(i))
        assert not all(is_right(seed) for seed in (0, 1, 2)), mistake


def test_names_and_ideas():
    names = [rung.name for rung in CONV]
    assert names[:3] == ["naive", "coalesced", "shared tile"]
    assert len(set(names)) == len(names)
    assert all(len(rung.idea) > 20 for rung in [*CONV, *NORM])


def test_a_sum_is_split_into_parts_that_are_not_empty():
    for pixels in (1, 64, 65, 700, 401_408):
        for tiles in (1, 9, 300):
            parts, steps = conv.split(tiles, pixels, 132), -(-pixels // 64)
            assert 1 <= parts <= max(1, 264 // tiles)
            assert -(-steps // parts) * (parts - 1) < steps
    assert conv.split(9, 401_408, 132) == 29


def test_roofs():
    """Each part's time by hand; few blocks use few multiprocessors."""
    card = roofs.Card("two", 2, 1e9, 2e9, 1e6, {"fp32": 1e8})
    found = roofs.least(6.4e9, 1e9, 0.5, "fp32", 1, card)
    assert found[:3] == pytest.approx((1.0, 50.0, 128.0))
    assert found.seconds == pytest.approx(128)
    assert found.binds == "ordinary units of 1 multiprocessors"
    assert roofs.least(6.4e9, 1e12, 0.5, "fp32", 2, card).binds == "memory"
    found = roofs.stream(1e9, 8, 4e3, 1e8, card)
    assert found == pytest.approx((1.0, 4.0, 8e9 / 4e3 * roofs.LATENCY, 0.1))
    assert found.binds == "second cache"
    assert found.seconds == pytest.approx(4.1)


def test_the_page_has_what_is_computed():
    """The table of docs/gpu-ladder.md."""
    page = (Path(__file__).parents[2] / "docs" / "gpu-ladder.md").read_text(encoding="utf-8")
    problem = study.PROBLEM
    shape = problem.batch * problem.size**2, problem.channels, problem.filters, problem.kernel**2
    for rung in NORM[:-1]:
        least = rung.least("forward", shape[0], problem.channels)
        assert f"| {rung.name} |" in page
        assert f"| {least.seconds * 1e3:.3g} | {least.binds} |" in page
        assert rung.counter in page
    for rung, kernel in zip(CONV, conv.KERNELS, strict=False):
        least = rung.least("forward", *shape)
        if least:
            row = f"| {kernel.port[0]:g} | {least.seconds * 1e3:.3g} | {least.binds} |"
            assert f"| {rung.name} {row}" in page
        assert f"]({Path('..', 'kernels', 'ladder', 'gpu', kernel.file).as_posix()})" in page
        assert kernel.counter in page


def test_a_kernel_takes_long_enough_to_be_measured():
    """At the peak of an H100's tensor cores, as docs/gpu-ladder.md says."""
    assert study.PROBLEM.flops / roofs.H100.rates["bf16"] > 1e-4


SIZES = ("--batch=1", "--size=5", "--channels=64", "--filters=64", "--repeats=1")


def ladder(*arguments):
    return CliRunner().invoke(app, ["ladder", *arguments, "--device=cuda", *SIZES])


def test_the_command(emulate, monkeypatch, tmp_path):
    emulate()
    picture = tmp_path / "ladder.png"
    result = ladder("conv", f"--out={picture}")
    assert result.exit_code == 0, result.output
    assert all(rung.name in result.output for rung in CONV)
    assert picture.stat().st_size > 10_000


def test_the_command_for_batch_norm(emulate, tmp_path):
    emulate()
    result = ladder("batch_norm", f"--out={tmp_path / 'ladder.svg'}")
    assert result.exit_code == 0, result.output
    assert all(rung.name in result.output for rung in NORM)
    assert "batch norm of 1 image of 5x5, 64 channels" in result.output
    assert "A copy moves 1,000 GB/s." in result.output
    result = CliRunner().invoke(app, ["ladder", "batch_norm"])
    assert "add --device cuda" in str(result.exception)


def test_wrong_rungs_are_named_and_the_others_measured(emulate, monkeypatch, tmp_path):
    emulate()
    naive, coalesced, newest = CONV[0], CONV[1], CONV[2]

    def broken(*arrays):
        raise RuntimeError("no image")

    planted = [naive._replace(error=1e-12), newest._replace(prepare=broken, multiple=1), coalesced]
    planted.append(naive._replace(name="next year's", capability=100))
    monkeypatch.setattr(gpu, "rungs", lambda _: planted)
    found = study.climb_gpu(Problem(1, 3, 4, 4), repeats=1)
    assert found.wrong["forward: naive"].startswith("wrong: relative error ")
    assert found.wrong["grad_input: shared tile"] == "RuntimeError: no image"
    reason = "left out: it needs compute capability 10.0, and this GPU has 9.0"
    assert found.left_out == {"next year's": reason}
    assert [r.name for r in found.readings["grad_weight"]] == ["coalesced"]
    result = ladder("conv", f"--out={tmp_path / 'ladder.svg'}")
    assert result.exit_code == 1
    assert "wrong: relative error" in result.output


def test_channels_that_a_rung_cannot_compute(emulate, monkeypatch):
    emulate()
    monkeypatch.setattr(gpu, "rungs", lambda _: CONV[:3])
    found = study.climb_gpu(Problem(1, 3, 4, 4), repeats=1)
    assert found.left_out == {"shared tile": "left out: it computes only multiples of 16 channels"}


def test_without_a_gpu():
    if isinstance(dispatch.load("cuda"), str):
        with pytest.raises(RuntimeError, match="the device 'cuda' is not available"):
            study.climb_gpu()
