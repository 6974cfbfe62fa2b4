"""Windows that slide along a row: the inner step of a depthwise convolution.

The source goes by pixel by pixel. The sums of the results that read a pixel are in registers: each
pixel is loaded once. With t from 0 to `cells` - 1, pixel e of a step adds to result

    (t + e - (down - 1)) / down     of those in flight, where it is an integer >= 0

when a step reads `down` pixels and finishes `up` results; one of the two is 1.

Tiles may be those of several vectors of channels, one behind the other; pixels and weights lie
LANES floats behind those of the vector before.
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


def _behind(builder: ir.IRBuilder, place: ir.Value, vectors: int) -> ir.Value:
    """The place so many vectors behind."""
    return builder.add(place, ir.Constant(INT64, vectors * LANES))


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
def tile_rows(typing: Any, rows: Any, cells: Any, apart: Any, vectors: Any) -> Any:
    """The vectors at row[t * apart] for t < cells, of every row, as a tile of `vectors`."""
    tile = types.UniTuple(vector, vectors.literal_value * len(rows) * cells.literal_value)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        bases, _, apart, _ = values
        places = [builder.mul(apart, ir.Constant(INT64, t)) for t in range(cells.literal_value)]
        found = [
            _load(builder, row, _behind(builder, place, v))
            for v in range(vectors.literal_value)
            for row in _parts(builder, bases)
            for place in places
        ]
        return context.make_tuple(builder, tile, found)

    return tile(rows, cells, intp, vectors), generate


@with_constants
def add_rows(typing: Any, rows: Any, cells: Any, apart: Any, tile: Any) -> Any:
    """`row[t * apart] += tile[...]` for the vectors that `tile_rows` would load."""
    vectors = len(tile) // (len(rows) * cells.literal_value)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        bases, _, apart, tile = values
        places = [builder.mul(apart, ir.Constant(INT64, t)) for t in range(cells.literal_value)]
        cell_places = (
            (row, _behind(builder, place, v))
            for v in range(vectors)
            for row in _parts(builder, bases)
            for place in places
        )
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
        of_vector = len(rows) * cells.literal_value
        flight = len(found) * of_vector // len(weights)
        for v in range(len(found) // flight):
            for i, row in enumerate(_parts(builder, values[2])):
                pixel = _load(builder, row, _behind(builder, place, v))
                for t, at in _meets(cells, down, e):
                    weight = weights[v * of_vector + i * cells.literal_value + t]
                    sum = found[v * flight + at]
                    found[v * flight + at] = add_product(builder, pixel, weight, sum)
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
        of_vector = len(rows) * cells.literal_value
        flight = len(deltas) * of_vector // len(found)
        for v in range(len(deltas) // flight):
            for i, row in enumerate(_parts(builder, values[2])):
                pixel = _load(builder, row, _behind(builder, place, v))
                for t, at in _meets(cells, down, e):
                    cell = v * of_vector + i * cells.literal_value + t
                    delta = deltas[v * flight + at]
                    found[cell] = add_product(builder, pixel, delta, found[cell])
        return context.make_tuple(builder, sums, found)

    return sums(sums, dy, rows, intp, cells, down, e), generate


@with_constants
def tile_shift(typing: Any, tile: Any, count: Any, last: Any) -> Any:
    """The tile without the first `count` results of each vector of channels.

    Behind the others are zeros, and in the last place the vector of `last`.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        parts, found = _parts(builder, values[0]), []
        ends = _parts(builder, values[2])
        flight = len(parts) // len(ends)
        for v, end in enumerate(ends):
            zeros = [constant(0.0)] * (count.literal_value - 1)
            found += [*parts[v * flight + count.literal_value : (v + 1) * flight], *zeros, end]
        return context.make_tuple(builder, tile, found)

    return tile(tile, count, last), generate


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
