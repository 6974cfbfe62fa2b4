"""Every operation of minicnn as a typed function: arrays in, arrays out, no state. Imported as `F`.

Each call runs on the backend that the type of its first array selects (`dispatch.select`). The
formula of an operation, and its plain NumPy form, is the function of the same name in `reference/`.

Conventions. Images are `(N, H, W, C)`, weights `(kH, kW, C/groups, K)`. All arrays of a call have
one type, float32 or float64. Sizes are in pixels. `padding` is an int, a pair
`(vertical, horizontal)` or `((top, bottom), (left, right))`. `out` is an array of the result's
shape, or a slice of one, into which the result is written. Arrays stay on their device.

Errors. ValueError: the geometry does not fit the image, or the arrays do not fit one another.
"""

import inspect

import numpy as np

from . import (
    activations,
    convolution,
    dispatch,
    losses,
    normalization,
    pooling,
    reference,
    resampling,
)
from .activations import (  # noqa: F401 - offered here
    activate,
    activation_grad,
    clip,
    clip_grad,
    elu,
    elu_grad,
    gelu,
    gelu_grad,
    gelu_tanh,
    gelu_tanh_grad,
    hard_sigmoid,
    hard_sigmoid_grad,
    hard_swish,
    hard_swish_grad,
    leaky_relu,
    leaky_relu_grad,
    prelu,
    prelu_grad,
    relu,
    relu6,
    relu6_grad,
    relu_grad,
    scaled_tanh,
    scaled_tanh_grad,
    sigmoid,
    sigmoid_grad,
    silu,
    silu_grad,
    tanh,
    tanh_grad,
)
from .convolution import (  # noqa: F401 - offered here
    conv2d,
    conv2d_grad_input,
    conv2d_grad_weight,
    conv_transpose2d,
    conv_transpose2d_grad_input,
    conv_transpose2d_grad_weight,
)
from .dispatch import select
from .losses import (  # noqa: F401 - offered here
    binary_cross_entropy,
    map_loss,
    mean_squared_error,
    softmax,
    softmax_cross_entropy,
    softmax_grad,
)
from .normalization import (  # noqa: F401 - offered here
    batch_norm,
    batch_norm_grad,
    group_norm,
    group_norm_grad,
    layer_norm,
    layer_norm_grad,
    local_response_norm,
    local_response_norm_grad,
)
from .pooling import (  # noqa: F401 - offered here
    adaptive_max_pool2d,
    adaptive_max_pool2d_grad,
    avg_pool2d,
    avg_pool2d_grad,
    global_avg_pool2d,
    global_avg_pool2d_grad,
    max_pool2d,
    max_pool2d_grad,
    subsample2d,
    subsample2d_grad,
)
from .resampling import resample2d, resample2d_grad  # noqa: F401 - offered here
from .types import Array, IntOrPair, Padding, Shape

# -- fully connected -------------------------------------------------------------------------------


