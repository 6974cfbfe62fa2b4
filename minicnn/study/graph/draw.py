"""The picture of a network, as PNG, SVG or a matplotlib Figure."""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ...kernels.types import Shape
from ...layers import Layer, metadata
from ..cost.step import input_shape_of
from ..picture import Picture, write
from ..plots import Target
from .labels import CONV, LINEAR, NORM, OTHER, POOL
from .layout import place
from .shapes import Shapes, size_text, text_width
from .tree import Network, read

COLORS = {
    CONV: ("#cfe2f7", "#3b6ea8"),
    POOL: ("#d5edd2", "#4a8b46"),
    NORM: ("#e6daf2", "#7d5ba6"),
    LINEAR: ("#fbdfc0", "#c17a2a"),
    OTHER: ("#ececec", "#808080"),
    "input": ("#ffffff", "#404040"),
}
JOINT = ("#fff3b8", "#a88f1d")
MARGIN, HEADER = 16.0, 62.0  # points


def graph(
    model: Layer, input_shape: Shape | None = None, path: Target = None, unfold: bool = False
) -> Path | Figure:
    """Draw the architecture: every layer with its output shape, parameters and MACs.

    input_shape: (H, W, C), the model's own if None. path: where to write a PNG or SVG file; None
    returns the Figure. unfold: draw equal blocks in a row one by one.
    Raises ValueError if no input shape is known, ShapeError if the model cannot take it.
    """
    network = read(model, input_shape_of(model, input_shape), not unfold)
    return draw(network, metadata(model).name or type(model).__name__, path)


def draw(network: Network, title: str, path: Target = None) -> Path | Figure:
    """The picture of the nodes."""
    shapes, width, height = place(network)
    width = max(width, 520.0) + 2 * MARGIN
    height += HEADER + 2 * MARGIN
    figure = Picture(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-MARGIN, width - MARGIN)
    axes.set_ylim(height - HEADER - MARGIN, -HEADER - MARGIN)
    axes.axis("off")
    _header(axes, network, title)
    _draw_shapes(axes, shapes)
    if path is None:
        return figure
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text that can be selected
        return write(figure, path, dpi=144)


def _draw_shapes(axes: Any, shapes: Shapes) -> None:
    for x, y, w, h, several in shapes.frames:
        for shift in (6.0, 3.0) if several else ():  # a stack of blocks
            _rectangle(axes, (x + shift, y - shift, w, h), "#ffffff", "#b5b5b5", 5)
        _rectangle(axes, (x, y, w, h), "#fafafa", "#b5b5b5", 5)
    for points, arrow, dashed in shapes.lines:
        style: dict[str, Any] = {
            "color": "#404040",
            "linewidth": 1.0,
            "linestyle": ":" if dashed else "-",
        }
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, **style)
        if arrow:
            head: dict[str, Any] = {
                "arrowstyle": "-|>",
                "color": "#404040",
                "shrinkA": 0,
                "shrinkB": 0,
            }
            head |= {"mutation_scale": 9, "linewidth": 0}
            axes.annotate("", points[-1], points[-2], arrowprops=head)
    for x, y, w, h, kind in shapes.boxes:
        _rectangle(axes, (x, y, w, h), *COLORS[kind], 3)
    for box in shapes.joints:
        _rectangle(axes, box, *JOINT, 7)
    for x, y, text, size, weight, color, align in shapes.texts:
        style = {"fontsize": size, "fontweight": weight, "color": color, "parse_math": False}
        axes.text(x, y, text, ha=align, va="center_baseline", **style)


def _rectangle(
    axes: Any, box: tuple[float, float, float, float], face: str, edge: str, radius: float
) -> None:
    x, y, w, h = box
    style = f"round,pad=0,rounding_size={radius}"
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            w,
            h,
            boxstyle=style,
            facecolor=face,
            edgecolor=edge,
            linewidth=0.9,
            zorder=1.5 if face in ("#fafafa", "#ffffff") else 3,
        )
    )


def _header(axes: Any, network: Network, title: str) -> None:
    """The title with the totals, and the legend."""
    top = -HEADER - MARGIN / 2
    axes.text(0, top + 14, title, fontsize=15, fontweight="bold", va="center", parse_math=False)
    totals = (
        f"{size_text(network.input)} to {size_text(network.output)}, "
        f"{network.parameters:,} parameters, {network.macs:,} MACs per image"
    )
    axes.text(0, top + 32, totals, fontsize=9, va="center", color="0.25")
    x, y = 0.0, top + 43
    entries = [(kind, COLORS[kind]) for kind in (CONV, POOL, NORM, LINEAR, OTHER)]
    for label, colors in [*entries, ("add, concat", JOINT)]:
        _rectangle(axes, (x, y, 12, 9), *colors, 2)
        axes.text(x + 16, y + 4.5, label, fontsize=8, va="center")
        x += 32 + text_width(label, 8.0)
    axes.text(x, y + 4.5, "par: parameters", fontsize=8, va="center", color="0.3")
