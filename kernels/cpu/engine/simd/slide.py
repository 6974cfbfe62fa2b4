"""Windows that slide along a row: the inner step of a depthwise convolution.

The source goes by pixel by pixel. The sums of the results that read a pixel are in registers: each
pixel is loaded once. With t from 0 to `cells` - 1, pixel e of a step adds to result

    (t + e - (down - 1)) / down     of those in flight, where it is an integer >= 0

when a step reads `down` pixels and finishes `up` results; one of the two is 1.
"""

from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba import types

from .host import FLOAT, LANES
from .tile import add_product, with_constants
from .vector import INT64, VECTOR, constant, intp, pointer_to, vector


def _load(builder: ir.IRBuilder, base: ir.Value, place: ir.Value) -> ir.Value:
    """The vector at base[place]."""
    value = builder.load(pointer_to(builder, base, place, VECTOR))
    value.align = FLOAT
    return value


def _parts(builder: ir.IRBuilder, tile: ir.Value) -> list[ir.Value]:
    return [builder.extract_value(tile, i) for i in range(tile.type.count)]


def _meets(cells: Any, down: Any, e: Any) -> Iterator[tuple[int, int]]:
    """The cells t to which pixel e of a step belongs, each with the number of the result."""
    for t in range(cells.literal_value):
        ahead = t + e.literal_value - (down.literal_value - 1)
        if ahead >= 0 and ahead % down.literal_value == 0:
            yield t, ahead // down.literal_value


@with_constants
def row_addresses(typing: Any, base: Any, table: Any, rows: Any) -> Any:
    """base + FLOAT * table[i] for i < rows; the table holds 64-bit integers."""
    result = types.UniTuple(intp, rows.literal_value)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        pointer, found = builder.inttoptr(values[1], INT64.as_pointer()), []
        for i in range(len(result)):
            distance = builder.load(builder.gep(pointer, [ir.Constant(INT64, i)]))
            distance = builder.mul(distance, ir.Constant(INT64, FLOAT))
            found.append(builder.add(values[0], distance))
        return context.make_tuple(builder, result, found)

    return result(intp, intp, rows), generate


@with_constants
def tile_rows(typing: Any, rows: Any, cells: Any, apart: Any) -> Any:
    """The vectors at row[t * apart] for t < cells, of every row, as a tile."""
    tile = types.UniTuple(vector, len(rows) * cells.literal_value)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        bases, _, apart = values
        places = [builder.mul(apart, ir.Constant(INT64, t)) for t in range(cells.literal_value)]
        found = [_load(builder, row, at) for row in _parts(builder, bases) for at in places]
        return context.make_tuple(builder, tile, found)

    return tile(rows, cells, intp), generate


@with_constants
def add_rows(typing: Any, rows: Any, cells: Any, apart: Any, tile: Any) -> Any:
    """`row[t * apart] += tile[...]` for the vectors that `tile_rows` would load."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        bases, _, apart, tile = values
        places = [builder.mul(apart, ir.Constant(INT64, t)) for t in range(cells.literal_value)]
        cell_places = ((row, at) for row in _parts(builder, bases) for at in places)
        for (row, at), sum in zip(cell_places, _parts(builder, tile), strict=True):
            total = builder.fadd(_load(builder, row, at), sum)
            builder.store(total, pointer_to(builder, row, at, VECTOR)).align = FLOAT
        return context.get_dummy_value()

    return types.void(rows, cells, intp, tile), generate


@with_constants
def slide_multiply(
    typing: Any, sums: Any, w: Any, rows: Any, place: Any, cells: Any, down: Any, e: Any
) -> Any:
    """Add the pixel at row[place] of every row, times its cells, to the results that read it.

    w is a tile of rows x cells; the pixel is the e-th of its step.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        found, weights, place = _parts(builder, values[0]), _parts(builder, values[1]), values[3]
        for i, row in enumerate(_parts(builder, values[2])):
            pixel = _load(builder, row, place)
            for t, at in _meets(cells, down, e):
                weight = weights[i * cells.literal_value + t]
                found[at] = add_product(builder, pixel, weight, found[at])
        return context.make_tuple(builder, sums, found)

    return sums(sums, w, rows, intp, cells, down, e), generate


@with_constants
def slide_products(
    typing: Any, sums: Any, dy: Any, rows: Any, place: Any, cells: Any, down: Any, e: Any
) -> Any:
    """Add the pixel at row[place] of every row, times the results that read it, to their cells.

    sums is a tile of rows x cells, dy one of the results in flight.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        found, deltas, place = _parts(builder, values[0]), _parts(builder, values[1]), values[3]
        for i, row in enumerate(_parts(builder, values[2])):
            pixel = _load(builder, row, place)
            for t, at in _meets(cells, down, e):
                cell = i * cells.literal_value + t
                found[cell] = add_product(builder, pixel, deltas[at], found[cell])
        return context.make_tuple(builder, sums, found)

    return sums(sums, dy, rows, intp, cells, down, e), generate


@with_constants
def tile_shift(typing: Any, tile: Any, count: Any, last: Any) -> Any:
    """The tile without its first `count` vectors; behind, zeros, and in the last place `last`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        kept = _parts(builder, values[0])[count.literal_value :]
        zeros = [constant(0.0)] * (count.literal_value - 1)
        return context.make_tuple(builder, tile, [*kept, *zeros, values[2]])

    return tile(tile, count, vector), generate


@with_constants
def multiply_vectors(typing: Any, tile: Any, p: Any, w: Any) -> Any:
    """`tile[t] += p[t * LANES] * w[t * LANES]`, numbers by numbers."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        sums, p, w = values
        found = []
        for t, sum in enumerate(_parts(builder, sums)):
            place = ir.Constant(INT64, t * LANES)
            found.append(
                add_product(builder, _load(builder, p, place), _load(builder, w, place), sum)
            )
        return context.make_tuple(builder, tile, found)

    return tile(tile, intp, intp), generate
