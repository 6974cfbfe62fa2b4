"""From the layers of Caffe to a network of ours that computes the same."""

from typing import Any

from ..errors import CheckpointError
from ..kernels.types import Shape
from ..layers import Flatten, Graph, Layer
from ..layers.init import skip_init
from ..weights.checks import check_weights
from .builder import Blob, Builder, Node
from .converters import BY_KEY, CONVERTERS
from .order import is_plain
from .steps import Plan


def build(plan: Plan, input_shape: Shape, flipped: bool) -> tuple[Builder, Blob]:
    """The nodes of a plan, still without weights, and the output; maps of one pixel are flattened.

    input_shape: (H, W, C). flipped: True if the first layers expect BGR.
    Raises CheckpointError that names Caffe's layer, its type, and what cannot be taken.
    """
    if not plan.steps:
        raise CheckpointError("it has no layers that compute anything")
    builder = Builder(plan, input_shape, flipped)
    for step in plan.steps:
        builder.step, layer = step, step.layer
        convert = BY_KEY.get(layer.key)
        if convert is None:
            raise CheckpointError(
                f"{layer.label}: this type is not read; known are {', '.join(CONVERTERS)}"
            )
        if layer.message.unknown_messages:
            field = layer.message.unknown_messages[0]
            raise CheckpointError(f"{layer.label} has the field {field}, which is not known")
        bottoms = [builder.blobs[number] for number in step.reads]
        if not bottoms:
            raise CheckpointError(f"{layer.label} reads nothing")
        try:
            with skip_init():
                tops = convert(builder, layer, bottoms)
        except ValueError as error:
            text = str(error)
            named = text if text.startswith(layer.label) else f"{layer.label}: {text}"
            raise CheckpointError(named) from None
        if len(tops) < len(step.writes):
            raise CheckpointError(
                f"{layer.label} writes {len(step.writes)} arrays; expected {len(tops)}"
            )
        builder.blobs |= dict(zip(step.writes, tops, strict=False))
    output = builder.blobs[plan.output]
    builder.keep(output.node)
    if not builder.nodes:
        raise CheckpointError("its layers compute nothing")
    if not is_plain(output.order):
        raise CheckpointError(
            'the channels of its output are in another order here: give channels="rgb", and images '
            "in the order that the network expects"
        )
    if output.shape[:-1] == (1, 1):  # classes, of a network that ends with global pooling
        output = builder.add(builder.step.layer, Flatten(), output, suffix="_flatten")
    return builder, output


def assemble(builder: Builder) -> Graph:
    """The network of the nodes, with their weights.

    Raises CheckpointError for weights that are not finite.
    """
    for node in builder.nodes.values():
        fill_weights(node, node.layer)
    layers: dict[str, Any] = {name: node.layer for name, node in builder.nodes.items()}
    inputs = {name: node.reads for name, node in builder.nodes.items()}
    return Graph(**layers, inputs=inputs, input_shape=builder.input_shape)


def fill_weights(node: Node, layer: Layer) -> None:
    """Copy the weights of Caffe's layer into `layer`.

    Raises CheckpointError if they are not finite.
    """
    if node.fill is None:
        return
    node.fill(layer)
    state = layer.state_dict()
    try:
        check_weights(state, state)
    except CheckpointError as error:
        raise CheckpointError(f"layer {node.source!r}: its {error}") from None
