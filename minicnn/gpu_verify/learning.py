"""Short trainings on the GPU: the losses must follow those on the CPU, and LeNet must learn its digits."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .. import data, registry, training
from ..device import set_precision
from ..errors import DataError

LIMITS = {"fp32": 0.05, "ffma": 0.05, "tf32": 0.05, "bf16": 0.1}  # rounding grows from step to step; a wrong gradient grows at once


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
        return max(abs(a - b) for a, b in zip(self.gpu, self.cpu, strict=True)) / max(abs(self.cpu[0]), 1e-9)

    @property
    def passed(self) -> bool:
        """Whether the losses follow the CPU's."""
        return self.distance <= LIMITS[self.precision]


def courses(precisions, quick: bool, tiny: bool = False) -> Iterator[Course]:
    """LeNet on MNIST (on the embedded digits where there is no MNIST), and ResNet-20 on CIFAR-10 where there is CIFAR-10."""
    count = 8 if tiny else 2000 if quick else 10000
    for network, source, images in (("lenet5", "mnist", count), ("resnet20_cifar", "cifar10", count // 2)):
        try:
            train, test = data.load(source, report=lambda text: None) if source == "mnist" else data.load(source)
        except (DataError, ImportError):
            if source != "mnist":
                continue
            train, test = data.digits()
        if tiny and network != "lenet5":
            continue
        train, test = train.subset(np.arange(min(images, len(train)))), test.subset(np.arange(min(images, len(test))))
        cpu = _train(network, train, test, "cpu", tiny)
        for precision in precisions:
            set_precision(precision)
            gpu = _train(network, train, test, "cuda", tiny)
            losses, expected = ([row["train_loss"] for row in history.rows] for history in (gpu, cpu))
            last = gpu.rows[-1]
            yield Course(f"{network} on {train.name}", precision, losses, expected, last["test_accuracy"], last["seconds"])
    set_precision("fp32")


def _train(network, train, test, device, tiny) -> training.History:
    model = registry.create(network, seed=0, num_classes=len(train.classes)).to(device)
    return training.fit(model, train, test, epochs=2, batch_size=4 if tiny else 64, seed=0, progress=False)
