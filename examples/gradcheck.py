"""Is this backward right? Finite differences answer, for the layers of minicnn and for wrong ones.

    python examples/gradcheck.py

`check_gradients` returns the relative error of the gradient of x and of every parameter, with a
verdict, `ok`. It runs in float64, in which finite differences are accurate.
"""

import numpy as np

from minicnn.layers import BatchNorm2d, Conv2d, Linear, LocalResponseNorm
from minicnn.study import check_gradients


class WrongSign(Linear):
    """A linear layer whose backward has a wrong sign."""

    def backward(self, dy):
        return -super().backward(dy)


class Forgotten(Linear):
    """A linear layer that adds no gradient to its bias."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.bias.zero_grad()
        return dx


generator = np.random.default_rng(0)
images, rows = generator.standard_normal((2, 6, 6, 4)), generator.standard_normal((3, 4))
cases = [
    (Conv2d(4, 5, 3, padding=1), images),
    (BatchNorm2d(4), images),
    (LocalResponseNorm(5, alpha=1.0), images),
    (Linear(4, 2), rows),
    (WrongSign(4, 2), rows),
    (Forgotten(4, 2), rows),
]
for layer, x in cases:
    check = check_gradients(layer.astype(np.float64), x)
    errors = ", ".join(f"{name} {error:.0e}" for name, error in check.items())
    print(f"{'right' if check.ok else 'WRONG'}  {type(layer).__name__:18} {errors}")
