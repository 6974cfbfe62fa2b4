"""Yann LeCun's IDX files, plain or gzipped, read strictly.

Format: two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as
a big-endian 32-bit integer, then the values, row-major, to the last byte of the file.
"""

import gzip
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import DataError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# The usual names: train-images-idx3-ubyte, train-images.idx3-ubyte, emnist-letters-test-labels-...
PATTERN = re.compile(
    r"(?P<prefix>.*?)-?(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(\.gz)?"
)
TRANSPOSED = "emnist"  # whose images lie on their side (Cohen et al. 2017: MATLAB's order)
LARGEST = 1 << 31  # bytes; a damaged header must not cause a larger allocation


def read_bytes(path: Path) -> bytes:
    """The contents of a file, decompressed if its name ends in .gz. Raises DataError."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except OSError as error:  # includes gzip.BadGzipFile
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is damaged: {error}") from None


def parse(data: bytes, dimensions: int, path: str | Path) -> np.ndarray:
    """The uint8 array with `dimensions` dimensions in `data`; `path` is for messages.

    Raises DataError for any deviation from the format.
    """
    if len(data) < 4:
        raise DataError(f"{path}: {len(data)} bytes are too few for an IDX header")
    zeros, code, rank = struct.unpack(">HBB", data[:4])
    if zeros != 0 or code != 8 or rank != dimensions:
        raise DataError(
            f"{path}: the magic number is 0x{data[:4].hex()}; expected 0x000008{dimensions:02x} "
            f"(unsigned bytes, {dimensions} dimensions)"
        )
    start = 4 + 4 * rank
    if len(data) < start:
        raise DataError(f"{path}: the file ends inside its header, at byte {len(data)}")
    shape = struct.unpack(f">{rank}I", data[4:start])
    size = 1
    for n in shape:
        size *= n
    if size == 0 or size > LARGEST:
        raise DataError(
            f"{path}: the header says {' x '.join(map(str, shape))} values, which cannot be right"
        )
    if len(data) - start != size:
        what = "is cut short" if len(data) - start < size else "has trailing bytes"
        raise DataError(
            f"{path}: the file {what}: {len(data) - start} bytes of values, the header says {size}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def pair(images: np.ndarray, labels: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images as `(N, H, W, 1)` and labels as int64; raises DataError if their numbers differ."""
    if len(images) != len(labels):
        raise DataError(f"{path}: {len(images)} images but {len(labels)} labels")
    return images[..., None], labels.astype(np.int64)


def find(folder: Path, name: str) -> Path | None:
    """The file of that name in `folder`, plain or with .gz."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _sets(folder: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """The IDX files in a folder: for each prefix of their names `{(split, kind): path}`."""
    sets: dict[str, dict[tuple[str, str], Path]] = {}
    for path in sorted(folder.iterdir()):
        match = PATTERN.fullmatch(path.name)
        if match and path.is_file():
            split = "train" if match["split"] == "train" else "test"
            sets.setdefault(match["prefix"], {}).setdefault((split, match["kind"]), path)
    return sets


def is_folder(folder: Path) -> bool:
    """True if `folder` has IDX files, named like those of MNIST or EMNIST."""
    return bool(_sets(folder))


def read_folder(
    folder: Path, report: Callable[[str], object] = print
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`{"train": (images, labels), "test": ...}` of the four files.

    EMNIST's images are turned upright, which is reported.
    Raises DataError if one of the four is missing or damaged, or if there are several sets.
    """
    sets = _sets(folder)
    if len(sets) > 1:
        raise DataError(
            f"{folder} holds the IDX files of several sets ({', '.join(sorted(sets))}): "
            "put those of one into a folder of their own"
        )
    ((prefix, files),) = sets.items()
    splits = {}
    for split in FILES:
        arrays = []
        for kind, dimensions in (("images", 3), ("labels", 1)):
            path = files.get((split, kind))
            if path is None:
                have = ", ".join(sorted(p.name for p in files.values()))
                raise DataError(f"{folder}: the {split} {kind} are missing beside {have}")
            arrays.append(parse(read_bytes(path), dimensions, path))
        images = arrays[0]
        if prefix.lower().startswith(TRANSPOSED):
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        splits[split] = pair(images, arrays[1], folder)
    if prefix.lower().startswith(TRANSPOSED):
        report(f"{folder}: the images of {prefix} lie on their side, and are turned upright")
    return splits
