"""A labeled set of images in memory."""

from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from ..errors import DataError


@dataclass(frozen=True, repr=False)
class Dataset:
    """Images with their labels. `data[i]` is `(image, label)`; `data[slice or array]`, a Dataset.

    images: `(N, H, W, C)`, uint8 pixels in 0..255 (or float32, already normalized).
    labels: `(N,)` integers in 0..classes-1.
    classes: the names of the classes. name, split: where the images come from, for messages.
    Raises DataError if they do not belong together.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = field(default=())
    name: str = "own data"
    split: str = ""

    def __post_init__(self) -> None:
        where = f"{self.name} {self.split}".strip()
        if self.images.ndim != 4 or self.images.dtype not in (np.uint8, np.float32):
            raise DataError(
                f"{where}: the images are {self.images.dtype} {self.images.shape}; "
                "expected uint8 or float32 (N, H, W, C)"
            )
        n = len(self.images)
        is_integer = self.labels.dtype.kind in "iu"
        if self.labels.ndim != 1 or not is_integer or len(self.labels) != n:
            raise DataError(
                f"{where}: the labels are {self.labels.dtype} {self.labels.shape}; "
                f"expected integers ({n},)"
            )
        if n == 0:
            raise DataError(f"{where}: there are no images")
        if not self.classes:
            object.__setattr__(self, "classes", tuple(map(str, range(int(self.labels.max()) + 1))))
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= len(self.classes):
            raise DataError(
                f"{where}: labels run from {low} to {high}; expected 0 to {len(self.classes) - 1}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> tuple[np.ndarray, int]: ...

    @overload
    def __getitem__(self, index: slice | list | np.ndarray) -> "Dataset": ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            return self.images[index], int(self.labels[index])
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
        return Dataset(
            self.images[indices], self.labels[indices], self.classes, self.name, self.split
        )


def as_dataset(data: Any) -> Dataset:
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
