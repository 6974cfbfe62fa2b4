"""Layers of minicnn, written by hand."""

import numpy as np

from minicnn.layers import Layer, Parameter


class MaxPool(Layer):
    """Max pooling by a loop over the cells of the window."""

    def __init__(self, kernel_size, stride=None):
        self.kernel_size = kernel_size
        self.stride = stride or kernel_size

    def forward(self, x):
        (kh, kw), s = self.kernel_size, self.stride
        height, width = (x.shape[1] - kh) // s + 1, (x.shape[2] - kw) // s + 1
        cells = [
            x[:, i : i + s * height : s, j : j + s * width : s][:, :height, :width]
            for i in range(kh)
            for j in range(kw)
        ]
        stacked = np.stack(cells)
        self.save_for_backward(x.shape, stacked.argmax(axis=0))
        return stacked.max(axis=0)

    def backward(self, dy):
        shape, winner = self.pop_saved()
        (kh, kw), s = self.kernel_size, self.stride
        dx = np.zeros(shape, dy.dtype)
        for i in range(kh):
            for j in range(kw):
                part = dx[:, i : i + s * dy.shape[1] : s, j : j + s * dy.shape[2] : s]
                part[:, : dy.shape[1], : dy.shape[2]] += dy * (winner == i * kw + j)
        return dx


class Linear(Layer):
    def __init__(self, in_features, out_features):
        self.w = Parameter(np.zeros((in_features, out_features)))
        self.b = Parameter(np.zeros(out_features))

    def forward(self, x):
        self.save_for_backward(x)
        return x @ self.w.value + self.b.value

    def backward(self, dy):
        (x,) = self.pop_saved()
        self.w.add_grad(x.T @ dy)
        self.b.add_grad(dy.sum(axis=0))
        return dy @ self.w.value.T
