"""Learning-rate schedules: the factor of the base learning rate as a function of time.

Time t is in epochs, with fractions, unless a schedule has `unit="step"`. `total` is the length of
the training in the same unit; `training.fit` fills it in.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..checks import is_number, is_one_of, plain
from ..errors import brief, wrong


class Schedule:
    """The base, and the constant schedule: the factor is always 1."""

    def __init__(self, unit: str = "epoch"):
        if not is_one_of(unit, ("epoch", "step")):
            raise wrong(self, "unit", unit, "'epoch' or 'step'")
        self.unit = unit

    def factor(self, t: float, total: float) -> float:
        """The factor at time t of `total`."""
        return 1.0

    def at(self, step: int, steps_per_epoch: int, epochs: float) -> float:
        """The factor for that step of the training, the first being 0."""
        scale = steps_per_epoch if self.unit == "epoch" else 1
        return self.factor(step / scale, epochs * steps_per_epoch / scale)

    def depends_on(self, epochs: float, other: float, steps_per_epoch: int) -> bool:
        """True if runs of `epochs` and `other` epochs have different factors at the same time t."""
        steps = range(int(min(epochs, other) * steps_per_epoch))
        return any(
            self.at(step, steps_per_epoch, epochs) != self.at(step, steps_per_epoch, other)
            for step in steps[:: max(1, len(steps) // 1000)]
        )

    def check(self, steps_per_epoch: int, epochs: float) -> None:
        """Raise ValueError unless the factors of such a run are finite numbers of at least 0."""
        steps = range(max(1, int(epochs * steps_per_epoch)))
        for step in {*steps[:: max(1, len(steps) // 1000)], steps[-1]}:
            try:
                found: Any = self.at(step, steps_per_epoch, epochs)
            except (ArithmeticError, TypeError, ValueError) as error:
                found = error
            if not is_number(found, 0):
                raise ValueError(
                    f"schedule={brief(self)}: at step {step} of {len(steps)} the factor of the "
                    f"learning rate is {found!r}; expected a finite number >= 0"
                )

    def observe(self, metric: float) -> None:
        """Called after each epoch with the test loss; without a test set, the training loss."""

    def state_dict(self) -> dict[str, Any]:
        """The state that `observe` changes, for a checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state given by `state_dict`."""

    def __repr__(self) -> str:
        values = ", ".join(
            f"{k}={plain(v)!r}" for k, v in vars(self).items() if not k.startswith("_")
        )
        return f"{type(self).__name__}({values})"


def checked_numbers(schedule: Schedule, **numbers: Any) -> None:
    """Keep the arguments as attributes. Raises ValueError unless they are finite and at least 0."""
    for name, value in numbers.items():
        if not is_number(value, 0):
            raise wrong(schedule, name, value, "a finite number >= 0")
        setattr(schedule, name, plain(value))


class Constant(Schedule):
    """The factor is always 1."""


class StepDecay(Schedule):
    """`gamma^floor(t / size)`: a drop every `size` epochs."""

    size: float
    gamma: float

    def __init__(self, size: float, gamma: float = 0.1, unit: str = "epoch"):
        super().__init__(unit)
        if not is_number(size, 0) or size == 0:
            raise ValueError(
                f"StepDecay: size={brief(size)}: expected a positive number of {unit}s"
            )
        checked_numbers(self, size=size, gamma=gamma)

    def factor(self, t: float, total: float) -> float:
        return self.gamma ** math.floor(t / self.size)


class MultiStep(Schedule):
    """`gamma^(number of milestones that t has reached)`."""

    gamma: float

    def __init__(self, milestones: Iterable[float], gamma: float = 0.1, unit: str = "epoch"):
        super().__init__(unit)
        self.milestones = tuple(map(plain, milestones)) if isinstance(milestones, Iterable) else ()
        if not all(map(is_number, self.milestones)) or not isinstance(milestones, Iterable):
            raise ValueError(
                f"MultiStep: milestones={brief(milestones)}: expected a list of numbers"
            )
        checked_numbers(self, gamma=gamma)

    def factor(self, t: float, total: float) -> float:
        return self.gamma ** sum(t >= m for m in self.milestones)


class PiecewiseConstant(Schedule):
    """Given factors from given times on: `PiecewiseConstant({0: 1, 2: 0.4})` is 0.4 from t = 2 on.

    LeCun et al. 1998 state their rates in this form.
    """

    def __init__(self, factors: dict[float, float], unit: str = "epoch"):
        super().__init__(unit)
        if not isinstance(factors, dict) or 0 not in factors or not all(map(is_number, factors)):
            raise ValueError(
                f"PiecewiseConstant: factors={brief(factors)}: expected one from time 0 on"
            )
        self.factors = dict(sorted(factors.items()))

    def factor(self, t: float, total: float) -> float:
        return [value for start, value in self.factors.items() if start <= t][-1]


class Exponential(Schedule):
    """`gamma^t`."""

    gamma: float

    def __init__(self, gamma: float, unit: str = "epoch"):
        super().__init__(unit)
        checked_numbers(self, gamma=gamma)

    def factor(self, t: float, total: float) -> float:
        return self.gamma**t


class Polynomial(Schedule):
    """`(1 - t / total)^power` (Caffe's "poly")."""

    power: float

    def __init__(self, power: float = 1.0, unit: str = "epoch"):
        super().__init__(unit)
        checked_numbers(self, power=power)

    def factor(self, t: float, total: float) -> float:
        return max(0.0, 1 - t / total) ** self.power


class InverseTimeDecay(Schedule):
    """`(1 + gamma t)^(-power)` (Caffe's "inv", where t counts steps)."""

    gamma: float
    power: float

    def __init__(self, gamma: float = 1e-4, power: float = 0.75, unit: str = "step"):
        super().__init__(unit)
        checked_numbers(self, gamma=gamma, power=power)

    def factor(self, t: float, total: float) -> float:
        return (1 + self.gamma * t) ** -self.power


class Cosine(Schedule):
    """`end + (1 - end) (1 + cos(pi t / total)) / 2`.

    Source: Loshchilov & Hutter 2017, without restarts.
    """

    end: float

    def __init__(self, end: float = 0.0, unit: str = "epoch"):
        super().__init__(unit)
        checked_numbers(self, end=end)

    def factor(self, t: float, total: float) -> float:
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * min(t / total, 1))) / 2


