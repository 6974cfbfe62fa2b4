"""`train`: a network on a data set; options replace settings of the recipe."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import typer

from .. import data, registry
from ..distributed import Team, found_launch, join
from ..distributed.data import shared
from ..errors import CheckpointError, DataError
from ..kernels.dispatch import get_num_threads
from ..layers import Network
from ..layers.init import skip_init
from ..study.callbacks import DrawCurves
from ..training.averaging import EMA, Average, Lookahead
from ..training.callbacks import Callback, EarlyStopping, RestoreBest, TensorBoardLog
from ..training.checkpoint import BEST, LAST
from ..training.config_file import SaveConfiguration
from ..training.fitting import fit
from ..training.gradients import ClipNorm, ClipValue
from ..training.history import History
from ..training.losses import Loss, adjusted, balanced_weights
from ..training.metrics import loss_of
from ..training.recipe import Recipe, choose_recipe
from ..training.trainer import Clip
from ..weights.pretrained import load_into
from .app import (
    app,
    choose_compute,
    console,
    parse_options,
)
from .options import with_options
from .own import FILE, find_entry, short_name
from .tables import show_evaluation
from .train_options import TrainOptions


@app.command()
@with_options(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train a network; settings that are not given are those of its recipe.

    Without --data, and if MNIST cannot be downloaded, it trains on the bundled digits.
    """
    choose_compute(options.backend, options.device, options.precision)
    team = join()
    network, sets = network_and_data(options, team)
    training_set, test_set, validation_set = sets
    source = training_set.name
    folder = team.first(
        lambda: run_folder(options.out, short_name(options.model), source, options.resume)
    )
    console.print(
        f"training {options.model} on {training_set!r}; results: {folder}", soft_wrap=True
    )
    console.print(network.recipe.summary(network.input_shape), soft_wrap=True)
    if team.size > 1:
        each = f"{get_num_threads()} thread{'s' * (get_num_threads() > 1)} each"
        console.print(f"{team.size} processes, {each}", soft_wrap=True)
    settings = options.changed() | {"data": training_set.source or training_set.name}
    history = fit(
        network,
        training_set,
        test_set,
        validation_set,
        recipe=options.recipe,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        optimizer=options.optimizer,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        schedule=options.schedule,
        warm_up=options.warm_up,
        clip=_clip(options.clip_norm, options.clip_value),
        accumulate=options.accumulate,
        average=_average(options.ema, options.lookahead) if options.average else False,
        loss=_loss(options, network, training_set),
        metric=options.metric,
        workers=options.workers,
        seed=options.seed,
        out=folder,
        resume=options.resume,
        distributed=True,
        sync_bn=options.sync_bn,
        callbacks=[
            SaveConfiguration(_command(sys.argv[1:]), settings),
            *_callbacks(options),
        ],
    )
    if history.interrupted:
        _say_how_to_resume(folder, options.out is not None)
        raise typer.Exit(130)
    _show_result(history, folder, options.model, test_set)


class Preparing(Protocol):
    """What `network_and_data` reads of a command's options."""

    model: str
    data: str | None
    recipe: str | None
    limit: int | None
    seed: int
    weights: str | None
    freeze: list[str] | None
    device: str
    option: list[str] | None


def network_and_data(options: Preparing, team: Team | None = None) -> tuple[Network, data.Splits]:
    """The network, on its device, and its data; both follow its recipe.

    team: processes that train together, of which the first one finds the data.
    """
    arguments = parse_options(options.option)
    entry = find_entry(options.model, arguments)
    plan = entry.recipe(options.recipe, options.data)
    loading: dict[str, Any] = {
        "validation": getattr(options, "val", 0.0),
        "seed": options.seed,
        "skip_broken": getattr(options, "skip_broken", False),
    }
    loading |= _reading(options.model, arguments, plan)
    sets = shared(team or Team(), lambda: load_data(options.data, plan.data, **loading))
    sets = sets.limited(options.limit)
    if "num_classes" in entry.options:
        arguments.setdefault("num_classes", len(sets.train.classes))
    network = registry.create(entry.name, seed=options.seed, **arguments)
    weights = options.weights or (options.model if options.model.endswith(FILE) else None)
    if weights:
        load_into(network, weights, report=console_report)
    if options.freeze:
        network.freeze(*options.freeze)
    network.recipe = entry.recipe(options.recipe, sets.train.name)
    network.to(options.device)
    return network, sets


def _callbacks(options: TrainOptions) -> list[Callback]:
    found: list[Callback] = []
    if options.early_stop:
        found.append(EarlyStopping(options.early_stop, options.min_delta))
    elif options.min_delta:
        raise ValueError(f"--min-delta {options.min_delta} needs --early-stop EPOCHS")
    if options.restore_best:
        found.append(RestoreBest())
    return [*found, *([TensorBoardLog()] if options.tensorboard else []), DrawCurves()]


