"""`lr-find`: the learning rate at which the loss falls fastest."""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import typer

from ..training.lr_finder import find_lr
from .app import (
    BackendFlag,
    DataFlag,
    DeviceFlag,
    OptionFlags,
    PrecisionFlag,
    app,
    choose_compute,
    console,
)
from .options import with_options
from .train import network_and_data
from .train_options import (
    BatchFlag,
    FreezeFlag,
    LimitFlag,
    ModelName,
    OptimizerFlag,
    RecipeFlag,
    SeedFlag,
    WeightsFlag,
)

StartFlag = Annotated[float, typer.Option(help="The first learning rate.")]
EndFlag = Annotated[float, typer.Option(help="The last one, if the loss does not diverge before.")]
StepsFlag = Annotated[int, typer.Option(min=16, help="The number of steps.")]
PictureFlag = Annotated[Path, typer.Option(help="Where the curve is drawn.")]


@dataclass
class LrFindOptions:
    """The options of `minicnn lr-find`."""

    model: ModelName
    data: DataFlag = None
    batch_size: BatchFlag = None
    optimizer: OptimizerFlag = None
    recipe: RecipeFlag = None
    start: StartFlag = 1e-6
    end: EndFlag = 10.0
    steps: StepsFlag = 100
    limit: LimitFlag = None
    seed: SeedFlag = 0
    weights: WeightsFlag = None
    freeze: FreezeFlag = None
    out: PictureFlag = Path("lr.png")
    backend: BackendFlag = None
    device: DeviceFlag = "cpu"
    precision: PrecisionFlag = None
    option: OptionFlags = None


@app.command("lr-find")
@with_options(LrFindOptions)
def lr_find(options: LrFindOptions) -> None:
    """Suggest a learning rate: train with a growing one until the loss diverges (Smith 2017).

    The loss at each rate is drawn. No weights are saved.
    """
    from ..study import plots

    plots.validate_target(options.out)
    choose_compute(options.backend, options.device, options.precision)
    network, sets = network_and_data(options)
    console.print(f"{options.steps} steps of {options.model} on {sets.train!r}", soft_wrap=True)
    sweep = find_lr(
        network,
        sets.train,
        recipe=options.recipe,
        batch_size=options.batch_size,
        optimizer=options.optimizer,
        start=options.start,
        end=options.end,
        steps=options.steps,
        seed=options.seed,
    )
    plots.learning_rates(sweep, options.out, f"{options.model} on {sets.train.name}")
    console.print(
        f"the loss falls fastest at a learning rate of {sweep.suggestion:.2g} "
        f"({len(sweep.rates)} steps, up to {sweep.rates[-1]:.2g}); picture: {options.out}",
        soft_wrap=True,
    )
    command = ["minicnn", "train", *_given(options), "--lr", f"{sweep.suggestion:.2g}"]
    console.print(f"to train with it: {shlex.join(command)}", soft_wrap=True)


def _given(options: LrFindOptions) -> list[str]:
    """The arguments of `minicnn train` with which the rate was found."""
    own = ("model", "start", "end", "steps", "out")  # of `lr-find`, or without a name
    words = [options.model]
    for field in fields(options):
        value = getattr(options, field.name)
        if value != field.default and field.name not in own:
            for item in value if isinstance(value, list) else [value]:
                words += [f"--{field.name.replace('_', '-')}", str(item)]
    return words
