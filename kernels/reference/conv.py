"""Convolution (strictly: cross-correlation, the kernel is not flipped), forward and backward.

    y[n, p, q, k] = b[k] + sum_{i, j, c} x[n, p*s + i*d, q*s + j*d, c] * w[i, j, c, k]

with x padded by zeros. Shapes: x `(N, H, W, C)`, w `(kH, kW, C/groups, K)`, b `(K,)`,
y `(N, H_out, W_out, K)`. Group g reads input channels [g*C/G, (g+1)*C/G) and writes output channels
[g*K/G, (g+1)*K/G) (Krizhevsky et al. 2012, section 3.2).
"""

from collections.abc import Iterator

from ..geometry import Window, window
from ..types import Array, IntOrPair, Padding, Shape
from .activation import activate
from .arrays import array_module, scatter, windows, write_to

PATCH_BYTES = 1 << 26  # of the patches that are in memory at one time


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """`y = f(x conv w + b)`: every window times every filter, as one matrix product."""
    geometry = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    xp = array_module(x)
    y = xp.empty((len(x), *geometry.output, w.shape[3]), x.dtype)
    for images in _portions(x, geometry):
        patches = windows(x[images], geometry)  # (n, H_out, W_out, kH, kW, C)
        for c, k in _groups(x.shape[3], w.shape[3], groups):
            y[images, ..., k] = xp.tensordot(patches[..., c], w[..., k], axes=3)
    if b is not None:
        y += b
    return write_to(out, activate(y, activation))


def conv2d_grad_input(
    dy: Array,
    w: Array,
    x_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """Each output adds `dy * w` to the gradient of every pixel in its window:

    dx[n, p*s + i*d, q*s + j*d, c] += sum_k dy[n, p, q, k] * w[i, j, c, k]
    """
    geometry = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    xp = array_module(dy)
    pairs = _groups(x_shape[3], w.shape[3], groups)

    def from_kernel_cell(i: int, j: int) -> Array:
        parts = [dy[..., k] @ w[i, j][:, k].T for _, k in pairs]
        return parts[0] if groups == 1 else xp.concatenate(parts, axis=3)

    return scatter(from_kernel_cell, x_shape, geometry)


def conv2d_grad_weight(
    dy: Array,
    x: Array,
    w_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    bias: bool = True,
) -> tuple[Array, Array | None]:
    """Each weight is multiplied by one pixel per output, and its gradient sums them up:

    dw[i, j, c, k] = sum_{n, p, q} x[n, p*s + i*d, q*s + j*d, c] * dy[n, p, q, k]
    db[k] = sum_{n, p, q} dy[n, p, q, k]
    """
    geometry = window(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    dw = array_module(x).zeros(w_shape, x.dtype)
    for images in _portions(x, geometry):
        patches = windows(x[images], geometry)
        for c, k in _groups(x.shape[3], w_shape[3], groups):
            rows = patches[..., c].reshape(-1, w_shape[0] * w_shape[1] * w_shape[2])  # per window
            product = rows.T @ dy[images, ..., k].reshape(rows.shape[0], -1)
            dw[..., k] += product.reshape(*w_shape[:3], -1)
    return dw, dy.sum(axis=(0, 1, 2)) if bias else None


def _portions(x: Array, geometry: Window) -> Iterator[slice]:
    """Slices of the batch whose patches fill PATCH_BYTES: those of a VGG batch are gigabytes."""
    windows_per_image = geometry.output[0] * geometry.output[1]
    window_bytes = geometry.kernel[0] * geometry.kernel[1] * x.shape[3] * x.itemsize
    count = max(1, PATCH_BYTES // (windows_per_image * window_bytes))
    for start in range(0, len(x), count):
        yield slice(start, start + count)


def _groups(channels: int, filters: int, groups: int) -> list[tuple[slice, slice]]:
    """The input and output channels of each group."""
    c, k = channels // groups, filters // groups
    return [(slice(g * c, (g + 1) * c), slice(g * k, (g + 1) * k)) for g in range(groups)]
