"""`predict`: the classes that a trained network gives images, from files or arrays."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from . import weights
from .captured import captured
from .checks import checked_whole
from .data.dataset import check_unmasked
from .data.files import listing
from .data.layout import is_image
from .data.pixels import read_file
from .data.transforms import Preprocess
from .device import model_device, to_host, to_input
from .errors import DataError, ShapeError
from .layers import Layer, metadata
from .training import metrics
from .training.losses import probabilities_of

AnyPath = str | PathLike[str]
Item = tuple[str | None, np.ndarray, bool]  # as `_pixels` yields it


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image.

    path: its file; None for an image that was given as an array.
    top: `(class, probability)` of the most probable classes, the first one first.
    inverted: True if dark on light was turned into light on dark.
    """

    path: str | None
    top: tuple[tuple[str, float], ...]
    inverted: bool = False

    @property
    def class_name(self) -> str:
        """The most probable class."""
        return self.top[0][0]

    @property
    def probability(self) -> float:
        """That of the most probable class."""
        return self.top[0][1]

    def to_dict(self) -> dict[str, Any]:
        """The prediction as JSON has it."""
        top = [{"class": name, "probability": round(p, 6)} for name, p in self.top]
        return {"path": self.path, **top[0], "top": top, "inverted": self.inverted}


def predict(
    model: Layer | AnyPath,
    images: Any,
    *,
    top: int = 5,
    invert: bool | None = None,
    batch_size: int = 64,
    report: Callable[[DataError], object] | None = None,
) -> list[Prediction]:
    """The most probable classes of images, in their order.

    model: a network, or the path of its checkpoint.
    images: files, folders of them or patterns (one, or a list), or an array of pixels `(H, W, C)`
        or `(N, H, W, C)`: uint8, or floats that are normalized already. Also what NumPy makes an
        array of, such as an image of Pillow.
    top: how many classes each Prediction has.
    invert: turn dark on light into light on dark; None decides by the border, for networks whose
        training images are light on dark.
    report: called for each file that cannot be read, which is then left out; without it the
        DataError is raised.
    Raises DataError also for a folder without images, a pattern that no file matches, a network
    without a recipe that says how to preprocess files, and outputs that are not finite; ShapeError
    for arrays that do not fit, and a network that does not end with classes.
    """
    for name, value in (("top", top), ("batch_size", batch_size)):
        checked_whole(name, value)
    network = model if isinstance(model, Layer) else weights.load(model)
    loss, device = metrics.loss_of(network), model_device(network)
    found: list[Prediction] = []
    batch: list[Item] = []
    with metrics.evaluating(network) as fused:
        run = captured(lambda x: probabilities_of(loss, fused(to_input(x, device))), device)
        for item in _pixels(network, images, invert, report):
            batch.append(item)
            if len(batch) == batch_size:
                found += _predictions(network, run, batch, top, len(found))
                batch = []
        return found + _predictions(network, run, batch, top, len(found))


def image_files(paths: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """The files: those in a folder, and those that a pattern means where the shell leaves it.

    Raises DataError for a folder without images or a pattern that no file matches, and for what is
    no path.
    """
    is_one = isinstance(paths, (str, PathLike, bytes)) or not isinstance(paths, Iterable)
    given: list[Any] = [paths] if is_one else list(paths)  # type: ignore[arg-type]
    others = [type(path).__name__ for path in given if not isinstance(path, (str, PathLike))]
    if others:
        raise DataError(
            f"images: expected files, folders, or one array (N, H, W, C), not {others[0]}; "
            "np.stack makes one array of several"
        )
    files: list[Path] = []
    for path in map(Path, given):
        if path.is_dir():
            found = [path / name for name in listing(path) if is_image(name)]
        elif path.exists() or not has_magic(str(path)):
            found = [path]
        else:
            found = [Path(name) for name in sorted(glob(str(path), recursive=True))]
        if not found:
            raise DataError(f"{path}: there is no image file")
        files += found
    return files


def network_inputs(
    network: Layer, paths: AnyPath | Iterable[AnyPath], invert: bool | None = None
) -> np.ndarray:
    """Image files as that network reads them, `(N, H, W, C)`, float32.

    Raises DataError for a file that cannot be read, and for a network without a recipe.
    """
    found = [pixels for _, pixels, _ in _pixels(network, paths, invert, None)]
    return _normalized(network, np.stack(found))


def write_csv(predictions: Iterable[Prediction], file: TextIO) -> None:
    """A heading, and one line per image: path, class, probability, the next ones, inverted."""
    rows = list(predictions)
    count = max((len(row.top) for row in rows), default=1)
    further = [f"{what}_{i}" for i in range(2, count + 1) for what in ("class", "probability")]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["path", "class", "probability", *further, "inverted"])
    for row in rows:
        cells = [cell for name, p in row.top for cell in (name, f"{p:.6f}")]
        cells += [""] * (2 * count - len(cells))
        writer.writerow([row.path, *cells, str(row.inverted).lower()])


