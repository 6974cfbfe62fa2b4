"""MNIST and Fashion-MNIST: 60,000 training and 10,000 test images of 28 x 28 gray pixels.

MNIST: LeCun, Cortes, Burges. Fashion-MNIST: Xiao, Rasul, Vollgraf 2017 (arXiv:1708.07747).

The files are read from `<cache>/<name>/`, plain or gzipped; <cache> is the environment variable
MINICNN_DATA or the platform's cache folder. Missing or damaged files are downloaded. Without a
network, put the four files there yourself.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from . import idx
from .dataset import Dataset
from .download import cache_folder, download, sha256

# SHA-256 of each file as published (gzipped), and for MNIST, which exists in several gzipped forms,
# of the decompressed file.
MNIST = {
    "train-images-idx3-ubyte": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
FASHION_MNIST = {
    "train-images-idx3-ubyte": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    "train-labels-idx1-ubyte": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    "t10k-images-idx3-ubyte": ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",),
    "t10k-labels-idx1-ubyte": ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",),
}
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
FASHION_MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
DIGITS = tuple("0123456789")
GARMENTS = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def mnist(
    *, allow_download: bool = True, report: Callable[[str], object] = print
) -> tuple[Dataset, Dataset]:
    """The training and test set of MNIST.

    `report` is called with a sentence when something is downloaded or a damaged file is replaced.
    Raises DataError if a file is missing or damaged and cannot be downloaded.
    """
    return _load("mnist", MNIST, MNIST_MIRRORS, DIGITS, allow_download, report)


def fashion_mnist(
    *, allow_download: bool = True, report: Callable[[str], object] = print
) -> tuple[Dataset, Dataset]:
    """The training and test set of Fashion-MNIST; otherwise like `mnist`."""
    return _load("fashion_mnist", FASHION_MNIST, FASHION_MIRRORS, GARMENTS, allow_download, report)


def _load(
    name: str,
    checksums: Mapping[str, Sequence[str]],
    mirrors: Sequence[str],
    classes: tuple[str, ...],
    allow_download: bool,
    report: Callable[[str], object],
) -> tuple[Dataset, Dataset]:
    folder = cache_folder() / name
    sets = []
    for split, files in idx.FILES.items():
        arrays = [
            idx.parse(
                _contents(folder, file, checksums[file], mirrors, allow_download, report),
                dimensions,
                file,
            )
            for file, dimensions in zip(files, (3, 1), strict=True)
        ]
        images, labels = idx.pair(arrays[0], arrays[1], folder)
        sets.append(Dataset(images, labels, classes, name, split))
    return sets[0], sets[1]


def _contents(
    folder: Path,
    name: str,
    checksums: Sequence[str],
    mirrors: Sequence[str],
    allow_download: bool,
    report: Callable[[str], object],
) -> bytes:
    """The verified, decompressed contents of one file, downloaded if necessary."""
    fault = f"{folder / name} does not exist"
    path = idx.find(folder, name)
    if path:
        try:
            return _verified(path, checksums)
        except DataError as error:
            fault = str(error)
            if allow_download:
                report(f"{fault}; downloading it again")
    if not allow_download:
        raise DataError(fault)
    target = folder / f"{name}.gz"
    try:
        download(
            [f"{mirror}{name}.gz" for mirror in mirrors],
            target,
            checksums[0],
            _progress(target.name, report),
        )
    except DataError as error:
        raise DataError(
            f"{fault}, and {error}. To work offline, put the file into {folder} yourself"
        ) from None
    except OSError as error:
        raise DataError(f"{fault}, and {target} cannot be written: {error.strerror}") from None
    return _verified(target, checksums)


def _verified(path: Path, checksums: Sequence[str]) -> bytes:
    """The decompressed contents. Raises DataError unless they, or the file, match a checksum."""
    contents = idx.read_bytes(path)
    if hashlib.sha256(contents).hexdigest() not in checksums and sha256(path) not in checksums:
        raise DataError(
            f"{path}: its SHA-256 is not that of the published file: it is damaged or another file"
        )
    return contents


def _progress(name: str, report: Callable[[str], object]) -> Callable[[int, int], None]:
    """Report the progress of a download at every quarter of the file."""
    reported = -1

    def progress(done: int, total: int) -> None:
        nonlocal reported
        quarter = 4 * done // total if total else 0
        if quarter > reported:
            reported = quarter
            report(
                f"downloading {name}: {done / 1e6:.1f}"
                + (f" of {total / 1e6:.1f} MB" if total else " MB")
            )

    return progress
