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
    Layer,
    LocalResponseNorm,
    MaxPool2d,
)
from ..axes import Axes, Value, in_order, length, with_joined
from ..importer import Importer
from ..node import Node, put
from . import operator


def pair_of(node: Node, attribute: str, default: Any = (1, 1), least: int = 1) -> Pair:
    """A pair of numbers, for rows and columns; of maps with one axis (n, least)."""
    found = node.integers(attribute, list(default)[: node.spatial])
    if len(found) != node.spatial or min(found) < least:
        node.refuse(attribute, f"expected {node.spatial} numbers of at least {least}")
    rows, columns = (*found, least)[:2]
    return rows, columns


def padding_of(node: Node, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> PaddingPairs:
    """`pads`, or what `auto_pad` gives for maps of that size.

    SAME: as many outputs as ceil(size / stride); an odd pixel is at the end, of SAME_LOWER at the
    beginning.
    """
    mode, count = node.text("auto_pad", "NOTSET"), node.spatial
    pads = node.integers("pads", [0, 0] * count)
    if len(pads) != 2 * count or min(pads) < 0:
        node.refuse("pads", f"expected {2 * count} numbers that are not negative")
    if mode == "NOTSET":
        sides = [(pads[i], pads[i + count]) for i in range(count)]
        rows, columns = [*sides, (0, 0)][:2]
        return rows, columns
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


def filters(importer: Importer, node: Node) -> np.ndarray:
    """The weights of a convolution, with rows and columns; of maps with one axis (..., k, 1)."""
    w = importer.required(node, 1)
    if w.ndim != 2 + node.spatial:
        node.fail(
            f"its weights have the shape {w.shape}; expected {2 + node.spatial} axes, of which the "
            f"last {node.spatial} are those of the kernel"
        )
    return w if w.ndim == 4 else w[..., None]


@operator("Conv")
def conv(importer: Importer, node: Node) -> None:
    """The weights (C_out, C_in / groups, kH, kW) become (kH, kW, C_in / groups, C_out)."""
    x, w, b = importer.maps(node), filters(importer, node), importer.weights(node, 2)
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
    x, w, b = importer.maps(node), filters(importer, node), importer.weights(node, 2)
    kernel, stride, dilation = (
        pair_of(node, "kernel_shape", w.shape[2:]),
        pair_of(node, "strides"),
        pair_of(node, "dilations"),
    )
    groups = node.integer("group", 1)
    extra = pair_of(node, "output_padding", (0, 0), least=0)
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
    node: Node, size: Pair, kernel: Pair, stride: Pair, dilation: Pair, extra: Pair
) -> tuple[PaddingPairs, Pair]:
    """What is cut off, and `output_padding`; `output_shape` or SAME decide what is cut off."""
    wanted, mode = node.integers("output_shape"), node.text("auto_pad", "NOTSET")
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(size, stride, strict=True)][: node.spatial]
    if wanted is None:
        return padding_of(node, size, kernel, stride, dilation), extra
    node.integers("pads")
    found, more = [], []
    wanted = [*wanted[-node.spatial :], 1][:2]
    for n, k, s, d, e, out in zip(size, kernel, stride, dilation, extra, wanted, strict=True):
        total = s * (n - 1) + e + (k - 1) * d + 1 - out
        if total < 0 and not node.has("output_shape"):
            node.refuse("auto_pad", "the windows leave gaps, which runtimes place differently")
        cut = max(total, 0)
        less = cut // 2
        found.append((less, cut - less) if mode == "SAME_UPPER" else (cut - less, less))
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


@operator("local response")
def response_norm(importer: Importer, node: Node) -> None:
    """Across channels of any groups, or within each map; see `minicnn.onnx.structures`."""
    within = bool(node.integer("within"))
    layer = LocalResponseNorm(
        node.integer("size"),
        node.number("alpha"),
        node.number("beta"),
        node.number("bias"),
        alpha_div_n=within,
        groups=node.integer("groups"),
        within_channel=within,
    )
    importer.give_same(node, layer, importer.maps(node))


def per_channel(array: np.ndarray, value: Value) -> tuple[np.ndarray, Axes] | None:
    """A constant as a vector, and the axes of our array whose last one it has a number for each of.

    That axis joins those along which the constant changes: the channels, or all but the batch. The
    shape is compared with the last axes of the tensor, as NumPy does. None for one that changes
    along the batch, or that is larger than the tensor.
    """
    rank = len(value.axes)
    shape = (1,) * (rank - array.ndim) + array.shape
    longer = [i for i, n in enumerate(shape) if n != 1]
    if len(shape) != rank or not longer or longer[0] == 0:
        return None
    if any(shape[i] != length(value.axes[i]) for i in longer):
        return None
    ours = with_joined(value, longer)
    array = array.reshape([shape[i] for i in longer])
    return in_order(array, [value.axes[i] for i in longer], ours[-1]), ours
