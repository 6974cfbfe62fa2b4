"""Convolutions on the emulated GPU: each precision, tile and split, and the epilogues."""

import re

import ml_dtypes
import numpy as np
import pytest

from minicnn.kernels import functional, reference
from minicnn.kernels.cuda import plan, precision, product, runtime

from .common import relative, to_device

PRECISIONS = {"fp32": 2e-6, "ffma": 2e-6, "tf32": 2e-3, "bf16": 1.5e-2}  # relative L2 error

CONVOLUTIONS = {
    # name: x shape, kernel, filters, stride, padding, dilation, groups
    "one tile": ((1, 6, 6, 8), (3, 3), 16, 1, 1, 1, 1),
    "many tiles": ((3, 13, 11, 16), (3, 3), 136, 1, 1, 1, 1),
    "long sums, split": ((1, 5, 5, 96), (3, 3), 24, 1, 1, 1, 1),
    "strided": ((2, 9, 12, 8), (3, 3), 16, 2, 1, 1, 1),
    "1x1, strided": ((2, 8, 8, 16), (1, 1), 16, 2, 0, 1, 1),
    "groups": ((2, 7, 7, 32), (5, 5), 16, 1, 2, 1, 2),
    "dilated": ((1, 9, 9, 8), (3, 3), 8, (2, 1), 2, (2, 3), 1),
    "first layer": ((2, 15, 15, 3), (7, 7), 16, 2, 3, 1, 1),
    "odd": ((2, 7, 5, 5), (2, 3), 9, (1, 3), ((0, 1), (2, 0)), 1, 1),
    "depthwise": ((2, 7, 11, 8), (3, 3), 8, 1, 1, 1, 8),
    "depthwise, strided": ((2, 8, 9, 8), (3, 3), 8, 2, 1, (2, 1), 8),
    "depthwise, odd": ((3, 7, 5, 5), (2, 3), 5, 1, ((0, 1), (2, 0)), 1, 5),
    "kernel of the image's size": ((70, 4, 4, 8), (4, 4), 40, 1, 0, 1, 1),
}


