"""A stand-in for CuPy in `kernels/cuda`: the same .cu sources, on the CPU and on NumPy arrays.

g++ compiles them after emulator.h and instructions.h, and after hopper.h if they need hopper.cuh.
"""

import ctypes
import hashlib
import math
import os
import re
import shutil
import subprocess
import tempfile
import time
import types
import weakref
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from minicnn.kernels import dispatch
from minicnn.kernels.cuda import device, runtime

from .device_array import Capture, DeviceArray, plain
from .nccl import StandIn

HEADERS = [Path(__file__).with_name(name) for name in ("emulator.h", "instructions.h")]
HOPPER = Path(__file__).with_name("hopper.h")
COMPILER = shutil.which("g++") or shutil.which("clang++")
SIGNATURE = re.compile(
    r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(([^)]*)\)', re.DOTALL
)


class Emulator:
    """Compiles and runs kernels on the CPU.

    Args:
        seed: the order in which threads take turns; 0 is that of their indices.
        changes: pairs of texts to replace in the source, which plant a mistake for a test.
        sanitize: compile with AddressSanitizer, whose library the process must have loaded.
    """

    processors, shared_memory, shared_memory_of_processor, capability = 2, 227 << 10, 228 << 10, 90

    def __init__(self, seed: int = 0, changes=(), sanitize: bool = False):
        self.seed, self.changes, self.sanitize = seed, tuple(changes), sanitize
        self.launches: list[str] = []
        self.cupy, self.place = None, lambda: (os.getpid(),)
        self._libraries: dict = {}
        self._recorded: list | None = None
        self._alive: list = []
        self._released: list = []

    @property
    def capturing(self):
        return self._recorded is not None

    def empty(self, shape, dtype):
        """Memory full of NaN (or of the largest whole number), so that a read before a write shows.

        While a graph is captured, memory that earlier launches of the same graph have released is
        handed out again, as a memory pool does.
        """
        if self._recorded is None:
            return self.lasting(shape, dtype)
        size = math.prod(shape) * np.dtype(dtype).itemsize
        fitting = (
            i for i in reversed(range(len(self._released))) if self._released[i].size >= size
        )
        at = next(fitting, None)
        memory = np.empty(size, np.uint8) if at is None else self._released.pop(at)
        memory[:] = 0xFF
        self._alive.append(memory)
        owner = (ctypes.c_uint8 * size).from_buffer(memory.data)
        weakref.finalize(owner, self._released.append, memory).atexit = False
        return np.frombuffer(owner, dtype).reshape(shape).view(DeviceArray)

    def lasting(self, shape, dtype):
        """Memory that no other array of a graph is given."""
        dtype = np.dtype(dtype)
        memory = np.full(math.prod(shape) * dtype.itemsize, 0xFF, np.uint8)
        if self._recorded is not None:
            self._alive.append(memory)
        return memory.view(dtype).reshape(shape).view(DeviceArray)

    def connect(self, communicator=None):
        """Have streams and NCCL. communicator: of mpi4py; None for one rank."""
        self.cupy = StandIn(self, communicator)
        return self

    def nccl(self):
        return self.cupy and self.cupy.cuda.nccl

    @contextmanager
    def poisoned(self):
        yield

    def describe(self):
        return {"gpu": "emulated"}

    def times(self, work, repeats=1, launches=1, captured=True):
        started = time.perf_counter()
        work(0)
        return [time.perf_counter() - started]

    def stamp(self):
        return time.perf_counter()

    def seconds_between(self, start, end):
        return end - start

    def kernel(self, file, name, options, shared):
        """The kernel, compiled, with what CuPy tells of it: that of a small one."""
        getattr(self._library(file, options), f"run_{name}")
        return types.SimpleNamespace(
            attributes={"num_regs": 64, "local_size_bytes": 0, "shared_size_bytes": 0}
        )

    def upload(self, host):
        array = self.lasting(host.shape, host.dtype)
        plain(array)[...] = host  # at once, also while a graph is captured
        return array

    def download(self, array):
        if self._recorded is not None:
            raise RuntimeError("the current stream is capturing, so D2H transfers are disallowed")
        return np.array(array, subok=False)

    def tensor_map(self, array, box):
        """The structure TensorMap of hopper.h."""
        found = np.zeros((), [("base", np.uint64), ("axes", np.int32, 8), ("rest", np.uint8, 88)])
        found["base"], found["axes"] = array.ctypes.data, (*array.shape[::-1], *box[::-1])
        return found.reshape(1)

    def overwrite(self, array, value):
        array[...] = value

    def page_locked(self, shape, dtype):
        return np.asarray(self.lasting(shape, dtype))

    def copy_beside(self, array, host, after):
        """The copy is made as late as it may be: when somebody waits for it."""
        return Event(lambda: self.overwrite(array, host))

    def event(self):
        return Event()

    def wait(self, event):
        event.synchronize()

    def address(self, array):
        return array.ctypes.data

    def capture(self, work):
        """As CuPy's: the launches are kept, and none runs until the graph does."""
        self._recorded, self._released = [], []
        Capture.calls, Capture.empty = self._recorded, self.empty
        try:
            work()
        finally:
            graph = _Graph(self._recorded)
            self._recorded = Capture.calls = None
        return graph

    def cut(self, after):
        """As CuPy's: a replay calls `after` between the launches."""
        if self._recorded is not None:
            self._recorded.append(after)
        else:
            after()

    def launch(self, *arguments):
        if self._recorded is not None:
            self._recorded.append(lambda: self._start(*arguments))
        else:
            self._start(*arguments)

    def _start(self, file, name, options, grid, block, arguments, shared, together):
        assert block[0] * block[1] * block[2] <= 1024, (
            f"{name}: {block} threads are more than a block may have"
        )
        assert grid[0] < 2**31 and grid[1] < 65536 and grid[2] < 65536, (
            f"{name}: a grid {grid} is larger than CUDA's"
        )
        resident = min(
            2048 // math.prod(block), self.shared_memory_of_processor // (shared + 1024)
        )  # whatever its registers
        fits = math.prod(grid) <= self.processors * resident
        assert fits or not together, (
            f"{name}: {grid} blocks of {block} threads do not run at the same time"
        )
        assert shared <= self.shared_memory, (
            f"{name}: {shared} bytes of shared memory are more than a block may have"
        )
        assert 0 not in grid, f"{name}: the grid {grid} is empty"
        self.launches.append(name)
        if self.cupy:
            self.cupy.launched(name)
        values = [np.ascontiguousarray(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(v.ctypes.data for v in values))
        sizes = getattr(self._library(file, options), f"sizes_{name}")
        sizes.restype = ctypes.POINTER(ctypes.c_int)
        expected = sizes()
        for i, value in enumerate(values):
            assert value.nbytes == expected[i], (
                f"{name}: argument {i} has {value.nbytes} bytes; the kernel takes {expected[i]}"
            )
        assert expected[len(values)] == 0, f"{name}: takes more than {len(values)} arguments"
        run = getattr(self._library(file, options), f"run_{name}")
        run.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
        ]
        sides = (ctypes.c_uint * 6)(*grid, *block)
        failed = run(
            pointers, ctypes.byref(sides), ctypes.byref(sides, 12), shared, self.seed, together
        )
        if failed:
            reasons = {1: "threads wait at different barriers", 2: "stderr names a broken rule"}
            raise RuntimeError(f"{name}: {reasons[failed]}")

    def _library(self, file, options):
        if (file, options) not in self._libraries:
            self._libraries[file, options] = ctypes.CDLL(
                str(build(file, options, self.changes, self.sanitize))
            )
        return self._libraries[file, options]


