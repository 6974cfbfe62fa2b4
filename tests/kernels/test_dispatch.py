"""Choosing a backend, and running the reference on arrays that are not NumPy's."""

import importlib
import inspect
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

import minicnn
from minicnn.kernels import dispatch, functional, reference


@pytest.fixture
def fast(monkeypatch):
    """A backend "cpu" that has only relu."""
    module = types.ModuleType("minicnn.kernels.cpu")
    module.relu = lambda x, out=None: "fast relu"
    monkeypatch.setitem(sys.modules, "minicnn.kernels.cpu", module)
    original = dispatch.load
    monkeypatch.setattr(
        dispatch, "load", lambda name: module if name == "cpu" else original.__wrapped__(name)
    )
    return module


def test_fast_backend_serves_float32(fast):
    x32, x64 = np.ones(3, np.float32), np.ones(3)
    assert functional.relu(x32) == "fast relu"
    assert functional.relu(x64) is not None and not isinstance(functional.relu(x64), str), (
        "float64 belongs to the reference"
    )
    np.testing.assert_array_equal(functional.tanh(x32), np.tanh(x32))  # an operation it lacks
    assert functional.table()["relu"]["cpu"] and not functional.table()["tanh"]["cpu"]


def test_use_as_call_and_as_block(fast):
    x = np.ones(3, np.float32)
    with minicnn.use("reference"):
        np.testing.assert_array_equal(functional.relu(x), x)
        with minicnn.use("cpu"):
            assert functional.relu(x) == "fast relu"
        assert dispatch.current() == "reference"
    assert functional.relu(x) == "fast relu"
    minicnn.use("reference")
    assert dispatch.current() == "reference"
    np.testing.assert_array_equal(functional.relu(x), x)


def test_one_use_serves_several_blocks():
    reference = minicnn.use("reference")
    for _ in range(2):
        with reference:
            assert dispatch.current() == "reference"
        assert dispatch.current() is None


def test_use_restores_after_an_error():
    with pytest.raises(ZeroDivisionError), minicnn.use("reference"):
        1 / 0  # noqa: B018
    assert dispatch.current() is None


def test_unknown_and_unavailable():
    with pytest.raises(
        ValueError, match="unknown backend 'tpu'; expected one of reference, cpu, cuda, numba_cuda"
    ):
        minicnn.use("tpu")
    with pytest.raises(RuntimeError, match="the backend 'numba_cuda' is not available: "):
        minicnn.use("numba_cuda")
    assert dispatch.current() is None


def test_every_operation_is_documented():
    for name in functional.OPERATIONS:
        assert (getattr(functional, name).__doc__ or "").strip(), name
        assert (getattr(reference, name).__doc__ or "").strip(), name


@pytest.mark.parametrize("backend", dispatch.BACKENDS)
def test_one_signature_in_every_backend(backend):
    """An operation has the same arguments, order and defaults in every backend."""
    if isinstance(dispatch.load(backend), str) and backend != "cuda":
        pytest.skip(dispatch.load(backend))
    module = importlib.import_module(f"minicnn.kernels.{backend}")
    for name in functional.OPERATIONS:
        if hasattr(module, name):
            ours = inspect.signature(getattr(functional, name)).parameters.values()
            theirs = inspect.signature(getattr(module, name)).parameters.values()
            pairs = [(p.name, p.default) for p in theirs]
            assert pairs == [(p.name, p.default) for p in ours], name


def test_use_belongs_to_its_thread():
    seen = []
    with minicnn.use("reference"):
        thread = threading.Thread(target=lambda: seen.append(dispatch.current()))
        thread.start()
        thread.join()
    assert seen == [None]


class DeviceArray(np.ndarray):
    """Replaces a CuPy array: it cannot be mixed with host arrays, and its module is not numpy."""

    __module__ = "pretend_device"
    __cuda_array_interface__: dict = {}  # by which it is known

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        for value in (*inputs, *out):
            if isinstance(value, np.ndarray) and not isinstance(value, DeviceArray) and value.ndim:
                raise TypeError(f"{ufunc.__name__}: a host array was mixed with a device array")

        def host(value):
            return value.view(np.ndarray) if isinstance(value, np.ndarray) else value

        if out:
            kwargs["out"] = tuple(map(host, out))
        result = getattr(ufunc, method)(*map(host, inputs), **kwargs)
        if out:
            return out[0]
        return to_device(result)

    def __array_function__(self, function, types_, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} was called on a device array")

    def __setitem__(self, key, value):
        if isinstance(value, np.ndarray) and not isinstance(value, DeviceArray) and value.ndim:
            raise TypeError("a host array was stored in a device array")
        super().__setitem__(key, value)


def to_device(x):
    return np.asarray(x).view(DeviceArray)


@pytest.fixture
def device(monkeypatch):
    """A module like cupy, whose functions take and give device arrays."""

    class Module(types.ModuleType):
        lib = types.SimpleNamespace(
            stride_tricks=types.SimpleNamespace(
                as_strided=lambda x, **kw: to_device(
                    np.lib.stride_tricks.as_strided(x.view(np.ndarray), **kw)
                )
            )
        )

        def __getattr__(self, name):
            function = getattr(np, name)
            if not callable(function) or isinstance(function, type):
                return function

            def call(*args, **kwargs):
                def host(value):
                    if isinstance(value, DeviceArray):
                        return value.view(np.ndarray)
                    return [host(v) for v in value] if isinstance(value, list) else value

                result = function(*map(host, args), **{k: host(v) for k, v in kwargs.items()})
                return to_device(result) if isinstance(result, np.ndarray | np.generic) else result

            return call

    module = Module("pretend_device")
    monkeypatch.setitem(sys.modules, "pretend_device", module)
    return module


