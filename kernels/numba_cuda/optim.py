"""SGD in Numba-CUDA: a launch for each parameter, a thread for each value."""

from numba import cuda

from .launch import THREADS, blocks


@cuda.jit
def _sgd(w, g, v, lr, weight_decay, momentum, nesterov, caffe):
    i = cuda.grid(1)
    if i >= w.size:
        return
    gradient = g[i] + weight_decay * w[i]
    rate = lr if caffe else 1.0
    v[i] = momentum * v[i] + rate * gradient
    step = momentum * v[i] + rate * gradient if nesterov else v[i]
    w[i] -= step if caffe else lr * step


def sgd_update(w, g, v, lr, weight_decay, momentum=0.0, nesterov=False, form="torch"):
    """See `reference.sgd_update`."""
    for w, g, v, lr, decay in zip(w, g, v, lr, weight_decay, strict=True):  # noqa: B020 - one parameter of each list
        _sgd[blocks(w.size), THREADS](w.reshape(-1), g.reshape(-1), v.reshape(-1), lr, decay, momentum, nesterov, form == "caffe")
