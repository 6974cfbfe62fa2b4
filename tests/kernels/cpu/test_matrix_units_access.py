"""The permission to use matrix units, and the check of a small product."""

import signal

import pytest

from minicnn.kernels.cpu import matrix_units_access as access

from .amx import emulator, needs_emulator  # noqa: F401 - a fixture

refusal, unavailable = access.refusal.__wrapped__, access.unavailable.__wrapped__


def pretend(monkeypatch, **features):
    names = {name.replace("_", "-"): value for name, value in features.items()}
    monkeypatch.setattr(access.binding, "get_host_cpu_features", lambda: names)


def test_why_they_are_not_used(monkeypatch):
    monkeypatch.setattr(access, "LANES", 16)
    monkeypatch.delenv("MINICNN_AMX", raising=False)
    for features in ({}, {"amx_tile": True}, {"amx_tile": False, "amx_bf16": True}):
        pretend(monkeypatch, **features)
        assert refusal() == "this processor has no AMX"
    pretend(monkeypatch, amx_tile=True, amx_bf16=True)
    monkeypatch.setattr(access.sys, "platform", "win32")
    assert refusal() == "they are used under Linux only"
    monkeypatch.setattr(access.sys, "platform", "linux")
    monkeypatch.setattr(access.ctypes, "CDLL", lambda *_, **__: FakeLibrary(-1))
    access.ctypes.set_errno(95)
    assert refusal().startswith("the system does not grant their registers: ")
    monkeypatch.setattr(access.ctypes, "CDLL", lambda *_, **__: FakeLibrary(0))
    assert refusal() is None
    monkeypatch.setenv("MINICNN_AMX", "0")
    assert refusal() == "MINICNN_AMX=0 is set"
    monkeypatch.setenv("MINICNN_AMX", "off")
    with pytest.raises(ValueError, match="^MINICNN_AMX='off': expected 0 or 1$"):
        refusal()


class FakeLibrary:
    """The C library, with a system that answers so."""

    def __init__(self, answer):
        self.answer = answer

    def syscall(self, *arguments):
        assert arguments == (158, 0x1023, 18)
        return self.answer


@needs_emulator
def test_a_small_product_is_checked_first(emulator, monkeypatch):  # noqa: F811
    monkeypatch.setattr(access, "refusal", lambda: None)
    with emulator.installed():
        assert unavailable() is None
        monkeypatch.setattr(access, "_in_child", lambda *_: None)  # which computes nothing
        assert unavailable() == "a small product on them was wrong"


@needs_emulator
@pytest.mark.skipif(not access.refusal(), reason="this processor has matrix units")
def test_an_illegal_instruction_does_not_end_this_process(monkeypatch):
    monkeypatch.setattr(access, "refusal", lambda: None)
    before = signal.signal(signal.SIGILL, signal.SIG_DFL)  # without pytest's report
    try:
        assert unavailable() == "a small product on them was wrong"
    finally:
        signal.signal(signal.SIGILL, before)
