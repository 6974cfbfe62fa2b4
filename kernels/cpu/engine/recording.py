"""Launches that are recorded once and then repeated without the Python code that led to them.

It is what a CUDA graph is on a GPU: the kernels of a small network run for a shorter time than
Python needs to launch them.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .threads import start

active: dict[int, "Recording"] = {}  # those that are being made, by thread; usually none


class Recording:
    """The kernels that a block of code launches, and the arrays that they read and write.

        recording = Recording(most_bytes=1 << 26)
        with recording.of_this_thread():
            y = f(x)
        x[...] = another
        recording.repeat()  # y is f(another) now

    Nothing but kernels is repeated: no arithmetic of NumPy, and no decision that Python has made by
    the contents of an array.
    The arrays stay alive and have no other use, so a step takes the memory of all that it writes.
    If they are larger than `most_bytes` together, nothing is recorded: `is_complete` is False.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._arrays: dict[int, Any] = {}
        self._arguments: list[Any] = []
        self._launches: list[tuple[int, int, int]] = []
        self.is_complete = False

    @contextmanager
    def of_this_thread(self) -> Iterator[None]:
        """A block in which what this thread launches is recorded."""
        thread = threading.get_ident()
        active[thread] = self
        try:
            yield
            self.is_complete = active.get(thread) is self
        finally:
            active.pop(thread, None)

    def keep(self, array: Any) -> None:
        """Note an array whose address a kernel may be given."""
        if id(array) not in self._arrays:
            self._arrays[id(array)] = array
            self._bytes += array.nbytes
        if self._bytes > self._most_bytes:
            give_up()

    def add(self, entry: int, tasks: int, arguments: bytes) -> None:
        """Note a launch, as `threads.start` gets it, with its packed arguments."""
        packed = ctypes.create_string_buffer(arguments, len(arguments))
        self._arguments.append(packed)
        self._launches.append((entry, tasks, ctypes.addressof(packed)))

    def repeat(self) -> None:
        """Launch all kernels again, in order."""
        for launch in self._launches:
            start(*launch)


def current() -> Recording | None:
    """The recording that is being made in this thread, or None."""
    return active.get(threading.get_ident())


def give_up() -> None:
    """Record nothing: Python is about to compute from the contents of arrays, or decide by them."""
    recording = active.pop(threading.get_ident(), None)
    if recording:
        recording._arrays.clear()
