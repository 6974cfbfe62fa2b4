"""Vectors: elementary functions, other instruction sets, and the ends of arrays."""

import os
import subprocess
import sys

import numpy as np
import pytest

from minicnn.kernels import cpu


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid"])
def test_functions(name):
    """The polynomials, over the whole range that float32 has for them."""
    x = np.linspace(-87, 88, 100_001) if name == "exp" else np.linspace(-30, 30, 100_001)
    x = np.concatenate([x, np.geomspace(1e-30, 1, 1001)]).astype(np.float32)
    wide = x.astype(float)
    if name == "exp":  # as softmax has it: both sides divide by the same largest
        pair = np.stack([np.minimum(x, 0), np.zeros_like(x)], axis=1)
        ours, exact = (
            cpu.softmax(pair)[:, 0],
            np.exp(pair[:, 0].astype(float)) / (1 + np.exp(pair[:, 0].astype(float))),
        )
    elif name == "log":  # as LRN has it, with a power that is no square root: y = x (x^2)^-0.6
        x = np.geomspace(1e-15, 1e15, 100_001).astype(np.float32)
        ours, exact = (
            cpu.local_response_norm(x[:, None], 1, 1.0, 0.6, 0.0)[0][:, 0],
            x.astype(float) ** -0.2,
        )
    else:
        ours, exact = (
            getattr(cpu, name)(x),
            {"tanh": np.tanh(wide), "sigmoid": 1 / (1 + np.exp(-wide))}[name],
        )
    np.testing.assert_allclose(ours, exact, rtol=1e-6 if name != "log" else 1e-5, atol=1e-36)


SMALL = """
import numpy as np
from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import conv
from minicnn.kernels.cpu.engine import simd
assert (simd.INSTRUCTIONS, simd.LANES) == ({name!r}, {lanes})
g = np.random.default_rng(0)
a = lambda *s: g.standard_normal(s, dtype=np.float32)
def same(ours, theirs):
    for o, t in zip(ours, theirs, strict=True):
        assert abs(o - t).max() <= 2e-5 * abs(t).max(), abs(o - t).max()
x, w, b = a(2, 9, 9, 32), a(3, 3, 32, 48), a(48)
y = reference.conv2d(x, w, b, padding=1)
for algorithm in ("direct", "winograd4"):
    with conv.algorithm(algorithm):
        same([cpu.conv2d(x, w, b, padding=1), cpu.conv2d_grad_input(y, w, x.shape, padding=1)],
             [y, reference.conv2d_grad_input(y, w, x.shape, padding=1)])
        same(cpu.conv2d_grad_weight(y, x, w.shape, padding=1),
             reference.conv2d_grad_weight(y, x, w.shape, padding=1))
x, w, b = a(3, 7, 6, 3), a(3, 2, 3, 5), a(5)
same([cpu.conv2d(x, w, b, 2)], [reference.conv2d(x, w, b, 2)])
same(cpu.max_pool2d(x, 3, 2, 1)[:1], reference.max_pool2d(x, 3, 2, 1)[:1])
rows, m = a(20, 13), a(13, 21)
same([cpu.linear(rows, m), cpu.linear_grad_input(rows @ m, m)], [rows @ m, rows @ m @ m.T])
same(cpu.linear_grad_weight(rows @ m, rows), reference.linear_grad_weight(rows @ m, rows))
s, o = np.zeros(3, np.float32), np.ones(3, np.float32)
same(cpu.batch_norm(x, o, s, s.copy(), o.copy()), reference.batch_norm(x, o, s, s.copy(), o.copy()))
same([cpu.softmax(rows)], [reference.softmax(rows)])
print("agree")
"""


@pytest.mark.parametrize(("name", "lanes"), [("avx2", 8), ("neon", 4)])
def test_other_instruction_sets(name, lanes):
    """The same source with narrower vectors; LLVM makes of them what this machine has."""
    done = subprocess.run(
        [sys.executable, "-c", SMALL.format(name=name, lanes=lanes)],
        env=os.environ | {"MINICNN_SIMD": name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "agree\n", done.stderr[-2000:]


def test_a_wrong_choice_of_instructions_is_named():
    code = "from minicnn.kernels import dispatch; print(dispatch.load('cpu'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MINICNN_SIMD": "mmx"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "MINICNN_SIMD='mmx': expected one of avx512, avx2, neon, portable\n"


def guarded(shape, dtype=np.float32):
    """An array of ones with canaries before and behind it, and the check that they live."""
    size, edge = int(np.prod(shape)), 256
    block = np.full(size + 2 * edge, 77, dtype)
    inner = block[edge : edge + size].reshape(shape)
    inner[...] = 1

    def check():
        assert (block[:edge] == 77).all() and (block[edge + size :] == 77).all()

    return inner, check


@pytest.mark.parametrize("channels", [1, 3, 15, 17, 33])
def test_results_do_not_run_over_their_ends(channels):
    """Odd sizes leave part of a vector at every end."""
    x = np.ones((1, 5, 7, channels), np.float32)
    vectors = [np.ones(channels, np.float32) for _ in range(4)]
    shapes = {
        (1, 5, 7, channels): (
            lambda out: cpu.relu(x, out=out),
            lambda out: cpu.tanh(x, out=out),
            lambda out: cpu.add(x, x, out=out),
            lambda out: cpu.dropout(x, 0.5, np.random.default_rng(0), out=out),
            lambda out: cpu.batch_norm(x, *vectors, out=out),
            lambda out: cpu.local_response_norm(x, out=out),
            lambda out: cpu.conv2d(
                x, np.ones((3, 3, channels, channels), np.float32), padding=1, out=out
            ),
        ),
        (1, 2, 3, channels): (
            lambda out: cpu.max_pool2d(x, 2, out=out),
            lambda out: cpu.avg_pool2d(x, 2, out=out),
        ),
        (3, channels): (
            lambda out: cpu.linear(
                np.ones((3, 5), np.float32), np.ones((5, channels), np.float32), out=out
            ),
        ),
    }
    for shape, calls in shapes.items():
        for call in calls:
            out, check = guarded(shape)
            call(out)
            check()
    arrays = [guarded((3, channels)) for _ in range(4)]
    (w, _), (g, _), (m, _), (v, _) = arrays
    cpu.sgd_update([w], [g], [m], [0.1], [0.0])
    cpu.adam_update([w], [g], [m], [v], [0.1], [0.0], 1)
    cpu.rmsprop_update([w], [g], [m], [v], [0.1], [0.0])
    for _, check in arrays:
        check()
