"""Layers from maps to vectors: Flatten, Reshape, InnerProduct."""

import math
from typing import Any

from ...layers import Flatten, Linear
from ..builder import Blob, Builder, put
from ..net import CaffeLayer
from ..order import channels, flattened, index, is_plain
from .common import check_axis, only, weights_of


def flatten(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Flatten: ours goes pixel by pixel, Caffe's map by map; what reads the result is permuted."""
    x, p = only(bottoms), layer.parameters("flatten_param")
    check_axis(p, x)
    if p.get("end_axis", -1) not in (-1, len(x.shape)):
        raise ValueError(f"end_axis is {p.get('end_axis')}; only the last axis is known")
    return [_flat(builder, layer, x)]


def _flat(builder: Builder, layer: CaffeLayer, x: Blob, suffix: str = "") -> Blob:
    if len(x.shape) == 1:
        return x
    order = flattened(x.order, *x.shape[:2])
    return builder.add(layer, Flatten(), x, order=order, suffix=suffix)


def reshape(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Reshape: only to the same shape, or to vectors."""
    x, p = only(bottoms), layer.parameters("reshape_param")
    dims = p.get("shape").all("dim") if "shape" in p else []
    if p.get("axis", 0) or p.get("num_axes", -1) != -1:
        raise ValueError("it reshapes only some of the axes, which is not known")
    *maps, depth = x.shape
    own = (0, depth, *maps)  # as Caffe orders them
    count = math.prod(x.shape)
    if len(dims) == 2 and dims[0] in (0, -1) and dims[1] in (-1, count) and dims != [-1, -1]:
        return [_flat(builder, layer, x)]
    if len(dims) == len(own) and all(d in (0, n) for d, n in zip(dims[1:], own[1:], strict=True)):
        return [x]
    raise ValueError(f"it gives the shape {tuple(dims[:8])}; only vectors, (0, -1), are known")


def inner_product(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """InnerProduct: weights (outputs, inputs) become (inputs, outputs), inputs in our order."""
    x, p = only(bottoms), layer.parameters("inner_product_param")
    check_axis(p, x)
    inputs, outputs = math.prod(x.shape), p.get("num_output", 0)
    has_bias, is_transposed = p.get("bias_term", True), p.get("transpose", False)
    shape = (inputs, outputs) if is_transposed else (outputs, inputs)
    weight, *bias = weights_of(layer, shape, *[(outputs,)] * has_bias)
    x = _flat(builder, layer, x, "_flatten")

    def fill(target: Any) -> None:
        array = weight.array() if is_transposed else weight.array().T
        put(target.weight, array if is_plain(x.order) else array[index(x.order)])
        if has_bias:
            put(target.bias, bias[0].array())

    made = Linear(inputs, outputs, bias=has_bias)
    return [builder.add(layer, made, x, order=channels(outputs), fill=fill)]
