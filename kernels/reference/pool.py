"""Pooling, forward and backward. Shapes: x `(N, H, W, C)` -> y `(N, H_out, W_out, C)`.

Windows may overlap (Krizhevsky et al. 2012, section 3.4). With `ceil_mode` the last windows may
reach beyond the edge (see `minicnn.kernels.geometry`).
"""

from collections.abc import Iterator

from ..geometry import Window, adaptive_windows, pool_window
from ..types import Array, IntOrPair, Padding, Pair, Shape
from .activation import activate
from .arrays import array_module, scatter, windows, write_to


def max_pool2d(
    x: Array,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """The largest value of every window. Padding is -inf, and never the maximum. NaN always is.

    Returns y, and `argmax` `(N, H_out, W_out, C)`: the row-major index `i * kW + j` of the maximum
    within its window, of the first pixel if several are equal, also to the padding.
    Raises ValueError if no window fits, or if a window could lie wholly in the padding.
    """
    geometry = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    xp = array_module(x)
    cells = windows(x, geometry, fill=-xp.inf)
    pixels = windows(xp.ones((1, *x.shape[1:3], 1), bool), geometry)
    cells, pixels = (a.reshape(*a.shape[:3], -1, a.shape[5]) for a in (cells, pixels))
    y = cells.max(axis=3)
    is_largest = (cells == y[:, :, :, None]) | xp.isnan(cells)
    argmax = (is_largest & pixels).argmax(axis=3)
    return write_to(out, y), argmax.astype(xp.uint8 if cells.shape[3] <= 256 else xp.int32)


def max_pool2d_grad(
    dy: Array,
    argmax: Array,
    x_shape: Shape,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Array:
    """Each dy is added at the pixel that was the maximum. Returns dx `(N, H, W, C)`."""
    geometry = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    return scatter(lambda i, j: dy * (argmax == i * geometry.kernel[1] + j), x_shape, geometry)


def avg_pool2d(
    x: Array,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    out: Array | None = None,
) -> Array:
    """The mean of every window.

    The divisor is the area of the window inside the padded image (torch's and Caffe's rule): zeros
    of the padding count, cells that ceil mode adds beyond it do not. With `count_include_pad=False`
    it is the number of real pixels.
    Raises ValueError if no window fits, or if a window could lie wholly in the padding.
    """
    geometry = pool_window(x.shape[1:3], kernel_size, stride, padding, ceil_mode)
    divisor = window_areas(x, x.shape, geometry, count_include_pad)
    return write_to(out, windows(x, geometry).sum(axis=(3, 4)) / divisor)


def avg_pool2d_grad(
    dy: Array,
    x_shape: Shape,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Each dy is divided equally among the pixels of its window. Returns dx `(N, H, W, C)`."""
    geometry = pool_window(x_shape[1:3], kernel_size, stride, padding, ceil_mode)
    share = dy / window_areas(dy, x_shape, geometry, count_include_pad)
    return scatter(lambda i, j: share, x_shape, geometry)


def adaptive_max_pool2d(
    x: Array, output_size: Pair, out: Array | None = None
) -> tuple[Array, Array]:
    """The largest values of `output_size` = (H_out, W_out) windows, each pooled by itself.

    The windows are those of `minicnn.kernels.geometry.adaptive_windows`. Returns y
    `(N, H_out, W_out, C)` and argmax, as `max_pool2d` does: the row-major index within the window,
    whose width differs from window to window.
    """
    xp = array_module(x)
    y = xp.empty((len(x), *output_size, x.shape[3]), x.dtype)
    argmax = xp.empty(y.shape, xp.int32)
    for place, cell, size in adaptive_cells(x.shape, output_size):
        y[place], argmax[place] = max_pool2d(x[cell], size)
    return write_to(out, y), argmax


def adaptive_max_pool2d_grad(dy: Array, argmax: Array, x_shape: Shape) -> Array:
    """Each dy is added at the pixel that was the maximum. Returns dx `(N, H, W, C)`."""
    dx = array_module(dy).zeros(x_shape, dy.dtype)
    for place, cell, size in adaptive_cells(x_shape, dy.shape[1:3]):
        dx[cell] += max_pool2d_grad(dy[place], argmax[place], dx[cell].shape, size)
    return dx


def adaptive_cells(
    x_shape: Shape, output: Shape
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...], Pair]]:
    """The place in y, the cell of x and the size of each window."""
    rows, columns = map(adaptive_windows, x_shape[1:3], output)
    for p, (top, bottom) in enumerate(rows):
        for q, (left, right) in enumerate(columns):
            place = (slice(None), slice(p, p + 1), slice(q, q + 1))
            cell = (slice(None), slice(top, bottom), slice(left, right))
            yield place, cell, (bottom - top, right - left)


def global_avg_pool2d(x: Array, out: Array | None = None) -> Array:
    """The mean of every map: `(N, H, W, C)` -> `(N, C)` (Lin et al. 2013, section 3.2)."""
    return write_to(out, x.mean(axis=(1, 2)))


def global_avg_pool2d_grad(dy: Array, x_shape: Shape) -> Array:
    """dy `(N, C)`, spread evenly over the H * W pixels of each map."""
    xp = array_module(dy)
    return xp.broadcast_to((dy / (x_shape[1] * x_shape[2]))[:, None, None, :], x_shape).copy()


def subsample2d(
    x: Array,
    w: Array,
    b: Array,
    size: int = 2,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """LeNet-5's trainable subsampling, `y = f(w[c] * (sum of the window) + b[c])`.

    Windows do not overlap; w and b are `(C,)`.
    Source: LeCun et al. 1998, section II.B (layers S2 and S4).
    """
    geometry = pool_window(x.shape[1:3], size)
    return write_to(out, activate(windows(x, geometry).sum(axis=(3, 4)) * w + b, activation))


def subsample2d_grad(dy: Array, x: Array, w: Array, size: int = 2) -> tuple[Array, Array, Array]:
    """Returns dx `(N, H, W, C)`, dw `(C,)`, db `(C,)`; dy is the gradient before the activation."""
    geometry = pool_window(x.shape[1:3], size)
    total = windows(x, geometry).sum(axis=(3, 4))
    dx = scatter(lambda i, j: dy * w, x.shape, geometry)
    return dx, (dy * total).sum(axis=(0, 1, 2)), dy.sum(axis=(0, 1, 2))


def window_areas(like: Array, x_shape: Shape, geometry: Window, count_include_pad: bool) -> Array:
    """The divisor of each window's mean, `(H_out, W_out, 1)`."""
    xp = array_module(like)
    sides = []
    for axis in range(2):
        size, (before, after) = x_shape[1 + axis], geometry.padding[axis]
        start = xp.arange(geometry.output[axis]) * geometry.stride[axis] - before
        end = start + geometry.kernel[axis]
        low, high = (-before, size + after) if count_include_pad else (0, size)
        sides.append(xp.minimum(end, high) - xp.maximum(start, low))
    return (sides[0][:, None] * sides[1]).astype(like.dtype)[:, :, None]
