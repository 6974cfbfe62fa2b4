"""`convert`: a network of another program as a file of ours."""

from pathlib import Path
from typing import Annotated

import typer

from .. import data, weights
from ..caffe import from_caffe
from ..data.mean_image import MeanImage, mean_of
from ..layers import Graph, Network
from .app import app, console, error_console, parse_input_size


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="The file to read: net.caffemodel.")],
    out: Annotated[
        Path | None,
        typer.Argument(help="The file to write; by default that of SOURCE, as .safetensors."),
    ] = None,
    prototxt: Annotated[
        Path | None, typer.Option(help="Caffe's description of the network, if there is one.")
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option("--input", help="HxWxC in pixels, if the files do not tell it."),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(help="The order in which the network was given images: bgr (Caffe's) or rgb."),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            help="What was subtracted from the images: a .binaryproto file, gray levels of R, G "
            "and B such as 123,117,104, or a data set, for the mean of its training images."
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Which of several outputs the network returns, by name.")
    ] = None,
) -> None:
    """Read a trained network of Caffe, and write it for train, evaluate, predict and all others."""
    out = out or source.with_suffix(".safetensors")
    if source.suffix != ".caffemodel":
        raise ValueError(f"{source}: expected a .caffemodel file")
    shape = parse_input_size(input_size, (0, 0, 3)) if input_size else None
    network = from_caffe(
        source,
        prototxt,
        input_shape=shape,
        channels=channels,
        mean=_mean(mean),
        output=output,
        report=lambda text: error_console.print(f"warning: {text}", soft_wrap=True),
    )
    weights.save(network, out)
    _report(network, out)


def _mean(text: str | None) -> str | tuple[float, ...] | MeanImage | None:
    """The path of a mean image, gray levels, or the mean of the training images of a data set."""
    if text is None or text.endswith(".binaryproto"):
        return text
    if not text.replace(",", "").replace(".", "").isdigit():
        training, _ = data.load(text)
        return mean_of(training.images)
    levels = tuple(float(part) for part in text.split(",") if part)
    if len(levels) not in (1, 3) or max(levels) > 255:
        raise ValueError(f"--mean {text}: expected 1 or 3 gray levels from 0 to 255")
    return levels if len(levels) == 3 else levels * 3


def _report(network: Network, out: Path) -> None:
    """What the file holds now, and what reads it."""
    known = isinstance(network, Graph)
    what = f"a graph of {len(network)} layers" if known else f"{network.name}, a network of the zoo"
    count = sum(parameter.value.size for parameter in network.parameters())
    height, width, channels = network.input_shape
    console.print(
        f"{out}: {what}, {count:,} parameters, input {height}x{width}x{channels}", soft_wrap=True
    )
    if network.preprocess is None:
        error_console.print(
            "note: nothing tells how pixels become its input: --mean adds that", soft_wrap=True
        )
