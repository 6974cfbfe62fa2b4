"""Products on Hopper's units, emulated: each tile, when they are chosen, and planted mistakes."""

import re
import warnings

import ml_dtypes
import numpy as np
import pytest

from minicnn.kernels import functional, reference
from minicnn.kernels.cuda import hopper, hopper_check, plan, precision, runtime

from .common import planted, relative, to_device
from .test_conv import CONVOLUTIONS
from .test_plan import CARDS

BF16 = ml_dtypes.bfloat16
SMALL = plan.HOPPER_TILES[-1]
CASES = [
    pytest.param(case, tile, id=f"{tile.m}x{tile.n} {case}")
    for tile in plan.HOPPER_TILES
    for case in CONVOLUTIONS
    if (not case.startswith("depthwise") if tile is SMALL else case == "groups")
]


@pytest.fixture
def use_tile(monkeypatch):
    """A function that makes the plan choose one tile."""

    def use(tile):
        monkeypatch.setattr(plan, "HOPPER_TILES", (tile,))
        plan.plan.cache_clear()

    hopper_check._trusted.clear()
    yield use
    hopper_check._trusted.clear()
    plan.plan.cache_clear()


def whole_numbers(*shape):
    """Small ones: products and sums of them are exact in bfloat16."""
    return np.random.default_rng(0).integers(-1, 2, shape).astype(np.float32)