def test_reference_runs_on_device_arrays(device):
    """Every operation computes with the functions of the module that its arrays belong to."""
    generator = np.random.default_rng(0)

    def array(*shape):
        return to_device(generator.standard_normal(shape))

    x, w, b = array(2, 6, 6, 4), array(3, 3, 2, 6), array(6)
    r = reference
    y = r.conv2d(x, w, b, padding=1, groups=2, activation="sigmoid")
    results = [
        y,
        r.conv2d_grad_input(y, w, x.shape, padding=1, groups=2),
        *r.conv2d_grad_weight(y, x, w.shape, padding=1, groups=2),
    ]
    pooled, argmax = r.max_pool2d(x, 3, 2, 1, True)
    results += [pooled, r.max_pool2d_grad(pooled, argmax, x.shape, 3, 2, 1, True)]
    mean = r.avg_pool2d(x, 3, 2, 1, True)
    results += [mean, r.avg_pool2d_grad(mean, x.shape, 3, 2, 1, True)]
    maps = r.global_avg_pool2d(x)
    results += [
        maps,
        r.global_avg_pool2d_grad(maps, x.shape),
        *r.subsample2d_grad(r.subsample2d(x, b[:4], b[:4]), x, b[:4]),
    ]
    normed, scale = r.local_response_norm(x)
    results += [normed, r.local_response_norm_grad(x, x, normed, scale)]
    running = array(4), abs(array(4))
    standard, batch_mean, inv_std = r.batch_norm(x, b[:4], b[:4], *running)
    results += [standard, *r.batch_norm_grad(x, x, b[:4], batch_mean, inv_std)]
    rows, matrix = array(5, 4), array(4, 3)
    logits = r.linear(rows, matrix, b[:3], activation="tanh")
    results += [logits, r.linear_grad_input(logits, matrix), *r.linear_grad_weight(logits, rows)]
    distances = r.rbf(rows, array(3, 4))
    results += [distances, r.rbf_grad(distances, rows, array(3, 4)), r.softmax(logits)]
    labels = to_device(np.array([0, 1, 2, 0, 1]))
    results += [r.softmax_cross_entropy(logits, labels)[1], r.map_loss(distances, labels)[1]]
    dropped, keep = r.dropout(x, 0.5, np.random.default_rng(0))
    results += [dropped, r.dropout_grad(x, keep, 0.5), r.scaled_tanh(x), r.relu(x)]
    r.sgd_update([w], [w.copy()], [array(*w.shape)], [0.1], [1e-3], 0.9)
    r.adam_update([w], [w.copy()], [array(*w.shape)], [abs(array(*w.shape))], [0.1], [0.0], 1)
    r.rmsprop_update([w], [w.copy()], [abs(array(*w.shape))], [array(*w.shape)], [0.1], [0.0])
    assert all(isinstance(result, DeviceArray) for result in results)


def test_reference_takes_classes_derived_from_ndarray():
    """They are defined anywhere: their module has none of NumPy's functions."""

    class Mine(np.ndarray):
        pass

    x, w = np.random.default_rng(0).standard_normal((1, 5, 5, 2)), np.ones((3, 3, 2, 4))
    r = reference
    for compute in (
        r.relu,
        r.softmax,
        r.gelu,
        lambda x: r.conv2d(x, w),
        lambda x: r.max_pool2d(x, 2)[0],
    ):
        np.testing.assert_array_equal(compute(x.view(Mine)), compute(x))


def test_the_device_stand_in_refuses_host_arrays(device):
    """The test above can fail."""
    with pytest.raises(TypeError, match="host array"):
        to_device(np.ones(3)) + np.ones(3)
    with pytest.raises(TypeError, match=r"numpy\.zeros_like"):
        np.zeros_like(to_device(np.ones(3)))


def test_cpu_is_there_and_is_the_default_for_float32():
    """Numba is a dependency: if its kernels cannot be loaded, that is an error, not a fallback."""
    assert isinstance(dispatch.load("cpu"), types.ModuleType), dispatch.load("cpu")
    assert (
        dispatch.select(reference.conv2d, np.zeros(1, np.float32)).__module__
        == "minicnn.kernels.cpu.conv"
    )
    assert dispatch.select(reference.conv2d, np.zeros(1)) is reference.conv2d


def test_a_fault_of_our_own_is_not_an_unavailable_backend(monkeypatch):
    def broken(name):
        raise ImportError("cannot import name 'x'", name="minicnn.kernels.cpu.engine.simd")

    monkeypatch.setattr(dispatch.importlib, "import_module", broken)
    with pytest.raises(ImportError, match="cannot import name"):
        dispatch.load.__wrapped__("cpu")


def test_import_is_light():
    """Numba takes half a second to import, so the first float32 operation imports it."""
    code = "import sys, minicnn, minicnn.models; print('numba' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "False\n"
    )


def test_intercept_replaces_what_computes_an_operation(fast):
    x, seen = np.ones(3, np.float32), []

    def trace(operation, chosen):
        seen.append((operation is reference.relu, chosen is fast.relu))
        return lambda *arguments: chosen(*arguments).upper()

    with dispatch.intercept(trace):
        assert functional.relu(x) == "FAST RELU"
    assert functional.relu(x) == "fast relu"
    assert seen == [(True, True)]


def test_operations_are_reached_under_their_old_names():
    assert dispatch.relu is functional.relu and not hasattr(dispatch, "window")
