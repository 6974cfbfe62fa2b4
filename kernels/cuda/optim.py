"""Optimizers on the GPU: one launch for all parameters, whose addresses are in a table."""

import functools
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np

from ..types import Array
from .arrays import contiguous
from .device import THREADS, launch, runtime
from .optim_tables import tables
from .rounded import copies_to_write


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
    copies = copies_to_write(w)
    rounded = [None if copy is None else copy.array for copy in copies]
    fives = zip(w, first, second or repeat(None, len(w)), g, rounded, strict=True)
    addresses = tuple(tuple(0 if a is None else run.address(a) for a in five) for five in fives)
    found = tables(run, addresses, tuple(a.size for a in w))
    rates = _rates(run, tuple(map(float, lr)), tuple(map(float, weight_decay)))
    launch("optim.cu", kernel, found.blocks, THREADS, found.tensors, rates, found.chunks, *numbers)
    for copy in copies:
        if copy is not None:
            copy.is_current = True


@functools.lru_cache(maxsize=16)
def _rates(run: Any, lr: tuple[float, ...], weight_decay: tuple[float, ...]) -> Array:
    """The table `Rate` of optim.cu, on the device."""
    return run.upload(np.array([lr, weight_decay], np.float32).T)
