"""Rewriting a network, and the rules of the activations."""

import numpy as np
import pytest

from minicnn.layers import (
    ELU,
    Activation,
    Add,
    Clip,
    Conv2d,
    Flatten,
    Graph,
    Layer,
    LeakyReLU,
    Linear,
    Network,
    PReLU,
    Residual,
    Sequential,
)
from minicnn.study import look
from minicnn.study.look import rewriting

from .twins import branched, chain, network


def joined():
    """An addition with ReLU, which is a layer with an activation and with two inputs."""
    return Graph(
        a=Conv2d(3, 4, 3, padding=1, activation="relu"),
        b=Conv2d(4, 4, 1),
        sum=Add(activation="relu"),
        flat=Flatten(),
        fc=Linear(24, 3),
        inputs={"sum": ("a", "b")},
        input_shape=(2, 3, 3),
    )


@pytest.mark.parametrize("make", [chain, branched, joined])
@pytest.mark.parametrize("change", [None, rewriting.guided, rewriting.deconvolved])
def test_the_forward_pass_stays(make, change):
    model, x = network(make)
    twin = rewriting.rewritten(model, change)
    expected = model.eval()(x)
    np.testing.assert_allclose(twin(x), expected, atol=1e-12)
    own = {id(array) for array in model.state_dict().values()}
    assert {id(array) for array in twin.state_dict().values()} == own
    assert not {id(one) for _, one in twin.named_layers()} & {
        id(one) for _, one in model.named_layers()
    }
    assert model.output_shape(x.shape) == twin.output_shape(x.shape)


def test_a_layer_with_several_inputs_is_rewritten():
    """Guided backpropagation applies its rule behind an addition; a unit of the sum can be seen."""
    model, x = network(joined)
    guided = rewriting.rewritten(model, rewriting.guided)
    dy = np.random.default_rng(0).standard_normal((len(x), 3))
    y = model.eval()(x)
    guided(x)
    dsum = np.maximum((dy @ model.fc.weight.value.T).reshape(-1, 2, 3, 4), 0)
    one, two = model.a(x), model.b(model.a(x))
    passed = dsum * (one + two > 0)
    da = np.maximum(passed + passed @ model.b.weight.value[0, 0].T, 0) * (one > 0)
    expected = rewriting.F.conv2d_grad_input(da, model.a.weight.value, x.shape, padding=(1, 1))
    np.testing.assert_allclose(guided.backward(dy), expected, atol=1e-12)
    assert look.deconvnet(model, x[0], "sum", 1).shape == x[0].shape
    assert look.occlusion(model, x[0], size=1).shape == (2, 3)
    assert y.shape == (len(x), 3)


def test_paths_are_those_of_the_model():
    model, _ = network(branched)
    seen = []
    rewriting.rewritten(
        model, lambda path, layer: seen.append(path) or rewriting.guided(path, layer)
    )
    assert sorted(seen) == sorted(name for name, _ in model.named_layers())
    twin, tap = rewriting.tapped(model, "same.body.left", rewriting.guided)
    assert len(tap.layer) == 2
    assert twin is not model


def test_an_activation_inside_a_layer_becomes_a_layer():
    layers = [Conv2d(1, 1, 1, activation="relu"), Linear(1, 1, activation="tanh")]
    layers.append(Residual(Linear(1, 1), activation="sigmoid"))
    for layer in layers:
        name = layer.activation
        found = rewriting.guided("", layer)
        assert isinstance(found, rewriting.Split)
        assert (found.layer.activation, found.applied.activation) == (None, name)
        assert found.activation == name


@pytest.mark.parametrize("layer", [LeakyReLU(0.3), ELU(0.5), Clip(-0.5, 0.5)])
def test_constants_are_kept(layer):
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 4, 4, 2))
    guided = rewriting.guided("", layer)
    np.testing.assert_array_equal(guided(x), layer(x))
    np.testing.assert_array_equal(guided.backward(dy), layer.backward(dy.clip(0)))
    deconv = rewriting.deconvolved("", layer)
    deconv(x)
    np.testing.assert_array_equal(deconv.backward(dy), dy)


