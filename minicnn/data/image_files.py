"""Encoded images that look like an array: indexing decodes them, several at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..errors import DataError
from .originals import MEMORY, Originals
from .pixels import Decode, contents_of
from .windows import WindowRule

ImageFile = tuple[str, Callable[[], bytes]]  # the name, and what reads it


class ImageFiles:
    """Encoded images that look like a uint8 array `(N, H, W, C)`; indexing decodes them.

    files: by names that differ. decode: from a file to the pixels that indexing returns.
    memory: bytes of originals that are kept decoded for `windows`. Subsets share them.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, files: Sequence[ImageFile], decode: Decode, memory: int = MEMORY):
        self.files, self.decode = list(files), decode
        self._originals = Originals(decode, memory)

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
            return self._pixels(int(chosen))
        if isinstance(rows, slice):
            return self.subset(rows)
        return self.take(chosen)

    def subset(self, rows: slice | np.ndarray) -> "ImageFiles":
        """The files at `rows`, still encoded."""
        chosen = np.arange(len(self.files))[rows]
        found = ImageFiles([self.files[i] for i in chosen], self.decode)
        found._originals = self._originals
        return found

    def take(self, rows: np.ndarray, pool: Executor | None = None) -> np.ndarray:
        """The images at `rows`, decoded. pool: what decodes them; by default threads of its own."""
        out = np.empty((len(rows), *self.decode.shape), np.uint8)
        self._decode(rows, out, pool=pool)
        return out

    def windows(
        self,
        rows: np.ndarray,
        rule: WindowRule,
        seeds: np.ndarray,
        pool: Executor | None = None,
    ) -> np.ndarray:
        """A window of each original at `rows`, uint8 `(n, *rule.output_size, C)`.

        seeds: a number for each, which `rule.sample` draws. pool: as in `take`.
        """
        if self.decode.light_on_dark:
            raise ValueError(f"{rule}: windows of images that may be inverted are not defined")
        out = np.empty((len(rows), *rule.output_size, self.decode.channels), np.uint8)

        def one(i: int) -> None:
            name, read = self.files[int(rows[i])]
            out[i] = self._originals.window(name, read, rule, np.random.default_rng(seeds[i]))

        _for_each(one, len(rows), pool)
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

    def _pixels(self, i: int) -> np.ndarray:
        name, read = self.files[i]
        return self.decode(name, contents_of(name, read))

    def _decode(
        self,
        rows: np.ndarray,
        out: np.ndarray | None,
        faults: dict[int, str] | None = None,
        pool: Executor | None = None,
    ) -> None:
        """Decode the images at `rows` into `out`; None only tries."""

        def one(i: int) -> None:
            try:
                pixels = self._pixels(int(rows[i]))
            except DataError as error:
                if faults is None:
                    raise
                faults[i] = str(error)
            else:
                if out is not None:
                    out[i] = pixels

        _for_each(one, len(rows), pool)


def _for_each(work: Callable[[int], None], n: int, pool: Executor | None) -> None:
    """Call `work` with 0 to n - 1, several at a time. The first exception is raised."""
    if pool is None:
        with ThreadPoolExecutor() as pool:  # Pillow decodes without the interpreter lock
            return _for_each(work, n, pool)
    for _ in pool.map(work, range(n)):
        pass
