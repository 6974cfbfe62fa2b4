"""Pictures that a notebook shows, as figures and as files."""

import io
from pathlib import Path

from matplotlib.figure import Figure


class Picture(Figure):
    """A matplotlib Figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100, facecolor="white")
        return buffer.getvalue()


class PictureFile(type(Path())):  # type: ignore[misc]  # Python 3.11 cannot derive from Path itself
    """The path of a picture; a notebook shows the picture if it is a PNG file."""

    def _repr_png_(self) -> bytes | None:
        return self.read_bytes() if self.suffix.lower() == ".png" else None
