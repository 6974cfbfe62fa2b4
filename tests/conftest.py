"""Settings of all tests: the folder of data, one seed per test, and repeatable random cases."""

import os
from pathlib import Path

import hypothesis
import pytest

import minicnn

hypothesis.settings.register_profile(
    "minicnn", deadline=None, derandomize=True, database=None, max_examples=200
)
hypothesis.settings.load_profile("minicnn")

# OpenMP's threads sleep while they wait. Otherwise they spin and take the cores from the tests of
# other processes. On busy cores most of the time of training LeNet-5 was that: 48 s instead of 4 s.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
if "MINICNN_DATA" not in os.environ and SHARED_DATA.is_dir():
    os.environ["MINICNN_DATA"] = str(SHARED_DATA)


@pytest.fixture(autouse=True)
def _same_start():
    minicnn.seed(0)
    yield
    minicnn.use(None)


@pytest.fixture(scope="session")
def mnist():
    """MNIST's training and test set, from files on this machine."""
    try:
        return minicnn.data.mnist(allow_download=False)
    except minicnn.errors.DataError as error:
        pytest.skip(f"MNIST is not on this machine: {error}")
