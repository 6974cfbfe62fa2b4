"""One step of training, forward, backward and update: on the host, and on a GPU, where it is captured once and replayed."""

import importlib
import math

import numpy as np

from ..device import model_device, runtime, to_device, to_input
from ..errors import ShapeError

WARM_UP = 2  # steps that run kernel by kernel before one is captured: kernels are compiled, tables are made
READ_EVERY = 20  # steps after which the GPU's totals are read, besides the first; each reading makes the host wait


class HostStep:
    """A step on the host. `trainer` has the model, loss and optimizer, and the epoch's totals, which each step brings up to date.

    Called with a batch it returns the latest loss and share of right answers that are known: here those of the step itself.
    """

    def __init__(self, trainer):
        self.trainer = trainer

    def begin(self) -> None:
        """Start an epoch, or go on with one: `trainer.totals` says where it stands."""

    def read(self) -> None:
        """Bring `trainer.totals` up to date."""

    def __call__(self, x, labels) -> tuple[float, float]:
        trainer = self.trainer
        outputs = trainer.fused(x)
        value, gradient = trainer.loss(outputs, labels)
        value = float(value)
        trainer.check_finite(value, x)
        trainer.optimizer.zero_grad()
        trainer.fused.backward(gradient, need_dx=False)
        trainer.optimizer.step()
        hits = int((rank(trainer.loss.probabilities(outputs), labels) == 0).sum())
        trainer.totals["loss"] += value * len(labels)
        trainer.totals["correct"] += hits
        trainer.totals["images"] += len(labels)
        return value, hits / len(labels)


class DeviceStep:
    """A step on the GPU. Batches of one shape become one CUDA graph: a single launch, with all its memory kept.

    The loss is summed up on the device and read every `READ_EVERY` steps; in between the latest known mean stands for it.
    Dropout's keys and the images have fixed places that are filled before each replay; the update is a launch of its own, so that the
    learning rate may change.
    """

    def __init__(self, trainer):
        self.trainer = trainer
        self._tally = importlib.import_module("minicnn.kernels.cuda.loss").tally
        self._fresh = importlib.import_module("minicnn.kernels.cuda.capture").Fresh
        self._totals = runtime().upload(np.zeros(2))
        self._captured: dict = {}  # shape -> a captured step, or how often the shape was seen
        self._known = (math.nan, 0.0)
        self._at_reading = (0.0, 0, 0)
        self._steps = 0
        self._x = None  # the latest batch

    def begin(self) -> None:
        """See HostStep."""
        totals = self.trainer.totals
        runtime().overwrite(self._totals, np.array([totals["loss"], totals["correct"]], np.float64))
        self._at_reading = totals["loss"], totals["correct"], totals["images"]
        self._steps = 0

    def read(self) -> None:
        """See HostStep. Raises TrainingError for a loss that is not finite."""
        totals = self.trainer.totals
        loss, correct = runtime().download(self._totals)
        self.trainer.check_finite(float(loss), self._x)
        totals["loss"], totals["correct"] = float(loss), int(correct)
        before, hits, images = self._at_reading
        self._at_reading = totals["loss"], totals["correct"], totals["images"]
        if totals["images"] > images:
            count = totals["images"] - images
            self._known = (totals["loss"] - before) / count, (totals["correct"] - hits) / count

    def __call__(self, x, labels) -> tuple[float, float]:
        trainer, self._x = self.trainer, x
        found = self._captured.get(x.shape, 0)
        if isinstance(found, int):
            self._captured[x.shape] = found + 1
            if found == WARM_UP and len(x) == trainer.loader.batch_size:
                found = self._captured[x.shape] = _Captured(self, x, labels)
        if isinstance(found, int):
            self.forward_backward(to_device(x, "cuda"), to_device(labels, "cuda"))
        else:
            found.replay(x, labels)
        trainer.optimizer.step()
        trainer.totals["images"] += len(labels)
        self._steps += 1
        if self._steps == 1 or self._steps % READ_EVERY == 0:
            self.read()
        return self._known

    def forward_backward(self, x, labels) -> None:
        """All of the step but the update: only kernels on the device, and nothing that the host has to know."""
        trainer = self.trainer
        outputs = trainer.fused(to_input(x, "cuda"))
        value, gradient = trainer.loss(outputs, labels)
        self._tally(trainer.loss.probabilities(outputs), labels, value, self._totals)
        trainer.optimizer.zero_grad()
        trainer.fused.backward(gradient, need_dx=False)


class _Captured:
    """A step as a graph, with the places of its batch and of its gradients."""

    def __init__(self, step: DeviceStep, x, labels):
        self._x, self._labels = to_device(x, "cuda"), to_device(labels, "cuda")
        self._fresh = step._fresh()
        with self._fresh:
            self._graph = runtime().capture(lambda: step.forward_backward(self._x, self._labels))
        self._parameters = step.trainer.model.parameters()
        self._gradients = [parameter._grad for parameter in self._parameters]

    def replay(self, x, labels) -> None:
        """Run the step on another batch of the same shape."""
        run = runtime()
        run.overwrite(self._x, x)
        run.overwrite(self._labels, labels)
        self._fresh.refresh()
        self._graph.launch()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter._grad = gradient


def rank(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each row, how many classes are believed more probable than the true one (ties count against): 0 is a top-1 hit."""
    own = probabilities[np.arange(len(labels)), labels][:, None]
    ties = (probabilities == own).sum(axis=1) - 1
    return (probabilities > own).sum(axis=1) + ties * (probabilities.argmax(axis=1) != labels)


def step_for(trainer):
    """The step that suits where the model is. Raises ShapeError for labels beyond the network's classes."""
    if model_device(trainer.model) == "cpu":
        return HostStep(trainer)
    dataset = trainer.loader.dataset
    classes = (
        trainer.model.output_shape((1, *trainer.model.input_shape))[1]
        if getattr(trainer.model, "input_shape", ())
        else math.inf
    )
    low, high = int(dataset.labels.min()), int(dataset.labels.max())
    if low < 0 or high >= classes:
        raise ShapeError(
            f"labels run from {low} to {high}; the network has classes 0 to {classes - 1}"
        )
    return DeviceStep(trainer)
