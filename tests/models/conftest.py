"""Photographs for the tests that train."""

import numpy as np
import pytest

from minicnn import data
from minicnn.data.files import listing

from .starts import CLASSES


@pytest.fixture(scope="session")
def photographs():
    """`size -> images`: eight training images of each class, by name of the file."""
    source = data.cache_folder() / "cifar10" / "cifar10-jpg.tar.gz"
    if not source.is_file():
        pytest.skip(f"{source} is not on this machine")
    files = listing(source)
    paths = [f"train/{name}/{i:04}.jpg" for name in CLASSES for i in range(8)]

    def decoded(size):
        decode = data.Decode((size, size))
        return np.stack([decode(path, files[path].read()) for path in paths])

    return decoded
