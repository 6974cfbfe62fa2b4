"""Tables of labels beside images: a CSV file of `path,label`, and its relatives.

Kaggle's `trainLabels.csv` names images without their suffix, Tiny ImageNet's `val_annotations.txt`
has tabs and no heading: both are read. A column `split`, or else the table's name, says which split
its images belong to.
"""

import codecs
import csv
import io
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable
from itertools import dropwhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..errors import DataError, brief
from .files import Files
from .pixels import contents_of
from .splits import SUFFIXES as SUFFIXES_OF_IMAGES
from .splits import split_of, split_of_table

TABLES = {".csv", ".tsv"}
ANNOTATIONS = "annotations.txt"  # the end of such a table's name
PATH_HEADINGS = {"path", "file", "filename", "file_name", "image", "image_id", "img", "id", "name"}
PATH_HEADINGS |= {"image_name", "image_path", "img_name", "img_path", "file_path", "filepath"}
PATH_HEADINGS |= {"filepaths", "images", "fname", "imageid"}
LABEL_HEADINGS = {"label", "labels", "class", "class_name", "category", "target", "breed"}
LABEL_HEADINGS |= {"class_id", "classname", "diagnosis", "level", "species", "tag"}
SPLIT_HEADINGS = {"split", "set", "subset", "partition", "dataset", "data set", "data_set"}
SAMPLE = 100  # rows by which the column of the names is found
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # spreadsheets write it as "Unicode text"
WINDOWS_PATH = re.compile(r"[A-Za-z]:/")


class Labels(NamedTuple):
    """What tables say of images.

    labels: `{path: label}`. unlabeled: the images beside these that get none. splits: those of the
    images of which a table says it.
    """

    labels: dict[str, str]
    unlabeled: set[str]
    splits: dict[str, str]


def is_table(path: str) -> bool:
    """True for a file that may be a table of labels; a sample of a submission is none."""
    name = PurePosixPath(path).name.lower()
    if "submission" in name:
        return False
    return PurePosixPath(name).suffix in TABLES or name.endswith(ANNOTATIONS)


def read(
    files: Files, source: Path, images: Iterable[str], report: Callable[[str], object] = print
) -> Labels:
    """What tables say of the images.

    `report` says which tables are used, and which are not though they name images.
    A table of labels has a heading that names the column of the label, or two columns of which the
    first has names of files.
    Raises DataError for a row whose image is missing, that has no label or too many cells, and for
    an image with two labels.
    """
    images, found, splits = list(images), dict[str, str](), dict[str, str]()
    for table in (path for path in files if is_table(path) and not files[path].is_folder):
        where = f"{source}/{table}"
        known = _Names(table, images)
        rows = _rows(where, contents_of(where, files[table].read), known)
        columns = _columns(rows, known, where, report)
        if columns is None:
            continue
        (name, label), heading = columns, rows[0]
        rows = [row for row in rows if len(row) > name]
        rows = rows if known.find(rows[0][name]) else rows[1:]  # without a heading
        report(f"{where}: the labels of {len(rows)} images are from this table")
        of_rows = _splits(table, heading, rows, where, report)
        for row, split in zip(rows, of_rows, strict=True):
            path, text = known.find(row[name]), row[label] if len(row) > label else ""
            if any(row[len(heading) :]):
                raise DataError(
                    f"{where}: the row of {row[name]} has {len(row)} cells, the first row "
                    f"{len(heading)}: put a label with the separator in it in quotes"
                )
            if path is None:
                raise DataError(f"{where}: there is no image {row[name]}, which it labels {text}")
            if not text:
                raise DataError(f"{where}: {row[name]} has no label")
            if found.setdefault(path, text) != text:
                raise DataError(f"{where}: {row[name]} is labeled {text}, elsewhere {found[path]}")
            if split and splits.setdefault(path, split) != split:
                raise DataError(f"{where}: {row[name]} is for {split}, elsewhere {splits[path]}")
    beside = {str(PurePosixPath(path).parent) for path in found}
    unlabeled = {
        path for path in images if str(PurePosixPath(path).parent) in beside and path not in found
    }
    return Labels(found, unlabeled, splits)


def _splits(
    table: str,
    heading: list[str],
    rows: list[list[str]],
    where: str,
    report: Callable[[str], object],
) -> list[str | None]:
    """The split of each row: by a column of splits, or else by the table's name."""
    column = next((i for i, cell in enumerate(heading) if cell.lower() in SPLIT_HEADINGS), None)
    if column is not None:
        named = [row[column] if len(row) > column else "" for row in rows]
        found = [split_of(name) for name in named]
        if all(found):
            return found
        other = next(name for name, split in zip(named, found, strict=True) if not split)
        report(f"{where}: its column {heading[column]} is not used: {brief(other)} is no split")
    return [split_of_table(PurePosixPath(table).stem)] * len(rows)


