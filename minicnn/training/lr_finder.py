"""The learning-rate finder: a short training in which the rate grows until the loss diverges."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import rng
from ..checks import checked_whole, is_number
from ..data.dataset import Dataset
from ..data.loader import Loader
from ..data.transforms import Augment
from ..device import to_host
from ..errors import TrainingError, brief
from ..layers import Layer
from .arguments import as_sets, kept_preprocess, make_loader, make_optimizer
from .losses import Loss
from .metrics import loss_of
from .preflight import check_data, check_optimizer
from .recipe import Recipe, choose_recipe
from .schedules import Constant
from .trainer import Settings, Trainer

SMOOTHING = 0.9  # share of the past in the smoothed loss
DIVERGED = 4.0  # the sweep ends where the smoothed loss is so many times its smallest value
FEWEST = 16  # steps that a suggestion needs
WINDOW = 7  # steps on both sides over which a slope is measured


@dataclass(frozen=True)
class RateSweep:
    """The result of `find_lr`.

    rates, losses: of each step. smoothed: the losses' exponential mean, from which the start is
    removed as in Adam. suggestion: the rate where the loss falls most per factor of the rate.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float

    def __repr__(self) -> str:
        first, last = self.rates[0], self.rates[-1]
        return (
            f"RateSweep({len(self.rates)} steps from {first:.2g} to {last:.2g}, "
            f"suggestion={self.suggestion:.2g})"
        )


def find_lr(
    model: Layer,
    data: Dataset | tuple[Any, Any],
    *,
    recipe: Recipe | str | None = None,
    batch_size: int | None = None,
    optimizer: str | None = None,
    loss: Loss | None = None,
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
    augment: Augment | None = None,
    start: float = 1e-6,
    end: float = 10.0,
    steps: int = 100,
    seed: int = 0,
) -> RateSweep:
    """Train for `steps` steps while the learning rate grows exponentially from `start` to `end`.

    The sweep ends early where the loss diverges. Afterwards weights, statistics, mode and random
    generator are as before. The other arguments are those of `fit`. Data that is too short for the
    steps is repeated.
    Source: Smith 2017, "Cyclical learning rates", section 3.3; the steepest slope as in fastai.
    Raises ValueError for a range or number of steps that is none, TrainingError if the loss
    diverges before there is anything to suggest.
    """
    if not is_number(start, 0) or not is_number(end, start) or not 0 < start < end:
        raise ValueError(f"start={brief(start)}, end={brief(end)}: expected 0 < start < end")
    steps = checked_whole("steps", steps, FEWEST)
    train, _, _ = as_sets(data)
    plan = choose_recipe(model, train.name, recipe)
    preprocess = preprocess or kept_preprocess(model, recipe, train)
    loader = make_loader(model, train, plan, batch_size, preprocess, augment, seed)
    loss = loss or plan.loss or loss_of(model)
    check_data(model, loader, {}, loss)
    state = {name: to_host(array).copy() for name, array in model.state_dict().items()}
    random = rng.state()
    rule = check_optimizer(make_optimizer(optimizer, model, plan, {}), model)
    slots = {name: to_host(array).copy() for name, array in rule.state_dict().items()}
    lr, updates = rule.lr, rule.steps
    try:
        rng.seed(seed)
        run = Trainer(
            *(model, loader, None, None, loss, rule, Constant()),
            settings=Settings(epochs=math.ceil(steps / len(loader))),
        )
        with model.mode_kept():
            rates, losses = _sweep(run, start * (end / start) ** np.linspace(0, 1, steps))
    finally:
        model.load_state_dict(state)
        rule.load_state_dict(slots, updates)
        rule.lr = lr
        for parameter in model.parameters():
            parameter.zero_grad()
        rng.set_state(random)
    return _suggest(rates, losses)


def _sweep(run: Trainer, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rates that were reached, and the loss at each."""
    losses: list[float] = []
    run.network.train()
    with np.errstate(all="ignore"):  # it diverges on purpose
        for rate, (x, labels) in zip(rates, _batches(run.loader), strict=False):
            run.optimizer.lr = float(rate)
            run.train_step(run, x, labels)
            run.metrics.count(len(labels))
            run.metrics.read()
            if not math.isfinite(run.metrics.last_loss):
                break
            losses.append(run.metrics.last_loss)
            smoothed = smooth(np.array(losses))
            if smoothed[-1] > DIVERGED * smoothed.min():
                break
            run.optimizer.step()
    return rates[: len(losses)], np.array(losses)


def _batches(loader: Loader) -> Iterator[tuple[Any, Any]]:
    """Epoch after epoch."""
    while True:
        yield from loader


def smooth(losses: Sequence[float] | np.ndarray) -> np.ndarray:
    """`m_i = b m_(i-1) + (1 - b) l_i`, divided by `1 - b^i`; b is 0.9."""
    mean, found = 0.0, []
    for i, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * float(loss)
        found.append(mean / (1 - SMOOTHING**i))
    return np.array(found)


def _suggest(rates: np.ndarray, losses: np.ndarray) -> RateSweep:
    """The rate at the steepest fall of the loss, before the minimum of its mean."""
    if not len(losses):
        raise TrainingError("the loss of the first batch is not finite, before any step")
    if len(losses) < FEWEST:
        raise TrainingError(
            f"the loss diverges after {len(losses)} steps, at a learning rate of {rates[-1]:.2g}; "
            f"expected at least {FEWEST} before: choose a smaller start, or more steps"
        )
    smoothed = smooth(losses)
    falling = losses[: max(FEWEST, int(smoothed.argmin()) + 1)]
    steepest = WINDOW + int(_slopes(falling).argmin())
    return RateSweep(rates, losses, smoothed, float(rates[steepest]))


def _slopes(losses: np.ndarray) -> np.ndarray:
    """The slope of the line through the losses of WINDOW steps on both sides, by least squares.

    For every step that has so many neighbors. Unlike that of the mean, it is not late.
    """
    k = np.arange(-WINDOW, WINDOW + 1)
    return np.correlate(losses, k / (k**2).sum(), mode="valid")