class Event:
    """The end of some work, which is done when it is waited for."""

    def __init__(self, work=None):
        self._work = work

    def synchronize(self):
        work, self._work = self._work, None
        if work:
            work()


def install(run) -> None:
    """Let `run`, an Emulator, be the GPU; None takes it away."""
    device.install(run)
    dispatch.load.cache_clear()


class _Graph:
    """Launches and NumPy's arithmetic, kept to be run again."""

    def __init__(self, calls):
        self._calls = calls

    def launch(self):
        for call in self._calls:
            call()


def build(file, options=(), changes=(), sanitize=False) -> Path:
    """Compile a source into a library. Libraries are kept between runs, by text and options."""
    text = runtime.source(file)
    for old, new in changes:
        text = text.replace(old, new)
    headers = [*HEADERS, HOPPER] if "hopper.cuh" in text else HEADERS
    wrappers = [*(header.read_text() for header in headers), text]
    for name, parameters in SIGNATURE.findall(text):
        types = [
            re.match(r"(.*[\s*])\w+$", re.sub(r"__restrict__\s*", "", p.strip()), re.DOTALL)[1]
            for p in parameters.split(",")
        ]
        values = ", ".join(
            f"*reinterpret_cast<std::remove_const_t<{t}>*>(a[{i}])" for i, t in enumerate(types)
        )
        sizes = ", ".join(f"int(sizeof({t}))" for t in types)
        wrappers.append(
            f"static void call_{name}(void** a) {{ {name}({values}); }}\n"
            f'extern "C" const int* sizes_{name}() {{\n'
            f"    static const int s[] = {{{sizes}, 0}};\n    return s;\n}}\n"
            f'extern "C" int run_{name}(void** a, dim3* grid, dim3* block, size_t shared,\n'
            f"    unsigned seed, int together) {{\n"
            f"    return emulator::run(call_{name}, a, *grid, *block, shared, seed, together);\n}}"
        )
    program = "\n".join(wrappers)
    flags = [
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-shared",
        "-w",
        "-ffp-contract=off",
        "-Wl,-Bsymbolic",
        *(option for option in options if not option.startswith("-arch")),
    ]
    flags += ["-fsanitize=address", "-g"] if sanitize else []
    digest = hashlib.sha256("\0".join([program, *flags]).encode()).hexdigest()[:24]
    folder = Path(
        os.environ.get(
            "MINICNN_EMULATOR_CACHE",
            Path(tempfile.gettempdir()) / f"minicnn-emulator-{os.getuid()}",
        )
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    library = folder / f"{Path(file).stem}-{digest}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            program_file, built = Path(scratch) / "program.cpp", Path(scratch) / "program.so"
            program_file.write_text(program)
            subprocess.run([COMPILER, *flags, str(program_file), "-o", str(built)], check=True)
            built.replace(library)
    return library
