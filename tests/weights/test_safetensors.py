"""Saving and loading models: complete, atomic, and clear about what does not fit."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy

import minicnn
from minicnn import models
from minicnn.errors import CheckpointError
from minicnn.layers import BatchNorm2d, Conv2d, Network, Sequential
from minicnn.weights import safetensors as ours


@pytest.mark.parametrize("name", ["lenet5", "lenet5_1998", "resnet20_cifar", "nin_mnist"])
def test_save_and_load(tmp_path, name):
    minicnn.seed(4)
    options = {} if name == "lenet5_1998" else {"num_classes": 7}
    model = models.create(name, **options)
    minicnn.save(model, tmp_path / "m.safetensors")
    again = minicnn.load(tmp_path / "m.safetensors")
    assert (again.name, again.options, again.training) == (name, options, False)
    x = np.random.default_rng(0).standard_normal((2, *model.input_shape)).astype(np.float32)
    np.testing.assert_array_equal(again(x), model.eval()(x))


def test_own_network(tmp_path):
    path = tmp_path / "own.safetensors"
    network = Sequential(Conv2d(1, 2, 3), BatchNorm2d(2))
    network(np.random.default_rng(0).standard_normal((4, 5, 5, 1)).astype(np.float32))
    minicnn.save(network, path)
    with pytest.raises(
        CheckpointError,
        match=r"own\.safetensors: it does not say which model .* load\(path, model\)",
    ):
        minicnn.load(path)
    again = minicnn.load(path, Sequential(Conv2d(1, 2, 3), BatchNorm2d(2)))
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array)
    with pytest.raises(
        CheckpointError,
        match=r"own\.safetensors: the weights do not fit the model: .*0\.weight has shape \(3, 3, 1, 2\)",
    ):
        minicnn.load(path, Sequential(Conv2d(1, 4, 3), BatchNorm2d(4)))


def test_registered_network(tmp_path):
    @minicnn.register("tiny", {"default": models.lenet.LENET5})
    def tiny(width: int = 2):
        """A network of the test's own."""
        return Network(conv=Conv2d(1, width, 3), input_shape=(32, 32, 1))

    try:
        minicnn.save(models.create("tiny", width=3), tmp_path / "t.safetensors")
        assert minicnn.load(tmp_path / "t.safetensors").conv.out_channels == 3
    finally:
        del minicnn.registry._entries["tiny"]
    with pytest.raises(CheckpointError, match="its model cannot be made: there is no model 'tiny'"):
        minicnn.load(tmp_path / "t.safetensors")


def test_files_from_elsewhere(tmp_path):
    """A safetensors file without our metadata is read; the library reads ours."""
    path = tmp_path / "x.safetensors"
    model = models.create("lenet5")
    safetensors.numpy.save_file(
        {k: np.ascontiguousarray(v) for k, v in model.state_dict().items()},
        path,
        {"made by": "someone"},
    )
    assert set(ours.load_state(path)) == set(model.state_dict())
    np.testing.assert_array_equal(
        minicnn.load(path, models.create("lenet5")).C1.weight.value, model.C1.weight.value
    )
    minicnn.save(model, path)
    np.testing.assert_array_equal(
        safetensors.numpy.load_file(path)["C1.weight"], model.C1.weight.value
    )


def test_every_part_is_under_the_checksum(tmp_path):
    path = tmp_path / "x.safetensors"
    minicnn.save(models.create("lenet5"), path)
    tensors, metadata = ours.read(path)
    metadata = {
        **metadata,
        ours.MODEL: json.dumps(
            {"name": "lenet5", "options": {"num_classes": 10}, "classes": ["x"]}
        ),
    }
    path.write_bytes(safetensors.numpy.save(tensors, metadata))
    with pytest.raises(
        CheckpointError, match="it is damaged: its contents do not have the checksum"
    ):
        minicnn.load(path)


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    minicnn.save(models.create("lenet5", seed=1), path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        CheckpointError, match=r"x\.safetensors: cannot be written: No space left on device"
    ):
        minicnn.save(models.create("lenet5", seed=2), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_file(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"nothing\.safetensors: cannot be read: No such file"
    ):
        minicnn.load(tmp_path / "nothing.safetensors")
