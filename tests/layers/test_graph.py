"""`Graph` against containers that compute the same, torch, and finite differences."""

import copy
import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import study, training
from minicnn.errors import ShapeError
from minicnn.layers import (
    Add,
    BatchNorm2d,
    Concat,
    Concatenate,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Graph,
    Linear,
    Maximum,
    MaxPool2d,
    Multiply,
    Network,
    ReLU,
    Residual,
    Sequential,
    Slice,
    fuse,
    metadata,
    observe,
)
from minicnn.layers.fused import ConvNorm, ReLUChain
from minicnn.study import check_gradients

from .blocks import basic_block, inception
from .contract import IMAGES, NetworkContract, values


def gated():
    """Paths that meet, a gate, and layers that are read several times, also by one reader."""
    return Graph(
        conv1=Conv2d(4, 6, 3, padding=1, activation="tanh"),
        left=Slice(0, 2),
        right=Slice(2, 6),
        project=Conv2d(4, 6, 1),
        pool=MaxPool2d(3, stride=1, padding=1),
        gate=Conv2d(6, 1, 1, activation="sigmoid"),
        scaled=Multiply(),
        join=Concatenate(),
        most=Maximum(),
        twice=Add(activation="tanh"),
        inputs={
            "right": "conv1",
            "pool": "conv1",
            "scaled": ("project", "gate"),
            "join": ("right", "left"),
            "most": ("join", "scaled"),
            "twice": ("most", "most", "conv1"),
        },
    )


def residual():
    block = basic_block(5, 2)
    layers = {"reduce": block.shortcut, **block.body._layers, "add": Add(activation="tanh")}
    return Graph(**layers, inputs={"conv1": "input", "add": ("bn2", "reduce")})


class TestGraph(NetworkContract):
    cases = {
        "gated": (gated, IMAGES),
        "residual": (residual, IMAGES),
        "chain": (lambda: Graph(Conv2d(4, 3, 3), MaxPool2d(2), Flatten(), Linear(18, 2)), IMAGES),
        "graph in a graph": (
            lambda: Graph(inner=gated(), conv=Conv2d(6, 6, 1), add=Add(), inputs=DIAMOND),
            IMAGES,
        ),
        "one layer": (lambda: Graph(Conv2d(4, 3, 3)), IMAGES),
        "the input in several places": (
            lambda: Graph(a=Conv2d(4, 4, 1), m=Multiply(), inputs={"m": ("a", "input", "input")}),
            IMAGES,
        ),
    }


DIAMOND = {"add": ("inner", "conv")}


def assert_twins(graph, twin, x):
    """Equal outputs, dx and gradients; `graph` has the parameters of `twin` in the same order."""
    for layer in (graph, twin):
        layer.astype(np.float64)
    dy = np.random.default_rng(1).standard_normal(twin.output_shape(x.shape))
    found = []
    for layer in (graph, twin):
        found.append([layer(x), layer.backward(dy), *(p.grad for p in layer.parameters())])
        layer.zero_grad()
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_twins():
    """A chain, an Inception module and a residual block written as graphs."""
    x = values((2, 6, 8, 4))
    chain = Sequential(Conv2d(4, 3, 3, activation="relu"), MaxPool2d(2), Flatten(), Linear(18, 2))
    assert_twins(Graph(*copy.deepcopy(chain)), chain, x)
    twin = inception()
    module = copy.deepcopy(twin)
    layers = {
        "one": module.one,
        "reduce": module.three.reduce,
        "conv": module.three.conv,
        "pool": module.pool.pool,
        "project": module.pool.project,
        "join": Concatenate(),
    }
    reads = {"reduce": "input", "pool": "input", "join": ("one", "conv", "project")}
    assert_twins(Graph(**layers, inputs=reads), twin, x)
    block = Residual(Sequential(a=Conv2d(4, 4, 3, padding=1), b=BatchNorm2d(4)), None, "relu")
    own = copy.deepcopy(block)
    graph = Graph(a=own.body.a, b=own.body.b, add=Add("relu"), inputs={"add": ("b", "input")})
    assert_twins(graph, block, x)


