"""From the arguments of `fit` to the objects of a run; the recipe has what is not given."""

import inspect
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import is_number, is_one_of, plain
from ..data.dataset import Dataset, as_dataset
from ..data.loader import Loader
from ..data.resident import ResidentLoader, UploadingLoader, can_stay
from ..data.shards import Shards
from ..data.transforms import Augment, Preprocess
from ..device import model_device
from ..distributed.team import Team
from ..errors import TrainingError, brief
from ..layers import Layer, Network, metadata
from . import checkpoint
from .metrics import recipe_preprocess
from .optimizers import OPTIMIZERS, Optimizer
from .recipe import Recipe
from .schedule_text import parse_schedule
from .schedules import Schedule, WarmUp


def run_folder(out: str | Path | None, resume: bool) -> Path | None:
    """The folder of a run, or None. Raises TrainingError if it holds a run that is not resumed."""
    if out is None:
        if resume:
            raise ValueError("resume=True: expected out=FOLDER too, the folder of the run")
        return None
    if not isinstance(out, (str, PathLike)) or not str(out):
        raise ValueError(f"out={brief(out)}: expected a folder")
    folder = Path(out)
    if (folder / checkpoint.LAST).exists() and not resume:
        raise TrainingError(f"{folder} already holds a run: resume it, or choose another folder")
    return folder


def as_sets(
    train: Any, test: Any = None, validation: Any = None
) -> tuple[Dataset, Dataset | None, Dataset | None]:
    """The sets as Datasets, their classes those of the training set. Raises DataError."""
    train = as_dataset(train)
    test, validation = (
        None if part is None else as_dataset(part).with_classes(train.known_classes)
        for part in (test, validation)
    )
    return train, test, validation


def checked_epochs(epochs: float) -> float:
    """The number of epochs. Raises ValueError unless it is at least 1 and finite."""
    if not is_number(epochs, 1):
        raise ValueError(f"epochs={brief(epochs)}: expected a number of at least 1")
    return plain(epochs)


def kept_preprocess(model: Layer, recipe: Recipe | str | None, train: Dataset) -> Any:
    """What the model's weights were trained with, unless a recipe is named; or None.

    Image files are decoded as those of the training set are.
    """
    kept = metadata(model).preprocess if recipe is None else None
    if isinstance(kept, Preprocess) and train.decode:
        return kept.decoding_like(train.decode)
    return kept


def remember_data(model: Layer, loader: Loader) -> None:
    """Note in a Network what it is trained on, which is saved with its weights."""
    if isinstance(model, Network):
        model.classes = loader.dataset.known_classes
        model.preprocess = loader.preprocess
        model.trained_on = loader.dataset.source or loader.dataset.name


def make_loader(
    model: Layer,
    train: Dataset,
    recipe: Recipe,
    batch_size: int | None,
    preprocess: Callable[[np.ndarray], np.ndarray] | None,
    augment: Augment | None,
    seed: int,
    workers: int | None = None,
    accumulate: int = 1,
    team: Team | None = None,
) -> Loader:
    """The loader of the training data. For a model on the GPU, batches are normalized there."""
    shape = metadata(model).input_shape
    batch_size = recipe.batch_size if batch_size is None else batch_size
    if augment is None and recipe.augment:
        augment = recipe.augment
        augment = augment.for_input(shape) if shape and hasattr(augment, "for_input") else augment
    if preprocess is None:
        preprocess = recipe_preprocess(recipe, model)
        if preprocess and train.decode:
            preprocess = preprocess.decoding_like(train.decode)
    if isinstance(preprocess, Preprocess):
        preprocess = preprocess.for_data(train.images)
    on_gpu = model_device(model) == "cuda"
    kind: Any = partial(UploadingLoader if on_gpu else Loader, workers=workers)
    if on_gpu and can_stay(train, preprocess, augment):
        kind = ResidentLoader
    loader = kind(train, batch_size, preprocess, augment, shuffle=True, seed=seed)
    loader.drop_last = recipe.drop_last
    team = team or Team()
    loader.shards = Shards.of(loader.batch_size, accumulate, team.rank, team.size)
    return loader


def make_optimizer(
    optimizer: Optimizer | str | None, model: Layer, recipe: Recipe, given: dict[str, Any]
) -> Optimizer:
    """The optimizer that `fit` was given, the one of that name, or the recipe's.

    given: lr, momentum and weight_decay; None for those that are not given.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(optimizer, Optimizer):
        for name in given:
            raise ValueError(f"{name} is given twice: to fit and to the optimizer")
        return optimizer
    if optimizer is not None and not is_one_of(optimizer, OPTIMIZERS):
        raise ValueError(f"optimizer={brief(optimizer)}: expected one of {', '.join(OPTIMIZERS)}")
    kind = OPTIMIZERS[recipe.optimizer if optimizer is None else optimizer]
    known = inspect.signature(kind).parameters
    for name, value in given.items():
        if name not in known:
            raise ValueError(
                f"{name}={brief(value)}: {kind.__name__} has no {name}; "
                f"it has {', '.join(list(known)[1:])}"
            )
    if optimizer is None:
        return recipe.make_optimizer(model, **given)
    defaults = {"lr": {"sgd": 0.01, "muon": 0.02}.get(optimizer, 1e-3)}
    defaults |= {"momentum": 0.9} if optimizer == "sgd" else {}
    rule: Any = kind
    return rule(model.parameters(), **defaults | given)


def make_schedule(
    schedule: Schedule | str | None, recipe: Recipe, warm_up: float | None = None
) -> Schedule:
    """A schedule for one run: a copy of the one given, the one in that text, or the recipe's.

    warm_up: the number of epochs in which the rate rises, on top of it.
    """
    if isinstance(schedule, str):
        found = parse_schedule(schedule)
    else:
        found = deepcopy(recipe.schedule if schedule is None else schedule)
        if not isinstance(found, Schedule):
            raise ValueError(f"schedule={brief(schedule)}: expected a training.Schedule or text")
    if warm_up is None:
        return found
    if isinstance(found, WarmUp):
        raise ValueError(f"warm_up={brief(warm_up)}: the schedule warms up already: {found!r}")
    if found.unit != "epoch":
        raise ValueError(
            f"warm_up={brief(warm_up)} is in epochs; the schedule counts steps: {found!r}"
        )
    return WarmUp(warm_up, found)
