"""Encoded images that look like an array: indexing decodes them, several at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..errors import DataError
from .pixels import Decode

ImageFile = tuple[str, Callable[[], bytes]]  # the name, and what reads it


class ImageFiles:
    """Encoded images that look like a uint8 array `(N, H, W, C)`; indexing decodes them."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, files: Sequence[ImageFile], decode: Decode):
        self.files, self.decode = list(files), decode

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(N, H, W, C)`."""
        return (len(self.files), *self.decode.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all images, decoded."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Any) -> Any:
        chosen = np.arange(len(self.files))[rows]
        if chosen.ndim == 0:
            name, read = self.files[int(chosen)]
            return self.decode(name, read())
        if isinstance(rows, slice):
            return ImageFiles([self.files[i] for i in chosen], self.decode)
        out = np.empty((len(chosen), *self.decode.shape), np.uint8)
        self._decode(chosen, out)
        return out

    def decoded(self, faults: dict[int, str] | None = None) -> np.ndarray:
        """All images as one array.

        faults: gets what is wrong with each image that cannot be decoded, by its position; without
        it, the first one raises DataError.
        """
        out = np.empty(self.shape, np.uint8)
        self._decode(np.arange(len(self)), out, faults)
        return out

    def broken(self) -> dict[int, str]:
        """What is wrong with each image that cannot be decoded, by its position."""
        faults: dict[int, str] = {}
        self._decode(np.arange(len(self)), None, faults)
        return faults

    def _decode(
        self, rows: np.ndarray, out: np.ndarray | None, faults: dict[int, str] | None = None
    ) -> None:
        """Decode the images at `rows` into `out`; None only tries."""

        def one(i: int) -> None:
            name, read = self.files[int(rows[i])]
            try:
                pixels = self.decode(name, read())
            except DataError as error:
                if faults is None:
                    raise
                faults[i] = str(error)
            else:
                if out is not None:
                    out[i] = pixels

        with ThreadPoolExecutor() as pool:  # Pillow decodes without the interpreter lock
            for _ in pool.map(one, range(len(rows))):
                pass
