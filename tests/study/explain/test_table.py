"""Every layer and every network has explanations; overridden methods have none."""

import inspect

import numpy as np
import pytest

from minicnn import layers, models
from minicnn.layers import Conv2d, Layer, Linear, Parameter, Sequential
from minicnn.layers.init import skip_init
from minicnn.study import explain, trace
from minicnn.study.explain import Factor, Parts, Term
from minicnn.study.explain.table import find
from minicnn.training import losses

ABSTRACT = {"Layer"}


def wanted(layer):
    parameters = {n: p for n, p in vars(layer).items() if isinstance(p, Parameter)}
    return ["y", "dx", *({"weight": "w", "bias": "b"}[name] for name in parameters)]


def test_every_registered_network_is_covered():
    """By types, so that no weights are drawn. A network with options too."""
    seen = set()
    with skip_init():
        for name in models.names():
            for path, layer in models.create(name).named_layers():
                signature = type(layer), tuple(wanted(layer))
                if signature not in seen:
                    seen.add(signature)
                    assert all(find(layer, what) for what in wanted(layer)), (name, path)
    assert len({kind for kind, _ in seen}) > 20


def test_every_layer_and_loss_of_the_engine_is_covered():
    classes = [c for c in vars(layers).values() if inspect.isclass(c) and issubclass(c, Layer)]
    for kind in {c for c in classes if c.__name__ not in ABSTRACT}:
        made = kind.__new__(kind)
        if isinstance(made, layers.Activation):
            made.activation = "relu"
        assert find(made, "y"), kind
        assert find(made, "dx"), kind
    for kind in (losses.SoftmaxCrossEntropy, losses.MeanSquaredError, losses.BinaryCrossEntropy):
        assert find(kind(), "dx"), kind


class Doubled(Linear):
    """An own forward: the explanation of Linear's would be wrong."""

    def forward(self, x):
        return 2 * super().forward(x)


class Renamed(Linear):
    """Nothing is overridden."""


class Own(Layer):
    def forward(self, x):
        self.save_for_backward(x)
        return 3 * x

    def backward(self, dy):
        self.pop_saved()
        return 3 * dy


class Explained(Own):
    """With an explanation of y."""

    def explain(self, record, what, index):
        factors = Factor("3", None, 3.0), Factor("x", index, float(record.x[index]))
        terms = [Term(factors[0].value * factors[1].value, factors)]
        return Parts("y = 3 x", terms, type(self).forward) if what == "y" else None


class Direct(Layer):
    """Calls forward and backward of its children itself, past the hooks."""

    def __init__(self):
        self.first, self.second = Linear(3, 3), Linear(3, 3)

    def forward(self, x):
        return self.second.forward(self.first(x))

    def backward(self, dy):
        return self.first.backward(self.second.backward(dy))


def test_children_that_are_called_past_the_hooks():
    traced = trace(Direct(), np.ones((1, 3), np.float32), dy=np.ones((1, 3), np.float32))
    for what in ("w", "dx", "dy"):
        with pytest.raises(ValueError, match=rf"first: {what} is not there: no container called"):
            explain(traced, "first", what, (0, 0))
    with pytest.raises(ValueError, match=r"second: this layer was not called; .*self\.child\(x\)"):
        explain(traced, "second", "y", (0, 0))


def explained(layer, what, index=(0, 0)):
    x = np.arange(6.0).reshape(2, 3)
    return explain(trace(layer.astype("float64"), x, dy=np.ones((2, 3))), "", what, index)


def test_subclasses_are_explained_if_they_override_nothing():
    assert explained(Renamed(3, 3), "y").kind == "sum"
    e = explained(Doubled(3, 3), "y")
    assert e.kind == "none"
    assert np.isnan(e.total)
    assert "no explanation for y of Doubled" in e.note
    assert explained(Doubled(3, 3), "dx").kind == "sum"  # backward is Linear's


def test_a_layer_of_ones_own():
    e = explained(Own(), "y", (1, 2))
    assert (e.kind, e.engine, e.terms, e.source) == ("none", 15, (), None)
    assert e.to_json()["total"] is None
    e = explained(Explained(), "y", (1, 2))
    assert (e.kind, e.total, e.engine, e.difference) == ("sum", 15, 15, 0)
    assert e.source.file.endswith("test_table.py")
    assert explained(Explained(), "dx").kind == "none"
    Explained.explain = lambda self, record, what, index: {"terms": []}
    with pytest.raises(ValueError, match="Explained.explain returned dict for y; expected Parts"):
        explained(Explained(), "y")


def test_a_fused_layer_has_no_explanation():
    model = Sequential(conv=Conv2d(1, 2, 3), bn=layers.BatchNorm2d(2, activation="relu")).eval()
    x = np.ones((1, 4, 4, 1), np.float32)
    traced = trace(layers.fuse(model), x, dy=np.ones((1, 2, 2, 2)))
    e = explain(traced, traced.paths[0], "y", (0, 0, 0, 0))
    assert e.kind == "none"
    assert e.note.endswith("trace the network before `fuse`.")


def test_a_layer_in_a_container_of_ones_own():
    class Pair(Layer):
        def __init__(self):
            self.a, self.b = Linear(3, 3), Linear(3, 3)

        def forward(self, x):
            return self.b(self.a(x))

        def backward(self, dy):
            return self.a.backpropagate(self.b.backpropagate(dy))

    traced = trace(Pair().astype("float64"), np.ones((2, 3)), dy=np.ones((2, 3)))
    assert explain(traced, "b", "y", (0, 0)).kind == "sum"
    assert explain(traced, "b", "y", (0, 0)).reads[0].path == "b"
    assert explain(traced, "b", "x", (0, 0)).kind == "none"
    assert explain(traced, "a", "dy", (0, 0)).kind == "none"


def test_errors_are_one_sentence():
    model = Sequential(conv=Conv2d(1, 2, 3)).astype("float64")
    model.conv.freeze("weight")
    traced = trace(model, np.ones((1, 4, 4, 1)), dy=np.ones((1, 2, 2, 2)))
    cases = {
        ("conv", "z", (0,)): r"conv: z is not there; expected one of y, dx, x, dy, b",
        ("conv", "w", (0,) * 4): r"conv: w is frozen: it has no gradient; expected one of y",
        ("conv", "y", 0): r"conv: y\[0\] has 1 indices; expected 4",
        ("conv", "y", (0, 0)): r"conv: y\[0, 0\] has 2 indices; expected 4: y has the shape \(1,",
        ("conv", "y", (0, 0, 2, 0)): r"index 2 of axis 2: expected an integer from 0 to 1",
        ("conv", "y", (0, -1, 0, 0)): r"index -1 of axis 1: expected an integer from 0 to 1",
        ("conv", "y", (0, 0.5, 0, 0)): r"index 0.5 of axis 1: expected an integer",
        ("cnv", "y", (0,)): r"no layer 'cnv'; did you mean conv",
    }
    for arguments, message in cases.items():
        with pytest.raises(ValueError, match=message):
            explain(traced, *arguments)
    assert explain(traced, "conv", "dbias", 0).title == "conv: db[0]"
    assert "<pre>conv: db[0]" in explain(traced, "conv", "b", (0,))._repr_html_()
