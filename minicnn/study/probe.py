"""The scale of activations and gradients in each layer at step 0: a network that is dead before it is trained shows it here."""

from dataclasses import dataclass

import numpy as np

from .. import random
from ..layers.base import Layer, observe
from ..training.metrics import loss_of


@dataclass(frozen=True)
class Reading:
    """One leaf layer. activation, gradient: standard deviations of its output and of the gradient that reached it.

    dead: the share of its outputs that are exactly 0. update: RMS of the weight's gradient over RMS of the weight, or None.
    """

    name: str
    layer: str
    activation: float
    dead: float
    gradient: float
    update: float | None


def probe(model: Layer, batch: int = 8, seed: int = 0) -> tuple[list[Reading], float]:
    """Run one training step's forward and backward on random images N(0, 1) with random labels; nothing is updated.

    Returns the readings in the order of the forward, and the loss. Buffers, gradients and the random generator are left as they were
    or cleared. A loss near ln(classes) is right; activations that fall or grow by orders of magnitude from layer to layer are not.
    """
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((batch, *model.input_shape)).astype(np.float32)
    leaves = {name: layer for name, layer in model.named_layers() if not list(layer.children())}
    names = {id(layer): name for name, layer in leaves.items()}
    buffers = {name: array.copy() for name, array in model.named_buffers()}
    position = random.state()
    outputs: dict[str, tuple[float, float]] = {}
    gradients: dict[str, float] = {}

    def look(layer, x, y):
        if id(layer) in names:
            outputs[names[id(layer)]] = float(y.std()), float((y == 0).mean())

    def listening(name, layer):
        original = layer.backward

        def backward(dy, need_dx=True):
            gradients[name] = float(dy.std())
            return original(dy, need_dx=need_dx)

        return backward

    was_training = model.training
    model.train()
    model.zero_grad()
    try:
        for name, layer in leaves.items():
            layer.backward = listening(name, layer)  # type: ignore[method-assign]
        with observe(look), np.errstate(all="ignore"):
            y = model(x)
            logits = y[0] if isinstance(y, tuple) else y
            loss, dy = loss_of(model)(y, generator.integers(0, logits.shape[1], batch))
            model.backward(dy, need_dx=False)
        readings = []
        for name, (std, dead) in outputs.items():
            layer = leaves[name]
            weight = getattr(layer, "weight", None)
            update = (
                float(np.linalg.norm(weight.grad)) / max(float(np.linalg.norm(weight.value)), 1e-30)
                if weight is not None
                else None
            )
            readings.append(
                Reading(name, type(layer).__name__, std, dead, gradients.get(name, 0.0), update)
            )
    finally:
        for layer in leaves.values():
            del layer.backward
        for name, array in model.named_buffers():
            array[...] = buffers[name]
        random.set_state(position)
        model.zero_grad()
        model.train(was_training)
    return readings, float(loss)
