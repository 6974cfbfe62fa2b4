"""Convolution on the GPU: the geometry of each pass as one matrix product (see conv.cu)."""

import numpy as np
from numpy.typing import DTypeLike

from ..geometry import Window, window
from ..reference.arrays import write_to
from ..types import Array, IntOrPair, Padding, Shape
from . import depthwise
from .activation import BOUNDS, NUMBERS, activate, resize
from .arrays import empty, optional, output_array, parameter, pixel_step, spaced
from .choice import run_product
from .pixel_classes import PixelClass, pixel_classes
from .product import NO_EPILOGUE, Epilogue, Patches, Product, Taps, Target
from .rounded import in_type
from .sums import sum_pixels


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """See `functional.conv2d`."""
    g = window(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    return scaled_conv2d(x, w, Epilogue(bias=b), g, groups, activation, out)


def scaled_conv2d(
    x: Array,
    w: Array,
    epilogue: Epilogue,
    g: Window,
    groups: int,
    activation: str | None,
    out: Array | None,
) -> Array:
    """`f(scale * (x conv w) + bias + residual)`, all in the product's epilogue."""
    if depthwise.supports(g, w.shape, groups):
        return depthwise.conv2d(x, w, epilogue, g, activation, out)
    x, w, filters = spaced(x), _weights(w, x.dtype), w.shape[3]
    wide = _padded_channels(x, groups)
    if wide != x.shape[3]:
        x, w = resize(x, wide), _resized(w, wide)
    y = output_array(out, x, (len(x), *g.output, filters))
    residual, residual_step = optional(epilogue.residual)
    per_group = filters // groups
    product = Product(
        m=len(x) * g.output[0] * g.output[1],
        n=per_group,
        k=g.kernel[0] * g.kernel[1] * w.shape[2],
        groups=groups,
        patches=_patches(g, x, w.shape[2]),
        target=Target(*g.output, pixel_step(y), per_group),
        taps=Taps(0, 1, 0, 1, g.kernel[1], w.shape[2], filters),
        activation=NUMBERS[activation if activation in BOUNDS else None],
        other_step=residual_step,
    )
    epilogue = Epilogue(parameter(epilogue.scale), parameter(epilogue.bias), residual)
    run_product("forward", product, x, w, (per_group, filters), y, epilogue)
    if activation not in BOUNDS:
        activate(y, activation, out=y)
    return write_to(out, y)


def conv2d_grad_input(
    dy: Array,
    w: Array,
    x_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Array:
    """See `functional.conv2d_grad_input`."""
    g = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    return finished_grad_input(dy, w, x_shape, NO_EPILOGUE, g, groups)


def finished_grad_input(
    dy: Array, w: Array, x_shape: Shape, epilogue: Epilogue, g: Window, groups: int
) -> Array:
    """dx after an epilogue with one image: `residual` or `relu_output`.

    A stride of s makes s^2 products, one per class of pixels that the same taps read.
    """
    if depthwise.supports(g, w.shape, groups):
        return depthwise.conv2d_grad_input(dy, w, x_shape, epilogue, g)
    dy, w, filters, channels = spaced(dy), _weights(w, dy.dtype), w.shape[3], w.shape[2]
    dx, (residual, residual_step) = empty(dy, x_shape), optional(epilogue.residual)
    relu_output, mask_step = optional(epilogue.relu_output)
    epilogue = Epilogue(residual=residual, relu_output=relu_output)
    per_group, (height, width, x_step) = filters // groups, x_shape[1:]
    for y in pixel_classes(x_shape[1], g, 0):
        for x in pixel_classes(x_shape[2], g, 1):
            product = Product(
                m=len(dy) * y.pixels * x.pixels,
                n=channels,
                k=y.taps * x.taps * per_group,
                groups=groups,
                patches=_patches_of_class(dy, per_group, y, x),
                target=Target(height, width, x_step, channels, *g.stride, y.first, x.first),
                taps=Taps(y.tap, y.between, x.tap, x.between, g.kernel[1], channels, filters),
                other_step=residual_step or mask_step,
            )
            run_product("grad_input", product, dy, w, (per_group, filters), dx, epilogue)
    return dx


def conv2d_grad_weight(
    dy: Array,
    x: Array,
    w_shape: Shape,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    bias: bool = True,
) -> tuple[Array, Array | None]:
    """See `functional.conv2d_grad_weight`; dw and db are float32 also for bfloat16 images."""
    g = window(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    if depthwise.supports(g, w_shape, groups):
        db = empty(dy, w_shape[3:], np.float32) if bias else None
        if db is not None:
            sum_pixels(dy, db)
        return depthwise.conv2d_grad_weight(dy, x, w_shape, g), db
    dy, x, channels = spaced(dy), spaced(x), w_shape[2]
    wide = _padded_channels(x, groups)
    if wide != x.shape[3]:
        shape = (*w_shape[:2], wide, w_shape[3])
        dw, db = conv2d_grad_weight(
            dy, resize(x, wide), shape, stride, padding, dilation, bias=bias
        )
        return _resized(dw, channels), db
    dw, per_group = empty(x, w_shape, np.float32), w_shape[3] // groups
    product = Product(
        m=g.kernel[0] * g.kernel[1] * channels,
        n=per_group,
        k=len(x) * g.output[0] * g.output[1],
        groups=groups,
        patches=_patches(g, x, channels),
        target=Target(out_step=w_shape[3], out_group=per_group),
    )
    db = empty(x, w_shape[3:], np.float32) if bias else None
    run_product("grad_weight", product, x, dy, (per_group, pixel_step(dy)), dw, bias_gradient=db)
    return dw, db


def _patches(g: Window, x: Array, channels: int) -> Patches:
    """The patches of x that the windows of g cover."""
    return Patches(
        height=x.shape[1],
        width=x.shape[2],
        step=pixel_step(x),
        channels=channels,
        a_group=channels,
        mul_y=g.stride[0],
        mul_x=g.stride[1],
        off_y=-g.padding[0][0],
        off_x=-g.padding[1][0],
        tap_y=g.dilation[0],
        tap_x=g.dilation[1],
        by_channels=channels,
        by_taps_x=g.kernel[1],
        by_columns=g.output[1],
        by_rows=g.output[0],
    )


def _weights(w: Array, dtype: DTypeLike) -> Array:
    """The weights in the type of the images."""
    w32 = parameter(w)
    assert w32 is not None
    return in_type(w32, dtype)


def _padded_channels(x: Array, groups: int) -> int:
    """How many channels the product's images have.

    Two or three channels are padded with zeros, so that a pixel is one copy of 16 bytes.
    """
    pixel = 16 // x.itemsize
    return pixel if 1 < x.shape[3] < pixel and groups == 1 else x.shape[3]


def _resized(w: Array, channels: int) -> Array:
    """The weights of that many channels: the first ones, then zeros."""
    filters = w.shape[3]
    rows = resize(w.reshape(*w.shape[:2], -1), channels * filters)
    return rows.reshape(*w.shape[:2], channels, filters)


def _patches_of_class(dy: Array, filters: int, y: PixelClass, x: PixelClass) -> Patches:
    """The outputs dy that the taps of a class, y along the vertical and x along the other, made."""
    return Patches(
        height=dy.shape[1],
        width=dy.shape[2],
        step=pixel_step(dy),
        channels=filters,
        a_group=filters,
        mul_y=1,
        mul_x=1,
        off_y=y.offset,
        off_x=x.offset,
        tap_y=y.move,
        tap_x=x.move,
        by_channels=filters,
        by_taps_x=x.taps,
        by_columns=x.pixels,
        by_rows=y.pixels,
    )
