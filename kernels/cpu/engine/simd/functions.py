"""exp, log, tanh and other curves of vectors, accurate to a few units in the last place.

Polynomials on a reduced range, after Cephes (S. Moshier 1989).
"""

from numba import float32

from ..launch import inline
from .arithmetic import (
    absolute,
    exponent,
    mantissa,
    power_of_two,
    round,
    select_greater,
    select_nan,
    splat,
    sqrt,
)
from .vector import Vector

LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4


@inline
def constant(value: float) -> Vector:
    """The number in every lane."""
    return splat(float32(value))


@inline
def clamp(v: Vector, low: float, high: float) -> Vector:
    """v limited to [low, high]; NaN stays NaN."""
    v = select_greater(constant(low), v, constant(low), v)
    return select_greater(v, constant(high), constant(high), v)


@inline
def exp(v: Vector) -> Vector:
    """e^v = 2^n e^r for `v = n ln 2 + r`, |r| < 0.35. v is clamped to -87.3 ... 88.3."""
    v = clamp(v, -87.3, 88.3)
    n = round(v * constant(1.44269504))
    return (_power_less_one(v, n) + constant(1.0)) * power_of_two(n)


@inline
def expm1(v: Vector) -> Vector:
    """e^v - 1 = 2^n (e^r - 1) + (2^n - 1), which keeps its digits near 0, where n is 0."""
    v = clamp(v, -87.3, 88.3)
    n = round(v * constant(1.44269504))
    scale = power_of_two(n)
    return _power_less_one(v, n) * scale + (scale - constant(1.0))


@inline
def _power_less_one(v: Vector, n: Vector) -> Vector:
    """e^r - 1 for `v = n ln 2 + r`, by a polynomial."""
    r = v - n * constant(LN2_HIGH) - n * constant(LN2_LOW)
    p = constant(1.9875691500e-4)
    p = p * r + constant(1.3981999507e-3)
    p = p * r + constant(8.3334519073e-3)
    p = p * r + constant(4.1665795894e-2)
    p = p * r + constant(1.6666665459e-1)
    p = p * r + constant(5.0000001201e-1)
    return p * r * r + r


@inline
def log(v: Vector) -> Vector:
    """The natural logarithm of positive numbers: `log v = e ln 2 + log m` for `v = m 2^e`."""
    e, m = exponent(v), mantissa(v)
    half = constant(0.70710678)
    e = select_greater(half, m, e - constant(1.0), e)
    m = select_greater(half, m, m + m, m) - constant(1.0)
    z = m * m
    p = constant(7.0376836292e-2)
    p = p * m - constant(1.1514610310e-1)
    p = p * m + constant(1.1676998740e-1)
    p = p * m - constant(1.2420140846e-1)
    p = p * m + constant(1.4249322787e-1)
    p = p * m - constant(1.6668057665e-1)
    p = p * m + constant(2.0000714765e-1)
    p = p * m - constant(2.4999993993e-1)
    p = p * m + constant(3.3333331174e-1)
    y = p * m * z + e * constant(LN2_LOW) - constant(0.5) * z
    return m + y + e * constant(LN2_HIGH)


@inline
def tanh(v: Vector) -> Vector:
    """An odd polynomial near 0, where `1 - 2 / (e^2v + 1)` would cancel; the formula elsewhere."""
    z = v * v
    p = constant(-5.70498872745e-3)
    p = p * z + constant(2.06390887954e-2)
    p = p * z - constant(5.37397155531e-2)
    p = p * z + constant(1.33314422036e-1)
    p = p * z - constant(3.33332819422e-1)
    near = p * z * v + v
    size = absolute(v)
    far = constant(1.0) - constant(2.0) / (exp(size + size) + constant(1.0))
    far = select_greater(constant(0.0), v, constant(0.0) - far, far)
    return select_greater(size, constant(0.625), far, near)