def convolution(case: str, precision: str):
    """Shape of the images, kernel, filters, geometry, and the type of the images."""
    shape, kernel, filters, stride, padding, dilation, groups = CONVOLUTIONS[case]
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (
        shape,
        kernel,
        filters,
        geometry,
        ml_dtypes.bfloat16 if precision == "bf16" else np.float32,
    )


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(case, name, emulate):
    """Forward and gradients against float64 of the same numbers; a second run has equal bits."""
    emulate(seed=1)
    shape, kernel, filters, geometry, kind = convolution(case, name)
    groups, generator = geometry["groups"], np.random.default_rng(0)
    x = generator.standard_normal(shape).astype(kind)
    w = (
        generator.standard_normal((*kernel, shape[3] // groups, filters))
        / (kernel[0] * kernel[1] * shape[3]) ** 0.5
    ).astype(np.float32)
    b = generator.standard_normal(filters, np.float32)
    wide = w.astype(kind).astype(np.float64)
    y = reference.conv2d(x.astype(float), wide, b.astype(float), activation="relu", **geometry)
    dy = generator.standard_normal(y.shape).astype(kind)
    expected = y, reference.conv2d_grad_input(dy.astype(float), wide, shape, **geometry)
    expected += reference.conv2d_grad_weight(dy.astype(float), x.astype(float), w.shape, **geometry)

    def run():
        device_x, device_w, device_dy = map(to_device, (x, w, dy))
        with precision.precision("fp32" if name == "bf16" else name):
            return (
                functional.conv2d(device_x, device_w, to_device(b), activation="relu", **geometry),
                functional.conv2d_grad_input(device_dy, device_w, shape, **geometry),
                *functional.conv2d_grad_weight(device_dy, device_x, w.shape, **geometry),
            )

    ours = run()
    assert [a.dtype for a in ours] == [kind, kind, np.float32, np.float32]
    for what, mine, theirs in zip(("y", "dx", "dw", "db"), ours, expected, strict=True):
        assert relative(mine, theirs) < PRECISIONS[name], what
    for first, second in zip(ours, run(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize(
    "case",
    [
        *("many tiles", "long sums, split", "strided", "groups", "odd", "first layer"),
        *("depthwise", "depthwise, strided"),
    ],
)
def test_epilogues(case, name, emulate):
    """A residual before the ReLU, the gradient through the ReLU of the images, and ReLU6."""
    emulate(seed=1)
    shape, kernel, filters, geometry, kind = convolution(case, name)
    groups, generator = geometry["groups"], np.random.default_rng(0)
    x = to_device(generator.standard_normal(shape).astype(kind))
    w = to_device(
        generator.standard_normal((*kernel, shape[3] // groups, filters), dtype=np.float32)
    )
    scale, b = (to_device(generator.standard_normal(filters, np.float32)) for _ in range(2))
    with precision.precision("fp32" if name == "bf16" else name):
        plain = functional.conv2d_affine(x, w, scale, b, **geometry)
        wide = to_device(generator.standard_normal((*plain.shape[:3], filters + 4)).astype(kind))
        residual = wide[..., 2:-2]  # a slice: its pixels are not side by side
        y = functional.conv2d_affine(x, w, scale, b, residual, activation="relu", **geometry)
        steep = functional.conv2d_affine(x, w, 9 * scale, b, **geometry)
        six = functional.conv2d_affine(x, w, 9 * scale, b, activation="relu6", **geometry)
        dx = functional.conv2d_grad_input(plain, w, shape, **geometry)
        rectified = functional.conv2d_grad_input_relu(plain, w, x, **geometry)
        wide = to_device(generator.standard_normal((*shape[:3], shape[3] + 4)).astype(kind))
        other = wide[..., 2:-2]
        added = functional.conv2d_grad_input_add(plain, w, other, **geometry)
    expected = np.maximum(plain.astype(float) + residual.astype(float), 0)
    assert relative(y, expected) < (6e-3 if name == "bf16" else 1e-6)
    assert (steep.astype(float) > 6).any()
    np.testing.assert_array_equal(six.astype(float), np.clip(steep.astype(float), 0, 6))
    np.testing.assert_array_equal(
        rectified.astype(float), np.where(x.astype(float) > 0, dx.astype(float), 0)
    )
    assert relative(added, dx.astype(float) + other.astype(float)) < (
        6e-3 if name == "bf16" else 1e-6
    )


@pytest.mark.parametrize("name", ["fp32", "tf32", "ffma"])
def test_less_shared_memory(name, emulate):
    """Where a block has 99 KB, the large tile's copies go in two stages, to the same bits."""
    run = emulate(seed=1)
    generator = np.random.default_rng(0)
    x = to_device(generator.standard_normal((3, 13, 11, 16), dtype=np.float32))
    w = to_device(generator.standard_normal((3, 3, 16, 136), dtype=np.float32))
    results = []
    for room in (run.shared_memory, 99 << 10):
        run.shared_memory = room
        with precision.precision(name):
            y = functional.conv2d(x, w, padding=1)
            results.append(
                (
                    y,
                    functional.conv2d_grad_input(y, w, x.shape, padding=1),
                    functional.conv2d_grad_weight(y, x, w.shape, padding=1)[0],
                )
            )
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_few_channels_are_filled_up(emulate):
    """Three channels become four, so that a pixel is one copy; one channel and groups remain."""
    run = emulate()
    for channels, groups, widened in ((3, 1, True), (1, 1, False), (2, 2, False), (4, 1, False)):
        run.launches.clear()
        x = to_device(np.ones((1, 5, 5, channels), np.float32))
        functional.conv2d(
            x, to_device(np.ones((3, 3, channels // groups, 8), np.float32)), groups=groups
        )
        assert ("resize" in run.launches) == widened


def test_parts_are_made_and_added(emulate):
    """The split sums really are split."""
    run = emulate()
    x, w = (
        to_device(np.ones((1, 5, 5, 96), np.float32)),
        to_device(np.ones((3, 3, 96, 24), np.float32)),
    )
    functional.conv2d(x, w, padding=1)
    assert run.launches == ["forward", "finish"]


COPIES = {
    "16 bytes": (True, True),
    "scalar": (False, False),
    "A wide": (True, False),
    "B wide": (False, True),
}
TILES = [
    pytest.param(name, tile, wide, id=f"{name} {tile.m}x{tile.n} {label}")
    for name in PRECISIONS
    for tile in plan.tiles(precision.PRECISIONS.get(name, "BF16"))
    for label, wide in COPIES.items()
    if wide[0] == wide[1] or tile.m == 64
]


@pytest.mark.parametrize(("name", "tile", "wide"), TILES)
def test_every_tile(name, tile, wide, emulate, monkeypatch):
    """Each tile with products smaller and larger than it, whole and in parts of unequal lengths."""
    run = emulate(seed=1)
    case = (3, 7, 7, 40 if wide[0] else 37), (3, 3), 136 if wide[1] else 71, 1, 1, 1, 1
    monkeypatch.setitem(CONVOLUTIONS, "this", case)
    for processors in (1, 40):
        run.processors = processors
        monkeypatch.setattr(plan, "tiles", lambda precision: (tile,))
        monkeypatch.setattr(plan, "LEAST_STEPS", 2)
        plan.plan.cache_clear()
        test_convolution("this", name, lambda **options: run)
        assert ("finish" in run.launches) == (processors > 1)
        run.launches.clear()
    plan.plan.cache_clear()


@pytest.mark.parametrize("name", PRECISIONS)
def test_nan_stays_nan(name, emulate):
    """Of whatever sign and bits; an infinity is one still, but in fp32, which takes it apart."""
    emulate()
    kind = ml_dtypes.bfloat16 if name == "bf16" else np.float32
    bits = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800000], np.uint32).view(np.float32)
    x = np.zeros((3, 1, 1, 8), kind)
    x[:, 0, 0, 5] = bits.astype(kind)
    with precision.precision("fp32" if name == "bf16" else name):
        y = np.asarray(
            functional.conv2d(to_device(x), to_device(np.ones((1, 1, 8, 8), np.float32)))
        ).astype(float)
    assert np.isnan(y[:2]).all()
    assert np.isnan(y[2]).all() if name == "fp32" else np.isposinf(y[2]).all()


def test_the_structure_has_the_same_fields_on_both_sides():
    body = re.search(r"struct Product {(.*?)\n};", runtime.source("product.cuh"), re.DOTALL)[1]
    declared = re.findall(r"^\s*(int|Divisor) ([^;]*);", body, re.MULTILINE)
    fields = [(name, kind == "Divisor") for kind, names in declared for name in names.split(", ")]
    assert fields == [
        (name, bool(product.STRUCTURE[name].names)) for name in product.STRUCTURE.names
    ]


def test_unknown_precision():
    with (
        pytest.raises(
            ValueError, match="unknown precision 'fp8'; expected one of ffma, tf32, fp32"
        ),
        precision.precision("fp8"),
    ):
        pass
