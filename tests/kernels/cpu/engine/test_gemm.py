"""Packed panels: columns in memory order, and transposed."""

import numpy as np
import pytest

from minicnn.kernels.cpu.engine import gemm
from minicnn.kernels.cpu.engine.simd import COLUMNS, LANES


def panels(taps):
    """What `pack_filter` returns for matrices `(taps, depth, columns)`, by slices."""
    rows = taps.reshape(-1, taps.shape[2])
    found = []
    for j in range(0, rows.shape[1], COLUMNS):
        part = rows[:, j : j + COLUMNS]
        width = COLUMNS if part.shape[1] > LANES else LANES
        found.append(np.pad(part, ((0, 0), (0, width - part.shape[1]))).ravel())
    return np.concatenate(found)


@pytest.mark.parametrize("columns", [1, LANES - 1, LANES, LANES + 3, 3 * LANES, 4 * LANES + 5])
@pytest.mark.parametrize("depth", [1, LANES, 2 * LANES + 3])
def test_filters_as_they_are_and_transposed(depth, columns):
    generator = np.random.default_rng(0)
    taps = generator.standard_normal((3, depth, columns), dtype=np.float32)
    offsets, exact = np.arange(3) * depth * columns, panels(taps)
    plain = gemm.pack_filter(taps, offsets, depth, columns, 1, columns)
    np.testing.assert_array_equal(plain, exact)
    turned = np.ascontiguousarray(taps.transpose(0, 2, 1))
    found = gemm.pack_filter(turned, offsets, depth, 1, depth, columns)
    np.testing.assert_array_equal(found, exact)
