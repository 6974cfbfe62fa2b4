"""`explain`: the sum behind one number of a network, for an image."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from ..layers import Network
from ..prediction import network_inputs
from ..study.explain import array_of, explain
from ..study.look.target import class_index
from ..study.trace import Record, Trace, trace
from .app import BackendFlag, ModelFlag, app, choose_compute, console, load_network
from .evaluate import Checkpoint
from .options import with_options
from .tables import print_table

JSON_HELP = "Print JSON instead of a table, with all terms unless --terms is given."


@dataclass(frozen=True)
class ExplainOptions:
    """The options of `explain`."""

    checkpoint: Checkpoint
    image: Annotated[
        list[Path], typer.Option(help="An image file; several times for a batch of images.")
    ]
    layer: Annotated[
        str | None,
        typer.Option(help="A layer, such as conv1; loss; without it, the layers are listed."),
    ] = None
    what: Annotated[
        str,
        typer.Option(
            help="y, the output; dx, the gradient of the input; w, b, ...: the gradient of a "
            "parameter; x, dy: where these come from."
        ),
    ] = "y"
    at: Annotated[
        str | None,
        typer.Option(help="The place, such as 0,3,5,2; by default the largest absolute value."),
    ] = None
    label: Annotated[
        list[str] | None,
        typer.Option(help="The class of the image, for the loss; by default the predicted one."),
    ] = None
    terms: Annotated[
        int | None, typer.Option(min=1, help="How many terms to print; by default 20.")
    ] = None
    largest: Annotated[bool, typer.Option("--largest", help="The largest terms first.")] = False
    code: Annotated[bool, typer.Option("--code", help="Also print the code.")] = False
    training: Annotated[
        bool,
        typer.Option(
            "--training", help="As in training: dropout drops, batch norm uses these images."
        ),
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False
    model: ModelFlag = None
    backend: BackendFlag = None


@app.command("explain")
@with_options(ExplainOptions)
def explain_command(options: ExplainOptions) -> None:
    """Show how one number was made: an output, a gradient or a weight's gradient, term by term."""
    _check_layer(options)
    choose_compute(options.backend, "cpu", None)
    network = load_network(options.checkpoint, model=options.model)
    x = network_inputs(network, options.image)
    labels = _labels(network, options.label, len(x)) if options.label else None
    traced = trace(network, x, labels, training=options.training)
    if options.layer is None:
        _show_layers(traced, options.as_json)
        return
    place = _place(traced[options.layer], options.what, options.at)
    found = explain(traced, options.layer, options.what, place)
    if options.as_json:
        plain = found.to_json(options.terms, options.largest)
        print(json.dumps(plain, indent=1, ensure_ascii=False))
        return
    console.print(found.to_text(options.terms or 20, options.largest), soft_wrap=True)
    if options.code and found.source:
        console.print("\n" + found.source.code, soft_wrap=True)


def _check_layer(options: ExplainOptions) -> None:
    """Raises ValueError for options that mean nothing without `--layer`."""
    given = {
        "--what": options.what != "y",
        "--at": options.at is not None,
        "--terms": options.terms is not None,
        "--largest": options.largest,
        "--code": options.code,
    }
    named = [name for name, is_given in given.items() if is_given]
    if options.layer is None and named:
        raise ValueError(f"{named[0]} is about one number; --layer, of which layer, is missing")


def _labels(network: Network, texts: list[str], images: int) -> np.ndarray:
    """The classes by name or number. Raises ValueError."""
    if len(texts) != images:
        raise ValueError(f"--label: expected one per image: {images}; {len(texts)} are given")
    count = network.output_shape((1, *network.input_shape))[-1]
    return np.array([class_index(network, text, count) for text in texts])


def _place(record: Record, what: str, at: str | None) -> tuple[int, ...]:
    """The indices in `--at`, or those of the largest absolute value."""
    if at is None:
        array = array_of(record, what)[1].astype(np.float64)
        size = np.nan_to_num(np.abs(array), nan=np.inf)
        return tuple(int(i) for i in np.unravel_index(size.argmax(), array.shape))
    try:
        return tuple(int(part) for part in at.split(",")) if at.strip() else ()
    except ValueError:
        raise ValueError(f"--at {at}: expected integers, such as 0,3,5,2") from None


def _show_layers(traced: Trace, as_json: bool) -> None:
    """What can be explained: the layers with the shapes of their arrays."""
    shapes = {
        record.path: {what: array.shape for what, array in record.arrays().items()}
        for record in traced.records
    }
    if as_json:
        rows = [{"path": r.path, "layer": r.kind, "arrays": shapes[r.path]} for r in traced.records]
        print(json.dumps(rows, indent=1))
        return
    table = Table("layer", "type", "y", "dx", "gradients of parameters")
    for record in traced.records:
        own = {what: "x".join(map(str, shape)) for what, shape in shapes[record.path].items()}
        gradients = ", ".join(f"{what} {own[what]}" for what in record.gradients)
        name = record.path or "(the network)"
        table.add_row(name, record.kind, own["y"] or "a number", own.get("dx", ""), gradients)
    print_table(table)
    console.print("--layer NAME --what y --at 0,3,5,2 explains one number", soft_wrap=True)
