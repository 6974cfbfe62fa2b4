"""Activations and their sums against torch."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from minicnn.kernels.reference.activation import FROM_INPUT

from .common import ACTIVATE, assert_close, draw, flat, images, nchw, nhwc

KINKS = [0.0, -3.0, 3.0, 6.0, -1.5, 2.5]  # -1.5 and 2.5: limits of clip
# Every activation with its constants, and its twin in torch.
VARIANTS = [
    *((name, (), function) for name, function in ACTIVATE.items() if name),
    ("leaky_relu", (0.3,), lambda t: F.leaky_relu(t, 0.3)),
    ("leaky_relu", (-0.5,), lambda t: F.leaky_relu(t, -0.5)),
    ("elu", (1.7,), lambda t: F.elu(t, 1.7)),
    ("clip", (-1.5, 2.5), lambda t: t.clamp(-1.5, 2.5)),
    ("clip", (3.0, 3.0), lambda t: t.clamp(3, 3)),
]


def cases(dtype):
    return images(dtype, scale=st.sampled_from([0.1, 1.0, 30.0]))


def check_activation(ops, case):
    """All of them, at random numbers and at the points where a slope jumps."""
    x, dy = draw(case, *2 * [(case["n"], case["h"], case["w"], case["c"])])
    x = x * case["scale"]
    x[0, 0, : len(KINKS), 0] = KINKS[: case["w"]]
    for name, constants, twin in VARIANTS:
        check_one(ops, case["dtype"], x, dy, name, constants, twin)
    room = ops.empty(x, (2, 3))
    assert room.shape == (2, 3) and room.dtype == x.dtype


def check_one(ops, dtype, x, dy, name, constants, twin):
    tx = flat(x)
    ty = twin(tx)
    ty.backward(flat(dy).detach())
    y = ops.activate(x, name, None, constants)
    saved = x if name in FROM_INPUT else y
    what = f"{name}{constants}"
    assert_close(y, ty.detach(), dtype, what)
    np.testing.assert_array_equal(getattr(ops, name)(x, *constants), y)
    if not constants:
        both = torch.tensor(np.ascontiguousarray(x + dy))
        assert_close(ops.add(x, dy, name), twin(both), dtype, f"add and {name}")
    # In saturation f'(x) from y is a difference of nearly equal numbers: its error is relative to
    # dy, not to the tiny result.
    dx = ops.activation_grad(dy, saved, name, constants)
    assert_close(dx, tx.grad, dtype, f"{what} dx", at_least=abs(dy).max())
    np.testing.assert_array_equal(getattr(ops, f"{name}_grad")(dy, saved, *constants), dx)


def prelu_cases(dtype):
    return images(dtype, shared=st.booleans())


def check_prelu(ops, case):
    shape = case["n"], case["h"], case["w"], case["c"]
    x, dy, w = draw(case, shape, shape, (1 if case["shared"] else case["c"],))
    x[0, 0, 0, 0] = 0
    tx, tw = nchw(x), flat(w)
    F.prelu(tx, tw).backward(nchw(dy, requires_grad=False))
    dx, dw = ops.prelu_grad(dy, x, w)
    assert_close(ops.prelu(x, w), nhwc(F.prelu(tx, tw)), case["dtype"], "prelu")
    assert_close(dx, nhwc(tx.grad), case["dtype"], "prelu dx")
    assert dw.shape == w.shape and dw.dtype == case["dtype"]
    terms = x.size / w.size
    assert_close(dw, tw.grad, case["dtype"], "prelu dw", at_least=terms**0.5)
