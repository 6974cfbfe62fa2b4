"""Frozen layers in training, and callbacks that change a run after some epochs."""

import numpy as np
import pytest

import minicnn
from minicnn import data, training
from minicnn.errors import CheckpointError, TrainingError
from minicnn.layers import BatchNorm2d, Conv2d, Dropout, GlobalAvgPool2d, Linear, MaxPool2d, Network
from minicnn.training import Freeze, ScaleRate, SwitchAugment

IMAGES = np.random.default_rng(0).standard_normal((40, 8, 8, 3), dtype=np.float32)
LABELS = np.arange(40) % 5
LAYERS = ("conv1", "bn1", "conv2", "bn2", "fc")


def network():
    minicnn.seed(3)
    return Network(
        conv1=Conv2d(3, 6, 3, padding=1, bias=False),
        bn1=BatchNorm2d(6, activation="relu"),
        pool1=MaxPool2d(2),
        conv2=Conv2d(6, 8, 3, padding=1),
        bn2=BatchNorm2d(8, activation="relu"),
        pool=GlobalAvgPool2d(),
        drop=Dropout(0.3),
        fc=Linear(8, 5),
        input_shape=(8, 8, 3),
    )


def fit(model, **options):
    settings = {"epochs": 2, "batch_size": 8, "lr": 0.05, "progress": False} | options
    return training.fit(model, (IMAGES, LABELS), **settings)


def changed(before, model):
    """The layers with a parameter or a statistic that is not what it was, to the bit."""
    now = model.state_dict()
    names = [name.rpartition(".")[0] for name in now if not np.array_equal(now[name], before[name])]
    return tuple(dict.fromkeys(names))


def copied(model):
    return {name: array.copy() for name, array in model.state_dict().items()}


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "muon"])
@pytest.mark.parametrize(
    ("frozen", "trained"),
    [
        (("conv1", "bn1"), ("conv2", "bn2", "fc")),
        (("conv*", "bn2"), ("bn1", "fc")),  # in the middle: dx passes through
        (("fc",), ("conv1", "bn1", "conv2", "bn2")),
    ],
)
def test_frozen_layers_stay_to_the_bit(frozen, trained, optimizer):
    model = network().freeze(*frozen)
    before = copied(model)
    fit(model, optimizer=optimizer)
    assert changed(before, model) == trained
    assert all(p._grad is None for p in model.parameters() if p.frozen)


def test_the_others_are_trained_as_if_the_frozen_ones_had_no_rate():
    """Against the long way: everything is computed, and the updates of some layers are undone."""
    model, other = network(), network()
    model.freeze("conv1", "bn1")
    other.bn1.momentum = 0.0
    generator = np.random.default_rng(0)
    optimizer = training.SGD(other.parameters(), lr=0.05, momentum=0.9)
    own = training.SGD(model.parameters(), lr=0.05, momentum=0.9)
    kept = copied(other)
    for _ in range(3):
        rows = generator.permutation(40)[:8]
        for net, rule in ((model, own), (other, optimizer)):
            minicnn.seed(5)
            net.train()
            net.bn1.training = False
            _, gradient = minicnn.softmax_cross_entropy(net(IMAGES[rows]), LABELS[rows])
            rule.zero_grad()
            net.backward(gradient)
            rule.step()
        for name in ("conv1.weight", "bn1.weight", "bn1.bias"):
            other.state_dict()[name][...] = kept[name]
    for name, array in other.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], array, rtol=1e-5, atol=1e-6)


def test_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="SGD: all of its parameters are frozen"):
        fit(network().freeze("*"))


def test_a_resumed_run_must_freeze_the_same(tmp_path):
    fit(network().freeze("conv1"), out=tmp_path)
    with pytest.raises(CheckpointError, match="frozen was 'conv1' and is now 'conv1, bn1'"):
        fit(network().freeze("conv1", "bn1"), out=tmp_path, epochs=3, resume=True)
    model = network().freeze("conv1")
    fit(model, out=tmp_path, epochs=4, resume=True)
    whole = network().freeze("conv1")
    fit(whole, epochs=4)
    assert not changed(copied(whole), model)


