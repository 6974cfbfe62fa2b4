"""Every operation of every available backend against torch: 200 random cases an operation and type."""

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.kernels import dispatch, functional, reference

from .. import checks, strategies

BACKENDS = [name for name in dispatch.BACKENDS if isinstance(dispatch.load(name), ModuleType)]


class Through:
    """The dispatcher, with a backend chosen: what users get."""

    def __init__(self, backend):
        self.backend = backend

    def __getattr__(self, operation):
        def call(*args, **kwargs):
            with dispatch.use(self.backend):
                return getattr(functional, operation)(*args, **kwargs)

        return call


@pytest.mark.parametrize("dtype", strategies.DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("operation", strategies.NAMES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_operation(backend, operation, dtype):
    check = getattr(checks, f"check_{operation}")

    @given(strategies.NAMES[operation](dtype))
    def run(case):
        check(Through(backend), case)

    run()


def test_every_operation_has_a_check():
    """A new operation must come with its comparison; what torch has no twin for is named here, with the file that tests it."""
    elsewhere = {
        "dropout": "test_dropout.py",
        "sgd_update": "test_optim.py",
        "adam_update": "",
        "rmsprop_update": "",
    }
    inside = {
        "softmax",
        "activate",
        "relu",
        "sigmoid",
        "tanh",
        "scaled_tanh",
        "add",
        "empty",
    }  # checked with another operation
    covered = set(strategies.NAMES) | set(elsewhere) | inside
    for operation in functional.OPERATIONS:
        if operation in covered:
            continue
        base = operation.removesuffix("_input").removesuffix("_weight").removesuffix("_grad")
        assert base in covered, operation


@given(st.data())
def test_ties_go_to_the_first(data):
    """Of equal values the first in row-major order wins, also where windows overlap."""
    case = data.draw(strategies.pool2d(np.float64, symmetric=True))
    x = (
        np.random.default_rng(case["seed"])
        .integers(0, 2, (case["n"], case["h"], case["w"], case["c"]))
        .astype(float)
    )
    tie = checks.spaced
    checks.spaced = lambda case, shape: x
    try:
        checks.check_max_pool2d(reference, case)
    finally:
        checks.spaced = tie


def test_negative_values_survive_padding():
    """A border of zeros would win over them: DeZero and numpy-ml give [0, 0, 0, -1] here."""
    x = np.full((1, 3, 3, 1), -1.0)
    y, _ = reference.max_pool2d(x, 3, 2, 1)
    np.testing.assert_array_equal(y.ravel(), [-1, -1, -1, -1])


def test_lrn_window_has_size_channels():
    """The middle of 5 channels of ones sums all five, the ends three (darknet and Chainer's own test miss one)."""
    _, scale = reference.local_response_norm(np.ones((1, 1, 1, 5)), 5, alpha=1.0, k=0.0)
    np.testing.assert_array_equal(scale.ravel(), [3, 4, 5, 4, 3])


def test_lrn_alpha_means_two_things():
    """alpha=1e-4 as printed in the paper is torch's and Caffe's alpha=5e-4 for 5 channels."""
    x = 100 * np.random.default_rng(0).standard_normal((2, 3, 3, 8))
    paper, _ = reference.local_response_norm(x, 5, 1e-4, 0.75, 2.0)
    caffe, _ = reference.local_response_norm(x, 5, 5e-4, 0.75, 2.0, alpha_div_n=True)
    np.testing.assert_allclose(paper, caffe, rtol=1e-13)


def test_lrn_of_one_huge_value():
    """y = x / (alpha x^2)^beta stays finite and right when x^2 dwarfs k."""
    x = np.zeros((1, 1, 1, 5))
    x[..., 2] = 1e8
    y, scale = reference.local_response_norm(x, 5, 1.0, 0.75, 2.0)
    np.testing.assert_allclose(y[0, 0, 0, 2], 1e8 / 1e16**0.75)
    dx = reference.local_response_norm_grad(np.ones_like(x), x, y, scale, 5, 1.0, 0.75)
    np.testing.assert_allclose(dx[0, 0, 0, 2], 1e16**-0.75 * (1 - 1.5), rtol=1e-6)


def test_batch_norm_refuses_a_single_value():
    with pytest.raises(ValueError, match="more than one value per channel"):
        reference.batch_norm(np.ones((1, 1, 1, 3)), *np.ones((4, 3)), training=True)


def test_extreme_logits():
    """Logits of +-1e4 neither overflow nor give NaN, and the loss of a confident mistake is their distance."""
    loss, dlogits = reference.softmax_cross_entropy(np.array([[1e4, -1e4, 0.0]]), np.array([1]))
    assert loss == 2e4
    np.testing.assert_array_equal(dlogits, [[1, -1, 0]])
