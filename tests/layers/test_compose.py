"""Sequential, Concat and Residual: their gradients, their names, their messages, against torch where it can judge."""

import numpy as np
import pytest
import torch

from minicnn import layers
from minicnn.errors import CheckpointError, ShapeError
from minicnn.layers import (
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from minicnn.layers.shapes import shapes_through
from minicnn.study import check_gradients

from .test_layers import check_accumulation, values


def inception():
    """A small Inception module, branches of different depth, one of them a pool."""
    return Concat(
        one=Conv2d(4, 3, 1, activation="tanh"),
        three=Sequential(
            reduce=Conv2d(4, 2, 1, activation="tanh"),
            conv=Conv2d(2, 5, 3, padding=1, activation="tanh"),
        ),
        pool=Sequential(pool=MaxPool2d(3, stride=1, padding=1), project=Conv2d(4, 2, 1)),
    )


def bottleneck(stride=2):
    return Residual(
        Sequential(
            conv1=Conv2d(4, 3, 3, stride, 1, bias=False),
            bn1=BatchNorm2d(3, activation="tanh"),
            conv2=Conv2d(3, 6, 1),
        ),
        shortcut=Sequential(conv=Conv2d(4, 6, 1, stride, bias=False), bn=BatchNorm2d(6)),
        activation="sigmoid",
    )


NETWORKS = {
    "sequential": lambda: Sequential(
        Conv2d(4, 3, 3, activation="tanh"), AvgPool2d(2), Flatten(), Linear(18, 5)
    ),
    "inception": inception,
    "inception in inception": lambda: Concat(inception(), a=Conv2d(4, 1, 1)),
    "residual": bottleneck,
    "residual, identity": lambda: Residual(Conv2d(4, 4, 3, padding=1, activation="tanh")),
    "residual of inception": lambda: Residual(Sequential(inception(), Conv2d(10, 4, 1))),
    "basic block": lambda: basic_block(),
    "basic block, shortcut": lambda: basic_block(5, 2),
    "residual after an activation": lambda: Residual(
        Sequential(Conv2d(4, 4, 1, bias=False), BatchNorm2d(4, activation="tanh")),
        activation="tanh",
    ),
    "residual of a batch norm": lambda: Residual(BatchNorm2d(4), activation="sigmoid"),
    "concat of residuals": lambda: Sequential(
        Concat(bottleneck(1), bottleneck(1)), bottleneck_tail()
    ),
}


def basic_block(width=4, stride=1):
    shortcut = (
        Sequential(conv=Conv2d(4, width, 1, stride, bias=False), bn=BatchNorm2d(width))
        if width != 4 or stride != 1
        else None
    )
    body = {
        "conv1": Conv2d(4, width, 3, stride, 1, bias=False),
        "bn1": BatchNorm2d(width, activation="tanh"),
        "conv2": Conv2d(width, width, 3, 1, 1, bias=False),
        "bn2": BatchNorm2d(width),
    }
    return Residual(Sequential(**body), shortcut, activation="tanh")


def bottleneck_tail():
    return Sequential(Conv2d(12, 2, 3), Flatten(), Linear(70, 3))


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients(name, mode):
    network = NETWORKS[name]().astype(np.float64).train(mode == "train")
    errors = check_gradients(network, values((3, 7, 9, 4)))
    assert max(errors.values()) < 1e-6, errors


@pytest.mark.parametrize("name", NETWORKS)
def test_accumulation(name):
    check_accumulation(NETWORKS[name](), (3, 7, 9, 4))


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_and_trace(name):
    network = NETWORKS[name]()
    x = values((2, 7, 9, 4)).astype(np.float32)
    assert network.output_shape(x.shape) == network(x).shape
    leaves = [n for n, layer in network.named_layers() if not list(layer.children())]
    assert [step.name for step in shapes_through(network, x.shape)] == leaves


def test_inception_against_torch():
    """Concat splits dy by channels and sums the branches' dx: torch's cat is the judge, with every parameter's gradient."""
    network = inception().astype(np.float64)
    x = values((2, 6, 5, 4))
    dy = np.random.default_rng(0).standard_normal((2, 6, 5, 10))

    def tensor(a):
        return torch.tensor(a, requires_grad=True)

    weights = {
        n: tensor(p.value.transpose(3, 2, 0, 1).copy() if p.value.ndim == 4 else p.value.copy())
        for n, p in network.named_parameters()
    }
    t = tensor(x.transpose(0, 3, 1, 2).copy())

    def conv(name, t, padding=0):
        return torch.nn.functional.conv2d(
            t, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding
        )

    ty = torch.cat(
        [
            torch.tanh(conv("one", t)),
            torch.tanh(conv("three.conv", torch.tanh(conv("three.reduce", t)), 1)),
            conv("pool.project", torch.nn.functional.max_pool2d(t, 3, 1, 1)),
        ],
        dim=1,
    )
    ty.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_allclose(network(x), ty.detach().numpy().transpose(0, 2, 3, 1), rtol=1e-10)
    np.testing.assert_allclose(
        network.backward(dy), t.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-9, atol=1e-12
    )
    for name, p in network.named_parameters():
        theirs = weights[name].grad.numpy()
        np.testing.assert_allclose(
            p.grad,
            theirs.transpose(2, 3, 1, 0) if theirs.ndim == 4 else theirs,
            rtol=1e-9,
            atol=1e-12,
        )


def test_concat_writes_into_one_buffer():
    """Every branch fills its slice of the result, also when the result is itself a slice."""
    x = values((2, 7, 9, 4)).astype(np.float32)
    network = inception()
    y = network(x)
    room = np.full((2, 7, 9, 14), np.nan, np.float32)
    network(x, out=room[..., 2:12])
    np.testing.assert_array_equal(room[..., 2:12], y)
    assert np.isnan(room[..., :2]).all()
    assert np.isnan(room[..., 12:]).all()


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


def test_first_layer_may_skip_dx():
    network = Sequential(Conv2d(4, 3, 3), Flatten(), Linear(105, 2))
    x = values((2, 7, 9, 4)).astype(np.float32)
    dy = np.ones_like(network(x))
    assert network.backward(dy, need_dx=False) is None
    gradients = [p.grad.copy() for p in network.parameters()]
    network.zero_grad()
    network(x)
    assert network.backward(dy).shape == x.shape
    for p, gradient in zip(network.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(p.grad, gradient)


def test_shape_errors_name_the_path():
    network = Sequential(stem=Conv2d(4, 8, 3), block=Sequential(conv=Conv2d(6, 8, 3)))
    with pytest.raises(
        ShapeError, match=r"^block\.conv: Conv2d\(6, 8, 3\): the input .* has 8 channels"
    ):
        network(np.zeros((1, 9, 9, 4), np.float32))
    with pytest.raises(ShapeError, match=r"^block\.conv: "):
        network.output_shape((1, 9, 9, 4))
    with pytest.raises(ShapeError, match="only the channels may differ"):
        Concat(Conv2d(4, 2, 3), Conv2d(4, 2, 1))(np.zeros((1, 9, 9, 4), np.float32))
    with pytest.raises(ShapeError, match="must be equal to be added"):
        Residual(Conv2d(4, 2, 1))(np.zeros((1, 9, 9, 4), np.float32))
    with pytest.raises(ValueError, match="expected a layer"):
        Sequential(Conv2d(1, 1, 1), "relu")
    with pytest.raises(ValueError, match="at least one layer"):
        Sequential()


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


def test_all_layers_are_exported():
    for name in layers.__all__:
        assert getattr(layers, name) is not None
