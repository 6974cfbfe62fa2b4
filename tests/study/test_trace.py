"""The recorded pass: all layers' arrays, and a model that is left as it was."""

import numpy as np
import pytest

import minicnn
from minicnn import models, rng
from minicnn.layers import (
    AuxiliaryNetwork,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Network,
    Parameter,
    Residual,
    Sequential,
)
from minicnn.study import trace
from minicnn.training import AuxiliaryLoss, MeanSquaredError, SoftmaxCrossEntropy


def small():
    return Network(
        conv=Conv2d(2, 4, 3, padding=1, activation="relu"),
        block=Residual(Sequential(conv=Conv2d(4, 4, 1), bn=BatchNorm2d(4)), activation="relu"),
        join=Concat(a=Conv2d(4, 2, 1), b=MaxPool2d(3, 1, 1)),
        drop=Dropout(0.5),
        pool=GlobalAvgPool2d(),
        fc=Linear(6, 3),
        input_shape=(5, 5, 2),
    )


def images(n=2, size=5, channels=2, seed=0):
    return np.random.default_rng(seed).standard_normal((n, size, size, channels), np.float32)


def with_heads():
    net = AuxiliaryNetwork(
        conv=Conv2d(2, 3, 1),
        conv2=Conv2d(3, 4, 1),
        pool=GlobalAvgPool2d(),
        fc=Linear(4, 3),
        heads={
            "conv": Sequential(pool=GlobalAvgPool2d(), fc=Linear(3, 3)),
            "conv2": Sequential(flatten=Flatten(), fc=Linear(100, 3)),
        },
    )
    net.loss = AuxiliaryLoss(0.3)
    return net


def test_it_records_what_forward_and_backward_computed():
    model, x = small().eval(), images()
    traced = trace(model, x, labels=[0, 2])
    y = model(x)
    loss, dlogits = minicnn.softmax_cross_entropy(y, np.array([0, 2]))
    dx = model.backward(dlogits)
    assert [record.kind for record in traced.records] == [
        *("Conv2d", "Conv2d", "BatchNorm2d", "Sequential", "Residual"),
        *("Conv2d", "MaxPool2d", "Concat", "Dropout", "GlobalAvgPool2d", "Linear"),
        *("Network", "SoftmaxCrossEntropy"),
    ]
    assert traced.paths[:5] == ["conv", "block.body.conv", "block.body.bn", "block.body", "block"]
    np.testing.assert_array_equal(traced[""].y, y)
    np.testing.assert_array_equal(traced[""].dy, dlogits)
    np.testing.assert_array_equal(traced[""].dx, dx)
    np.testing.assert_array_equal(traced["join.a"].y, traced["join"].y[..., :2])
    assert float(traced["loss"].y) == pytest.approx(float(loss))
    for name, parameter in model.named_parameters():
        path, _, own = name.rpartition(".")
        what = {"weight": "w", "bias": "b"}[own]
        np.testing.assert_array_equal(traced[path].gradients[what], parameter.grad, name)
        np.testing.assert_array_equal(traced[path].parameters[what], parameter.value, name)
        assert not np.shares_memory(traced[path].parameters[what], parameter.value)


@pytest.mark.parametrize("training", [False, True])
def test_it_leaves_the_model_as_it_was(training):
    model = small().train()
    model.conv.freeze("weight")
    model.fc.weight.grad = np.ones_like(model.fc.weight.value)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    position = rng.state()
    traced = trace(model, images(), training=training)
    assert traced["drop"].training == training
    assert rng.state() == position
    assert model.training
    assert model.drop.training
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(model.fc.weight.grad, 1)
    assert model.fc.bias._grad is None
    assert set(traced["conv"].gradients) == {"b"}


def test_without_labels_the_predicted_classes_count():
    model = small()
    traced = trace(model, images())
    np.testing.assert_array_equal(traced.labels, traced[""].y.argmax(axis=1))
    traced = trace(models.create("lenet5_1998", seed=0), images(1, 32, 1))
    assert traced["loss"].kind == "MAPLoss"
    np.testing.assert_array_equal(traced.labels, traced[""].y.argmin(axis=1))


def test_the_loss_is_that_of_the_recipe_only_in_training():
    model = small()
    model.loss = SoftmaxCrossEntropy(label_smoothing=0.2)
    assert trace(model, images(), training=True)["loss"].layer.label_smoothing == 0.2
    assert trace(model, images())["loss"].layer.label_smoothing == 0
    model.loss = MeanSquaredError()
    assert trace(model, images())["loss"].kind == "MeanSquaredError"
    model.loss = lambda y, labels: (np.float32(0), np.ones_like(y))
    assert trace(model, images())["loss"].kind == "<lambda>"


