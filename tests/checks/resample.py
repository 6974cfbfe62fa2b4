"""Resampling against torch: its upsampling, its adaptive means, and products with any matrices."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from minicnn.kernels.resampling import means, upsampling

from .common import assert_close, draw, images, nchw, nhwc

KINDS = "nearest", "bilinear", "means", "bands", "rows", "columns", "full"


@st.composite
def cases(draw, dtype):
    """A kind, and a size or a scale, also below the input's and 1: a multiple of 1/8."""
    case = draw(images(dtype, kind=st.sampled_from(KINDS)))
    sides = case["h"], case["w"]
    case["scale"], case["size"] = None, (draw(st.integers(1, 16)), draw(st.integers(1, 16)))
    scale = tuple(draw(st.integers(-(-8 // n), 30)) / 8 for n in sides)
    size = tuple(int(n * s) for n, s in zip(sides, scale, strict=True))
    by_scale = case["kind"] in KINDS[:2] and draw(st.booleans())
    if by_scale and not _ignores_scale(case["kind"], sides, size):
        case |= {"scale": scale, "size": size}
    if case["kind"] == "nearest" and _rounds(case, sides):
        case["kind"], case["scale"] = "bilinear", None
    if case["kind"] in ("rows", "columns"):  # the other axis stays
        axis = 1 if case["kind"] == "rows" else 0
        case["size"] = tuple(sides[i] if i == axis else n for i, n in enumerate(case["size"]))
    return case


def _ignores_scale(kind, sides, size):
    """torch does where the size stays the same or, for the nearest pixel, is doubled."""
    known = (1, 2) if kind == "nearest" else (1,)
    return any(count == k * n for n, count in zip(sides, size, strict=True) for k in known)


def _rounds(case, sides):
    """True if torch's float32 positions may round to the pixel before the nearest."""
    for axis, n in enumerate(sides):
        count = case["size"][axis]
        ratio = n / count if case["scale"] is None else 1 / case["scale"][axis]
        exact = np.floor(np.arange(count) * ratio + 1e-9)
        single = np.floor(np.arange(count, dtype=np.float32) * np.float32(ratio))
        if (exact != single).any():
            return True
    return False


def matrices(case):
    """R and S of a case; bands of up to 4 weights, or all of them random."""
    found, generator = [], np.random.default_rng(case["seed"])
    for axis, (size, count) in enumerate(zip((case["h"], case["w"]), case["size"], strict=True)):
        kind, scale = case["kind"], case["scale"] and case["scale"][axis]
        if kind == ("columns", "rows")[axis]:
            found.append(None)
        elif kind == "means":
            found.append(means(size, count))
        elif kind in KINDS[:2]:
            found.append(upsampling(size, count, kind, scale))
        else:
            matrix = generator.standard_normal((count, size))
            if kind == "bands":
                at = np.arange(size) - generator.integers(-2, size, (count, 1))
                matrix *= (at >= 0) & (at < generator.integers(0, 5, (count, 1)))
            found.append(matrix.astype(np.float32))  # as layers have them
    return found


def resampled(case, x, r, s):
    """torch's result."""
    if case["kind"] in KINDS[:2]:
        given = {"size": case["size"]} if case["scale"] is None else {"scale_factor": case["scale"]}
        return F.interpolate(x, mode=case["kind"], **given)
    if case["kind"] == "means":
        return F.adaptive_avg_pool2d(x, case["size"])
    r, s = (
        torch.eye(n, dtype=x.dtype) if m is None else torch.tensor(m, dtype=x.dtype)
        for m, n in ((r, case["h"]), (s, case["w"]))
    )
    return r @ x @ s.T


def check_resample2d(ops, case):
    x, dy = draw(
        case, (case["n"], case["h"], case["w"], case["c"]), (case["n"], *case["size"], case["c"])
    )
    r, s = matrices(case)
    tx = nchw(x)
    ty = resampled(case, tx, r, s)
    ty.backward(nchw(dy, requires_grad=False))
    y = ops.resample2d(x, r, s)
    assert y.dtype == case["dtype"]
    assert_close(y, nhwc(ty), case["dtype"], "resample2d")
    room = np.full((*y.shape[:3], case["c"] + 3), np.nan, case["dtype"])
    slot = room[..., 1 : case["c"] + 1]
    assert ops.resample2d(x, r, s, out=slot) is slot
    np.testing.assert_array_equal(slot, y)
    dx = ops.resample2d_grad(dy, r, s)
    assert_close(dx, nhwc(tx.grad), case["dtype"], "resample2d dx")
