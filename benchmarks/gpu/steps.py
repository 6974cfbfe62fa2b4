"""The speed of whole networks: training steps and inference, each a captured graph."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial

import numpy as np

from minicnn import registry, training
from minicnn.device import runtime, set_precision, to_input
from minicnn.kernels.cuda.rounded import RoundedWeights
from minicnn.kernels.ladder.gpu import lenet
from minicnn.kernels.types import Array
from minicnn.layers import fuse, inference_mode
from minicnn.study.summary import summarize
from minicnn.training.metrics import loss_of
from minicnn.training.targets import labels_checked

from . import launches
from .parts import Task
from .speed import normal, row

STEPS = {  # name: images, classes; in the order of their importance
    "lenet5": (128, 10),
    "resnet50": (128, 1000),
    "googlenet": (128, 1000),
    "alexnet": (128, 1000),
    "vgg16": (64, 1000),
    "resnet20_cifar": (128, 10),
    "mobilenet_v2": (128, 1000),
    "resnet18": (128, 1000),
}
TINY_STEPS = {"lenet5": (2, 10)}
INFERENCE = (1, 128)  # images
SMALL = ("lenet5", "resnet20_cifar")  # whose steps take less than a few hundred microseconds


def tasks(precision: str, tiny: bool) -> Iterator[Task]:
    """A training step of whole networks: forward, loss, backward, SGD with momentum."""
    for name, (batch, classes) in (TINY_STEPS if tiny else STEPS).items():
        yield name, partial(_step, name, batch, classes, precision)
    if precision == "fp32":
        for name, persistent in (("nine kernels", False), ("one kernel", True)):
            yield f"lenet5, {name}", partial(_fused_lenet, name, persistent, 2 if tiny else 128)


def training_step(
    name: str, batch: int, classes: int, precision: str
) -> tuple[Callable[[int], None], float]:
    """The step as a call, and its FLOPs."""
    set_precision(precision)
    model = fuse(registry.create(name, seed=0, num_classes=classes).to("cuda").train())
    optimizer, loss = (
        training.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4),
        loss_of(model),
    )
    x = runtime().upload(normal(batch, *model.input_shape))
    labels = runtime().upload(np.random.default_rng().integers(0, classes, batch))
    rounded = RoundedWeights(p.value for p in model.parameters())

    def step(i: int) -> None:
        # reading the labels would end the capture
        with labels_checked(), rounded.in_use() if precision == "bf16" else nullcontext():
            _, gradient = loss(model(to_input(x, "cuda")), labels)
            optimizer.zero_grad()
            model.backward(gradient, need_dx=False)
        optimizer.step()

    return step, 6.0 * batch * summarize(model).macs


def _step(name: str, batch: int, classes: int, precision: str) -> Iterator[dict]:
    step, flops = training_step(name, batch, classes, precision)
    yield timed(f"{name}, batch {batch}", name, step, flops, precision, "training step")


def timed(
    title: str,
    name: str,
    call: Callable[[int], None],
    flops: float,
    precision: str,
    group: str,
    **more: str,
) -> dict:
    """A row of a network's call."""
    launches.compile_ahead(lambda: call(0))
    seconds = statistics.median(runtime().times(call, launches=5 if name in SMALL else 1))
    return row(group, title, precision, seconds, flops, **more)


def inference(precision: str, tiny: bool) -> Iterator[Task]:
    """The forward pass in evaluation, as `predict` replays it."""
    batches = INFERENCE[:1] if tiny else INFERENCE
    for name, (_, classes) in (TINY_STEPS if tiny else STEPS).items():
        yield name, partial(_forward, name, classes, precision, batches)


def inference_title(name: str, batch: int) -> str:
    """What a row of a network's inference is called, on both sides."""
    return f"{name}, inference, batch {batch}"


def _forward(name: str, classes: int, precision: str, batches: tuple[int, ...]) -> Iterator[dict]:
    set_precision(precision)
    model = fuse(registry.create(name, seed=0, num_classes=classes).to("cuda").eval())
    macs = summarize(model).macs
    for batch in batches:
        x = runtime().upload(normal(batch, *model.input_shape))
        title, flops = inference_title(name, batch), 2.0 * batch * macs

        def call(i: int, x: Array = x) -> None:
            with inference_mode():
                model(to_input(x, "cuda"))

        yield timed(title, name, call, flops, precision, "inference")


def _fused_lenet(name: str, persistent: bool, batch: int) -> Iterator[dict]:
    """LeNet-5's step: a graph of nine kernels, or one kernel with the host's time to launch it."""
    run, model = runtime(), registry.create("lenet5", seed=0)
    parameters, velocities = (
        [run.upload(make(p.value)) for p in model.parameters()] for make in (np.copy, np.zeros_like)
    )
    totals = run.upload(np.zeros(2))
    x = run.upload(normal(batch, *model.input_shape))
    labels = run.upload(np.random.default_rng().integers(0, 10, batch))

    def step(i: int) -> None:
        lenet.train_step(parameters, velocities, x, labels, totals, 1e-3, persistent=persistent)

    seconds = statistics.median(run.times(step, captured=not persistent))
    flops, against = 6.0 * batch * summarize(model).macs, f"lenet5, batch {batch}"
    yield row("training step", f"{against}, {name}", "fp32", seconds, flops, against=against)
