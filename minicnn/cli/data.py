"""`data`: the images of a data set, and what training makes of them."""

import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from .. import data, registry
from ..data.augment.presets import PRESETS
from ..data.dataset import across_classes
from ..data.mean_image import PER_CHANNEL
from ..layers.init import skip_init
from ..study import plots
from ..study.look.figures import visible
from .app import app, console
from .tables import print_table

DRAWS = 7  # of each image, beside the image itself
SAMPLES, ROWS = 50, 8


@dataclass(frozen=True)
class Augmentation:
    """What `--augment` names.

    decode: how image files become the pixels that it changes. preprocess, input_shape: those of the
    recipe's network; a preset has none, and takes the images as they are.
    """

    pipeline: data.Pipeline
    decode: data.Decode
    input_size: int = 0
    preprocess: data.Preprocess | None = None

    def for_data(self, images: Any) -> tuple[data.Pipeline, data.Preprocess]:
        """The pipeline, and the preprocess, for these training images `(N, h, w, c)`."""
        if self.preprocess:
            return self.pipeline, self.preprocess.for_data(images)
        height, width, channels = images.shape[1:]
        size = min(height, self.input_size), min(width, self.input_size)
        preprocess = data.Preprocess(size, channels, PER_CHANNEL, 0.25, crop=True)
        return self.pipeline.for_input((*size, channels)), preprocess.for_data(images)


@app.command("data")
def data_command(
    name: Annotated[
        str,
        typer.Argument(
            help=f"{', '.join(data.NAMES)}, or a folder or tar file: IDX, CIFAR, or class folders."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where to draw the samples; by default NAME.png in this folder."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help=f"How many images; {SAMPLES}, or {ROWS} with --augment."),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="Draw the images that training uses: MODEL, MODEL:RECIPE, or one of the presets "
            f"{', '.join(PRESETS)}.",
        ),
    ] = None,
) -> None:
    """Fetch a data set, verify it, count its classes, and draw some of its images.

    With --augment, a row of the picture is an image and several random changes of it.
    """
    if out:
        plots.validate_target(out)
    chosen = find_augmentation(augment, name) if augment else None
    originals = chosen is not None and chosen.pipeline.cuts_windows
    decode = chosen.decode if chosen else 32
    training_set, test_set = data.load(name, decode, console.print, originals=originals)
    show_classes(training_set, test_set)
    rows = across_classes(training_set.labels, count or (ROWS if chosen else SAMPLES))
    samples, target = training_set[rows], out or Path(f"{training_set.name}.png")
    if chosen:
        pipeline, preprocess = chosen.for_data((samples if originals else training_set).images)
        console.print(f"{augment}: {pipeline}", soft_wrap=True)
        draw_changes(samples, pipeline, preprocess, target)
    else:
        captions = [samples.classes[label] for label in samples.labels]
        plots.images(samples.images[np.arange(len(samples))], target, captions)
    console.print(f"{training_set!r}: verified. Samples: {target}", soft_wrap=True)


def show_classes(training_set: data.Dataset, test_set: data.Dataset) -> None:
    """A table of the number of images per class."""
    table = Table("class", "training images", "test images")
    for label, title in enumerate(training_set.classes):
        counts = (int((part.labels == label).sum()) for part in (training_set, test_set))
        table.add_row(title, *(f"{n:,}" for n in counts))
    table.add_section()
    table.add_row("all", f"{len(training_set):,}", f"{len(test_set):,}")
    print_table(table)


def find_augmentation(text: str, source: str) -> Augmentation:
    """What `--augment TEXT` means for the data `source`. Raises ValueError."""
    if text in PRESETS:
        preset = PRESETS[text]
        size = preset.image_size, preset.image_size
        return Augmentation(preset.pipeline, data.Decode(size), preset.input_size)
    model, _, recipe = text.partition(":")
    if model not in registry.names():
        raise ValueError(
            f"--augment {text}: expected MODEL, MODEL:RECIPE or one of {', '.join(PRESETS)}"
        )
    plan = registry.entry(model).recipe(recipe or None, source)
    with skip_init():
        shape = registry.create(model).input_shape
    preprocess = plan.preprocess.for_input(shape)
    decode = replace(preprocess.decode, light_on_dark=False)
    return Augmentation(plan.pipeline(shape), decode, preprocess=preprocess)


def draw_changes(
    samples: data.Dataset, pipeline: data.Pipeline, preprocess: data.Preprocess, path: Path
) -> None:
    """A row per image: the image, and what training gets of it in several epochs."""
    loader = data.Loader(samples, len(samples), preprocess, pipeline)
    columns = [list(samples.images[np.arange(len(samples))])]
    captions = [[samples.classes[label] for label in samples.labels]]
    for _ in range(DRAWS):
        for x, labels in loader:
            columns.append(list(visible(x, preprocess)))
            captions.append([mixture(target, samples.classes) for target in labels])
    pictures = [image for row in zip(*columns, strict=True) for image in row]
    texts = [text for row in zip(*captions, strict=True) for text in row]
    title = textwrap.fill(str(pipeline), 80)
    plots.images(pictures, path, texts, columns=DRAWS + 1, title=title)


def mixture(target: np.ndarray, classes: tuple[str, ...]) -> str:
    """The two largest parts of a soft target: "60% cat 40% dog"; nothing for a label."""
    if not target.ndim:
        return ""
    parts = [i for i in np.argsort(-target, kind="stable")[:2] if target[i] >= 0.005]
    return " ".join(f"{target[i]:.0%} {classes[i]}" for i in parts)
