"""onnxruntime as the judge of exported networks."""

import copy

import numpy as np
import onnxruntime

import minicnn
from minicnn import no_grad
from minicnn.layers import Layer
from minicnn.onnx import to_onnx


def session(contents):
    """A session on one thread: the networks of the tests are tiny."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])


def run(contents, x):
    """The output for images, given as the file takes them."""
    (y,) = session(contents).run(None, {"input": np.ascontiguousarray(x)})
    return y


def to_nchw(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def ours(model: Layer, x):
    """The output of a copy of the model in float64 and evaluation mode, by the definition.

    Images are `(N, C, H, W)`, as the file gives them.
    """
    model = copy.deepcopy(model).astype(np.float64).eval()
    minicnn.use("reference")
    with no_grad():
        y = model(x.astype(np.float64))
    return to_nchw(y) if y.ndim == 4 else y


def distance(found, expected):
    """The largest difference, relative to the largest expected number."""
    assert found.shape == expected.shape
    return abs(found - expected).max() / abs(expected).max()


def randomized(model, seed=0):
    """The model with no parameter or statistic left at an initial zero or one."""
    generator = np.random.default_rng(seed)
    for _, parameter in model.named_parameters():
        if parameter.value.ndim == 1:
            parameter.value += 0.3 * generator.standard_normal(parameter.value.shape)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer += 0.3 * generator.standard_normal(buffer.shape)
        elif name.endswith("running_var"):
            buffer *= generator.uniform(0.5, 1.5, buffer.shape)
    return model


def images(shape, batch=2, seed=1):
    return np.random.default_rng(seed).standard_normal((batch, *shape)).astype(np.float32)


def check(model, folder, shape, tolerance=1e-5, batch=2, **options):
    """Export the model; onnxruntime's output must be ours. Returns the ModelProto."""
    path = folder / "exported.onnx"
    proto = to_onnx(model, path, input_shape=shape, **options)
    x = images(shape, batch)
    assert distance(run(str(path), to_nchw(x)), ours(model, x)) < tolerance
    return proto
