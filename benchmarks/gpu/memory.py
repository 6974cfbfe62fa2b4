"""The speed of operations that memory binds, and of linear layers of few rows, whose weights do.

Forward and backward together, on rotating buffers as in speed.py. PyTorch's side: torch_memory.py.
"""

import functools
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minicnn.device import runtime, set_precision
from minicnn.kernels import functional as F

from . import launches
from .parts import Task
from .speed import copies, images, normal, row

SHAPE, GROUPS = (128, 56, 56, 64), 32
LOGITS = (4096, 1000)
PARAMETERS = 6, 4 << 20  # arrays of the optimizers, and the numbers in each
TINY_SIZES: tuple = (1, 8, 8, 32), (4, 10), (6, 100)
SIZES: tuple = SHAPE, LOGITS, PARAMETERS
LINEAR: dict[str, tuple[int, int, int]] = {  # rows, inputs, outputs
    "linear 9216 to 4096, 1 row": (1, 9216, 4096),
    "linear 9216 to 4096, 8 rows": (8, 9216, 4096),
    "linear 9216 to 4096, 128 rows": (128, 9216, 4096),
    "linear 2048 to 1000, 1 row": (1, 2048, 1000),
}
TINY_LINEAR = {"linear, 1 row": (1, 16, 8)}
LINEAR_PASSES = ("forward", "input gradient", "weight and bias gradient")
WITHIN = {"within_channel": True, "alpha_div_n": True}

IMAGES = (
    "batch norm + ReLU",
    "max pool 2x2",
    "add + ReLU",
    "LRN",
    "group norm",
    "layer norm",
    "GELU",
    "SiLU",
    "hard swish",
    "adaptive max pool to 7x7",
    "LRN within channels",
)
LOSSES = ("softmax cross-entropy",)
OPTIMIZERS = "SGD with momentum", "Adam"

Calls = dict[str, tuple[Callable[[int], Any], float]]  # name: call, bytes moved at least


def tasks(precision: str, tiny: bool) -> Iterator[Task]:
    """A task per operation, and per linear layer."""
    shape, logits, parameters = TINY_SIZES if tiny else SIZES
    for names, calls in (
        (IMAGES, functools.cache(partial(on_images, shape))),
        (LOSSES, functools.cache(partial(on_logits, *logits))),
        (OPTIMIZERS, functools.cache(partial(on_parameters, *parameters))),
    ):
        for name in names:
            yield name, partial(_measured, name, precision, calls)
    for name, sizes in (TINY_LINEAR if tiny else LINEAR).items():
        yield name, partial(_linear, name, precision, *sizes)


def _measured(name: str, precision: str, calls: Callable[[], Calls]) -> Iterator[dict]:
    set_precision(precision)
    call, moved = calls()[name]
    yield _timed("memory", name, precision, call, 0.0, moved)


def _timed(
    group: str,
    name: str,
    precision: str,
    call: Callable[[int], Any],
    flops: float,
    moved: float,
) -> dict[str, Any]:
    with launches.noted() as launched:
        call(0)
    seconds = statistics.median(runtime().times(call))
    more = {"launches": launches.described(launched)}
    return row(group, name, precision, seconds, flops, moved, **more)


