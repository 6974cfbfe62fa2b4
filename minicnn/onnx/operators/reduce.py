"""Means, sums and maxima along axes, as pooling of whole maps."""

from ...layers import Function, GlobalAvgPool2d, GlobalMaxPool2d, Layer, Multiply, Scale
from ..axes import Value, flat, length, order_of
from ..importer import Importer
from ..node import Node
from . import operator


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(importer: Importer, node: Node) -> None:
    """(N, C, ...) -> (N, C, 1, ...); our array is (N, C)."""
    value = importer.value(node)
    if len(value.axes) < 3:
        node.fail(f"its input has the shape {value.shape}; expected maps (N, C, H, W)")
    layer = GlobalAvgPool2d() if node.op == "GlobalAveragePool" else GlobalMaxPool2d()
    axes = range(2, len(value.axes))
    importer.give(node, pooled(importer, node, layer, value, list(axes), keep=True))


def pooled(
    importer: Importer, node: Node, layer: Layer, value: Value, axes: list[int], keep: bool
) -> Value:
    """What a global pooling makes of each group of numbers along some axes.

    keep: the axes stay, with length 1. Our array has these axes as rows and columns.
    """
    if 0 in axes:
        node.fail(f"axes={axes} of a tensor {value.shape}: 0 is the batch, whose images are apart")
    chosen = flat([value.axes[i] for i in axes])
    inner = tuple(atom for atom in flat(value.ours) if atom in chosen)
    others = flat([value.axes[i] for i in order_of(value) if i and i not in axes])
    ours = value.ours
    if len(ours) != 4 or flat(ours[1:3]) != inner:
        outer = tuple(atom for atom in flat(value.ours) if atom in others)
        ours = (importer.batch, inner, (), outer)
    name = importer.add(node, layer, importer.arranged(node, value, ours))
    left = tuple(() if i in axes else axis for i, axis in enumerate(value.axes))
    if not keep:
        left = tuple(axis for i, axis in enumerate(value.axes) if i not in axes)
    return Value(name, left, (importer.batch, ours[-1]))


NAMES = ("Mean", "Sum", "Max", "Min", "SumSquare", "L1", "L2")


@operator(*(f"Reduce{name}" for name in NAMES))
def reduce(importer: Importer, node: Node) -> None:
    """Sums are means times their count; the sum of squares and the norms are sums of functions."""
    value, kind = importer.value(node), node.op.removeprefix("Reduce")
    rank, keep = len(value.axes), bool(node.integer("keepdims", 1))
    axes = importer.integers(node, "axes", 1, since=13 if kind == "Sum" else 18)
    if node.integer("noop_with_empty_axes") and not axes:
        node.refuse("noop_with_empty_axes", "it has no axes; expected some")
    axes = list(axes) if axes else list(range(rank))
    if any(not -rank <= a < rank for a in axes):
        node.fail(f"axes={axes}: expected axes of a tensor with {rank} axes")
    axes = sorted({a % rank for a in axes})
    count = 1
    for axis in axes:
        count *= length(value.axes[axis])
    if kind in ("SumSquare", "L2"):
        square = importer.add(node, Multiply(), value, value, name=f"{value.node}_square")
        value = Value(square, value.axes, value.ours)
    elif kind == "L1":
        value = importer.same(node, Function("abs"), value, f"{value.node}_abs")
    elif kind == "Min":
        value = importer.same(node, Scale(-1.0), value, f"{value.node}_minus")
    layer = GlobalMaxPool2d() if kind in ("Max", "Min") else GlobalAvgPool2d()
    found = pooled(importer, node, layer, value, axes, keep)
    if kind in ("Sum", "SumSquare", "L1", "L2"):
        found = importer.same(node, Scale(count), found)
    if kind in ("Min", "L2"):
        last = Scale(-1.0) if kind == "Min" else Function("power", 0.5)
        found = importer.same(node, last, found)
    importer.give(node, found)
