"""More than one kernel: LeNet's fused steps, graphs, totals, running statistics."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minicnn import registry, rng, training
from minicnn.device import runtime, set_precision, to_host, to_input
from minicnn.kernels.cuda import capture, loss
from minicnn.kernels.ladder.gpu import lenet
from minicnn.layers import BatchNorm2d, fuse
from minicnn.training.metrics import loss_of
from minicnn.training.targets import labels_checked

from .correctness import Check, relative
from .parts import Task


def tasks(precisions: list[str], tiny: bool) -> Iterator[Task]:
    """All of them."""
    for images in (3,) if tiny else (3, 128):
        for name, persistent in (("nine kernels", False), ("one kernel", True)):
            yield (
                f"LeNet's step by {name}, {images} images",
                partial(_lenet, name, persistent, images),
            )
    yield "nine kernels of LeNet as a graph", partial(_lenet_graph, 3 if tiny else 128)
    for network, images in (
        (("lenet5", 4),) if tiny else (("lenet5", 128), ("resnet20_cifar", 32), ("alexnet", 16))
    ):
        for precision in precisions:
            yield (
                f"{network}, a step as a graph, {precision}",
                partial(_graph, network, images, precision),
            )
    yield "totals of loss and right answers", _totals
    yield "running statistics", _running


def _lenet(name: str, persistent: bool, images: int) -> Iterator[dict]:
    """Three steps against the same steps layer by layer on the CPU in float64."""
    run, generator = runtime(), np.random.default_rng()
    model = registry.create("lenet5", seed=0).astype(np.float64)
    optimizer, cross_entropy = (
        training.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-2),
        loss_of(model),
    )
    parameters = [run.upload(p.value.astype(np.float32)) for p in model.parameters()]
    velocities = [run.upload(np.zeros(p.value.shape, np.float32)) for p in model.parameters()]
    totals, expected = run.upload(np.zeros(2)), np.zeros(2)
    for _ in range(3):
        x, labels = (
            generator.standard_normal((images, 32, 32, 1), dtype=np.float32),
            generator.integers(0, 10, images),
        )
        lenet.train_step(
            parameters,
            velocities,
            run.upload(x),
            run.upload(labels),
            totals,
            0.05,
            0.9,
            1e-2,
            persistent,
        )
        logits = model(x.astype(np.float64))
        value, gradient = cross_entropy(logits, labels)
        expected += float(value) * images, (logits.argmax(1) == labels).sum()
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()
    title = f"LeNet's step by {name}, {images} images"
    worst = max(relative(a, p.value) for a, p in zip(parameters, model.parameters(), strict=True))
    yield Check(f"{title}, parameters", "ffma", worst, 1e-4, True).row()
    yield Check(
        f"{title}, loss", "ffma", relative(run.download(totals)[:1], expected[:1]), 1e-5, True
    ).row()


def _lenet_graph(images: int) -> Iterator[dict]:
    run, values = runtime(), [p.value for p in registry.create("lenet5", seed=0).parameters()]
    generator = np.random.default_rng()
    x = run.upload(generator.standard_normal((images, 32, 32, 1), dtype=np.float32))
    labels, totals = run.upload(generator.integers(0, 10, images)), run.upload(np.zeros(2))

    def trained(captured: bool) -> list[np.ndarray]:
        parameters, velocities = (
            [run.upload(make(v)) for v in values] for make in (np.copy, np.zeros_like)
        )
        _repeat(
            lambda: lenet.train_step(
                parameters, velocities, x, labels, totals, 0.05, persistent=False
            ),
            captured,
        )
        return [to_host(p) for p in parameters]

    eager = trained(False)  # first: it compiles
    yield _same(
        "nine kernels of LeNet: replayed or not, the bits are the same",
        "ffma",
        trained(True),
        eager,
    )


def _graph(network: str, images: int, precision: str) -> Iterator[dict]:
    """Three replays of a whole step with dropout, as one graph, against three eager steps."""
    run, generator = runtime(), np.random.default_rng()
    model = registry.create(network, seed=0, num_classes=10)
    host, numbers = (
        generator.standard_normal((images, *model.input_shape), dtype=np.float32),
        generator.integers(0, 10, images),
    )
    set_precision(precision)

    def trained(captured: bool) -> list[np.ndarray]:
        rng.seed(0)
        model = fuse(registry.create(network, seed=0, num_classes=10).to("cuda").train())
        optimizer, cross_entropy = (
            training.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4),
            loss_of(model),
        )
        x, labels = run.upload(host), run.upload(numbers)
        rng.seed(1)

        def step() -> None:
            with labels_checked():  # reading them would end the capture
                _, gradient = cross_entropy(model(to_input(x, "cuda")), labels)
            optimizer.zero_grad()
            model.backward(gradient, need_dx=False)
            optimizer.step()

        _repeat(step, captured)
        return [to_host(array) for array in model.state_dict().values()]

    title = f"{network}, {images} images, a whole step: replayed or not, the bits are the same"
    eager = trained(False)
    yield _same(title, precision, trained(True), eager)


def _repeat(work: Callable[[], Any], captured: bool) -> None:
    """Three steps: eager, or as one graph, each replay with dropout's keys of its own."""
    keys = capture.ReplayedInputs()
    with keys:
        graph = runtime().capture(work) if captured else None
    for _ in range(3):
        if graph is None:
            work()
        else:
            keys.draw_again()
            graph.launch()


def _same(name: str, precision: str, ours: list[np.ndarray], theirs: list[np.ndarray]) -> dict:
    same = all(a.tobytes() == b.tobytes() for a, b in zip(ours, theirs, strict=True))
    return Check(
        name, precision, max(relative(a, b) for a, b in zip(ours, theirs, strict=True)), 0.0, same
    ).row()


def _totals() -> Iterator[dict]:
    run, generator = runtime(), np.random.default_rng()
    logits, labels, start = (
        generator.standard_normal((300, 10), dtype=np.float32),
        generator.integers(0, 10, 300),
        np.array([5.0, 7.0]),
    )
    totals = run.upload(start)
    loss.tally(run.upload(logits), run.upload(labels), run.upload(np.float32(0.25)), totals)
    expected = start + np.array([0.25 * 300, (logits.argmax(1) == labels).sum()])
    yield Check(
        "totals of loss and right answers", "fp32", relative(totals, expected), 1e-12, True
    ).row()


def _running() -> Iterator[dict]:
    """Batch norm's running mean and variance after two steps, against the reference's."""
    run, generator = runtime(), np.random.default_rng()
    ours, theirs = BatchNorm2d(24).to("cuda").train(), BatchNorm2d(24).train()
    for _ in range(2):
        x = generator.standard_normal((4, 9, 7, 24), dtype=np.float32) * 3 + 1
        ours(run.upload(x)), theirs(x)
    for name, expected in theirs.state_dict().items():
        yield Check(
            f"batch norm's {name}", "fp32", relative(ours.state_dict()[name], expected), 1e-5, True
        ).row()
