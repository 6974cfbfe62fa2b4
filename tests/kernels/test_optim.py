"""Parameter updates: against torch's optimizers over several steps, and two published rules."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn import training
from minicnn.kernels import reference
from minicnn.layers import Parameter

rates = st.floats(1e-4, 0.5)
decays = st.sampled_from([0.0, 1e-3, 0.1])


def compare(ours, theirs, dtype, seed, steps=6):
    """Give the optimizers that `ours(parameters)` and `theirs(tensors)` make the same gradients."""
    generator = np.random.default_rng(seed)
    start = [generator.standard_normal(shape).astype(dtype) for shape in ((3, 2), (4,), (17, 33))]
    parameters = [Parameter(a.copy()) for a in start]
    tensors = [torch.tensor(a, requires_grad=True) for a in start]
    mine, reference_optimizer = ours(parameters), theirs(tensors)
    for _ in range(steps):
        for p, t in zip(parameters, tensors, strict=True):
            p.grad[...] = generator.standard_normal(p.grad.shape)
            t.grad = torch.tensor(p.grad.copy())
        mine.step()
        reference_optimizer.step()
    for p, t in zip(parameters, tensors, strict=True):
        np.testing.assert_allclose(
            p.value,
            t.detach().numpy(),
            rtol=1e-10 if dtype == np.float64 else 2e-5,
            atol=1e-12 if dtype == np.float64 else 1e-5,
        )


dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@dtypes
@settings(max_examples=100)
@given(
    lr=rates,
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    decay=decays,
    nesterov=st.booleans(),
    seed=st.integers(0, 999),
)
def test_sgd(dtype, lr, momentum, decay, nesterov, seed):
    nesterov = nesterov and momentum > 0
    compare(
        lambda p: training.SGD(p, lr, momentum, decay, nesterov),
        lambda t: torch.optim.SGD(t, lr, momentum, weight_decay=decay, nesterov=nesterov),
        dtype,
        seed,
    )


@dtypes
@settings(max_examples=100)
@given(
    lr=rates,
    betas=st.sampled_from([(0.9, 0.999), (0.5, 0.9)]),
    decay=decays,
    seed=st.integers(0, 999),
)
def test_adam(dtype, lr, betas, decay, seed):
    compare(
        lambda p: training.Adam(p, lr, betas, weight_decay=decay),
        lambda t: torch.optim.Adam(t, lr, betas, weight_decay=decay, foreach=False),
        dtype,
        seed,
    )


@dtypes
@settings(max_examples=100)
@given(lr=rates, decay=decays, seed=st.integers(0, 999))
def test_adamw(dtype, lr, decay, seed):
    compare(
        lambda p: training.AdamW(p, lr, weight_decay=decay),
        lambda t: torch.optim.AdamW(t, lr, weight_decay=decay, foreach=False),
        dtype,
        seed,
    )


@dtypes
@settings(max_examples=100)
@given(
    lr=st.floats(1e-4, 0.05),
    alpha=st.sampled_from([0.9, 0.99]),
    momentum=st.sampled_from([0.0, 0.9]),
    decay=decays,
    seed=st.integers(0, 999),
)
def test_rmsprop(dtype, lr, alpha, momentum, decay, seed):
    compare(
        lambda p: training.RMSProp(p, lr, alpha, momentum=momentum, weight_decay=decay),
        lambda t: torch.optim.RMSprop(
            t, lr, alpha, momentum=momentum, weight_decay=decay, foreach=False
        ),
        dtype,
        seed,
    )


def test_caffe_form_differs_only_after_the_rate_drops():
    generator = np.random.default_rng(0)
    w = generator.standard_normal(5)
    theirs, ours = [w.copy(), np.zeros(5)], [w.copy(), np.zeros(5)]
    for step in range(6):
        g = generator.standard_normal(5)
        lr = 0.1 if step < 4 else 0.01
        for (value, velocity), form in ((theirs, "torch"), (ours, "caffe")):
            reference.sgd_update([value], [g], [velocity], [lr], [1e-2], momentum=0.9, form=form)
        assert np.allclose(theirs[0], ours[0], rtol=1e-12) == (step < 4)


def test_alexnets_rule_by_hand():
    """v <- 0.9 v - 0.0005 * eps * w - eps * g; w <- w + v (Krizhevsky et al. 2012, section 5)."""
    w, v, velocity = np.array([1.0]), np.array([0.0]), 0.0
    expected = 1.0
    for g in (0.5, -0.2, 0.3):
        velocity = 0.9 * velocity - 0.0005 * 0.01 * expected - 0.01 * g
        expected += velocity
        reference.sgd_update(
            [w], [np.array([g])], [v], [0.01], [0.0005], momentum=0.9, form="caffe"
        )
    np.testing.assert_allclose(w, expected, rtol=1e-14)
