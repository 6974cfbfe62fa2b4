"""The speed of the machine: kept in a file, and measured again where that is of no use."""

import functools
import json
import subprocess
import sys

import numpy as np
import pytest

from minicnn import machine
from minicnn.machine import Machine, this_machine

FOUND = Machine(1e11, 1e10, 2e-6, 10**8)


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The number of measurements so far, each of which finds `FOUND`."""
    count = []
    monkeypatch.setattr(machine, "cache_file", lambda: tmp_path / "cache" / "machine.json")
    monkeypatch.setattr(machine, "measure", lambda: count.append(1) or FOUND)
    return count


def test_it_is_measured_once(measured):
    assert this_machine() == this_machine() == FOUND
    assert len(measured) == 1
    this_machine(refresh=True)
    assert len(measured) == 2


def test_each_processor_and_number_of_threads_has_its_own(measured, monkeypatch):
    this_machine()
    monkeypatch.setattr(machine, "get_num_threads", lambda: 77)
    this_machine()
    monkeypatch.setattr(machine, "processor", lambda: "another")
    this_machine()
    assert len(measured) == 3
    assert len(json.loads(machine.cache_file().read_text())) == 3


X86 = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9B14\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd atomics\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"


@pytest.mark.parametrize(
    ("cpuinfo", "architecture", "core", "name"),
    [
        (X86, "x86_64", "znver4", "AMD EPYC 9B14 (znver4)"),
        (X86, "x86_64", "generic", "AMD EPYC 9B14"),
        (ARM, "aarch64", "neoverse-n1", "neoverse-n1"),
        (None, "arm64", "apple-m2", "apple-m2"),  # macOS has no such file
        (ARM, "aarch64", "generic", "aarch64"),  # newer than LLVM
        (None, "AMD64", "znver4", "Intel64 Family 6"),  # Windows
    ],
)
def test_the_name_of_the_processor(tmp_path, monkeypatch, cpuinfo, architecture, core, name):
    """Systems do not name ARM cores: the file lists numbers, macOS says `arm`."""
    if cpuinfo:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    said = "Intel64 Family 6" if architecture == "AMD64" else "" if cpuinfo else "arm"
    monkeypatch.setattr(machine.platform, "processor", lambda: said)
    monkeypatch.setattr(machine.binding, "get_host_cpu_name", lambda: core)
    assert machine.processor() == name


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', '{"a": {"flops": 1}}'])
def test_a_damaged_file_is_written_anew(measured, text):
    machine.cache_file().parent.mkdir()
    machine.cache_file().write_text(text)
    assert this_machine() == this_machine() == FOUND
    assert len(measured) == 1


def test_a_busy_machine_is_not_remembered(measured, monkeypatch):
    monkeypatch.setattr(machine, "measure", lambda: Machine(1e9, 1e9, 1e-6, 1, busy=True))
    with pytest.warns(UserWarning, match="the machine is busy"):
        this_machine()
    assert not machine.cache_file().exists()


def test_a_folder_that_cannot_be_written_is_no_error(measured):
    machine.cache_file().parent.write_text("a file in its place")
    assert this_machine() == this_machine() == FOUND
    assert len(measured) == 2


@pytest.mark.parametrize(("together", "flops", "busy"), [(1.9, 1.9, False), (0.1, 0.9, True)])
def test_what_is_measured(monkeypatch, capsys, together, flops, busy):
    threads = [2]
    monkeypatch.setattr(machine, "ROUNDS", 2)
    monkeypatch.setattr(machine, "CALLS", 5)
    peaks = {2: together, 1: 1.0}
    monkeypatch.setattr(machine, "peak_flops", functools.cache(lambda: peaks[threads[0]]))
    monkeypatch.setattr(machine, "bandwidth", functools.cache(lambda: 5.0))
    monkeypatch.setattr(machine, "get_num_threads", lambda: 2)
    monkeypatch.setattr(machine, "set_num_threads", lambda n: threads.__setitem__(0, n))
    machine.main()
    found = Machine(**json.loads(capsys.readouterr().out))
    assert (found.flops, found.bytes, found.busy) == (pytest.approx(flops), 5.0, busy)
    assert 1e-8 < found.call < 1e-2
    assert found.process == 0 or found.process > 1e7


def test_the_peak_memory_is_that_of_this_process_and_not_of_its_parent():
    small = [sys.executable, "-c", "from minicnn.machine import peak_memory; print(peak_memory())"]
    before = int(subprocess.check_output(small))
    ballast = np.ones(1 << 27, np.uint8)  # 128 MiB
    assert int(subprocess.check_output(small)) < before + (ballast.nbytes >> 1)
    assert machine.peak_memory() > ballast.nbytes