class Record(training.Callback):
    """What is frozen, the multipliers and the augmentation in each epoch."""

    def __init__(self):
        self.rows = []

    def on_step_end(self, trainer, loss):
        model, done = trainer.model, trainer.epoch
        row = (model.frozen_names(), model.fc.bias.lr_multiplier, trainer.loader.augment)
        self.rows = [*self.rows[: done - 1], row]


def test_phases_begin_and_end_and_are_resumed(tmp_path):
    first, later = data.RandomCropFlip(8, padding=1), data.RandomCropFlip(8)
    phases = [
        Freeze("conv1", "bn1", after=2),
        ScaleRate("*.bias", factors={1: 10, 3: 100}),
        SwitchAugment(first, later, after=1),
    ]
    plan = training.Recipe("a test", None, 4, 8, 0.01, augment=first, callbacks=tuple(phases))
    record, model = Record(), network()
    fit(model, recipe=plan, epochs=4, lr=None, callbacks=[record])
    frozen = ["conv1", "bn1"]
    assert record.rows == [
        ([], 1, first),
        ([], 10, later),
        (frozen, 10, later),
        (frozen, 100, later),
    ]
    assert model.frozen_names() == []
    assert model.fc.bias.lr_multiplier == 1
    resumed = network()
    for epochs in (1, 3, 4):
        fit(resumed, recipe=plan, epochs=epochs, lr=None, out=tmp_path, resume=True)
    assert not changed(copied(model), resumed)


def test_what_was_frozen_before_stays_frozen():
    model = network().freeze("conv1")
    fit(model, epochs=1, callbacks=[Freeze("conv*", after=0)])
    assert model.frozen_names() == ["conv1"]


@pytest.mark.parametrize("after", [(0, 1), (1, 0)])
def test_what_two_phases_freeze_is_trained_again(after):
    model = network()
    freeze = [Freeze(name, after=n) for name, n in zip(("conv*", "conv1"), after, strict=True)]
    scale = [ScaleRate(name, factors={0: 2}) for name in ("conv1.*", "*.weight")]
    fit(model, callbacks=[*freeze, *scale])
    assert model.frozen_names() == []
    assert {p.lr_multiplier for p in model.parameters()} == {1}


def test_factors_of_one_parameter_are_multiplied(tmp_path):
    """In a run that is resumed as well, to the bit."""

    class Note(training.Callback):
        def on_step_end(self, trainer, loss):
            rates[trainer.epoch] = trainer.model.fc.bias.lr_multiplier

    first, second = {0: 2, 2: 0.1}, {1: 0.3, 3: 0.7}
    phases = ScaleRate("fc.*", factors=first), ScaleRate("*.bias", factors=second)
    for options, lengths in (({}, [4]), ({"out": tmp_path, "resume": True}, [1, 2, 4])):
        rates, model = {}, network()
        model.fc.bias.lr_multiplier = 3.0
        for epochs in lengths:
            fit(model, epochs=epochs, callbacks=[*phases, Note()], **options)
        assert rates == {1: 3.0 * 2, 2: 3.0 * 2 * 0.3, 3: 3.0 * 0.1 * 0.3, 4: 3.0 * 0.1 * 0.7}
        assert model.fc.bias.lr_multiplier == 3.0


def test_phases_end_also_if_another_callback_cannot():
    class Fail(training.Callback):
        def on_train_end(self, trainer):
            raise ZeroDivisionError

    model = network()
    with pytest.raises(ZeroDivisionError):
        fit(model, callbacks=[Fail(), Freeze("conv1", after=0), Fail()])
    assert model.frozen_names() == []


def test_a_batch_norm_whose_parameters_were_frozen_stays_in_training():
    names = ["bn1.weight", "bn1.bias"]
    model = network().freeze(*names)
    fit(model, epochs=2, callbacks=[Freeze("bn1", after=1)])
    assert model.frozen_names() == names
    assert not model.bn1.frozen


