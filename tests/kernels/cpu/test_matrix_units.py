"""Products on matrix units, of this processor or emulated, against float64."""

import importlib
from collections import Counter

import numpy as np
import pytest

import minicnn
from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import conv, matrix_units
from minicnn.kernels.cpu.precision import precision, unavailable
from minicnn.kernels.geometry import window

from .amx import emulator, needs_emulator, units  # noqa: F401 - fixtures
from .test_bfloat16 import CASES, assert_near, drawn, rounded

linear = importlib.import_module("minicnn.kernels.cpu.linear")  # the package has its function
pytestmark = [
    needs_emulator,
    pytest.mark.skipif(bool(unavailable("bf16")), reason=str(unavailable("bf16"))),
]


@pytest.mark.parametrize("case", CASES)
def test_convolution(units, monkeypatch, case):  # noqa: F811
    """Patches of several parts, in several blocks."""
    monkeypatch.setattr(matrix_units, "DEPTH", 24)
    monkeypatch.setattr(matrix_units, "BLOCK", 32)
    images, h, w, channels, filters, kernel, *how, groups = case
    x = drawn((images, h, w, channels + 4))[..., 2 : channels + 2]
    weights, b = drawn((*kernel, channels // groups, filters), 1), drawn(filters, 2)
    with precision("bf16"), conv.algorithm("direct"):
        y = cpu.conv2d(x, weights, b, *how, groups, "relu")
        dy = drawn(y.shape, 3)
        dx = cpu.conv2d_grad_input(dy, weights, x.shape, *how, groups)
    exact = np.float64
    forward = rounded if channels // groups % 2 == 0 else exact
    backward = rounded if filters // groups % 2 == 0 else exact
    expected = reference.conv2d(forward(x), forward(weights), exact(b), *how, groups, "relu")
    assert_near(y, expected)
    expected = reference.conv2d_grad_input(backward(dy), backward(weights), x.shape, *how, groups)
    assert_near(dx, expected)
    assert bool(units.counts()["tdpbf16ps"]) == (forward is rounded) or not units.emulates


def test_a_scale_and_a_slice_of_channels(units, monkeypatch):  # noqa: F811
    monkeypatch.setattr(matrix_units, "DEPTH", 16)
    x, w = drawn((2, 5, 5, 64)), drawn((1, 1, 64, 40), 1)
    scale, shift, out = drawn(40, 2), drawn(40, 3), np.zeros((2, 5, 5, 60), np.float32)
    with precision("bf16"):
        cpu.conv2d_affine(x, w, scale, shift, activation="relu6", out=out[..., 10:50])
    expected = reference.conv2d(rounded(x), rounded(w)) * scale + shift
    assert_near(out[..., 10:50], np.clip(expected, 0, 6))
    assert not out[..., :10].any()
    assert not out[..., 50:].any()


@pytest.mark.parametrize(("n", "depth", "columns"), [(33, 70, 34), (64, 1056, 32), (13, 6, 2)])
def test_linear(units, n, depth, columns):  # noqa: F811
    x, w, b = drawn((n, depth)), drawn((depth, columns), 1), drawn(columns, 2)
    dy = drawn((n, columns), 3)
    with precision("bf16"):
        y, dx = linear.linear(x, w, b, "relu"), linear.linear_grad_input(dy, w)
    assert_near(y, np.maximum(rounded(x) @ rounded(w) + b, 0))
    assert_near(dx, rounded(dy) @ rounded(w).T)


def test_every_task_configures_the_registers_once_and_releases_them(units):  # noqa: F811
    x, w = drawn((600, 64)), drawn((64, 70), 1)
    with precision("bf16"):
        y = linear.linear(x, w)
    tiles = -(-600 // 32) * -(-70 // 32)  # of 32 x 32 sums
    steps = 64 // 32
    assert units.configured_threads() == 0
    if units.emulates:
        tasks = minicnn.get_num_threads()
        assert Counter(units.counts()) == {
            "ldtilecfg": tasks,
            "tilerelease": tasks,
            "tilezero": 4 * tiles,
            "tileloadd": 4 * tiles * steps,
            "tdpbf16ps": 4 * tiles * steps,
            "tilestored": 4 * tiles,
        }
    before = minicnn.get_num_threads()
    minicnn.set_num_threads(1)
    try:
        with precision("bf16"):
            np.testing.assert_array_equal(linear.linear(x, w), y)
    finally:
        minicnn.set_num_threads(before)


def test_what_is_not_finite_stays_in_its_row(units):  # noqa: F811
    """Padding is zeros in both factors: 0 times what was in the buffer before could be NaN."""
    x, w = drawn((64, 50)), drawn((50, 20), 1)
    with precision("bf16"):
        linear.linear(np.full_like(x, np.inf), w)
        x[3] = np.inf
        y = linear.linear(x, w)
    assert not np.isfinite(y[3]).any()
    assert np.isfinite(np.delete(y, 3, axis=0)).all()


def test_the_direct_algorithm_is_chosen_where_it_is_faster(units):  # noqa: F811
    geometry = window((28, 28), (3, 3), 1, 1)
    sizes = "auto", 4, geometry, 256, 256, 1
    assert conv.choose(*sizes, rate=4) == "winograd4"
    assert conv.choose(*sizes, rate=matrix_units.RATE) == "direct"
    x, w = drawn((4, 8, 8, 64)), drawn((3, 3, 64, 64), 1)
    with precision("bf16"):
        y = cpu.conv2d(x, w, padding=1)
    assert_near(y, reference.conv2d(rounded(x), rounded(w), padding=1))
