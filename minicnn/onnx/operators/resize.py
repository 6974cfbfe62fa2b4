"""Resize and Upsample: every output is a weighted sum of pixels along rows and columns."""

import math

import numpy as np

from ...kernels.resampling import upsampling
from ...layers import Layer, Resample2d, Upsample
from ..axes import Value, flat, new_axis, order_of, replaced
from ..importer import Importer
from ..node import Node
from . import operator

POSITIONS = (
    *("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"),
    "tf_half_pixel_for_nn",
)
OURS = {"nearest": "nearest", "linear": "bilinear"}  # the modes of `Upsample`
LARGEST = 2**26  # weights of a matrix
F32 = np.float32  # in which runtimes compute positions


@operator("Upsample", "Resize")
def resize(importer: Importer, node: Node) -> None:
    """Of up to two axes, to sizes or by scales; one `Upsample` if it has the same weights."""
    value = importer.value(node)
    sizes, scales = _sizes(importer, node, value)
    _check_kind(node)
    changed = [i for i, n in enumerate(sizes) if n != value.shape[i] or scales[i] != 1]
    if 0 in changed or len(changed) > 2:
        node.fail(f"from {value.shape} to {tuple(sizes)}: expected one or two axes, not the batch")
    if min(sizes) < 1:
        node.fail(f"from {value.shape} to {tuple(sizes)}: nothing is left")
    if node.opset < 11 and min(scales) < 1 and node.text("mode", "nearest") == "nearest":
        node.fail(f"scales={scales}: before opset 11 which pixel is the nearest is not defined")
    if not changed:
        importer.give(node, value)
        return
    if set(changed) <= {2, 3} and len(sizes) == 4:
        changed = [2, 3]
    others = flat([value.axes[i] for i in order_of(value) if i and i not in changed])
    pair = [value.axes[i] for i in changed]
    ours = (importer.batch, *[*pair, ()][:2], others)
    value = importer.arranged(node, value, ours)
    sides = [(value.shape[i], sizes[i], scales[i]) for i in changed]
    _check_aligned(node, sides)
    layer = _layer(node, sides)
    name, axes = importer.add(node, layer, value), value.axes
    for place, axis in enumerate(changed, 1):
        new = new_axis(sizes[axis])
        axes, ours = replaced(axes, axis, new), replaced(ours, place, new)
    importer.give(node, Value(name, axes, ours))


def _sizes(importer: Importer, node: Node, value: Value) -> tuple[list[int], list[float]]:
    """The sizes of all axes, and the scales of the positions."""
    shape, rank = value.shape, len(value.axes)
    sizes = importer.constant(node, 3)
    scales = importer.weights(node, 1 if node.op == "Upsample" or node.opset < 11 else 2)
    if node.op == "Upsample" and node.opset < 9:
        scales = np.array(node.numbers("scales"), F32)
    axes = node.integers("axes", list(range(rank)))
    if any(not -rank <= a < rank for a in axes):
        node.refuse("axes", f"expected axes of a tensor with {rank} axes")
    if node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        node.refuse("keep_aspect_ratio_policy", "expected stretch")
    given = [a for a in (sizes, scales) if a is not None and a.size]
    if len(given) != 1 or given[0].shape != (len(axes),):
        node.fail(f"expected {len(axes)} scales, or {len(axes)} sizes")
    found, factors = list(shape), [1.0] * rank
    for axis, number in zip(axes, given[0].tolist(), strict=True):
        is_size = given[0] is sizes
        found[axis] = int(number) if is_size else int(F32(shape[axis]) * F32(number))
        factors[axis] = float(F32(number) / F32(shape[axis])) if is_size else number
        if not is_size and not 0 < number < 1e6:
            node.fail(f"its scales are {given[0].tolist()}; expected numbers above 0")
    if found[0] == shape[0]:
        factors[0] = 1.0
    return found, factors


def _check_aligned(node: Node, sides: list[tuple[int, int, float]]) -> None:
    """Raise CheckpointError for scales with which runtimes compute different positions."""
    is_aligned = node.text("coordinate_transformation_mode") == "align_corners"
    if is_aligned and any(abs(size * scale - out) > 1e-3 for size, out, scale in sides):
        node.refuse(
            "coordinate_transformation_mode",
            f"its scales are {[s for *_, s in sides]}, with which no whole number of pixels is "
            "made, and runtimes compute different positions",
        )


