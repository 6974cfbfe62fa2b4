"""`convert`: a network of another program as a file of ours."""

from pathlib import Path
from typing import Annotated

import typer

from .. import data, weights
from ..caffe import from_caffe
from ..data.mean_image import MeanImage, mean_of
from ..data.transforms import Preprocess
from ..layers import Graph, Network
from ..onnx import from_onnx
from .app import app, console, error_console, parse_input_size
from .own import FILE


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="The file to read: net.onnx or net.caffemodel.")],
    out: Annotated[
        Path | None,
        typer.Argument(help="The file to write; by default that of SOURCE, as .safetensors."),
    ] = None,
    prototxt: Annotated[
        Path | None, typer.Option(help="Caffe's description of the network, if there is one.")
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option("--input", help="HxWxC in pixels, if the files do not give it."),
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
    std: Annotated[
        str | None,
        typer.Option(help="By what the images were divided after that, in gray levels (ONNX)."),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="A text file with the name of one class per line.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Which of several outputs the network returns, by name.")
    ] = None,
) -> None:
    """Read a network of another program, and write it for train, evaluate, predict and others."""
    out = out or source.with_suffix(FILE)
    if out.suffix != FILE:  # by which other commands tell a file from the name of a network
        raise ValueError(f"{out}: expected a name that ends in {FILE}")
    shape = parse_input_size(input_size, (0, 0, 3)) if input_size else None
    if source.suffix == ".onnx":
        if prototxt or channels:
            raise ValueError("--prototxt and --channels are for a .caffemodel file")
        network: Network = from_onnx(source, input_shape=shape, output=output)
        network.preprocess = _normalization(network, mean, std) or network.preprocess
    elif source.suffix == ".caffemodel":
        if std:
            raise ValueError(f"--std {std}: Caffe's networks are not divided by it")
        network = _of_caffe(source, prototxt, shape, channels, mean, output)
    else:
        raise ValueError(f"{source}: expected a .onnx or .caffemodel file")
    network.classes = _classes(classes, network) if classes else network.classes
    weights.save(network, out)
    _report(network, out)


def _of_caffe(
    source: Path,
    prototxt: Path | None,
    shape: tuple[int, ...] | None,
    channels: str | None,
    mean: str | None,
    output: str | None,
) -> Network:
    return from_caffe(
        source,
        prototxt,
        input_shape=shape,
        channels=channels,
        mean=_mean(mean),
        output=output,
        report=lambda text: error_console.print(f"warning: {text}", soft_wrap=True),
    )


def _normalization(network: Network, mean: str | None, std: str | None) -> Preprocess | None:
    """`(pixel - mean) / std` in gray levels; None if neither is given."""
    if mean is None and std is None:
        return None
    if len(network.input_shape) != 3:
        raise ValueError("--mean and --std: the network does not read images")
    height, width, channels = network.input_shape
    levels = []
    for flag, text in (("--mean", mean or "0"), ("--std", std or "255")):
        try:
            found = tuple(float(part) / 255 for part in text.split(","))
        except ValueError:
            raise ValueError(f"{flag} {text}: expected gray levels, such as 124,116,104") from None
        levels.append(found[0] if len(found) == 1 else found)
    return Preprocess((height, width), channels, mean=levels[0], std=levels[1])


def _classes(path: Path, network: Network) -> tuple[str, ...]:
    """The names in a text file, one for each of the network's outputs."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"--classes {path}: expected text in UTF-8") from None
    names = tuple(line.strip() for line in lines if line.strip())
    count = network.output_shape((1, *network.input_shape))[-1]
    if len(names) != count:
        raise ValueError(f"--classes {path}: {len(names)} names; the network has {count} outputs")
    return names


def _mean(text: str | None) -> str | float | tuple[float, ...] | MeanImage | None:
    """The path of a mean image, gray levels, or the mean of the training images of a data set."""
    if text is None or text.endswith(".binaryproto"):
        return text
    try:
        levels = tuple(float(part) for part in text.split(",") if part)
    except ValueError:
        training, _ = data.load(text)
        return mean_of(training.images)
    if len(levels) not in (1, 3) or not all(0 <= level <= 255 for level in levels):
        raise ValueError(f"--mean {text}: expected 1 or 3 gray levels from 0 to 255")
    return levels if len(levels) == 3 else levels[0]


def _report(network: Network, out: Path) -> None:
    """What the file holds now, and what reads it."""
    known = isinstance(network, Graph)
    what = f"a graph of {len(network)} layers" if known else f"{network.name}, a network of the zoo"
    count = sum(parameter.value.size for parameter in network.parameters())
    size = f", input {'x'.join(map(str, network.input_shape))}" if network.input_shape else ""
    console.print(f"{out}: {what}, {count:,} parameters{size}", soft_wrap=True)
    if network.preprocess is None:
        error_console.print(
            "note: nothing says how pixels become its input: --mean adds that", soft_wrap=True
        )
