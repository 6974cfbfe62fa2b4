"""A network's metadata."""

from minicnn import models
from minicnn.layers import Flatten, Layer, Linear, Metadata, Network, Sequential, metadata


def test_metadata_of_a_network():
    model = models.create("lenet5", recipe="digits")
    about = metadata(model)
    assert (about.name, about.options, about.input_shape) == ("lenet5", {}, (32, 32, 1))
    assert about.recipe is model.recipe is not None
    model.classes = ("a", "b")
    assert metadata(model).classes == ("a", "b")


def test_metadata_of_any_layer():
    assert metadata(Linear(2, 3)) == Metadata()
    assert metadata(Sequential(Flatten(), input_shape=(4, 4, 1))) == Metadata(input_shape=(4, 4, 1))

    class Own(Layer):
        name = "own"

    assert metadata(Own()).name == "own"


def test_a_layer_of_that_name_is_not_metadata():
    assert metadata(Sequential(loss=Flatten(), classes=Linear(2, 3))) == Metadata()
    assert Network(Flatten()).loss is None
