"""Checks that arrays can be weights, before anything is copied or written."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import CheckpointError

LISTED = 5  # faults that a message names; the wrong file has one in every layer


def check_weights(state: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray]) -> None:
    """Check the arrays in `state` that are meant for the parameters and buffers `own`.

    Raises CheckpointError for integer, boolean or complex arrays, and for numbers that are not
    finite in the type of the array they are meant for.
    """
    found = {name: _fault(state[name], own[name].dtype) for name in own if name in state}
    faults = [f"{name} {fault}" for name, fault in found.items() if fault]
    if faults:
        raise CheckpointError(listed(faults))


def listed(faults: Sequence[str]) -> str:
    """The first few faults and the number of the others, in one sentence."""
    more = f"; {len(faults) - LISTED} more like these" if len(faults) > LISTED else ""
    return "; ".join(faults[:LISTED]) + more


def _fault(array: np.ndarray, dtype: np.dtype) -> str | None:
    """The reason why `array` cannot be weights of type `dtype`, or None."""
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        return f"is {array.dtype}; expected floating-point weights"
    if array.size == 0:
        return None
    with np.errstate(invalid="ignore"):  # NumPy's bfloat16 warns of NaN, which is the question
        low, high = float(array.min()), float(array.max())
    largest = float(np.finfo(dtype).max)
    if np.isnan(low) or np.isnan(high):
        return "holds NaN; expected finite weights"
    if np.isinf(low) or np.isinf(high):
        return "holds Inf; expected finite weights"
    if max(-low, high) > largest:
        return f"holds {low if -low > high else high:.3g}; {dtype} ends at {largest:.3g}"
    return None
