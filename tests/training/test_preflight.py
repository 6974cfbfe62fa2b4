"""Errors in the arguments of a run are raised before its first step."""

import numpy as np
import pytest

from minicnn import data, training
from minicnn.errors import DataError, ShapeError, TrainingError
from minicnn.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minicnn.training import MAPLoss

X = np.random.default_rng(0).random((65, 8, 8, 1)).astype(np.float32)
LABELS = np.arange(65) % 2


class CountSteps(training.Callback):
    def __init__(self):
        self.steps = 0

    def on_step_end(self, trainer, loss):
        self.steps += 1


def linear(classes=2):
    return Sequential(Flatten(), Linear(64, classes))


def refused(error, match, model, train=(X, LABELS), test=None, **options):
    """The run ends with that error, before a step and before there is a folder."""
    counter = CountSteps()
    options = {"epochs": 2, "batch_size": 16, "progress": False} | options
    before = {name: array.copy() for name, array in model.state_dict().items()}
    with pytest.raises(error, match=match):
        training.fit(model, train, test, callbacks=[counter], **options)
    assert counter.steps == 0
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    if "out" in options and error is not TrainingError:
        assert not options["out"].exists()


def test_test_images_of_another_shape(tmp_path):
    wide = (np.zeros((4, 8, 9, 1), np.float32), LABELS[:4])
    refused(
        ShapeError,
        r"the test images: .*1: Linear\(64, 2.*72",
        linear(),
        test=wide,
        out=tmp_path / "r",
    )
    large = (np.zeros((4, 9, 9, 1), np.uint8), LABELS[:4])
    preprocess = data.Preprocess(size=(8, 8))
    refused(DataError, "the test images: .*9x9", linear(), test=large, preprocess=preprocess)


def test_images_of_another_shape_that_fit():
    """A network with global pooling reads any size."""
    model = Sequential(Conv2d(1, 2, 3), GlobalAvgPool2d(), Linear(2, 2))
    test = (np.zeros((4, 12, 9, 1), np.float32), LABELS[:4])
    assert len(training.fit(model, (X, LABELS), test, epochs=1, progress=False).rows) == 1


def test_pixels_without_preprocessing():
    pixels = np.zeros((4, 8, 8, 1), np.uint8)
    refused(
        ShapeError, "training images are uint8 after preprocessing", linear(), (pixels, LABELS[:4])
    )
    refused(
        ShapeError, "test images are uint8 after preprocessing", linear(), test=(pixels, LABELS[:4])
    )


@pytest.mark.parametrize("input_shape", [None, (8, 8, 1)])
def test_labels_beyond_the_outputs(input_shape):
    far = LABELS.copy()
    far[64] = 5
    model = linear()
    if input_shape:
        model.input_shape = input_shape
    message = "the training labels run from 0 to 5; the network has classes 0 to 1"
    refused(ShapeError, message, model, (X, far))
    refused(ShapeError, "the test labels run from 0 to 5", model, test=(X, far))
    with pytest.raises(ShapeError, match="labels run from 0 to 5"):
        training.evaluate(model, (X, far))


class Undescribed(Layer):
    """A user's layer without `output_shape`."""

    def forward(self, x, out=None):
        return x

    def backward(self, dy, need_dx=True):
        return dy


def test_a_layer_without_output_shape():
    model = Sequential(Undescribed(), *linear())
    refused(
        ShapeError, "the training labels run from 0 to 2; .*0 to 1", model, (X, np.arange(65) % 3)
    )
    assert model.training
    assert len(training.fit(model, (X, LABELS), epochs=1, progress=False).rows) == 1


