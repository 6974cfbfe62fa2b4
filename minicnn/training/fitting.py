"""`fit` trains a model: from its arguments to a `Trainer`, which runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import rng
from ..checks import check_flags
from ..data.dataset import Dataset
from ..data.transforms import Augment
from ..distributed import Team, join
from ..files import held
from ..layers import Layer
from . import checkpoint
from .arguments import (
    as_sets,
    checked_epochs,
    kept_preprocess,
    make_loader,
    make_optimizer,
    make_schedule,
    remember_data,
    run_folder,
)
from .averaging import Average
from .callbacks import Callback, CSVLog
from .config_file import SaveConfiguration
from .history import History
from .known import is_own
from .losses import Loss
from .metrics import loss_of
from .notebook import default_progress
from .optimizers import Optimizer
from .own_layers import WatchOwnLayers
from .preflight import (
    check_data,
    check_folder,
    check_functions,
    check_metric,
    check_objects,
    check_optimizer,
)
from .recipe import Recipe, choose_recipe
from .schedules import Schedule
from .trainer import Clip, Settings, Trainer


def fit(
    model: Layer,
    train: Dataset | tuple[Any, Any],
    test: Dataset | tuple[Any, Any] | None = None,
    validation: Dataset | tuple[Any, Any] | None = None,
    *,
    recipe: Recipe | str | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: Optimizer | str | None = None,
    schedule: Schedule | str | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    warm_up: float | None = None,
    clip: Clip | None = None,
    accumulate: int = 1,
    average: Average | Literal[False] | None = None,
    metric: str | None = None,
    loss: Loss | None = None,
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
    augment: Augment | None = None,
    workers: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    checkpoint_seconds: float = 60.0,
    distributed: bool = False,
    sync_bn: bool = False,
) -> History:
    """Train a model. Settings that are not given are those of its recipe.

    Args:
        model: any Layer that gives `(N, classes)`.
        train, test: a Dataset, or a pair `(images (N, H, W, C), labels (N,))`. Without test, there
            is no evaluation. Classes that have names are matched by name.
        validation: images by which the best epoch is chosen, early stopping decides and schedules
            look; without them the test images serve, and then the test accuracy of the best epoch
            is no measurement.
        recipe: a Recipe, or the name of one of the network's. By default the one that the network
            has for this data set; otherwise `model.recipe`.
        epochs, batch_size, lr: by default the recipe's; without a recipe 10, 64 and 0.01. Of 9.5
            epochs, the last one is half as long.
        optimizer: an Optimizer over `model.parameters()` or some of them, a name ("sgd", "adam",
            "adamw", "rmsprop", "muon"), or None for the recipe's. One by name has its own learning
            rate and options, not the recipe's.
        schedule: a Schedule, of which the run uses a copy, or as text: a name from
            `training.schedules.SCHEDULES` with its arguments, such as "cosine" or "step(30, 0.1)".
        momentum, weight_decay: in place of the recipe's, or those of the named optimizer.
        warm_up: the learning rate rises from 0 in so many epochs, on top of the schedule.
        clip: changes the gradients before each update, such as `training.ClipNorm(1.0)`.
        accumulate: each update uses the mean gradient of so many batches; the result is that of
            one large batch, up to batch norm. The images of an epoch's last update are divided into
            as many batches.
        average: an `EMA` or `Lookahead` of the weights, of which the run uses a copy; by default
            the recipe's, and False for none. It is what is evaluated and saved, and what the model
            has at the end; the weights that the optimizer changes are in `last.safetensors` beside
            it.
        metric: the best epoch is chosen by "accuracy", "loss" or "top5": of the validation images,
            or else the test images, or else the training; by default accuracy, or without any
            images but the training ones, their loss.
        loss: called as `loss(outputs, labels) -> value, gradient`; any function may be
            given, see `training.Loss`. By default the recipe's or the model's own, or softmax
            cross-entropy. Validation and test images are judged by it without label smoothing and
            class weights.
        preprocess: pixels -> input; by default what the model's weights were trained with, or else
            (and where a recipe is named) the recipe's. A Preprocess is saved with the weights.
        augment: random changes of the pixels, called as `augment(images, generator)`; by default
            the recipe's.
        workers: threads that decode image files, by default one per core. No pixel depends on it.
        seed: determines the order and augmentation of the data and the dropout masks. The same seed
            on the same machine gives the same result.
        callbacks: further callbacks, see `training.callbacks`.
        out: a folder for `last.safetensors`, `best.safetensors`, `history.csv` and `config.toml`;
            None keeps nothing on disk.
        resume: continue from `out/last.safetensors` if it exists. The result is bit-identical
            to that of an uninterrupted run.
        progress: show a bar, or lines if there is no terminal.
        checkpoint_seconds: save at least this often, and after each epoch.
        distributed: train together with the processes that mpirun launched with this one; each
            computes a part of every update. All of them call `fit` with the same arguments, and all
            get the same result. Only the first one prints and writes.
        sync_bn: of several processes, batch norm uses the statistics of all images that they
            compute at a time. Otherwise it uses those of each shard.

    Returns the History. On SIGINT it saves and returns with `interrupted` set (without `out` it
    raises KeyboardInterrupt).
    Raises TrainingError for a loss that is not finite, for a layer of your own that writes into
    what it is given, or if `out` already holds a run and `resume` is not set, or if another process
    is writing one there; CheckpointError for a checkpoint that is damaged, belongs to another run,
    or cannot be written; ValueError, ShapeError or DataError for arguments that do not fit, before
    the first step.
    """
    check_objects(model, callbacks, preprocess, checkpoint_seconds)
    check_flags(resume=resume, progress=progress, distributed=distributed, sync_bn=sync_bn)
    train, test, validation = as_sets(train, test, validation)
    team, folder = _team_and_folder(distributed, out, resume)
    plan = choose_recipe(model, train.name, recipe)
    preprocess = preprocess or kept_preprocess(model, recipe, train)
    epochs = checked_epochs(plan.epochs if epochs is None else epochs)
    loading = preprocess, augment, seed, workers, accumulate, team
    loader = make_loader(model, train, plan, batch_size, *loading)
    loss, mean = _chosen(loss, plan.loss or loss_of(model)), _chosen(average, plan.average)
    check_functions(loss, clip, mean)
    check_data(model, loader, {"test": test, "validation": validation}, loss)
    check_metric(metric, validation or test)
    given = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    rule = check_optimizer(make_optimizer(optimizer, model, plan, given), model)
    rng.seed(seed)
    trainer = Trainer(
        *(model, loader, test, validation, loss, rule),
        schedule=make_schedule(schedule, plan, warm_up),
        settings=Settings(epochs, folder, metric, clip, mean, checkpoint_seconds, sync_bn),
        recipe_callbacks=plan.make_callbacks(),
        callbacks=[*_standard_callbacks(model, folder, progress, team), *callbacks],
        team=team,
    )
    return _run(trainer, folder)


def _team_and_folder(
    distributed: bool, out: str | Path | None, resume: bool
) -> tuple[Team, Path | None]:
    """The processes that train together, and at the first one the folder of the run."""
    team = join() if distributed else Team()
    return team, run_folder(out, resume) if team.is_first else None


def _chosen(given: Any, default: Any) -> Any:
    """The average or loss that is given; False means none, and None the recipe's."""
    return default if given is None else None if given is False else given


