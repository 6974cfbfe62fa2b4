"""Register tiles: tuples of vectors that stay in registers while a matrix product sums over k."""

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


def _tile(rows, vectors):
    return types.UniTuple(vector, rows.literal_value * vectors.literal_value)


@intrinsic(prefer_literal=True)
def tile_zeros(typing, rows, vectors):
    """A tile of rows x vectors zeros; both are constants."""
    tile = _tile(rows, vectors)

    def generate(context, builder, signature, values):
        return context.make_tuple(builder, tile, [constant(0.0)] * len(tile))

    return tile(rows, vectors), generate


@intrinsic(prefer_literal=True)
def tile_multiply(typing, tile, rows, vectors, a, row_step, b):
    """Add an outer product, one FMA per vector: `tile[r] += a[r * row_step] * b[:]`.

    b holds `vectors` vectors in a row.
    """
    r, n = rows.literal_value, vectors.literal_value

    def generate(context, builder, signature, values):
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


@intrinsic(prefer_literal=True)
def addresses(typing, table, rows):
    """The first `rows` addresses of the table at `table` as a tuple; rows is a constant."""
    result = types.UniTuple(intp, rows.literal_value)

    def generate(context, builder, signature, values):
        pointer = builder.inttoptr(values[0], INT64.as_pointer())
        indices = [ir.Constant(INT64, r) for r in range(len(result))]
        return context.make_tuple(
            builder, result, [builder.load(builder.gep(pointer, [i])) for i in indices]
        )

    return result(intp, rows), generate


@intrinsic(prefer_literal=True)
def tile_multiply_at(typing, tile, vectors, rows, i, b):
    """`tile_multiply` for rows of a at separate addresses: `tile[r] += rows[r][i] * b[:]`."""
    n, r = vectors.literal_value, len(rows)

    def generate(context, builder, signature, values):
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


@intrinsic(prefer_literal=True)
def tile_store(typing, tile, vectors, c, step, rows, n, add, scale, bias, relu):
    """c[r * step + j] = the tile's first `rows` rows and n columns, with an epilogue.

    The value is multiplied by scale[j] and increased by bias[j] (unless these addresses are 0),
    added to c if `add`, and clipped at 0 if `relu`. The options cost no branches: a masked load of
    no lanes gives zeros, and a maximum with -inf changes nothing.
    """
    columns = vectors.literal_value

    def generate(context, builder, signature, values):
        tile, _, c, step, rows, n, add, scale, bias, relu = values
        zero = ir.Constant(INT64, 0)

        def unless_zero(condition, mask):
            return builder.select(
                builder.icmp_signed("!=", condition, zero), mask, constant(0, MASK)
            )

        def masked_load(p, i, mask, other=0.0):
            name = f"llvm.masked.load.{SUFFIX}.p0"
            return call(
                builder,
                name,
                pointer_to(builder, p, i, VECTOR),
                ir.Constant(INT32, 4),
                mask,
                constant(other),
            )

        def column_values(p, other):
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

        def write(whole):
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
