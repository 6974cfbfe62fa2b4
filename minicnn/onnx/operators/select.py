"""Parts of tensors, and tensors one behind the other: Slice, Split, Gather, Concat, Expand."""

from itertools import pairwise

import numpy as np

from ...layers import Concatenate, FlipChannels, MaxPool2d, Slice, Upsample
from ..axes import Value, flat, length, new_axis, order_of, replaced, with_last
from ..importer import Importer
from ..node import Node
from . import operator

MOST_PARTS = 64  # of a Gather of indices in any order
ALL = 2**31 - 1  # an end that programs write for "to the last one"


def axis_of(node: Node, value: Value, default: int) -> int:
    """The attribute `axis`, counted from the first; the batch is not allowed."""
    rank = len(value.axes)
    axis = node.integer("axis", default)
    if not -rank <= axis < rank:
        node.refuse("axis", f"expected an axis of tensors with {rank} axes")
    if any(atom.is_batch for atom in value.axes[axis]):
        node.fail(
            f"axis={axis} of a tensor {value.shape}: {axis % rank} is the batch, whose images are "
            "apart"
        )
    return axis % rank


@operator("Concat")
def concat(importer: Importer, node: Node) -> None:
    """Along any axis but the batch, which becomes the last one of our arrays."""
    values = [importer.value(node, i) for i in range(len(node.inputs))]
    axis = axis_of(node, values[0], 1)
    give_concat(importer, node, values, axis)


def give_concat(importer: Importer, node: Node, values: list[Value], axis: int) -> None:
    """The output is these tensors, one behind the other."""
    first = values[0]
    if any(len(v.axes) != len(first.axes) for v in values):
        node.fail(f"its inputs have {', '.join(str(len(v.axes)) for v in values)} axes")
    if len(values) == 1:
        importer.give(node, first)
        return
    order = [i for i in order_of(first) if i != axis] + [axis]
    values = [importer.arranged(node, v, tuple(v.axes[i] for i in order)) for v in values]
    layer = Concatenate()
    layer.output_shape(tuple(tuple(map(length, v.ours)) for v in values))
    total = new_axis(sum(length(v.axes[axis]) for v in values))
    axes = replaced(first.axes, axis, total)
    name = importer.add(node, layer, *values)
    importer.give(node, Value(name, axes, tuple(axes[i] for i in order)))


