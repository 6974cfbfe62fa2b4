"""Networks by name: what can be registered, found and made."""

import subprocess
import sys

import numpy as np
import pytest

import minicnn
from minicnn import models, registry
from minicnn.layers import Conv2d, Network, Sequential


def test_create():
    model = models.create("lenet5", num_classes=3, in_channels=2)
    assert model(np.zeros((1, 32, 32, 2), np.float32)).shape == (1, 3)
    assert (model.name, model.options) == ("lenet5", {"num_classes": 3, "in_channels": 2})
    assert model.recipe is models.lenet.LENET5
    assert models.create("lenet5", recipe="digits").recipe is models.lenet.LENET5_DIGITS
    first, second = (models.create("lenet5", seed=7).C1.weight.value for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("create", [models.create, registry.create])
def test_unknown_names(create):
    for arguments, message in (
        ({"name": "lenet"}, "there is no model 'lenet'; did you mean lenet5"),
        ({"name": None}, "model None: expected a name, such as lenet5"),
        ({"name": "?"}, "there is no model '\\?'; known are .*resnet50"),
        (
            {"name": "lenet5", "classes": 3},
            "lenet5 has no option 'classes'; it has num_classes, in_channels",
        ),
        ({"name": "lenet5_1998", "x": 3}, "lenet5_1998 has no option 'x'; it has none"),
        ({"name": "lenet5", "recipe": "papr"}, "lenet5 has no recipe 'papr'; it has default"),
    ):
        with pytest.raises(ValueError, match=message):
            create(**arguments)


@pytest.mark.parametrize(
    ("name", "option", "value", "expected"),
    [
        ("resnet18", "input_size", "abc", "'abc': expected an integer"),
        ("resnet18", "num_classes", 2.0, "2.0: expected an integer"),
        ("resnet18", "num_classes", True, "True: expected an integer"),
        ("resnet18", "option", 3, "3: expected a text"),
        ("mobilenet_v1", "alpha", "wide", "'wide': expected a number"),
        ("googlenet", "aux", 1, "1: expected True or False"),
    ],
)
def test_values_of_another_kind(name, option, value, expected):
    with pytest.raises(ValueError, match=f"{name}: {option}={expected}"):
        models.create(name, **{option: value})


def test_numbers_of_numpy_are_numbers():
    model = models.create("mobilenet_v1", num_classes=np.int64(2), alpha=np.float32(0.25))
    assert model.fc.out_features == 2


def test_a_refused_call_does_not_touch_the_generator():
    minicnn.seed(1)
    expected = models.create("lenet5").C1.weight.value
    minicnn.seed(1)
    with pytest.raises(ValueError, match="no recipe"):
        models.create("lenet5", seed=9, recipe="none")
    np.testing.assert_array_equal(models.create("lenet5").C1.weight.value, expected)


@pytest.fixture
def tiny():
    """A registered network of the test's own."""

    @minicnn.register("tiny", {"default": models.lenet.LENET5})
    def build(width: int = 2) -> Sequential:
        """A convolution.

        Not part of the summary.
        """
        return Network(conv=Conv2d(1, width, 3), input_shape=(32, 32, 1))

    yield build
    del registry._entries["tiny"]


def test_registered_network(tmp_path, tiny):
    assert "tiny" in models.names()
    entry = registry.entry("tiny")
    assert (entry.build, entry.options, entry.summary) == (tiny, ["width"], "A convolution.")
    minicnn.save(models.create("tiny", width=3), tmp_path / "t.safetensors")
    assert minicnn.load(tmp_path / "t.safetensors").conv.out_channels == 3


def test_recipes_without_a_default_are_refused():
    with pytest.raises(
        ValueError, match="tiny has no recipe named 'default'; it has \\['paper'\\]"
    ):
        minicnn.register("tiny", {"paper": models.lenet.LENET5})(lambda: None)
    assert "tiny" not in models.names()


def test_recipe_for_a_data_set():
    entry = registry.entry("lenet5")
    assert entry.recipe(data="digits") is models.lenet.LENET5_DIGITS
    assert entry.recipe(data="mnist") is entry.recipe(data="no such data") is entry.recipe()


def test_every_network_says_what_it_is():
    for name in models.names():
        entry = registry.entry(name)
        assert entry.summary.endswith("."), name
        assert entry.build.__name__ == name
        assert getattr(sys.modules[entry.build.__module__], name) is entry.build


def test_models_are_there_after_import_minicnn():
    """In a fresh interpreter, through whichever module comes first."""
    for first in ("minicnn", "minicnn.registry", "minicnn.models.resnet", "minicnn.weights"):
        code = f"import {first}, minicnn; print(len(minicnn.registry.names()), minicnn.models)"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert run.stdout.startswith(f"{len(models.names())} <module 'minicnn.models'"), run
