"""Weight gradients on matrix units, of this processor or emulated, against float64."""

import importlib

import numpy as np
import pytest

import minicnn
from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import matrix_units_grad_weight
from minicnn.kernels.cpu.conv import algorithm
from minicnn.kernels.cpu.direct import grad_weight
from minicnn.kernels.cpu.precision import precision, unavailable

from .amx import emulator, needs_emulator, units  # noqa: F401 - fixtures
from .test_bfloat16 import CASES, assert_near, drawn, rounded

linear = importlib.import_module("minicnn.kernels.cpu.linear")  # the package has its function
pytestmark = [
    needs_emulator,
    pytest.mark.skipif(bool(unavailable("bf16")), reason=str(unavailable("bf16"))),
]


@pytest.fixture
def small_blocks(monkeypatch):
    """Patches of several parts, in several blocks, the last of which is odd."""
    blocks = matrix_units_grad_weight.WEIGHTS._replace(block=32)
    monkeypatch.setattr(matrix_units_grad_weight, "WEIGHTS", blocks)
    monkeypatch.setattr(grad_weight, "DEPTH", 64)


def gradients(case, seed=0):
    """The gradients of a case and those expected."""
    images, h, w, channels, filters, kernel, *how, groups = case
    x = drawn((images, h, w, channels + 4), seed)[..., 2 : channels + 2]
    shape = *kernel, channels // groups, filters
    dy = drawn(reference.conv2d(x, np.zeros(shape), None, *how, groups).shape, seed + 1)
    with precision("bf16"), algorithm("direct"):
        found = cpu.conv2d_grad_weight(dy, x, shape, *how, groups)
    return found, reference.conv2d_grad_weight(rounded(dy), rounded(x), shape, *how, groups)


@pytest.mark.parametrize("case", CASES)
def test_convolution(units, small_blocks, case):  # noqa: F811
    found, expected = gradients(case)
    assert_near(found[0], expected[0])
    assert_near(found[1], expected[1])
    assert units.configured_threads() == 0
    assert units.counts()["tdpbf16ps"] or not units.emulates


def test_parts_of_the_patch_are_shared_if_the_gradient_is_large(units, monkeypatch):  # noqa: F811
    monkeypatch.setattr(grad_weight, "SPLIT_SIZE", 0)
    found, expected = gradients((1, 5, 5, 70, 34, (3, 3), 1, 1, 1, 1))
    assert_near(found[0], expected[0])
    assert_near(found[1], expected[1])


@pytest.mark.parametrize(("n", "depth", "columns"), [(131, 70, 34), (129, 6, 2), (128, 20, 10)])
def test_linear(units, n, depth, columns):  # noqa: F811
    x, dy = drawn((n, depth)), drawn((n, columns), 1)
    with precision("bf16"):
        dw, db = linear.linear_grad_weight(dy, x)
    assert_near(dw, rounded(x).T @ rounded(dy))
    assert_near(db, rounded(dy).sum(axis=0))
    if units.emulates:
        assert bool(units.counts()["tdpbf16ps"]) == (n > matrix_units_grad_weight.FEW)


def test_what_is_not_finite_stays_in_its_row_and_column(units):  # noqa: F811
    """Padding is zeros in both factors: 0 times what was in the buffer before could be NaN."""
    shape = 1, 1, 40, 34
    x, dy = drawn((1, 5, 9, 40)), drawn((1, 5, 9, 34), 1)
    with precision("bf16"), algorithm("direct"):
        cpu.conv2d_grad_weight(np.full_like(dy, np.inf), np.full_like(x, np.inf), shape)
        x[0, 4, 8, 3], dy[0, 4, 8, 5] = np.inf, np.inf
        dw, _ = cpu.conv2d_grad_weight(dy, x, shape)
    assert not np.isfinite(dw[0, 0, 3]).any()
    assert not np.isfinite(dw[0, 0, :, 5]).any()
    others = np.delete(np.delete(dw[0, 0], 3, axis=0), 5, axis=1)
    assert np.isfinite(others).all()


def test_one_thread_gives_the_bits_of_another_run(units):  # noqa: F811
    before = minicnn.get_num_threads()
    minicnn.set_num_threads(1)
    try:
        (a, _), expected = gradients((2, 9, 9, 8, 18, (3, 3), 1, 1, 1, 1))
        (b, _), _ = gradients((2, 9, 9, 8, 18, (3, 3), 1, 1, 1, 1))
    finally:
        minicnn.set_num_threads(before)
    np.testing.assert_array_equal(a, b)
    assert_near(a, expected[0])
