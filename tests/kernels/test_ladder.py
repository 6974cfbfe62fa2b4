"""Every rung of the ladder against the reference in float64, at awkward sizes."""

import itertools

import numpy as np
import pytest

import minicnn
from minicnn.kernels import ladder, reference
from minicnn.kernels.ladder import rung09_winograd2

from .cpu.amx import emulator, needs_emulator  # noqa: F401 - a fixture
from .cpu.test_bfloat16 import rounded

RUNGS = ladder.rungs()
BY_NAME = {rung.name: rung for rung in RUNGS}
WINOGRAD = ["Winograd F(2x2, 3x3)", "Winograd F(4x4, 3x3)"]
# (N, H, W), channels, filters
SIZES = [
    ((1, 1, 1), 3, 5),
    ((1, 1, 1), 1, 1),
    ((1, 9, 6), 17, 33),
    ((2, 5, 8), 1, 5),
    ((3, 7, 5), 3, 1),
    ((1, 1, 11), 17, 5),
    ((2, 12, 13), 16, 32),
    ((1, 6, 5), 70, 65),
]
GEOMETRIES = [(1, 0), (3, 1), (3, 0), (5, 2), (5, 0)]  # kernel, padding
CASES = [
    pytest.param(rung, *size, *geometry, id=f"{rung.name}-{size}-{geometry}")
    for rung, size, geometry in itertools.product(RUNGS, SIZES, GEOMETRIES)
    if rung.name != "matrix units"
    and rung.kernel in (None, geometry[0])
    and min(size[0][1:]) + 2 * geometry[1] >= geometry[0]
]


def arrays(shape, channels, filters, size, pad):
    """x, w, b, and a gradient of the result."""
    generator = np.random.default_rng(size)
    n, h, w = shape
    result = n, h + 2 * pad - size + 1, w + 2 * pad - size + 1, filters
    shapes = (*shape, channels), (size, size, channels, filters), (filters,), result
    return [generator.standard_normal(s, dtype=np.float32) for s in shapes]


def passes(rung, x, w, b, dy, pad):
    """y, dx, dw and db by a rung."""
    weights = rung.grad_weight(dy, x, len(w), pad)
    return rung.forward(x, w, b, pad), rung.grad_input(dy, w, pad), *weights


def exact(x, w, b, dy, pad):
    """The same by the reference in float64."""
    x, w, b, dy = (a.astype(np.float64) for a in (x, w, b, dy))
    y = reference.conv2d(x, w, b, padding=pad, activation="relu")
    dx = reference.conv2d_grad_input(dy, w, x.shape, padding=pad)
    return y, dx, *reference.conv2d_grad_weight(dy, x, w.shape, padding=pad)


def assert_close(results, expected):
    """Each result has the right shape and type, and no element is wrong by more than rounding."""
    for name, result, right in zip(("y", "dx", "dw", "db"), results, expected, strict=True):
        assert result.dtype == np.float32, name
        assert result.shape == right.shape, name
        # relative to the largest value: sums that cancel have no more correct digits
        np.testing.assert_allclose(result, right, rtol=0, atol=2e-5 * (abs(right).max() + 1e-30))


@pytest.mark.parametrize(("rung", "shape", "channels", "filters", "size", "pad"), CASES)
def test_rung(rung, shape, channels, filters, size, pad):
    x, w, b, dy = arrays(shape, channels, filters, size, pad)
    before = [a.copy() for a in (x, w, b, dy)]
    results = passes(rung, x, w, b, dy, pad)
    assert_close(results, exact(x, w, b, dy, pad))
    for array, copy in zip((x, w, b, dy), before, strict=True):
        np.testing.assert_array_equal(array, copy, "a rung changed its input")
    for result, again in zip(results, passes(rung, x, w, b, dy, pad), strict=True):
        np.testing.assert_array_equal(result, again, "two runs differ")


