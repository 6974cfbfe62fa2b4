"""Upsampling."""

from typing import Any

import numpy as np

from ...kernels.reference.upsample import source_weights
from ...layers import Resample2d, Upsample
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


@rule(Resample2d)
def resample(layer: Resample2d, x: Value, graph: GraphWriter) -> Value:
    """A matrix for columns, and one for rows."""
    n, h, w, c = x.shape
    if layer.columns is not None:
        w = len(layer.columns)
        x = graph.add("MatMul", x, graph.constant("columns", layer.columns.T), shape=(n, h, w, c))
    if layer.rows is not None:
        shape = n, len(layer.rows), w, c
        x = graph.add("MatMul", graph.constant("rows", layer.rows), x, shape=shape)
    return x


def _is_exact(scale: float, size: int, count: int) -> bool:
    """True if a runtime that computes in float32 has the same size and positions."""
    return float(np.float32(scale)) == scale and int(size * scale) == count