@pytest.mark.parametrize("batch_size", [64, 32, 1])
def test_one_image_left_over(batch_size):
    def network():
        return Sequential(Conv2d(1, 8, 8), BatchNorm2d(8), Flatten(), Linear(8, 2))

    message = f"65 training images in batches of {batch_size} end .*batch norm 1 .*batch_size"
    refused(TrainingError, message, network(), batch_size=batch_size)
    history = training.fit(network(), (X, LABELS), epochs=1, batch_size=33, progress=False)
    assert np.isfinite(history.rows[0]["train_loss"])
    larger = Sequential(Conv2d(1, 8, 7), BatchNorm2d(8), GlobalAvgPool2d(), Linear(8, 2))
    history = training.fit(larger, (X, LABELS), epochs=1, batch_size=batch_size, progress=False)
    assert np.isfinite(history.rows[0]["train_loss"])


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        refused(TrainingError, f"{out}: cannot be written: ", linear(), out=out)

    def full(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    refused(TrainingError, "run: cannot be written: No space left", linear(), out=tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip": 1.0}, r"clip=1.0: expected a function .* as training.ClipNorm\(1.0\)"),
        ({"average": 0.9}, r"average=0.9: expected an Average, such as training.EMA\(0.999\)"),
        ({"average": training.EMA}, "average=<class .*EMA'>: expected an Average"),
        ({"loss": "mse"}, "loss='mse': expected a function of outputs and labels"),
        ({"schedule": 3}, "schedule=3: expected a training.Schedule or text"),
        ({"loss": training.SoftmaxCrossEntropy}, "loss=<class .*: expected a function of outputs"),
        ({"clip": training.ClipNorm}, "clip=<class .*: expected a function of the parameters"),
        ({"epochs": "3"}, "epochs='3': expected a number of at least 1"),
        ({"epochs": True}, "epochs=True: expected a number of at least 1"),
        ({"lr": "0.1"}, "SGD: lr='0.1', weight_decay=0.0: expected numbers >= 0"),
        ({"preprocess": "/255"}, "preprocess='/255': expected a function, such"),
        ({"resume": True}, "resume=True: expected out=FOLDER too"),
        ({"resume": "run/last"}, "resume='run/last': expected True or False"),
        ({"sync_bn": "no"}, "sync_bn='no': expected True or False"),
        ({"distributed": 2}, "distributed=2: expected True or False"),
        ({"progress": "off"}, "progress='off': expected True or False"),
        ({"checkpoint_seconds": "a"}, "checkpoint_seconds='a': expected a number of seconds >= 0"),
        ({"checkpoint_seconds": float("nan")}, "checkpoint_seconds=nan: expected a number of sec"),
        ({"optimizer": {}}, "optimizer={}: expected one of sgd"),
        ({"augment": lambda x: x}, r"cannot be called as step\(images, generator\)"),
        ({"preprocess": lambda: None}, "preprocess=<function .*: expected a function, such"),
        ({"loss": lambda x: x}, "loss=<function .*: expected a function of outputs and labels"),
        ({"loss": 0}, "loss=0: expected a function of outputs and labels"),
        ({"clip": lambda: None}, "clip=<function .*: expected a function of the parameters"),
        ({"average": []}, r"average=\[\]: expected an Average"),
        ({"average": np.ones(2)}, r"average=array.*: expected an Average"),
        ({"metric": np.ones(2)}, r"metric=array.*: expected one of"),
        ({"optimizer": np.ones(2)}, r"optimizer=array.*: expected one of"),
        ({"checkpoint_seconds": np.ones(2)}, "expected a number of seconds >= 0"),
        ({"batch_size": True}, "batch_size=True: expected an integer >= 1"),
        ({"accumulate": True}, "accumulate=True: expected an integer >= 1"),
        ({"workers": True}, "workers=True: expected an integer >= 1"),
        ({"seed": True}, "seed=True: expected an integer >= 0"),
        ({"batch_size": 2.5}, "batch_size=2.5: expected an integer >= 1"),
        ({"warm_up": float("nan")}, "WarmUp: length=nan: expected a positive number of epochs"),
    ],
)
def test_arguments_of_another_type(options, message):
    refused(ValueError, message, linear(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": 3}, "loss=3: expected a function of outputs and labels"),
        ({"loss": training.SoftmaxCrossEntropy}, "loss=<class .*: expected a function of outputs"),
        ({"preprocess": "/255"}, "preprocess='/255': expected a function, such"),
        ({"on_batch": 3}, "on_batch=3: expected a function of the number of images"),
        ({"on_batch": lambda: 0}, "on_batch=<function .*: expected a function of the number"),
        ({"team": "a"}, "team='a': expected a Team"),
        ({"model": None}, "model=None: expected a network"),
    ],
)
def test_evaluate_checks_the_same_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        training.evaluate(**{"model": linear(), "dataset": (X, LABELS)} | options)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x: None, r"NoneType \(\)"),
        (lambda x: [1.0], r"list \(\)"),
        (lambda x: (x / 255).astype(np.float32)[:0], r"ndarray \(0, "),
    ],
)
def test_a_preprocess_that_makes_no_images(function, found):
    message = rf"preprocess=<function .*: it made {found}.*; expected an array of \d+ images"
    with pytest.raises(DataError, match=message):
        training.fit(linear(), (X, LABELS), epochs=1, preprocess=function, progress=False)
    with pytest.raises(DataError, match=message):
        training.evaluate(linear(), (X, LABELS), preprocess=function)


LOGITS = training.softmax_cross_entropy


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda x, t: None, "it returned NoneType; expected a pair: value, gradient"),
        (lambda x, t: LOGITS(x, t)[0], "it returned float.*; expected a pair: value, gradient"),
        (lambda x, t: (*LOGITS(x, t), 1), "it returned a tuple of 3; expected a pair"),
        (lambda x, t: np.ones((2, 2)), "it returned ndarray; expected a pair"),
        (lambda x, t: (np.ones(len(x)), x), r"its value is shape \(\d+,\); expected the mean"),
        (lambda x, t: ("a", x), "its value is str; expected the mean, a number"),
        (lambda x, t: (1.0, x[:, :1]), r"gradient has shape \(\d+, 1\); expected that of the out"),
        (lambda x, t: (1.0, None), r"its gradient has shape None; expected that of the outputs"),
    ],
)
def test_what_a_loss_returns(loss, message):
    with pytest.raises(ShapeError, match=message):
        training.fit(linear(), (X, LABELS), epochs=1, loss=loss, progress=False)
    with pytest.raises(ShapeError, match=message):
        training.evaluate(linear(), (X, LABELS), loss=loss)


