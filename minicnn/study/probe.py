"""The scale of activations and gradients before training, to find layers in which they vanish."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kernels.types import Array, Shape
from ..layers import Layer, observe
from ..training.metrics import loss_of
from .cost.step import borrowed, input_shape_of


@dataclass(frozen=True)
class LayerStats:
    """One leaf layer.

    activation, gradient: standard deviations of its output and of the gradient of its output.
    dead: the fraction of its outputs that are exactly 0.
    update: RMS of the weight's gradient over RMS of the weight, or None without weights.
    """

    name: str
    layer: str
    activation: float
    dead: float
    gradient: float
    update: float | None


def probe(
    model: Layer, batch: int = 8, seed: int = 0, input_shape: Shape | None = None
) -> tuple[list[LayerStats], float]:
    """Run one forward and backward on random images N(0, 1) with random labels; update nothing.

    input_shape: (H, W, C), the model's own if None.
    Returns the statistics in the order of the forward, and the loss. The model and the
    random generator are left as they were. A loss near ln(classes) is
    right; activations that shrink or grow by orders of magnitude per layer are not.
    Raises ValueError if no input shape is known.
    """
    input_shape = input_shape_of(model, input_shape)
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((batch, *input_shape)).astype(np.float32)
    names = {id(layer): name for name, layer in model.named_layers() if not _has_children(layer)}
    leaves = {name: layer for name, layer in model.named_layers() if id(layer) in names}
    outputs: dict[str, tuple[float, float]] = {}
    gradients: dict[str, float] = {}

    def see_output(layer: Layer, x: Array, y: Any) -> None:
        if id(layer) in names:
            outputs[names[id(layer)]] = float(y.std()), float((y == 0).mean())

    def see_gradient(layer: Layer, dy: Any, dx: Any) -> None:
        if id(layer) in names:
            gradients[names[id(layer)]] = float(dy.std())

    with borrowed(model):
        model.train()
        with observe(see_output, see_gradient), np.errstate(all="ignore"):
            y = model(x)
            logits = y[0] if isinstance(y, tuple) else y
            loss, dy = loss_of(model)(y, generator.integers(0, logits.shape[1], batch))
            model.backpropagate(dy, need_dx=False)
        stats = [
            LayerStats(
                name,
                type(leaves[name]).__name__,
                std,
                dead,
                gradients.get(name, 0.0),
                _update(leaves[name]),
            )
            for name, (std, dead) in outputs.items()
        ]
    return stats, float(loss)


def _has_children(layer: Layer) -> bool:
    return any(True for _ in layer.children())


def _update(layer: Layer) -> float | None:
    weight = getattr(layer, "weight", None)
    if weight is None:
        return None
    return float(np.linalg.norm(weight.grad)) / max(float(np.linalg.norm(weight.value)), 1e-30)
