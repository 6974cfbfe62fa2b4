"""What a map is about: images, the score of a class, or a unit inside the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data import synsets
from ...device import array_device, model_device, to_device, to_host, to_input
from ...errors import ShapeError, brief
from ...kernels.types import Array
from ...layers import Layer, no_grad
from ...layers.checks import check_floats
from ...text import hint
from ...training.losses import probabilities_of
from ...training.metrics import classes_of, loss_of
from .rewriting import rewritten

Class = str | int | Sequence[str | int] | np.ndarray | None
Unit = int | tuple[int, int, int]


def as_batch(model: Layer, x: Any) -> Array:
    """One image `(H, W, C)` or a batch as the batch `(N, H, W, C)` that the network takes.

    Raises ShapeError for arrays of another shape or type.
    """
    check_floats(model, x)
    if x.ndim not in (3, 4):
        raise ShapeError(
            f"x has the shape {x.shape}; expected a preprocessed image (H, W, C) or a batch "
            "(N, H, W, C)"
        )
    x = x[None] if x.ndim == 3 else x
    model.output_shape(x.shape)
    dtype = next((p.value.dtype for p in model.parameters()), x.dtype)
    return to_input(x if x.dtype == dtype else x.astype(dtype), model_device(model))


def unbatched(result: np.ndarray, x: Any) -> np.ndarray:
    """The result without the axis of the batch if `x` was one image."""
    return result[0] if x.ndim == 3 else result


def probabilities(model: Layer, outputs: Any) -> np.ndarray:
    """The probabilities `(N, classes)` for what the network returned.

    Raises ShapeError if these are no scores of classes, ValueError if they are not finite.
    """
    if getattr(outputs, "ndim", 0) != 2:
        found = getattr(outputs, "shape", type(outputs).__name__)
        raise ShapeError(f"the network returned {found}; expected scores (N, classes)")
    with np.errstate(invalid="ignore"):
        found = to_host(probabilities_of(loss_of(model), outputs)).astype(np.float32)
    if not np.isfinite(found).all():
        image = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise ValueError(f"the network returns NaN or infinity for image {image}")
    return found


def score_sign(model: Layer, outputs: Array) -> int:
    """1 if a larger output is a more probable class; -1 for distances, such as LeNet-5's of 1998.

    The score of a class is this sign times the network's output, before any softmax.
    """
    trial = np.zeros((1, outputs.shape[1]), np.float32)
    trial[0, 0] = 1
    trial = to_device(trial, array_device(outputs))
    found = to_host(probabilities_of(loss_of(model), trial))[0]
    return -1 if len(found) > 1 and found[0] < found[1] else 1


def class_indices(model: Layer, class_: Class, likely: np.ndarray) -> np.ndarray:
    """The class of each image, `(N,)`: the given one or ones, or the most probable if None.

    likely: the probabilities `(N, classes)`.
    Raises ValueError for a class that the network does not have.
    """
    n, count = likely.shape
    if class_ is None:
        return likely.argmax(axis=1)
    if isinstance(class_, (str, int)) or np.ndim(class_) == 0:
        return np.full(n, class_index(model, class_, count))
    found = [class_index(model, one, count) for one in class_]
    if len(found) != n:
        raise ValueError(f"class_ names {len(found)} classes for {n} images")
    return np.array(found)


def class_index(model: Layer, class_: Any, count: int) -> int:
    """The position of a class, given by its name or its position. Raises ValueError."""
    names = classes_of(model)
    if isinstance(class_, str):
        (name,) = synsets.readable([class_])
        if name in names:
            return names.index(name)
        if not class_.removeprefix("-").isdecimal():
            numbers = f"expected {'a name or ' if names else ''}0 to {count - 1}"
            raise ValueError(
                f"the network has no class {brief(class_)}; {hint(class_, names, numbers)}"
            )
    index = int(class_) if isinstance(class_, (str, int, np.integer)) else -1
    if not 0 <= index < count:
        raise ValueError(f"the network has no class {class_}; expected 0 to {count - 1}")
    return index


def class_name(model: Layer, index: int) -> str:
    """The name of a class, or its number if the network's classes have no names."""
    names = classes_of(model)
    return names[index] if index < len(names) else str(index)


@dataclass(frozen=True)
class Scored:
    """A class of an image: its name, its score and its probability.

    index: the position of the class in the network's outputs.
    """

    index: int
    name: str
    score: float
    probability: float


def scored(model: Layer, x: Any, class_: Class = None) -> list[Scored]:
    """The score of a class for each image; of the most probable class by default.

    x, class_: as in `saliency`. The score is the output of the network before the softmax; of a
    network of distances, the negative distance.
    """
    batch = as_batch(model, x)
    with no_grad():
        outputs = rewritten(model)(batch)
    likely = probabilities(model, outputs)
    scores = score_sign(model, outputs) * to_host(outputs)
    chosen = enumerate(class_indices(model, class_, likely))
    return [
        Scored(int(k), class_name(model, int(k)), float(scores[i, k]), float(likely[i, k]))
        for i, k in chosen
    ]


def unit_places(name: str, y: np.ndarray, unit: Unit) -> list[tuple[int, ...]]:
    """Where the unit is in each image: an index into y without the batch.

    y: the layer's output, `(N, h, w, K)` or `(N, K)`. unit: `k`, the strongest place of map k, the
    first one of equals; or `(row, column, k)`, a place of its own.
    Raises ValueError for a unit that the layer does not have.
    """
    if y.ndim not in (2, 4):
        raise ShapeError(f"{name} returns the shape {y.shape}; expected (N, h, w, K) or (N, K)")
    shape = y.shape[1:]
    if isinstance(unit, (int, np.integer)):
        if not 0 <= unit < shape[-1]:
            raise ValueError(f"unit={unit}: {name} has the units 0 to {shape[-1] - 1}")
        flat = y[..., unit].reshape(len(y), -1).argmax(axis=1)
        return [(*(int(i) for i in np.unravel_index(i, shape[:-1])), int(unit)) for i in flat]
    place = tuple(unit) if isinstance(unit, (tuple, list)) else (unit,)
    if len(place) != len(shape) or not all(
        isinstance(i, (int, np.integer)) and 0 <= i < n for i, n in zip(place, shape, strict=True)
    ):
        raise ValueError(
            f"unit={brief(unit)}: {name} has the shape {shape}; expected indices into it"
        )
    return [place] * len(y)
