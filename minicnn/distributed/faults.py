"""If one process of a run ends, all end, and one sentence says which one and why.

MPI ends the other processes: `Abort` after an error, and the launcher after a signal that cannot be
caught. MPICH's launcher then kills all at once, and names no rank. So a process forks first: the
child is the rank, and the parent waits for it, to say that a signal has killed it.
"""

import ctypes
import os
import signal
import socket
import sys
import time
import traceback
from types import TracebackType
from typing import Any, NoReturn

from .launch import Launch

GRACE = 1.0  # seconds in which rank 0 reports an error that all ranks have
FORWARD = 0.2  # seconds for the launcher to pass on what was printed, which it drops after an abort
TOGETHER = 0.5  # seconds within which two equal signals are one
PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that a process gets when its parent ends
FORWARDED = (signal.SIGINT, signal.SIGTERM)


def end_all(launch: Launch, sentence: str, code: int = 2) -> NoReturn:
    """Print a sentence with the rank of this process, and end all processes.

    Before MPI runs, all processes of a machine fail alike, such as without a package: one prints.
    """
    if _running_mpi() is None and launch.local_rank:
        os._exit(code)
    if launch.rank:
        time.sleep(GRACE)
    print(f"minicnn: rank {launch.rank} of {launch.size}: {sentence}", file=sys.__stderr__)
    _end(code)


def end_all_after_errors(launch: Launch) -> None:
    """From here on, an exception that nothing catches ends all processes, after its traceback."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if launch.rank:
            time.sleep(GRACE)
        text = "".join(traceback.format_exception(kind, error, trace))
        print(f"rank {launch.rank} of {launch.size}:\n{text}", end="", file=sys.__stderr__)
        _end(1)

    sys.excepthook = hook


def _end(code: int) -> NoReturn:
    """End all processes if MPI runs, and this one."""
    if sys.__stderr__:
        sys.__stderr__.flush()
    mpi = _running_mpi()
    if mpi is not None:
        time.sleep(FORWARD)
        mpi.COMM_WORLD.Abort(code)
    os._exit(code)


def _running_mpi() -> Any:
    """mpi4py's MPI if it runs, else None."""
    mpi: Any = sys.modules.get("mpi4py.MPI")
    return mpi if mpi and mpi.Is_initialized() and not mpi.Is_finalized() else None


def report_kills(launch: Launch) -> None:
    """Go on in a child of this process, which waits, and reports a signal that kills the child.

    Linux only; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    child = os.fork()
    if not child:
        os.setpgid(0, 0)  # a signal for the group of the launcher comes once, from the parent
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    forward = _Forward(child)
    for forwarded in FORWARDED:
        signal.signal(forwarded, forward)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        killer = os.WTERMSIG(status)
        print(killed(launch, child, killer), file=sys.__stderr__, flush=True)
        os._exit(128 + killer)
    os._exit(os.WEXITSTATUS(status))


class _Forward:
    """Sends a signal on to a process; once, if terminal and launcher both send it at a time."""

    def __init__(self, process: int):
        self.process, self._last = process, dict[int, float]()

    def __call__(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if now - self._last.get(number, -TOGETHER) >= TOGETHER:
            self._last[number] = now
            os.kill(self.process, number)


def killed(launch: Launch, process: int, number: int) -> str:
    """A sentence for a rank that a signal has killed."""
    name = signal.Signals(number).name
    cause = ", maybe for lack of memory" if name == "SIGKILL" else ""
    return (
        f"minicnn: rank {launch.rank} of {launch.size} (process {process} on "
        f"{socket.gethostname()}) was killed by {name}{cause}; all ranks "
        "end. --resume goes on from the last checkpoint, also with another number of ranks"
    )
