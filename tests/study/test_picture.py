"""Figures and files of pictures have the bytes that a notebook shows."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "eps", "svgz", "JPG"])
def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a.{suffix}"
    plots.images(np.zeros((2, 4, 4, 1), np.uint8), path)
    before = path.read_bytes()
    assert len(before) > 100

    def full(self, file, **options):
        file.write(b"the first half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(plots.Picture, "savefig", full)
    with pytest.raises(OSError, match=f"No space left on device: .*a.{suffix}'"):
        plots.images(np.zeros((1, 4, 4, 1), np.uint8), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_every_function_that_draws_makes_such_a_figure():
    sources = (Path(study.__file__).parent).rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    assert len(re.findall(r"= Picture\(", text)) >= 10
    assert not re.findall(r"figure = Figure\(", text)
