"""SIGINT: the first one is an event, the second an interruption."""

import signal
import threading

import pytest

from minicnn.training.signals import catch_sigint


def test_the_second_interrupts():
    before, event = signal.getsignal(signal.SIGINT), threading.Event()
    with catch_sigint(event):
        signal.raise_signal(signal.SIGINT)
        assert event.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_catches_nothing():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with catch_sigint(threading.Event()):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
