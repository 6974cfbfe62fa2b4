"""SIMD register tile: a block of results never leaves the registers while its sum runs, and A is never written.

ROWS pixels by two vectors of filters are 16 registers with AVX-512; each step loads two vectors of weights and multiplies them by a number
of each pixel, broadcast: 16 multiply-adds for 10 loads. The pixels' patches are read where they lie. The code is `kernels/cpu/direct`
(patches) and `kernels/cpu/engine/simd` (the tile); here it runs on one core.
"""

import numpy as np

from ..cpu import direct
from ..cpu.engine import launch
from ..cpu.engine.memory import empty
from ..geometry import window
from .finish import bias_and_relu, bias_gradient


def _with_one_thread(function, *args):
    before = launch.threads()
    launch.set_num_threads(1)
    try:
        function(*args)
    finally:
        launch.set_num_threads(before)


def convolve(x, w, pad):
    """`x conv w`, nothing else."""
    geometry = window(x.shape[1:3], w.shape[:2], 1, pad)
    y = empty((len(x), *geometry.output, w.shape[3]))
    direct.conv2d(x, w, None, None, geometry, 1, False, y)
    return y


def input_gradient(dy, w, pad):
    """dx."""
    image = tuple(s + len(w) - 1 - 2 * pad for s in dy.shape[1:3])
    dx = empty((len(dy), *image, w.shape[2]))
    direct.conv2d_grad_input(dy, w, window(image, w.shape[:2], 1, pad), 1, dx)
    return dx


def weight_gradient(dy, x, size, pad):
    """dw and db."""
    dw, db = empty((size, size, x.shape[3], dy.shape[3])), np.empty(dy.shape[3], np.float32)
    direct.conv2d_grad_weight(dy, x, window(x.shape[1:3], (size, size), 1, pad), 1, dw, db)
    return dw, db


def forward(x, w, b, pad):
    """See `ladder`."""
    results = []
    _with_one_thread(lambda: results.append(convolve(x, w, pad)))
    return bias_and_relu(results[0], b)


def grad_input(dy, w, pad):
    """See `ladder`."""
    results = []
    _with_one_thread(lambda: results.append(input_gradient(dy, w, pad)))
    return results[0]


def grad_weight(dy, x, size, pad):
    """See `ladder`."""
    results = []
    _with_one_thread(lambda: results.append(weight_gradient(dy, x, size, pad)))
    return results[0][0], bias_gradient(dy)
