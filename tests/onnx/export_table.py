"""Compare onnxruntime with ours, name by name: `python -m tests.onnx.export_table [NAME ...]`.

For each name at its own input size, with no parameter at an initial zero or one: the largest
difference of onnxruntime's output from ours in float32, relative to the largest output, also with
folded batch norms; the nodes and the size of the file. Fails if a distance exceeds 1e-5.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import minicnn
from minicnn import models, no_grad
from minicnn.layers import BatchNorm2d, Residual, fuse
from minicnn.onnx import to_onnx

from .runtime import distance, images, randomized, run, to_nchw

LIMIT = 1e-5


def calibrate(model, x):
    """Make a deep network well-conditioned, as a trained one is: rounding must not grow.

    Residual blocks add little to their input, and batch norms have the statistics of x.
    """
    for _, block in model.named_layers():
        if isinstance(block, Residual):
            *_, last = (layer for layer in block.body if getattr(layer, "weight", None))
            last.weight.value *= 0.1
    norms = [layer for _, layer in model.named_layers() if isinstance(layer, BatchNorm2d)]
    for layer in norms:
        layer.momentum = 1.0
    with no_grad():
        if norms:
            model.train()(x)
    model.eval()


def measure(name, folder):
    """The distance, that of the folded file, the nodes, the size in MiB, the seconds."""
    started = time.perf_counter()
    model = randomized(models.create(name, seed=1))
    x = images(model.input_shape, batch=2)
    calibrate(model, x)
    with no_grad():
        y = fuse(model)(x)
    if not (np.isfinite(y).all() and abs(y).max() > 0):
        raise ValueError(f"{name}: the outputs are {y}; nothing can be compared")
    path, errors, nodes = folder / f"{name}.onnx", [], []
    for fold in (False, True):
        nodes.append(len(to_onnx(model, path, fold_batch_norm=fold).graph.node))
        errors.append(distance(run(str(path), to_nchw(x)), to_nchw(y) if y.ndim == 4 else y))
    size = path.stat().st_size / 2**20
    path.unlink()
    return *errors, nodes[0], size, time.perf_counter() - started


def again(name, folder):
    """The distances of the imported file from the network: of the output and of dx."""
    model = randomized(models.create(name, seed=1))
    x = images(model.input_shape, batch=2)
    calibrate(model, x)
    path = folder / f"{name}.onnx"
    to_onnx(model, path)
    results = []
    for network in (model, models.from_onnx(path)):
        y = network.eval()(x)
        dy = np.random.default_rng(2).standard_normal(y.shape).astype(y.dtype)
        results.append((y, network.backward(dy)))
    path.unlink()
    (y, dx), (found, gradient) = results
    return distance(found, y), distance(gradient, dx)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=models.names())
    parser.add_argument(
        "--again", action="store_true", help="import the file, and compare outputs and gradients"
    )
    options, failed = parser.parse_args(), []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names:
            if options.again:
                errors = again(name, Path(folder))
                print(f"{name:24} {errors[0]:8.1e} {errors[1]:8.1e} imported", flush=True)
                failed += [name] * (not max(errors) < LIMIT)
                continue
            error, folded, nodes, size, seconds = measure(name, Path(folder))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(
                f"{name:24} {error:8.1e} {folded:8.1e} {nodes:5} nodes {size:7.1f} MiB "
                f"{seconds:6.1f} s, peak {peak:.1f} GiB",
                flush=True,
            )
            if not max(error, folded) < LIMIT:
                failed.append(name)
    print(f"minicnn {minicnn.__version__}; further than {LIMIT}: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
