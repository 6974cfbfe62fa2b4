"""Dropout on the emulated GPU: the masks are those of the reference."""

import numpy as np
import pytest

from minicnn.kernels import functional, reference
from minicnn.kernels.thread_state import part_of_batch

from .common import to_device


@pytest.mark.parametrize("shape", [(1,), (5, 9, 9, 33), (2, 8, 8, 16)])
def test_dropout_drops_the_same(shape, emulate):
    emulate()
    x, dy = np.random.default_rng(0).standard_normal((2, *shape), dtype=np.float32)
    expected, kept = reference.dropout(x, 0.3, np.random.default_rng(7))
    y, keep = functional.dropout(to_device(x), 0.3, np.random.default_rng(7))
    np.testing.assert_array_equal(keep, kept)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_allclose(
        functional.dropout_grad(to_device(dy), keep, 0.3),
        reference.dropout_grad(dy, kept, 0.3),
        rtol=1e-6,
    )


def test_masks_of_a_part_are_those_of_the_whole_batch(emulate):
    emulate()
    x = to_device(np.ones((6, 3, 4), np.float32))
    _, whole = reference.dropout(x, 0.4, np.random.default_rng(3))
    with part_of_batch(2):
        _, keep = functional.dropout(x[2:], 0.4, np.random.default_rng(3))
    np.testing.assert_array_equal(keep, whole[2:])
