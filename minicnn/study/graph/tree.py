"""A network as a tree of nodes to draw: boxes, chains, and blocks with parallel paths."""

from dataclasses import dataclass, field, replace

from ...kernels.types import Shape
from ...layers import (
    AuxiliaryNetwork,
    Concat,
    Graph,
    Identity,
    Layer,
    Residual,
    Sequential,
)
from ...layers.checks import inside
from ...layers.graph import INPUT
from ...layers.tree import join
from .. import describe
from .labels import ADD, CONCAT, CONV, LINEAR, OTHER, POOL, activation_suffix, kind_of, text_of
from .regions import Fork, Item, Tangle, regions


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
        kind = text_of(layer).removesuffix(activation_suffix(text))
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