def test_auxiliary_classifiers():
    model, x = with_heads(), images()
    traced = trace(model, x, [0, 1], training=True)
    assert [p for p in traced.paths if p.startswith(("aux", "loss"))] == [
        *("aux1.pool", "aux1.fc", "aux1", "aux2.flatten", "aux2.fc", "aux2"),
        *("loss", "loss.aux1", "loss.aux2"),
    ]
    np.testing.assert_array_equal(traced["loss.aux2"].dx, traced["aux2"].dy)
    np.testing.assert_array_equal(traced["loss.aux2"].x, traced["aux2"].y)
    assert traced["loss.aux2"].factor == 0.3
    total = sum(float(traced[p].y) * traced[p].factor for p in ("loss", "loss.aux1", "loss.aux2"))
    assert float(model.loss(model(x), np.array([0, 1]))[0]) == pytest.approx(total)
    with pytest.raises(ValueError, match=r"aux1: this layer was not called.*training=True"):
        trace(model, x)["aux1"]


def test_one_parameter_in_two_layers_has_two_gradients():
    net = Sequential(a=Linear(3, 3, bias=False), b=Linear(3, 3, bias=False))
    net.b.weight = net.a.weight
    x = np.random.default_rng(0).standard_normal((2, 3), np.float32)
    traced = trace(net, x, dy=np.ones((2, 3), np.float32))
    net(x)
    net.backward(np.ones((2, 3), np.float32))
    both = traced["a"].gradients["w"] + traced["b"].gradients["w"]
    np.testing.assert_allclose(both, net.a.weight.grad, rtol=1e-6)
    assert not np.allclose(traced["a"].gradients["w"], traced["b"].gradients["w"])


def test_gradients_of_all_outputs():
    x, dy = images(), tuple(np.full((2, 3), i, np.float32) for i in range(3))
    traced = trace(with_heads(), x, dy=dy, training=True)
    np.testing.assert_array_equal(traced["aux2"].dy, 2)
    np.testing.assert_array_equal(traced[""].dy, 0)
    for wrong in (dy[:2], (*dy, dy[0]), dy[0]):
        with pytest.raises(ValueError, match="3 outputs; expected a tuple of 3 gradients as dy"):
            trace(with_heads(), x, dy=wrong, training=True)
    with pytest.raises(ValueError, match="dy is a tuple; expected an array"):
        trace(with_heads(), x, dy=dy)


class Counted(Layer):
    """A buffer that every forward replaces."""

    buffers = ("count",)

    def __init__(self):
        self.count = np.zeros(1)

    def forward(self, x):
        self.count = self.count + 1
        return x

    def backward(self, dy):
        return dy


def test_a_replaced_buffer_comes_back():
    layer = Counted()
    before = layer.count
    assert trace(layer, np.ones((1, 2)), dy=np.ones((1, 2)))[""].parameters["count"] == 1
    assert layer.count is before
    assert before == 0


class Twice(Layer):
    def __init__(self):
        self.inner = Linear(3, 3)
        self.gain = Parameter(np.ones(3, np.float32))

    def forward(self, x):
        return self.inner(self.inner(x))


def test_errors_are_one_sentence():
    model, x = small(), images()
    with pytest.raises(ValueError, match="expected labels, for a loss, or dy; both are given"):
        trace(model, x, [0, 1], np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"no layer 'conv1'; did you mean conv"):
        trace(model, x)["conv1"]
    with pytest.raises(ValueError, match=r"no layer 'zzz'; it has conv, block, join"):
        trace(model, x)["zzz"]
    with pytest.raises(ValueError, match=r"shape \(2, 5, 5, 4\); expected \(N, classes\).*give"):
        trace(model.conv, x)
    with pytest.raises(ValueError, match="x is a list; expected an array of floats"):
        trace(model, [[1.0]])
    with pytest.raises(ValueError, match="dy is a int; expected an array of floats"):
        trace(model, x, dy=1)
    with pytest.raises(ValueError, match=r"given a gradient of shape \(2, 4\)"):
        trace(model, x, dy=np.ones((2, 4)))
    with pytest.raises(ValueError, match="labels run from 0 to 7"):
        trace(model, x, [0, 7])
    with pytest.raises(ValueError, match="inner is called twice in one forward pass"):
        trace(Twice(), np.ones((1, 3), np.float32))
    assert model.training  # also after an error


def test_a_gradient_of_another_type_is_converted():
    traced = trace(small(), images(), dy=np.ones((2, 3)))
    assert traced["conv"].dx.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_has_the_type_of_the_pass(dtype):
    traced = trace(small().astype(dtype), images().astype(dtype))
    assert traced["loss"].y.dtype == traced["fc"].y.dtype == dtype


def test_the_backend_can_be_chosen():
    with_cpu, plain = (trace(small(), images(), backend=b)["fc"].y for b in ("cpu", "reference"))
    assert with_cpu.dtype == plain.dtype == np.float32
    assert minicnn.kernels.dispatch.current() is None
