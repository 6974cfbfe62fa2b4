"""Training on the emulated GPU: captured and replayed steps, devices, precisions, checkpoints."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import minicnn
from benchmarks.gpu.communication import Alone
from minicnn import device, training
from minicnn.data import Pipeline, Preprocess, RandomCropFlip, RandomShift, resident
from minicnn.data.augment import NORMALIZE, ColorJitter, Cutout, Mixup
from minicnn.data.dataset import Dataset
from minicnn.data.loader import Loader
from minicnn.data.resident import ResidentLoader, UploadingLoader, can_stay
from minicnn.distributed import accumulation
from minicnn.errors import ShapeError, TrainingError
from minicnn.kernels import dispatch
from minicnn.kernels.cuda.capture import ReplayedInputs
from minicnn.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Sequential,
)
from minicnn.training import cuda_graph, fitting
from minicnn.training.targets import labels_checked

IMAGES = np.random.default_rng(0).standard_normal((51, 8, 8, 3), dtype=np.float32)
LABELS = np.random.default_rng(1).integers(0, 5, 51)


def network():
    minicnn.seed(3)
    model = Sequential(
        *(
            Conv2d(3, 8, 3, padding=1),
            BatchNorm2d(8, activation="relu"),
            MaxPool2d(2),
            Conv2d(8, 8, 3, padding=1, activation="relu"),
        ),
        *(GlobalAvgPool2d(), Dropout(0.3), Linear(8, 5)),
    )
    model.input_shape = (8, 8, 3)
    return model


def fit(where="cuda", images=IMAGES, labels=LABELS, **options):
    model = network().to(where)
    test = None if "epochs" in options else (images[:10], labels[:10])
    history = training.fit(
        model,
        (images, labels),
        test,
        **{"epochs": 3} | options,
        batch_size=8,
        lr=0.05,
        progress=False,
    )
    return model, history


def parameters(model):
    return {name: device.to_host(array) for name, array in model.state_dict().items()}


def test_as_on_the_cpu(emulate):
    """Losses, accuracies and weights agree up to rounding, with dropout and replayed steps."""
    cpu, expected = fit("cpu")
    run = emulate()
    gpu, history = fit()
    assert run.launches.count("forward") > 60
    for ours, theirs in zip(history.rows, expected.rows, strict=True):
        for key in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-5)
    for name, array in parameters(cpu).items():
        np.testing.assert_allclose(parameters(gpu)[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_captured_or_not_the_bits_are_the_same(emulate, monkeypatch):
    """Also of batches that are copied while kernels run."""
    monkeypatch.setattr("minicnn.captured.STAGED", 1)
    emulate(seed=1)
    captured = parameters(fit()[0])
    monkeypatch.setattr(cuda_graph, "WARM_UP", 10**9)
    for name, array in parameters(fit()[0]).items():
        np.testing.assert_array_equal(captured[name], array, err_msg=name)


SEVERAL = (np.random.default_rng(2).random((51, 5)) > 0.5).astype(np.float32)
SOFT = (0.8 * np.eye(5)[LABELS] + 0.04).astype(np.float32)


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        (training.SoftmaxCrossEntropy(0.1, [1, 2, 3, 0.5, 1]), LABELS),
        (training.SoftmaxCrossEntropy(0.1), SOFT),
        (training.BinaryCrossEntropy(), SEVERAL),
        (training.MeanSquaredError(), LABELS),
    ],
)
def test_losses_as_on_the_cpu(loss, labels, emulate):
    cpu, expected = fit("cpu", labels=labels, loss=loss)
    emulate()
    gpu, history = fit(labels=labels, loss=loss)
    for ours, theirs in zip(history.rows, expected.rows, strict=True):
        for key in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-5), key
    for name, array in parameters(cpu).items():
        np.testing.assert_allclose(parameters(gpu)[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [{"accumulate": 3, "clip": training.ClipNorm(0.1)}, {"clip": training.ClipValue(0.01)}],
)
def test_gradients_as_on_the_cpu(options, emulate):
    """Accumulated and clipped after captured steps."""
    cpu, expected = fit("cpu", **options)
    emulate()
    gpu, history = fit(**options)
    for ours, theirs in zip(history.rows, expected.rows, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-5)
    for name, array in parameters(cpu).items():
        np.testing.assert_allclose(parameters(gpu)[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("has_nccl", [False, True])
def test_gradients_on_the_gpu_are_exchanged(has_nccl, emulate, monkeypatch):
    """A rank that accumulates three shards per update has the bits of one process that does."""
    run = emulate()
    expected, history = fit(accumulate=3, epochs=1)
    monkeypatch.setattr(fitting, "join", Alone)
    monkeypatch.setattr(accumulation, "bucket_size", lambda *sizes: 1)
    if has_nccl:
        run.connect().launches.clear()
        with warnings.catch_warnings(action="error"):  # such as: it cannot be captured
            shared, other = fit(accumulate=3, epochs=1, distributed=True)
        losses = [i for i, name in enumerate(run.launches) if name == "tally"]
        replayed = run.launches[losses[3] : losses[4]]  # the loss is noted after backward
        assert "ncclSend" in replayed[replayed.index("gradient_sums") :]
    else:
        with pytest.warns(UserWarning, match="summed on the host: rank 0 has no NCCL"):
            shared, other = fit(accumulate=3, epochs=1, distributed=True)
    for name, array in parameters(expected).items():
        np.testing.assert_array_equal(parameters(shared)[name], array, err_msg=name)
    for key in ("train_loss", "train_accuracy"):
        assert other.column(key) == history.column(key)


def test_one_rank_synchronizes_batch_norm_with_itself(emulate, monkeypatch):
    """The numbers are those of ordinary batch norm, up to rounding; more ranks: test_nccl.py."""
    run = emulate()
    expected, history = fit(epochs=1)
    monkeypatch.setattr(fitting, "join", Alone)
    run.connect()
    shared, other = fit(epochs=1, distributed=True, sync_bn=True)
    for name, array in parameters(expected).items():
        np.testing.assert_allclose(parameters(shared)[name], array, 1e-4, 1e-5, err_msg=name)
    assert other.rows[0]["train_loss"] == pytest.approx(history.rows[0]["train_loss"], rel=1e-5)


def test_a_sweep_as_on_the_cpu(emulate):
    options = {"batch_size": 8, "steps": 20, "start": 1e-3, "end": 1.0}
    expected = training.find_lr(network(), (IMAGES, LABELS), **options)
    emulate()
    model = network().to("cuda")
    before = parameters(model)
    sweep = training.find_lr(model, (IMAGES, LABELS), **options)
    np.testing.assert_allclose(sweep.losses, expected.losses, rtol=1e-3)
    for name, array in parameters(model).items():
        np.testing.assert_array_equal(array, before[name])


def test_what_replays_read_is_not_overwritten(emulate):
    """The optimizer's tables and dropout's keys keep apart from what a graph hands out again."""

    def trained(run, captured, update=True):
        model = network().to("cuda").train()
        optimizer = training.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x, labels = run.upload(IMAGES[:8]), run.upload(LABELS[:8])

        def work():
            with labels_checked():
                _, gradient = minicnn.softmax_cross_entropy(model(x), labels)
            optimizer.zero_grad()
            model.backward(gradient, need_dx=False)
            if update:
                optimizer.step()

        def two_steps():  # the second has the memory that the first released
            work()
            work()

        minicnn.seed(0)
        two_steps()
        if captured:
            keys = ReplayedInputs()
            with keys:
                graph = run.capture(two_steps)
            keys.draw_again()
            graph.launch()
        else:
            two_steps()
        return np.concatenate(
            [device.to_host(p.value - p.grad).ravel() for p in model.parameters()]
        )

    run = emulate()
    np.testing.assert_array_equal(trained(run, captured=True), trained(run, captured=False))
    expected = trained(run, captured=False, update=False)
    np.testing.assert_array_equal(trained(run, captured=True, update=False), expected)
    apart = run.lasting  # without it dropout's keys share their memory with the activations
    run.lasting = lambda *what: (apart if run._recorded is None else run.empty)(*what)
    assert (trained(run, captured=True, update=False) != expected).any()


def test_resumed_to_the_bit(emulate, tmp_path):
    """A run that is resumed in a new model ends as one without an interruption.

    Its file loads on the CPU.
    """
    emulate()
    whole, history = fit(epochs=3)
    fit(epochs=1, out=tmp_path / "run")
    model, resumed = fit(epochs=3, out=tmp_path / "run", resume=True)
    for name, array in parameters(whole).items():
        np.testing.assert_array_equal(parameters(model)[name], array, err_msg=name)
    assert [row["train_loss"] for row in resumed.rows] == [
        row["train_loss"] for row in history.rows
    ]
    loaded = minicnn.load(tmp_path / "run" / "last.safetensors", network())
    for name, array in loaded.state_dict().items():
        np.testing.assert_array_equal(array, parameters(whole)[name])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_whole_step_as_a_graph(precision, emulate):
    """The optimizer's tables and dropout's keys share no memory with temporaries of the same graph.

    The bits are those of the eager steps.
    """

    def trained(captured):
        run = emulate()
        minicnn.set_precision(precision)
        model = network().to("cuda")
        optimizer, loss = (
            training.SGD(model.parameters(), lr=0.05, momentum=0.9),
            training.SoftmaxCrossEntropy(),
        )
        x, labels = run.upload(IMAGES[:8]), run.upload(LABELS[:8])

        def work():
            with labels_checked():
                _, gradient = loss(model(device.to_input(x, "cuda")), labels)
            optimizer.zero_grad()
            model.backward(gradient, need_dx=False)
            optimizer.step()

        minicnn.seed(5)
        with ReplayedInputs() as keys:
            graph = run.capture(work) if captured else None
        for _ in range(3):
            if captured:
                keys.draw_again()
                graph.launch()
            else:
                work()
        return parameters(model)

    expected = trained(False)
    for name, array in trained(True).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize(("name", "limit"), [("tf32", 1e-2), ("ffma", 1e-4), ("bf16", 5e-2)])
def test_precisions(name, limit, emulate):
    _, expected = fit("cpu")
    emulate()
    minicnn.set_precision(name)
    model, history = fit()
    assert all(p.value.dtype == np.float32 for p in model.parameters())
    for ours, theirs in zip(history.rows, expected.rows, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=limit)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_data_set_that_stays_on_the_device(channels, emulate):
    """The batches are those of the host's loader, in the same order, from any position on."""
    images = np.random.default_rng(0).integers(0, 256, (23, 5, 6, channels), np.uint8)
    dataset = Dataset(images, np.arange(23) % 4, tuple("abcd"), "some")
    preprocess = Preprocess((8, 9), 3, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    assert can_stay(dataset, preprocess, None)
    assert not can_stay(dataset, preprocess, RandomShift(1))
    assert not can_stay(
        Dataset((images / 255).astype(np.float32), dataset.labels, dataset.classes, "floats"),
        preprocess,
        None,
    )
    run = emulate()
    ours, theirs = (
        kind(dataset, 4, preprocess, shuffle=True, seed=5) for kind in (ResidentLoader, Loader)
    )
    for loader in (ours, theirs):
        loader.epoch, loader.batch = 1, 2
    for _ in range(2):
        for (x, labels), (expected, right) in zip(ours, theirs, strict=True):
            assert device.array_device(x) == "cuda"
            np.testing.assert_array_equal(x, expected)
            np.testing.assert_array_equal(labels, right)
    assert (ours.epoch, ours.batch) == (theirs.epoch, theirs.batch) == (3, 0)
    assert run.launches.count("batch") == 4 + 6


PLAIN = Preprocess((8, 9), 3, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), crop=True)


