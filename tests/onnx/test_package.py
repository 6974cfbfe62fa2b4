"""Without the package onnx."""

import sys

import pytest

from minicnn import models


def test_without_onnx_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"^ONNX files need .*: pip install 'minicnn\[onnx\]'"):
        models.to_onnx(models.create("lenet5"), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
