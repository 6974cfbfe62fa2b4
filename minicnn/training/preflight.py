"""Checks before the first step of a run: do data, network, optimizer and folder fit?"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import is_function, is_number, is_one_of
from ..data.dataset import Dataset
from ..data.loader import Loader
from ..device import array_device, model_device, to_input
from ..errors import DataError, ShapeError, TrainingError, brief
from ..layers import Layer, Parameter, Sequential, Sigmoid, Softmax, no_grad, observe
from ..layers.norm import BatchNorm2d
from ..layers.parameter import are_frozen
from .averaging import Average
from .callbacks import Callback
from .history import METRICS
from .losses import (
    AuxiliaryLoss,
    BinaryCrossEntropy,
    Loss,
    MAPLoss,
    SoftmaxCrossEntropy,
    probabilities_of,
    softmax_cross_entropy,
)
from .metrics import check_loss, check_model, check_preprocess
from .optimizers import Optimizer
from .targets import check_label_range


def check_data(
    model: Layer, loader: Loader, others: Mapping[str, Dataset | None], loss: Loss
) -> None:
    """Raise ShapeError, DataError or TrainingError if a set does not fit the network.

    Also ValueError if the network ends with what the loss applies itself.

    others: the test images and the like, by what they are called in messages. All labels are
    checked, and the first image of each set after its preprocessing.
    """
    _check_ending(model, loss)
    x = _first_input(loader, "training")
    classes = _classes(model, x, loss)
    _check_labels(loader.dataset.labels, classes, loss, "the training labels")
    known = len(loader.dataset.classes)
    if loader.pipeline.mixes and classes not in (None, known):
        raise DataError(
            f"{loader.augment} mixes {known} classes; the network has {classes} outputs, "
            f"expected {known}"
        )
    if loader.pipeline.mixes and classes is not None:
        mixed = np.eye(classes, dtype=np.float32)[:1]
        _check_labels(mixed, classes, loss, f"the labels of {loader.augment}")
    _check_last_batch(model, x, loader)
    for name, dataset in others.items():
        if dataset is None:
            continue
        try:
            first = _first_input(Loader(dataset, 1, loader.preprocess), name)
            classes = _classes(model, first, loss)
        except (ShapeError, DataError) as error:
            raise type(error)(f"the {name} images: {error}") from None
        _check_labels(dataset.labels, classes, loss, f"the {name} labels")


def _check_ending(model: Layer, loss: Loss) -> None:
    """Raise ValueError if the last layer applies a function that the loss applies again."""
    last = model
    while isinstance(last, Sequential):
        last = last[-1]
    inner = loss.loss if isinstance(loss, AuxiliaryLoss) else loss
    takes_logits = isinstance(inner, SoftmaxCrossEntropy) or inner is softmax_cross_entropy
    if (isinstance(last, Softmax) and takes_logits) or (
        isinstance(last, Sigmoid) and isinstance(inner, BinaryCrossEntropy)
    ):
        raise ValueError(
            f"the network ends in {type(last).__name__}, and the loss applies that too: expected "
            "logits; leave the layer out (evaluate and predict give probabilities all the same)"
        )


def check_optimizer(optimizer: Optimizer, model: Layer) -> Optimizer:
    """The optimizer. Raises ValueError unless it trains parameters of that model, on its device."""
    own = {id(parameter) for parameter in model.parameters()}
    foreign = [p for p in optimizer.parameters if id(p) not in own]
    name = type(optimizer).__name__
    if foreign:
        raise ValueError(
            f"{name}: {len(foreign)} of its {len(optimizer.parameters)} parameters are not "
            f"the model's, such as {foreign[0]!r}: expected some of model.parameters()"
        )
    if are_frozen(*optimizer.parameters):
        raise ValueError(f"{name}: all of its parameters are frozen; expected some to train")
    for parameter, slots in zip(optimizer.parameters, optimizer.state, strict=True):
        for slot, array in slots.items():
            if array_device(array) != array_device(parameter.value):
                raise ValueError(
                    f"{name}: its {slot} is on {array_device(array)} and the model is on "
                    f"{array_device(parameter.value)}: make the optimizer after model.to(...)"
                )
    return optimizer


def check_new_parameters(model: Layer, before: Sequence[Parameter], optimizer: Optimizer) -> None:
    """Raise TrainingError for one that would not be trained, as the optimizer has another.

    before: the model's parameters until a callback replaced a layer.
    """
    known = {id(parameter) for parameter in (*before, *optimizer.parameters)}
    for name, parameter in model.named_parameters():
        if id(parameter) not in known and not parameter.frozen:
            raise TrainingError(
                f"{name}: a callback has replaced it, and {type(optimizer).__name__} trains the "
                "former one; expected a layer with the same Parameter objects, or a frozen one"
            )


def check_objects(model: Any, callbacks: Any, preprocess: Any, checkpoint_seconds: Any) -> None:
    """Raise ValueError unless these are a network, callbacks, a function or None, and a number."""
    check_model(model)
    if not isinstance(callbacks, (list, tuple)):  # an iterator would be empty the second time
        raise ValueError(
            f"callbacks={brief(callbacks)}: expected a list of them: [{brief(callbacks)}]"
        )
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise ValueError(
                f"callbacks: {brief(callback)}: expected training.Callback objects, such as "
                "training.EarlyStopping(10)"
            )
    check_preprocess(preprocess)
    is_never = isinstance(checkpoint_seconds, float) and checkpoint_seconds == math.inf
    if not is_never and not is_number(checkpoint_seconds, 0):
        raise ValueError(
            f"checkpoint_seconds={brief(checkpoint_seconds)}: expected a number of seconds >= 0"
        )


def check_functions(loss: Any, clip: Any, average: Any) -> None:
    """Raise ValueError unless loss and clip can be called and average is an Average, or None."""
    check_loss(loss)
    if clip is not None and not is_function(clip, 1):
        raise ValueError(
            f"clip={brief(clip)}: expected a function of the parameters, such as "
            "training.ClipNorm(1.0)"
        )
    if average is not None and not isinstance(average, Average):
        raise ValueError(
            f"average={brief(average)}: expected an Average, such as training.EMA(0.999)"
        )


def check_metric(metric: str | None, images: Dataset | None) -> None:
    """Raise ValueError unless the best epoch can be chosen by that metric of those images."""
    if metric is not None and not is_one_of(metric, METRICS):
        raise ValueError(f"metric={brief(metric)}: expected one of {', '.join(METRICS)}")
    if metric == "top5" and (images is None or len(images.classes) < 6):
        given = "there are none" if images is None else f"these have {len(images.classes)}"
        raise ValueError(
            f"metric='top5': expected validation or test images of more than 5 classes; {given}"
        )


def check_folder(folder: Path | None) -> None:
    """Make the folder of a run. Raises TrainingError if it cannot be made or written."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"minicnn")
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written: {error.strerror}") from None


