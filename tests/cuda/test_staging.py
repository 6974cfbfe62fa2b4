"""Copies that overlap with kernels: every order that two streams allow gives the right batches."""

import numpy as np
import pytest

from minicnn.kernels.cuda import device
from minicnn.kernels.cuda.staging import Staging


class Event:
    """Happens when the work before it has been done."""

    def __init__(self, streams, has_happened=False):
        self.streams, self.has_happened = streams, has_happened

    def synchronize(self):
        while not self.has_happened:
            self.streams.advance()


class Streams:
    """Two queues of work; `advance` does the first of either, unless it waits for an event."""

    def __init__(self, seed):
        self.generator, self.speed = np.random.default_rng(seed), 2 + seed % 3
        self.kernels, self.copies = [], []

    def advance(self):
        able = [queue for queue in (self.kernels, self.copies) if queue and queue[0][0]()]
        assert able, "the streams wait for each other"
        _, work = able[self.generator.integers(len(able))].pop(0)
        work()

    def sometimes_advance(self):
        for _ in range(self.generator.integers(self.speed)):
            if self.kernels or self.copies:
                self.advance()

    def launch(self, work, queue=None, after=None):
        is_able = (lambda: after.has_happened) if after else (lambda: True)
        (self.kernels if queue is None else queue).append((is_able, work))
        self.sometimes_advance()

    def page_locked(self, shape, dtype):
        return np.full(shape, np.nan, dtype)

    lasting = page_locked

    def overwrite(self, array, value):
        self.launch(lambda: array.__setitem__(..., value))

    def event(self, queue=None):
        found = Event(self)
        self.launch(lambda: setattr(found, "has_happened", True), queue)
        return found

    def copy_beside(self, array, host, after):
        self.launch(lambda: array.__setitem__(..., host), self.copies, after)
        return self.event(self.copies)

    def wait(self, event):
        self.launch(lambda: None, after=event)


def seen(seed, steps=12):
    """What the kernels of each step find in the array, of batches 0, 1, 2, ..."""
    streams = Streams(seed)
    device.install(streams)
    array, found = np.full(3, np.nan), []
    stage = Staging(array)
    for step in range(steps):
        stage.put(np.full(3, float(step)))
        streams.launch(lambda: found.append(array.copy()))
    while streams.kernels or streams.copies:
        streams.advance()
    return np.array(found)


EXPECTED = np.arange(12.0)[:, None].repeat(3, 1)


@pytest.fixture(autouse=True)
def other_runtime():
    yield
    device.install(None)


def test_every_step_has_its_batch():
    for seed in range(100):
        np.testing.assert_array_equal(seen(seed), EXPECTED)


MISTAKES = {
    "the host does not wait for its buffer": (Event, "synchronize", lambda self: None),
    "the kernels do not wait for the copy": (Streams, "wait", lambda self, event: None),
    "the copy does not wait for the kernels": (
        Streams,
        "copy_beside",
        lambda self, array, host, after, right=Streams.copy_beside: right(self, array, host, None),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_wait_is_needed(mistake, monkeypatch):
    monkeypatch.setattr(*MISTAKES[mistake])
    assert any(not np.array_equal(seen(seed), EXPECTED) for seed in range(100))


def test_copies_run_ahead_of_the_kernels():
    """The host prepares the next batch, and its copy is made, before a kernel has read the last."""
    streams = Streams(0)
    streams.sometimes_advance = lambda: None
    device.install(streams)
    stage = Staging(np.zeros(3))
    for step in range(2):
        stage.put(np.full(3, float(step)))
    copies = 0
    while streams.copies:
        is_able, work = streams.copies.pop(0)
        assert is_able()
        work()
        copies += 1
    assert copies == 4  # two copies and their events
    assert len(streams.kernels) == 6
