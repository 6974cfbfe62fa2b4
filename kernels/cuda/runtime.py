"""The CUDA runtime through CuPy: memory, compilation, launches and graphs.

Tests install another object with the same methods, which runs the same sources on the CPU.
"""

import functools
import importlib
import math
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..types import Array, Shape
from .tensor_map import tensor_map

SOURCES = Path(__file__).parent
Three = tuple[int, int, int]
STATIC_SHARED = 48 << 10  # bytes of shared memory that a block has without asking for more
OLDEST = 80  # compute capability: cp.async and the tensor-core instructions need Ampere


@functools.cache
def source(file: str | Path) -> str:
    """The text of a .cu file in which each include is replaced by the included text.

    `file` is a name in this folder or the path of another file. It includes .cuh files of its own
    folder or of this one.
    """
    path = SOURCES / file

    def included(match: re.Match[str]) -> str:
        beside = path.with_name(match[1])
        inner = source(beside if beside.exists() else match[1]).replace("#pragma once\n", "")
        guard = re.sub(r"\W", "_", match[1]).upper()
        return f'#ifndef {guard}\n#define {guard}\n#line 1 "{match[1]}"\n{inner}\n#endif\n'

    text = path.read_text(encoding="utf-8")
    return re.sub(r'^#include "(\w+\.cuh)"\n', included, text, flags=re.MULTILINE)


class Captures(threading.local):
    """The capture of this thread; other threads may use the device meanwhile.

    awaited: what is copied to the device when it ends; None if nothing is captured. cuts: see
    `CuPy.cut`.
    """

    awaited: list[tuple[Array, np.ndarray]] | None = None
    cuts: list[tuple[Any, Callable[[], Any] | None]]


