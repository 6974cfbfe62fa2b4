"""How products of float32 arrays are computed. Products of bfloat16 arrays have one way only."""

from collections.abc import Iterator
from contextlib import contextmanager

PRECISIONS = {"ffma": "FFMA", "tf32": "TF32", "fp32": "TF32X3"}  # and the option of conv.cu

_precision = "fp32"


def product_option(is_bfloat16: bool) -> str:
    """The option PRECISION of conv.cu for arrays of that type."""
    return "BF16" if is_bfloat16 else PRECISIONS[_precision]


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Within this block products of float32 arrays use that precision.

    "fp32" is 3xTF32 on tensor cores, "tf32" rounds to 10 bits, "ffma" uses the ordinary units.
    Raises ValueError for an unknown name.
    """
    global _precision
    previous, _precision = _precision, checked_precision(name)
    try:
        yield
    finally:
        _precision = previous


def set_precision(name: str) -> None:
    """As `precision`, for the process."""
    global _precision
    _precision = checked_precision(name)


def checked_precision(name: str) -> str:
    """`name`. Raises ValueError if there is no such precision of float32 arrays."""
    if name not in PRECISIONS:
        raise ValueError(f"unknown precision {name!r}; expected one of {', '.join(PRECISIONS)}")
    return name
