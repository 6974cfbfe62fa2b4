"""Arrays without contents, and the pool that gives out their places."""

import numpy as np

from minicnn.study.cost.imagined import Imagined, ImaginedPool


def test_an_imagined_array_has_a_shape_and_nothing_else():
    x = ImaginedPool().empty((1000, 1000, 1000))
    assert (x.shape, x.dtype, x.nbytes) == ((1000, 1000, 1000), np.float32, 4 * 10**9)
    x[...] = 7  # takes no time
    assert x.reshape(1000, -1).flags.c_contiguous
    assert not x[..., :10].flags.c_contiguous
    y = np.maximum(x * np.float32(2) + x[:, :1], 0)
    assert isinstance(y, Imagined)
    assert (y.shape, y.dtype) == (x.shape, np.float32)
    assert (x > 0).dtype == bool
    y += x
    assert y.copy().shape == x.shape
    assert x[0, 0].sum() == x[0, 0].sum(), "other functions compute on the one number"


def test_places_are_used_again():
    pool = ImaginedPool()
    first = pool.empty(1 << 20)
    at = pool.bytes
    assert 1 << 22 <= at < (1 << 22) + 4096
    view = first[5:]
    del first
    second = pool.empty(1 << 20)
    assert pool.bytes == 2 * at, "a view keeps the memory"
    del view
    third = pool.empty(1 << 20)
    assert pool.bytes == 2 * at
    small = [pool.empty(5000) for _ in range(3)]
    grown = pool.bytes
    assert grown > 2 * at + 3 * 20000
    del small
    again = [pool.empty(5000) for _ in range(3)]
    assert pool.bytes == grown
    assert second.shape == third.shape and again
