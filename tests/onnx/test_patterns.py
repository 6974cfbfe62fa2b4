"""Groups of nodes that are one operator."""

import numpy as np
import pytest
import torch

import minicnn
from minicnn.layers import GELU, Conv2d, Function, GroupNorm, LayerNorm, Network, Permute
from minicnn.onnx import from_onnx, to_onnx

from .cases import run
from .test_load import C1, CONV, draw, runtime, save

F = np.float32
NUMBERS = {"r": F(2**0.5), "s": F(0.5**0.5), "one": np.ones(1, F), "half": F(0.5)}
FORMS = {
    "pytorch's": [
        ("Div", ["c", "r"], ["d"], {}),
        ("Erf", ["d"], ["e"], {}),
        ("Add", ["e", "one"], ["a"], {}),
        ("Mul", ["c", "a"], ["m"], {}),
        ("Mul", ["m", "half"], ["y"], {}),
    ],
    "half first": [
        ("Mul", ["half", "c"], ["h"], {}),
        ("Mul", ["c", "s"], ["d"], {}),
        ("Erf", ["d"], ["e"], {}),
        ("Add", ["one", "e"], ["a"], {}),
        ("Mul", ["a", "h"], ["y"], {}),
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_gelu(form, tmp_path):
    path = save([C1, *FORMS[form]], tmp_path / "net.onnx", weights=CONV | NUMBERS)
    graph, x = from_onnx(path), draw(2, 3, 8, 6)
    assert [type(layer) for layer in graph] == [Conv2d, GELU]
    with minicnn.use("reference"):
        np.testing.assert_allclose(run(graph, x), runtime(path, x), rtol=1e-5, atol=1e-6)


def test_our_own_gelu(tmp_path):
    network = Network(conv=Conv2d(3, 4, 3), f=GELU(), input_shape=(8, 6, 3)).eval()
    to_onnx(network, tmp_path / "net.onnx")
    graph, x = from_onnx(tmp_path / "net.onnx"), draw(2, 8, 6, 3)
    assert isinstance(graph[1], GELU)
    np.testing.assert_allclose(graph(x), network(x), rtol=1e-5, atol=1e-6)


def test_what_is_no_gelu(tmp_path):
    """Another constant, or a tensor that is read elsewhere: layers for the single nodes."""
    for place, change in ((2, "half"), (0, "half")):
        nodes = [(op, list(i), list(o), a) for op, i, o, a in FORMS["pytorch's"]]
        nodes[place][1][1] = change
        path = save([C1, *nodes], tmp_path / "net.onnx", weights=CONV | NUMBERS)
        graph, x = from_onnx(path), draw(2, 3, 8, 6)
        assert GELU not in {type(layer) for layer in graph}
        np.testing.assert_allclose(run(graph, x), runtime(path, x), rtol=1e-5, atol=1e-6)
    path = save([C1, *FORMS["pytorch's"]], tmp_path / "net.onnx", weights=CONV | NUMBERS,
                outputs=("e", "y"))  # fmt: skip
    assert isinstance(from_onnx(path, output="e")[-1], Function)
    assert GELU not in {type(layer) for layer in from_onnx(path, output="y")}


# What exporters write, as (operator, inputs, output) of x, with numbers as they are.
ACTIVATIONS = {
    "SiLU": "Sigmoid x > s; Mul x s > y",
    "HardSwish": "Add x 3 > a; Clip a 0 6 > c; Mul x c > m; Div m 6 > y",
    "HardSwish of paddle": "HardSigmoid x > h; Mul h x > y",
    "HardSigmoid": "Add 3 x > a; Clip a 0 6 > c; Mul c 0.16666667 > y",
    "ReLU6": "Relu x > r; Min r 6 > y",
    "ReLU": "Neg x > n; Min n 0 > m; Neg m > y",
    "GELU": "Mul x 0.70710677 > d; Erf d > e; Add e 1 > a; Mul a 0.5 > h; Mul x h > y",
    "GELU tanh": "Pow x 3 > p; Mul p 0.044715 > q; Add x q > a; Mul 0.7978846 a > m; Tanh m > t; "
    "Add 1 t > b; Mul x b > c; Mul c 0.5 > y",
    "SiLU by exp": "Neg x > n; Exp n > e; Add e 1 > a; Div x a > y",
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_several_nodes(name, tmp_path):
    """One layer of ours, whose values are those of the nodes."""
    nodes, numbers = parsed(ACTIVATIONS[name])
    path = save(nodes, tmp_path / "net.onnx", weights=numbers)
    graph, x = from_onnx(path), 4 * draw(2, 3, 8, 6)
    (layer,) = graph
    assert type(layer).__name__ == name.split()[0]
    with minicnn.use("reference"):
        np.testing.assert_allclose(run(graph, x), runtime(path, x), rtol=1e-5, atol=2e-6)


def parsed(text):
    """Nodes, and the numbers that they read as constants."""
    nodes, numbers = [], {}
    for line in text.split("; "):
        (op, *inputs), output = (part.split() for part in line.split(" > "))
        numbers |= {n: np.array(float(n), F) for n in inputs if n[0].isdigit()}
        attributes = {"alpha": 1 / 6} if op == "HardSigmoid" else {}
        nodes.append((op, inputs, output, attributes))
    return nodes, numbers


def test_functions_that_no_layer_has(tmp_path):
    """Mish, and a bound that only large numbers reach: single layers, with the right values."""
    for text, count in (
        ("Softplus x > s; Tanh s > t; Mul x t > y", 3),
        ("Relu x > r; Min r 1000 > y", 2),
    ):
        nodes, numbers = parsed(text)
        path = save(nodes, tmp_path / "net.onnx", weights=numbers)
        graph, x = from_onnx(path), 1000 * draw(2, 3, 8, 6)
        assert len(graph) == count
        np.testing.assert_allclose(run(graph, x), runtime(path, x), rtol=1e-5, atol=1e-6)


LAYER_NORM = [
    ("ReduceMean", ["x"], ["m"], {"axes": [1]}),
    ("Sub", ["x", "m"], ["d"], {}),
    ("Pow", ["d", "two"], ["p"], {}),
    ("ReduceMean", ["p"], ["v"], {"axes": [1]}),
    ("Add", ["v", "eps"], ["e"], {}),
    ("Sqrt", ["e"], ["s"], {}),
    ("Div", ["d", "s"], ["n"], {}),
    ("Mul", ["n", "w"], ["o"], {}),
    ("Add", ["o", "b"], ["y"], {}),
]


@pytest.mark.parametrize(
    ("axes", "shape", "kind"),
    [
        ([1], (3, 1, 1), LayerNorm),
        ([-1], (6,), LayerNorm),
        ([2, 3], (3, 1, 1), GroupNorm),
        ([-3, -2, -1], (3, 1, 1), GroupNorm),
    ],
)
def test_normalization_of_several_nodes(axes, shape, kind, tmp_path):
    """One layer, with the factors and shifts behind it, and torch's gradients."""
    nodes = [(op, i, o, {"axes": axes} if a else {}) for op, i, o, a in LAYER_NORM]
    weights = {"two": F(2), "eps": F(1e-3), "w": draw(*shape, seed=3), "b": draw(*shape, seed=4)}
    path = save(nodes, tmp_path / "net.onnx", weights=weights)
    graph, x = from_onnx(path), draw(2, 3, 8, 6)
    assert [type(layer) for layer in graph if type(layer) is not Permute] == [kind]
    with minicnn.use("reference"):
        np.testing.assert_allclose(run(graph, x), runtime(path, x), rtol=1e-4, atol=1e-5)
        given = torch.tensor(x.astype(float), requires_grad=True)
        centered = given - given.mean(axes, keepdim=True)
        spread = (centered**2).mean(axes, keepdim=True) + float(F(1e-3))
        y = centered / spread.sqrt() * torch.tensor(weights["w"]) + torch.tensor(weights["b"])
        dy = draw(2, 3, 8, 6, seed=5).astype(float)
        y.backward(torch.tensor(dy))
        graph = graph.astype(np.float64)
        np.testing.assert_allclose(run(graph, x.astype(float)), y.detach(), rtol=1e-6, atol=1e-8)
        dx = graph.backward(dy.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(dx, given.grad, rtol=1e-6, atol=1e-8)
