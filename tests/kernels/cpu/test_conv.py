"""The algorithms of a convolution on the CPU."""

import numpy as np
import pytest

from minicnn.kernels import cpu
from minicnn.kernels.cpu import conv
from minicnn.kernels.geometry import window

from .convolutions import SHAPES, case, error, passes
from .rejected import W, X, assert_rejected, f32

BOUNDS = {
    "auto": 1e-5,
    "direct": 2e-6,
    "depthwise": 2e-6,
    "winograd2": 5e-6,
    "winograd4": 1e-5,
}  # relative L2 error against float64


@pytest.mark.parametrize("algorithm", conv.ALGORITHMS)
@pytest.mark.parametrize("index", range(len(SHAPES)))
def test_algorithms(index, algorithm):
    """Every algorithm on every shape that it can do, within its bound."""
    x, weight, bias, dy, geometry, exact = case(index)
    shape = window(
        x.shape[1:3],
        weight.shape[:2],
        *(geometry[key] for key in ("stride", "padding", "dilation")),
    )
    if algorithm != "auto" and algorithm not in conv.possible(
        shape, x.shape[3], weight.shape[3], geometry["groups"]
    ):
        with conv.algorithm(algorithm):  # what it cannot do, "auto" does
            np.testing.assert_array_equal(
                cpu.conv2d(x, weight, bias, **geometry), cpu.conv2d(x, weight, bias, **geometry)
            )
        return
    with conv.algorithm(algorithm):
        for ours, theirs, name in zip(
            passes(x, weight, bias, dy, geometry), exact, ("y", "dx", "dw", "db"), strict=True
        ):
            assert error(ours, theirs) < BOUNDS[algorithm], name


@pytest.mark.parametrize("index", [0, 3, 5, 11, 12, 15])
@pytest.mark.parametrize(("activation", "limits"), [("relu", (0, np.inf)), ("relu6", (0, 6))])
def test_bounded_activations_are_part_of_it(index, activation, limits):
    """To the bit, by every algorithm; NaN stays NaN."""
    x, weight, bias, _, geometry, _ = case(index)
    x = x.copy()
    x[0, 0, 0] = np.nan
    for algorithm in conv.ALGORITHMS:
        with conv.algorithm(algorithm):
            plain = cpu.conv2d(x, weight, bias, **geometry)
            bounded = cpu.conv2d(x, weight, bias, activation=activation, **geometry)
        assert np.isnan(plain).any() and (plain > 6).any()
        np.testing.assert_array_equal(bounded, np.clip(plain, *limits))


def test_unknown_algorithm():
    with (
        pytest.raises(
            ValueError,
            match=r"unknown algorithm 'fft'; expected one of auto, direct, depthwise, wino",
        ),
        conv.algorithm("fft"),
    ):
        pass


@pytest.mark.parametrize("index", [0, 5, 10, 15])
def test_bit_identical_from_run_to_run(index):
    x, weight, bias, dy, geometry, _ = case(index)
    first, second = (passes(x, weight, bias, dy, geometry) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_slices_of_channels_in_and_out():
    """Branches of a concatenation are read and written in place, without a copy."""
    generator = np.random.default_rng(0)
    wide = generator.standard_normal((2, 8, 8, 80), dtype=np.float32)
    x, weight = wide[..., 16:48], generator.standard_normal((3, 3, 32, 32), dtype=np.float32)
    for algorithm in conv.ALGORITHMS:
        room = np.full((2, 8, 8, 64), np.nan, np.float32)
        with conv.algorithm(algorithm):
            assert cpu.conv2d(x, weight, padding=1, out=room[..., 16:48]).base is room
            np.testing.assert_array_equal(
                room[..., 16:48], cpu.conv2d(np.ascontiguousarray(x), weight, padding=1)
            )
        assert np.isnan(room[..., :16]).all() and np.isnan(room[..., 48:]).all(), (
            "a neighbor was overwritten"
        )


REJECTED = {
    "conv2d: channels": lambda: cpu.conv2d(X, f32(3, 3, 8, 32)),
    "conv2d: bias": lambda: cpu.conv2d(X, W, f32(1)),
    "conv2d: out": lambda: cpu.conv2d(X, W, out=f32(2, 4, 4, 31)),
    "conv2d: empty": lambda: cpu.conv2d(f32(0, 6, 6, 16), W),
    "conv2d: groups": lambda: cpu.conv2d(X, f32(3, 3, 4, 30), groups=4),
    "conv2d_grad_input: dy": lambda: cpu.conv2d_grad_input(f32(2, 4, 4, 8), W, X.shape),
    "conv2d_grad_input: x_shape": lambda: cpu.conv2d_grad_input(f32(2, 4, 4, 32), W, (2, 9, 9, 16)),
    "conv2d_grad_weight: dy": lambda: cpu.conv2d_grad_weight(f32(1, 4, 4, 32), X, W.shape),
    "conv2d_grad_weight: w": lambda: cpu.conv2d_grad_weight(f32(2, 4, 4, 32), X, (3, 3, 8, 32)),
}


@pytest.mark.parametrize("name", REJECTED)
def test_wrong_shapes_are_rejected(name):
    assert_rejected(REJECTED[name])
