"""Activations and their sums against torch."""

import numpy as np
import torch
from hypothesis import strategies as st

from minicnn.kernels.reference.activation import FROM_INPUT

from .common import ACTIVATE, assert_close, draw, flat, images


def cases(dtype):
    return images(
        dtype,
        activation=st.sampled_from([name for name in ACTIVATE if name]),
        scale=st.sampled_from([0.1, 1.0, 30.0]),
    )


def check_activation(ops, case):
    x, dy = draw(case, *2 * [(case["n"], case["h"], case["w"], case["c"])])
    x = x * case["scale"]
    name = case["activation"]
    tx = flat(x)
    ty = ACTIVATE[name](tx)
    ty.backward(flat(dy).detach())
    y = ops.activate(x, name)
    saved = x if name in FROM_INPUT else y
    assert_close(y, ty.detach(), case["dtype"], name)
    np.testing.assert_array_equal(getattr(ops, name)(x), y)
    assert_close(
        ops.add(x, dy, name),
        ACTIVATE[name](torch.tensor(np.ascontiguousarray(x + dy))),
        case["dtype"],
        f"add and {name}",
    )
    room = ops.empty(x, (2, 3))
    assert room.shape == (2, 3) and room.dtype == x.dtype
    # In saturation f'(x) from y is a difference of nearly equal numbers: its error is relative to
    # dy, not to the tiny result.
    assert_close(
        ops.activation_grad(dy, saved, name),
        tx.grad,
        case["dtype"],
        f"{name} dx",
        at_least=abs(dy).max(),
    )
    np.testing.assert_array_equal(
        getattr(ops, f"{name}_grad")(dy, saved), ops.activation_grad(dy, saved, name)
    )
