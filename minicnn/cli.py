"""The command line: `minicnn train`, `evaluate`, `predict`, `summary`, `models`, `backends`, `ladder`, `data`."""

import shlex
import sys
import traceback
import warnings
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import __version__, data, registry, weights
from .device import DEVICES, PRECISIONS, checked, place_of, set_precision, to_host, to_input
from .errors import CheckpointError, DataError, MinicnnError
from .kernels import dispatch
from .layers.base import no_grad
from .layers.init import skip_init
from .study.callbacks import DrawCurves
from .study.probe import probe
from .study.summary import summarize
from .training import metrics
from .training.callbacks import Callback, EarlyStopping, TensorBoardLog
from .training.checkpoint import BEST, LAST
from .training.trainer import fit

app = typer.Typer(
    help="Convolutional networks written out by hand: train them, measure them, look into them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(highlight=False)
complaints = Console(stderr=True, highlight=False)

OptionFlags = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="An option of the network, as key=value; repeatable."),
]
DataFlag = Annotated[
    str | None,
    typer.Option(
        "--data",
        help=f"{', '.join(data.NAMES)}, or a folder or tar file: IDX, CIFAR, class folders of images.",
    ),
]
BackendFlag = Annotated[
    str | None,
    typer.Option(help=f"One of {', '.join(dispatch.BACKENDS)}; by default the fastest available."),
]
DeviceFlag = Annotated[
    str, typer.Option(help=f"Where to compute: {' or '.join(DEVICES)} (an NVIDIA GPU).")
]
PrecisionFlag = Annotated[
    str | None,
    typer.Option(help=f"How a GPU multiplies: {', '.join(PRECISIONS)}; fp32 by default."),
]


class Format(StrEnum):
    """How `summary` writes its table."""

    terminal = "terminal"
    markdown = "markdown"
    json = "json"


@app.callback(invoke_without_command=True)
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
):
    if version:
        console.print(f"minicnn {__version__}")


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="A network's name; `minicnn models` lists them.")],
    data_source: DataFlag = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    lr: Annotated[float | None, typer.Option(min=0, help="The base learning rate.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam, adamw or rmsprop.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="constant, cosine, onecycle, polynomial, inverse or plateau.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Which of the network's recipes to follow; by default the data set's."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Use only so many of the training and test images, for a first try."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Governs everything random.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; by default runs/MODEL-DATA.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in that folder.")
    ] = False,
    early_stop: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many epochs without progress.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard event files as well.")
    ] = False,
    backend: BackendFlag = None,
    device: DeviceFlag = "cpu",
    precision: PrecisionFlag = None,
    option: OptionFlags = None,
):
    """Train a network; what is not given comes from its recipe. Without --data and without a network, it uses the embedded digits."""
    _compute_with(backend, device, precision)
    options = _options(option)
    entry = registry.entry(model)
    with skip_init():
        size = _image_size(registry.create(model, **options), entry.recipe(recipe).preprocess)
    training_set, test_set = _training_data(data_source, entry.recipe(recipe).data, size)
    if limit:
        training_set, test_set = _some(training_set, limit), _some(test_set, limit)
    if "num_classes" in entry.options:
        options.setdefault("num_classes", len(training_set.classes))
    network = registry.create(model, seed=seed, **options)
    network.recipe = entry.recipe(recipe, training_set.name)
    network.to(device)
    folder = _run_folder(out, model, training_set.name, resume)
    console.print(
        f"training [bold]{model}[/] on {training_set!r}; the run's folder is {folder}", markup=True
    )

    callbacks: list[Callback] = [EarlyStopping(early_stop)] if early_stop else []
    callbacks += [TensorBoardLog()] if tensorboard else []
    callbacks += [DrawCurves()]
    history = fit(
        network,
        training_set,
        test_set,
        recipe=recipe,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        optimizer=optimizer,
        schedule=schedule,
        seed=seed,
        out=folder,
        resume=resume,
        callbacks=callbacks,
    )
    if history.interrupted:
        again = [a for a in sys.argv[1:] if a != "--resume"]
        again += [] if out else ["--out", str(folder)]
        console.print(
            f"interrupted; everything is saved in {folder / LAST}. To go on: minicnn {shlex.join([*again, '--resume'])}"
        )
        raise typer.Exit(130)
    result = history.evaluation
    assert result is not None  # a run that was given a test set ends with its evaluation
    _show_evaluation(result)
    console.print(
        f"checkpoint: {folder / LAST} (best epoch, {history.best_epoch}: {folder / BEST})"
    )
    console.print(
        f"curves: {folder / 'curves.png'}   confusion matrix: {folder / 'confusion.png'}   numbers: {folder / 'history.csv'}"
    )
    console.print(
        f"[bold]{model}: {result.accuracy:.2%} test accuracy on {test_set.name} ({len(test_set):,} test images)[/]"
    )