def on_images(shape: tuple[int, ...]) -> Calls:
    """Normalization, pooling and activations, forward and backward."""
    x, channels = images(*shape), shape[3]
    sets = [(x.copy(), images(*shape)) for _ in range(copies(x.nbytes))]
    gamma, beta, mean, var = (runtime().upload(np.ones(channels, np.float32)) for _ in range(4))

    def both(forward: Callable, backward: Callable) -> Callable[[int], Any]:
        """backward(dy, x, *results of forward(x))"""

        def call(i: int) -> Any:
            x, dy = sets[i % len(sets)]
            found = forward(x)
            return backward(dy, x, *(found if isinstance(found, tuple) else (found,)))

        return call

    def pooled(forward: Callable, backward: Callable) -> Callable[[int], Any]:
        return both(forward, lambda dy, x, y, argmax: backward(y, argmax, x.shape))

    relu = {"activation": "relu"}
    grad = F.local_response_norm_grad
    around, n = (5, 1e-4, 0.75, 2.0), x.nbytes
    return {
        "batch norm + ReLU": (
            both(
                lambda x: F.batch_norm(x, gamma, beta, mean, var, **relu),
                lambda dy, x, y, m, s: F.batch_norm_grad(dy, x, gamma, m, s, beta=beta, **relu),
            ),
            8 * n,
        ),
        "max pool 2x2": (
            pooled(
                lambda x: F.max_pool2d(x, 2),
                lambda dy, argmax, shape: F.max_pool2d_grad(dy, argmax, shape, 2),
            ),
            2.5 * n + x.size // 2,
        ),
        "add + ReLU": (lambda i: F.add(*sets[i % len(sets)], "relu"), 3 * n),
        "LRN": (
            both(F.local_response_norm, lambda dy, x, y, scale: grad(dy, x, y, scale)),
            5 * n + 8 * x.size,
        ),
        "LRN within channels": (
            both(
                lambda x: F.local_response_norm(x, *around, **WITHIN),
                lambda dy, x, y, scale: grad(dy, x, y, scale, *around[:3], **WITHIN),
            ),
            5 * n + 8 * x.size,
        ),
        "adaptive max pool to 7x7": (
            pooled(lambda x: F.adaptive_max_pool2d(x, (7, 7)), F.adaptive_max_pool2d_grad),
            2 * n,
        ),
        "group norm": (
            both(
                lambda x: F.group_norm(x, gamma, beta, GROUPS),
                lambda dy, x, y, m, s: F.group_norm_grad(dy, x, gamma, m, s),
            ),
            5 * n,
        ),
        "layer norm": (
            both(
                lambda x: F.layer_norm(x, gamma, beta),
                lambda dy, x, y, m, s: F.layer_norm_grad(dy, x, gamma, m, s),
            ),
            5 * n,
        ),
        **{
            name: (both(forward, lambda dy, x, y, backward=backward: backward(dy, x)), 5 * n)
            for name, forward, backward in (
                ("GELU", F.gelu, F.gelu_grad),
                ("SiLU", F.silu, F.silu_grad),
                ("hard swish", F.hard_swish, F.hard_swish_grad),
            )
        },
    }


def on_logits(rows: int, classes: int) -> Calls:
    """The loss and its gradient."""
    logits = images(rows, classes)
    sets = [logits.copy() for _ in range(copies(logits.nbytes))]
    labels = runtime().upload(np.random.default_rng().integers(0, classes, rows))
    return {
        "softmax cross-entropy": (
            lambda i: F.softmax_cross_entropy(sets[i % len(sets)], labels),
            2 * logits.nbytes,
        )
    }


def on_parameters(arrays: int, size: int) -> Calls:
    """The optimizers' steps; values, gradients and moments exceed the L2 cache together."""
    values, gradients, first, second = (
        [runtime().upload(np.ones(size, np.float32)) for _ in range(arrays)] for _ in range(4)
    )
    rates, decay, moved = [1e-3] * arrays, [0.0] * arrays, 4.0 * arrays * size
    return {
        "SGD with momentum": (
            lambda i: F.sgd_update(values, gradients, first, rates, decay, 0.9),
            5 * moved,
        ),
        "Adam": (
            lambda i: F.adam_update(values, gradients, first, second, rates, decay, 1),
            7 * moved,
        ),
    }


def _linear(name: str, precision: str, rows: int, inputs: int, outputs: int) -> Iterator[dict]:
    """The passes of a linear layer; the weights rotate past the L2 cache."""
    set_precision(precision)
    w = normal(inputs, outputs) / np.float32(inputs**0.5)
    weights = [runtime().upload(w) for _ in range(copies(w.nbytes))]
    bias = runtime().upload(normal(outputs))
    x, dy = images(rows, inputs), images(rows, outputs)
    calls: tuple[Callable[[int], Any], ...] = (
        lambda i: F.linear(x, weights[i % len(weights)], bias),
        lambda i: F.linear_grad_input(dy, weights[i % len(weights)]),
        lambda i: F.linear_grad_weight(dy, x),
    )
    flops, moved = 2.0 * rows * inputs * outputs, x.itemsize * w.size + x.nbytes + dy.nbytes
    launches.compile_ahead(lambda: [call(0) for call in calls])
    for what, call in zip(LINEAR_PASSES, calls, strict=True):
        yield _timed("linear", f"{name}, {what}", precision, call, flops, moved)
