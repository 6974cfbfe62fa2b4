"""Float32 convolutions of three products of bfloat16 numbers, against float64."""

import numpy as np
import pytest

from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import conv
from minicnn.kernels.cpu.precision import precision, unavailable

from .amx import emulator, needs_emulator, units  # noqa: F401 - fixtures
from .test_bfloat16 import CASES, drawn

pytestmark = pytest.mark.skipif(bool(unavailable("bf16")), reason=str(unavailable("bf16")))
BOUND = 8e-6  # relative L2 error; with two products it is 2e-3


def error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def passes(operations, case, dtype):
    """y, dx, dw and db of a case, and the weights."""
    images, h, w, channels, filters, kernel, *how, groups = case
    x = drawn((images, h, w, channels + 4))[..., 2 : channels + 2].astype(dtype)
    weights, b = (
        drawn((*kernel, channels // groups, filters), 1).astype(dtype),
        drawn(filters, 2).astype(dtype),
    )
    y = operations.conv2d(x, weights, b, *how, groups, "relu")
    dy = drawn(y.shape, 3).astype(dtype)
    dx = operations.conv2d_grad_input(dy, weights, x.shape, *how, groups)
    return y, dx, *operations.conv2d_grad_weight(dy, x, weights.shape, *how, groups)


def assert_right(case):
    with conv.algorithm("split"):
        found = passes(cpu, case, np.float32)
    for ours, exact in zip(found, passes(reference, case, np.float64), strict=True):
        assert error(ours, exact) < BOUND
    return found


@pytest.mark.parametrize("case", CASES)
def test_convolution(case):
    assert_right(case)


@needs_emulator
def test_on_matrix_units(units):  # noqa: F811
    assert_right(CASES[2])
    assert units.counts()["tdpbf16ps"] or not units.emulates


def test_it_is_used_only_if_it_is_forced():
    case = CASES[4]
    found = assert_right(case)
    exact = passes(reference, case, np.float64)
    auto = passes(cpu, case, np.float32)
    assert error(auto[0], exact[0]) < 5e-7 < 1e-6 < error(found[0], exact[0])
    with precision("bf16"), conv.algorithm("split"):  # which has its own products
        assert error(passes(cpu, case, np.float32)[0], exact[0]) > 1e-4


def test_the_bias_gradient_is_a_sum_of_float32():
    case = CASES[0]
    with conv.algorithm("split"):
        db = passes(cpu, case, np.float32)[3]
    assert error(db, passes(reference, case, np.float64)[3]) < 3e-7
