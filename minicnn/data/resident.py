"""Loaders whose batches are normalized on the GPU, from bytes.

`ResidentLoader` keeps the whole data set there: per epoch, only the order of the images is copied.
`UploadingLoader` copies the pixels of each batch, a quarter of the bytes of its normalized input.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import numpy as np

from ..device import runtime
from ..kernels.types import Array, Shape
from .augment.pipeline import Pipeline
from .dataset import Dataset
from .loader import Loader
from .mean_image import MeanImage
from .transforms import Preprocess

LIMIT = 2 << 30  # bytes of images that are kept on the device
STAGED = 1 << 16  # bytes of a batch from which on its copy overlaps with kernels
MOST = 4  # shapes of batches that have memory for such copies


class _Normalization:
    """The factors and shifts of a `Preprocess`, on the device: x = pixel * factor - shift."""

    def __init__(self, preprocess: Preprocess):
        from ..kernels.cuda.data import normalized  # only where there is a GPU

        run, ones = runtime(), np.ones(preprocess.channels, np.float32)
        std = np.asarray(preprocess.std, np.float32)
        self.preprocess, self._normalized = preprocess, normalized
        self._factor = run.upload(ones * (1 / (255 * std)))
        self._shift = run.upload(ones * (np.asarray(preprocess.mean, np.float32) / std))

    def __call__(self, images: Array, *chosen: Any) -> Array:
        """Bytes on the device as the network's input; chosen: see `kernels.cuda.data`."""
        size = self.preprocess.size
        return self._normalized(images, size, self._factor, self._shift, *chosen)


class ResidentLoader(Loader):
    """A `Loader` whose images are on the device, as bytes. It yields the same batches, there."""

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        preprocess: Preprocess,
        augment: None = None,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(dataset, batch_size, preprocess, None, shuffle, seed)
        preprocess(dataset.images[:1])  # raises for images that do not fit
        from ..kernels.cuda.data import chosen_labels  # only where there is a GPU

        self._chosen_labels, self._normalized = chosen_labels, _Normalization(preprocess)
        self._images = runtime().upload(dataset.images)
        self._labels = runtime().upload(dataset.labels.astype(np.int64))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """From the current position to the end of the epoch."""
        order = runtime().upload(self.order(self.epoch)[:].astype(np.int32))
        for turn in self.shards.turns(self.batch, self.images):
            first, last = turn.own(self.shards.rank)
            self.advance(turn)
            if first == last:
                yield self.nothing
                continue
            chosen = order, first, last - first
            yield (
                self._normalized(self._images, *chosen),
                self._chosen_labels(self._labels, *chosen),
            )


class UploadingLoader(Loader):
    """A `Loader` for a model on the GPU.

    Of batches that are bytes up to their normalization, it copies the pixels to the device, and
    yields the same input as `Loader`, there. Others it yields as they are, on the host.
    """

    _normalized: _Normalization | None = None

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """From the current position to the end of the epoch."""
        for images, labels in super().__iter__():
            if images.dtype == np.uint8 and is_by_channel(self.preprocess):
                yield self._normalize(images, self.preprocess), labels
            else:
                yield images, labels

    def preprocess_of(self, pipeline: Pipeline) -> Callable[[np.ndarray], np.ndarray] | None:
        preprocess = self.preprocess
        if not (pipeline.keeps_bytes and is_by_channel(preprocess)):
            return preprocess
        return lambda x: preprocess.pixels(x) if x.dtype == np.uint8 else preprocess(x)

    def _normalize(self, images: np.ndarray, preprocess: Preprocess) -> Array:
        if self._normalized is None or self._normalized.preprocess is not preprocess:
            self._normalized = _Normalization(preprocess)
        return self._normalized(self._uploaded(images))

    def _uploaded(self, images: np.ndarray) -> Array:
        """The bytes on the device; the copy of a large batch overlaps with kernels."""
        from ..kernels.cuda.staging import Staging  # only where there is a GPU

        staged, shape = self._staged, images.shape
        if images.nbytes < STAGED or (shape not in staged and len(staged) == MOST):
            return runtime().upload(images)
        if shape not in staged:
            array = runtime().lasting(shape, np.uint8)
            staged[shape] = array, Staging(array)
        array, staging = staged[shape]
        staging.put(images)
        return array

    @functools.cached_property
    def _staged(self) -> dict[Shape, tuple[Array, Any]]:
        """Per shape of a batch, the bytes on the device and what copies them there."""
        return {}


def can_stay(dataset: Dataset, preprocess: Callable | None, augment: Callable | None) -> bool:
    """True if batches of this set can be made on the device.

    The images must be bytes that fit into its memory, and need only padding and normalization.
    """
    return (
        is_by_channel(preprocess)
        and not preprocess.crop
        and augment is None
        and dataset.labels.ndim == 1
        and isinstance(dataset.images, np.ndarray)
        and dataset.images.dtype == np.uint8
        and dataset.images.nbytes <= LIMIT
    )


def is_by_channel(preprocess: Callable | None) -> TypeGuard[Preprocess]:
    """True for a `Preprocess` that normalizes each channel by two numbers."""
    return type(preprocess) is Preprocess and not isinstance(preprocess.mean, (str, MeanImage))
