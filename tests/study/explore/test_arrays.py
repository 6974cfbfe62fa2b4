"""Parts of arrays as the page draws them: their colors."""

import numpy as np
import pytest

from minicnn.study.explore.arrays import maps_of, peak


def test_single_numbers_do_not_make_all_others_pale():
    y = np.random.default_rng(0).uniform(-1, 1, (1, 40, 50, 8)).astype(np.float32)
    y[0, 3, 4, 5] = -1000
    y[0, ::2] = 0  # numbers of no size do not count
    _, about = maps_of(y, "y", 0, 8)
    assert about["low"] == -1000
    assert about["peak"] == pytest.approx(0.995, abs=0.005)


def test_large_arrays_are_sampled():
    y = np.zeros((1, 100, 100, 64), np.float32)
    y[..., 7] = np.linspace(0, 2, 10_000).reshape(1, 100, 100)
    y[0, 0, 0, 7] = np.nan
    assert peak(y) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("array", [np.zeros((1, 4, 4, 2)), np.arange(-9.0, 7).reshape(1, 4, 4, 1)])
def test_of_few_numbers_the_largest_has_the_full_color(array):
    assert peak(array) == np.abs(array).max()


def test_only_maps_of_several_pixels_are_drawn_so():
    assert "peak" not in maps_of(np.ones((1, 1, 1, 1000)), "dx", 0, 8)[1]
    assert "peak" not in maps_of(np.ones((3, 3, 20, 20)), "w", 0, 8)[1]
    assert "peak" not in maps_of(np.ones((1, 1000)), "dx", 0, 1)[1]
