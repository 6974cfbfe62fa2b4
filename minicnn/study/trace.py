"""One forward and backward pass of a small batch, with every layer's arrays recorded."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import rng
from ..device import copy_into, model_device, to_device, to_host, to_input
from ..errors import brief
from ..kernels.dispatch import use
from ..kernels.types import Array
from ..layers import Layer, metadata, observe
from ..layers.parameter import Parameter
from ..layers.tree import join
from ..text import hint
from ..training.losses import AuxiliaryLoss, Loss, plain, probabilities_of
from ..training.metrics import loss_of

SHORT = {"weight": "w", "bias": "b"}  # the names of the formulas


@dataclass(eq=False)
class Record:
    """The arrays of one layer in the traced pass, on the host. They are copies.

    path: the layer's dotted name; "" for the whole network. kind: the name of its class.
    x, y: its input and output. dy, dx: the gradients of the loss with respect to y and x; None if
        backward did not compute them. Of a network with heads, those of the main output. Of a
        layer that joins, x and dx are tuples.
    parameters: "w", "b" and other names, with the values; buffers by their names.
    gradients: "w", "b" and other names, with the gradients that this pass gave.
    training: the layer's mode. saved: what its forward kept for backward, such as dropout's mask.
    children: the records of the layers directly inside, by their names. parent: that of the
        container.
    """

    path: str
    layer: Any
    kind: str
    x: Any
    y: Array
    dy: Array | None = None
    dx: Any = None
    parameters: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)
    training: bool = False
    saved: tuple[Any, ...] = ()
    children: dict[str, "Record"] = field(default_factory=dict, repr=False)
    parent: "Record | None" = field(default=None, repr=False)

    def arrays(self) -> dict[str, Array]:
        """What can be explained: "y", "dx", "x", "dy" and the gradients of the parameters.

        Of a layer that joins, "x1", "x2", ... and "dx1", "dx2", ...
        """
        own = {"y": self.y, **_numbered("dx", self.dx), **_numbered("x", self.x), "dy": self.dy}
        return {what: array for what, array in (own | self.gradients).items() if array is not None}


def _numbered(what: str, arrays: Any) -> dict[str, Any]:
    """The arrays of a tuple as "x1", "x2", ...; another array as "x"."""
    if not isinstance(arrays, tuple):
        return {what: arrays}
    return {f"{what}{i}": array for i, array in enumerate(arrays, 1)}


def number_of(what: str) -> int:
    """The place of an array in the tuple of a layer that joins: 1 for "x2" and "dx2"; else 0."""
    digits = what.lstrip("dx")
    return int(digits) - 1 if what.startswith(("x", "dx")) and digits.isdecimal() else 0


def is_activation(what: str) -> bool:
    """True for x, y and their gradients: for arrays of the batch, not of parameters."""
    name = what.removeprefix("d")
    return name == "y" or (name.startswith("x") and (name[1:].isdecimal() or name == "x"))


@dataclass(eq=False)
class LossRecord(Record):
    """The loss: x are the outputs of the network, y is the number, dx its gradient.

    output: the record of the layer whose y is x. labels: `(N,)` integers, or targets
        `(N, classes)`.
    factor: by which the gradient is multiplied: the weight of an auxiliary classifier's loss.
    """

    output: Record = field(kw_only=True, repr=False)
    labels: Array = field(kw_only=True)
    factor: float = field(default=1.0, kw_only=True)


class Trace:
    """The records of one pass. `trace["conv1"]` is that of the layer conv1.

    model: the network. records: in the order of the computation, a container after the layers
        inside of it, the loss at the end. loss_path: its path: "loss".
    labels: of the images, or None if the pass began with a gradient instead of a loss.
    """

    def __init__(self, model: Layer, records: list[Record], labels: Array | None):
        self.model, self.records, self.labels = model, records, labels
        self.loss_path = _loss_path(model)
        self._by_path = {record.path: record for record in records}
        for record in records:
            if isinstance(record.layer, Layer):
                paths = {name: join(record.path, name) for name, _ in record.layer.children()}
                found = {n: self._by_path[p] for n, p in paths.items() if p in self._by_path}
                record.children = found
                for child in found.values():
                    child.parent = record

    @property
    def paths(self) -> list[str]:
        """The paths of all records, in their order."""
        return list(self._by_path)

    def __contains__(self, path: str) -> bool:
        return path in self._by_path

    def __getitem__(self, path: str) -> Record:
        if path in self._by_path:
            return self._by_path[path]
        names = [name for name, _ in self.model.named_layers()]
        if path in names:
            raise ValueError(
                f"{path}: this layer was not called; an auxiliary classifier is called only in "
                "training: trace(..., training=True); a layer of your own calls a child as "
                "self.child(x), not self.child.forward(x)"
            )
        top = [name for name in self._by_path if name and "." not in name]
        meant = hint(path, self._by_path, f"it has {', '.join(top)}")
        raise ValueError(f"the network has no layer {brief(path)}; {meant}")


def trace(
    model: Layer,
    x: Array,
    labels: Any = None,
    dy: Any = None,
    *,
    backend: str | None = None,
    training: bool = False,
) -> Trace:
    """Run forward and backward once, and record the arrays of every layer.

    Args:
        model: a network or a single layer, as it is: no layers are fused.
        x: a small batch of inputs. In float64, with `model.astype(float)`, the pass is exact.
        labels: of the images, for the loss; by default the classes that the network predicts.
        dy: the gradient with respect to the output; then there is no loss.
        backend: the backend to compute with; by default the fastest.
        training: dropout drops, batch norm uses the batch, and auxiliary classifiers are computed;
            the loss is that of the network's recipe. Otherwise the pass is that of evaluation.

    The mode, the gradients and the buffers of the network, and the random generator, are left as
    they were. Raises ValueError for both labels and dy, ShapeError for an x that does not fit.
    """
    if labels is not None and dy is not None:
        raise ValueError("trace: expected labels, for a loss, or dy; both are given")
    recorder = _Recorder(model)
    with _unchanged(model, training), use(backend) if backend else nullcontext():
        device = model_device(model)
        x = to_input(_checked("x", x), device)
        losses: list[Record] = []
        with observe(recorder.forward, recorder.backward):
            y = model(x)
            if dy is None:
                loss = _loss(model, training)
                labels = to_device(_labels(loss, y, labels), device)
                dy = loss(y, labels)[1]
                losses = _loss_records(recorder, loss, y, labels, dy)
            else:
                dy = _like(dy, y, device)
            model.backpropagate(dy)
    host = None if labels is None else to_host(labels)
    return Trace(model, [*recorder.records.values(), *losses], host)


class _Recorder:
    """The hooks. A parameter's gradient is taken away at once, so that it is of one layer only."""

    def __init__(self, model: Layer):
        self.model = model
        self.names = {id(layer): name for name, layer in model.named_layers()}
        self.records: dict[str, Record] = {}

    def forward(self, layer: Layer, x: Any, y: Any) -> None:
        path = self.names.get(id(layer))
        if path is None:
            return  # a layer that a user's layer does not show as a child
        if path in self.records:
            raise ValueError(f"{path or 'the network'} is called twice in one forward pass")
        own = {n: p.value for n, p in vars(layer).items() if isinstance(p, Parameter)}
        own |= {name: getattr(layer, name) for name in layer.buffers}
        self.records[path] = Record(
            *(path, layer, type(layer).__name__, _copies(layer, x), _copy(_main(y))),
            parameters={SHORT.get(name, name): _copy(a) for name, a in own.items()},
            training=layer.training,
            saved=layer._saved or (),
        )

    def backward(self, layer: Layer, dy: Any, dx: Any) -> None:
        path = self.names.get(id(layer))
        if path is None:
            return
        record = self.records[path]
        record.dy = _copy(_main(dy))
        record.dx = None if dx is None else _copies(layer, dx)
        for name, parameter in vars(layer).items():
            if isinstance(parameter, Parameter) and parameter._grad is not None:
                record.gradients[SHORT.get(name, name)] = to_host(parameter.grad)
                parameter.zero_grad()  # the array is the record's from here on


