"""Pictures of what `minicnn.study.look` finds: maps over images, patches, mistakes.

Like `minicnn.study.plots`, every function writes a file, or returns a figure without a path.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps

from ...data.mean_image import MeanImage
from ...data.transforms import Preprocess
from ..plots import Figure, Picture, Target, finish
from .fields import Box

SIDE = 1.9  # inches of an image
NAME = 24  # characters that fit above one
FRAME = "#00e5ff"  # of a receptive field
PEAK = 99.5  # the percentile that has the full color: single pixels would darken all others
HEAT, SIGNED = "inferno", "RdBu_r"  # dark to bright; blue for negative and red for positive


def visible(x: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """The network's input as uint8 pixels; of a mean image, the means of the channels are added."""
    mean = preprocess.mean
    levels = np.asarray(mean.channel_means if isinstance(mean, MeanImage) else mean)
    pixels = 255 * (x * np.asarray(preprocess.std) + levels)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def maps(
    pixels: Sequence[np.ndarray],
    found: Sequence[np.ndarray],
    captions: Sequence[str],
    path: Target = None,
    title: str = "",
    signed: bool = False,
) -> Path | Figure:
    """A row per image: the image, its map in color with a scale, and the map over the image.

    pixels: uint8 `(H, W, C)`. found: a map `(H, W)` for each.
    signed: draw it from blue over white to red, for negative and positive values; otherwise from
        dark to bright, beginning at 0.
    """
    figure, grid = _grid(len(pixels), 3, title)
    for axes, image, own, caption in zip(grid, pixels, found, captions, strict=True):
        limit = _limit(own)
        low = -limit if signed else 0
        _show(axes[0], image, caption)
        drawn = axes[1].imshow(own, cmap=SIGNED if signed else HEAT, vmin=low, vmax=limit)
        bar = figure.colorbar(drawn, ax=axes[1], fraction=0.046, pad=0.03)
        bar.ax.tick_params(labelsize=6)
        bar.ax.yaxis.get_offset_text().set_fontsize(6)
        _show(axes[2], overlaid(image, own, signed))
    return finish(figure, path, title)


def gradients(
    pixels: Sequence[np.ndarray],
    found: Sequence[np.ndarray],
    captions: Sequence[str],
    path: Target = None,
    title: str = "",
    boxes: Sequence[Box | None] = (),
) -> Path | Figure:
    """A row per image: the image, a signed result of its shape, and its magnitude over the image.

    found: `(H, W, C)` for each, drawn as an image in which 0 is gray.
    boxes: receptive fields, framed in the image.
    """
    figure, grid = _grid(len(pixels), 3, title)
    frames = boxes or [None] * len(pixels)
    for axes, image, own, caption, box in zip(grid, pixels, found, captions, frames, strict=True):
        _show(axes[0], image, caption)
        _show(axes[1], signed_image(own))
        _show(axes[2], overlaid(image, np.abs(own).max(axis=2)))
        if box:
            top, left, bottom, right = box
            edges = (left, right, right, left, left), (top, top, bottom, bottom, top)
            axes[0].plot(*(np.array(edge) - 0.5 for edge in edges), color=FRAME, linewidth=1.2)
    return finish(figure, path, title)


def patches(
    pixels: Sequence[Sequence[np.ndarray]],
    reconstructions: Sequence[Sequence[np.ndarray]],
    labels: Sequence[str],
    captions: Sequence[Sequence[str]],
    path: Target = None,
    title: str = "",
) -> Path | Figure:
    """Two rows per unit: its strongest patches, and below each what the deconvnet makes of it.

    The layout of Zeiler & Fergus 2013, figure 2, in rows. captions: one per patch, above it.
    """
    figure, grid = _grid(2 * len(pixels), max(map(len, pixels)), title, side=0.95, text=0.1)
    for i, label in enumerate(labels):
        upper, lower = grid[2 * i], grid[2 * i + 1]
        rows = zip(upper, lower, pixels[i], reconstructions[i], captions[i], strict=False)
        for above, below, patch, reconstruction, caption in rows:
            _show(above, patch, caption, size=6)
            _show(below, signed_image(reconstruction))
        _label(upper[0], label)
    return finish(figure, path, title)