def _check_kind(node: Node) -> None:
    """Raise CheckpointError for what is not read; an older form has the values that it means."""
    if node.op == "Upsample" or node.opset < 11:
        node.attributes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    mode = node.text("mode", "nearest")
    if mode not in (*OURS, "cubic"):
        node.refuse("mode", "expected nearest, linear or cubic")
    position = node.text("coordinate_transformation_mode", "half_pixel")
    if position not in POSITIONS:
        node.refuse("coordinate_transformation_mode", f"expected one of {', '.join(POSITIONS)}")
    if node.integer("antialias") and mode == "nearest":
        node.refuse("antialias", "expected 0 for the nearest pixel")
    if node.integer("exclude_outside") and mode != "cubic":
        node.refuse("exclude_outside", "expected 0 for a mode other than cubic")
    node.number("extrapolation_value")  # of a mode that is not read
    node.number("cubic_coeff_a"), node.text("nearest_mode")


def _layer(node: Node, sides: list[tuple[int, int, float]]) -> Layer:
    """sides: for rows and columns the size, that of the output, and the scale."""
    if any(size * out > LARGEST for size, out, _ in sides):
        node.fail(f"from {[s[0] for s in sides]} to {[s[1] for s in sides]} pixels; expected fewer")
    found = [_weights(node, *side) for side in sides]
    ours = OURS.get(node.text("mode", "nearest"))
    for scales in (tuple(out / size for size, out, _ in sides), tuple(s for *_, s in sides)):
        if ours is None or len(sides) < 2:
            break
        is_whole = all(s == int(s) for s in scales)
        given = zip(sides, scales, strict=True)
        same = [
            upsampling(size, out, ours, scale if is_whole else None)
            for (size, out, _), scale in given
        ]
        if all(np.allclose(a, b, atol=1e-6) for a, b in zip(found, same, strict=True)):
            if is_whole:
                return Upsample(tuple(map(int, scales)), ours)
            return Upsample(mode=ours, size=(sides[0][1], sides[1][1]))
    return Resample2d(*found)


def _weights(node: Node, size: int, count: int, scale: float) -> np.ndarray:
    """The `(count, size)` matrix whose row i has the weights of the pixels that output i reads."""
    x = _positions(node, size, count, F32(scale))
    mode, pixel = node.text("mode", "nearest"), np.arange(size)
    if mode == "nearest":
        nearest = _nearest(node, x).clip(0, size - 1)
        return (nearest[:, None] == pixel).astype(F32)
    # With antialiasing the filter grows with the distance of the outputs: none is left out.
    stretch = max(1.0, 1 / scale) if node.integer("antialias") else 1.0
    reach = math.ceil((2 if mode == "cubic" else 1) * stretch)
    taps = np.floor(x).astype(int)[:, None] + np.arange(1 - reach, reach + 1)
    t = (x[:, None] - taps) / stretch
    if mode == "cubic":
        weights = _cubic(t, node.number("cubic_coeff_a", -0.75))
    else:
        weights = np.maximum(1 - abs(t), 0)
    if node.integer("exclude_outside"):
        weights = np.where((taps >= 0) & (taps < size), weights, 0)
    weights = weights / weights.sum(1, keepdims=True)
    found = np.zeros((count, size))
    np.add.at(found, (np.arange(count)[:, None], taps.clip(0, size - 1)), weights)
    return found.astype(F32)


def _positions(node: Node, size: int, count: int, scale: np.float32) -> np.ndarray:
    """Where the outputs lie among the pixels, whose centers are at 0, 1, ..."""
    mode, i = node.text("coordinate_transformation_mode", "half_pixel"), np.arange(count, dtype=F32)
    half = F32(0.5)
    if mode == "align_corners":
        return i * F32(size - 1) / F32(count - 1) if count > 1 else i
    if mode == "asymmetric":
        return i / scale
    if mode == "tf_half_pixel_for_nn":
        return (i + half) / scale
    if mode == "pytorch_half_pixel" and count == 1:
        return i
    x = (i + half) / scale - half
    if mode == "half_pixel_symmetric":
        x = x + F32(size / 2) * (1 - F32(count) / (scale * F32(size)))
    return x


def _nearest(node: Node, x: np.ndarray) -> np.ndarray:
    """The pixel of each position, as `nearest_mode` rounds it."""
    mode = node.text("nearest_mode", "round_prefer_floor")
    rounding = {
        "round_prefer_floor": lambda: np.ceil(x - F32(0.5)),
        "round_prefer_ceil": lambda: np.floor(x + F32(0.5)),
        "floor": lambda: np.floor(x),
        "ceil": lambda: np.ceil(x),
    }
    if mode not in rounding:
        node.refuse("nearest_mode", f"expected one of {', '.join(rounding)}")
    return rounding[mode]()


def _cubic(t: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic at a distance t (Keys 1981, equation 4, with a in place of -1/2)."""
    t = abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = a * (((t - 5) * t + 8) * t - 4)
    return np.where(t <= 1, near, np.where(t < 2, far, 0))
