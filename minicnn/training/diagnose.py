"""Explanations for a training that goes wrong."""

import math
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..data.loader import Loader
from ..device import model_device, to_host, to_input
from ..layers import Layer, no_grad, observe
from .metrics import Evaluation, evaluating, preprocess_of

MOST_NAMES = 5  # of classes in a sentence
SAMPLE, BATCH = 200, 100  # test images whose outputs are compared
CHANCE_WINDOW = 200  # steps over which the mean loss is compared with chance
CHANCE_TOLERANCE = 0.01
IN_THE_INPUT = "the input already holds one: expected finite images after preprocessing"


def first_bad_parameter(model: Layer) -> str | None:
    """The name of the first parameter that holds a NaN or an infinity, or None."""
    return next(
        (name for name, p in model.named_parameters() if not np.isfinite(p.value).all()), None
    )


def first_bad_layer(model: Layer, x: np.ndarray) -> str:
    """A clause that names the first layer or parameter with a NaN or infinity, for the input x."""
    x = to_input(x, model_device(model))
    if not np.isfinite(x).all():
        return IN_THE_INPUT
    parameter = first_bad_parameter(model)
    if parameter:
        return f"the parameter {parameter} holds one"
    leaves = {id(layer): name for name, layer in model.named_layers() if not list(layer.children())}
    found: list[str] = []

    def inspect(layer: Layer, x: Any, y: Any) -> None:
        if not found and id(layer) in leaves and not np.isfinite(y).all():
            found.append(f"the first layer to give one is {leaves[id(layer)]}, {layer!r}")

    with no_grad(), np.errstate(all="ignore"), observe(inspect):
        model(x)
    return found[0] if found else "every layer's output is finite: the loss itself overflowed"


def dead_classes(
    model: Layer, dataset: Dataset, preprocess: Any, evaluation: Evaluation
) -> str | None:
    """A warning that names the classes whose output is the same number for all images, or None.

    dataset: what the evaluation is of. It is for a network that has learned the other classes.
    """
    confusion, classes = evaluation.confusion, evaluation.classes
    if confusion.ndim == 3 or evaluation.accuracy < 2 / len(classes):
        return None
    never_predicted = confusion.sum(axis=0) == 0
    if not never_predicted.any():
        return None
    sample = dataset[:: max(1, len(dataset) // SAMPLE)]
    with evaluating(model) as network:
        batches = [
            network(to_input(x, model_device(model)))
            for x, _ in Loader(sample, BATCH, preprocess or preprocess_of(model))
        ]
    outputs = np.concatenate([to_host(y[0] if isinstance(y, tuple) else y) for y in batches])
    is_dead = never_predicted[: outputs.shape[1]] & (outputs == outputs[0]).all(axis=0)
    names = [name for name, dead in zip(classes, is_dead, strict=False) if dead]
    if not names:
        return None
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return (
        f"the output of {', '.join(names[:MOST_NAMES])}{more} is the same for all images and never "
        "the largest: this unit of the last layer has died, as behind a ReLU. Try a lower learning "
        "rate for that layer, larger biases to begin with, or another seed"
    )


class ChanceLevelDetector:
    """Detect a loss that stays at ln(classes), the loss of random guessing.

    A VGG with too small initial weights never leaves it.
    """

    def __init__(self, classes: int):
        self.classes = classes
        self.level = math.log(classes) if classes > 1 else math.inf
        self.loss, self.accuracy, self.steps, self.reported = 0.0, 0.0, 0, False

    def add(self, loss: float, accuracy: float) -> str | None:
        """Add one step. Returns a warning, once, if the loss of a whole window is at chance."""
        self.loss += loss
        self.accuracy += accuracy
        self.steps += 1
        if self.steps < CHANCE_WINDOW:
            return None
        mean, hits = self.loss / self.steps, self.accuracy / self.steps
        self.loss, self.accuracy, self.steps = 0.0, 0.0, 0
        at_chance = (
            abs(mean - self.level) < CHANCE_TOLERANCE * self.level and hits < 2 / self.classes
        )
        if self.reported or not at_chance:
            return None
        self.reported = True
        return (
            f"the loss has stayed at {mean:.3f} = ln(classes) for {CHANCE_WINDOW} steps: "
            "the network is guessing. Its initial weights may be too small, the learning rate "
            "too low or far too high, or the labels shuffled"
        )
