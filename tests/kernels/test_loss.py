"""Losses on every backend, against torch: extreme logits, mutants that must be caught."""

import numpy as np
import pytest

from minicnn.kernels import functional, reference

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends(
    "softmax", "softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error", "map_loss"
)
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


def test_extreme_logits():
    """Logits of +-1e4 do not overflow; the loss of a certain mistake is their difference."""
    loss, dlogits = reference.softmax_cross_entropy(np.array([[1e4, -1e4, 0.0]]), np.array([1]))
    assert loss == 2e4
    np.testing.assert_array_equal(dlogits, [[1, -1, 0]])


def test_labels_are_one_hot_targets():
    """To the bit, on every kernel: what soft targets and labels say is the same."""
    logits = np.random.default_rng(0).standard_normal((5, 7), dtype=np.float32)
    labels = np.array([0, 6, 3, 3, 1])
    one_hot = np.eye(7, dtype=np.float32)[labels]
    weights = np.linspace(0.5, 2, 7).astype(np.float32)
    for backend in (functional, reference):
        ours = backend.softmax_cross_entropy(logits, labels, weights, 0.1)
        theirs = backend.softmax_cross_entropy(logits, one_hot, weights, 0.1)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def changed(operation, change):
    """A backend whose `operation` is `change` of the right function and its arguments."""
    right = getattr(reference, operation)
    return broken(**{operation: lambda *arguments: change(right, *arguments)})


def not_averaged(operation, logits, *arguments):
    loss, gradient = operation(logits, *arguments)
    return loss, gradient * len(logits)


MUTANTS = {  # operation, and a change: a mistake
    "gradient not averaged": ("softmax_cross_entropy", not_averaged),
    "no smoothing": ("softmax_cross_entropy", lambda f, z, t, w=None, s=0.0: f(z, t, w)),
    "no weights": ("softmax_cross_entropy", lambda f, z, t, w=None, s=0.0: f(z, t, None, s)),
    "soft targets rounded": (
        "softmax_cross_entropy",
        lambda f, z, t, *rest: f(z, t if t.ndim == 1 else t.argmax(axis=1), *rest),
    ),
    "mean over the images only": (
        "binary_cross_entropy",
        lambda f, z, t: tuple(part * z.shape[1] for part in f(z, t)),
    ),
    "half the gradient": (
        "mean_squared_error",
        lambda f, y, t: (f(y, t)[0], f(y, t)[1] / 2),
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    operation, change = MUTANTS[name]
    assert_caught(operation, changed(operation, change))
