"""Every layer alone: against finite differences, its accumulation, its modes, its messages."""

import numpy as np
import pytest

import minicnn
from minicnn import layers
from minicnn.errors import ShapeError
from minicnn.layers import (
    RBF,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    PadShortcut,
    ReLU,
    ScaledTanh,
    Sigmoid,
    Subsample2d,
    Tanh,
)
from minicnn.models.lenet import C3_CONNECTIONS, rbf_codes
from minicnn.study import check_gradients

IMAGES = (3, 7, 9, 4)
CASES = {
    "conv": (lambda: Conv2d(4, 6, 3, padding=1), IMAGES),
    "conv strided, asymmetric": (
        lambda: Conv2d(4, 5, (3, 2), stride=(2, 3), padding=((0, 3), (1, 0)), activation="tanh"),
        IMAGES,
    ),
    "conv grouped, dilated, no bias": (
        lambda: Conv2d(4, 6, 3, dilation=2, groups=2, bias=False, activation="sigmoid"),
        IMAGES,
    ),
    "conv with LeNet-5's connections": (
        lambda: Conv2d(6, 16, 5, connections=C3_CONNECTIONS, activation="scaled_tanh"),
        (2, 8, 7, 6),
    ),
    "max pool": (lambda: MaxPool2d(3, stride=2, padding=1, ceil_mode=True), IMAGES),
    "average pool": (
        lambda: AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        IMAGES,
    ),
    "global average pool": (GlobalAvgPool2d, IMAGES),
    "adaptive average pool": (lambda: AdaptiveAvgPool2d((3, 4)), IMAGES),
    "padded shortcut": (lambda: PadShortcut(4, 7, stride=2), IMAGES),
    "padded shortcut, both sides": (lambda: PadShortcut(4, 8, stride=3, both_sides=True), IMAGES),
    "subsample": (lambda: Subsample2d(4, 2, activation="scaled_tanh"), IMAGES),
    "LRN": (lambda: LocalResponseNorm(5, alpha=1.0, k=1.0), IMAGES),
    "LRN, even size": (lambda: LocalResponseNorm(4, alpha=1.0, beta=0.5, alpha_div_n=True), IMAGES),
    "batch norm": (lambda: BatchNorm2d(4, activation="tanh"), IMAGES),
    "linear": (lambda: Linear(6, 5, activation="sigmoid"), (4, 6)),
    "linear, no bias": (lambda: Linear(6, 5, bias=False), (4, 6)),
    "RBF": (lambda: RBF(rbf_codes()), (3, 84)),
    "ReLU": (ReLU, IMAGES),
    "sigmoid": (Sigmoid, IMAGES),
    "tanh": (Tanh, (5, 3)),
    "scaled tanh": (ScaledTanh, IMAGES),
    "flatten": (Flatten, IMAGES),
    "dropout": (lambda: Dropout(0.5), IMAGES),
}


def values(shape, seed=0):
    """Random, and at least 0.01 from 0 and from each other, so that finite differences meet no kink."""
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


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", CASES)
def test_gradients_by_finite_differences(name, mode):
    make, shape = CASES[name]
    layer = make().astype(np.float64)
    layer.train(mode == "train" and name != "dropout")
    if isinstance(layer, BatchNorm2d):
        layer.running_mean += 0.3
        layer.running_var *= 2
    errors = check_gradients(layer, values(shape), eps=1e-6)
    assert max(errors.values()) < 1e-6, errors


@pytest.mark.parametrize("name", [n for n in CASES if n != "dropout"])
def test_gradients_accumulate(name):
    make, shape = CASES[name]
    check_accumulation(make(), shape)


@pytest.mark.parametrize("name", CASES)
def test_every_layer_alone(name):
    """The contract: shapes, dtype, `out`, strided input, need_dx, backward without forward, no_grad, repr."""
    make, shape = CASES[name]
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
    assert repr(layer).startswith(type(layer).__name__ + "(")


@pytest.mark.parametrize("name", CASES)
def test_repr_makes_the_layer_again(name):
    layer = CASES[name][0]()
    text = repr(layer)
    if "connections" in text or isinstance(layer, RBF):
        return  # arrays are not spelled out
    assert repr(eval(text, vars(layers))) == text


def test_batch_norm_modes():
    layer = BatchNorm2d(3)
    x = np.random.default_rng(0).normal(5, 2, (8, 4, 4, 3)).astype(np.float32)
    y = layer(x)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-3)
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    before = layer.running_mean.copy()
    layer.eval()
    assert abs(layer(x).mean()) > 1, "evaluation uses the running statistics"
    np.testing.assert_array_equal(layer.running_mean, before)


