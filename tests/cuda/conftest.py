"""The GPU's kernels, run on the CPU: see tests/emulator."""

import pytest

import minicnn

from .. import emulator


@pytest.fixture
def emulate():
    """A function that takes `Emulator`'s arguments and installs it as the backend `cuda`.

    The end of the test takes it away.
    """
    if emulator.COMPILER is None:
        pytest.skip("no C++ compiler on this machine, which builds the emulator of a GPU")

    def install(**options):
        run = emulator.Emulator(**options)
        emulator.install(run)
        return run

    yield install
    emulator.install(None)
    minicnn.set_precision("fp32")
