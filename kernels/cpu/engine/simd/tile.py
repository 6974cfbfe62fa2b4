"""Register tiles: tuples of vectors that stay in registers while a matrix product sums over k.

The numbers of rows and of vectors per row are constants.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .host import FLOAT, LANES
from .vector import (
    FLOAT32,
    INT64,
    INTEGERS,
    MASK,
    SUFFIX,
    VECTOR,
    broadcast,
    call,
    constant,
    first_lanes,
    intp,
    masked_load,
    masked_store,
    operation,
    pointer_to,
    vector,
)


def with_constants(function: Callable[..., Any]) -> Any:
    """An intrinsic whose signature depends on arguments that are constants."""
    return intrinsic(prefer_literal=True)(function)


@with_constants
def tile_zeros(typing: Any, rows: Any, vectors: Any) -> Any:
    """A tile of rows x vectors zeros."""
    tile = types.UniTuple(vector, rows.literal_value * vectors.literal_value)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        return context.make_tuple(builder, tile, [constant(0.0)] * len(tile))

    return tile(rows, vectors), generate


def add_product(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, sums: ir.Value) -> ir.Value:
    """sums + a * b in each lane."""
    return call(builder, f"llvm.fmuladd.{SUFFIX}", a, b, sums)


def add_products(
    builder: ir.IRBuilder, tile: ir.Value, factors: Iterable[ir.Value], b: ir.Value, vectors: int
) -> list[ir.Value]:
    """tile[r] + factors[r] * b, one FMA per vector; b is the address of a row of vectors."""
    columns = []
    for j in range(vectors):
        place = pointer_to(builder, b, ir.Constant(INT64, j * LANES), VECTOR)
        columns.append(builder.load(place))
        columns[-1].align = FLOAT
    result: list[ir.Value] = []
    for factor in factors:
        for column in columns:
            old = builder.extract_value(tile, len(result))
            result.append(add_product(builder, factor, column, old))
    return result


@with_constants
def tile_multiply(
    typing: Any, tile: Any, rows: Any, vectors: Any, a: Any, row_step: Any, b: Any
) -> Any:
    """Add an outer product: `tile[r] += a[r * row_step] * b[:]`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        tile, _, _, a, row_step, b = values

        def factors() -> Iterable[ir.Value]:
            offset = ir.Constant(INT64, 0)
            for _ in range(rows.literal_value):
                value = builder.load(pointer_to(builder, a, offset, FLOAT32))
                yield broadcast(builder, value)
                offset = builder.add(offset, row_step)

        result = add_products(builder, tile, factors(), b, vectors.literal_value)
        return context.make_tuple(builder, signature.return_type, result)

    return tile(tile, rows, vectors, intp, intp, intp), generate


@with_constants
def addresses(typing: Any, table: Any, rows: Any) -> Any:
    """The first `rows` addresses of the table at `table` as a tuple."""
    result = types.UniTuple(intp, rows.literal_value)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        pointer = builder.inttoptr(values[0], INT64.as_pointer())
        indices = [ir.Constant(INT64, r) for r in range(len(result))]
        return context.make_tuple(
            builder, result, [builder.load(builder.gep(pointer, [i])) for i in indices]
        )

    return result(intp, rows), generate


