"""LeNet's family: counts from the papers' tables, gradients, and that training works."""

import numpy as np
import pytest
import torch
from torch import nn

import minicnn
from minicnn import data, models, training
from minicnn.models.lenet import C3_CONNECTIONS, LENET5_1998_INPUT, rbf_codes
from minicnn.study import check_gradients, summarize

COUNTS = {  # parameters, multiply-accumulates, connections
    "lenet5": (61_706, 416_520, 423_038),
    "lenet5_sigmoid": (62_006, 651_720, None),
    "lenet5_1998": (60_000, 326_520, 340_908),
    "lenet_caffe": (431_080, 2_293_000, None),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    parameters, macs, connections = COUNTS[name]
    table = summarize(models.create(name))
    assert (table.parameters, table.macs) == (parameters, macs)
    assert connections in (None, table.connections)
    assert table.memory > 0


def test_lenet5_table():
    """The textbook's table, with two errors corrected: 241,600 connections in C3, 48,120 in C5."""
    rows = summarize(models.create("lenet5")).rows
    assert [
        (r.name, r.output, r.parameters, r.connections) for r in rows if r.layer != "Flatten"
    ] == [
        ("C1", (28, 28, 6), 156, 122_304),
        ("S2", (14, 14, 6), 0, 0),
        ("C3", (10, 10, 16), 2_416, 241_600),
        ("S4", (5, 5, 16), 0, 0),
        ("C5", (1, 1, 120), 48_120, 48_120),
        ("F6", (84,), 10_164, 10_164),
        ("output", (10,), 850, 850),
    ]


def test_lenet5_1998_table():
    """The paper's counts of each layer; their sums are 60,000 parameters, 340,908 connections."""
    model = models.create("lenet5_1998")
    rows = {r.name: (r.parameters, r.connections) for r in summarize(model).rows}
    assert rows["C1"] == (156, 122_304)
    assert rows["S2"] == (12, 5_880)
    assert rows["C3"] == (1_516, 151_600)
    assert rows["S4"] == (32, 2_000)
    assert rows["C5"] == (48_120, 48_120)
    assert rows["F6"] == (10_164, 10_164)
    assert rows["output"] == (0, 840)
    assert summarize(model).fixed == 840


def test_c3_connections_are_the_papers():
    maps = [tuple(np.flatnonzero(C3_CONNECTIONS[:, k])) for k in range(16)]
    assert maps[:6] == [(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)]
    assert maps[6:12] == [
        (0, 1, 2, 3),
        (1, 2, 3, 4),
        (2, 3, 4, 5),
        (0, 3, 4, 5),
        (0, 1, 4, 5),
        (0, 1, 2, 5),
    ]
    assert maps[12:] == [(0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)]


def test_rbf_codes():
    codes = rbf_codes()
    assert codes.shape == (10, 84)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    distances = ((codes[:, None] != codes) + 0).sum(2)[~np.eye(10, dtype=bool)]
    assert distances.min() == 8
    assert ["".join(".#"[int(v > 0)] for v in row) for row in codes[1].reshape(12, 7)[:3]] == [
        "...#...",
        "..##...",
        ".#.#...",
    ]


def test_1998_input():
    """Background -0.1, foreground 1.175 (LeCun et al. 1998, section II.B)."""
    out = LENET5_1998_INPUT(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1))
    np.testing.assert_allclose(
        [out[0, 16, 16, 0], out[1].max(), out[1].min()], [-0.1, 1.175, -0.1], rtol=1e-5
    )


def test_1998_initial_weights():
    """U(-2.4 / fan_in, 2.4 / fan_in), and C3's fan-in is 75, 100 or 150."""
    weight = models.create("lenet5_1998", seed=0).C3.weight
    assert set(np.unique(weight.fan_in)) == {75, 100, 150}
    for k in range(16):
        largest = abs(weight.value[..., k]).max()
        bound = 2.4 / (25 * C3_CONNECTIONS[:, k].sum())
        assert 0.9 * bound < largest <= bound


@pytest.mark.parametrize("name", COUNTS)
def test_gradients(name):
    model = models.create(name, seed=1).astype(np.float64)
    if name == "lenet5_1998":
        labels, loss = np.array([3, 8]), model.loss
    else:
        labels, loss = np.array([3, 8]), training.SoftmaxCrossEntropy()
    x = np.random.default_rng(0).standard_normal((2, *model.input_shape))
    errors = check_gradients(
        model, x, eps=1e-5 if name == "lenet5_1998" else 1e-7
    )  # small where ReLU and max pooling have kinks to cross
    assert max(errors.values()) < 1e-5, errors

    # and through the loss, along one direction
    value, gradient = loss(model(x), labels)
    model.zero_grad()
    dx = model.backward(gradient)
    direction = np.random.default_rng(1).standard_normal(x.shape)
    above, below = (float(loss(model(x + e * direction), labels)[0]) for e in (1e-6, -1e-6))
    np.testing.assert_allclose((above - below) / 2e-6, (dx * direction).sum(), rtol=1e-4)
    assert np.isfinite(value)


def torch_lenet5():
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    ).double()


def test_lenet5_trains_like_torch():
    """Ten SGD steps in float64 from the same weights: losses and final weights are torch's."""
    ours = models.create("lenet5", seed=0).astype(np.float64)
    theirs = torch_lenet5()
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    for p, t in pairs:
        value = p.value.transpose(3, 2, 0, 1) if p.value.ndim == 4 else p.value.T
        t.data = torch.tensor(np.ascontiguousarray(value))
    optimizer = training.SGD(ours.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    reference = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    generator = np.random.default_rng(0)
    for _ in range(10):
        x, labels = generator.standard_normal((16, 32, 32, 1)), generator.integers(0, 10, 16)
        loss, gradient = minicnn.softmax_cross_entropy(ours(x), labels)
        optimizer.zero_grad()
        ours.backward(gradient)
        optimizer.step()
        their_loss = nn.functional.cross_entropy(
            theirs(torch.tensor(x.transpose(0, 3, 1, 2))), torch.tensor(labels)
        )
        reference.zero_grad()
        their_loss.backward()
        reference.step()
        np.testing.assert_allclose(loss, their_loss.item(), rtol=1e-10)
    for p, t in pairs:
        value = t.detach().numpy()
        np.testing.assert_allclose(
            p.value,
            value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T,
            rtol=1e-8,
            atol=1e-12,
        )


def test_learns_the_digits():
    """The default recipe on the embedded digits, a third of its epochs."""
    train, test = data.digits()
    model = models.create("lenet5", seed=0, recipe="digits")
    history = training.fit(model, train, test, epochs=10, progress=False)
    assert history.rows[-1]["test_accuracy"] > 0.95


@pytest.mark.parametrize("name", COUNTS)
def test_every_recipe_starts_to_learn_mnist(name, mnist):
    train, test = mnist
    model = models.create(name, seed=0)
    epochs = 6 if name == "lenet5_sigmoid" else 2
    history = training.fit(
        model,
        train.subset(slice(0, 4000)),
        test.subset(slice(0, 500)),
        epochs=epochs,
        progress=False,
    )
    assert history.rows[-1]["test_accuracy"] > 0.8, history
