"""Upsampling against torch."""

import numpy as np
import torch.nn.functional as F
from hypothesis import strategies as st

from .common import assert_close, draw, images, nchw, nhwc


@st.composite
def cases(draw, dtype):
    """A size or a scale, also below the input's and 1. A scale is a multiple of 1/8."""
    case = draw(images(dtype, mode=st.sampled_from(["nearest", "bilinear"])))
    sides = case["h"], case["w"]
    case["scale"], case["size"] = None, (draw(st.integers(1, 16)), draw(st.integers(1, 16)))
    scale = tuple(draw(st.integers(-(-8 // n), 30)) / 8 for n in sides)
    size = tuple(int(n * s) for n, s in zip(sides, scale, strict=True))
    if draw(st.booleans()) and not _ignores_scale(case["mode"], sides, size):
        case |= {"scale": scale, "size": size}
    if _rounds(case, sides):
        case["mode"], case["scale"] = "bilinear", None
    return case


def _ignores_scale(mode, sides, size):
    """torch does where the size stays the same or, for the nearest pixel, is doubled."""
    known = (1, 2) if mode == "nearest" else (1,)
    return any(count == k * n for n, count in zip(sides, size, strict=True) for k in known)


def _rounds(case, sides):
    """True if torch's float32 positions may round to the pixel before the nearest."""
    for axis, n in enumerate(sides):
        count = case["size"][axis]
        ratio = n / count if case["scale"] is None else 1 / case["scale"][axis]
        exact = np.floor(np.arange(count) * ratio + 1e-9)
        single = np.floor(np.arange(count, dtype=np.float32) * np.float32(ratio))
        if case["mode"] == "nearest" and (exact != single).any():
            return True
    return False


def check_upsample2d(ops, case):
    x, dy = draw(
        case, (case["n"], case["h"], case["w"], case["c"]), (case["n"], *case["size"], case["c"])
    )
    tx = nchw(x)
    given = {"size": case["size"]} if case["scale"] is None else {"scale_factor": case["scale"]}
    ty = F.interpolate(tx, mode=case["mode"], **given)
    ty.backward(nchw(dy, requires_grad=False))
    y = ops.upsample2d(x, case["size"], case["mode"], case["scale"])
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "upsample2d")
    room = np.full((*y.shape[:3], case["c"] + 3), np.nan, case["dtype"])
    slot = room[..., 1 : case["c"] + 1]
    assert ops.upsample2d(x, case["size"], case["mode"], case["scale"], out=slot) is slot
    np.testing.assert_array_equal(slot, y)
    dx = ops.upsample2d_grad(dy, x.shape, case["mode"], case["scale"])
    assert_close(dx, nhwc(tx.grad), case["dtype"], "upsample2d dx")
