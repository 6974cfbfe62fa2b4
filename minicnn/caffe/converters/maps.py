"""Layers on maps: convolution, pooling, local response normalization."""

from typing import Any

from ...layers import AvgPool2d, Conv2d, ConvTranspose2d, LocalResponseNorm, MaxPool2d
from ..builder import Blob, Builder, put
from ..net import CaffeLayer
from ..order import channels, index, is_plain
from ..windows import windows
from .common import check_axis, maps, pair_of, weights_of


def convolution(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Convolution: weights (C_out, C_in / groups, kH, kW) become (kH, kW, C_in / groups, C_out)."""
    return _convolution(builder, layer, bottoms, Conv2d)


def deconvolution(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Deconvolution: (C_in, C_out / groups, kH, kW) becomes (kH, kW, C_out / groups, C_in)."""
    return _convolution(builder, layer, bottoms, ConvTranspose2d)


def _convolution(
    builder: Builder,
    layer: CaffeLayer,
    bottoms: list[Blob],
    kind: type[Conv2d] | type[ConvTranspose2d],
) -> list[Blob]:
    x, p = maps(bottoms), layer.parameters("convolution_param")
    check_axis(p, x)
    kernel = pair_of(p, "kernel_size", "kernel", None)
    outputs, groups, has_bias = p.get("num_output", 0), p.get("group", 1), p.get("bias_term", True)
    if groups < 1 or x.channels % groups or outputs % groups:
        raise ValueError(
            f"group is {groups}; it must divide num_output={outputs} and the {x.channels} channels "
            "of its input"
        )
    if groups > 1 and not is_plain(x.order):
        raise ValueError('it reads BGR in groups: give channels="rgb", and images as BGR')
    transposed = kind is ConvTranspose2d
    rows, columns = (x.channels, outputs) if transposed else (outputs, x.channels)
    weight, *bias = weights_of(layer, (rows, columns // groups, *kernel), *[(outputs,)] * has_bias)
    made = kind(
        x.channels,
        outputs,
        kernel,
        pair_of(p, "stride", "stride", 1),
        pair_of(p, "pad", "pad", 0),
        dilation=pair_of(p, "dilation", "dilation", 1),
        groups=groups,
        bias=has_bias,
    )

    def fill(target: Any) -> None:
        array = weight.array()
        if not is_plain(x.order):
            array = array[index(x.order)] if transposed else array[:, index(x.order)]
        put(target.weight, array.transpose(2, 3, 1, 0))
        if has_bias and target.bias is not None:
            put(target.bias, bias[0].array())

    return [builder.add(layer, made, x, order=channels(outputs), fill=fill)]


def pooling(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Pooling: the number of windows is rounded up; a mean counts the padding, not what is beyond.

    A window that is larger than the map and its padding is one of their size.
    """
    x, p = maps(bottoms), layer.parameters("pooling_param")
    method, size = p.get("pool", "MAX"), (x.shape[0], x.shape[1])
    if method not in ("MAX", "AVE"):
        raise ValueError(f"its method is {method}; known are MAX and AVE")
    stride, pad = pair_of(p, "stride", "stride", 1), pair_of(p, "pad", "pad", 0)
    if p.get("global_pooling", False):
        if any(name in p for name in ("kernel_size", "kernel_h", "kernel_w")):
            raise ValueError("global_pooling is true; expected no size of a kernel beside it")
        if pad != (0, 0) or stride != (1, 1):
            raise ValueError("global_pooling is true; expected a stride of 1 and no padding")
        kernel = size
    else:
        kernel = pair_of(p, "kernel_size", "kernel", None)
    kind = MaxPool2d if method == "MAX" else AvgPool2d
    kind(kernel, stride, pad)  # raises ValueError for numbers below 1
    ceil = p.get("round_mode", "CEIL") == "CEIL"
    if ceil:
        count = windows(size, kernel, stride, pad)
        for n, o, s, b in zip(size, count, stride, pad, strict=True):
            if (o - 1) * s - b >= n:
                raise ValueError(
                    f"its last window starts beyond the {n} pixels of its input: Caffe's result "
                    "there is undefined"
                )
        sides = zip(size, kernel, pad, count, strict=True)
        height, width = ((min(k, n + 2 * b) if o == 1 else k) for n, k, b, o in sides)
        kernel = height, width
        ceil = count != windows(size, kernel, stride, pad, down=True)
    return [builder.add(layer, kind(kernel, stride, pad, ceil_mode=ceil), x)]


def lrn(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """LRN: Caffe divides alpha by the number of values in the sum, as `alpha_div_n` does.

    Within a channel it ignores k, which is 1 there.
    """
    x, p = maps(bottoms), layer.parameters("lrn_param")
    size, alpha, beta = p.get("local_size", 5), p.get("alpha", 1.0), p.get("beta", 0.75)
    within = p.get("norm_region", "ACROSS_CHANNELS") == "WITHIN_CHANNEL"
    if size % 2 == 0:
        raise ValueError(f"local_size is {size}; expected an odd number")
    if not within and not is_plain(x.order) and sum(len(piece.runs) for piece in x.order) > 1:
        raise ValueError('its channels are in another order here: give channels="rgb"')
    k = 1.0 if within else p.get("k", 1.0)
    made = LocalResponseNorm(size, alpha, beta, k, alpha_div_n=True, within_channel=within)
    return [builder.add(layer, made, x)]
