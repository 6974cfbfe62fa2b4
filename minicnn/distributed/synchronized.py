"""Networks whose batch norms are synchronized, and whether their batches allow that."""

import copy
from typing import Any

from ..data.loader import Loader
from ..device import model_device
from ..errors import TrainingError
from ..layers import BatchNorm2d
from ..layers.tree import Tree
from .batch_norm import SyncBatchNorm
from .team import Ranks


def synchronized(model: Any, team: Ranks) -> Any:
    """A network of the same layers, with every batch norm synchronized."""
    if isinstance(model, BatchNorm2d):
        if model_device(model) == "cpu":
            return SyncBatchNorm(model, team)
        from .device_batch_norm import DeviceSyncBatchNorm  # only where there is a GPU

        return DeviceSyncBatchNorm(model, team)
    if not any(isinstance(layer, BatchNorm2d) for _, layer in model.named_layers()):
        return model
    twin = copy.copy(model)
    for name, value in vars(model).items():
        if isinstance(value, Tree):
            vars(twin)[name] = synchronized(value, team)
        elif isinstance(value, dict):
            vars(twin)[name] = {key: _synchronized(item, team) for key, item in value.items()}
        elif isinstance(value, (list, tuple)):
            vars(twin)[name] = type(value)(_synchronized(item, team) for item in value)
    return twin


def _synchronized(item: Any, team: Ranks) -> Any:
    return synchronized(item, team) if isinstance(item, Tree) else item


def check_sync(loader: Loader) -> None:
    """Raise TrainingError if some process has no images in some step, and so no statistics."""
    for turn in loader.shards.turns(0, loader.images):
        if len(turn.sizes) < loader.shards.ranks or 0 in turn.sizes:
            images = sum(turn.sizes)
            raise TrainingError(
                f"sync_bn: some updates have {images} images at a time for {loader.shards.ranks} "
                "processes, and each of them needs one: choose another batch_size, accumulate or "
                "number of processes"
            )
