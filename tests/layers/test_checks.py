"""Wrong shapes and arguments: the message names the layer, the value and what is expected."""

import numpy as np
import pytest

from minicnn import layers, models, training
from minicnn.errors import ShapeError
from minicnn.layers import (
    RBF,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    PadShortcut,
    ReLU,
    Sequential,
    Subsample2d,
)
from minicnn.models.lenet import rbf_codes

from .contract import X


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
    with pytest.raises(ShapeError, match="the input is >f4 and the weights are float32"):
        layer(np.zeros((1, 5, 5, 1), ">f4"))
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
            "activation='gelu': expected None or one of relu, relu6, sigmoid, tanh, scaled_tanh; "
            "put a layer Activation",
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


@pytest.mark.parametrize(
    ("dy", "found"),
    [
        (np.ones((2, 3, 3, 2), int), "an array of int64"),
        (np.ones((2, 3, 3, 2), bool), "an array of bool"),
        ([1.0, 2.0], "list"),
        (None, "NoneType"),
        (np.ones((2, 3, 3, 1), np.float32), r"a gradient of shape \(2, 3, 3, 1\)"),
    ],
)
@pytest.mark.parametrize("make", [ReLU, Conv2d, Concat])
def test_backward_takes_floating_point_numbers(make, dy, found):
    """Whole numbers would become gradients of whole numbers: 0.5 would be 0."""
    layer = {ReLU: ReLU, Conv2d: lambda: Conv2d(2, 2, 1), Concat: lambda: Concat(ReLU())}[make]()
    layer(np.ones((2, 3, 3, 2), np.float32))
    with pytest.raises(
        ShapeError, match=rf"{found}; expected an array of float32 of shape"
    ) as info:
        layer.backward(dy)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("make", [ReLU, lambda: Concat(ReLU(), ReLU()), lambda: PadShortcut(2, 2)])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda y: y.astype(int), "an array of int64 of shape"),
        (lambda y: y[None], r"an array of float32 of shape \(1, 2, 3, 3, [24]\); expected"),
        (
            lambda y: np.concatenate([y, y], 3),
            r"an array of float32 of shape \(2, 3, 3, [48]\); expected",
        ),
        (lambda y: np.broadcast_to(y, y.shape), "read-only, an array of float32"),
        (lambda y: y.tolist(), "list of shape"),
    ],
)
def test_out_has_the_shape_of_the_output(make, change, found):
    """An assignment would repeat the result, cut its numbers off, or leave a part as it is."""
    layer, x = make(), np.ones((2, 3, 3, 2), np.float32)
    with pytest.raises(ShapeError, match=f"{type(layer).__name__}: out is {found}"):
        layer(x, out=change(layer(x)))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of np.matrix
