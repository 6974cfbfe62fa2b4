"""What convolutions fetch ahead of need: a wrong address changes no result, only the time."""

import numba
import numpy as np
import pytest

import minicnn
from minicnn.kernels import reference
from minicnn.kernels.cpu.direct import forward, grad_weight, patches
from minicnn.kernels.cpu.engine.launch import inline, replaced
from minicnn.kernels.cpu.engine.memory import ALIGNMENT, empty
from minicnn.kernels.cpu.engine.simd import FLOAT, load_index, store_index
from minicnn.kernels.geometry import window

LOG = np.zeros(1 << 16, np.int64)  # the number of addresses, and these
WHERE = LOG.ctypes.data


@inline
def note_address(p: int, i: int) -> None:
    """Note the address that `prefetch_second` would fetch."""
    number = load_index(WHERE, 0) + 1
    store_index(WHERE, 0, number)
    store_index(WHERE, number, p + FLOAT * i)


_floats = inline(replaced(patches.prefetch_floats, "noted_floats", prefetch_second=note_address))
_pixels = inline(replaced(patches.prefetch_pixels, "noted_pixels", prefetch_floats=_floats))
_FORWARD = {"prefetch_pixels": _pixels}
_WEIGHTS = {"prefetch_pixels": _pixels, "prefetch_floats": _floats}


@pytest.fixture(params=[(1, 1), (1, 2), (3, 1), (3, 2)], ids=["1x1", "1x1/2", "3x3", "3x3/2"])
def case(request):
    """x, w, dy and the geometry of a convolution that one thread computes."""
    size, stride = request.param
    x, w = random(2, 17, 19, 32), random(size, size, 32, 80)
    geometry = window(x.shape[1:3], (size, size), stride, 0, 1)
    before = minicnn.get_num_threads()
    minicnn.set_num_threads(1)
    LOG[0] = 0
    yield x, w, random(2, *geometry.output, 80), geometry
    minicnn.set_num_threads(before)


def random(*shape):
    """Aligned random floats."""
    array = empty(shape)
    array[...] = np.random.default_rng(0).standard_normal(shape)
    return array


def noting(products, functions, blocks):
    """The kernel, outside of the cache of kernels, since it knows an address; notes the block."""
    copy = replaced(products, f"noted_{products.__name__}", **functions)
    run = numba.njit(error_model="numpy")(copy)

    def run_one_task(tasks, *arguments):
        assert tasks == 1
        blocks.append(arguments[-1])
        run(0, 1, *arguments)

    return run_one_task


def lines_of(array, first, last):
    """The addresses of the cache lines of the pixels first...last."""
    row = array.reshape(-1, array.shape[-1])[first:last]
    return set(range(row.ctypes.data, row.ctypes.data + row.nbytes, ALIGNMENT))


def added(x, geometry, block):
    """The lines of the pixels that the patches add behind the first block."""
    (size, _), (stride, _), (rows, columns) = geometry.kernel, geometry.stride, geometry.output
    found = set()
    for m in range(block, len(x) * rows * columns):
        n, p, q = m // (rows * columns), m // columns % rows, m % columns
        first = (n * x.shape[1] + p * stride + size - 1) * x.shape[2] + q * stride
        found |= lines_of(x, first, first + min(size, stride))
    return found


def test_forward(case):
    x, w, dy, geometry = case
    y, blocks = np.empty_like(dy), []
    run = noting(forward.patch_products, _FORWARD, blocks)
    forward.conv2d(x, w, None, None, geometry, 1, 0, y, run)
    np.testing.assert_allclose(
        y, reference.conv2d(x, w, stride=geometry.stride), rtol=1e-4, atol=1e-4
    )
    assert set(LOG[1 : LOG[0] + 1].tolist()) == added(x, geometry, blocks[0])


def test_weight_gradient(case):
    x, w, dy, geometry = case
    dw, db, blocks = np.empty_like(w), np.empty(80, np.float32), []
    run = noting(grad_weight.weight_products, _WEIGHTS, blocks)
    products = grad_weight.FLOATS._replace(run=run)
    grad_weight.conv2d_grad_weight(dy, x, geometry, 1, dw, db, products)
    expected, _ = reference.conv2d_grad_weight(dy, x, w.shape, stride=geometry.stride)
    np.testing.assert_allclose(dw, expected, rtol=1e-3, atol=1e-3)
    deltas = lines_of(dy, blocks[0], dy.size // 80)
    assert set(LOG[1 : LOG[0] + 1].tolist()) == added(x, geometry, blocks[0]) | deltas
