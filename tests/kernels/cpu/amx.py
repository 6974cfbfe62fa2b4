"""Matrix units for tests: those of this processor, or of an emulator; see amx_emulator.c."""

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minicnn.kernels.cpu import matrix_units_access
from minicnn.kernels.cpu.engine.simd import LANES

NAMES = ("ldtilecfg", "tilerelease", "tilezero", "tileloadd", "tilestored", "tdpbf16ps")
COMPILER = shutil.which("cc")
needs_emulator = pytest.mark.skipif(
    LANES != 16 or not COMPILER, reason="the emulator needs AVX-512 and a C compiler"
)


class Emulator:
    """While it is installed, tile instructions that the processor refuses are emulated."""

    def __init__(self, folder: Path) -> None:
        library = folder / "amx_emulator.so"
        source = Path(__file__).with_name("amx_emulator.c")
        command = [str(COMPILER), "-O2", "-shared", "-fPIC", "-o", library, source, "-lm"]
        subprocess.run(command, check=True)
        self._library = ctypes.CDLL(str(library))
        self.emulates = bool(matrix_units_access.refusal())  # else nothing is refused

    @contextmanager
    def installed(self) -> Iterator["Emulator"]:
        assert self._library.install() == 0
        try:
            yield self
        finally:
            assert self._library.restore() == 0

    def counts(self) -> dict[str, int]:
        """How often each instruction was emulated since it was installed."""
        counts = (ctypes.c_long * len(NAMES)).in_dll(self._library, "counts")
        return dict(zip(NAMES, counts, strict=True))

    def configured_threads(self) -> int:
        """Threads that have not released their registers."""
        return self._library.configured_threads()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    return Emulator(tmp_path_factory.mktemp("amx"))


@pytest.fixture
def units(emulator, monkeypatch):
    """The engine uses matrix units in this test."""
    monkeypatch.setattr(matrix_units_access, "unavailable", lambda: None)
    with emulator.installed():
        yield emulator