@pytest.mark.parametrize(
    ("augment", "preprocess", "uploads_bytes"),
    [
        (RandomShift(1), PLAIN, True),
        (RandomCropFlip((7, 9), padding=3), replace(PLAIN, mean=0.25, std=0.3), True),
        (None, replace(PLAIN, mean="per pixel"), False),
        (Pipeline(NORMALIZE, Cutout(2)), PLAIN, False),
        (ColorJitter(0.5), PLAIN, False),
        (Mixup(0.2), PLAIN, False),
        (None, lambda images: images.astype(np.float32), False),
    ],
)
def test_bytes_are_normalized_on_the_device(
    augment, preprocess, uploads_bytes, emulate, monkeypatch
):
    """The batches have the bits of the host's, whether they are copied beside kernels or not."""
    images = np.random.default_rng(0).integers(0, 256, (11, 7, 12, 3), np.uint8)
    if isinstance(preprocess, Preprocess):
        preprocess = preprocess.for_data(images)
    sets = Dataset(images, np.arange(11) % 4, tuple("abcd"), "some"), 4, preprocess, augment
    run = emulate()
    for staged in (1 << 16, 1):
        monkeypatch.setattr(resident, "STAGED", staged)
        ours, theirs = (kind(*sets, shuffle=True, seed=5) for kind in (UploadingLoader, Loader))
        for _ in range(2):
            for (x, labels), (expected, right) in zip(ours, theirs, strict=True):
                assert (device.array_device(x) == "cuda") == uploads_bytes
                assert x.dtype == np.float32
                np.testing.assert_array_equal(x, expected)
                np.testing.assert_array_equal(labels, right)
    assert run.launches.count("batch") == (12 if uploads_bytes else 0)


