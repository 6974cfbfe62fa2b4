"""Image sets as class folders: `train/cat/1.jpg`, `val/dog/7.png`, in a folder or an archive.

- The split is the folder `train` or `training`; `val`, `valid` or `validation`; `test` or
  `testing`. With `val` only, its images are the test images.
- The class of an image is the folder below the split, whatever lies between: Tiny ImageNet has
  `train/n01443537/images/1.JPEG`. A table of labels can take the place of class folders
  (`labels.py`).
- Photographs of classes that are called by WordNet ids of ImageNet (`synsets.py`) are not turned as
  EXIF says: ImageNet's benchmarks do not.
- Without splits, every fifth image of a class is a test image; a class with fewer than five is in
  both sets.
- What is left out or doubtful is reported.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..errors import DataError
from . import labels as tables
from . import synsets
from .dataset import Dataset, Splits
from .files import Files, stem
from .image_files import ImageFiles
from .originals import MEMORY
from .pixels import Decode

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
UNREAD = {".heic", ".heif", ".avif", ".jxl", ".svg", ".psd", ".dng", ".cr2", ".nef", ".dcm"}
SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
TEST_EVERY = 5

Report = Callable[[str], object]
Labeled = list[tuple[str, str]]  # the class and the path of each image


@dataclass
class Layout:
    """Which class and split each image belongs to.

    splits: the images of "train", "validation" and "test". folders: the class folders of the
    training images, also empty ones.
    """

    splits: dict[str, Labeled] = field(default_factory=lambda: {name: [] for name in SPLITS})
    folders: set[str] = field(default_factory=set)


def is_image(path: str) -> bool:
    """True if the name is that of an image file that can be read."""
    return PurePosixPath(path).suffix.lower() in SUFFIXES


def is_image_tree(files: Files) -> bool:
    """True if there are image files."""
    return any(is_image(path) for path in files)


def read(
    files: Files,
    source: Path,
    decode: Decode,
    name: str | None = None,
    report: Report = print,
    skip_broken: bool = False,
    originals: bool = False,
    memory: int = MEMORY,
    for_test: bool = False,
) -> Splits:
    """The sets of class folders, their images decoded by `decode`.

    source: where the files are from, for messages. `report` is called with what is doubtful.
    skip_broken: leave out images that cannot be decoded, and report how many.
    originals: the training images stay files, of which windows can be cut.
    memory: bytes of decoded pixels; a set that needs no more is decoded once, a larger one batch by
        batch.
    for_test: only the test images are needed; the others are not missed.
    Raises DataError if there are no images in class folders, or if one cannot be decoded.
    """
    layout = find_layout(files, source, report)
    splits = layout.splits
    _fill_missing(splits, source, report, for_test)
    if not splits["train"]:
        raise DataError(
            f"{source}: expected images in class folders, such as train/cat/1.jpg or cat/1.jpg, "
            "or a CSV file of path,label"
        )
    # ASCII order, as in Caffe and torchvision
    classes = tuple(sorted({label for part in splits.values() for label, _ in part}))
    _report_classes(classes, layout, source, report)
    index = {label: i for i, label in enumerate(classes)}
    if all(map(synsets.is_synset, classes)):
        decode = replace(decode, orient=False)
    sets = dict[str, Dataset | None]()
    for split, part in splits.items():
        part = sorted(part)
        named = [(f"{source}/{path}", files[path].read) for _, path in part]
        images = ImageFiles(named, decode, memory)
        labels = np.array([index[label] for label, _ in part], np.int64)
        as_files = images.nbytes > memory or (originals and split == "train")
        pixels, kept = _decoded(images, as_files, source, report, skip_broken)
        found = (
            Dataset(pixels, labels[kept], classes, name or stem(source), split, decode=decode)
            if len(kept)
            else None
        )
        sets[split] = found
    train, test = sets["train"], sets["test"]
    if train is None or test is None:
        missing = "test" if train else "training"
        raise DataError(f"{source}: none of its {missing} images can be read")
    return Splits(train, test, sets["validation"])


def find_layout(files: Files, source: Path, report: Report = print) -> Layout:
    """Which class and split each image belongs to. Raises DataError if that cannot be told."""
    images = [path for path in files if is_image(path) and not files[path].is_folder]
    unread = Counter(PurePosixPath(path).suffix.lower() for path in files)
    for suffix in sorted(UNREAD & unread.keys()):
        report(f"{source}: {unread[suffix]} files of type {suffix} are left out: it is not read")
    labels = tables.read(files, source, images, report)
    root = _root_of_splits(files, images, source, report)
    if root is None:
        return _without_splits(files, images, labels, source, report)
    return _with_splits(files, labels, root, source, report)


def _split_of(folder: str) -> str | None:
    return next((split for split, names in SPLITS.items() if folder.lower() in names), None)


def _root_of_splits(
    files: Files, images: list[str], source: Path, report: Report
) -> tuple[str, ...] | None:
    """The folder that holds `train` and the like, as the parts of its path; None without one."""
    roots: Counter[tuple[str, ...]] = Counter()
    for path in images:
        parts = PurePosixPath(path).parts[:-1]
        first = next((i for i, part in enumerate(parts) if _split_of(part)), None)
        if first is not None:
            roots[parts[:first]] += 1
    if not roots:
        return None
    ordered = sorted(roots, key=len)
    root, *others = ordered
    if others and len(others[0]) == len(root):
        found = ", ".join("/".join(r) for r in ordered if len(r) == len(root))
        raise DataError(f"{source} holds several sets: {found}; give the folder of one of them")
    for other in others:
        report(
            f"{source}: {'/'.join(other)} holds a set of its own, with {roots[other]} images: "
            "it is left out"
        )
    return root


def _with_splits(
    files: Files,
    labels: dict[str, str],
    root: tuple[str, ...],
    source: Path,
    report: Report,
) -> Layout:
    layout, loose = Layout(), {name: list[str]() for name in SPLITS}
    outside = 0
    for path in files:
        parts = PurePosixPath(path).parts
        split = _split_of(parts[len(root)]) if len(parts) > len(root) else None
        below = parts[len(root) + 1 :]
        if parts[: len(root)] != root or split is None:
            outside += is_image(path) and not any(map(_split_of, parts[:-1]))
        elif files[path].is_folder:
            is_class = split == "train" and len(below) == 1
            layout.folders |= {below[0]} if is_class else set()
        elif path in labels:
            layout.splits[split].append((labels[path], path))
        elif is_image(path) and len(below) > 1:
            layout.splits[split].append((below[0], path))
        elif is_image(path):
            loose[split].append(path)
    if outside:
        report(f"{source}: {outside} images that lie in none of its splits are left out")
    trained = {label for label, _ in layout.splits["train"]}
    for split, paths in loose.items():
        if paths and (split == "train" or layout.splits[split]):
            raise DataError(
                f"{source}: {paths[0]} lies directly in {PurePosixPath(paths[0]).parent}; expected "
                "class folders in it, such as train/cat/1.jpg, or a CSV file of path,label"
            )
        if paths:
            report(f"{source}: the {len(paths)} images in {split} are left out: they have no class")
    for split in ("validation", "test"):
        found = {label for label, _ in layout.splits[split]}
        if found and trained and not found & trained:
            report(
                f"{source}: the images in {split} are left out: "
                f"{_few(found)} is no class of the training images"
            )
            layout.splits[split] = []
    return layout


def _without_splits(
    files: Files,
    images: list[str],
    labels: dict[str, str],
    source: Path,
    report: Report,
) -> Layout:
    """Class folders only: every fifth image of a class is a test image."""
    layout, by_class = Layout(), dict[str, list[str]]()
    depth, direct = _depth_of_classes(images), 0
    for path in files:
        parts = PurePosixPath(path).parts
        if files[path].is_folder:
            layout.folders |= {parts[depth]} if len(parts) == depth + 1 else set()
        elif path in labels:
            by_class.setdefault(labels[path], []).append(path)
        elif is_image(path) and len(parts) > depth + 1:
            by_class.setdefault(parts[depth], []).append(path)
        else:
            direct += is_image(path)
    if direct and by_class:
        report(f"{source}: {direct} images that lie in no class folder are left out")
    for label, paths in by_class.items():
        few = len(paths) < TEST_EVERY
        for i, path in enumerate(sorted(paths)):
            held_out = i % TEST_EVERY == TEST_EVERY - 1
            layout.splits["train"] += [(label, path)] if few or not held_out else []
            layout.splits["test"] += [(label, path)] if few or held_out else []
    small = {label for label, paths in by_class.items() if len(paths) < TEST_EVERY}
    if small:
        report(f"{source}: {_few(small)}: fewer than {TEST_EVERY} images, used in both sets")
    return layout


def _depth_of_classes(images: list[str]) -> int:
    """How many folders lie above the class folders: those that hold one folder each."""
    depth = 0
    while True:
        above = {PurePosixPath(path).parts[: depth + 1] for path in images}
        inside = [PurePosixPath(path).parts for path in images]
        if len(above) != 1 or any(len(parts) < depth + 3 for parts in inside):
            return depth
        depth += 1


def _fill_missing(splits: dict[str, Labeled], source: Path, report: Report, for_test: bool) -> None:
    """Every run needs training and test images: without one of them, the next best serves."""
    if not splits["test"] and splits["validation"]:
        splits["test"], splits["validation"] = splits["validation"], []
    for empty, other in (("train", "test"), ("test", "train")):
        if not splits[empty] and splits[other]:
            if not (for_test and empty == "train"):
                report(f"{source} has no {empty} images: its {other} images are used for both")
            splits[empty] = splits[other]


def _report_classes(classes: tuple[str, ...], layout: Layout, source: Path, report: Report) -> None:
    if len(classes) == 1:
        report(f"warning: {source} has one class only, {classes[0]}: nothing to tell apart")
    empty = layout.folders - set(classes)
    if empty:
        report(f"{source}: {_few(empty)}: no images, and therefore no class")
    for split, part in layout.splits.items():
        missing = set(classes) - {label for label, _ in part}
        if part and missing:
            report(f"{source}: {_few(missing)}: no {split} images")


def _few(names: Iterable[str], most: int = 5) -> str:
    names = sorted(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _decoded(
    images: ImageFiles, as_files: bool, source: Path, report: Report, skip_broken: bool
) -> tuple[Any, np.ndarray]:
    """The pixels, or the files that have them, and the positions of the images among them."""
    kept = np.arange(len(images))
    faults: dict[int, str] | None = {} if skip_broken else None
    if not as_files:
        pixels: Any = images.decoded(faults)
    elif skip_broken:
        pixels, faults = images, images.broken()
    else:
        pixels = images
    if faults:
        first = min(faults.values())
        report(f"{source}: {len(faults)} broken images are left out, such as {first}")
        kept = np.array([i for i in kept if i not in faults], np.int64)
        pixels = images.subset(kept) if as_files else pixels[kept]
    return pixels, kept
