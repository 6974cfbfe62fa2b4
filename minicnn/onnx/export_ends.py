"""The two ends of an exported graph: layout and preprocessing before, probabilities after it."""

from typing import Any

import numpy as np

from ..data.mean_image import MeanImage
from ..data.transforms import Preprocess
from ..kernels.types import Shape
from ..layers import Layer
from ..training.losses import AuxiliaryLoss, BinaryCrossEntropy, MAPLoss, SoftmaxCrossEntropy
from ..training.metrics import loss_of, preprocess_of
from .export_graph import GraphWriter, Value

LAYOUTS = ("NCHW", "NHWC")
PIXELS = ("uint8", "float32")  # the types in which pixels can be given
FLOAT = 1  # of TensorProto


def check_preprocess(model: Layer, shape: Shape) -> Preprocess:
    """What the network's weights were trained with, for an input of (H, W, C).

    Raises ValueError if it is not known, or is a function of one's own.
    """
    found = preprocess_of(model)
    if not isinstance(found, Preprocess):
        own = "no preprocessing" if found is None else f"a preprocessing of your own, {found!r}"
        raise ValueError(
            f"with_preprocessing: the network has {own}; expected model.preprocess to be a "
            "data.Preprocess"
        )
    if isinstance(found.mean, str):
        raise ValueError(
            f"with_preprocessing: the mean {found.mean!r} is not computed yet; train the network, "
            "or set model.preprocess = preprocess.for_data(images)"
        )
    return found.for_input(shape)


def normalized(x: Value, preprocess: Preprocess, graph: GraphWriter) -> Value:
    """Pixels of 0 to 255 as `Preprocess` normalizes them: cropped, framed in black, y = a x - b."""
    if x.kind != "float32":
        x = graph.add("Cast", x, kind="float32", to=FLOAT)
    n, h, w, c = x.shape
    height, width = preprocess.size
    if h > height or w > width:  # the center, as Preprocess.cropped has it
        top, left = max(0, h - height) // 2, max(0, w - width) // 2
        h, w = min(h, height), min(w, width)
        ends = np.array([top, left]), np.array([top + h, left + w]), np.array([2, 3])
        x = graph.add("Slice", x, *ends, shape=(n, h, w, c))
    top, left = (height - h) // 2, (width - w) // 2
    if (h, w) != (height, width):
        below, right = height - h - top, width - w - left
        widths = np.array([0, 0, top, left, 0, 0, below, right])
        x = graph.add("Pad", x, widths, shape=(n, height, width, c))
    mean, std = preprocess.mean, np.asarray(preprocess.std, np.float64)
    if isinstance(mean, MeanImage):  # the frame is black, and has no mean
        mean = np.zeros((height, width, c)) + _framed(mean.center(h, w), top, left, height, width)
        shift: Any = (mean / std).transpose(2, 0, 1)
    else:
        shift = np.broadcast_to(np.asarray(mean) / std, c).reshape(c, 1, 1)
    factor = np.broadcast_to(1 / (255 * std), c).reshape(c, 1, 1)
    return graph.add("Sub", graph.add("Mul", x, factor), shift)


def _framed(mean: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    h, w, _ = mean.shape
    return np.pad(mean, ((top, height - h - top), (left, width - w - left), (0, 0)))


def probabilities(model: Layer, y: Value, graph: GraphWriter) -> Value:
    """What makes probabilities of the outputs, as the network's loss has it.

    Raises ValueError for a loss of one's own.
    """
    if len(y.shape) != 2:
        raise ValueError(f"softmax: the output has the shape {y.shape}; expected (N, classes)")
    if graph.nodes and graph.nodes[-1].operator in ("Softmax", "Sigmoid"):
        raise ValueError(f"softmax: the network ends with {graph.nodes[-1].operator} already")
    loss = loss_of(model)
    if _rule_of(loss) is AuxiliaryLoss.probabilities:
        loss = loss.loss  # type: ignore[attr-defined]
    own = _rule_of(loss)
    if own in (None, SoftmaxCrossEntropy.probabilities):
        return graph.add("Softmax", y, axis=1)
    if own is MAPLoss.probabilities:
        return graph.add("Softmax", graph.add("Neg", y), axis=1)
    if own is BinaryCrossEntropy.probabilities:
        return graph.add("Sigmoid", y)
    raise ValueError(
        f"softmax: how {type(loss).__name__}, a loss of your own, makes probabilities cannot be "
        "exported; leave it out"
    )


def _rule_of(loss: Any) -> Any:
    return getattr(type(loss), "probabilities", None)
