"""Training steps whose kernels are repeated without Python: every bit is that of the network."""

import numpy as np
import pytest

import minicnn
from minicnn import layers, training
from minicnn.data import Dataset
from minicnn.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Sequential
from minicnn.training.recorded import Recorded, RecordedStep, _Phase

STEPS = 8


def small():
    """Convolutions with several pixels per vector, ReLU, both pools, and a linear layer."""
    return Sequential(
        conv1=Conv2d(1, 4, 3, padding=1, activation="relu"),
        pool1=layers.AvgPool2d(2),
        conv2=Conv2d(4, 20, 3, activation="relu"),
        pool2=MaxPool2d(2),
        flatten=Flatten(),
        linear=Linear(20, 5),
    )


def normalized():
    """The running statistics are computed with NumPy."""
    return Sequential(
        conv=Conv2d(1, 4, 3), norm=BatchNorm2d(4, activation="relu"), flatten=Flatten(),
        linear=Linear(4 * 36 * 1, 5),
    )  # fmt: skip


def dropped():
    """Dropout draws new masks in every step."""
    return Sequential(flatten=Flatten(), drop=Dropout(0.5), linear=Linear(64, 5))


def hardly_dropped():
    """Dropout whose masks are all alike, as no number is ever dropped."""
    return Sequential(flatten=Flatten(), drop=Dropout(1e-12), linear=Linear(64, 5))


class Counting(layers.ReLU):
    """A layer that counts its calls, as its kernels do not."""

    calls = 0

    def forward(self, x, out=None):
        type(self).calls += 1
        return super().forward(x, out)


def make(build):
    minicnn.rng.seed(1)
    model = build()
    return model.train(), training.SGD(model.parameters(), lr=0.05, momentum=0.9)


def step(network, optimizer, i, images=16, before_update=None):
    """One update on the i-th batch. Returns the loss."""
    generator = np.random.default_rng(i)
    x = generator.standard_normal((images, 8, 8, 1), dtype=np.float32)
    loss, gradient = minicnn.softmax_cross_entropy(network(x), generator.integers(0, 5, images))
    optimizer.zero_grad()
    network.backward(gradient, need_dx=False)
    if before_update:
        before_update()
    optimizer.step()
    return loss


def assert_equal(one, other):
    """All weights and buffers are equal to the bit."""
    state = other.state_dict()
    for name, array in one.state_dict().items():
        assert array.tobytes() == state[name].tobytes(), name


def trained(build, record, **options):
    """The model and the losses after some steps; with `record` also what was recorded."""
    model, optimizer = make(build)
    network = Recorded(model) if record else model
    losses = [step(network, optimizer, i, **options) for i in range(STEPS)]
    return model, losses, network


def phases(recorded):
    return [passes.phase for passes in recorded._passes.values()]


@pytest.mark.parametrize(
    ("build", "phase"),
    [
        (small, _Phase.REPEAT),
        (normalized, _Phase.FAILED),
        (dropped, _Phase.FAILED),
        (hardly_dropped, _Phase.FAILED),
    ],
)
def test_training_is_that_of_the_network(build, phase):
    model, losses, _ = trained(build, record=False)
    other, found, recorded = trained(build, record=True)
    assert found == losses
    assert_equal(model, other)
    assert phases(recorded) == [phase]


def test_batches_of_several_sizes():
    networks = [make(small) for _ in range(2)]
    recorded = Recorded(networks[0][0])
    for i in range(12):
        images = (16, 16, 16, 7)[i % 4]
        losses = [
            step(network, optimizer, i, images)
            for network, optimizer in ((recorded, networks[0][1]), networks[1])
        ]
        assert losses[0] == losses[1]
    assert_equal(networks[0][0], networks[1][0])
    assert phases(recorded) == [_Phase.REPEAT] * 2


def test_gradients_that_are_kept_do_not_change():
    model, optimizer = make(small)
    recorded, kept = Recorded(model), []

    def keep():
        kept.append((model.conv1.weight.grad, model.conv1.weight.grad.copy()))

    for i in range(STEPS):
        step(recorded, optimizer, i, before_update=keep)
    assert phases(recorded) == [_Phase.REPEAT]
    assert all(gradient.tobytes() == copy.tobytes() for gradient, copy in kept)
    assert len({gradient.ctypes.data for gradient, _ in kept}) == STEPS


