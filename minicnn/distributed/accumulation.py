"""Updates whose shards are computed by several processes, which sum the gradients meanwhile."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from .. import rng
from ..data.loader import Loader
from ..device import model_device, runtime, to_device, to_host
from ..kernels.types import Array
from ..layers import Layer, Parameter, observe
from ..training.accumulation import Accumulator
from .buckets import Bucket, bucket_size, divided
from .team import Ranks


class SharedAccumulator(Accumulator):
    """The mean gradient of an update, of which every process computes some shards.

    The gradients are put into buckets in the order in which backward computes them, from the last
    layer to the first. A bucket is exchanged as soon as it is full, while backward goes on; its
    messages advance whenever a layer's backward is over.
    Gradients on GPUs are exchanged by NCCL. A captured step calls no hooks when it is replayed; so
    while it is captured, it is cut where a bucket is full, which starts there in each replay. No
    graph contains NCCL: a rank without images replays none, and weights differ between turns.
    Without NCCL they are copied to the host and back, after backward.
    overlap: False to start only after backward, as for measurements.
    waited: the seconds that the host spent on waiting after backward.
    """

    def __init__(self, model: Layer, parameters: Sequence[Parameter], loader: Loader, team: Ranks):
        super().__init__(model, parameters, loader)
        self.team, self.waited = team, 0.0
        self._device = model_device(model)
        self._gpus = team.gpus if self._device == "cuda" else None
        self.overlap = self._device == "cpu" or self._gpus is not None
        self._buckets: list[Bucket] = []
        self._place: list[tuple[int, int]] = []  # of each array: its bucket, and where in it
        self._position = {id(p): i for i, p in enumerate(self.parameters)}
        self._inside: dict[int, tuple[Any, list[int]]] = {}
        self._layout: Any = None
        self._put: set[int] = set()
        self._noted: set[int] = set()  # complete on a GPU, and put when `cut` says so
        self._pending: dict[int, Array | None] = {}
        self._started, self._has_begun = 0, False
        self._busy: set[int] = set()  # the ranks that have computed a shard of this update

    @contextmanager
    def shard(self, first_image: int) -> Iterator[None]:
        self._begin_turn()
        with super().shard(first_image):
            yield

    def watched(self) -> AbstractContextManager[None]:
        """A block in which backward starts buckets that are full."""
        if not self.overlap or self.shards.count == 1:
            return nullcontext()
        return observe(backward=self._after_backward)

    def collect(self, images: int) -> None:
        self._begin_turn()
        start = time.perf_counter()
        gradients = [p._grad if images else None for p in self.parameters]
        for i, array in enumerate([*gradients, *self.changes()]):
            if i not in self._put:
                self._fill(i, array)
        for bucket in self._buckets:
            bucket.add_up()
        for bucket in self._buckets:
            bucket.wait()
        if self._gpus:
            self._gpus.join()
        self._has_begun = False
        self.waited += time.perf_counter() - start

    def finish(self) -> None:
        for i, parameter in enumerate(self.parameters):
            if i < len(self._place) and not parameter.frozen:
                parameter.zero_grad()
                gradient = self._result(i).reshape(parameter.value.shape)
                parameter.add_grad(to_device(gradient, self._device), copy=False)
        first = len(self.parameters)
        self.change(
            to_device(self._result(i).reshape(buffer.shape), self._device)
            for i, buffer in enumerate(self.buffers(), first)
        )
        if len(self._busy) < self.team.size:  # a process without images has drawn no numbers
            rng.set_state(self.team.first(rng.state))
        self._weight, self._busy = 0.0, set()

    def _begin_turn(self) -> None:
        """Once per turn, whether this process has images or not."""
        if self._has_begun:
            return
        self._has_begun, self._started, self._put = True, 0, set()
        self._noted, self._pending = set(), {}
        if self._turns == 0:
            self._arrange()
        assert self.loader.turn is not None
        sizes = self.loader.turn.sizes
        self._ranks = [rank for rank, size in enumerate(sizes) if size]
        for rank in self._ranks:
            self._weight += sizes[rank] / self.shards.size
        self._busy.update(self._ranks)
        is_last = self._turns + 1 == self.shards.turns_per_update
        self._scale = 1 / self._weight if is_last else None
        own = sizes[self.team.rank] if self.team.rank < len(sizes) else 0
        self._own_weight = own / self.shards.size

    def _arrange(self) -> None:
        """Divide what is trained now into buckets, unless that is as it was."""
        arrays = [p.value for p in self.parameters] + self.buffers()
        frozen = [p.frozen for p in self.parameters]
        layout = [(a.size, a.dtype) for a in arrays], frozen
        if layout == self._layout:
            return
        self._layout, self._inside, self._buckets = layout, {}, []
        self._place = [(-1, -1)] * len(arrays)
        most = bucket_size(sum(array.nbytes for array in arrays), self.team.size)
        trained = [i for i in reversed(range(len(frozen))) if not frozen[i]]
        for group in (trained, list(range(len(frozen), len(arrays)))):
            for dtype in dict.fromkeys(arrays[i].dtype for i in group):
                same = [i for i in group if arrays[i].dtype == dtype]
                for part in divided([arrays[i].nbytes for i in same], most):
                    chosen = [same[k] for k in part]
                    for place, i in enumerate(chosen):
                        self._place[i] = len(self._buckets), place
                    sizes = [arrays[i].size for i in chosen]
                    self._buckets.append(self._bucket(sizes, dtype))

    def _bucket(self, sizes: list[int], dtype: np.dtype) -> Bucket:
        if self._gpus is None:
            return Bucket(self.team, sizes, dtype)
        from .device_buckets import DeviceBucket

        return DeviceBucket(self.team, sizes, dtype, self._gpus)

    def _after_backward(self, layer: Layer, dy: Any, dx: Any) -> None:
        """Put the gradients that are complete now, and advance the messages."""
        if id(layer) not in self._inside:
            own = [self._position[id(p)] for p in layer.parameters() if id(p) in self._position]
            self._inside[id(layer)] = layer, own  # with the layer, so that its id stays its own
        found = [i for i in self._inside[id(layer)][1] if i not in self._put | self._noted]
        if self._gpus:
            self._put_aside({i: self.parameters[i]._grad for i in found})
            return
        for i in found:
            self._fill(i, self.parameters[i]._grad)
        may_gather = True
        for bucket in self._buckets[: self._started]:
            may_gather = bucket.progress(may_gather)

    def _put_aside(self, found: dict[int, Array | None]) -> None:
        """Keep complete gradients until a bucket is full; then let each replay start it here."""
        before = self._full()
        self._pending |= found
        self._noted |= found.keys()
        if self._full() > before:
            pending, self._pending = self._pending, {}
            runtime().cut(lambda: self._fill_all(pending))

    def _full(self) -> int:
        """The number of buckets of which all arrays are noted."""
        missing = {self._place[i][0] for i in range(len(self._place)) if i not in self._noted}
        return len(set(range(len(self._buckets))) - missing)

    def _fill_all(self, arrays: dict[int, Array | None]) -> None:
        for i, array in arrays.items():
            self._fill(i, array)

    def _fill(self, i: int, array: Array | None) -> None:
        """Put an array into its bucket, and start the buckets that are full, in their order."""
        self._put.add(i)
        bucket, place = self._place[i]
        if bucket < 0:
            return
        if array is not None and self._gpus is None:
            array = to_host(array)
        self._buckets[bucket].put(place, array, self._own_weight)
        while self._started < len(self._buckets) and self._buckets[self._started].is_full:
            self._buckets[self._started].start(self._ranks, self._scale)
            self._started += 1

    def _result(self, i: int) -> Array:
        bucket, place = self._place[i]
        return self._buckets[bucket].result(place)