def _run(trainer: Trainer, folder: Path | None) -> History:
    """Run from the folder's checkpoint, if there is one, while no other process writes there."""
    check_folder(folder)
    with held(folder):
        return _ready(trainer, folder).run()


def _ready(trainer: Trainer, folder: Path | None) -> Trainer:
    """The run in the state of its checkpoint, if there is one.

    The model is changed once that has been checked.
    """
    if trainer.team.size > 1:
        from ..distributed.agreement import check_agreement

        check_agreement(trainer, trainer.team)
        if trainer.sync_bn:
            from ..distributed.synchronized import check_sync

            check_sync(trainer.loader)
    length = trainer.total_steps / trainer.steps_per_epoch
    trainer.schedule.check(trainer.steps_per_epoch, length)
    last = folder / checkpoint.LAST if folder else None
    last = trainer.team.first(lambda: last if last and last.exists() else None)
    if last:
        checkpoint.restore(trainer, last)
    remember_data(trainer.model, trainer.loader)
    return trainer


def _standard_callbacks(
    model: Layer, folder: Path | None, progress: bool, team: Team
) -> list[Callback]:
    """What a run has without being asked: progress, the files of its folder, and checks."""
    if team.size > 1:
        from ..distributed.agreement import CompareWeights

        return [CompareWeights(), *_standard_callbacks(model, folder, progress, Team())]
    shown: list[Callback] = [default_progress()] if progress else []
    watch = [] if is_own(*(layer for _, layer in model.named_layers())) else [WatchOwnLayers()]
    return [*shown, *([CSVLog(), SaveConfiguration()] if folder else []), *watch]
