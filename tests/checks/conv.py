"""Convolution against torch."""

import math

import numpy as np
import torch.nn.functional as F
from hypothesis import assume
from hypothesis import strategies as st

from .common import (
    ACTIVATE,
    activations,
    assert_close,
    channels,
    draw,
    flat,
    nchw,
    nhwc,
    oihw,
    pad,
    seeds,
    side,
)


@st.composite
def cases(draw, dtype):
    groups = draw(st.sampled_from([1, 1, 2, 3, 0]))
    c, k = groups * draw(channels), groups * draw(channels)
    if not groups:  # one group per channel, with one filter or several
        groups = c = draw(channels)
        k = c * draw(st.integers(1, 3))
    case = {
        "dtype": dtype,
        "seed": draw(seeds),
        "n": draw(st.integers(1, 3)),
        "h": draw(side),
        "w": draw(side),
        "groups": groups,
        "c": c,
        "k": k,
        "kernel": (draw(st.integers(1, 5)), draw(st.integers(1, 5))),
        "stride": (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        "dilation": (draw(st.integers(1, 2)), draw(st.integers(1, 3))),
        "padding": tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(2)),
        "activation": draw(activations),
        "bias": draw(st.booleans()),
        "contiguous": draw(st.booleans()),
    }
    for axis, size in enumerate((case["h"], case["w"])):
        assume(
            size + sum(case["padding"][axis])
            >= case["dilation"][axis] * (case["kernel"][axis] - 1) + 1
        )
    return case


def draw_convolution(case):
    """x, w and b of a convolution, torch's result before the activation, and torch's x, w and b."""
    n, h, w, c, k, groups = (case[key] for key in ("n", "h", "w", "c", "k", "groups"))
    x, weight = draw(case, (n, h, w, c), (*case["kernel"], c // groups, k))
    weight /= math.sqrt(weight[..., 0].size)
    bias = np.random.default_rng(case["seed"]).standard_normal(k).astype(case["dtype"])
    bias = bias if case["bias"] else None
    tx, tw = nchw(x), oihw(weight)
    tb = None if bias is None else flat(bias)
    geometry = case["stride"], 0, case["dilation"], groups
    return x, weight, bias, F.conv2d(pad(tx, case["padding"]), tw, tb, *geometry), (tx, tw, tb)


def geometry_of(case):
    return {key: case[key] for key in ("stride", "padding", "dilation", "groups")}


def check_conv2d(ops, case):
    x, weight, bias, linear, (tx, tw, tb) = draw_convolution(case)
    geometry, activation, k = geometry_of(case), case["activation"], case["k"]
    y = ops.conv2d(x, weight, bias, activation=activation, **geometry)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ACTIVATE[activation](linear)), case["dtype"], "conv2d")
    room = np.full((*y.shape[:3], k + 3), np.nan, case["dtype"])
    slot = room[..., 1 : k + 1]
    assert ops.conv2d(x, weight, bias, activation=activation, out=slot, **geometry) is slot
    np.testing.assert_array_equal(slot, y)

    dy = np.asarray(draw({**case, "seed": case["seed"] + 1}, y.shape)[0])
    linear.backward(nchw(dy, requires_grad=False))
    dx = ops.conv2d_grad_input(dy, weight, x.shape, **geometry)
    dw, db = ops.conv2d_grad_weight(dy, x, weight.shape, **geometry)
    alone, none = ops.conv2d_grad_weight(dy, x, weight.shape, bias=False, **geometry)
    np.testing.assert_array_equal(alone, dw)
    assert none is None
    assert_close(dx, nhwc(tx.grad), case["dtype"], "conv2d dx")
    assert_close(dw, tw.grad.numpy().transpose(2, 3, 1, 0), case["dtype"], "conv2d dw")
    # A sum that cancels is as exact as its terms, not as the little that is left.
    theirs = tb.grad.numpy() if tb is not None else dy.sum((0, 1, 2))
    assert_close(db, theirs, case["dtype"], "conv2d db", at_least=abs(dy).max())
