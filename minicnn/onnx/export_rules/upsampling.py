"""Upsampling."""

from typing import Any

import numpy as np

from ...kernels.reference.upsample import source_weights
from ...layers import Upsample
from ..export_graph import GraphWriter, Value, rule
from .pooling import apply_to_axes


@rule(Upsample)
def upsample(layer: Upsample, x: Value, graph: GraphWriter) -> Value:
    """Resize if its scales are exact in float32; otherwise a matrix for rows and for columns."""
    shape = layer.output_shape(x.shape)
    sides = list(zip(x.shape[1:3], shape[1:3], strict=True))
    scales = layer.scale or [count / size for size, count in sides]
    if all(_is_exact(scale, *side) for scale, side in zip(scales, sides, strict=True)):
        nearest = {"mode": "nearest", "nearest_mode": "floor"}
        kind = nearest if layer.mode == "nearest" else {"mode": "linear"}
        positions = "asymmetric" if layer.mode == "nearest" else "half_pixel"
        factors = graph.constant("scales", np.array([1, 1, *scales], np.float32))
        options: dict[str, Any] = {**kind, "coordinate_transformation_mode": positions}
        return graph.add("Resize", x, None, factors, shape=shape, **options)
    rows, columns = (
        source_weights(np.zeros(1), size, count, layer.mode, layer.scale and scale)
        for (size, count), scale in zip(sides, scales, strict=True)
    )
    return apply_to_axes(rows, columns, x, graph)


def _is_exact(scale: float, size: int, count: int) -> bool:
    """True if a runtime that computes in float32 has the same size and positions."""
    return float(np.float32(scale)) == scale and int(size * scale) == count
