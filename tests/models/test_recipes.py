"""Every recipe fits its network, and states its source."""

import pytest

from minicnn import models, registry
from minicnn.layers.init import skip_init


@pytest.mark.parametrize("name", models.names())
def test_every_recipe_fits_its_network(name):
    with skip_init():
        model = models.create(name)
    for recipe in registry.entry(name).recipes.values():
        assert recipe.source
        assert recipe.preprocess.size == model.input_shape[:2]
        assert recipe.make_optimizer(model).lr == recipe.lr
        assert recipe.schedule.at(5, 10, recipe.epochs) > 0  # a warm-up may start at 0
