"""Arithmetic lane by lane: `+ - * /`, comparisons, square roots, exponents, reductions."""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.extending import overload

from .host import LANES
from .vector import (
    INT32,
    INTEGERS,
    SUFFIX,
    VECTOR,
    VectorType,
    broadcast,
    call,
    constant,
    float32,
    operation,
    vector,
)


@operation(float32)
def splat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """`value` in every lane."""
    return broadcast(builder, value)


def _arithmetic(sign: Callable[..., Any], instruction: str) -> None:
    """Define `a sign b` for vectors. LLVM may merge a product and a sum into one FMA."""

    def emit(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
        return getattr(builder, instruction)(a, b, flags=("contract",))

    emit.__name__ = instruction
    on_vectors = operation(vector, vector)(emit)

    @overload(sign)
    def operate(a: Any, b: Any) -> Any:  # Numba compares the annotations with those of on_both
        if not (isinstance(a, VectorType) and isinstance(b, VectorType)):
            return None

        def on_both(a: Any, b: Any) -> Any:
            return on_vectors(a, b)

        on_both.__name__ = on_both.__qualname__ = (
            f"vector_{instruction}"  # its own name for the linker, see `launch.inline`
        )
        return on_both


for _sign, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_sign, _instruction)


@operation(vector)
def relu(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """max(v, 0); NaN stays NaN."""
    zero = constant(0.0)
    return builder.select(builder.fcmp_ordered("<", v, zero), zero, v)


@operation(vector, vector)
def maximum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """max(a, b) lane by lane."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@operation(vector, vector, vector, vector)
def select_greater(
    builder: ir.IRBuilder, a: ir.Value, b: ir.Value, yes: ir.Value, no: ir.Value
) -> ir.Value:
    """yes where a > b, else no."""
    return builder.select(builder.fcmp_ordered(">", a, b), yes, no)


@operation(vector, vector, vector, vector)
def select_greater_or_nan(
    builder: ir.IRBuilder, a: ir.Value, b: ir.Value, yes: ir.Value, no: ir.Value
) -> ir.Value:
    """yes where a > b or a is NaN, else no: a maximum that propagates NaN."""
    wins = builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))
    return builder.select(wins, yes, no)


@operation(vector, vector, vector, vector)
def select_equal(
    builder: ir.IRBuilder, a: ir.Value, b: ir.Value, yes: ir.Value, no: ir.Value
) -> ir.Value:
    """yes where a == b, else no."""
    return builder.select(builder.fcmp_ordered("==", a, b), yes, no)


@operation(vector, vector, vector)
def select_nan(builder: ir.IRBuilder, a: ir.Value, yes: ir.Value, no: ir.Value) -> ir.Value:
    """yes where a is NaN, else no."""
    return builder.select(builder.fcmp_unordered("uno", a, a), yes, no)


@operation(vector)
def sqrt(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """The square root."""
    return call(builder, f"llvm.sqrt.{SUFFIX}", v)


@operation(vector)
def absolute(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """|v|."""
    return call(builder, f"llvm.fabs.{SUFFIX}", v)


@operation(vector)
def round(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """The nearest integer; halves go to the even one."""
    return call(builder, f"llvm.rint.{SUFFIX}", v)


@operation(vector)
def power_of_two(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """2^v for integers v from -126 to 127: v becomes the exponent's bits."""
    exponent = builder.add(builder.fptosi(v, INTEGERS), constant(127, INTEGERS))
    return builder.bitcast(builder.shl(exponent, constant(23, INTEGERS)), VECTOR)


@operation(vector)
def exponent(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """e of v = m 2^e with 0.5 <= m < 1, for positive normal v."""
    bits = builder.lshr(builder.bitcast(v, INTEGERS), constant(23, INTEGERS))
    return builder.sitofp(builder.sub(bits, constant(126, INTEGERS)), VECTOR)


@operation(vector)
def mantissa(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """m of v = m 2^e with 0.5 <= m < 1, for positive normal v."""
    bits = builder.and_(builder.bitcast(v, INTEGERS), constant(0x007FFFFF, INTEGERS))
    return builder.bitcast(builder.or_(bits, constant(0x3F000000, INTEGERS)), VECTOR)


def _reduce(
    builder: ir.IRBuilder, v: ir.Value, combine: Callable[[ir.Value, ir.Value], ir.Value]
) -> ir.Value:
    """One number from all lanes: the halves of the vector are combined until one lane is left."""
    lanes = LANES
    while lanes > 1:
        lanes //= 2
        kind = ir.VectorType(INT32, lanes)
        low, high = (ir.Constant(kind, list(range(k, k + lanes))) for k in (0, lanes))
        v = combine(builder.shuffle_vector(v, v, low), builder.shuffle_vector(v, v, high))
    return builder.extract_element(v, ir.Constant(INT32, 0))


@operation(vector, result=float32)
def reduce_sum(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """The sum of the lanes, in a fixed order."""
    return _reduce(builder, v, builder.fadd)


@operation(vector, result=float32)
def reduce_max(builder: ir.IRBuilder, v: ir.Value) -> ir.Value:
    """The largest lane."""

    def larger(low: ir.Value, high: ir.Value) -> ir.Value:
        return builder.select(builder.fcmp_ordered(">", low, high), low, high)

    return _reduce(builder, v, larger)
