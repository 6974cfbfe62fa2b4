"""Windows that slide over vectors: the inner step of a depthwise convolution.

The results of a tile are neighbors, so their windows overlap. Each vector is loaded once.
"""

from typing import Any

from llvmlite import ir
from numba import types

from .host import FLOAT, LANES
from .tile import with_constants
from .vector import INT64, SUFFIX, VECTOR, call, intp, pointer_to, vector


def _load(builder: ir.IRBuilder, base: ir.Value, index: int, apart: ir.Value) -> ir.Value:
    """The vector at base[index * apart]; index is a constant."""
    place = builder.mul(apart, ir.Constant(INT64, index))
    value = builder.load(pointer_to(builder, base, place, VECTOR))
    value.align = FLOAT
    return value


def _fma(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    return call(builder, f"llvm.fmuladd.{SUFFIX}", a, b, c)


@with_constants
def slide_multiply(
    typing: Any, tile: Any, cells: Any, step: Any, row: Any, apart: Any, w: Any, between: Any
) -> Any:
    """`tile[t] += sum_j row[(t * step + j) * apart] * w[j * between]` for j < cells."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        results, _, _, row, apart, w, between = values
        sums = [builder.extract_value(results, t) for t in range(len(tile))]
        pixels: dict[int, ir.Value] = {}
        for j in range(cells.literal_value):
            weight = _load(builder, w, j, between)
            for t in range(len(tile)):
                at = t * step.literal_value + j
                if at not in pixels:
                    pixels[at] = _load(builder, row, at, apart)
                sums[t] = _fma(builder, pixels[at], weight, sums[t])
        return context.make_tuple(builder, tile, sums)

    return tile(tile, cells, step, *[intp] * 4), generate


@with_constants
def slide_products(
    typing: Any, sums: Any, tile: Any, cells: Any, step: Any, row: Any, apart: Any
) -> Any:
    """`sums[j] += sum_t tile[t] * row[(t * step + j) * apart]` for j < cells.

    Odd t go to sums[cells + j]: additions to one sum wait for each other.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        totals, factors, _, _, row, apart = values
        found = [builder.extract_value(totals, k) for k in range(len(sums))]
        pixels: dict[int, ir.Value] = {}
        for t in range(len(tile)):
            factor = builder.extract_value(factors, t)
            for j in range(cells.literal_value):
                at, k = t * step.literal_value + j, t % 2 * cells.literal_value + j
                if at not in pixels:
                    pixels[at] = _load(builder, row, at, apart)
                found[k] = _fma(builder, factor, pixels[at], found[k])
        return context.make_tuple(builder, sums, found)

    return sums(sums, tile, cells, step, intp, intp), generate


@with_constants
def tile_load(typing: Any, results: Any, p: Any, apart: Any) -> Any:
    """The vectors p[t * apart] for t < results, as a tile."""
    tile = types.UniTuple(vector, results.literal_value)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        _, p, apart = values
        return context.make_tuple(
            builder, tile, [_load(builder, p, t, apart) for t in range(len(tile))]
        )

    return tile(results, intp, intp), generate


@with_constants
def multiply_vectors(typing: Any, tile: Any, p: Any, w: Any) -> Any:
    """`tile[t] += p[t * LANES] * w[t * LANES]`, numbers by numbers."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        sums, p, w = values
        apart, found = ir.Constant(INT64, LANES), []
        for t in range(len(tile)):
            a, b = (_load(builder, base, t, apart) for base in (p, w))
            found.append(_fma(builder, a, b, builder.extract_value(sums, t)))
        return context.make_tuple(builder, tile, found)

    return tile(tile, intp, intp), generate
