"""Inception-v4: the sizes of the paper's figure 9."""

from minicnn import models
from minicnn.layers.init import skip_init

from .starts import assert_loss_falls


def test_sizes():
    with skip_init():
        net = models.create("inception_v4")
    shape, found = (1, 299, 299, 3), {}
    for name, layer in net.children():
        shape = layer.output_shape(shape)
        found[name] = shape[1:]
    assert found["stem"] == found["inception_a"] == (35, 35, 384)
    assert found["reduction_a"] == found["inception_b"] == (17, 17, 1024)
    assert found["reduction_b"] == found["inception_c"] == (8, 8, 1536)
    assert found["pool"] == (1536,)


def test_loss_falls(photographs):
    assert_loss_falls("inception_v4", photographs, lr=0.003, steps=20, input_size=107)
