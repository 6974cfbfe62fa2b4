"""Whole networks on the GPU against the same networks in float64 on the CPU."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from minicnn import registry, rng
from minicnn.device import runtime, set_precision, to_host, to_input
from minicnn.layers import fuse
from minicnn.training.metrics import loss_of

from .correctness import Check
from .parts import Task

# Relative L2 error of the gradients: rounding moves units to the other side of their kinks.
LIMITS = {"fp32": 2e-2, "ffma": 2e-2, "tf32": 0.1, "bf16": 0.3}
NETWORKS = ("lenet5", "resnet20_cifar", "nin_cifar10", "googlenet", "resnet18")
BATCH = 8  # images


def tasks(precision: str, tiny: bool) -> Iterator[Task]:
    """A task per network."""
    for name in NETWORKS[:1] if tiny else NETWORKS:
        yield name, partial(_network, name, precision, 2 if tiny else BATCH)


def _network(name: str, precision: str, batch: int) -> Iterator[dict]:
    exact = _step(name, "cpu", batch)
    set_precision(precision)
    ours = _step(name, "cuda", batch)
    for what, limit in (
        ("outputs", LIMITS[precision] / 4),
        ("gradients", LIMITS[precision]),
    ):
        pairs = zip(ours[what], exact[what], strict=True)
        error = np.sqrt(
            sum(np.sum((a - b) ** 2) for a, b in pairs) / sum(np.sum(b**2) for b in exact[what])
        )
        yield Check(f"{name}, {what}", precision, float(error), limit, True).row()


def _step(name: str, device: str, batch: int) -> dict[str, list]:
    """One training step: the outputs and all gradients, in float64 on the host."""
    model = registry.create(name, seed=0, num_classes=10)
    for _, layer in model.named_layers():
        if hasattr(layer, "p"):
            layer.p = 0.0  # of dropout: both sides keep every unit
    generator = np.random.default_rng(0)
    x = generator.standard_normal((batch, *model.input_shape), dtype=np.float32)
    labels = generator.integers(0, 10, batch)
    rng.seed(0)
    if device == "cpu":
        model, x = model.astype(np.float64), x.astype(np.float64)
    else:
        model = fuse(model.to("cuda"))
        x, labels = to_input(x, "cuda"), runtime().upload(labels)
    outputs = model.train()(x)
    _, gradient = loss_of(model)(outputs, labels)
    model.backward(gradient, need_dx=False)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {
        "outputs": [to_host(y).astype(np.float64) for y in outputs],
        "gradients": [to_host(p.grad).astype(np.float64) for p in model.parameters()],
    }
