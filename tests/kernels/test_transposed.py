"""Transposed convolution on every backend, against torch, with mutants that must be caught."""

import numpy as np
import pytest

from minicnn.kernels import reference
from minicnn.kernels.geometry import transposed_size, window

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends("conv_transpose2d")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


def test_it_is_the_adjoint_of_the_convolution():
    """<x conv w, y> = <x, y conv_transpose w>, by which it is defined."""
    generator = np.random.default_rng(0)
    x, w = generator.standard_normal((2, 9, 9, 3)), generator.standard_normal((3, 2, 3, 4))
    options = {"stride": (2, 3), "padding": ((1, 0), (0, 2)), "dilation": (2, 1)}
    y = reference.conv2d(x, w, **options)
    dy = generator.standard_normal(y.shape)
    back = reference.conv_transpose2d(dy, w, output_padding=(1, 0), **options)
    assert back.shape == x.shape
    np.testing.assert_allclose((y * dy).sum(), (x * back).sum(), rtol=1e-12)


def test_one_pixel_writes_the_kernel():
    """A single 1 gives the weights themselves, not flipped; strides set copies apart."""
    w = np.arange(1.0, 7).reshape(2, 3, 1, 1)
    y = reference.conv_transpose2d(np.ones((1, 1, 2, 1)), w, stride=(1, 4))
    np.testing.assert_array_equal(y[0, :, :, 0], [[1, 2, 3, 0, 1, 2, 3], [4, 5, 6, 0, 4, 5, 6]])


@pytest.mark.parametrize("added", [0, 1, 2])
def test_each_output_padding_is_another_size_with_the_same_windows(added):
    size = transposed_size((4, 5), 3, 3, 1, added)
    assert size == (10 + added, 13 + added)
    assert window(size, 3, 3, 1).output == (4, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"stride": 2, "output_padding": 2},
            r"output_padding=2: expected less than stride=\(2, 2\)",
        ),
        ({"output_padding": -1}, "output_padding=-1: expected an integer >= 0"),
        ({"padding": 4}, r"the padding \(4, 4\) leaves -2 of 6 pixels; expected at least 1"),
    ],
)
def test_impossible_geometry(options, message):
    with pytest.raises(ValueError, match=message):
        reference.conv_transpose2d(np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1)), **options)


def flipped(x, w, *args, **kwargs):
    return reference.conv_transpose2d(x, w[::-1, ::-1], *args, **kwargs)


def padded_in_front(x, w, b=None, stride=1, padding=0, output_padding=0, *args, **kwargs):
    """The added rows and columns at the top and left instead of the bottom and right."""
    arguments = x, w, b, stride, padding, output_padding, *args
    y = reference.conv_transpose2d(*arguments, **{**kwargs, "out": None})
    y = np.roll(y, output_padding, axis=(1, 2))
    out = kwargs.get("out")
    return y if out is None else reference.arrays.write_to(out, y)


def roles_kept(dy, x, w_shape, *args, bias=True, **kwargs):
    """db of the wrong array: the sums of x."""
    dw, _ = reference.conv_transpose2d_grad_weight(dy, x, w_shape, *args, bias=bias, **kwargs)
    wrong = np.resize(x.sum(axis=(0, 1, 2)), dy.shape[3])
    return dw, wrong if bias else None


def flipped_gradient(dy, w, *args, **kwargs):
    return reference.conv_transpose2d_grad_input(dy, w[::-1, ::-1], *args, **kwargs)


def transposed_weights(dy, x, w_shape, *args, **kwargs):
    dw, db = reference.conv_transpose2d_grad_weight(dy, x, w_shape, *args, **kwargs)
    return dw[::-1], db


MUTANTS = {  # operation, and a backend with one mistake
    "kernel flipped": ("conv_transpose2d", broken(conv_transpose2d=flipped)),
    "output padding in front": ("conv_transpose2d", broken(conv_transpose2d=padded_in_front)),
    "db from x": ("conv_transpose2d", broken(conv_transpose2d_grad_weight=roles_kept)),
    "kernel flipped in dx": (
        "conv_transpose2d",
        broken(conv_transpose2d_grad_input=flipped_gradient),
    ),
    "dw upside down": ("conv_transpose2d", broken(conv_transpose2d_grad_weight=transposed_weights)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])
