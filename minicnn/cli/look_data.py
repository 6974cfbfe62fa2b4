"""`look patches`, `look filters` and `look mistakes`: pictures that need a data set, or none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from ..data import Dataset
from ..layers import Conv2d, Network
from ..prediction import needed_preprocess
from ..study import look, plots
from ..study.look import figures
from .app import (
    BackendFlag,
    DataFlag,
    DeviceFlag,
    ModelFlag,
    choose_compute,
    console,
    load_network,
)
from .evaluate import Checkpoint
from .look import LayerFlag, OutFlag, look_app
from .options import with_options
from .tables import print_table
from .train import load_data

FIRST = 6  # units that are drawn if none is named


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The options of the commands that look at a data set."""

    checkpoint: Checkpoint
    data_source: DataFlag = None
    out: OutFlag = None
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Look only at so many test images, spread evenly."),
    ] = None
    model: ModelFlag = None
    backend: BackendFlag = None
    device: DeviceFlag = "cpu"

    def load(self) -> tuple[Network, Dataset, np.ndarray]:
        """The network, the test images that are looked at, and their positions in the test set."""
        choose_compute(self.backend, self.device, None)
        network = load_network(self.checkpoint, self.device, self.model)
        source = self.data_source or network.trained_on or None
        decode = needed_preprocess(network).decode
        _, test_set, _ = load_data(source, network.recipe.data, decode, memory=0)
        count = min(self.limit or len(test_set), len(test_set))
        rows = np.arange(count) * len(test_set) // count
        return network, test_set if count == len(test_set) else test_set[rows], rows


@dataclass(frozen=True, kw_only=True)
class PatchOptions(DataOptions):
    """The options of `patches`."""

    layer: Annotated[
        str | None, typer.Option(help="A layer by its name; by default the last one with maps.")
    ] = None
    unit: Annotated[
        list[int] | None,
        typer.Option(min=0, help=f"A unit, repeatable; by default the first {FIRST}."),
    ] = None
    count: Annotated[int, typer.Option(min=1, max=20, help="How many patches of each unit.")] = 9


@dataclass(frozen=True, kw_only=True)
class MistakeOptions(DataOptions):
    """The options of `mistakes`."""

    count: Annotated[int, typer.Option(min=1, max=200, help="How many images to draw.")] = 30


@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """The options of `filters`."""

    checkpoint: Checkpoint
    layer: LayerFlag = None
    out: OutFlag = None
    model: ModelFlag = None


@look_app.command("patches")
@with_options(PatchOptions)
def patches_command(options: PatchOptions) -> None:
    """The test images that activate units most, and the patterns in them.

    As Zeiler & Fergus 2013, figure 2: the receptive field, and below it the deconvnet's projection.
    """
    out = options.out or Path("patches.png")
    plots.validate_target(out)
    network, dataset, _ = options.load()
    blank = np.zeros((1, *network.input_shape), np.float32)
    layer = options.layer or look.last_maps(network, blank)
    count = look.unit_count(network, layer, blank)
    units = options.unit or list(range(min(FIRST, count)))
    with console.status(f"{len(dataset):,} images"):
        found = look.top_patches_of_units(network, dataset, layer, units, options.count)
    rows = [_row(network, dataset, layer, unit, found[unit]) for unit in units]
    pixels, reconstructions, captions = (list(part) for part in zip(*rows, strict=True))
    labels = [f"unit {unit}" for unit in units]
    title = f"{layer}: strongest of {len(dataset):,} images of {dataset.name}"
    figures.patches(pixels, reconstructions, labels, captions, out, title)
    console.print(f"{title}\npicture: {out}", soft_wrap=True)


def _row(
    network: Network, dataset: Dataset, layer: str, unit: int, found: list[look.Patch]
) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    """The patches of a unit, their reconstructions, and captions."""
    preprocess: Any = needed_preprocess(network)
    x = preprocess(dataset.images[np.array([patch.image for patch in found])])
    projected = look.deconvnet(network, x, layer, unit)
    shown = figures.visible(x, preprocess)
    windows = [np.s_[p.box[0] : p.box[2], p.box[1] : p.box[3]] for p in found]
    captions = [f"{patch.activation:.3g}" for patch in found]
    return (
        [image[window] for image, window in zip(shown, windows, strict=True)],
        [image[window] for image, window in zip(projected, windows, strict=True)],
        captions,
    )


@look_app.command("mistakes")
@with_options(MistakeOptions)
def mistakes_command(options: MistakeOptions) -> None:
    """The test images that a network gets wrong, the most certain mistake first."""
    out = options.out or Path("mistakes.png")
    plots.validate_target(out)
    network, dataset, rows = options.load()
    with console.status(f"{len(dataset):,} images"):
        found = look.mistakes(network, dataset, options.count)
    title = f"{found.wrong:,} of {found.images:,} images of {dataset.name} are wrong"
    console.print(f"{title} ({found.wrong / found.images:.2%})", soft_wrap=True)
    if not found.examples:
        return
    table = Table("image", "true class", "prediction", "probability", "that of the true class")
    for one in found.examples:
        shares = f"{one.probability:.1%}", f"{one.true_probability:.1%}"
        is_number = one.name == str(one.image)
        name = str(rows[one.image]) if is_number else one.name
        table.add_row(name, one.true, one.predicted, *shares)
    print_table(table)
    captions = [
        f"{figures.shortened(one.true, 20)} ({one.true_probability:.1%})\n"
        f"→ {figures.shortened(one.predicted, 18)} ({one.probability:.1%})"
        for one in found.examples
    ]
    pixels = dataset.images[np.array([one.image for one in found.examples])]
    figures.wrong(pixels, captions, out, f"{title}: true class → prediction")
    console.print(f"picture: {out}", soft_wrap=True)


@look_app.command("filters")
@with_options(FilterOptions)
def filters_command(options: FilterOptions) -> None:
    """The filters of a convolution that reads the image, by default of the first one."""
    out = options.out or Path("filters.png")
    plots.validate_target(out)
    network = load_network(options.checkpoint, model=options.model)
    layers = {name: one for name, one in network.named_layers() if isinstance(one, Conv2d)}
    name = options.layer or next(iter(layers), "")
    if name not in layers:
        raise ValueError(f"--layer {name}: expected one of {', '.join(layers) or 'no convolution'}")
    w = layers[name].connected_weight()
    height, width, channels, count = w.shape
    if channels not in (1, 3):
        raise ValueError(f"{name} reads {channels} maps; only filters of 1 or 3 can be drawn")
    title = f"{name}: {count} filters of {height}x{width} pixels"
    plots.filters(w, out, title)
    console.print(f"{title}\npicture: {out}", soft_wrap=True)
