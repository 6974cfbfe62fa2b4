"""Convolutions that random small cases seldom include, with their exact results."""

import functools

import numpy as np

from minicnn.kernels import cpu, reference

# n, h, w, c, k, kernel, stride, padding, dilation, groups
SHAPES = [
    (2, 9, 11, 16, 32, (3, 3), 1, 1, 1, 1),
    (1, 7, 7, 64, 16, (3, 3), 1, 0, 1, 1),
    (3, 4, 5, 32, 48, (3, 3), 1, 2, 1, 1),
    (2, 13, 6, 16, 16, (5, 5), 1, 2, 1, 1),
    (1, 2, 2, 32, 32, (3, 3), 1, ((1, 0), (0, 1)), 1, 1),
    (2, 12, 12, 16, 32, (3, 3), 2, 1, 1, 1),  # runs of two taps in the input gradient's classes
    (2, 17, 17, 64, 128, (1, 1), 2, 0, 1, 1),  # pixels that no tap reaches
    (4, 31, 31, 48, 64, (5, 5), 2, 2, 1, 1),
    (2, 10, 10, 600, 40, (1, 1), 1, 0, 1, 1),  # deeper than a part of the weight gradient
    (2, 20, 20, 3, 64, (7, 7), 2, 3, 1, 1),
    (8, 28, 28, 1, 6, (5, 5), 1, 0, 1, 1),  # several pixels abreast
    (8, 14, 14, 6, 16, (5, 5), 1, 0, 1, 1),
    (8, 5, 5, 16, 120, (5, 5), 1, 0, 1, 1),  # a fully connected layer in disguise
    (2, 12, 12, 32, 64, (3, 3), 1, 2, 2, 2),
    (1, 40, 40, 5, 7, (3, 2), (1, 3), (0, 2), (2, 1), 1),
    (2, 14, 15, 40, 40, (3, 3), 1, 1, 1, 40),  # depthwise: whole tiles, and a rest of channels
    (2, 13, 22, 32, 32, (3, 3), 2, 1, 1, 32),
    (1, 11, 18, 17, 17, (5, 5), 1, 2, 1, 17),
    (1, 12, 19, 48, 48, (5, 5), 2, 2, 1, 48),
    (2, 9, 12, 16, 48, (3, 3), 1, 1, 1, 16),  # three filters per channel
    (1, 10, 21, 32, 32, (3, 4), (1, 3), ((0, 2), (3, 0)), (2, 1), 32),
    (1, 6, 14, 152, 152, (3, 3), 1, 1, 1, 152),  # several parts of the channels
    (1, 9, 11, 200, 200, (5, 5), 2, 2, 1, 200),
    (1, 3, 2, 16, 16, (5, 5), 1, 2, 1, 16),  # a kernel larger than the image
    (2, 5, 18, 16, 48, (1, 7), 1, ((0, 0), (3, 3)), 1, 1),  # Winograd along one axis
    (3, 11, 2, 48, 16, (3, 1), 1, ((1, 0), (0, 0)), 1, 1),
    (2, 6, 5, 256, 272, (3, 3), 1, 1, 1, 1),  # filters that are transformed panel by panel
]


def error(ours, exact):
    return np.linalg.norm(ours - exact) / np.linalg.norm(exact)


@functools.cache
def case(index):
    """The arguments of a convolution, and the exact results of its three passes."""
    n, h, w, c, k, kernel, stride, padding, dilation, groups = SHAPES[index]
    generator = np.random.default_rng(index)
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, weight, bias = (
        generator.standard_normal(s, dtype=np.float32)
        for s in ((n, h, w, c), (*kernel, c // groups, k), (k,))
    )
    x64, w64 = x.astype(float), weight.astype(float)
    y = reference.conv2d(x64, w64, bias.astype(float), **geometry)
    dy = generator.standard_normal(y.shape, dtype=np.float32)
    dy64 = dy.astype(float)
    dx = reference.conv2d_grad_input(dy64, w64, x.shape, **geometry)
    return (
        x,
        weight,
        bias,
        dy,
        geometry,
        (y, dx, *reference.conv2d_grad_weight(dy64, x64, weight.shape, **geometry)),
    )


def passes(x, weight, bias, dy, geometry):
    return (
        cpu.conv2d(x, weight, bias, **geometry),
        cpu.conv2d_grad_input(dy, weight, x.shape, **geometry),
        *cpu.conv2d_grad_weight(dy, x, weight.shape, **geometry),
    )