def _clip(norm: float | None, value: float | None) -> Clip | None:
    if norm is not None and value is not None:
        raise ValueError(f"--clip-norm {norm} and --clip-value {value}: expected one of them")
    if norm is not None:
        return ClipNorm(norm)
    return None if value is None else ClipValue(value)


def _average(ema: float | None, lookahead: int | None) -> Average | None:
    if ema is not None and lookahead is not None:
        raise ValueError(f"--ema {ema} and --lookahead {lookahead}: expected one of them")
    if ema is not None:
        return EMA(ema)
    return None if lookahead is None else Lookahead(lookahead)


def _loss(options: TrainOptions, network: Network, train: data.Dataset) -> Loss | None:
    """The recipe's or the network's loss with smoothing and weights; None if neither is given."""
    if options.label_smoothing is None and options.class_weights is None:
        return None
    weights = _class_weights(options.class_weights, train) if options.class_weights else None
    recipe = choose_recipe(network, train.name, options.recipe)
    return adjusted(recipe.loss or loss_of(network), options.label_smoothing, weights)


def _class_weights(text: str, train: data.Dataset) -> tuple[float, ...]:
    if text == "balanced":
        return balanced_weights(train)
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"--class-weights {text}: expected `balanced`, or numbers with commas between them"
        ) from None
    if len(weights) != len(train.classes):
        raise ValueError(
            f"--class-weights {text}: {len(weights)} numbers; expected {len(train.classes)}, one "
            "per class"
        )
    return weights


def _command(arguments: list[str]) -> str:
    """The command line with these arguments, for as many processes as there are."""
    launch = found_launch()
    before = ["mpirun", "-n", str(launch.size)] if launch else []
    return shlex.join([*before, "minicnn", *arguments])


def _say_how_to_resume(folder: Path, has_out: bool) -> None:
    again = [a for a in sys.argv[1:] if a != "--resume"]
    again += [] if has_out else ["--out", str(folder)]
    console.print(
        f"interrupted; the run is saved in {folder / LAST}. To continue: "
        f"{_command([*again, '--resume'])}",
        soft_wrap=True,
    )


def _show_result(history: History, folder: Path, model: str, test_set: data.Dataset) -> None:
    result = history.evaluation
    assert result is not None  # a run with a test set ends with its evaluation
    show_evaluation(result)
    best = f"best epoch, {history.best_epoch}: {folder / BEST}"
    console.print(f"checkpoint: {folder / LAST} ({best})", soft_wrap=True)
    console.print(
        f"curves: {folder / 'curves.png'}   confusion matrix: {folder / 'confusion.png'}   "
        f"numbers: {folder / 'history.csv'}",
        soft_wrap=True,
    )
    console.print(
        f"{model}: {result.accuracy:.2%} test accuracy on {test_set.name} "
        f"({len(test_set):,} test images)",
        style="bold",
        soft_wrap=True,
    )


def _reading(model: str, options: dict[str, Any], plan: Recipe) -> dict[str, Any]:
    """Arguments of `load_data`: how image files become pixels for that network.

    Files of one's own are taken as they are: only MNIST is known to be light on dark.
    """
    with skip_init():
        shape = registry.create(model, **options).input_shape
    assert plan.preprocess is not None  # as every registered recipe has one
    decode = replace(plan.preprocess.for_input(shape).decode, light_on_dark=False)
    return {"decode": decode, "originals": plan.cuts_windows}


def load_data(
    source: str | None, default: str, decode: data.Decode, validation: float = 0.0, **options: Any
) -> data.Splits:
    """The data set `source` or, without one, the recipe's; for a missing MNIST, the digits.

    validation, options: as in `data.load_splits`.
    """
    if source is None and default not in data.NAMES:
        raise DataError(
            f"this network's recipe is for {default}, which minicnn does not download: "
            "give --data FOLDER with images in class folders"
        )
    options |= {"validation": validation, "report": console_report}
    try:
        return data.load_splits(default if source is None else source, decode, **options)
    except DataError as error:
        if source is not None or default != "mnist":
            raise
        console_report(f"could not download MNIST; training on the bundled digits instead: {error}")
        return data.load_splits("digits", **options)


def console_report(text: str) -> None:
    """Print a message of the data's."""
    console.print(text, soft_wrap=True)


def run_folder(out: Path | None, model: str, source: str, resume: bool) -> Path:
    """`out`, or runs/MODEL-DATA: a new numbered folder, or the latest one to resume."""
    if out is not None:
        if resume and not (out / LAST).exists():
            console.print(f"{out} has no checkpoint yet: starting from the beginning")
        return out
    existing, number = None, 1
    while True:
        folder = Path("runs") / (f"{model}-{source}" + (f"-{number}" if number > 1 else ""))
        if not (folder / LAST).exists():
            break
        existing, number = folder, number + 1
    if resume and existing is None:
        raise CheckpointError(f"there is no run to resume: {folder / LAST} does not exist")
    return existing if resume and existing else folder