def write_json(predictions: Iterable[Prediction], file: TextIO) -> None:
    """A list of objects with path, class, probability, top and inverted."""
    json.dump([row.to_dict() for row in predictions], file, indent=1, ensure_ascii=False)
    file.write("\n")


def _pixels(
    network: Layer,
    images: Any,
    invert: bool | None,
    report: Callable[[DataError], object] | None,
) -> Iterator[Item]:
    """The path, the pixels `(H, W, C)`, and whether they were inverted, of each image."""
    if not hasattr(images, "ndim") and hasattr(images, "__array_interface__"):
        images = np.asarray(images)
    if hasattr(images, "ndim"):
        if images.ndim not in (3, 4):
            raise ShapeError(
                f"the images are an array {images.shape}; expected (H, W, C) or (N, H, W, C); gray "
                "images get a channel by image[..., None]"
            )
        check_unmasked("predict", "images", images)
        yield from (
            (None, image, False) for image in (images[None] if images.ndim == 3 else images)
        )
        return
    files, preprocess = image_files(images), needed_preprocess(network)
    for path in files:
        try:
            yield str(path), *preprocess.decode.decoded(str(path), read_file(path), invert)
        except DataError as error:
            if report is None:
                raise
            report(error)


def needed_preprocess(network: Layer) -> Preprocess:
    """From pixels to input. Raises DataError that names the remedies if nothing says how."""
    found = metrics.preprocess_of(network)
    if not isinstance(found, Preprocess):
        name = metadata(network).name or type(network).__name__
        raise DataError(
            f"{name}: the network has no recipe that says how pixels become its input; `minicnn "
            "convert --mean` writes it into a file, and network.preprocess = data.Preprocess(...) "
            "sets it"
        )
    return found


def _normalized(network: Layer, pixels: np.ndarray) -> np.ndarray:
    preprocess = metrics.preprocess_of(network)
    return preprocess(pixels) if preprocess else pixels


def _predictions(
    network: Layer, run: Callable[[np.ndarray], Any], batch: list[Item], top: int, first: int
) -> list[Prediction]:
    """The predictions for a batch, whose first image has the number `first`.

    `run` computes the probabilities. Raises DataError for one that is not finite, ShapeError for
    outputs of another shape than `(N, classes)`.
    """
    if not batch:
        return []
    x = _normalized(network, np.stack([pixels for _, pixels, _ in batch]))
    probabilities = to_host(run(x)).astype(np.float32)
    if probabilities.ndim != 2:
        raise ShapeError(
            f"the network's outputs have the shape {probabilities.shape}; expected (N, classes)"
        )
    finite = np.isfinite(probabilities).all(axis=1)
    if not finite.all():
        i = int(finite.argmin())
        raise DataError(
            f"{batch[i][0] or f'image {first + i}'}: the network's outputs are not finite; "
            "expected finite pixels, and weights for these"
        )
    names = metrics.classes_of(network) or tuple(map(str, range(probabilities.shape[1])))
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        Prediction(path, tuple((names[i], float(row[i])) for i in ranked), inverted)
        for (path, _, inverted), row, ranked in zip(batch, probabilities, order, strict=True)
    ]
