"""Register tiles: tuples of vectors that stay in registers while a matrix product sums over k."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .host import LANES
from .vector import (
    FLOAT,
    INT32,
    INT64,
    MASK,
    SUFFIX,
    VECTOR,
    broadcast,
    call,
    constant,
    first_lanes,
    intp,
    pointer_to,
    vector,
)


def _with_constants(function: Callable[..., Any]) -> Any:
    """An intrinsic whose signature depends on arguments that are constants."""
    return intrinsic(prefer_literal=True)(function)


def _tile(rows: types.Literal, vectors: types.Literal) -> types.UniTuple:
    return types.UniTuple(vector, rows.literal_value * vectors.literal_value)


@_with_constants
def tile_zeros(typing: Any, rows: Any, vectors: Any) -> Any:
    """A tile of rows x vectors zeros; both are constants."""
    tile = _tile(rows, vectors)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        return context.make_tuple(builder, tile, [constant(0.0)] * len(tile))

    return tile(rows, vectors), generate


@_with_constants
def tile_multiply(
    typing: Any, tile: Any, rows: Any, vectors: Any, a: Any, row_step: Any, b: Any
) -> Any:
    """Add an outer product, one FMA per vector: `tile[r] += a[r * row_step] * b[:]`.

    b holds `vectors` vectors in a row.
    """
    r, n = rows.literal_value, vectors.literal_value

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        tile, _, _, a, row_step, b = values
        fma = f"llvm.fmuladd.{SUFFIX}"
        columns = []
        for j in range(n):
            columns.append(
                builder.load(pointer_to(builder, b, ir.Constant(INT64, j * LANES), VECTOR))
            )
            columns[-1].align = 4
        offset, result = ir.Constant(INT64, 0), []
        for i in range(r):
            factor = broadcast(builder, builder.load(pointer_to(builder, a, offset, FLOAT)))
            result += [
                call(builder, fma, factor, columns[j], builder.extract_value(tile, i * n + j))
                for j in range(n)
            ]
            offset = builder.add(offset, row_step)
        return context.make_tuple(builder, signature.return_type, result)

    return tile(tile, rows, vectors, intp, intp, intp), generate


@_with_constants
def addresses(typing: Any, table: Any, rows: Any) -> Any:
    """The first `rows` addresses of the table at `table` as a tuple; rows is a constant."""
    result = types.UniTuple(intp, rows.literal_value)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        pointer = builder.inttoptr(values[0], INT64.as_pointer())
        indices = [ir.Constant(INT64, r) for r in range(len(result))]
        return context.make_tuple(
            builder, result, [builder.load(builder.gep(pointer, [i])) for i in indices]
        )

    return result(intp, rows), generate


@_with_constants
def tile_multiply_at(typing: Any, tile: Any, vectors: Any, rows: Any, i: Any, b: Any) -> Any:
    """`tile_multiply` for rows of a at separate addresses: `tile[r] += rows[r][i] * b[:]`."""
    n, r = vectors.literal_value, len(rows)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        tile, _, rows, i, b = values
        columns = []
        for j in range(n):
            columns.append(
                builder.load(pointer_to(builder, b, ir.Constant(INT64, j * LANES), VECTOR))
            )
            columns[-1].align = 4
        result = []
        for row in range(r):
            factor = broadcast(
                builder,
                builder.load(pointer_to(builder, builder.extract_value(rows, row), i, FLOAT)),
            )
            for j in range(n):
                result.append(
                    call(
                        builder,
                        f"llvm.fmuladd.{SUFFIX}",
                        factor,
                        columns[j],
                        builder.extract_value(tile, row * n + j),
                    )
                )
        return context.make_tuple(builder, signature.return_type, result)

    return tile(tile, vectors, rows, intp, intp), generate


@_with_constants
def tile_store(
    typing: Any,
    tile: Any,
    vectors: Any,
    c: Any,
    step: Any,
    rows: Any,
    n: Any,
    add: Any,
    scale: Any,
    bias: Any,
    relu: Any,
) -> Any:
    """c[r * step + j] = the tile's first `rows` rows and n columns, with an epilogue.

    The value is multiplied by scale[j] and increased by bias[j] (unless these addresses are 0),
    added to c if `add`, and clipped at 0 if `relu`. The options cost no branches: a masked load of
    no lanes gives zeros, and a maximum with -inf changes nothing.
    """
    columns = vectors.literal_value

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        tile, _, c, step, rows, n, add, scale, bias, relu = values
        zero = ir.Constant(INT64, 0)

        def unless_zero(condition: ir.Value, mask: ir.Value) -> ir.Value:
            return builder.select(
                builder.icmp_signed("!=", condition, zero), mask, constant(0, MASK)
            )

        def masked_load(p: ir.Value, i: ir.Value, mask: ir.Value, other: float = 0.0) -> ir.Value:
            name = f"llvm.masked.load.{SUFFIX}.p0"
            return call(
                builder,
                name,
                pointer_to(builder, p, i, VECTOR),
                ir.Constant(INT32, 4),
                mask,
                constant(other),
            )

        def column_values(p: ir.Value, other: float) -> list[ir.Value]:
            """One vector per column from p on, or `other` if p is 0.

            Nothing is read then, but a masked load from an invalid address is slow.
            """
            readable = builder.select(builder.icmp_signed("!=", p, zero), p, c)
            return [
                masked_load(readable, offset, unless_zero(p, mask), other)
                for offset, mask in zip(offsets, masks, strict=True)
            ]

        least = builder.select(
            builder.icmp_signed("!=", relu, zero), constant(0.0), constant(float("-inf"))
        )
        offsets = [ir.Constant(INT64, j * LANES) for j in range(columns)]
        masks = [first_lanes(builder, builder.sub(n, offset)) for offset in offsets]
        scales, biases = column_values(scale, 1.0), column_values(bias, 0.0)
        old = [unless_zero(add, mask) for mask in masks]

        def write(whole: bool) -> None:
            """Store the rows, as whole vectors or with the columns' masks."""
            row = c
            for r in range(len(signature.args[0]) // columns):
                with builder.if_then(
                    builder.icmp_signed(">", rows, ir.Constant(INT64, r)), likely=True
                ):
                    for j, offset in enumerate(offsets):
                        value = builder.extract_value(tile, r * columns + j)
                        value = call(builder, f"llvm.fmuladd.{SUFFIX}", value, scales[j], biases[j])
                        value = builder.fadd(value, masked_load(row, offset, old[j]))
                        value = builder.select(
                            builder.fcmp_ordered("<", value, least), least, value
                        )
                        pointer = pointer_to(builder, row, offset, VECTOR)
                        if whole:
                            builder.store(value, pointer).align = 4
                        else:
                            arguments = value, pointer, ir.Constant(INT32, 4), masks[j]
                            call(
                                builder,
                                f"llvm.masked.store.{SUFFIX}.p0",
                                *arguments,
                                result=ir.VoidType(),
                            )
                row = builder.add(row, builder.mul(step, ir.Constant(INT64, 4)))

        # Masked stores take twice as long.
        with builder.if_else(
            builder.icmp_signed(">=", n, ir.Constant(INT64, columns * LANES)), likely=True
        ) as (whole, part):
            with whole:
                write(True)
            with part:
                write(False)
        return context.get_dummy_value()

    return types.void(tile, vectors, *[intp] * 8), generate
