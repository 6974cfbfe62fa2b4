"""Normalization by statistics: of batches, layers, groups and maps."""

import math

import numpy as np

from ...layers import BatchNorm2d, GroupNorm, Layer, LayerNorm
from ..axes import Value, flat, in_order, length, with_joined, with_last
from ..importer import Importer
from ..node import Node, put
from . import operator

LARGEST = 2**26  # factors of a layer that a file may have without holding them


def _check_count(node: Node, count: int) -> None:
    """Raise CheckpointError for more factors than a file of a few bytes should make."""
    if count > LARGEST:
        node.fail(f"it normalizes {count:,} numbers; expected at most {LARGEST:,}")


@operator("BatchNormalization")
def batch_norm(importer: Importer, node: Node) -> None:
    """With fixed statistics; in training ours uses those of the batch."""
    importer.check_outputs(node)
    if node.integer("training_mode"):
        node.refuse("training_mode", "the statistics are those of the batch; expected 0")
    if node.integer("spatial", 1) != 1:
        node.refuse("spatial", "it has one mean per pixel; expected one per channel")
    x = importer.value(node)
    scale, bias, mean, variance = (importer.weights(node, i) for i in range(1, 5))
    if scale is None or bias is None or mean is None or variance is None:
        node.fail("it has no scale, bias, mean and variance")
    if not 2 <= len(x.axes) <= 4:
        node.fail(f"its input has the shape {x.shape}; expected (N, C, H, W), (N, C, L) or (N, C)")
    axes = x.axes
    x = importer.arranged(node, Value(x.node, (*axes, (), ())[:4], x.ours))
    if scale.shape != (length(axes[1]),):
        node.fail(f"its weights have the shape {scale.shape}; expected ({length(axes[1])},)")
    eps, momentum = node.number("epsilon", 1e-5), node.number("momentum", 0.9)
    layer = BatchNorm2d(length(axes[1]), eps, 1 - momentum)
    put(layer.weight, scale, node)
    put(layer.bias, bias, node)
    if mean.shape != (layer.channels,) or variance.shape != mean.shape:
        node.fail(f"its statistics have the shapes {mean.shape} and {variance.shape}")
    layer.running_mean, layer.running_var = np.array(mean), np.array(variance)
    importer.give(node, Value(importer.add(node, layer, x), axes, x.ours))


@operator("LayerNormalization")
def layer_norm(importer: Importer, node: Node) -> None:
    """Over the last axes, from `axis` on, with one factor and one shift per number of them."""
    importer.check_outputs(node)
    node.integer("stash_type", 1)  # the type of floats in which it computes
    x, scale, bias = importer.value(node), importer.required(node, 1), importer.weights(node, 2)
    rank, axis = len(x.axes), node.integer("axis", -1)
    if not -rank <= axis < rank or axis % rank == 0:
        node.refuse("axis", f"expected an axis behind the batch of a tensor {x.shape}")
    places = list(range(axis % rank, rank))
    ours, axes = with_joined(x, places), [x.axes[i] for i in places]
    _check_count(node, length(ours[-1]))
    layer = LayerNorm(length(ours[-1]), node.number("epsilon", 1e-5))
    for parameter, array in ((layer.weight, scale), (layer.bias, bias)):
        if array is not None:
            whole = np.broadcast_to(array, tuple(map(length, axes)))
            put(parameter, in_order(whole, axes, ours[-1]), node)
    importer.give_same(node, layer, importer.arranged(node, x, ours))


@operator("decomposed normalization")
def decomposed_norm(importer: Importer, node: Node) -> None:
    """(x - mean) / sqrt(var + eps) over some axes, of which all but one group are channels."""
    x, eps = importer.value(node), node.number("epsilon")
    rank = len(x.axes)
    axes = sorted(axis % rank for axis in node.integers("axes"))
    if axes[0] == 0:
        node.fail(f"axes={axes} of a tensor {x.shape}: 0 is the batch")
    channels = length(x.axes[1])
    is_of_maps = rank > 2 and axes[-1] == rank - 1 and len(axes) >= rank - 2
    _check_count(node, max(channels, math.prod(length(x.axes[i]) for i in axes)))
    layer: Layer
    if is_of_maps and axes[0] <= 2:  # of each map, or of all maps
        ours = with_joined(x, [1])
        layer = GroupNorm(1 if axes[0] == 1 else channels, channels, eps)
    else:
        ours = with_joined(x, axes)
        layer = LayerNorm(length(ours[-1]), eps)
    importer.give_same(node, layer, importer.arranged(node, x, ours))


@operator("InstanceNormalization", "GroupNormalization")
def group_norm(importer: Importer, node: Node) -> None:
    """Each map, or each group of channels, by itself.

    Programs write group norm as the normalization of (N, groups, ...), a reshaped tensor. Where the
    channels of our array begin with these groups, it stays as it is.
    """
    node.integer("stash_type", 1)
    x, scale, bias = importer.value(node), importer.required(node, 1), importer.required(node, 2)
    if len(x.axes) < 3:
        node.fail(f"its input has the shape {x.shape}; expected (N, C, ...)")
    channels, ours = length(x.axes[1]), x.ours
    groups = channels
    if node.op == "GroupNormalization":
        groups = node.integer("num_groups")
    if node.op == "GroupNormalization" or ours[-1][: len(x.axes[1])] != x.axes[1]:
        ours = with_last(x, 1)
    given = channels if node.op == "InstanceNormalization" or node.opset >= 21 else groups
    if groups < 1 or channels % groups or {scale.shape, bias.shape} != {(given,)}:
        node.fail(
            f"it has {groups} groups, {channels} channels, and weights of the shapes {scale.shape} "
            f"and {bias.shape}; expected ({given},)"
        )
    total = length(ours[-1])
    _check_count(node, total)
    layer = GroupNorm(groups, total, node.number("epsilon", 1e-5))
    for parameter, array in ((layer.weight, scale), (layer.bias, bias)):
        put(parameter, np.repeat(array, total // given), node)
    x = importer.arranged(node, x, ours)
    if flat(ours)[:1] != importer.batch:
        node.fail("it moves the axis of the batch; expected it to be the first")
    importer.give_same(node, layer, x)
