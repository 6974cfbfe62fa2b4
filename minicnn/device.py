"""Where arrays live: on the host ("cpu"), as NumPy arrays, or on an NVIDIA GPU ("cuda"), as CuPy arrays. They move when asked to.

`set_precision` says how the GPU makes its products:

| name   | images  | products                                                  | relative error |
|--------|---------|-----------------------------------------------------------|----------------|
| `fp32` | float32 | tensor cores, each number in two parts of tf32 (3xTF32)   | as float32     |
| `tf32` | float32 | tensor cores, 10 bits of mantissa                         | 3e-4           |
| `bf16` | bfloat16| tensor cores, 7 bits; parameters and sums stay in float32 | 3e-3           |
| `ffma` | float32 | the ordinary units, for study                             | as float32     |
"""

import importlib
from typing import Any

import numpy as np

from .kernels import dispatch

DEVICES = ("cpu", "cuda")
PRECISIONS = ("fp32", "tf32", "bf16", "ffma")

_precision = "fp32"


def set_precision(name: str) -> None:
    """Let the GPU compute in that precision from now on. Raises ValueError for an unknown one; without a GPU it has no effect."""
    global _precision
    if name not in PRECISIONS:
        raise ValueError(f"unknown precision {name!r}; expected one of {', '.join(PRECISIONS)}")
    _precision = name
    importlib.import_module("minicnn.kernels.cuda.conv").set_precision(
        "fp32" if name == "bf16" else name
    )


def precision() -> str:
    """What `set_precision` chose; `fp32` at first."""
    return _precision


def checked(device: str) -> str:
    """`device`. Raises ValueError if there is no such device, RuntimeError if it cannot be used, with the reason."""
    if device not in DEVICES:
        raise ValueError(f"unknown device {device!r}; expected one of {', '.join(DEVICES)}")
    reason = dispatch.load("cuda") if device == "cuda" else None
    if isinstance(reason, str):
        raise RuntimeError(f"the device 'cuda' is not available: {reason}")
    return device


def runtime() -> Any:
    """What starts kernels and moves arrays on the GPU. Raises ImportError if there is none."""
    return importlib.import_module("minicnn.kernels.cuda.device").runtime()


def device_of(array) -> str:
    """ "cpu" for a NumPy array, "cuda" for one on the GPU."""
    return "cpu" if type(array) is np.ndarray or isinstance(array, np.generic) else "cuda"


def place_of(model) -> str:
    """The device that a model's parameters and buffers are on; "cpu" for a model without any."""
    return next((device_of(array) for array in model.state_dict().values()), "cpu")


def to_device(array, device: str):
    """The array on that device: itself, if it is there already."""
    if device_of(array) == device:
        return array
    return runtime().upload(array) if device == "cuda" else runtime().download(array)


def to_host(array) -> np.ndarray:
    """The array as a NumPy array."""
    return to_device(array, "cpu")


def to_input(x, device: str):
    """Images as a network on that device takes them: in the precision that was chosen."""
    x = to_device(x, device)
    if device == "cuda" and _precision == "bf16":
        from ml_dtypes import bfloat16  # CuPy brings it along

        return importlib.import_module("minicnn.kernels.cuda.activation").convert(
            x, np.dtype(bfloat16)
        )
    return x


def copy_into(own, value) -> None:
    """`own[...] = value`, wherever the two lie. `value` has own's shape."""
    if device_of(own) == "cpu":
        own[...] = to_host(value)
    else:
        runtime().overwrite(own, np.ascontiguousarray(to_host(value), own.dtype))