@needs_emulator
@pytest.mark.parametrize(
    ("size", "geometry"),
    list(zip(SIZES[2:], [(5, 2), (3, 1), (3, 0), (5, 2), (1, 0), (5, 0)], strict=True)),
)
def test_matrix_units(emulator, size, geometry):  # noqa: F811
    """Of numbers that are bfloat16 already: the products are exact."""
    x, w, b, dy = arrays(*size, *geometry)
    x, w, dy = (rounded(a).astype(np.float32) for a in (x, w, dy))
    with emulator.installed():
        results = passes(BY_NAME["matrix units"], x, w, b, dy, geometry[1])
    assert_close(results, exact(x, w, b, dy, geometry[1]))
    assert emulator.configured_threads() == 0


@pytest.mark.parametrize("name", ["all cores", "fused epilogue", *WINOGRAD])
def test_the_result_does_not_depend_on_the_number_of_cores(name):
    case = arrays((2, 12, 13), 17, 70, 3, 1)
    several = passes(BY_NAME[name], *case, 1)
    before = minicnn.get_num_threads()
    minicnn.set_num_threads(1)
    try:
        one = passes(BY_NAME[name], *case, 1)
    finally:
        minicnn.set_num_threads(before)
    for a, b in zip(several, one, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", WINOGRAD)
def test_several_batches_of_squares(name, monkeypatch):
    case = arrays((3, 19, 18), 5, 7, 3, 1)
    monkeypatch.setattr(rung09_winograd2, "BATCH", 1)
    monkeypatch.setattr(rung09_winograd2, "WEIGHT_BATCH", 1)
    assert_close(passes(BY_NAME[name], *case, 1), exact(*case, 1))


@pytest.mark.parametrize("name", WINOGRAD)
def test_winograd_takes_only_3x3(name):
    x, w, b, dy = arrays((1, 6, 6), 3, 4, 5, 2)
    message = "the kernel is 5x5; expected 3x3"
    with pytest.raises(ValueError, match=message):
        BY_NAME[name].forward(x, w, b, 2)
    with pytest.raises(ValueError, match=message):
        BY_NAME[name].grad_input(dy, w, 2)
    with pytest.raises(ValueError, match=message):
        BY_NAME[name].grad_weight(dy, x, 5, 2)


def shifted(rung):
    """The image one pixel to the right."""
    return rung._replace(forward=lambda x, *rest: rung.forward(np.roll(x, 1, axis=2), *rest))


def without_turning(rung):
    """The input gradient with the kernel as it is."""
    return rung._replace(grad_input=lambda dy, w, pad: rung.grad_input(dy, w[::-1, ::-1], pad))


def without_the_last_pixel(rung):
    """The weight gradient of all pixels but one."""

    def grad_weight(dy, *rest):
        dy = dy.copy()
        dy[-1, -1, -1] = 0
        return rung.grad_weight(dy, *rest)

    return rung._replace(grad_weight=grad_weight)


def with_one_wrong_column(rung):
    """Filter 32, the first of the second panel, without its bias."""

    def forward(x, w, b, pad):
        return rung.forward(x, w, np.where(np.arange(len(b)) == 32, 0, b).astype(b.dtype), pad)

    return rung._replace(forward=forward)


@pytest.mark.parametrize(
    "mutate", [shifted, without_turning, without_the_last_pixel, with_one_wrong_column]
)
def test_the_comparison_can_fail(mutate):
    case = arrays((1, 9, 6), 17, 33, 3, 1)
    rung = BY_NAME["SIMD register tile"]
    assert_close(passes(rung, *case, 1), exact(*case, 1))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_close(passes(mutate(rung), *case, 1), exact(*case, 1))


def test_rungs_are_found_in_order_and_say_what_they_are():
    assert [rung.name for rung in RUNGS] == [
        "seven loops",
        "loops in cache order",
        "cache blocking",
        "im2col",
        "SIMD register tile",
        "all cores",
        "fused epilogue",
        "FFT",
        *WINOGRAD,
        "matrix units",
        "the engine",
    ]
    assert all(rung.idea and "\n" not in rung.idea for rung in RUNGS)


def test_the_engine_says_what_it_chooses():
    algorithm = RUNGS[-1].algorithm
    assert algorithm((4, 28, 28, 128), (3, 3, 128, 128), 1) == "winograd4"
    assert algorithm((4, 28, 28, 128), (1, 1, 128, 128), 0) == "direct"
