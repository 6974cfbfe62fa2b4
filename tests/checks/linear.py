"""Linear layers and squared distances against torch."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from .common import ACTIVATE, activations, assert_close, draw, flat, rows


def linear_cases(dtype):
    return rows(dtype, activation=activations, bias=st.booleans())


def rbf_cases(dtype):
    return rows(dtype)


def check_linear(ops, case):
    n, c, k = case["n"], case["c"], case["k"]
    x, w, b, dy = draw(case, (n, c), (c, k), (k,), (n, k))
    w /= math.sqrt(c)
    b = b if case["bias"] else None
    tx, tw, tb = flat(x), flat(w), flat(b) if b is not None else None
    linear = F.linear(tx, tw.T, tb)
    linear.backward(flat(dy).detach())
    y = ops.linear(x, w, b, activation=case["activation"])
    assert_close(y, ACTIVATE[case["activation"]](linear).detach(), case["dtype"], "linear")
    dw, db = ops.linear_grad_weight(dy, x)
    assert_close(ops.linear_grad_input(dy, w), tx.grad, case["dtype"], "linear dx")
    assert_close(dw, tw.grad, case["dtype"], "linear dw")
    assert_close(db, tb.grad if tb is not None else dy.sum(0), case["dtype"], "linear db")


def check_rbf(ops, case):
    n, c, k = case["n"], case["c"], case["k"]
    x, w, dy = draw(case, (n, c), (k, c), (n, k))
    tx = flat(x)
    ty = ((tx[:, None] - torch.tensor(np.ascontiguousarray(w))) ** 2).sum(2)
    ty.backward(flat(dy).detach())
    assert_close(ops.rbf(x, w), ty.detach(), case["dtype"], "rbf")
    assert_close(ops.rbf_grad(dy, x, w), tx.grad, case["dtype"], "rbf dx")
