"""The whole state of a run in one file, `last.safetensors`.

It holds weights, optimizer state, position in the data, random generator and history. A run that is
killed at any moment and resumed ends bit-identical to one that was never interrupted.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import rng
from ..checks import plain
from ..data.loader import Loader
from ..device import copy_into
from ..errors import CheckpointError, DivergedError, brief
from ..weights import safetensors
from .configuration import differences
from .diagnose import first_bad_parameter
from .history import COLUMNS

if TYPE_CHECKING:
    from .trainer import Trainer

STATE = "minicnn.training"
FORMAT = 2
NEEDED = (
    "configuration",
    "step",
    "epochs",
    "epoch",
    "batch",
    "metrics",
    "rows",
    "best",
    "schedule",
)
TRAINED = "weights/"  # prefix of the weights that the optimizer changes, if there is an average
LAST, BEST = "last.safetensors", "best.safetensors"


def save(trainer: "Trainer", path: Path) -> None:
    """Write the state of `trainer`. Until that is done, the previous file stays.

    Raises DivergedError if weights are not finite, CheckpointError if the file cannot be written.
    """
    bad = first_bad_parameter(trainer.model)
    if bad:
        raise DivergedError(
            f"after step {trainer.iteration} the parameter {bad} is not finite; "
            f"the checkpoint {path} is kept as it was"
        )
    with trainer.averaged():
        _write(trainer, path)


def _write(trainer: "Trainer", path: Path) -> None:
    """With an average, the model's weights in the file are the averages, which were evaluated."""
    tensors, extra = trainer.model.state_dict(), trainer.optimizer.state_dict()
    if trainer.average:
        extra |= {TRAINED + name: array for name, array in trainer.average.state.items()}
    tensors |= {safetensors.OPTIMIZER + name: array for name, array in extra.items()}
    state = {
        "format": FORMAT,
        "configuration": trainer.configuration,
        "step": trainer.iteration,
        "optimizer's steps": trainer.optimizer.steps,
        "epochs": trainer.epochs,
        "epoch": trainer.loader.epoch,
        "batch": trainer.loader.batch,
        "shards": trainer.loader.shards.count,
        "metrics": trainer.metrics.state_dict(),
        "rows": trainer.history.rows,
        "best": [trainer.history.best_epoch, trainer.best_score],
        "schedule": trainer.schedule.state_dict(),
        "random": rng.state(),
    }
    text = json.dumps(state, default=plain)
    metadata = safetensors.model_metadata(trainer.model) | {STATE: text}
    try:
        safetensors.write(path, tensors, metadata)
    except OSError as error:
        kept = "; the previous one is kept" if path.exists() else ""
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}{kept}") from None


def restore(trainer: "Trainer", path: Path) -> None:
    """Bring `trainer` to the state in the file.

    Raises CheckpointError if the file is damaged or belongs to a different run.
    """
    tensors, metadata = trainer.team.first(lambda: safetensors.read(path))
    try:
        state = dict(json.loads(metadata[STATE]))
    except (KeyError, ValueError, TypeError):
        raise CheckpointError(
            f"{path}: it holds weights but no training state to resume from"
        ) from None
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: its format is {brief(state.get('format'))}; this version of "
            f"minicnn reads {FORMAT}"
        )
    missing = [name for name in NEEDED if name not in state]
    if missing:
        raise CheckpointError(f"{path}: its training state lacks {', '.join(missing)}")
    _check_same_run(trainer, state, path)
    prefix = safetensors.OPTIMIZER
    slots = {
        name.removeprefix(prefix): array
        for name, array in tensors.items()
        if name.startswith(prefix)
    }
    trainer.model.load_state_dict(
        {name: array for name, array in tensors.items() if not name.startswith(prefix)}
    )
    if trainer.average:
        names = [name for name in slots if name.startswith(TRAINED)]
        trainer.average.start(trainer.model)  # arrays on its device
        for name in names:
            copy_into(trainer.average.state[name.removeprefix(TRAINED)], slots.pop(name))
        trainer.average.exchange(trainer.model)
    updates = state["optimizer's steps" if "optimizer's steps" in state else "step"]
    trainer.optimizer.load_state_dict(slots, updates)
    trainer.iteration = state["step"]
    trainer.metrics.load_state_dict(state["metrics"])
    trainer.loader.epoch, trainer.loader.batch = state["epoch"], state["batch"]
    _keep_shards(trainer.loader, state.get("shards", trainer.loader.shards.count))
    trainer.history.rows = [dict.fromkeys(COLUMNS) | row for row in state["rows"]]
    trainer.history.best_epoch, trainer.best_score = state["best"]
    trainer.schedule.load_state_dict(state["schedule"])
    rng.set_state(state["random"])


def _keep_shards(loader: Loader, count: int) -> None:
    """Divide updates into `count` shards, as before, unless there are more processes than that."""
    if count >= loader.shards.ranks:
        loader.shards = replace(loader.shards, count=count)
    else:
        loader.batch = loader.batch // count * loader.shards.count


def _check_same_run(trainer: "Trainer", state: dict[str, Any], path: Path) -> None:
    """Raise CheckpointError unless the settings of the run are those in its checkpoint."""
    found = differences(state["configuration"], trainer.configuration)
    before, now = state["epochs"], trainer.epochs
    if before != now and trainer.schedule.depends_on(before, now, trainer.steps_per_epoch):
        found.append(
            f"epochs was {before} and is now {now}, and the learning rate depends on it by the "
            f"schedule {trainer.schedule!r}"
        )
    if before != now and trainer.average and trainer.average.depends_on_length:
        found.append(f"epochs was {before} and is now {now}, and {trainer.average!r} depends on it")
    if found:
        raise CheckpointError(f"{path}: it belongs to another run: {'; '.join(found)}")
