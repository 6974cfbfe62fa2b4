"""Weights for another number of classes: the head is new, and that is said."""

import re
import warnings

import numpy as np
import pytest
import torch

import minicnn
from minicnn import models
from minicnn.errors import CheckpointError
from minicnn.weights import to_torch

SMALL = {
    "resnet20_cifar": ["linear"],
    "nin_cifar10": ["cccp6"],
    "alexnet": ["fc8"],
    "googlenet": ["fc", "aux1.fc2", "aux2.fc2"],
    "squeezenet1_1": ["conv10"],
    "mobilenet_v2": ["fc"],
}
OPTIONS = {
    "alexnet": {"hidden": 8, "input_size": 67},
    "resnet20_cifar": {"pad_both_ends": False},
    "mobilenet_v2": {"alpha": 0.1},
}


def file_of(network, folder, suffix):
    path = folder / f"w{suffix}"
    if suffix == ".pth":
        state = {f"module.{k}": torch.tensor(v) for k, v in to_torch(network).items()}
        torch.save(state, path)
    else:
        minicnn.save(network, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    "name", ["resnet20_cifar", "nin_cifar10", "alexnet", "squeezenet1_1", "mobilenet_v2"]
)
def test_only_the_head_is_new(tmp_path, name, suffix):
    options = OPTIONS.get(name, {})
    source = models.create(name, seed=1, **options)
    path = file_of(source, tmp_path, suffix)
    (head,) = SMALL[name]
    classes = 10 if "cifar" in name else 1000
    said = re.escape(
        f"{path}: its {classes} classes are not the 5 of {name}: {head} starts from new weights"
    )
    with pytest.warns(UserWarning, match=said) as record:
        found = models.create(name, seed=2, weights=path, num_classes=5, **options)
    assert record[0].filename == __file__
    assert found.output_shape((1, *found.input_shape)) == (1, 5)
    fresh = models.create(name, seed=2, num_classes=5, **options).state_dict()
    for tensor, array in found.state_dict().items():
        is_head = tensor.rpartition(".")[0] == head
        expected = fresh[tensor] if is_head else source.state_dict()[tensor]
        np.testing.assert_array_equal(array, expected, err_msg=tensor)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_same_number_of_classes_keeps_the_head(tmp_path, suffix):
    source = models.create("resnet20_cifar", seed=1, num_classes=7)
    path = file_of(source, tmp_path, suffix)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = models.create("resnet20_cifar", weights=path, num_classes=7, pad_both_ends=False)
    np.testing.assert_array_equal(found.linear.weight.value, source.linear.weight.value)


def test_a_number_that_nobody_asked_for_is_refused(tmp_path):
    path = file_of(models.create("resnet20_cifar", num_classes=7), tmp_path, ".safetensors")
    with pytest.raises(
        CheckpointError,
        match=r"w\.safetensors: it has 7 classes, and resnet20_cif"
        r"ar has 10: give num_classes=7, or num_classes=10 for a new head",
    ):
        models.create("resnet20_cifar", weights=path)
    with pytest.warns(UserWarning, match="7 classes are not the 10"):
        models.create("resnet20_cifar", weights=path, num_classes=10)


def test_other_misfits_are_refused_as_before(tmp_path):
    path = file_of(models.create("alexnet", hidden=8, input_size=67), tmp_path, ".safetensors")
    with pytest.raises(CheckpointError, match=r"fc6\.bias has shape \(8,\), expected \(16,\)"):
        models.create("alexnet", weights=path, num_classes=5, hidden=16, input_size=67)


def test_auxiliary_heads_are_heads_too(tmp_path):
    path = file_of(models.create("googlenet", seed=1), tmp_path, ".safetensors")
    with pytest.warns(UserWarning, match=f": {', '.join(SMALL['googlenet'])} starts from new"):
        found = models.create("googlenet", weights=path, num_classes=5)
    assert [y.shape for y in found(np.zeros((1, 224, 224, 3), np.float32))] == 3 * [(1, 5)]


def test_own_weights_bring_their_preprocessing(tmp_path):
    source = models.create("resnet20_cifar")
    source.preprocess = minicnn.data.Preprocess((32, 32), 3, mean=0.25, std=0.5)
    minicnn.save(source, tmp_path / "w.safetensors")
    found = models.create("resnet20_cifar", weights=tmp_path / "w.safetensors")
    assert found.preprocess == source.preprocess
