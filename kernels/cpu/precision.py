"""How products of float32 arrays are computed on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import binding

from .engine.simd import LANES

PRECISIONS = ("fp32", "bf16")
PAIR = 2  # bfloat16 numbers are multiplied in pairs

_precision = "fp32"


def unavailable(name: str) -> str | None:
    """One sentence that says why this processor has no products of that precision, or None."""
    if name == "fp32" or (LANES == 16 and binding.get_host_cpu_features().get("avx512bf16")):
        return None
    return "this processor has no products of bfloat16 numbers (avx512_bf16)"


def set_precision(name: str) -> None:
    """Compute products in this precision from here on, in the whole process.

    "bf16" rounds both factors to bfloat16 and sums in float32, where that is faster; arrays stay in
    float32. Raises ValueError for an unknown name, RuntimeError if the processor cannot.
    """
    global _precision
    if name not in PRECISIONS:
        raise ValueError(f"unknown precision {name!r}; expected one of {', '.join(PRECISIONS)}")
    reason = unavailable(name)
    if reason:
        raise RuntimeError(f"the precision {name!r} is not available: {reason}")
    _precision = name


@contextmanager
def precision(name: str) -> Iterator[None]:
    """As `set_precision`, within this block."""
    previous = _precision
    set_precision(name)
    try:
        yield
    finally:
        set_precision(previous)


def in_bfloat16(depth: int) -> bool:
    """True if sums of `depth` products are those of bfloat16 numbers: of pairs, so it is even."""
    return _precision == "bf16" and depth % PAIR == 0
