"""`python -m tests.cuda.emulated_gpu FAULT[:KERNEL] ...`: `benchmarks.gpu` on an emulated GPU.

The kernel, by default softmax, raises an exception, hangs, ends the process, or loses the device.
See test_verify.py.
"""

import sys
import time

from benchmarks.gpu import cases
from benchmarks.gpu.__main__ import COMMAND, main

from ..emulator import Emulator, install

WRONG = (
    "losses[n] = by.y * total - product",
    "losses[n] = by.y * total + product",
)  # in the loss
FAULTY = "softmax"


class Faulty(Emulator):
    """Raises, hangs, ends the process or loses the device when one kernel is launched."""

    def __init__(self, fault: str):
        super().__init__(changes=[WRONG] if fault == "wrong" else [])
        self._fault, _, kernel = fault.partition(":")
        self._faulty, self._lost = kernel or FAULTY, False
        self.connect()

    def launch(self, file, name, *rest):
        """As the emulator's, but for the fault."""
        if name == self._faulty and self._fault == "exception":
            raise ValueError("a planted exception")
        if name == self._faulty and self._fault == "hang":
            time.sleep(1000)
        if name == self._faulty and self._fault == "exit":
            sys.exit(9)
        self._lost |= name == self._faulty and self._fault == "sticky"
        self._check()
        super().launch(file, name, *rest)

    def download(self, array):
        """As the emulator's, while there is a device."""
        self._check()
        return super().download(array)

    def _check(self):
        if self._lost:
            raise RuntimeError("an illegal memory access was encountered")


if __name__ == "__main__":
    if sys.argv[1] != "none":
        cases.TINY = ()  # no convolutions, which take long here
    install(Faulty(sys.argv[1]))
    sys.exit(main(sys.argv[2:], [*COMMAND[:2], "tests.cuda.emulated_gpu", sys.argv[1]]))
