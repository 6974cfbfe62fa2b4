"""Evaluations and predictions that are captured once per batch shape, and replayed."""

import warnings

import numpy as np
import pytest

import minicnn
from minicnn import captured, training
from minicnn.kernels import dispatch
from minicnn.kernels.thread_state import state
from minicnn.layers import (
    AdaptiveAvgPool2d,
    Affine,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Function,
    GlobalAvgPool2d,
    Layer,
    Linear,
    Resample2d,
    Sequential,
    Upsample,
    observe,
)

IMAGES = np.random.default_rng(0).standard_normal((27, 6, 6, 3), dtype=np.float32)
LABELS = np.random.default_rng(1).integers(0, 7, 27)


def network(*more):
    minicnn.seed(3)
    first = Conv2d(3, 8, 3), BatchNorm2d(8, activation="relu")
    model = Sequential(*first, *more, GlobalAvgPool2d(), Dropout(0.3), Linear(8, 7))
    model[1].running_mean[...] = np.linspace(-1, 1, 8)
    model[1].running_var[...] = np.linspace(0.5, 2, 8)
    model.input_shape = (6, 6, 3)
    return model


def evaluate(model, **options):
    return training.evaluate(model, (IMAGES, LABELS), **{"batch_size": 8} | options)


def captures(run, monkeypatch) -> list[int]:
    """Collects the number of launches of each capture of that Emulator."""
    found, capture = [], run.capture

    def counted(work):
        graph = capture(work)
        found.append(len(graph._calls))
        return graph

    monkeypatch.setattr(run, "capture", counted)
    return found


def test_resampling_is_captured(emulate, monkeypatch):
    """Also by matrices that a layer holds on the device; nothing calls cuBLAS."""

    def resampling():
        any_rows = Resample2d(np.linspace(-1, 1, 18).reshape(3, 6))
        means = AdaptiveAvgPool2d((2, 4)), Function("softplus"), Affine(8)
        return network(Upsample(1.5, "bilinear"), any_rows, *means)

    expected = evaluate(resampling())
    run = emulate()
    graphs = captures(run, monkeypatch)
    found = evaluate(resampling().to("cuda"))
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert len(graphs) == 1


def test_an_evaluation_as_on_the_cpu(emulate, monkeypatch):
    """Three batches of 8, of which one graph computes two, and the smaller last one."""
    expected = evaluate(network())
    run = emulate()
    graphs = captures(run, monkeypatch)
    model = network().to("cuda").train()
    found = evaluate(model)
    assert len(graphs) == 1
    assert model.training
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    np.testing.assert_array_equal(found.confusion, expected.confusion)
    monkeypatch.setattr(captured, "MOST", 0)
    assert evaluate(model).loss == found.loss  # without a graph the same bits
    assert len(graphs) == 1


def test_other_weights_are_evaluated(emulate):
    """A graph of an earlier evaluation is not used again."""
    emulate()
    model = network().to("cuda")
    first = evaluate(model).loss
    other = network()
    for parameter in other.parameters():
        parameter.value *= 2
    model.load_state_dict(other.state_dict())
    assert evaluate(model).loss == pytest.approx(evaluate(other).loss, rel=1e-5)
    assert evaluate(model).loss != first


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_predictions_as_on_the_cpu(precision, emulate, monkeypatch):
    expected = minicnn.predict(network(), IMAGES, top=7, batch_size=4)
    graphs = captures(emulate(), monkeypatch)
    minicnn.set_precision(precision)
    model = network().to("cuda")
    found = minicnn.predict(model, IMAGES, top=7, batch_size=4)
    assert len(graphs) == 1
    for ours, theirs in zip(found, expected, strict=True):
        probabilities, right = dict(ours.top), dict(theirs.top)
        for name in right:
            assert probabilities[name] == pytest.approx(
                right[name], abs=1e-5 + (precision != "fp32")
            )
    assert found == minicnn.predict(model, IMAGES, top=7, batch_size=4)


