"""Fused operations on every backend, against the composition: mutants that must be caught."""

import pytest

from minicnn.kernels import reference

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends(
    "conv2d_affine",
    "conv2d_grad_input_add",
    "conv2d_grad_input_relu",
    "fold_batch_norm",
    "batch_norm_add",
)
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


def added_too_late(x, other, *args, activation=None, **kwargs):
    y, *rest = reference.batch_norm(x, *args, activation=activation, **kwargs)
    return (y + other, *rest)


def shift_before_scale(x, w, scale, shift, *args, **kwargs):
    return reference.conv2d_affine(x, w, scale, scale * shift, *args, **kwargs)


def mask_of_the_gradient(dy, w, x, **geometry):
    dx = reference.conv2d_grad_input(dy, w, x.shape, **geometry)
    return dx * (dx > 0)


def added_without_its_sign(dy, w, other, **geometry):
    return reference.conv2d_grad_input(dy, w, other.shape, **geometry) + abs(other)


def variance_without_root(b, gamma, beta, mean, var, eps):
    return reference.fold_batch_norm(b, gamma, beta, mean, (var + eps) ** 2, 0.0)


MUTANTS = {  # operation, and a backend with one mistake
    "batch norm adds after the activation": (
        "batch_norm_add",
        broken(batch_norm_add=added_too_late),
    ),
    "shift before scale": ("conv2d_affine", broken(conv2d_affine=shift_before_scale)),
    "mask of the wrong array": (
        "conv2d_grad_input_relu",
        broken(conv2d_grad_input_relu=mask_of_the_gradient),
    ),
    "addition of the magnitude": (
        "conv2d_grad_input_add",
        broken(conv2d_grad_input_add=added_without_its_sign),
    ),
    "variance without its root": ("fold_batch_norm", broken(fold_batch_norm=variance_without_root)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])
