"""Weights by path and URL: verified, cached, loaded."""

import hashlib

import numpy as np
import pytest
import torch

import minicnn
from minicnn import models
from minicnn.errors import CheckpointError, DataError
from minicnn.weights import to_torch
from minicnn.weights.pretrained import load_into


def test_weights_by_path_checksum_and_url(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    ours = models.create("resnet20_cifar", seed=5)
    torch.save({k: torch.tensor(v) for k, v in to_torch(ours).items()}, path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    model = models.create("resnet20_cifar", weights=path, sha256=checksum)
    np.testing.assert_array_equal(model.conv1.weight.value, ours.conv1.weight.value)
    with pytest.raises(CheckpointError, match=r"w\.pth: its SHA-256 is .*, expected 00ff"):
        models.create("resnet20_cifar", weights=path, sha256="00ff")
    with pytest.raises(CheckpointError, match=r"w\.pth: the weights do not fit resnet32_cifar"):
        models.create("resnet32_cifar", weights=path)
    with pytest.raises(CheckpointError, match=r"w\.pth: give sha256=\.\.\."):
        models.create("resnet20_cifar", weights="http://127.0.0.1:9/w.pth")
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="w-0123456789ab.pth could not be downloaded"):
        models.create("resnet20_cifar", weights="http://127.0.0.1:9/w-0123456789ab.pth")
    (tmp_path / "weights").mkdir(exist_ok=True)
    cached = tmp_path / "weights" / f"w-{checksum[:8]}.pth"
    cached.write_bytes(path.read_bytes())
    model = models.create("resnet20_cifar", weights=f"http://127.0.0.1:9/{cached.name}")
    np.testing.assert_array_equal(model.linear.weight.value, ours.linear.weight.value)


def test_both_kinds_of_file_leave_the_network_in_training_mode(tmp_path):
    source = models.create("resnet20_cifar", seed=5)
    minicnn.save(source, tmp_path / "w.safetensors")
    torch.save({k: torch.tensor(v) for k, v in to_torch(source).items()}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        model = models.create("resnet20_cifar").eval()
        load_into(model, tmp_path / name)
        assert model.training
        assert model.layer3[2].body.bn2.training
        np.testing.assert_array_equal(model.linear.weight.value, source.linear.weight.value)


def test_a_file_that_is_missing_or_no_checkpoint(tmp_path):
    (tmp_path / "w.pth").write_text("hello")
    for name, fault in (
        ("none.pth", r"none\.pth: cannot be read: No such file"),
        ("none.safetensors", r"none\.safetensors: cannot be read: No such file"),
        ("w.pth", r"w\.pth: it is not a torch file"),
    ):
        with pytest.raises(CheckpointError, match=fault):
            models.create("lenet5", weights=tmp_path / name)
