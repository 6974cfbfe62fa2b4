"""The whole state of a run in one file, `last.safetensors`: weights, optimizer, position in the data, random generator, history.

A run that is killed at any moment and resumed from it ends bit-identical to one that was never interrupted.
"""

import json
from pathlib import Path

from .. import rng
from ..errors import CheckpointError, TrainingError
from ..weights import safetensors
from .diagnose import first_bad_parameter

STATE = "minicnn.training"
FORMAT = 1
LAST, BEST = "last.safetensors", "best.safetensors"


def save(trainer, path: Path) -> None:
    """Write the state of `trainer`; atomically, so that a kill leaves the previous file. Raises TrainingError if weights are not finite."""
    bad = first_bad_parameter(trainer.model)
    if bad:
        raise TrainingError(
            f"after step {trainer.step} the parameter {bad} is not finite; the checkpoint {path} is kept as it was"
        )
    tensors = trainer.model.state_dict()
    tensors |= {
        safetensors.OPTIMIZER + name: array
        for name, array in trainer.optimizer.state_dict().items()
    }
    state = {
        "format": FORMAT,
        "configuration": configuration(trainer),
        "step": trainer.step,
        "epoch": trainer.loader.epoch,
        "batch": trainer.loader.batch,
        "totals": trainer.totals,
        "rows": trainer.history.rows,
        "best": [trainer.history.best_epoch, trainer.best_score],
        "schedule": trainer.schedule.state_dict(),
        "random": rng.state(),
    }
    safetensors.write(
        path, tensors, safetensors.model_metadata(trainer.model) | {STATE: json.dumps(state)}
    )


def restore(trainer, path: Path) -> None:
    """Bring `trainer` to the state in the file. Raises CheckpointError if it is damaged or of a different run."""
    tensors, metadata = safetensors.read(path)
    try:
        state = json.loads(metadata[STATE])
    except (KeyError, ValueError):
        raise CheckpointError(
            f"{path}: it holds weights but no training state to resume from"
        ) from None
    if state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: its format is {state.get('format')!r}; this version of minicnn reads {FORMAT}"
        )
    theirs, ours = state["configuration"], configuration(trainer)
    differences = [
        f"{key} was {theirs.get(key)!r} and is now {ours[key]!r}"
        for key in ours
        if theirs.get(key) != ours[key]
    ]
    if differences:
        raise CheckpointError(f"{path}: it belongs to another run: {'; '.join(differences)}")

    prefix = safetensors.OPTIMIZER
    slots = {
        name.removeprefix(prefix): array
        for name, array in tensors.items()
        if name.startswith(prefix)
    }
    trainer.model.load_state_dict(
        {name: array for name, array in tensors.items() if not name.startswith(prefix)}
    )
    trainer.optimizer.load_state_dict(slots, state["step"])
    trainer.step, trainer.totals = state["step"], state["totals"]
    trainer.loader.epoch, trainer.loader.batch = state["epoch"], state["batch"]
    trainer.history.rows = state["rows"]
    trainer.history.best_epoch, trainer.best_score = state["best"]
    trainer.schedule.load_state_dict(state["schedule"])
    rng.set_state(state["random"])


def configuration(trainer) -> dict:
    """What must be the same for a resumed run to be the same run. The number of epochs may grow."""
    return {
        "model": getattr(trainer.model, "name", None),
        "options": getattr(trainer.model, "options", {}),
        "data": f"{trainer.loader.dataset.name}, {len(trainer.loader.dataset)} images",
        "batch_size": trainer.loader.batch_size,
        "seed": trainer.loader.seed,
        "optimizer": type(trainer.optimizer).__name__,
        "lr": trainer.base_lr,
        "schedule": repr(trainer.schedule),
    }
