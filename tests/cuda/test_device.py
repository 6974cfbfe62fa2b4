"""Launches: sizes that 32-bit indices and CUDA's grids allow, and types that kernels take."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from minicnn.kernels import functional
from minicnn.kernels.cuda import arrays, device, runtime
from minicnn.kernels.cuda.device import launch

from .common import to_device


def test_sizes_beyond_31_bits_are_refused(emulate):
    emulate()
    for count in (2**31, 2**31 - 1023):  # the last block's threads count on to its end
        with pytest.raises(
            ValueError,
            match=f"{count} elements or pixels is more than a GPU kernel here can count",
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
    """More than 2^31 numbers are allowed if their vectors are fewer; no pixel step overflows."""
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
    """65,536 is one more than CUDA's grids have along y and z; the emulator has that limit."""
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
    """CuPy warns and starts only the blocks that fit, which would leave images out."""

    def launched(grid, block, arguments, shared_mem):
        warnings.warn(
            f"The grid size will be reduced from {grid[0]} to 4, as the specified grid size "
            "exceeds the limit.",
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