def test_the_digits_stay_on_the_device(emulate):
    """`fit` keeps bytes there by itself; the result is the host's."""

    def train(where):
        train, test = minicnn.data.digits()
        minicnn.seed(0)
        model = Sequential(
            Conv2d(1, 2, 5, stride=3, activation="relu"), GlobalAvgPool2d(), Linear(2, 10)
        ).to(where)
        model.input_shape = (32, 32, 1)
        preprocess = Preprocess((32, 32), mean=0.2, std=0.5)
        sets = train.subset(np.arange(20)), test.subset(np.arange(4))
        history = training.fit(
            model, *sets, epochs=2, batch_size=4, preprocess=preprocess, progress=False
        )
        return [row["train_loss"] for row in history.rows]

    expected = train("cpu")
    run = emulate()
    assert train("cuda") == pytest.approx(expected, rel=1e-4)
    assert run.launches.count("batch") == 10 + 2  # and two evaluations


@pytest.mark.parametrize("average", [training.EMA(0.9), training.Lookahead(2)])
def test_averages_are_resumed_on_the_device(emulate, tmp_path, average):
    class Devices(training.Callback):
        def on_train_start(self, trainer):
            self.found = {device.array_device(array) for array in trainer.average.state.values()}

    emulate()
    options = {"average": average, "optimizer": "sgd", "callbacks": [Devices()]}
    whole, _ = fit(epochs=3, **options)
    fit(epochs=2, out=tmp_path, **options)
    model, _ = fit(epochs=3, out=tmp_path, resume=True, **options)
    assert options["callbacks"][0].found == {"cuda"}
    expected = parameters(whole)
    for name, array in parameters(model).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_what_goes_wrong_is_said(emulate):
    emulate()
    with pytest.raises(ShapeError, match="labels run from 0 to 5; the network has classes 0 to 4"):
        fit(labels=np.arange(51) % 6)
    with pytest.raises(TrainingError, match="the loss is nan"), np.errstate(all="ignore"):
        fit(
            images=np.where(np.arange(51)[:, None, None, None] == 30, np.nan, IMAGES).astype(
                np.float32
            )
        )


