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
from minicnn.kernels.cpu.engine.weight_cache import _caches, weight_cache
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
    """Without gradients transformed filters are reused until a weight changes, be it by one bit."""
    layer = minicnn.layers.Conv2d(16, 32, 3, padding=1)
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 16), dtype=np.float32)

    def answers():
        with conv.algorithm("winograd4"), minicnn.no_grad():
            return layer.eval()(x), reference.conv2d(
                x, layer.weight.value, layer.bias.value, padding=1
            )

    def filters():
        return _caches[id(layer.weight.value)][1]["filters"]

    kept = None
    for change in (None, (0, 0, 0, 0), (2, 2, 15, 31), (1, 1, 7, 3)):
        if change:
            layer.weight.value[change] = (
                np.nextafter(layer.weight.value[change], np.float32(9))
                if change == (1, 1, 7, 3)
                else 5
            )
        np.testing.assert_allclose(*answers(), atol=1e-4)
        assert filters() is not kept
        kept = filters()
        np.testing.assert_allclose(*answers(), atol=1e-4)
        assert filters() is kept
    layer.weight.value = -layer.weight.value
    np.testing.assert_allclose(*answers(), atol=1e-4)
    key = id(layer.weight.value)
    assert key in _caches
    layer.train()(x)
    assert key not in _caches, "with gradients nothing is kept"


def test_kept_filters_go_with_the_weights():
    w = np.ones((3, 3, 16, 16), np.float32)
    with minicnn.no_grad():
        weight_cache(w)["filters"] = 1
    key = id(w)
    del w
    assert key not in _caches


# -- numerics -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize(
    ("name", "amplitude", "slope"), [("tanh", 1, 1), ("scaled_tanh", np.float32(1.7159), 2 / 3)]
)
def test_tanh_gradients_keep_their_digits_where_they_saturate(backend, name, amplitude, slope):
    """The derivative from float32 outputs is exact to a few roundings, relative to itself."""
    x = np.linspace(-11, 11, 4001, dtype=np.float32)
    y = backend.activate(x, name)
    ours = backend.activation_grad(np.ones_like(y), y, name).astype(np.float64)
    amplitude, wide = np.float64(amplitude), y.astype(np.float64)
    exact = slope / amplitude * (amplitude - wide) * (amplitude + wide)
    assert (exact[abs(x) > 7] < 1e-3).all()
    assert (abs(ours - exact) <= 4e-7 * exact).all()


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize("beta", [0.5, 0.6, 0.75, 1.0])
def test_local_response_norm_propagates_nan(backend, beta):
    x = np.ones((1, 1, 2, 40), np.float32)
    x[0, 0, 0, 20] = np.nan
    y, scale = backend.local_response_norm(x, 5, 1.0, beta)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(y)), np.arange(18, 23))
    dx = backend.local_response_norm_grad(np.ones_like(x), x, y, scale, 5, 1.0, beta)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(dx)), np.arange(16, 25))


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize("value", [1e4, -3.3e3, 0.1, 1e6])
@pytest.mark.parametrize("shape", [(2, 9, 9, 5), (1, 9, 18, 40), (4, 64, 64, 3)])
def test_batch_norm_of_constant_channels_gives_the_bias(backend, value, shape):
    x, channels = np.full(shape, value, np.float32), shape[-1]
    gamma, beta = np.full(channels, 2, np.float32), np.arange(channels, dtype=np.float32)
    zeros = np.zeros(channels, np.float32)
    y, mean, inv_std = backend.batch_norm(x, gamma, beta, zeros.copy(), zeros.copy())
    np.testing.assert_array_equal(mean, x[0, 0, 0])
    np.testing.assert_array_equal(y, np.broadcast_to(beta, shape))
    dy = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    _, dgamma, _ = backend.batch_norm_grad(dy, x, gamma, mean, inv_std)
    np.testing.assert_array_equal(dgamma, zeros)


def test_batch_norm_of_a_small_spread_about_a_large_mean():
    generator = np.random.default_rng(0)
    x = (1e4 + generator.standard_normal((8, 33, 31, 20))).astype(np.float32)
    ones, zeros = np.ones(20, np.float32), np.zeros(20, np.float32)
    y, *_ = cpu.batch_norm(x, ones, zeros, zeros.copy(), zeros.copy())
    wide = x.astype(np.float64)
    exact = (wide - wide.mean((0, 1, 2))) / np.sqrt(wide.var((0, 1, 2)) + 1e-5)
    assert abs(y - exact).max() < 2e-3


# -- the cache of compiled kernels ----------------------------------------------------------------

