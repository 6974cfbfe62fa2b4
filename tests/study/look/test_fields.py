"""Receptive fields, against the pixels that change a unit."""

from itertools import product

import numpy as np
import pytest

from minicnn import models
from minicnn.layers import (
    AdaptiveMaxPool2d,
    Add,
    Affine,
    AvgPool2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Graph,
    GroupNorm,
    Layer,
    LayerNorm,
    LocalResponseNorm,
    MaxPool2d,
    Network,
    Pad2d,
    PadShortcut,
    PReLU,
    Residual,
    Sequential,
    Slice,
    Softmax,
    Subsample2d,
    Upsample,
)
from minicnn.study import look
from minicnn.study.look.rewriting import tapped

from .twins import branched, chain, network


def padded():
    """Dilation, uneven padding, subsampling, and a shortcut with a stride."""
    return Network(
        conv=Conv2d(3, 4, (3, 2), dilation=(2, 1), padding=((2, 0), (1, 3))),
        sub=Subsample2d(4, 2),
        block=Residual(
            Sequential(a=Conv2d(4, 5, 3, stride=2, padding=1), b=AvgPool2d(3, 1, padding=1)),
            PadShortcut(4, 5, stride=2),
        ),
        last=MaxPool2d(2, stride=1),
        input_shape=(17, 13, 3),
    )


def graph():
    """Paths of different windows that meet, and a slice that reads only one of them."""
    return Graph(
        pad=Pad2d(((1, 0), (0, 2))),
        a=Conv2d(3, 4, 3, stride=2, padding=1),
        shift=Affine(4),
        b=Sequential(c=Conv2d(4, 4, (3, 1), padding=(1, 0)), d=MaxPool2d(2, stride=1)),
        e=AvgPool2d(2, stride=1),
        sum=Add(activation="relu"),
        f=Conv2d(4, 2, 1),
        join=Concatenate(),
        part=Slice(4, 6),
        inputs={"e": "shift", "sum": ("b", "e"), "f": "e", "join": ("sum", "f")},
        input_shape=(9, 8, 3),
    )


def enlarged():
    """A transposed convolution with gaps, upsampling, windows of several sizes."""
    return Network(
        conv=Conv2d(3, 4, 3, stride=2),
        up=ConvTranspose2d(4, 4, (3, 2), (2, 3), ((1, 0), (0, 2)), (1, 2), dilation=(2, 1)),
        lrn=LocalResponseNorm(4, 0.5, within_channel=True),
        wide=Upsample((1.5, 1), "bilinear"),
        near=Upsample(size=(9, 14)),
        last=AdaptiveMaxPool2d((4, 5)),
        input_shape=(8, 9, 3),
    )


def newer():
    """Layers that read a pixel, and group norm, which reads all of them."""
    return Network(
        conv=Conv2d(3, 4, 3, stride=2),
        norm=LayerNorm(4),
        prelu=PReLU(4),
        soft=Softmax(),
        group=GroupNorm(2, 4),
        input_shape=(8, 9, 3),
    )


def reads(model, layer, row, column):
    """The box of the pixels that change any unit at a place, found by changing pixels."""
    generator = np.random.default_rng(1)
    height, width, channels = model.input_shape
    network, tap = tapped(model, layer)
    x = generator.standard_normal((2, 1, height, width, channels))
    changed = np.repeat(x, 3 * height * width, axis=1)
    for n, (i, j, push) in enumerate(product(range(height), range(width), (-30.0, 0.3, 30.0))):
        changed[:, n, i, j] += push
    network(x[:, 0])
    before = tap.y[:, None, row, column].copy()
    network(changed.reshape(-1, height, width, channels))
    after = tap.y[:, row, column].reshape(2, 3 * height * width, -1)
    # BLAS may round a product otherwise in a larger batch.
    seen = (
        (abs(after - before) > 1e-12 * abs(before).max())
        .any(axis=(0, 2))
        .reshape(height, width, 3)
        .any(axis=2)
    )
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not seen.any():
        return 0, 0, 0, 0
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


@pytest.mark.parametrize(
    ("make", "layer", "places"),
    [
        (chain, "conv1", [(0, 0), (3, 4), (6, 7)]),
        (chain, "pool1", [(0, 0), (1, 2), (2, 3)]),
        (chain, "pool2", [(1, 1)]),
        (branched, "block.body.conv2", [(0, 0), (3, 3)]),
        (branched, "block", [(3, 2), (6, 5)]),
        (branched, "same.body.right.proj", [(3, 2)]),
        (branched, "same.body.left", [(3, 2)]),
        (branched, "bn", [(0, 5)]),
        (graph, "b.d", [(0, 0), (2, 1)]),
        (graph, "sum", [(0, 0), (2, 1)]),
        (graph, "f", [(2, 1)]),
        (padded, "conv", [(0, 0), (7, 5), (14, 15)]),
        (padded, "sub", [(0, 0), (3, 4)]),
        (padded, "block.shortcut", [(1, 1)]),
        (padded, "last", [(0, 0), (1, 2)]),
        (enlarged, "up", [(0, 0), (3, 4), (8, 10)]),
        (enlarged, "lrn", [(0, 0), (4, 5), (8, 10)]),
        (enlarged, "wide", [(0, 0), (5, 6), (12, 10)]),
        (enlarged, "near", [(0, 0), (4, 7), (8, 13)]),
        (enlarged, "last", [(0, 0), (1, 2), (3, 4)]),
        (newer, "soft", [(0, 0), (1, 3)]),
        (newer, "group", [(1, 2)]),
    ],
)
def test_a_field_has_the_pixels_that_change_the_unit(make, layer, places):
    model, _ = network(make)
    model.eval()
    fields = look.receptive_fields(model)
    for place in places:
        assert fields[layer].box(*place) == reads(model, layer, *place), place


def test_sizes_are_those_of_the_literature():
    model = models.create("lenet5", seed=0)
    fields = look.receptive_fields(model)
    sizes = {name: field.size[0] for name, field in fields.items()}
    assert [sizes[name] for name in ("C1", "S2", "C3", "S4", "C5")] == [5, 6, 14, 16, 32]
    assert fields["F6"].box() == (0, 0, 32, 32)
    assert set(sizes) == {name for name, _ in model.named_layers()}


class Own(Layer):
    def __init__(self):
        self.inner = Conv2d(3, 3, 1)

    def forward(self, x):
        return self.inner(x)

    def output_shape(self, shape):
        return shape


class Shifted(Own):
    """A layer of a user's own that says what it reads."""

    kernel_size, stride, padding = (3, 3), (1, 1), ((1, 1), (1, 1))


class Plain(Own):
    """The same in plain integers."""

    kernel_size, stride, padding = 3, 1, 1


def test_a_layer_that_minicnn_does_not_define_may_read_everything():
    conv = Conv2d(3, 3, 3, padding=1)
    model = Network(conv, Own(), input_shape=(9, 8, 3))
    fields = look.receptive_fields(model)
    assert fields["0"].box(4, 4) == (3, 3, 6, 6)
    assert fields["1"].box(4, 4) == fields["1.inner"].box(4, 4) == (0, 0, 9, 8)
    for kind in (Shifted, Plain):
        fields = look.receptive_fields(Network(conv, kind()), (9, 8, 3))
        assert fields["1"].box(4, 4) == (2, 2, 7, 7)
    with pytest.raises(ValueError, match=r"input_shape=\(\): expected \(H, W, C\)"):
        look.receptive_fields(Network(conv))
