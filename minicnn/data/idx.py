"""Yann LeCun's IDX files, plain or gzipped, read strictly.

Format: two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as
a big-endian 32-bit integer, then the values, row-major, to the last byte of the file.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
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


def is_folder(folder: Path) -> bool:
    """True if `folder` has the four IDX files of a data set, named like those of MNIST."""
    return all(find(folder, name) for names in FILES.values() for name in names)


def read_folder(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`{"train": (images, labels), "test": ...}` of the four files. Raises DataError."""
    splits = {}
    for split, names in FILES.items():
        arrays = []
        for name, dimensions in zip(names, (3, 1), strict=True):
            path = find(folder, name)
            if path is None:
                raise DataError(f"{folder}: {name} (plain or .gz) is missing")
            arrays.append(parse(read_bytes(path), dimensions, path))
        splits[split] = pair(arrays[0], arrays[1], folder)
    return splits