RELU = """
import warnings, numpy as np
from minicnn.kernels import cpu
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    assert (cpu.relu(np.array([-1, 2], np.float32)) == [0, 2]).all()
    cpu.tanh(np.ones(3, np.float32))
print(len([w for w in said if "NUMBA_CACHE_DIR" in str(w.message)]))
"""


def run_relu(folder, program=RELU):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"\xff" * 200, None])
def test_damaged_cache_files_are_replaced(tmp_path, kind, damage):
    run_relu(tmp_path)
    files = [p for p in tmp_path.rglob(f"*.{kind}") if "rectify" in p.name]
    assert files
    sizes = {}
    for path in files:
        whole = path.read_bytes()
        sizes[path] = len(whole)
        path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert run_relu(tmp_path) == "0"
    assert all(path.stat().st_size > 0.9 * size for path, size in sizes.items())


def test_without_a_writable_folder_kernels_run_and_say_so_once():
    program = (
        "from numba.core import caching\n"
        "def refuse(self): raise OSError('read-only')\n"
        "caching._CacheLocator.ensure_cache_path = refuse\n"
        "import warnings; warnings.simplefilter('error')\n"
        "said = []; warnings.showwarning = lambda m, *rest, **more: said.append(str(m))\n"
        "warnings.simplefilter('always')\n"
        "import numpy as np\n"
        "from minicnn.kernels import cpu\n"
        "assert (cpu.relu(np.array([-1, 2], np.float32)) == [0, 2]).all()\n"
        "print(len(said), 'NUMBA_CACHE_DIR' in said[0])"
    )
    assert run_relu("", program) == "1 True"


# -- what kernels are given -----------------------------------------------------------------------


def f32(*shape):
    return np.ones(shape, np.float32)


