"""Depthwise convolution: what each result reads, and what its vectors write."""

import numpy as np
import pytest

from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import conv, depthwise
from minicnn.kernels.cpu.depthwise import bands, taps
from minicnn.kernels.cpu.engine import memory
from minicnn.kernels.cpu.engine.simd import LANES
from minicnn.kernels.geometry import window


def test_a_layer_with_a_group_per_channel_takes_it():
    geometry = window((14, 14), 3, 1, 1)
    assert conv.choose("auto", 1, geometry, 64, 64, 64) == "depthwise"
    assert conv.choose("auto", 1, geometry, 64, 128, 64) == "depthwise"
    assert conv.choose("auto", 1, geometry, 64, 64, 32) == "direct"
    assert not depthwise.supports(1, 64, 1)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 5, 9, 16])
def test_tiles_cover_every_result_once(size, stride):
    """Forward and backward, and their cells are those of the window."""
    geometry = window((size, size), 3, stride, 1)
    for table, count in (
        (taps.forward_taps(geometry, (size, size), 1, 1), geometry.output[1]),
        (taps.backward_taps(geometry, (size, size), 1, 1), size),
    ):
        found = []
        for q, results, *_ in table.tiles.tolist():
            found += [q + t * table.result_step for t in range(results)]
        assert sorted(found) == list(range(count))
        assert len(table.rows) == count + 1
    pairs = geometry.output[1] * 3 - sum(
        not 0 <= q * stride - 1 + j < size for q in range(geometry.output[1]) for j in range(3)
    )
    read = sum(last - first for _, n, first, last, *_ in table.tiles.tolist() for _ in range(n))
    assert read == pairs, "the input gradient reads what the forward pass does"


def test_cells_side_by_side_have_code_of_their_own():
    """Inside the image three cells; backward the weights are read from the last to the first."""
    geometry = window((8, 8), 3, 1, 1)
    forward = taps.forward_taps(geometry, (8, 8), 16, 16).tiles
    backward = taps.backward_taps(geometry, (8, 8), 16, 16).tiles
    assert forward[1].tolist()[:2] + forward[1].tolist()[4:] == [1, 4, 3, 16]
    assert backward[1].tolist()[:2] + backward[1].tolist()[4:] == [1, 4, 3, -16]
    assert set(forward[2:, 4].tolist()) == {0}, "single results have none"


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_bands_of_few_rows(rows, monkeypatch):
    """Images of several bands, the last one smaller, and several parts of the channels."""
    generator = np.random.default_rng(0)
    x, dy = generator.standard_normal((2, 2, 7, 9, 40), dtype=np.float32)
    together = min(bands.TOGETHER, -(-40 // LANES))
    monkeypatch.setattr(bands, "BYTES", 4 * LANES * 14 * (rows + 2) * together)
    found = bands.bands_of(window((7, 9), 3, 1, 1), together)
    assert found.rows <= rows and found.number == -(-7 // found.rows)
    dw, db = cpu.conv2d_grad_weight(dy, x, (3, 3, 1, 40), 1, 1, 1, 40)
    exact = reference.conv2d_grad_weight(dy.astype(float), x.astype(float), dw.shape, 1, 1, 1, 40)
    np.testing.assert_allclose(dw, exact[0], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(db, exact[1], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("channels", [24, 32])
def test_streams_into_a_slice_of_channels(channels, monkeypatch):
    """Non-temporal stores need aligned vectors, which a rest of channels does not have."""
    monkeypatch.setattr(memory, "NON_TEMPORAL_BYTES", 0)
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2, 9, 10, channels), dtype=np.float32)
    w = generator.standard_normal((3, 3, 1, channels), dtype=np.float32)
    room = memory.empty((2, 9, 10, 64))
    room[...] = np.nan
    y = cpu.conv2d(x, w, padding=1, groups=channels, out=room[..., 16 : 16 + channels])
    exact = reference.conv2d(x.astype(float), w.astype(float), padding=1, groups=channels)
    np.testing.assert_allclose(y, exact, rtol=1e-5, atol=1e-5)
    assert np.isnan(room[..., :16]).all() and np.isnan(room[..., 16 + channels :]).all()


def test_scale_bias_and_relu_are_part_of_it():
    generator = np.random.default_rng(0)
    x, w = (generator.standard_normal(s, dtype=np.float32) for s in ((2, 6, 7, 20), (3, 3, 1, 20)))
    scale, shift = generator.standard_normal((2, 20), dtype=np.float32)
    found = cpu.conv2d_affine(x, w, scale, shift, None, 2, 1, 1, 20, "relu")
    exact = reference.conv2d_affine(
        *(a.astype(float) for a in (x, w, scale, shift)), None, 2, 1, 1, 20, "relu"
    )
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)


def test_many_terms_of_a_weight_keep_their_digits():
    """A sum of 100,352 products, against float64."""
    generator = np.random.default_rng(0)
    x, dy = generator.standard_normal((2, 8, 112, 112, 16), dtype=np.float32)
    dw, db = cpu.conv2d_grad_weight(dy, x, (3, 3, 1, 16), 1, 1, 1, 16)
    rows = dy.astype(float)
    center = (x.astype(float) * rows).sum(axis=(0, 1, 2))
    assert abs(dw[1, 1, 0] - center).max() / abs(center).max() < 2e-5
    assert abs(db - rows.sum(axis=(0, 1, 2))).max() / abs(db).max() < 2e-5
