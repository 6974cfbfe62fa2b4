"""Training steps on a GPU: captured once as a CUDA graph per batch shape, and replayed."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import runtime, to_device
from ..kernels.cuda.capture import Fresh
from ..kernels.cuda.loss import tally
from .loop import Step
from .losses import Loss, is_multi_label, probabilities_of
from .metrics import RunningMetrics
from .targets import labels_checked

if TYPE_CHECKING:
    from .trainer import Trainer

WARM_UP = 2  # steps before one is captured: they compile the kernels and fill the tables
READ_EVERY = 20  # steps between readings of the sums; each reading makes the host wait


class CapturedStep:
    """`loop.forward_backward`, launched as one CUDA graph.

    The images, the labels and dropout's keys have fixed addresses on the device. They are copied
    there before each replay. The update is not in the graph, so that the learning rate may change.
    """

    def __init__(self, step: Step):
        self.step = step
        self._graphs: dict[tuple, _Graph] = {}
        self._seen: Counter[tuple] = Counter()
        self._network: Any = None

    def __call__(self, run: "Trainer", x: np.ndarray, labels: np.ndarray) -> None:
        if run.network is not self._network:  # fused again, as other layers are frozen
            self._network, self._graphs, self._seen = run.network, {}, Counter()
        with labels_checked():
            kind = x.shape, labels.shape, labels.dtype
            if kind in self._graphs:
                self._graphs[kind].replay(x, labels)
            elif self._seen[kind] < WARM_UP or len(x) < run.loader.shards.least:
                self._seen[kind] += 1
                self.step(run, to_device(x, "cuda"), to_device(labels, "cuda"))
            else:
                self._graphs[kind] = _Graph(self.step, run, x, labels)
                self._graphs[kind].replay(x, labels)


class _Graph:
    """A captured step, with the arrays of its batch and of its gradients."""

    def __init__(self, step: Step, run: "Trainer", x: np.ndarray, labels: np.ndarray):
        self._x, self._labels = to_device(x, "cuda"), to_device(labels, "cuda")
        self._fresh = Fresh()
        with self._fresh:
            self._graph = runtime().capture(lambda: step(run, self._x, self._labels))
        self._parameters = run.model.parameters()
        self._gradients = [parameter._grad for parameter in self._parameters]

    def replay(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Run the step on another batch of the same shape."""
        runtime().overwrite(self._x, x)
        runtime().overwrite(self._labels, labels)
        self._fresh.refresh()
        self._graph.launch()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter._grad = gradient


class DeviceMetrics(RunningMetrics):
    """Metrics whose sums stay on the GPU and are read in the first and every 20th step."""

    def __init__(self, loss: Loss):
        self._sums = runtime().upload(np.zeros(2))  # loss and correct
        self._images_read = self._steps = 0
        super().__init__(loss)

    def add(self, loss: Any, outputs: Any, labels: np.ndarray) -> None:
        multi_label = is_multi_label(self._loss, labels)
        tally(probabilities_of(self._loss, outputs), labels, loss, self._sums, multi_label)

    def count(self, images: int) -> bool:
        self.images += images
        self._steps += 1
        is_new = self._steps == 1 or self._steps % READ_EVERY == 0
        if is_new:
            self.read()
        return is_new

    def download(self) -> tuple[float, float]:
        """The sums of losses and hits."""
        loss, correct = runtime().download(self._sums)
        return loss, correct

    def read(self) -> None:
        loss, correct = self.download()
        images = self.images - self._images_read
        if images:
            self.last_loss = (float(loss) - self.loss) / images
            self.last_accuracy = (float(correct) - self.correct) / images
        self.loss, self.correct = float(loss), float(correct)
        self._images_read = self.images

    @property
    def mean_loss(self) -> float:
        return self.loss / self._images_read

    @property
    def accuracy(self) -> float:
        return self.correct / self._images_read

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        runtime().overwrite(self._sums, np.array([self.loss, self.correct], np.float64))
        self._images_read, self._steps = self.images, 0
