"""Names, children and state of a tree of layers."""

import numpy as np
import pytest

from minicnn import layers
from minicnn.errors import CheckpointError
from minicnn.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    Network,
    ReLU,
    Residual,
    Sequential,
)

from .blocks import bottleneck
from .contract import X


def test_one_layer_in_two_places_is_refused():
    pool, conv = MaxPool2d(2), Conv2d(4, 4, 1)
    with pytest.raises(ValueError, match=r"pool1 and pool2 are the same layer object, MaxPool2d"):
        Sequential(pool1=pool, conv=Conv2d(3, 3, 1), pool2=pool)
    with pytest.raises(ValueError, match=r"a and part\.b are the same layer object, Conv2d"):
        Sequential(a=conv, part=Sequential(b=conv))

    class Own(Layer):
        def __init__(self):
            self.first = self.second = conv

    with pytest.raises(ValueError, match="first and second are the same"):
        Own().parameters()


def test_layers_are_replaced_or_refused():
    net = Network(conv=Conv2d(3, 4, 3), flatten=Flatten(), linear=Linear(64, 10))
    net.linear = Linear(64, 2)
    assert net.output_shape((1, 6, 6, 3)) == (1, 2)
    assert net(X).shape == (2, 2)
    net["linear"] = Linear(64, 3)
    net[2] = net[2]
    assert net(X).shape == (2, 3)
    with pytest.raises(AttributeError, match="no layer 'head' to replace; it has conv, flatten, l"):
        net.head = Linear(64, 2)
    with pytest.raises(KeyError, match="no layer 'head'"):
        net["head"] = Linear(64, 2)
    with pytest.raises(ValueError, match="linear is 3; expected a layer"):
        net.linear = 3
    with pytest.raises(ValueError, match="the same layer object"):
        net.linear = net.conv
    with pytest.raises(ValueError, match=r"the name 'a\.b' has a dot"):
        Sequential(**{"a.b": Flatten()})


def test_names_and_access():
    network = Sequential(
        Conv2d(4, 3, 3), ReLU(), head=Sequential(flatten=Flatten(), fc=Linear(105, 2))
    )
    assert [n for n, _ in network.named_parameters()] == [
        "0.weight",
        "0.bias",
        "head.fc.weight",
        "head.fc.bias",
    ]
    assert network[0] is network["0"]
    assert network.head.fc is network["head"]["fc"]
    assert len(network) == 3
    assert [type(layer).__name__ for layer in network] == ["Conv2d", "ReLU", "Sequential"]
    with pytest.raises(AttributeError, match="no layer or attribute 'tail'"):
        network.tail  # noqa: B018
    assert "  head: Sequential(\n    flatten: Flatten()\n    fc: Linear(105, 2)\n  )" in repr(
        network
    )


def test_modes_reach_all_layers():
    network = Sequential(Dropout(), Residual(Sequential(BatchNorm2d(4), Dropout())))
    network.eval()
    assert not any(layer.training for _, layer in network.named_layers())
    network.train()
    assert all(layer.training for _, layer in network.named_layers())


def test_the_mode_of_each_layer_is_kept():
    network = Sequential(norm=BatchNorm2d(4), drop=Dropout(), last=Dropout())
    network.norm.eval()
    with network.mode_kept():
        network.eval().freeze("last")
    assert [layer.training for layer in (network, *network)] == [True, False, True, False]
    with network.mode_kept():
        network.unfreeze("last").eval()
    assert [layer.training for layer in (network, *network)] == [True, False, True, True]


def test_state_dict():
    network = bottleneck()
    state = network.state_dict()
    assert list(state)[:2] == ["body.conv1.weight", "body.bn1.weight"]
    assert "shortcut.bn.running_var" in state
    other = bottleneck()
    assert (other.state_dict()["body.conv1.weight"] != state["body.conv1.weight"]).any()
    other.load_state_dict(state)
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
        assert array is not state[name]


def test_state_dict_faults_are_all_listed():
    network = bottleneck()
    before = {n: a.copy() for n, a in network.state_dict().items()}
    state = dict(before)
    del state["body.conv2.bias"]
    state["body.conv1.weight"] = np.zeros((5, 5, 4, 3), np.float32)
    state["head.weight"] = np.zeros(2, np.float32)
    with pytest.raises(CheckpointError) as caught:
        network.load_state_dict(state)
    text = str(caught.value)
    assert "body.conv2.bias is missing (expected (6,))" in text
    assert "body.conv1.weight has shape (5, 5, 4, 3), expected (3, 3, 4, 3)" in text
    assert "head.weight (2,) is not in the model" in text
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_state_dict_of_something_else():
    network = Linear(2, 1)
    with pytest.raises(CheckpointError, match="the weights are a list; expected a dictionary"):
        network.load_state_dict([1])
    state = {"weight": [[1.0], [2.0]], "bias": [3]}
    network.load_state_dict(state)
    np.testing.assert_array_equal(network.weight.value, [[1], [2]])
    with pytest.raises(CheckpointError, match="bias is an array of complex128, expected numbers"):
        network.load_state_dict(state | {"bias": [1j]})
    for value, sentence in (
        (np.zeros(1, [("a", "f4")]), r"bias is an array of \[\('a', '<f4'\)\], expected numbers"),
        ([[1], [2, 3]], "bias is an array of object, expected numbers"),
        (np.ma.masked_array([1.0], [True]), "bias is a masked array, expected a plain one"),
    ):
        with pytest.raises(CheckpointError, match=sentence):
            network.load_state_dict(state | {"bias": value})
    with pytest.raises(ValueError, match="3: expected the name of a layer or parameter"):
        network.freeze(3)


def test_all_layers_are_exported():
    for name in layers.__all__:
        assert getattr(layers, name) is not None


def test_freeze_names_layers_parameters_and_patterns():
    net = Network(
        conv=Conv2d(3, 4, 3),
        stage1=Sequential(bn=BatchNorm2d(4), drop=Dropout(0.5)),
        stage2=Sequential(bn=BatchNorm2d(4)),
        flatten=Flatten(),
        fc=Linear(64, 10),
    )
    net.freeze("stage1", "fc.bias")
    assert net.frozen_names() == ["stage1", "fc.bias"]
    net.train()
    assert [name for name, layer in net.named_layers() if not layer.training] == [
        "stage1",
        "stage1.bn",
        "stage1.drop",
    ]
    net.freeze("stage*")
    assert net.frozen_names() == ["stage1", "stage2", "fc.bias"]
    net.unfreeze("stage1.bn", "fc.bias")
    assert net.frozen_names() == ["stage1.drop", "stage2"]  # which drops nothing in training
    assert net.stage1.bn.training
    net.freeze("*").eval().unfreeze("fc")
    assert net.frozen_names() == ["conv", "stage1", "stage2"]
    assert not net.fc.training
    net.unfreeze("*").freeze("stage1.bn.weight", "stage1.bn.bias")  # its statistics change
    assert net.frozen_names() == ["stage1.bn.weight", "stage1.bn.bias"]
    net.unfreeze("*").freeze("stage1.*")
    assert net.frozen_names() == ["stage1"]
    net.unfreeze("*").freeze("stage1.bn")
    assert net.frozen_names() == ["stage1.bn"]
    for names, message in (
        (["conv", "stage3"], r"no layer or parameter 'stage3'; did you mean stage2, stage1"),
        (["x*"], r"no layer or parameter 'x\*'; it has conv, stage1, stage2, flatten, fc"),
        ([], "expected names of layers"),
    ):
        with pytest.raises(ValueError, match=message):
            net.unfreeze("*").freeze(*names)
        assert net.frozen_names() == []
