"""Short trainings on the GPU: the losses must follow the CPU's, and LeNet must learn the digits."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from minicnn import data, registry, training
from minicnn.data.dataset import Dataset
from minicnn.device import set_precision
from minicnn.errors import DataError

from .parts import Task

# Rounding grows from step to step; the effect of a wrong gradient is large at once.
LIMITS = {"fp32": 0.05, "ffma": 0.05, "tf32": 0.05, "bf16": 0.1}


class Course(NamedTuple):
    """The mean losses of a training's epochs on both devices, and where it ended."""

    name: str
    precision: str
    gpu: list[float]
    cpu: list[float]
    accuracy: float | None
    seconds: float

    @property
    def distance(self) -> float:
        """The largest difference of the epochs' losses, relative to the first of them."""
        return max(abs(a - b) for a, b in zip(self.gpu, self.cpu, strict=True)) / max(
            abs(self.cpu[0]), 1e-9
        )

    @property
    def passed(self) -> bool:
        """Whether the losses follow the CPU's."""
        return self.distance <= LIMITS[self.precision]


def tasks(precisions: list[str], tiny: bool) -> Iterator[Task]:
    """LeNet on a part of MNIST by precision, then on all of MNIST to its accuracy.

    Without MNIST it trains on the bundled digits.
    """
    for precision in precisions:
        yield f"lenet5, {precision}", partial(_course, precision, tiny)
    if not tiny:
        yield "lenet5 on all of MNIST", _whole


def _sets() -> tuple[Dataset, Dataset]:
    try:
        return data.load("mnist", report=lambda text: None)
    except (DataError, ImportError):  # no network, or nowhere to keep it
        return data.digits()


def _course(precision: str, tiny: bool) -> Iterator[dict]:
    images, batch = (8, 4) if tiny else (2000, 64)
    train, test = (
        part.subset(np.arange(min(images, len(part))))
        for part in (data.digits() if tiny else _sets())
    )
    cpu = _train(train, test, "cpu", batch, 2)
    set_precision(precision)
    gpu = _train(train, test, "cuda", batch, 2)
    losses, expected = ([row["train_loss"] for row in history.rows] for history in (gpu, cpu))
    last = gpu.rows[-1]
    course = Course(
        f"lenet5 on {train.name}",
        precision,
        losses,
        expected,
        last["test_accuracy"],
        last["seconds"],
    )
    yield {
        "kind": "course",
        "distance": course.distance,
        "passed": course.passed,
    } | course._asdict()


def _whole() -> Iterator[dict]:
    """Epochs of LeNet-5 in fp32 on all digits: seconds and accuracy of each."""
    train, test = _sets()
    for number, row in enumerate(_train(train, test, "cuda", 128, 12).rows):
        yield {"kind": "epoch", "name": f"lenet5 on {train.name}", "epoch": number + 1, **row}


def _train(train: Dataset, test: Dataset, device: str, batch: int, epochs: int) -> training.History:
    model = registry.create("lenet5", seed=0, num_classes=len(train.classes)).to(device)
    return training.fit(model, train, test, epochs=epochs, batch_size=batch, seed=0, progress=False)
