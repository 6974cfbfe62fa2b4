"""Which class and split each image of a folder or archive belongs to, by the names of its files."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import DataError, brief
from . import labels as tables
from .files import Files, is_archive
from .splits import SPLITS, SUFFIXES, split_of, splits_in

UNREAD = {".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".tga", ".dng", ".cr2", ".nef"}
UNREAD |= {".dcm", ".nii", ".npy", ".npz", ".exr", ".hdr", ".mp4"}
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


def find_layout(files: Files, source: Path, report: Report = print) -> Layout:
    """Which class and split each image belongs to. Raises DataError if that cannot be told."""
    images = [path for path in files if is_image(path) and not files[path].is_folder]
    _report_unread(files, source, report)
    labels, unlabeled, splits = tables.read(files, source, images, report)
    if unlabeled:
        report(
            f"{source}: {len(unlabeled)} images beside labeled ones are left out: no table has "
            f"their label, such as that of {min(unlabeled)}"
        )
        files = {path: file for path, file in files.items() if path not in unlabeled}
        images = [path for path in images if path not in unlabeled]
    root = _root_of_splits(files, images, source, report)
    if root is None:
        layout = _without_splits(files, images, labels, splits, source, report)
    else:
        layout = _with_splits(files, labels, splits, root, source, report)
    _check_spelling(layout.splits, source)
    layout.folders -= {part for path in labels for part in PurePosixPath(path).parts[:-1]}
    _check_classes(layout, labels, source, report)
    return layout


def _check_classes(layout: Layout, labels: dict[str, str], source: Path, report: Report) -> None:
    """Raise DataError for class folders that are all called like splits, which they may be."""
    inside: dict[str, set[str]] = {}  # the folders within each class folder
    for label, path in (image for part in layout.splits.values() for image in part):
        if path not in labels:
            parts = PurePosixPath(path).parts[:-1]
            inside.setdefault(label, set()).update(parts[parts.index(label) + 1 :][:1])
    splits = [splits_in(label) for label in inside]
    if all(splits) and len(set().union(*splits)) > 1:
        raise DataError(
            f"{source}: the folders {first_few(inside)} would be classes, and are called like "
            "splits: give the folder that holds the splits, and call these train, val and test"
        )
    divided = [label for label, folders in inside.items() if len(folders) > 1]
    if divided:
        report(f"{source}: {first_few(divided)}: one class each, with all the folders inside")


def _report_unread(files: Files, source: Path, report: Report) -> None:
    """Say which files may be or hold images that are not read: of other types, or without one."""
    archives = [path for path in files if is_archive(path) and not files[path].is_folder]
    if archives:
        report(f"{source}: archives within it are left out: {first_few(archives)}")
    named = {path: PurePosixPath(path) for path in files if not files[path].is_folder}
    unread = Counter(name.suffix.lower() for name in named.values())
    for suffix in sorted(UNREAD & unread.keys()):
        report(f"{source}: {unread[suffix]} files of type {suffix} are left out: it is not read")
    typed = {name.parent for name in named.values() if name.suffix}
    bare = Counter(name.parent for name in named.values() if not name.suffix)
    for folder in sorted(bare.keys() - typed - {PurePosixPath(".")}):
        report(
            f"{source}: {bare[folder]} files in {folder} are left out: their names do not end with "
            "a type, such as .jpg"
        )


def _root_of_splits(
    files: Files, images: list[str], source: Path, report: Report
) -> tuple[str, ...] | None:
    """The folder that holds `train` and the like, as the parts of its path; None without one."""
    roots: Counter[tuple[str, ...]] = Counter()
    for path in images:
        parts = PurePosixPath(path).parts[:-1]
        first = next((i for i, part in enumerate(parts) if split_of(part)), None)
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
    splits: dict[str, str],
    root: tuple[str, ...],
    source: Path,
    report: Report,
) -> Layout:
    layout, loose = Layout(), {name: list[str]() for name in SPLITS}
    sources = {name: set[str]() for name in SPLITS}
    outside, doubled = 0, _doubled(files, root)
    for path in files:
        parts = PurePosixPath(path).parts
        split = split_of(parts[len(root)]) if len(parts) > len(root) else None
        below = parts[len(root) + 1 + (parts[: len(root) + 1] in doubled) :]
        if parts[: len(root)] != root or split is None:
            outside += is_image(path) and not any(map(split_of, parts[:-1]))
            continue
        sources[split] |= {parts[len(root)]}
        if files[path].is_folder:
            is_class = split == "train" and len(below) == 1
            layout.folders |= {below[0]} if is_class else set()
        elif path in labels:
            layout.splits[splits.get(path, split)].append((labels[path], path))
        elif is_image(path) and len(below) > 1:
            layout.splits[split].append((below[0], path))
        elif is_image(path):
            loose[split].append(path)
    for split, names in sources.items():
        if len(names) > 1:
            report(f"{source}: the folders {first_few(names)} are all taken for {split} images")
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
                f"{first_few(found)} is no class of the training images"
            )
            layout.splits[split] = []
    return layout


def _check_spelling(splits: dict[str, Labeled], source: Path) -> None:
    """Raise DataError for a class that is in one split only, and in another by another spelling."""
    found = {split: {label for label, _ in part} for split, part in splits.items() if part}
    for split, labels in found.items():
        trained = found.get("train", set())
        twins = {spelled(label): label for label in trained - labels}
        for label in sorted(labels - trained):
            twin = twins.get(spelled(label))
            if twin is not None:
                raise DataError(
                    f"{source}: the class {brief(label)} of the {split} images is {brief(twin)} in "
                    "training: expected one spelling"
                )


def spelled(label: str) -> str | float:
    """The same for labels that differ in case, in spaces, or as 1, 01 and 1.0 do."""
    seen = "".join(c for c in label if unicodedata.category(c) != "Cf")  # such as zero-width spaces
    is_number = re.fullmatch(r"\s*[+-]?\d+(\.0*)?\s*", seen)
    return float(seen) if is_number else " ".join(seen.casefold().split())


def _doubled(files: Files, root: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The folders of splits in which everything lies in one folder of that split's name again."""
    inside: dict[tuple[str, ...], set[str]] = {}
    for path in files:
        parts = PurePosixPath(path).parts
        if parts[: len(root)] == root and len(parts) > len(root) + 1:
            inside.setdefault(parts[: len(root) + 1], set()).add(parts[len(root) + 1])
    return {
        split
        for split, names in inside.items()
        if len(names) == 1 and split_of(split[-1]) == split_of(next(iter(names))) is not None
    }


