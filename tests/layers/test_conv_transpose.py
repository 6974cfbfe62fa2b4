"""The transposed convolution: the contract, its size, its errors and its weights in torch."""

import numpy as np
import pytest
import torch

from minicnn.errors import ShapeError
from minicnn.layers import Conv2d, ConvTranspose2d, Sequential
from minicnn.study import summarize
from minicnn.weights.torch_state import array_to_torch, load_torch, to_torch

from .contract import IMAGES, LayerContract

SMALL = (2, 3, 4, 4)


class TestConvTranspose2d(LayerContract):
    cases = {
        "plain": (lambda: ConvTranspose2d(4, 3, 3), SMALL),
        "strided, output padding": (lambda: ConvTranspose2d(4, 3, 3, 2, 1, (1, 0)), SMALL),
        "asymmetric": (lambda: ConvTranspose2d(4, 2, (3, 2), (2, 3), ((0, 2), (1, 0))), SMALL),
        "grouped, dilated, no bias": (
            lambda: ConvTranspose2d(4, 6, 3, 2, groups=2, dilation=2, bias=False),
            SMALL,
        ),
        "one pixel": (lambda: ConvTranspose2d(4, 1, 2, 2), (1, 1, 1, 4)),
    }


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, ((1, 0), (0, 2)))])
def test_it_has_the_sizes_from_which_the_convolution_comes(stride, padding):
    conv = Conv2d(3, 4, 4, stride, padding)
    made = conv.output_shape((*IMAGES[:3], 3))
    for added in range(stride):
        back = ConvTranspose2d(4, 3, 4, stride, padding, added).output_shape(made)
        assert conv.output_shape(back) == made


def test_the_weights_are_those_of_torch():
    ours = Sequential(up=ConvTranspose2d(4, 6, (3, 2), 2, 1, (1, 0), groups=2))
    theirs = torch.nn.Sequential()
    theirs.up = torch.nn.ConvTranspose2d(4, 6, (3, 2), 2, 1, (1, 0), groups=2)
    load_torch(ours, {name: t.detach().numpy() for name, t in theirs.state_dict().items()})
    assert ours["up"].weight.value.shape == (3, 2, 3, 4)
    x = np.random.default_rng(0).standard_normal((2, 5, 3, 4)).astype(np.float32)
    expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy()
    np.testing.assert_allclose(ours(x), expected.transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-6)
    again = array_to_torch(ours["up"].weight.value)
    np.testing.assert_array_equal(again, theirs.up.weight.detach())
    assert list(to_torch(ours)) == ["up.weight", "up.bias"]


def test_the_first_weights_have_torchs_range():
    """fan_in is that of the convolution from y to x, as torch has it."""
    layer = ConvTranspose2d(64, 4, 3, groups=2)
    assert layer.weight.fan_in == 9 * 2
    assert abs(layer.weight.value).max() == pytest.approx(1 / np.sqrt(18), rel=0.01)


def test_counts():
    """4 x 5 pixels times the weights of 3 channels; a bias per output counts as a connection."""
    row = summarize(Sequential(up=ConvTranspose2d(3, 2, 3, 2, 1, 1)), (4, 5, 3)).rows[0]
    assert row.output == (8, 10, 2)
    assert (row.macs, row.parameters) == (20 * 54, 56)
    assert row.connections == 20 * 54 + 160


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvTranspose2d(4, 4, 3, 2, 1, 2), r"output_padding=2: expected less than stride"),
        (lambda: ConvTranspose2d(4, 6, 3, groups=4), "groups=4 must divide in_channels=4 and out"),
        (lambda: ConvTranspose2d(0, 6, 3), "ConvTranspose2d: in_channels=0: expected an integer"),
        (lambda: ConvTranspose2d(4, 6, 0), "kernel_size=0: expected an integer >= 1"),
    ],
)
def test_arguments_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_inputs_that_do_not_fit():
    with pytest.raises(
        ShapeError, match=r"ConvTranspose2d\(4, 2, 3\): the input .* has 3 channels"
    ):
        ConvTranspose2d(4, 2, 3)(np.zeros((1, 2, 2, 3), np.float32))
    with pytest.raises(ShapeError, match=r"padding=2\): input .* leaves 0 of 4 pixels"):
        ConvTranspose2d(4, 2, 3, padding=2)(np.zeros((1, 2, 2, 4), np.float32))
