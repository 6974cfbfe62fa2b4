"""Training steps on a GPU: captured once as a CUDA graph per batch shape, and replayed."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from ..captured import Captured
from ..device import runtime
from ..kernels.cuda.loss import tally
from ..kernels.cuda.rounded import RoundedWeights
from ..kernels.types import Array
from ..layers.hooks import is_observed
from .known import is_own
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
    Of bfloat16 images, products read weights that the optimizer has rounded.
    captures: False to launch kernel by kernel, for a step in which processes wait for each other.
    """

    def __init__(self, step: Step, captures: bool = True):
        self.step, self.captures = step, captures
        self._network: Any = None
        self._captured: Captured | None = None
        self._rounded: RoundedWeights | None = None

    def __call__(self, run: "Trainer", x: np.ndarray, labels: np.ndarray) -> None:
        if run.network is not self._network:  # fused again, as other layers are frozen
            self._network, self._captured = run.network, None
            self._rounded = _rounded_weights(run)
        parameters = run.model.parameters()

        def gradients(x: Array, labels: Array) -> list[Array | None]:
            self.step(run, x, labels)
            return [parameter._grad for parameter in parameters]

        self._captured = self._captured or Captured(gradients, WARM_UP)
        is_usual = self.captures and len(x) >= run.loader.shards.least
        with labels_checked(), self._rounded_in_use(run):
            found = (self._captured if is_usual else self._captured.run)(x, labels)
        for parameter, gradient in zip(parameters, found, strict=True):
            parameter._grad = gradient

    def _rounded_in_use(self, run: "Trainer") -> AbstractContextManager[None]:
        """The block in which products read the rounded weights, if there are any."""
        if self._rounded is None:
            return nullcontext()
        if run.weights_changed or is_observed() or not run.only_the_optimizer_changes_weights:
            self._rounded.expire()
            run.weights_changed = False
        return nullcontext() if is_observed() else self._rounded.in_use()


def _rounded_weights(run: "Trainer") -> RoundedWeights | None:
    """None if a step runs code that is not minicnn's own: it may change weights within a step."""
    layers = [layer for _, layer in run.model.named_layers()]
    if not is_own(run.loss, *layers):
        return None
    return RoundedWeights(parameter.value for parameter in run.model.parameters())


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
