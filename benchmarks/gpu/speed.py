"""The speed of operations and training steps, each a captured graph.

Spot checks compare the results that are timed. Buffers rotate, so that no input is in the L2 cache.
`bytes` and `flops` are the least that an operation moves and computes: divided by the machine's
ceilings they give the floor. PyTorch's side is in torch_side.py.
"""

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from minicnn import registry, training
from minicnn.device import runtime, set_precision, to_input
from minicnn.kernels import functional as F
from minicnn.kernels.cuda import choice
from minicnn.kernels.ladder.gpu import lenet
from minicnn.layers import fuse
from minicnn.study.summary import summarize
from minicnn.training.metrics import loss_of
from minicnn.training.targets import labels_checked

from . import spot
from .parts import Task

L2 = 128 << 20  # bytes that rotating buffers exceed: twice an H200's L2 cache

# name: images, kernel, filters, geometry
CONVOLUTIONS: dict[str, tuple] = {
    "VGG 3x3, 64 to 64 at 224": ((32, 224, 224, 64), 3, 64, {"padding": 1}),
    "VGG 3x3, 256 to 256 at 56": ((64, 56, 56, 256), 3, 256, {"padding": 1}),
    "VGG 3x3, 512 to 512 at 14": ((128, 14, 14, 512), 3, 512, {"padding": 1}),
    "ResNet 3x3, 64 to 64 at 56": ((128, 56, 56, 64), 3, 64, {"padding": 1}),
    "ResNet 3x3/2, 128 to 256 at 28": ((128, 28, 28, 128), 3, 256, {"padding": 1, "stride": 2}),
    "ResNet 1x1, 256 to 64 at 56": ((128, 56, 56, 256), 1, 64, {}),
    "ResNet 1x1, 512 to 2048 at 7": ((128, 7, 7, 512), 1, 2048, {}),
    "ResNet 7x7/2, 3 to 64 at 224": ((64, 224, 224, 3), 7, 64, {"padding": 3, "stride": 2}),
    "GoogLeNet 5x5, 32 to 96 at 14": ((128, 14, 14, 32), 5, 96, {"padding": 2}),
    **{
        f"MobileNet depthwise {r}x{r}/{s}, {c} at {size}": (
            *((128, size, size, c), r, c),
            {"padding": r // 2, "stride": s, "groups": c},
        )
        for r, s, c, size in ((3, 1, 128, 56), (3, 2, 128, 56), (3, 1, 512, 14), (5, 1, 512, 14))
    },
}
TINY: dict[str, tuple] = {
    "tiny 3x3": ((1, 6, 6, 8), 3, 8, {"padding": 1}),
    "tiny depthwise": ((1, 6, 6, 8), 3, 8, {"padding": 1, "groups": 8}),
}
PASSES = ("forward", "input gradient", "weight gradient")
MEMORY_BATCH = 128
STEPS = {  # name: images, classes
    "lenet5": (128, 10),
    "resnet50": (128, 1000),
    "vgg16": (64, 1000),
    "alexnet": (128, 1000),
    "googlenet": (128, 1000),
    "resnet18": (128, 1000),
}
TINY_STEPS = {"lenet5": (2, 10)}


def copies(nbytes: int) -> int:
    """How many sets of buffers of so many bytes exceed the L2 cache."""
    return max(1, min(8, -(-L2 // max(nbytes, 1))))


def _row(
    group: str,
    name: str,
    precision: str,
    seconds: float,
    flops: float = 0.0,
    moved: float = 0.0,
    **more: Any,
) -> dict:
    return {
        "kind": "speed",
        "group": group,
        "name": name,
        "precision": precision,
        "seconds": seconds,
        "flops": flops,
        "bytes": moved,
    } | more


# -- operations ----------------------------------------------------------------------------------


def operations(precision: str, tiny: bool) -> Iterator[Task]:
    """Convolutions by pass, and what is bound by memory."""
    for name, shape in (TINY if tiny else CONVOLUTIONS).items():
        yield name, partial(_convolution, name, precision, *shape)
    yield "memory-bound operations", partial(_memory_bound, precision, 1 if tiny else MEMORY_BATCH)


def _convolution(
    name: str, precision: str, shape: tuple, size: int, filters: int, geometry: dict[str, int]
) -> Iterator[dict]:
    set_precision(precision)
    ready = prepared(shape, size, filters, geometry)
    for what in passes(shape):
        yield from measured(f"{name}, {what}", what, precision, ready, geometry)


def passes(shape: tuple) -> tuple[str, ...]:
    """Those of a convolution; a first layer needs no input gradient."""
    return tuple(what for what in PASSES if what != "input gradient" or shape[3] != 3)


def measured(
    name: str,
    what: str,
    precision: str,
    ready: tuple,
    geometry: dict[str, int],
    group: str = "convolution",
    **more: str,
) -> Iterator[dict]:
    """Check some results of a pass and measure it; `ready`: see `prepared`."""
    work, sets, w, flops, moved = ready
    plans: list[tuple] = []
    with mock.patch.object(choice, "plan", partial(_noted, choice.plan, plans)):
        result = work[what](0)
    x, dy = sets[0]
    yield spot.check(name, what, precision, x, dy, w, geometry, result).row()
    seconds = statistics.median(runtime().times(work[what]))
    plan, numbers = _described(plans), (precision, seconds, flops, moved)
    yield _row(group, name, *numbers, plan=plan, **more)


def prepared(
    shape: tuple, size: int, filters: int, geometry: dict[str, int]
) -> tuple[dict[str, Callable], list[tuple], Any, float, int]:
    """Each pass as a call, the rotating buffers, the weights, and FLOPs and bytes per pass."""
    generator = np.random.default_rng()
    channels = shape[3] // geometry.get("groups", 1)
    w = runtime().upload(
        generator.standard_normal((size, size, channels, filters), dtype=np.float32)
        / np.float32(size * channels**0.5)
    )
    x = _images(generator, shape)
    y = F.conv2d(x, w, **geometry)
    dy = _images(generator, y.shape)
    moved = x.nbytes + y.nbytes + w.nbytes
    sets = [(x, dy)] + [(x.copy(), dy.copy()) for _ in range(copies(moved) - 1)]
    work = {
        "forward": lambda i: F.conv2d(sets[i % len(sets)][0], w, **geometry),
        "input gradient": lambda i: F.conv2d_grad_input(
            sets[i % len(sets)][1], w, shape, **geometry
        ),
        "weight gradient": lambda i: F.conv2d_grad_weight(
            *sets[i % len(sets)][::-1], w.shape, **geometry, bias=False
        )[0],
    }
    return work, sets, w, 2.0 * y.size * size * size * channels, moved


def _noted(plan: Callable, plans: list[tuple], *arguments: Any) -> Any:
    found = plan(*arguments)
    plans.append((arguments, found))
    return found


def _described(plans: list[tuple]) -> list[dict[str, Any]]:
    """Tile, stages, parts and blocks per multiprocessor of each product."""
    return [
        {
            "tile": f"{way.tile.m}x{way.tile.n}",
            "stages": way.stages,
            "splits": way.splits,
            "blocks per SM": round(
                -(-m // way.tile.m) * -(-n // way.tile.n) * groups * way.splits / card.processors, 2
            ),
            "warps": way.warps,
            "balance": round(way.balance, 3),
        }
        for (_, m, n, _, groups, _, card), way in plans
    ]


def _images(generator: np.random.Generator, shape: tuple) -> Any:
    return to_input(generator.standard_normal(shape, dtype=np.float32), "cuda")


def _memory_bound(precision: str, batch: int) -> Iterator[dict]:
    """Memory-bound operations, forward and backward together, and the optimizer's step."""
    set_precision(precision)
    run, generator = runtime(), np.random.default_rng()
    x = _images(generator, (batch, 56, 56, 64))
    sets = [(x.copy(), x.copy()) for _ in range(copies(x.nbytes))]
    gamma, beta, mean, var = (run.upload(np.ones(64, np.float32)) for _ in range(4))

    def lrn(i):
        x, dy = sets[i % len(sets)]
        y, scale = F.local_response_norm(x)
        F.local_response_norm_grad(dy, x, y, scale)

    def max_pool(i):
        x, _ = sets[i % len(sets)]
        y, argmax = F.max_pool2d(x, 2)
        F.max_pool2d_grad(y, argmax, x.shape, 2)

    def batch_norm(i):
        x, dy = sets[i % len(sets)]
        _, m, s = F.batch_norm(x, gamma, beta, mean, var, activation="relu")
        F.batch_norm_grad(dy, x, gamma, m, s, beta=beta, activation="relu")

    logits, labels = (
        _images(generator, (32 * batch, 1000)),
        run.upload(generator.integers(0, 1000, 32 * batch)),
    )
    values, gradients, velocities = (
        [run.upload(np.ones(batch << 15, np.float32)) for _ in range(6)] for _ in range(3)
    )
    size = sum(a.nbytes for a in values)
    work: dict[str, tuple[Callable, int]] = {  # name: call, bytes moved at least
        "LRN": (lrn, 5 * x.nbytes + 2 * x.size * 4),
        "max pool 2x2": (max_pool, int(2.5 * x.nbytes) + x.size // 2),
        "batch norm + ReLU": (batch_norm, 8 * x.nbytes),
        "add + ReLU": (lambda i: F.add(*sets[i % len(sets)], "relu"), 3 * x.nbytes),
        "softmax cross-entropy": (
            lambda i: F.softmax_cross_entropy(logits, labels),
            2 * logits.nbytes,
        ),
        "SGD with momentum": (
            lambda i: F.sgd_update(values, gradients, velocities, [0.1] * 6, [0.0] * 6, 0.9),
            5 * size,
        ),
    }
    for name, (call, moved) in work.items():
        yield _row("memory", name, precision, statistics.median(run.times(call)), 0.0, moved)


# -- training steps ------------------------------------------------------------------------------


def steps(precision: str, tiny: bool) -> Iterator[Task]:
    """A training step of whole networks: forward, loss, backward, SGD with momentum."""
    for name, (images, classes) in (TINY_STEPS if tiny else STEPS).items():
        yield name, partial(_step, name, images, classes, precision)
    if precision == "fp32":
        for name, persistent in (("nine kernels", False), ("one kernel", True)):
            yield f"lenet5, {name}", partial(_fused_lenet, name, persistent, 2 if tiny else 128)


def training_step(
    name: str, images: int, classes: int, precision: str
) -> tuple[Callable[[int], None], float]:
    """The step as a call, and its FLOPs."""
    set_precision(precision)
    model = fuse(registry.create(name, seed=0, num_classes=classes).to("cuda").train())
    optimizer, loss = (
        training.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4),
        loss_of(model),
    )
    generator = np.random.default_rng()
    x = runtime().upload(generator.standard_normal((images, *model.input_shape), dtype=np.float32))
    labels = runtime().upload(generator.integers(0, classes, images))

    def step(i: int) -> None:
        with labels_checked():  # reading them would end the capture
            _, gradient = loss(model(to_input(x, "cuda")), labels)
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()

    return step, 6.0 * images * summarize(model).macs


def _step(name: str, images: int, classes: int, precision: str) -> Iterator[dict]:
    step, flops = training_step(name, images, classes, precision)
    seconds = statistics.median(runtime().times(step, launches=5 if name == "lenet5" else 1))
    yield _row("training step", f"{name}, batch {images}", precision, seconds, flops)


def _fused_lenet(name: str, persistent: bool, images: int) -> Iterator[dict]:
    """LeNet-5's step: a graph of nine kernels, or one kernel with the host's time to launch it."""
    run, model = runtime(), registry.create("lenet5", seed=0)
    parameters, velocities = (
        [run.upload(make(p.value)) for p in model.parameters()] for make in (np.copy, np.zeros_like)
    )
    generator, totals = np.random.default_rng(), run.upload(np.zeros(2))
    x = run.upload(generator.standard_normal((images, *model.input_shape), dtype=np.float32))
    labels = run.upload(generator.integers(0, 10, images))

    def step(i: int) -> None:
        lenet.train_step(parameters, velocities, x, labels, totals, 1e-3, persistent=persistent)

    seconds = statistics.median(run.times(step, captured=not persistent))
    flops, against = 6.0 * images * summarize(model).macs, f"lenet5, batch {images}"
    yield _row("training step", f"{against}, {name}", "fp32", seconds, flops, against=against)
