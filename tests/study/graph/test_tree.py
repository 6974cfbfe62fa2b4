"""The nodes of a network: what is a box, what is folded, and that nothing is lost."""

import pytest

from minicnn import models
from minicnn.errors import ShapeError
from minicnn.layers import (
    Add,
    BatchNorm2d,
    Clip,
    Concat,
    Concatenate,
    Conv2d,
    Graph,
    GroupNorm,
    HardSwish,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2d,
    Multiply,
    PReLU,
    Residual,
    Sequential,
    Slice,
    Softmax,
)
from minicnn.layers.init import skip_init
from minicnn.study import summarize
from minicnn.study.graph.labels import ADD, CONCAT, NORM
from minicnn.study.graph.tree import Block, Box, Chain, read


def boxes(node):
    """All boxes inside, in order."""
    if isinstance(node, Box):
        return [node]
    return [b for n in getattr(node, "nodes", getattr(node, "paths", ())) for b in boxes(n)]


@pytest.mark.parametrize(
    "name", ["lenet5_1998", "googlenet", "resnet20_cifar", "nin_cifar10", "densenet_bc_cifar"]
)
def test_nothing_is_lost(name):
    """With or without folding, parameters and MACs are those of the summary."""
    with skip_init():
        network = models.create(name)
    summary = summarize(network)
    for fold in (True, False):
        found = read(network, network.input_shape, fold)
        assert (found.macs, found.parameters) == (summary.macs, summary.parameters)
        assert found.output == summary.rows[-1].output
    unfolded = sum(b.parameters for b in boxes(found.chain))
    assert unfolded == sum(row.parameters for row in summary.rows)


def test_equal_blocks_are_folded():
    found = read(models.create("resnet20_cifar"), (32, 32, 3))
    blocks = [n for n in found.chain.nodes if isinstance(n, Block)]
    assert [(b.name, [other.name for other in b.others]) for b in blocks] == [
        ("layer1.0", ["layer1.1", "layer1.2"]),
        ("layer2.0", []),
        ("layer2.1", ["layer2.2"]),
        ("layer3.0", []),
        ("layer3.1", ["layer3.2"]),
    ]
    first = blocks[0]
    assert (first.kind, first.text) == (ADD, "relu")
    assert [b.text for b in boxes(first)] == ["3x3 conv, 16, bn, relu", "3x3 conv, 16, bn"]
    assert first.paths[1] == Chain("layer1.0", (32, 32, 16), ())
    assert boxes(blocks[1].paths[1])[0].text == "pad with zeros, /2"


def test_dense_layers_that_read_more_and_more_maps_are_folded():
    def dense(channels):
        new = Sequential(bn=BatchNorm2d(channels, activation="relu"), conv=Conv2d(channels, 4, 1))
        return Concat(kept=Identity(), new=new)

    network = Sequential(a=dense(3), b=dense(7), c=dense(11), conv=Conv2d(15, 2, 1))
    first, conv = read(network, (5, 5, 3)).chain.nodes
    assert (first.name, first.output, conv.output) == ("a", (5, 5, 7), (5, 5, 2))
    assert [(b.name, b.output) for b in first.others] == [("b", (5, 5, 11)), ("c", (5, 5, 15))]
    plain = Sequential(a=dense(3), b=Concat(Identity(), Conv2d(7, 4, 1)))
    assert len(read(plain, (5, 5, 3)).chain.nodes) == 2


def test_activations_and_norms_in_words():
    """Those of the boxes of a drawing, and of the table of layers."""
    network = Sequential(
        conv=Conv2d(3, 4, 3, activation="relu6"),
        group=GroupNorm(2, 4),
        leaky=LeakyReLU(0.1),
        layer=LayerNorm(4),
        prelu=PReLU(4),
        one=PReLU(),
        clip=Clip(-1, 1),
        swish=HardSwish(),
        soft=Softmax(),
    )
    found = boxes(read(network, (5, 5, 3), fold=False).chain)
    assert [(box.kind, box.text) for box in found if box.kind == NORM] == [
        (NORM, "group norm, 2 groups"),
        (NORM, "layer norm"),
    ]
    texts = [box.text for box in found]
    assert texts[0] == "3x3 conv, 4, relu6"
    assert [texts[2], *texts[4:]] == [
        *("leaky_relu(0.1)", "PReLU", "PReLU, one slope", "clip(-1, 1)", "hard_swish", "softmax"),
    ]
    rows = {row.name: row for row in summarize(network, (5, 5, 3)).rows}
    assert rows["leaky"].activation == "leaky_relu(0.1)"
    assert rows["group"].note == "2 groups eps=1e-05"
    assert (rows["group"].parameters, rows["prelu"].parameters, rows["one"].parameters) == (8, 4, 1)


