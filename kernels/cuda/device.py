"""How kernels are started: their arguments, grids, and indices without division.

A source is compiled once per set of options. `runtime()` compiles and launches it.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from .runtime import CuPy, Three

NUMBER_TYPES = {"float32": "float", "bfloat16": "bf16"}
THREADS = 256
DIVISOR = [("d", np.uint32), ("multiplier", np.uint32), ("shift", np.uint32)]
PIXELS = np.dtype([("vectors", DIVISOR), ("step", np.int32)])
MOST = 2**31 - 1024  # so that 32-bit indices hold up to the end of the last block

_runtime: Any = None


def runtime() -> Any:
    """The runtime in use. Raises ImportError with one sentence if there is none."""
    global _runtime
    if _runtime is None:
        _runtime = CuPy()
    return _runtime


def install(other: Any) -> None:
    """Let `other`, an object like `CuPy`, run the kernels; None returns to CuPy."""
    global _runtime
    _runtime = other


def launch(
    file: str | Path,
    name: str,
    grid: int | tuple[int, ...],
    block: int | tuple[int, ...],
    *arguments: Any,
    shared: int = 0,
    together: bool = False,
    architecture: str | None = None,
    **defines: Any,
) -> None:
    """Start the kernel `name` of `file`, compiled with -Dkey=value for each of `defines`.

    Args:
        file: a name in this folder, or the path of another .cu file.
        grid, block: an int or up to three.
        arguments: arrays, of which the address is passed; ints and floats of 32 bits; NumPy scalars
            and structures, passed by value; None, a null pointer.
        shared: bytes of memory that a block's threads share.
        together: all blocks run at the same time.
        architecture: such as sm_90a, for instructions that other GPUs do not have.
    """
    run = runtime()
    options = tuple(f"-D{key}={value}" for key, value in defines.items())
    options += (f"-arch={architecture}",) if architecture else ()
    values = tuple(_argument(run, a) for a in arguments)
    run.launch(file, name, options, _three(grid), _three(block), values, shared, together)


def blocks(count: int, each: int = THREADS) -> int:
    """How many blocks of `each` threads cover `count`."""
    return -(-count // each)


def counted(value: int) -> int:
    """`value`. Raises ValueError if it is too large for a kernel's 32-bit indices."""
    if not -(2**31) <= value <= MOST:
        raise ValueError(
            f"an array of {value} elements or pixels is more than a GPU kernel here can count "
            "(2^31 - 1024)"
        )
    return value


@functools.lru_cache(maxsize=4096)
def divisor(d: int) -> tuple[int, int, int]:
    """The structure `Divisor` of common.cuh, for divisions by d.

    `n / d = (mulhi(n, multiplier) + n) >> shift` for 0 <= n < 2^31 (Granlund & Montgomery 1994).
    """
    shift = (d - 1).bit_length()
    return d, ((1 << 32) * ((1 << shift) - d)) // d + 1, shift


def divisors(*sizes: int) -> tuple[np.ndarray, ...]:
    """The structures `Divisor` of common.cuh for these sizes."""
    return tuple(np.array([divisor(d)], DIVISOR) for d in sizes)


@functools.lru_cache(maxsize=4096)
def pixels(vectors: int, step: int) -> np.ndarray:
    """The structure `Pixels` of common.cuh."""
    return np.array([(divisor(vectors), step)], PIXELS)


def _argument(run: Any, value: Any) -> Any:
    if value is None:
        return np.uint64(0)
    if isinstance(value, (int, np.int64)):
        return np.int32(counted(int(value)))
    if isinstance(value, float):
        return np.float32(value)
    if isinstance(value, np.generic) or type(value) is np.ndarray:
        return value
    return np.uint64(run.address(value))


def _three(size: int | tuple[int, ...]) -> Three:
    x, y, z = (*size, 1, 1)[:3] if isinstance(size, tuple) else (size, 1, 1)
    return int(x), int(y), int(z)