def _checked(name: str, array: Any) -> Any:
    if not hasattr(array, "dtype"):
        raise ValueError(f"trace: {name} is a {type(array).__name__}; expected an array of floats")
    return array


def _like(dy: Any, y: Any, device: str) -> Any:
    """The gradients in the type and on the device of the outputs. Raises ValueError."""
    if not isinstance(y, tuple):
        return to_device(_checked("dy", dy).astype(y.dtype), device)
    if not isinstance(dy, tuple) or len(dy) != len(y):
        raise ValueError(
            f"trace: in training the network has {len(y)} outputs; expected a tuple of {len(y)} "
            "gradients as dy"
        )
    return tuple(_like(a, b, device) for a, b in zip(dy, y, strict=True))


def _main(y: Any) -> Any:
    """The output of a network with heads in training is a tuple: the main output is the first."""
    return y[0] if isinstance(y, tuple) else y


def _all(y: Any) -> tuple[Any, ...]:
    return y if isinstance(y, tuple) else (y,)


def _copy(a: Any) -> Array:
    return np.array(to_host(a))


def _copies(layer: Layer, arrays: Any) -> Any:
    """What a layer reads, or its gradient: a tuple if it joins."""
    return tuple(map(_copy, arrays)) if layer.joins else _copy(arrays)