def _rows(where: str, contents: bytes, known: "_Names") -> list[list[str]]:
    """The cells of each row of a table that has two columns or more; else none.

    Comments, lines that begin with # before the table, are left out.
    """
    encoding = "utf-16" if contents[:2] in UTF_16 else "utf-8-sig"
    try:
        text = unicodedata.normalize("NFC", contents.decode(encoding))
    except UnicodeDecodeError:
        raise DataError(f"{where}: it is not text in UTF-8: save it as CSV UTF-8") from None
    lines = io.StringIO(text, newline=None).read().split("\n")  # also those of old Macs
    lines = [*dropwhile(lambda line: not line.strip() or _is_comment(line, known), lines), ""]
    delimiter = max("\t,;|", key=lines[0].count)
    try:
        table = io.StringIO("\n".join(lines))
        reader = csv.reader(table, delimiter=delimiter, skipinitialspace=True, strict=True)
        rows = [[cell.strip() for cell in row] for row in reader if "".join(row).strip()]
    except csv.Error as error:
        raise DataError(f"{where}: it is damaged, or no table: {error}") from None
    return rows if rows and len(rows[0]) > 1 else []


def _is_comment(line: str, known: "_Names") -> bool:
    """True for a line that begins with #, and is neither a heading nor the row of an image."""
    name, *others = (cell.strip().lower() for cell in re.split(r"[\t,;|]", line))
    is_heading = not LABEL_HEADINGS.isdisjoint(others)
    return name.startswith("#") and not is_heading and known.find(name) is None


def _columns(
    rows: list[list[str]], known: "_Names", where: str, report: Callable[[str], object]
) -> tuple[int, int] | None:
    """The columns of the names and of the labels; None for a table of something else."""
    if not rows:
        return None
    heading = [cell.lower() for cell in rows[0]]
    labels = [i for i, cell in enumerate(heading) if cell in LABEL_HEADINGS]
    names = [i for i, cell in enumerate(heading) if cell in PATH_HEADINGS]
    hits = [
        sum(len(row) > i and known.find(row[i]) is not None for row in rows[:SAMPLE])
        for i in range(len(heading))
    ]

    def is_file(column: int) -> bool:
        return len(rows[-1]) > column and bool(PurePosixPath(rows[-1][column]).suffix)

    name = max(
        (i for i in range(len(heading)) if i not in labels[:1]),
        key=lambda i: (hits[i], i in names, is_file(i), -i),
    )
    if not hits[name]:
        if labels and names:
            report(f"{where}: it is not used: none of the images that it names is there")
        return None
    if labels:
        return name, labels[0]
    # Without a heading only file names show that this is a table of labels, and no log.
    is_list = len(heading) == 2 or where.endswith(ANNOTATIONS)
    if is_list and is_file(name):
        return name, 1 - name if len(heading) == 2 else 1
    if name in names or is_file(name):
        headings = ", ".join(sorted(LABEL_HEADINGS))
        report(f"{where}: it is not used: none of its columns has labels ({headings})")
    return None


class _Names:
    """The images by every name that a row of a table may use for one of them.

    These are the path from the table's folder, and the file's name where only one image has it;
    each with and without the suffix. Of a table of training images, those in a folder of the
    training split come first: `train.csv` beside `train/` and `test/`, whose files have the same
    names.
    """

    def __init__(self, table: str, images: list[str]):
        self.folder = "" if "/" not in table else table.rpartition("/")[0] + "/"
        below = [i.removeprefix(self.folder) for i in images if i.startswith(self.folder)]
        split = split_of_table(PurePosixPath(table).stem)
        its_own = [i for i in below if split and split in map(split_of, i.split("/")[:-1])]
        self.paths, self.images = set(below), set(images)
        self.names = _unique(below) | _unique(its_own)

    def find(self, name: str) -> str | None:
        """The image that a row calls `name`; None if there is none."""
        name = posixpath.normpath(name.replace("\\", "/"))
        if name.startswith(".."):  # from the table's folder upwards
            path = posixpath.normpath(self.folder + name)
            return path if path in self.images else None
        stem, _, suffix = name.rpartition(".")
        for spelling in (name, stem if "." + suffix.lower() in SUFFIXES_OF_IMAGES else ""):
            if spelling in self.names:
                return self.folder + self.names[spelling]
        if name.startswith("/") or WINDOWS_PATH.match(name):  # on the machine where it was made
            parts = name.split("/")
            tails = ("/".join(parts[i:]) for i in range(1, len(parts)))
            return next((self.folder + tail for tail in tails if tail in self.paths), None)
        return None


def _unique(paths: list[str]) -> dict[str, str]:
    """Each name that only one of the paths has, with that path."""
    names: dict[str, set[str]] = {}
    for path in paths:
        for name in {path, path.rpartition("/")[2]}:
            for spelling in {name, name.rpartition(".")[0] or name}:
                names.setdefault(spelling, set()).add(path)
    return {name: found.pop() for name, found in names.items() if len(found) == 1}
