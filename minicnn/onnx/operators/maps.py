"""Convolution, pooling and local response normalization: operators on maps (N, C, H, W)."""

import math
from typing import Any

import numpy as np

from ...kernels.geometry import PaddingPairs
from ...kernels.types import Pair
from ...layers import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    FlipChannels,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Layer,
    LocalResponseNorm,
    MaxPool2d,
)
from ..axes import Axes, Value, length
from ..importer import Importer
from ..node import Node, put
from . import operator


def pair_of(node: Node, attribute: str, default: Any = (1, 1)) -> Pair:
    """A pair of positive numbers, for rows and columns."""
    found = node.integers(attribute, list(default))
    if len(found) != 2 or min(found) < 1:
        node.refuse(
            attribute, "expected two positive numbers: only maps of rows and columns are read"
        )
    return found[0], found[1]


def padding_of(node: Node, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> PaddingPairs:
    """`pads`, or what `auto_pad` gives for maps of that size.

    SAME: as many outputs as ceil(size / stride); an odd pixel is at the end, of SAME_LOWER at the
    beginning.
    """
    mode, pads = node.text("auto_pad", "NOTSET"), node.integers("pads", [0, 0, 0, 0])
    if len(pads) != 4 or min(pads) < 0:
        node.refuse("pads", "expected four numbers that are not negative")
    if mode == "NOTSET":
        return (pads[0], pads[2]), (pads[1], pads[3])
    if mode == "VALID":
        return (0, 0), (0, 0)
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        node.refuse("auto_pad", "expected NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    found = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
        less = total // 2
        found.append((less, total - less) if mode == "SAME_UPPER" else (total - less, less))
    return found[0], found[1]


def size_of(value: Value) -> Pair:
    """The height and width of maps."""
    return length(value.axes[2]), length(value.axes[3])


@operator("Conv")
def conv(importer: Importer, node: Node) -> None:
    """The weights (C_out, C_in / groups, kH, kW) become (kH, kW, C_in / groups, C_out)."""
    x, w, b = importer.maps(node), importer.required(node, 1), importer.weights(node, 2)
    if w.ndim != 4:
        node.fail(f"its weights have the shape {w.shape}; expected (C_out, C_in, kH, kW)")
    kernel, stride, dilation = (
        pair_of(node, "kernel_shape", w.shape[2:]),
        pair_of(node, "strides"),
        pair_of(node, "dilations"),
    )
    groups = node.integer("group", 1)
    layer = Conv2d(
        length(x.axes[1]),
        w.shape[0],
        kernel,
        stride,
        padding_of(node, size_of(x), kernel, stride, dilation),
        dilation,
        groups,
        bias=b is not None,
    )
    put(layer.weight, w.transpose(2, 3, 1, 0), node)
    if b is not None:
        put(layer.bias, b, node)
    importer.give_maps(node, layer, x)


@operator("ConvTranspose")
def conv_transpose(importer: Importer, node: Node) -> None:
    """The weights (C_in, C_out / groups, kH, kW) become (kH, kW, C_out / groups, C_in)."""
    x, w, b = importer.maps(node), importer.required(node, 1), importer.weights(node, 2)
    if w.ndim != 4:
        node.fail(f"its weights have the shape {w.shape}; expected (C_in, C_out, kH, kW)")
    kernel, stride, dilation = (
        pair_of(node, "kernel_shape", w.shape[2:]),
        pair_of(node, "strides"),
        pair_of(node, "dilations"),
    )
    groups = node.integer("group", 1)
    extra = node.integers("output_padding", [0, 0])
    padding, more = _transposed_padding(node, size_of(x), kernel, stride, dilation, extra)
    layer = ConvTranspose2d(
        *(length(x.axes[1]), w.shape[1] * groups, kernel, stride, padding, more, groups, dilation),
        bias=b is not None,
    )
    put(layer.weight, w.transpose(2, 3, 1, 0), node)
    if b is not None:
        put(layer.bias, b, node)
    importer.give_maps(node, layer, x)


def _transposed_padding(
    node: Node, size: Pair, kernel: Pair, stride: Pair, dilation: Pair, extra: list[int]
) -> tuple[PaddingPairs, Pair]:
    """What is cut off, and `output_padding`; `output_shape` or SAME decide what is cut off."""
    wanted, mode = node.integers("output_shape"), node.text("auto_pad", "NOTSET")
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(size, stride, strict=True)]
    if wanted is None:
        return padding_of(node, size, kernel, stride, dilation), (extra[0], extra[1])
    node.integers("pads")
    found, more = [], []
    for n, k, s, d, e, out in zip(size, kernel, stride, dilation, extra, wanted[-2:], strict=True):
        total = s * (n - 1) + e + (k - 1) * d + 1 - out
        cut = max(total, 0)
        less = cut // 2
        found.append((cut - less, less) if mode == "SAME_LOWER" else (less, cut - less))
        more.append(e + max(-total, 0))
    return (found[0], found[1]), (more[0], more[1])


@operator("MaxPool", "AveragePool")
def pool(importer: Importer, node: Node) -> None:
    """Windows of one size; the padding of a maximum is -inf, that of a mean counts or does not."""
    importer.check_outputs(node)
    x = importer.maps(node)
    if not node.has("kernel_shape"):
        node.fail("kernel_shape is missing")
    kernel, stride = pair_of(node, "kernel_shape"), pair_of(node, "strides")
    dilation = pair_of(node, "dilations")
    if dilation != (1, 1):
        node.refuse("dilations", "pooling with dilation is not known")
    node.integer("storage_order")  # of the second output
    padding = padding_of(node, size_of(x), kernel, stride, (1, 1))
    ceil = bool(node.integer("ceil_mode"))
    layer: Layer
    if node.op == "MaxPool":
        layer = MaxPool2d(kernel, stride, padding, ceil)
    else:
        counted = bool(node.integer("count_include_pad"))
        layer = AvgPool2d(kernel, stride, padding, ceil, counted)
    importer.give_maps(node, layer, x)


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(importer: Importer, node: Node) -> None:
    """(N, C, H, W) -> (N, C, 1, 1); our array is (N, C)."""
    give_pooled(
        importer,
        node,
        GlobalAvgPool2d() if node.op == "GlobalAveragePool" else GlobalMaxPool2d(),
        keep=True,
    )


def give_pooled(importer: Importer, node: Node, layer: Layer, keep: bool) -> None:
    """The output is one number per map. keep: the axes of rows and columns stay, with length 1."""
    x = importer.maps(node)
    name = importer.add(node, layer, x)
    channels = x.axes[1]
    axes = (importer.batch, channels, (), ()) if keep else (importer.batch, channels)
    importer.give(node, Value(name, axes, (importer.batch, channels)))


@operator("ReduceMean")
def reduce_mean(importer: Importer, node: Node) -> None:
    """The mean of every map."""
    rank = len(importer.value(node).axes)
    axes = importer.integers(node, "axes", 1, since=18)
    node.integer("noop_with_empty_axes")
    if rank != 4 or axes is None or sorted(a % rank for a in axes) != [2, 3]:
        node.fail(f"axes={axes}: expected rows and columns, [2, 3], of maps")
    give_pooled(importer, node, GlobalAvgPool2d(), bool(node.integer("keepdims", 1)))


@operator("LRN")
def lrn(importer: Importer, node: Node) -> None:
    """Across channels; alpha is divided by the size.

    A window of an even size reaches further to the last channel; ours reaches further to the first,
    so that the order of the channels is reversed around it.
    """
    layer = LocalResponseNorm(
        node.integer("size"),
        node.number("alpha", 1e-4),
        node.number("beta", 0.75),
        node.number("bias", 1.0),
        alpha_div_n=True,
    )
    x = importer.maps(node)
    if layer.size % 2:
        importer.give(node, Value(importer.add(node, layer, x), x.axes, x.ours))
        return
    name = x.node
    for one in (FlipChannels(), layer, FlipChannels()):
        name = importer.add(node, one, Value(name, x.axes, x.ours))
    importer.give(node, Value(name, x.axes, x.ours))


def per_channel(array: np.ndarray, value: Value) -> tuple[np.ndarray, Axes] | None:
    """A constant with one number per channel, and the axes of our array that have them last.

    The channels are the one axis along which the constant changes. Its shape is compared with the
    last axes of the tensor, as NumPy does. None for a constant of another form.
    """
    rank = len(value.axes)
    shape = (1,) * (rank - array.ndim) + array.shape
    longer = [i for i, n in enumerate(shape) if n != 1]
    if len(shape) != rank or len(longer) != 1 or longer == [0]:
        return None
    (axis,) = longer
    if shape[axis] != length(value.axes[axis]):
        return None
    others = [a for i, a in enumerate(value.axes) if i != axis]
    return array.reshape(-1), (*others, value.axes[axis])
