"""Weighted sums of pixels: 16 bytes at a time, in 16 integers of 32 bits, on every machine."""

from typing import Any, TypeAlias

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from .vector import INT32, intp, operation

BYTES = 16  # per operation
PRECISION = 22  # a sum is in units of 2^-22
_PIXELS, _SUMS = ir.VectorType(ir.IntType(8), BYTES), ir.VectorType(INT32, BYTES)

Sums: TypeAlias = Any  # 16 int32 in a register; only compiled code has one


class SumsType(types.Type):
    """Numba's type of 16 int32."""

    def __init__(self) -> None:
        super().__init__(name=f"int32x{BYTES}")


sums = SumsType()


@register_model(SumsType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: types.Type) -> None:
        super().__init__(manager, numba_type, _SUMS)


def _pointer(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    return builder.inttoptr(address, kind.as_pointer())


def _broadcast(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    nothing = ir.Constant(_SUMS, ir.Undefined)
    one = builder.insert_element(nothing, builder.trunc(value, INT32), ir.Constant(INT32, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(_SUMS, [0] * BYTES))


def _pixels(builder: ir.IRBuilder, p: ir.Value) -> ir.Value:
    return builder.zext(builder.load(_pointer(builder, p, _PIXELS), align=1), _SUMS)


@operation(intp, result=sums)
def splat_sum(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """`value` in each of the 16 sums."""
    return _broadcast(builder, value)


@operation(sums, intp, intp, result=sums)
def add_weighted(builder: ir.IRBuilder, s: ir.Value, p: ir.Value, w: ir.Value) -> ir.Value:
    """s + the 16 bytes at p times the 16 int32 at w."""
    weights = builder.load(_pointer(builder, w, _SUMS), align=4)
    return builder.add(s, builder.mul(_pixels(builder, p), weights))


@operation(sums, intp, intp, result=sums)
def add_scaled(builder: ir.IRBuilder, s: ir.Value, p: ir.Value, weight: ir.Value) -> ir.Value:
    """s + the 16 bytes at p times `weight`."""
    return builder.add(s, builder.mul(_pixels(builder, p), _broadcast(builder, weight)))


def _shifted(builder: ir.IRBuilder, s: ir.Value, lanes: int) -> ir.Value:
    """Lane i of the result is lane i + lanes of s, and 0 beyond the last."""
    zeros = ir.Constant(_SUMS, [0] * BYTES)
    chosen = ir.Constant(_SUMS, [min(i + lanes, BYTES) for i in range(BYTES)])
    return builder.shuffle_vector(s, zeros, chosen)


@operation(sums, result=sums)
def sum_of_five(builder: ir.IRBuilder, s: ir.Value) -> ir.Value:
    """Lane c, one of 0 to 2, becomes s[c] + s[c + 3] + s[c + 6] + s[c + 9] + s[c + 12]."""
    pairs = builder.add(s, _shifted(builder, s, 3))
    fours = builder.add(pairs, _shifted(builder, pairs, 6))
    return builder.add(fours, _shifted(builder, s, 12))


@operation(sums, result=sums)
def sum_of_sixteen(builder: ir.IRBuilder, s: ir.Value) -> ir.Value:
    """Lane 0 becomes the sum of all lanes."""
    for lanes in (8, 4, 2, 1):
        s = builder.add(s, _shifted(builder, s, lanes))
    return s


def _rounded(builder: ir.IRBuilder, s: ir.Value) -> ir.Value:
    """s / 2^PRECISION, rounded to the nearest integer and clipped to 0..255, as bytes."""
    half, bits, zero, most = (
        ir.Constant(_SUMS, [value] * BYTES) for value in (1 << (PRECISION - 1), PRECISION, 0, 255)
    )
    s = builder.ashr(builder.add(s, half), bits)
    s = builder.select(builder.icmp_signed("<", s, zero), zero, s)
    s = builder.select(builder.icmp_signed(">", s, most), most, s)
    return builder.trunc(s, _PIXELS)


@operation(intp, sums, result=types.void)
def store_pixels(builder: ir.IRBuilder, p: ir.Value, s: ir.Value) -> None:
    """The 16 bytes at p become the sums, rounded and clipped to 0..255."""
    builder.store(_rounded(builder, s), _pointer(builder, p, _PIXELS), align=1)


@operation(intp, sums, result=types.void)
def store_four_pixels(builder: ir.IRBuilder, p: ir.Value, s: ir.Value) -> None:
    """As `store_pixels`, the first 4 bytes."""
    pixels = _rounded(builder, s)
    first = ir.Constant(ir.VectorType(INT32, 4), [0, 1, 2, 3])
    four = builder.shuffle_vector(pixels, pixels, first)
    builder.store(four, _pointer(builder, p, ir.VectorType(ir.IntType(8), 4)), align=1)
