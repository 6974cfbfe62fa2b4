"""`export`: a network as a file for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..caffe import to_caffe
from ..layers import Network
from ..onnx.export import OLDEST, to_onnx
from ..onnx.export_graph import OPSET
from .app import (
    BATCH,
    ModelFlag,
    OptionFlags,
    app,
    console,
    error_console,
    find_network,
    parse_input_size,
)
from .profile import InputFlag, NetworkArgument


class Layout(StrEnum):
    """The layouts of a batch of images."""

    NCHW = "NCHW"
    NHWC = "NHWC"


class Pixels(StrEnum):
    """The types in which pixels can be given to a graph."""

    uint8 = "uint8"
    float32 = "float32"


@app.command("export")
def export_command(
    model: NetworkArgument,
    out: Annotated[Path, typer.Argument(help="The file to write, .onnx or .caffemodel.")],
    batch: Annotated[
        int | None,
        typer.Option(*BATCH, min=1, help="Fix the number of images; by default it is open."),
    ] = None,
    input_size: InputFlag = None,
    input_layout: Annotated[Layout, typer.Option(help="That of the input images.")] = Layout.NCHW,
    opset: Annotated[
        int, typer.Option(help=f"The version of ONNX's operators, {OLDEST} or later.")
    ] = OPSET,
    fold: Annotated[
        bool, typer.Option("--fold", help="Compute batch norms in the convolutions before them.")
    ] = False,
    softmax: Annotated[
        bool, typer.Option("--softmax", help="Compute probabilities from the outputs.")
    ] = False,
    with_preprocessing: Annotated[
        Pixels | None,
        typer.Option(help="The input are pixels, 0 to 255, of that type; the graph normalizes."),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(help="For Caffe, the order of the channels of images: bgr (its own) or rgb."),
    ] = None,
    own: ModelFlag = None,
    option: OptionFlags = None,
) -> None:
    """Write a network as an ONNX file, or as a .caffemodel and its .prototxt.

    The other options, from --batch-size to --with-preprocessing, are for ONNX.
    """
    network = find_network(model, own, option, seed=0)
    if out.suffix not in (".onnx", ".caffemodel"):
        raise ValueError(f"{out}: expected a name that ends in .onnx or .caffemodel")
    if out.suffix == ".caffemodel":
        layout, version = input_layout is not Layout.NCHW, opset != OPSET
        _check_none(out, batch_size=batch, input=input_size, input_layout=layout, opset=version)
        _check_none(out, fold=fold, softmax=softmax, with_preprocessing=with_preprocessing)
        return _write_caffe(model, network, out, channels)
    if channels:
        raise ValueError(f"--channels {channels} is for a .caffemodel; {out} is none")
    proto = to_onnx(
        network,
        out,
        input_shape=parse_input_size(input_size, network.input_shape),
        batch=batch,
        input_layout=input_layout.value,
        opset=opset,
        fold_batch_norm=fold,
        softmax=softmax,
        with_preprocessing=with_preprocessing and with_preprocessing.value,
    )
    _print_note(model)
    entry, result = proto.graph.input[0], proto.graph.output[0]
    console.print(
        f"{out}: opset {opset}, {out.stat().st_size:,} bytes, "
        f"{entry.name} {_text(entry)} -> {result.name} {_text(result)}",
        soft_wrap=True,
    )


def _print_note(model: str) -> None:
    if not model.endswith(".safetensors"):
        error_console.print(f"note: {model} is not trained: the file has its initial weights")


def _check_none(out: Path, **given: Any) -> None:
    """Raise ValueError if an option is given that only ONNX files have."""
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise ValueError(
            f"--{wrong[0].replace('_', '-')} is for an ONNX file; {out} is a .caffemodel"
        )


def _write_caffe(model: str, network: Network, out: Path, channels: str | None) -> None:
    files = to_caffe(network, out, channels)
    _print_note(model)
    sizes = ", ".join(f"{path} ({path.stat().st_size:,} bytes)" for path in files)
    console.print(sizes, soft_wrap=True)


def _text(value: Any) -> str:
    """`float32 (N, 1, 32, 32)`."""
    tensor = value.type.tensor_type
    kind = "uint8" if tensor.elem_type == 2 else "float32"
    return f"{kind} ({', '.join(d.dim_param or str(d.dim_value) for d in tensor.shape.dim)})"
