"""Named augmentations: each makes a batch of its size, and no name is that of a network."""

import numpy as np
import pytest

from minicnn import registry
from minicnn.data import Preprocess
from minicnn.data.augment.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_inputs_of_its_size(name):
    preset = PRESETS[name]
    size, given = preset.input_size, preset.image_size
    images = np.random.default_rng(0).integers(0, 256, (3, given, given, 3)).astype(np.uint8)
    preprocess = Preprocess((size, size), 3, mean=0.5, std=0.25, crop=True)
    arguments = np.zeros(3, np.int64), preprocess
    x, _ = preset.pipeline.batch(images, *arguments, np.random.default_rng(1), 1)
    assert x.shape == (3, size, size, 3)
    assert x.dtype == np.float32
    other, _ = preset.pipeline.batch(images, *arguments, np.random.default_rng(2), 1)
    assert abs(x - other).max() > 0.1
    smaller = preset.pipeline.for_input((24, 24, 3))
    preprocess = preprocess.for_input((24, 24, 3))
    x, _ = smaller.batch(images, arguments[0], preprocess, np.random.default_rng(1), 1)
    assert x.shape == (3, 24, 24, 3)


def test_names_are_not_those_of_networks():
    assert not set(PRESETS) & set(registry.names())


def test_the_paddings_of_the_two_cifar_recipes_differ():
    """He et al. pad with black, fb.resnet.torch with the mean; the windows are the same."""
    white = np.full((30, 32, 32, 3), 255, np.uint8)
    preprocess = Preprocess((32, 32), 3, mean=0.5, std=0.5)
    made = [
        PRESETS[name].pipeline.batch(
            white, np.zeros(30, np.int64), preprocess, np.random.default_rng(0), 1
        )[0]
        for name in ("cifar", "fb_cifar")
    ]
    assert set(np.unique(made[0])) == {-1, 1}
    assert set(np.unique(made[1])) == {0, 1}
    np.testing.assert_array_equal(made[0] == 1, made[1] == 1)
