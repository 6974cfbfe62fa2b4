"""`explore`: a page that shows a network at work, number by number."""

import gc
import webbrowser
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import data
from ..data import Dataset
from ..data.dataset import across_classes
from ..errors import DataError
from ..layers import Network
from ..training import metrics
from .app import (
    BackendFlag,
    DataFlag,
    DeviceFlag,
    ModelFlag,
    OptionFlags,
    app,
    choose_compute,
    console,
    find_network,
    parse_options,
)
from .options import with_options
from .own import OF_FILE, find_entry
from .train import console_report

if TYPE_CHECKING:
    from ..study.explore import Session


@dataclass(frozen=True)
class ExploreOptions:
    """The options of `explore`."""

    model: Annotated[
        str,
        typer.Argument(help="A .safetensors file from training, a name, or FILE.py:FUNCTION."),
    ]
    data_source: DataFlag = None
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port on this machine; 0 takes a free one.")
    ] = 0
    browser: Annotated[
        bool, typer.Option(help="Open the page in the browser, or only print its address.")
    ] = True
    export: Annotated[
        Path | None,
        typer.Option(help="Write a static page into this folder instead of serving one."),
    ] = None
    images: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="The number of test images of a static page, or 3."),
    ] = None
    seed: Annotated[int, typer.Option(help="Draws the weights of an untrained network.")] = 0
    own: ModelFlag = None
    option: OptionFlags = None
    backend: BackendFlag = None
    device: DeviceFlag = "cpu"


@app.command()
@with_options(ExploreOptions)
def explore(options: ExploreOptions) -> None:
    """Look into a network: its maps and gradients, and the sum behind every number of them.

    Serves a page on this machine, to this user's browser only. Ctrl-C ends it.
    """
    # Werkzeug is imported here, so that the other commands start without it.
    from ..study.explore import Gallery, Session

    if options.images is not None and options.export is None:
        raise ValueError(f"--images {options.images} belongs to --export FOLDER")
    choose_compute(options.backend, options.device, None)
    network, sets = _network_and_data(
        options.model, options.data_source, options.own, options.option, options.seed
    )
    network.to(options.device)
    if not sets:
        instead = "drop an image on the page" if options.export is None else "it has a test picture"
        console.print(f"There is no data set: {instead}, or start with --data.", soft_wrap=True)
    if "." not in options.model:  # a name, not a file
        console.print(f"{options.model}: the weights are new and not trained", soft_wrap=True)
    session = Session(network, Gallery(network, sets), options.backend)
    with console.status("forward and backward of the first image"):
        session.retrace()  # before there is an address: a network that cannot be run says so here
    if options.export is not None:
        _export(session, options.export, options.images or 3)
    else:
        _serve(session, options)


def _serve(session: "Session", options: ExploreOptions) -> None:
    from ..study.explore.server import App, address, make

    page = App(session)
    # An explanation makes thousands of small objects. Collections then also walk through those of
    # the compiler, which takes 0.2 s of a click.
    gc.collect()
    gc.freeze()
    server = make(page, options.port)
    url = address(server, page)
    console.print(f"{options.model}: {url}", soft_wrap=True)
    console.print("Ctrl-C ends the server.")
    if options.browser:
        webbrowser.open(url)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    page.training.pause()
    server.server_close()


def _export(session: "Session", folder: Path, count: int) -> None:
    """The first test images, one of each class as far as there are any."""
    from ..study.explore.export import export

    test = session.gallery.sets.get("test")
    rows = () if test is None else across_classes(test.labels, min(count, len(test))).tolist()
    path = export(session, folder, [("test", row) for row in rows], console_report)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    console.print(f"{path}: {size / 1e6:.1f} MB; open it, or put the folder on a web host.")


def _network_and_data(
    model: str, source: str | None, own: str | None, option: list[str] | None, seed: int
) -> tuple[Network, dict[str, Dataset]]:
    """The network of a file or by name, and the data set for it; it may have none."""
    network = find_network(model, own, option, seed)
    sets = _data_of(network, source)
    if model.endswith(".safetensors") or not source:
        return network, sets
    options = parse_options(option)
    if "num_classes" in find_entry(model, options).options and "num_classes" not in options:
        classes = f"num_classes={len(sets['train'].classes)}"
        network = find_network(model, own, [*(option or []), classes], seed)
    return network, sets


def _data_of(network: Network, source: str | None) -> dict[str, Dataset]:
    """The splits of `source`; by default those that the network was trained on, if they are here.

    Otherwise the bundled digits, for a network of ten classes that reads small images, or none.
    """
    preprocess = metrics.preprocess_of(network)
    height, width, channels = network.input_shape
    decode = preprocess.decode if preprocess else data.Decode((height, width), channels)
    known = [network.trained_on, getattr(network.recipe, "data", "")]
    unknown = (None, "", OF_FILE.data)
    sources = [source] if source else [name for name in known if name not in unknown]
    for name in sources:
        try:
            found = data.load_splits(name, replace(decode, light_on_dark=False), console_report)
        except DataError as error:
            if source:
                raise
            console.print(f"{name} cannot be shown: {error}", soft_wrap=True)
            continue
        splits = {"test": found.test, "train": found.train, "validation": found.validation}
        return {split: images for split, images in splits.items() if images is not None}
    *_, outputs = network.output_shape((1, *network.input_shape))
    if max(height, width) <= 32 and outputs >= 10:
        console.print("The images are the bundled digits; --data shows others.")
        train, test = data.digits(min(height, width))
        return {"test": test, "train": train}
    return {}
