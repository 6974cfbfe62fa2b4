"""Schedules against torch's where torch has them, and against their formula."""

import math
import re

import numpy as np
import pytest
import torch

from minicnn.training import schedules as s

STEPS, EPOCHS = 10, 12


def factors(schedule):
    return [schedule.at(step, STEPS, EPOCHS) for step in range(0, STEPS * EPOCHS, STEPS)]


def torch_factors(make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    values = []
    for _ in range(EPOCHS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


lr = torch.optim.lr_scheduler


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (s.StepDecay(4, 0.3), lambda o: lr.StepLR(o, 4, 0.3)),
        (s.MultiStep([3, 7], 0.2), lambda o: lr.MultiStepLR(o, [3, 7], 0.2)),
        (s.Exponential(0.9), lambda o: lr.ExponentialLR(o, 0.9)),
        (s.Polynomial(2.0), lambda o: lr.PolynomialLR(o, EPOCHS, 2.0)),
        (s.Cosine(0.1), lambda o: lr.CosineAnnealingLR(o, EPOCHS, 0.1)),
    ],
)
def test_like_torch(ours, theirs):
    assert factors(ours) == pytest.approx(torch_factors(theirs), rel=1e-9)


@pytest.mark.parametrize("value", ["a", None, -1, math.nan, math.inf, True, [1]])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda v: s.StepDecay(2, v), "StepDecay: gamma"),
        (lambda v: s.MultiStep([1], v), "MultiStep: gamma"),
        (s.Exponential, "Exponential: gamma"),
        (s.Polynomial, "Polynomial: power"),
        (s.InverseTimeDecay, "InverseTimeDecay: gamma"),
        (lambda v: s.InverseTimeDecay(0.1, v), "InverseTimeDecay: power"),
        (s.Cosine, "Cosine: end"),
        (s.OneCycle, "OneCycle: pct_start"),
        (lambda v: s.OneCycle(start=v), "OneCycle: start"),
        (lambda v: s.OneCycle(end=v), "OneCycle: end"),
        (lambda v: s.WarmUp(2, start=v), "WarmUp: start"),
    ],
)
def test_arguments_are_numbers(make, name, value):
    with pytest.raises(ValueError, match=f"^{name}={re.escape(repr(value))}: expected a finite"):
        make(value)


def test_the_unit_is_a_name():
    with pytest.raises(ValueError, match="StepDecay: unit=array.*: expected 'epoch' or 'step'"):
        s.StepDecay(2, unit=np.ones(2))


def test_one_cycle_like_torch():
    """Torch counts n - 1 intervals between its n steps, we count n."""
    total = 101
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = lr.OneCycleLR(
        optimizer,
        1.0,
        total,
        pct_start=0.3 + 0.7 / 101,
        cycle_momentum=False,
        div_factor=25,
        final_div_factor=1e4,
    )
    ours = s.OneCycle(0.3, unit="step")
    for step in range(total - 1):
        assert ours.factor(step, total - 1) == pytest.approx(
            optimizer.param_groups[0]["lr"], abs=2e-2
        )
        optimizer.step()
        scheduler.step()


def test_formulas():
    assert s.Constant().at(55, STEPS, EPOCHS) == 1
    assert s.InverseTimeDecay(1e-4, 0.75).at(10_000, 938, 11) == pytest.approx(2**-0.75)
    lines = s.PiecewiseLinear({1: 0.07, 0: 0.2, 0.25: 1})
    assert [lines.factor(t, 8) for t in (0, 1, 2, 5, 8)] == pytest.approx(
        [0.2, 0.6, 1, 0.535, 0.07]
    )
    assert lines.at(STEPS * EPOCHS // 4, STEPS, EPOCHS) == pytest.approx(1)
    table = s.PiecewiseConstant({0: 1, 2: 0.4, 5: 0.2})
    assert [table.factor(t, 20) for t in (0, 1.9, 2, 4.9, 5, 19)] == [1, 1, 0.4, 0.4, 0.2, 0.2]
    warm = s.WarmUp(5, s.StepDecay(10, 0.1))
    assert [warm.factor(t, 20) for t in (0, 2.5, 5, 10)] == pytest.approx([0, 0.5, 1, 0.1])
    assert s.Cosine(unit="step").at(STEPS * EPOCHS // 2, STEPS, EPOCHS) == pytest.approx(0.5)
    cycle = s.OneCycle(0.25)
    assert [cycle.factor(t, 100) for t in (0, 25, 100)] == pytest.approx([0.04, 1, 4e-6])


def test_plateau_like_torch():
    losses = [1, 0.9, 0.95, 0.91, 0.92, 0.9, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    ours = s.ReduceOnPlateau(0.1, patience=2, threshold=1e-4)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = lr.ReduceLROnPlateau(optimizer, factor=0.1, patience=2, threshold=1e-4)
    for loss in losses:
        ours.observe(loss)
        theirs.step(loss)
        assert ours.factor(0, 1) == pytest.approx(optimizer.param_groups[0]["lr"])
    copy = s.WarmUp(1, s.ReduceOnPlateau())
    copy.load_state_dict(s.WarmUp(1, ours).state_dict())
    assert copy.factor(5, 9) == ours.factor(5, 9) < 1


def test_arguments():
    with pytest.raises(ValueError, match="unit='week'"):
        s.Constant("week")
    with pytest.raises(ValueError, match="pct_start=1"):
        s.OneCycle(1)
    with pytest.raises(ValueError, match="expected one from time 0 on"):
        s.PiecewiseConstant({1: 0.5})
    with pytest.raises(ValueError, match="expected times from 0 to 1, with both"):
        s.PiecewiseLinear({0: 1, 0.5: 0.5})
    with pytest.raises(ValueError, match="length=0"):
        s.WarmUp(0)

    with pytest.raises(ValueError, match="schedule='cosine': expected a training.Schedule"):
        s.WarmUp(1, "cosine")
    with pytest.raises(ValueError, match=r"milestones=\['a'\]: expected a list of numbers"):
        s.MultiStep(["a"])
    with pytest.raises(ValueError, match="gamma=-1: expected 0 to 1"):
        s.ReduceOnPlateau(-1)
    with pytest.raises(ValueError, match="patience=-1: expected a number of epochs"):
        s.ReduceOnPlateau(patience=-1)


class Own(s.Schedule):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def factor(self, t, total):
        return self.function(t)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Own(lambda t: 1 - t), r"Own.*at step 7 of 12 the factor of the learning rate is -0\."),
        (Own(lambda t: (-1.0) ** t), r"at step 1 of 12 .* is \(0\.8"),
        (Own(lambda t: 1 if t < 1 else math.nan), "at step 6 of 12 .* is nan"),
        (s.WarmUp(1, s.PiecewiseConstant({0: 1, 1.8: -2})), "at step 11 of 12 "),
        (Own(lambda t: 1 / abs(12 * t - 4)), "at step 2 of 12 .* ZeroDivisionError"),
        (Own(lambda t: t + "a"), "at step 0 of 12 .* TypeError"),
    ],
)
def test_factors_that_are_no_rates(schedule, message):
    with pytest.raises(ValueError, match=message):
        schedule.check(6, 2)
    s.OneCycle().check(6, 2)


def test_repr_tells_schedules_apart():
    """A checkpoint compares them by it."""
    assert repr(s.StepDecay(4, 0.3)) != repr(s.StepDecay(5, 0.3))
    assert "StepDecay(unit='epoch', size=4" in repr(s.WarmUp(2, s.StepDecay(4)))
    assert math.isfinite(s.Polynomial().factor(13, 12))
