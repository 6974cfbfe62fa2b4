"""The GPUs of several processes, which exchange arrays by NCCL, through CuPy.

NCCL's all-reduce adds in an order that depends on its algorithm, the number of GPUs and their
links. Only its copies are used here: sends and receives, and an all-gather. Sums are our own.
"""

import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import runtime
from ..kernels.types import Array

if TYPE_CHECKING:
    from .team import Ranks

TYPES = {"float32": "NCCL_FLOAT32", "float64": "NCCL_FLOAT64"}


class Nccl:
    """NCCL's communicator of the GPUs of all ranks, and a stream of its own.

    All ranks call the same methods in the same order. All exchanges run on the one stream, so that
    their order is the same on all GPUs, whatever the kernels do meanwhile.
    """

    def __init__(self, team: "Ranks", module: Any):
        self.size, self._module = team.size, module
        identity = team.first(module.get_unique_id)
        self._communicator = module.NcclCommunicator(team.size, identity, team.rank)
        self._cuda = runtime().cupy.cuda
        self._stream = self._cuda.Stream(non_blocking=True)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Work that is launched in this block runs aside, after what was launched before it."""
        self._stream.wait_event(self._cuda.get_current_stream().record())
        with self._stream:
            yield

    def join(self) -> None:
        """What is launched from here on runs after all that was launched aside."""
        self._cuda.get_current_stream().wait_event(self._stream.record())

    def exchange(self, send: Array, receive: Array) -> None:
        """Send row i of `(ranks, n)` to rank i. To be called aside."""
        kind, stream = self._type(send), self._stream.ptr
        self._module.groupStart()
        for rank in range(self.size):
            to, source = (runtime().address(a[rank]) for a in (send, receive))
            self._communicator.send(to, send.shape[1], kind, rank, stream)
            self._communicator.recv(source, receive.shape[1], kind, rank, stream)
        self._module.groupEnd()

    def gather(self, part: Array, whole: Array) -> None:
        """Gather the parts of all ranks into `(ranks, *part.shape)`. To be called aside."""
        addresses = (runtime().address(a) for a in (part, whole))
        self._communicator.allGather(*addresses, part.size, self._type(part), self._stream.ptr)

    def gathered(self, numbers: Array) -> Array:
        """The arrays of all ranks, `(ranks, *shape)`, for what is launched from here on."""
        whole = runtime().empty((self.size, *numbers.shape), numbers.dtype)
        with self.aside():
            self.gather(numbers, whole)
        self.join()
        return whole

    def _type(self, array: Array) -> int:
        return getattr(self._module, TYPES[np.dtype(array.dtype).name])


def connected(team: "Ranks") -> Nccl | None:
    """The GPUs of all ranks; None, and a warning by rank 0, if NCCL cannot connect them."""
    run = runtime()
    module = run.nccl()
    own = None if module is None else (socket.gethostname(), *run.place())
    places = team.gather(own)
    if None in places:
        rank = places.index(None)
        reason = (
            f"rank {rank} has no NCCL (pip install nvidia-nccl-cu13, or nvidia-nccl-cu12 for CUDA "
            "12)"
        )
    elif len(set(places)) < len(places):
        reason = "several ranks share a GPU, which NCCL does not allow"
    else:
        return Nccl(team, module)
    if team.is_first:
        warnings.warn(f"gradients are summed on the host: {reason}", stacklevel=2)
    return None
