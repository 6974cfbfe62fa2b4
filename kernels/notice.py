"""One line on stderr when kernels are compiled, which takes some ten seconds after an installation.

Numba reports each pass of its compiler, and none for a kernel that is in its cache.
"""

import sys
import time
from typing import Any

SECONDS = 2.0  # of compiling, in this process, before the line: a few new kernels need no word
TEXT = "minicnn: compiling the kernels for this processor; later starts read them from a cache"
OURS = "minicnn.kernels.cpu"


class CompileNotice:
    """A listener of Numba's compiler that prints `TEXT` once per process."""

    def __init__(self) -> None:
        self._depth, self._started, self._seconds = 0, 0.0, 0.0
        self._said = False

    def notify(self, event: Any) -> None:
        """Count the time of passes over our kernels; those of inlined functions lie within them."""
        if self._said or not str(event.data.get("module", "")).startswith(OURS):
            return
        if event.is_start:
            self._started = self._started if self._depth else time.perf_counter()
            self._depth += 1
        elif self._depth:
            self._depth -= 1
            self._seconds += 0 if self._depth else time.perf_counter() - self._started
        if self._seconds > SECONDS:
            self._said = True
            print(TEXT, file=sys.stderr, flush=True)


def listen() -> None:
    """From here on, say when kernels are compiled."""
    try:
        from numba.core import event
    except ImportError:  # then there is no backend that compiles
        return
    event.Listener.register(CompileNotice)
    event.register("numba:run_pass", CompileNotice())
