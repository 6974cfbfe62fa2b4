"""Data sets, and the batches that a network takes.

In memory images are uint8 `(N, H, W, C)`; a `Loader` yields float32 batches.
"""

from collections.abc import Callable
from dataclasses import replace
from os import PathLike, fspath
from os.path import exists
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import check_flags
from ..errors import DataError, brief
from ..kernels.geometry import pair
from ..text import hint
from . import augment, cifar, folders, idx
from .augment import Pipeline, RandomCropFlip, RandomShift
from .cifar import cifar10, cifar100
from .dataset import Dataset, Splits, as_dataset, hold_out
from .digits import digits
from .download import cache_folder
from .files import Files, is_archive, listing, stem, types_of
from .image_files import ImageFiles
from .imagenet import arranged, imagenet, is_imagenet
from .layout import first_few
from .loader import Loader
from .mnist import fashion_mnist, mnist
from .originals import MEMORY
from .pixels import Decode, read_image
from .transforms import Preprocess
from .windows import CenterCrop, RandomResizedCrop, ScaleJitter

NAMES: dict[str, Callable] = {
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "digits": digits,
    "imagenet": imagenet,
}


def load(
    source: str | PathLike[str],
    size: int | tuple[int, int] | Decode = 32,
    report: Callable[[str], object] = print,
    **options: Any,
) -> tuple[Dataset, Dataset]:
    """The training and test set of that name, or in that folder, tar file or zip file.

    Like `load_splits`, whose options it takes, without the validation images.
    """
    train, test, _ = load_splits(source, size, report, **options)
    return train, test


def load_splits(
    source: str | PathLike[str],
    size: int | tuple[int, int] | Decode = 32,
    report: Callable[[str], object] = print,
    *,
    validation: float = 0.0,
    seed: int = 0,
    skip_broken: bool = False,
    originals: bool = False,
    memory: int = MEMORY,
    for_test: bool = False,
) -> Splits:
    """The training, test and validation set of that name, or in that folder or archive.

    A folder may hold four IDX files named like those of MNIST, CIFAR in its binary or Python form,
    ImageNet as it is distributed (`imagenet.py`), or class folders of images (`folders.py` lists
    the forms).

    size: of the bundled digits and of images from files, in pixels; or how files become pixels.
    report: called with messages.
    validation: the fraction of the training images, of each class, that is held out by `seed`.
    skip_broken: leave out image files that cannot be decoded.
    originals: training images stay files, for an augmentation that begins with a window rule.
    memory: bytes of decoded pixels that are kept, per set; of a larger set, images are decoded
        again in each epoch.
    for_test: only the test images are needed; nothing is reported if the others are missing.
    Raises DataError; ValueError for a `validation` that means nothing.
    """
    if not isinstance(source, (str, PathLike)):
        raise DataError(f"{brief(source)}: expected the name of a data set, a folder or an archive")
    check_flags(skip_broken=skip_broken, originals=originals, for_test=for_test)
    source = fspath(source)
    decode = size if isinstance(size, Decode) else Decode(pair(size, "size"))
    options = {"skip_broken": skip_broken, "originals": originals, "memory": memory}
    options["for_test"] = for_test
    found = _splits(source, decode, report, options)
    splits = Splits(
        replace(found.train, source=source),
        replace(found.test, source=source),
        found.validation and replace(found.validation, source=source),
    )
    if not validation:
        return splits
    if splits.validation is not None:
        raise DataError(f"{source} has validation images of its own: none need to be held out")
    train, held_out = hold_out(splits.train, validation, seed)
    if train.labels.ndim == 1:
        few = {train.classes[i] for i in np.setdiff1d(train.labels, held_out.labels)}
        if few:
            report(f"{source}: {first_few(few)}: too few images to hold out {validation:g} of them")
    if isinstance(held_out.images, ImageFiles) and held_out.images.nbytes <= memory:
        held_out = replace(held_out, images=held_out.images.decoded())
    return Splits(train, splits.test, held_out)


def _splits(
    source: str, decode: Decode, report: Callable[[str], object], options: dict[str, Any]
) -> Splits:
    """options: those of `folders.read`."""
    if source == "digits":
        return Splits(*digits(decode.size[0]))
    if source == "imagenet":
        return Splits(*imagenet(size=decode, report=report, **options))
    if source in NAMES:
        return Splits(*NAMES[source](report=report))
    folder = Path(source).expanduser()
    if not source or not exists(folder):
        meant = hint(source, NAMES, f"the data sets are {', '.join(NAMES)}")
        raise DataError(
            f"{source!r} is neither a data set nor a folder or archive that exists; {meant}"
        )
    if folder.suffix.lower() in (".npz", ".npy"):
        raise DataError(
            f"{folder}: arrays are trained with in Python: load them with numpy.load, and call "
            "training.fit(model, (images, labels))"
        )
    files = listing(folder)
    if idx.is_idx(files):
        return Splits(*_idx(files, folder, report))
    if is_imagenet(files):
        files = arranged(files, folder, report)
    if cifar.is_cifar(files):
        return Splits(*cifar.read(files, stem(folder)))
    if folders.is_image_tree(files):
        return folders.read(files, folder, decode, report=report, **options)
    archives = [folder / path for path in files if is_archive(path)]
    if len(archives) == 1 and folder.is_dir():
        return _splits(str(archives[0]), decode, report, options)
    raise DataError(
        f"{folder}: expected the four IDX files train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-..., the batches of CIFAR, or images in class folders; "
        f"found {types_of(files)}"
    )


def _idx(files: Files, folder: Path, report: Callable[[str], object]) -> tuple[Dataset, Dataset]:
    """The sets of four IDX files; the classes are called by the labels that occur."""
    splits = idx.read(files, folder, report)
    values = np.unique(np.concatenate([labels for _, labels in splits.values()]))
    classes = tuple(str(value) for value in values)
    name = folder.name if folder.is_dir() else stem(folder)
    train, test = (
        Dataset(images, np.searchsorted(values, labels), classes, name, split)
        for split, (images, labels) in splits.items()
    )
    return train, test


__all__ = [
    "NAMES",
    "CenterCrop",
    "Dataset",
    "Decode",
    "ImageFiles",
    "Loader",
    "Pipeline",
    "Preprocess",
    "RandomCropFlip",
    "RandomResizedCrop",
    "RandomShift",
    "ScaleJitter",
    "Splits",
    "as_dataset",
    "augment",
    "cache_folder",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "hold_out",
    "imagenet",
    "load",
    "load_splits",
    "mnist",
    "read_image",
]
