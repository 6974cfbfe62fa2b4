"""Pooling against torch."""

import numpy as np
import torch.nn.functional as F
from hypothesis import assume
from hypothesis import strategies as st

from .common import (
    ACTIVATE,
    assert_close,
    channels,
    draw,
    flat,
    images,
    nchw,
    nhwc,
    pad,
    seeds,
    side,
    small,
)


@st.composite
def pool_cases(draw, dtype, symmetric):
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    even = symmetric or draw(st.booleans())
    side_by_side = draw(st.booleans())  # what most networks do, and what has a path of its own
    padding = []
    for size in kernel:
        before = 0 if side_by_side else draw(st.integers(0, size // 2))
        padding.append((before, before if even or side_by_side else draw(st.integers(0, size - 1))))
    case = {
        "dtype": dtype,
        "seed": draw(seeds),
        "n": draw(st.integers(1, 3)),
        "h": draw(side),
        "w": draw(side),
        "c": draw(channels),
        "kernel": kernel,
        "stride": kernel if side_by_side else (draw(small), draw(small)),
        "padding": tuple(padding),
        "ceil_mode": even and draw(st.booleans()),
        "count_include_pad": draw(st.booleans()),
        "negative": draw(st.booleans()),
        "contiguous": draw(st.booleans()),
    }
    for axis, size in enumerate((case["h"], case["w"])):
        assume(size + sum(padding[axis]) >= kernel[axis])
    return case


def max_pool_cases(dtype):
    return pool_cases(dtype, symmetric=False)


def avg_pool_cases(dtype):
    """torch's average pooling has no asymmetric padding."""
    return pool_cases(dtype, symmetric=True)


def adaptive_cases(dtype):
    return images(dtype, size=st.tuples(st.integers(1, 8), st.integers(1, 8)))


def subsample_cases(dtype):
    return images(dtype, size=st.integers(1, 3), rest=st.just(0))


def spaced(case, shape):
    """Distinct values, so far apart that rounding cannot change the order; some all negative."""
    generator = np.random.default_rng(case["seed"])
    values = generator.permutation(np.prod(shape)).astype(case["dtype"]).reshape(shape) * 0.01
    return values - (values.max() + 1 if case["negative"] else values.mean())


def check_max_pool2d(ops, case, x=None):
    """x: images with ties; distinct values if it is None."""
    x = spaced(case, (case["n"], case["h"], case["w"], case["c"])) if x is None else x
    geometry = (case["kernel"], case["stride"], case["padding"], case["ceil_mode"])
    (top, bottom), (left, right) = case["padding"]
    tx = nchw(x)
    if (top, left) == (bottom, right):
        ty = F.max_pool2d(
            tx, case["kernel"], case["stride"], (top, left), ceil_mode=case["ceil_mode"]
        )
    else:  # torch pads evenly only; floor mode over an explicit -inf border is the same thing
        ty = F.max_pool2d(pad(tx, case["padding"], -np.inf), case["kernel"], case["stride"])
    y, argmax = ops.max_pool2d(x, *geometry)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "max_pool2d")
    (dy,) = draw(case, y.shape)
    ty.backward(nchw(dy, requires_grad=False))
    assert_close(
        ops.max_pool2d_grad(dy, argmax, x.shape, *geometry),
        nhwc(tx.grad),
        case["dtype"],
        "max_pool2d dx",
    )


def check_avg_pool2d(ops, case):
    (x,) = draw(case, (case["n"], case["h"], case["w"], case["c"]))
    geometry = (
        case["kernel"],
        case["stride"],
        case["padding"],
        case["ceil_mode"],
        case["count_include_pad"],
    )
    (top, _), (left, _) = case["padding"]
    tx = nchw(x)
    ty = F.avg_pool2d(
        tx,
        case["kernel"],
        case["stride"],
        (top, left),
        ceil_mode=case["ceil_mode"],
        count_include_pad=case["count_include_pad"],
    )
    y = ops.avg_pool2d(x, *geometry)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "avg_pool2d", at_least=0.1)
    (dy,) = draw({**case, "seed": case["seed"] + 1}, y.shape)
    ty.backward(nchw(dy, requires_grad=False))
    assert_close(
        ops.avg_pool2d_grad(dy, x.shape, *geometry),
        nhwc(tx.grad),
        case["dtype"],
        "avg_pool2d dx",
        at_least=0.1,
    )


def check_global_avg_pool2d(ops, case):
    x, dy = draw(case, (case["n"], case["h"], case["w"], case["c"]), (case["n"], case["c"]))
    tx = nchw(x)
    ty = tx.mean(dim=(2, 3))
    ty.backward(flat(dy).detach())
    assert_close(
        ops.global_avg_pool2d(x), ty.detach(), case["dtype"], "global_avg_pool2d", at_least=0.1
    )
    assert_close(
        ops.global_avg_pool2d_grad(dy, x.shape),
        nhwc(tx.grad),
        case["dtype"],
        "global_avg_pool2d dx",
    )


def check_adaptive_max_pool2d(ops, case):
    x = spaced(case | {"negative": False}, (case["n"], case["h"], case["w"], case["c"]))
    (dy,) = draw(case, (case["n"], *case["size"], case["c"]))
    tx = nchw(x)
    ty = F.adaptive_max_pool2d(tx, case["size"])
    ty.backward(nchw(dy, requires_grad=False))
    y, argmax = ops.adaptive_max_pool2d(x, case["size"])
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "adaptive_max_pool2d")
    dx = ops.adaptive_max_pool2d_grad(dy, argmax, x.shape)
    assert_close(dx, nhwc(tx.grad), case["dtype"], "adaptive_max_pool2d dx")


def check_subsample2d(ops, case):
    size = case["size"]
    shape = (case["n"], case["h"] * size + case["rest"], case["w"] * size, case["c"])
    x, weight, bias = draw(case, shape, (case["c"],), (case["c"],))
    tx, tw, tb = nchw(x), flat(weight), flat(bias)
    linear = F.avg_pool2d(tx, size, divisor_override=1) * tw[:, None, None] + tb[:, None, None]
    y = ops.subsample2d(x, weight, bias, size, activation="scaled_tanh")
    assert_close(y, nhwc(ACTIVATE["scaled_tanh"](linear)), case["dtype"], "subsample2d")
    (dy,) = draw({**case, "seed": case["seed"] + 1}, y.shape)
    linear.backward(nchw(dy, requires_grad=False))
    dx, dw, db = ops.subsample2d_grad(dy, x, weight, size)
    assert_close(dx, nhwc(tx.grad), case["dtype"], "subsample2d dx")
    assert_close(dw, tw.grad, case["dtype"], "subsample2d dw")
    assert_close(db, tb.grad, case["dtype"], "subsample2d db")
