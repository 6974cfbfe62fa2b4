"""The options of `train`, some of which `lr-find` has, too."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from ..training.history import METRICS
from ..training.optimizers import OPTIMIZERS
from ..training.schedule_text import parse_schedule
from ..training.schedules import SCHEDULES
from .app import (
    BATCH,
    BackendFlag,
    DataFlag,
    DeviceFlag,
    OptionFlags,
    PrecisionFlag,
)
from .options import config_option


def _schedule(text: str | None) -> str | None:
    """`--schedule TEXT`. Raises ValueError unless it is a schedule."""
    if text is not None:
        parse_schedule(text)
    return text


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
BatchFlag = Annotated[
    int | None, typer.Option(*BATCH, min=1, help="Images per batch; by default the recipe's.")
]
EpochsFlag = Annotated[float | None, typer.Option(min=1, help="Their number, such as 9.5.")]
RateFlag = Annotated[float | None, typer.Option(min=0, help="The base learning rate.")]
OptimizerFlag = Annotated[str | None, typer.Option(help=f"One of {', '.join(OPTIMIZERS)}.")]
MomentumFlag = Annotated[float | None, typer.Option(min=0, help="Of sgd, rmsprop or muon.")]
DecayFlag = Annotated[float | None, typer.Option(min=0, help="The weight decay (L2).")]
ScheduleFlag = Annotated[
    str | None,
    typer.Option(
        callback=_schedule,
        help=f'How the rate changes: {", ".join(SCHEDULES)}, with arguments: "step(30, 0.1)".',
    ),
]
WarmUpFlag = Annotated[float | None, typer.Option(min=0, help="Epochs in which the rate rises.")]
ClipNormFlag = Annotated[float | None, typer.Option(help="Limit the L2 norm of the gradients.")]
ClipValueFlag = Annotated[float | None, typer.Option(help="Limit each number of the gradients.")]
EmaFlag = Annotated[
    float | None, typer.Option(min=0, max=1, help="Average the weights, with this decay: 0.999.")
]
LookaheadFlag = Annotated[
    int | None, typer.Option(min=1, help="Average the weights every so many updates, and go on.")
]
AverageFlag = Annotated[
    bool,
    typer.Option(
        "--average/--no-average",
        help="Average the weights as --ema, --lookahead or the recipe says, or not at all.",
    ),
]
AccumulateFlag = Annotated[int, typer.Option(min=1, help="Batches per update of the weights.")]
SyncFlag = Annotated[
    bool,
    typer.Option(
        "--sync-bn/--no-sync-bn", help="Batch norm of all processes' images, under mpirun."
    ),
]
SmoothingFlag = Annotated[float | None, typer.Option(min=0, max=1, help="Label smoothing: 0.1.")]
ClassWeightsFlag = Annotated[
    str | None, typer.Option(help="`balanced`, or a number per class: 1,2,0.5.")
]
MetricFlag = Annotated[
    str | None, typer.Option(help=f"Choose the best epoch by {', '.join(METRICS)}.")
]
RecipeFlag = Annotated[
    str | None,
    typer.Option(help="Which of the network's recipes to follow; by default the data set's."),
]
LimitFlag = Annotated[
    int | None,
    typer.Option(min=1, help="Use at most this many training and test images, for a trial."),
]
WorkersFlag = Annotated[
    int | None, typer.Option(min=1, help="Threads that decode images; by default one per core.")
]
SeedFlag = Annotated[int, typer.Option(min=0, help="Determines all random numbers.")]
OutFlag = Annotated[Path | None, typer.Option(help="The run's folder; by default runs/MODEL-DATA.")]
ResumeFlag = Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")]
EarlyStopFlag = Annotated[
    int | None, typer.Option(min=1, help="Stop after this many epochs without progress.")
]
MinDeltaFlag = Annotated[float, typer.Option(min=0, help="What --early-stop takes for progress.")]
RestoreFlag = Annotated[
    bool,
    typer.Option(
        "--restore-best/--no-restore-best", help="End with the weights of the best epoch."
    ),
]
ValidationFlag = Annotated[
    float,
    typer.Option(
        "--val", help="The fraction of the training images, of each class, to choose the best by."
    ),
]
SkipFlag = Annotated[
    bool,
    typer.Option(
        "--skip-broken/--no-skip-broken", help="Leave out image files that cannot be read."
    ),
]
TensorBoardFlag = Annotated[
    bool,
    typer.Option("--tensorboard/--no-tensorboard", help="Also write TensorBoard event files."),
]


@dataclass
class TrainOptions:
    """The options of `minicnn train`; those that are not given are the recipe's."""

    model: ModelName
    data: DataFlag = None
    epochs: EpochsFlag = None
    batch_size: BatchFlag = None
    lr: RateFlag = None
    optimizer: OptimizerFlag = None
    momentum: MomentumFlag = None
    weight_decay: DecayFlag = None
    schedule: ScheduleFlag = None
    warm_up: WarmUpFlag = None
    clip_norm: ClipNormFlag = None
    clip_value: ClipValueFlag = None
    accumulate: AccumulateFlag = 1
    sync_bn: SyncFlag = False
    ema: EmaFlag = None
    lookahead: LookaheadFlag = None
    average: AverageFlag = True
    label_smoothing: SmoothingFlag = None
    class_weights: ClassWeightsFlag = None
    recipe: RecipeFlag = None
    limit: LimitFlag = None
    workers: WorkersFlag = None
    seed: SeedFlag = 0
    weights: WeightsFlag = None
    freeze: FreezeFlag = None
    metric: MetricFlag = None
    early_stop: EarlyStopFlag = None
    min_delta: MinDeltaFlag = 0.0
    restore_best: RestoreFlag = False
    val: ValidationFlag = 0.0
    skip_broken: SkipFlag = False
    tensorboard: TensorBoardFlag = False
    backend: BackendFlag = None
    device: DeviceFlag = "cpu"
    precision: PrecisionFlag = None
    option: OptionFlags = None
    out: OutFlag = None
    resume: ResumeFlag = False
    config: config_option(lambda: TrainOptions) = None  # type: ignore[valid-type]

    def changed(self) -> dict[str, Any]:
        """What repeats the run: the options that differ from their defaults, not its folder."""
        every = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {
            name: value
            for name, (value, default) in every.items()
            if value != default and name not in ("out", "resume", "config")
        }
