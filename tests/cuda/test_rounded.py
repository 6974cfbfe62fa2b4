"""Copies of weights in bfloat16: trainings with and without them end with the same bits."""

import numpy as np
import pytest

import minicnn
from benchmarks.gpu.communication import Alone
from minicnn import device, training
from minicnn.kernels import functional as F
from minicnn.kernels.cuda.rounded import RoundedWeights
from minicnn.layers import Conv2d, Flatten, Linear, Sequential, observe
from minicnn.training import Callback, cuda_graph, fitting
from minicnn.training.callbacks import RescaleFilters
from minicnn.training.phases import Freeze

IMAGES = np.random.default_rng(0).standard_normal((12, 2, 2, 8), dtype=np.float32)
LABELS = np.random.default_rng(1).integers(0, 5, 12)


class Halving(Conv2d):
    """A layer that changes its own weights in forward."""

    def forward(self, x, out=None):
        self.weight.value *= 0.5
        return super().forward(x, out)


class Doubled(training.SGD):
    """An optimizer that changes weights after the kernel's update."""

    def step(self):
        super().step()
        for parameter in self.parameters:
            parameter.value *= 2


class Shrink(Callback):
    """Changes weights in place after each step, through arrays that it has from the beginning."""

    def on_train_start(self, trainer):
        self.weights = trainer.model.state_dict()

    def on_step_end(self, trainer, loss):
        for array in self.weights.values():
            array[...] = array * 0.9


class Load(Callback):
    """Loads weights between epochs."""

    def on_epoch_end(self, trainer, row):
        state = trainer.model.state_dict()
        trainer.model.load_state_dict({n: device.to_host(a) * 0.5 for n, a in state.items()})


class Hooked(Callback):
    """From the second step to the fourth, a hook doubles the last layer's weights."""

    is_output = True  # what it does between steps changes no weights

    def on_step_end(self, trainer, loss):
        if trainer.iteration == 1:
            self.block = observe(before_forward=self.double)
            self.block.__enter__()
        if trainer.iteration == 4:
            self.block.__exit__(None, None, None)

    def double(self, layer, x):
        if isinstance(layer, Linear):
            layer.weight.value *= 2


def network(first=Conv2d):
    minicnn.seed(3)
    model = Sequential(first(8, 8, 2, activation="relu"), Flatten(), Linear(8, 5))
    model.input_shape = (2, 2, 8)
    return model


def trained(first=Conv2d, **options):
    """The weights in the end, and the first epoch's loss."""
    minicnn.set_precision("bf16")
    model = network(first).to("cuda")
    options = {"epochs": 2, "optimizer": "sgd", "momentum": 0.9, "callbacks": ()} | options
    callbacks = [make() for make in options.pop("callbacks")]
    if isinstance(options["optimizer"], type):
        options["optimizer"] = options["optimizer"](model.parameters(), lr=0.05)
        del options["momentum"]
    else:
        options["lr"] = 0.05
    data, quiet = (IMAGES, LABELS), {"progress": False, "callbacks": callbacks}
    test = data if "average" in options else None
    history = training.fit(model, data, test, batch_size=4, **options, **quiet)
    weights = {name: device.to_host(array) for name, array in model.state_dict().items()}
    return weights, history.column("train_loss")


SETTINGS = {
    "momentum": {},
    "adam, accumulated, clipped": {
        **{"optimizer": training.Adam, "accumulate": 3, "clip": training.ClipNorm(0.1)},
    },
    "rmsprop, an average of the weights": {
        "optimizer": training.RMSProp,
        "average": training.EMA(0.5),
    },
    "muon has no kernel": {"optimizer": training.Muon},
    "lookahead": {"average": training.Lookahead(2)},
    "frozen in the second epoch": {"callbacks": [lambda: Freeze("0", after=1)]},
    "a callback changes weights": {"callbacks": [Shrink]},
    "a callback loads weights": {"callbacks": [Load]},
    "a callback of minicnn changes weights": {
        "callbacks": [lambda: RescaleFilters(0.01)],
    },
    "a hook changes weights": {"callbacks": [Hooked]},
    "an optimizer of one's own": {"optimizer": Doubled},
    "a layer of one's own": {"first": Halving},
}


@pytest.mark.parametrize("case", SETTINGS)
def test_trainings_have_the_same_bits(case, emulate, monkeypatch):
    run = emulate()
    weights, losses = trained(**SETTINGS[case])
    rounded = run.launches.count("round_weights")
    assert (rounded > 0) == (case != "a layer of one's own")
    monkeypatch.setattr(cuda_graph, "_rounded_weights", lambda run: None)
    expected, right = trained(**SETTINGS[case])
    assert losses == right
    for name, array in weights.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_the_optimizer_writes_the_copies(emulate):
    """In the second step all weights are rounded at once, then only where an epoch begins."""
    run = emulate()
    trained(epochs=3)
    updates = [i for i, name in enumerate(run.launches) if name == "sgd"]
    assert len(updates) == 9
    steps = [run.launches[a:b] for a, b in zip([0, *updates], updates, strict=False)]
    assert [step.count("round_weights") for step in steps] == [0, 1, 0, 1, 0, 0, 1, 0, 0]
    converted = [step.count("convert") for step in steps]
    first = 1 + 3  # the images, and the weights of three passes
    assert converted[:3] == [first, 1, 1]


def test_a_resumed_training_has_the_same_bits(emulate, tmp_path):
    emulate()
    whole, _ = trained(epochs=3)
    trained(epochs=1, out=tmp_path)
    weights, _ = trained(epochs=3, out=tmp_path, resume=True)
    for name, array in whole.items():
        np.testing.assert_array_equal(weights[name], array, err_msg=name)


def test_processes_have_copies_of_their_own(emulate, monkeypatch):
    run = emulate()
    expected, _ = trained(accumulate=3)
    monkeypatch.setattr(fitting, "join", Alone)
    run.connect().launches.clear()
    weights, _ = trained(accumulate=3, distributed=True)
    assert "round_weights" in run.launches
    for name, array in weights.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_copies_are_used_only_in_their_block(emulate):
    """A prediction within it or after it reads the weights as they are; a graph writes no copy."""
    run = emulate()
    minicnn.set_precision("bf16")
    x = device.to_input(IMAGES[:2], "cuda")
    w = run.upload(np.random.default_rng(2).standard_normal((2, 2, 8, 8), dtype=np.float32))
    copies = RoundedWeights([w])
    first = F.conv2d(x, w)
    for _ in range(2):  # in the first block the copy is asked for
        with copies.in_use():
            np.testing.assert_array_equal(F.conv2d(x, w), first)
    w[...] = 2 * w
    np.testing.assert_array_equal(F.conv2d(x, w), 2 * first)
    with copies.in_use():
        count = run.launches.count("convert")
        np.testing.assert_array_equal(F.conv2d(x, w), 2 * first)
        assert run.launches.count("convert") == count
        F.conv2d(x, w[:, :, :, :4])  # a part is not the whole
        F.conv2d(x, w.swapaxes(0, 1))  # nor is another order
        assert run.launches.count("convert") == count + 2
    arrays = [w], [w], [run.upload(np.zeros(w.shape, np.float32))]
    graph = run.capture(lambda: F.sgd_update(*arrays, [0.1], [0.0]))
    del copies
    graph.launch()
