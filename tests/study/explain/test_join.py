"""Layers that join, and the graph around them."""

from minicnn.layers import Add, Concatenate, Conv2d, Graph, Maximum, Multiply, Sequential, Slice
from tests.study.explain.numbers import check_all


def network():
    """A graph between two layers, whose input and whose layers are read in several places."""
    graph = Graph(
        conv=Conv2d(3, 4, 3, padding=1),
        side=Sequential(a=Conv2d(3, 4, 1)),
        gate=Conv2d(3, 1, 1, activation="sigmoid"),
        scaled=Multiply(),
        most=Maximum(),
        left=Slice(1, 3),
        joined=Concatenate(),
        added=Add("relu"),
        inputs={
            "side": "input",
            "gate": "input",
            "scaled": ("conv", "gate"),
            "most": ("scaled", "side"),
            "joined": ("left", "left"),
            "added": ("joined", "gate", "most"),
        },
    )
    return Sequential(first=Conv2d(2, 3, 1), graph=graph, last=Conv2d(4, 2, 1))


def test_graph():
    found = check_all(network(), (2, 3, 4, 2), count=6)

    def paths(path, what):
        return [(t.factors[0].path, t.factors[0].name) for t in found[path, what].terms]

    assert paths("graph", "y") == [("graph.added", "y")]
    readers = [("graph.conv", "dx"), ("graph.side.a", "dx"), ("graph.gate", "dx")]
    assert paths("graph", "dx") == readers
    assert paths("first", "dy") == [("graph", "dx")]
    assert paths("graph.side.a", "x") == [("first", "y")]
    assert paths("graph.most", "x2") == [("graph.side.a", "y")]
    assert paths("graph.gate", "dy") == [("graph.scaled", "dx2"), ("graph.added", "dx2")]
    assert paths("graph.left", "dy") == [("graph.joined", "dx1"), ("graph.joined", "dx2")]
    assert paths("graph.added", "dy") == [("last", "dx")]
    assert paths("last", "x") == [("graph.added", "y")]
    e = found["graph.gate", "dy"]
    assert e.formula == "dy = graph.scaled.dx2 + graph.added.dx2"
    assert e.note == "y is read in several places, so their gradients are added."
    e = found["graph.scaled", "dx2"]  # the gate is repeated over four channels
    assert (e.formula, len(e.terms)) == ("dx2 = dy · x1", 4)
    assert found["graph.added", "y"].formula == "y = relu(x1 + x2 + x3)"
    assert found["graph.added", "y"].reads[2].path == "graph.most"
    assert found["graph.most", "y"].kind == "selection"
    assert found["graph.joined", "y"].formula == "y[..., c] = x2[..., c - 2]"
    assert found["graph.left", "dx"].note == "The channel is not in the slice."
