"""Is this backward right? Finite differences answer, for the layers of minicnn and for wrong ones.

    python examples/gradcheck.py

`check_gradients` returns the largest relative error of the gradient of x and of every parameter.
In float64 the error of a right gradient is below 1e-3, and mostly below 1e-7.
"""

import numpy as np

from minicnn.layers import BatchNorm2d, Conv2d, Linear, LocalResponseNorm
from minicnn.study import check_gradients


class WrongSign(Linear):
    """A linear layer whose backward has a wrong sign."""

    def backward(self, dy, need_dx=True):
        return -super().backward(dy, need_dx)


generator = np.random.default_rng(0)
images, rows = generator.standard_normal((2, 6, 6, 4)), generator.standard_normal((3, 4))
cases = [
    (Conv2d(4, 5, 3, padding=1), images),
    (BatchNorm2d(4), images),
    (LocalResponseNorm(5, alpha=1.0), images),
    (Linear(4, 2), rows),
    (WrongSign(4, 2), rows),
]
for layer, x in cases:
    errors = check_gradients(layer.astype(np.float64), x)
    verdict = "right" if max(errors.values()) < 1e-3 else "WRONG"
    print(f"{verdict}  {type(layer).__name__:20}", {k: f"{v:.0e}" for k, v in errors.items()})
