"""The mean of each pixel of a training set, which early networks subtract."""

import base64
import hashlib
from typing import Any

import numpy as np

from ..errors import DataError

PER_CHANNEL, PER_PIXEL = "per channel", "per pixel"
SAMPLE = 10_000  # images, spread over the set, by which the mean of a larger one is computed
CHUNK = 256


class MeanImage:
    """float32 `(h, w, C)` in units of full brightness, as a value: equal if its pixels are."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.ascontiguousarray(values, np.float32)
        self.digest = hashlib.sha256(self.values.tobytes()).hexdigest()[:12]

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.values.shape))
        levels = ", ".join(f"{255 * mean:.1f}" for mean in self.channel_means)
        return f"MeanImage({shape}, gray levels {levels}, hash {self.digest})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MeanImage) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def channel_means(self) -> tuple[float, ...]:
        """One number per channel."""
        return tuple(map(float, self.values.mean(axis=(0, 1), dtype=np.float64)))

    def center(self, height: int, width: int) -> np.ndarray:
        """Its central `(height, width, C)`. Raises DataError if it is smaller."""
        h, w = self.values.shape[:2]
        if h < height or w < width:
            raise DataError(
                f"the mean image has {h}x{w} pixels, and the images have {height}x{width}: "
                "compute it from images of that size"
            )
        top, left = (h - height) // 2, (w - width) // 2
        return self.values[top : top + height, left : left + width]

    def to_json(self) -> dict[str, Any]:
        """As text, for a checkpoint."""
        text = base64.b64encode(self.values.astype("<f4").tobytes()).decode()
        return {"shape": list(self.values.shape), "float32": text}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "MeanImage":
        """The inverse."""
        values = np.frombuffer(base64.b64decode(found["float32"]), "<f4")
        return cls(values.reshape(found["shape"]))


def mean_of(images: Any) -> MeanImage:
    """The mean of uint8 images `(N, h, w, C)`; of a large set, that of 10,000 images.

    Raises DataError for images that are normalized already.
    """
    if images.dtype != np.uint8:
        raise DataError(
            f"the mean of {images.dtype} images cannot be subtracted: they count as normalized"
        )
    rows = np.unique(np.linspace(0, len(images) - 1, min(len(images), SAMPLE)).astype(np.int64))
    total = np.zeros(images.shape[1:], np.int64)
    for i in range(0, len(rows), CHUNK):
        total += images[rows[i : i + CHUNK]].sum(axis=0, dtype=np.int64)
    return MeanImage(total / (255 * len(rows)))
