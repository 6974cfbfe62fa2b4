"""Operators that move numbers; most of them are only bookkeeping, see `minicnn.onnx.axes`."""

import math

import numpy as np

from ...layers import Pad2d
from ..axes import Value, flat, length, new_axis, reshaped, transposed
from ..importer import Importer
from ..node import Node
from . import operator
from .select import selected


@operator("Reshape")
def reshape(importer: Importer, node: Node) -> None:
    """The shape is an attribute up to opset 4; 0 keeps a length, -1 is what remains."""
    value = importer.value(node)
    shape = importer.integers(node, "shape", 1, since=5)
    if shape is None:
        node.fail("shape is missing")
    if not node.integer("allowzero"):
        if any(n == 0 and i >= len(value.axes) for i, n in enumerate(shape)):
            node.fail(f"shape={shape}: 0 keeps a length of {value.shape} that is not there")
        shape = [value.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    known = math.prod(n for n in shape if n != -1)
    total = math.prod(value.shape)
    if shape.count(-1) > 1 or min(shape, default=1) < -1 or known == 0 or total % known:
        node.fail(f"shape={shape} for a tensor {value.shape}")
    give_reshaped(importer, node, [total // known if n == -1 else n for n in shape])


def give_reshaped(importer: Importer, node: Node, shape: list[int]) -> None:
    """The output is the input with another shape."""
    value = importer.value(node)
    if value.axes[:1] == (importer.batch,) and is_cut_otherwise(value, shape):
        ones = (importer.batch, flat(value.axes[1:]))
        value = importer.arranged(node, value, ones)
        axes = (importer.batch, new_axis(length(ones[1])))
        value = Value(value.node, axes, axes)
    try:
        found = reshaped(value, shape)
    except ValueError as error:
        node.fail(f"from {value.shape} to {tuple(shape)}: {error}")
    importer.give(node, found)


def is_cut_otherwise(value: Value, shape: list[int]) -> bool:
    """True for a shape whose axes are no parts of those that the tensor had before."""
    try:
        reshaped(value, shape)
    except ValueError as error:
        return "parts of other sizes" in str(error)
    return False


@operator("DepthToSpace", "SpaceToDepth")
def blocks(importer: Importer, node: Node) -> None:
    """(N, C, H, W) -> (N, C / s^2, s H, s W) and back: axes are cut, moved, and joined."""
    value, s = importer.value(node), node.integer("blocksize")
    if len(value.axes) != 4 or s < 1:
        node.fail(f"blocksize={s} of a tensor {value.shape}; expected maps (N, C, H, W)")
    n, c, h, w = value.shape
    is_crd = node.text("mode", "DCR") == "CRD"
    if not is_crd and node.text("mode", "DCR") != "DCR":
        node.refuse("mode", "expected DCR or CRD")
    if node.op == "SpaceToDepth":
        parts, shape = [n, c, h // s, s, w // s, s], [c * s * s, h // s, w // s]
        order = [0, 1, 3, 5, 2, 4] if is_crd else [0, 3, 5, 1, 2, 4]
    else:
        rest = c // (s * s)
        parts, order = [n, s, s, rest, h, w], [0, 3, 4, 1, 5, 2]
        if is_crd:
            parts, order = [n, rest, s, s, h, w], [0, 1, 4, 2, 5, 3]
        shape = [rest, h * s, w * s]
    if 0 in parts or math.prod(parts) != math.prod(value.shape):
        node.fail(f"blocksize={s} of a tensor {value.shape}, which it does not divide")
    importer.give(node, reshaped(transposed(reshaped(value, parts), order), [n, *shape]))


@operator("Flatten")
def flatten(importer: Importer, node: Node) -> None:
    """Two axes: those before `axis`, and the others."""
    shape = importer.value(node).shape
    axis = node.integer("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        node.refuse("axis", f"expected an axis of a tensor {shape}")
    axis = axis + len(shape) if axis < 0 else axis
    give_reshaped(importer, node, [math.prod(shape[:axis]), math.prod(shape[axis:])])


@operator("Squeeze", "Unsqueeze")
def squeeze(importer: Importer, node: Node) -> None:
    """Axes of length 1 are removed, or added."""
    shape = list(importer.value(node).shape)
    axes = importer.integers(node, "axes", 1, since=13)
    if node.op == "Squeeze":
        axes = [i for i, n in enumerate(shape) if n == 1 and i] if axes is None else axes
        removed = {a % len(shape) for a in axes}
        if any(shape[a] != 1 for a in removed):
            node.fail(f"axes={axes} of a tensor {tuple(shape)}; expected axes of length 1")
        give_reshaped(importer, node, [n for i, n in enumerate(shape) if i not in removed])
        return
    if not axes:
        node.fail("axes is missing")
    rank = len(shape) + len(axes)
    if any(not -rank <= a < rank for a in axes):
        node.fail(f"axes={axes}: expected axes of a tensor with {rank} axes")
    for axis in sorted(a % rank for a in axes):
        shape.insert(axis, 1)
    give_reshaped(importer, node, shape)


@operator("Transpose")
def transpose(importer: Importer, node: Node) -> None:
    """Another order of the axes."""
    value = importer.value(node)
    order = node.integers("perm", list(reversed(range(len(value.axes)))))
    if sorted(order) != list(range(len(value.axes))):
        node.refuse("perm", f"expected an order of the axes of a tensor {value.shape}")
    importer.give(node, transposed(value, order))


@operator("Pad")
def pad(importer: Importer, node: Node) -> None:
    """A frame of a constant around maps, or more channels of it."""
    if node.text("mode", "constant") != "constant":
        node.refuse("mode", "expected constant")
    value = importer.value(node)
    rank = len(value.axes)
    pads = importer.integers(node, "paddings" if node.has("paddings") else "pads", 1, since=11)
    number = importer.constant(node, 2) if node.opset >= 11 else node.number("value")
    number = 0.0 if number is None else float(np.asarray(number).reshape(()))
    given = importer.constant(node, 3) if node.opset >= 18 else None
    axes = list(range(rank)) if given is None else [int(a) % rank for a in given]
    if pads is None or len(pads) != 2 * len(axes):
        node.fail(f"pads={pads}: expected two numbers for each of the axes {axes}")
    sides = {a: (pads[i], pads[i + len(axes)]) for i, a in enumerate(axes)}
    if any(sides.get(0, (0, 0))):
        node.fail(f"pads={pads} of a tensor {value.shape}: 0 is the batch, which stays as it is")
    cut = {
        a: range(max(-low, 0), value.shape[a] - max(-high, 0)) for a, (low, high) in sides.items()
    }
    value = selected(importer, node, value, {a: r for a, r in cut.items() if a})
    widths = {a: (max(low, 0), max(high, 0)) for a, (low, high) in sides.items()}
    if not any(map(any, widths.values())):
        importer.give(node, value)
        return
    if not 2 <= rank <= 4:
        node.fail(f"pads={pads} of a tensor {value.shape}; expected a frame around maps")
    node.spatial = rank - 2
    value = importer.arranged(node, Value(value.node, (*value.axes, (), ())[:4], value.ours))
    channels, rows, columns = (widths.get(axis, (0, 0)) for axis in (1, 2, 3))
    importer.give_maps(node, Pad2d((rows, columns), number, channels), value)
