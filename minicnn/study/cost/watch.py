"""Hooks that assign time, work and memory to the layer that is running."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...kernels import dispatch
from ...layers import Layer, observe
from .counts import Work, arrays_in, call_of, work
from .step import LOSS, UPDATE

FORWARD, BACKWARD = "forward", "backward"
Key = tuple[str, int]  # the part of the step, and the id of the layer; 0 outside of all layers


class Watch:
    """The base: `part` is the running part of the step, `running` the layers that run, outermost
    first.
    """

    def __init__(self) -> None:
        self.part = FORWARD
        self.running: list[Any] = []

    @property
    def key(self) -> Key:
        """Of the innermost layer that is running."""
        return self.part, id(self.running[-1]) if self.running else 0

    def begin(self, part: str) -> None:
        """A part of the step begins."""
        self.part = part


class Timer(Watch):
    """`seconds` of each layer without those of the layers inside of it, and of the other parts.

    `operations` are the seconds by operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[Key, float] = defaultdict(float)
        self.operations: dict[str, float] = defaultdict(float)
        self._began = 0.0

    def begin(self, part: str) -> None:
        now = time.perf_counter()
        if self.part in (LOSS, UPDATE):
            self.seconds[self.part, 0] += now - self._began
        self.part, self._began = part, now

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time everything that runs in this block."""
        with (
            observe(self._leave, self._leave, self._enter, self._enter),
            dispatch.intercept(self._timed),
        ):
            yield
            self.begin("")

    def _enter(self, layer: Layer, _: Any) -> None:
        self.running.append([id(layer), time.perf_counter(), 0.0])

    def _leave(self, layer: Layer, *_: Any) -> None:
        now = time.perf_counter()
        key, started, inside = self.running.pop()
        self.seconds[self.part, key] += now - started - inside
        if self.running:
            self.running[-1][2] += now - started

    def _timed(self, operation: Callable, chosen: Callable) -> Callable:
        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            result = chosen(*arguments)
            self.operations[operation.__name__] += time.perf_counter() - started
            return result

        return timed


class Counter(Watch):
    """The work of each layer, and the bytes that each keeps for backward.

    floor: the least seconds for some work.
    """

    def __init__(self, network: Layer, floor: Callable[[Work], float]) -> None:
        super().__init__()
        self.network, self.floor = network, floor
        self.floors: dict[Key, float] = defaultdict(float)
        self.work: dict[Key, Work] = defaultdict(Work)
        self.held: dict[int, int] = {}  # bytes, by the id of the layer
        self.order: list[Layer] = []  # layers as they finished their forward

    def begin(self, part: str) -> None:
        self.part = part
        if part == LOSS:
            self.held = held_bytes(self.network)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count everything that runs in this block."""
        with (
            observe(self._leave, self._leave, self._enter, self._enter),
            dispatch.intercept(self._counted),
        ):
            yield

    def _enter(self, layer: Layer, _: Any) -> None:
        self.running.append(layer)

    def _leave(self, layer: Layer, *_: Any) -> None:
        self.running.pop()
        if self.part == FORWARD:
            self.order.append(layer)

    def _counted(self, operation: Callable, chosen: Callable) -> Callable:
        def counted(*arguments: Any) -> Any:
            result = chosen(*arguments)
            found = work(call_of(operation, arguments, result))
            self.floors[self.key] += self.floor(found)
            before = self.work[self.key]
            self.work[self.key] = Work(before.flops + found.flops, before.bytes + found.bytes)
            return result

        return counted


def held_bytes(network: Layer) -> dict[int, int]:
    """The bytes that each layer has saved for backward, by its id; an array that several layers
    have saved counts for the first of them.
    """
    held: dict[int, int] = {}
    counted: dict[int, int] = defaultdict(int)  # of each block of memory
    seen: set[tuple[int, int, tuple[int, ...]]] = set()
    for _, layer in network.named_layers():
        held[id(layer)] = 0
        for array in arrays_in(layer._saved):
            block = id(_owner(array))
            view = block, array.ctypes.data, array.shape
            if view in seen:
                continue
            seen.add(view)
            # A slice of channels is a part of an array, the whole of which a later layer may save.
            rest = array.nbytes - counted[block] if array.flags.c_contiguous else array.nbytes
            counted[block] += max(rest, 0)
            held[id(layer)] += max(rest, 0)
    return held


def _owner(array: np.ndarray) -> np.ndarray:
    """The array of which this is a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