def test_gradients_are_added():
    networks = [make(small)[0] for _ in range(2)]
    recorded = Recorded(networks[0])
    for network in (recorded, networks[1]):
        for i in range(STEPS):
            generator = np.random.default_rng(i)
            y = network(generator.standard_normal((16, 8, 8, 1), dtype=np.float32))
            if i < 4:
                for parameter in networks[network is networks[1]].parameters():
                    parameter.zero_grad()
            network.backward(generator.standard_normal(y.shape, dtype=np.float32), need_dx=False)
    assert phases(recorded) == [_Phase.REPEAT]
    for a, b in zip(*(network.parameters() for network in networks), strict=True):
        assert a.grad.tobytes() == b.grad.tobytes()


def test_what_kernels_do_not_see_is_noticed():
    """Other weights in place of the old ones, another number of threads, hooks."""
    networks = [make(small) for _ in range(2)]
    recorded, seen = Recorded(networks[0][0]), []
    before = minicnn.get_num_threads()
    try:
        for i in range(3 * STEPS):
            losses = []
            for network, (model, optimizer) in zip(
                (recorded, networks[1][0]), networks, strict=True
            ):
                if i == STEPS:
                    model.linear.weight.value = model.linear.weight.value * np.float32(0.5)
                minicnn.set_num_threads(1 if i > 2 * STEPS else before)
                if i == STEPS // 2:
                    with layers.observe(forward=lambda *arguments: seen.append(arguments)):
                        losses.append(step(network, optimizer, i))
                else:
                    losses.append(step(network, optimizer, i))
            assert losses[0] == losses[1]
    finally:
        minicnn.set_num_threads(before)
    assert len(seen) == 2 * 7
    assert_equal(networks[0][0], networks[1][0])
    assert set(phases(recorded)) == {_Phase.REPEAT}


def dataset(images=96):
    generator = np.random.default_rng(5)
    pixels = generator.standard_normal((images, 8, 8, 1), dtype=np.float32)
    return Dataset(pixels, generator.integers(0, 5, images), tuple("abcde"))


def fitted(monkeypatch, build, record, callbacks=()):
    """A model that `fit` has trained for two epochs, the losses, and the phases at the end."""
    with monkeypatch.context() as patch:
        if not record:
            patch.setattr(RecordedStep, "__call__", plain_step)
        made = []
        patch.setattr(
            "minicnn.training.recorded.Recorded", lambda n: made.append(Recorded(n)) or made[-1]
        )
        model, optimizer = make(build)
        history = training.fit(
            model, dataset(), epochs=2, batch_size=12, optimizer=optimizer, callbacks=callbacks,
            progress=False, seed=3,
        )  # fmt: skip
    return model, [row["train_loss"] for row in history.rows], [phases(r) for r in made]


def plain_step(self, run, x, labels):
    training.loop.forward_backward(run, x, labels)


class Meddling(training.Callback):
    """May change attributes of layers in the middle of an epoch."""

    def on_step_end(self, trainer, loss):
        pass


def test_fit_records_each_epoch(monkeypatch):
    model, losses, none = fitted(monkeypatch, small, record=False)
    other, found, recorded = fitted(monkeypatch, small, record=True)
    assert found == losses
    assert_equal(model, other)
    assert none == []
    assert recorded == [[_Phase.REPEAT]] * 2


def test_fit_runs_the_code_of_others(monkeypatch):
    assert fitted(monkeypatch, small, True, callbacks=[Meddling()])[2] == []

    def own():
        return Sequential(conv=Conv2d(1, 4, 3), own=Counting(), flat=Flatten(), last=Linear(144, 5))

    Counting.calls = 0
    assert fitted(monkeypatch, own, record=True)[2] == []
    assert Counting.calls >= 16


def test_fit_runs_methods_that_were_replaced(monkeypatch):
    calls = []

    def watched():
        model = small()
        forward = model.flatten.forward
        model.flatten.forward = lambda *given, **more: calls.append(1) or forward(*given, **more)
        return model

    assert fitted(monkeypatch, watched, record=True)[2] == []
    assert len(calls) >= 16
