"""The two ways to a weight gradient: sums of each task, and sums over batches of tiles."""

import numpy as np
import pytest

import minicnn
from minicnn.kernels import reference
from minicnn.kernels.cpu import conv, conv2d_grad_weight, engine
from minicnn.kernels.cpu.winograd import passes


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("x_shape", "filters", "kernel", "padding", "name"),
    [
        ((5, 13, 29, 16), 48, (3, 3), 1, "winograd4"),
        ((1, 1, 1, 32), 16, (3, 3), 1, "winograd4"),
        ((3, 9, 9, 48), 16, (3, 3), ((0, 2), (2, 1)), "winograd2"),
        ((2, 8, 31, 16), 32, (1, 7), ((0, 0), (3, 3)), "winograd4"),
        ((2, 11, 6, 16), 16, (5, 5), 2, "winograd2"),
    ],
)
def test_weight_gradient(x_shape, filters, kernel, padding, name, own, threads, monkeypatch):
    if threads > minicnn.get_num_threads():
        pytest.skip("one thread only")
    monkeypatch.setattr(engine.threads, "_threads", threads)
    monkeypatch.setattr(passes, "has_own_sums", lambda *sizes: own)
    generator = np.random.default_rng(0)
    x = generator.standard_normal(x_shape)
    w_shape = (*kernel, x_shape[3], filters)
    y = reference.conv2d(x, np.zeros(w_shape), None, 1, padding)
    dy = generator.standard_normal(y.shape)
    with conv.algorithm(name):
        dw, db = conv2d_grad_weight(*map(np.float32, (dy, x)), w_shape, 1, padding)
    exact_dw, exact_db = reference.conv2d_grad_weight(dy, x, w_shape, 1, padding)
    assert np.linalg.norm(dw - exact_dw) < 1e-5 * np.linalg.norm(exact_dw)
    np.testing.assert_allclose(db, exact_db, rtol=1e-4, atol=1e-4)


def test_sums_that_are_small_beside_their_tiles(monkeypatch):
    monkeypatch.setattr(passes, "threads", lambda: 2)
    assert passes.has_own_sums(8192, 16, 16, 36)
    assert not passes.has_own_sums(32, 64, 64, 36), "few tiles"
    assert not passes.has_own_sums(1 << 20, 256, 256, 36), "too large for the cache"
