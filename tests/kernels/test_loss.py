"""Losses on every backend, against torch: extreme logits, mutants that must be caught."""

import numpy as np
import pytest

from minicnn.kernels import reference

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends("softmax_cross_entropy", "map_loss")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


def test_extreme_logits():
    """Logits of +-1e4 do not overflow; the loss of a certain mistake is their difference."""
    loss, dlogits = reference.softmax_cross_entropy(np.array([[1e4, -1e4, 0.0]]), np.array([1]))
    assert loss == 2e4
    np.testing.assert_array_equal(dlogits, [[1, -1, 0]])


def summed_not_averaged(logits, labels):
    loss, dlogits = reference.softmax_cross_entropy(logits, labels)
    return loss, dlogits * len(labels)


MUTANTS = {  # operation, and a backend with one mistake
    "cross-entropy gradient not averaged": (
        "softmax_cross_entropy",
        broken(softmax_cross_entropy=summed_not_averaged),
    )
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])
