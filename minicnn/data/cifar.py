"""CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test images of 32 x 32 RGB pixels.

Source: Krizhevsky 2009. Three forms are read, from a folder or directly from a tar file: the binary
form (`data_batch_1.bin` ...), the Python form (`data_batch_1` ..., pickles, which are read without
executing them), and class folders of image files (`train/cat/*.jpg`, see
`minicnn.data.folders`).
"""

import io
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from . import folders
from .dataset import Dataset
from .download import cache_folder, download
from .files import Files, listing
from .pixels import Decode, contents_of

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
CIFAR100_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
CIFAR100_SHA256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PIXELS = 3 * 32 * 32


def cifar10(
    *, allow_download: bool = True, report: Callable[[str], object] = print
) -> tuple[Dataset, Dataset]:
    """The training and test set of CIFAR-10, from `<cache>/cifar10/` in any of its forms.

    If it is missing, its binary form is downloaded. `report` is called with messages.
    Raises DataError if it cannot be downloaded or is damaged.
    """
    return _cached("cifar10", CIFAR10_URL, CIFAR10_SHA256, allow_download, report)


def cifar100(
    *, allow_download: bool = True, report: Callable[[str], object] = print
) -> tuple[Dataset, Dataset]:
    """The training and test set of CIFAR-100 with its 100 fine labels; otherwise like `cifar10`."""
    return _cached("cifar100", CIFAR100_URL, CIFAR100_SHA256, allow_download, report)


def _cached(
    name: str, url: str, checksum: str, allow_download: bool, report: Callable[[str], object]
) -> tuple[Dataset, Dataset]:
    folder = cache_folder() / name
    sources = [folder, *sorted(folder.glob("*.tar*"))] if folder.is_dir() else []
    for source in sources:
        files = listing(source)
        if is_cifar(files):
            return read(files, name)
        if folders.is_image_tree(files):
            train, test, _ = folders.read(files, source, Decode((32, 32)), name, report)
            # These images are 32 x 32 already, so views are cut from them as they are.
            return replace(train, decode=None), replace(test, decode=None)
    if not allow_download:
        raise DataError(f"{folder}: there is no form of {name} in it")
    target = folder / Path(url).name
    report(f"downloading {target.name} (about 170 MB)")
    try:
        download([url], target, checksum)
    except DataError as error:
        raise DataError(
            f"{error}. To work offline, put the archive or its files into {folder} yourself"
        ) from None
    return read(listing(target), name)


def is_cifar(files: Files) -> bool:
    """True for the binary and the Python form of CIFAR."""
    return any(
        _find(files, name) for name in ("data_batch_1.bin", "data_batch_1", "train.bin", "train")
    )


def read(files: Files, name: str) -> tuple[Dataset, Dataset]:
    """The training and test set in the binary or Python form. Raises DataError."""
    batches = [f"data_batch_{i}" for i in range(1, 6)]
    for train_names, test_name, labels, suffix, read_one in (
        (batches, "test_batch", 1, ".bin", _binary),
        (["train"], "test", 2, ".bin", _binary),
        (batches, "test_batch", 1, "", _pickled),
        (["train"], "test", 2, "", _pickled),
    ):
        if _find(files, train_names[0] + suffix) is None:
            continue
        parts = [
            [read_one(files, n + suffix, labels) for n in names]
            for names in (train_names, [test_name])
        ]
        classes = CLASSES if labels == 1 else tuple(map(str, range(100)))
        train, test = (
            Dataset(
                np.concatenate([p[0] for p in part]),
                np.concatenate([p[1] for p in part]),
                classes,
                name,
                split,
            )
            for part, split in zip(parts, ("train", "test"), strict=True)
        )
        return train, test
    raise DataError(f"{name}: expected CIFAR in its binary or Python form")


def _find(files: Files, name: str) -> str | None:
    """The path of the file of that name, in any folder of the archive."""
    return next(
        (path for path in files if Path(path).name == name and not files[path].is_folder), None
    )


def _contents(files: Files, name: str) -> bytes:
    path = _find(files, name)
    if path is None:
        raise DataError(f"{name} is missing, although the other batches are present")
    return contents_of(path, files[path].read)


def _binary(files: Files, name: str, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Records of a label byte (CIFAR-100: coarse and fine) and 3,072 pixels in color planes."""
    data = np.frombuffer(_contents(files, name), np.uint8)
    if data.size == 0 or data.size % (labels + PIXELS):
        raise DataError(
            f"{name}: {data.size} bytes are not a multiple of {labels + PIXELS}, the record size"
        )
    records = data.reshape(-1, labels + PIXELS)
    return _images(records[:, labels:]), records[:, labels - 1].astype(np.int64)


def _images(planes: np.ndarray) -> np.ndarray:
    """`(N, 3072)` color planes -> `(N, 32, 32, 3)`."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


class _Array:
    """A pickled NumPy array: its state is `(version, shape, type, Fortran order, bytes)`."""

    def __init__(self, *rest: object) -> None:
        self.value = np.empty(0, np.uint8)

    @classmethod
    def from_buffer(cls, data: Any, kind: Any, shape: Any, order: str) -> "_Array":
        """As protocol 5 makes it."""
        array = cls()
        array.__setstate__((1, shape, kind, order == "F", data))
        return array

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Type) or not re.fullmatch("[|<>=]?[iu][1248]", kind.name):
            raise DataError(f"it has an array of {getattr(kind, 'name', kind)}; expected integers")
        if isinstance(data, str):  # pickles of Python 2 hold bytes as text
            data = data.encode("latin1")
        array = np.frombuffer(data, np.dtype(kind.name))
        self.value = array.reshape(shape, order="F" if fortran else "C")


class _Type:
    """A pickled NumPy type: only its name, with the order of bytes."""

    def __init__(self, name: str = "", *rest: object) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        self.name = state[1] + self.name.lstrip("|<>=")


class _Reader(pickle.Unpickler):
    """An Unpickler restricted to arrays, their types and plain containers.

    Anything else is rejected by name.
    """

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _Array
        if name == "_frombuffer" and module in ("numpy.core.numeric", "numpy._core.numeric"):
            return _Array.from_buffer
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _Array if name == "ndarray" else _Type
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 holds the bytes of Python 3
            return lambda text, encoding: text.encode("latin1")
        raise DataError(f"it would execute {module}.{name}, which is not allowed")


def _pickled(files: Files, name: str, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """A dictionary with `data` (N, 3072) and `labels` (CIFAR-100: `fine_labels`).

    The labels are a list or an array, and the keys bytes if Python 3 wrote what it had read so.
    """
    try:
        read = _Reader(io.BytesIO(_contents(files, name)), encoding="latin1").load()
        contents = {key.decode() if isinstance(key, bytes) else key: read[key] for key in read}
        data = contents["data"].value if isinstance(contents["data"], _Array) else None
        target = contents["labels" if labels == 1 else "fine_labels"]
        target = target.value if isinstance(target, _Array) else target
        if isinstance(target, list) and not all(type(label) is int for label in target):
            raise DataError("a label is no whole number")
        target = np.asarray(target, np.int64)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error) or type(error).__name__
        raise DataError(
            f"{name}: it is damaged, or no batch of CIFAR in its Python form ({reason})"
        ) from None
    if (
        data is None
        or data.dtype != np.uint8
        or data.shape[1:] != (PIXELS,)
        or target.shape != data.shape[:1]
        or not target.size
    ):
        raise DataError(f"{name}: expected (N, {PIXELS}) bytes and N labels")
    return _images(data), target
