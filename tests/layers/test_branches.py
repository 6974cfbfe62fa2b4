"""Concat and Residual: the contract of networks, and torch's cat."""

import numpy as np
import torch

from minicnn.layers import BatchNorm2d, Concat, Conv2d, Residual, Sequential

from .blocks import basic_block, bottleneck, inception
from .contract import IMAGES, NetworkContract, values


class TestBranches(NetworkContract):
    cases = {
        "inception": (inception, IMAGES),
        "inception in inception": (lambda: Concat(inception(), a=Conv2d(4, 1, 1)), IMAGES),
        "residual": (bottleneck, IMAGES),
        "residual, identity": (
            lambda: Residual(Conv2d(4, 4, 3, padding=1, activation="tanh")),
            IMAGES,
        ),
        "residual of inception": (
            lambda: Residual(Sequential(inception(), Conv2d(10, 4, 1))),
            IMAGES,
        ),
        "basic block": (basic_block, IMAGES),
        "basic block, shortcut": (lambda: basic_block(5, 2), IMAGES),
        "residual after an activation": (
            lambda: Residual(
                Sequential(Conv2d(4, 4, 1, bias=False), BatchNorm2d(4, activation="tanh")),
                activation="tanh",
            ),
            IMAGES,
        ),
        "residual of a batch norm": (
            lambda: Residual(BatchNorm2d(4), activation="sigmoid"),
            IMAGES,
        ),
    }


def test_inception_against_torch():
    """Concat splits dy by channels and sums the branches' dx, as torch's cat does."""
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
