"""Image sets as class folders: `train/cat/1.jpg`, `val/dog/7.png`, in a folder or an archive.

- The split is the folder `train`, `val` or `test`, or one of their other names (`splits.py`). With
  `val` only, its images are the test images.
- The class of an image is the folder below the split, whatever lies between: Tiny ImageNet has
  `train/n01443537/images/1.JPEG`. A table of labels can take the place of class folders
  (`labels.py`).
- Photographs of classes that are called by WordNet ids of ImageNet (`synsets.py`) are not turned as
  EXIF says: ImageNet's benchmarks do not.
- Without splits, and with `train` only, every fifth image of a class is a test image; a class with
  fewer than five is in both sets.
- What is left out or doubtful is reported.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from . import synsets
from .dataset import Dataset, Splits
from .files import Files, stem
from .image_files import ImageFiles
from .layout import Labeled, Layout, Report, divide, find_layout, first_few, is_image_tree, spelled
from .originals import MEMORY
from .pixels import Decode

__all__ = ["is_image_tree", "read"]


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


def _fill_missing(splits: dict[str, Labeled], source: Path, report: Report, for_test: bool) -> None:
    """Every run needs training and test images: without one of them, the next best serves."""
    if not splits["test"] and splits["validation"]:
        splits["test"], splits["validation"] = splits["validation"], []
    if not splits["test"] and splits["train"]:
        report(f"{source} has no test images: every fifth training image of a class becomes one")
        splits["train"], splits["test"] = divide(splits["train"], source, report)
    if not splits["train"] and splits["test"]:
        if not for_test:
            report(f"{source} has no train images: its test images are used for both")
        splits["train"] = splits["test"]


def _report_classes(classes: tuple[str, ...], layout: Layout, source: Path, report: Report) -> None:
    if len(classes) == 1:
        report(f"warning: {source} has one class only, {classes[0]}: nothing to tell apart")
    if all(map(str.isdecimal, classes)):
        by_number = enumerate(zip(classes, sorted(classes, key=int), strict=True))
        moved = next(((i, text) for i, (text, number) in by_number if text != number), None)
        if moved:
            report(f"{source}: the classes are in the order of text: output %d is class %s" % moved)
    spellings: dict[Any, list[str]] = {}
    for label in classes:
        spellings.setdefault(spelled(label), []).append(label)
    # a and A are two letters
    alike = [x for x in spellings.values() if len(x) > 1 and len("".join(x)) > len(x)]
    if alike:
        names = first_few(" and ".join(map(repr, labels)) for labels in alike)
        report(f"warning: {source}: classes that may be one in several spellings: {names}")
    empty = layout.folders - set(classes)
    if empty:
        report(f"{source}: {first_few(empty)}: no images, and therefore no class")
    for split, part in layout.splits.items():
        missing = set(classes) - {label for label, _ in part}
        if part and missing:
            report(f"{source}: {first_few(missing)}: no {split} images")


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
