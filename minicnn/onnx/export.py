"""`to_onnx`: a network as an ONNX file, which other programs run."""

from os import PathLike
from typing import Any

import numpy as np

from ..checks import is_one_of
from ..errors import CheckpointError, brief
from ..files import replacing
from ..kernels.types import Shape
from ..layers import Layer, metadata
from ..weights.checks import check_weights
from . import export_rules  # noqa: F401 - registers the rules
from .export_ends import LAYOUTS, PIXELS, check_preprocess, normalized, probabilities
from .export_graph import INPUT, OPSET, GraphWriter, Value
from .export_metadata import properties
from .export_proto import Ends, model_proto
from .package import onnx_package

OLDEST = 13  # where Softmax, Squeeze and ReduceSum got the form that they have since


def to_onnx(
    model: Layer,
    path: str | PathLike[str],
    *,
    input_shape: Shape | None = None,
    batch: int | None = None,
    input_layout: str = "NCHW",
    opset: int = OPSET,
    fold_batch_norm: bool = False,
    softmax: bool = False,
    with_preprocessing: str | None = None,
) -> Any:
    """Write the network in evaluation form as an ONNX file, and return its ModelProto.

    The input is called "input" and the output "output". Nodes are named after layers and weights
    as in `state_dict`. Parameters, multiply-accumulates, classes and preprocessing are in the
    file's `metadata_props`.

    input_shape: (H, W, C) of the images; by default the network's own.
    batch: the number of images; None leaves it open.
    input_layout: that of the input: "NCHW", or "NHWC", which adds one Transpose.
    opset: the version of ONNX's operators, 13 or later.
    fold_batch_norm: compute batch norms in the weights of the convolutions before them.
    softmax: also compute probabilities from the outputs.
    with_preprocessing: "uint8" or "float32": the input are pixels of that type, 0 to 255, of an
        image resized as `preprocess.decode` does; the graph crops, pads and normalizes them.
    Raises ValueError for wrong arguments or a layer without a rule, CheckpointError for weights
    that are not finite or a file that cannot be written, ImportError without the package onnx.
    """
    onnx = onnx_package()
    _check_arguments(onnx, path, batch, input_layout, opset, with_preprocessing)
    shape = tuple(input_shape or metadata(model).input_shape)
    if len(shape) != 3:
        raise ValueError(f"input_shape={shape}: expected the (H, W, C) of the images")
    state = model.state_dict()
    try:
        check_weights(state, dict.fromkeys(state, np.zeros(0, np.float32)))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: not written: {error}") from None
    graph = GraphWriter(opset, fold_batch_norm)
    preprocess = check_preprocess(model, shape) if with_preprocessing else None
    taken = preprocess.decode.shape if preprocess else shape
    kind, last = with_preprocessing or "float32", input_layout == "NHWC"
    x = Value(INPUT, (batch or 1, *taken), kind=kind, channels_last=last)
    y = graph.transposed(x, channels_last=False)
    if preprocess:
        y = normalized(y, preprocess, graph)
    y = graph.in_order(graph.call(model, y, ""))
    if softmax:
        y = probabilities(model, y, graph)
    y = graph.finish(y)
    ends = Ends(x, y, batch)
    proto = model_proto(onnx, graph, ends, properties(model, shape, bool(preprocess)))
    _write(proto, path)
    return proto


def _check_arguments(
    onnx: Any,
    path: str | PathLike[str],
    batch: int | None,
    layout: str,
    opset: int,
    pixels: str | None,
) -> None:
    if not str(path).lower().endswith(".onnx"):
        raise ValueError(f"{path}: expected a name that ends in .onnx")
    if batch is not None and (not isinstance(batch, int) or batch < 1):
        raise ValueError(f"batch={brief(batch)}: expected at least 1, or None for any number")
    if not is_one_of(layout, LAYOUTS):
        raise ValueError(f"input_layout={brief(layout)}: expected one of {', '.join(LAYOUTS)}")
    newest = onnx.defs.onnx_opset_version()
    if not isinstance(opset, int) or not OLDEST <= opset <= newest:
        raise ValueError(
            f"opset={brief(opset)}: expected {OLDEST} to {newest}, which this onnx has"
        )
    if pixels is not None and not is_one_of(pixels, PIXELS):
        raise ValueError(
            f"with_preprocessing={brief(pixels)}: expected None or one of {', '.join(PIXELS)}"
        )


def _write(proto: Any, path: str | PathLike[str]) -> None:
    try:
        with replacing(path) as file:
            file.write(proto.SerializeToString())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from None
