"""Arithmetic lane by lane: `+ - * /`, comparisons, square roots, exponents, reductions."""

import operator

from llvmlite import ir
from numba.extending import overload

from .host import LANES
from .vector import (
    INT32,
    INTEGERS,
    SUFFIX,
    VECTOR,
    Vector,
    broadcast,
    call,
    constant,
    float32,
    operation,
    vector,
)


@operation(float32)
def splat(builder, value):
    """`value` in every lane."""
    return broadcast(builder, value)


def _arithmetic(sign, instruction):
    """Define `a sign b` for vectors. LLVM may merge a product and a sum into one FMA."""

    def emit(builder, a, b):
        return getattr(builder, instruction)(a, b, flags=("contract",))

    emit.__name__ = instruction
    on_vectors = operation(vector, vector)(emit)

    @overload(sign)
    def operate(a, b):
        if not (isinstance(a, Vector) and isinstance(b, Vector)):
            return None

        def on_both(a, b):
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
def relu(builder, v):
    """max(v, 0); NaN stays NaN."""
    zero = constant(0.0)
    return builder.select(builder.fcmp_ordered("<", v, zero), zero, v)


@operation(vector, vector)
def maximum(builder, a, b):
    """max(a, b) lane by lane."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@operation(vector, vector, vector, vector)
def select_greater(builder, a, b, yes, no):
    """yes where a > b, else no."""
    return builder.select(builder.fcmp_ordered(">", a, b), yes, no)


@operation(vector, vector, vector, vector)
def select_greater_or_nan(builder, a, b, yes, no):
    """yes where a > b or a is NaN, else no: a maximum that propagates NaN."""
    wins = builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))
    return builder.select(wins, yes, no)


@operation(vector, vector, vector, vector)
def select_equal(builder, a, b, yes, no):
    """yes where a == b, else no."""
    return builder.select(builder.fcmp_ordered("==", a, b), yes, no)


@operation(vector, vector, vector)
def select_nan(builder, a, yes, no):
    """yes where a is NaN, else no."""
    return builder.select(builder.fcmp_unordered("uno", a, a), yes, no)


@operation(vector)
def sqrt(builder, v):
    """The square root."""
    return call(builder, f"llvm.sqrt.{SUFFIX}", v)


@operation(vector)
def absolute(builder, v):
    """|v|."""
    return call(builder, f"llvm.fabs.{SUFFIX}", v)


@operation(vector)
def round(builder, v):
    """The round whole number."""
    return call(builder, f"llvm.rint.{SUFFIX}", v)


@operation(vector)
def power_of_two(builder, v):
    """2^v for integers v from -126 to 127: the exponent's bits, set directly."""
    exponent = builder.add(builder.fptosi(v, INTEGERS), constant(127, INTEGERS))
    return builder.bitcast(builder.shl(exponent, constant(23, INTEGERS)), VECTOR)


@operation(vector)
def exponent(builder, v):
    """e of v = m 2^e with 0.5 <= m < 1, for positive normal v."""
    bits = builder.lshr(builder.bitcast(v, INTEGERS), constant(23, INTEGERS))
    return builder.sitofp(builder.sub(bits, constant(126, INTEGERS)), VECTOR)


@operation(vector)
def mantissa(builder, v):
    """m of v = m 2^e with 0.5 <= m < 1, for positive normal v."""
    bits = builder.and_(builder.bitcast(v, INTEGERS), constant(0x007FFFFF, INTEGERS))
    return builder.bitcast(builder.or_(bits, constant(0x3F000000, INTEGERS)), VECTOR)


@operation(vector, result=float32)
def reduce_sum(builder, v):
    """The sum of the lanes, halves added to halves: a fixed order."""
    lanes = LANES
    while lanes > 1:
        lanes //= 2
        low, high = (
            ir.Constant(ir.VectorType(INT32, lanes), list(range(k, k + lanes))) for k in (0, lanes)
        )
        v = builder.fadd(builder.shuffle_vector(v, v, low), builder.shuffle_vector(v, v, high))
    return builder.extract_element(v, ir.Constant(INT32, 0))


@operation(vector, result=float32)
def reduce_max(builder, v):
    """The largest of the lanes."""
    lanes = LANES
    while lanes > 1:
        lanes //= 2
        low, high = (
            builder.shuffle_vector(
                v, v, ir.Constant(ir.VectorType(INT32, lanes), list(range(k, k + lanes)))
            )
            for k in (0, lanes)
        )
        v = builder.select(builder.fcmp_ordered(">", low, high), low, high)
    return builder.extract_element(v, ir.Constant(INT32, 0))
