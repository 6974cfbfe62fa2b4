"""A graph as plain data: it is made again, and damaged descriptions are named."""

import contextlib
import copy
import inspect
import json

import numpy as np
import pytest

import minicnn
from minicnn import layers
from minicnn.errors import CheckpointError
from minicnn.layers import Add, Conv2d, Graph, Layer, Linear, Sequential
from minicnn.layers.init import skip_init
from minicnn.layers.parameter import Parameter
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


REQUIRED = {  # arguments without a default; 4 for the others
    **{"codes": (2, 3), "p": 0.3, "output_size": 2, "axes": (0, 1), "start": 0, "stop": 3},
    **{"factor": 0.5, "low": -1.0, "activation": "tanh", "name": "exp"},
}
OWN = {"Resample2d": {"rows": (5, 3), "columns": (2, 4)}, "Upsample": {"scale": 2}}
OTHERS = (True, False, 2, 0.5, (2, 1), "relu", "bilinear")  # in place of a default


def variants(kind):
    """Layers of a class: the plainest, and for each argument some with another value."""
    parameters = inspect.signature(kind).parameters.values()
    required = [p for p in parameters if p.default is p.empty]
    if any(p.kind is p.VAR_POSITIONAL for p in required):
        value = REQUIRED.get(required[0].name, 4)
        yield kind(*(value if isinstance(value, tuple) else (value,)))
        return
    given = {p.name: REQUIRED.get(p.name, 4) for p in required} | OWN.get(kind.__name__, {})
    yield kind(**given)
    for parameter in parameters:
        default = parameter.default
        for value in OTHERS if parameter not in required else ():
            if default is not None and isinstance(value, bool) != isinstance(default, bool):
                continue
            with contextlib.suppress(ValueError, TypeError):  # it is not a value of that argument
                yield kind(**given | {parameter.name: value})


def state(layer):
    """All that a layer holds, but for arrays' numbers."""
    found = {}
    for name, value in vars(layer).items():
        if isinstance(value, Parameter):
            found |= {f"{name}.{n}": str(v) for n, v in vars(value).items() if n != "value"}
        elif name not in ("_saved", "training"):
            found[name] = str(value) if hasattr(value, "shape") else value
    return found


@pytest.mark.parametrize("name", kinds())
def test_every_layer_is_saved_and_loaded(name, tmp_path):
    """Its arguments, arrays, and all else that it holds, such as which parameters are frozen."""
    seen, generator = set(), np.random.default_rng(0)
    for layer in variants(kinds()[name]):
        if repr(layer) in seen:
            continue
        seen.add(repr(layer))
        graph = Graph(only=layer)
        for array in graph.state_dict().values():
            array[...] = generator.uniform(0.5, 2, array.shape)
        path = tmp_path / f"{len(seen)}.safetensors"
        minicnn.save(graph, path)
        found = minicnn.load(path)
        assert repr(found) == repr(graph)
        assert state(dict(found.children())["only"]) == state(layer)
        arrays = found.state_dict()
        assert arrays.keys() == graph.state_dict().keys()
        for key, array in graph.state_dict().items():
            np.testing.assert_array_equal(arrays[key], array)
    assert seen


def test_what_is_not_described():
    class Own(Layer):
        pass

    for layer in (Own(), Sequential(Linear(2, 2)), Conv2d(1, 1, 1, connections=np.ones((1, 1)))):
        assert describe(Graph(layer)) is None


def test_another_number_of_classes():
    graph = Graph(conv=Conv2d(3, 4, 1), flat=layers.Flatten(), fc=Linear(16, 10))
    found = make(with_classes(describe(graph), 3))
    assert found.output_shape((1, 2, 2, 3)) == (1, 3)


def test_layers_larger_than_the_weights(tmp_path):
    """A window of more pixels than the file has numbers takes no memory."""
    net = Graph(conv=Conv2d(1, 1, 1), pool=layers.AvgPool2d(30), input_shape=(60, 60, 1))
    minicnn.save(net, tmp_path / "a.safetensors")
    assert repr(minicnn.load(tmp_path / "a.safetensors")) == repr(net)


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