X, W, V = f32(2, 6, 6, 16), f32(3, 3, 16, 32), f32(16)
REFUSED = {
    "conv2d: channels": lambda: cpu.conv2d(X, f32(3, 3, 8, 32)),
    "conv2d: bias": lambda: cpu.conv2d(X, W, f32(1)),
    "conv2d_affine: scale": lambda: cpu.conv2d_affine(X, W, f32(31), f32(32)),
    "conv2d: out": lambda: cpu.conv2d(X, W, out=f32(2, 4, 4, 31)),
    "conv2d: empty": lambda: cpu.conv2d(f32(0, 6, 6, 16), W),
    "conv2d: groups": lambda: cpu.conv2d(X, f32(3, 3, 4, 30), groups=4),
    "conv2d_grad_input: dy": lambda: cpu.conv2d_grad_input(f32(2, 4, 4, 8), W, X.shape),
    "conv2d_grad_input: x_shape": lambda: cpu.conv2d_grad_input(f32(2, 4, 4, 32), W, (2, 9, 9, 16)),
    "conv2d_grad_weight: dy": lambda: cpu.conv2d_grad_weight(f32(1, 4, 4, 32), X, W.shape),
    "conv2d_grad_weight: w": lambda: cpu.conv2d_grad_weight(f32(2, 4, 4, 32), X, (3, 3, 8, 32)),
    "max_pool2d: out": lambda: cpu.max_pool2d(X, 2, out=f32(1, 3, 3, 16)),
    "max_pool2d_grad: dy": lambda: cpu.max_pool2d_grad(
        f32(2, 3, 3, 8), np.zeros((2, 3, 3, 16), np.uint8), X.shape, 2
    ),
    "max_pool2d_grad: argmax": lambda: cpu.max_pool2d_grad(
        f32(2, 3, 3, 16), np.zeros((2, 3, 3, 8), np.uint8), X.shape, 2
    ),
    "avg_pool2d_grad: dy": lambda: cpu.avg_pool2d_grad(f32(2, 3, 2, 16), X.shape, 2),
    "global_avg_pool2d_grad: dy": lambda: cpu.global_avg_pool2d_grad(f32(2, 8), X.shape),
    "batch_norm: gamma": lambda: cpu.batch_norm(X, f32(1), V, V, V),
    "batch_norm: beta": lambda: cpu.batch_norm(X, V, f32(8), V, V),
    "batch_norm: running": lambda: cpu.batch_norm(X, V, V, f32(4), V, training=False),
    "batch_norm_add: other": lambda: cpu.batch_norm_add(X, f32(1, 6, 6, 16), V, V, V, V),
    "batch_norm: empty": lambda: cpu.batch_norm(f32(0, 6, 6, 16), V, V, V, V),
    "batch_norm_grad: dy": lambda: cpu.batch_norm_grad(f32(1), X, V, V, V),
    "batch_norm_grad: mean": lambda: cpu.batch_norm_grad(X, X, V, f32(3), V),
    "local_response_norm: size": lambda: cpu.local_response_norm(X, size=0),
    "local_response_norm_grad: dy": lambda: cpu.local_response_norm_grad(f32(1), X, X, X),
    "local_response_norm_grad: scale": lambda: cpu.local_response_norm_grad(X, X, X, f32(2, 16)),
    "relu_grad: dy": lambda: cpu.relu_grad(f32(1), X),
    "tanh_grad: y": lambda: cpu.tanh_grad(X, f32(16)),
    "relu: out": lambda: cpu.relu(X, out=f32(2, 6, 6, 15)),
    "add: b": lambda: cpu.add(X, f32(16)),
    "dropout: out": lambda: cpu.dropout(X, 0.5, np.random.default_rng(0), out=f32(16)),
    "dropout_grad: keep": lambda: cpu.dropout_grad(X, np.ones(16, bool), 0.5),
    "linear: w": lambda: cpu.linear(f32(4, 8), f32(9, 3)),
    "linear: b": lambda: cpu.linear(f32(4, 8), f32(8, 3), f32(1)),
    "linear: x": lambda: cpu.linear(f32(8), f32(8, 3)),
    "linear: out": lambda: cpu.linear(f32(4, 8), f32(8, 3), out=f32(4, 2)),
    "linear_grad_input: w": lambda: cpu.linear_grad_input(f32(4, 3), f32(8, 4)),
    "linear_grad_weight: x": lambda: cpu.linear_grad_weight(f32(4, 3), f32(3, 8)),
    "softmax_cross_entropy: labels": lambda: cpu.softmax_cross_entropy(f32(4, 3), np.zeros(3, int)),
    "softmax_cross_entropy: 1-D": lambda: cpu.softmax_cross_entropy(f32(3), np.zeros(3, int)),
    "softmax_cross_entropy: empty": lambda: cpu.softmax_cross_entropy(f32(0, 3), np.zeros(0, int)),
    "sgd_update: g": lambda: cpu.sgd_update([X], [f32(1)], [X.copy()], [0.1], [0.0]),
    "sgd_update: v": lambda: cpu.sgd_update([X], [X.copy()], [f32(16)], [0.1], [0.0]),
    "sgd_update: count": lambda: cpu.sgd_update([X], [], [X.copy()], [0.1], [0.0]),
    "sgd_update: rates": lambda: cpu.sgd_update([X, X], [X, X], [X, X], [0.1], [0.0, 0.0]),
    "adam_update: m": lambda: cpu.adam_update([X], [X], [f32(3)], [X], [0.1], [0.0], 1),
    "rmsprop_update: s": lambda: cpu.rmsprop_update([X], [X], [f32(3)], [X], [0.1], [0.0]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_shapes_are_refused_before_a_kernel_runs(name):
    """One sentence with the shape given; memory that a kernel would change stays as it is."""
    before = [a.copy() for a in (X, W, V)]
    with pytest.raises(ValueError, match="expected|parameters"):
        REFUSED[name]()
    for a, b in zip((X, W, V), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_views_types_and_subclasses_are_host_arrays():
    """Strides, other types and subclasses of ndarray give what a plain array gives."""

    class Mine(np.ndarray):
        pass

    generator = np.random.default_rng(0)
    x, w = (generator.standard_normal(s, dtype=np.float32) for s in ((2, 9, 9, 16), (3, 3, 16, 32)))
    plain = cpu.conv2d(x, w, padding=1), cpu.relu(x), *cpu.max_pool2d(x, 2)
    doubled = np.repeat(x, 2, axis=2)[:, :, ::2]
    bordered = np.zeros((2, 9, 9, 48), np.float32)
    bordered[..., 5:21] = x
    for other in (
        x.view(Mine), doubled, bordered[..., 5:21], x[::-1].copy()[::-1], np.asfortranarray(x),
        x.astype(np.float64), x.astype(">f4"),
    ):  # fmt: skip
        ours = cpu.conv2d(other, w, padding=1), cpu.relu(other), *cpu.max_pool2d(other, 2)
        for a, b in zip(ours, plain, strict=True):
            np.testing.assert_array_equal(a, b)


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


def test_sums_over_many_rows_keep_their_digits():
    """One value, added 65,536 times: a running sum in float32 is off by 6e-4."""
    x = np.full((1 << 16, 4), 0.1, np.float32)
    dw, db = cpu.linear_grad_weight(x, x)
    np.testing.assert_allclose(dw, 0.01 * (1 << 16), rtol=1e-4)
    np.testing.assert_allclose(db, 0.1 * (1 << 16), rtol=1e-4)
    odd = np.random.default_rng(0).standard_normal((4099, 5), dtype=np.float32)
    dw, db = cpu.linear_grad_weight(odd, odd)
    np.testing.assert_allclose(dw, odd.astype(float).T @ odd.astype(float), rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(db, odd.astype(float).sum(0), rtol=1e-5, atol=1e-3)
