"""Are the hand-written gradients right? Finite differences answer, in float64, along random directions."""

import numpy as np

from ..layers.base import Layer


def check_gradients(
    layer: Layer, x: np.ndarray, *, seed: int = 0, eps: float = 1e-5, directions: int = 3
) -> dict[str, float]:
    """Compare backward with central differences, for the input and every parameter.

    With a random upstream gradient g, f = sum(g * layer(x)). For a random direction d of one array, (f(+eps d) - f(-eps d)) / 2 eps must
    be the scalar product of d and the gradient that backward gives. One scalar per direction: a wrong element cannot hide in a mean.
    Keep x away from kinks (ReLU at 0, ties in max pooling).

    layer and x are used in float64: convert the layer with `layer.astype(float)`. A dropout layer must be in eval mode.
    Returns the largest relative error by name ("x", and the parameters' names). Raises ValueError unless everything is float64.
    """
    arrays = {"x": x} | {name: p.value for name, p in layer.named_parameters()}
    for name, array in arrays.items():
        if array.dtype != np.float64:
            raise ValueError(
                f"check_gradients: {name} is {array.dtype}; expected float64 (layer.astype(float))"
            )
    buffers = {name: array.copy() for name, array in layer.named_buffers()}

    def run():
        y = layer.forward(x)
        for name, array in layer.named_buffers():
            array[...] = buffers[
                name
            ]  # running statistics must not drift from one evaluation to the next
        return y

    generator = np.random.default_rng(seed)
    y = run()
    upstream = generator.standard_normal(y.shape)
    layer.zero_grad()
    gradients = {"x": layer.backward(upstream)} | {
        name: p.grad.copy() for name, p in layer.named_parameters()
    }

    errors = {}
    for name, array in arrays.items():
        worst = 0.0
        for _ in range(directions):
            direction = generator.standard_normal(array.shape)
            if not gradients[name].all():  # connections that are cut stay cut
                direction = np.where(gradients[name] == 0, 0, direction)
            original = array.copy()
            array[...] = original + eps * direction
            above = float((run() * upstream).sum())
            array[...] = original - eps * direction
            below = float((run() * upstream).sum())
            array[...] = original
            numeric = (above - below) / (2 * eps)
            exact = float((gradients[name] * direction).sum())
            worst = max(worst, abs(numeric - exact) / max(abs(numeric), abs(exact), 1e-8))
        errors[name] = worst
    return errors