def wrong(
    pixels: Sequence[np.ndarray], captions: Sequence[str], path: Target = None, title: str = ""
) -> Path | Figure:
    """A grid of images, each with a caption of one or several lines."""
    across = min(6, len(pixels))
    figure, grid = _grid(-(-len(pixels) // across), across, title, side=1.35, text=0.36)
    for axes, image, caption in zip(grid.flat, pixels, captions, strict=False):
        _show(axes, image, caption, size=7)
    return finish(figure, path, title)


def columns(
    found: Mapping[str, Sequence[np.ndarray]],
    captions: Sequence[str] = (),
    path: Target = None,
    title: str = "",
) -> Path | Figure:
    """A row per image and a column per kind of picture, to compare methods.

    found: headings, and for each the pictures of all images, such as those of `overlaid`.
    captions: one per image, at the left.
    """
    rows = max(map(len, found.values()))
    figure, grid = _grid(rows, len(found), title, text=0.05)
    for heading, pictures, column in zip(found, found.values(), grid.T, strict=True):
        for i, (axes, picture) in enumerate(zip(column, pictures, strict=False)):
            _show(axes, picture, "" if i else heading, size=10)
    for axes, caption in zip(grid[:, 0], captions, strict=False):
        _label(axes, caption)
    return finish(figure, path, title)


def shortened(name: str, width: int = NAME) -> str:
    """The name in at most `width` characters, cut at a word if there are several."""
    if len(name) <= width:
        return name
    start, space, _ = name[:width].rpartition(" ")
    return (start.rstrip(",") if space else name[: width - 1]) + "…"


def caption(name: str, fact: str) -> str:
    """The text above an image, in lines that are not wider than it."""
    return f"{shortened(name)}\n{textwrap.fill(fact, NAME)}"


def overlaid(image: np.ndarray, found: np.ndarray, signed: bool = False) -> np.ndarray:
    """The image in gray with a map `(H, W)` in color over it, as `(H, W, 3)` in 0 to 1.

    The stronger the map, the less of the image is seen.
    """
    gray = image.mean(axis=2, keepdims=True) / 255
    strength = np.clip(found / _limit(found), -1, 1)
    color = colormaps[SIGNED]((strength + 1) / 2) if signed else colormaps[HEAT](strength)
    share = 0.85 * np.abs(strength)[..., None] ** 0.7
    return (1 - share) * gray + share * color[..., :3]


def signed_image(found: np.ndarray) -> np.ndarray:
    """A signed array `(H, W, C)` as an image in 0 to 1, in which 0 is gray."""
    return np.clip(0.5 + 0.5 * found / _limit(found), 0, 1)


def _limit(found: np.ndarray) -> float:
    """The magnitude that is drawn in full color; 1 for an array of zeros."""
    size = np.abs(found)
    return float(np.percentile(size, PEAK) or size.max() or 1)


def _grid(
    rows: int, across: int, title: str, side: float = SIDE, text: float = 0.4
) -> tuple[Figure, Any]:
    """A figure of `rows` x `across` axes without frames. text: inches for the caption of a row."""
    height = rows * (side + text) + 0.4 * bool(title)
    figure = Picture(figsize=(across * side + 0.6, height), layout="constrained")
    grid = figure.subplots(rows, across, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    return figure, grid


def _label(axes: Any, text: str) -> None:
    """Text at the left of an image."""
    style: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 8}
    axes.text(-0.08, 0.5, text, transform=axes.transAxes, parse_math=False, **style)


def _show(axes: Any, image: np.ndarray, caption: str = "", size: int = 8) -> None:
    image = image[..., 0] if image.shape[-1] == 1 else image
    full = 255 if image.dtype == np.uint8 else 1
    axes.imshow(image, cmap="gray", vmin=0, vmax=full, interpolation="nearest")
    if caption:
        axes.set_title(caption, fontsize=size, pad=3, parse_math=False)
