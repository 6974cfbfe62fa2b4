"""Every recipe fits its network, and states its source."""

import numpy as np
import pytest

from minicnn import models, registry
from minicnn.layers.init import skip_init
from minicnn.models import recipes


@pytest.mark.parametrize("name", models.names())
def test_every_recipe_fits_its_network(name):
    with skip_init():
        model = models.create(name)
    for recipe in registry.entry(name).recipes.values():
        assert recipe.source
        assert recipe.preprocess.size == model.input_shape[:2]
        assert recipe.make_optimizer(model).lr == recipe.lr
        assert recipe.schedule.at(5, 10, recipe.epochs) > 0  # a warm-up may start at 0


@pytest.mark.parametrize("preprocess", [recipes.CIFAR10_INPUT, recipes.imagenet_input(32)])
def test_statistics_of_three_channels_become_one_for_gray(preprocess):
    gray = preprocess.for_input((32, 32, 1))
    assert gray.mean == pytest.approx(np.mean(preprocess.mean))
    images = np.arange(32 * 32, dtype=np.uint8).reshape(1, 32, 32, 1)
    np.testing.assert_allclose(gray(images), (images / 255 - gray.mean) / gray.std, atol=1e-5)
