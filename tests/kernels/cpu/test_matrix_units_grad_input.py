"""Input gradients on matrix units, of this processor or emulated, against float64."""

import numpy as np
import pytest

from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import matrix_units_grad_input
from minicnn.kernels.cpu.conv import algorithm
from minicnn.kernels.cpu.precision import precision, unavailable

from .amx import emulator, needs_emulator, units  # noqa: F401 - fixtures
from .test_bfloat16 import assert_near, drawn, rounded

pytestmark = [
    needs_emulator,
    pytest.mark.skipif(bool(unavailable("bf16")), reason=str(unavailable("bf16"))),
]

CASES = [  # images, H, W, channels, filters, kernel, stride, padding, dilation, groups
    (2, 7, 9, 8, 18, (3, 3), 1, 1, 1, 1),
    (2, 8, 7, 6, 20, (3, 2), 2, 1, 1, 1),  # four phases with taps
    (1, 11, 8, 8, 36, (5, 5), 2, ((2, 0), (1, 3)), 1, 2),
    (2, 9, 8, 4, 34, (3, 3), (1, 2), 2, 2, 1),  # the odd columns have no taps
    (3, 5, 5, 34, 22, (1, 1), 2, 0, 1, 1),  # three phases without taps
    (2, 6, 7, 5, 12, (2, 2), 3, 0, 1, 1),  # pixels between the patches
    (1, 5, 5, 3, 8, (1, 1), 1, 2, 1, 1),  # patches of padding only
    (1, 9, 4, 4, 80, (7, 3), (4, 3), (3, 1), 1, 1),  # several parts
]


@pytest.mark.parametrize("case", CASES)
def test_convolution(units, monkeypatch, case):  # noqa: F811
    monkeypatch.setattr(matrix_units_grad_input, "DEPTH", 24)
    images, h, w, channels, filters, kernel, *how, groups = case
    shape = images, h, w, channels
    weights = drawn((*kernel, channels // groups, filters), 1)
    dy = drawn(reference.conv2d(np.zeros(shape), weights, None, *how, groups).shape, 3)
    with precision("bf16"), algorithm("direct"):
        dx = cpu.conv2d_grad_input(dy, weights, shape, *how, groups)
    expected = reference.conv2d_grad_input(rounded(dy), rounded(weights), shape, *how, groups)
    assert_near(dx, expected)
    assert units.counts()["tdpbf16ps"] or not units.emulates


def test_a_gradient_without_any_product_is_zero(units):  # noqa: F811
    """The kernel's one pixel is at row 1 of the padded image, which is at its other rows."""
    dy, weights = drawn((1, 2, 3, 4)), drawn((1, 1, 2, 4), 1)
    with precision("bf16"), algorithm("direct"):
        dx = cpu.conv2d_grad_input(dy, weights, (1, 1, 3, 2), (2, 1), (1, 0))
    assert not dx.any()


def test_phases_of_a_stride():
    """Rows 0, 2 and 4 of dx use row 1 of a 3 x 3 kernel, rows 1 and 3 its rows 2 and 0."""
    found = matrix_units_grad_input.phases(3, 2, 1, 1, 5)
    assert found == [(0, 3, [(1, 0)]), (1, 2, [(2, 0), (0, 1)])]
    assert matrix_units_grad_input.border(found, 3) == (0, 0)
    assert matrix_units_grad_input.border(found, 2) == (0, 1)
