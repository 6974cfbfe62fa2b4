"""Every kernel of the cuda backend on the emulated GPU: against torch and the reference, in several orders of its threads."""

import re
import warnings
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from minicnn.kernels import dispatch, functional, reference
from minicnn.kernels.cuda import arrays, device, loss, plan, precision, product, runtime
from minicnn.kernels.cuda.activation import convert

from .. import checks, emulator, strategies
from ..kernels.test_against_torch import Through

SERVED = [
    name
    for name in strategies.NAMES
    if name not in ("rbf", "map_loss", "subsample2d", "adaptive_avg_pool2d")
]
PRECISIONS = {"fp32": 2e-6, "ffma": 2e-6, "tf32": 2e-3, "bf16": 1.5e-2}  # relative L2 error


class OnDevice:
    """The dispatcher, given arrays that lie on the device: what a user's CuPy arrays would meet."""

    def __getattr__(self, operation):
        def call(*args, **kwargs):
            given = [to_device(a) for a in args]
            result = getattr(Through("cuda"), operation)(
                *given, **{key: to_device(a) for key, a in kwargs.items()}
            )
            return kwargs.get("out", result)

        return call


def to_device(a):
    """`a`, its memory shared, as an array of the imagined device."""
    return a.view(emulator.DeviceArray) if type(a) is np.ndarray else a


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("operation", SERVED)
def test_operation(operation, seed, emulate):
    emulate(seed=seed)
    check = getattr(checks, f"check_{operation}")

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(strategies.NAMES[operation](np.float32))
    def run(case):
        check(OnDevice(), case)

    run()


def test_what_is_not_served_falls_back(emulate):
    """On the device's arrays, by the reference."""
    run = emulate()
    x = to_device(np.ones((1, 4, 4, 2), np.float32))
    assert dispatch.select(reference.adaptive_avg_pool2d, x) is reference.adaptive_avg_pool2d
    np.testing.assert_array_equal(functional.adaptive_avg_pool2d(x, (2, 2)), np.ones((1, 2, 2, 2)))
    assert not run.launches


# ---- products: every precision, tiles that do and do not fill, parts that are added up ---------------------------------

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
    "kernel of the image's size": ((70, 4, 4, 8), (4, 4), 40, 1, 0, 1, 1),
}


def convolution(case: str, precision: str):
    """Shape of the images, kernel, filters, geometry, and the type that the images are stored in."""
    shape, kernel, filters, stride, padding, dilation, groups = CONVOLUTIONS[case]
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (
        shape,
        kernel,
        filters,
        geometry,
        ml_dtypes.bfloat16 if precision == "bf16" else np.float32,
    )


