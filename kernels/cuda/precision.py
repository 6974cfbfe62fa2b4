"""How products of float32 arrays are computed. Products of bfloat16 arrays have one way only."""

from contextlib import AbstractContextManager

from ..thread_state import ThreadState

PRECISIONS = {"ffma": "FFMA", "tf32": "TF32", "fp32": "TF32X3"}  # and the option of conv.cu


class _State(ThreadState):
    """precision: one of `PRECISIONS`."""

    inherited = ("precision",)
    precision = "fp32"


_state = _State()


def product_option(is_bfloat16: bool) -> str:
    """The option PRECISION of conv.cu for arrays of that type."""
    return "BF16" if is_bfloat16 else PRECISIONS[_state.precision]


def precision(name: str) -> AbstractContextManager[None]:
    """Within this block, in this thread, products of float32 arrays use that precision.

    "fp32" is 3xTF32 on tensor cores, "tf32" rounds to 10 bits, "ffma" uses the ordinary units.
    Raises ValueError for an unknown name.
    """
    return _state.changed(precision=checked_precision(name))


def set_precision(name: str) -> None:
    """As `precision`, from here on."""
    _state.precision = checked_precision(name)


def checked_precision(name: str) -> str:
    """`name`. Raises ValueError if there is no such precision of float32 arrays."""
    if name not in PRECISIONS:
        raise ValueError(f"unknown precision {name!r}; expected one of {', '.join(PRECISIONS)}")
    return name
