"""The images that the page can show: those of a data set, drawings and files."""

import io
from typing import Any

import numpy as np
from PIL import Image

from ...data.dataset import Dataset
from ...data.pixels import Decode
from ...data.transforms import Preprocess
from ...errors import DataError, brief
from ...layers import Layer, metadata
from ...training import metrics

PAD = 28  # pixels of the drawing pad, as MNIST has them


class Gallery:
    """Pixels for a network, from three sources, and the way from pixels to its input.

    sets: the data set by split, such as {"train": ..., "test": ...}; may be empty.
    classes: the names of the network's classes; numbers if there are none.
    Raises ValueError for a network without an input shape, DataError for images of a class that the
    network does not have.
    """

    def __init__(self, model: Layer, sets: dict[str, Dataset]):
        shape = metadata(model).input_shape
        if len(shape) != 3:
            raise ValueError(
                f"the network has input_shape={shape}; expected input_shape=(H, W, C) to show "
                "images"
            )
        self.shape = shape
        names = metrics.classes_of(model)
        self.sets = {split: found.with_classes(names) for split, found in sets.items()}
        self.preprocess = _preprocess(model, shape, self.sets.get("train"))
        self.classes = names or next((s.classes for s in self.sets.values()), ())

    @property
    def name(self) -> str:
        """The name of the data set, or ""."""
        return next((found.name for found in self.sets.values()), "")

    @property
    def decode(self) -> Decode:
        """How a file becomes pixels."""
        kept = next((s.decode for s in self.sets.values() if s.decode), None)
        return kept or self.preprocess.decode

    def image(self, split: str, index: int) -> tuple[np.ndarray, int | None]:
        """The pixels `(H, W, C)` of one image of the data set, and its label if it has one.

        Raises DataError for a split or an index that does not exist.
        """
        if split not in self.sets:
            raise DataError(
                f"split {brief(split)}: expected one of {', '.join(self.sets) or 'none'}"
            )
        found = self.sets[split]
        if not 0 <= index < len(found):
            raise DataError(f"{split} image {index}: expected 0 to {len(found) - 1}")
        pixels, label = found[index]
        return pixels, label if isinstance(label, int) else None

    def drawing(self, pixels: np.ndarray) -> np.ndarray:
        """A gray drawing `(28, 28)`, light on dark, as pixels for the network."""
        size = self.preprocess.image_size or self.preprocess.size
        image = Image.fromarray(pixels)
        if pixels.shape != size:
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.repeat(np.asarray(image)[..., None], self.shape[2], axis=2)

    def file(self, name: str, contents: bytes) -> np.ndarray:
        """The pixels of an image file. Raises DataError that names it."""
        return self.decode(name, contents)

    def blank(self) -> np.ndarray:
        """The image that the page begins with if there is no data set: a disk before a gradient."""
        height, width = self.preprocess.image_size or self.preprocess.size
        rows, columns = np.mgrid[0:height, 0:width]
        disk = np.hypot(rows - height / 2, columns - width / 2) < min(height, width) / 4
        colors = np.stack(
            [
                np.where(disk, 230, 255 * rows / height),
                np.where(disk, 120, 90),
                np.where(disk, 40, 255 * columns / width),
            ],
            axis=-1,
        )
        pixels = colors if self.shape[2] == 3 else colors.mean(axis=-1, keepdims=True)
        return np.repeat(
            pixels, 1 if pixels.shape[2] == self.shape[2] else self.shape[2], 2
        ).astype(np.uint8)

    def input(self, pixels: np.ndarray) -> np.ndarray:
        """The network's input `(1, H, W, C)` for pixels `(h, w, c)`. Raises DataError."""
        return self.preprocess(pixels[None])


def _preprocess(model: Layer, shape: tuple[int, ...], train: Dataset | None) -> Preprocess:
    """That of the network; without one, pixels become 0 to 1."""
    found: Any = metrics.preprocess_of(model)
    if not isinstance(found, Preprocess):
        return Preprocess((shape[0], shape[1]), shape[2])
    if not isinstance(found.mean, str):
        return found
    if train is not None:
        return found.for_data(train.images)
    return Preprocess(found.size, found.channels, 0.5, found.std, found.image_size, found.crop)


def png(pixels: np.ndarray, side: int | None = None) -> bytes:
    """Pixels `(H, W, 1 or 3)` as a PNG file; floats are scaled to their range.

    side: the longer side of a thumbnail; smaller images are not enlarged.
    """
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = ((pixels - low) * (255 / (high - low or 1.0))).astype(np.uint8)
    if pixels.shape[2] not in (1, 3):
        pixels = pixels[..., :1]
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if side:
        image.thumbnail((side, side), Image.Resampling.BILINEAR)
    contents = io.BytesIO()
    image.save(contents, "PNG")
    return contents.getvalue()
