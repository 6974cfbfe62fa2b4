"""Batches of a data set, in an order that a seed determines."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np

from ..checks import checked_flag, checked_whole
from ..kernels.thread_state import inheriting
from .augment.mix import all_places, mix
from .augment.pipeline import Pipeline
from .augment.step import Draws
from .dataset import Dataset
from .image_files import ImageFiles
from .permutation import Permutation
from .shards import Shards, Turn
from .transforms import Augment

MANY = 1 << 24  # images, above which their order is not kept in memory
AHEAD = 3  # batches that are prepared while another one is used

Batch = tuple[np.ndarray, np.ndarray]


class Loader:
    """Iterate over a data set in batches: `for x, labels in loader`. Each iteration is one epoch.

    x is float32 `(n, H, W, C)`, labels are int64 `(n,)`; if the augmentation mixes images, float32
    `(n, classes)`, whose rows sum to 1.

    batch_size: images per batch; the last batch of an epoch may be smaller.
    shuffle: a new order in each epoch.
    drop_last: set it to leave out the smaller last batch of an epoch, unless it is the only one.
    shards: set it to divide the images otherwise than into batches; a batch is then a shard. A
        shard without images is a batch of none.
    augment: applied to the pixels; then preprocess turns them into the network's input. A
        `Pipeline` may go on from there. If it begins with a `WindowRule` and the images are files,
        windows are cut from the originals.
    workers: threads that decode image files; by default one per core that the process may use.

    The order is a function of (seed, epoch). What is drawn to augment an image is a function of
    (seed, epoch, update, place in the update), and so does not depend on the shards; only functions
    that do not draw for each image (see `augment.ImageStep`) draw for each shard. Therefore a
    checkpoint needs only the position `(epoch, batch)`, and results do not depend on the threads
    that prepare the next batches. `augment` and `preprocess` are called by several threads at a
    time.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
        augment: Augment | None = None,
        shuffle: bool = False,
        seed: int = 0,
        workers: int | None = None,
    ) -> None:
        self.batch_size = checked_whole("batch_size", batch_size)
        self.workers = _cores() if workers is None else checked_whole("workers", workers)
        self.dataset, self.shuffle = dataset, checked_flag("shuffle", shuffle)
        self.seed = checked_whole("seed", seed, 0)
        self.preprocess, self.augment = preprocess, augment
        self.pipeline = Pipeline.of(augment)
        self.shards = Shards(self.batch_size)
        self.drop_last = False
        self.epoch = 0
        self.batch = 0
        self.turn: Turn | None = None

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.shards.updates(self.images) * self.shards.count

    @property
    def images(self) -> int:
        """Images per epoch."""
        n = len(self.dataset)
        return n // self.batch_size * self.batch_size or n if self.drop_last else n

    def order(self, epoch: int) -> np.ndarray | Permutation:
        """The indices of the data set in the order of that epoch."""
        n = len(self.dataset)
        if self.shuffle and n > MANY:
            return Permutation(n, self.seed, epoch)
        return (
            np.random.default_rng([self.seed, epoch]).permutation(n)
            if self.shuffle
            else np.arange(n)
        )

    def __iter__(self) -> Iterator[Batch]:
        """From the current position to the end of the epoch; batches are prepared ahead."""
        order, epoch, prepare = self.order(self.epoch), self.epoch, inheriting(self._prepare)
        decoders, pool = ThreadPoolExecutor(self.workers), ThreadPoolExecutor(AHEAD)
        ahead: deque[Future[Batch]] = deque()
        to_submit, turns = (self.shards.turns(self.batch, self.images) for _ in range(2))
        try:
            for turn in turns:
                while len(ahead) <= AHEAD and (later := next(to_submit, None)) is not None:
                    ahead.append(pool.submit(prepare, order, epoch, later, decoders))
                x, labels = ahead.popleft().result()
                self.advance(turn)
                yield x, labels
        finally:  # the end, an error, or a consumer that stops early
            pool.shutdown(wait=False, cancel_futures=True)
            decoders.shutdown(cancel_futures=True)
            pool.shutdown()

    def advance(self, turn: Turn) -> None:
        """Note that a turn has begun, and where the next batch is, maybe in the next epoch."""
        self.turn, self.batch = turn, turn.after
        if turn.after == len(self):
            self.epoch, self.batch = self.epoch + 1, 0

    @property
    def first_image(self) -> int:
        """The place of the batch's first image in its update."""
        return self.turn.own(self.shards.rank)[0] - self.turn.first if self.turn else 0

    @property
    def nothing(self) -> Batch:
        """A batch without images."""
        shape = self.dataset.images.shape[1:]
        return np.empty((0, *shape), np.float32), self.dataset.labels[:0]

    def _prepare(
        self, order: np.ndarray | Permutation, epoch: int, turn: Turn, decoders: Executor
    ) -> Batch:
        first, last = turn.own(self.shards.rank)
        if first == last:
            return self.nothing
        every = order[turn.first : min(turn.first + self.shards.images, self.images)]
        places = np.arange(first - turn.first, last - turn.first)
        update, shard = divmod(turn.start + self.shards.rank, self.shards.count)
        generator = np.random.default_rng([self.seed, epoch, update])
        mixtures = self.pipeline.mixtures(len(every), generator)
        needed = all_places(mixtures, places)
        own = generator
        if self.shards.count > 1:
            own = np.random.default_rng([self.seed, epoch, update, 1 + shard])
        draws = Draws(generator, len(every), needed[0], own)
        batch = self._unmixed(every[needed[0]], epoch, draws, decoders)
        return mix(mixtures, needed, batch)

    def _unmixed(self, rows: np.ndarray, epoch: int, draws: Draws, decoders: Executor) -> Batch:
        """The images at `rows`, before they are mixed."""
        images, labels = self.dataset.images, self.dataset.labels[rows]
        pipeline = self.pipeline.for_batch(self.seed, epoch, rows)
        if not isinstance(images, ImageFiles):
            pixels = images[rows]
        elif pipeline.cuts_windows:
            rule, *others = pipeline.steps
            (seeds,) = draws.sample(rule, images.shape[1:])
            pixels = images.windows(rows, rule, seeds, decoders)
            pipeline = Pipeline(*others)
        else:
            pixels = images.take(rows, decoders)
        classes = len(self.dataset.classes)
        return pipeline.unmixed(pixels, labels, self.preprocess_of(pipeline), draws, classes)

    def preprocess_of(self, pipeline: Pipeline) -> Callable[[np.ndarray], np.ndarray] | None:
        """What turns the pixels that the pipeline has made into the batch."""
        return self.preprocess


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
