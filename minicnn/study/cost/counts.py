"""The work of one call of an operation: multiply-adds of the plain sum, and bytes of its arrays.

A convolution of `(N, H, W, C)` to `(N, H', W', K)` has N H' W' kH kW C/groups K multiply-adds, and
so has each of its gradients. Every multiply-add counts as two operations. All other operations are
counted by their bytes: each array that is read or written once.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

# Where an operation's arguments have the shapes of its product: the pixels or rows, then the
# weights. `Result` is what it returns.
RESULT = "its result"
PRODUCTS = {
    "conv2d": (RESULT, "w"),
    "conv2d_affine": (RESULT, "w"),
    "conv2d_grad_input": ("dy", "w"),
    "conv2d_grad_input_relu": ("dy", "w"),
    "conv2d_grad_input_add": ("dy", "w"),
    "conv2d_grad_weight": ("dy", "w_shape"),
    "linear": (RESULT, "w"),
    "linear_grad_input": ("dy", "w"),
    "linear_grad_weight": ("dy", RESULT),
    "rbf": (RESULT, "w"),
    "rbf_grad": ("dy", "w"),
}
UPDATES = ("sgd_update", "adam_update", "rmsprop_update")  # these write what they read


class Call(NamedTuple):
    """One call of an operation: its name, its arguments by name, and its result."""

    operation: str
    arguments: dict[str, Any]
    result: Any


class Work(NamedTuple):
    """Operations and bytes: of one call, or the sum of several."""

    flops: int = 0
    bytes: int = 0


@functools.cache
def _signature(operation: Callable) -> inspect.Signature:
    return inspect.signature(operation)


def call_of(operation: Callable, arguments: tuple[Any, ...], result: Any = None) -> Call:
    """The call of an operation of `reference`; missing arguments have their defaults."""
    bound = _signature(operation).bind(*arguments)
    bound.apply_defaults()
    return Call(operation.__name__, bound.arguments, result)


def as_convolution(call: Call) -> Call:
    """A transposed convolution as the convolution, or its gradient, that it is; others unchanged.

    x and dy change places: see `minicnn.kernels.reference.transposed`.
    """
    if not call.operation.startswith("conv_transpose2d"):
        return call
    a = dict(call.arguments)
    a.pop("output_padding", None)
    x, dy = a.pop("x", None), a.pop("dy", None)
    if call.operation == "conv_transpose2d":
        return Call("conv2d_grad_input", {**a, "dy": x, "x_shape": call.result.shape}, call.result)
    if call.operation == "conv_transpose2d_grad_input":
        return Call("conv2d", {**a, "x": dy}, call.result)
    return Call("conv2d_grad_weight", {**a, "dy": x, "x": dy}, call.result)


def work(call: Call) -> Work:
    """The operations and the bytes of a call."""
    return Work(flops(call), bytes_of(call))


def flops(call: Call) -> int:
    """Twice the multiply-adds of the plain sum; 0 for operations without a product."""
    call = as_convolution(call)
    if call.operation not in PRODUCTS:
        return 0
    rows, weights = (_shape(call, place) for place in PRODUCTS[call.operation])
    *area, inputs, outputs = weights
    if call.operation.startswith("rbf"):
        return 2 * rows[0] * math.prod(weights)
    return 2 * math.prod(rows[:-1]) * math.prod(area) * inputs * outputs


def _shape(call: Call, place: str) -> tuple[int, ...]:
    value = call.result if place is RESULT else call.arguments[place]
    value = value[0] if isinstance(value, tuple) and hasattr(value[0], "shape") else value
    return tuple(getattr(value, "shape", value))


def bytes_of(call: Call) -> int:
    """The bytes of all arrays that the call reads or writes; views of one array count once."""
    if call.operation == "empty" or _changes_nothing(call):
        return 0
    read = list(arrays_in(list(call.arguments.values())))
    written = list(arrays_in(call.result))
    if call.operation in UPDATES:
        slots = {k: v for k, v in call.arguments.items() if k != "g"}
        written += list(arrays_in(list(slots.values())))
        return sum(a.nbytes for a in read) + sum(a.nbytes for a in written)
    return sum({id(a): a.nbytes for a in (*read, *written)}.values())


def _changes_nothing(call: Call) -> bool:
    """True if the result is an argument: the identity as an activation."""
    return call.arguments.get("out") is None and any(
        call.result is a for a in call.arguments.values() if isinstance(a, np.ndarray)
    )


def arrays_in(value: Any) -> Iterator[np.ndarray]:
    """The arrays in nested tuples, lists and dicts."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        yield from arrays_in(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from arrays_in(item)