def relative(ours, theirs) -> float:
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    assert np.isfinite(ours).all()
    return np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-30)


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(case, name, emulate):
    """Forward and both gradients against float64, on the very numbers that the kernels are given; twice the same, to the bit."""
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
    "case", ["many tiles", "long sums, split", "strided", "groups", "odd", "first layer"]
)
def test_epilogues(case, name, emulate):
    """A residual before the ReLU, and a gradient through the ReLU that made the images: the product's numbers, one operation later."""
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
        dx = functional.conv2d_grad_input(plain, w, shape, **geometry)
        rectified = functional.conv2d_grad_input_relu(plain, w, x, **geometry)
    expected = np.maximum(plain.astype(float) + residual.astype(float), 0)
    assert relative(y, expected) < (6e-3 if name == "bf16" else 1e-6)
    np.testing.assert_array_equal(
        rectified.astype(float), np.where(x.astype(float) > 0, dx.astype(float), 0)
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
    """Three channels become four, so that pixels are copied whole; one stays one, and groups stay apart."""
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
    """Products that fill no tile and products of several, whole and in parts that are not equal, whatever a plan would choose."""
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


# ---- activations stored in bfloat16 --------------------------------------------------------------------------------------


def bf16_cases(x, dy, c):
    """Operation -> arguments; arrays of images are those that come in bfloat16."""
    gamma, beta, mean, var = (
        np.random.default_rng(i).uniform(0.5, 2, c).astype(np.float32) for i in range(4)
    )
    labels = np.arange(len(x)) % c
    scale = (1.0 + x.astype(np.float32) ** 2).astype(np.float32)
    return {
        "relu": (x,),
        "sigmoid_grad": (dy, x),
        "add": (x, dy, "tanh"),
        "max_pool2d": (x, 3, 2, 1),
        "avg_pool2d": (x, 3, 2, 1),
        "global_avg_pool2d": (x,),
        "local_response_norm": (x, 5, 0.5),
        "local_response_norm_grad": (dy, x, x, scale, 5, 0.5),
        "batch_norm": (x, gamma, beta, mean, var, True, 0.1, 1e-5, "relu"),
        "batch_norm_grad": (dy, x, gamma, mean, var, True, beta, "relu"),
        "softmax": (x.reshape(-1, c),),
        "softmax_cross_entropy": (x[:, 0, 0], labels),
        "avg_pool2d_grad": (dy, (len(x), 2 * x.shape[1], 2 * x.shape[2], c), 2),
        "global_avg_pool2d_grad": (dy[:, 0, 0], x.shape),
    }


@pytest.mark.parametrize("channels", [3, 8])
def test_bfloat16(channels, emulate):
    """Every other operation on images in bfloat16, against float64 of the same numbers: off by the rounding of the result alone."""
    emulate(seed=2)
    generator = np.random.default_rng(0)
    x, dy = generator.standard_normal((2, 4, 6, 5, channels)).astype(ml_dtypes.bfloat16)
    for operation, arguments in bf16_cases(x, dy, channels).items():
        exact = [
            a.astype(np.float64) if hasattr(a, "dtype") and a.dtype.kind != "i" else a
            for a in arguments
        ]
        ours = getattr(functional, operation)(
            *[to_device(a.copy() if hasattr(a, "copy") else a) for a in arguments]
        )
        theirs = getattr(reference, operation)(*exact)
        for mine, expected in zip(
            ours if isinstance(ours, tuple) else (ours,),
            theirs if isinstance(theirs, tuple) else (theirs,),
            strict=True,
        ):
            assert relative(mine, expected) < 4e-3, operation


def test_conversion_rounds_to_nearest_even(emulate):
    emulate()
    x = np.concatenate(
        [
            np.random.default_rng(0).standard_normal(999).astype(np.float32),
            [1 + 2**-8, 1 + 3 * 2**-8, np.inf, np.nan, -0.0],
        ]
    )
    x = x.astype(np.float32)
    half = convert(to_device(x), np.dtype(ml_dtypes.bfloat16))
    np.testing.assert_array_equal(
        np.asarray(half).astype(float), x.astype(ml_dtypes.bfloat16).astype(float)
    )
    np.testing.assert_array_equal(
        np.asarray(convert(half, np.dtype(np.float32))), np.asarray(half).astype(np.float32)
    )


# ---- what has no check of its own elsewhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1,), (5, 9, 9, 33), (2, 8, 8, 16)])
def test_dropout_drops_the_same(shape, emulate):
    emulate()
    x, dy = np.random.default_rng(0).standard_normal((2, *shape), dtype=np.float32)
    expected, kept = reference.dropout(x, 0.3, np.random.default_rng(7))
    y, keep = functional.dropout(to_device(x), 0.3, np.random.default_rng(7))
    np.testing.assert_array_equal(keep, kept)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_allclose(
        functional.dropout_grad(to_device(dy), keep, 0.3),
        reference.dropout_grad(dy, kept, 0.3),
        rtol=1e-6,
    )


UPDATES = {
    "sgd_update": (
        1,
        [
            {"momentum": 0.9},
            {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.9, "form": "caffe"},
            {},
        ],
    ),
    "adam_update": (2, [{"step": 3}, {"step": 1, "decoupled": True}]),
    "rmsprop_update": (2, [{}, {"momentum": 0.5}]),
}


@pytest.mark.parametrize("operation", UPDATES)
def test_updates(operation, emulate):
    """All parameters in one launch, sizes that fill a chunk and that do not, rates of their own."""
    run = emulate(seed=1)
    slots, variants = UPDATES[operation]
    shapes = [(3, 2), (4096,), (2049,), (1,)]
    for options in variants:
        generator = np.random.default_rng(0)
        start = [
            [abs(generator.standard_normal(shape).astype(np.float32)) for shape in shapes]
            for _ in range(2 + slots)
        ]
        rates = [0.1, 0.01, 0.5, 0.2], [0.0, 1e-3, 0.1, 0.0]
        theirs = [[a.astype(np.float64) for a in arrays] for arrays in start]
        ours = [[to_device(a.copy()) for a in arrays] for arrays in start]
        for _ in range(2):
            getattr(reference, operation)(*theirs, *rates, **options)
            getattr(functional, operation)(*ours, *rates, **options)
        for mine, expected in zip(ours, theirs, strict=True):
            for a, b in zip(mine, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5)
    assert len(run.launches) == 2 * len(variants)


def test_tally(emulate):
    emulate(seed=1)
    logits = np.random.default_rng(0).standard_normal((300, 7), dtype=np.float32)
    labels = np.random.default_rng(1).integers(0, 7, 300)
    totals = to_device(np.array([1.0, 2.0]))
    for _ in range(2):
        loss.tally(
            to_device(logits), to_device(labels), to_device(np.array(0.5, np.float32)), totals
        )
    np.testing.assert_allclose(
        totals, [1 + 2 * 0.5 * 300, 2 + 2 * (logits.argmax(1) == labels).sum()]
    )


def test_sizes_beyond_31_bits_are_refused(emulate):
    emulate()
    from minicnn.kernels.cuda.device import launch

    for count in (2**31, 2**31 - 1023):  # the last block's threads count on to its end
        with pytest.raises(
            ValueError,
            match=f"an array of {count} elements or pixels is more than a GPU kernel here can count",
        ):
            launch("loss.cu", "mean_loss", 1, 32, None, count, None)


class Long:
    """What `layout` asks of an array without gaps, of so many numbers and no memory."""

    flags = SimpleNamespace(c_contiguous=True)
    ctypes = SimpleNamespace(data=0)
    itemsize = 4

    def __init__(self, size):
        self.size, self.shape = size, (size,)


def test_long_arrays_are_one_row(emulate):
    """More than 2^31 numbers, if their vectors are fewer: no step from pixel to pixel is needed, and none overflows."""
    emulate()
    v, vectors, (places,) = arrays.layout(Long(2**31 + 16))
    assert (v, vectors, places["step"].item(), places["vectors"]["d"].item()) == (
        4,
        2**29 + 4,
        0,
        2**29 + 4,
    )
    with pytest.raises(ValueError, match="more than a GPU kernel here can count"):
        arrays.layout(Long(2**33))


def test_more_images_than_a_grid_has_rows(emulate):
    """65,536 is one more than CUDA's grids have along y and z; the emulator refuses what a device does."""
    run = emulate()
    x = to_device(np.ones((65536, 1, 1, 1), np.float32))
    assert (np.asarray(functional.global_avg_pool2d(x)) == 1).all()
    for grid in ((1, 65536), (1, 1, 65536), 2**31):
        with pytest.raises(AssertionError, match="larger than CUDA's"):
            device.launch("loss.cu", "mean_loss", grid, 32, x, 1, x, shared=32)
    with pytest.raises(AssertionError, match="do not run at the same time"):
        device.launch(
            "loss.cu", "mean_loss", run.processors * 64 + 1, 32, x, 1, x, shared=32, together=True
        )


def test_fewer_blocks_than_asked_for_are_an_error():
    """CuPy warns, and starts a cooperative grid of as many blocks as fit: images would be left out."""

    def launched(grid, block, arguments, shared_mem):
        warnings.warn(
            f"The grid size will be reduced from {grid[0]} to 4, as the specified grid size exceeds the limit.",
            stacklevel=1,
        )

    run = object.__new__(runtime.CuPy)
    run._cooperative = lambda file, name, options: launched
    with pytest.raises(UserWarning, match="reduced from 5 to 4"):
        run.launch("lenet.cu", "step", (), (5, 1, 1), (256, 1, 1), (), 0, True)


def test_other_number_types_are_refused(emulate):
    emulate()
    with pytest.raises(TypeError, match="computes in float32 and bfloat16; this array is float64"):
        functional.relu(to_device(np.ones(3)))