@with_constants
def tile_multiply_at(typing: Any, tile: Any, vectors: Any, rows: Any, i: Any, b: Any) -> Any:
    """`tile_multiply` for rows of a at separate addresses: `tile[r] += rows[r][i] * b[:]`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        tile, _, row_addresses, i, b = values

        def factors() -> Iterable[ir.Value]:
            for r in range(len(rows)):
                row = builder.extract_value(row_addresses, r)
                yield broadcast(builder, builder.load(pointer_to(builder, row, i, FLOAT32)))

        result = add_products(builder, tile, factors(), b, vectors.literal_value)
        return context.make_tuple(builder, signature.return_type, result)

    return tile(tile, vectors, rows, intp, intp), generate


def _vectors(
    builder: ir.IRBuilder, base: ir.Value, step: ir.Value, count: int
) -> Iterable[ir.Value]:
    """The vectors at the address `base`, `step` floats apart."""
    for i in range(count):
        place = builder.mul(step, ir.Constant(INT64, i))
        value = builder.load(pointer_to(builder, base, place, VECTOR))
        value.align = FLOAT
        yield value


@with_constants
def tile_multiply_shifted(
    typing: Any, tile: Any, rows: Any, a: Any, a_step: Any, b: Any, b_step: Any
) -> Any:
    """`tile[r, t] += a[r * a_step:] * b[t * b_step:]`, numbers by numbers."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        tile, _, a, a_step, b, b_step = values
        height = rows.literal_value
        result: list[ir.Value] = []
        right = list(_vectors(builder, b, b_step, len(signature.return_type) // height))
        for left in _vectors(builder, a, a_step, height):
            for value in right:
                old = builder.extract_value(tile, len(result))
                result.append(add_product(builder, left, value, old))
        return context.make_tuple(builder, signature.return_type, result)

    return tile(tile, rows, intp, intp, intp, intp), generate


@with_constants
def tile_convolve(
    typing: Any, tile: Any, a: Any, a_step: Any, taps: Any, b: Any, b_step: Any
) -> Any:
    """`tile[r] += sum over t < taps of a[(r + t) * a_step:] * b[t * b_step:]`.

    Each vector of a is loaded once, and those of b stay in registers.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        tile, a, a_step, _, b, b_step = values
        height, count = len(signature.return_type), taps.literal_value
        right = list(_vectors(builder, b, b_step, count))
        result = [builder.extract_value(tile, r) for r in range(height)]
        for h, left in enumerate(_vectors(builder, a, a_step, height + count - 1)):
            for t in range(max(0, h - height + 1), min(count, h + 1)):
                result[h - t] = add_product(builder, left, right[t], result[h - t])
        return context.make_tuple(builder, signature.return_type, result)

    return tile(tile, intp, intp, taps, intp, intp), generate


@with_constants
def tile_add_at(typing: Any, tile: Any, vectors: Any, rows: Any, i: Any, count: Any) -> Any:
    """`rows[r][i:] += tile[r]` for the first `count` rows, which may be the same ones."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        tile, _, row_addresses, i, count = values
        places = [
            builder.add(i, ir.Constant(INT64, j * LANES)) for j in range(vectors.literal_value)
        ]
        for r in range(len(rows)):
            exists = builder.icmp_signed(">", count, ir.Constant(INT64, r))
            row = builder.extract_value(row_addresses, r)
            with builder.if_then(exists, likely=True):
                for j, place in enumerate(places):
                    target = pointer_to(builder, row, place, VECTOR)
                    old = builder.load(target)
                    old.align = FLOAT
                    sum = builder.fadd(old, builder.extract_value(tile, r * len(places) + j))
                    builder.store(sum, target).align = FLOAT
        return context.get_dummy_value()

    return types.void(tile, vectors, rows, intp, intp), generate


@operation(intp, intp, intp, intp, result=types.void)
def transpose(
    builder: ir.IRBuilder, a: ir.Value, a_step: ir.Value, c: ir.Value, c_step: ir.Value
) -> None:
    """c[r, k] = a[k, r] for LANES rows and columns; rows are a_step and c_step floats apart.

    Pairs of rows `half` apart exchange the blocks of half x half numbers off the diagonal, for
    half = 1, 2, 4, ... (Eklundh 1972).
    """
    rows = []
    for r in range(LANES):
        place = builder.mul(a_step, ir.Constant(INT64, r))
        rows.append(builder.load(pointer_to(builder, a, place, VECTOR)))
        rows[-1].align = FLOAT
    half = 1
    while half < LANES:
        lanes = range(LANES)
        low = [i if not i & half else LANES + i - half for i in lanes]
        high = [i + half if not i & half else LANES + i for i in lanes]
        for r in (r for r in lanes if not r & half):
            pair = rows[r], rows[r + half]
            rows[r], rows[r + half] = (
                builder.shuffle_vector(*pair, ir.Constant(INTEGERS, chosen))
                for chosen in (low, high)
            )
        half *= 2
    for r, row in enumerate(rows):
        place = builder.mul(c_step, ir.Constant(INT64, r))
        builder.store(row, pointer_to(builder, c, place, VECTOR)).align = FLOAT


class _Column(NamedTuple):
    """What `tile_store` applies to one vector of every row."""

    offset: ir.Value  # in floats from the start of the row
    mask: ir.Value  # lanes that are columns of c
    old: ir.Value  # lanes to which c is added
    scale: ir.Value
    bias: ir.Value


@with_constants
def tile_store(typing: Any, tile: Any, vectors: Any, c: Any, epilogue: Any) -> Any:
    """c = f(scale * tile + bias + c if `add`).

    c is a record `Rows`, of which at most the rows and columns of the tile are written; epilogue is
    an `Epilogue`. The options need no branches: a masked load of no lanes gives zeros, and bounds
    at -inf and inf change nothing.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        per_row = vectors.literal_value
        data, step, rows, n = _fields(context, builder, c, values[2])
        add, scale, bias, bounds = _fields(context, builder, epilogue, values[3])
        parts = [builder.extract_value(values[0], i) for i in range(len(tile))]
        offsets = [ir.Constant(INT64, j * LANES) for j in range(per_row)]
        masks = [first_lanes(builder, builder.sub(n, offset)) for offset in offsets]
        scales = _column_values(builder, scale, data, offsets, masks, 1.0)
        biases = _column_values(builder, bias, data, offsets, masks, 0.0)
        old = [_mask_unless_zero(builder, add, mask) for mask in masks]
        columns = [_Column(*k) for k in zip(offsets, masks, old, scales, biases, strict=True)]
        limits = _limits(builder, bounds)

        def write(whole: bool) -> None:
            row = data
            for r in range(len(parts) // per_row):
                exists = builder.icmp_signed(">", rows, ir.Constant(INT64, r))
                with builder.if_then(exists, likely=True):
                    for j, column in enumerate(columns):
                        _store(builder, parts[r * per_row + j], row, column, limits, whole)
                row = builder.add(row, builder.mul(step, ir.Constant(INT64, FLOAT)))

        # Masked stores take twice as long.
        is_whole = builder.icmp_signed(">=", n, ir.Constant(INT64, per_row * LANES))
        with builder.if_else(is_whole, likely=True) as (whole, part):
            with whole:
                write(True)
            with part:
                write(False)
        return context.get_dummy_value()

    return types.void(tile, vectors, c, epilogue), generate


def _fields(context: Any, builder: ir.IRBuilder, record: Any, value: ir.Value) -> list[ir.Value]:
    """The fields of a record as 64-bit integers, also those that are booleans or constants."""
    values = [builder.extract_value(value, i) for i in range(len(record.types))]
    return [
        context.cast(builder, v, kind, intp) for v, kind in zip(values, record.types, strict=True)
    ]


def _limits(builder: ir.IRBuilder, bounds: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The least and the largest value of a result: those of `Epilogue.bounds`."""
    is_relu6 = builder.icmp_signed("==", bounds, ir.Constant(INT64, 2))
    return (
        builder.select(_is_not_zero(builder, bounds), constant(0.0), constant(float("-inf"))),
        builder.select(is_relu6, constant(6.0), constant(float("inf"))),
    )


def _is_not_zero(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    return builder.icmp_signed("!=", value, ir.Constant(INT64, 0))


def _mask_unless_zero(builder: ir.IRBuilder, condition: ir.Value, mask: ir.Value) -> ir.Value:
    """The mask, or no lanes if `condition` is 0."""
    return builder.select(_is_not_zero(builder, condition), mask, constant(0, MASK))


def _column_values(
    builder: ir.IRBuilder,
    p: ir.Value,
    readable: ir.Value,
    offsets: list[ir.Value],
    masks: list[ir.Value],
    other: float,
) -> list[ir.Value]:
    """The vectors at the address p, one per column, or `other` if p is 0.

    The masked load then reads no lanes. It is slow at an invalid address, so it gets `readable`.
    """
    source = builder.select(_is_not_zero(builder, p), p, readable)
    return [
        masked_load(builder, source, offset, _mask_unless_zero(builder, p, mask), constant(other))
        for offset, mask in zip(offsets, masks, strict=True)
    ]


def _store(
    builder: ir.IRBuilder,
    value: ir.Value,
    row: ir.Value,
    column: _Column,
    limits: tuple[ir.Value, ir.Value],
    whole: bool,
) -> None:
    """Apply the epilogue to one vector and store it, as a whole or with the column's mask."""
    value = call(builder, f"llvm.fmuladd.{SUFFIX}", value, column.scale, column.bias)
    before = masked_load(builder, row, column.offset, column.old, constant(0.0))
    value = builder.fadd(value, before)
    for bound, limit in zip("<>", limits, strict=True):
        value = builder.select(builder.fcmp_ordered(bound, value, limit), limit, value)
    if whole:
        builder.store(value, pointer_to(builder, row, column.offset, VECTOR)).align = FLOAT
    else:
        masked_store(builder, row, column.offset, value, column.mask)
