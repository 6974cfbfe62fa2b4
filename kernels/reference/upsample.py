"""Upsampling of maps to any size, forward and backward: `(N, H, W, C)` -> `(N, H_out, W_out, C)`.

Each output is a weighted mean of source pixels along both axes, `y = R x S^T` for every map, with
one matrix per axis. The centers of pixels are at half-integers, as in torch with
`align_corners=False`. With r = H / H_out, or 1 / scale, output i reads

    nearest:    pixel floor(i r)
    bilinear:   pixels floor(h) and floor(h) + 1, weighted by 1 - f and f,
                h = max((i + 1/2) r - 1/2, 0),  f = h - floor(h)

no further than the last pixel.
"""

from ..types import Array, Pair, Shape
from .arrays import apply_to_axes, array_module, write_to

MODES = ("nearest", "bilinear")


def upsample2d(
    x: Array,
    output_size: Pair,
    mode: str = "nearest",
    scale: tuple[float, float] | None = None,
    out: Array | None = None,
) -> Array:
    """`y = R x S^T`. scale: (vertical, horizontal) of the positions; output / input if None.

    Raises ValueError for an unknown mode.
    """
    rows, columns = _matrices(x, x.shape, output_size, mode, scale)
    return write_to(out, apply_to_axes(rows, columns, x))


def upsample2d_grad(
    dy: Array, x_shape: Shape, mode: str = "nearest", scale: tuple[float, float] | None = None
) -> Array:
    """`dx = R^T dy S`: each dy is divided among the pixels that it was made of."""
    rows, columns = _matrices(dy, x_shape, dy.shape[1:3], mode, scale)
    return apply_to_axes(rows.T, columns.T, dy)


def _matrices(
    like: Array, x_shape: Shape, output: Shape, mode: str, scale: tuple[float, float] | None
) -> tuple[Array, Array]:
    """R `(H_out, H)` and S `(W_out, W)`."""
    rows, columns = (
        source_weights(like, x_shape[1 + axis], output[axis], mode, scale and scale[axis])
        for axis in range(2)
    )
    return rows, columns


def source_weights(like: Array, size: int, count: int, mode: str, scale: float | None) -> Array:
    """The `(count, size)` matrix whose row i has the weights of the pixels that output i reads."""
    xp = array_module(like)
    i, pixel = xp.arange(count), xp.arange(size)
    if mode == "nearest":
        source = i * size // count if scale is None else xp.floor(i / scale)
        return (xp.minimum(source, size - 1)[:, None] == pixel).astype(like.dtype)
    if mode != "bilinear":
        raise ValueError(f"mode={mode!r}: expected one of {', '.join(MODES)}")
    h = xp.maximum((i + 0.5) * (size / count if scale is None else 1 / scale) - 0.5, 0)
    # The weight falls linearly with the distance: 1 - f at floor(h), f at the next pixel.
    distance = abs(xp.minimum(h, size - 1)[:, None] - pixel)
    return xp.maximum(1 - distance, 0).astype(like.dtype)
