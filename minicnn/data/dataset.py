"""A labeled set of images in memory."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, overload

import numpy as np

from ..checks import checked_whole, is_number
from ..errors import DataError, brief
from ..text import portable
from . import synsets
from .image_files import ImageFiles
from .pixels import Decode

MOST_CLASSES = 1 << 20  # without names: each number up to the highest is a class


@dataclass(frozen=True, repr=False)
class Dataset:
    """Images with their labels. `data[i]` is `(image, label)`; `data[slice or array]`, a Dataset.

    images: `(N, H, W, C)`, uint8 pixels in 0..255 (or float32, already normalized); or
        `ImageFiles`, which are decoded when they are needed.
    labels: `(N,)` integers in 0..classes-1; or `(N, classes)` float32, what a loss takes: the
        probabilities of the classes, or for each class whether the image has it.
    classes: the names of the classes; without them the labels' numbers. names_known: whether they
        are names, by which labels are matched with those of a network.
    name, split: where the images come from, for messages. source: what `data.load` was given.
    decode: how the images were made from files; None for a set that has pixels.
    Raises DataError if they do not belong together.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = field(default=())
    name: str = "own data"
    split: str = ""
    names_known: bool = True
    source: str = ""
    decode: Decode | None = None

    def __post_init__(self) -> None:
        where = f"{self.name} {self.split}".strip()
        for what, values in (("images", self.images), ("labels", self.labels)):
            check_unmasked(where, what, values)
            if not hasattr(values, "dtype"):
                object.__setattr__(self, what, as_array(what, values))
        classes = tuple(portable(str(name)) for name in self.classes)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "name", portable(self.name))
        if self.images.ndim != 4 or self.images.dtype not in (np.uint8, np.float32):
            raise DataError(
                f"{where}: the images are {self.images.dtype} {self.images.shape}; "
                f"expected uint8 or float32 (N, H, W, C){_images_remedy(self.images)}"
            )
        n, shape = len(self.images), self.labels.shape
        kind = {1: "iu", 2: "f"}.get(self.labels.ndim, "")
        if shape[:1] != (n,) or self.labels.dtype.kind not in kind:
            raise DataError(
                f"{where}: the labels are {self.labels.dtype} {shape}; "
                f"expected integers ({n},) or float32 ({n}, classes){_labels_remedy(self.labels)}"
            )
        if n == 0:
            raise DataError(f"{where}: there are no images")
        high = int(self.labels.max()) if self.labels.ndim == 1 else shape[1] - 1
        if not self.classes and high >= MOST_CLASSES:
            raise DataError(
                f"{where}: labels run up to {high}; expected numbers of classes, from 0 on, below "
                f"{MOST_CLASSES:,}; numbers with gaps become that by "
                "np.unique(labels, return_inverse=True)"
            )
        if not self.classes:
            object.__setattr__(self, "names_known", False)
            object.__setattr__(self, "classes", tuple(map(str, range(high + 1))))
        low = int(self.labels.min()) if self.labels.ndim == 1 else 0
        if low < 0 or high >= len(self.classes):
            raise DataError(
                f"{where}: labels run from {low} to {high}; expected 0 to {len(self.classes) - 1}"
            )
        if self.labels.ndim == 2 and shape[1] != len(self.classes):
            raise DataError(
                f"{where}: the labels are {shape}; expected ({n}, {len(self.classes)}), a column "
                "per class"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> tuple[np.ndarray, Any]: ...

    @overload
    def __getitem__(self, index: slice | list | np.ndarray) -> "Dataset": ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            label = self.labels[index]
            return self.images[index], int(label) if self.labels.ndim == 1 else label
        return self.subset(index)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        where = f"{self.name} {self.split}".strip()
        shape = f"{len(self):,} images {size} {self.images.dtype}"
        return f"Dataset({where}: {shape}, {len(self.classes)} classes)"

    def subset(self, indices: slice | list | np.ndarray) -> "Dataset":
        """The images at `indices`: a slice, integers, or a mask."""
        if isinstance(indices, list):
            indices = np.asarray(indices, dtype=None if indices else np.intp)
        images: Any = self.images
        images = images.subset(indices) if isinstance(images, ImageFiles) else images[indices]
        return replace(self, images=images, labels=self.labels[indices])

    @property
    def known_classes(self) -> tuple[str, ...]:
        """The classes if they have names, else ()."""
        return self.classes if self.names_known else ()

    def with_classes(self, classes: tuple[str, ...]) -> "Dataset":
        """The same images with labels that are positions in `classes`; see `labels_of`."""
        labels = self.labels_of(classes)
        return self if labels is self.labels else replace(self, labels=labels, classes=classes)

    def labels_of(self, classes: tuple[str, ...]) -> np.ndarray:
        """The labels as positions in `classes`, those of a network, matched by name.

        Where either side has no names, the labels are positions already. WordNet ids of ImageNet
        match the names of its classes.
        Raises DataError that names a class of the images that is not one of `classes`, or that has
        the name of another one.
        """
        if not classes or not self.names_known or classes == self.classes:
            return self.labels
        for names in (self.classes, classes):
            repeated = [name for name, count in Counter(names).items() if count > 1]
            if repeated:
                raise DataError(
                    f"{self.name} {self.split}: {len(repeated)} classes have the name of another, "
                    f"such as {repeated[0]}: expected different ones, by which they are matched"
                )
        position = {name: i for i, name in enumerate(synsets.readable(classes))}
        own, labels = synsets.readable(self.classes), self.labels
        used = np.flatnonzero(labels.any(axis=0)) if labels.ndim == 2 else np.unique(labels)
        present = [own[i] for i in used]
        unknown = [name for name in present if name not in position]
        if unknown:
            known = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
            raise DataError(
                f"{self.name} {self.split}: the network has no class {', '.join(unknown[:5])}; "
                f"its {len(classes)} classes are {known}"
            )
        if labels.ndim == 2:
            columns = np.zeros((len(labels), len(classes)), labels.dtype)
            columns[:, [position[name] for name in present]] = labels[:, used]
            return columns
        return np.array([position.get(name, -1) for name in own])[labels]


class Splits(NamedTuple):
    """The parts of a data set: to train with, to measure at the end, and to choose by, or None."""

    train: Dataset
    test: Dataset
    validation: Dataset | None = None

    def limited(self, limit: int | None) -> "Splits":
        """Up to `limit` images of each set, drawn from the whole set; always the same ones."""

        def sample(dataset: Dataset) -> Dataset:
            if limit is None:
                return dataset
            return dataset[np.sort(np.random.default_rng(0).permutation(len(dataset))[:limit])]

        validation = self.validation and sample(self.validation)
        return Splits(sample(self.train), sample(self.test), validation)


def hold_out(dataset: Dataset, share: float, seed: int = 0) -> tuple[Dataset, Dataset]:
    """A training and a validation set: `share` of each class's images, drawn by `seed`.

    Images with a number per class are drawn from the whole set.
    Raises ValueError for a share that is not between 0 and 1, or leaves nothing on one side.
    """
    if not is_number(share, 0, 1) or share in (0, 1):
        raise ValueError(f"validation share {brief(share)}: expected a fraction between 0 and 1")
    generator = np.random.default_rng(checked_whole("seed", seed, 0))
    held_out = np.zeros(len(dataset), bool)
    groups = dataset.labels if dataset.labels.ndim == 1 else np.zeros(len(dataset), int)
    for label in np.unique(groups):
        rows = np.flatnonzero(groups == label)
        held_out[generator.permutation(rows)[: round(share * len(rows))]] = True
    if not held_out.any() or held_out.all():
        raise ValueError(f"validation share {share} of {len(dataset)} images leaves one set empty")
    train, validation = dataset[np.flatnonzero(~held_out)], dataset[np.flatnonzero(held_out)]
    return train, replace(validation, split="validation")


def across_classes(labels: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` rows that show all classes: the first image of each, the second, and so on.

    With more classes than rows, classes from all over the list.
    """
    labels = labels.argmax(axis=1) if labels.ndim == 2 else labels
    classes = np.unique(labels)
    if len(classes) > count:
        classes = classes[np.linspace(0, len(classes) - 1, count).astype(np.int64)]
    each = [np.flatnonzero(labels == label)[:count] for label in classes]
    ranked = sorted((rank, i) for i, rows in enumerate(each) for rank in range(len(rows)))
    return np.array([each[i][rank] for rank, i in ranked[:count]])


def as_array(what: str, values: Any) -> np.ndarray:
    """What NumPy makes an array of. Raises DataError."""
    try:
        return np.asarray(values)
    except Exception as error:  # ragged lists, and what other libraries' arrays raise
        raise DataError(f"the {what} are no array: {error}") from None


def check_unmasked(where: str, what: str, values: Any) -> None:
    """Raise DataError for a masked array that masks something, which would count as any other."""
    count = np.ma.count_masked(values) if isinstance(values, np.ma.MaskedArray) else 0
    if count:
        raise DataError(
            f"{where}: the {what} are an array of which {count} numbers are masked; expected none: "
            "leave those images out"
        )


def _images_remedy(images: np.ndarray) -> str:
    """How such an array becomes one that is expected, as a clause; empty if that is not known."""
    if images.ndim == 3:
        return "; gray images get a channel by images[..., None]"
    if images.ndim == 4 and images.dtype.kind in "iu":
        return "; gray levels from 0 to 255 are images.astype(np.uint8)"
    if images.ndim == 4 and images.dtype.kind == "f":
        return "; convert them by images.astype(np.float32)"
    return ""


def _labels_remedy(labels: np.ndarray) -> str:
    """Likewise for labels."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        return "; a column becomes that by labels[:, 0]"
    if labels.ndim == 2 and labels.dtype.kind in "iub":
        return "; of one-hot rows these are labels.argmax(axis=1)"
    if labels.ndim == 1 and labels.dtype.kind in "fb":
        whole = labels.dtype.kind == "b" or np.array_equal(labels, np.rint(labels))
        return "; convert them by labels.astype(np.int64)" if whole else ""
    if labels.ndim == 1 and labels.dtype.kind in "USO":
        return "; names become that by np.unique(labels, return_inverse=True)"
    return ""


def as_dataset(data: Any) -> Dataset:
    """A Dataset as it is, or one made of a pair `(images, labels)`."""
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        what = f"{type(data).__name__}" + (f" of {len(data)}" if isinstance(data, tuple) else "")
        raise DataError(f"expected a Dataset or a pair (images, labels), not {what}")
    arrays = []
    for what, values in zip(("images", "labels"), data, strict=True):
        check_unmasked(Dataset.name, what, values)
        arrays.append(as_array(what, values))
    images, labels = arrays
    return Dataset(images, labels)
