"""`evaluate`: one or several networks on a data set, by one of the papers' protocols."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from ..checks import checked_whole
from ..data.dataset import Dataset, as_dataset
from ..data.image_files import ImageFiles
from ..data.pixels import contents_of, opened
from ..data.transforms import Preprocess
from ..device import model_device, to_host, to_input
from ..errors import DataError
from ..kernels.thread_state import inheriting
from ..layers import Layer, Sequential, fully_convolutional, fuse, inference_mode, metadata
from ..training.losses import probabilities_of
from ..training.metrics import classes_of, loss_of, preprocess_of
from ..training.targets import check_label_range
from .predictions import Predictions
from .protocols import Protocol, Views, named

AHEAD = 4  # images whose views are made while the network works

OnBatch = Callable[[int], Any] | None
Normalize = Callable[[np.ndarray], np.ndarray]


def evaluate(
    models: Layer | Sequence[Layer],
    dataset: Dataset | tuple[Any, Any],
    protocol: str | Protocol = "center",
    *,
    batch_size: int = 64,
    on_batch: OnBatch = None,
) -> Predictions:
    """The predictions of a network, or of an ensemble: the mean of its networks' probabilities.

    dataset: a Dataset or `(images, labels)`. Protocols other than "center" cut views from the
        original images: `data.load_splits(source, memory=0)` keeps the files. Without files, the
        pixels of the data set are the originals.
    protocol: a name in `PROTOCOLS`, or a Protocol.
    batch_size: how many views the network gets at a time; of whole images, which are larger than
        its input, as many as have so many pixels.
    on_batch: called with the number of images that one network is through with.
    Labels, and the outputs of several networks, are matched by the names of the classes.
    Raises DataError for images of which no views can be made, ValueError for networks of different
    classes or of a size that the protocol is not for.
    """
    plan, dataset = named(protocol), as_dataset(dataset)
    networks: list[Any] = [models] if isinstance(models, Layer) else list(models)
    if not networks:
        raise ValueError("models: expected at least one network")
    checked_whole("batch_size", batch_size)
    if dataset.labels.ndim != 1:
        raise DataError(
            f"{dataset.name}: the labels are {dataset.labels.shape}; expected one class per image"
        )
    own_classes = [classes_of(network) for network in networks]
    classes = next(filter(None, own_classes), ())
    labels = dataset.labels_of(classes)
    positions = [_positions(classes, own) for own in own_classes]
    total: Any = 0.0
    for network, order in zip(networks, positions, strict=True):
        own = _probabilities(network, dataset, plan, batch_size, on_batch)
        if np.ndim(total) and own.shape != total.shape:
            raise ValueError(
                f"an ensemble needs networks of the same classes: {own.shape[1]} outputs, and "
                f"{total.shape[1]} before"
            )
        total = total + own[:, order]
    check_label_range(labels, total.shape[1])
    names = classes or dataset.classes
    names += tuple(map(str, range(len(names), total.shape[1])))
    files = dataset.images.files if isinstance(dataset.images, ImageFiles) else None
    images = [name for name, _ in files] if files else map(str, range(len(dataset)))
    return Predictions(total / len(networks), labels, names, tuple(images))


def _positions(wanted: tuple[str, ...], own: tuple[str, ...]) -> Any:
    """Where a network has the classes `wanted`. Raises ValueError if it has others."""
    if not wanted or not own or wanted == own:
        return slice(None)
    if set(wanted) != set(own):
        name = min(set(wanted) ^ set(own))
        raise ValueError(f"an ensemble needs networks of the same classes: one has no class {name}")
    return [own.index(name) for name in wanted]


def _probabilities(
    model: Layer, dataset: Dataset, plan: Protocol, batch_size: int, on_batch: OnBatch
) -> np.ndarray:
    """`(N, classes)`, float32, of one network."""
    if plan.parts:
        parts = [_probabilities(model, dataset, p, batch_size, on_batch) for p in plan.parts]
        return np.mean(parts, axis=0)
    loss, most = loss_of(model), _most(model, plan, batch_size)
    found: list[np.ndarray] = []
    with model.mode_kept(), inference_mode():
        network, normalize = fuse(_form(model.eval(), plan)), _normalization(model, plan)
        for images in _chunks(_views(model, dataset, plan), batch_size):
            for scores in _scores(network, normalize, images, most):
                found.append(_averaged(scores, loss, plan))
            if on_batch:
                on_batch(len(images))
    return np.array(found, np.float32)


def _most(model: Layer, plan: Protocol, batch_size: int) -> Callable[[np.ndarray], int]:
    """How many of these views `(n, h, w, C)` the network gets at a time."""
    if not plan.dense:
        return lambda pixels: batch_size
    height, width, _ = metadata(model).input_shape or (1, 1, 0)
    return lambda pixels: max(1, batch_size * height * width // pixels[0, ..., 0].size)


def _averaged(scores: np.ndarray, loss: Any, plan: Protocol) -> np.ndarray:
    """`(views, classes)` -> `(classes,)`: the probabilities of one image."""
    if plan.average == "scores":
        return to_host(probabilities_of(loss, scores.mean(axis=0, keepdims=True)))[0]
    return to_host(probabilities_of(loss, scores)).mean(axis=0)


def _form(model: Layer, plan: Protocol) -> Layer:
    """The network, or its fully convolutional form."""
    if plan.dense and not isinstance(model, Sequential):
        raise ValueError(f"this protocol is for a Sequential; the model is {type(model).__name__}")
    return fully_convolutional(model) if plan.dense else model  # type: ignore[arg-type]


def _scores(
    network: Layer,
    normalize: Normalize,
    images: list[Views],
    most: Callable[[np.ndarray], int],
) -> Iterator[np.ndarray]:
    """For each image the scores `(views, classes)`; of a map of scores, the mean over space."""
    device = model_device(network)

    def run(pixels: np.ndarray) -> np.ndarray:
        parts, step = [], most(pixels)
        for first in range(0, len(pixels), step):
            x = normalize(pixels[first : first + step])
            y = to_host(network(to_input(x, device)))
            parts.append(y.mean(axis=(1, 2)) if y.ndim == 4 else y)
        return np.concatenate(parts).astype(np.float32)

    found: list[list[np.ndarray]] = [[] for _ in images]
    for group in zip(*images, strict=True):
        if len({x.shape for x in group}) == 1:
            parts = np.split(run(np.concatenate(group)), len(group))
        else:
            parts = [run(x) for x in group]
        for scores, part in zip(found, parts, strict=True):
            scores.append(part)
    return map(np.concatenate, found)


def _chunks(images: Iterator[Views], batch_size: int) -> Iterator[list[Views]]:
    """Images with about `batch_size` views together."""
    for first in images:
        more = batch_size // sum(map(len, first)) - 1
        yield [first, *islice(images, max(0, more))]


def _views(model: Layer, dataset: Dataset, plan: Protocol) -> Iterator[Views]:
    """The pixels of each image's views, in order, made ahead by threads."""
    make, pending = inheriting(_maker(model, dataset, plan)), deque[Any]()
    with ThreadPoolExecutor() as pool:
        try:
            for i in range(len(dataset)):
                pending.append(pool.submit(make, i))
                if len(pending) > AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _maker(model: Layer, dataset: Dataset, plan: Protocol) -> Callable[[int], Views]:
    """What makes the views of image i: pixels `(k, h, w, C)` each."""
    if not plan.scales:
        images = _as_network_reads(model, dataset.images)
        return lambda i: [images[i][None]]
    height, width, channels = metadata(model).input_shape or (0, 0, 0)
    if height != width or not height:
        raise ValueError(
            f"this protocol is for square inputs; the network reads {height}x{width} pixels"
        )
    return lambda i: plan.views(_original(dataset, i, channels), height)


