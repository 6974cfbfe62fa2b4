"""The shapes of a picture, and how numbers and sizes are written in it. Lengths are in points."""

import functools
from dataclasses import dataclass, field

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from ...kernels.types import Shape

Point = tuple[float, float]


@dataclass
class Shapes:
    """What is drawn: boxes `(x, y, w, h, kind, lines)`, joints, frames and lines of points.

    A text is `(x, y, text, size, weight, color, align)`.
    """

    boxes: list[tuple[float, float, float, float, str]] = field(default_factory=list)
    joints: list[tuple[float, float, float, float]] = field(default_factory=list)
    frames: list[tuple[float, float, float, float, bool]] = field(default_factory=list)
    lines: list[tuple[list[Point], bool, bool]] = field(default_factory=list)
    texts: list[tuple[float, float, str, float, str, str, str]] = field(default_factory=list)

    def text(
        self,
        at: Point,
        text: str,
        size: float,
        weight: str = "normal",
        color: str = "black",
        align: str = "center",
    ) -> None:
        """Write a text centered around a point, or beginning or ending there."""
        self.texts.append((*at, text, size, weight, color, align))

    def line(self, points: list[Point], arrow: bool = True, dashed: bool = False) -> None:
        """A line through points, with a head at its end."""
        if len(points) > 1:
            self.lines.append((points, arrow, dashed))


@functools.cache
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Points."""
    font = FontProperties(size=size, weight=weight)
    return TextToPath().get_text_width_height_descent(text, font, False)[0]


def count_text(n: int) -> str:
    """1,234 or 12.3 M: three digits from ten thousand on."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= size and n >= 1e4:
            return f"{n / size:.3g} {unit}"
    return f"{n:,}"


def size_text(shape: Shape) -> str:
    """56x56x64."""
    return "x".join(map(str, shape))
