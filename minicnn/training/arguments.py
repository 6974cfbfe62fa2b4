"""From the arguments of `fit` to the objects of a run; what is not given comes from the recipe."""

from copy import deepcopy
from typing import Any

from ..data.dataset import Dataset
from ..data.loader import Loader
from ..data.resident import ResidentLoader, can_stay
from ..device import model_device
from ..layers import Layer
from .optimizers import OPTIMIZERS, SGD, Optimizer
from .recipe import Recipe
from .schedules import SCHEDULES, Constant, Schedule


def first_given(*values: Any) -> Any:
    """The first value that is not None."""
    return next(value for value in values if value is not None)


def make_loader(
    model: Layer, train: Dataset, batch_size: int, preprocess: Any, augment: Any, seed: int
) -> Loader:
    """The loader of the training data: on the GPU, if the model and the data allow it."""
    is_resident = model_device(model) == "cuda" and can_stay(train, preprocess, augment)
    kind = ResidentLoader if is_resident else Loader
    return kind(train, batch_size, preprocess, augment, shuffle=True, seed=seed)


def make_optimizer(
    optimizer: Optimizer | str | None, model: Layer, recipe: Recipe | None, lr: float | None
) -> Optimizer:
    """The optimizer that `fit` was given, or named, or that the recipe has; else SGD."""
    if isinstance(optimizer, Optimizer):
        if lr is not None:
            raise ValueError("lr is given twice: to fit and to the optimizer")
        return optimizer
    if optimizer is None and recipe:
        return recipe.make_optimizer(model, lr)
    if optimizer is None:
        return SGD(model.parameters(), lr=0.01 if lr is None else lr, momentum=0.9)
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer={optimizer!r}: expected one of {', '.join(OPTIMIZERS)}")
    options: dict[str, Any] = {"momentum": 0.9} if optimizer == "sgd" else {}
    default_lr = 0.01 if optimizer == "sgd" else 1e-3
    rule: Any = OPTIMIZERS[optimizer]
    return rule(model.parameters(), lr=default_lr if lr is None else lr, **options)


def make_schedule(schedule: Schedule | str | None, recipe: Recipe | None) -> Schedule:
    """A schedule for one run: a copy of the one given, a named one, the recipe's, or constant."""
    if isinstance(schedule, Schedule):
        return deepcopy(schedule)
    if schedule is None:
        return recipe.make_schedule() if recipe else Constant()
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule={schedule!r}: expected one of {', '.join(SCHEDULES)}")
    try:
        return SCHEDULES[schedule]()
    except TypeError:
        raise ValueError(
            f"schedule={schedule!r} needs arguments: pass "
            f"training.schedules.{SCHEDULES[schedule].__name__}(...)"
        ) from None