def test_against_torch():
    """A network with a split, a gate and a concatenation, written in torch."""
    graph = Graph(
        conv=Conv2d(3, 6, 3, padding=1, activation="relu"),
        a=Slice(0, 3),
        b=Slice(3, 6),
        mixed=Multiply(),
        joined=Concatenate(),
        pool=GlobalAvgPool2d(),
        fc=Linear(9, 4),
        inputs={"b": "conv", "mixed": ("a", "b"), "joined": ("mixed", "conv")},
    ).astype(np.float64)
    x = values((2, 5, 6, 3))
    w, b, v, c = (torch.tensor(p.value, requires_grad=True) for p in graph.parameters())
    t = torch.tensor(x, requires_grad=True)
    maps = torch.relu(
        torch.nn.functional.conv2d(t.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, padding=1)
    )
    first, second = maps.split(3, dim=1)
    expected = torch.cat([first * second, maps], dim=1).mean(dim=(2, 3)) @ v + c
    dy = np.random.default_rng(0).standard_normal((2, 4))
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(graph(x), expected.detach(), rtol=1e-12)
    np.testing.assert_allclose(graph.backward(dy), t.grad, rtol=1e-10, atol=1e-14)
    for parameter, tensor in zip(graph.parameters(), (w, b, v, c), strict=True):
        np.testing.assert_allclose(parameter.grad, tensor.grad, rtol=1e-10, atol=1e-14)


