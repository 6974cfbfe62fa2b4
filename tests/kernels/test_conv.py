"""Convolution on every backend, against torch, with mutants that must be caught."""

import numpy as np
import pytest

from minicnn.kernels import reference

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends("conv2d")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


def transposed_dy(dy, *args, **kwargs):
    """Rows and columns of dy confused, in square images: in others the shapes would not fit."""
    if dy.shape[1] == dy.shape[2]:
        dy = dy.transpose(0, 2, 1, 3)
    return reference.conv2d_grad_input(dy, *args, **kwargs)


def transposed_dy_in_dw(dy, *args, **kwargs):
    if dy.shape[1] == dy.shape[2]:
        dy = dy.transpose(0, 2, 1, 3)
    return reference.conv2d_grad_weight(dy, *args, **kwargs)


def flipped_kernel(dy, w, *args, **kwargs):
    return reference.conv2d_grad_input(dy, w[::-1, ::-1], *args, **kwargs)


def forgotten_group(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, **kwargs):
    if groups > 1:  # every group reads the first group's channels
        x = np.concatenate([x[..., : x.shape[3] // groups]] * groups, axis=3)
    return reference.conv2d(x, w, b, stride, padding, dilation, groups, **kwargs)


MUTANTS = {  # operation, and a backend with one mistake
    "dy transposed": ("conv2d", broken(conv2d_grad_input=transposed_dy)),
    "dy transposed in dw": ("conv2d", broken(conv2d_grad_weight=transposed_dy_in_dw)),
    "kernel flipped in dx": ("conv2d", broken(conv2d_grad_input=flipped_kernel)),
    "groups forgotten": ("conv2d", broken(conv2d=forgotten_group)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])
