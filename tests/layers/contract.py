"""The tests of every layer: a test class inherits from a class of this file and sets `cases`."""

import numpy as np
import pytest

import minicnn
from minicnn import layers
from minicnn.errors import ShapeError
from minicnn.layers.shapes import shapes_through
from minicnn.study import check_gradients

IMAGES = (3, 7, 9, 4)
X = np.random.default_rng(0).standard_normal((2, 6, 6, 3)).astype(np.float32)


def values(shape, seed=0):
    """Random values at least 0.01 from 0 and from each other: no ReLU or maximum changes sides."""
    generator = np.random.default_rng(seed)
    size = int(np.prod(shape))
    ranks = generator.permutation(size)
    return ((ranks - size / 2 + 0.5) * (3 / size)).reshape(shape)


def check_accumulation(layer, shape):
    """Two backwards add up; the input's gradient does not."""
    layer.astype(np.float64)
    x = values(shape)
    dy = np.random.default_rng(1).standard_normal(layer.output_shape(shape))
    layer.zero_grad()
    layer.forward(x)
    first_dx = layer.backward(dy).copy()
    first = [p.grad.copy() for p in layer.parameters()]
    assert any(abs(g).max() > 0 for g in first) or not first
    layer.forward(x)
    second_dx = layer.backward(2 * dy)
    for parameter, gradient in zip(layer.parameters(), first, strict=True):
        np.testing.assert_allclose(parameter.grad, 3 * gradient, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(second_dx, 2 * first_dx, rtol=1e-9, atol=1e-12)


class Gradients:
    """Gradients by finite differences, and their accumulation.

    cases: a name for each case, with a function that makes the layer and the shape of its input.
    """

    cases = {}
    is_random = False  # in training, as dropout is: two forward passes differ

    def pytest_generate_tests(self, metafunc):
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", self.cases.values(), ids=self.cases)

    @pytest.mark.parametrize("mode", ["train", "eval"])
    def test_gradients(self, case, mode):
        make, shape = case
        layer = make().astype(np.float64).train(mode == "train" and not self.is_random)
        for name, buffer in layer.named_buffers():  # statistics that differ from those of the batch
            buffer[...] = 2 * buffer if "var" in name else buffer + 0.3
        errors = check_gradients(layer, values(shape), eps=1e-6)
        assert max(errors.values()) < 1e-6, errors

    def test_accumulation(self, case):
        make, shape = case
        check_accumulation(make().train(not self.is_random), shape)


class LayerContract(Gradients):
    """The contract of `Layer`, for a single layer."""

    def test_modes_and_messages(self, case):
        """Shapes, dtype, `out`, strided input, need_dx, backward without forward, no_grad, repr."""
        make, shape = case
        layer = make().eval()
        x = values(shape).astype(np.float32)
        with pytest.raises(RuntimeError, match="backward needs a forward before it"):
            make().backward(x)
        y = layer(x)
        assert y.shape == layer.output_shape(shape)
        assert y.dtype == np.float32
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
        dx = layer.backward(dy)
        assert dx.shape == shape
        assert dx.dtype == np.float32
        with pytest.raises(RuntimeError, match="needs a forward"):
            layer.backward(dy)  # what forward kept has been used up
        layer(x)
        skipped = layer.backward(dy, need_dx=False)
        assert skipped is None or skipped.shape == shape

        room = np.full((*y.shape[:-1], y.shape[-1] + 2), np.nan, np.float32)
        assert layer(x, out=room[..., 1:-1]).base is not None
        np.testing.assert_array_equal(room[..., 1:-1], y)
        strided = np.repeat(x, 2, axis=-1)[..., ::2]
        np.testing.assert_allclose(layer(strided), y, rtol=1e-5, atol=1e-6)

        layer(x)
        with pytest.raises(ShapeError, match="backward was given a gradient of shape"):
            layer.backward(dy[:-1])
        with minicnn.no_grad():
            np.testing.assert_allclose(layer(x), y, rtol=1e-6)
        with pytest.raises(RuntimeError, match="outside of no_grad"):
            layer.backward(dy)

    def test_repr_makes_the_layer_again(self, case):
        layer = case[0]()
        text = repr(layer)
        assert text.startswith(type(layer).__name__ + "(")
        if "connections" not in text and not isinstance(layer, layers.RBF):  # arrays are cut short
            assert repr(eval(text, vars(layers))) == text


class NetworkContract(Gradients):
    """The contract of `Layer`, for a layer of layers."""

    def test_shapes(self, case):
        make, shape = case
        network = make()
        x = values(shape).astype(np.float32)
        assert network.output_shape(x.shape) == network(x).shape
        leaves = [n for n, layer in network.named_layers() if not list(layer.children())]
        assert [step.name for step in shapes_through(network, x.shape)] == leaves
