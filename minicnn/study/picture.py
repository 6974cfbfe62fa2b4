"""Pictures that a notebook shows, as figures and as files."""

import io
from os import PathLike
from pathlib import Path

from matplotlib.figure import Figure

from ..files import replacing


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


def write(figure: Figure, path: str | PathLike[str], dpi: int) -> PictureFile:
    """Write the picture in the format of its name; until that is done, an old file stays.

    Raises OSError that names the file if it cannot be written.
    """
    with replacing(path) as file:
        suffix = Path(path).suffix[1:].lower()
        figure.savefig(file, format=suffix or "png", dpi=dpi, facecolor="white")
    return PictureFile(path)
