"""Optimizers on the GPU: one launch for all parameters, whose addresses are in a table."""

import functools
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np

from ..types import Array
from .arrays import contiguous
from .device import THREADS, launch, runtime

CHUNK = 2048  # values of a parameter that one block updates
_POINTERS = ("w", "first", "second", "g")
_TENSOR = np.dtype([*((name, np.uint64) for name in _POINTERS), ("size", np.int64)])


def sgd_update(
    w: list[Array],
    g: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    momentum: float = 0.0,
    nesterov: bool = False,
    form: str = "torch",
) -> None:
    """See `functional.sgd_update`."""
    numbers = float(momentum), int(nesterov), int(form == "caffe")
    _update("sgd", (w, v, None, g), lr, weight_decay, numbers)


def adam_update(
    w: list[Array],
    g: list[Array],
    m: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    step: int,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decoupled: bool = False,
) -> None:
    """See `functional.adam_update`."""
    corrections = float(1 - beta1**step), float(1 - beta2**step)
    numbers = float(beta1), float(beta2), float(eps), *corrections, int(decoupled)
    _update("adam", (w, m, v, g), lr, weight_decay, numbers)


def rmsprop_update(
    w: list[Array],
    g: list[Array],
    s: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    decay: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
) -> None:
    """See `functional.rmsprop_update`."""
    _update("rmsprop", (w, s, v, g), lr, weight_decay, (float(decay), float(eps), float(momentum)))


Lists = tuple[list[Array], list[Array], list[Array] | None, list[Array]]


def _update(
    kernel: str,
    lists: Lists,
    lr: Sequence[float],
    weight_decay: Sequence[float],
    numbers: tuple[float, ...],
) -> None:
    """Run a kernel of optim.cu on the parameters, their first and second states, and gradients."""
    w, first, second, g = lists
    for array in (*w, *first, *(second or ())):
        if array.dtype != np.float32 or not array.flags.c_contiguous:
            given = f"{array.dtype} {array.shape}"
            raise TypeError(f"{kernel}: parameters are float32 without gaps; one is {given}")
    run, g = runtime(), [contiguous(gradient) for gradient in g]
    fours = zip(w, first, second or repeat(None, len(w)), g, strict=True)
    addresses = tuple(tuple(0 if a is None else run.address(a) for a in four) for four in fours)
    tensors, chunks, count = _tables(run, addresses, tuple(a.size for a in w))
    rates = _rates(run, tuple(map(float, lr)), tuple(map(float, weight_decay)))
    launch("optim.cu", kernel, count, THREADS, tensors, rates, chunks, *numbers)


@functools.lru_cache(maxsize=16)
def _tables(
    run: Any, addresses: tuple[tuple[int, ...], ...], sizes: tuple[int, ...]
) -> tuple[Array, Array, int]:
    """The tables `Tensor` and `Chunk` of optim.cu, on the device, and the number of chunks.

    Cached, because the addresses seldom change.
    """
    rows = [(*four, size) for four, size in zip(addresses, sizes, strict=True)]
    chunks = [(i, chunk) for i, size in enumerate(sizes) for chunk in range(-(-size // CHUNK))]
    tensors = np.array(rows, _TENSOR).view(np.uint8)
    return run.upload(tensors), run.upload(np.array(chunks, np.int32)), len(chunks)


@functools.lru_cache(maxsize=16)
def _rates(run: Any, lr: tuple[float, ...], weight_decay: tuple[float, ...]) -> Array:
    """The table `Rate` of optim.cu, on the device."""
    return run.upload(np.array([lr, weight_decay], np.float32).T)
