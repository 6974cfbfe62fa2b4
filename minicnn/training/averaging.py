"""Averages of the weights over the steps of a training: EMA and Lookahead.

An average holds one array per entry of the model's `state_dict`: its parameters and buffers, such
as the statistics of batch norm. Evaluation uses the average, and so does the model after training;
`weights` in these docstrings are those that the optimizer changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ..checks import is_number, is_whole
from ..errors import brief, wrong
from ..kernels.types import Array
from ..layers import Layer


class Average:
    """The base. `fit(average=...)` takes a copy and calls its methods.

    state: name -> average, of the shapes of the model's `state_dict`; empty before `start`.
    depends_on_length: True if the average depends on how long the training will be.
    """

    depends_on_length = False

    def __init__(self) -> None:
        self.state: dict[str, Array] = {}

    def start(self, model: Layer) -> None:
        """Begin with the present weights."""
        self.state = {name: array.copy() for name, array in model.state_dict().items()}

    def update(self, model: Layer, step: int, total: int) -> None:
        """Called after each step, counted from 1, of `total`."""
        raise TypeError(f"{type(self).__name__} does not define update")

    def exchange(self, model: Layer) -> None:
        """Exchange the weights of the model and the average."""
        for name, array in model.state_dict().items():
            weights = array.copy()
            array[...] = self.state[name]
            self.state[name][...] = weights

    @contextmanager
    def applied(self, model: Layer) -> Iterator[None]:
        """Within this block the model has the averages, and this object the weights."""
        self.exchange(model)
        try:
            yield
        finally:
            self.exchange(model)

    def _move(self, model: Layer, decay: float) -> None:
        """`average = decay * average + (1 - decay) * weights`; integers are copied."""
        for name, array in model.state_dict().items():
            average = self.state[name]
            if array.dtype.kind == "f":
                average += (array - average) * array.dtype.type(1 - decay)
            else:
                average[...] = array

    def __repr__(self) -> str:
        settings = (f"{k}={v:g}" for k, v in vars(self).items() if isinstance(v, (int, float)))
        return f"{type(self).__name__}({', '.join(settings)})"


class EMA(Average):
    """The exponential moving average of the weights (Polyak & Juditsky 1992, with a decay).

    After step t `average = d * average + (1 - d) * weights`, d = min(decay, (1 + t) / (10 + t)), so
    that the first weights are soon forgotten (TensorFlow's rule).
    """

    def __init__(self, decay: float = 0.999):
        super().__init__()
        self.decay = _checked(self, "decay", decay)

    def update(self, model: Layer, step: int, total: int) -> None:
        self._move(model, min(self.decay, (1 + step) / (10 + step)))


class Lookahead(Average):
    """Slow weights, to which the weights return every few steps (Zhang et al. 2019).

    After every `every`-th step t of T, with d = decay * (t / T)^power:

        average = d * average + (1 - d) * weights,    weights = average

    The paper's alpha is 1 - decay, and constant: power 0. With `power` the averages get slower
    towards the end of the training.
    """

    def __init__(self, every: int = 5, decay: float = 0.5, power: float = 0.0):
        super().__init__()
        if not is_whole(every, 1) or not is_number(power, 0):
            raise ValueError(
                f"Lookahead: every={brief(every)}, power={brief(power)}: expected at least "
                "1 step and a power >= 0"
            )
        self.every, self.power = int(every), float(power)
        self.decay = _checked(self, "decay", decay)

    @property
    def depends_on_length(self) -> bool:  # type: ignore[override]
        """True if the decay grows with t / T."""
        return self.power != 0

    def update(self, model: Layer, step: int, total: int) -> None:
        if step % self.every == 0:
            self._move(model, self.decay * (step / total) ** self.power)
            for name, array in model.state_dict().items():
                array[...] = self.state[name]


def _checked(average: Average, name: str, value: float) -> float:
    if not is_number(value, 0, 1):
        raise wrong(average, name, value, "0 to 1")
    return float(value)