@st.composite
def graphs(draw):
    """Random graphs of up to eight layers on (N, 4, 3, 2)."""
    layers, inputs, channels = {}, {}, {"input": 2}
    unread = []
    for i in range(draw(st.integers(1, 6))):
        name, sources = f"n{i}", [draw(st.sampled_from(list(channels)))]
        kind = draw(st.sampled_from(["conv", "tanh", "pool", "slice", "add", "multiply", "concat"]))
        if kind in ("add", "multiply"):
            fitting = [n for n, c in channels.items() if c == channels[sources[0]]]
            sources += draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=2))
        if kind == "concat":
            sources += draw(st.lists(st.sampled_from(list(channels)), min_size=1, max_size=2))
        c = channels[sources[0]]
        made = {
            "conv": lambda c=c: Conv2d(c, 3, 3, padding=1),
            "tanh": lambda c=c: Conv2d(c, 2, 1, activation="tanh"),
            "pool": lambda: MaxPool2d(3, stride=1, padding=1),
            "slice": lambda c=c: Slice(c // 2, c),
            "add": lambda: Add(draw(st.sampled_from([None, "tanh"]))),
            "multiply": Multiply,
            "concat": Concatenate,
        }[kind]()
        layers[name], inputs[name] = made, tuple(sources)
        channels[name] = made.output_shape(
            tuple((1, 4, 3, channels[s]) for s in sources) if made.joins else (1, 4, 3, c)
        )[-1]
        unread = [n for n in unread if n not in sources] + [name]
    if len(unread) > 1:
        layers["out"], inputs["out"] = Concatenate(), tuple(unread)
    return Graph(**layers, inputs=inputs)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(graph=graphs(), data=st.data())
def test_random_graphs(graph, data):
    """Gradients by finite differences; with frozen layers and without dx, those that remain."""
    minicnn.rng.seed(3)
    for p in graph.astype(np.float64).parameters():
        p.value[...] = np.random.default_rng(p.value.size).standard_normal(p.value.shape) / 2
    x = values((2, 4, 3, 2))
    with minicnn.use("reference"):
        errors = check_gradients(graph, x, eps=1e-6)
        assert max(errors.values()) < 1e-5, errors
        dy = np.cos(graph(x))
        graph.zero_grad()
        graph.backward(dy)
        gradients = {name: p.grad.copy() for name, p in graph.named_parameters()}
        graph.zero_grad()
        trained = [n for n, layer in graph.children() if layer.parameters()]
        if trained:
            graph.freeze(*data.draw(st.sets(st.sampled_from(trained), min_size=1)))
        y = fuse(graph)(x)
        np.testing.assert_allclose(y, graph(x), rtol=1e-12)
        graph.backward(dy, need_dx=False)
    for name, p in graph.named_parameters():
        assert (p._grad is None) == p.frozen
        if not p.frozen:
            np.testing.assert_allclose(p.grad, gradients[name], rtol=1e-12)


def test_errors():
    conv = lambda: Conv2d(3, 3, 1)  # noqa: E731
    for make, message in (
        (lambda: Graph(), "Graph: expected at least one layer"),
        (lambda: Graph(a=conv(), inputs={"b": "a"}), "inputs names 'b', which is no layer"),
        (lambda: Graph(a=conv(), inputs={"a": "c"}), "a reads 'c', which is no layer before it"),
        (
            lambda: Graph(a=conv(), b=conv(), inputs={"a": "b"}),
            "a reads b, which is computed after it; expected the layers in the order of "
            "computation, without a cycle",
        ),
        (lambda: Graph(a=conv(), inputs={"a": "a"}), "a reads a, which is computed after it"),
        (
            lambda: Graph(a=conv(), b=conv(), c=conv(), inputs={"c": "a"}),
            "no layer reads b, and the output is c",
        ),
        (
            lambda: Graph(a=conv(), b=conv(), inputs={"b": ("a", "input")}),
            "b, Conv2d, reads 2 layers; expected 1",
        ),
        (lambda: Graph(a=Add(), inputs={"a": ()}), "a, Add, reads 0 layers; expected at least 1"),
        (lambda: Graph(input=conv()), "a layer cannot have the name 'input'"),
        (lambda: Graph(a=3), "a is 3; expected a layer"),
        (lambda: Graph(**{"a.b": conv()}), "the name 'a.b' has a dot"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    layer = conv()
    with pytest.raises(ValueError, match="the same layer object"):
        Graph(a=layer, b=layer)
    graph = gated()
    with pytest.raises(ValueError, match="scaled, Conv2d, reads 2 layers; expected 1"):
        graph.scaled = conv()
    graph.gate = Conv2d(5, 1, 1)
    for run in (graph, lambda x: graph.output_shape(x.shape)):
        with pytest.raises(ShapeError, match=r"^gate: Conv2d.*has 6 channels; expected"):
            run(np.ones((1, 4, 4, 4), np.float32))
        with pytest.raises(ShapeError, match=r"^conv1: Conv2d.*has 2 channels; expected"):
            run(np.ones((1, 4, 4, 2), np.float32))


def test_arrays_that_nothing_reads_are_freed():
    """Without gradients only the arrays that a later layer reads are alive."""
    alive, most = [], []

    def count(layer, x, y):
        gc.collect()
        alive.append(weakref.ref(y))
        most.append(sum(ref() is not None for ref in alive))

    layers = {f"conv{i}": Conv2d(4, 4, 1) for i in range(6)}
    graph = Graph(**layers, add=Add(), inputs={"add": ("conv5", "conv0")})
    with minicnn.no_grad(), observe(forward=count):
        graph(values((1, 4, 4, 4)).astype(np.float32))
    assert max(most) == 3  # the output, its input, and conv0's


def test_backward_skips_what_is_not_trained():
    """No dx is computed for layers before the first that is trained, and none for the input."""
    graph = gated().freeze("conv1", "project")
    x, called = values(IMAGES).astype(np.float32), {}
    names = {id(layer): name for name, layer in graph.children()}
    with observe(backward=lambda layer, dy, dx: called.update({names.get(id(layer)): dx})):
        graph.train()(x)
        graph.backward(np.ones((3, 7, 9, 6), np.float32), need_dx=False)
    assert list(called) == ["twice", "most", "scaled", "gate"]
    assert called["gate"] is None


def test_fuse():
    """Chains inside a graph are fused; the numbers are those of the graph."""
    graph = Graph(
        conv1=Conv2d(4, 6, 3, padding=1),
        bn1=BatchNorm2d(6, activation="relu"),
        conv2=Conv2d(6, 6, 3, padding=1, activation="relu"),
        pool=MaxPool2d(3, stride=1, padding=1),
        conv3=Conv2d(6, 6, 1),
        bn3=BatchNorm2d(6),
        module=Concat(a=Sequential(Conv2d(6, 2, 1), BatchNorm2d(2)), b=Conv2d(6, 4, 1)),
        add=Add(activation="relu"),
        relu=ReLU(),
        inputs={"conv3": "bn1", "module": "conv3", "add": ("pool", "module", "bn3")},
        input_shape=(5, 5, 4),
    )
    fused = fuse(graph)
    assert list(fused._layers) == [
        *("conv1+bn1", "conv2+pool", "conv3", "bn3", "module", "add", "relu"),
    ]
    assert isinstance(fused[0], ConvNorm) and isinstance(fused[1], ReLUChain)
    assert isinstance(fused.module.a[0], ConvNorm)
    assert fused.input_shape == (5, 5, 4)
    x = values((3, 5, 5, 4))
    graph.astype(np.float64)
    for mode in (True, False):
        found = []
        for network in (graph, fused):
            statistics = {n: a.copy() for n, a in graph.state_dict().items()}
            y = network.train(mode)(x)
            found.append([y, network.backward(np.cos(y))])
            found[-1] += [p.grad for p in graph.parameters()]
            graph.zero_grad()
            graph.load_state_dict(statistics)
        for ours, plain in zip(*found, strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-12)
    with minicnn.no_grad():
        np.testing.assert_allclose(fused(x), graph(x), rtol=1e-12)


def test_it_is_a_network(tmp_path):
    """Metadata, names, replaced layers, and weights in a file."""
    graph = gated()
    assert isinstance(graph, Network)
    graph.classes, graph.input_shape = ("a", "b"), (7, 9, 4)
    assert metadata(graph).classes == ("a", "b")
    assert "project.weight" in graph.state_dict()
    minicnn.save(graph, tmp_path / "graph.safetensors")
    other = gated()
    minicnn.load(tmp_path / "graph.safetensors", other)
    x = values(IMAGES).astype(np.float32)
    np.testing.assert_array_equal(other(x), graph.eval()(x))
    graph.most = Add()
    assert graph.inputs["most"] == ("join", "scaled")
    assert not np.array_equal(graph(x), other(x))


def test_it_learns_and_is_studied(tmp_path):
    """fit, evaluate, predict, profile, forecast, the picture, the trace and a drop-in head."""
    minicnn.rng.seed(0)
    graph = Graph(
        conv=Conv2d(1, 4, 5, stride=3, activation="relu"),
        bn=BatchNorm2d(4),
        gate=Conv2d(4, 1, 1, activation="sigmoid"),
        scaled=Multiply(),
        flat=Flatten(),
        fc=Linear(256, 10),
        inputs={"scaled": ("bn", "gate")},
        input_shape=(28, 28, 1),
    )
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 60)
    x = 0.1 * generator.standard_normal((60, 28, 28, 1), dtype=np.float32)
    x[np.arange(60), labels * 2] += 1  # a line, the height of which is the class
    before = training.evaluate(graph, (x, labels)).loss
    training.fit(graph, (x, labels), epochs=4, batch_size=10, lr=0.05, progress=False)
    assert training.evaluate(graph, (x, labels)).loss < before / 2
    assert len(minicnn.predict(graph, x[:2])) == 2
    assert "scaled" in str(study.profile(graph, batch=2, steps=1))
    assert study.forecast(graph, batch=2).memory > 0
    assert study.graph(graph, path=tmp_path / "graph.png").exists()
    x = x[:1]
    assert study.trace(graph, x)["scaled"].x[1].shape == (1, 8, 8, 1)
    assert study.first_difference(graph, "reference", "cpu", x=x) is None
    graph.fc = Linear(256, 3)
    assert graph(x).shape == (1, 3)
