"""SGD in Numba-CUDA: one launch per parameter, one thread per value."""

from numba import cuda

from ..types import Array
from .launch import THREADS, blocks


@cuda.jit
def _sgd(
    w: Array,
    g: Array,
    v: Array,
    lr: float,
    weight_decay: float,
    momentum: float,
    nesterov: bool,
    caffe: bool,
) -> None:
    i = cuda.grid(1)
    if i >= w.size:
        return
    gradient = g[i] + weight_decay * w[i]
    rate = lr if caffe else 1.0
    v[i] = momentum * v[i] + rate * gradient
    step = momentum * v[i] + rate * gradient if nesterov else v[i]
    w[i] -= step if caffe else lr * step


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
    for *arrays, rate, decay in zip(w, g, v, lr, weight_decay, strict=True):
        rows = [a.reshape(-1) for a in arrays]
        numbers = rate, decay, momentum, nesterov, form == "caffe"
        _sgd[blocks(rows[0].size), THREADS](*rows, *numbers)