def _check_labels(labels: np.ndarray, classes: int | None, loss: Loss, what: str) -> None:
    """Check all labels of a set; `classes` is None if the network's outputs are unusual."""
    if classes is None:
        return
    if labels.ndim == 1:
        return check_label_range(labels, classes, what)
    try:
        loss(np.zeros((len(labels), classes), np.float32), labels)
    except ShapeError as error:
        raise ShapeError(f"{what}: {error}") from None


def _first_input(loader: Loader, what: str) -> np.ndarray:
    """The first image of a set after augmentation and preprocessing, `(1, H, W, C)`."""
    first, dataset = np.arange(1), loader.dataset
    images, _ = loader.pipeline.batch(
        dataset.images[first],
        dataset.labels[first],
        loader.preprocess,
        np.random.default_rng(0),
        len(dataset.classes),
    )
    if images.dtype.kind != "f":
        raise ShapeError(
            f"the {what} images are {images.dtype} after preprocessing; expected float32: "
            "pass a preprocess, or normalize them"
        )
    return images


def _classes(model: Layer, x: np.ndarray, loss: Loss) -> int | None:
    """The number of classes; None if the outputs of the network are not `(N, classes)`."""
    shape = _output_shape(model, x)
    ours = SoftmaxCrossEntropy, AuxiliaryLoss, MAPLoss, BinaryCrossEntropy
    if isinstance(loss, ours) or not hasattr(loss, "probabilities"):
        return shape[1] if len(shape) == 2 else None
    return probabilities_of(loss, np.zeros(shape, np.float32)).shape[-1]


def _output_shape(model: Layer, x: np.ndarray) -> tuple[int, ...]:
    try:
        return model.output_shape(x.shape)
    except TypeError:  # a layer without `output_shape`, which training does not need
        return _run(model, x).shape


def _check_last_batch(model: Layer, x: np.ndarray, loader: Loader) -> None:
    """Raise TrainingError if a batch norm would get a single value per channel."""
    names = {id(b): name for name, b in model.named_layers() if isinstance(b, BatchNorm2d)}
    if 1 not in loader.shards.sizes(loader.images) or not names:
        return
    single: list[str] = []

    def inspect(layer: Layer, x: Any, y: Any) -> None:
        if isinstance(layer, BatchNorm2d) and x.size == layer.channels:
            single.append(names[id(layer)])

    with observe(inspect):
        _run(model, x)
    if single:
        raise TrainingError(
            f"{loader.images} training images in batches of {loader.batch_size} end with a batch "
            f"of one image, for which the batch norm {single[0]} has one value per channel, and "
            "no variance: choose another batch_size"
        )


def _run(model: Layer, x: np.ndarray) -> Any:
    """The outputs for x in evaluation mode, without saving anything for backward."""
    with model.mode_kept(), no_grad():
        return model.eval()(to_input(x, model_device(model)))