@app.command()
def evaluate(
    checkpoint: Annotated[
        Path, typer.Argument(help="A .safetensors file from training or minicnn.save.")
    ],
    data_source: DataFlag = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 256,
    backend: BackendFlag = None,
    device: DeviceFlag = "cpu",
    precision: PrecisionFlag = None,
):
    """Measure a trained network on a test set: loss, top-1, top-5, accuracy per class, confusion matrix."""
    _compute_with(backend, device, precision)
    network = weights.load(checkpoint).to(device)
    size = _image_size(network, network.recipe.preprocess)
    _, test_set = _training_data(data_source, network.recipe.data, size)
    if len(test_set.classes) > network.output_shape((1, *network.input_shape))[1]:
        raise DataError(
            f"{test_set.name} has {len(test_set.classes)} classes; {checkpoint} tells fewer apart"
        )
    result = metrics.evaluate(network, test_set, batch_size=batch_size)
    _show_evaluation(result, per_class=True)
    console.print(
        f"[bold]{network.name}: {result.accuracy:.2%} test accuracy on {test_set.name} ({len(test_set):,} test images)[/]"
    )


@app.command()
def predict(
    checkpoint: Annotated[
        Path, typer.Argument(help="A .safetensors file from training or minicnn.save.")
    ],
    images: Annotated[list[Path], typer.Argument(help="Image files of any common format.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to show for each image.")] = 3,
    invert: Annotated[
        bool | None,
        typer.Option(help="Turn dark-on-light into light-on-dark; by default the border decides."),
    ] = None,
    backend: BackendFlag = None,
    device: DeviceFlag = "cpu",
    precision: PrecisionFlag = None,
):
    """What does the network see in these images? Prints the most probable classes of each."""
    _compute_with(backend, device, precision)
    network = weights.load(checkpoint).to(device)
    preprocess, loss = metrics.preprocess_of(network), metrics.loss_of(network)
    table = Table("image", *(f"{i + 1}." for i in range(top)), "")
    failures = []
    for path in images:
        try:
            if preprocess.crop:
                pixels, inverted = (
                    data.folders.decode(str(path), path.read_bytes, preprocess.image_size[0]),
                    False,
                )
            else:
                pixels, inverted = data.read_image(
                    path, preprocess.image_size or preprocess.size, network.input_shape[2], invert
                )
        except DataError as error:
            failures.append(error)
            continue
        with no_grad():
            belief = to_host(
                loss.probabilities(network(to_input(preprocess(pixels[None]), place_of(network))))
            )[0].astype(np.float32)
        ranked = np.argsort(-belief, kind="stable")[:top]
        names = network.classes or tuple(map(str, range(len(belief))))
        table.add_row(
            str(path),
            *(f"{names[i]} {belief[i]:.1%}" for i in ranked),
            "inverted" if inverted else "",
        )
    if table.row_count:
        console.print(table)
    for failure in failures:
        complaints.print(str(failure), markup=False)
    if failures:
        raise typer.Exit(2)


