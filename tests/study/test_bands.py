"""Bands: the quantile, the formula, and how often a further run leaves a band by chance."""

import math

import numpy as np
import pytest

from minicnn.study.bands import CURVES, FINAL, PRIOR, band, student_quantile


@pytest.mark.parametrize(
    ("p", "degrees", "expected"),  # from printed tables
    [
        (0.975, 1, 12.7062),
        (0.975, 2, 4.3027),
        (0.95, 3, 2.3534),
        (0.995, 4, 4.6041),
        (0.975, 5, 2.5706),
        (0.9995, 10, 4.5869),
        (0.975, 30, 2.0423),
        (0.975, 120, 1.9799),
    ],
)
def test_student_quantile(p, degrees, expected):
    assert student_quantile(p, degrees) == pytest.approx(expected, abs=6e-5)


def test_losses_by_hand():
    """Two runs of one epoch: s = |a - b| / sqrt(2) with one degree of freedom."""
    low, center, high = band([[1.0], [math.e]])[:, 0]
    width = math.sqrt(1.5) * student_quantile(1 - CURVES / 2, 1) / math.sqrt(2)
    assert (math.log(low), math.log(center), math.log(high)) == pytest.approx(
        (0.5 - width, 0.5, 0.5 + width)
    )


def test_error_rates_by_hand():
    """Seeds that agree: the noise of counting on N images remains, 1 / (2 sqrt(N))."""
    images = 400
    low, center, high = band([[0.3, 0.1]] * 3, images)
    noise, factor = 0.5 / math.sqrt(images), math.sqrt(4 / 3)
    z = 2.6383  # the normal quantile for 1 - CURVES / 3 / 2
    angle = math.asin(math.sqrt(0.3))
    assert center == pytest.approx([0.3, 0.1])
    assert high[0] == pytest.approx(
        math.sin(angle + factor * z * noise) ** 2 + 0.5 / images, rel=1e-4
    )
    assert low[0] == pytest.approx(
        math.sin(angle - factor * z * noise) ** 2 - 0.5 / images, rel=1e-4
    )
    t = student_quantile(1 - FINAL / 2, 2 + PRIOR) * math.sqrt(PRIOR / (2 + PRIOR))
    angle, width = math.asin(math.sqrt(0.1)), factor * t * noise
    assert high[1] == pytest.approx(math.sin(angle + width) ** 2 + 0.5 / images)
    assert low[1] == pytest.approx(math.sin(angle - width) ** 2 - 0.5 / images)


def test_rates_stay_between_0_and_1():
    low, center, high = band([[1.0, 0.0]] * 2, 50)
    assert (low[1], center[1], high[0]) == (0, 0, 1)
    assert low[0] < 0.95
    assert 0.02 < high[1] < 0.2  # at least one image may be wrong


def test_the_spread_is_pooled_over_five_epochs():
    """A spread in one epoch widens the band in the two epochs before and after it."""
    curves = np.ones((3, 11))
    curves[:, 5] = 0.9, 1.0, 1.1
    low, _, high = band(curves)
    assert (high > low).tolist() == [3 <= e <= 7 for e in range(11)]


def test_the_noise_of_one_run_is_that_around_its_own_trend():
    epochs = np.arange(12)
    low, center, high = band([np.exp(-0.3 * epochs)])
    np.testing.assert_allclose(high / low, 1)
    np.testing.assert_allclose(center, np.exp(-0.3 * epochs))
    noisy = -0.3 * epochs + 0.1 * (-1) ** epochs  # its second differences are 0.4
    low, _, high = band([np.exp(noisy)])
    t = student_quantile(1 - CURVES / 23 / 2, 5)
    expected = math.sqrt(2) * t * 2 * 0.4 / math.sqrt(6)
    assert np.log(high / low)[5] / 2 == pytest.approx(expected)
    with pytest.raises(ValueError, match="one run of 2 epochs has no band"):
        band([[1.0, 0.5]])


def simulated(generator, runs, images):
    """Independent runs: log-normal losses, and error rates counted on the images."""
    epochs = np.arange(1, 21)
    losses = 2 / epochs * np.exp(0.1 * generator.standard_normal((runs, 20)))
    errors = generator.binomial(images, 0.02 + 0.5 / epochs, (runs, 20)) / images
    return losses, errors


def outside(curves, ends):
    return (curves < ends[0]) | (curves > ends[2])


@pytest.mark.parametrize("runs", [1, 2, 3, 5])
def test_further_runs_rarely_leave_the_band(runs):
    generator = np.random.default_rng(runs)
    left = np.zeros(3)
    for _ in range(400):
        losses, errors = simulated(generator, runs, 2000)
        more_losses, more_errors = simulated(generator, 10, 2000)
        loss = outside(more_losses, band(losses)).any(axis=1)
        error = outside(more_errors, band(errors, 2000))
        left += [(loss | error.any(axis=1)).mean(), loss.mean(), error[:, -1].mean()]
    anywhere, in_loss, at_the_end = left / 400
    assert anywhere < CURVES + FINAL + 0.01
    if runs > 1:  # a band that is much too wide would be no measurement
        assert in_loss > 0.002
        assert at_the_end > 0.003


def test_a_worse_run_leaves_the_band():
    generator = np.random.default_rng(0)
    losses, errors = simulated(generator, 3, 10_000)
    more_losses, more_errors = simulated(generator, 20, 10_000)
    assert outside(2.2 * more_losses, band(losses)).any(axis=1).all()
    assert outside(more_errors[:, -1] + 0.015, band(errors, 10_000)[:, -1]).all()
