"""Rules of one's own, and the sentences about layers without one."""

import numpy as np
import pytest

from minicnn import layers as L
from minicnn.onnx import export_graph, per_channel, rule, to_onnx

from .runtime import check


class Gain(L.Layer):
    """`y = x * gain`, one gain per channel."""

    def __init__(self, channels):
        self.gain = L.Parameter(np.linspace(1, 2, channels, dtype=np.float32))

    def output_shape(self, shape):
        return shape

    def forward(self, x):
        return x * self.gain.value


class Halved(L.ReLU):
    """A subclass with another forward."""

    def forward(self, x, out=None):
        return super().forward(x) / 2


class Opaque(L.GroupNorm):
    """A subclass with other arithmetic below forward."""

    def normalize(self, x, out):
        y, *rest = super().normalize(x, out)
        return 2 * y, *rest


@pytest.fixture(autouse=True)
def _same_rules(monkeypatch):
    monkeypatch.setattr(export_graph, "_rules", dict(export_graph._rules))


@pytest.mark.parametrize("after", [L.Dropout, L.Flatten])
def test_a_rule_of_ones_own(after, tmp_path):
    @rule(Gain)
    def gain(layer, x, graph):
        return graph.add("Mul", x, graph.constant("gain", per_channel(layer.gain.value, x)))

    channels = 2 if after is L.Dropout else 12
    net = L.Sequential(after=after(), gain=Gain(channels), again=L.Sequential(Gain(channels)))
    proto = check(net, tmp_path, (2, 3, 2))
    assert {"gain.gain", "again.0.gain"} <= {c.name for c in proto.graph.initializer}


@pytest.mark.parametrize(
    ("layer", "kind"), [(Gain(3), "Gain"), (Halved(), "Halved"), (Opaque(1, 3), "Opaque")]
)
def test_a_layer_without_a_rule(layer, kind, tmp_path):
    net = L.Sequential(block=L.Sequential(L.Conv2d(2, 3, 1), layer))
    sentence = f"^block.1: {kind} has no rule for ONNX; write one with @minicnn.onnx.rule.{kind}"
    with pytest.raises(ValueError, match=sentence):
        to_onnx(net, tmp_path / "a.onnx", input_shape=(2, 2, 2))
    with pytest.raises(ValueError, match=f"^the network: {kind} has no rule"):
        to_onnx(layer, tmp_path / "a.onnx", input_shape=(2, 2, 3))


def test_rules_that_are_wrong(tmp_path):
    net = L.Sequential(L.Conv2d(2, 3, 1), gain=Gain(3))

    def export():
        to_onnx(net, tmp_path / "a.onnx", input_shape=(2, 2, 2))

    rule(Gain)(lambda layer, x, graph: None)
    with pytest.raises(ValueError, match="^gain: the ONNX rule of Gain returned NoneType; expect"):
        export()
    rule(Gain)(lambda layer, x, graph: graph.add("Identity", x, shape=(1, 2)))
    with pytest.raises(ValueError, match=r"^gain: the ONNX rule of Gain gives \(1, 2\), and the"):
        export()


def test_names_are_never_taken_twice(tmp_path):
    """Layers that are called as nodes, constants and the ends of the graph are elsewhere."""
    layers = {
        "input": L.Conv2d(2, 2, 1, activation="scaled_tanh"),
        "input/Mul": L.Sequential(L.Scale(2), L.Scale(3)),
        "input/Conv": L.Scale(4),
        "output": L.Conv2d(2, 2, 1, activation="relu"),
        "output/Relu": L.Scale(0.5),
    }
    proto = check(L.Sequential(**layers), tmp_path, (2, 2, 2))
    tensors = [constant.name for constant in proto.graph.initializer]
    tensors += [name for node in proto.graph.node for name in node.output]
    nodes = [node.name for node in proto.graph.node]
    assert len(set(tensors)) == len(tensors)
    assert len(set(nodes)) == len(nodes)
    assert {"input", "output", "input/Conv"} <= set(nodes)


def test_a_rule_may_use_numbers_and_needs_a_value(tmp_path):
    net = L.Sequential(gain=Gain(2))
    net.gain.gain.value[:] = 3
    rule(Gain)(lambda layer, x, graph: graph.add("Mul", x, 3))
    check(net, tmp_path, (2, 2, 2))
    rule(Gain)(lambda layer, x, graph: graph.add("Shape", np.ones(2)))
    with pytest.raises(ValueError, match="^gain: Shape has no value among its inputs"):
        to_onnx(net, tmp_path / "a.onnx", input_shape=(2, 2, 2))
