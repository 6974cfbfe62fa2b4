"""The geometry of sliding windows, shared by every backend: padding, output sizes, ceil mode.

All sizes are in pixels, ordered (vertical, horizontal).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from .types import Array, IntOrPair, Padding, Pair, Shape

P = ParamSpec("P")
R = TypeVar("R")

LARGEST = 2**31 - 1  # pixels: kernels compute with 64 bits
PaddingPairs = tuple[Pair, Pair]  # ((top, bottom), (left, right))


class Window(NamedTuple):
    """The geometry of one convolution or pooling."""

    kernel: Pair
    stride: Pair
    padding: PaddingPairs  # as given
    dilation: Pair
    output: Pair  # (H_out, W_out)
    reach: PaddingPairs  # what windows cover: in ceil mode more than `padding` at bottom and right


def pair(value: IntOrPair, name: str = "value", minimum: int = 1) -> Pair:
    """`3` -> `(3, 3)`; a pair stays a pair. Raises ValueError unless all are >= `minimum`."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(
        isinstance(v, (int, np.integer)) and not isinstance(v, bool) and v >= minimum
        for v in values
    ):
        raise ValueError(f"{name}={value!r}: expected an integer >= {minimum} or a pair of them")
    if max(values) > LARGEST:
        raise ValueError(f"{name}={value!r}: expected at most {LARGEST:,} pixels")
    return int(values[0]), int(values[1])


def padding_pairs(padding: Padding) -> PaddingPairs:
    """`p`, `(vertical, horizontal)` or `((top, bottom), (left, right))` -> the last form.

    Raises ValueError for negative or malformed padding.
    """
    if (
        isinstance(padding, (tuple, list))
        and len(padding) == 2
        and any(isinstance(p, (tuple, list)) for p in padding)
    ):
        vertical, horizontal = padding
        return pair(vertical, "padding", 0), pair(horizontal, "padding", 0)
    top, left = pair(padding, "padding", 0)  # type: ignore[arg-type] # pair raises ValueError
    return (top, top), (left, left)


