"""Caffe's transform_param as our `Preprocess`: y = (pixel - mean) * scale, pixels from 0 to 255."""

import os
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from .. import registry
from ..data.mean_image import PER_PIXEL, MeanImage
from ..data.transforms import Preprocess
from ..errors import CheckpointError
from ..layers import Network
from ..training.metrics import recipe_preprocess
from .message import Message, read_binary
from .net import blob_array

Mean = str | PathLike[str] | MeanImage | tuple[float, ...] | float


def read_mean(path: str | PathLike[str], channels: str = "bgr") -> MeanImage:
    """The mean image in a .binaryproto file, as RGB in units of full brightness.

    channels: the order of three channels in the file, "bgr" or "rgb".
    Raises CheckpointError if it cannot be read or is damaged.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        array = blob_array(read_binary(data, "BlobProto"), "a BlobProto")
    except CheckpointError as error:
        raise CheckpointError(f"{path}: not a mean image, or damaged: {error}") from None
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 3 or array.shape[0] not in (1, 3) or array.size == 0:
        raise CheckpointError(
            f"{path}: not a mean image: it has the shape {array.shape}; expected (1, C, H, W)"
        )
    if not np.isfinite(array).all():
        raise CheckpointError(f"{path}: the mean image has numbers that are not finite")
    flip = len(array) == 3 and channels == "bgr"
    return MeanImage((array[::-1] if flip else array).transpose(1, 2, 0) / 255)


def preprocess(
    transform: Message | None,
    network: Network,
    flipped: bool,
    mean: Mean | None,
    folder: Path,
) -> tuple[Preprocess | None, str]:
    """The preprocessing that a file describes, and a sentence about what is missing.

    A network of the zoo reads image files as its recipe does. Without a transform_param it has the
    mean that its authors' files are known to have.
    mean: in place of the file's: the path of a mean image, gray levels in the order R, G, B, or
        what `Preprocess` takes. folder: where the mean image may be.
    """
    height, width, channels = network.input_shape
    own = recipe_preprocess(network.recipe, network) if network.recipe else None
    form = registry.entry(str(network.name)).caffe if network.recipe else None
    known = form.mean if form else None
    if (transform is None and mean is None and known is None) or channels not in (1, 3):
        return None, ""
    if transform is None and mean is None:
        mean = known
    transform = transform or Message("TransformationParameter")
    scale, crop = transform.get("scale", 1.0), transform.get("crop_size", 0)
    if not (scale > 0 and np.isfinite(scale)):
        raise CheckpointError(f"its transform_param has the scale {scale:g}; expected above 0")
    found, said = _mean(transform, channels, flipped, mean, folder)
    made = own or Preprocess((height, width), channels, crop=bool(crop))
    if isinstance(found, MeanImage):
        size = found.values.shape[:2]
        if size[0] < height or size[1] < width or found.values.shape[2] != channels:
            raise CheckpointError(
                f"the mean image has the shape {found.values.shape}, and the input "
                f"{network.input_shape}"
            )
        made = replace(made, image_size=size, crop=size != (height, width))
    return replace(made, mean=found, std=1 / (255 * scale)), said


def _mean(
    transform: Message, channels: int, flipped: bool, given: Mean | None, folder: Path
) -> tuple[float | tuple[float, ...] | str | MeanImage, str]:
    """The mean, and what is to be said about it."""
    order = "bgr" if flipped else "rgb"
    if given is not None:
        return _given(given, order), ""
    values = [float(v) for v in transform.numbers("mean_value")]
    if "mean_file" in transform:
        name = str(transform.get("mean_file")).replace("\\", "/").rpartition("/")[2]
        if name and os.path.isfile(folder / name):  # False for a name that is too long
            return read_mean(folder / name, order), ""
        return PER_PIXEL, (
            f"the mean image {name} is not in {folder}: give mean=, its path, or let training "
            "compute it"
        )
    if len(values) not in (0, 1, channels) or not np.isfinite(values).all():
        raise CheckpointError(f"mean_value is {values[:8]}; expected 1 or {channels} numbers")
    values = values[::-1] if flipped else values
    levels = tuple(v / 255 for v in values)
    return levels if len(levels) > 1 else sum(levels), ""


def _given(mean: Mean, order: str) -> float | tuple[float, ...] | str | MeanImage:
    if isinstance(mean, MeanImage) or mean in (PER_PIXEL, "per channel"):
        return mean  # type: ignore[return-value]
    if isinstance(mean, (str, PathLike)):
        return read_mean(mean, order)
    return tuple(v / 255 for v in mean) if isinstance(mean, tuple) else mean / 255
