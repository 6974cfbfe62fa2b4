"""The CPU kernels beyond what every backend is tested for: their algorithms, threads, forks, determinism, other instruction sets."""

import functools
import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import minicnn
from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import conv, winograd
from minicnn.kernels.cpu.engine import launch, memory
from minicnn.kernels.geometry import window

# n, h, w, c, k, kernel, stride, padding, dilation, groups: what the random small cases of the other tests seldom meet
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
]
BOUNDS = {
    "auto": 1e-5,
    "direct": 2e-6,
    "winograd2": 5e-6,
    "winograd4": 1e-5,
}  # relative L2 error against float64


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


@pytest.mark.parametrize("algorithm", conv.ALGORITHMS)
@pytest.mark.parametrize("index", range(len(SHAPES)))
def test_algorithms(index, algorithm):
    """Every algorithm on every shape that it can do, within its bound."""
    x, weight, bias, dy, geometry, exact = case(index)
    shape = window(
        x.shape[1:3],
        weight.shape[:2],
        *(geometry[key] for key in ("stride", "padding", "dilation")),
    )
    if algorithm != "auto" and algorithm not in conv.possible(
        shape, x.shape[3], weight.shape[3], geometry["groups"]
    ):
        with conv.algorithm(algorithm):  # what it cannot do, "auto" does
            np.testing.assert_array_equal(
                cpu.conv2d(x, weight, bias, **geometry), cpu.conv2d(x, weight, bias, **geometry)
            )
        return
    with conv.algorithm(algorithm):
        for ours, theirs, name in zip(
            passes(x, weight, bias, dy, geometry), exact, ("y", "dx", "dw", "db"), strict=True
        ):
            assert error(ours, theirs) < BOUNDS[algorithm], name


def test_winograd_matrices():
    """F(m, r) computes a correlation exactly, in rational arithmetic as good as in float64."""
    generator = np.random.default_rng(0)
    for m, r in ((2, 3), (4, 3), (2, 5), (3, 4), (5, 2)):
        at, g, bt = winograd.matrices(m, r)
        d, f = generator.standard_normal(m + r - 1), generator.standard_normal(r)
        np.testing.assert_allclose(
            at @ ((g @ f) * (bt @ d)), np.correlate(d, f, "valid"), rtol=1e-10
        )


def test_unknown_algorithm():
    with (
        pytest.raises(
            ValueError,
            match=r"unknown algorithm 'fft'; expected one of auto, direct, winograd2, winograd4",
        ),
        conv.algorithm("fft"),
    ):
        pass


