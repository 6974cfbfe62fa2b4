"""A network as a tree of nodes to draw: boxes, chains, and blocks with parallel paths."""

from dataclasses import dataclass, field, replace
from functools import singledispatch

from ...kernels.types import Shape
from ...layers import (
    RBF,
    Activation,
    AdaptiveMaxPool2d,
    Add,
    AuxiliaryNetwork,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Graph,
    GroupNorm,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    Maximum,
    MaxPool2d,
    Multiply,
    PadShortcut,
    PReLU,
    Residual,
    Sequential,
    Slice,
    Softmax,
    Subsample2d,
    Upsample,
)
from ...layers.checks import inside
from ...layers.graph import INPUT
from ...layers.layer import short
from ...layers.pool import AdaptivePool2d, Pool2d
from ...layers.tree import join
from .. import describe
from .regions import Fork, Item, Tangle, regions

CONV, POOL, NORM, LINEAR, OTHER = "convolution", "pooling", "norm", "fully connected", "other"
ADD, CONCAT = "add", "concat"  # how the paths of a block are joined; or a word for another way


@dataclass(frozen=True)
class Node:
    """The base. output: `(H, W, C)` or `(features,)`. name: the dotted name of the layer."""

    name: str
    output: Shape


@dataclass(frozen=True)
class Box(Node):
    """A layer, or a convolution with its batch norm. text: what it is, a few words in each line."""

    kind: str
    text: str
    parameters: int
    macs: int


