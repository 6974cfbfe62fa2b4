"""The settings of a training run as text. A resumed run must have the same ones."""

import functools
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import plain
from ..data.dataset import Dataset
from ..layers import metadata

if TYPE_CHECKING:
    from .trainer import Trainer

HASHED_BYTES = 64 << 20  # of larger sets only a sample of the images is hashed
SAMPLE = 64  # images
MULTIPLIERS = "multipliers of (lr, weight_decay)"  # by parameter, in the optimizer's order


def configuration(trainer: "Trainer") -> dict[str, Any]:
    """All settings that change the result, except the number of epochs, which may grow."""
    optimizer, loader, about = trainer.optimizer, trainer.loader, metadata(trainer.model)
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    multipliers = {
        names[id(p)]: list(factors)
        for p, factors in zip(optimizer.parameters, optimizer.effective_multipliers(), strict=True)
    }
    settings = {k: v for k, v in optimizer.settings().items() if k != "lr"}
    found = {
        "model": about.name,
        "options": about.options,
        "network": repr(trainer.model),
        "data": identity(loader.dataset),
        "test data": None if trainer.test is None else identity(trainer.test),
        "validation data": None if trainer.validation is None else identity(trainer.validation),
        "batch_size": loader.batch_size,
        "drop_last": loader.drop_last,
        "seed": loader.seed,
        "optimizer": type(optimizer).__name__,
        "lr": trainer.base_lr,
        **settings,
        MULTIPLIERS: multipliers,
        "frozen": ", ".join(trainer.model.frozen_names()) or None,
        "schedule": repr(trainer.schedule),
        **_chosen(trainer),
        "loss": describe(trainer.loss),
        "augment": describe(loader.augment),
        "preprocess": describe(loader.preprocess),
        "the recipe's callbacks": [describe(callback) for callback in trainer.recipe_callbacks],
    }
    return json.loads(json.dumps(found, default=_as_json))


def _chosen(trainer: "Trainer") -> dict[str, Any]:
    """The settings that a run has only if they are chosen."""
    every = trainer.loader.shards.images // trainer.loader.batch_size
    chosen = {
        "clip": trainer.clip and describe(trainer.clip),
        "accumulate": every if every > 1 else None,
        "sync_bn": trainer.sync_bn or None,
        "metric": trainer.metric,
        "average": trainer.average and repr(trainer.average),
    }
    return {name: value for name, value in chosen.items() if value is not None}


def differences(
    before: dict[str, Any],
    now: dict[str, Any],
    clause: str = "{key} was {old!r} and is now {new!r}",
) -> list[str]:
    """The differences between two configurations, one clause per setting."""
    if before["optimizer"] != now["optimizer"]:  # their other settings cannot be compared
        before = {key: value for key, value in before.items() if key in now}
        now = {key: value for key, value in now.items() if key in before}
    clauses = []
    orders = list(before.get(MULTIPLIERS, ())), list(now.get(MULTIPLIERS, ()))
    if sorted(orders[0]) == sorted(orders[1]):  # an optimizer's state goes by position
        moved = [(a, b) for a, b in zip(*orders, strict=True) if a != b][:1]
        key = "the optimizer's order of parameters"
        clauses += [clause.format(key=key, old=a, new=b) for a, b in moved]
    for key in [*now, *(before.keys() - now.keys())]:
        old, new = before.get(key), now.get(key)
        if old != new:
            clauses.append(_difference(key, old, new, clause))
    return clauses


def _difference(key: str, old: Any, new: Any, clause: str) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        part = next(name for name in [*new, *old] if old.get(name) != new.get(name))
        key, old, new = f"{key} of {part}", old.get(part), new.get(part)
    elif isinstance(old, str) and isinstance(new, str) and "\n" in old + new:
        lines = zip([*old.split("\n"), ""], [*new.split("\n"), ""], strict=False)
        old, new = next((a.strip(), b.strip()) for a, b in lines if a != b)
    return clause.format(key=key, old=old, new=new)


def identity(dataset: Dataset) -> str:
    """A data set in one line: name, size, and a hash of its labels and images."""
    images = dataset.images
    size = int(np.prod(images.shape)) * images.dtype.itemsize
    if size > HASHED_BYTES:
        rows = np.unique(np.linspace(0, len(dataset) - 1, SAMPLE).astype(np.int64))
        images = images[rows]
    else:
        images = images[np.arange(len(dataset))]
    digest = hashlib.sha256(repr((dataset.classes, dataset.images.shape)).encode())
    numbers = np.int64 if dataset.labels.ndim == 1 else np.float32
    digest.update(np.ascontiguousarray(dataset.labels, numbers).data)
    digest.update(np.ascontiguousarray(images).data)
    return f"{dataset.name}, {len(dataset)} images, hash {digest.hexdigest()[:12]}"


def _as_json(value: Any) -> Any:
    return plain(value) if isinstance(value, np.generic) else describe(value)


def describe(value: Any) -> str:
    """A setting as text that is the same in every process: no addresses."""
    if isinstance(value, functools.partial):
        settings = [
            *map(describe, value.args),
            *(f"{k}={describe(v)}" for k, v in value.keywords.items()),
        ]
        return f"{describe(value.func)}({', '.join(settings)})"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if type(value).__repr__ is object.__repr__:
        settings = (
            [f"{k}={describe(v)}" for k, v in vars(value).items()]
            if hasattr(value, "__dict__")
            else []
        )
        return f"{type(value).__name__}({', '.join(settings)})"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