def test_a_batch_norm_and_its_parameters_are_not_the_same_to_freeze(tmp_path):
    """With its parameters frozen, a batch norm still changes its statistics."""
    fit(network().freeze("bn1"), out=tmp_path)
    with pytest.raises(CheckpointError, match="frozen was 'bn1' and is now 'bn1.weight, bn1.bias'"):
        fit(network().freeze("bn1.weight", "bn1.bias"), out=tmp_path, epochs=3, resume=True)


def test_a_run_that_cannot_start_leaves_the_model_as_it_was(capsys):
    model, wrong = network(), ScaleRate("fc.wait", factors={1: 2})
    with pytest.raises(ValueError, match="no layer or parameter 'fc.wait'; did you mean fc.weight"):
        fit(model, callbacks=[Freeze("conv1", after=0), wrong], progress=True)
    assert model.frozen_names() == []
    with pytest.raises(ValueError, match="'x'; it has conv1.weight, bn1.weight, bn1.bias"):
        fit(model, callbacks=[ScaleRate("x", factors={1: 2})])


def test_all_layers_may_be_frozen_in_the_end():
    model, other = network(), network()
    history = fit(model, epochs=3, callbacks=[Freeze("*", after=2)])
    fit(other, epochs=2)
    assert len(history.rows) == 3
    assert not changed(copied(other), model)


def test_an_augmentation_of_ones_own_is_kept():
    plan = training.Recipe(
        "a test", None, 2, 8, 0.01, callbacks=(SwitchAugment(data.RandomShift(1), None, after=0),)
    )
    record, own = Record(), data.RandomShift(2)
    fit(network(), recipe=plan, lr=None, augment=own, callbacks=[record])
    assert [row[2] for row in record.rows] == [own, own]


def test_a_callback_may_replace_a_layer():
    """As if it had changed the layer: the fused network, which is trained, has the new one."""

    class Drop(training.Callback):
        def __init__(self, replace):
            self.replace = replace

        def on_epoch_end(self, trainer, row):
            if self.replace:
                trainer.model.drop = Dropout(0.5)
            else:
                trainer.model.drop.p = 0.5

    model, other = network(), network()
    fit(model, callbacks=[Drop(replace=True)])
    fit(other, callbacks=[Drop(replace=False)])
    assert not changed(copied(other), model)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_callback_may_replace_a_batch_norm_of_the_same_parameters(accumulate):
    class Slower(training.Callback):
        def __init__(self, replace):
            self.replace = replace

        def on_epoch_end(self, trainer, row):
            before = trainer.model.bn1
            if self.replace:
                norm = trainer.model.bn1 = BatchNorm2d(6, activation="relu")
                norm.weight, norm.bias = before.weight, before.bias
                norm.load_state_dict(before.state_dict())
            trainer.model.bn1.momentum = 0.5

    model, other = network(), network()
    fit(model, accumulate=accumulate, callbacks=[Slower(replace=True)])
    fit(other, accumulate=accumulate, callbacks=[Slower(replace=False)])
    assert not changed(copied(other), model)


def test_new_parameters_that_nothing_trains_are_refused():
    class Replace(training.Callback):
        def __init__(self, freeze):
            self.freeze = freeze

        def on_epoch_end(self, trainer, row):
            trainer.model.fc = Linear(8, 5)
            if self.freeze:
                trainer.model.freeze("fc")

    with pytest.raises(TrainingError, match="fc.weight: .* and SGD trains the former"):
        fit(network(), callbacks=[Replace(freeze=False)])
    fit(network(), callbacks=[Replace(freeze=True)])


def test_a_name_that_the_network_does_not_have():
    with pytest.raises(ValueError, match="no layer or parameter 'conv9'; did you mean conv2"):
        fit(network(), callbacks=[Freeze("conv9", after=0)])
