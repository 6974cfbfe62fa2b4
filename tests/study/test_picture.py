"""Figures and files of pictures have the bytes that a notebook shows."""

import re
from pathlib import Path

import numpy as np

from minicnn import study
from minicnn.study import plots

PNG = b"\x89PNG"


def test_a_notebook_shows_figures_and_files(tmp_path):
    batch = np.zeros((2, 4, 4, 1), np.uint8)
    assert plots.images(batch)._repr_png_().startswith(PNG)
    file = plots.images(batch, tmp_path / "images.png")
    assert file == tmp_path / "images.png"
    assert file._repr_png_() == file.read_bytes()
    assert plots.images(batch, tmp_path / "images.svg")._repr_png_() is None


def test_every_function_that_draws_makes_such_a_figure():
    sources = (Path(study.__file__).parent).rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    assert len(re.findall(r"= Picture\(", text)) >= 10
    assert not re.findall(r"figure = Figure\(", text)
