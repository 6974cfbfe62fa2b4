"""A parameter and its gradient."""

import numpy as np
import pytest

from minicnn.errors import ShapeError
from minicnn.layers import Parameter


def test_gradients_have_their_own_memory():
    p, q, g = (np.zeros(3, np.float32) for _ in range(3))
    p, q, g = Parameter(p), Parameter(q), g + 1
    p.add_grad(g), q.add_grad(g), p.add_grad(g)
    np.testing.assert_array_equal(p.grad, [2, 2, 2])
    np.testing.assert_array_equal(q.grad, [1, 1, 1])
    np.testing.assert_array_equal(g, [1, 1, 1])
    q.grad = g
    g[:] = 5
    np.testing.assert_array_equal(q.grad, [1, 1, 1])


@pytest.mark.parametrize("shape", [(1,), (4, 8), (), (9,)])
def test_a_gradient_of_another_shape_is_refused(shape):
    p = Parameter(np.ones(8, np.float32))
    for give in (p.add_grad, lambda g: setattr(p, "grad", g)):
        with pytest.raises(ShapeError, match=r"the gradient has shape .*; expected \(8,\)"):
            give(np.ones(shape, np.float32))
    p.add_grad(np.ones(8))
    assert p.grad.dtype == np.float32
