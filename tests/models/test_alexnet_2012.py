"""The net that AlexNet's authors ran: variants against torch, sizes, recipe."""

import numpy as np
import pytest

from minicnn import data, models
from minicnn.layers.init import skip_init
from minicnn.models.alexnet_2012 import MEAN, NOISY, QUIET, Contract

from . import twins
from .tables import sizes, table
from .test_twins import CLASSES, compare

VARIANTS = [
    ({"normalization": "first"}, {"norms": 1}),
    ({"normalization": "none"}, {"norms": 0}),
    ({"overlap": False}, {"overlap": False}),
    ({"talk": False}, {"talk": False}),
    ({"columns": 1}, {"columns": 1}),
]


@pytest.mark.parametrize(("options", "form"), VARIANTS)
def test_variants_against_torch(options, form):
    options = {"input_size": 99, "hidden": 48} | options
    make = lambda masks: twins.alexnet_2012_code(masks, CLASSES, 99, 48, **form)  # noqa: E731
    for mode, errors in compare("alexnet_2012_code", np.float64, options, make).items():
        assert max(errors) < 1e-9, (mode, errors)


@pytest.mark.parametrize("options", [{}] + [options for options, _ in VARIANTS])
def test_sizes(options):
    found = sizes("alexnet_2012_code", **options)
    sides = [found[name][0] for name in ("conv1", "pool1", "pool2", "conv3", "conv4", "pool5")]
    assert sides == [55, 27 if options.get("overlap", True) else 28, 13, 13, 13, 6]
    assert found["pool5"] == (6, 6, 256)
    assert found["fc7"][-1] == 4096


def test_parameters():
    """Those of the paper's net; a column more or less, and columns that do not talk."""
    assert table("alexnet_2012_code").parameters == 60_965_224
    assert table("alexnet_2012_code", normalization="none").parameters == 60_965_224
    conv = lambda k, i, o: k * k * i * o + o  # noqa: E731
    half = conv(11, 3, 48) + conv(5, 48, 128) + conv(3, 128, 192) + conv(3, 192, 192)
    half += conv(3, 192, 256) + 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert table("alexnet_2012_code", columns=1).parameters == half
    column = conv(11, 3, 48) + conv(5, 48, 160) + conv(3, 160, 192) + conv(3, 192, 192)
    column += conv(3, 192, 128) + 36 * 128 * 4096 + 4096 + 4096 * 2048 + 2048
    assert table("alexnet_2012_code", talk=False).parameters == 2 * column + 4096 * 1000 + 1000


def test_initial_values():
    net = models.create("alexnet_2012_code", seed=0, num_classes=10, input_size=67, hidden=64)
    for name in ("conv1", "conv2", "fc6", "fc7", "fc8", "conv3", "conv4", "conv5"):
        std = 0.03 if name in ("conv3", "conv4", "conv5") else 0.01
        np.testing.assert_allclose(net[name].weight.value.std(), std, rtol=0.1)
    ones = {n for n, p in net.named_parameters() if n.endswith("bias") and (p.value == 1).all()}
    assert ones == {"conv2.bias", "conv4.bias", "conv5.bias", "fc6.bias", "fc7.bias"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": 3}, "columns=3: expected 1 or 2"),
        ({"normalization": "some"}, "normalization='some': expected one of all, first, none"),
        ({"columns": 1, "talk": False}, "talk=False: one column has no other"),
    ],
)
def test_options_that_mean_nothing(options, message):
    with pytest.raises(ValueError, match=message), skip_init():
        models.create("alexnet_2012_code", **options)


def test_images_are_drawn_towards_the_mean():
    images = np.full((2, 3, 3, 3), 100, np.float32)
    found = Contract(1.1)(images, np.random.default_rng(0))
    mean = 255 * np.array(MEAN)
    np.testing.assert_allclose(found, (images - mean) / 1.1 + mean, rtol=1e-5)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 256, 256, 3), np.uint8)
    model = models.create("alexnet_2012_code", num_classes=2, hidden=2)
    loader = data.Loader(
        data.Dataset(pixels, np.arange(64) % 2, ("a", "b"), "noise"),
        64,
        model.recipe.preprocess.for_input(model.input_shape),
        NOISY,
    )
    x, _ = next(iter(loader))
    assert x.shape == (64, 224, 224, 3)
    assert abs(x.std() * 1.1 / (pixels - mean).std() - 1) < 0.05


def test_the_recipe_changes_late():
    """Rates and augmentation in the epochs of the log, without training anything."""
    model = models.create("alexnet_2012_code", num_classes=2, input_size=67, hidden=2)
    rule = model.recipe.make_optimizer(model)
    names = [name for name, _ in model.named_parameters()]

    class Run:
        pass

    run, loader = Run(), Run()
    run.model, run.loader = model, loader
    loader.augment = NOISY.for_input(model.input_shape)
    callbacks = run.callbacks = model.recipe.make_callbacks()

    def rates(epochs):
        loader.epoch = epochs
        for callback in callbacks:
            callback.on_epoch_end(run, {})
        factor = model.recipe.schedule.factor(epochs, 90) * model.recipe.lr
        found = dict(zip(names, rule.effective_multipliers(), strict=True))
        return tuple(
            0.0 if dict(model.named_parameters())[n].frozen else round(factor * found[n][0], 9)
            for n in ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias")
        )

    assert rates(0) == (0.01, 0.02, 0.01, 0.02)
    assert rates(24) == (0.01, 0.02, 0.01, 0.02)
    assert rates(25) == (0.001, 0.02, 0.001, 0.02)
    assert rates(51) == (0.0001, 0.02, 0.0001, 0.02)
    assert loader.augment == NOISY.for_input(model.input_shape)
    assert rates(67) == (0.00001, 0.02, 0.0001, 0.02)
    assert loader.augment == QUIET.for_input(model.input_shape)
    assert rates(72) == (0, 0, 0.0001, 0.02)
    assert rates(79) == (0, 0, 0.00001, 0.02)