@pytest.mark.parametrize(("case", "tile"), CASES)
def test_convolution(case, tile, emulate, use_tile):
    """All passes, whole and in parts, against float64 of the same numbers."""
    run = emulate(seed=1)
    use_tile(tile)
    shape, kernel, filters, stride, padding, dilation, groups = CONVOLUTIONS[case]
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    generator = np.random.default_rng(0)
    x = generator.standard_normal(shape).astype(BF16)
    w = generator.standard_normal((*kernel, shape[3] // groups, filters), dtype=np.float32)
    w /= np.float32((kernel[0] * kernel[1] * shape[3]) ** 0.5)
    b, wide = generator.standard_normal(filters, np.float32), w.astype(BF16).astype(float)
    y = reference.conv2d(x.astype(float), wide, b.astype(float), activation="relu", **geometry)
    dy = generator.standard_normal(y.shape).astype(BF16)
    dx = reference.conv2d_grad_input(dy.astype(float), wide, shape, **geometry)
    dw, db = reference.conv2d_grad_weight(dy.astype(float), x.astype(float), w.shape, **geometry)
    for run.processors in (1, 40):
        plan.plan.cache_clear()
        run.launches.clear()
        with hopper.algorithm("wgmma"):
            ours = functional.conv2d(*map(to_device, (x, w, b)), activation="relu", **geometry)
            assert ours.dtype == BF16
            assert relative(ours, y) < 1e-2
            ours = functional.conv2d_grad_input(*map(to_device, (dy, w)), shape, **geometry)
            assert relative(ours, dx) < 1e-2
            given = *map(to_device, (dy, x)), w.shape
            ours, sums = functional.conv2d_grad_weight(*given, **geometry)
            assert ours.dtype == sums.dtype == np.float32
            assert relative(ours, dw) < 1e-6
            assert relative(sums, db) < 1e-6
        assert "convolve" in run.launches
        assert "forward" not in run.launches
        # its 9 filters are no multiple of 8
        assert ("grad_weight" in run.launches) == (case == "odd")
        if case == "many tiles":
            assert "grad_input" not in run.launches
            assert ("finish" in run.launches) == (run.processors > 1)


@pytest.mark.parametrize("filters", [24, 10, 7])
def test_epilogues_give_the_bits_of_the_other_kernels(filters, emulate, use_tile):
    """Scale, bias, residual and ReLU; the gradient through a ReLU; results of odd widths."""
    emulate(seed=1)
    use_tile(SMALL)
    generator = np.random.default_rng(0)
    x, w = whole_numbers(2, 7, 6, 16).astype(BF16), whole_numbers(3, 3, 16, filters)
    scale, shift = (generator.standard_normal(filters, dtype=np.float32) for _ in range(2))
    residual = generator.standard_normal((2, 7, 6, filters + 3)).astype(BF16)[..., 1:-2]
    dy = whole_numbers(2, 7, 6, 24).astype(BF16)
    arguments = [to_device(a) for a in (x, w, scale, shift)]
    gradients = to_device(dy), to_device(whole_numbers(3, 3, filters, 24))
    before = to_device(generator.standard_normal((2, 7, 6, filters)).astype(BF16))
    found = []
    for name in ("mma", "wgmma"):
        with hopper.algorithm(name):
            y = functional.conv2d_affine(*arguments, to_device(residual), 1, 1, activation="relu")
            found.append((y, functional.conv2d_grad_input_relu(*gradients, before, 1, 1)))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_linear_layers(emulate, use_tile):
    emulate(seed=1)
    use_tile(SMALL)
    x, w = whole_numbers(5, 400), whole_numbers(400, 120)
    with hopper.algorithm("wgmma"):
        y = functional.linear(to_device(x.astype(BF16)), to_device(w))
        dx = functional.linear_grad_input(y, to_device(w))
        dw, db = functional.linear_grad_weight(y, to_device(x.astype(BF16)))
    np.testing.assert_array_equal(y.astype(float), x @ w)
    assert relative(dx, (x @ w) @ w.T) < 1e-2
    np.testing.assert_array_equal(dw, x.T @ (x @ w))
    np.testing.assert_array_equal(db, (x @ w).sum(axis=0))


def launched(run, pixels=12, precise=False, arrays=None):
    """The kernels of a convolution that is large enough to be chosen, and its result."""
    x, w = arrays or numbers(pixels, precise)
    run.launches.clear()
    y = functional.conv2d(x, w, padding=1)
    return set(run.launches), y


def numbers(pixels=12, precise=False):
    x = whole_numbers(1, pixels, pixels, 32).astype(np.float32 if precise else BF16)
    return to_device(x), to_device(whole_numbers(3, 3, 32, 64))


@pytest.fixture
def opted_in(use_tile, monkeypatch):
    """MINICNN_HOPPER=1, and products of 144 rows are worth it."""
    use_tile(SMALL)
    monkeypatch.setenv("MINICNN_HOPPER", "1")
    monkeypatch.setitem(hopper.LEAST, "forward", (144, 64, 256))


def test_not_by_default(emulate, use_tile, monkeypatch):
    run = emulate()
    use_tile(SMALL)
    monkeypatch.setitem(hopper.LEAST, "forward", (0, 0, 0))
    assert launched(run)[0] == {"convert", "forward"}


def test_when_it_is_chosen(emulate, opted_in, monkeypatch):
    run = emulate()
    assert launched(run)[0] == {"convert", "arrange", "convolve", "forward"}  # compared once
    kernels, ours = launched(run)
    assert kernels == {"convert", "arrange", "convolve"}
    with hopper.algorithm("mma"):
        kernels, theirs = launched(run)
        assert kernels == {"convert", "forward"}
    np.testing.assert_array_equal(ours, theirs)
    assert "forward" in launched(run, pixels=11)[0]  # a small product
    with precision.precision("tf32"):
        assert "forward" in launched(run, precise=True)[0]
    monkeypatch.setenv("MINICNN_HOPPER", "0")
    for run.capability in (80, 100):
        with hopper.algorithm("wgmma"):
            assert "forward" in launched(run)[0]
    run.capability = 90
    assert "convolve" not in launched(run)[0]
    monkeypatch.setenv("MINICNN_HOPPER", "yes")
    with pytest.raises(ValueError, match="^MINICNN_HOPPER='yes': expected 0 or 1$"):
        launched(run)


def test_another_gpu(emulate, opted_in):
    """One warning says that the setting changes nothing."""
    run = emulate()
    run.capability = 89
    hopper._warn_of.cache_clear()
    expected = "MINICNN_HOPPER=1 changes nothing: the GPU has compute capability 8.9; expected 9.0"
    with pytest.warns(UserWarning, match=expected) as seen:
        assert launched(run)[0] == launched(run)[0] == {"convert", "forward"}
    assert len(seen) == 1


def test_channels_that_are_no_multiple_of_eight(emulate, use_tile):
    run = emulate()
    use_tile(SMALL)
    x, w = to_device(whole_numbers(1, 4, 4, 20).astype(BF16)), whole_numbers(1, 1, 20, 16)
    with hopper.algorithm("wgmma"):
        assert "forward" in launched(run, arrays=(x[..., 2:-2], to_device(w[:, :, 2:-2])))[0]
        assert "forward" in launched(run, arrays=(x, to_device(w)))[0]


def test_unknown_algorithm():
    with (
        pytest.raises(ValueError, match="unknown algorithm 'wmma'; expected one of auto, mma, wgm"),
        hopper.algorithm("wmma"),
    ):
        pass


WRONG = "(chunk ^ first % 8) * 8", "chunk * 8"  # as if a swizzle were not what we think


def test_a_wrong_kernel_is_not_used(emulate, opted_in):
    """One warning, and then the results of the other kernel."""
    run = emulate(changes=[WRONG])
    expected = r"convolve of 128x64 in conv_hopper.cu is not used: its results differ from .* by \d"
    with pytest.warns(UserWarning, match=expected):
        kernels, y = launched(run)
    assert "forward" in kernels
    with warnings.catch_warnings(action="error"):
        kernels, again = launched(run)
    assert kernels == {"convert", "forward"}
    np.testing.assert_array_equal(y, again)


@pytest.mark.parametrize("of_weights", [False, True])
def test_no_difference_is_found(of_weights, emulate):
    """Of the larger tiles, nearly all columns."""
    emulate(seed=1)
    for tile in plan.HOPPER_TILES[:-1]:
        assert hopper_check.difference(of_weights, tile) is None


def test_a_kernel_that_does_not_start_is_not_used(emulate, use_tile):
    run = emulate()
    run.shared_memory = 64 << 10
    assert "are more than a block may have" in hopper_check.difference(False, SMALL)


def test_nothing_is_compared_during_a_capture(emulate, opted_in):
    run = emulate()
    arrays, results = numbers(), []
    graph = run.capture(lambda: results.append(launched(run, arrays=arrays)[1]))
    graph.launch()
    assert run.launches == ["convert", "forward"]
    launched(run)
    graph = run.capture(lambda: results.append(launched(run, arrays=arrays)[1]))
    run.launches.clear()
    graph.launch()
    assert run.launches == ["convert", "arrange", "convolve"]
    np.testing.assert_array_equal(*results)


MISTAKES = {
    "wait_for(ring.full + turn.stage, turn.parity);": None,
    "if (i >= STAGES) wait_for(ring.empty + stage, filled.parity ^ 1);": None,
    "filled.parity ^ 1": "filled.parity",
    "products_begin();": None,
    "products_close();": None,
    "products_arrive<1>();": None,
    "products_arrive<0>();\n    }": None,
    "copies_arrive<LAG>();": None,
    "writes_ready();": None,
    "__syncwarp();": None,
    "barriers_ready();\n    }": None,
    "__syncthreads();": None,
    "PRODUCERS / 32 + 1": "PRODUCERS / 32",
    "CONSUMERS / 32": "CONSUMERS / 64",
    "BN * BK * int(sizeof(bf16))": "BN * BK",
    "expect_bytes(ring.full + stage, BYTES_B)": "expect_bytes(ring.full + stage, BYTES_B / 2)",
    "(chunk ^ first % 8)": "chunk",
    "(k % BK / 8 ^ row % 8)": "(k % BK / 8)",
    "(chunk % 8 ^ row % 8)": "(chunk % 8)",
    "chunk / 8 * (64 * BK)": "0",
    "2 * i + odd": "2 * i",
    "to + n * BK": "to",
    "a + k * 64": "a + k",
    "change_registers<REGISTERS, LEAST>()": "change_registers<REGISTERS, REGISTERS>()",
    "change_registers<REGISTERS, MOST>()": "change_registers<REGISTERS, LEAST>()",
}


def test_mistakes_are_noticed(emulate, use_tile, monkeypatch):
    """A wrong result, a barrier that never ends its phase, or a rule of an instruction."""
    changes = tuple(planted(MISTAKES, "// The place of the stages"))
    source = runtime.source("conv_hopper.cu")
    assert all(old in source for old, _ in changes)
    use_tile(plan.HOPPER_TILES[1]._replace(together=1))
    x, w = whole_numbers(1, 5, 15, 72), whole_numbers(3, 3, 72, 72)
    y, dy = reference.conv2d(x, w, padding=1), whole_numbers(7, 15, 5, 72).reshape(7, 5, 15, 72)
    many = whole_numbers(7, 5, 15, 72)
    dw, _ = reference.conv2d_grad_weight(dy, many, (1, 1, 72, 72))

    def is_right(seed):
        run = emulate(seed=seed, changes=changes)
        run.processors = 1  # whole sums: one more kernel would add up parts
        with np.errstate(all="ignore"), hopper.algorithm("wgmma"):
            try:
                ours = functional.conv2d(to_device(x.astype(BF16)), to_device(w), padding=1)
                if not np.array_equal(ours.astype(np.float32), y):
                    return False
                arrays = (to_device(a.astype(BF16)) for a in (dy, many))
                ours, _ = functional.conv2d_grad_weight(*arrays, dw.shape, bias=False)
                return np.array_equal(ours, dw)
            except RuntimeError:
                return False

    assert all(is_right(seed) for seed in range(3))
    for i, mistake in enumerate(MISTAKES):
        monkeypatch.setenv("PLANTED", str(i))
        assert not all(is_right(seed) for seed in range(3)), mistake


def test_blocks_have_room():
    """In the 65,536 registers of a multiprocessor, and in its shared memory."""
    number = {
        name: int(value)
        for name, value in re.findall(
            r"#define (REGISTERS|LEAST|MOST|BM) (\d+)", runtime.source("conv_hopper.cu")
        )
    }
    assert 384 * number["REGISTERS"] <= 65536
    assert 256 * number["MOST"] + 128 * number["LEAST"] <= 384 * number["REGISTERS"]
    for tile in plan.HOPPER_TILES:
        assert tile.m == number["BM"]
        stages, together = plan.stages_of("forward", tile, "WGMMA", CARDS["H100"])
        needed = plan.shared_bytes("forward", tile, "WGMMA", stages)
        assert (stages, together) == (tile.stages, tile.together)
        assert together * (needed + plan.RESERVED) <= CARDS["H100"].memory