@operator("Split")
def split(importer: Importer, node: Node) -> None:
    """A slice per output."""
    value, parts = importer.value(node), len(node.outputs)
    axis = axis_of(node, value, 0)
    total = length(value.axes[axis])
    parts = node.integer("num_outputs", parts)
    each = -(-total // parts)
    sizes = importer.integers(node, "split", 1, since=13)
    sizes = [min(each, total - i * each) for i in range(parts)] if sizes is None else sizes
    if sum(sizes) != total or len(sizes) != len(node.outputs) or min(sizes) < 1:
        node.fail(f"split={sizes}: expected {len(node.outputs)} sizes of which the sum is {total}")
    start = 0
    for number, size in enumerate(sizes):
        name = node.outputs[number]
        part = part_of(importer, node, value, axis, (start, start + size), name)
        importer.give(node, part, number)
        start += size


def part_of(
    importer: Importer,
    node: Node,
    value: Value,
    axis: int,
    part: tuple[int, int],
    name: str = "",
) -> Value:
    """From part[0] to part[1] along an axis."""
    if part == (0, length(value.axes[axis])):
        return value
    value = importer.arranged(node, value, with_last(value, axis))
    name = importer.add(node, Slice(*part), value, name=name)
    new = new_axis(part[1] - part[0])
    return Value(name, replaced(value.axes, axis, new), (*value.ours[:-1], new))


def every(importer: Importer, node: Node, value: Value, steps: dict[int, int]) -> Value:
    """Every s-th number along some axes: the maxima of windows of one number."""
    rank = len(value.axes)
    if rank == 4 and steps.keys() <= {2, 3}:
        value = importer.arranged(node, value)
        ours, stride = value.ours, (steps.get(2, 1), steps.get(3, 1))
        places = {2: 1, 3: 2}
    else:
        axis = max(steps)
        if len(steps) > 1:
            rest = {a: s for a, s in steps.items() if a != axis}
            value = every(importer, node, value, rest)
        others = [a for i, a in enumerate(with_last(value, axis)) if i][:-1]
        ours, stride = (importer.batch, value.axes[axis], (), flat(others)), (steps[axis], 1)
        places, steps = {axis: 1}, {axis: steps[axis]}
        value = importer.arranged(node, value, ours)
    name, axes = importer.add(node, MaxPool2d(1, stride), value), value.axes
    for axis, step in steps.items():
        new = new_axis(-(-length(axes[axis]) // step))
        axes = replaced(axes, axis, new)
        ours = replaced(ours, places[axis], new)
    return Value(name, axes, ours)


def selected(importer: Importer, node: Node, value: Value, ranges: dict[int, range]) -> Value:
    """The places of these ranges, along each axis that has one."""
    steps = {}
    for axis, places in ranges.items():
        if not places:
            node.fail(f"nothing is left of axis {axis} of a tensor {value.shape}")
        low, high = min(places[0], places[-1]), max(places[0], places[-1])
        value = part_of(importer, node, value, axis, (low, high + 1))
        if places.step < 0 and len(places) > 1:
            value = importer.arranged(node, value, with_last(value, axis))
            value = importer.same(node, FlipChannels(), value)
        if abs(places.step) > 1 and len(places) > 1:
            steps[axis] = abs(places.step)
    return every(importer, node, value, steps) if steps else value


@operator("Slice")
def slice_(importer: Importer, node: Node) -> None:
    """Along any axes but the batch, with any steps."""
    value = importer.value(node)
    rank, shape = len(value.axes), value.shape
    starts, ends, axes, steps = (
        importer.integers(node, name, i, since=10) if name != "steps" or node.opset >= 10 else None
        for i, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    if starts is None or ends is None:
        node.fail("it has no starts and ends")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        node.fail(f"starts={starts}, ends={ends}, axes={axes}, steps={steps} do not fit together")
    if any(not -rank <= a < rank for a in axes) or len({a % rank for a in axes}) < len(axes):
        node.fail(f"axes={axes}: expected axes of a tensor with {rank} axes")
    ranges = {}
    for start, end, step, axis in zip(starts, ends, steps, axes, strict=True):
        if axis % rank == 0:
            if start != 0 or step != 1 or not (end >= ALL or end == shape[0] > 1):
                node.fail(f"axes={axes} of a tensor {shape}: 0 is the batch, which stays whole")
            continue
        ranges[axis % rank] = range(*slice(start, end, step).indices(shape[axis % rank]))
    importer.give(node, selected(importer, node, value, ranges))


@operator("Gather")
def gather(importer: Importer, node: Node) -> None:
    """Constant indices along any axis but the batch; one number removes the axis."""
    value, indices = importer.value(node), importer.constant(node, 1)
    axis = axis_of(node, value, 0)
    count = length(value.axes[axis])
    if indices is None or indices.ndim > 1 or indices.dtype.kind not in "iu" or not indices.size:
        node.fail("its indices are no list of integers; expected one index, or a list of them")
    found = [int(i) for i in np.atleast_1d(indices)]
    if any(not -count <= i < count for i in found):
        node.fail(f"its indices are {found}; expected indices of an axis of length {count}")
    found = [i % count for i in found]
    step = found[1] - found[0] if len(found) > 1 else 1
    if step and all(b - a == step for a, b in pairwise(found)):
        places = range(found[0], found[-1] + (1 if step > 0 else -1), step)
        value = selected(importer, node, value, {axis: places})
        if indices.ndim == 0:
            axes = tuple(a for i, a in enumerate(value.axes) if i != axis)
            value = Value(value.node, axes, value.ours)
        importer.give(node, value)
        return
    runs = [[found[0], found[0] + 1]]
    for i in found[1:]:
        if i == runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([i, i + 1])
    if len(runs) > MOST_PARTS:
        node.fail(f"its indices are {len(runs)} runs; expected at most {MOST_PARTS}")
    parts = [part_of(importer, node, value, axis, (start, end)) for start, end in runs]
    give_concat(importer, node, parts, axis)


@operator("Expand")
def expand(importer: Importer, node: Node) -> None:
    """Axes of length 1 are repeated, by upsampling."""
    value, given = importer.value(node), importer.integers(node, "shape", 1, since=8)
    rank = max(len(value.axes), len(given or []))
    axes = ((),) * (rank - len(value.axes)) + value.axes
    shape = [1] * (rank - len(given or [])) + list(given or [])
    if axes[0] != importer.batch or shape[0] not in (1, value.shape[0]):
        node.fail(f"from {value.shape} to {tuple(shape)}: it repeats the images of the batch")
    sizes = dict(enumerate(np.broadcast_shapes(tuple(map(length, axes)), tuple(shape))))
    repeated = [i for i, n in sizes.items() if n != length(axes[i])]
    value = Value(value.node, axes, value.ours)
    if repeated:
        new = {i: new_axis(sizes[i]) for i in repeated}
        inner = flat(tuple(new.values()))
        outer = flat(value.ours[1:])
        value = importer.arranged(node, value, (importer.batch, (), (), outer))
        layer = Upsample(size=(length(inner), 1))
        name = importer.add(node, layer, value)
        axes = tuple(new.get(i, axis) for i, axis in enumerate(axes))
        value = Value(name, axes, (importer.batch, inner, (), outer))
    importer.give(node, value)
