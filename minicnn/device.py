"""Devices: "cpu", the host with NumPy arrays, and "cuda", an NVIDIA GPU with CuPy arrays.

`to_device` and `model.to` move arrays. `set_precision` selects how products are computed. On a GPU:

| name   | images  | products                                                  | relative error |
|--------|---------|-----------------------------------------------------------|----------------|
| `fp32` | float32 | tensor cores, each number in two parts of tf32 (3xTF32)   | as float32     |
| `tf32` | float32 | tensor cores, 10 bits of mantissa                         | 3e-4           |
| `bf16` | bfloat16| tensor cores, 7 bits; parameters and sums stay in float32 | 3e-3           |
| `ffma` | float32 | the ordinary units, for study                             | as float32     |

A CPU has `fp32`, and `bf16` if it multiplies bfloat16 numbers; there all arrays are float32.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import is_one_of
from .errors import brief
from .kernels.dispatch import is_host_array, load
from .kernels.thread_state import ThreadState
from .kernels.types import Array

if TYPE_CHECKING:
    from .layers.tree import Tree

DEVICES = ("cpu", "cuda")
PRECISIONS = ("fp32", "tf32", "bf16", "ffma")


class _State(ThreadState):
    """precision: one of `PRECISIONS`."""

    inherited = ("precision",)
    precision = "fp32"


_state = _State()


def set_precision(name: str) -> None:
    """Select the precision of all later products of this thread, on the GPU and on the CPU.

    Threads that minicnn starts inherit it; a thread of your own starts with `fp32`. A CPU has
    `bf16` if it multiplies bfloat16 numbers (AVX-512's extension avx512_bf16). `tf32` and `ffma`
    change nothing there. Raises ValueError for an unknown one, RuntimeError for `bf16` if neither a
    GPU nor this CPU has it.
    """
    from .kernels.cpu import precision as of_cpu
    from .kernels.cuda.precision import set_precision as set_product_precision

    if not is_one_of(name, PRECISIONS):
        raise ValueError(
            f"unknown precision {brief(name)}; expected one of {', '.join(PRECISIONS)}"
        )
    on_cpu = name if name in of_cpu.PRECISIONS else "fp32"
    reason = of_cpu.unavailable(on_cpu)
    if reason and isinstance(load("cuda"), str):
        raise RuntimeError(
            f"the precision {name!r} is not available: there is no GPU, and {reason}"
        )
    of_cpu.set_precision("fp32" if reason else on_cpu)
    set_product_precision("fp32" if name == "bf16" else name)
    _state.precision = name


def precision() -> str:
    """The precision that `set_precision` selected in this thread; `fp32` at first."""
    return _state.precision


def validate_device(device: str) -> str:
    """`device`.

    Raises ValueError if there is no such device, RuntimeError with the reason if it cannot be used.
    """
    if not is_one_of(device, DEVICES):
        raise ValueError(f"unknown device {brief(device)}; expected one of {', '.join(DEVICES)}")
    reason = load("cuda") if device == "cuda" else None
    if isinstance(reason, str):
        raise RuntimeError(f"the device 'cuda' is not available: {reason}")
    return device


def runtime() -> Any:
    """The object that launches kernels and copies arrays. Raises ImportError without CuPy."""
    from .kernels.cuda import device

    return device.runtime()


def array_device(array: Any) -> str:
    """ "cpu" for a NumPy array of any kind, "cuda" for one on the GPU."""
    return "cpu" if is_host_array(array) else "cuda"


def model_device(model: "Tree") -> str:
    """The device that a model's parameters and buffers are on; "cpu" for a model without any."""
    return next((array_device(array) for array in model.state_dict().values()), "cpu")


def to_device(array: Array, device: str) -> Array:
    """The array on that device: itself, if it is there already."""
    if array_device(array) == device:
        return array
    return runtime().upload(array) if device == "cuda" else runtime().download(array)


def to_host(array: Array) -> np.ndarray:
    """The array as a NumPy array."""
    return to_device(array, "cpu")


def to_input(x: Array, device: str) -> Array:
    """Images on that device, in the type that the selected precision needs."""
    x = to_device(x, device)
    if device == "cuda" and _state.precision == "bf16":
        from ml_dtypes import bfloat16  # a dependency of CuPy

        from .kernels.cuda.activation import convert

        return convert(x, np.dtype(bfloat16))
    return x


def copy_into(own: Array, value: Array) -> None:
    """`own[...] = value`, also from one device to another. `value` has the shape of `own`."""
    if array_device(own) == "cpu":
        own[...] = to_host(value)
    else:
        runtime().overwrite(own, np.ascontiguousarray(to_host(value), own.dtype))