class OneCycle(Schedule):
    """Up from `start` to 1, then down to `end`, both along a cosine (Smith & Topin 2018).

    pct_start: the fraction of the training in which the rate rises.
    """

    pct_start: float
    start: float
    end: float

    def __init__(
        self, pct_start: float = 0.3, start: float = 0.04, end: float = 4e-6, unit: str = "epoch"
    ):
        super().__init__(unit)
        checked_numbers(self, pct_start=pct_start, start=start, end=end)
        if not 0 < pct_start < 1:
            raise ValueError(f"OneCycle: pct_start={brief(pct_start)}: expected 0 < pct_start < 1")

    def factor(self, t: float, total: float) -> float:
        x = min(t / total, 1)
        low, phase = (
            (self.start, 1 - x / self.pct_start)
            if x < self.pct_start
            else (self.end, (x - self.pct_start) / (1 - self.pct_start))
        )
        return low + (1 - low) * (1 + math.cos(math.pi * phase)) / 2


class PiecewiseLinear(Schedule):
    """Straight lines between given factors: `PiecewiseLinear({0: 0.2, 0.23: 1, 1: 0.07})`.

    The times are fractions of the training.
    """

    def __init__(self, factors: dict[float, float], unit: str = "epoch"):
        super().__init__(unit)
        times = factors if isinstance(factors, dict) else {}
        if not {0, 1} <= times.keys() or not all(is_number(time, 0, 1) for time in times):
            raise ValueError(
                f"PiecewiseLinear: factors={brief(factors)}: expected times from 0 to 1, with both"
            )
        self.factors = dict(sorted(factors.items()))

    def factor(self, t: float, total: float) -> float:
        return float(np.interp(t / total, list(self.factors), list(self.factors.values())))


class WarmUp(Schedule):
    """Rise linearly from `start` to 1 in the first `length`, times another schedule.

    Source: Goyal et al. 2017, section 2.2.
    """

    length: float
    start: float

    def __init__(self, length: float, schedule: Schedule | None = None, start: float = 0.0):
        self.schedule = schedule or Constant()
        if not isinstance(self.schedule, Schedule):
            raise ValueError(f"WarmUp: schedule={brief(schedule)}: expected a training.Schedule")
        super().__init__(self.schedule.unit)
        if not is_number(length, 0) or length == 0:
            raise ValueError(
                f"WarmUp: length={brief(length)}: expected a positive number of {self.unit}s"
            )
        checked_numbers(self, length=length, start=start)

    def factor(self, t: float, total: float) -> float:
        ramp = self.start + (1 - self.start) * min(t / self.length, 1)
        return ramp * self.schedule.factor(t, total)

    def observe(self, metric: float) -> None:
        self.schedule.observe(metric)

    def state_dict(self) -> dict[str, Any]:
        return self.schedule.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.schedule.load_state_dict(state)


class ReduceOnPlateau(Schedule):
    """Multiply the rate by `gamma` when the loss stops falling.

    That is when it has not fallen by the fraction `threshold` for more than `patience` epochs.
    """

    def __init__(self, gamma: float = 0.1, patience: int = 5, threshold: float = 1e-3):
        super().__init__()
        settings = {"gamma": gamma, "patience": patience, "threshold": threshold}
        for name, value in settings.items():
            if not is_number(value, 0, math.inf if name == "patience" else 1):
                wanted = "a number of epochs" if name == "patience" else "0 to 1"
                raise ValueError(f"ReduceOnPlateau: {name}={brief(value)}: expected {wanted}")
        self.gamma, self.patience, self.threshold = gamma, patience, threshold
        self._best, self._bad, self._factor = math.inf, 0, 1.0

    def factor(self, t: float, total: float) -> float:
        return self._factor

    def observe(self, metric: float) -> None:
        if metric < self._best * (1 - self.threshold):
            self._best, self._bad = metric, 0
            return
        self._bad += 1
        if self._bad > self.patience:
            self._factor, self._bad = self._factor * self.gamma, 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "bad": self._bad, "factor": self._factor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best, self._bad, self._factor = state["best"], state["bad"], state["factor"]


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "multistep": MultiStep,
    "piecewise": PiecewiseConstant,
    "exponential": Exponential,
    "polynomial": Polynomial,
    "inverse": InverseTimeDecay,
    "cosine": Cosine,
    "onecycle": OneCycle,
    "plateau": ReduceOnPlateau,
}
