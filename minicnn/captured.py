"""Functions of a batch whose kernels a GPU repeats as one CUDA graph per batch shape.

The kernels of a small network run for a shorter time than Python needs to launch them.
"""

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

from .device import runtime, to_device
from .kernels.dispatch import is_host_array
from .kernels.thread_state import state
from .kernels.types import Array
from .layers.hooks import is_observed

STAGED = 1 << 16  # bytes of an array on the host from which on its copies overlap with kernels
MOST = 8  # shapes that are captured; each keeps the memory of all that its kernels write


def captured(function: Callable[..., Any], device: str, warm_up: int = 1) -> Callable[..., Any]:
    """The function itself on the CPU, and `Captured(function, warm_up)` on a GPU."""
    return function if device == "cpu" else Captured(function, warm_up)


class Captured:
    """`function(*batch)`, which a GPU repeats as one CUDA graph per kind of batch.

    The kind of a batch is the shapes and types of its arrays. They are on the host, or on the GPU
    already. The first `warm_up` calls with a kind run the function, which compiles its kernels; the
    next one captures what it launches. From then on its Python code is not run again: it must not
    read values back, and what it computes on the host does not change. Within `observe` and
    `dispatch.intercept` the function is run, because replays call nothing, and with the backend
    `numba_cuda`, whose kernels are in no graph.

    The result may be any structure of arrays on the device. The next call overwrites them.
    A function that cannot be captured is run each time, after a warning that says why.
    """

    def __init__(self, function: Callable[..., Any], warm_up: int = 1):
        self._function, self._warm_up = function, warm_up
        self._graphs: dict[tuple, _Graph] = {}
        self._seen: Counter[tuple] = Counter()
        self._failed = False

    def __call__(self, *batch: Array) -> Any:
        kind = tuple((array.shape, array.dtype) for array in batch)
        if is_observed() or state.intercept is not None or state.backend == "numba_cuda":
            return self.run(*batch)
        if kind not in self._graphs:
            self._seen[kind] += 1
            is_full = len(self._graphs) >= MOST
            if self._failed or is_full or self._seen[kind] <= self._warm_up:
                return self.run(*batch)
            try:
                self._graphs[kind] = _Graph(self._function, batch)
            except Exception as error:  # of any kind: the function itself has worked
                self._failed = True
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                warnings.warn(
                    "the kernels are launched one by one, which is slower, because they cannot be "
                    f"captured as a CUDA graph: {reason}",
                    stacklevel=3,
                )
                return self.run(*batch)
        return self._graphs[kind].replay(batch)

    def run(self, *batch: Array) -> Any:
        """Run the function without a graph."""
        return self._function(*(to_device(array, "cuda") for array in batch))


class _Graph:
    """A captured call, with the arrays that its batches are copied to, and its result."""

    def __init__(self, function: Callable[..., Any], batch: tuple[Array, ...]):
        from .kernels.cuda.capture import ReplayedInputs  # only where there is a GPU

        run = runtime()
        self._inputs = [run.lasting(array.shape, array.dtype) for array in batch]
        self._staged: dict[int, Any] = {}
        self._changing = ReplayedInputs()
        self._result: Any = None

        def work() -> None:
            self._result = function(*self._inputs)

        with self._changing:
            self._graph = run.capture(work)

    def _staging(self, i: int) -> Any:
        """What copies the batch's array number i from the host."""
        from .kernels.cuda.staging import Staging

        if i not in self._staged:
            self._staged[i] = Staging(self._inputs[i])
        return self._staged[i]

    def replay(self, batch: tuple[Array, ...]) -> Any:
        for i, array in enumerate(batch):
            if is_host_array(array) and array.nbytes >= STAGED:
                self._staging(i).put(array)
            else:
                runtime().overwrite(self._inputs[i], array)
        self._changing.draw_again()
        self._graph.launch()
        return self._result
