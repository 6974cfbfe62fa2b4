"""The Numba-CUDA twins in Numba's simulator, against the reference.

Each runs in a process of its own, because the simulator must be chosen before Numba is imported.
"""

import os
import subprocess
import sys

import pytest

CASES = {
    "conv2d": """
        cases = (1, 1, 1, 1, 3), (2, ((1, 0), (0, 2)), 1, 1, 2), (1, 2, 2, 2, 3)
        for stride, padding, dilation, groups, kernel in cases:
            geometry = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
            x, w, b = normal(2, 5, 4, 4), normal(kernel, kernel, 4 // groups, 6), normal(6)
            y = same("conv2d", x, w, b, activation="tanh", **geometry)
            same("conv2d", x, w, **geometry)
            dy = normal(*y.shape)
            same("conv2d_grad_input", dy, w, x.shape, **geometry)
            same("conv2d_grad_weight", dy, x, w.shape, **geometry)
        from minicnn.kernels.numba_cuda import conv
        x, w, b = normal(1, 4, 4, 3), normal(3, 3, 3, 5), normal(5)
        y, z = normal(1, 4, 4, 5), normal(1, 4, 4, 5)
        conv.naive[4, 32](x, w, b, y, (1, 1), (1, 1), (1, 1), 1)
        conv.tiled[(1, 1), (16, 16)](x, w, b, z, (1, 1), (1, 1), (1, 1))
        np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-5)
    """,
    "max_pool2d": """
        for geometry in ((2,), (3, 2, 1), (2, 3, 1, True), ((2, 3), 1)):
            x = -abs(normal(2, 5, 6, 3))
            y, argmax = same("max_pool2d", x, *geometry)
            same("max_pool2d_grad", normal(*y.shape), argmax, x.shape, *geometry)
        same("max_pool2d", np.ones((1, 4, 4, 1), np.float32), 3, 1)
        x[0, 1, 1], x[0, 1, 2], x[1] = np.nan, np.nan, -np.inf
        same("max_pool2d", x, 3, 2, 1)
    """,
    "local_response_norm": """
        for size in (1, 4, 5):
            x, dy = normal(2, 2, 2, 7), normal(2, 2, 2, 7)
            y, scale = same("local_response_norm", x, size, 0.7, 0.75, 1.0)
            same("local_response_norm_grad", dy, x, y, scale, size, 0.7, 0.75)
    """,
    "softmax_cross_entropy": """
        for classes in (3, 40):
            logits, labels = 20 * normal(4, classes), np.array([0, 1, 2, 2])
            same("softmax_cross_entropy", logits, labels)
            same("softmax_cross_entropy", logits, labels, abs(normal(classes)), 0.1)
            same("softmax_cross_entropy", logits, abs(normal(4, classes)))
    """,
    "sgd_update": """
        heavy = {"momentum": 0.9}
        for options in ({}, heavy | {"nesterov": True}, heavy | {"form": "caffe"}):
            lists = [[normal(3, 2), normal(5)] for _ in range(3)]
            ours, theirs = ([[a.copy() for a in arrays] for arrays in lists] for _ in range(2))
            for kernels, arrays in ((numba_cuda, ours), (reference, theirs)):
                kernels.sgd_update(*arrays, [0.1, 0.2], [0.0, 0.01], **options)
            for mine, expected in zip(ours, theirs):
                for a, b in zip(mine, expected):
                    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    """,
}
PROGRAM = """
import numpy as np
from minicnn.kernels import dispatch, functional, reference
numba_cuda = dispatch.load("numba_cuda")
assert not isinstance(numba_cuda, str), numba_cuda
generator = np.random.default_rng(0)

def normal(*shape):
    return generator.standard_normal(shape, dtype=np.float32)

def same(operation, *args, **kwargs):
    backends = numba_cuda, reference
    ours, theirs = (getattr(kernels, operation)(*args, **kwargs) for kernels in backends)
    for a, b in zip(*((r if isinstance(r, tuple) else (r,)) for r in (ours, theirs)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    return ours

if True:
"""


@pytest.mark.parametrize("operation", CASES)
def test_twin(operation):
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM + CASES[operation]],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