def test_paths_of_a_graph_are_blocks():
    graph = Graph(
        conv=Conv2d(3, 8, 3, padding=1, bias=False),
        bn=BatchNorm2d(8, activation="relu"),
        body=Conv2d(8, 8, 1),
        add=Add("relu"),
        a=Conv2d(8, 4, 1),
        b=Slice(0, 4),
        c=Conv2d(8, 4, 3, padding=1),
        cat=Concatenate(),
        gate=Conv2d(12, 1, 1, activation="sigmoid"),
        scaled=Multiply(),
        inputs={
            "add": ("bn", "body"),
            "b": "add",
            "c": "add",
            "cat": ("a", "b", "c"),
            "scaled": ("cat", "gate"),
        },
    )
    found = read(graph, (5, 6, 3))
    conv, add, cat, scaled = found.chain.nodes
    assert conv.text == "3x3 conv, 8, bn, relu"
    assert (add.kind, add.text, len(add.paths[1].nodes)) == (ADD, "relu", 0)
    assert (cat.kind, cat.output) == (CONCAT, (5, 6, 12))
    assert [b.text for b in boxes(cat)][1] == "channels 0 to 3"
    assert (scaled.kind, scaled.name) == ("multiply", "scaled")
    summary = summarize(graph, (5, 6, 3))
    assert (found.macs, found.parameters) == (summary.macs, summary.parameters)
    assert sum(b.parameters for b in boxes(found.chain)) == found.parameters


def test_layers_whose_paths_cross_say_what_they_read():
    def conv():
        return Conv2d(2, 2, 1)

    graph = Graph(
        a=conv(),
        b=conv(),
        c=Add(),
        d=BatchNorm2d(2),
        e=Add(),
        f=conv(),
        inputs={"c": ("a", "b"), "d": "b", "e": ("a", "c", "d")},
    )
    *_, b, c, d, e, f = boxes(read(graph, (3, 3, 2)).chain)
    assert f.text == "1x1 conv, 2"
    assert [x.text.split("\n")[1] for x in (b, c, d, e)] == [
        *("reads a", "reads a, b", "reads b", "reads a, c, d")
    ]


def test_auxiliary_classifiers_are_heads():
    with skip_init():
        found = read(models.create("googlenet", num_classes=5), (224, 224, 3))
    assert list(found.heads) == ["inception4a", "inception4d"]
    head = found.heads["inception4a"]
    assert (head.name, head.output) == ("aux1", (5,))
    assert "5x5 avg pool, /3\n1x1 conv, 128, relu\nfc, 1024, relu\nfc, 5" in head.text


class Own(Layer):
    """A layer that minicnn does not define, with layers inside."""

    def __init__(self):
        self.inner = Conv2d(2, 2, 1)

    def output_shape(self, shape):
        return shape


def test_branches_nested_chains_and_layers_of_ones_own():
    net = Sequential(
        a=Concat(
            Conv2d(3, 1, 1),
            Sequential(Sequential(MaxPool2d(1)), Conv2d(3, 1, (1, 3), padding=(0, 1))),
        ),
        b=Own(),
        c=Residual(Sequential(Conv2d(2, 2, 1, groups=2))),
    )
    found = read(net, (4, 6, 3))
    a, b, _ = found.chain.nodes
    assert a.kind == CONCAT and a.output == (4, 6, 2)
    with pytest.raises(ShapeError, match="Concat"):
        read(Sequential(Concat(Conv2d(3, 1, 1), Conv2d(3, 1, 3))), (4, 6, 3))
    assert (b.text, b.parameters) == ("Own", 6)
    assert boxes(found.chain)[-1].text == "1x1 conv, 2, 2 groups"
