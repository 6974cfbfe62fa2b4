"""`from_onnx`: a network of our layers from an ONNX file."""

from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..kernels.types import Shape
from ..layers import Graph, Softmax
from .importer import DAMAGE, Importer
from .operators import arithmetic, dense, maps, norm, pointwise, reduce, resize, select, shape
from .properties import classes_in, preprocess_in
from .read import File, read

# imported so that they register themselves
OPERATORS = (arithmetic, dense, maps, norm, pointwise, reduce, resize, select, shape)


def from_onnx(
    path: str | PathLike[str],
    *,
    input_shape: Shape | None = None,
    output: str | None = None,
    keep_softmax: bool = False,
) -> Graph:
    """The network in an ONNX file, with its weights, in evaluation mode.

    It is a `Graph` of minicnn's layers: it can be trained, explored, profiled and saved, and its
    file then holds all of it. Its maps are (N, H, W, C), as all of minicnn's; its numbers are those
    of the file.

    input_shape: (H, W, C), if the file leaves the size of the images open.
    output: the name of the output, if the file has several.
    keep_softmax: a softmax at the end stays. It is left out otherwise, because the losses of
        `minicnn.training` and `minicnn.predict` take scores.
    Raises CheckpointError for a file that is damaged, or that has a part that is not known: the
    message names the operator, the node and the attribute. Raises ImportError without the package
    `onnx`.
    """
    path = Path(path)
    try:
        file = read(path, output)
        size = _size(file, input_shape)
        graph = Importer(file, size, keep_softmax).run()
        if not keep_softmax:
            graph = _without_softmax(graph)
        graph.name = path.name
        graph.input_shape = (size[1], size[2], size[0]) if len(size) == 3 else ()
        if file.transposes_input and len(size) == 3:
            graph.input_shape = size
        graph.output_shape((1, *(graph.input_shape or size)))
        graph.classes = classes_in(file.properties)
        graph.preprocess = preprocess_in(file.properties)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except DAMAGE as error:
        text = " ".join(str(error).split())
        raise CheckpointError(f"{path}: it is damaged: {text}") from None
    return graph.eval()


def _size(file: File, input_shape: Shape | None) -> Shape:
    """The shape of the file's input without the batch, its open sizes filled in."""
    if len(file.shape) != 3:
        if input_shape is not None or 0 in file.shape:
            raise CheckpointError(
                f"its input (N, ...) has the shape {file.shape} without N; expected images for an "
                "input_shape, and sizes that are not open for others"
            )
        return file.shape
    order = (0, 1, 2) if file.transposes_input else (1, 2, 0)  # of H, W, C
    known = tuple(file.shape[i] for i in order)
    text = "x".join(str(n) if n else "?" for n in known)
    given = tuple(input_shape or known)
    fits = len(given) == 3 and min(given) >= 0
    if not fits or any(k not in (0, g) for k, g in zip(known, given, strict=True)):
        size = "x".join(map(str, given))
        raise CheckpointError(f"input_shape={size}: the images of the file are {text}")
    if 0 in given:
        raise CheckpointError(
            f"it leaves sizes of its images open, {text}: give input_shape=(H, W, C), or --input"
        )
    return tuple(given[order.index(i)] for i in range(3))


def _without_softmax(graph: Graph) -> Graph:
    """The graph without a softmax at its end."""
    *before, last = graph._layers
    if not before or not isinstance(graph._layers[last], Softmax):
        return graph
    (source,) = graph.inputs[last]
    if source != before[-1]:
        return graph
    inputs = {name: graph.inputs[name] for name in before}
    layers: dict[str, Any] = {name: graph._layers[name] for name in before}
    return Graph(inputs=inputs, **layers)
