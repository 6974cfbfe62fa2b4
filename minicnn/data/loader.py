"""Batches of a data set, in an order that a seed determines."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .augment.pipeline import Pipeline
from .dataset import Dataset
from .transforms import Augment


class Loader:
    """Iterate over a data set in batches: `for x, labels in loader`. Each iteration is one epoch.

    x is float32 `(n, H, W, C)`, labels are int64 `(n,)`; if the augmentation mixes images, float32
    `(n, classes)`, whose rows sum to 1.

    batch_size: images per batch; the last batch of an epoch may be smaller.
    shuffle: a new order in each epoch.
    augment: applied to the pixels; then preprocess turns them into the network's input. A
        `Pipeline` may go on from there.

    The order is a function of (seed, epoch), the augmentation a function of (seed, epoch, batch).
    Therefore a checkpoint needs only the position `(epoch, batch)`, and results do not depend on
    the thread that prepares the next batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
        augment: Augment | None = None,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: expected at least 1")
        self.dataset, self.batch_size, self.shuffle, self.seed = dataset, batch_size, shuffle, seed
        self.preprocess, self.augment = preprocess, augment
        self.pipeline = Pipeline.of(augment)
        self.epoch = 0
        self.batch = 0

    def __len__(self) -> int:
        """Batches per epoch."""
        return math.ceil(len(self.dataset) / self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """The indices of the data set in the order of that epoch."""
        n = len(self.dataset)
        return (
            np.random.default_rng([self.seed, epoch]).permutation(n)
            if self.shuffle
            else np.arange(n)
        )

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """From the current position to the end of the epoch; the next batch is prepared ahead."""
        order = self.order(self.epoch)
        with ThreadPoolExecutor(max_workers=1) as pool:
            ahead = pool.submit(self._prepare, order, self.epoch, self.batch)
            for batch in range(self.batch, len(self)):
                x, labels = ahead.result()
                if batch + 1 < len(self):
                    ahead = pool.submit(self._prepare, order, self.epoch, batch + 1)
                self.batch = batch + 1
                if self.batch == len(self):
                    self.epoch, self.batch = self.epoch + 1, 0
                yield x, labels

    def _prepare(self, order: np.ndarray, epoch: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
        rows = order[batch * self.batch_size : (batch + 1) * self.batch_size]
        images, labels = self.dataset.images[rows], self.dataset.labels[rows]
        pipeline = self.pipeline.for_batch(self.seed, epoch, rows)
        generator = np.random.default_rng([self.seed, epoch, batch])
        classes = len(self.dataset.classes)
        return pipeline.batch(images, labels, self.preprocess, generator, classes)
