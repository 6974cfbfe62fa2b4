"""A static page of one network and a few images: it works from a web host or from a folder.

Browsers read no files beside a page that was opened from a folder, but they run its scripts.
Therefore the numbers are in scripts, one per image and layer, that the page loads when it needs
them: packed with gzip and written in base64.
"""

import base64
import gzip
import math
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ...files import replacing
from ..explain import Explanation, explain
from ..trace import Record, is_activation
from .arrays import has_maps, map_size, maps_of
from .gallery import png
from .pages import Page, page, to_json
from .session import Session

MOST_NUMBERS = 16_384  # of an array; of a larger one the first maps, at least LEAST_MAPS
LEAST_MAPS = 4
MOST_CELLS = 64  # of an array that are explained
MOST_TERMS = 100  # of an explanation
MARK = "static/exported.js"  # a folder that has it is one of an earlier export
FOLLOWED = 2  # the terms, the largest ones, whose numbers are explained, too

Cell = tuple[str, str, tuple[int, ...]]  # a layer, an array and a place


def export(
    session: Session,
    folder: str | Path,
    images: Iterable[tuple[str, int]],
    report: Callable[[str], object] = lambda text: None,
) -> Path:
    """Write the page of a session's network into a folder; returns its index.html.

    folder: a new or empty one, or one of an earlier export, which is written again.
    images: `(split, index)` of the data set's images; without any, the image in view.
    Raises DataError for a folder that has other files or cannot be written, or an image that does
    not exist.
    """
    folder = Path(folder)
    states: list[dict[str, Any]] = []
    chosen: list[tuple[str, int] | None] = [*images] or [None]
    try:
        if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
            raise DataError(
                f"{folder}: expected a new or empty folder, or one of an earlier export"
            )
        (folder / "static").mkdir(parents=True, exist_ok=True)
        (folder / "data").mkdir(exist_ok=True)
        source = resources.files("minicnn.study.explore") / "static"
        for file in source.iterdir():
            if file.name != "index.html":
                (folder / "static" / file.name).write_bytes(file.read_bytes())
        for number, place in enumerate(chosen):
            if place is not None:
                session.choose(*place)
            report(f"image {number + 1} of {len(chosen)}: {session.picture.text}")
            states.append(_write_image(session, folder, number))
        _write(folder / "data" / "states.js", f"window.minicnnStates = {to_json(states)};\n")
        html = (source / "index.html").read_text(encoding="utf-8")
        scripts = (
            '<script defer src="data/states.js"></script>\n<script defer src="static/exported.js">'
        )
        first = '<script defer src="static/numbers.js">'
        _write(folder / "index.html", html.replace(first, f"{scripts}</script>\n{first}"))
    except OSError as error:
        raise DataError(f"{folder}: the page cannot be written: {error.strerror}") from None
    return folder / "index.html"


def _write_image(session: Session, folder: Path, number: int) -> dict[str, Any]:
    """Write the scripts of one image. Returns the state, and which cells are explained."""
    with session.lock:
        state = session.state()
        (folder / "data" / f"{number}.png").write_bytes(png(session.picture.pixels))
        found = _Explained(session)
        found.explain_all()
        seen: dict[tuple[Any, ...], list[str]] = {}
        for place, layer in enumerate(state["layers"]):
            path = layer["path"]
            arrays = {
                what: _packed_array(session.array(path, what), path, what, seen)
                for what in [*layer["arrays"], *(f"value.{name}" for name in layer["parameters"])]
            }
            content = {"arrays": arrays, "explanations": _pack(to_json(found.pages[path]))}
            text = f"window.minicnnLoaded({number}, {place}, {to_json(content)});\n"
            _write(folder / "data" / f"{number}-{place}.js", text)
        cells = {path: _places(pages) for path, pages in found.pages.items()}
        return {**state, "explained": cells, "origins": found.origins}


def _places(pages: dict[str, Any]) -> dict[str, list[str]]:
    """`{"y|0,1,2,3": ...}` -> `{"y": ["0,1,2,3"]}`."""
    found: dict[str, list[str]] = {}
    for key in pages:
        what, _, place = key.partition("|")
        found.setdefault(what, []).append(place)
    return found


