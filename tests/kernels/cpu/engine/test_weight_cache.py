"""Transformed filters: reused until the weights change."""

import numpy as np

import minicnn
from minicnn.kernels import reference
from minicnn.kernels.cpu import conv
from minicnn.kernels.cpu.engine.weight_cache import _caches, weight_cache


def test_kept_filters_follow_the_weights():
    """Without gradients transformed filters are reused until a weight changes, be it by one bit."""
    layer = minicnn.layers.Conv2d(16, 32, 3, padding=1)
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 16), dtype=np.float32)

    def answers():
        with conv.algorithm("winograd4"), minicnn.no_grad():
            return layer.eval()(x), reference.conv2d(
                x, layer.weight.value, layer.bias.value, padding=1
            )

    def filters():
        return _caches[id(layer.weight.value)][1]["filters"]

    kept = None
    for change in (None, (0, 0, 0, 0), (2, 2, 15, 31), (1, 1, 7, 3)):
        if change:
            layer.weight.value[change] = (
                np.nextafter(layer.weight.value[change], np.float32(9))
                if change == (1, 1, 7, 3)
                else 5
            )
        np.testing.assert_allclose(*answers(), atol=1e-4)
        assert filters() is not kept
        kept = filters()
        np.testing.assert_allclose(*answers(), atol=1e-4)
        assert filters() is kept
    layer.weight.value = -layer.weight.value
    np.testing.assert_allclose(*answers(), atol=1e-4)
    key = id(layer.weight.value)
    assert key in _caches
    layer.train()(x)
    assert key not in _caches, "with gradients nothing is kept"


def test_kept_filters_go_with_the_weights():
    w = np.ones((3, 3, 16, 16), np.float32)
    with minicnn.no_grad():
        weight_cache(w)["filters"] = 1
    key = id(w)
    del w
    assert key not in _caches
