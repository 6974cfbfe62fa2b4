"""Finite differences accept a right gradient and name a wrong one."""

import numpy as np
import pytest

from minicnn.layers import Layer, Linear, Parameter
from minicnn.study import check_gradients


def test_check_gradients_sees_a_wrong_one():
    class Wrong(Linear):
        def backward(self, dy, need_dx=True):
            return 1.01 * super().backward(dy, need_dx)

    x = np.random.default_rng(0).standard_normal((3, 4))
    right = check_gradients(Linear(4, 2).astype(np.float64), x)
    wrong = check_gradients(Wrong(4, 2).astype(np.float64), x)
    assert max(right.values()) < 1e-8
    assert wrong["x"] > 5e-3 > 1e-8 > wrong["weight"]
    with pytest.raises(ValueError, match="weight is float32; expected float64"):
        check_gradients(Linear(4, 2), x)


def test_numbers_that_are_not_finite():
    class NoNumbers(Linear):
        def backward(self, dy, need_dx=True):
            return super().backward(dy) * np.nan

    x = np.random.default_rng(0).standard_normal((3, 4))
    found = check_gradients(NoNumbers(4, 2).astype(np.float64), x)
    assert found["x"] == float("inf") and not found.ok
    with pytest.raises(ValueError, match="the output of Linear is not finite"):
        check_gradients(Linear(4, 2).astype(np.float64), x * np.nan)


class Gain(Layer):
    """Right; the mistakes below are what students make."""

    def __init__(self):
        self.gain, self.shift = Parameter(np.full(3, 1.5)), Parameter(np.zeros(3))

    def forward(self, x):
        self.save_for_backward(x)
        return x * self.gain.value + self.shift.value

    def backward(self, dy):
        (x,) = self.pop_saved()
        self.gain.add_grad((dy * x).sum((0, 1, 2)))
        self.shift.add_grad(dy.sum((0, 1, 2)))
        return dy * self.gain.value


def forgotten_parameters(self, dy):
    return dy * self.gain.value


def forgotten_shift(self, dy):
    (x,) = self.pop_saved()
    self.gain.add_grad((dy * x).sum((0, 1, 2)))
    return dy * self.gain.value


def zero_dx(self, dy):
    return 0 * Gain.backward(self, dy)


def half_of_dx(self, dy):
    dx = Gain.backward(self, dy)
    dx[:, 1:] = 0
    return dx


def one_channel(self, dy):
    dx = Gain.backward(self, dy)
    self.gain.grad[1:] = 0
    return dx


def wrong_shape_of_dx(self, dy):
    return Gain.backward(self, dy)[:1]


@pytest.mark.parametrize(
    ("mistake", "names"),
    [
        (forgotten_parameters, {"gain", "shift"}),
        (forgotten_shift, {"shift"}),
        (zero_dx, {"x"}),
        (half_of_dx, {"x"}),
        (one_channel, {"gain"}),
        (wrong_shape_of_dx, {"x"}),
    ],
)
def test_a_gradient_that_is_forgotten_or_zero_is_wrong(mistake, names):
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 3))
    right = check_gradients(Gain(), x)
    assert right.ok
    assert right._repr_html_().endswith("<p>all gradients are right (tolerance 1e-05)</p>")
    assert str(right).endswith("all gradients are right (tolerance 1e-05)")
    found = check_gradients(type("Mistaken", (Gain,), {"backward": mistake})(), x)
    assert not found.ok
    assert {name for name, error in found.items() if error > found.tolerance} == names
    assert str(found).count("WRONG") == len(names)


def test_a_forward_that_changes_its_input_is_refused():
    class Damaging(Gain):
        def forward(self, x):
            x *= 2
            return super().forward(x)

    with pytest.raises(ValueError, match="the forward of Damaging changes its input"):
        check_gradients(Damaging(), np.ones((1, 2, 2, 3)))
