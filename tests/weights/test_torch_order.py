"""Networks with flattened maps, against torch with the same weights."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from minicnn import layers
from minicnn.errors import CheckpointError
from minicnn.layers import (
    Add,
    Concat,
    Concatenate,
    Flatten,
    Graph,
    GroupNorm,
    Identity,
    LayerNorm,
    Permute,
    PReLU,
    Reshape,
    Residual,
    Sequential,
    Slice,
)
from minicnn.weights import load_torch, to_torch
from minicnn.weights.torch_order import flattened_maps

SHAPE = (4, 3, 3)  # of the maps that are flattened: 36 features


def linear(outputs=5):
    return layers.Linear(36, outputs)


def ours(**named):
    return Sequential(**named, input_shape=SHAPE)


def theirs(**named):
    return nn.Sequential(OrderedDict(flat=nn.Flatten(), **named))


class TwoReaders(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(36, 5), nn.Linear(36, 5)

    def forward(self, x):
        return self.a(x.flatten(1)) + self.b(x.flatten(1))


@pytest.mark.parametrize(
    ("mine", "twin"),
    [
        (
            lambda: ours(flat=Flatten(), norm=LayerNorm(36), fc=linear()),
            lambda: theirs(norm=nn.LayerNorm(36), fc=nn.Linear(36, 5)),
        ),
        (
            lambda: ours(flat=Flatten(), prelu=PReLU(36), fc=linear()),
            lambda: theirs(prelu=nn.PReLU(36), fc=nn.Linear(36, 5)),
        ),
        (
            lambda: ours(flat=Reshape(36), one=PReLU(), fc=linear()),
            lambda: theirs(one=nn.PReLU(), fc=nn.Linear(36, 5)),
        ),
        (
            lambda: ours(flat=Flatten(), heads=Residual(linear(), linear())),
            lambda: theirs(heads=Both()),
        ),
        (
            lambda: Graph(
                flat=Flatten(),
                a=linear(),
                b=linear(),
                add=Add(),
                inputs={"b": "flat", "add": ("a", "b")},
                input_shape=SHAPE,
            ),
            TwoReaders,
        ),
    ],
    ids=["norm", "prelu", "reshape", "both paths", "two readers"],
)
def test_torchs_outputs(mine, twin):
    mine, twin = mine().eval(), twin().eval()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.uniform_(-1, 1)
    state = {name: tensor.numpy() for name, tensor in twin.state_dict().items()}
    load_torch(mine, state)
    x = np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)
    expected = twin(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy()
    np.testing.assert_allclose(mine(x), expected, rtol=1e-4, atol=1e-5)
    back = to_torch(mine)
    assert back.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.shortcut = nn.Linear(36, 5), nn.Linear(36, 5)

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class Head(layers.Layer):
    """A layer of one's own with a Flatten in it: what it does between is not known."""

    def __init__(self):
        self.flat, self.fc = Flatten(), linear()

    def output_shape(self, shape):
        return shape[0], 5


@pytest.mark.parametrize(
    ("network", "place"),
    [
        (ours(flat=Flatten(), norm=GroupNorm(2, 36), fc=linear()), "norm: GroupNorm reads"),
        (ours(flat=Flatten(), block=Residual(linear(36)), fc=linear()), "block: Residual reads"),
        (ours(flat=Flatten(), cut=Slice(0, 9), fc=layers.Linear(9, 5)), "cut: Slice reads"),
        (ours(both=Concat(Flatten(), Flatten()), fc=layers.Linear(72, 5)), "both: Concat reads"),
        (ours(flat=Flatten(), fc=linear(36), maps=Reshape(*SHAPE)), "maps: Reshape reads"),
        (ours(first=Permute(0, 3, 1, 2), flat=Flatten(), fc=linear()), "first: Permute reads"),
        (ours(head=Head()), "head: Head reads"),
        (
            Graph(
                a=Flatten(),
                b=Flatten(),
                join=Concatenate(),
                fc=layers.Linear(72, 5),
                inputs={"b": "input", "join": ("a", "b")},
                input_shape=SHAPE,
            ),
            "join: Concatenate reads",
        ),
    ],
)
def test_orders_that_are_not_known_are_refused(network, place):
    with pytest.raises(CheckpointError, match=f"^{place} or makes flattened maps, whose order"):
        to_torch(network)


@pytest.mark.parametrize(
    "network",
    [
        ours(pool=layers.GlobalAvgPool2d(), flat=Flatten(), fc=layers.Linear(3, 5)),
        ours(tokens=Reshape(12, 3), norm=LayerNorm(3)),
        ours(turned=Permute(0, 2, 1, 3), conv=layers.Conv2d(3, 2, 1)),
        ours(only=Identity()),
    ],
)
def test_the_same_order_in_both(network):
    assert flattened_maps(network) == {}
