"""Muon: its iteration by singular values, and its updates against torch's."""

import numpy as np
import pytest
import torch

from minicnn import training
from minicnn.layers import Conv2d, Flatten, Linear, Parameter, ReLU, Sequential
from minicnn.training import Muon
from minicnn.training.muon import QUINTIC, orthogonalize

GENERATOR = np.random.default_rng(0)


def exactly(matrix, iterations):
    """U p(...p(S / |S|)) V^T: the iteration changes only the singular values."""
    u, s, vt = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    a, b, c = QUINTIC
    s = s / np.sqrt((s**2).sum())
    for _ in range(iterations):
        s = a * s + b * s**3 + c * s**5
    return (u * s) @ vt


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (12, 12), (1, 5)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 2e-4)])
def test_the_iteration_changes_only_singular_values(shape, dtype, tolerance):
    matrix = GENERATOR.standard_normal(shape).astype(dtype)
    for iterations in (1, 3, 5):
        ours = orthogonalize(matrix, iterations)
        assert ours.shape == shape and ours.dtype == dtype
        np.testing.assert_allclose(ours, exactly(matrix, iterations), atol=tolerance)
    values = np.linalg.svd(orthogonalize(matrix, 5))[1]
    assert values.min() > 0.6 and values.max() < 1.3


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("shape", [(6, 15), (15, 6)])
def test_like_torch(shape, nesterov):
    """torch keeps `(out, in)`, and iterates in bfloat16: its updates are off by a percent."""
    start = GENERATOR.standard_normal(shape).astype(np.float32)
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05, "nesterov": nesterov}
    ours, theirs = Parameter(start.copy()), torch.nn.Parameter(torch.tensor(start.T.copy()))
    optimizer, judge = Muon([ours], **options), torch.optim.Muon([theirs], **options)
    for _ in range(5):
        gradient = GENERATOR.standard_normal(shape).astype(np.float32)
        ours.grad, theirs.grad = gradient, torch.tensor(gradient.T.copy())
        optimizer.step()
        judge.step()
    moved = abs(ours.value - start).max()
    assert abs(ours.value - theirs.detach().numpy().T).max() < 0.03 * moved


def test_filters_are_matrices_with_a_column_per_output():
    layer = Conv2d(3, 4, 2)
    layer.weight.grad = GENERATOR.standard_normal(layer.weight.value.shape)
    before = layer.weight.value.copy()
    Muon(layer.parameters(), lr=0.5, momentum=0.0).step()
    columns = layer.weight.grad.reshape(12, 4)
    step = exactly(columns, 5).reshape(before.shape)
    np.testing.assert_allclose(layer.weight.value, before - 0.5 * step, atol=1e-4)


def test_vectors_and_plain_matrices_get_momentum():
    layer = Linear(3, 2)
    for parameter in layer.parameters():
        parameter.grad = np.ones(parameter.value.shape)
    before = {name: array.copy() for name, array in layer.state_dict().items()}
    optimizer = Muon(layer.parameters(), 0.1, 0.5, 0.2, plain=[layer.weight], plain_lr=3)
    optimizer.step()
    for name, array in layer.state_dict().items():
        expected = before[name] * (1 - 0.3 * 0.2) - 0.3 * 1.5
        np.testing.assert_allclose(array, expected, rtol=1e-5)
    assert optimizer.settings()["plain"] == [0]


def test_normalized_weights():
    """Their norm is sqrt(outputs) before the update."""
    layer = Linear(5, 4, bias=False)
    Muon(layer.parameters(), lr=0.0, normalize=True).step()
    np.testing.assert_allclose(np.linalg.norm(layer.weight.value), 2, rtol=1e-6)


def test_by_name_it_trains():
    x = GENERATOR.standard_normal((64, 4, 4, 1)).astype(np.float32)
    labels = (x.sum(axis=(1, 2, 3)) > 0).astype(np.int64)
    net = Sequential(Flatten(), Linear(16, 32), ReLU(), Linear(32, 2))
    history = training.fit(
        net, (x, labels), optimizer="muon", epochs=15, batch_size=8, progress=False
    )
    assert history.rows[-1]["train_accuracy"] > 0.95


def test_arguments_are_checked():
    p = Parameter(np.zeros((2, 2), np.float32))
    for options, message in (
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"iterations": 0}, "iterations=0"),
        ({"plain": [Parameter(np.zeros(1))]}, "plain has a parameter that is not among"),
    ):
        with pytest.raises(ValueError, match=message):
            Muon([p], **options)
