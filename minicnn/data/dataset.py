"""A labeled set of images in memory."""

from dataclasses import dataclass, field

import numpy as np

from ..errors import DataError


@dataclass(frozen=True)
class Dataset:
    """Images with their labels.

    images: `(N, H, W, C)`, uint8 pixels in 0..255 (or float32, already normalized).
    labels: `(N,)` integers in 0..classes-1.
    classes: the classes' names. name, split: where the images come from, for messages and results.
    Raises DataError if they do not belong together.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = field(default=())
    name: str = "own data"
    split: str = ""

    def __post_init__(self):
        where = f"{self.name} {self.split}".strip()
        if self.images.ndim != 4 or self.images.dtype not in (np.uint8, np.float32):
            raise DataError(
                f"{where}: the images are {self.images.dtype} {self.images.shape}; expected uint8 or float32 (N, H, W, C)"
            )
        if (
            self.labels.ndim != 1
            or self.labels.dtype.kind not in "iu"
            or len(self.labels) != len(self.images)
        ):
            raise DataError(
                f"{where}: the labels are {self.labels.dtype} {self.labels.shape}; expected integers ({len(self.images)},)"
            )
        if len(self.labels) == 0:
            raise DataError(f"{where}: it holds no images")
        if not self.classes:
            object.__setattr__(self, "classes", tuple(map(str, range(int(self.labels.max()) + 1))))
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= len(self.classes):
            raise DataError(
                f"{where}: labels run from {low} to {high}; expected 0 to {len(self.classes) - 1}"
            )

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        size = "x".join(map(str, self.images.shape[1:]))
        return f"Dataset({self.name} {self.split}: {len(self):,} images {size}, {len(self.classes)} classes)"

    def subset(self, indices) -> "Dataset":
        """The images at `indices` (a slice or an integer array)."""
        return Dataset(
            self.images[indices], self.labels[indices], self.classes, self.name, self.split
        )


def as_dataset(data) -> Dataset:
    """A Dataset as it is, or one made of a pair `(images, labels)`."""
    if isinstance(data, Dataset):
        return data
    try:
        images, labels = data
    except (TypeError, ValueError):
        raise DataError(
            f"expected a Dataset or a pair (images, labels), not {type(data).__name__}"
        ) from None
    return Dataset(np.asarray(images), np.asarray(labels))
