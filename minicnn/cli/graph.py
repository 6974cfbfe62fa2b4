"""`graph`: the architecture of a network as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from ..layers.init import skip_init
from ..study.graph import graph
from .app import (
    ModelFlag,
    OptionFlags,
    app,
    console,
    find_network,
    parse_input_size,
)
from .own import short_name
from .profile import InputFlag, NetworkArgument


@app.command("graph")
def graph_command(
    model: NetworkArgument,
    out: Annotated[
        Path | None, typer.Option(help="PNG or SVG, by the name; by default NETWORK.png.")
    ] = None,
    unfold: Annotated[
        bool, typer.Option("--unfold", help="Draw equal blocks in a row one by one.")
    ] = False,
    input_size: InputFlag = None,
    own: ModelFlag = None,
    option: OptionFlags = None,
) -> None:
    """Draw the architecture: every layer with its output shape, parameters and MACs."""
    from ..study import plots

    path = out or Path(f"{Path(short_name(model)).stem}.png")
    plots.validate_target(path)
    with skip_init():
        network = find_network(model, own, option)
    graph(network, parse_input_size(input_size, network.input_shape), path, unfold)
    console.print(f"picture: {path}", soft_wrap=True)
