"""Test vectors: inputs, outputs and gradients of every operation, for engines in other languages.

The numbers are those of the reference in float64, with random upstream gradients. docs/vectors.md
describes the files.
"""

import json
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from ..checks import is_one_of
from ..errors import brief
from ..files import replacing
from ..kernels import reference as R
from ..kernels.reference.activation import FROM_INPUT
from ..kernels.resampling import means, upsampling
from ..kernels.types import Array

FORMAT = "minicnn-vectors 1"
Arrays = dict[str, Array]
Settings = dict[str, Any]
# settings, inputs and what was computed; `dy` is among the inputs
Vector = tuple[Settings, Arrays, Arrays]

CONV: list[tuple[tuple[int, ...], tuple[int, ...], Settings]] = [
    ((2, 5, 4, 3), (3, 2, 3, 4), {}),
    ((1, 7, 6, 2), (3, 3, 2, 3), {"stride": 2, "padding": 1}),
    ((2, 8, 5, 1), (3, 2, 1, 2), {"stride": (3, 1), "padding": ((2, 1), (0, 1))}),
    ((2, 9, 8, 2), (3, 2, 2, 2), {"dilation": (2, 3), "padding": 2}),
    ((2, 5, 6, 4), (3, 3, 2, 6), {"groups": 2, "padding": 1}),
    ((1, 4, 4, 3), (1, 1, 3, 2), {}),
]
TRANSPOSED: list[tuple[tuple[int, ...], tuple[int, ...], Settings]] = [
    ((2, 3, 4, 3), (3, 2, 2, 3), {}),
    ((1, 4, 3, 2), (3, 3, 3, 2), {"stride": 2, "padding": 1, "output_padding": (1, 0)}),
    ((2, 3, 3, 1), (2, 3, 2, 1), {"stride": (3, 1), "padding": ((0, 1), (1, 0))}),
    ((1, 3, 4, 4), (2, 3, 3, 4), {"dilation": (2, 1), "groups": 2}),
]
POOL: list[tuple[tuple[int, ...], Settings]] = [
    ((2, 6, 4, 3), {"kernel_size": 2}),
    ((2, 7, 8, 2), {"kernel_size": 3, "stride": 2}),
    ((1, 6, 7, 2), {"kernel_size": (3, 2), "stride": (2, 3), "padding": 1}),
    ((2, 6, 8, 1), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    ((1, 6, 6, 2), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
]


def _normal(g: np.random.Generator, *shape: int) -> Array:
    return g.standard_normal(shape)


def _conv2d(g: np.random.Generator) -> Iterator[Vector]:
    for x_shape, w_shape, settings in CONV:
        x, w, b = _normal(g, *x_shape), _normal(g, *w_shape), _normal(g, w_shape[3])
        y = R.conv2d(x, w, b, **settings)
        dy = _normal(g, *y.shape)
        dw, db = R.conv2d_grad_weight(dy, x, w.shape, **settings)
        assert db is not None
        dx = R.conv2d_grad_input(dy, w, x.shape, **settings)
        yield settings, {"x": x, "w": w, "b": b, "dy": dy}, {"y": y, "dx": dx, "dw": dw, "db": db}


def _conv_transpose2d(g: np.random.Generator) -> Iterator[Vector]:
    for x_shape, w_shape, settings in TRANSPOSED:
        others = {key: value for key, value in settings.items() if key != "output_padding"}
        filters = w_shape[2] * settings.get("groups", 1)
        x, w, b = _normal(g, *x_shape), _normal(g, *w_shape), _normal(g, filters)
        y = R.conv_transpose2d(x, w, b, **settings)
        dy = _normal(g, *y.shape)
        dw, db = R.conv_transpose2d_grad_weight(dy, x, w.shape, **others)
        assert db is not None
        dx = R.conv_transpose2d_grad_input(dy, w, **others)
        yield settings, {"x": x, "w": w, "b": b, "dy": dy}, {"y": y, "dx": dx, "dw": dw, "db": db}


def _upsample2d(g: np.random.Generator) -> Iterator[Vector]:
    for mode in ("nearest", "bilinear"):
        for size, scale in (((6, 9), None), ((7, 3), (2.5, 0.75))):
            x, dy = _normal(g, 2, 3, 4, 2), _normal(g, 2, *size, 2)
            down, across = scale or (None, None)
            r, s = upsampling(3, size[0], mode, down), upsampling(4, size[1], mode, across)
            settings = {"output_size": size, "mode": mode, "scale": scale}
            found = {"y": R.resample2d(x, r, s), "dx": R.resample2d_grad(dy, r, s)}
            yield settings, {"x": x, "dy": dy}, found


def _linear(g: np.random.Generator) -> Iterator[Vector]:
    for n, d, m in ((3, 4, 5), (1, 6, 2)):
        x, w, b, dy = _normal(g, n, d), _normal(g, d, m), _normal(g, m), _normal(g, n, m)
        dw, db = R.linear_grad_weight(dy, x)
        found = {"y": R.linear(x, w, b), "dx": R.linear_grad_input(dy, w), "dw": dw, "db": db}
        yield {}, {"x": x, "w": w, "b": b, "dy": dy}, found


def _rbf(g: np.random.Generator) -> Iterator[Vector]:
    x, w, dy = _normal(g, 3, 6), _normal(g, 4, 6), _normal(g, 3, 4)
    yield {}, {"x": x, "w": w, "dy": dy}, {"y": R.rbf(x, w), "dx": R.rbf_grad(dy, x, w)}


def _max_pool2d(g: np.random.Generator) -> Iterator[Vector]:
    for shape, settings in POOL:
        x = _normal(g, *shape)
        y, argmax = R.max_pool2d(x, **settings)
        dy = _normal(g, *y.shape)
        dx = R.max_pool2d_grad(dy, argmax, x.shape, **settings)
        yield settings, {"x": x, "dy": dy}, {"y": y, "argmax": argmax.astype(np.int32), "dx": dx}


def _avg_pool2d(g: np.random.Generator) -> Iterator[Vector]:
    for shape, settings in POOL:
        for include in (True, False):
            settings = {**settings, "count_include_pad": include}
            x = _normal(g, *shape)
            y = R.avg_pool2d(x, **settings)
            dy = _normal(g, *y.shape)
            dx = R.avg_pool2d_grad(dy, x.shape, **settings)
            yield settings, {"x": x, "dy": dy}, {"y": y, "dx": dx}


def _adaptive_avg_pool2d(g: np.random.Generator) -> Iterator[Vector]:
    for size in ((2, 3), (7, 4)):
        x, dy = _normal(g, 2, 7, 8, 2), _normal(g, 2, *size, 2)
        r, s = means(7, size[0]), means(8, size[1])
        found = {"y": R.resample2d(x, r, s), "dx": R.resample2d_grad(dy, r, s)}
        yield {"output_size": size}, {"x": x, "dy": dy}, found


def _adaptive_max_pool2d(g: np.random.Generator) -> Iterator[Vector]:
    for size in ((2, 3), (7, 4)):
        x, dy = _normal(g, 2, 7, 8, 2), _normal(g, 2, *size, 2)
        y, argmax = R.adaptive_max_pool2d(x, size)
        dx = R.adaptive_max_pool2d_grad(dy, argmax, x.shape)
        yield {"output_size": size}, {"x": x, "dy": dy}, {"y": y, "argmax": argmax, "dx": dx}


def _global_avg_pool2d(g: np.random.Generator) -> Iterator[Vector]:
    x, dy = _normal(g, 2, 5, 3, 4), _normal(g, 2, 4)
    found = {"y": R.global_avg_pool2d(x), "dx": R.global_avg_pool2d_grad(dy, x.shape)}
    yield {}, {"x": x, "dy": dy}, found


def _subsample2d(g: np.random.Generator) -> Iterator[Vector]:
    for size in (2, 3):
        x, w, b = _normal(g, 2, 7, 6, 3), _normal(g, 3), _normal(g, 3)
        y = R.subsample2d(x, w, b, size)
        dy = _normal(g, *y.shape)
        dx, dw, db = R.subsample2d_grad(dy, x, w, size)
        found = {"y": y, "dx": dx, "dw": dw, "db": db}
        yield {"size": size}, {"x": x, "w": w, "b": b, "dy": dy}, found


def _local_response_norm(g: np.random.Generator) -> Iterator[Vector]:
    for size, divided, within in (
        *((5, False, False), (3, True, False), (4, False, False)),
        *((3, True, True), (2, False, True)),
    ):
        settings: Settings = {"size": size, "alpha": 0.5, "beta": 0.75, "alpha_div_n": divided}
        settings["within_channel"] = within
        x, dy = _normal(g, 2, 2, 3, 7), _normal(g, 2, 2, 3, 7)
        y, scale = R.local_response_norm(x, k=2.0, **settings)
        dx = R.local_response_norm_grad(dy, x, y, scale, **settings)
        yield {**settings, "k": 2.0}, {"x": x, "dy": dy}, {"y": y, "dx": dx}


def _batch_norm(g: np.random.Generator) -> Iterator[Vector]:
    for training in (True, False):
        x, dy = 2 * _normal(g, 3, 4, 5, 2) + 1, _normal(g, 3, 4, 5, 2)
        gamma, beta = g.uniform(0.5, 2, 2), _normal(g, 2)
        mean, var = _normal(g, 2), g.uniform(0.5, 2, 2)
        inputs = {"x": x, "gamma": gamma, "beta": beta, "dy": dy}
        inputs |= {"running_mean": mean.copy(), "running_var": var.copy()}
        y, used, inv_std = R.batch_norm(x, gamma, beta, mean, var, training, 0.1, 1e-3)
        dx, dgamma, dbeta = R.batch_norm_grad(dy, x, gamma, used, inv_std, training)
        found = {"y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}
        found |= {"new_running_mean": mean, "new_running_var": var}
        yield {"training": training, "momentum": 0.1, "eps": 1e-3}, inputs, found


def _activation(name: str, *cases: Settings) -> Callable[[np.random.Generator], Iterator[Vector]]:
    """cases: the constants of an activation that has some."""

    def vectors(g: np.random.Generator) -> Iterator[Vector]:
        for settings in cases or ({},):
            x, dy = 2 * _normal(g, 4, 6), _normal(g, 4, 6)
            y = getattr(R, name)(x, **settings)
            kept = x if name in FROM_INPUT else y
            dx = getattr(R, f"{name}_grad")(dy, kept, **settings)
            yield settings, {"x": x, "dy": dy}, {"y": y, "dx": dx}

    return vectors


def _prelu(g: np.random.Generator) -> Iterator[Vector]:
    for slopes in (3, 1):
        x, w, dy = _normal(g, 2, 3, 4, 3), _normal(g, slopes), _normal(g, 2, 3, 4, 3)
        dx, dw = R.prelu_grad(dy, x, w)
        yield {}, {"x": x, "w": w, "dy": dy}, {"y": R.prelu(x, w), "dx": dx, "dw": dw}


def _group_norm(g: np.random.Generator) -> Iterator[Vector]:
    for groups in (1, 3, 6):
        inputs = _to_normalize(g)
        x, gamma, beta, dy = inputs.values()
        y, mean, inv_std = R.group_norm(x, gamma, beta, groups, 1e-3)
        found = dict(zip(GRADIENTS, R.group_norm_grad(dy, x, gamma, mean, inv_std), strict=True))
        yield {"groups": groups, "eps": 1e-3}, inputs, {"y": y, **found}


def _layer_norm(g: np.random.Generator) -> Iterator[Vector]:
    inputs = _to_normalize(g)
    x, gamma, beta, dy = inputs.values()
    y, mean, inv_std = R.layer_norm(x, gamma, beta, 1e-3)
    found = dict(zip(GRADIENTS, R.layer_norm_grad(dy, x, gamma, mean, inv_std), strict=True))
    yield {"eps": 1e-3}, inputs, {"y": y, **found}


def _to_normalize(g: np.random.Generator) -> Arrays:
    x, dy = 2 * _normal(g, 2, 3, 4, 6) + 1, _normal(g, 2, 3, 4, 6)
    return {"x": x, "gamma": g.uniform(0.5, 2, 6), "beta": _normal(g, 6), "dy": dy}


def _add(g: np.random.Generator) -> Iterator[Vector]:
    for activation in (None, "relu"):
        a, b, dy = _normal(g, 3, 5), _normal(g, 3, 5), _normal(g, 3, 5)
        y = R.add(a, b, activation)
        dx = R.activation_grad(dy, y, activation)
        yield {"activation": activation}, {"a": a, "b": b, "dy": dy}, {"y": y, "da": dx, "db": dx}


def _dropout(g: np.random.Generator) -> Iterator[Vector]:
    x, dy = _normal(g, 4, 6), _normal(g, 4, 6)
    y, mask = R.dropout(x, 0.3, np.random.default_rng(0))
    found = {"y": y, "dx": R.dropout_grad(dy, mask, 0.3)}
    yield {"p": 0.3}, {"x": x, "dy": dy, "mask": mask}, found


def _softmax(g: np.random.Generator) -> Iterator[Vector]:
    logits = np.concatenate([_normal(g, 3, 5), 1000 * _normal(g, 1, 5)])
    y, dy = R.softmax(logits), _normal(g, 4, 5)
    yield {}, {"logits": logits, "dy": dy}, {"y": y, "dlogits": R.softmax_grad(dy, y)}


def _softmax_cross_entropy(g: np.random.Generator) -> Iterator[Vector]:
    logits, labels = 2 * _normal(g, 4, 5), g.integers(0, 5, 4)
    weights = g.uniform(0.5, 2, 5)
    for smoothing, weighted in ((0.0, False), (0.1, False), (0.1, True)):
        given = weights if weighted else None
        loss, dx = R.softmax_cross_entropy(logits, labels, given, smoothing)
        inputs = {"logits": logits, "labels": labels}
        inputs |= {"class_weights": weights} if weighted else {}
        yield {"label_smoothing": smoothing}, inputs, {"loss": np.array([loss]), "dlogits": dx}


def _to_targets(name: str) -> Callable[[np.random.Generator], Iterator[Vector]]:
    def vectors(g: np.random.Generator) -> Iterator[Vector]:
        y, targets = 2 * _normal(g, 4, 5), g.uniform(0, 1, (4, 5))
        loss, dy = getattr(R, name)(y, targets)
        yield {}, {"y": y, "targets": targets}, {"loss": np.array([loss]), "dy": dy}

    return vectors


def _map_loss(g: np.random.Generator) -> Iterator[Vector]:
    y, labels = g.uniform(0, 3, (4, 5)), g.integers(0, 5, 4)
    loss, dy = R.map_loss(y, labels, 0.1)
    yield {"j": 0.1}, {"y": y, "labels": labels}, {"loss": np.array([loss]), "dy": dy}


def _update(
    name: str, slots: tuple[str, ...], variants: list[Settings]
) -> Callable[[np.random.Generator], Iterator[Vector]]:
    def vectors(g: np.random.Generator) -> Iterator[Vector]:
        for settings in variants:
            before = {"w": _normal(g, 6), "g": _normal(g, 6)}
            before |= {slot: g.uniform(0.1, 1, 6) for slot in slots}
            after = {key: array.copy() for key, array in before.items()}
            arrays = [[array] for array in after.values()]
            getattr(R, name)(*arrays, [0.1], [0.01], **settings)
            found = {f"new_{key}": after[key] for key in ("w", *slots)}
            yield {"lr": 0.1, "weight_decay": 0.01, **settings}, before, found

    return vectors


GRADIENTS = "dx", "dgamma", "dbeta"
SGD = [
    {"momentum": 0.9, "nesterov": nesterov, "form": form}
    for form in ("torch", "caffe")
    for nesterov in (False, True)
]
RESAMPLED = {"upsample2d": upsampling, "adaptive_avg_pool2d": means}  # by these, `y = R x S^T`
OPERATIONS: dict[str, Callable[[np.random.Generator], Iterator[Vector]]] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "upsample2d": _upsample2d,
    "linear": _linear,
    "rbf": _rbf,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d,
    "adaptive_max_pool2d": _adaptive_max_pool2d,
    "global_avg_pool2d": _global_avg_pool2d,
    "subsample2d": _subsample2d,
    "local_response_norm": _local_response_norm,
    "batch_norm": _batch_norm,
    **{name: _activation(name) for name in ("relu", "sigmoid", "tanh", "scaled_tanh", "gelu")},
    "add": _add,
    "dropout": _dropout,
    "softmax": _softmax,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "binary_cross_entropy": _to_targets("binary_cross_entropy"),
    "mean_squared_error": _to_targets("mean_squared_error"),
    "map_loss": _map_loss,
    "sgd_update": _update("sgd_update", ("v",), SGD),
    "adam_update": _update(
        "adam_update", ("m", "v"), [{"step": 3, "decoupled": d} for d in (False, True)]
    ),
    "rmsprop_update": _update("rmsprop_update", ("s", "v"), [{"momentum": 0.9}]),
    # The seed of an operation counts those before it: new ones come at the end.
    **{
        name: _activation(name)
        for name in ("relu6", "hard_sigmoid", "hard_swish", "silu", "gelu_tanh")
    },
    "leaky_relu": _activation("leaky_relu", {"slope": 0.01}, {"slope": 0.3}),
    "elu": _activation("elu", {"alpha": 1.0}, {"alpha": 1.7}),
    "clip": _activation("clip", {"low": -1.0, "high": 1.5}),
    "prelu": _prelu,
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
}


def vectors(operation: str, seed: int = 0) -> list[Vector]:
    """The cases of one operation: settings, inputs (with dy) and results."""
    if not is_one_of(operation, OPERATIONS):
        raise ValueError(f"operation={brief(operation)}: expected one of {', '.join(OPERATIONS)}")
    order = list(OPERATIONS).index(operation)
    return list(OPERATIONS[operation](np.random.default_rng([seed, order])))


def write_vectors(folder: str | PathLike[str], seed: int = 0) -> list[Path]:
    """Write one safetensors file per operation; the same seed gives the same files.

    Returns the paths. Raises OSError if a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in OPERATIONS:
        tensors, settings = {}, []
        for index, (setting, inputs, results) in enumerate(vectors(name, seed)):
            settings.append({**setting, "inputs": list(inputs), "results": list(results)})
            for part, arrays in (("in", inputs), ("out", results)):
                for key, array in arrays.items():
                    tensors[f"{index}/{part}/{key}"] = array
        metadata = {
            "format": FORMAT,
            "operation": name,
            "seed": str(seed),
            "definition": ((RESAMPLED.get(name) or getattr(R, name)).__doc__ or "").strip(),
            "cases": json.dumps(settings),
        }
        paths.append(folder / f"{name}.safetensors")
        with replacing(paths[-1]) as file:
            file.write(_file(tensors, metadata))
    return paths


def _file(tensors: Arrays, metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file. The library orders the metadata at random; here by name."""
    data = save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, metadata)
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:start]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[start:]