@pytest.mark.parametrize("kind", [np.ma.MaskedArray, np.matrix])
def test_arrays_with_an_arithmetic_of_their_own_are_refused(kind):
    with pytest.raises(ShapeError, match=rf"Linear: the input is a {kind.__name__}"):
        Linear(2, 1)(kind(np.ones((1, 2), np.float32)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchNorm2d("4"), "BatchNorm2d: channels='4': expected an integer >= 1"),
        (lambda: BatchNorm2d([4]), r"BatchNorm2d: channels=\[4\]: expected an integer >= 1"),
        (lambda: BatchNorm2d(4, momentum=None), "BatchNorm2d: momentum=None: expected a number"),
        (lambda: BatchNorm2d(4, eps={}), "BatchNorm2d: eps={}: expected a number"),
        (lambda: BatchNorm2d(4, eps=-1), "BatchNorm2d: eps=-1: expected a number >= 0"),
        (lambda: BatchNorm2d(4, momentum=7), "momentum=7: expected a number from 0 to 1"),
        (lambda: BatchNorm2d(4, activation=[]), r"activation=\[\]: expected None or one of"),
        (lambda: LocalResponseNorm(alpha="a"), "LocalResponseNorm: alpha='a': expected a number"),
        (lambda: LocalResponseNorm(groups=2.0), "groups=2.0: expected an integer >= 1"),
        (lambda: Dropout("a"), "Dropout: p='a': expected a probability"),
        (lambda: Dropout(None), "Dropout: p=None: expected a probability"),
        (lambda: layers.Pad2d(1, "a"), "Pad2d: value='a': expected a number"),
        (lambda: layers.Pad2d(1, 0, {}), "channels={}: expected an integer >= 0 or a pair"),
        (lambda: layers.Scale(None), "Scale: factor=None: expected a number"),
        (lambda: layers.Slice(0, 2.5), "Slice: start=0, stop=2.5: expected 0 <= start < stop"),
        (lambda: layers.Slice("a", 2), "Slice: start='a', stop=2: expected 0 <= start < stop"),
        (lambda: PadShortcut(2, 4, 0), "PadShortcut: stride=0: expected an integer >= 1"),
        (lambda: PadShortcut(2, 4.0), "PadShortcut: out_channels=4.0: expected an integer >= 1"),
        (lambda: Linear(True, 2), "Linear: in_features=True: expected an integer >= 1"),
        (lambda: Conv2d(2, True, 3), "Conv2d: out_channels=True: expected an integer >= 1"),
        (lambda: Conv2d(2, 4, 3, bias_init="a"), "bias_init='a': expected a finite number"),
        (lambda: Conv2d(2, 4, np.ones(2)), r"kernel_size=array.*: expected an integer >= 1"),
        (lambda: Conv2d(2, 4, 3, np.array([1, 1])), r"stride=array.*: expected an integer >= 1"),
        (lambda: Conv2d(2, 4, 3, padding=np.array([1, 1])), r"padding=array.*: expected an int"),
        (lambda: Conv2d(2, 4, 3, dilation=np.array([1, 1])), r"dilation=array.*: expected an int"),
        (lambda: Conv2d(2, 4, 3, 10**30), r"stride=10+: expected at most 2,147,483,647 pixels"),
        (lambda: Conv2d(2, 4, 1, dilation=10**30), r"dilation=10+: expected at most 2,147,483,647"),
        (lambda: Conv2d(2, 4, 3, bias="no"), "Conv2d: bias='no': expected True or False"),
        (lambda: Linear(2, 4, bias=np.ones(4)), r"Linear: bias=array.*: expected True or False"),
        (lambda: layers.Affine(2, trainable="no"), "Affine: trainable='no': expected True or"),
        (lambda: BatchNorm2d(4, scale=None), "BatchNorm2d: scale=None: expected True or False"),
        (lambda: LocalResponseNorm(alpha_div_n=[]), r"alpha_div_n=\[\]: expected True or False"),
        (lambda: layers.AvgPool2d(2, ceil_mode="x"), "AvgPool2d: ceil_mode='x': expected True or"),
        (lambda: Linear(2, 4, bias_init=(1, 2)), r"bias_init=\(1, 2\): expected a finite number"),
    ],
)
def test_arguments_of_another_type(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_tensor_of_torch_is_no_array():
    torch = pytest.importorskip("torch")
    with pytest.raises(ShapeError, match="Linear: the input is Tensor; expected an array of float"):
        Linear(2, 1)(torch.ones(1, 2))
    layer = Linear(2, 1)
    layer(np.ones((1, 2), np.float32))
    with pytest.raises(ShapeError, match="backward was given Tensor; expected an array of float"):
        layer.backward(torch.ones(1, 1))


@pytest.mark.parametrize("layer", [layers.Flatten(), layers.Slice(0, 1), layers.FlipChannels()])
def test_a_single_number_is_no_input(layer):
    with pytest.raises(ShapeError, match=rf"{type(layer).__name__}.*: the input is a single numb"):
        layer(np.array(1.0, np.float32))


def test_a_batch_of_bytes_is_refused_with_a_hint():
    with pytest.raises(ShapeError, match=r"array of uint8; .*normalize it first: training\.prepro"):
        Sequential(Conv2d(3, 2, 3))((255 * X).astype(np.uint8))
    model = models.create("lenet5", seed=0)
    assert model(training.preprocess_of(model)(np.zeros((1, 28, 28, 1), np.uint8))).shape == (1, 10)
