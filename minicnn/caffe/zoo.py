"""Networks of Caffe that are networks of our zoo: found by their layers, filled by their names."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from .. import registry
from ..errors import CheckpointError
from ..kernels.types import Shape
from ..layers import BatchNorm2d, Conv2d, Dropout, Layer, Linear, LocalResponseNorm, Network
from ..layers.graph import INPUT
from ..layers.init import skip_init
from ..layers.join import Join
from ..layers.pool import Pool2d
from .build import build, fill_weights
from .builder import Builder
from .describe import Described, describe
from .net import Net
from .steps import Plan, plan

WEIGHTED = ("convolution", "innerproduct")


def zoo_network(net: Net, builder: Builder) -> Network | None:
    """The network of the zoo that computes what the nodes do, with their weights; None without one.

    Raises CheckpointError for weights that are not finite.
    """
    wanted, shape = signature(builder), builder.input_shape
    for entry, options in _candidates(builder):
        with skip_init():
            network = registry.create(entry.name, **options)
        found = described(network, entry, shape)
        if found is None or signature(_built(found, found.output)) != wanted:
            continue
        heads = [_head(net, builder, found, *head) for head in found.heads.items()]
        if None in heads:
            continue
        own = _layers_by_name(network, entry)
        for filled in [builder, *heads]:
            _fill(filled, own)  # type: ignore[arg-type]
        return network
    return None


def known_shape(steps: Plan) -> Shape | None:
    """The input shape of the network of the zoo whose layers have these names, or None."""
    for entry in _of_that_size(steps):
        with skip_init():
            network = registry.create(entry.name)
        if _own_names(network, entry) == _names(steps):
            return network.input_shape
    return None


def _of_that_size(steps: Plan) -> Iterator[registry.Entry]:
    """The networks that can have that many weights, so that no large one is made for a small file.

    The number of classes, and what batch norm counts, changes it by less than the half.
    """
    found = sum(math.prod(blob.shape) for step in steps.steps for blob in step.layer.blobs)
    for name in registry.names():
        entry = registry.entry(name)
        if entry.caffe and entry.caffe.parameters / 2 <= found <= entry.caffe.parameters * 1.5:
            yield entry


def _candidates(builder: Builder) -> Iterator[tuple[registry.Entry, dict[str, Any]]]:
    """The networks whose layers have these names, with the options for the shapes of the file."""
    names, shape = _names(builder.plan), builder.input_shape
    classes = builder.blobs[builder.plan.output].channels
    for entry in _of_that_size(builder.plan):
        assert entry.caffe is not None
        for variant in entry.caffe.variants:
            with skip_init():
                network = registry.create(entry.name, **variant)
            if _own_names(network, entry) != names:
                break
            options = dict(variant)
            sizes = {"num_classes": classes, "input_size": shape[0], "in_channels": shape[2]}
            for option, value in sizes.items():
                if option in entry.options and entry.default(option) != value:
                    options[option] = value
            yield entry, options


def described(network: Network, entry: registry.Entry, shape: Shape) -> Described | None:
    """The network as Caffe has it; None if it does not read that shape."""
    if network.input_shape != shape:
        return None
    assert entry.caffe is not None
    try:
        return describe(network, entry.caffe.names, with_heads=True)
    except CheckpointError:
        return None


def _head(net: Net, builder: Builder, found: Described, name: str, top: str) -> Builder | None:
    """An auxiliary classifier of the file; None if the file has none that is equal to ours."""
    try:
        own, _ = build(plan(net, top), builder.input_shape, builder.flipped)
    except CheckpointError:
        return None
    return own if signature(own) == signature(_built(found, top)) else None


def _built(found: Described, output: str) -> Builder:
    (_, channels, height, width) = next(iter(found.net.inputs.values()))
    return build(plan(found.net, output), (height, width, channels), flipped=False)[0]


def _names(steps: Plan) -> set[str]:
    return {step.layer.name for step in steps.steps if step.layer.key in WEIGHTED}


def _own_names(network: Network, entry: registry.Entry) -> set[str]:
    """Caffe's names of the convolutions and linear layers, without auxiliary classifiers."""
    assert entry.caffe is not None
    return {
        entry.caffe.names(name)
        for name, layer in network.named_layers()
        if isinstance(layer, (Conv2d, Linear)) and not name.startswith("aux")
    }


def _layers_by_name(network: Network, entry: registry.Entry) -> dict[str, Layer]:
    assert entry.caffe is not None
    return {entry.caffe.names(name): layer for name, layer in network.named_layers() if name}


def _fill(builder: Builder, own: Mapping[str, Layer]) -> None:
    """Copy the weights of all nodes into the layers of the same names."""
    biases: dict[str, np.ndarray] = {}
    for name, node in builder.nodes.items():
        target = own.get(node.source)
        if node.fill is None or target is None:
            continue
        fill_weights(node, target)
        bias = getattr(node.layer, "bias", None)
        if isinstance(target, Conv2d) and target.bias is None and bias is not None:
            fill_weights(node, node.layer)
            biases[name] = bias.value
        if isinstance(target, BatchNorm2d) and node.reads[0] in biases:
            # BN(x + b) with the mean m is BN(x) with the mean m - b
            target.running_mean -= biases[node.reads[0]]


def signature(builder: Builder) -> str:
    """A text that is equal for networks that compute the same with weights of the same names."""
    readers = Counter(name for node in builder.nodes.values() for name in node.reads)
    normed = {
        node.reads[0]
        for node in builder.nodes.values()
        if isinstance(node.layer, BatchNorm2d) and readers[node.reads[0]] == 1
    }
    shapes: dict[str, Shape] = {INPUT: builder.input_shape}
    signs = {INPUT: "input"}
    for name, node in builder.nodes.items():
        read = [signs[source] for source in node.reads]
        given = [(1, *shapes[source]) for source in node.reads]
        joins = isinstance(node.layer, Join)
        read_shape: Any = tuple(given) if joins else given[0]
        shapes[name] = node.layer.output_shape(read_shape)[1:]
        if isinstance(node.layer, Dropout):
            signs[name] = read[0]
            continue
        if joins and type(node.layer).__name__ != "Concatenate":
            read = sorted(read)  # sums and products do not depend on the order
        source = node.source if node.fill else ""
        form = _form(node.layer, shapes[name], name in normed)
        signs[name] = sha256(repr((form, source, read)).encode()).hexdigest()
    return signs[name]


def _form(layer: Layer, output: Shape, is_normed: bool) -> Any:
    """What a layer computes, apart from its weights and from the name of its class.

    is_normed: True if a batch norm follows, which removes a bias.
    """
    if isinstance(layer, Pool2d):
        stride = layer.stride if max(output[:2]) > 1 else ()
        return type(layer).__name__, layer.kernel_size, stride, layer.padding, output
    if isinstance(layer, Conv2d):
        bias = layer.bias is not None and not is_normed
        return layer.weight.value.shape, sorted(layer.geometry.items()), bias
    if isinstance(layer, BatchNorm2d):
        return "norm", layer.channels, f"{layer.eps:.5g}"
    if isinstance(layer, LocalResponseNorm):
        constants = layer.alpha, layer.beta, layer.k
        return "lrn", layer.size, *(f"{c:.5g}" for c in constants), layer.alpha_div_n
    return repr(layer)