@app.command()
def summary(
    model: Annotated[str, typer.Argument(help="A network's name, or a .safetensors file.")],
    input_size: Annotated[
        str | None,
        typer.Option("--input", help="H, HxW or HxWxC in pixels; by default the network's own."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1)] = 1,
    format: Annotated[Format, typer.Option(help="How to write the table.")] = Format.terminal,
    with_probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Also run one step and show each layer's scale of activations."
        ),
    ] = False,
    option: OptionFlags = None,
):
    """A network's layers, with kernel, stride, padding, activation, output size, memory, parameters, MACs and connections."""
    with nullcontext() if with_probe else skip_init():
        network = (
            weights.load(model)
            if model.endswith(".safetensors")
            else registry.create(model, **_options(option))
        )
    result = summarize(network, _shape(input_size, network.input_shape), batch)
    if format is Format.json:
        print(result.to_json())
    elif format is Format.markdown:
        print(result.to_markdown())
    else:
        headings, lines = result.table()
        used = [i for i in range(len(headings)) if any(line[i] for line in lines)]
        table = Table(title=result.model, title_justify="left", header_style="bold")
        for i in used:
            table.add_column(headings[i], justify="right" if 7 <= i <= 10 else "left", no_wrap=True)
        for line in lines:
            last = line is lines[-1]
            table.add_row(*(line[i] for i in used), style="bold" if last else None)
            if line is lines[-2]:
                table.add_section()
        _print_wide(table)
        console.print(result.footer())
    if with_probe:
        _show_probe(network, max(batch, 2))


@app.command()
def models():
    """All networks, with their input, parameters and multiply-accumulates."""
    table = Table()
    columns = (
        ("name", 21, "left"),
        ("input", 9, "left"),
        ("parameters", 11, "right"),
        ("MACs", 14, "right"),
        ("recipes", 7, "left"),
    )
    for heading, width, side in columns:
        table.add_column(heading, min_width=width, justify=side)  # type: ignore[arg-type]
    table.add_column("", max_width=60, no_wrap=True, overflow="ellipsis")
    for name in registry.names():
        with skip_init():
            found = summarize(registry.create(name))
        size = "x".join(map(str, found.input))
        entry = registry.entry(name)
        table.add_row(
            name,
            size,
            f"{found.parameters:,}",
            f"{found.macs:,}",
            ", ".join(entry.recipes),
            entry.summary,
        )
    _print_wide(table)


@app.command()
def backends():
    """Which backend serves which operation, and why one is unavailable."""
    for name, purpose in dispatch.BACKENDS.items():
        found = dispatch.load(name)
        state = (
            f"[yellow]not available: {escape(found)}[/]"
            if isinstance(found, str)
            else "[green]available[/]"
        )
        console.print(f"[bold]{name:10}[/] {purpose}: {state}")
    table = Table("operation", *dispatch.BACKENDS)
    for operation, served in dispatch.table().items():
        table.add_row(operation, *("yes" if served[name] else "" for name in dispatch.BACKENDS))
    console.print(table)
    console.print(
        "Where a backend has no kernel of its own, `reference` serves. float64 arrays always go to `reference`."
    )


class Operation(StrEnum):
    """What `ladder` climbs."""

    conv = "conv"


@app.command("ladder")
def ladder_command(
    operation: Annotated[Operation, typer.Argument(help="The operation.")] = Operation.conv,
    batch: Annotated[int, typer.Option(min=1, help="Images.")] = 4,
    size: Annotated[
        int, typer.Option(min=1, help="Height and width of the images, in pixels.")
    ] = 28,
    channels: Annotated[int, typer.Option(min=1, help="Input channels.")] = 128,
    filters: Annotated[int, typer.Option(min=1, help="Output channels.")] = 128,
    kernel: Annotated[int, typer.Option(min=1, help="Height and width of the kernel, odd.")] = 3,
    repeats: Annotated[
        int, typer.Option(min=1, help="Measurements of each rung; the median counts.")
    ] = 5,
    out: Annotated[Path, typer.Option(help="Where to draw the ladder.")] = Path("ladder.png"),
    device: Annotated[
        str, typer.Option(help="cpu, or gpu: from a thread for each result to tensor cores.")
    ] = "cpu",
):
    """Measure one convolution done in ever better ways, one idea at a time: from seven loops to Winograd's algorithm."""
    from .study import ladder, plots

    if device not in ("cpu", "gpu"):
        raise ValueError(f"--device {device}: the ladder stands on cpu or gpu")
    problem = ladder.Problem(batch, size, channels, filters, kernel)
    with console.status("ladder") as status:
        climb = ladder.climb if device == "cpu" else ladder.climb_gpu
        found = climb(problem, repeats=repeats, progress=status.update)
    for name, readings in found.items():
        table = Table(
            "rung",
            "idea",
            "time",
            "GFLOP/s",
            "of peak",
            "speed-up",
            "error",
            title=f"{name}: {problem}",
            title_justify="left",
        )
        for column in table.columns[2:]:
            column.justify, column.no_wrap = "right", True
        for r in readings:
            speed = (
                plots.three_digits(r.gflops),
                f"{r.share_of_peak:.1%}",
                f"{r.speedup:,.0f}x" if r.speedup >= 10 else f"{r.speedup:.1f}x",
            )
            table.add_row(r.name, r.idea, f"{r.seconds * 1e3:,.1f} ms", *speed, f"{r.error:.0e}")
        _print_wide(table)
    peak = (
        "the machine's peak; Winograd's algorithm makes fewer, and"
        if device == "cpu"
        else "what the ordinary units reach; tensor cores"
    )
    console.print(f"GFLOP/s counts the plain sum's multiply-adds, against {peak} may pass it.")
    console.print(f"drawn: {plots.ladder(found, out, str(problem))}")