def test_dropout_modes():
    layer = Dropout(0.5)
    x = np.ones((4, 100), np.float32)
    y = layer(x)
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(layer.backward(x), y)  # the same mask
    layer.eval()
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    minicnn.seed(3)
    first = layer.train()(x)
    minicnn.seed(3)
    np.testing.assert_array_equal(layer(x), first)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (
            lambda: Conv2d(3, 6, 5),
            (2, 8, 8, 4),
            r"Conv2d\(3, 6, 5\): the input \(2, 8, 8, 4\) has 4 channels; expected \(N, H, W, 3\)",
        ),
        (
            lambda: Conv2d(3, 6, 5),
            (8, 8, 3),
            r"has shape \(8, 8, 3\); expected images \(N, H, W, C\)",
        ),
        (lambda: Conv2d(3, 6, 5), (2, 4, 8, 3), "a window of 5 pixels does not fit into 4"),
        (lambda: Conv2d(3, 6, 5), (0, 8, 8, 3), "the input is empty"),
        (lambda: Linear(10, 2), (2, 5, 5, 10), "expected .N, 10.; put a Flatten before it"),
        (lambda: Linear(10, 2), (2, 11), r"has shape \(2, 11\); expected \(N, 10\)"),
        (lambda: MaxPool2d(3), (2, 2, 2, 1), "a window of 3 pixels does not fit into 2"),
        (lambda: BatchNorm2d(3), (1, 1, 1, 3), "one value per channel"),
        (lambda: RBF(rbf_codes()), (2, 83), "expected .N, 84."),
        (lambda: Subsample2d(4), (1, 1, 5, 4), "smaller than one window"),
    ],
)
def test_shape_errors_name_layer_value_and_expectation(make, shape, message):
    with pytest.raises(ShapeError, match=message):
        make()(np.zeros(shape, np.float32))


def test_other_inputs_are_refused():
    layer = Conv2d(1, 2, 3)
    with pytest.raises(
        ShapeError,
        match="the input is an array of uint8; expected an array of float32; normalize it first",
    ):
        layer(np.zeros((1, 5, 5, 1), np.uint8))
    with pytest.raises(ShapeError, match="the input is list"):
        layer([[1.0]])
    with pytest.raises(ShapeError, match="the input is float64 and the weights are float32"):
        layer(np.zeros((1, 5, 5, 1)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(3, 6, 0), "kernel_size=0: expected an integer >= 1"),
        (lambda: Conv2d(3, 6, 3, stride=0), "stride=0"),
        (lambda: Conv2d(3, 6, 3, padding=-1), "padding=-1"),
        (lambda: Conv2d(3, 6, 3, groups=2), "groups=2 must divide in_channels=3"),
        (lambda: Conv2d(0, 6, 3), "in_channels=0"),
        (
            lambda: Conv2d(3, 6, 3, activation="gelu"),
            "activation='gelu': expected None or one of relu, sigmoid, tanh, scaled_tanh",
        ),
        (lambda: Conv2d(3, 6, 3, connections=np.ones((6, 3))), r"connections of shape \(6, 3\)"),
        (lambda: Linear(3, 2.5), "out_features=2.5"),
        (lambda: Dropout(1.0), "p=1.0"),
        (lambda: LocalResponseNorm(0), "size=0"),
        (lambda: layers.init.he_normal("fan"), "mode='fan'"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_cut_connections_stay_cut():
    layer = Conv2d(6, 16, 5, connections=C3_CONNECTIONS)
    assert layer.weight.trainable + layer.bias.trainable == 1516
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 6)).astype(np.float32)
    layer.weight.value += 1  # even if someone fills the gaps, they count for nothing
    full = layer(x)
    layer.weight.value *= C3_CONNECTIONS
    np.testing.assert_allclose(layer(x), full, rtol=1e-6)
    layer.backward(full)
    assert (layer.weight.grad[:, :, C3_CONNECTIONS == 0] == 0).all()
    assert (layer.weight.grad[:, :, C3_CONNECTIONS == 1] != 0).all()


@pytest.mark.parametrize(
    ("initializer", "std"),
    [
        (layers.init.gaussian(0.01), 0.01),
        (layers.init.lecun_uniform(), 2.4 / 200 / np.sqrt(3)),
        (layers.init.torch_default(), 1 / np.sqrt(200) / np.sqrt(3)),
        (layers.init.caffe_xavier(), 1 / np.sqrt(200)),
        (layers.init.glorot_uniform(), np.sqrt(2 / (200 + 400))),
        (layers.init.he_normal(), np.sqrt(2 / 200)),
        (layers.init.he_normal("fan_out"), np.sqrt(2 / 400)),
    ],
)
def test_initializers(initializer, std):
    """fan_in = 25 * 16 / 2 = 200, fan_out = 25 * 32 / 2 = 400: groups count."""
    layer = Conv2d(16, 32, 5, groups=2, init=initializer, bias_init=0.1)
    assert layer.weight.value.dtype == np.float32
    assert abs(layer.weight.value.std() / std - 1) < 0.05
    assert abs(layer.weight.value.mean()) < 4 * std / np.sqrt(layer.weight.value.size)
    np.testing.assert_array_equal(layer.bias.value, np.float32(0.1))


def test_one_seed_governs_the_weights():
    minicnn.seed(5)
    first = Conv2d(3, 4, 3).weight.value
    second = Conv2d(3, 4, 3).weight.value
    minicnn.seed(5)
    np.testing.assert_array_equal(Conv2d(3, 4, 3).weight.value, first)
    assert (first != second).any()
    with pytest.raises(ValueError, match="seed=-1"):
        minicnn.seed(-1)