class Halved(Layer):
    """Divides by a number that is read from the device."""

    def forward(self, x):
        return x / np.float32(2 * round(float(minicnn.to_host(x * 0 + 1).max())))

    def backward(self, dy):
        return dy / np.float32(2)

    def output_shape(self, shape):
        return shape


def test_what_cannot_be_captured_is_launched_one_by_one(emulate):
    """In evaluation, and in training, where the reason is a layer that reads a value back."""
    expected = evaluate(network(Halved())).loss
    cpu = network(Halved())
    training.fit(cpu, (IMAGES, LABELS), epochs=2, batch_size=8, lr=0.1, progress=False)
    emulate()
    sentence = "launched one by one.*cannot be captured as a CUDA graph: .*D2H"
    with pytest.warns(UserWarning, match=sentence) as noted:
        assert evaluate(network(Halved()).to("cuda")).loss == pytest.approx(expected, rel=1e-5)
    assert len(noted) == 1
    model = network(Halved()).to("cuda")
    with pytest.warns(UserWarning, match=sentence):
        training.fit(model, (IMAGES, LABELS), epochs=2, batch_size=8, lr=0.1, progress=False)
    for name, array in model.state_dict().items():
        np.testing.assert_allclose(
            array, cpu.state_dict()[name], rtol=1e-4, atol=1e-5, err_msg=name
        )


class Shifted(Halved):
    """CuPy's arithmetic, with an assignment to a part and a copy."""

    def forward(self, x):
        y = x.copy() * np.float32(2)
        y[..., 0] = x.max(axis=-1)
        return y


def test_arithmetic_of_cupy_is_captured(emulate, monkeypatch):
    expected = evaluate(network(Shifted())).loss
    graphs = captures(emulate(), monkeypatch)
    assert evaluate(network(Shifted()).to("cuda")).loss == pytest.approx(expected, rel=1e-5)
    assert len(graphs) == 1


def test_hooks_are_called_for_every_batch(emulate, monkeypatch):
    graphs = captures(emulate(), monkeypatch)
    model, sizes = network().to("cuda"), []
    with observe(lambda layer, x, y: sizes.append(len(x)) if layer is model[-1] else None):
        evaluate(model)
    assert sizes == [8, 8, 8, 3]
    assert not graphs


def test_profiles_see_every_batch_and_numbas_kernels_are_in_no_graph(emulate, monkeypatch):
    graphs = captures(emulate(), monkeypatch)
    model, seen = network().to("cuda"), []

    def noted(operation, chosen):
        seen.append(operation.__name__)
        return chosen

    with dispatch.intercept(noted):
        evaluate(model)
    assert seen.count("softmax") == 4
    with state.changed(backend="numba_cuda"):
        evaluate(model)
    assert not graphs


def test_a_bounded_number_of_shapes(emulate, monkeypatch):
    graphs = captures(emulate(), monkeypatch)
    monkeypatch.setattr(captured, "MOST", 2)
    function = captured.captured(lambda x: x * 2, "cuda")
    for _ in range(3):
        for n in range(1, 5):
            np.testing.assert_array_equal(function(IMAGES[:n]), 2 * IMAGES[:n])
    assert len(graphs) == 2


def test_the_cpu_runs_the_function_itself():
    assert captured.captured(len, "cpu") is len


def test_nothing_is_said_of_ordinary_networks(emulate):
    emulate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(network().to("cuda"))


def test_large_batches_are_staged(emulate, monkeypatch):
    """With copies that are made as late as they may be the results are the same bits."""
    run = emulate()
    model = network().to("cuda")
    expected = evaluate(model).loss
    copies, beside = [], run.copy_beside
    monkeypatch.setattr(run, "copy_beside", lambda *what: copies.append(what) or beside(*what))
    evaluate(model)
    assert not copies  # less than 64 KB
    monkeypatch.setattr(captured, "STAGED", 1)
    assert evaluate(model).loss == expected
    assert len(copies) == 2 * 2  # images and labels of the two replays
