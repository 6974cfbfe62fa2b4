"""Normalization on every backend, against torch: extreme inputs, mutants that must be caught."""

import numpy as np
import pytest

from minicnn.kernels import cpu, reference
from minicnn.kernels.reference import norm

from ..checks import Through, assert_caught, broken, check_random_cases, over_backends


@over_backends("local_response_norm", "batch_norm", "group_norm", "layer_norm")
def test_like_torch(backend, operation, dtype):
    check_random_cases(Through(backend), operation, dtype)


def test_lrn_window_has_size_channels():
    """Of 5 channels of ones the middle sums five, the ends three (darknet's window lacks one)."""
    _, scale = reference.local_response_norm(np.ones((1, 1, 1, 5)), 5, alpha=1.0, k=0.0)
    np.testing.assert_array_equal(scale.ravel(), [3, 4, 5, 4, 3])


def test_lrn_within_a_channel_by_hand():
    """3 x 3 ones: corners sum 4 of them, edges 6, the center 9; all are divided by 9 (Caffe)."""
    x = np.ones((1, 3, 3, 1))
    _, scale = reference.local_response_norm(
        x, 3, alpha=9.0, k=0.0, alpha_div_n=True, within_channel=True
    )
    np.testing.assert_array_equal(scale[0, :, :, 0], [[4, 6, 4], [6, 9, 6], [4, 6, 4]])


def test_lrn_within_a_channel_of_even_size():
    """Of 4 pixels two are before the center and one behind it."""
    x = np.zeros((1, 1, 6, 1))
    x[0, 0, 3] = 1
    _, scale = reference.local_response_norm(x, 4, alpha=1.0, k=1.0, within_channel=True)
    np.testing.assert_array_equal(scale.ravel(), [1, 1, 2, 2, 2, 2])


def test_lrn_alpha_means_two_things():
    """alpha=1e-4 as printed in the paper is torch's and Caffe's alpha=5e-4 for 5 channels."""
    x = 100 * np.random.default_rng(0).standard_normal((2, 3, 3, 8))
    paper, _ = reference.local_response_norm(x, 5, 1e-4, 0.75, 2.0)
    caffe, _ = reference.local_response_norm(x, 5, 5e-4, 0.75, 2.0, alpha_div_n=True)
    np.testing.assert_allclose(paper, caffe, rtol=1e-13)


def test_lrn_of_one_huge_value():
    """y = x / (alpha x^2)^beta stays finite and right when x^2 dwarfs k."""
    x = np.zeros((1, 1, 1, 5))
    x[..., 2] = 1e8
    y, scale = reference.local_response_norm(x, 5, 1.0, 0.75, 2.0)
    np.testing.assert_allclose(y[0, 0, 0, 2], 1e8 / 1e16**0.75)
    dx = reference.local_response_norm_grad(np.ones_like(x), x, y, scale, 5, 1.0, 0.75)
    np.testing.assert_allclose(dx[0, 0, 0, 2], 1e16**-0.75 * (1 - 1.5), rtol=1e-6)


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize("beta", [0.5, 0.6, 0.75, 1.0])
def test_local_response_norm_propagates_nan(backend, beta):
    x = np.ones((1, 1, 2, 40), np.float32)
    x[0, 0, 0, 20] = np.nan
    y, scale = backend.local_response_norm(x, 5, 1.0, beta)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(y)), np.arange(18, 23))
    dx = backend.local_response_norm_grad(np.ones_like(x), x, y, scale, 5, 1.0, beta)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(dx)), np.arange(16, 25))


@pytest.mark.parametrize("backend", [cpu, reference])
def test_within_a_channel_nan_stays_in_its_windows(backend):
    x = np.ones((2, 7, 6, 20), np.float32)
    x[1, 3, 2, 5] = np.nan
    y, scale = backend.local_response_norm(x, 3, 1.0, within_channel=True)
    windows = {(1, i, j, 5) for i in (2, 3, 4) for j in (1, 2, 3)}
    assert {tuple(place) for place in np.argwhere(np.isnan(y))} == windows
    dx = backend.local_response_norm_grad(x * 0 + 1, x, y, scale, 3, 1.0, within_channel=True)
    assert np.isnan(dx[1, ..., 5]).sum() == 5 * 5 and np.isfinite(dx[0]).all()


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_batch_norm_with_fixed_statistics_keeps_values_apart(backend, value):
    """A value that is not finite leaves the gradients of the others as they are."""
    x = np.ones((1, 2, 2, 3), np.float32)
    x[0, 0, 1, 2] = value
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    dx, *_ = backend.batch_norm_grad(np.ones_like(x), x, 2 * ones, zeros, ones, training=False)
    np.testing.assert_array_equal(dx[np.isfinite(x)], 2)


