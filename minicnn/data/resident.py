"""A data set that stays on the GPU: batches are gathered and normalized there.

Per epoch, only the order of the images is copied to the device.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..device import runtime
from .dataset import Dataset
from .loader import Loader
from .mean_image import MeanImage
from .transforms import Preprocess

LIMIT = 2 << 30  # bytes of images that are kept on the device


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
        self._size = preprocess.size
        preprocess(dataset.images[:1])  # raises for images that do not fit
        from ..kernels.cuda.data import batch  # only where there is a GPU

        self._batch = batch
        run, ones = runtime(), np.ones(preprocess.channels, np.float32)
        std = ones * np.asarray(preprocess.std, np.float32)
        self._images, self._labels = (
            run.upload(dataset.images),
            run.upload(dataset.labels.astype(np.int64)),
        )
        self._factor, self._shift = (
            run.upload(1 / (255 * std)),
            run.upload(ones * np.asarray(preprocess.mean, np.float32) / std),
        )

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """From the current position to the end of the epoch."""
        order = runtime().upload(self.order(self.epoch)[:].astype(np.int32))
        for turn in self.shards.turns(self.batch, self.images):
            first, last = turn.own(self.shards.rank)
            self.advance(turn)
            if first == last:
                yield self.nothing
                continue
            yield self._batch(
                self._images,
                self._labels,
                order,
                first,
                last - first,
                self._size,
                self._factor,
                self._shift,
            )


def can_stay(dataset: Dataset, preprocess: Callable | None, augment: Callable | None) -> bool:
    """True if batches of this set can be made on the device.

    The images must be bytes that fit into its memory, and need only padding and normalization.
    """
    if type(preprocess) is not Preprocess or isinstance(preprocess.mean, (str, MeanImage)):
        return False
    return (
        not preprocess.crop
        and augment is None
        and dataset.labels.ndim == 1
        and isinstance(dataset.images, np.ndarray)
        and dataset.images.dtype == np.uint8
        and dataset.images.nbytes <= LIMIT
    )