def _as_network_reads(model: Layer, images: Any) -> Any:
    """The images; files are decoded as the network reads them, which may differ in an ensemble."""
    preprocess = preprocess_of(model)
    if not isinstance(images, ImageFiles) or not isinstance(preprocess, Preprocess):
        return images
    own, found = preprocess.decode, images.decode
    decode = replace(own, orient=found.orient, light_on_dark=found.light_on_dark)
    return ImageFiles(images.files, decode)


def _normalization(model: Layer, plan: Protocol) -> Normalize:
    """From the pixels of views, of any size, to the network's input."""
    preprocess = preprocess_of(model) or (lambda pixels: pixels)
    if not plan.scales or not isinstance(preprocess, Preprocess):
        return preprocess
    return lambda pixels: replace(preprocess, size=pixels.shape[1:3], image_size=None, crop=False)(
        pixels
    )


def _original(dataset: Dataset, i: int, channels: int) -> Image.Image:
    """The whole image, in mode L or RGB."""
    images = dataset.images
    if isinstance(images, ImageFiles):
        name, read = images.files[i]
        if images.decode.light_on_dark:
            raise DataError(f"{name}: views of images that may be inverted are not defined")
        with opened(name, contents_of(name, read)) as file:
            return replace(images.decode, channels=channels).original(file)
    if dataset.decode is not None:
        raise DataError(
            f"{dataset.name}: the images were scaled and cropped when they were read; load them "
            "with memory=0, so that views can be cut from the files"
        )
    if images.dtype != np.uint8:
        raise DataError(
            f"{dataset.name}: the images are {images.dtype}; expected uint8 pixels or files, of "
            "which views can be made"
        )
    if images.shape[3] not in (1, 3):
        raise DataError(
            f"{dataset.name}: the images have {images.shape[3]} channels; expected 1 (gray) or "
            "3 (RGB), of which views can be made"
        )
    image = Image.fromarray(images[i] if images.shape[3] == 3 else images[i, ..., 0])
    return image.convert("L" if channels == 1 else "RGB")
