"""The processes that train together; one process is a team of its own."""

import os
import socket
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..device import array_device, to_device, to_host
from ..errors import TrainingError
from ..kernels.dispatch import set_num_threads
from ..kernels.types import Array
from .faults import end_all_after_errors
from .launch import Launch, choose_gpu, found_launch

if TYPE_CHECKING:
    from .nccl import Nccl

T = TypeVar("T")


class Team:
    """One process.

    rank: the number of this process, from 0; size: that of all. The one with rank 0 prints, draws
    and saves.
    """

    rank, size = 0, 1

    @property
    def is_first(self) -> bool:
        """True for the process with rank 0."""
        return self.rank == 0

    def first(self, function: Callable[[], T]) -> T:
        """The result of `function` at rank 0, which is the only one to call it."""
        return function()

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank."""
        return [value]

    def __repr__(self) -> str:
        return "one process"


class Ranks(Team):
    """Several processes, which communicate by MPI.

    All of them call the same methods in the same order: MPI matches the calls on a communicator by
    their order. What is done meanwhile, exchanges and gatherings, has communicators of its own.
    """

    def __init__(self, communicator: Any):
        self.communicator = communicator
        self._exchanges, self._gatherings = communicator.Dup(), communicator.Dup()
        self.rank, self.size = communicator.rank, communicator.size
        self.bytes_sent = self.messages = 0

    def first(self, function: Callable[[], T]) -> T:
        return self.communicator.bcast(function() if self.rank == 0 else None)

    def gather(self, value: T) -> list[T]:
        return self.communicator.allgather(value)

    @cached_property
    def gpus(self) -> "Nccl | None":
        """The GPUs of all processes, or None if NCCL does not connect them."""
        from .nccl import connected

        return connected(self)

    def gather_numbers(self, numbers: Array) -> Array:
        """The arrays of all processes, `(ranks, *shape)`, on the device that they are on."""
        if array_device(numbers) == "cuda":
            if self.gpus:
                return self.gpus.gathered(numbers)
            return to_device(self.gather_numbers(to_host(numbers)), "cuda")
        found = np.empty((self.size, *numbers.shape), numbers.dtype)
        self.communicator.Allgather(numbers, found)
        self._count(numbers.nbytes * (self.size - 1), self.size - 1)
        return found

    def count_bucket(self, part: int, is_gathered: bool) -> None:
        """Count the messages of a bucket of which each process adds `part` bytes."""
        times = (self.size - 1) * (1 + is_gathered)
        self._count(times * part, times)

    def start_exchange(self, send: np.ndarray, receive: np.ndarray) -> Any:
        """Send row i of `(ranks, n)` to rank i. Returns a request, with the method `Test`."""
        self._count(send.nbytes // self.size * (self.size - 1), self.size - 1)
        return self._exchanges.Ialltoall(send, receive)

    def start_gather(self, part: np.ndarray, whole: np.ndarray) -> Any:
        """Gather the parts `(n,)` of all ranks into `(ranks, n)`. Returns a request."""
        self._count(part.nbytes * (self.size - 1), self.size - 1)
        return self._gatherings.Iallgather(part, whole)

    def _count(self, sent: int, messages: int) -> None:
        self.bytes_sent += sent
        self.messages += messages

    def where(self) -> str:
        """This process in words, for messages."""
        return f"rank {self.rank} of {self.size} (process {os.getpid()} on {socket.gethostname()})"

    def __repr__(self) -> str:
        return f"{self.size} ranks"


def join(launch: Launch | None = None) -> Team:
    """The processes that were launched together with this one.

    Raises ImportError without mpi4py, TrainingError if its MPI is not that of the launcher.
    """
    launch = launch or found_launch()
    if launch is None:
        return Team()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"{launch.size} processes were launched, and training together needs the extra: "
            f"pip install minicnn[mpi] ({error})"
        ) from None
    if MPI.COMM_WORLD.size != launch.size:
        raise TrainingError(
            f"{launch.size} processes were launched, and mpi4py finds {MPI.COMM_WORLD.size}: it "
            f"uses {MPI.Get_library_version().split(chr(10))[0].strip()}, another MPI than the "
            "launcher's; use the mpirun of that one"
        )
    end_all_after_errors(launch)
    choose_gpu(launch)
    if launch.threads:
        set_num_threads(launch.threads)
    return Ranks(MPI.COMM_WORLD)
