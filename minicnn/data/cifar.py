"""CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test images of 32 x 32 RGB pixels (Krizhevsky 2009).

Three forms are read, from a folder or straight from a tar file: the binary one (`data_batch_1.bin` ...), the Python one
(`data_batch_1` ..., pickles, read without executing them), and class folders of image files (`train/cat/*.jpg`, see `folders.py`).
"""

import io
import pickle
from pathlib import Path

import numpy as np

from ..errors import DataError
from . import folders
from .dataset import Dataset
from .download import cache_folder, download

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
CIFAR100_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
CIFAR100_SHA256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PIXELS = 3 * 32 * 32


def cifar10(*, allow_download: bool = True, report=print) -> tuple[Dataset, Dataset]:
    """CIFAR-10's training and test set, from `<cache>/cifar10/` in any of its forms, downloaded (binary form) if it is not there.

    Raises DataError if it cannot be downloaded or is damaged.
    """
    return _cached("cifar10", CIFAR10_URL, CIFAR10_SHA256, allow_download, report)


def cifar100(*, allow_download: bool = True, report=print) -> tuple[Dataset, Dataset]:
    """CIFAR-100's training and test set with its 100 fine labels; everything is as in `cifar10`."""
    return _cached("cifar100", CIFAR100_URL, CIFAR100_SHA256, allow_download, report)


def _cached(name, url, checksum, allow_download, report):
    folder = cache_folder() / name
    sources = [folder, *sorted(folder.glob("*.tar*"))] if folder.is_dir() else []
    for source in sources:
        files = folders.listing(source)
        if is_cifar(files):
            return read(files, name)
        if folders.is_image_tree(files):
            return folders.read(files, source, size=32, name=name, report=report)
    if not allow_download:
        raise DataError(f"{folder}: it holds no form of {name}")
    target = folder / Path(url).name
    report(f"downloading {target.name} (about 170 MB)")
    try:
        download([url], target, checksum)
    except DataError as error:
        raise DataError(
            f"{error}. To work offline, put the archive, or the files in it, into {folder} by hand"
        ) from None
    return read(folders.listing(target), name)


def is_cifar(files: folders.Files) -> bool:
    """Whether these are CIFAR's binary or Python form."""
    return any(
        _find(files, name) for name in ("data_batch_1.bin", "data_batch_1", "train.bin", "train")
    )


def read(files: folders.Files, name: str) -> tuple[Dataset, Dataset]:
    """The training and test set in CIFAR's binary or Python form. Raises DataError."""
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
    raise DataError(f"{name}: it holds neither CIFAR's binary nor its Python form")


def _find(files: folders.Files, name: str):
    """The file of that name, in whatever folder of the archive it is."""
    return next(
        (path for path in files if Path(path).name == name and not files[path].is_folder), None
    )


def _contents(files, name) -> bytes:
    path = _find(files, name)
    if path is None:
        raise DataError(f"{name} is missing, although the other batches are present")
    return files[path].read()


def _binary(files, name: str, labels: int):
    """Records of 1 label byte (CIFAR-100: coarse and fine) and 3,072 pixels, the three color planes one after the other."""
    data = np.frombuffer(_contents(files, name), np.uint8)
    if data.size == 0 or data.size % (labels + PIXELS):
        raise DataError(
            f"{name}: {data.size} bytes are not a whole number of records of {labels + PIXELS}"
        )
    records = data.reshape(-1, labels + PIXELS)
    return _images(records[:, labels:]), records[:, labels - 1].astype(np.int64)


def _images(planes: np.ndarray) -> np.ndarray:
    """`(N, 3072)` color planes -> `(N, 32, 32, 3)`."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


class _Array:
    """What a pickled NumPy array says of itself: `(version, shape, type, Fortran order, bytes)`."""

    def __init__(self, *rest):
        self.value: np.ndarray | None = None

    def __setstate__(self, state):
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Type) or kind.name not in ("u1", "|u1", "i8", "<i8") or fortran:
            raise DataError(f"an array of {getattr(kind, 'name', kind)}; expected bytes")
        if isinstance(data, str):  # pickles of Python 2 hold bytes as text
            data = data.encode("latin1")
        self.value = np.frombuffer(data, np.dtype(kind.name)).reshape(shape)


class _Type:
    """A pickled NumPy type, by its name alone."""

    def __init__(self, name="", *rest):
        self.name = name

    def __setstate__(self, state):
        pass


class _Reader(pickle.Unpickler):
    """An unpickling machine that knows arrays, their types, and plain containers; anything else it refuses by name."""

    def find_class(self, module, name):
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _Array
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _Array if name == "ndarray" else _Type
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 holds the bytes of Python 3
            return lambda text, encoding: text.encode("latin1")
        raise DataError(f"it wants to execute {module}.{name}, which is refused")


def _pickled(files, name: str, labels: int):
    """A dictionary with `data` (N, 3072) and `labels` (CIFAR-100: `fine_labels`)."""
    try:
        contents = _Reader(io.BytesIO(_contents(files, name)), encoding="latin1").load()
        data = contents["data"].value
        target = np.asarray(contents["labels" if labels == 1 else "fine_labels"], np.int64)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except Exception as error:  # what a damaged pickle makes the machine say is not a closed list
        raise DataError(
            f"{name}: it is not a batch of CIFAR in its Python form, or damaged ({error or type(error).__name__})"
        ) from None
    if (
        data is None
        or data.dtype != np.uint8
        or data.ndim != 2
        or data.shape[1] != PIXELS
        or len(target) != len(data)
    ):
        raise DataError(f"{name}: expected (N, {PIXELS}) bytes and N labels")
    return _images(data), target
