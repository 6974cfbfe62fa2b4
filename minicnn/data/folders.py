"""Image sets as class folders: `train/cat/1.jpg`, `val/dog/7.png`, in a folder or in a tar file.

The folder of the training images is called train or training, that of the test images val,
validation or test. With only one level of class folders, every fifth image of a class is a test
image; a class with fewer than five is in both sets. Images are converted to RGB (EXIF orientation
is ignored, as in ImageNet's benchmarks), the shorter side is resized to `size` pixels, and the
center square is kept.
"""

import io
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError
from .dataset import Dataset

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
TRAIN_NAMES, TEST_NAMES = ("train", "training"), ("val", "validation", "test", "valid")
IN_MEMORY = 1 << 30  # bytes of decoded pixels; a smaller set is decoded once and kept
TEST_EVERY = 5


@dataclass(frozen=True)
class File:
    """One entry of a folder or archive: a function that reads it, and True for a folder."""

    read: Callable[[], bytes]
    is_folder: bool = False


Files = dict[str, File]


def listing(source: Path) -> Files:
    """The files in a folder or tar file by their path within it. Raises DataError if damaged."""
    if source.is_dir():
        found = sorted(path for path in source.rglob("*") if not path.name.startswith("."))
        return {
            path.relative_to(source).as_posix(): File(path.read_bytes, path.is_dir())
            for path in found
        }
    try:
        with tarfile.open(source) as archive:
            files = {}
            for member in archive:
                name = PurePosixPath(member.name).as_posix().removeprefix("./")
                if member.isfile() and not PurePosixPath(name).name.startswith("."):
                    data = archive.extractfile(member).read()  # type: ignore[union-attr]
                    files[name] = File(io.BytesIO(data).getvalue)
            return files
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        raise DataError(f"{source}: it cannot be read as a tar file: {error}") from None
    except Exception as error:  # zlib, lzma and bz2 have their own exceptions
        raise DataError(f"{source}: the archive is damaged: {error}") from None


def stem(source: Path) -> str:
    """The name of a folder or archive without its suffixes."""
    return source.name.partition(".")[0] or source.name


def is_image_tree(files: Files) -> bool:
    """True if there are image files in class folders."""
    return any("/" in path and PurePosixPath(path).suffix.lower() in SUFFIXES for path in files)


def read(
    files: Files,
    source: Path,
    size: int = 256,
    name: str | None = None,
    report: Callable[[str], object] = print,
) -> tuple[Dataset, Dataset]:
    """The training and test set of class folders; images are `size` x `size` RGB.

    source: where the files are from, for messages. `report` is called with what is ambiguous.
    Sets up to 1 GiB of pixels are decoded once, larger ones batch by batch.
    Raises DataError if there are no images in class folders, or if one cannot be decoded.
    """
    splits = _splits(files)
    for empty, other in (("train", "test"), ("test", "train")):
        if not splits[empty] and splits[other]:
            report(f"{source} has no {empty} images: its {other} images are used for both")
            splits[empty] = splits[other]
    if not splits["train"]:
        raise DataError(
            f"{source}: expected images in class folders, such as train/cat/1.jpg or cat/1.jpg"
        )

    # ASCII order, as in Caffe and torchvision
    classes = tuple(sorted({label for part in splits.values() for label, _ in part}))
    index = {label: i for i, label in enumerate(classes)}
    sets = []
    for split, part in splits.items():
        part = sorted(part)
        images = ImageFiles([(f"{source}/{path}", files[path].read) for _, path in part], size)
        labels = np.array([index[label] for label, _ in part], np.int64)
        pixels: Any = images.decoded() if images.nbytes <= IN_MEMORY else images
        sets.append(Dataset(pixels, labels, classes, name or stem(source), split))
    return sets[0], sets[1]


def _splits(files: Files) -> dict[str, list[tuple[str, str]]]:
    """`{"train": [(class, path), ...], "test": ...}`."""
    splits: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    loose: dict[str, list[str]] = {}
    for path in files:
        parts = PurePosixPath(path).parts
        if PurePosixPath(path).suffix.lower() not in SUFFIXES or len(parts) < 2:
            continue
        parent = parts[-3].lower() if len(parts) > 2 else ""
        if parent in TRAIN_NAMES:
            splits["train"].append((parts[-2], path))
        elif parent in TEST_NAMES:
            splits["test"].append((parts[-2], path))
        else:
            loose.setdefault(parts[-2], []).append(path)
    if not splits["train"]:
        for label, paths in loose.items():
            few = len(paths) < TEST_EVERY
            for i, path in enumerate(sorted(paths)):
                held_out = i % TEST_EVERY == TEST_EVERY - 1
                splits["train"] += [(label, path)] if few or not held_out else []
                splits["test"] += [(label, path)] if few or held_out else []
    return splits


class ImageFiles:
    """Encoded images that look like a uint8 array `(N, size, size, 3)`; indexing decodes them."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, files: list[tuple[str, Callable[[], bytes]]], size: int):
        self.files, self.size = files, size

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(N, size, size, 3)`."""
        return len(self.files), self.size, self.size, 3

    @property
    def nbytes(self) -> int:
        """The bytes of all images, decoded."""
        return len(self.files) * self.size * self.size * 3

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Any) -> Any:
        chosen = np.arange(len(self.files))[rows]
        if chosen.ndim == 0:
            return decode(*self.files[int(chosen)], self.size)
        if isinstance(rows, slice):
            return ImageFiles([self.files[i] for i in chosen], self.size)
        return self._decode(chosen)

    def decoded(self) -> np.ndarray:
        """All images as one array."""
        return self._decode(np.arange(len(self.files)))

    def _decode(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.size, self.size, 3), np.uint8)

        def one(i: int) -> None:
            out[i] = decode(*self.files[int(rows[i])], self.size)

        with ThreadPoolExecutor() as pool:  # Pillow decodes without the interpreter lock
            list(pool.map(one, range(len(rows))))
        return out


def decode(name: str, read: Callable[[], bytes], size: int) -> np.ndarray:
    """One image as `(size, size, 3)` uint8. Raises DataError that names the file."""
    try:
        with Image.open(io.BytesIO(read())) as file:
            image = file.convert("RGB")
            width, height = image.size
            if (width, height) != (size, size):
                scale = size / min(width, height)
                image = image.resize(
                    (max(size, round(width * scale)), max(size, round(height * scale))),
                    Image.Resampling.BILINEAR,
                )
                left, top = (image.width - size) // 2, (image.height - size) // 2
                image = image.crop((left, top, left + size, top + size))
            return np.asarray(image)
    except Exception as error:  # Pillow and its codecs can raise anything for a damaged file
        raise DataError(f"{name}: it cannot be read as an image: {error}") from None
