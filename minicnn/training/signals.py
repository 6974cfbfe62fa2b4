"""SIGINT (Ctrl-C), caught so that a run can save itself."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def catch_sigint(event: threading.Event) -> Iterator[None]:
    """Turn the first SIGINT into an event; a second one interrupts at once.

    Only the main thread can catch signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