@app.command("data")
def data_command(
    name: Annotated[
        str, typer.Argument(help=f"{', '.join(data.NAMES)}, or a folder with four IDX files.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where to draw the samples; by default NAME.png in this folder."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many samples to draw.")] = 50,
):
    """Fetch a data set, verify it, count its classes, and draw some of its images."""
    from .study import plots

    training_set, test_set = data.load(name, report=console.print)
    table = Table("class", "training images", "test images")
    for label, title in enumerate(training_set.classes):
        table.add_row(
            title, *(f"{int((part.labels == label).sum()):,}" for part in (training_set, test_set))
        )
    table.add_section()
    table.add_row("all", f"{len(training_set):,}", f"{len(test_set):,}")
    console.print(table)
    captions = [training_set.classes[label] for label in training_set.labels[:count]]
    path = plots.images(
        training_set.images[:count], out or Path(f"{training_set.name}.png"), captions
    )
    console.print(f"{training_set!r}: verified. Samples: {path}")


def main() -> None:
    """Run the command line: errors become one sentence and exit code 2; --debug shows the traceback."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    warnings.showwarning = lambda message, *rest, **more: complaints.print(
        f"warning: {message}", markup=False
    )
    try:
        app([a for a in arguments if a != "--debug"])
    except KeyboardInterrupt:
        sys.exit(130)
    except (MinicnnError, ValueError, ImportError, OSError, RuntimeError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        text = str(error) or type(error).__name__
        complaints.print(
            f"minicnn: {text}" + ("" if debug else "  (--debug shows where)"),
            markup=False,
            soft_wrap=True,
        )
        sys.exit(2)


def _compute_with(backend: str | None, device: str, precision: str | None) -> None:
    """Choose the backend, the device and its precision, or say why one cannot be had."""
    checked(device)
    if precision is not None:
        if device == "cpu":
            raise ValueError(f"--precision {precision} is for a GPU: add --device cuda")
        set_precision(precision)
    dispatch.use(backend)


def _image_size(network, preprocess) -> int:
    """The side in pixels to which images of any size are brought: the network's own, or what it crops from."""
    return (preprocess.image_size if preprocess.crop else network.input_shape)[0]


def _some(dataset: data.Dataset, limit: int) -> data.Dataset:
    """Up to `limit` images, drawn from all over the set (which may be sorted by class) and always the same."""
    return dataset.subset(np.sort(np.random.default_rng(0).permutation(len(dataset))[:limit]))


def _training_data(source: str | None, wanted: str, size: int) -> tuple[data.Dataset, data.Dataset]:
    """The data asked for; if none was, the recipe's, or the embedded digits where MNIST cannot be had."""
    if source is None and wanted not in data.NAMES:
        raise DataError(
            f"this network's recipe is for {wanted}, which is not downloaded: give --data FOLDER with images in class folders"
        )
    try:
        return data.load(source or wanted, size, report=console.print)
    except DataError as error:
        if source is not None or wanted != "mnist":
            raise
        console.print(
            f"mnist cannot be had, so this trains on the embedded digits instead: {error}",
            markup=False,
            soft_wrap=True,
        )
        return data.digits(size)


def _run_folder(out: Path | None, model: str, source: str, resume: bool) -> Path:
    """The folder asked for, or runs/MODEL-DATA: a new numbered one, or to resume the latest."""
    if out is not None:
        if resume and not (out / LAST).exists():
            console.print(f"{out} holds no checkpoint yet: starting from the beginning")
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


def _options(flags: list[str] | None) -> dict:
    """`["num_classes=2"]` -> `{"num_classes": 2}`; numbers and true/false are recognized."""
    options: dict = {}
    for flag in flags or []:
        key, equals, text = flag.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"--option {flag}: expected key=value")
        words: dict = {"true": True, "false": False, "none": None}
        if text.lower() in words:
            options[key] = words[text.lower()]
            continue
        options[key] = text
        for kind in (float, int):
            try:
                options[key] = kind(text)
            except ValueError:
                pass
    return options


def _print_wide(table: Table) -> None:
    """Print a table at its natural width where that is not a terminal's: in a file it is better scrolled than folded."""
    Console(highlight=False, width=console.width if console.is_terminal else 170).print(table)


def _shape(text: str | None, default):
    """`"227"`, `"227x227"` or `"227x227x3"` as (H, W, C)."""
    if text is None:
        return default
    parts = text.lower().split("x")
    if not all(part.isdigit() and int(part) for part in parts) or len(parts) > 3:
        raise ValueError(f"--input {text}: expected H, HxW or HxWxC in pixels")
    sizes = [int(part) for part in parts]
    height, width = sizes[0], sizes[1] if len(sizes) > 1 else sizes[0]
    return height, width, sizes[2] if len(sizes) > 2 else default[2]


def _show_probe(network, batch: int) -> None:
    """Activation and gradient scale per layer before the first step; orders of magnitude away from 1 are marked."""
    readings, loss = probe(network, batch)
    table = Table(
        "layer",
        "type",
        "activation std",
        "zeros",
        "gradient std",
        "weight gradient / weight",
        title=f"step 0, {batch} random images",
    )
    for r in readings:
        faint = (
            r.activation < 1e-3
            or r.activation > 1e3
            or r.gradient == 0
            or not np.isfinite(r.activation + r.gradient)
        )
        update = "" if r.update is None else f"{r.update:.1e}"
        table.add_row(
            r.name,
            r.layer,
            f"{r.activation:.2e}",
            f"{r.dead:.0%}",
            f"{r.gradient:.1e}",
            update,
            style="red" if faint else None,
        )
    console.print(table)
    classes = network.output_shape((1, *network.input_shape))[1]
    console.print(
        f"loss {loss:.3f}; guessing among {classes} classes costs ln({classes}) = {np.log(classes):.3f}"
    )


def _show_evaluation(result: metrics.Evaluation, per_class: bool = False) -> None:
    """The confusion matrix (where it fits a screen), and accuracies."""
    n = len(result.classes)
    if n <= 20:
        table = Table(
            title="confusion matrix (rows: true class, columns: prediction)", title_justify="left"
        )
        for heading in ("", *result.classes, "accuracy"):
            table.add_column(heading, no_wrap=True)
        for name, row, share in zip(
            result.classes, result.confusion, result.per_class, strict=True
        ):
            cells = [
                f"[bold]{c}[/]" if result.classes[i] == name else f"[red]{c}[/]" if c else "·"
                for i, c in enumerate(row)
            ]
            table.add_row(name, *cells, f"{share:.2%}")
        _print_wide(table)
    elif per_class:
        table = Table("class", "images", "accuracy")
        for name, row, share in zip(
            result.classes, result.confusion, result.per_class, strict=True
        ):
            table.add_row(name, str(row.sum()), f"{share:.2%}")
        console.print(table)
    top5 = f", top-5 {result.top5:.2%}" if result.top5 is not None else ""
    console.print(f"test loss {result.loss:.4f}, top-1 {result.accuracy:.2%}{top5}")
