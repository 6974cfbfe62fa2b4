"""The matrices A, G and B of F(m, r), and straight-line code that applies a matrix to vectors."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from llvmlite import ir

from ...types import Array
from ..engine.simd.vector import (
    INT64,
    SUFFIX,
    VECTOR,
    call,
    constant,
    intp,
    operation,
    pointer_to,
    types,
)

# The error grows with the number and size of the points: 3e-6 for F(4x4, 3x3), 5e-6 for F(4, 7),
# 3e-7 for the plain sum.
POINTS = [Fraction(p) for p in ["0", "1", "-1", "2", "-2", "1/2", "-1/2", "3/4", "-3/4"]]


def matrices(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A^T `(m, a)`, G `(a, r)` and B^T `(a, a)` of F(m, r), a = m + r - 1 (Toom-Cook).

    A product of polynomials of degrees m - 1 and r - 1 is determined by its values at a - 1 points
    and its leading coefficient (the point at infinity): A and G evaluate the factors, B
    interpolates. F(m, r) is the transpose of that product, which is a correlation. The denominators
    of the interpolation are in the rows of G.
    """
    a = m + r - 1
    points = POINTS[: a - 1]

    def monic(roots: Sequence[Fraction]) -> list[Fraction]:
        """The coefficients of prod (x - root), lowest first."""
        coefficients = [Fraction(1)]
        for root in roots:
            raised = [Fraction(0), *coefficients]
            scaled = [*(root * c for c in coefficients), Fraction(0)]
            coefficients = [u - v for u, v in zip(raised, scaled, strict=True)]
        return coefficients

    at = [[*(p**i for p in points), Fraction(int(i == m - 1))] for i in range(m)]
    g = [[p**i / math.prod(p - q for q in points if q != p) for i in range(r)] for p in points]
    g.append([Fraction(int(j == r - 1)) for j in range(r)])
    bt = [[*monic([q for q in points if q != p]), Fraction(0)] for p in points] + [monic(points)]
    a_t, g_, b_t = (np.array([[float(v) for v in row] for row in rows]) for rows in (at, g, bt))
    return a_t, g_, b_t


def linear_map(matrix: Array) -> Callable:
    """A function of (p, p_step, q, q_step): q[i * q_step] = sum_j matrix[i, j] * p[j * p_step].

    It works on vectors and has no loops. Zeros take no instruction and ones no multiplication.
    """
    rows = np.asarray(matrix, np.float32)

    def combination(builder: ir.IRBuilder, row: Array, inputs: list[ir.Value]) -> ir.Value:
        """The sum of row[j] * inputs[j], positive factors first."""
        pairs = ((factor, value) for factor, value in zip(row, inputs, strict=True) if factor)
        result = None
        for factor, value in sorted(pairs, key=lambda pair: -pair[0]):
            if result is None:
                scale = constant(float(factor))
                result = value if factor == 1 else builder.fmul(value, scale)
            elif abs(factor) == 1:
                result = (builder.fadd if factor > 0 else builder.fsub)(result, value)
            else:
                fma = f"llvm.fmuladd.{SUFFIX}"
                result = call(builder, fma, value, constant(float(factor)), result)
        return result

    def apply(
        builder: ir.IRBuilder, p: ir.Value, p_step: ir.Value, q: ir.Value, q_step: ir.Value
    ) -> None:
        """q = matrix p, vector by vector."""
        inputs = []
        for j in range(rows.shape[1]):
            index = builder.mul(p_step, ir.Constant(INT64, j))
            inputs.append(builder.load(pointer_to(builder, p, index, VECTOR)))
            inputs[-1].align = 4
        for i, row in enumerate(rows):
            index = builder.mul(q_step, ir.Constant(INT64, i))
            result = combination(builder, row, inputs)
            builder.store(result, pointer_to(builder, q, index, VECTOR)).align = 4

    return operation(intp, intp, intp, intp, result=types.void)(apply)
