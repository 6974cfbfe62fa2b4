"""`train`: a network on a data set; options replace settings of the recipe."""

import inspect
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from .. import data, registry
from ..errors import CheckpointError, DataError
from ..layers import Network
from ..layers.init import skip_init
from ..study.callbacks import DrawCurves
from ..training.callbacks import Callback, EarlyStopping, TensorBoardLog
from ..training.checkpoint import BEST, LAST
from ..training.history import History
from ..training.optimizers import OPTIMIZERS
from ..training.recipe import Recipe
from ..training.schedules import SCHEDULES
from ..training.trainer import fit
from ..weights.pretrained import load_into
from .app import (
    BackendFlag,
    DataFlag,
    DeviceFlag,
    OptionFlags,
    PrecisionFlag,
    app,
    choose_compute,
    console,
    parse_options,
)
from .own import find_entry, short_name
from .tables import show_evaluation


def _needs_arguments(kind: type) -> bool:
    parameters = inspect.signature(kind).parameters.values()
    return any(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in parameters)


# The schedules without required arguments; the others are only for Python.
SCHEDULE_NAMES = tuple(name for name, kind in SCHEDULES.items() if not _needs_arguments(kind))


def schedule_name(text: str | None) -> str | None:
    """`--schedule TEXT`. Raises ValueError unless it is one of `SCHEDULE_NAMES`."""
    if text is None or text in SCHEDULE_NAMES:
        return text
    raise ValueError(f"--schedule {text}: expected one of {', '.join(SCHEDULE_NAMES)}")


ModelName = Annotated[
    str,
    typer.Argument(
        help="A network's name, as `minicnn models` lists them, or FILE.py:FUNCTION for your own."
    ),
]
WeightsFlag = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="Start from the weights in a file or at a URL. For another number of classes the last "
        "layer is new.",
    ),
]
FreezeFlag = Annotated[
    list[str] | None,
    typer.Option("--freeze", help="Do not train a layer: its name, or a pattern; repeatable."),
]
CountFlag = Annotated[int | None, typer.Option(min=1)]
EpochsFlag = Annotated[float | None, typer.Option(min=1, help="Their number, such as 9.5.")]
RateFlag = Annotated[float | None, typer.Option(min=0, help="The base learning rate.")]
OptimizerFlag = Annotated[str | None, typer.Option(help=f"One of {', '.join(OPTIMIZERS)}.")]
ScheduleFlag = Annotated[
    str | None, typer.Option(callback=schedule_name, help=f"One of {', '.join(SCHEDULE_NAMES)}.")
]
RecipeFlag = Annotated[
    str | None,
    typer.Option(help="Which of the network's recipes to follow; by default the data set's."),
]
LimitFlag = Annotated[
    int | None,
    typer.Option(min=1, help="Use at most this many training and test images, for a trial."),
]
SeedFlag = Annotated[int, typer.Option(min=0, help="Determines all random numbers.")]
OutFlag = Annotated[Path | None, typer.Option(help="The run's folder; by default runs/MODEL-DATA.")]
ResumeFlag = Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")]
EarlyStopFlag = Annotated[
    int | None, typer.Option(min=1, help="Stop after this many epochs without progress.")
]
ValidationFlag = Annotated[
    float,
    typer.Option(
        "--val", help="The fraction of the training images, of each class, to choose the best by."
    ),
]
SkipFlag = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out image files that cannot be read.")
]
TensorBoardFlag = Annotated[
    bool, typer.Option("--tensorboard", help="Also write TensorBoard event files.")
]


@app.command()
def train(
    model: ModelName,
    data_source: DataFlag = None,
    epochs: EpochsFlag = None,
    batch_size: CountFlag = None,
    lr: RateFlag = None,
    optimizer: OptimizerFlag = None,
    schedule: ScheduleFlag = None,
    recipe: RecipeFlag = None,
    limit: LimitFlag = None,
    seed: SeedFlag = 0,
    weights: WeightsFlag = None,
    freeze: FreezeFlag = None,
    out: OutFlag = None,
    resume: ResumeFlag = False,
    early_stop: EarlyStopFlag = None,
    val: ValidationFlag = 0.0,
    skip_broken: SkipFlag = False,
    tensorboard: TensorBoardFlag = False,
    backend: BackendFlag = None,
    device: DeviceFlag = "cpu",
    precision: PrecisionFlag = None,
    option: OptionFlags = None,
) -> None:
    """Train a network; settings that are not given are those of its recipe.

    Without --data, and if MNIST cannot be downloaded, it trains on the bundled digits.
    """
    choose_compute(backend, device, precision)
    options = parse_options(option)
    entry = find_entry(model, options)
    plan = entry.recipe(recipe, data_source)
    loading: dict[str, Any] = {"validation": val, "seed": seed, "skip_broken": skip_broken}
    sets = load_data(data_source, plan.data, **_reading(model, options, plan), **loading)
    training_set, test_set, validation_set = _samples(sets, limit)
    network = _make_network(entry, training_set, options, seed, weights, freeze)
    network.recipe = entry.recipe(recipe, training_set.name)
    network.to(device)
    folder = run_folder(out, short_name(model), training_set.name, resume)
    console.print(f"training {model} on {training_set!r}; results: {folder}", soft_wrap=True)
    console.print(network.recipe.summary(network.input_shape), soft_wrap=True)
    history = fit(
        network,
        training_set,
        test_set,
        validation_set,
        recipe=recipe,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        optimizer=optimizer,
        schedule=schedule,
        seed=seed,
        out=folder,
        resume=resume,
        callbacks=_callbacks(early_stop, tensorboard),
    )
    if history.interrupted:
        _say_how_to_resume(folder, out is not None)
        raise typer.Exit(130)
    _show_result(history, folder, model, test_set)


def _make_network(
    entry: registry.Entry,
    training_set: data.Dataset,
    options: dict[str, Any],
    seed: int,
    weights: str | None,
    freeze: list[str] | None,
) -> Network:
    """The network for the classes of the data, with the weights of a file if one is given."""
    if "num_classes" in entry.options:
        options.setdefault("num_classes", len(training_set.classes))
    network = registry.create(entry.name, seed=seed, **options)
    if weights:
        load_into(network, weights, report=console_report)
    return network.freeze(*freeze) if freeze else network


def _callbacks(early_stop: int | None, tensorboard: bool) -> list[Callback]:
    callbacks: list[Callback] = [EarlyStopping(early_stop)] if early_stop else []
    return [*callbacks, *([TensorBoardLog()] if tensorboard else []), DrawCurves()]


def _say_how_to_resume(folder: Path, has_out: bool) -> None:
    again = [a for a in sys.argv[1:] if a != "--resume"]
    again += [] if has_out else ["--out", str(folder)]
    command = shlex.join([*again, "--resume"])
    console.print(
        f"interrupted; the run is saved in {folder / LAST}. To continue: minicnn {command}",
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


def _samples(sets: data.Splits, limit: int | None) -> data.Splits:
    """Up to `limit` images of each set, drawn from the whole set; repeatable."""

    def sample(dataset: data.Dataset) -> data.Dataset:
        if limit is None:
            return dataset
        return dataset[np.sort(np.random.default_rng(0).permutation(len(dataset))[:limit])]

    chosen = sets.validation and sample(sets.validation)
    return data.Splits(sample(sets.train), sample(sets.test), chosen)


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
        return data.load_splits(source or default, decode, **options)
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
