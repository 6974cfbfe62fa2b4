"""Words: two bfloat16 in the 32 bits of a float, and sums of their products in float32.

AVX-512's bfloat16 extension computes `sums + a0 * b0 + a1 * b1` in each lane in one instruction, of
words (a0, a1) and (b0, b1): twice the products of an FMA. Floats are rounded to the nearest, ties
to even; subnormal numbers count as 0.
"""

from typing import Any

from llvmlite import ir
from numba import types

from .host import LANES
from .vector import (
    INT32,
    INTEGERS,
    VECTOR,
    call,
    constant,
    first_lanes,
    intp,
    operation,
    vector,
)


class _BFloat16(ir.types.Type):
    """LLVM's bfloat, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _BFloat16)

    def __hash__(self) -> int:
        return hash(_BFloat16)


_WORDS = ir.VectorType(_BFloat16(), 2 * LANES)
_HALVES = ir.VectorType(ir.IntType(16), LANES)


def add_pair_product(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, sums: ir.Value) -> ir.Value:
    """sums + a0 * b0 + a1 * b1 in each lane, of words a and b."""
    a, b = builder.bitcast(a, _WORDS), builder.bitcast(b, _WORDS)
    return call(builder, "llvm.x86.avx512bf16.dpbf16ps.512", sums, a, b)


@operation(vector, vector, vector)
def add_pair_products(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, sums: ir.Value) -> ir.Value:
    """`add_pair_product`, for kernels."""
    return add_pair_product(builder, a, b, sums)


def _rounded(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """v rounded to bfloat16, in the upper 16 bits of integers; the lower ones are of no meaning."""
    bits = builder.bitcast(v, INTEGERS)
    is_odd = builder.and_(builder.lshr(bits, constant(16, INTEGERS)), constant(1, INTEGERS))
    nearest = builder.add(builder.add(bits, constant(0x7FFF, INTEGERS)), is_odd)
    quiet = builder.or_(bits, constant(0x400000, INTEGERS))  # rounding could make NaN infinite
    return builder.select(builder.fcmp_unordered("uno", v, v), quiet, nearest)


@operation(vector)
def sum_of_pair(builder: ir.IRBuilder, words: ir.Value) -> ir.Value:
    """first + second of the words (first, second)."""
    bits = builder.bitcast(words, INTEGERS)
    first = builder.shl(bits, constant(16, INTEGERS))
    second = builder.and_(bits, constant(-0x10000, INTEGERS))
    return builder.fadd(builder.bitcast(first, VECTOR), builder.bitcast(second, VECTOR))


@operation(vector, vector)
def pair(builder: ir.IRBuilder, first: ir.Value, second: ir.Value) -> ir.Value:
    """The words (first, second)."""
    low = builder.lshr(_rounded(builder, first), constant(16, INTEGERS))
    high = builder.and_(_rounded(builder, second), constant(-0x10000, INTEGERS))
    return builder.bitcast(builder.or_(low, high), VECTOR)


@operation(intp, intp, vector, intp, result=types.void)
def store_rounded_part(
    builder: ir.IRBuilder, p: ir.Value, i: ir.Value, v: ir.Value, n: ir.Value
) -> None:
    """The first n lanes of v, rounded, to the bfloat16 numbers from i on at the address p."""
    halves = builder.trunc(builder.lshr(_rounded(builder, v), constant(16, INTEGERS)), _HALVES)
    place = builder.add(p, builder.mul(i, ir.Constant(i.type, 2)))
    pointer = builder.inttoptr(place, _HALVES.as_pointer())
    name, align = f"llvm.masked.store.v{LANES}i16.p0", ir.Constant(INT32, 2)
    mask = first_lanes(builder, n)
    call(builder, name, halves, pointer, align, mask, result=ir.VoidType())