def test_batch_norm_refuses_a_single_value():
    with pytest.raises(ValueError, match="more than one value per channel"):
        reference.batch_norm(np.ones((1, 1, 1, 3)), *np.ones((4, 3)), training=True)


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize("value", [1e4, -3.3e3, 0.1, 1e6])
@pytest.mark.parametrize("shape", [(2, 9, 9, 5), (1, 9, 18, 40), (4, 64, 64, 3)])
def test_batch_norm_of_constant_channels_gives_the_bias(backend, value, shape):
    x, channels = np.full(shape, value, np.float32), shape[-1]
    gamma, beta = np.full(channels, 2, np.float32), np.arange(channels, dtype=np.float32)
    zeros = np.zeros(channels, np.float32)
    y, mean, inv_std = backend.batch_norm(x, gamma, beta, zeros.copy(), zeros.copy())
    np.testing.assert_array_equal(mean, x[0, 0, 0])
    np.testing.assert_array_equal(y, np.broadcast_to(beta, shape))
    dy = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    _, dgamma, _ = backend.batch_norm_grad(dy, x, gamma, mean, inv_std)
    np.testing.assert_array_equal(dgamma, zeros)


def test_batch_norm_of_a_small_spread_about_a_large_mean():
    generator = np.random.default_rng(0)
    x = (1e4 + generator.standard_normal((8, 33, 31, 20))).astype(np.float32)
    ones, zeros = np.ones(20, np.float32), np.zeros(20, np.float32)
    y, *_ = cpu.batch_norm(x, ones, zeros, zeros.copy(), zeros.copy())
    wide = x.astype(np.float64)
    exact = (wide - wide.mean((0, 1, 2))) / np.sqrt(wide.var((0, 1, 2)) + 1e-5)
    assert abs(y - exact).max() < 2e-3


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize("value", [1e4, -3.3e3, 0.1])
@pytest.mark.parametrize("shape", [(2, 9, 9, 6), (3, 40, 40, 36), (2, 1, 1, 12), (5, 48)])
def test_constant_groups_give_the_bias(backend, value, shape):
    x, channels = np.full(shape, value, np.float32), shape[-1]
    gamma, beta = np.full(channels, 2, np.float32), np.arange(channels, dtype=np.float32)
    expected = np.broadcast_to(beta, shape)
    for y, mean, _ in (
        backend.group_norm(x, gamma, beta, 3),
        backend.layer_norm(x, gamma, beta),
    ):
        np.testing.assert_array_equal(mean, x.flat[0])
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("backend", [cpu, reference])
def test_a_small_spread_about_a_large_mean_in_groups(backend):
    generator = np.random.default_rng(0)
    x = (1e4 + generator.standard_normal((2, 33, 31, 20))).astype(np.float32)
    ones, zeros, wide = np.ones(20, np.float32), np.zeros(20, np.float32), x.astype(np.float64)
    parts = wide.reshape(2, -1, 4, 5)
    exact = parts - parts.mean((1, 3), keepdims=True)
    exact /= np.sqrt((exact**2).mean((1, 3), keepdims=True) + 1e-5)
    y, *_ = backend.group_norm(x, ones, zeros, 4)
    assert abs(y - exact.reshape(x.shape)).max() < 2e-3
    y, *_ = backend.layer_norm(x, ones, zeros)
    exact = wide - wide.mean(-1, keepdims=True)
    exact /= np.sqrt((exact**2).mean(-1, keepdims=True) + 1e-5)
    assert abs(y - exact).max() < 2e-3


@pytest.mark.parametrize("backend", [cpu, reference])
def test_nan_stays_in_its_group(backend):
    x = np.random.default_rng(0).standard_normal((2, 3, 3, 40)).astype(np.float32)
    x[1, 0, 0, 25] = np.nan
    ones = np.ones(40, np.float32)
    y, mean, inv_std = backend.group_norm(x, ones, ones, 2)
    assert np.isnan(y[1, ..., 20:]).all()
    assert np.isfinite(y[0]).all() and np.isfinite(y[1, ..., :20]).all()
    dx, *_ = backend.group_norm_grad(ones * x * 0 + 1, x, ones, mean, inv_std)
    assert np.isfinite(dx[0]).all()
    y, *_ = backend.layer_norm(x, ones, ones)
    assert np.isnan(y[1, 0, 0]).all() and np.isnan(y).sum() == 40