def test_objects_of_another_type():
    def fit(model, **options):
        training.fit(model, (X, LABELS), epochs=1, progress=False, **options)

    for out in ("", 5):
        with pytest.raises(ValueError, match=f"out={out!r}: expected a folder"):
            fit(linear(), out=out)
    for model in (None, "lenet5", Linear):
        with pytest.raises(ValueError, match=r"model=.*: expected a network, such as models"):
            fit(model)
    for callbacks, message in (
        (training.EarlyStopping(2), "callbacks=.*: expected a list of them"),
        (iter([training.EarlyStopping(2)]), "callbacks=.*: expected a list of them"),
        ({}, "callbacks={}: expected a list of them"),
        ([training.EarlyStopping], "callbacks: .*: expected training.Callback objects"),
        ([print], "callbacks: .*: expected training.Callback objects"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(linear(), callbacks=callbacks)


def test_pixels_that_are_not_finite_are_the_cause():
    broken = X.copy()
    broken[3, 2, 2] = np.nan
    message = "the input already holds one: expected finite images after .* no checkpoint yet$"
    with pytest.raises(TrainingError, match=message):
        training.fit(linear(), (broken, LABELS), epochs=1, progress=False)


def test_one_image_that_is_left_out():
    """A recipe that drops the smaller last batch trains with any number of images."""
    model = Sequential(Conv2d(1, 8, 8), BatchNorm2d(8), Flatten(), Linear(8, 2))
    recipe = training.Recipe("ours", None, 1, 32, 0.1, drop_last=True)
    history = training.fit(model, (X, LABELS), recipe=recipe, progress=False)
    assert np.isfinite(history.rows[0]["train_loss"])
    refused(TrainingError, "65 training images", model, recipe=recipe, batch_size=1)


def test_an_optimizer_of_another_model():
    model, other = linear(), linear(3)
    optimizer = training.SGD([*model.parameters(), *other.parameters()], lr=0.1)
    message = r"SGD: 2 of its 4 parameters are not the model's, such as Parameter\(64x3, float32\)"
    refused(ValueError, message, model, optimizer=optimizer)
    part = training.SGD([model[1].bias], lr=0.1)
    weight = model[1].weight.value.copy()
    training.fit(model, (X, LABELS), epochs=1, optimizer=part, progress=False)
    np.testing.assert_array_equal(model[1].weight.value, weight)


def test_augmentations_that_the_images_do_not_allow():
    """The first image is changed before the first step, so that the message comes at once."""
    gray, preprocess = (np.zeros((4, 8, 8, 1), np.uint8), LABELS[:4]), data.Preprocess(size=(8, 8))
    for step, message in (
        (data.augment.Lighting(0.1, data.augment.KRIZHEVSKY), "the images are gray"),
        (data.augment.ColorJitter(saturation=0.4), "gray images have no saturation"),
        (data.RandomShift(8, "reflect"), "images of 8x8 have no 8 pixels to reflect"),
    ):
        refused(DataError, message, linear(), gray, augment=step, preprocess=preprocess)


def test_classes_that_cannot_be_mixed():
    few = (np.zeros((4, 8, 8, 1), np.float32), np.zeros(4, np.int64))
    message = r"Mixup\(alpha=1.0\) mixes 1 classes; the network has 2 outputs, expected 1"
    refused(DataError, message, linear(), few, augment=data.augment.Mixup(1.0))
    message = r"the labels of Mixup\(alpha=1.0\): .*expected integers"
    refused(ShapeError, message, linear(), augment=data.augment.Mixup(1.0), loss=MAPLoss())


@pytest.mark.parametrize(
    ("last", "loss"),
    [(Softmax(), None), (Softmax(), training.softmax_cross_entropy), (Sigmoid(), "binary")],
)
def test_what_the_loss_applies_is_not_applied_twice(last, loss):
    loss = training.BinaryCrossEntropy() if loss == "binary" else loss
    net = Sequential(Flatten(), Sequential(Linear(16, 3), last))
    images, labels = np.zeros((4, 4, 4, 1), np.float32), np.arange(4) % 3
    with pytest.raises(ValueError, match=f"the network ends in {type(last).__name__}, and .*leave"):
        training.fit(net, (images, labels), epochs=1, loss=loss, progress=False)
    net = Sequential(Flatten(), Sequential(Linear(16, 3), Tanh()))
    training.fit(net, (images, labels), epochs=1, progress=False)