@dataclass(frozen=True)
class Chain(Node):
    """Nodes in order. An empty chain is the identity."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Block(Node):
    """Parallel paths, joined by `ADD`, the second being a shortcut, or `CONCAT`, or another word.

    text: what follows the addition.
    others: the equal blocks behind it, which are not drawn.
    """

    paths: tuple[Node, ...]
    kind: str
    text: str = ""
    others: tuple["Block", ...] = ()

    @property
    def grows(self) -> bool:
        """True if the result is what it reads and more maps, as of a dense layer."""
        empty = [path for path in self.paths if isinstance(path, Chain) and not path.nodes]
        return self.kind == CONCAT and bool(empty)


@dataclass(frozen=True)
class Network(Node):
    """The whole: a chain, and the auxiliary classifiers by the name of the layer that they read."""

    input: Shape
    chain: Chain
    parameters: int
    macs: int
    heads: dict[str, Box] = field(default_factory=dict)


def read(model: Layer, input_shape: Shape, fold: bool = True) -> Network:
    """The nodes of a network for images of `input_shape` (H, W, C).

    fold: equal blocks in a row become one. Raises ShapeError if it cannot take that input.
    """
    shape = (1, *input_shape)
    chain = _node(model, shape, "", fold)
    chain = chain if isinstance(chain, Chain) else Chain("", chain.output, (chain,))
    heads = {}
    if isinstance(model, AuxiliaryNetwork):
        names = {id(head): name for name, head in model.children()}
        for name, layer in model._layers.items():
            shape = layer.output_shape(shape)
            if name in model.heads:
                head = model.heads[name]
                heads[name] = _head(head, shape, names[id(head)])
    own = sum(p.trainable for p in model.parameters())
    return Network("", chain.output, tuple(input_shape), chain, own, _macs(chain), heads)


def _macs(node: Node) -> int:
    """Of one image, auxiliary classifiers excluded."""
    if isinstance(node, Box):
        return node.macs
    nodes = node.nodes if isinstance(node, Chain) else ()
    if isinstance(node, Block):
        nodes = (*node.paths, *node.others)
    return sum(map(_macs, nodes))


def _head(head: Layer, shape: Shape, name: str) -> Box:
    """An auxiliary classifier as one box."""
    node = _node(head, shape, "", False)
    boxes = [n for n in getattr(node, "nodes", (node,)) if isinstance(n, Box)]
    words = [b.text for b in boxes if b.kind in (POOL, CONV, LINEAR)]
    count = sum(p.trainable for p in head.parameters())
    text = "\n".join(["in training only:", *words])
    return Box(name, node.output, OTHER, text, count, _macs(node))


def _node(layer: Layer, shape: Shape, name: str, fold: bool) -> Node:
    output = layer.output_shape(shape)[1:]
    if isinstance(layer, Graph):
        return _graph(layer, shape, name, fold)
    if isinstance(layer, Sequential):
        return _chain(layer, shape, name, fold)
    if isinstance(layer, Concat):
        paths = tuple(_node(p, shape, join(name, n), fold) for n, p in layer.children())
        return Block(name, output, paths, CONCAT)
    if isinstance(layer, Residual):
        body = _node(layer.body, shape, join(name, "body"), fold)
        shortcut: Node = Chain(name, shape[1:], ())
        if layer.shortcut:
            shortcut = _node(layer.shortcut, shape, join(name, "shortcut"), fold)
        return Block(name, output, (body, shortcut), ADD, layer.activation or "")
    if isinstance(layer, Identity):
        return Chain(name, output, ())
    parameters = sum(p.trainable for p in layer.parameters())
    macs = describe.macs(layer, (1, *output))
    return Box(name, output, kind_of(layer), text_of(layer), parameters, macs)


def _chain(layer: Sequential, shape: Shape, name: str, fold: bool) -> Node:
    """The nodes of a Sequential; a chain in a chain is dissolved, a chain of one is that node."""
    nodes: list[Node] = []
    for child_name, child in layer._layers.items():
        with inside(child_name):
            node = _node(child, shape, join(name, child_name), fold)
            shape = child.output_shape(shape)
        nodes += node.nodes if isinstance(node, Chain) else (node,)
    nodes = _with_norms(nodes)
    if fold:
        nodes = _folded(nodes)
    if len(nodes) == 1 and name:
        return replace(nodes[0], name=name) if isinstance(nodes[0], Box) else nodes[0]
    return Chain(name, shape[1:], tuple(nodes))


def _graph(graph: Graph, shape: Shape, name: str, fold: bool) -> Chain:
    """The chain of a graph: paths that are joined become blocks."""
    nodes = {}
    for child_name, child, given in graph.walk(shape):
        with inside(child_name):
            nodes[child_name] = _node(child, given, join(name, child_name), fold)

    def chain(items: tuple[Item, ...], output: Shape) -> Chain:
        found: list[Node] = []
        for item in items:
            if isinstance(item, Fork):
                found.append(block(item))
            elif isinstance(item, Tangle):
                before = zip(("", *item.layers), item.layers, strict=False)
                found += [_with_reads(nodes[n], graph.inputs[n], b) for b, n in before]
            else:
                node = nodes[item]
                found += node.nodes if isinstance(node, Chain) else (node,)
        found = _with_norms(found)
        return Chain(name, output, tuple(_folded(found) if fold else found))

    def block(fork: Fork) -> Block:
        node, layer = nodes[fork.join], graph._layers[fork.join]
        paths = [chain(path, node.output) for path in fork.paths]
        text = getattr(layer, "activation", None) or ""
        kind = text_of(layer).removesuffix(_with(text))
        if kind == ADD and len(paths) == 2:
            paths.sort(key=lambda path: -len(path.nodes))  # the shortcut is the second
        elif kind == ADD:
            kind = "sum"
        return Block(node.name, node.output, tuple(paths), kind, text)

    return chain(regions(graph.inputs, INPUT), graph.output_shape(shape)[1:])


def _with_reads(node: Node, sources: tuple[str, ...], above: str) -> Node:
    """A box that says what it reads, unless this is the layer above it."""
    if sources == (above,) or not isinstance(node, Box):
        return node
    return replace(node, text=f"{node.text}\nreads {', '.join(sources)}")


def _with_norms(nodes: list[Node]) -> list[Node]:
    """Batch norms become a part of the convolution before them."""
    found: list[Node] = []
    for node in nodes:
        before = found[-1] if found else None
        if (
            isinstance(before, Box)
            and before.kind == CONV
            and isinstance(node, Box)
            and node.text.startswith("batch norm")
            and "\n" not in node.text
        ):
            text = before.text + node.text.replace("batch norm", ", bn")
            parameters = before.parameters + node.parameters
            found[-1] = replace(before, text=text, parameters=parameters)
        else:
            found.append(node)
    return found


def _folded(nodes: list[Node]) -> list[Node]:
    """Equal blocks in a row become one that is counted."""
    found: list[Node] = []
    for node in nodes:
        before = found[-1] if found else None
        if isinstance(before, Block) and isinstance(node, Block) and _form(before) == _form(node):
            found[-1] = replace(before, others=(*before.others, node))
        else:
            found.append(node)
    return found


def _form(node: Node, grows: bool = False) -> tuple:
    """What two equal blocks have in common: everything but their names.

    grows: inside of a block that grows, also except the number of maps that are read.
    """
    if isinstance(node, Chain):
        return tuple(_form(n, grows) for n in node.nodes)
    if isinstance(node, Block):
        grows = grows or node.grows
        inner: tuple = tuple(_form(path, grows) for path in node.paths)
    else:
        assert isinstance(node, Box)
        inner = () if grows else (node.parameters,)
    return node.output[:-1] if grows else node.output, node.kind, node.text, *inner


# -- what a layer is -------------------------------------------------------------------------------

KINDS: tuple[tuple[str, tuple[type[Layer], ...]], ...] = (
    (CONV, (Conv2d, ConvTranspose2d)),
    (POOL, (Pool2d, AdaptivePool2d, GlobalAvgPool2d, GlobalMaxPool2d, Subsample2d)),
    (NORM, (BatchNorm2d, GroupNorm, LayerNorm, LocalResponseNorm)),
    (LINEAR, (Linear, RBF)),
)


def kind_of(layer: Layer) -> str:
    """The kind, which has a color."""
    return next((kind for kind, types in KINDS if isinstance(layer, types)), OTHER)


@singledispatch
def text_of(layer: Layer) -> str:
    """A layer in a few words; its class if it is not one of ours."""
    return type(layer).__name__


def _window(layer: Conv2d | ConvTranspose2d | Pool2d) -> str:
    return "x".join(map(str, layer.kernel_size))


def _stride(layer: Conv2d | ConvTranspose2d | Pool2d) -> str:
    return f", /{short(layer.stride)}" if layer.stride != (1, 1) else ""


def _with(activation: str | None) -> str:
    return f", {activation}" if activation else ""


@text_of.register
def _(layer: Conv2d) -> str:
    groups = f", {layer.groups} groups" if layer.groups > 1 else ""
    text = f"{_window(layer)} conv, {layer.out_channels}{_stride(layer)}{groups}"
    return text + _with(layer.activation)


@text_of.register
def _(layer: ConvTranspose2d) -> str:
    groups = f", {layer.groups} groups" if layer.groups > 1 else ""
    stride = f", x{short(layer.stride)}" if layer.stride != (1, 1) else ""
    return f"{_window(layer)} transposed conv, {layer.out_channels}{stride}{groups}"


@text_of.register
def _(layer: MaxPool2d) -> str:
    return f"{_window(layer)} max pool{_stride(layer)}"


@text_of.register
def _(layer: AvgPool2d) -> str:
    return f"{_window(layer)} avg pool{_stride(layer)}"


@text_of.register
def _(layer: AdaptivePool2d) -> str:
    kind = "max" if isinstance(layer, AdaptiveMaxPool2d) else "avg"
    return f"{kind} pool to {'x'.join(map(str, layer.output_size))}"


@text_of.register
def _(layer: GlobalAvgPool2d) -> str:
    return "global avg pool"


@text_of.register
def _(layer: GlobalMaxPool2d) -> str:
    return "global max pool"


@text_of.register
def _(layer: Upsample) -> str:
    if layer.scale is None:
        return f"{layer.mode} to {'x'.join(map(str, layer.size or ()))}"
    return f"{layer.mode} upsampling, x{short(layer.scale)}"


@text_of.register
def _(layer: Subsample2d) -> str:
    return f"{layer.size}x{layer.size} trained pool{_with(layer.activation)}"


@text_of.register
def _(layer: Linear) -> str:
    return f"fc, {layer.out_features}{_with(layer.activation)}"


@text_of.register
def _(layer: RBF) -> str:
    return f"RBF, {len(layer.codes)}"


@text_of.register
def _(layer: BatchNorm2d) -> str:
    return f"batch norm{_with(layer.activation)}"


@text_of.register
def _(layer: LocalResponseNorm) -> str:
    return f"LRN over {layer.size}{f'x{layer.size} pixels' if layer.within_channel else ''}"


@text_of.register
def _(layer: Dropout) -> str:
    return f"dropout {layer.p:g}"


@text_of.register
def _(layer: Activation) -> str:
    return layer.text or "identity"


@text_of.register
def _(layer: PReLU) -> str:
    return "PReLU" if layer.channels > 1 else "PReLU, one slope"


@text_of.register
def _(layer: Softmax) -> str:
    return "softmax"


@text_of.register
def _(layer: GroupNorm) -> str:
    return f"group norm, {layer.groups} groups"


@text_of.register
def _(layer: LayerNorm) -> str:
    return "layer norm"


@text_of.register
def _(layer: Flatten) -> str:
    return "flatten"


@text_of.register
def _(layer: PadShortcut) -> str:
    return f"pad with zeros, /{layer.stride}"


@text_of.register
def _(layer: Add) -> str:
    return f"{ADD}{_with(layer.activation)}"


@text_of.register
def _(layer: Concatenate) -> str:
    return CONCAT


@text_of.register
def _(layer: Multiply | Maximum) -> str:
    return type(layer).__name__.lower()


@text_of.register
def _(layer: Slice) -> str:
    return f"channels {layer.start} to {layer.stop - 1}"
