"""Updates whose gradient is computed in parts: one shard of the images after the other."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import rng
from ..data.loader import Loader
from ..data.shards import Shards
from ..kernels.thread_state import part_of_batch
from ..kernels.types import Array
from ..layers import Layer, Parameter
from .loop import Step

if TYPE_CHECKING:
    from .trainer import Trainer


class Accumulator:
    """The mean gradient of an update, from the gradients `g_s` of its shards.

        g = sum_s (n_s / N) g_s / sum_s (n_s / N)

    n_s are the images of shard s, and N those of the largest. The sum is that over s from the left,
    so its bits depend only on the g_s: other processes may compute these. It is the gradient of one
    large batch, up to batch norm, whose statistics are those of each shard.

    All shards of an update start from the same random numbers, so dropout's masks are those of the
    whole batch, and from the same running statistics, to which the mean of their changes is added:
    they change once per update, and buffers that no shard changes stay to the bit.
    """

    def __init__(self, model: Layer, parameters: Sequence[Parameter], loader: Loader):
        self.parameters, self.loader = list(parameters), loader
        self.find_buffers(model)
        self._start: tuple[dict, list[Array]] | None = None
        self._sums: list[Array | None] = []
        self._weight, self._turns = 0.0, 0

    def find_buffers(self, model: Layer) -> None:
        """Look up the layers that have buffers; again if some were replaced."""
        self._with_buffers = [layer for _, layer in model.named_layers() if layer.buffers]

    @property
    def shards(self) -> Shards:
        """How the loader divides the images."""
        return self.loader.shards

    @contextmanager
    def shard(self, first_image: int) -> Iterator[None]:
        """A block that computes a shard's gradients, from that image of the update on."""
        buffers = self.buffers()
        if self._start is None:
            self._start = rng.state(), [buffer.copy() for buffer in buffers]
        else:
            rng.set_state(self._start[0])
            for buffer, start in zip(buffers, self._start[1], strict=True):
                buffer[...] = start
        with part_of_batch(first_image):
            yield

    def add(self, images: int) -> bool:
        """Add the gradients of a shard. Returns True if they are those of a whole update now."""
        if self.shards.count == 1:
            return True
        self.collect(images)
        self._turns += 1
        if self._turns < self.shards.turns_per_update:
            return False
        self.finish()
        self._start, self._turns = None, 0
        return True

    def collect(self, images: int) -> None:
        """Add the gradients of this process's shard to the sums."""
        if not images:
            return
        weight = images / self.shards.size
        gradients = [p._grad for p in self.parameters]
        shares = [None if g is None else g * g.dtype.type(weight) for g in gradients]
        shares += [change * change.dtype.type(weight) for change in self.changes()]
        self._sums = _added(self._sums, shares) if self._sums else shares
        self._weight += weight

    def finish(self) -> None:
        """Set the gradients and the running statistics to the means over the update."""
        scaled = [None if s is None else s * s.dtype.type(1 / self._weight) for s in self._sums]
        gradients = scaled[: len(self.parameters)]
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.zero_grad()
            if gradient is not None:
                parameter.add_grad(gradient, copy=False)
        self.change(scaled[len(self.parameters) :])
        self._sums, self._weight = [], 0.0

    def changes(self) -> list[Array]:
        """What the latest shard has added to each buffer."""
        return [b - start for b, start in zip(self.buffers(), self._buffers_before(), strict=True)]

    def change(self, means: Iterable[Any]) -> None:
        """Set the buffers to what they were before the update, plus these means."""
        starts = self._buffers_before()
        for buffer, start, mean in zip(self.buffers(), starts, means, strict=True):
            buffer[...] = start + mean

    def _buffers_before(self) -> list[Array]:
        """The buffers before the update; no shard of it may have been computed here."""
        return self.buffers() if self._start is None else self._start[1]

    def buffers(self) -> list[Array]:
        """The running statistics that training changes."""
        found = (
            getattr(layer, name)
            for layer in self._with_buffers
            if layer.training
            for name in layer.buffers
        )
        return [array for array in found if array.dtype.kind == "f"]


class ShardStep:
    """A training step on a shard, which may have no images."""

    def __init__(self, step: Step):
        self.step = step

    def __call__(self, run: "Trainer", x: np.ndarray, labels: np.ndarray) -> None:
        if run.loader.shards.count == 1:
            self.step(run, x, labels)
        elif len(labels):
            with run.accumulator.shard(run.loader.first_image):
                self.step(run, x, labels)


def _added(sums: list[Any], shares: list[Any]) -> list[Any]:
    """The sums of two lists of gradients; None is no gradient."""
    for i, share in enumerate(shares):
        if sums[i] is None:
            sums[i] = share
        elif share is not None:
            sums[i] += share
    return sums
