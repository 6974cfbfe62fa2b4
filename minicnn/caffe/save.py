"""`to_caffe`: a network of ours as a .caffemodel and its .prototxt."""

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .. import registry
from ..data.mean_image import MeanImage
from ..data.transforms import Preprocess
from ..device import to_host
from ..errors import CheckpointError
from ..files import replacing
from ..layers import Network
from ..training.metrics import preprocess_of
from ..weights.checks import check_weights
from .describe import Described, describe
from .describer import INPUT, OUTPUT
from .message import Message, write_binary
from .net import CaffeLayer, check_channels, default_channels
from .schema import MESSAGES
from .text import write_text
from .wire import LENGTH, encoded_field

LAYER = MESSAGES["NetParameter"]["layer"].number


def to_caffe(model: Network, path: str | PathLike[str], channels: str | None = None) -> list[Path]:
    """Write a network for Caffe; returns the files: .caffemodel, .prototxt, perhaps a mean image.

    The prototxt is one for use (deploy): one image, and probabilities at the end. Its input has a
    transform_param, which says how pixels become the input. Caffe has one scale for all channels:
    a `std` per channel is multiplied into the first weights. Auxiliary classifiers are left out.
    path: the name of the .caffemodel; the others are beside it.
    channels: "bgr" for images as Caffe's tools and OpenCV read them; "rgb" to leave them as ours.
        By default "bgr", but "rgb" for a network with cifar in its name, as Caffe has those.
    Raises CheckpointError, which names the layer, for what Caffe cannot compute, and for weights
    that are not finite.
    """
    path = Path(path)
    if path.suffix != ".caffemodel":
        raise ValueError(f"{path}: expected a name that ends in .caffemodel")
    channels = channels or default_channels(str(model.name))
    check_channels(channels)
    if len(getattr(model, "input_shape", ())) != 3:
        raise ValueError(f"{type(model).__name__} has no input_shape; expected (H, W, C)")
    flipped = channels == "bgr" and model.input_shape[-1] == 3
    preprocess = preprocess_of(model)
    preprocess = preprocess if isinstance(preprocess, Preprocess) else None
    state = {name: to_host(array) for name, array in model.state_dict().items()}
    try:
        check_weights(state, state)
        found = describe(model, _names(model), flipped, factors=_factors(preprocess))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: not written: {error}") from None
    files = [path, path.with_suffix(".prototxt")]
    mean = preprocess.mean if preprocess else None
    if isinstance(mean, MeanImage):
        files.append(path.with_name(f"{path.stem}_mean.binaryproto"))
    entry = _input(found, preprocess, flipped, files[-1].name)
    _write(found, entry, files, model)
    if isinstance(mean, MeanImage):
        maps = mean.values.transpose(2, 0, 1)[None] * 255
        _write_file(files[-1], write_binary(_blob(maps[:, ::-1] if flipped else maps, old=True)))
    return files


def _names(model: Network) -> Any:
    """From our names of layers to Caffe's."""
    form = registry.entry(str(model.name)).caffe if model.name in registry.names() else None
    return form.names if form else str


def _factors(preprocess: Preprocess | None) -> tuple[float, ...]:
    """What remains to be multiplied per channel if Caffe multiplies all by one scale."""
    std = np.atleast_1d(preprocess.std) if preprocess else np.ones(1)
    return () if np.ptp(std) == 0 else tuple(map(float, std.mean() / std))


def _input(
    found: Described, preprocess: Preprocess | None, flipped: bool, mean_file: str
) -> Message:
    """The layer of the input, with what is done to pixels before it."""
    shape = Message("BlobShape").add("dim", *found.net.inputs[INPUT])
    layer = Message("LayerParameter").add("name", INPUT).add("type", "Input").add("top", INPUT)
    layer.add("input_param", Message("InputParameter").add("shape", shape))
    if preprocess is None or isinstance(preprocess.mean, str):
        return layer
    transform = Message("TransformationParameter")
    transform.add("scale", 1 / (255 * float(np.mean(preprocess.std))))
    if preprocess.crop and preprocess.size[0] == preprocess.size[1]:
        transform.add("crop_size", preprocess.size[0])
    if isinstance(preprocess.mean, MeanImage):
        transform.add("mean_file", mean_file)
    else:
        levels = [255 * float(m) for m in np.atleast_1d(preprocess.mean)]
        transform.add("mean_value", *(levels[::-1] if flipped else levels))
    return layer.add("transform_param", transform)


def _write(found: Described, entry: Message, files: list[Path], model: Network) -> None:
    softmax = Message("LayerParameter").add("name", OUTPUT).add("type", "Softmax")
    softmax.add("bottom", found.output).add("top", OUTPUT)
    name = Message("NetParameter").add("name", str(model.name or "net"))
    layers = [entry, *(layer.message for layer in found.net.layers), softmax]
    text = "# Written by minicnn.\n" + write_text(name)
    text += "".join(f"layer {{\n{write_text(layer, '  ')}}}\n" for layer in layers)
    _write_file(files[1], text.encode())
    weighted = [entry, *map(_with_weights, found.net.layers), softmax]
    parts = (encoded_field(LAYER, LENGTH, write_binary(layer)) for layer in weighted)
    _write_file(files[0], write_binary(name), *parts)


def _with_weights(layer: CaffeLayer) -> Message:
    """The layer's message with its weights."""
    message = Message("LayerParameter")
    message.values = dict(layer.message.values)
    return message.add("blobs", *(_blob(to_host(weights.array())) for weights in layer.blobs))


def _blob(array: np.ndarray, old: bool = False) -> Message:
    """A BlobProto; in the old form, with four axes, for a mean image."""
    blob = Message("BlobProto")
    if old:
        for name, length in zip(("num", "channels", "height", "width"), array.shape, strict=True):
            blob.add(name, length)
    else:
        blob.add("shape", Message("BlobShape").add("dim", *array.shape))
    return blob.add("data", np.ascontiguousarray(array, np.float32))


def _write_file(path: Path, *parts: bytes) -> None:
    """Write a file as a whole or not at all. Raises CheckpointError."""
    try:
        with replacing(path) as file:
            file.writelines(parts)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from None
