"""ImageNet as it is distributed (ILSVRC 2012 to 2017, classification); nothing is unpacked.

| training images                          | validation images                              |
|------------------------------------------|------------------------------------------------|
| `train/n01440764/n01440764_10026.JPEG`   | `val/n01440764/ILSVRC2012_val_00000293.JPEG`   |
| `ILSVRC2012_img_train.tar`               | `ILSVRC2012_img_val.tar`, or its images in one |
| the 1000 tar files in it, `n01440764.tar` | folder; both with their ground truth          |

The ground truth of the validation images is that of the development kit, as
`ILSVRC2012_devkit_t12.tar.gz` or unpacked, Kaggle's `LOC_val_solution.csv`, or Caffe's `val.txt`.
The labels of the first five images are known, so that an order of classes other than that of the
WordNet ids is an error.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from os.path import exists
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import DataError
from ..kernels.geometry import pair
from . import folders, synsets
from .dataset import Dataset
from .download import cache_folder
from .files import Files, file_at, is_archive, listing, members
from .pixels import Decode, contents_of
from .splits import SPLITS

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
TABLES = ("LOC_val_solution.csv", "val.txt")
SYNSET_TAR = re.compile(r"(n\d{8})\.tar")
VAL_IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})\.jpe?g", re.IGNORECASE)
VAL_LABEL = re.compile(r"ILSVRC2012_val_(\d{8})(?:\.jpe?g)?[ ,\t]+(n\d{8}|\d+)", re.IGNORECASE)
KNOWN = {1: "n01751748", 2: "n09193705", 3: "n02105855", 4: "n04263257", 5: "n03125729"}

Report = Callable[[str], object]


def imagenet(
    root: str | Path | None = None,
    size: int | tuple[int, int] | Decode = 256,
    *,
    report: Report = print,
    **options: Any,
) -> tuple[Dataset, Dataset]:
    """The training and the validation set of ImageNet.

    root: the folder with the files in one of the forms above, or one of the archives; by default
        `<cache>/imagenet/`. If there are no training images, the validation images are both sets.
    size: to which the files are decoded, in pixels, or how. EXIF orientation is ignored, as by
        ImageNet's benchmarks; CMYK files, and the PNG file named .JPEG, become RGB.
    options: skip_broken, originals, memory and for_test, as in `data.load_splits`.
    `report` is called with what is left out or doubtful. Raises DataError.
    """
    folder = cache_folder() / "imagenet" if root is None else Path(root).expanduser()
    if not exists(folder):
        raise DataError(
            f"{folder}: there is no ImageNet, which minicnn does not download: put {TRAIN_TAR}, "
            f"{VAL_TAR} and {DEVKIT}_t12.tar.gz there, or give --data FOLDER with images in class "
            "folders"
        )
    files = arranged(listing(folder), folder, report)
    decode = size if isinstance(size, Decode) else Decode(pair(size, "size"))
    train, test, _ = folders.read(files, folder, decode, "imagenet", report, **options)
    names = synsets.readable(train.classes)
    return replace(train, classes=names), replace(test, classes=names)


def is_imagenet(files: Files) -> bool:
    """True for a form of ImageNet in which some images do not lie in class folders yet."""
    names = (path.rpartition("/")[2] for path in files)
    return any(
        name in (TRAIN_TAR, VAL_TAR) or SYNSET_TAR.fullmatch(name) or VAL_IMAGE.fullmatch(name)
        for name in names
    )


def arranged(files: Files, source: Path, report: Report = print) -> Files:
    """The files as class folders `train/<WordNet id>/...` and `val/<WordNet id>/...`.

    Archives are opened where their images do not lie unpacked beside them.
    Raises DataError for validation images without labels, or with labels in another order.
    """
    found: Files = {}
    archives: Files = {}
    flat: Files = {}
    for path, file in files.items():
        *_, parent, name = ("", *path.split("/"))
        if name in (TRAIN_TAR, VAL_TAR) or SYNSET_TAR.fullmatch(name):
            archives[path] = file
        elif VAL_IMAGE.fullmatch(name) and not synsets.is_synset(parent):
            flat[name] = file
        elif not (name.startswith("LOC_") or is_archive(name)):  # Kaggle's tables, the kit
            found[path] = file
    root = _root(found)
    has_train = any(path.startswith(f"{root}train/") for path in found)
    has_val = bool(flat) or any(VAL_IMAGE.fullmatch(path.rpartition("/")[2]) for path in found)
    for path, file in archives.items():
        name, is_val = path.rpartition("/")[2], path.endswith(VAL_TAR)
        if has_val if is_val else has_train:
            report(f"{source}: {path} is left out: its images lie unpacked beside it")
        elif is_val:
            flat |= members(f"{source}/{path}", file)
        else:
            found |= _training_images(f"{source}/{path}", name, file, f"{root}train/")
    if flat:
        truth = _ground_truth(_with_neighbors(files, source), source)
        for name, file in flat.items():
            found[f"{root}val/{_label(name, truth, source)}/{name}"] = file
    _check_order(found, source)
    return dict(sorted(found.items()))


def _root(files: Files) -> str:
    """The path of the folder that holds `train`, with a slash; "" without one."""
    for path in files:
        parts = PurePosixPath(path).parts
        for i, part in enumerate(parts[:-2]):
            if part.lower() in SPLITS["train"] and synsets.is_synset(parts[i + 1]):
                return "".join(f"{parent}/" for parent in parts[:i])
    return ""


def _training_images(where: str, name: str, file: Any, prefix: str) -> Files:
    """The images in the tar file of one synset, or in that of all."""
    inner = members(where, file)
    synset = SYNSET_TAR.fullmatch(name)
    if synset:
        return {f"{prefix}{synset[1]}/{PurePosixPath(path).name}": f for path, f in inner.items()}
    found: Files = {}
    for path, part in inner.items():
        found |= _training_images(f"{where}/{path}", PurePosixPath(path).name, part, prefix)
    return found


def _with_neighbors(files: Files, source: Path) -> Files:
    """Also what lies beside `source`, if that is an archive, and the contents of devkits."""
    if source.is_file():
        beside = (path for path in sorted(source.parent.iterdir()) if path.is_file())
        names = (*TABLES, GROUND_TRUTH)
        here = [path for path in beside if path.name in names or path.name.startswith(DEVKIT)]
        files = files | {path.name: file_at(path) for path in here}
    kits = {p: f for p, f in files.items() if p.rpartition("/")[2].startswith(DEVKIT)}
    for path, file in kits.items():
        if not file.is_folder:
            files = files | members(f"{source}/{path}", file)
    return files


def _ground_truth(files: Files, source: Path) -> dict[int, str]:
    """The WordNet id of each validation image by its number."""
    for path, file in files.items():
        name = path.rpartition("/")[2]
        if name == GROUND_TRUTH:
            wnids = {synset.devkit_id: synset.wnid for synset in synsets.synsets()}
            numbers = contents_of(f"{source}/{path}", file.read).decode("ascii", "replace").split()
            return {
                i: _known(wnids, number, f"{source}/{path}") for i, number in enumerate(numbers, 1)
            }
        if name in TABLES:
            order = dict(enumerate(synset.wnid for synset in synsets.synsets()))
            table = contents_of(f"{source}/{path}", file.read)
            rows = VAL_LABEL.findall(table.decode("utf-8", "replace"))
            if rows:
                return {int(i): _known(order, label, f"{source}/{path}") for i, label in rows}
    raise DataError(
        f"{source}: the validation images have no labels: put {DEVKIT}_t12.tar.gz, Kaggle's "
        f"{TABLES[0]} or Caffe's {TABLES[1]} beside them, or sort them into folders of WordNet ids"
    )


def _known(wnids: dict[int, str], label: str, where: str) -> str:
    """The WordNet id that a label means."""
    if synsets.is_synset(label):
        return label
    if not label.isdecimal() or int(label) not in wnids:
        raise DataError(
            f"{where}: the label {label} is no class of ImageNet; expected "
            f"{min(wnids)} to {max(wnids)}"
        )
    return wnids[int(label)]


def _label(name: str, truth: dict[int, str], source: Path) -> str:
    match = VAL_IMAGE.fullmatch(name)
    number = int(match[1]) if match else 0
    if number not in truth:
        raise DataError(f"{source}: the ground truth has no label for the validation image {name}")
    return truth[number]


def _check_order(files: Files, source: Path) -> None:
    """Raise DataError if a validation image has another label than it is known to have."""
    for path in files:
        *_, parent, name = ("", *path.split("/"))
        match = VAL_IMAGE.fullmatch(name)
        expected = KNOWN.get(int(match[1])) if match else None
        if expected and synsets.is_synset(parent) and parent != expected:
            found, right = synsets.readable((parent, expected))
            raise DataError(
                f"{source}: {name} is labeled {parent} ({found}), but it shows {expected} "
                f"({right}): the labels are in another order than that of the WordNet ids"
            )
