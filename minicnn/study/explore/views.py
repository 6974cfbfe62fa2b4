"""Lists of images, what the network got wrong, and what matters in the image."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...device import model_device, to_input
from ...errors import brief
from ...kernels.dispatch import use
from ...layers import fuse, no_grad
from .. import look
from .arrays import finite_range, peak
from .session import Session

MOST_TESTED = 2000  # images, in the search for mistakes
MOST_SHOWN = 60
METHODS: dict[str, Callable[..., np.ndarray]] = {
    "saliency": look.saliency,
    "guided_backprop": look.guided_backprop,
    "grad_cam": look.grad_cam,
    "occlusion": look.occlusion,
    "deconvnet": look.deconvnet,
}


class Views:
    """Answers about a session's network that are no part of the traced pass."""

    def __init__(self, session: Session):
        self.session = session

    def images(self, split: str, first: int, count: int) -> dict[str, Any]:
        """The labels of `count` images from `first` on."""
        gallery = self.session.gallery
        size = len(gallery.sets[split]) if split in gallery.sets else 0
        rows = range(max(0, first), min(size, first + min(count, MOST_SHOWN)))
        found = [self._named(split, i) for i in rows]
        return {"split": split, "count": size, "images": found}

    def mistakes(self, split: str) -> dict[str, Any]:
        """The images that the network got wrong, those with the highest probability first."""
        gallery, session = self.session.gallery, self.session
        if split not in gallery.sets:
            raise ValueError(
                f"split {brief(split)}: expected one of {', '.join(gallery.sets) or 'none'}"
            )
        found = gallery.sets[split]
        tested = min(len(found), MOST_TESTED)
        if found.labels.ndim != 1:
            raise ValueError("the images have several classes each: there is no single mistake")
        wrong: list[dict[str, Any]] = []
        for first in range(0, tested, 64):
            rows = np.arange(first, min(tested, first + 64))
            with session.lock, use(session.backend), no_grad():
                p = self._probabilities(np.stack([found[int(i)][0] for i in rows]))
            for i, row in zip(rows, p, strict=True):
                if row.argmax() != found.labels[i]:
                    named = self._named(split, int(i))
                    guess = int(row.argmax())
                    named |= {"guess": session.class_name(guess), "p": float(row[guess])}
                    wrong.append(named)
        wrong.sort(key=lambda one: -one["p"])
        return {
            "split": split,
            "count": len(wrong),
            "tested": tested,
            "images": wrong[:MOST_SHOWN],
            "version": session.version,
        }

    def _probabilities(self, pixels: np.ndarray) -> np.ndarray:
        session, model = self.session, self.session.model
        x = session.gallery.preprocess(pixels)
        model.eval()
        return session.probabilities(fuse(model)(to_input(x, model_device(model))))

    def _named(self, split: str, index: int) -> dict[str, Any]:
        gallery = self.session.gallery
        labels = gallery.sets[split].labels
        name = self.session.class_name(int(labels[index])) if labels.ndim == 1 else ""
        return {"split": split, "index": index, "label": name}

    def look(
        self, method: str, class_: int, layer: str, unit: int
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """What matters in the image for a class: `(H, W)`, or `(H, W, C)` for signed channels.

        method: a name in `METHODS`. class_: -1 for the most probable one. layer, unit: of which
        "deconvnet" shows the pattern.
        Raises ValueError for an unknown method, and what the method raises.
        """
        if method not in METHODS:
            raise ValueError(f"method {brief(method)}: expected one of {', '.join(METHODS)}")
        session = self.session
        with session.lock, use(session.backend):
            model, x = session.model, session.trace[""].x[0]
            if method == "deconvnet":
                if not layer or layer not in dict(model.named_layers()):
                    raise ValueError(
                        f"the layer in view is {layer or 'the image'}; expected a layer of the "
                        "network, one of whose maps the deconvnet shows"
                    )
                found, text = look.deconvnet(model, x, layer, unit), f"map {unit} of {layer}"
            else:
                label = session.answer()["top"][0]["class"] if class_ < 0 else class_
                found = METHODS[method](model, x, label)
                text = f"for class {session.class_name(label)}"
        if found.ndim == 3 and found.shape[2] not in (1, 3):
            found = found.sum(axis=2)
        found = found[..., 0] if found.ndim == 3 and found.shape[2] == 1 else found
        low, high = finite_range(found)
        return found, {"low": low, "high": high, "peak": peak(found), "text": text}
