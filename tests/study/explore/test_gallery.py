"""Images of a data set, drawings, files and the picture without a data set."""

import io

import numpy as np
import pytest
from PIL import Image

from minicnn import data, models
from minicnn.errors import DataError
from minicnn.layers import Conv2d, Sequential
from minicnn.study.explore import Gallery
from minicnn.study.explore.gallery import png


def test_pixels_become_what_the_network_was_trained_on():
    model = models.create("lenet5", seed=0, recipe="digits")
    _, test = data.digits()
    gallery = Gallery(model, {"test": test})
    image, label = gallery.image("test", 3)
    assert label == test.labels[3] and gallery.classes == tuple("0123456789")
    expected = model.recipe.preprocess(test.images[3:4])
    np.testing.assert_array_equal(gallery.input(image), expected)
    with pytest.raises(DataError, match="split 'train': expected one of test"):
        gallery.image("train", 0)


def test_a_drawing_is_as_large_as_mnist_in_the_frame():
    model = models.create("lenet5", seed=0)
    gallery = Gallery(model, {})
    drawing = np.zeros((28, 28), np.uint8)
    drawing[5, 6] = 255
    x = gallery.input(gallery.drawing(drawing))
    assert x.shape == (1, 32, 32, 1) and x[0, 7, 8, 0] == x.max() > x.min()


def test_color_networks_without_data():
    gallery = Gallery(models.create("resnet20_cifar", seed=0), {})
    pixels = gallery.blank()
    assert pixels.shape == (32, 32, 3) and gallery.input(pixels).shape == (1, 32, 32, 3)
    assert len(np.unique(pixels)) > 20
    assert gallery.input(gallery.drawing(np.zeros((28, 28), np.uint8))).shape == (1, 32, 32, 3)


def test_a_network_without_an_input_shape():
    with pytest.raises(ValueError, match=r"input_shape=\(\); expected input_shape=\(H, W, C\)"):
        Gallery(Sequential(Conv2d(1, 1, 3)), {})


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_png(channels):
    pixels = np.random.default_rng(0).random((40, 80, channels)).astype(np.float32)
    image = Image.open(io.BytesIO(png(pixels, 20)))
    assert image.size == (20, 10)