@contextmanager
def _unchanged(model: Layer, training: bool) -> Iterator[None]:
    """Within this block the model is in that mode and without gradients; then all is as before."""
    modes = [(layer, layer.training, layer._saved) for _, layer in model.named_layers()]
    gradients = [(parameter, parameter._grad) for parameter in model.parameters()]
    buffers = [
        (layer, name, getattr(layer, name), _copy(getattr(layer, name)))
        for layer, *_ in modes
        for name in layer.buffers
    ]
    position = rng.state()
    model.train(training)
    model.zero_grad()
    try:
        yield
    finally:
        rng.set_state(position)
        for layer, name, array, before in buffers:
            copy_into(array, before)
            setattr(layer, name, array)
        for parameter, gradient in gradients:
            parameter._grad = gradient
        for layer, mode, saved in modes:
            layer.training, layer._saved = mode, saved


def _loss(model: Layer, training: bool) -> Loss:
    """The loss of the recipe, or else of the network; in evaluation without smoothing."""
    found = getattr(metadata(model).recipe, "loss", None) or loss_of(model)
    return found if training else plain(found)


def _labels(loss: Loss, y: Any, labels: Any) -> Any:
    """The labels as an array; the predicted classes if they are None."""
    if labels is not None:
        return labels if hasattr(labels, "dtype") else np.asarray(labels)
    if _main(y).ndim != 2:
        raise ValueError(
            f"trace: the output of the network has shape {_main(y).shape}; expected (N, classes) "
            "for a loss; give the gradient dy instead"
        )
    return probabilities_of(loss, y).argmax(axis=1)


def _loss_path(model: Layer) -> str:
    """ "loss", or with an underscore if there is a layer of that name."""
    path = "loss"
    while any(name == path for name, _ in model.children()):
        path += "_"
    return path


def _loss_records(recorder: _Recorder, loss: Any, y: Any, labels: Any, dy: Any) -> list[Record]:
    """One record per output: "loss", and "loss.aux1", ... of auxiliary classifiers."""
    path = _loss_path(recorder.model)
    names = ["", *(f"aux{i}" for i in range(1, len(_all(y))))]
    with_heads = isinstance(loss, AuxiliaryLoss)
    single = loss.loss if with_heads else loss
    kind = getattr(single, "__name__", type(single).__name__)
    found: list[Record] = []
    for name, outputs, gradient in zip(names, _all(y), _all(dy), strict=True):
        value = np.array(float(single(outputs, labels)[0]), outputs.dtype)
        found.append(
            LossRecord(
                *(join(path, name) if name else path, single, kind),
                *(_copy(outputs), value, None, _copy(gradient)),
                output=recorder.records[name],
                labels=to_host(labels),
                factor=loss.weight if with_heads and name else 1.0,
            )
        )
    return found
