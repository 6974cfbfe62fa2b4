"""Pooling on every backend, against torch: ties, borders, mutants that must be caught."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.kernels import cpu, reference
from minicnn.kernels.geometry import pool_window
from minicnn.kernels.reference import pool

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends
from ..checks.pool import avg_pool_cases, check_max_pool2d


@over_backends(
    *("max_pool2d", "avg_pool2d", "global_avg_pool2d", "subsample2d"),
    "adaptive_max_pool2d",
)
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


@given(st.data())
def test_ties_go_to_the_first(data):
    """Of equal values the first in row-major order wins, also where windows overlap."""
    case = data.draw(avg_pool_cases(np.float64))
    x = (
        np.random.default_rng(case["seed"])
        .integers(0, 2, (case["n"], case["h"], case["w"], case["c"]))
        .astype(float)
    )
    check_max_pool2d(reference, case, x)


def test_negative_values_survive_padding():
    """A border of zeros would win over them: DeZero and numpy-ml give [0, 0, 0, -1] here."""
    x = np.full((1, 3, 3, 1), -1.0)
    y, _ = reference.max_pool2d(x, 3, 2, 1)
    np.testing.assert_array_equal(y.ravel(), [-1, -1, -1, -1])


@pytest.mark.parametrize("backend", [cpu, reference])
def test_a_gradient_goes_to_a_pixel_never_to_the_padding(backend):
    """A window of -inf ties with the padding around it."""
    x = np.full((1, 4, 4, 1), -np.inf, np.float32)
    y, argmax = backend.max_pool2d(x, 3, 2, 1)
    np.testing.assert_array_equal(y, np.full((1, 2, 2, 1), -np.inf))
    dx = backend.max_pool2d_grad(np.ones_like(y), argmax, x.shape, 3, 2, 1)
    np.testing.assert_array_equal(dx[0, :, :, 0], np.pad(np.ones((2, 2)), ((0, 2), (0, 2))))


def zero_padded_max(x, kernel_size, stride=None, padding=0, ceil_mode=False, out=None):
    geometry = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    cells = pool.windows(x, geometry, fill=0)
    cells = cells.reshape(*cells.shape[:3], -1, x.shape[3])
    return cells.max(axis=3), cells.argmax(axis=3)


def last_of_equals(x, kernel_size, stride=None, padding=0, ceil_mode=False, out=None):
    y, _ = reference.max_pool2d(x, kernel_size, stride, padding, ceil_mode)
    geometry = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    cells = pool.windows(x, geometry, fill=-np.inf)
    cells = cells.reshape(*cells.shape[:3], -1, x.shape[3])
    return y, cells.shape[3] - 1 - cells[:, :, :, ::-1].argmax(axis=3)


def assigned_max_grad(dy, argmax, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False):
    """Overlapping windows overwrite each other's gradient instead of adding."""
    geometry = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    (top, bottom), (left, right) = geometry.reach
    dx = np.zeros(
        (x_shape[0], x_shape[1] + top + bottom, x_shape[2] + left + right, x_shape[3]), dy.dtype
    )
    for p, q in np.ndindex(*geometry.output):
        for n, c in np.ndindex(x_shape[0], x_shape[3]):
            i, j = divmod(int(argmax[n, p, q, c]), geometry.kernel[1])
            dx[n, p * geometry.stride[0] + i, q * geometry.stride[1] + j, c] = dy[n, p, q, c]
    return dx[:, top : top + x_shape[1], left : left + x_shape[2]]


def area_divisor(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, out=None
):
    geometry = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    return pool.windows(x, geometry).mean(axis=(3, 4))


def even_windows(x, output_size, out=None):
    """floor(i H / P) to floor((i + 1) H / P): windows that never overlap."""
    y, argmax = reference.adaptive_max_pool2d(x, output_size)
    for place, cell, _ in pool.adaptive_cells(x.shape, output_size):
        rows, columns = cell[1], cell[2]
        stop = (place[1].stop * x.shape[1] // output_size[0], rows.start + 1)
        y[place] = x[:, rows.start : max(stop), columns].max(axis=(1, 2), keepdims=True)
    return y, argmax


def assigned_adaptive_grad(dy, argmax, x_shape):
    dx = np.zeros(x_shape, dy.dtype)
    for place, cell, size in pool.adaptive_cells(x_shape, dy.shape[1:3]):
        part = reference.max_pool2d_grad(dy[place], argmax[place], dx[cell].shape, size)
        dx[cell] = np.where(part != 0, part, dx[cell])
    return dx


MUTANTS = {  # operation, and a backend with one mistake
    "max pool padded by zeros": ("max_pool2d", broken(max_pool2d=zero_padded_max)),
    "max pool gradient assigned": ("max_pool2d", broken(max_pool2d_grad=assigned_max_grad)),
    "adaptive windows without overlap": (
        "adaptive_max_pool2d",
        broken(adaptive_max_pool2d=even_windows),
    ),
    "adaptive gradient assigned": (
        "adaptive_max_pool2d",
        broken(adaptive_max_pool2d_grad=assigned_adaptive_grad),
    ),
    "average pool divides by the area": ("avg_pool2d", broken(avg_pool2d=area_divisor)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])


def test_the_wrong_tie_is_caught():
    """Only an input with ties shows this mistake."""
    case = {
        "dtype": np.float64,
        "seed": 0,
        "n": 1,
        "h": 4,
        "w": 4,
        "c": 1,
        "kernel": (2, 2),
        "stride": (2, 2),
    }
    case |= {"padding": ((0, 0), (0, 0)), "ceil_mode": False, "negative": False}
    x = np.zeros((1, 4, 4, 1))
    check_max_pool2d(reference, case, x)
    with pytest.raises(AssertionError):
        check_max_pool2d(broken(max_pool2d=last_of_equals), case, x)
