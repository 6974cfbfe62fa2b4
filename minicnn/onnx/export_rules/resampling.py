"""Resampling."""

from typing import Any

import numpy as np

from ...layers import Resample2d, Upsample
from ...layers.resample import Resampling
from ..export_graph import GraphWriter, Value, rule


@rule(Upsample)
def upsample(layer: Upsample, x: Value, graph: GraphWriter) -> Value:
    """Resize if its scales are exact in float32; otherwise a matrix for rows and for columns."""
    shape = layer.output_shape(x.shape)
    sides = list(zip(x.shape[1:3], shape[1:3], strict=True))
    scales = layer.scale or [count / size for size, count in sides]
    if not all(_is_exact(scale, *side) for scale, side in zip(scales, sides, strict=True)):
        return two_products(layer, x, graph)
    nearest = {"mode": "nearest", "nearest_mode": "floor"}
    kind = nearest if layer.mode == "nearest" else {"mode": "linear"}
    positions = "asymmetric" if layer.mode == "nearest" else "half_pixel"
    factors = graph.constant("scales", np.array([1, 1, *scales], np.float32))
    options: dict[str, Any] = {**kind, "coordinate_transformation_mode": positions}
    return graph.add("Resize", x, None, factors, shape=shape, **options)


@rule(Resample2d)
def two_products(layer: Resampling, x: Value, graph: GraphWriter) -> Value:
    """A matrix for columns, and one for rows."""
    rows, columns = layer.matrices(x.shape)
    n, h, w, c = x.shape
    if columns is not None:
        w = len(columns)
        x = graph.add("MatMul", x, graph.constant("columns", columns.T), shape=(n, h, w, c))
    if rows is not None:
        x = graph.add("MatMul", graph.constant("rows", rows), x, shape=(n, len(rows), w, c))
    return x


def _is_exact(scale: float, size: int, count: int) -> bool:
    """True if a runtime that computes in float32 has the same size and positions."""
    return float(np.float32(scale)) == scale and int(size * scale) == count
