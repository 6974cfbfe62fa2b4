"""How products of float32 arrays are computed on the CPU."""

from contextlib import AbstractContextManager

from llvmlite import binding

from ..thread_state import ThreadState
from .engine.simd import LANES

PRECISIONS = ("fp32", "bf16")
PAIR = 2  # bfloat16 numbers are multiplied in pairs


class _State(ThreadState):
    """precision: one of `PRECISIONS`."""

    inherited = ("precision",)
    precision = "fp32"


_state = _State()


def unavailable(name: str) -> str | None:
    """One sentence that says why this processor has no products of that precision, or None."""
    if name == "fp32" or (LANES == 16 and binding.get_host_cpu_features().get("avx512bf16")):
        return None
    return "this processor has no products of bfloat16 numbers (avx512_bf16)"


def precision(name: str) -> AbstractContextManager[None]:
    """Within this block, in this thread, products are computed in this precision.

    "bf16" rounds both factors to bfloat16 and sums in float32, where that is faster; arrays stay in
    float32. Raises ValueError for an unknown name, RuntimeError if the processor cannot.
    """
    return _state.changed(precision=_checked(name))


def set_precision(name: str) -> None:
    """As `precision`, from here on."""
    _state.precision = _checked(name)


def _checked(name: str) -> str:
    if name not in PRECISIONS:
        raise ValueError(f"unknown precision {name!r}; expected one of {', '.join(PRECISIONS)}")
    reason = unavailable(name)
    if reason:
        raise RuntimeError(f"the precision {name!r} is not available: {reason}")
    return name


def in_bfloat16(depth: int) -> bool:
    """True if sums of `depth` products are those of bfloat16 numbers: of pairs, so it is even."""
    return _state.precision == "bf16" and depth % PAIR == 0


def can_split(depth: int) -> bool:
    """True if sums of `depth` float32 products can be of bfloat16 numbers; see split.py."""
    return _state.precision == "fp32" and depth % PAIR == 0 and not unavailable("bf16")
