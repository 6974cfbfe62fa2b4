"""Settings of these tests."""

import pytest

import minicnn


@pytest.fixture(autouse=True)
def _reference():
    """The plain operations: nothing is compiled for a few small networks."""
    minicnn.use("reference")
