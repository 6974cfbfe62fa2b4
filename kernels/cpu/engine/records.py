"""The records of integers that kernels take as one argument each; see `launch`."""

from typing import NamedTuple

from ...types import Array
from .arrays import address
from .simd import Address


class Rows(NamedTuple):
    """A matrix rows x columns, with `step` floats between rows: pixels x channels, for example."""

    data: Address
    step: int
    rows: int
    columns: int


class Strided(NamedTuple):
    """A matrix of any strides: element (i, j) is at data[i * row_step + j * column_step]."""

    data: Address
    row_step: int
    column_step: int


class Output(NamedTuple):
    """Where a kernel writes pixels, `step` floats apart, and if with non-temporal stores."""

    data: Address
    step: int
    non_temporal: bool


# The activations that only bound their input, by their number in an `Epilogue`.
BOUNDS: dict[str | None, int] = {None: 0, "relu": 1, "relu6": 2}


class Epilogue(NamedTuple):
    """y = f(scale * (a b) + bias + y if `add`); scale and bias may be 0: none.

    bounds: 0 for no f, 1 for ReLU, 2 for ReLU6.
    """

    add: int
    scale: Address
    bias: Address
    bounds: int


PLAIN = Epilogue(0, 0, 0, 0)


def epilogue_of(scale: Array | None, bias: Array | None, bounds: int, offset: int = 0) -> Epilogue:
    """The epilogue of the filters whose numbers start `offset` bytes into scale and bias."""
    return Epilogue(
        0,
        0 if scale is None else address(scale) + offset,
        0 if bias is None else address(bias) + offset,
        bounds,
    )
