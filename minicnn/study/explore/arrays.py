"""Parts of arrays, as the page draws them."""

import math
from typing import Any

import numpy as np

from ..trace import is_activation

MOST_MAPS = 1024  # in one answer
PEAK = 99.5  # the percentile that has the full color, as in `minicnn.study.look.figures`
FEW = 256  # numbers of which the largest has the full color
SAMPLE = 1 << 16  # numbers that the percentile is taken of


def maps_of(
    array: np.ndarray, what: str, first: int, count: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """`count` maps of an array from `first` on, with the shape and the range of all of it.

    Of maps of several pixels there is also the `peak`, the magnitude that has the full color.

    Of images `(N, H, W, C)`, the channels of the first image, `(count, H, W)`; if there are more
    axes, as between two permutations, all behind W are channels. Of the weights of a convolution
    `(kH, kW, I, O)`, one kernel for each pair of an input and an output, `(count, kH, kW)`, all
    inputs of an output before the next output. Other arrays as they are.
    """
    low, high = finite_range(array)
    about = {"shape": list(array.shape), "low": low, "high": high}
    part = slice(max(0, first), max(0, first) + min(max(0, count), MOST_MAPS))
    if not has_maps(array, what):
        return array, about
    if is_activation(what):
        if math.prod(map_size(array, what)) > 1:
            about["peak"] = peak(array)
        return array[0].reshape(*map_size(array, what), -1).transpose(2, 0, 1)[part], about
    pairs = array.transpose(3, 2, 0, 1).reshape(-1, *array.shape[:2])
    return pairs[part], about


def has_maps(array: np.ndarray, what: str) -> bool:
    """True for images and for the weights of a convolution."""
    return array.ndim >= 4 if is_activation(what) else array.ndim == 4


def map_size(array: np.ndarray, what: str) -> tuple[int, int]:
    """The height and the width of its maps."""
    first = int(is_activation(what))
    height, width = array.shape[first : first + 2]
    return height, width


def peak(array: np.ndarray) -> float:
    """The magnitude that has the full color: single numbers would make all others pale.

    A high percentile of the magnitudes that are not 0, taken of a sample of large arrays; the
    largest magnitude of a few numbers.
    """
    numbers = array.ravel()
    if numbers.size > SAMPLE:
        numbers = numbers[np.random.default_rng(0).integers(numbers.size, size=SAMPLE)]
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    if sizes.size <= FEW:
        return float(np.max(np.abs(finite_range(array))))
    return float(np.percentile(sizes, PEAK))


def finite_range(array: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest number that are finite; zeros if there are none."""
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    return finite_range(array[np.isfinite(array)])
