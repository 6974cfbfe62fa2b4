"""Normalization layers: the contract, and batch norm's two modes."""

import numpy as np
import pytest
import torch

from minicnn.errors import ShapeError
from minicnn.layers import (
    BatchNorm2d,
    Conv2d,
    GroupNorm,
    LayerNorm,
    LocalResponseNorm,
    Sequential,
    fuse,
    no_grad,
)
from minicnn.layers.init import he_normal

from .contract import IMAGES, LayerContract


class TestNorm(LayerContract):
    cases = {
        "LRN": (lambda: LocalResponseNorm(5, alpha=1.0, k=1.0), IMAGES),
        "LRN, groups": (lambda: LocalResponseNorm(3, alpha=1.0, groups=2), IMAGES),
        "LRN, even size": (
            lambda: LocalResponseNorm(4, alpha=1.0, beta=0.5, alpha_div_n=True),
            IMAGES,
        ),
        "group norm": (lambda: GroupNorm(2, 4), IMAGES),
        "group norm of rows": (lambda: GroupNorm(2, 6, eps=1e-2), (5, 6)),
        "instance norm": (lambda: GroupNorm(4, 4), IMAGES),
        "layer norm": (lambda: LayerNorm(4), IMAGES),
        "layer norm of rows": (lambda: LayerNorm(7, eps=1e-3), (5, 7)),
        "batch norm, SiLU": (lambda: BatchNorm2d(4, activation="silu"), IMAGES),
        "LRN within a channel": (
            lambda: LocalResponseNorm(3, 1.0, k=1.0, alpha_div_n=True, within_channel=True),
            IMAGES,
        ),
        "LRN within a channel, even size": (
            lambda: LocalResponseNorm(4, alpha=1.0, beta=0.5, within_channel=True),
            IMAGES,
        ),
        "batch norm, GELU": (lambda: BatchNorm2d(4, activation="gelu"), IMAGES),
        "batch norm, no scale": (lambda: BatchNorm2d(4, scale=False), IMAGES),
        "batch norm": (lambda: BatchNorm2d(4, activation="tanh"), IMAGES),
    }


def test_batch_norm_modes():
    layer = BatchNorm2d(3)
    x = np.random.default_rng(0).normal(5, 2, (8, 4, 4, 3)).astype(np.float32)
    y = layer(x)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-3)
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    before = layer.running_mean.copy()
    layer.eval()
    assert abs(layer(x).mean()) > 1, "evaluation uses the running statistics"
    np.testing.assert_array_equal(layer.running_mean, before)


def test_batch_norm_without_scale_is_that_with_ones():
    """It has no weight, and the results of one whose weight is 1, also if it is fused."""
    x = np.random.default_rng(0).normal(5, 2, (8, 4, 4, 3)).astype(np.float32)
    plain, scaled = BatchNorm2d(3, scale=False), BatchNorm2d(3)
    assert list(plain.state_dict()) == ["bias", "running_mean", "running_var"]
    np.testing.assert_array_equal(plain(x), scaled(x))
    np.testing.assert_array_equal(plain.backward(x), scaled.backward(x))
    np.testing.assert_array_equal(plain.bias.grad, scaled.bias.grad)
    net = Sequential(conv=Conv2d(3, 4, 1), bn=BatchNorm2d(4, scale=False)).eval()
    expected = net(x)
    with no_grad():
        np.testing.assert_allclose(fuse(net)(x), expected, rtol=1e-5, atol=1e-6)