def linear(
    x: Array,
    w: Array,
    b: Array | None = None,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """The affine map `y = f(x w + b)`: x `(N, in)`, w `(in, out)`, b `(out,)`, y `(N, out)`."""
    return select(reference.linear, x)(x, w, b, activation, out)


def linear_grad_input(dy: Array, w: Array) -> Array:
    """The gradient of `linear` with respect to x, `(N, in)`; dy `(N, out)` is before f."""
    return select(reference.linear_grad_input, dy)(dy, w)


def linear_grad_weight(dy: Array, x: Array) -> tuple[Array, Array]:
    """The gradients dw `(in, out)` and db `(out,)` of `linear`; dy `(N, out)` is before f."""
    return select(reference.linear_grad_weight, dy)(dy, x)


def rbf(x: Array, w: Array, out: Array | None = None) -> Array:
    """Squared distances to fixed codes: x `(N, in)`, w `(classes, in)`, y `(N, classes)`.

    Source: LeCun et al. 1998, equation 7.
    """
    return select(reference.rbf, x)(x, w, out)


def rbf_grad(dy: Array, x: Array, w: Array) -> Array:
    """The gradient of `rbf` with respect to x, `(N, in)`; the codes are fixed."""
    return select(reference.rbf_grad, dy)(dy, x, w)


# -- element by element ----------------------------------------------------------------------------


def add(a: Array, b: Array, activation: str | None = None, out: Array | None = None) -> Array:
    """`f(a + b)`: the sum of two paths of a residual block, or of their gradients."""
    return select(reference.add, a)(a, b, activation, out)


def dropout(
    x: Array, p: float, generator: np.random.Generator, out: Array | None = None
) -> tuple[Array, Array]:
    """Set each value to 0 with probability p, and multiply the others by 1 / (1 - p).

    Two keys are drawn from the generator; every backend makes the same mask from them.
    Returns y and the mask, False where y is 0, both of x's shape (Srivastava et al. 2014).
    """
    return select(reference.dropout, x)(x, p, generator, out)


def dropout_grad(dy: Array, mask: Array, p: float) -> Array:
    """The gradient of `dropout`, from its mask."""
    return select(reference.dropout_grad, dy)(dy, mask, p)


def empty(x: Array, shape: Shape) -> Array:
    """An uninitialized array of that shape, of x's type and on x's device."""
    return select(reference.empty, x)(x, shape)


# -- parameter updates, in place: lists with one array, or one number, per parameter ---------------


def sgd_update(
    w: list[Array],
    g: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    momentum: float = 0.0,
    nesterov: bool = False,
    form: str = "torch",
) -> None:
    """Stochastic gradient descent with momentum and L2 weight decay.

    w: values, g: gradients of the loss only, v: velocities. `form` is "torch" or "caffe"; they
    differ after a change of lr (see `reference.sgd_update`).
    """
    select(reference.sgd_update, w)(w, g, v, lr, weight_decay, momentum, nesterov, form)


def adam_update(
    w: list[Array],
    g: list[Array],
    m: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    step: int,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decoupled: bool = False,
) -> None:
    """Adam (Kingma & Ba 2015), and with `decoupled` AdamW (Loshchilov & Hutter 2019).

    m, v: the moments; step counts from 1.
    """
    select(reference.adam_update, w)(
        w, g, m, v, lr, weight_decay, step, beta1, beta2, eps, decoupled
    )


def rmsprop_update(
    w: list[Array],
    g: list[Array],
    s: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    decay: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
) -> None:
    """RMSProp (Tieleman & Hinton 2012, lecture 6e); s: mean squares, v: velocities."""
    select(reference.rmsprop_update, w)(w, g, s, v, lr, weight_decay, decay, eps, momentum)


# -- fused: several operations in one pass; fused layers call these --------------------------------


def fold_batch_norm(
    b: Array | None, gamma: Array, beta: Array, mean: Array, var: Array, eps: float
) -> tuple[Array, Array]:
    """Batch norm with fixed statistics, after a convolution with bias b, as scale and shift.

    All are `(K,)`. Returns the scale and shift `(K,)` that `conv2d_affine` takes.
    """
    return select(reference.fold_batch_norm, gamma)(b, gamma, beta, mean, var, eps)


def conv2d_affine(
    x: Array,
    w: Array,
    scale: Array,
    shift: Array,
    residual: Array | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """`y = f(scale * (x conv w) + shift + residual)`: convolution and batch norm in evaluation.

    scale and shift are `(K,)`, residual has y's shape; the rest is as in `conv2d`.
    """
    return select(reference.conv2d_affine, x)(
        x, w, scale, shift, residual, stride, padding, dilation, groups, activation, out
    )


def conv2d_grad_input_relu(
    dy: Array,
    w: Array,
    x: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """`relu_grad(conv2d_grad_input(dy, w, x.shape), x)`: x `(N, H, W, C)` came out of a ReLU."""
    return select(reference.conv2d_grad_input_relu, dy)(dy, w, x, stride, padding, dilation, groups)


def conv2d_grad_input_add(
    dy: Array,
    w: Array,
    other: Array,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """`conv2d_grad_input(dy, w, other.shape) + other`: other is dx of another path from x."""
    return select(reference.conv2d_grad_input_add, dy)(
        dy, w, other, stride, padding, dilation, groups
    )


def batch_norm_add(
    x: Array,
    other: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: str | None = None,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """`f(batch_norm(x) + other)`: the end of a residual block. Returns what `batch_norm` does."""
    return select(reference.batch_norm_add, x)(
        x, other, gamma, beta, running_mean, running_var, training, momentum, eps, activation, out
    )


# -- which backend serves what ---------------------------------------------------------------------

MODULES = tuple(
    module.__name__
    for module in (activations, convolution, losses, normalization, pooling, resampling)
)
OPERATIONS: tuple[str, ...] = tuple(
    name
    for name, function in list(globals().items())
    if inspect.isfunction(function) and function.__module__ in (__name__, *MODULES)
)


def table() -> dict[str, dict[str, bool]]:
    """Operation -> backend -> True if the backend has its own kernel; if not, `reference` runs."""
    return {
        operation: {
            backend: hasattr(dispatch.load(backend), operation) for backend in dispatch.BACKENDS
        }
        for operation in OPERATIONS
    }
