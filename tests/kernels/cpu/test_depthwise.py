"""Depthwise convolution: what each result reads, and what its vectors write."""

import itertools

import numpy as np
import pytest

from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import conv, depthwise
from minicnn.kernels.cpu.depthwise import taps
from minicnn.kernels.cpu.engine import memory
from minicnn.kernels.geometry import window


def test_a_layer_with_a_group_per_channel_takes_it():
    geometry = window((14, 14), 3, 1, 1)
    assert conv.choose("auto", 1, geometry, 64, 64, 64) == "depthwise"
    assert conv.choose("auto", 1, geometry, 64, 128, 64) == "depthwise"
    assert conv.choose("auto", 1, geometry, 64, 64, 32) == "direct"
    assert not depthwise.supports(1, 64, 1)


# kernel, stride, padding, dilation: those of a sweep, and others.
GEOMETRIES = [
    *((k, s, k // 2, 1) for k in (3, 5, 7) for s in (1, 2)),
    *((3, 1, 0, 1), (3, 2, 0, 1), (5, 1, 4, 1), (5, 2, 4, 1), (7, 1, 0, 1)),
    *((3, 1, ((0, 2), (2, 0)), 1), (3, 2, ((2, 0), (0, 1)), 1), (5, 2, ((1, 2), (0, 4)), 1)),
    *((3, 1, 4, 1), (3, 2, 3, 1)),  # results that read no pixel
    *(((1, 3), 1, (0, 1), 1), ((2, 5), 1, (1, 2), 1), ((3, 5), 2, (1, 2), 1)),
    *((3, 1, 2, 2), (3, (1, 2), 1, (2, 1)), (3, (2, 1), 1, 1), ((5, 3), 1, (2, 1), 1)),
    *((3, 3, 1, 1), (2, 2, 0, 1), ((7, 3), 1, (3, 1), 1), (1, 1, 0, 1)),
]


def _pairs(starts, cells, pixels):
    """Of each result, the distances of its cells and of its pixels."""
    return [
        sorted(zip(cells[i:j].tolist(), pixels[i:j].tolist(), strict=True))
        for i, j in itertools.pairwise(starts)
    ]


def _swept(table, length, count):
    """What `_pairs` says of the columns, as the steps of the sweep have it."""
    (cells, up, down), sweep = table.kind, table.sweep
    in_flight, finished = {}, {}
    for g in range(sweep.first, sweep.last):
        first = g * up - sweep.result
        for e in range(down):
            b = g * down - sweep.column + e
            for t in range(cells) if 0 <= b < length else ():
                ahead, rest = divmod(t + e - (down - 1), down)
                if ahead >= 0 and rest == 0:
                    cell = sweep.weights + t * sweep.between
                    in_flight.setdefault(first + ahead, []).append((cell, b))
        for q in range(first, first + up):
            assert q not in finished
            finished[q] = sorted(in_flight.pop(q, []))
    return [finished[q] for q in range(count)]


@pytest.mark.parametrize("size", [1, 2, 5, 9, 16])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_a_sweep_reads_what_the_lists_say(geometry, size):
    """Forward and backward; and the input gradient reads what the forward pass does."""
    kernel, stride, padding, dilation = geometry
    try:
        found = window((size, size), kernel, stride, padding, dilation)
    except ValueError:
        return  # it does not fit into so small an image
    tables = (
        (taps.forward_taps(found, (size, size), 1, 1), size, found.output[1]),
        (taps.backward_taps(found, (size, size), 1, 1), found.output[1], size),
    )
    pairs = []
    for table, length, count in tables:
        columns = _pairs(table.columns, table.column_weights, table.column_pixels)
        assert len(columns) == count
        if table.kind[0]:
            assert _swept(table, length, count) == columns
        pairs.append(sum(len(cells) for cells in columns))
    assert pairs[0] == pairs[1]


def test_kernels_of_a_kind_have_code_of_their_own():
    def kind(kernel, stride, dilation=1):
        geometry = window((12, 12), kernel, stride, 0, dilation)
        size = (12, 12)
        return tuple(f(geometry, size, 1, 1).kind for f in (taps.forward_taps, taps.backward_taps))

    assert kind(3, 1) == ((3, 1, 1), (3, 1, 1)) and kind(5, 2) == ((5, 1, 2), (5, 2, 1))
    for other in ((3, 1, 2), (3, 3), (4, 1), ((5, 3), 1)):
        assert kind(*other) == ((0, 1, 1), (0, 1, 1))


@pytest.mark.parametrize("channels", [16, 40, 80])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_equals_the_reference(geometry, channels):
    kernel, stride, padding, dilation = geometry
    rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
    generator = np.random.default_rng(0)
    x, w, b = (
        generator.standard_normal(shape, dtype=np.float32)
        for shape in ((2, 9, 10, channels), (rows, columns, 1, channels), (channels,))
    )
    options = stride, padding, dilation, channels
    y = cpu.conv2d(x, w, b, *options)
    dy = generator.standard_normal(y.shape, dtype=np.float32)
    found = (
        y,
        cpu.conv2d_grad_input(dy, w, x.shape, *options),
        *cpu.conv2d_grad_weight(dy, x, w.shape, *options),
    )
    x, w, b, dy = (a.astype(float) for a in (x, w, b, dy))
    exact = (
        reference.conv2d(x, w, b, *options),
        reference.conv2d_grad_input(dy, w, x.shape, *options),
        *reference.conv2d_grad_weight(dy, x, w.shape, *options),
    )
    for ours, right in zip(found, exact, strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-5, atol=2e-5)


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
