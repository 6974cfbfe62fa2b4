"""Learning-rate schedules: the factor by which the base rate is multiplied, as a function of time.

Time t is counted in epochs (fractions count) unless a schedule is given `unit="step"`. `total` is the length of the training in the same
unit; `training.fit` fills it in.
"""

import math


class Schedule:
    """The base, and the constant schedule: factor 1 for ever."""

    def __init__(self, unit: str = "epoch"):
        if unit not in ("epoch", "step"):
            raise ValueError(f"{type(self).__name__}: unit={unit!r}: expected 'epoch' or 'step'")
        self.unit = unit

    def factor(self, t: float, total: float) -> float:
        """The factor at time t of `total`."""
        return 1.0

    def at(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """The factor for that step of the training, the first being 0."""
        scale = steps_per_epoch if self.unit == "epoch" else 1
        return self.factor(step / scale, epochs * steps_per_epoch / scale)

    def observe(self, metric: float) -> None:
        """Told the test loss (or the training loss, if there is no test set) after each epoch."""

    def state_dict(self) -> dict:
        """What the schedule has learned from `observe`, for a checkpoint."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Return to a state given by `state_dict`."""

    def __repr__(self):
        values = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({values})"


class Constant(Schedule):
    """Factor 1 for ever."""


class Step(Schedule):
    """`gamma^floor(t / size)`: a drop every `size` epochs."""

    def __init__(self, size: float, gamma: float = 0.1, unit: str = "epoch"):
        super().__init__(unit)
        self.size, self.gamma = size, gamma

    def factor(self, t, total):
        return self.gamma ** math.floor(t / self.size)


class MultiStep(Schedule):
    """`gamma^(number of milestones that t has reached)`."""

    def __init__(self, milestones, gamma: float = 0.1, unit: str = "epoch"):
        super().__init__(unit)
        self.milestones, self.gamma = tuple(milestones), gamma

    def factor(self, t, total):
        return self.gamma ** sum(t >= m for m in self.milestones)


class Table(Schedule):
    """Given factors from given times on: `Table({0: 1, 2: 0.4})` drops to 0.4 at t = 2. LeCun et al. 1998 print theirs so."""

    def __init__(self, factors: dict[float, float], unit: str = "epoch"):
        super().__init__(unit)
        if 0 not in factors:
            raise ValueError(f"Table: factors={factors!r}: expected one from time 0 on")
        self.factors = dict(sorted(factors.items()))

    def factor(self, t, total):
        return [value for start, value in self.factors.items() if start <= t][-1]


class Exponential(Schedule):
    """`gamma^t`."""

    def __init__(self, gamma: float, unit: str = "epoch"):
        super().__init__(unit)
        self.gamma = gamma

    def factor(self, t, total):
        return self.gamma**t


class Polynomial(Schedule):
    """`(1 - t / total)^power` (Caffe's "poly")."""

    def __init__(self, power: float = 1.0, unit: str = "epoch"):
        super().__init__(unit)
        self.power = power

    def factor(self, t, total):
        return max(0.0, 1 - t / total) ** self.power


class Inverse(Schedule):
    """`(1 + gamma t)^(-power)` (Caffe's "inv", where t counts steps)."""

    def __init__(self, gamma: float = 1e-4, power: float = 0.75, unit: str = "step"):
        super().__init__(unit)
        self.gamma, self.power = gamma, power

    def factor(self, t, total):
        return (1 + self.gamma * t) ** -self.power


class Cosine(Schedule):
    """`end + (1 - end) (1 + cos(pi t / total)) / 2` (Loshchilov & Hutter 2017, without restarts)."""

    def __init__(self, end: float = 0.0, unit: str = "epoch"):
        super().__init__(unit)
        self.end = end

    def factor(self, t, total):
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * min(t / total, 1))) / 2


class OneCycle(Schedule):
    """Up from `start` to 1 during the share `rise` of the training, then down to `end`, both along a cosine (Smith & Topin 2018)."""

    def __init__(
        self, rise: float = 0.3, start: float = 0.04, end: float = 4e-6, unit: str = "epoch"
    ):
        super().__init__(unit)
        if not 0 < rise < 1:
            raise ValueError(f"OneCycle: rise={rise!r}: expected a share, 0 < rise < 1")
        self.rise, self.start, self.end = rise, start, end

    def factor(self, t, total):
        x = min(t / total, 1)
        low, phase = (
            (self.start, 1 - x / self.rise)
            if x < self.rise
            else (self.end, (x - self.rise) / (1 - self.rise))
        )
        return low + (1 - low) * (1 + math.cos(math.pi * phase)) / 2


class WarmUp(Schedule):
    """Rise linearly from `start` to 1 during the first `length`, on top of another schedule (Goyal et al. 2017, section 2.2)."""

    def __init__(self, length: float, schedule: Schedule | None = None, start: float = 0.0):
        self.schedule = schedule or Constant()
        super().__init__(self.schedule.unit)
        if length <= 0:
            raise ValueError(
                f"WarmUp: length={length!r}: expected a positive number of {self.unit}s"
            )
        self.length, self.start = length, start

    def factor(self, t, total):
        ramp = self.start + (1 - self.start) * min(t / self.length, 1)
        return ramp * self.schedule.factor(t, total)

    def observe(self, metric):
        self.schedule.observe(metric)

    def state_dict(self):
        return self.schedule.state_dict()

    def load_state_dict(self, state):
        self.schedule.load_state_dict(state)


class ReduceOnPlateau(Schedule):
    """Multiply the rate by `gamma` when the loss has not fallen by `threshold` (relative) for more than `patience` epochs."""

    def __init__(self, gamma: float = 0.1, patience: int = 5, threshold: float = 1e-3):
        super().__init__()
        self.gamma, self.patience, self.threshold = gamma, patience, threshold
        self._best, self._bad, self._factor = math.inf, 0, 1.0

    def factor(self, t, total):
        return self._factor

    def observe(self, metric):
        if metric < self._best * (1 - self.threshold):
            self._best, self._bad = metric, 0
            return
        self._bad += 1
        if self._bad > self.patience:
            self._factor, self._bad = self._factor * self.gamma, 0

    def state_dict(self):
        return {"best": self._best, "bad": self._bad, "factor": self._factor}

    def load_state_dict(self, state):
        self._best, self._bad, self._factor = state["best"], state["bad"], state["factor"]


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "multistep": MultiStep,
    "exponential": Exponential,
    "polynomial": Polynomial,
    "inverse": Inverse,
    "cosine": Cosine,
    "onecycle": OneCycle,
    "plateau": ReduceOnPlateau,
}
