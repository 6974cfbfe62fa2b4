"""BatchNorm and Scale, which in Caffe are two layers and here are one."""

from typing import Any

import numpy as np

from ...layers import BatchNorm2d
from ..builder import Blob, Builder, Fill, Node, put
from ..net import CaffeLayer
from .common import check_axis, maps, only, permuted, weights_of


def batch_norm(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """BatchNorm: sums of means and variances, and the number by which to divide both.

    mean = blobs[0] / blobs[2], var = blobs[1] / blobs[2]; both are 0 if blobs[2] is.
    """
    x, p = maps(bottoms), layer.parameters("batch_norm_param")
    mean, variance, count = weights_of(layer, (x.channels,), (x.channels,), (1,))
    momentum = 1 - p.get("moving_average_fraction", 0.999)
    made = BatchNorm2d(x.channels, p.get("eps", 1e-5), momentum, scale=False)

    def fill(target: Any) -> None:
        total = float(count.array().reshape(-1)[0])
        factor = np.float32(1 / total if total else 0)
        for name, blob in (("running_mean", mean), ("running_var", variance)):
            values = permuted(blob.array(), x.order) * factor
            setattr(target, name, np.array(values, np.float32))

    return [builder.add(layer, made, x, fill=fill)]


def scale(builder: Builder, layer: CaffeLayer, bottoms: list[Blob]) -> list[Blob]:
    """Scale: a factor, and with bias_term a bias, per channel.

    Behind a BatchNorm that nothing else reads they become its gamma and beta.
    """
    x, p = only(bottoms), layer.parameters("scale_param")
    check_axis(p, x)
    if p.get("num_axes", 1) != 1:
        raise ValueError(f"num_axes is {p.get('num_axes')}; only 1, the channels, is known")
    has_bias = p.get("bias_term", False)
    gamma, *beta = weights_of(layer, (x.channels,), *[(x.channels,)] * has_bias)

    def fill(target: Any) -> None:
        put(target.weight, permuted(gamma.array(), x.order))
        if has_bias:
            put(target.bias, permuted(beta[0].array(), x.order))

    node = builder.nodes.get(x.node)
    norm = node.layer if node else None
    if node and isinstance(norm, BatchNorm2d) and not norm.scale and builder.is_only_reader:
        builder.nodes[x.node] = Node(
            BatchNorm2d(norm.channels, norm.eps, norm.momentum),
            node.reads,
            node.source,
            _both(node.fill, fill),
        )
        return [x]
    raise ValueError("it does not follow a BatchNorm")


def _both(first: Fill | None, second: Fill) -> Fill:
    def fill(target: Any) -> None:
        assert first is not None
        first(target)
        second(target)

    return fill
