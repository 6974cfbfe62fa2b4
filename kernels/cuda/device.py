"""How CUDA C starts: each source is compiled once for each set of options, and launched with addresses and sizes.

`runtime()` is what stands behind the launchers: CuPy on a GPU. Tests install another one, which runs the same sources on the CPU.
"""

import functools
import re
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SOURCES = Path(__file__).parent
NUMBER_TYPES = {"float32": "float", "bfloat16": "bf16"}
THREADS = 256

_runtime: Any = None


class CuPy:
    """NVRTC, memory and launches of the current CUDA device, through CuPy."""

    def __init__(self):
        try:
            import cupy
        except ImportError:
            raise ImportError("it needs CuPy: pip install 'minicnn[gpu13]' for CUDA 13, 'minicnn[gpu12]' for CUDA 12") from None
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise ImportError(f"CuPy finds no CUDA device: {error}") from None
        if not count:
            raise ImportError("CuPy finds no CUDA device")
        self.cupy = cupy
        self._poison = False
        self._awaited: list | None = None  # copies that wait for the end of a capture
        self._lasting = cupy.cuda.MemoryPool()
        attributes = cupy.cuda.Device().attributes
        self.processors = attributes["MultiProcessorCount"]
        self.shared_memory = attributes["MaxSharedMemoryPerBlockOptin"]  # bytes that a block may have
        self.shared_memory_of_processor = attributes["MaxSharedMemoryPerMultiprocessor"]  # that its blocks have together
        capability = cupy.cuda.Device().compute_capability
        if int(capability) < 80:
            raise ImportError(f"the GPU has compute capability {capability}; minicnn needs 8.0 (Ampere) or newer")

    def empty(self, shape, dtype):
        """Uninitialised memory on the device; within `poisoned`, full of NaN."""
        array = self.cupy.empty(shape, dtype)
        if self._poison and array.nbytes:
            array.data.memset(0xFF, array.nbytes)
        return array

    @contextmanager
    def poisoned(self):
        """Within this block new memory is full of NaN: who reads it before writing is found out."""
        self._poison = True
        try:
            yield
        finally:
            self._poison = False

    def describe(self) -> dict:
        """The GPU and its driver."""
        cuda = self.cupy.cuda
        properties = cuda.runtime.getDeviceProperties(cuda.Device().id)
        return {
            "gpu": properties["name"].decode(),
            "memory": f"{properties['totalGlobalMem'] / 2**30:.0f} GiB",
            "processors": self.processors,
            "driver": cuda.runtime.driverGetVersion(),
            "cuda": cuda.runtime.runtimeGetVersion(),
        }

    def times(self, work, repeats: int = 5, launches: int = 20, captured: bool = True) -> list[float]:
        """Seconds that `work(i)` takes on the device: `launches` calls, i = 0, 1, ..., as one graph if `captured`, `repeats` times."""

        def calls():
            for i in range(launches):
                work(i)

        for i in range(2):
            work(i)  # compiles, and makes tables
        start_all = self.capture(calls).launch if captured else calls
        event, found = self.cupy.cuda.Event, []
        for _ in range(repeats + 1):
            start, end = event(), event()
            start.record()
            start_all()
            end.record()
            end.synchronize()
            found.append(self.cupy.cuda.get_elapsed_time(start, end) / 1e3 / launches)
        return found[1:]

    def upload(self, host: np.ndarray):
        """A copy on the device, in C order, of an array on the host.

        While a graph is captured, the copy is made when the capture ends, once for all.
        """
        if self._awaited is None:
            return self.cupy.asarray(np.ascontiguousarray(host))
        array = self.lasting(host.shape, host.dtype)
        self._awaited.append((array, host))
        return array

    def lasting(self, shape, dtype):
        """Memory for what is written once, or between replays, and read by every replay of a graph.

        It comes from a pool of its own. The pool of a graph hands out what earlier kernels of the
        same graph have used and released: they would overwrite it at the next replay.
        """
        with self.cupy.cuda.using_allocator(self._lasting.malloc):
            return self.cupy.empty(shape, dtype)

    def download(self, array) -> np.ndarray:
        """A copy on the host of an array on the device."""
        return self.cupy.asnumpy(array)

    def overwrite(self, array, value) -> None:
        """Copy an array, on the host or on the device, over one on the device."""
        if type(value) is np.ndarray:
            array.set(value)
        else:
            array[...] = value

    def address(self, array) -> int:
        """Where its first element lies."""
        return array.data.ptr

    @functools.cache  # noqa: B019 - there is one of it
    def kernel(self, file: str, name: str, options: tuple[str, ...], shared: int):
        """The compiled kernel `name` of a source."""
        found = self._module(file, options).get_function(name)
        if shared > 48 << 10:
            found.max_dynamic_shared_size_bytes = shared
        return found

    @functools.cache  # noqa: B019
    def _module(self, file, options):
        return self.cupy.RawModule(code=source(file), options=("--std=c++17", *options))

    def capture(self, work):
        """What `work()` launches, as a CUDA graph with a `launch` method; nothing runs yet.

        What it allocates comes from a pool of its own, so that nobody else is given memory which the graph writes to.
        """
        cuda = self.cupy.cuda
        cuda.get_current_stream().synchronize()
        pool, stream = cuda.MemoryPool(), cuda.Stream(non_blocking=True)
        self._awaited = []
        with cuda.using_allocator(pool.malloc), stream:
            stream.begin_capture()
            try:
                work()
            finally:
                awaited, self._awaited = self._awaited, None
                graph = stream.end_capture()
        for array, host in awaited:
            array.set(np.ascontiguousarray(host))
        return Graph(graph, pool, [array for array, _ in awaited])

    def launch(self, file, name, options, grid, block, arguments, shared, together) -> None:
        """Start `grid` blocks of `block` threads; `together` asks that all blocks run at the same time."""
        if not together:
            self.kernel(file, name, options, shared)(grid, block, arguments, shared_mem=shared)
            return
        with warnings.catch_warnings():  # CuPy would start fewer blocks, and warn
            warnings.filterwarnings("error", message="The grid size will be reduced")
            self._cooperative(file, name, options)(grid, block, arguments, shared_mem=shared)

    @functools.cache  # noqa: B019
    def _cooperative(self, file, name, options):
        module = self.cupy.RawModule(code=source(file), options=("--std=c++17", *options), enable_cooperative_groups=True)
        return module.get_function(name)


