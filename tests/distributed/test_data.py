"""Data sets that the first process finds for all."""

import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from minicnn import data
from minicnn.distributed import Team
from minicnn.distributed.data import shared


class Other(Team):
    """A process with another rank, for which rank 0 has sent something."""

    rank, size = 1, 2

    def __init__(self, sent):
        self.sent = sent

    def first(self, function):
        return self.sent


class First(Team):
    """Rank 0 of two, which keeps what it sends."""

    rank, size = 0, 2

    def first(self, function):
        self.sent = function()
        return self.sent


@pytest.mark.parametrize("kind", ["", "tar", "gztar", "zip"])
def test_files_are_listed_once(kind, tmp_path):
    """The other rank reads the same pixels, and lists nothing."""
    folder = tmp_path / "set"
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for i in range(5):
            pixels = np.full((8, 8, 3), 20 * i, np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    source = shutil.make_archive(str(tmp_path / "packed"), kind, folder) if kind else str(folder)
    first = First()
    splits = shared(first, lambda: data.load_splits(source, data.Decode((8, 8)), memory=0))
    other = shared(Other(first.sent), lambda: 1 / 0)
    for ours, theirs in zip(splits[:2], other[:2], strict=True):
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        np.testing.assert_array_equal(ours.images[np.arange(2)], theirs.images[np.arange(2)])
        assert ours.images.shape == theirs.images.shape


def test_what_cannot_be_sent_is_loaded_by_each():
    first = First()
    lock = threading.Lock()
    assert shared(first, lambda: lock) is lock
    assert first.sent == b""
    assert shared(Other(b""), lambda: "own") == "own"
    assert shared(Team(), lambda: 1) == 1