class _Explained:
    """The explanations of some cells of every array, and of the largest terms of these.

    pages: by layer, then by "array|place". origins: by layer, the array that its x or dy is, such
    as `{"conv2": {"x": ["pool1", "y"]}}`.
    """

    def __init__(self, session: Session):
        self.trace = session.trace
        self.records = {r.path: r for r in self.trace.records}
        layers = session.state()["layers"]
        self.pages: dict[str, dict[str, Any]] = {layer["path"]: {} for layer in layers}
        self.arrays = {layer["path"]: list(layer["arrays"]) for layer in layers}
        self.origins: dict[str, dict[str, list[str]]] = {path: {} for path in self.pages}
        self.counts: dict[tuple[str, str], int] = {}

    def explain_all(self) -> None:
        """Explain the chosen cells of all arrays, and go on to their largest terms."""
        for path, arrays in self.arrays.items():
            for what in ("x", "dy"):
                if what in arrays and path:
                    self._find_origin(path, what)
        waiting: list[Cell] = []
        for path, arrays in self.arrays.items():
            for what in arrays:
                if what not in self.origins[path]:
                    waiting += self._chosen(self.records[path], what)
        while waiting:
            waiting += self._explain(*waiting.pop(0))

    def _find_origin(self, path: str, what: str) -> None:
        array = self.records[path].arrays()[what]
        found = explain(self.trace, path, what, (0,) * array.ndim)
        targets = _targets(found, list(self.pages))
        if found.kind == "paths" and len(found.terms) == 1 and targets:
            target, name, place = targets[0]
            if place == (0,) * array.ndim and name in self.arrays[target]:
                self.origins[path][what] = [target, name]

    def _chosen(self, record: Record, what: str) -> list[Cell]:
        """The largest element of each of the first maps, and nine cells of the first."""
        array = record.arrays()[what]
        if array.ndim == 0:
            return [(record.path, what, ())]
        if array.ndim != 4 or not is_activation(what):
            order = np.argsort(-np.abs(array).ravel(), kind="stable")[: MOST_CELLS // 4]
            places = [np.unravel_index(i, array.shape) for i in order]
        else:
            maps = range(min(array.shape[3], MOST_CELLS // 2))
            peaks = [np.abs(array[0, :, :, c]).argmax() for c in maps]
            size = array.shape[1:3]
            places = [(0, *np.unravel_index(p, size), c) for p, c in zip(peaks, maps, strict=True)]
            steps = [sorted({n // 6, n // 2, n - 1 - n // 6}) for n in size]
            places += [(0, r, c, 0) for r in steps[0] for c in steps[1]]
        return [(record.path, what, tuple(int(i) for i in place)) for place in places]

    def _explain(self, path: str, what: str, place: tuple[int, ...]) -> list[Cell]:
        """Explain one cell. Returns the cells of its largest terms."""
        key = f"{what}|{','.join(map(str, place))}"
        if key in self.pages[path] or self.counts.get((path, what), 0) >= MOST_CELLS:
            return []
        self.counts[path, what] = self.counts.get((path, what), 0) + 1
        found = explain(self.trace, path, what, place)
        self.pages[path][key] = page(found, Page(limit=MOST_TERMS))
        largest = Explanation.largest(found, FOLLOWED)
        return [self._origin(cell) for cell in _targets(found, list(self.pages), largest)]

    def _origin(self, cell: Cell) -> Cell:
        path, what, place = cell
        while what in self.origins[path]:
            path, what = self.origins[path][what]
        return path, what, place


def _targets(found: Explanation, paths: list[str], terms: Any = None) -> list[Cell]:
    """The numbers that the terms are made of, as the page goes on to them."""
    cells = []
    for term in found.terms if terms is None else terms:
        for factor in term.factors:
            if factor.index is None or factor.name not in ("x", "y", "dx", "dy"):
                continue
            path = found.path
            if found.kind == "paths":
                named = term.label.split(f".{factor.name}[")[0]
                path = "" if named == "network" else named
            if path in paths and (path, factor.name, factor.index) != (
                found.path,
                found.what,
                found.index,
            ):
                cells.append((path, factor.name, factor.index))
    return cells


def _packed_array(
    array: np.ndarray, path: str, what: str, seen: dict[tuple[Any, ...], list[str]]
) -> dict[str, Any]:
    """An array, or the name of one with the same numbers that was packed before."""
    key = (array.shape, array.dtype.str, hash(array.tobytes()))
    if key in seen:
        return {"same": seen[key]}
    seen[key] = [path, what]
    size = math.prod(map_size(array, what)) if has_maps(array, what) else 1
    maps, about = maps_of(array, what, 0, max(LEAST_MAPS, MOST_NUMBERS // size))
    if not has_maps(array, what) and array.size > 16 * MOST_NUMBERS:
        return {**about, "sent": [0], "data": ""}
    return {**about, "sent": list(maps.shape), "data": _pack(np.ascontiguousarray(maps, "<f4"))}


def _pack(data: Any) -> str:
    plain = data.encode() if isinstance(data, str) else data.tobytes()
    return base64.b64encode(gzip.compress(plain, 6, mtime=0)).decode()


def _write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())