def test_moving(emulate):
    emulate()
    model = network()
    before = parameters(model)
    assert device.model_device(model.to("cuda")) == "cuda"
    y = model.eval()(minicnn.to_device(IMAGES[:2], "cuda"))
    assert device.array_device(y) == "cuda"
    model.to("cpu")
    np.testing.assert_allclose(minicnn.to_host(y), model(IMAGES[:2]), rtol=1e-4, atol=1e-5)
    for name, array in parameters(model).items():
        np.testing.assert_array_equal(array, before[name])


def test_devices_that_are_not_there():
    with pytest.raises(ValueError, match="unknown device 'tpu'; expected one of cpu, cuda"):
        network().to("tpu")
    if isinstance(dispatch.load("cuda"), str):
        with pytest.raises(RuntimeError, match="the device 'cuda' is not available: "):
            network().to("cuda")
    with pytest.raises(ValueError, match="unknown precision 'fp8'"):
        minicnn.set_precision("fp8")


class FreezeLate(training.Callback):
    """Freeze the first two layers after one epoch."""

    def on_epoch_end(self, trainer, row):
        trainer.model.freeze("0", "1")


def test_frozen_layers_as_on_the_cpu(emulate):
    """A step that was captured before is not replayed after layers were frozen."""
    cpu, _ = fit("cpu", callbacks=[FreezeLate()])
    emulate()
    gpu, _ = fit(callbacks=[FreezeLate()])
    kept, _ = fit(epochs=1)
    for name, array in parameters(cpu).items():
        np.testing.assert_allclose(parameters(gpu)[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
        same = np.array_equal(parameters(gpu)[name], parameters(kept)[name])
        assert same == name.startswith(("0.", "1.")), name
