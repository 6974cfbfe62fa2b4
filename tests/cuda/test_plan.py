"""How products are cut: every convolution of six networks fills a card.

Exceptions are products that are too small, or for which a way that fills the card costs more.
"""

import re

import pytest

from minicnn import layers, models
from minicnn.kernels.cuda import conv, plan, runtime
from minicnn.kernels.cuda.precision import PRECISIONS
from minicnn.kernels.geometry import window

CARDS = {"A100": plan.Card(108, 163 << 10, 164 << 10), "H100": plan.Card(132, 227 << 10, 228 << 10)}
CONSUMER = plan.Card(128, 99 << 10, 100 << 10)
NETWORKS = ("alexnet", "vgg16", "googlenet", "resnet18", "resnet50", "nin_imagenet")
PRODUCTS = (*PRECISIONS.values(), "BF16")


@pytest.fixture(scope="module")
def convolutions():
    """Network -> (image shape, convolution) of each of its layers."""
    found: dict[str, list] = {name: [] for name in NETWORKS}
    original, name = layers.Conv2d.output_shape, ""

    def noted(self, shape):
        found[name].append((shape, self))
        return original(self, shape)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers.Conv2d, "output_shape", noted)
        for name in NETWORKS:
            model = models.create(name)
            model.output_shape((1, *model.input_shape))
    return found


def products(shape, layer, batch: int):
    """Kernel, m, n and k of the products of all three passes.

    Products of the strided input gradient that have no taps are left out.
    """
    g = window(shape[1:3], layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    area, channels, filters = (
        g.kernel[0] * g.kernel[1],
        layer.in_channels // layer.groups,
        layer.out_channels // layer.groups,
    )
    pixels = batch * g.output[0] * g.output[1]
    yield "forward", pixels, filters, area * channels
    yield "grad_weight", area * channels, filters, pixels
    for y in conv.pixel_classes(shape[1], g, 0):
        for x in conv.pixel_classes(shape[2], g, 1):
            if y.taps and x.taps and shape[3] > 3:
                yield "grad_input", batch * y.pixels * x.pixels, channels, y.taps * x.taps * filters


@pytest.mark.parametrize("precision", PRODUCTS)
@pytest.mark.parametrize("card", CARDS)
def test_every_layer_fills_the_card(card, precision, convolutions):
    """At least 8 warps per multiprocessor and 85 % balance, with 128 images.

    In less than one product of twenty no tile and no split into parts of at least four steps fills
    the card, or each that does moves so many partial sums that the model finds it over 15 % dearer.
    Of the weight gradients that can fill the card, at most one does not.
    """
    total, unfilled = 0, []
    for name, found in convolutions.items():
        for shape, layer in found:
            for kernel, m, n, k in products(shape, layer, 128):
                size = kernel, m, n, k, layer.groups, precision, CARDS[card]
                chosen = plan.plan(*size)
                total += 1
                filling = [way for way in plan.ways(*size) if way.fills]
                if not chosen.fills:
                    unfilled.append((name, kernel, m, n, k, bool(filling)))
                    cheapest = min(plan.ways(*size), key=lambda way: way.cycles)
                    assert all(way.cycles > plan.TRUST * cheapest.cycles for way in filling), (
                        unfilled[-1]
                    )
    assert total > 500
    assert len(unfilled) < total / 20, unfilled
    assert len([case for case in unfilled if case[1] == "grad_weight" and case[-1]]) <= 1, unfilled


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [
        (9 * 256, 256, 64 * 56 * 56),  # VGG, 64 images
        (9 * 512, 512, 64 * 28 * 28),
        (9 * 64, 64, 64 * 224 * 224),
        (9 * 256, 256, 128 * 14 * 14),  # ResNet-50, 128 images
        (9 * 512, 512, 128 * 7 * 7),
        (64, 256, 128 * 56 * 56),
    ],
)
def test_long_sums_are_split(m, n, k, card):
    """Weight gradients: few tiles, and sums over all the pixels of a batch."""
    for precision in PRODUCTS:
        chosen = plan.plan("grad_weight", m, n, k, 1, precision, CARDS[card])
        assert chosen.splits > 1, precision
        assert chosen.warps >= 8, precision
        assert chosen.balance >= 0.85, precision


@pytest.mark.parametrize("card", [*CARDS.values(), CONSUMER], ids=[*CARDS, "consumer"])
@pytest.mark.parametrize("precision", PRODUCTS)
def test_blocks_have_room(card, precision):
    """What a tile says of a multiprocessor's blocks agrees with its shared memory and threads."""
    for kernel in ("forward", "grad_input", "grad_weight"):
        for tile in plan.tiles(precision):
            stages, together = plan.stages_of(kernel, tile, precision, card)
            needed = plan.shared_bytes(kernel, tile, precision, stages)
            assert stages in (2, 3)
            assert needed <= card.block_memory
            assert together == 1 or together * (needed + plan.RESERVED) <= card.memory
            assert together * tile.warps * 32 <= 1536


def test_workspace_is_bounded():
    """The parts of a long sum fit into the workspace, and each has at least four steps."""
    for m, n, k in ((4608, 4608, 10**6), (64, 64, 10**7), (4096, 4096, 512), (30, 24, 864)):
        for way in plan.ways("grad_weight", m, n, k, 1, "BF16", CARDS["H100"]):
            assert way.splits == 1 or way.splits * m * n * 4 <= plan.WORKSPACE
            assert way.splits == 1 or -(-k // plan.inner("BF16")) // way.splits >= plan.LEAST_STEPS


def test_every_step_belongs_to_one_part():
    """The shares of conv.cu, in Python: each step once, in parts that differ by at most one."""
    assert "split * each + min(split, more)" in re.sub(r"\s+", " ", runtime.source("conv.cu"))
    for steps in (0, 1, 5, 36, 97):
        for splits in range(1, max(2, steps)):
            each, more = divmod(steps, splits)
            shares = [
                range(first := s * each + min(s, more), first + each + (s < more))
                for s in range(splits)
            ]
            assert [step for share in shares for step in share] == list(range(steps))
