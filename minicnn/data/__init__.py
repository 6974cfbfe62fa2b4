"""Data sets, and the batches that a network takes.

In memory images are uint8 `(N, H, W, C)`; a `Loader` yields float32 batches.
"""

from collections.abc import Callable
from pathlib import Path

from ..errors import DataError
from . import cifar, folders, idx
from .cifar import cifar10, cifar100
from .dataset import Dataset, as_dataset
from .digits import digits
from .download import cache_folder
from .images import read_image
from .loader import Loader
from .mnist import fashion_mnist, mnist
from .transforms import Preprocess, RandomCropFlip, RandomShift

NAMES: dict[str, Callable] = {
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "digits": digits,
}


def load(
    source: str, size: int = 32, report: Callable[[str], object] = print
) -> tuple[Dataset, Dataset]:
    """The training and test set of that name, or in that folder or tar file.

    A folder may hold four IDX files named like those of MNIST, CIFAR in its binary or Python form,
    or class folders of images. The bundled digits and the images of class folders are resized to
    `size` pixels. `report` is called with messages. Raises DataError.
    """
    if source == "digits":
        return digits(size)
    if source in NAMES:
        return NAMES[source](report=report)
    folder = Path(source).expanduser()
    if not folder.exists():
        raise DataError(
            f"{source!r} is neither a data set ({', '.join(NAMES)}) "
            "nor a folder or archive that exists"
        )
    if folder.is_dir() and idx.is_folder(folder):
        return _idx(folder)
    files = folders.listing(folder)
    if cifar.is_cifar(files):
        return cifar.read(files, folders.stem(folder))
    if folders.is_image_tree(files):
        return folders.read(files, folder, size, report=report)
    archives = [folder / path for path in files if ".tar" in path]
    if len(archives) == 1 and folder.is_dir():
        return load(str(archives[0]), size, report)
    raise DataError(
        f"{folder}: expected the four IDX files train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-..., the batches of CIFAR, or images in class folders"
    )


def _idx(folder: Path) -> tuple[Dataset, Dataset]:
    splits = idx.read_folder(folder)
    classes = tuple(map(str, range(1 + max(int(labels.max()) for _, labels in splits.values()))))
    train, test = (
        Dataset(*arrays, classes, folder.name, split) for split, arrays in splits.items()
    )
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
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "load",
    "mnist",
    "read_image",
]
