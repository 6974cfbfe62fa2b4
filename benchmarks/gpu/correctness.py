"""Every kernel against float64 on the host, on random data and in poisoned memory, twice."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minicnn.device import runtime, set_precision, to_host, to_input
from minicnn.kernels import functional, reference

from .cases import Images, cases
from .parts import Task

# Relative L2 error of a product, by precision, and of other operations.
LIMITS = {"fp32": 2e-6, "ffma": 2e-6, "tf32": 2e-3, "bf16": 1e-2}
OTHER_LIMIT, OTHER_LIMIT_BF16 = 5e-6, 1e-2


class Check(NamedTuple):
    """One comparison: its error and limit, and whether two runs gave the same bits."""

    name: str
    precision: str
    error: float
    limit: float
    repeats: bool

    @property
    def passed(self) -> bool:
        """True if the error is within the limit and the bits repeat."""
        return bool(self.error <= self.limit and self.repeats)

    def row(self) -> dict[str, Any]:
        """The comparison as a line of the results."""
        return {"kind": "check", "passed": self.passed} | self._asdict()


def relative(ours: Any, theirs: Any) -> float:
    """The L2 norm of the difference over that of `theirs`; infinite if a number is not finite."""
    ours, theirs = np.asarray(to_host(ours)).astype(np.float64), np.asarray(theirs, np.float64)
    if not np.isfinite(ours).all() or ours.shape != theirs.shape:
        return float("inf")
    return float(np.linalg.norm(ours - theirs) / max(float(np.linalg.norm(theirs)), 1e-30))


def tasks(precision: str, tiny: bool) -> Iterator[Task]:
    """A task per kernel, on data that is new in each run."""
    for name, operation, arguments, options in cases(np.random.default_rng(), tiny):
        yield name, partial(_compared, name, operation, arguments, options, precision)


def _compared(
    name: str, operation: str, arguments: tuple, options: dict, precision: str
) -> Iterator[dict]:
    set_precision(precision)
    yield compare(name, operation, arguments, options, precision).row()


def compare(name: str, operation: str, arguments: tuple, options: dict, precision: str) -> Check:
    """Run one operation twice on the device, and in float64 on the host on the same numbers."""

    def on_device() -> list[Any]:
        given = [_to_device(a) for a in arguments]
        named = {key: _to_device(a) for key, a in options.items()}
        return _results(operation, given, getattr(functional, operation)(*given, **named))

    with runtime().poisoned():
        first, second = on_device(), on_device()
    exact = [_exact(a, precision) for a in arguments]
    named = {key: _exact(a, precision) for key, a in options.items()}
    expected = _results(operation, exact, getattr(reference, operation)(*exact, **named))
    pairs = zip(first, second, strict=True)
    repeats = all(to_host(a).tobytes() == to_host(b).tobytes() for a, b in pairs)
    error = max(relative(a, b) for a, b in zip(first, expected, strict=True))
    limit = OTHER_LIMIT_BF16 if precision == "bf16" else OTHER_LIMIT
    if operation.startswith(("conv2d", "linear")):
        limit = LIMITS[precision]
    return Check(name, precision, error, limit, repeats)


def _results(operation: str, arguments: list[Any], returned: Any) -> list[Any]:
    """The arrays that an operation computes; an update changes its arguments."""
    if operation.endswith("_update"):
        return [a for arrays in arguments[:-2] for a in arrays]
    return list(returned) if isinstance(returned, (tuple, list)) else [returned]


def _to_device(a: Any) -> Any:
    if isinstance(a, Images):
        return to_input(a.array, "cuda")
    if isinstance(a, list) and isinstance(a[0], np.ndarray):
        return [runtime().upload(array) for array in a]
    return runtime().upload(a) if isinstance(a, np.ndarray) else a


def _exact(a: Any, precision: str) -> Any:
    """The numbers that the kernels get, in float64."""
    if isinstance(a, Images):
        return _rounded(a.array, precision)
    if isinstance(a, list) and isinstance(a[0], np.ndarray):
        return [array.astype(np.float64) for array in a]
    if isinstance(a, np.ndarray) and a.dtype == np.float32:
        is_weight = a.ndim in (2, 4)  # which the kernels convert to the type of the images
        return _rounded(a, precision) if is_weight else a.astype(np.float64)
    return a


def _rounded(array: np.ndarray, precision: str) -> np.ndarray:
    if precision == "bf16":
        from ml_dtypes import bfloat16

        array = array.astype(bfloat16)
    return array.astype(np.float64)
