"""Transposed convolution against torch."""

import math

import numpy as np
import torch.nn.functional as F
from hypothesis import strategies as st

from .common import assert_close, channels, draw, flat, nchw, nhwc, oihw, seeds


@st.composite
def cases(draw, dtype):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    case = {
        "dtype": dtype,
        "seed": draw(seeds),
        "n": draw(st.integers(1, 3)),
        "h": draw(st.integers(1, 6)),
        "w": draw(st.integers(1, 6)),
        "groups": groups,
        "c": groups * draw(channels),
        "k": groups * draw(channels),
        "kernel": (draw(st.integers(1, 5)), draw(st.integers(1, 5))),
        "stride": stride,
        "output_padding": tuple(draw(st.integers(0, s - 1)) for s in stride),
        "dilation": (draw(st.integers(1, 2)), draw(st.integers(1, 3))),
        "bias": draw(st.booleans()),
        "contiguous": draw(st.booleans()),
    }
    padding = []
    for axis, size in enumerate((case["h"], case["w"])):
        extent = case["dilation"][axis] * (case["kernel"][axis] - 1) + 1
        rest = (size - 1) * stride[axis] + extent + case["output_padding"][axis] - 1
        before = draw(st.integers(0, min(3, rest)))
        padding.append((before, draw(st.integers(0, min(3, rest - before)))))
    return case | {"padding": tuple(padding)}


def check_conv_transpose2d(ops, case):
    """torch pads evenly only; it computes the whole result, and the padding is cut off here."""
    n, h, w, c, k, groups = (case[key] for key in ("n", "h", "w", "c", "k", "groups"))
    x, weight = draw(case, (n, h, w, c), (*case["kernel"], k // groups, c))
    weight /= math.sqrt(weight[..., 0].size)
    bias = np.random.default_rng(case["seed"]).standard_normal(k).astype(case["dtype"])
    bias = bias if case["bias"] else None
    tx, tw, tb = nchw(x), oihw(weight), None if bias is None else flat(bias)
    added, dilation = case["output_padding"], case["dilation"]
    whole = F.conv_transpose2d(tx, tw, tb, case["stride"], 0, added, groups, dilation)
    (top, bottom), (left, right) = case["padding"]
    ty = whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]
    geometry = {key: case[key] for key in ("stride", "padding", "dilation", "groups")}
    y = ops.conv_transpose2d(x, weight, bias, output_padding=added, **geometry)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "conv_transpose2d")
    room = np.full((*y.shape[:3], k + 3), np.nan, case["dtype"])
    slot = room[..., 1 : k + 1]
    given = {"output_padding": added, "out": slot, **geometry}
    assert ops.conv_transpose2d(x, weight, bias, **given) is slot
    np.testing.assert_array_equal(slot, y)

    dy = np.asarray(draw({**case, "seed": case["seed"] + 1}, y.shape)[0])
    ty.backward(nchw(dy, requires_grad=False))
    dx = ops.conv_transpose2d_grad_input(dy, weight, **geometry)
    dw, db = ops.conv_transpose2d_grad_weight(dy, x, weight.shape, **geometry)
    alone, none = ops.conv_transpose2d_grad_weight(dy, x, weight.shape, bias=False, **geometry)
    np.testing.assert_array_equal(alone, dw)
    assert none is None
    assert_close(dx, nhwc(tx.grad), case["dtype"], "conv_transpose2d dx")
    assert_close(dw, tw.grad.numpy().transpose(2, 3, 1, 0), case["dtype"], "conv_transpose2d dw")
    theirs = tb.grad.numpy() if tb is not None else dy.sum((0, 1, 2))
    # A sum that cancels is as exact as its terms.
    size = math.sqrt(dy[..., 0].size) * abs(dy).max()
    assert_close(db, theirs, case["dtype"], "conv_transpose2d db", at_least=size)
