"""Dropout in its inverted form: scale while training, do nothing at test time (Srivastava et al. 2014; in expectation the same)."""

from .arrays import array_module, deliver


def dropout(x, p, generator, out=None):
    """Set each value to 0 with probability p, and multiply the others by 1 / (1 - p).

    `generator` is a random generator of x's own module (`numpy.random.Generator` or CuPy's), so that one seed repeats the masks.
    Returns y, and the boolean mask of what was kept; both have x's shape.
    """
    keep = generator.random(x.shape, dtype=array_module(x).float32) >= p
    return deliver(x * (keep * x.dtype.type(1 / (1 - p))), out), keep


def dropout_grad(dy, keep, p):
    """The gradient passes where the value was kept, with the same scale."""
    return dy * (keep * dy.dtype.type(1 / (1 - p)))
