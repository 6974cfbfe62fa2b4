"""Transformed filters: reused until the weights change."""

import weakref

import numpy as np

import minicnn
from minicnn.kernels import reference
from minicnn.kernels.cpu import conv
from minicnn.kernels.cpu.engine import weight_cache as caches
from minicnn.kernels.cpu.engine.weight_cache import _caches, kept_in_block, weight_cache
from minicnn.kernels.thread_state import kept_for_inference


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
        return _caches[id(layer.weight.value)][1].last.array

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
        weight_cache(w).get(2, w, lambda: np.zeros(3))
    key = id(w)
    del w
    assert key not in _caches


def test_weights_are_compared_once_in_inference_mode(monkeypatch):
    w, hashes = np.ones((3, 3, 16, 16), np.float32), []
    real = caches.fingerprint
    monkeypatch.setattr(caches, "fingerprint", lambda a: hashes.append(1) or real(a))

    def sum_of(name="sum"):
        return weight_cache(w).get(name, w, lambda: w.sum())

    for value in (1, 2, 2):
        w[...] = value
        with minicnn.inference_mode():
            assert [sum_of() for _ in range(3)] == [value * w.size] * 3
            with minicnn.inference_mode(), minicnn.no_grad():
                sum_of()
    assert len(hashes) == 3, "once for each block"
    with minicnn.inference_mode():
        assert sum_of("other") == sum_of() == 2 * w.size
        passing = np.ones(3, np.float32)
        cache = weakref.ref(weight_cache(passing))
        cache().get("sum", passing, lambda: np.zeros(1))
        del passing
        assert cache() is None, "freed with the weights"
    assert len(hashes) == 6, "for each name and array"
    w[...] = 3
    with minicnn.no_grad():
        assert sum_of() == 3 * w.size


def test_what_is_kept_in_a_block_ends_with_it():
    w, made = np.ones(3, np.float32), []

    def use(w):
        return kept_in_block(w, lambda: made.append(1) or w.sum())

    for _ in range(2):
        assert use(w) is None, "outside of a block"
        with minicnn.inference_mode():
            assert use(w) is None, "at the first use"
            assert [use(w) for _ in range(3)] == [w.sum()] * 3
            for _ in range(9):  # none of these may get the id, and the result, of one before
                new = np.full(3, 7, np.float32)
                assert use(new) is None
                assert use(new) == 21
            del new
            assert len(kept_for_inference()) == 1, "what was made of others is freed with them"
        w += 1
    assert len(made) == 2 * (1 + 9)