@pytest.mark.parametrize("index", [0, 5, 10])
def test_bit_identical_from_run_to_run(index):
    x, weight, bias, dy, geometry, _ = case(index)
    first, second = (passes(x, weight, bias, dy, geometry) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_number_of_threads():
    x, weight, bias, dy, geometry, exact = case(7)
    before = launch.threads()
    try:
        minicnn.set_num_threads(1)
        assert minicnn.get_num_threads() == 1
        for ours, theirs in zip(passes(x, weight, bias, dy, geometry), exact, strict=True):
            assert error(ours, theirs) < 1e-5
    finally:
        minicnn.set_num_threads(before)
    for wrong in (0, 10_000, 1.5, True):
        with pytest.raises(ValueError, match=r"set_num_threads\(.*expected 1 to "):
            minicnn.set_num_threads(wrong)


def test_two_python_threads_at_once():
    """Kernels let go of the interpreter's lock; two callers neither disturb each other nor crash."""
    wrong = []

    def work(index):
        x, weight, bias, dy, geometry, exact = case(index)
        for _ in range(20):
            if any(
                error(a, b) > 1e-5
                for a, b in zip(passes(x, weight, bias, dy, geometry), exact, strict=True)
            ):
                wrong.append(index)

    for index in (0, 7):
        case(index)
    workers = [threading.Thread(target=work, args=(index,)) for index in (0, 7, 0)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def _in_child(queue):
    x, weight, bias, dy, geometry, exact = case(7)
    queue.put(
        [
            float(error(a, b))
            for a, b in zip(passes(x, weight, bias, dy, geometry), exact, strict=True)
        ]
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_after_a_fork():
    """OpenMP aborts a forked child that starts threads again: the child works alone."""
    x, weight, bias, dy, geometry, _ = case(7)
    passes(x, weight, bias, dy, geometry)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert max(queue.get(timeout=300)) < 1e-5
    child.join()
    assert child.exitcode == 0


def test_slices_of_channels_in_and_out():
    """Branches of a concatenation are read and written in place, without a copy."""
    generator = np.random.default_rng(0)
    wide = generator.standard_normal((2, 8, 8, 80), dtype=np.float32)
    x, weight = wide[..., 16:48], generator.standard_normal((3, 3, 32, 32), dtype=np.float32)
    for algorithm in conv.ALGORITHMS:
        room = np.full((2, 8, 8, 64), np.nan, np.float32)
        with conv.algorithm(algorithm):
            assert cpu.conv2d(x, weight, padding=1, out=room[..., 16:48]).base is room
            np.testing.assert_array_equal(
                room[..., 16:48], cpu.conv2d(np.ascontiguousarray(x), weight, padding=1)
            )
        assert np.isnan(room[..., :16]).all() and np.isnan(room[..., 48:]).all(), (
            "a neighbor was overwritten"
        )


def test_nan_is_not_lost():
    """A network that diverged says so: neither ReLU nor pooling turns NaN into a number."""
    x = np.full((1, 4, 4, 20), -1, np.float32)
    x[0, 1, 1] = np.nan
    assert np.isnan(cpu.relu(x)[0, 1, 1]).all()
    y, _ = cpu.max_pool2d(x, 2)
    assert np.isnan(y[0, 0, 0]).all() and (y[0, 1] == -1).all()
    assert np.isnan(cpu.add(x, x, "relu")[0, 1, 1]).all()
    assert np.isnan(cpu.softmax(x[0, :, 1])[1]).all()


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
        same(cpu.conv2d_grad_weight(y, x, w.shape, padding=1), reference.conv2d_grad_weight(y, x, w.shape, padding=1))
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


@pytest.mark.parametrize(("name", "lanes"), [("avx2", 8), ("portable", 4)])
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


def test_import_is_light():
    """Numba takes half a second to import: it comes with the first float32 operation, not with `import minicnn`."""
    code = "import sys, minicnn, minicnn.models; print('numba' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "False\n"
    )


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


CACHED = """
import numpy as np
from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import conv
g = np.random.default_rng(0)
x, w = g.standard_normal((20, 6, 6, 16), dtype=np.float32), g.standard_normal((3, 3, 16, 48), dtype=np.float32)
y = reference.conv2d(x, w, padding=1)
for algorithm in {algorithms}:
    with conv.algorithm(algorithm):
        assert abs(cpu.conv2d(x, w, padding=1) - y).max() < 1e-4 * abs(y).max(), algorithm
"""


def test_kernels_from_the_cache_call_their_own_functions(tmp_path):
    """Kernels compiled in different processes and loaded into one: functions of the same name must not be taken for each other."""
    for algorithms in (
        ("winograd2",),
        ("winograd4",),
        ("winograd4", "winograd2"),
        ("winograd2", "winograd4"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", CACHED.format(algorithms=algorithms)],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (algorithms, done.stderr[-1000:])


def test_names_of_kernel_functions_are_unique():
    def twice():
        pass

    launch.inline(twice)
    with pytest.raises(ValueError, match="there is a kernel function .*twice"):
        launch.inline(twice)


def test_large_arrays_go_past_the_caches(monkeypatch):
    """Arrays that no cache holds are written with other instructions, which ask for alignment: results stay what they were."""
    generator = np.random.default_rng(0)
    x, dy = (generator.standard_normal((9, 96, 96, 80), dtype=np.float32) for _ in range(2))
    assert memory.non_temporal(cpu.empty(x, x.shape), 80) and not memory.non_temporal(
        cpu.empty(x, x.shape), 81
    )
    ones = np.ones(80, np.float32)

    def results():
        y, mean, inv_std = cpu.batch_norm(
            x, ones, ones, ones.copy(), ones.copy(), activation="relu"
        )
        normed, scale = cpu.local_response_norm(x)
        pooled, argmax = cpu.max_pool2d(x, 3, 2)
        wide = np.zeros((9, 96, 96, 160), np.float32)
        cpu.batch_norm(
            x, ones, ones, ones.copy(), ones.copy(), out=wide[..., 3:83]
        )  # starts between vectors
        return (
            *(y, cpu.batch_norm_grad(dy, x, ones, mean, inv_std, True, ones, "relu")[0], wide),
            *(
                normed,
                cpu.local_response_norm_grad(dy, x, normed, scale),
                cpu.max_pool2d_grad(pooled, argmax, x.shape, 3, 2),
            ),
            *(cpu.add(x, dy, "relu"), cpu.relu(x), cpu.activation_grad(dy, y, "relu")),
        )

    far = results()
    monkeypatch.setattr(memory, "NON_TEMPORAL_BYTES", x.nbytes)
    for a, b in zip(far, results(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_kept_filters_follow_the_weights():
    """In evaluation transformed filters serve again, until a weight changes: in place, by whatever means, and be it one bit."""
    layer = minicnn.layers.Conv2d(16, 32, 3, padding=1)
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 16), dtype=np.float32)

    def answers():
        with conv.algorithm("winograd4"), minicnn.no_grad():
            return layer.eval()(x), reference.conv2d(
                x, layer.weight.value, layer.bias.value, padding=1
            )

    kept = None
    for change in (None, (0, 0, 0, 0), (2, 2, 15, 31), (1, 1, 7, 3)):
        if change:
            layer.weight.value[change] = (
                np.nextafter(layer.weight.value[change], np.float32(9))
                if change == (1, 1, 7, 3)
                else 5
            )
        np.testing.assert_allclose(*answers(), atol=1e-4)
        assert layer._kept["filters"] is not kept
        kept = layer._kept["filters"]
        np.testing.assert_allclose(*answers(), atol=1e-4)
        assert layer._kept["filters"] is kept
    layer.weight.value = -layer.weight.value
    np.testing.assert_allclose(*answers(), atol=1e-4)
    layer.train()(x)
    assert layer._kept is None