def _without_splits(
    files: Files,
    images: list[str],
    labels: dict[str, str],
    splits: dict[str, str],
    source: Path,
    report: Report,
) -> Layout:
    """Without folders of splits: what no table says is divided, see `divide`."""
    layout, by_class = Layout(), dict[str, list[str]]()
    depth, direct = _depth_of_classes(images), 0
    for path in files:
        parts = PurePosixPath(path).parts
        if files[path].is_folder:
            layout.folders |= {parts[depth]} if len(parts) == depth + 1 else set()
        elif path in splits:
            layout.splits[splits[path]].append((labels[path], path))
        elif path in labels:
            by_class.setdefault(labels[path], []).append(path)
        elif is_image(path) and len(parts) > depth + 1:
            by_class.setdefault(parts[depth], []).append(path)
        else:
            direct += is_image(path)
    if direct and by_class:
        report(f"{source}: {direct} images that lie in no class folder are left out")
    found = [(label, path) for label, paths in by_class.items() for path in paths]
    train, test = divide(found, source, report)
    layout.splits["train"] += train
    layout.splits["test"] += test
    return layout


def divide(images: Labeled, source: Path, report: Report) -> tuple[Labeled, Labeled]:
    """Training and test images: every fifth of a class is for testing; of fewer, all for both."""
    by_class = dict[str, list[str]]()
    for label, path in sorted(images):
        by_class.setdefault(label, []).append(path)
    train, test = Labeled(), Labeled()
    for label, paths in by_class.items():
        few = len(paths) < TEST_EVERY
        for i, path in enumerate(paths):
            held_out = i % TEST_EVERY == TEST_EVERY - 1
            train += [(label, path)] if few or not held_out else []
            test += [(label, path)] if few or held_out else []
    small = {label for label, paths in by_class.items() if len(paths) < TEST_EVERY}
    if small:
        report(f"{source}: {first_few(small)}: fewer than {TEST_EVERY} images, used in both sets")
    return train, test


def _depth_of_classes(images: list[str]) -> int:
    """How many folders lie above the class folders: those that hold one folder each."""
    depth = 0
    while True:
        above = {PurePosixPath(path).parts[: depth + 1] for path in images}
        inside = [PurePosixPath(path).parts for path in images]
        if len(above) != 1 or any(len(parts) < depth + 3 for parts in inside):
            return depth
        depth += 1


def first_few(names: Iterable[str], most: int = 5) -> str:
    """The first names in order, and the number of the others."""
    names = sorted(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