def lrn_window_off_by_one(
    x, size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_div_n=False, within_channel=False, out=None
):
    c, axes = norm._factor(size, alpha, alpha_div_n, within_channel)
    after = max(0, (size - 1) // 2 - 1)
    scale = k + c * norm._sum_over_neighbors(x * x, size // 2, after, axes)
    return x * scale**-beta, scale


def lrn_divided_by_size(
    x, size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_div_n=False, within_channel=False, out=None
):
    """Within a channel alpha is divided by size instead of size^2."""
    alpha = alpha / size if alpha_div_n else alpha
    return reference.local_response_norm(x, size, alpha, beta, k, False, within_channel, out)


def lrn_without_cross_terms(
    dy, x, y, scale, size=5, alpha=1e-4, beta=0.75, alpha_div_n=False, within_channel=False
):
    return dy * scale**-beta


def biased_running_var(x, gamma, beta, mean, var, training=True, momentum=0.1, eps=1e-5, **options):
    before = var.copy()
    result = reference.batch_norm(x, gamma, beta, mean, var, training, momentum, eps, **options)
    if training:
        var[...] = before + momentum * (x.var(axis=(0, 1, 2)) - before)
    return result


def frozen_statistics(dy, x, gamma, mean, inv_std, training=True, *activation):
    return reference.batch_norm_grad(dy, x, gamma, mean, inv_std, False, *activation)


def channels_in_turn(x, gamma, beta, groups, eps=1e-5, out=None):
    """Groups of every groups-th channel, not of neighbors."""
    order = np.arange(x.shape[-1]).reshape(-1, groups).T.ravel()
    y, *statistics = reference.group_norm(x[..., order], gamma[order], beta[order], groups, eps)
    return y[..., np.argsort(order)], *statistics


def unbiased(x, gamma, beta, eps=1e-5, out=None):
    y, *statistics = reference.layer_norm(x, gamma, beta, eps)
    share = 1 - 1 / x.shape[-1]
    return (y - beta) * share**0.5 + beta, *statistics


def fixed_groups(dy, x, gamma, mean, inv_std):
    """The statistics taken as constants."""
    _, *others = reference.group_norm_grad(dy, x, gamma, mean, inv_std)
    return dy * gamma * np.repeat(inv_std, x.shape[-1] // mean.shape[1], 1)[:, None, None], *others


MUTANTS = {  # operation, and a backend with one mistake
    "LRN window off by one": (
        "local_response_norm",
        broken(local_response_norm=lrn_window_off_by_one),
    ),
    "LRN within a channel, divided by its size": (
        "local_response_norm",
        broken(local_response_norm=lrn_divided_by_size),
    ),
    "LRN without cross terms": (
        "local_response_norm",
        broken(local_response_norm_grad=lrn_without_cross_terms),
    ),
    "batch norm running variance biased": ("batch_norm", broken(batch_norm=biased_running_var)),
    "group norm of other channels": ("group_norm", broken(group_norm=channels_in_turn)),
    "group norm statistics fixed": ("group_norm", broken(group_norm_grad=fixed_groups)),
    "layer norm unbiased": ("layer_norm", broken(layer_norm=unbiased)),
    "batch norm statistics frozen": ("batch_norm", broken(batch_norm_grad=frozen_statistics)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    assert_caught(*MUTANTS[name])


@pytest.mark.parametrize("what", ["first pixel apart", "outlier", "constant"])
@pytest.mark.parametrize("backend", [reference, cpu])
def test_batch_norm_of_a_million_pixels(backend, what):
    """Sums that are long, and whose terms cancel, against float64."""
    x = 10 + np.random.default_rng(0).standard_normal((1, 1024, 1024, 1), dtype=np.float32)
    x[:] = 1e4 if what == "constant" else x
    x[0, 0, 0] *= 1e6 if what == "outlier" else 0
    ones = np.ones(1, np.float32)
    _, mean, inv_std = backend.batch_norm(x, ones, ones, ones.copy(), ones.copy())
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(), atol=3e-4 * wide.std())
    np.testing.assert_allclose(inv_std**-2.0, wide.var() + 1e-5, rtol=1e-4)