class CuPy:
    """Memory, compilation with NVRTC, and launches on the current CUDA device.

    Raises ImportError with one sentence if CuPy or a suitable device is missing.
    """

    def __init__(self) -> None:
        try:
            import cupy
        except ImportError:
            raise ImportError(
                "it needs CuPy: pip install 'minicnn[gpu13]' for CUDA 13, 'minicnn[gpu12]' for "
                "CUDA 12"
            ) from None
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise ImportError(f"CuPy finds no CUDA device: {error}") from None
        if not count:
            raise ImportError("CuPy finds no CUDA device")
        self.cupy = cupy
        self._poison = False
        self._capture = Captures()
        self._lasting = cupy.cuda.MemoryPool()
        self._copies = cupy.cuda.Stream(non_blocking=True)
        attributes = cupy.cuda.Device().attributes
        self.processors: int = attributes["MultiProcessorCount"]
        # bytes of shared memory: at most for one block, and for all blocks of a multiprocessor
        self.shared_memory: int = attributes["MaxSharedMemoryPerBlockOptin"]
        self.shared_memory_of_processor: int = attributes["MaxSharedMemoryPerMultiprocessor"]
        self.capability = int(cupy.cuda.Device().compute_capability)  # 90: version 9.0
        if self.capability < OLDEST:
            raise ImportError(
                f"the GPU has compute capability {self.capability / 10}; "
                "minicnn needs 8.0 (Ampere) or newer"
            )

    @property
    def capturing(self) -> bool:
        """True while `capture` records launches: nothing runs, and nothing can be read."""
        return self._capture.awaited is not None

    def empty(self, shape: Shape, dtype: DTypeLike) -> Array:
        """Uninitialized memory on the device; within `poisoned`, full of NaN."""
        array = self.cupy.empty(shape, dtype)
        if self._poison and array.nbytes:
            array.data.memset(0xFF, array.nbytes)
        return array

    @contextmanager
    def poisoned(self) -> Iterator[None]:
        """Fill new memory with NaN within this block, so that reads before a write show up."""
        self._poison = True
        try:
            yield
        finally:
            self._poison = False

    def describe(self) -> dict[str, Any]:
        """The GPU and its driver."""
        cuda = self.cupy.cuda
        properties = cuda.runtime.getDeviceProperties(cuda.Device().id)
        return {
            "gpu": properties["name"].decode(),
            "memory": f"{properties['totalGlobalMem'] / 2**30:.0f} GiB",
            "processors": self.processors,
            "clock": f"{cuda.Device().attributes.get('ClockRate', 0) / 1e3:.0f} MHz",
            "driver": cuda.runtime.driverGetVersion(),
            "cuda": cuda.runtime.runtimeGetVersion(),
        }

    def times(
        self,
        work: Callable[[int], Any],
        repeats: int = 5,
        launches: int = 20,
        captured: bool = True,
    ) -> list[float]:
        """Seconds per call of `work(i)` on the device, `repeats` measurements.

        Each measures `launches` calls, i = 0, 1, ..., as one graph if `captured`.
        """

        def calls() -> None:
            for i in range(launches):
                work(i)

        for i in range(2):
            work(i)  # compiles, and makes tables
        start_all = self.capture(calls).launch if captured else calls
        found = []
        for _ in range(repeats + 1):
            start = self.stamp()
            start_all()
            found.append(self.seconds_between(start, self.stamp()) / launches)
        return found[1:]

    def stamp(self) -> Any:
        """An event that notes the device's time when all that was launched so far has ended."""
        event = self.cupy.cuda.Event()
        event.record()
        return event

    def seconds_between(self, start: Any, end: Any) -> float:
        """The device's time between two stamps; waits for the second."""
        end.synchronize()
        return self.cupy.cuda.get_elapsed_time(start, end) / 1e3

    def upload(self, host: np.ndarray) -> Array:
        """A copy on the device, in C order, of an array on the host.

        While a graph is captured, the copy is made once, when the capture ends.
        """
        if self._capture.awaited is None:
            return self.cupy.asarray(np.ascontiguousarray(host))
        array = self.lasting(host.shape, host.dtype)
        self._capture.awaited.append((array, host))
        return array

    def lasting(self, shape: Shape, dtype: DTypeLike) -> Array:
        """Memory for values that every replay of a graph reads, written once or between replays.

        It comes from a pool of its own. The pool of a graph hands out memory that earlier kernels
        of the same graph have released: they would overwrite the values at the next replay.
        """
        with self.cupy.cuda.using_allocator(self._lasting.malloc):
            return self.cupy.empty(shape, dtype)

    def page_locked(self, shape: Shape, dtype: DTypeLike) -> np.ndarray:
        """Memory on the host that the device copies from without the host's help."""
        count, dtype = math.prod(shape), np.dtype(dtype)
        memory = self.cupy.cuda.alloc_pinned_memory(count * dtype.itemsize)
        return np.frombuffer(memory, dtype, count).reshape(shape)

    def copy_beside(self, array: Array, host: np.ndarray, after: Any) -> Any:
        """Copy page-locked memory to `array` while kernels run; returns the event at its end.

        The copy begins when the event `after` has happened, if it is not None.
        """
        if after is not None:
            self._copies.wait_event(after)
        array.set(host, stream=self._copies)  # type: ignore[attr-defined]  # of CuPy's arrays
        return self._copies.record(self.cupy.cuda.Event(disable_timing=True))

    def event(self) -> Any:
        """An event that happens when all kernels that were launched so far have ended."""
        event = self.cupy.cuda.Event(disable_timing=True)
        return self.cupy.cuda.get_current_stream().record(event)

    def wait(self, event: Any) -> None:
        """Let the kernels that are launched from now on begin after `event`; the host goes on."""
        self.cupy.cuda.get_current_stream().wait_event(event)

    def download(self, array: Array) -> np.ndarray:
        """A copy on the host of an array on the device."""
        return self.cupy.asnumpy(array)

    def overwrite(self, array: Array, value: Array) -> None:
        """Copy an array, on the host or on the device, over one on the device."""
        if type(value) is np.ndarray:
            array.set(value)  # type: ignore[attr-defined]  # of CuPy's arrays
        else:
            array[...] = value

    def address(self, array: Array) -> int:
        """The address of the first element."""
        return array.data.ptr  # type: ignore[attr-defined]  # of CuPy's arrays

    def tensor_map(self, array: Array, box: Shape) -> np.ndarray:
        """The structure with which TMA copies boxes of an array (N, H, W, C) of bfloat16."""
        return tensor_map(self.address(array), array.shape, box)

    def capture(self, work: Callable[[], Any]) -> "Graph":
        """The launches of `work()` as a CUDA graph; nothing runs yet.

        Memory that it allocates comes from a pool of its own, so that no other array gets memory
        that the graph writes to.
        """
        cuda = self.cupy.cuda
        cuda.get_current_stream().synchronize()
        self.cupy.get_default_memory_pool().free_all_blocks()  # what the first calls used
        pool, stream = cuda.MemoryPool(), cuda.Stream(non_blocking=True)
        awaited: list[tuple[Array, np.ndarray]] = []
        self._capture.awaited, self._capture.cuts = awaited, []
        try:
            with cuda.using_allocator(pool.malloc), stream:
                stream.begin_capture()
                try:
                    work()
                finally:
                    graph = stream.end_capture()  # raises an error for work that ended the capture
        finally:
            self._capture.awaited = None
            for array, host in awaited:  # tables are cached, so also after an error they are read
                self.overwrite(array, np.ascontiguousarray(host))
        return Graph([*self._capture.cuts, (graph, None)], pool, [array for array, _ in awaited])

    def cut(self, after: Callable[[], Any]) -> None:
        """Call `after()`, which starts work that no graph contains.

        While a graph is captured, it ends here and another one goes on: each replay calls `after`
        between the two.
        """
        if self._capture.awaited is None:
            after()
            return
        stream = self.cupy.cuda.get_current_stream()
        self._capture.cuts.append((stream.end_capture(), after))
        stream.begin_capture()

    def nccl(self) -> Any:
        """CuPy's module of NCCL, or None where that library is not installed."""
        with warnings.catch_warnings():  # CuPy's, which names a tool of its own
            warnings.simplefilter("ignore")
            try:
                module = importlib.import_module("cupy.cuda.nccl")
            except ImportError:
                return None
        return module if module.available else None

    def place(self) -> tuple[int, ...]:
        """Where the GPU is in its machine: the numbers of its domain, bus and device."""
        attributes = self.cupy.cuda.Device().attributes
        return tuple(attributes[name] for name in ("PciDomainId", "PciBusId", "PciDeviceId"))

    def launch(
        self,
        file: str | Path,
        name: str,
        options: tuple[str, ...],
        grid: Three,
        block: Three,
        arguments: tuple[Any, ...],
        shared: int,
        together: bool,
    ) -> None:
        """Start `grid` blocks of `block` threads; with `together` all run at the same time."""
        if not together:
            kernel = self.kernel(file, name, options, shared)
            kernel(grid, block, arguments, shared_mem=shared)
            return
        with warnings.catch_warnings():  # CuPy would start fewer blocks, and warn
            warnings.filterwarnings("error", message="The grid size will be reduced")
            kernel = self._cooperative(file, name, options)
            kernel(grid, block, arguments, shared_mem=shared)

    @functools.cache  # noqa: B019 - there is one instance
    def kernel(self, file: str | Path, name: str, options: tuple[str, ...], shared: int) -> Any:
        """CuPy's kernel, compiled, whose blocks may have so many bytes of shared memory."""
        found = self._module(file, options).get_function(name)
        if shared > STATIC_SHARED:
            found.max_dynamic_shared_size_bytes = shared
        return found

    @functools.cache  # noqa: B019
    def _module(self, file: str | Path, options: tuple[str, ...], cooperative: bool = False) -> Any:
        return self.cupy.RawModule(
            code=source(file),
            options=("--std=c++17", *options),
            enable_cooperative_groups=cooperative,
        )

    @functools.cache  # noqa: B019
    def _cooperative(self, file: str | Path, name: str, options: tuple[str, ...]) -> Any:
        return self._module(file, options, cooperative=True).get_function(name)


class Graph:
    """A captured graph and the memory that it uses, which is released with the graph.

    parts: graphs, each with what is called after its launch, or None.
    """

    def __init__(self, parts: list[tuple[Any, Callable[[], Any] | None]], *memory: Any) -> None:
        self._parts, self._memory = parts, memory

    def launch(self) -> None:
        """Start all captured kernels."""
        for graph, after in self._parts:
            graph.launch()
            if after is not None:
                after()
