"""The GPU's ladder, and the command that climbs it.

The rungs in Python run in Numba's simulator, those in CUDA C on the emulated GPU.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from minicnn.cli import app
from minicnn.kernels import dispatch, reference
from minicnn.kernels.ladder import gpu
from minicnn.study import ladder as study

from .common import relative, to_device

RUNGS = gpu.rungs()
IN_PYTHON = ("naive", "coalesced", "shared tile", "register tile")
PROGRAM = """
import numpy as np
from minicnn.kernels import dispatch, reference
from minicnn.kernels.ladder import gpu
generator = np.random.default_rng(0)
for shape, size, filters in (((1, 3, 3, 4), 3, 5), ((2, 3, 2, 3), 1, 4)):
    x = generator.standard_normal(shape, dtype=np.float32)
    w = generator.standard_normal((size, size, shape[3], filters), dtype=np.float32)
    b = generator.standard_normal(filters, dtype=np.float32)
    expected = reference.conv2d(x, w, b, padding=size // 2, activation="relu")
    for rung in gpu.rungs()[:4]:
        np.testing.assert_allclose(rung.forward(x, w, b), expected, atol=1e-4, err_msg=rung.name)
"""


def test_rungs_in_python():
    assert tuple(rung.name for rung in RUNGS[:4]) == IN_PYTHON
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-3000:]


@pytest.mark.parametrize("rung", RUNGS[4:], ids=lambda rung: rung.name.replace(" ", "-"))
@pytest.mark.parametrize("seed", [0, 1])
def test_rungs_in_cuda(rung, seed, emulate):
    emulate(seed=seed)
    generator = np.random.default_rng(0)
    for shape, size, filters in (
        ((2, 9, 8, 12), 3, 20),
        ((1, 5, 5, 4), 5, 136),
        ((3, 7, 7, 8), 1, 8),
    ):
        x = generator.standard_normal(shape, dtype=np.float32)
        w = generator.standard_normal(
            (size, size, shape[3], filters), dtype=np.float32
        ) / np.float32(size * shape[3] ** 0.5)
        b = generator.standard_normal(filters, dtype=np.float32)
        y = rung.forward(*map(to_device, (x, w, b)))
        assert (
            relative(
                y,
                reference.conv2d(
                    *(a.astype(float) for a in (x, w, b)), padding=size // 2, activation="relu"
                ),
            )
            < rung.error
        )


def test_channels_that_are_no_multiple_of_four(emulate):
    emulate()
    with pytest.raises(ValueError, match="3 and 8 are not both multiples of 4"):
        RUNGS[4].forward(
            *(to_device(np.ones(shape, np.float32)) for shape in ((1, 4, 4, 3), (3, 3, 3, 8), (8,)))
        )


def test_the_command(emulate, monkeypatch, tmp_path):
    """Without Numba's rungs: the emulated GPU runs only CUDA C."""
    emulate()
    monkeypatch.setattr(gpu, "rungs", lambda: RUNGS[4:])
    sizes = [
        "--batch=1",
        "--size=6",
        "--channels=8",
        "--filters=8",
        "--repeats=1",
        f"--out={tmp_path / 'ladder.png'}",
    ]
    result = CliRunner().invoke(app, ["ladder", "conv", "--device=gpu", *sizes])
    assert result.exit_code == 0, result.output
    assert all(rung.name in result.output for rung in RUNGS[4:])
    assert (tmp_path / "ladder.png").stat().st_size > 10_000
    monkeypatch.setattr(gpu, "rungs", lambda: [RUNGS[7]._replace(error=1e-6)])
    with pytest.raises(AssertionError, match="the rung 'tensor cores, tf32' is wrong"):
        study.climb_gpu(study.Problem(1, 6, 8, 8))


def test_without_a_gpu():
    if isinstance(dispatch.load("cuda"), str):
        with pytest.raises(RuntimeError, match="the device 'cuda' is not available"):
            study.climb_gpu(study.Problem())
