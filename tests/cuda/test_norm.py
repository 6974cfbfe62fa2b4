"""Batch normalization on the emulated GPU against float64, on channels that are hard to sum."""

import numpy as np
import pytest

from minicnn.kernels import functional, reference

from .common import relative, to_device

GAMMA, BETA, MOMENTUM, EPS = 1.5, -0.5, 0.1, 1e-5


def normal(pixels: int) -> np.ndarray:
    """`(pixels, 4)` of a mean of 3 and a spread of 1; four channels are one vector of a thread."""
    return 3 + np.random.default_rng(0).standard_normal((pixels, 4), dtype=np.float32)


def with_outlier(x: np.ndarray, pixel: int) -> np.ndarray:
    x[pixel] *= 1e6
    return x


def behind_a_corner(x: np.ndarray) -> np.ndarray:
    """Bright pixels, the first one black."""
    x += 200
    x[0] = 0
    return x


CHANNELS = {
    "ordinary": normal,
    "constant 1e4": lambda pixels: np.full((pixels, 4), 1e4, np.float32),
    "large mean": lambda pixels: 1e4 + normal(pixels),
    "black corner": lambda pixels: behind_a_corner(normal(pixels)),
    "first pixel an outlier": lambda pixels: with_outlier(normal(pixels), 0),
    "an outlier in the middle": lambda pixels: with_outlier(normal(pixels), pixels // 2),
    "the last pixel an outlier": lambda pixels: with_outlier(normal(pixels), -1),
}


def both(x: np.ndarray, dy: np.ndarray, training: bool = True) -> tuple[dict, dict]:
    """Results on the device and in float64, by name."""
    channels = x.shape[-1]

    def results(kernels, given, upload):
        dtype = np.float32 if given.dtype == np.float32 else np.float64
        gamma, beta = (upload(np.full(channels, value, dtype)) for value in (GAMMA, BETA))
        mean, var = (upload(np.full(channels, value, dtype)) for value in (0, 1))
        x, d = upload(given), upload(dy.astype(dtype))
        y, batch_mean, inv_std = kernels.batch_norm(
            x, gamma, beta, mean, var, training, MOMENTUM, EPS
        )
        dx, dgamma, dbeta = kernels.batch_norm_grad(d, x, gamma, batch_mean, inv_std, training)
        found = {"y": y, "mean": batch_mean, "inv_std": inv_std, "running mean": mean}
        found |= {"running var": var, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}
        return {name: np.asarray(a, np.float64) for name, a in found.items()}

    return results(functional, x, to_device), results(reference, x.astype(float), np.copy)


@pytest.mark.parametrize("pixels", [2, 3, 700, 10_000])
@pytest.mark.parametrize("kind", CHANNELS)
def test_batch_norm(kind, pixels, emulate):
    """Means are compared on the scale of the spread, everything else on its own."""
    emulate(seed=1)
    x = CHANNELS[kind](pixels)
    dy = np.random.default_rng(1).standard_normal(x.shape, dtype=np.float32)
    ours, exact = both(x, dy)
    batch_var = (exact["running var"] - (1 - MOMENTUM)) / MOMENTUM
    spread = np.sqrt(batch_var + EPS)
    our_var = (ours["running var"] - (1 - MOMENTUM)) / MOMENTUM
    np.testing.assert_allclose(our_var, batch_var, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(ours["inv_std"], exact["inv_std"], rtol=1e-5)
    # A float32 mean near 1e4 is exact to 5e-4.
    rounding = 1e-5 * spread + 1e-7 * abs(exact["mean"])
    assert (abs(ours["mean"] - exact["mean"]) <= rounding).all()
    assert (abs(ours["running mean"] - exact["running mean"]) <= rounding).all()
    # What the rounding of the mean does to x - mean is a part of the spread.
    off = rounding / spread
    assert (abs(ours["y"] - exact["y"]) <= GAMMA * (off + 1e-5 * (1 + abs(exact["y"])))).all()
    if pixels > 3:
        size = GAMMA * exact["inv_std"] * abs(dy).max()
        assert (abs(ours["dx"] - exact["dx"]) <= size * (off + 1e-4)).all()
        assert relative(ours["dbeta"], exact["dbeta"]) < 1e-4
        dgamma_off = off * abs(exact["dbeta"]) + 1e-5 * np.sqrt(pixels) * abs(dy).max()
        assert (abs(ours["dgamma"] - exact["dgamma"]) <= dgamma_off + 1e-5).all()


@pytest.mark.parametrize("kind", CHANNELS)
def test_batch_norm_in_evaluation(kind, emulate):
    """With fixed statistics one pixel is enough; only the gradients are sums over pixels."""
    emulate()
    x = CHANNELS[kind](1)
    ours, exact = both(x, np.ones_like(x), training=False)
    for name in ours:
        assert relative(ours[name], exact[name]) < 1e-6, name


def test_one_pixel_has_no_variance(emulate):
    emulate()
    x = np.ones((1, 1, 1, 4), np.float32)
    with pytest.raises(ValueError, match="needs more than one value per channel in training"):
        both(x, x)


@pytest.mark.parametrize("channels", [3, 8, 40])
@pytest.mark.parametrize("pixels", [31, 257, 4097])
def test_uneven_shares(pixels, channels, emulate):
    """Threads and chunks that have a pixel more than others are weighted by what they have."""
    emulate(seed=2)
    x = np.arange(pixels * channels, dtype=np.float32).reshape(pixels, channels) / pixels
    ours, exact = both(x, np.ones_like(x))
    for name in ("mean", "inv_std", "running mean", "running var"):
        np.testing.assert_allclose(ours[name], exact[name], rtol=3e-6, err_msg=name)