def output_size(
    size: int, kernel: int, stride: int, padding: Pair, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """The number of windows that fit along one axis.

        floor:  o = floor((i + p - k') / s) + 1
        ceil:   o = ceil((i + p - k') / s) + 1, less one if the last window starts beyond i + before
                k' = dilation * (k - 1) + 1,  p = before + after

    The clip in ceil mode is torch's rule. Caffe applies it only for p > 0; the two agree whenever
    k >= s. Raises ValueError if no window fits.
    """
    before, after = padding
    extent = dilation * (kernel - 1) + 1
    span = size + before + after - extent
    if span < 0:
        raise ValueError(
            f"a window of {extent} pixels does not fit into {size} + {before + after} of padding"
        )
    if not ceil_mode:
        return span // stride + 1
    count = -(-span // stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1
    return count


def _remembered(function: Callable[P, R]) -> Callable[P, R]:
    """`function` with a cache of its results; with lists among the arguments it computes again."""
    kept: Any = functools.lru_cache(maxsize=4096, typed=True)(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return kept(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)

    return call


@_remembered
def window(
    image: Sequence[int],
    kernel: IntOrPair,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Window:
    """The geometry of `kernel` sliding over an image of `(H, W)` pixels.

    Raises ValueError for malformed arguments, or if no window fits.
    """
    kernel, stride = pair(kernel, "kernel_size"), pair(stride, "stride")
    padding, dilation = padding_pairs(padding), pair(dilation, "dilation")
    output, reach = [], []
    for axis in range(2):
        count = output_size(
            image[axis], kernel[axis], stride[axis], padding[axis], dilation[axis], ceil_mode
        )
        touched = (count - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
        before, after = padding[axis]
        output.append(count)
        reach.append((before, max(after, touched - image[axis] - before)))
    return Window(kernel, stride, padding, dilation, (output[0], output[1]), (reach[0], reach[1]))


@_remembered
def pool_window(
    image: Sequence[int],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Window:
    """`window` for pooling: stride defaults to the kernel, and padding must stay below it.

    A window inside the padding would have no maximum and no mean. Raises ValueError.
    """
    kernel = pair(kernel_size, "kernel_size")
    result = window(image, kernel, kernel if stride is None else stride, padding, 1, ceil_mode)
    for size, (before, after) in zip(kernel, result.padding, strict=True):
        if max(before, after) >= size:
            raise ValueError(f"padding={padding!r} must be smaller than kernel_size={kernel}")
    return result


def output_padding_pair(output_padding: IntOrPair, stride: Pair) -> Pair:
    """The output padding of a transposed convolution as a pair, each less than the stride.

    Raises ValueError for any other.
    """
    added = pair(output_padding, "output_padding", 0)
    if added[0] >= stride[0] or added[1] >= stride[1]:
        raise ValueError(f"output_padding={output_padding!r}: expected less than stride={stride}")
    return added


@_remembered
def transposed_size(
    image: Sequence[int],
    kernel: IntOrPair,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Pair:
    """The size (H_out, W_out) of a transposed convolution of images of (H, W) pixels.

        o = (i - 1) * s - p + dilation * (k - 1) + 1 + output_padding,  p = before + after

    It is the size of images from which the convolution makes i windows. Convolutions with a stride
    s do that for s sizes; `output_padding`, less than s, is which of them.
    Raises ValueError for malformed arguments, or if no pixel is left.
    """
    kernel, stride = pair(kernel, "kernel_size"), pair(stride, "stride")
    padding, dilation = padding_pairs(padding), pair(dilation, "dilation")
    added, size = output_padding_pair(output_padding, stride), []
    for axis in range(2):
        extent = dilation[axis] * (kernel[axis] - 1) + 1
        size.append((image[axis] - 1) * stride[axis] + extent - sum(padding[axis]) + added[axis])
        if size[axis] < 1:
            raise ValueError(
                f"the padding {padding[axis]} leaves {size[axis]} of "
                f"{size[axis] + sum(padding[axis])} pixels; expected at least 1"
            )
    return size[0], size[1]


def adaptive_windows(size: int, count: int) -> list[Pair]:
    """The first pixel and the last + 1 of `count` windows of nearly equal size (torch's rule).

    Window i covers floor(i size / count) to ceil((i + 1) size / count) - 1. The windows that cover
    pixel j are those of `adaptive_windows(count, size)[j]`.
    """
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def resampled_shape(x_shape: Shape, rows: Array | None, columns: Array | None) -> Shape:
    """The shape of `R x S^T` for x `(N, H, W, C)`, rows R `(H_out, H)` and columns S `(W_out, W)`.

    None stands for the identity. Raises ValueError if a matrix does not fit x.
    """
    if len(x_shape) != 4:
        raise ValueError(f"images have shape {tuple(x_shape)}: expected (N, H, W, C)")
    shape = list(x_shape)
    for axis, name, matrix in ((1, "rows", rows), (2, "columns", columns)):
        if matrix is None:
            continue
        if matrix.ndim != 2 or matrix.shape[1] != shape[axis]:
            raise ValueError(
                f"the matrix for {name} has shape {matrix.shape}: expected (any, {shape[axis]}) "
                f"for images of shape {tuple(x_shape)}"
            )
        shape[axis] = matrix.shape[0]
    return tuple(shape)


def transposed(rows: Array | None, columns: Array | None) -> tuple[Array | None, Array | None]:
    """Both matrices transposed; None stays None."""
    return None if rows is None else rows.T, None if columns is None else columns.T


def pixel_step(a: Array) -> int:
    """The distance in elements from one pixel `(..., C)` of an array to the next.

    A slice of channels, such as a branch's part of a concatenation, has one. 0 if the distance is
    not the same everywhere.
    """
    if a.size == 0:
        return 0
    if a.flags.c_contiguous:
        return a.shape[-1]
    if a.ndim < 2 or (a.shape[-1] > 1 and a.strides[-1] != a.itemsize):
        return 0
    step, expected = 0, 0
    for length, stride in zip(reversed(a.shape[:-1]), reversed(a.strides[:-1]), strict=True):
        if length == 1:
            continue
        if not step:
            step, expected = stride, stride
        if stride != expected or stride % a.itemsize or stride < a.shape[-1] * a.itemsize:
            return 0
        expected = stride * length
    return (step or a.shape[-1] * a.itemsize) // a.itemsize
