"""`look`: pictures of what matters to a network, in images and in a data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..layers import Network
from ..prediction import image_files, needed_preprocess, network_inputs
from ..study import look, plots
from ..study.look import figures
from .app import BackendFlag, DeviceFlag, ModelFlag, app, choose_compute, console, load_network
from .evaluate import Checkpoint
from .options import with_options

MOST = 24  # rows of a picture

look_app = typer.Typer(
    help="Draw what matters to a network: maps of images, patches, filters, mistakes.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(look_app, name="look")

OutFlag = Annotated[
    Path | None,
    typer.Option(help="Where to draw; by default the name of the command, .png, in this folder."),
]
LayerFlag = Annotated[
    str | None, typer.Option(help="A layer by its name, as `minicnn summary` lists them.")
]
UnitFlag = Annotated[
    str | None,
    typer.Option(
        help="A unit of the layer: K, the strongest place of map K, or ROW,COLUMN,K.", metavar="K"
    ),
]


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """The options of every command that draws maps of images."""

    checkpoint: Checkpoint
    images: Annotated[
        list[Path], typer.Argument(help="Image files, folders of them, or patterns such as *.png.")
    ]
    out: OutFlag = None
    invert: Annotated[
        bool | None,
        typer.Option(help="Turn dark-on-light into light-on-dark; by default the border decides."),
    ] = None
    model: ModelFlag = None
    backend: BackendFlag = None
    device: DeviceFlag = "cpu"


@dataclass(frozen=True, kw_only=True)
class ClassOptions(ImageOptions):
    """The same for maps of the score of a class."""

    class_: Annotated[
        str | None,
        typer.Option(
            "--class", help="Its name or number; by default the most probable one of each image."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class GradientOptions(ClassOptions):
    """The same for gradients, also those of a unit."""

    layer: LayerFlag = None
    unit: UnitFlag = None


@dataclass(frozen=True, kw_only=True)
class CamOptions(ClassOptions):
    """The options of `gradcam`."""

    layer: Annotated[
        str | None,
        typer.Option(help="The layer whose maps are weighted; by default the last one with maps."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class OcclusionOptions(ClassOptions):
    """The options of `occlusion`."""

    size: Annotated[
        int | None, typer.Option(help="The side of the square in pixels; by default a fifth.")
    ] = None
    stride: Annotated[
        int | None, typer.Option(help="From one place to the next; by default size / 3.")
    ] = None
    fill: Annotated[
        float,
        typer.Option(
            help="What covers the pixels, after preprocessing; 0 is the mean it subtracts."
        ),
    ] = 0.0


@dataclass(frozen=True, kw_only=True)
class DeconvOptions(ImageOptions):
    """The options of `deconv`."""

    layer: Annotated[str, typer.Option(help="A layer by its name.")]
    unit: Annotated[
        str, typer.Option(help="K, the strongest place of map K; or ROW,COLUMN,K.", metavar="K")
    ]


@look_app.command("saliency")
@with_options(GradientOptions)
def saliency_command(options: GradientOptions) -> None:
    """How much each pixel changes the score of a class (Simonyan et al. 2013).

    With --layer and --unit, how much it changes a unit inside the network.
    """
    view = View(options, "saliency")
    target = unit_of(options.layer, options.unit, options.class_)
    found = look.saliency(view.network, view.x, options.class_, **target)
    title = f"Saliency: how much each pixel changes the {'unit' if target else 'score'}"
    view.draw(figures.maps, found, view.facts(options.class_, **target), title)


@look_app.command("guided")
@with_options(GradientOptions)
def guided_command(options: GradientOptions) -> None:
    """Guided backpropagation (Springenberg et al. 2014): the gradient without what lowers a score.

    With --layer and --unit, for a unit inside the network.
    """
    view = View(options, "guided")
    target = unit_of(options.layer, options.unit, options.class_)
    found = look.guided_backprop(view.network, view.x, options.class_, **target)
    facts = view.facts(options.class_, **target)
    view.draw(figures.gradients, found, facts, "Guided backpropagation")


@look_app.command("gradcam")
@with_options(CamOptions)
def gradcam_command(options: CamOptions) -> None:
    """Grad-CAM (Selvaraju et al. 2017): the regions that support a class."""
    view = View(options, "gradcam")
    layer = options.layer or look.last_maps(view.network, view.x[:1])
    found = look.grad_cam(view.network, view.x, options.class_, layer)
    view.draw(figures.maps, found, view.facts(options.class_), f"Grad-CAM of {layer}")


@look_app.command("occlusion")
@with_options(OcclusionOptions)
def occlusion_command(options: OcclusionOptions) -> None:
    """How far the probability falls if a square is covered (Zeiler & Fergus 2013, section 4.2)."""
    view = View(options, "occlusion")
    square: dict[str, Any] = {"size": options.size, "stride": options.stride, "fill": options.fill}
    with console.status("covering squares"):
        found = look.occlusion(view.network, view.x, options.class_, **square)
    title = "Occlusion: fall of the probability if covered"
    view.draw(figures.maps, found, view.facts(options.class_), title, signed=True)


@look_app.command("deconv")
@with_options(DeconvOptions)
def deconv_command(options: DeconvOptions) -> None:
    """The pattern that caused the activation of a unit (Zeiler & Fergus 2013, section 2.1).

    The receptive field of the unit is framed.
    """
    view = View(options, "deconv")
    layer, unit = options.layer, parse_unit(options.unit)
    found = look.deconvnet(view.network, view.x, layer, unit)
    boxes = [one.box for one in look.unit_activations(view.network, view.x, layer, unit)]
    facts, title = view.facts(layer=layer, unit=unit), f"Deconvnet of {layer}, unit {options.unit}"
    view.draw(figures.gradients, found, facts, title, boxes=boxes)


class View:
    """The network and the images of one command, and the picture that it draws."""

    def __init__(self, options: ImageOptions, name: str):
        self.out = options.out or Path(f"{name}.png")
        plots.validate_target(self.out)
        choose_compute(options.backend, options.device, None)
        self.network: Network = load_network(options.checkpoint, options.device, options.model)
        self.files = image_files(options.images)
        if len(self.files) > MOST:
            raise ValueError(f"{len(self.files)} images: expected at most {MOST} for one picture")
        self.x = network_inputs(self.network, self.files, options.invert)

    def facts(
        self, class_: str | None = None, layer: str | None = None, unit: look.Unit | None = None
    ) -> list[str]:
        """For each image the class with its score, or the unit with its activation."""
        if layer is not None and unit is not None:
            return [
                f"{layer}, unit {','.join(map(str, one.unit))}: {one.activation:.3g}"
                for one in look.unit_activations(self.network, self.x, layer, unit)
            ]
        return [
            f"{figures.shortened(one.name)} ({one.probability:.1%}, score {one.score:.3g})"
            for one in look.scored(self.network, self.x, class_)
        ]

    def draw(
        self,
        figure: Callable[..., Any],
        found: np.ndarray,
        facts: Sequence[str],
        title: str = "",
        **more: Any,
    ) -> None:
        """Draw the picture, and print what is in it. facts: one per image, under its name."""
        pixels = figures.visible(self.x, needed_preprocess(self.network))
        rows = list(zip(self.files, facts, strict=True))
        names = names_of(self.files)
        captions = [figures.caption(*one) for one in zip(names, facts, strict=True)]
        figure(pixels, found, captions, self.out, title, **more)
        for path, fact in rows:
            console.print(f"{path}: {fact}", soft_wrap=True)
        console.print(f"picture: {self.out}", soft_wrap=True)


def names_of(files: Sequence[Path]) -> list[str]:
    """The names of the files; with their folders if several have the same name: `dog/0001.jpg`."""
    names = [path.name for path in files]
    if len(set(names)) == len(names):
        return names
    return ["/".join(path.parts[-2:]) for path in files]


def unit_of(layer: str | None, unit: str | None, class_: str | None) -> dict[str, Any]:
    """The arguments that `--layer` and `--unit` mean; none without them."""
    if (layer is None) != (unit is None):
        raise ValueError("expected both --layer and --unit, or neither")
    if layer is None or unit is None:
        return {}
    if class_ is not None:
        raise ValueError(f"--class {class_} is not for a unit: leave out --layer and --unit")
    return {"layer": layer, "unit": parse_unit(unit)}


def parse_unit(text: str) -> look.Unit:
    """`"12"` -> 12, `"3,4,12"` -> (3, 4, 12). Raises ValueError."""
    parts = text.split(",")
    if len(parts) not in (1, 3) or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"--unit {text}: expected K, or ROW,COLUMN,K")
    numbers = [int(part) for part in parts]
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])
