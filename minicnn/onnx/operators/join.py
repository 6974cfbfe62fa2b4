"""Operators of several tensors: Concat, Add, Mul, Max and the like, and Split."""

import numpy as np

from ...layers import Add, Concatenate, FlipChannels, Maximum, MaxPool2d, Multiply, Scale, Slice
from ...layers.join import Join
from ..axes import Value, length, new_axis, standard
from ..importer import Importer
from ..node import Node
from . import operator


def join_values(importer: Importer, node: Node) -> None:
    """Two or more tensors of one shape, or such that NumPy makes their shapes equal."""
    count = len(node.inputs)
    if node.op == "Min" or (node.op == "Div" and count == 2):
        node.fail("of two computed tensors it is not known")
    values = [importer.value(node, i) for i in range(count)]
    if count == 1:
        importer.give(node, values[0])
        return
    rank = max(len(v.axes) for v in values)
    values = [Value(v.node, ((),) * (rank - len(v.axes)) + v.axes, v.ours) for v in values]
    if any(v.axes[0] != importer.batch for v in values):
        shapes = ", ".join(str(importer.value(node, i).shape) for i in range(count))
        node.fail(f"its inputs have the shapes {shapes}; expected the batch as the first axis")
    values = [importer.arranged(node, v) for v in values]
    shape = np.broadcast_shapes(*(v.shape for v in values))
    if node.op == "Sub":
        negative = importer.add(node, Scale(-1.0), values[1], name=f"{values[1].node}_minus")
        values[1] = Value(negative, values[1].axes, values[1].ours)
    kinds: dict[str, type[Join]] = {"Mul": Multiply, "Max": Maximum}
    layer = kinds.get(node.op, Add)()
    largest = (next(v for v in values if v.shape[i] == n).axes[i] for i, n in enumerate(shape))
    axes = tuple(largest)
    importer.give(node, Value(importer.add(node, layer, *values), axes, standard(axes)))


@operator("Concat")
def concat(importer: Importer, node: Node) -> None:
    """Along the channels, or the features."""
    values = [importer.value(node, i) for i in range(len(node.inputs))]
    rank = len(values[0].axes)
    axis = node.integer("axis", 1)
    if not -rank <= axis < rank or any(len(v.axes) != rank for v in values):
        node.refuse("axis", f"expected an axis of tensors with {rank} axes")
    axis %= rank
    last = 1 if rank == 4 else rank - 1
    if axis != last or axis == 0:
        node.fail(
            f"axis={axis} of tensors {values[0].shape}; expected {last}, that of the channels"
        )
    values = [importer.arranged(node, v) for v in values]
    if len(values) == 1:
        importer.give(node, values[0])
        return
    total = sum(length(v.axes[axis]) for v in values)
    axes = (*values[0].axes[:axis], new_axis(total), *values[0].axes[axis + 1 :])
    layer = Concatenate()
    layer.output_shape(tuple(tuple(map(length, v.ours)) for v in values))
    importer.give(node, Value(importer.add(node, layer, *values), axes, standard(axes)))


@operator("Split")
def split(importer: Importer, node: Node) -> None:
    """A slice of the channels per output."""
    value = importer.value(node)
    rank, parts = len(value.axes), len(node.outputs)
    axis = node.integer("axis", 0)
    last = 1 if rank == 4 else rank - 1
    if not -rank <= axis < rank or axis % rank != last or last == 0:
        node.fail(f"axis={axis} of a tensor {value.shape}; expected {last}, that of the channels")
    total = length(value.axes[last])
    parts = node.integer("num_outputs", parts)
    each = -(-total // parts)
    sizes = importer.integers(node, "split", 1, since=13)
    sizes = [min(each, total - i * each) for i in range(parts)] if sizes is None else sizes
    if sum(sizes) != total or len(sizes) != len(node.outputs) or min(sizes) < 1:
        node.fail(f"split={sizes}: expected {len(node.outputs)} sizes of which the sum is {total}")
    value, start = importer.arranged(node, value), 0
    for number, size in enumerate(sizes):
        take(importer, node, value, (start, start + size), number)
        start += size


def take(importer: Importer, node: Node, value: Value, part: tuple[int, int], index: int) -> None:
    """An output of the node: channels from part[0] to part[1] of a value in standard order."""
    last = 1 if len(value.axes) == 4 else len(value.axes) - 1
    name = importer.add(node, Slice(*part), value, name=node.outputs[index])
    axes = (*value.axes[:last], new_axis(part[1] - part[0]), *value.axes[last + 1 :])
    importer.give(node, Value(name, axes, standard(axes)), index)


@operator("Slice")
def slice_(importer: Importer, node: Node) -> None:
    """Consecutive channels, all channels in reversed order, or every s-th pixel."""
    value = importer.value(node)
    rank = len(value.axes)
    starts, ends = (
        importer.integers(node, n, i, since=10) for i, n in ((1, "starts"), (2, "ends"))
    )
    axes = importer.integers(node, "axes", 3, since=10)
    steps = importer.constant(node, 4) if node.opset >= 10 else None
    if starts is None or ends is None:
        node.fail("it has no starts and ends")
    axes = list(range(len(starts))) if axes is None else [a % rank for a in axes]
    last = 1 if rank == 4 else rank - 1
    each = [1] * len(axes) if steps is None else [int(i) for i in steps.reshape(-1)]
    whole = all(s == 0 and e >= value.shape[a] for s, e, a in zip(starts, ends, axes, strict=True))
    if rank == 4 and axes == [2, 3] and whole and min(each) > 0:
        importer.give_maps(node, MaxPool2d(1, (each[0], each[1])), importer.maps(node))
        return
    if axes == [last] and each == [-1] and starts == [-1] and ends[0] < -value.shape[last]:
        value = importer.arranged(node, value)
        importer.give_same(node, FlipChannels(), value)
        return
    if axes != [last] or last == 0 or each != [1]:
        node.fail(f"axes={axes} of a tensor {value.shape}; expected [{last}], and steps of 1")
    first, end, _ = slice(starts[0], ends[0]).indices(length(value.axes[last]))
    take(importer, node, importer.arranged(node, value), (first, end), 0)
