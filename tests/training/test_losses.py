"""Losses: their arguments, what they are judged by, and runs with each. Formulas: kernels."""

import numpy as np
import pytest
import torch

import minicnn
from minicnn import training
from minicnn.data import Dataset
from minicnn.errors import ShapeError
from minicnn.layers import Flatten, Linear, Sequential
from minicnn.training.losses import adjusted, balanced_weights, plain, probabilities_of

X = np.random.default_rng(0).random((32, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(32) % 3


def run(**options):
    minicnn.seed(0)
    model = Sequential(Flatten(), Linear(16, 3))
    history = training.fit(
        model, (X, LABELS), (X, LABELS), epochs=2, batch_size=8, progress=False, **options
    )
    return model, history


def test_a_plain_function():
    expected, whole = run()
    model, history = run(loss=minicnn.softmax_cross_entropy)
    np.testing.assert_array_equal(model[1].weight.value, expected[1].weight.value)
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert history.column(name) == whole.column(name)


class Hinge:
    """Two classes from one output: its sign."""

    def __call__(self, outputs, labels):
        sign = (2.0 * labels - 1).astype(np.float32)[:, None]
        margin = 1 - sign * outputs
        return np.maximum(margin, 0).mean(), np.where(margin > 0, -sign, 0) / len(labels)

    def probabilities(self, outputs):
        p = 1 / (1 + np.exp(-outputs))
        return np.concatenate([1 - p, p], axis=1)


def test_a_loss_with_its_own_probabilities():
    """The classes are those of `probabilities`, however many outputs there are."""
    x = X.copy()
    x[::2] -= 1
    model = Sequential(Flatten(), Linear(16, 1))
    history = training.fit(model, (x, np.arange(32) % 2), epochs=20, loss=Hinge(), progress=False)
    assert history.rows[-1]["train_accuracy"] == 1.0


def test_probabilities_of_logits():
    logits = np.array([[0.0, np.log(3.0)]])
    np.testing.assert_allclose(
        probabilities_of(minicnn.softmax_cross_entropy, logits), [[0.25, 0.75]]
    )
    auxiliary = probabilities_of(minicnn.softmax_cross_entropy, (logits, -logits))
    np.testing.assert_allclose(auxiliary, [[0.25, 0.75]])


ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
MIXED = (0.7 * ONE_HOT + 0.3 * ONE_HOT[::-1]).astype(np.float32)
SEVERAL = np.stack([LABELS == 0, LABELS < 2, LABELS == 2], axis=1).astype(np.float32)
WEIGHTS = (0.5, 2.0, 1.0)
RUNS = {  # a loss, labels, and torch's loss
    "smoothed": (
        training.SoftmaxCrossEntropy(label_smoothing=0.1),
        LABELS,
        lambda z, t: torch.nn.functional.cross_entropy(z, t, label_smoothing=0.1),
    ),
    "weighted": (
        training.SoftmaxCrossEntropy(class_weights=WEIGHTS),
        LABELS,
        lambda z, t: torch.nn.functional.cross_entropy(
            z, t, weight=torch.tensor(WEIGHTS), reduction="none"
        ).mean(),
    ),
    "soft": (training.SoftmaxCrossEntropy(), MIXED, torch.nn.functional.cross_entropy),
    "squared": (
        training.MeanSquaredError(),
        LABELS,
        lambda z, t: torch.nn.functional.mse_loss(z, torch.eye(3)[t]),
    ),
    "binary": (
        training.BinaryCrossEntropy(),
        SEVERAL,
        torch.nn.functional.binary_cross_entropy_with_logits,
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_step_as_in_torch(name):
    """The weights after one step of gradient descent on all images."""
    loss, labels, theirs = RUNS[name]
    minicnn.seed(0)
    model = Sequential(Flatten(), Linear(16, 3))
    weight, bias = (
        torch.tensor(p.value.copy(), requires_grad=True) for p in (model[1].weight, model[1].bias)
    )
    optimizer = training.SGD(model.parameters(), lr=1.0)
    training.fit(
        *(model, (X, labels)),
        optimizer=optimizer,
        loss=loss,
        epochs=1,
        batch_size=32,
        progress=False,
    )
    theirs(torch.tensor(X.reshape(32, 16)) @ weight + bias, torch.tensor(labels)).backward()
    for ours, t in ((model[1].weight, weight), (model[1].bias, bias)):
        np.testing.assert_allclose(ours.value, (t - t.grad).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", RUNS)
def test_resumed_to_the_bit(name, tmp_path):
    loss, labels, _ = RUNS[name]

    def go(out, epochs, **options):
        minicnn.seed(0)
        model = Sequential(Flatten(), Linear(16, 3))
        data = (X, labels)
        history = training.fit(
            *(model, data, data),
            loss=loss,
            epochs=epochs,
            batch_size=8,
            out=out,
            progress=False,
            **options,
        )
        return model[1].weight.value, history

    whole, expected = go(None, 3)
    go(tmp_path, 1)
    resumed, history = go(tmp_path, 3, resume=True)
    np.testing.assert_array_equal(resumed, whole)
    for column in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert history.column(column) == expected.column(column)
    changed = training.SoftmaxCrossEntropy(label_smoothing=0.3)
    if name not in ("squared", "binary"):
        loss = changed
        with pytest.raises(minicnn.errors.CheckpointError, match="loss was .* and is now .*=0.3"):
            go(tmp_path, 4, resume=True)


def test_test_images_are_judged_without_smoothing():
    """The loss of the last epoch is that of `evaluate`; training has another."""
    model, history = run(loss=training.SoftmaxCrossEntropy(0.2, WEIGHTS))
    plain_loss = training.evaluate(model, (X, LABELS), loss=training.SoftmaxCrossEntropy()).loss
    assert history.rows[-1]["test_loss"] == plain_loss
    assert history.evaluation.loss == plain_loss


def test_auxiliary_terms_have_the_smoothed_loss():
    smoothed = training.SoftmaxCrossEntropy(0.1)
    logits = np.random.default_rng(0).standard_normal((3, 4, 3), dtype=np.float32)
    labels = np.array([0, 1, 2, 1])
    loss, gradients = training.AuxiliaryLoss(0.3, smoothed)(tuple(logits), labels)
    terms = [smoothed(z, labels) for z in logits]
    assert loss == pytest.approx(terms[0][0] + 0.3 * (terms[1][0] + terms[2][0]), rel=1e-6)
    np.testing.assert_allclose(gradients[2], 0.3 * terms[2][1], rtol=1e-6)
    plain_loss = plain(training.AuxiliaryLoss(0.3, smoothed))
    assert repr(plain_loss) == "AuxiliaryLoss(0.3)"
    assert plain_loss(logits[0], labels)[0] == minicnn.softmax_cross_entropy(logits[0], labels)[0]


def test_balanced_weights():
    """Every class weighs the same in all; the mean weight of an image is 1."""
    labels = np.array([0] * 6 + [1] * 3 + [3])
    data = Dataset(np.zeros((10, 1, 1, 1), np.uint8), labels, tuple("abcd"))
    weights = np.array(balanced_weights(data))
    np.testing.assert_allclose(np.bincount(labels) * weights, [10 / 3, 10 / 3, 0, 10 / 3])
    assert weights[labels].mean() == pytest.approx(1)
    soft = Dataset(data.images, np.eye(4, dtype=np.float32)[labels], tuple("abcd"))
    np.testing.assert_allclose(balanced_weights(soft), weights)


def test_adjusted():
    loss = adjusted(training.SoftmaxCrossEntropy(0.1), None, WEIGHTS)
    assert repr(loss) == ("SoftmaxCrossEntropy(label_smoothing=0.1, class_weights=(0.5, 2.0, 1.0))")
    deep = adjusted(training.AuxiliaryLoss(0.3), 0.2, None)
    assert repr(deep) == "AuxiliaryLoss(0.3, SoftmaxCrossEntropy(label_smoothing=0.2))"
    with pytest.raises(ValueError, match=r"label_smoothing: the loss MAPLoss\(j=0.1\) has none"):
        adjusted(training.MAPLoss(), 0.1, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_smoothing": 1.5}, "label_smoothing=1.5: expected 0 to 1"),
        ({"label_smoothing": float("nan")}, "label_smoothing=nan: expected 0 to 1"),
        ({"class_weights": "balanced"}, r"class_weights='balanced': expected a number per class"),
        ({"class_weights": [1, -1]}, r"class_weights=\(1.0, -1.0\): expected numbers >= 0"),
        ({"class_weights": [0, 0]}, "one of them above 0"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        training.SoftmaxCrossEntropy(**arguments)


def test_what_does_not_fit_is_said_before_the_first_step():
    with pytest.raises(ShapeError, match="there are 2 class weights; the network has 3 classes"):
        run(loss=training.SoftmaxCrossEntropy(class_weights=[1, 2]))
    with pytest.raises(ShapeError, match="the training labels: row 0 of the targets sums to 2"):
        training.fit(Sequential(Flatten(), Linear(16, 3)), (X, SEVERAL), progress=False)
    with pytest.raises(ShapeError, match=r"training labels: labels are float32 \(32, 3\)"):
        training.fit(
            Sequential(Flatten(), Linear(16, 3)),
            (X, MIXED),
            loss=training.MAPLoss(),
            progress=False,
        )