class Graph:
    """A captured graph, with the memory that it writes to: that goes when the graph does."""

    def __init__(self, graph, *memory):
        self._graph, self._memory = graph, memory

    def launch(self) -> None:
        """Start all that was captured."""
        self._graph.launch()


def runtime():
    """The runtime in use. Raises ImportError with one sentence if there is none."""
    global _runtime
    if _runtime is None:
        _runtime = CuPy()
    return _runtime


def install(other) -> None:
    """Let `other` (an object like `CuPy`) run the kernels; None returns to CuPy."""
    global _runtime
    _runtime = other


@functools.cache
def source(file: str | Path) -> str:
    """The text of a .cu file with what it includes written out, so that it is one program wherever it is compiled.

    `file` is a name in this folder or the path of another file; it includes .cuh files of this folder.
    """

    def included(match):
        inner = source(match[1]).replace("#pragma once\n", "")
        guard = re.sub(r"\W", "_", match[1]).upper()
        return f'#ifndef {guard}\n#define {guard}\n#line 1 "{match[1]}"\n{inner}\n#endif\n'

    return re.sub(r'^#include "(\w+\.cuh)"\n', included, (SOURCES / file).read_text(encoding="utf-8"), flags=re.MULTILINE)


def launch(file: str | Path, name: str, grid, block, *arguments, shared: int = 0, together: bool = False, **defines) -> None:
    """Start the kernel `name` of `file`, compiled with -Dname=value for each of `defines`.

    Arguments are arrays (their address is passed), ints (32 bits), floats (32 bits), or NumPy scalars and structures, passed by value.
    `grid` and `block` are an int or up to three; `shared` bytes of memory are shared by a block's threads.
    """
    run = runtime()
    options = tuple(f"-D{key}={value}" for key, value in defines.items())
    values = tuple(_argument(run, a) for a in arguments)
    run.launch(file, name, options, _three(grid), _three(block), values, shared, together)


def counted(value: int) -> int:
    """`value`. Raises ValueError if a kernel's 32-bit indices, up to the end of the last block, do not reach so far."""
    if not -(2**31) <= value <= 2**31 - 1024:
        raise ValueError(f"an array of {value} elements or pixels is more than a GPU kernel here can count (2^31 - 1024)")
    return value


def _argument(run, value):
    if value is None:
        return np.uint64(0)
    if isinstance(value, (int, np.int64)):
        return np.int32(counted(value))
    if isinstance(value, float):
        return np.float32(value)
    if isinstance(value, np.generic) or type(value) is np.ndarray:
        return value
    return np.uint64(run.address(value))


def _three(size):
    size = size if isinstance(size, tuple) else (size,)
    return (*map(int, size), *(1,) * (3 - len(size)))


def blocks(count: int, each: int = THREADS) -> int:
    """How many blocks of `each` threads cover `count`."""
    return -(-count // each)


DIVISOR = [("d", np.uint32), ("multiplier", np.uint32), ("shift", np.uint32)]
PIXELS = np.dtype([("vectors", DIVISOR), ("step", np.int32)])


@functools.lru_cache(maxsize=4096)
def divisor(d: int) -> tuple[int, int, int]:
    """The numbers with which `n / d` is `(mulhi(n, multiplier) + n) >> shift` for 0 <= n < 2^31."""
    shift = (d - 1).bit_length()
    return d, ((1 << 32) * ((1 << shift) - d)) // d + 1, shift


@functools.lru_cache(maxsize=4096)
def pixels(vectors: int, step: int) -> np.ndarray:
    """The structure `Pixels` of common.cuh."""
    return np.array([(divisor(vectors), step)], PIXELS)


def divisors(*sizes: int) -> tuple[np.ndarray, ...]:
    """The structures `Divisor` of common.cuh for these sizes."""
    return tuple(np.array([divisor(d)], DIVISOR) for d in sizes)
