"""BatchNorm and Scale, which in Caffe are two layers and here are one."""

from typing import Any

import numpy as np

from ...layers import Affine, BatchNorm2d, Flatten, Reshape
from ..builder import Blob, Builder, Fill, put
from ..net import CaffeLayer
from .common import check_channels, only, permuted, weights_of


def batch_norm(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """BatchNorm: sums of means and variances, and the number by which to divide both.

    mean = blobs[0] / blobs[2], var = blobs[1] / blobs[2]; both are 0 if blobs[2] is.
    """
    x, p = only(bottoms), layer.parameters("batch_norm_param")
    mean, variance, count = weights_of(layer, (x.channels,), (x.channels,), (1,))
    momentum = 1 - p.get("moving_average_fraction", 0.999)
    made = BatchNorm2d(x.channels, p.get("eps", 1e-5), momentum, scale=False)

    def fill(target: Any) -> None:
        total = float(count.array().reshape(-1)[0])
        factor = np.float32(1 / total if total else 0)
        for name, blob in (("running_mean", mean), ("running_var", variance)):
            values = permuted(blob.array(), x.order) * factor
            setattr(target, name, np.array(values, np.float32))

    if len(x.shape) == 3:
        return [builder.add(layer, made, x, fill=fill)]
    pixel = builder.add(layer, Reshape(1, 1, x.channels), x, suffix="_pixel")
    y = builder.add(layer, made, pixel, fill=fill)
    return [builder.add(layer, Flatten(), y, suffix="_flatten")]


def scale(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Scale: a factor, and with bias_term a bias, per channel.

    Behind a BatchNorm that nothing else reads they become its gamma and beta.
    """
    if len(bottoms) == 2:
        raise ValueError("it multiplies two arrays; only weights of its own are known")
    x, p = only(bottoms), layer.parameters("scale_param")
    check_channels(p, x)
    has_bias = p.get("bias_term", False)
    gamma, *beta = weights_of(layer, (x.channels,), *[(x.channels,)] * has_bias)

    def fill(target: Any) -> None:
        put(target.weight, permuted(gamma.array(), x.order))
        if has_bias:
            put(target.bias, permuted(beta[0].array(), x.order))

    node = builder.nodes.get(x.node)
    norm = node.layer if node else None
    if node and isinstance(norm, BatchNorm2d) and not norm.scale and builder.is_only_reader:
        node.layer = BatchNorm2d(norm.channels, norm.eps, norm.momentum)
        node.fill = _both(node.fill, fill)
        return [x]
    return [builder.add(layer, Affine(x.channels, bias=has_bias), x, fill=fill)]


def _both(first: Fill | None, second: Fill) -> Fill:
    def fill(target: Any) -> None:
        assert first is not None
        first(target)
        second(target)

    return fill
