"""Products of bfloat16 numbers, against float64 products of the rounded numbers."""

import importlib

import numpy as np
import pytest

from minicnn import inference_mode, no_grad, predict, set_precision, training
from minicnn.device import precision as device_precision
from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import bfloat16
from minicnn.kernels.cpu.conv import algorithm
from minicnn.kernels.cpu.precision import precision, unavailable
from minicnn.kernels.reference import softmax
from minicnn.layers import Flatten, Linear, Sequential

linear = importlib.import_module("minicnn.kernels.cpu.linear")  # the package has its function
needs_products = pytest.mark.skipif(bool(unavailable("bf16")), reason=str(unavailable("bf16")))


def bits(x):
    """The upper halves of float32, rounded to the nearest, ties to even."""
    u = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((u.astype(np.uint64) + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def rounded(x):
    """x as bfloat16, in float64."""
    return (bits(x).astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def assert_near(found, expected):
    scale = np.linalg.norm(expected)
    assert np.linalg.norm(found - expected) <= 3e-7 * scale + 1e-12


def drawn(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# -- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [2, 6, 32, 50])
def test_words_of_neighboring_channels(channels):
    x = drawn((2, 3, 5, channels + 3))[..., 1 : channels + 1]  # a slice of channels
    words = bfloat16.neighbors(x, ((1, 0), (2, 3)))
    padded = np.pad(x, ((0, 0), (1, 0), (2, 3), (0, 0)))
    np.testing.assert_array_equal(words.view(np.uint16), bits(padded))


@pytest.mark.parametrize("columns", [1, 3, 16, 21])
def test_words_of_rows(columns):
    for w in (drawn((3, 2, 4, columns)), drawn((7, columns))):
        expected = np.pad(w, [(0, 0)] * (w.ndim - 2) + [(0, w.shape[-2] % 2), (0, 0)])
        expected = bits(expected).reshape(*w.shape[:-2], -1, 2, columns).swapaxes(-1, -2)
        words = bfloat16.row_words(w).view(np.uint16)
        np.testing.assert_array_equal(words.reshape(expected.shape), expected)


def test_what_is_not_finite_stays_so():
    x = np.zeros((1, 1, 1, 32), np.float32)
    x[..., :6] = np.array(
        [0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0x7F800000, 0xFF800000, 0x7F7FFFFF], np.uint32
    ).view(np.float32)
    found = (bfloat16.neighbors(x).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    assert np.isnan(found[..., :3]).all()
    np.testing.assert_array_equal(found[0, 0, 0, 3:6], [np.inf, -np.inf, np.inf])


# -- products -------------------------------------------------------------------------------------

CASES = [  # images, H, W, channels, filters, kernel, stride, padding, dilation, groups
    (2, 7, 9, 8, 18, (3, 3), 1, 1, 1, 1),
    (2, 9, 7, 6, 20, (3, 2), 2, 0, 1, 1),
    (1, 11, 8, 8, 36, (5, 5), 2, ((2, 0), (1, 3)), 1, 2),
    (2, 8, 8, 4, 34, (3, 3), 1, 2, 2, 1),
    (2, 7, 7, 12, 18, (1, 1), 1, 0, 1, 1),
    (3, 5, 5, 34, 22, (1, 1), 2, 0, 1, 1),
    (1, 6, 6, 64, 96, (3, 3), 1, 1, 1, 1),
    (1, 9, 9, 3, 33, (3, 3), 2, 1, 1, 1),  # odd channels and filters stay in float32
]


@needs_products
@pytest.mark.parametrize("case", CASES)
def test_convolution(case):
    images, h, w, channels, filters, kernel, *how, groups = case
    x, weights = drawn((images, h, w, channels)), drawn((*kernel, channels // groups, filters), 1)
    b = drawn(filters, 2)
    with precision("bf16"), algorithm("direct"):
        y = cpu.conv2d(x, weights, b, *how, groups, "relu")
        dy = drawn(y.shape, 3)
        dx = cpu.conv2d_grad_input(dy, weights, x.shape, *how, groups)
        dw, db = cpu.conv2d_grad_weight(dy, x, weights.shape, *how, groups)
    exact = np.float64
    forward = rounded if channels // groups % 2 == 0 else exact
    backward = rounded if filters // groups % 2 == 0 else exact
    expected = reference.conv2d(forward(x), forward(weights), exact(b), *how, groups, "relu")
    assert_near(y, expected)
    expected = reference.conv2d_grad_input(backward(dy), backward(weights), x.shape, *how, groups)
    assert_near(dx, expected)
    expected = reference.conv2d_grad_weight(rounded(dy), rounded(x), weights.shape, *how, groups)
    assert_near(dw, expected[0])
    assert_near(db, expected[1])


@needs_products
@pytest.mark.parametrize(("n", "depth", "columns"), [(64, 120, 84), (33, 20, 10), (13, 6, 2)])
def test_linear(n, depth, columns):
    x, w, b = drawn((n, depth)), drawn((depth, columns), 1), drawn(columns, 2)
    dy = drawn((n, columns), 3)
    with precision("bf16"):
        y, dx = linear.linear(x, w, b, "relu"), linear.linear_grad_input(dy, w)
        dw, db = linear.linear_grad_weight(dy, x)
    assert_near(y, np.maximum(rounded(x) @ rounded(w) + b, 0))
    assert_near(dx, rounded(dy) @ rounded(w).T)
    assert_near(dw, rounded(x).T @ rounded(dy))
    assert_near(db, rounded(dy).sum(axis=0))


@needs_products
@pytest.mark.parametrize(("n", "depth", "columns"), [(1, 22, 40), (12, 6, 2), (5, 32, 17)])
def test_linear_of_few_rows(n, depth, columns):
    """The words that are kept in `inference_mode` give the bits of those that are not."""
    x, w, b = drawn((n, depth)), drawn((depth, columns), 1), drawn(columns, 2)

    def assert_exact(found):
        assert_near(found, np.maximum(rounded(x) @ rounded(w) + b, 0))

    with precision("bf16"):
        y = linear.linear(x, w, b, "relu")
        assert_exact(y)
        with inference_mode():
            for _ in range(3):
                np.testing.assert_array_equal(linear.linear(x, w, b, "relu"), y)
        w[-1, -1] += 1
        assert_exact(linear.linear(x, w, b, "relu"))
        with inference_mode():
            for _ in range(2):
                assert_exact(linear.linear(x, w, b, "relu"))
        odd = linear.linear(x[:, 1:], w[1:], b)
    np.testing.assert_array_equal(odd, linear.linear(x[:, 1:], w[1:], b))


@needs_products
def test_kept_words_follow_the_weights():
    """After a step, after loading, and after a new array, predictions are those of the weights."""
    model = Sequential(Flatten(), Linear(8, 16), Linear(16, 3))
    x, optimizer = drawn((6, 2, 2, 2)), training.SGD(model.parameters(), lr=0.5)

    def assert_current():
        with precision("bf16"):
            found = np.array([p.probability for p in predict(model, x, batch_size=2)])
            with no_grad():
                expected = model(x)
        np.testing.assert_allclose(found, softmax(expected).max(axis=1), rtol=1e-5)

    assert_current()
    for parameter in model.parameters():
        parameter.grad += 1
    optimizer.step()
    assert_current()
    model.load_state_dict({name: -a for name, a in model.state_dict().items()})
    assert_current()
    model[1].weight.value[:] *= 3
    assert_current()
    model[2].weight.value = drawn((16, 3), 5)
    assert_current()


@needs_products
def test_winograd_stays_where_it_is_faster():
    x, w = drawn((4, 28, 28, 128)), drawn((3, 3, 128, 128), 1)
    expected = cpu.conv2d(x, w, padding=1)
    with precision("bf16"):
        np.testing.assert_array_equal(cpu.conv2d(x, w, padding=1), expected)


@needs_products
def test_one_zero_times_infinity_is_not_a_product():
    """An odd number of pixels gets a partner of zeros, on both sides."""
    x, dy = drawn((1, 3, 3, 4)), drawn((1, 3, 3, 2), 1)
    x[0, 2, 2] = np.inf
    dy[0, 2, 2] = 0
    with precision("bf16"), algorithm("direct"):
        dw, _ = cpu.conv2d_grad_weight(dy[:, :2], x[:, :2], (1, 1, 4, 2))
    assert np.isfinite(dw).all()


def test_the_precision_of_a_block_ends_with_it():
    x, w = drawn((40, 8)), drawn((8, 8), 1)
    before = linear.linear(x, w)
    if unavailable("bf16"):
        with pytest.raises(RuntimeError, match="precision 'bf16' is not available"):
            set_precision("bf16")
    else:
        set_precision("bf16")
        assert device_precision() == "bf16"
        assert (linear.linear(x, w) != before).any()
    set_precision("fp32")
    np.testing.assert_array_equal(linear.linear(x, w), before)
    with pytest.raises(ValueError, match="unknown precision 'fp8'"), precision("fp8"):
        pass
