"""A network of ours as Caffe has it."""

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import CheckpointError
from ..kernels.types import Shape
from ..layers import Network
from .describer import INPUT, Array, Describer
from .graph_writers import ALL_WRITERS
from .net import Net


@dataclass(frozen=True)
class Described:
    """A network as Caffe has it. output, heads: the arrays that its end and each head write."""

    net: Net
    output: str
    heads: dict[str, str]


def describe(
    network: Network,
    names: Callable[[str], str],
    flipped: bool = False,
    with_heads: bool = False,
    factors: tuple[float, ...] = (),
) -> Described:
    """Caffe's layers for a network that has an input_shape, with views of its weights.

    flipped: True for a network in Caffe that reads BGR. factors: of the input, see `Array`.
    Raises CheckpointError that names the layer that Caffe does not have.
    """
    height, width, channels = network.input_shape
    describer = Describer(names, ALL_WRITERS, with_heads)
    y = describer.walk(network, "", Array(INPUT, network.input_shape, (), flipped, factors))
    try:
        y = describer.flat(y, f"{y.top}_flatten")
    except ValueError as error:
        raise CheckpointError(f"its end: {error}") from None
    if not y.is_ours:
        raise CheckpointError(
            'its output is in another order in Caffe: write with channels="rgb" and one std'
        )
    inputs: dict[str, Shape] = {INPUT: (1, channels, height, width)}
    net = Net(network.name or "", describer.layers, inputs, None, described_in_binary=False)
    return Described(net, y.top, describer.heads)
