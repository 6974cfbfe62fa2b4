"""Image files as an array: rows, subsets, windows, from a folder, a tar file and a zip file."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn.data import Decode, ImageFiles, RandomResizedCrop
from minicnn.data.files import listing
from minicnn.errors import DataError

RULE = RandomResizedCrop(8, flip=0.5)


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(12):
        pixels = generator.integers(0, 256, (20 + i, 30, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i:02}.png")
    return tmp_path / "images"


def seeds(n):
    return RULE.sample(n, (), np.random.default_rng(3))[0]


def files(source, **options):
    named = [(path, file.read) for path, file in listing(source).items() if not file.is_folder]
    return ImageFiles(named, Decode((16, 16)), **options)


@pytest.mark.parametrize("kind", ["gone", "checksum"])
def test_a_file_that_cannot_be_read_is_named(folder, kind):
    if kind == "gone":
        images, said = files(folder), r"07\.png: there is no such file"
        (folder / "07.png").unlink()
    else:
        path = Path(shutil.make_archive(str(folder.parent / "packed"), "zip", folder))
        with zipfile.ZipFile(path) as archive:
            first = archive.getinfo("07.png").header_offset
        contents = bytearray(path.read_bytes())
        contents[first + 200] ^= 0xFF
        path.write_bytes(contents)
        images, said = files(path), r"07\.png: it cannot be read: "
    rows = np.array([1, 7])
    for read in (
        lambda: images[7],
        lambda: images.take(rows),
        lambda: images.windows(rows, RULE, seeds(len(rows))),
    ):
        with pytest.raises(DataError, match=said):
            read()
    assert list(images.broken()) == [7]


def test_it_looks_like_an_array(folder):
    images = files(folder)
    assert images.shape == (12, 16, 16, 3) and len(images) == 12
    assert images.nbytes == 12 * 16 * 16 * 3
    whole = images.decoded()
    np.testing.assert_array_equal(images[np.array([3, 0])], whole[[3, 0]])
    np.testing.assert_array_equal(images[5], whole[5])
    part = images[2:6]
    assert isinstance(part, ImageFiles)
    np.testing.assert_array_equal(part[np.arange(4)], whole[2:6])
    mask = np.arange(12) % 2 == 1
    np.testing.assert_array_equal(images.subset(mask).decoded(), whole[mask])


@pytest.mark.parametrize("kind", ["tar", "gztar", "zip"])
def test_archives_give_the_windows_of_the_folder(folder, kind):
    archive = shutil.make_archive(str(folder.parent / "packed"), kind, folder)
    rows = np.array([4, 1, 11, 0, 7])
    expected = files(folder).windows(rows, RULE, seeds(len(rows)))
    found = files(type(folder)(archive)).windows(rows, RULE, seeds(len(rows)))
    np.testing.assert_array_equal(found, expected)


def test_windows_are_those_of_the_pixels(folder):
    images = files(folder)
    found = images.windows(np.array([2, 2]), RULE, seeds(2))
    pixels = np.asarray(Image.open(folder / "02.png"))
    np.testing.assert_array_equal(found, RULE(np.stack([pixels] * 2), np.random.default_rng(3)))


def test_subsets_share_what_is_kept(folder):
    images = files(folder)
    images.windows(np.arange(12), RULE, seeds(12))
    kept = images._originals.nbytes
    assert kept == sum((20 + i) * 30 * 3 for i in range(12))
    images.subset(slice(4)).windows(np.arange(4), RULE, seeds(4))
    assert images._originals.nbytes == kept


def test_faults(folder):
    (folder / "03.png").write_bytes(b"broken")
    images = files(folder)
    assert list(images.broken()) == [3]
    with pytest.raises(DataError, match=r"^03\.png: it cannot be read as an image"):
        images.windows(np.arange(12), RULE, seeds(12))
    with pytest.raises(DataError, match=r"^03\.png: it cannot be read as an image"):
        images.take(np.arange(12))
    scans = ImageFiles(images.files, Decode((16, 16), 1, light_on_dark=True))
    with pytest.raises(ValueError, match="windows of images that may be inverted"):
        scans.windows(np.arange(2), RULE, seeds(2))
