"""Data sets, and how their images reach a network: uint8 `(N, H, W, C)` in memory, float32 batches out of a `Loader`."""

from collections.abc import Callable
from pathlib import Path

from ..errors import DataError
from . import idx
from .dataset import Dataset, as_dataset
from .digits import digits
from .download import cache_folder
from .images import read_image
from .loader import Loader
from .mnist import fashion_mnist, mnist
from .transforms import Preprocess, RandomCropFlip, RandomShift

NAMES: dict[str, Callable] = {"mnist": mnist, "fashion_mnist": fashion_mnist, "digits": digits}


def load(source: str, size: int = 32, report=print) -> tuple[Dataset, Dataset]:
    """The training and test set of that name, or in that folder (four IDX files named like MNIST's).

    `size` is the side in pixels to which the embedded digits are enlarged. Raises DataError.
    """
    if source == "digits":
        return digits(size)
    if source in NAMES:
        return NAMES[source](report=report)
    folder = Path(source).expanduser()
    if not folder.exists():
        raise DataError(f"{source!r} is neither a data set ({', '.join(NAMES)}) nor a folder that exists")
    if not idx.is_folder(folder):
        raise DataError(f"{folder}: expected the four IDX files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-...")
    splits = idx.read_folder(folder)
    classes = tuple(map(str, range(1 + max(int(labels.max()) for _, labels in splits.values()))))
    train, test = (Dataset(*arrays, classes, folder.name, split) for split, arrays in splits.items())
    return train, test


__all__ = [
    "NAMES",
    "Dataset",
    "Loader",
    "Preprocess",
    "RandomCropFlip",
    "RandomShift",
    "as_dataset",
    "cache_folder",
    "digits",
    "fashion_mnist",
    "load",
    "mnist",
    "read_image",
]
