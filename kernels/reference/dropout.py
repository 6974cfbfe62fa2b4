"""Dropout in its inverted form: scale while training, do nothing at test time (Srivastava et al. 2014; in expectation the same).

Who is dropped is a hash of the value's position and of two keys, which are all that is drawn from the generator: every backend makes the
same masks, in any order and in parallel, and one seed repeats them.
"""

import numpy as np

from .arrays import array_module, deliver


def keys(generator):
    """Two random 32-bit numbers."""
    return generator.integers(0, 1 << 32, 2, np.uint32)


def least_kept(p):
    """The smallest 32-bit number that is kept, when a share p of them is not."""
    return min(round(p * 2**32), 2**32 - 1)


def scrambled(x):
    """A bijection of 32-bit numbers that changes about half of the bits for each bit of x ("lowbias32", Wellons 2018)."""
    x = (x ^ x >> 16) * np.uint32(0x7FEB352D)
    x = (x ^ x >> 15) * np.uint32(0x846CA68B)
    return x ^ x >> 16


def dropout(x, p, generator, out=None):
    """Set each value to 0 with probability p, and multiply the others by 1 / (1 - p).

    `generator` is a `numpy.random.Generator`, for arrays of any module. Returns y, and the boolean mask of what was kept, both of x's
    shape.
    """
    position = array_module(x).arange(x.size, dtype=np.uint32)
    first, second = keys(generator)
    number = scrambled(scrambled(position ^ first) + second)
    keep = (number >= np.uint32(least_kept(p))).reshape(x.shape)
    return deliver(x * (keep * x.dtype.type(1 / (1 - p))), out), keep


def dropout_grad(dy, keep, p):
    """The gradient passes where the value was kept, with the same scale."""
    return dy * (keep * dy.dtype.type(1 / (1 - p)))