@inline
def sigmoid(v: Vector) -> Vector:
    """1 / (1 + e^-v), with e^-|v|, which cannot overflow."""
    decay = exp(constant(0.0) - absolute(v))
    return select_greater(constant(0.0), v, decay, constant(1.0)) / (constant(1.0) + decay)


@inline
def silu(v: Vector) -> Vector:
    """v sigmoid(v). v is limited from below, where sigmoid is not 0 but 1e-38."""
    return _not_below(v, -88.0) * sigmoid(v)


@inline
def silu_slope(v: Vector) -> Vector:
    """s (1 + v (1 - s)), s = sigmoid(v). Beyond +-88 it is 0 or 1."""
    v = clamp(v, -88.0, 88.0)
    s = sigmoid(v)
    return s * (constant(1.0) + v * (constant(1.0) - s))


@inline
def gelu_tanh(v: Vector) -> Vector:
    """v (1 + tanh u) / 2 = v sigmoid(2 u), u = sqrt(2 / pi) (v + 0.044715 v^3)."""
    return _not_below(v, -88.0) * sigmoid(_twice_argument(v))


@inline
def gelu_tanh_slope(v: Vector) -> Vector:
    """s + v s (1 - s) (2 u)', s = sigmoid(2 u). Beyond +-88 it is 0 or 1."""
    v = clamp(v, -88.0, 88.0)
    s = sigmoid(_twice_argument(v))
    slope = constant(1.59576912) + constant(0.214064449) * v * v
    return s + v * (s * (constant(1.0) - s)) * slope


@inline
def _not_below(v: Vector, least: float) -> Vector:
    """The maximum of v and least; NaN stays NaN."""
    return select_greater(constant(least), v, constant(least), v)


@inline
def _twice_argument(v: Vector) -> Vector:
    """2 u."""
    return v * (constant(1.59576912) + constant(0.0713548163) * v * v)


@inline
def gelu(v: Vector) -> Vector:
    """v P(v), P being the normal distribution function. v is limited where P is about 1e-38."""
    v = _not_below(v, -88.0)
    return v * _normal_cdf(v, _bell(v))


@inline
def gelu_slope(v: Vector) -> Vector:
    """P(v) + v p(v), p being the normal density. Beyond +-88 it is 0 or 1."""
    v = clamp(v, -88.0, 88.0)
    bell = _bell(v)
    return _normal_cdf(v, bell) + constant(0.39894228) * v * bell


@inline
def _bell(v: Vector) -> Vector:
    """e^(-v^2 / 2)."""
    return exp(constant(-0.5) * v * v)


@inline
def _normal_cdf(v: Vector, bell: Vector) -> Vector:
    """P(v), from bell = e^(-v^2 / 2).

    P(-u) / bell is a polynomial in k = 1 / (1 + 0.3 u) for u >= 0, the form of Abramowitz & Stegun
    1964, 26.2.17; fitted for the smallest relative error, 1.5e-7, up to u = 14.
    """
    k = constant(1.0) / (constant(1.0) + constant(0.3) * absolute(v))
    p = constant(0.0356749204)
    p = p * k - constant(0.157203532)
    p = p * k + constant(0.206354015)
    p = p * k - constant(0.0536838762)
    p = p * k + constant(0.128561628)
    p = p * k + constant(0.0999135271)
    p = p * k + constant(0.120753945)
    p = p * k + constant(0.1196293)
    below = p * k * bell
    return select_greater(constant(0.0), v, below, constant(1.0) - below)


@inline
def negative_power(v: Vector, beta: float) -> Vector:
    """v^-beta for positive v, by square roots for the papers' 3/4 and 1/2; NaN stays NaN."""
    if beta == 0.75:
        root = sqrt(v)
        return constant(1.0) / (root * sqrt(root))
    if beta == 0.5:
        return constant(1.0) / sqrt(v)
    # log and exp work on the bits of finite numbers.
    power = exp(log(v) * splat(float32(-beta)))
    power = select_greater(v, constant(3.4028235e38), constant(0.0), power)
    return select_nan(v, v, power)