def test_prelu_is_guided_and_passed_by():
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 4, 4, 2)).astype(np.float32)
    layer = PReLU(2)
    guided, deconv = rewriting.guided("", PReLU(2)), rewriting.deconvolved("", PReLU(2))
    np.testing.assert_array_equal(guided(x), layer(x))
    np.testing.assert_array_equal(guided.backward(dy), layer.backward(dy.clip(0)))
    np.testing.assert_array_equal(deconv(x), layer(x))
    np.testing.assert_array_equal(deconv.backward(dy), dy)


class Own(Conv2d):
    """A layer of a user's own that happens to have an activation."""

    def forward(self, x, out=None):
        return super().forward(x, out)


def test_layers_of_ones_own_keep_their_backward():
    own = Own(1, 1, 1, activation="relu")
    assert rewriting.guided("", own) is own
    assert own.activation == "relu"


class Reader(Layer):
    """A layer of a user's own that reads attributes of its children."""

    def __init__(self):
        self.conv = Conv2d(1, 2, 3, padding=1, activation="relu")
        self.rest = Sequential(Conv2d(2, 2, 1, activation="tanh"))

    def forward(self, x):
        assert (self.conv.weight.value.shape[3], self.conv.activation) == (2, "relu")
        assert self.rest[0].activation == "tanh"
        with pytest.raises(AttributeError, match="no attribute 'wight'"):
            self.conv.wight  # noqa: B018
        return self.rest(self.conv(x))

    def backward(self, dy):
        return self.conv.backpropagate(self.rest.backpropagate(dy))

    def output_shape(self, shape):
        return self.rest.output_shape(self.conv.output_shape(shape))


@pytest.mark.parametrize("layer", ["own.conv", "own.rest", "own.rest.0", "own"])
def test_a_layer_may_read_attributes_of_rewritten_children(layer):
    model = Network(own=Reader(), flatten=Flatten(), fc=Linear(32, 3), input_shape=(4, 4, 1))
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 1)).astype(np.float32)
    assert look.grad_cam(model, x, layer=layer).shape == (2, 4, 4)
    unit = {"layer": layer, "unit": 1}
    assert look.guided_backprop(model, x, **unit).any()
    assert look.deconvnet(model, x, **unit).any()
    assert look.saliency(model, x, **unit).any()


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "scaled_tanh", "gelu"])
def test_rules(name):
    x, dy = np.random.default_rng(0).standard_normal((2, 50)).astype(np.float32)
    plain = Activation(name)
    plain.forward(x)
    guided, deconv = rewriting.GuidedActivation(name), rewriting.Rectification(name)
    y = guided.forward(x)
    np.testing.assert_array_equal(deconv.forward(x), y)
    np.testing.assert_allclose(guided.backward(dy), plain.backward(np.maximum(dy, 0)))
    expected = dy if "tanh" in name else np.maximum(dy, 0)
    np.testing.assert_array_equal(deconv.backward(dy), expected)
    if name == "relu":
        guided.forward(x)
        np.testing.assert_array_equal(guided.backward(dy), dy * (x > 0) * (dy > 0))


def test_layers_in_lists_and_dicts_are_exchanged():
    class Holder(Sequential):
        def __init__(self):
            self.rest = (Linear(1, 1), "text")
            self.table = {"x": Linear(1, 1), "y": 3}
            super().__init__(a=Linear(1, 1))

        def children(self):
            yield from super().children()
            yield "rest.0", self.rest[0]
            yield "table.x", self.table["x"]

    model = Network(holder=Holder())
    twin = rewriting.rewritten(model)
    assert twin.holder.rest[1] == "text"
    assert twin.holder.table["y"] == 3
    for one, other in (("rest", 0), ("table", "x")):
        assert getattr(twin.holder, one)[other] is not getattr(model.holder, one)[other]
