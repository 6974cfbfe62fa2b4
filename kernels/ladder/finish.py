"""What rungs share: the border, the bias, the ReLU and the bias's gradient in passes of their own; the three passes from what differs."""

import numpy as np

from ..cpu import conv


def padded(x, pad):
    """The images with a border of zeros."""
    return np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))


def bias_and_relu(y, b):
    """`max(y + b, 0)`, in place: two more passes over y."""
    y += b
    return np.maximum(y, 0, out=y)


def turned(w):
    """The kernel turned by 180 degrees, inputs and outputs exchanged: convolving dy with it gives dx."""
    return np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2))


def bias_gradient(dy):
    """The sum over all pixels."""
    return dy.sum(axis=(0, 1, 2))


def passes_of(convolve, weights):
    """`forward`, `grad_input` and `grad_weight` (see `ladder`) from two loops that add to zeros.

    convolve(x, w, y): y += x conv w, for padded x. weights(x, dy, dw): dw += x^T dy.
    """

    def apply(x, w, pad):
        x = padded(x, pad)
        y = np.zeros(
            (len(x), x.shape[1] - len(w) + 1, x.shape[2] - len(w) + 1, w.shape[3]), np.float32
        )
        convolve(x, w, y)
        return y

    def forward(x, w, b, pad):
        return bias_and_relu(apply(x, w, pad), b)

    def grad_input(dy, w, pad):
        return apply(dy, turned(w), len(w) - 1 - pad)

    def grad_weight(dy, x, size, pad):
        dw = np.zeros((size, size, x.shape[3], dy.shape[3]), np.float32)
        weights(padded(x, pad), dy, dw)
        return dw, bias_gradient(dy)

    return forward, grad_input, grad_weight


def passes_with(algorithm):
    """The same from one of the engine's own algorithms."""

    def forward(x, w, b, pad):
        with conv.algorithm(algorithm):
            return conv.conv2d(x, w, b, padding=pad, activation="relu")

    def grad_input(dy, w, pad):
        image = [s + len(w) - 1 - 2 * pad for s in dy.shape[1:3]]
        with conv.algorithm(algorithm):
            return conv.conv2d_grad_input(dy, w, (len(dy), *image, w.shape[2]), padding=pad)

    def grad_weight(dy, x, size, pad):
        with conv.algorithm(algorithm):
            return conv.conv2d_grad_weight(
                dy, x, (size, size, x.shape[3], dy.shape[3]), padding=pad
            )

    return forward, grad_input, grad_weight
