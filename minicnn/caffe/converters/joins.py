"""Layers with several inputs or outputs: Concat, Eltwise, Slice."""

from itertools import accumulate, pairwise

from ...layers import Add, Concatenate, Layer, Maximum, Multiply, Scale, Slice
from ..builder import Blob, Builder
from ..net import CaffeLayer
from ..order import cut
from .common import check_axis, only


def concat(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Concat along the channels."""
    p = layer.parameters("concat_param")
    if "axis" in p and "concat_dim" in p:
        raise ValueError("it has axis and also concat_dim; expected one of them")
    check_axis(p, bottoms[0], "axis" if "axis" in p else "concat_dim")
    if len(bottoms) == 1:
        return bottoms
    order = tuple(piece for blob in bottoms for piece in blob.order)
    return [builder.add(layer, Concatenate(), *bottoms, order=order)]


def eltwise(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Eltwise: SUM with factors, PROD and MAX of arrays of one shape."""
    p = layer.parameters("eltwise_param")
    if len(bottoms) < 2:
        raise ValueError("it reads 1 array; expected at least 2")
    operation, factors = p.get("operation", "SUM"), list(p.numbers("coeff"))
    if factors and (operation != "SUM" or len(factors) != len(bottoms)):
        raise ValueError(
            f"{operation} of {len(bottoms)} arrays with {len(factors)} values of coeff"
        )
    if len({(blob.shape, blob.order) for blob in bottoms}) > 1:
        shapes = ", ".join(str(blob.shape) for blob in bottoms)
        raise ValueError(f"it reads arrays of the shapes {shapes}; expected one shape and order")
    scaled = [
        blob
        if factor == 1
        else builder.add(layer, Scale(float(factor)), blob, suffix=f"_coeff{number}")
        for number, (blob, factor) in enumerate(
            zip(bottoms, factors or [1] * len(bottoms), strict=True)
        )
    ]
    kinds: dict[str, type[Layer]] = {"SUM": Add, "PROD": Multiply, "MAX": Maximum}
    return [builder.add(layer, kinds[operation](), *scaled)]


def slice_(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Slice of the channels, at the given points or into equal parts."""
    x, p, count = only(bottoms), layer.parameters("slice_param"), len(layer.tops)
    check_axis(p, x, "axis" if "axis" in p else "slice_dim")
    points = p.all("slice_point")
    if not points and count:
        if x.channels % count:
            raise ValueError(f"{x.channels} channels are no {count} equal parts")
        points = [x.channels // count] * (count - 1)
        points = list(accumulate(points))
    ends = [0, *points, x.channels]
    if len(points) != count - 1 or any(a >= b for a, b in pairwise(ends)):
        raise ValueError(f"slice_point is {points[:8]} for {count} parts of {x.channels} channels")
    return [_part(builder, layer, x, *ends) for ends in pairwise(ends)]


def _part(builder: Builder, layer: CaffeLayer, x: Blob, start: int, stop: int) -> Blob:
    """Caffe's channels from `start` up to `stop`."""
    order, (start, stop) = cut(x.order, start, stop)
    return builder.add(layer, Slice(start, stop), x, order=order, suffix=f"_{start}")
