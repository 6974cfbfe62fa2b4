"""The activations other than ReLU as functions of vectors: y = f(v), and dx = dy f'(v).

`kind` is the number in `CURVES`; a and b are the constants of `reference.activation.CONSTANTS`, and
0 and 6 for ReLU6. The cheap ones come first: each vector goes through the comparisons before its
own.
"""

from ..reference.activation import AMPLITUDE, CONSTANTS, SLOPE
from .engine.launch import inline
from .engine.simd import Vector, functions, select_greater, select_greater_or_nan, select_nan, splat
from .engine.simd.functions import constant

NAMES = (
    *("relu6", "clip", "leaky_relu", "hard_sigmoid", "hard_swish", "sigmoid", "tanh"),
    *("scaled_tanh", "silu", "gelu", "gelu_tanh", "elu"),
)
(
    RELU6,
    CLIP,
    LEAKY,
    HARD_SIGMOID,
    HARD_SWISH,
    SIGMOID,
    TANH,
    SCALED_TANH,
    SILU,
    GELU,
    GELU_TANH,
    _,
) = range(len(NAMES))
CURVES = {name: kind for kind, name in enumerate(NAMES)}
THIRD, SIXTH = 1 / 3, 1 / 6


def numbers_of(activation: str, constants: tuple[float, ...]) -> tuple[int, float, float]:
    """The kind and the constants a and b; missing ones have their defaults."""
    defaults = (0.0, 6.0) if activation == "relu6" else CONSTANTS.get(activation, ())
    a, b, *_ = (*(constants or defaults), 0.0, 0.0)
    return CURVES[activation], a, b


@inline
def curve(v: Vector, kind: int, a: float, b: float) -> Vector:
    """f(v)."""
    if kind <= CLIP:
        return functions.clamp(v, a, b)
    if kind == LEAKY:
        return select_greater(v, constant(0.0), v, splat(a) * v)
    if kind == HARD_SIGMOID:
        return hard_sigmoid(v)
    if kind == HARD_SWISH:
        return v * hard_sigmoid(v)
    if kind == SIGMOID:
        return functions.sigmoid(v)
    if kind == TANH:
        return functions.tanh(v)
    if kind == SCALED_TANH:
        return constant(AMPLITUDE) * functions.tanh(constant(SLOPE) * v)
    if kind == SILU:
        return functions.silu(v)
    if kind == GELU:
        return functions.gelu(v)
    if kind == GELU_TANH:
        return functions.gelu_tanh(v)
    return select_greater(v, constant(0.0), v, splat(a) * functions.expm1(v))


@inline
def curve_grad(d: Vector, v: Vector, kind: int, a: float, b: float) -> Vector:
    """d f'(v). v is the output, or the input for the names in `reference.activation.FROM_INPUT`."""
    zero, one = constant(0.0), constant(1.0)
    if kind == RELU6:
        below = select_greater(constant(6.0), v, d, select_nan(v, d, zero))
        return select_greater_or_nan(v, zero, below, zero)
    if kind == CLIP:
        above = select_greater(splat(a), v, zero, d)
        return select_nan(v, zero, select_greater(v, splat(b), zero, above))
    if kind == LEAKY:
        return select_greater(v, zero, d, splat(a) * d)
    if kind == HARD_SIGMOID:
        below = select_greater(constant(3.0), v, d * constant(SIXTH), zero)
        return select_greater(v, constant(-3.0), below, zero)
    if kind == HARD_SWISH:
        below = select_greater(constant(3.0), v, d * (v * constant(THIRD) + constant(0.5)), d)
        return select_nan(v, v, select_greater(v, constant(-3.0), below, zero))
    if kind == SIGMOID:
        return d * v * (one - v)
    if kind == TANH:
        return d * (one - v * v)  # one FMA: exact where v is near 1
    if kind == SCALED_TANH:
        # AMPLITUDE - v is exact near saturation, where AMPLITUDE^2 - v^2 would lose its digits.
        below, above = constant(AMPLITUDE) - v, constant(AMPLITUDE) + v
        return d * (constant(SLOPE / AMPLITUDE) * below * above)
    if kind == SILU:
        return d * functions.silu_slope(v)
    if kind == GELU:
        return d * functions.gelu_slope(v)
    if kind == GELU_TANH:
        return d * functions.gelu_tanh_slope(v)
    return select_greater(v, zero, d, d * (splat(a) * functions.exp(v)))


@inline
def hard_sigmoid(v: Vector) -> Vector:
    """relu6(v + 3) / 6."""
    return functions.clamp(v + constant(3.0), 0.0, 6.0) * constant(SIXTH)
