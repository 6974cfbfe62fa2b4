"""A graph as plain data: it is made again, and damaged descriptions are named."""

import copy
import json

import numpy as np
import pytest

import minicnn
from minicnn import layers
from minicnn.errors import CheckpointError
from minicnn.layers import Add, Conv2d, Graph, Layer, Linear, Sequential
from minicnn.layers.init import skip_init
from minicnn.weights.description import build, describe, kinds, make, with_classes
from tests.layers.test_graph import gated


def test_a_graph_is_made_again(tmp_path):
    graph = gated()
    graph.classes, graph.input_shape, graph.name = ("a", "b"), (7, 9, 4), "gated"
    path = tmp_path / "gated.safetensors"
    minicnn.save(graph, path)
    found = minicnn.load(path)
    assert repr(found) == repr(graph)
    assert (found.inputs, found.classes, found.input_shape, found.name) == (
        *(graph.inputs, ("a", "b"), (7, 9, 4), "gated"),
    )
    x = np.random.default_rng(0).standard_normal((2, 7, 9, 4)).astype(np.float32)
    np.testing.assert_array_equal(found(x), graph.eval()(x))


def test_every_layer_of_the_table_is_made_again():
    """The arguments of each class, as its constructor takes them, with values like these."""
    values = {
        "codes": (2, 3),
        "p": 0.3,
        "output_size": 2,
        "axes": (0, 1),
        "stop": 3,
        "factor": 0.5,
        "low": -1.0,
    }
    for name, kind in kinds().items():
        layer = made_with(kind, values)
        if layer is None:
            continue
        description = describe(Graph(only=layer))
        assert description is not None, name
        again = make(json.loads(json.dumps(description)))
        assert repr(again) == repr(Graph(only=layer)), name
    assert {"Conv2d", "BatchNorm2d", "Add", "Reshape", "Affine", "Dropout"} <= kinds().keys()


def made_with(kind, values):
    import inspect

    required = [
        p
        for p in inspect.signature(kind).parameters.values()
        if p.default is inspect.Parameter.empty
    ]
    arguments = {p.name: values.get(p.name, 4) for p in required}
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in required):
        (value,) = arguments.values()
        return kind(*(value if isinstance(value, tuple) else (value,)))
    if kind is layers.Activation:
        return kind("tanh")
    if kind is layers.Function:
        return kind("exp")
    if kind is layers.Resample2d:
        return kind((5, 3), (2, 4))
    arguments |= {name: 0 for name in ("start",) if name in arguments}
    try:
        return kind(**arguments)
    except (TypeError, ValueError):
        return None  # arguments of another form


def test_what_is_not_described():
    class Own(Layer):
        pass

    for layer in (Own(), Sequential(Linear(2, 2)), Conv2d(1, 1, 1, connections=np.ones((1, 1)))):
        assert describe(Graph(layer)) is None


def test_another_number_of_classes():
    graph = Graph(conv=Conv2d(3, 4, 1), flat=layers.Flatten(), fc=Linear(16, 10))
    found = make(with_classes(describe(graph), 3))
    assert found.output_shape((1, 2, 2, 3)) == (1, 3)


BAD = {
    "a list of numbers": [1, 2],
    "no list": {"layers": []},
    "nothing": [],
    "kind": {"kind": "Own"},
    "a container": {"kind": "Sequential"},
    "no class": {"kind": "no_grad"},
    "argument": {"arguments": {"in_channels": 4, "out_channels": 6, "power": 2}},
    "missing": {"arguments": {"in_channels": 4}},
    "value": {"arguments": {"in_channels": 4, "out_channels": {"a": 1}, "kernel_size": 1}},
    "too large": {"arguments": {"in_channels": 4, "out_channels": 10**9, "kernel_size": 1}},
    "too many": {"arguments": {"in_channels": 900, "out_channels": 900, "kernel_size": 900}},
    "negative": {"arguments": {"in_channels": -4, "out_channels": 6, "kernel_size": 1}},
    "reads": {"inputs": ["nothing"]},
    "reads a number": {"inputs": [3]},
    "name": {"name": 7},
    "name with a dot": {"name": "a.b"},
}


@pytest.mark.parametrize("case", BAD)
def test_damaged_descriptions(case):
    description = json.loads(json.dumps(describe(gated())))
    change = BAD[case]
    if isinstance(change, dict) and "layers" not in change:
        copied = copy.deepcopy(description)
        copied[0] |= change
        change = copied
    with skip_init(), pytest.raises(CheckpointError, match="the description of its network"):
        build(change, 1000)


def test_a_description_in_a_damaged_file(tmp_path):
    """A file whose checksum is right, but whose network does not have its weights."""
    graph = Graph(conv=Conv2d(3, 4, 1), add=Add(), inputs={"add": ("conv", "conv")})
    path = tmp_path / "net.safetensors"
    minicnn.save(graph, path)
    tensors, about = minicnn.weights.read(path)
    about["minicnn.model"] = about["minicnn.model"].replace(
        '"out_channels": 4', '"out_channels": 5'
    )
    minicnn.weights.write(path, tensors, about)
    with pytest.raises(CheckpointError, match=r"net\.safetensors: .*conv\.weight has shape"):
        minicnn.load(path)
    about["minicnn.model"] = about["minicnn.model"].replace('"kind": "Add"', '"kind": "Tanh"')
    minicnn.weights.write(path, tensors, about)
    with pytest.raises(CheckpointError, match="add, Tanh, reads 2 layers; expected 1"):
        minicnn.load(path)