def test_groups_of_channels_are_normalized_by_themselves():
    """As two layers, each on its half of the channels, also into a slice of another array."""
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 5, 4, 12)) * 3
    both, one = (LocalResponseNorm(5, 0.9, groups=g) for g in (2, 1))
    wide = np.zeros((3, 5, 4, 20))
    y, dx = both(x, out=wide[..., 4:16]), both.backward(dy)
    np.testing.assert_array_equal(wide[..., 4:16], y)
    for half in (np.s_[..., :6], np.s_[..., 6:]):
        np.testing.assert_allclose(y[half], one(x[half]), rtol=1e-12)
        np.testing.assert_allclose(dx[half], one.backward(dy[half]), rtol=1e-12)
    assert not np.allclose(y, one(x))
    with pytest.raises(ShapeError, match="has 12 channels; expected a multiple of 5"):
        LocalResponseNorm(groups=5)(x)
    with pytest.raises(ValueError, match="groups=0: expected an integer >= 1"):
        LocalResponseNorm(groups=0)
    with pytest.raises(ValueError, match="groups=2 of channels mean nothing within a channel"):
        LocalResponseNorm(groups=2, within_channel=True)
    with pytest.raises(ValueError, match="size=0: expected an integer >= 1"):
        LocalResponseNorm(0, within_channel=True)


def test_group_norm_is_the_same_for_every_batch_and_mode():
    x = np.random.default_rng(0).normal(5, 2, (4, 3, 5, 6)).astype(np.float32)
    layer = GroupNorm(3, 6)
    y = layer(x)
    np.testing.assert_allclose(y.reshape(4, 15, 3, 2).mean((1, 3)), 0, atol=1e-6)
    np.testing.assert_array_equal(layer(x[1:2]), y[1:2])
    np.testing.assert_array_equal(layer.eval()(x), y)
    np.testing.assert_allclose(
        LayerNorm(6)(x)[2, 1], GroupNorm(1, 6)(x[2, 1]), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("ours", [GroupNorm(2, 6), LayerNorm(6)])
def test_the_names_and_values_of_torch(ours):
    """A state of torch's layer loads as it is, and the results are equal."""
    theirs = torch.nn.GroupNorm(2, 6) if ours.__class__ is GroupNorm else torch.nn.LayerNorm(6)
    with torch.no_grad():
        theirs.weight.uniform_(0.5, 2)
        theirs.bias.uniform_(-1, 1)
    ours.load_state_dict({name: t.numpy() for name, t in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 6)).astype(np.float32)
    if isinstance(ours, GroupNorm):
        y = theirs(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    else:
        y = theirs(torch.tensor(x))
    np.testing.assert_allclose(ours(x), y.detach().numpy(), rtol=1e-4, atol=1e-6)
    ours.initialize(weight=he_normal(), bias=0.0)
    np.testing.assert_array_equal(ours.weight.value, theirs.weight.detach())


def test_group_norm_names_what_is_wrong():
    with pytest.raises(ValueError, match="GroupNorm: channels=6: expected a multiple of groups=4"):
        GroupNorm(4, 6)
    with pytest.raises(ValueError, match="GroupNorm: groups=0: expected an integer >= 1"):
        GroupNorm(0, 6)
    with pytest.raises(ValueError, match="LayerNorm: channels=2.5: expected an integer >= 1"):
        LayerNorm(2.5)
    with pytest.raises(ValueError, match="GroupNorm: eps=-1: expected a number >= 0"):
        GroupNorm(2, 4, eps=-1)
    with pytest.raises(ValueError, match="LayerNorm: eps='x': expected a number"):
        LayerNorm(4, eps="x")
    x = np.ones((2, 3, 3, 4), np.float32)
    with pytest.raises(ShapeError, match=r"GroupNorm\(2, 6\): the input \(2, 3, 3, 4\) has 4 chan"):
        GroupNorm(2, 6)(x)
    with pytest.raises(ShapeError, match=r"expected \(\.\.\., 6\)"):
        LayerNorm(6)(x)
    with pytest.raises(ShapeError, match=r"the input has shape \(6,\); expected \(N, \.\.\., C\)"):
        GroupNorm(2, 6)(np.ones(6, np.float32))
    with pytest.raises(ShapeError, match="the input is empty"):
        LayerNorm(4)(x[:0])
