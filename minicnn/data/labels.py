"""Tables of labels beside images: a CSV file of `path,label`, and its relatives.

Kaggle's `trainLabels.csv` names images without their suffix, Tiny ImageNet's `val_annotations.txt`
has tabs and no heading: both are read.
"""

import csv
import io
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .files import Files
from .pixels import contents_of

SUFFIXES = {".csv", ".tsv"}
ANNOTATIONS = "annotations.txt"  # the end of such a table's name
PATH_HEADINGS = {"path", "file", "filename", "file_name", "image", "image_id", "img", "id", "name"}
LABEL_HEADINGS = {"label", "labels", "class", "class_name", "category", "target", "breed"}


def is_table(path: str) -> bool:
    """True for a file that may be a table of labels; a sample of a submission is none."""
    name = PurePosixPath(path).name.lower()
    if "submission" in name:
        return False
    return PurePosixPath(name).suffix in SUFFIXES or name.endswith(ANNOTATIONS)


def read(
    files: Files, source: Path, images: Iterable[str], report: Callable[[str], object] = print
) -> dict[str, str]:
    """The label of each image that a table names, `{path: label}`; `report` says which are used.

    A table of labels has a heading that names the column of the label, or two columns of which the
    first has names of files.
    Raises DataError for a row whose image is missing, or an image with two labels.
    """
    images, found = list(images), dict[str, str]()
    for table in (path for path in files if is_table(path) and not files[path].is_folder):
        where = f"{source}/{table}"
        rows = _rows(where, contents_of(where, files[table].read))
        known = _images_below(str(PurePosixPath(table).parent), images)
        labels = [(known.get(name), name, label) for name, label in rows]
        if labels and labels[0][0] is None:
            labels = labels[1:]  # a heading
        if not any(path for path, _, _ in labels):
            continue
        report(f"{where}: the labels of {len(labels)} images are from this table")
        for path, name, label in labels:
            if path is None:
                raise DataError(f"{where}: there is no image {name}, which it labels {label}")
            if found.setdefault(path, label) != label:
                raise DataError(f"{where}: {name} is labeled {label}, and elsewhere {found[path]}")
    return found


def _rows(where: str, contents: bytes) -> list[tuple[str, str]]:
    """The name and the label in each row of a table."""
    try:
        text = unicodedata.normalize("NFC", contents.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise DataError(f"{where}: it is not text in UTF-8") from None
    first_line = text.partition("\n")[0]
    delimiter = max("\t,;", key=first_line.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    if not rows or len(rows[0]) < 2:
        return []
    heading = [cell.strip().lower() for cell in rows[0]]
    name = next((i for i, cell in enumerate(heading) if cell in PATH_HEADINGS), 0)
    named = [i for i, cell in enumerate(heading) if cell in LABEL_HEADINGS and i != name]
    if not named:
        # Without a heading only file names tell that this is a table of labels, and no log.
        is_list = len(heading) == 2 or where.endswith(ANNOTATIONS)
        if not is_list or not PurePosixPath(rows[-1][name].strip()).suffix:
            return []
        named = [1 - name if len(heading) == 2 else 1]
    label = named[0]
    return [(row[name].strip(), row[label].strip()) for row in rows if len(row) > max(name, label)]


def _images_below(folder: str, images: list[str]) -> dict[str, str]:
    """The images below a table's folder by every name that a row may use for one of them.

    These are the path from the table's folder, and the file's name where only one image has it;
    each with and without the suffix.
    """
    below = [i for i in images if folder == "." or i.startswith(f"{folder}/")]
    names: dict[str, set[str]] = {}
    for image in below:
        path = PurePosixPath(image if folder == "." else image.removeprefix(f"{folder}/"))
        for name in {path, PurePosixPath(path.name)}:
            for spelling in {str(name), str(name.with_suffix(""))}:
                names.setdefault(spelling, set()).add(image)
    return {name: found.pop() for name, found in names.items() if len(found) == 1}
