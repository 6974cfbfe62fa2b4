"""What the page shows: a network, an image, and the traced pass of both."""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...device import model_device, to_device, to_host
from ...errors import MinicnnError, brief
from ...kernels.dispatch import use
from ...kernels.types import Array
from ...layers import Layer, metadata
from ...training import SGD, metrics
from ...training.losses import plain, probabilities_of
from .. import describe
from ..explain import explain
from ..trace import LossRecord, Record, Trace, trace
from .gallery import Gallery
from .pages import Page, page

MOST_NAMED = 5  # classes in the table of probabilities


@dataclass
class Picture:
    """The image in view: its pixels, label, and where it is from, in words and as a place.

    label: None for a drawing or a file; then the loss is that of the class that is predicted.
    """

    pixels: np.ndarray
    label: int | None
    text: str
    place: dict[str, Any] = field(default_factory=dict)


class Session:
    """A network and the image in view. A lock serializes what its methods compute.

    version: a number that changes with every pass, so that a page can tell what it has.
    steps: how many steps changed the weights since the session began, or since `restore`.
    backend: the backend to compute with; None for the fastest.
    """

    def __init__(self, model: Layer, gallery: Gallery, backend: str | None = None):
        self.model, self.gallery, self.backend = model, gallery, backend
        self.lock = threading.RLock()
        self.version = 0
        self._kept: dict[str, Array] = {}
        self.steps = 0
        self._trace: Trace | None = None
        self.picture = self._first_picture()

    def _first_picture(self) -> Picture:
        split = next((s for s in ("test", "train") if s in self.gallery.sets), None)
        if split is None:
            return Picture(self.gallery.blank(), None, "a test picture: drop a file of your own")
        return self._of_data(split, 0)

    def _of_data(self, split: str, index: int) -> Picture:
        pixels, label = self.gallery.image(split, index)
        where = {"split": split, "index": index}
        return Picture(pixels, label, f"{self.gallery.name}, {split} image {index}", where)

    # --- the image ---

    def choose(self, split: str, index: int) -> None:
        """Show an image of the data set. Raises DataError if it does not exist."""
        self._show(self._of_data(split, index))

    def draw(self, pixels: np.ndarray) -> None:
        """Show a drawing: uint8 `(28, 28)`, light on dark."""
        self._show(Picture(self.gallery.drawing(pixels), None, "your drawing"))

    def open(self, name: str, contents: bytes) -> None:
        """Show an image file. Raises DataError that names it."""
        self._show(Picture(self.gallery.file(name, contents), None, name))

    def relabel(self, label: int | None) -> None:
        """Set the class of the loss; None: the predicted one. Raises ValueError for no class."""
        count = self.trace[""].y.shape[-1]
        if label is not None and not 0 <= label < count:
            raise ValueError(f"class {label}: expected 0 to {count - 1}")
        self._show(Picture(self.picture.pixels, label, self.picture.text, self.picture.place))

    def _show(self, picture: Picture) -> None:
        with self.lock:
            before = self.picture
            self.picture = picture
            try:
                self.retrace()
            except (MinicnnError, ValueError):
                self.picture = before
                raise

    # --- the pass ---

    @property
    def trace(self) -> Trace:
        """The pass of the image in view."""
        with self.lock:
            if self._trace is None:
                self.retrace()
            assert self._trace is not None
            return self._trace

    def retrace(self) -> None:
        """Run the pass again, as after a change of the weights."""
        with self.lock:
            x = self.gallery.input(self.picture.pixels)
            labels = None if self.picture.label is None else np.array([self.picture.label])
            self._trace = trace(self.model, x, labels, backend=self.backend)
            self.version += 1

    def array(self, path: str, what: str) -> Array:
        """One array of a layer: what `Record.arrays` has, or a parameter, such as "value.w".

        Raises ValueError for one that does not exist.
        """
        record = self.trace[path]
        parts = what.partition("value.")
        found = record.parameters if what.startswith("value.") else record.arrays()
        name = parts[2] or what
        if name not in found:
            raise ValueError(f"{path}: there is no array {brief(what)}; it has {', '.join(found)}")
        return found[name]

    def explain(self, path: str, what: str, index: tuple[int, ...], view: Page) -> dict[str, Any]:
        """How one number was made, in plain values; `view` has which of the terms to show."""
        with self.lock:
            return page(explain(self.trace, path, what, index), view)

    # --- descriptions ---

    def state(self) -> dict[str, Any]:
        """The network, the image and the result, in plain values."""
        with self.lock:
            answer = self.answer()  # runs the first pass, which counts the version
            return {
                "version": self.version,
                "network": metadata(self.model).name or type(self.model).__name__,
                "input": list(self.gallery.shape),
                "parameters": sum(p.trainable for p in self.model.parameters()),
                "layers": self._layers(),
                "image": {
                    "text": self.picture.text,
                    "label": self.picture.label,
                    **self.picture.place,
                },
                "data": {
                    "name": self.gallery.name,
                    "splits": {name: len(s) for name, s in self.gallery.sets.items()},
                },
                "classes": list(self.gallery.classes),
                "steps": self.steps,
                **answer,
            }

    def answer(self) -> dict[str, Any]:
        """The loss, the class it is of, and the most probable classes."""
        passed = self.trace
        loss = next(r for r in passed.records if isinstance(r, LossRecord))
        p = self.probabilities(passed[""].y)[0]
        best = np.argsort(-p, kind="stable")[:MOST_NAMED]
        own = int(loss.labels[0]) if loss.labels.ndim == 1 else int(loss.labels[0].argmax())
        return {
            "loss": float(loss.y),
            "loss_label": own,
            "loss_name": self.class_name(own),
            "top": [{"class": int(i), "name": self.class_name(i), "p": float(p[i])} for i in best],
        }

    def class_name(self, label: int | np.integer) -> str:
        """The name of a class, or its number."""
        names = self.gallery.classes
        return names[label] if label < len(names) else str(label)

    def probabilities(self, outputs: Array) -> np.ndarray:
        """The probabilities `(N, classes)` for outputs of the network; they may be NaN."""
        return to_host(probabilities_of(plain(metrics.loss_of(self.model)), outputs))

    def _layers(self) -> list[dict[str, Any]]:
        """The image, then the layers in the order of the pass; a container after its layers."""
        *inner, whole, loss = _outermost_last(self.trace.records)
        image = {"path": "", "kind": "input", "container": False, "columns": {}, "parameters": {}}
        found = {"x": whole.x, "dx": whole.dx}
        arrays = {what: list(a.shape) for what, a in found.items() if a is not None}
        return [{**image, "arrays": arrays}, *map(self._layer, [*inner, loss])]

    def _layer(self, record: Record) -> dict[str, Any]:
        return {
            "path": record.path,
            "kind": record.kind,
            "container": any(True for _ in getattr(record.layer, "children", tuple)()),
            "columns": describe.columns(record.layer) if isinstance(record.layer, Layer) else {},
            "arrays": {what: list(a.shape) for what, a in record.arrays().items()},
            "parameters": {name: list(a.shape) for name, a in record.parameters.items()},
        }

    # --- one step ---

    def step(self, lr: float) -> dict[str, Any]:
        """One step of SGD on the image in view; the losses before and after it.

        The gradients are those of the pass in view. Raises ValueError for a rate below 0.
        """
        with self.lock, use(self.backend):
            self.keep()
            optimizer = SGD(self.model.parameters(), lr=lr)
            before = self.answer()
            optimizer.zero_grad()
            device = model_device(self.model)
            for record in self.trace.records:
                for name, gradient in record.gradients.items():
                    long = {"w": "weight", "b": "bias"}.get(name, name)
                    own = getattr(record.layer, name if hasattr(record.layer, name) else long)
                    own.add_grad(to_device(gradient, device))
            optimizer.step()
            optimizer.zero_grad()
            self.steps += 1
            self.retrace()
            return {"before": before, "after": self.answer(), "steps": self.steps}

    def keep(self) -> None:
        """Before the first change of the weights: keep them for `restore`."""
        if not self._kept:
            self._kept = {name: to_host(a).copy() for name, a in self.model.state_dict().items()}

    def restore(self) -> None:
        """Set the weights back to those that the session began with."""
        with self.lock:
            if self._kept:
                self.model.load_state_dict(self._kept)
            self.steps = 0
            self.retrace()


def _outermost_last(records: list[Record]) -> list[Record]:
    """The records with those of the network and of its loss at the end."""
    whole = [record for record in records if not record.path]
    losses = [record for record in records if isinstance(record, LossRecord)]
    rest = [r for r in records if r.path and not isinstance(r, LossRecord)]
    return [*rest, *whole, *losses[:1]]
