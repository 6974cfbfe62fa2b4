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
from .files import Files
from .pixels import contents_of

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# The usual names: train-images-idx3-ubyte, train-images.idx3-ubyte, emnist-letters-test-labels-...;
# and what browsers and editors make of them: "train-images-idx3-ubyte (1).gz".
PATTERN = re.compile(
    r"(?P<prefix>.*?)[-_]?(?P<split>train|t10k|test)[-_](?P<kind>images|labels)"
    r"[-_.]idx[13][-_.]ubyte( ?\(\d+\))?(\.txt|\.bin)?(\.gz)?"
)
TRANSPOSED = "emnist"  # whose images lie on their side (Cohen et al. 2017: MATLAB's order)
GZIP = b"\x1f\x8b"
LARGEST = 1 << 31  # bytes; a damaged header must not cause a larger allocation


def read_bytes(path: Path) -> bytes:
    """The contents of a file, decompressed if it is gzipped. Raises DataError."""
    try:
        return unpacked(path.read_bytes(), path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def unpacked(contents: bytes, path: str | Path) -> bytes:
    """The contents, decompressed if they are gzipped, whatever the name: browsers decompress, too.

    Raises DataError.
    """
    if not contents.startswith(GZIP):
        return contents
    try:
        return gzip.decompress(contents)
    except (OSError, EOFError, zlib.error) as error:
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


Parts = dict[tuple[str, str], str]  # the path of each (split, kind)


def _sets(files: Files) -> dict[tuple[str, str], Parts]:
    """The IDX files by their folder and the prefix of their names.

    Kaggle has each of the four in a folder of its own, which are one set; and they are left out if
    all four lie beside these folders, too.
    """
    found: dict[tuple[str, str], Parts] = {}
    for path, file in files.items():
        folder, _, name = path.rpartition("/")
        match = PATTERN.fullmatch(name.lower()) if "ubyte" in name.lower() else None
        if match and not file.is_folder:
            split = "train" if match["split"] == "train" else "test"
            parts = found.setdefault((folder, match["prefix"]), {})
            parts.setdefault((split, match["kind"]), path)
    complete = {prefix for (_, prefix), parts in found.items() if len(parts) == 4}
    merged: dict[tuple[str, str], Parts] = {}
    for (folder, prefix), parts in found.items():
        if len(parts) > 1:
            merged.setdefault((folder, prefix), {}).update(parts)
        elif prefix not in complete:
            merged.setdefault(("", prefix), {}).update(parts)
    return merged


def is_idx(files: Files) -> bool:
    """True for IDX files, named like those of MNIST or EMNIST."""
    return bool(_sets(files))


def read(
    files: Files, source: Path, report: Callable[[str], object] = print
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`{"train": (images, labels), "test": ...}` of the four files in a folder or archive.

    EMNIST's images are turned upright, which is reported.
    Raises DataError if one of the four is missing or damaged, or if there are several sets.
    """
    sets = _sets(files)
    if len(sets) > 1:
        names = sorted("/".join(part for part in key if part) for key in sets)
        raise DataError(
            f"{source} holds the IDX files of several sets ({', '.join(names)}): "
            "give the folder of one, or put its files into a folder of their own"
        )
    (((_, prefix), parts),) = sets.items()
    splits = {}
    for split in FILES:
        arrays = []
        for kind, dimensions in (("images", 3), ("labels", 1)):
            path = parts.get((split, kind))
            if path is None:
                have = ", ".join(sorted(parts.values()))
                raise DataError(f"{source}: the {split} {kind} are missing beside {have}")
            where = f"{source}/{path}"
            arrays.append(
                parse(unpacked(contents_of(where, files[path].read), where), dimensions, where)
            )
        images = arrays[0]
        if prefix.startswith(TRANSPOSED):
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        splits[split] = pair(images, arrays[1], source)
    if prefix.startswith(TRANSPOSED):
        report(f"{source}: the images of {prefix} lie on their side, and are turned upright")
    return splits
